"""Starts the real server, as `dragoman serve` in a process of its own, on a free port of 127.0.0.1.

with Running(tmp_path, config_text) as server:
    server.url, server.key, server.log()
"""

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import watching
from canary import note_log

__all__ = ["Running"]

START_S = 15.0  # generous: the machine may be busy
STOP_S = 15.0
NUMBERS = itertools.count()


class Running:
    """One server. Its output goes to a file, so that a full pipe never stops it."""

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        key: str | None = "sk-dgm-e2e-test-key",
        env: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.key = key or ""
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / "server.log"
        self._report = folder / f"streams-{next(NUMBERS)}.report"  # of illegal event streams (watching.py)
        self._config = folder / "dragoman.toml"
        self._config.write_text(config)
        # Nothing of the machine's environment that would switch on a provider or a proxy.
        self._env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        self._env |= {
            "DRAGOMAN_CONFIG": str(self._config),
            "DRAGOMAN_LISTEN": "127.0.0.1:0",
            "DRAGOMAN_DATABASE": f"sqlite:///{folder}/dragoman.db",
            "PYTHONUNBUFFERED": "1",
            **watching.child_environment(self._report),
            **({"DRAGOMAN_API_KEY": key} if key else {}),
            **(env or {}),
        }

    def __enter__(self) -> Self:
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error::ResourceWarning", "-m", "dragoman", "serve"],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._config.parent,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(r"listens on (http://\S+)", self.log()):
                self.url = found[1]
                self._must_be_watched()
                return self
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def __exit__(self, *_: object) -> None:
        self.stop()
        watching.let_go(self._report)
        note_log(self.log(), self.key)

    def _must_be_watched(self) -> None:
        """It has been, from before it could answer."""
        if not watching.is_watching(self._report):
            self.stop()
            raise RuntimeError(f"nobody watches the server's streams:\n{self.log()}")
        watching.listen_to(self._report)

    def stop(self) -> int | None:
        """Stop as an operator does; the exit status."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")
