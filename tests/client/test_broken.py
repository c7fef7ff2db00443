"""What an attack on the client broke once, each held by a test: odd values, lawless replies, ends in the middle."""

import asyncio
import json
import math
import threading
import traceback
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import httpx2
import pytest

import dragoman
from dragoman.client import local
from dragoman.client.call import Call
from dragoman.client.fold import Fold
from dragoman.client.record import Record, encode, read_as
from dragoman.client.reply import Headers, Response
from dragoman.client.results import JsonLines
from dragoman.client.settings import checked_retries
from dragoman.client.timeouts import Timeout, for_transport
from dragoman.http.base import Request
from dragoman.http.heads import request_head
from dragoman.http.syncdial import Patience
from dragoman.http.syncpool import SyncPool
from dragoman.types import RawMessageStreamEvent

ASK: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
LONG_S = 15.0  # for what is not to be reached


def client_of(reply: httpx2.Response, **options: Any) -> dragoman.Client:
    """A client whose every request is answered so."""
    mock = httpx2.Client(transport=httpx2.MockTransport(lambda request: reply))
    return dragoman.Client(api_key="k", max_retries=0, http_client=mock, **options)


# -- what a request may hold ---------------------------------------------------------------------------------------


class _Text(str):
    """As numpy's str_, or Markup."""

    def __str__(self) -> str:
        return "another"


class _Whole(int):
    def __int__(self) -> int:
        return 0


class _Real(float):
    """As numpy's float64."""


def test_a_string_of_another_class_stays_a_string() -> None:
    """It went out as a list of its letters; numbers of other classes were refused."""
    body = {"text": _Text("two"), "int": _Whole(2), "float": _Real(0.5), "list": [_Text("")]}
    assert json.loads(encode(body)) == {"text": "two", "int": 2, "float": 0.5, "list": [""]}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, _Real("nan")])
@pytest.mark.parametrize(
    "hold",
    [
        lambda number: {"temperature": number},
        lambda number: {"a": [{"b": (1, number)}]},
        lambda number: {"a": Record.model_construct(b=number)},
    ],
)
def test_json_has_no_nan(number: float, hold: Callable[[float], Any]) -> None:
    """It went out as null. The official client refuses it by a ValueError too."""
    with pytest.raises(ValueError, match="JSON has no such number"):
        encode(hold(number))


def test_null_may_be_said() -> None:
    body = {"a": None, "text": "null", "b": [1.5, {"c": None}]}
    assert json.loads(encode(body)) == body


def test_an_object_that_makes_up_its_attributes_is_refused() -> None:
    """Its `model_dump()` has a `model_dump` in turn, and so on, until no memory is left."""
    with pytest.raises(TypeError):
        encode({"messages": MagicMock()})


def test_a_header_of_bytes() -> None:
    """It went out as `b'...'`."""
    lines = dragoman.Client(api_key="k", default_headers={"x-a": b"\xc3\xa9"})._settings.request_headers(  # type: ignore[dict-item]
        None, retries_taken=0
    )
    assert ("x-a", "\xc3\xa9") in lines


def test_limits_that_no_clock_can_count() -> None:
    """SDK-20: infinity ended in an OverflowError of the socket."""
    limits = for_transport(Timeout(math.inf, connect=10**400, write=1.5))
    assert (limits.connect_s, limits.first_byte_s, limits.idle_s, limits.write_s) == (None, None, None, 1.5)


def test_nan_is_no_number_of_retries() -> None:
    """SDK-22: it never ended."""
    with pytest.raises(TypeError, match="must be a number"):
        checked_retries(math.nan)


# -- what a server may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", "unicode_escape", "raw-unicode-escape", "hex"])
def test_a_charset_that_is_none(charset: str) -> None:
    """SDK-30: Python has codecs of these names, which raise UnicodeError, or warn of what they read."""
    page = httpx2.Response(503, headers={"content-type": f"text/html; charset={charset}"}, content=b"\\q \xff-\x99")
    with client_of(page) as client, pytest.raises(dragoman.ServiceUnavailableError) as caught:
        client.messages.create(**ASK)
    assert caught.value.body == "\\q �-�"


@pytest.mark.parametrize("data", [5, "abc", {"id": "a"}])
def test_a_page_without_a_list(data: Any) -> None:
    reply = httpx2.Response(200, json={"data": data, "has_more": True})
    with client_of(reply) as client, pytest.raises(dragoman.APIResponseValidationError, match="without a list"):
        client.models.list()


def test_a_line_with_half_of_a_surrogate_pair() -> None:
    """A line of batch results is read as a whole reply is."""
    reply = httpx2.Response(200, content=b'{"text": "\\ud83d", "n": NaN}\n{"text": "b"}\n')
    with client_of(reply) as client:
        lines = list(client.perform(Call("GET", "/x", JsonLines(object), is_stream=True)))
    assert [line["text"] for line in lines] == ["\ud83d", "b"]


def test_a_page_that_hides_the_methods_of_a_record() -> None:
    """Fields may have any name: what is written of a record does not depend on theirs."""
    fields = {"type": "x", "_all": 1, "model_dump": 2, "model_dump_json": 3, "text": {"type": "y", "_all": 4}}
    record = Record.model_construct(**fields)
    assert record.to_dict() == fields
    assert json.loads(record.to_json()) == fields
    assert record == Record.model_construct(**fields)
    assert dict(record) == fields


START = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}}


