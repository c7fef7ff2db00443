"""What a check from outside found amiss in the client, each held by a test; beside the official package where it does
the same."""

import base64
import io
import logging
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import anthropic
import httpx2
import pytest

import dragoman
from dragoman.client import flow, log, sync
from dragoman.client.record import encode
from dragoman.client.resources.beta_messages import AsyncBetaMessages, BetaMessages

ASK: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 7},
}
FILE = {
    "id": "file_1",
    "type": "file",
    "filename": "a",
    "mime_type": "text/plain",
    "size_bytes": 1,
    "created_at": "2026-01-01T00:00:00Z",
}
EVENTS = b"".join(
    b"event: %b\ndata: %b\n\n" % (name.encode(), data.encode())
    for name, data in [
        ("message_start", '{"type":"message_start","message":{"id":"m","content":[],"usage":{}}}'),
        ("content_block_start", '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
        ("content_block_stop", '{"type":"content_block_stop","index":0}'),
        ("message_stop", '{"type":"message_stop"}'),
    ]
)
both = pytest.mark.parametrize("sdk", [pytest.param(anthropic, id="official"), pytest.param(dragoman, id="ours")])


def client_of(
    sdk: ModuleType, answer: Callable[[httpx2.Request], httpx2.Response], limits: Any = 5.0, **options: Any
) -> Any:
    http_client = httpx2.Client(transport=httpx2.MockTransport(answer), timeout=limits)
    return sdk.Anthropic(**{"api_key": "sk-secret", "max_retries": 0, "http_client": http_client, **options})


# -- time-outs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(1, 2, 3, 4), (1, 2, 3), (None, 2), (1.5, None, 3, None)])
def test_a_timeout_of_a_tuple(parts: tuple[float | None, ...]) -> None:
    """SDK-20: as httpx2's, where the tuple became the value of each part."""
    assert dragoman.Timeout(parts).as_dict() == httpx2.Timeout(parts).as_dict()


def test_a_timeout_of_a_timeout() -> None:
    """SDK-20: of ours, and of httpx2's."""
    whole = dragoman.Timeout(1, connect=2, pool=3)
    assert dragoman.Timeout(whole) == whole
    assert dragoman.Timeout(httpx2.Timeout(1, connect=2, pool=3)) == whole


@pytest.mark.parametrize("given", [((1, 2), {"read": 3}), ((1,), {}), ((1, 2, 3, 4, 5), {})])
def test_a_timeout_that_cannot_be_meant(given: tuple[Any, dict[str, float]]) -> None:
    with pytest.raises(ValueError, match="tuple"):
        dragoman.Timeout(given[0], **given[1])


@both
@pytest.mark.parametrize("by", ["http_client", "client", "call", "default"])
def test_each_limit_reaches_the_http_client(sdk: ModuleType, by: str) -> None:
    """SDK-20: `pool` was that of `connect`."""
    seen: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions["timeout"])
        return httpx2.Response(200, json=MESSAGE)

    limits = httpx2.Timeout(7, connect=1, write=3)
    client = client_of(
        sdk,
        answer,
        limits if by == "http_client" else 5.0,
        **({"timeout": sdk.Timeout(7, connect=1, write=3)} if by == "client" else {}),
    )
    client.messages.create(**ASK, **({"timeout": sdk.Timeout(7, connect=1, write=3)} if by == "call" else {}))
    expected = {"connect": 5.0, "read": 600, "write": 600, "pool": 600} if by == "default" else limits.as_dict()
    assert seen == [expected]


