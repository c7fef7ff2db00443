"""llama.cpp's own server, with a model that is made here (tiny_model.py): a real upstream on a port of 127.0.0.1.

    with LlamaServer(folder, scripts={"!hello": "Hello, world."}) as llama:
        llama.url, llama.key, llama.get("/slots"), llama.log()

It runs in a process of its own, which ends with ours: run as a program, this file is that process.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

__all__ = ["LlamaServer", "Told"]

START_S = 30.0  # generous: the machine may be busy, and it takes a tenth of a second
STOP_S = 10.0
REQUEST_S = 30.0
SLOTS = 8  # requests at once
CONTEXT = 16384  # tokens of each
NO_IMPORT = 3  # exit status
KEY = "sk-llama-key-of-the-test"
HOW = 'run `pip install -e ".[dev]"`'


class Told(NamedTuple):
    """A reply to a question that a test asked the server itself."""

    status: int
    body: Any


class LlamaServer:
    """One server. Where xllamacpp cannot be had, tests that need it are skipped; where CI is set, they fail."""

    key = KEY

    def __init__(self, folder: Path, *, scripts: Mapping[str, str], slots: int = SLOTS, context: int = CONTEXT) -> None:
        self.url = ""
        self._log = folder / "llama.log"
        self._scripts = scripts
        self._given = {"model": str(folder / "tiny.gguf"), "slots": slots, "context": slots * context}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if find_spec("gguf") is None:
            _cannot(f"gguf is not installed: {HOW}")
        from tiny_model import write_model

        write_model(Path(self._given["model"]), self._scripts)
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(self._given)],
                stdin=subprocess.PIPE,  # nothing is written: it ends when we do
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LLAMA_KEY": self.key},
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def mark(self, word: str) -> str:
        """What a script begins behind, wherever it stands in a prompt."""
        from tiny_model import mark

        return mark(list(self._scripts).index(word))

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> Told:
        return self._ask(path, None)

    def post(self, path: str, body: Any) -> Told:
        return self._ask(path, json.dumps(body).encode())

    def busy(self) -> int:
        """How many requests it is working on."""
        return sum(slot["is_processing"] for slot in self.get("/slots").body)

    def _ask(self, path: str, data: bytes | None) -> Told:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=REQUEST_S) as reply:
                return Told(reply.status, json.loads(reply.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Told(error.code, json.loads(error.read()))

    def _wait(self) -> None:
        """Until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if not self.url and (found := re.search(r"^listens on (http://\S+)$", self.log(), re.MULTILINE)):
                self.url = found[1]
            if self.url and self.get("/health").status == 200:
                return
            time.sleep(0.01)
        if self._process.returncode == NO_IMPORT:
            _cannot(f"xllamacpp does not import here: {HOW}\n{self.log()}")
        raise RuntimeError(f"llama.cpp's server did not start ({self._process.returncode}):\n{self.log()}")

    def _stop(self) -> None:
        """It keeps nothing, so there is nothing to end in good order."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate(timeout=STOP_S)


def _cannot(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _serve(given: Mapping[str, Any]) -> None:
    """The program: until the other end of standard input is closed."""
    try:
        import xllamacpp
    except ImportError as error:
        print(error, flush=True)
        os._exit(NO_IMPORT)
    params = xllamacpp.CommonParams()
    params.model.path = given["model"]
    params.n_ctx, params.n_parallel = given["context"], given["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # two, on two cores, wait for each other
    params.fit_params = False
    params.cache_ram_mib = 64
    params.api_keys = [os.environ["LLAMA_KEY"]]
    params.ui = False
    server = xllamacpp.Server(params)
    print(f"listens on {server.listening_address}", flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # whatever it is at


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