@pytest.mark.parametrize(
    ("block", "delta"),
    [
        ({"type": ["text"]}, {"type": "input_json_delta", "partial_json": "{"}),
        ({"type": {}}, {"type": "text_delta", "text": "a"}),
        ({"type": "text", "text": 5}, {"type": "text_delta", "text": "a"}),
        ({"type": "thinking", "thinking": ["a"]}, {"type": "thinking_delta", "thinking": "a"}),
        ({"type": "text", "text": "", "citations": 5}, {"type": "citations_delta", "citation": {}}),
        ({"type": "text", "text": "", "to_dict": 1}, {"type": "text_delta", "text": "a"}),
    ],
)
def test_a_lawless_block(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """STR-50: a stream goes on, whatever kinds its parts are of."""
    fold = Fold()
    for event in (
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
    ):
        fold.take(read_as(RawMessageStreamEvent, event))
    assert len(fold.message.content) == 1


# -- secrets -------------------------------------------------------------------------------------------------------


def test_frames_of_an_error_do_not_show_the_key() -> None:
    """Reporters of errors send the repr of what the frames hold."""
    client = dragoman.Client(api_key="sk-secret", base_url="http://127.0.0.1:1", max_retries=0)
    with client, pytest.raises(dragoman.APIConnectionError) as caught:
        client.messages.create(**ASK)
    error: BaseException | None = caught.value
    frames = 0
    while error is not None:
        stack = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
        inside = [frame for frame in stack if "test_broken" not in frame.filename]
        frames += len(inside)
        assert not [frame.name for frame in inside if "sk-secret" in str(frame.locals)]
        error = error.__cause__
    assert frames > 3


def test_reprs_without_the_key() -> None:
    request = Request("POST", "http://h/x", [("authorization", "Bearer sk-secret")], b"{}")
    assert repr(request) == "Request('POST', 'http://h/x', body of 2 bytes)"
    assert "sk-secret" not in repr(request_head(request))
    assert "sk-secret" not in repr(Headers([("Cookie", "sk-secret"), ("set-cookie", "sk-secret")]))


# -- ends in the middle of something -------------------------------------------------------------------------------


def test_a_connection_that_comes_back_under_the_lock() -> None:
    """The collector may close a stream in the middle of what this very thread does with the pool: it waited for the
    lock that it had itself."""

    class _Link:
        origin = ("http", "h", 80)
        idle_from = 0.0
        is_aborted = False

        def abort(self) -> None:
            self.is_aborted = True

    pool = SyncPool(1, max_idle=1, kept_s=math.inf)
    patience = Patience("h", LONG_S, None, lambda: False)
    link: Any = _Link()
    assert pool.acquire(link.origin, patience, fresh=False) is None
    pool.join(link)
    with pool:  # what every method of the pool does
        pool.forget(link)
    assert pool.acquire(link.origin, patience, fresh=False) is None  # the place is free again


class _Body:
    """A reply that is never read."""

    status = 200
    headers: list[tuple[str, str]] = []  # noqa: RUF012 (nobody changes it)

    def __init__(self) -> None:
        self.closed = 0


class _SyncBody(_Body):
    def close(self) -> None:
        self.closed += 1


class _AsyncBody(_Body):
    async def aclose(self) -> None:
        self.closed += 1


def test_a_dropped_reply_lets_go_of_its_connection() -> None:
    """`with_raw_response.create(stream=True)`, or results of a batch, that nobody reads."""
    body: Any = _SyncBody()
    response = Response(Request("GET", "http://h/"), body, started=0.0)
    del response
    assert body.closed == 1


async def test_a_dropped_reply_of_asyncio_lets_go_of_its_connection() -> None:
    """A stream that is never iterated has no generator whose end would close it. From another thread too: the
    collector runs in any."""
    body: Any = _AsyncBody()
    kept = [Response(Request("GET", "http://h/"), body, started=0.0)]
    kept[0]._loop = asyncio.get_running_loop()
    await asyncio.to_thread(kept.clear)
    for _ in range(5):
        await asyncio.sleep(0)
    assert body.closed == 1


def test_a_dropped_reply_of_a_loop_that_has_ended() -> None:
    body: Any = _AsyncBody()
    response = Response(Request("GET", "http://h/"), body, started=0.0)
    response._loop = asyncio.new_event_loop()
    response._loop.close()
    del response
    assert body.closed == 0


def test_a_gateway_that_ends_before_it_has_heard_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that asked waited for ever: what a loop was told to do is not done when it ends before."""
    asked = threading.Event()
    real = local.post

    def deaf(loop: Any, what: Any, *arguments: Any) -> bool:
        if getattr(what, "__name__", "") != "_begin":
            return real(loop, what, *arguments)
        asked.set()
        return True

    client = dragoman.Client.offline(["Hello"], max_retries=0)
    client.messages.create(**ASK)
    monkeypatch.setattr(local, "post", deaf)
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            client.messages.create(**ASK)
        except dragoman.APIConnectionError as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    assert asked.wait(LONG_S)
    client.close()
    thread.join(LONG_S)
    assert not thread.is_alive()
    assert len(raised) == 1


def test_a_request_that_is_given_up_before_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is cancelled before it runs never gets to say so: its thread waited for ever."""
    real = local._Fetch._begin

    def begun_and_cancelled(fetch: Any) -> None:
        real(fetch)
        fetch._cancel()

    with dragoman.Client.offline(["Hello"], max_retries=0) as client:
        client.messages.create(**ASK)
        monkeypatch.setattr(local._Fetch, "_begin", begun_and_cancelled)
        with pytest.raises(dragoman.APIConnectionError, match="was closed"):
            client.messages.create(**ASK)