# -- the base URL --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", [None, "https://a.test", "https://a.test/", "http://a.test:81", "http://a.test/x", "http://a.test/x/y/"]
)
def test_the_base_url_reads_as_the_official_one(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDK-4: of a bare host without a slash, which it had; also when it was changed, and in a copy."""
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    ours, theirs = (sdk.Anthropic(api_key="k", base_url=url) for sdk in (dragoman, anthropic))
    assert str(ours.base_url) == str(theirs.base_url)
    assert str(ours.copy(max_retries=1).base_url) == str(theirs.copy(max_retries=1).base_url)
    for client in (ours, theirs):
        client.base_url = "http://b.test/z"
    assert str(ours.base_url) == str(theirs.base_url) == "http://b.test/z/"


@pytest.mark.parametrize("url", ["http://a.test", "http://a.test/", "http://a.test/x", "http://a.test/x/"])
def test_the_base_url_stands_before_each_path(url: str) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, json=MESSAGE)

    client = client_of(dragoman, answer, base_url=url)
    client.messages.create(**ASK)
    client.copy(timeout=3).messages.create(**ASK)
    assert asked == [f"{url.rstrip('/')}/v1/messages"] * 2


# -- strict --------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("strict", [True, False])
def test_a_client_may_be_told_to_be_strict(sdk: ModuleType, strict: bool) -> None:
    """Ours does by itself what the official one does then about a reply that is no JSON; the page says what it does
    not."""
    text = {"content-type": "text/plain"}
    client = client_of(
        sdk, lambda request: httpx2.Response(200, text="no", headers=text), _strict_response_validation=strict
    )
    assert client._strict_response_validation is strict
    if strict or sdk is dragoman:
        with pytest.raises(sdk.APIResponseValidationError):
            client.messages.create(**ASK)
    else:
        assert client.messages.create(**ASK) == "no"


async def test_an_async_client_may_be_told_so_too() -> None:
    async with dragoman.AsyncAnthropic(api_key="k", _strict_response_validation=True) as client:
        assert client._strict_response_validation


# -- bytes in a request --------------------------------------------------------------------------------------------


def picture(data: object) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


ENCODED = base64.b64encode(b"a picture")
PLACES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a block": ([{"type": "text", "text": "x"}, picture(ENCODED)], "messages[0].content[1].source.data"),
    "a bytearray": ([picture(bytearray(ENCODED))], "messages[0].content[0].source.data"),
    "a memoryview": ([picture(memoryview(ENCODED))], "messages[0].content[0].source.data"),
    "a tool's result": (
        [{"type": "tool_result", "tool_use_id": "t", "content": (picture("ok"), picture(ENCODED))}],
        "messages[0].content[0].content[1].source.data",
    ),
}


@pytest.mark.parametrize("place", PLACES)
@both
def test_bytes_in_a_request_are_refused(sdk: ModuleType, place: str) -> None:
    """They went out as base64 of base64. Ours names the place and the remedy."""
    content, path = PLACES[place]
    client = client_of(sdk, lambda request: pytest.fail("was sent"))
    with pytest.raises(TypeError) as caught:
        client.messages.create(**ASK | {"messages": [{"role": "user", "content": content}]})
    if sdk is dragoman:
        assert str(caught.value).startswith(f"{path} is bytes")
        assert ".decode()" in str(caught.value)


def test_bytes_in_a_batch_and_in_an_extra_body_are_refused() -> None:
    client = client_of(dragoman, lambda request: pytest.fail("was sent"))
    params = ASK | {"messages": [{"role": "user", "content": [picture(ENCODED)]}]}
    with pytest.raises(TypeError, match=r"^requests\[0\]\.params\.messages\[0\]\.content\[0\]\.source\.data is bytes"):
        client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
    with pytest.raises(TypeError, match=r"^other\.data is bytes"):
        client.messages.create(**ASK, extra_body={"other": {"type": "base64", "data": ENCODED}})


@pytest.mark.parametrize("data", [ENCODED.decode(), io.BytesIO(b"a picture")], ids=["text", "a file"])
@both
def test_text_and_files_are_taken(sdk: ModuleType, data: Any) -> None:
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.content)
        return httpx2.Response(200, json=MESSAGE)

    if not isinstance(data, str):
        data.seek(0)
    client_of(sdk, answer).messages.create(**ASK | {"messages": [{"role": "user", "content": [picture(data)]}]})
    assert b'"data":"%b"' % ENCODED in sent[0]


def test_records_are_looked_into() -> None:
    block = dragoman.types.Message.construct(content=[{"type": "base64", "data": b"a"}])
    with pytest.raises(TypeError, match=r"^\[0\]\.content\[0\]\.data is bytes"):
        encode([block])


# -- files ---------------------------------------------------------------------------------------------------------


def sent_part(sdk: ModuleType, file: Any) -> dict[str, str]:
    """The headers of the form's part that holds the file."""
    sent: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.read())
        return httpx2.Response(200, json=FILE)

    client_of(sdk, answer).files.upload(file=file)
    head = sent[0].partition(b"\r\n")[2].partition(b"\r\n\r\n")[0].decode()
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n"))}


