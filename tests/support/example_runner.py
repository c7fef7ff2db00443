"""Runs programs one after the other in this process, and writes down what each printed and how it ended.

python example_runner.py REPORT PROGRAM [PROGRAM ...]

To start Python and to import the official package takes seconds: too long to do for every program. Each runs as
`python PROGRAM` would run it, as `__main__`. What it leaves to the garbage collector is collected before its output is
closed, so that a warning of a socket left open stands with the program that left it. The process imports nothing of
dragoman: only the programs decide which package is loaded.
"""

import contextlib
import gc
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

__all__ = ["run"]


def run(program: Path) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = _status_of(program)
        gc.collect()
    return {"status": status, "stdout": out.getvalue(), "stderr": err.getvalue()}


def _status_of(program: Path) -> int:
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    report, *programs = map(Path, sys.argv[1:])
    report.write_text(json.dumps({program.name: run(program) for program in programs}))
