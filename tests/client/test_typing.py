"""What type checkers say of the client, of the examples, and of `typing_cases.py`. Issue 5, done when 5.

mypy looks at the package and at the examples in `make check`. pyright, which editors use, comes from npm (`make unit`
installs it in `tests/e2e/pyright`): where it or Node is not there its test is skipped, but fails where CI is set. What
it looks at, and how strictly, stands in pyproject.toml.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from nodejs import must_have

ROOT = Path(__file__).parents[2]
PYRIGHT = ROOT / "tests/e2e/pyright"
TIMEOUT_S = 300  # of one run, which takes ten seconds of CPU


def test_mypy_agrees_with_the_cases() -> None:
    """`typing_cases.py`: what must be inferred, taken and refused."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/client/typing_cases.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_pyright_agrees_with_package_examples_and_cases() -> None:
    must_have("pyright", PYRIGHT)
    run = subprocess.run(
        ["node", PYRIGHT / "node_modules/pyright/index.js", "--outputjson", "--pythonpath", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert run.stdout, run.stderr
    found = json.loads(run.stdout)
    assert [told(each) for each in found["generalDiagnostics"]] == []
    public = [path for folder in ("src/dragoman/client", "src/dragoman/types", "examples") for path in python(folder)]
    assert found["summary"]["filesAnalyzed"] > len(public) > 100
    assert run.returncode == 0


def told(diagnostic: dict[str, Any]) -> str:
    line = diagnostic["range"]["start"]["line"] + 1 if "range" in diagnostic else 0
    return f"{diagnostic.get('file')}:{line}: {diagnostic.get('message')} ({diagnostic.get('rule')})"


def python(folder: str) -> list[Path]:
    return list((ROOT / folder).rglob("*.py"))