@pytest.mark.parametrize("form", ["bytes", "stream", "nameless pair"])
def test_a_file_without_a_name_is_sent_without(form: str) -> None:
    """SDK-55: it was named `upload`, which the official client does not do."""
    forms: dict[str, Callable[[], Any]] = {
        "bytes": lambda: b"abc",
        "stream": lambda: io.BytesIO(b"abc"),
        "nameless pair": lambda: (None, b"abc", "text/plain"),
    }
    ours = sent_part(dragoman, forms[form]())
    assert ours == sent_part(anthropic, forms[form]())
    assert ours["content-disposition"] == 'form-data; name="file"'


def test_a_file_with_a_name_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"abc")
    for file in (path, (None, path), ("notes.txt", b"abc")):
        assert sent_part(dragoman, file)["content-disposition"] == 'form-data; name="file"; filename="notes.txt"'
        assert sent_part(dragoman, file)["content-type"] == "text/plain"


# -- a stream that was closed --------------------------------------------------------------------------------------


class Pieces(httpx2.SyncByteStream):
    """Bytes that come piece by piece, and no more of them after `close`."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if self.is_closed:
                raise httpx2.ReadError("closed")
            yield piece
        if self.is_closed:
            raise httpx2.ReadError("closed")

    def close(self) -> None:
        self.is_closed = True


def stream_of(sdk: ModuleType, *pieces: bytes) -> Any:
    headers = {"content-type": "text/event-stream"}
    client = client_of(sdk, lambda request: httpx2.Response(200, headers=headers, stream=Pieces(*pieces)))
    return client.messages.create(**ASK, stream=True)


def test_a_stream_goes_on_with_what_is_here_after_its_close() -> None:
    """STR-50: it raised APIConnectionError after the last event that had come, though that ends the message."""
    stream = stream_of(dragoman, EVENTS)
    first = next(stream)
    stream.close()
    kinds = [first.type, *(event.type for event in stream)]
    assert kinds == ["message_start", "content_block_start", "content_block_stop", "message_stop"]
    assert next(stream, None) is None


@both
def test_a_stream_that_was_closed_before_its_end_does_not_look_whole(sdk: ModuleType) -> None:
    """STR-59: what has not come is missing, and somebody is told."""
    half = EVENTS.index(b"event: content_block_stop")
    stream = stream_of(sdk, EVENTS[:half], EVENTS[half:])
    next(stream)
    stream.close()
    assert next(stream).type == "content_block_start"
    with pytest.raises(dragoman.APIConnectionError if sdk is dragoman else httpx2.ReadError):
        next(stream)


# -- the log -------------------------------------------------------------------------------------------------------


def refusing_once(request: httpx2.Request) -> httpx2.Response:
    if request.headers["x-stainless-retry-count"] == "0":
        return httpx2.Response(503, headers={"retry-after-ms": "1", "request-id": "req_a"}, json={})
    return httpx2.Response(200, headers={"request-id": "req_b"}, json=MESSAGE)


def logged(caplog: pytest.LogCaptureFixture, level: int, answer: Any = refusing_once) -> list[str]:
    client = client_of(dragoman, answer, max_retries=1, base_url="http://a.test/x")
    with caplog.at_level(level, logger="dragoman.client"):
        client.messages.create(**ASK, extra_query={"token": "hidden"}, extra_headers={"x-other": "hidden"})
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name == log.NAME]


def test_each_attempt_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """SDK-2: without keys, bodies, users and queries."""
    url = "POST http://a.test/x/v1/messages"
    assert logged(caplog, logging.DEBUG) == [
        f"DEBUG {url}, attempt 1",
        f"DEBUG {url}: 503, request-id req_a",
        f"INFO {url}: again in 0.00 s, retries left: 1",
        f"DEBUG {url}, attempt 2",
        f"DEBUG {url}: 200, request-id req_b",
    ]


def test_at_the_level_of_information_each_retry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert [line.partition(" ")[0] for line in logged(caplog, logging.INFO)] == ["INFO"]


def test_nothing_is_logged_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, logging.WARNING) == []


def test_a_fault_of_the_connection_is_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def broken(request: httpx2.Request) -> httpx2.Response:
        if request.headers["x-stainless-retry-count"] == "0":
            raise httpx2.ReadError("gone")
        return httpx2.Response(200, json=MESSAGE)

    client = client_of(dragoman, broken, max_retries=1)
    monkeypatch.setitem(flow.perform.__kwdefaults__, "dice", lambda: 0.0)
    monkeypatch.setattr(sync, "sleep", pauses.append)
    with caplog.at_level(logging.DEBUG, logger="dragoman.client"):
        client.messages.create(**ASK)
    told = [record.getMessage() for record in caplog.records if record.name == log.NAME]
    assert [line for line in told if "ReplyBroken" in line and "gone" in line], told
    assert pauses == [0.5]


def test_a_password_in_the_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Such a URL is refused, but after the line that says what is asked."""
    client = dragoman.Anthropic(api_key="k", base_url="http://user:word@a.test")
    with caplog.at_level(logging.DEBUG, logger="dragoman.client"), pytest.raises(dragoman.APIConnectionError):
        client.messages.create(**ASK)
    assert [record for record in caplog.records if record.name == log.NAME]
    assert "word@" not in caplog.text


