"""Plays recordings to a Messages client, over a real socket, and notes all that a program sees of them.

    with Player(RECORDINGS) as player:
        client = connect(module, "async", player.url)
        seen = await observe(client, name, RECORDINGS[name])

Knows neither package by name: what it calls is what both have. `module` is `anthropic`, or what stands in for it.
"""

import inspect
import os
import re
import socketserver
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from itertools import pairwise
from random import Random
from types import ModuleType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints
from unittest.mock import patch

from recordings import Recording

__all__ = ["Player", "connect", "disconnect", "observe"]

TIMEOUT_S = 20
ASK = {"model": "claude-opus-4-8", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_01Head\r\n"
PIECES = 12  # at the most, of a body that is cut
SNAPSHOTS = 15  # of the message, at its first events: to note one costs as much as the message is long


# -- the server --


class Player(socketserver.ThreadingTCPServer):
    """Answers every request with the recording that its header `x-recording` names, cut as `x-cut` says."""

    daemon_threads = True

    def __init__(self, recordings: Mapping[str, Recording]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.recordings = recordings
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Player

    def handle(self) -> None:
        try:
            while self._answer():
                pass
        except ConnectionError:  # the client closed a stream before its end, as it may
            return

    def _answer(self) -> bool:
        """False when nothing more may come on this connection."""
        if not self.rfile.readline():
            return False
        headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.rfile.read(int(headers["content-length"]))
        name = headers["x-recording"]
        recording = self.server.recordings[name]
        self.wfile.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for piece in _cut(recording, headers["x-cut"], Random(name)):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if recording.breaks:
            return False
        self.wfile.write(b"0\r\n\r\n")
        return True


def _cut(recording: Recording, how: str, rng: Random) -> list[bytes]:
    data = recording.data
    if how == "not":
        return [data] if data else []
    if recording.singly:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({0, len(data), *(rng.randint(0, len(data)) for _ in range(PIECES - 1))})
    return [data[start:end] for start, end in pairwise(places)]


# -- the clients --


def connect(module: ModuleType, face: str, url: str) -> Any:
    """The "sync" or the "async" client. Nothing of the machine's environment reaches it; it tries once."""
    hidden = re.compile(r"ANTHROPIC_|.*_PROXY$", re.IGNORECASE)
    with patch.dict(os.environ):
        for name in [name for name in os.environ if hidden.match(name)]:
            del os.environ[name]
        make = module.Anthropic if face == "sync" else module.AsyncAnthropic
        return make(base_url=url, api_key="sk-of-the-recordings", max_retries=0, timeout=TIMEOUT_S)


async def disconnect(client: Any) -> None:
    await _settled(client.close())


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def _each(source: Any) -> AsyncIterator[Any]:
    if hasattr(source, "__aiter__"):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item


@asynccontextmanager
async def _entered(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


# -- what they see --


async def observe(client: Any, name: str, recording: Recording) -> dict[str, Any]:
    """All that this client makes of one recording, as plain values: a path of names for each kind of use."""
    whole = ASK | {"extra_headers": {"x-recording": name, "x-cut": "not"}}
    cut = ASK | {"extra_headers": {"x-recording": name, "x-cut": "anywhere"}}
    seen = {
        "create": await _events_of_create(client.messages, whole),
        "stream": await _events_of_stream(client.messages, cut),
        "text_stream": await _texts(client.messages, whole),
        "get_final_message": await _final_message(client.messages, cut),
        "beta create": await _events_of_create(client.beta.messages, cut),
        "beta stream": await _events_of_stream(client.beta.messages, whole),
    }
    if recording.betas:
        seen["betas stream"] = await _events_of_stream(client.beta.messages, cut | {"betas": list(recording.betas)})
    return seen


async def _events_of_create(messages: Any, ask: dict[str, Any]) -> dict[str, Any]:
    events: list[Any] = []

    async def read() -> None:
        async with _entered(await _settled(messages.create(**ask, stream=True))) as stream:
            async for event in _each(stream):
                events.append(noted(event))  # noqa: PERF401 (those before an error count)

    return {"end": await _attempt(read), "events": events}


async def _events_of_stream(messages: Any, ask: dict[str, Any]) -> dict[str, Any]:
    """The helper's events as they come and as they look afterwards, the message between them, and at the end."""
    events: list[Any] = []
    kept: list[Any] = []
    snapshots: list[Any] = []

    async with _entered(messages.stream(**ask)) as stream:

        async def read() -> None:
            async for event in _each(stream):
                kept.append(event)
                events.append(noted(event))
                if len(kept) <= SNAPSHOTS:
                    snapshots.append(await _attempt(lambda: stream.current_message_snapshot))

        return {
            "end": await _attempt(read),
            "events": events,
            "events, looked at later": [noted(event) for event in kept],
            "snapshots": snapshots,
            "message": await _attempt(stream.get_final_message),
            "text": await _attempt(stream.get_final_text),
            "request_id": stream.request_id,
        }


async def _texts(messages: Any, ask: dict[str, Any]) -> dict[str, Any]:
    texts: list[Any] = []

    async with _entered(messages.stream(**ask)) as stream:

        async def read() -> None:
            async for text in _each(stream.text_stream):
                texts.append(text)  # noqa: PERF401

        return {"end": await _attempt(read), "texts": texts, "text": await _attempt(stream.get_final_text)}


async def _final_message(messages: Any, ask: dict[str, Any]) -> Any:
    async with _entered(messages.stream(**ask)) as stream:
        return await _attempt(stream.get_final_message)


async def _attempt(call: Callable[[], Awaitable[Any] | Any]) -> Any:
    """What a call gave, or the error that it raised, noted."""
    try:
        return noted(await _settled(call()))
    except Exception as error:
        return _noted_error(error)


ERROR_FIELDS = ("message", "status_code", "body", "type", "error_code", "api_message", "request_id", "details")


def _noted_error(error: Exception) -> dict[str, Any]:
    """Of an API error its fields, which are the server's; the words of any other are the package's own."""
    fields = {name: getattr(error, name) for name in ERROR_FIELDS if hasattr(error, name)}
    if hasattr(details := fields.get("details"), "to_dict"):
        fields["details"] = details.to_dict()
    return {"raised": type(error).__name__, **fields} | ({"text": str(error)} if fields else {})


def noted(value: Any) -> Any:
    """An object of the package as plain values: its fields, and the classes of it and of all in it."""
    if not hasattr(value, "to_dict"):
        return value
    return {"fields": value.to_dict(), "classes": dict(_classes(value))}


def _classes(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [each for at, item in enumerate(value) for each in _classes(item, f"{path}.{at}")]
    if not hasattr(value, "to_dict"):
        return []
    found = [(path, _class_name(type(value), getattr(value, "type", None)))]
    for name, item in vars(value).items():
        found += _classes(item, f"{path}.{name.rstrip('_')}")
    return found


# Classes that have one name in one package, or in beta, and another in the other.
SAME = {
    "Delta": "MessageDelta",
    "CitationSearchResultLocation": "CitationsSearchResultLocation",
    "CitationConfig": "CitationsConfig",
}


def _class_name(cls: type, tag: Any) -> str:
    """Without what tells beta, parsed and raw classes apart.

    "unknown" where `type` is none that the class is for: one package has a class for such objects, the other takes
    the first of those that might have come.
    """
    name = re.sub(r"^(Parsed|Beta|Raw)*", "", cls.__name__.partition("[")[0])
    name = SAME.get(name, name)
    tags = _tags(cls)
    return "unknown" if name == "Record" or (tags and tag not in tags) else name


@cache
def _tags(cls: type) -> tuple[Any, ...]:
    """The values that `type` may have in this class; () where it may be anything."""
    for base in cls.__mro__:
        kind = inspect.get_annotations(base).get("type")
        if isinstance(kind, str):
            kind = get_type_hints(base)["type"]
        if kind is not None:
            return get_args(kind) if get_origin(kind) is Literal else ()
    return ()
