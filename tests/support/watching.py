"""Watches every event stream that a dragoman server sends in a test, in this process or in one that `Running` started.

`watch_this_process` puts a judge between `Watch.send` and `Watch.pass_on`, through which every piece of a reply leaves
(pings and farewells too), and the socket. What is illegal is noted before the piece goes out: whoever has read the end
of a stream can read what was wrong with it. tests/conftest.py fails the test for whatever `take` gives.

A server process notes in a file that it was given (`watched/sitecustomize.py`); nothing in src/ knows of this.
"""

import os
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from judging import Fault, Judge

__all__ = [
    "BEGIN",
    "PASSED_ON",
    "REPORT",
    "child_environment",
    "is_watching",
    "let_go",
    "listen_to",
    "take",
    "watch_child",
    "watch_this_process",
]

REPORT = "STREAMS_REPORT"  # environment variable of a child: the file it reports to
BEGIN = "watching"  # the report's first line: without it nothing is watched there
PASSED_ON = "passed on: "  # begins what may be the upstream's doing
WATCHED = Path(__file__).parent / "watched"

_found: list[str] = []
_children: dict[Path, int] = {}  # report -> bytes read so far
_lock = threading.Lock()


def take() -> list[str]:
    """What was found since the last time, here and in the children."""
    with _lock:
        for report in _children:
            _read(report)
        found = list(_found)
        _found.clear()
    return found


def _read(report: Path) -> None:
    told = report.read_bytes()[_children[report] :]
    _children[report] += len(told)
    _found.extend(line for line in told.decode().splitlines() if line != BEGIN)


def child_environment(report: Path) -> dict[str, str]:
    """What makes a Python process that is started with it watch itself."""
    return {"PYTHONPATH": str(WATCHED), REPORT: str(report)}


def listen_to(report: Path) -> None:
    """From now on `take` reads it."""
    with _lock:
        _children.setdefault(report, 0)


def let_go(report: Path) -> None:
    """Its process has ended: what it still said is kept for `take`."""
    with _lock:
        if report in _children:
            _read(report)
            del _children[report]


def is_watching(report: Path) -> bool:
    return report.is_file() and report.read_text().startswith(BEGIN)


def watch_this_process() -> None:
    """For the rest of the process; once."""
    _install(_found.append)


def watch_child() -> None:
    """In a child: report to the file. Processes that it starts itself are none of ours."""
    del os.environ["PYTHONPATH"]
    report = Path(os.environ.pop(REPORT))

    def note(line: str) -> None:
        with report.open("a") as out:
            out.write(line + "\n")

    _install(note)
    note(BEGIN)


def _install(note: Callable[[str], None]) -> None:
    from dragoman.engines.offline.engine import OfflineEngine
    from dragoman.server.replies import Watch

    ours: set[str] = set()  # ids of the messages that the engine made
    streams: WeakKeyDictionary[Watch, _Stream] = WeakKeyDictionary()
    send, pass_on, generate = Watch.send, Watch.pass_on, OfflineEngine.generate

    async def judged_send(watch: Watch, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and _is_stream(message):
            streams[watch] = _Stream(message, ours, note)
        elif watch in streams:
            streams[watch].send(message)
        await send(watch, message)

    def judged_pass_on(watch: Watch, piece: bytes) -> bool:
        if watch in streams:
            streams[watch].send({"type": "http.response.body", "body": piece, "more_body": True})
        is_taken = pass_on(watch, piece)
        if not is_taken and watch in streams:
            streams[watch].judged = piece  # it comes again, by `send`
        return is_taken

    def noted_generate(engine: OfflineEngine, generation: Any) -> AsyncGenerator[Any, None]:
        if generation.message_id.startswith(
            "msg_01"
        ):  # the gateway's: a test that asks the engine itself makes up others
            ours.add(generation.message_id)
        return generate(engine, generation)

    Watch.send = judged_send  # type: ignore[method-assign]
    Watch.pass_on = judged_pass_on  # type: ignore[method-assign]
    OfflineEngine.generate = noted_generate  # type: ignore[method-assign]


def _is_stream(start: dict[str, Any]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"])


class _Stream:
    """A stream on its way out. One that is never ended was abandoned: its end is not judged."""

    def __init__(self, start: dict[str, Any], ours: set[str], note: Callable[[str], None]) -> None:
        self.judged: bytes | None = None  # a piece that was not taken, and will come once more
        self._judge: Judge | None = Judge(is_ours=ours.__contains__)
        self._name = dict(start["headers"]).get(b"request-id", b"?").decode("latin-1")
        self._note = note
        if start["status"] != 200:
            self._found(f"a stream with status {start['status']}")

    def send(self, message: dict[str, Any]) -> None:
        if self._judge is None:
            return  # one fault is told, not all that follow from it
        body = message.get("body", b"")
        if body is self.judged:
            self.judged, body = None, b""
        try:
            self._judge.feed(body)
            if not message.get("more_body"):
                self._judge.end()
                self._odd(self._judge.oddity)
        except Fault as fault:
            self._found(str(fault))
        except Exception as error:  # a stream so odd that the judge itself fails: no less a fault
            self._found(f"{error!r}, judging {body[:200]!r}")

    def _odd(self, oddity: str | None) -> None:
        if oddity is not None:
            self._found(f"{PASSED_ON}{oddity}")

    def _found(self, fault: str) -> None:
        self._judge = None
        self._note(f"{fault} (stream {self._name})".replace("\n", " "))