def printed(environment: str, program: str) -> tuple[str, str]:
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"ANTHROPIC_LOG": environment, "PYTHONPATH": ":".join(each for each in sys.path if each)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


CALL = """
import sys
import dragoman
client = dragoman.Anthropic(api_key="sk-secret", base_url="http://127.0.0.1:1", max_retries=0)
try:
    client.models.retrieve("m")
except dragoman.APIConnectionError:
    print("logging" in sys.modules)
"""


@pytest.mark.parametrize("level", ["debug", "info", "warn", ""])
def test_the_environment_turns_the_log_on(level: str) -> None:
    """SDK-2; and without it `logging` is not even loaded."""
    out, err = printed(level, CALL)
    assert out == f"{level in ('debug', 'info')}\n"
    assert ("GET http://127.0.0.1:1/v1/models/m" in err) is (level == "debug")
    assert "sk-secret" not in err


def test_a_level_that_a_program_sets_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger(log.NAME)
    before = logger.level
    monkeypatch.setattr(log, "_turned_on", set())
    try:
        log.turn_on({"ANTHROPIC_LOG": "debug"})
        assert logger.level == logging.DEBUG
        logger.setLevel(logging.ERROR)
        log.turn_on({"ANTHROPIC_LOG": "debug"})
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)


def test_nobody_listens_while_logging_is_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_logger", None)
    monkeypatch.setitem(sys.modules, "logging", SimpleNamespace())  # type: ignore[arg-type]
    assert log.watch() is None


# -- the tool runner -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [BetaMessages, AsyncBetaMessages])
def test_the_runner_takes_a_stream_that_is_known_at_run_time_only(resource: type) -> None:
    """SDK-61: as the official one, it has an overload for each of the three."""
    told = [each.__annotations__["stream"] for each in typing.get_overloads(resource.tool_runner)]
    assert told == ["Literal[False] | Omit", "Literal[True]", "bool"]
