"""Runs the scripts of `tests/e2e/typescript` with the official TypeScript SDK; each prints one JSON object."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from running import Running

__all__ = ["must_have", "must_have_the_sdk", "run_script"]

FOLDER = Path(__file__).parents[1] / "e2e/typescript"
TIMEOUT_S = 60


def must_have_the_sdk() -> None:
    must_have("@anthropic-ai/sdk", FOLDER)


def must_have(package: str, folder: Path) -> None:
    """Skip without Node or this package in `folder`, but fail where CI is set."""
    missing = None
    if shutil.which("node") is None:
        missing = "node is not here"
    elif not (folder / "node_modules" / package).is_dir():
        missing = f"{package} is not installed: run `npm ci` in tests/e2e/{folder.name}"
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def run_script(script: str, server: Running, **given: Any) -> Any:
    """What the script prints."""
    done = subprocess.run(
        ["node", f"{script}.mjs"],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=TIMEOUT_S,
        cwd=FOLDER,
        env={"PATH": os.environ["PATH"], "DRAGOMAN_URL": server.url, "DRAGOMAN_API_KEY": server.key},
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)
