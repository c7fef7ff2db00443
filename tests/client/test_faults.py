"""Servers and networks that misbehave, over real sockets: the right exception, the right number of attempts, and no
connection left behind. Spec SDK-20, SDK-23, SDK-26, SDK-30; issue 5, "Done when", point 4.

Every test runs with the official SDK too; where ours differs on purpose, `client_faults.DIFFERENCES` says why.
Every `trial` ends with the proof that no socket is open that was not open before.
"""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from canned import MESSAGE, STREAM, envelope, sse, then
from client_faults import (
    BEGUN,
    BEGUN_TYPES,
    DIFFERENCES,
    FINE,
    HALF_BODY,
    HALF_HEAD,
    JSON,
    Face,
    answering,
    collected,
    create,
    each_of,
    every_client,
    every_way,
    only_new_garbage,
    stream,
    trial,
    types_until_the_end,
    until,
    well_behaved,
)
from either import each, entered, first, listed, settled
from misbehaving import (
    LAST_CHUNK,
    Conn,
    Handler,
    chunk,
    chunked_head,
    head,
    in_turn,
    json_reply,
    refused_url,
    reply,
    sse_head,
)

SHORT_S = 0.03  # for a limit that is to be reached
MIB = 1 << 20


async def gathered(pieces: Any, got: list[bytes]) -> None:
    """Reads a body, noting in `got` what came, even if it fails then."""
    async for piece in each(pieces):
        got.append(piece)  # noqa: PERF401 (it may fail)


# -- no reply, or not a whole one ----------------------------------------------------------------------------------

HALF_CHUNKS = chunked_head(JSON) + chunk(b'{"id": "msg')
ERROR_HALF = head(529, JSON, ("content-length", "500")) + b'{"type": "err'

BROKEN: dict[str, Handler] = {
    "reset before a byte": then(b"", and_then="reset"),
    "closed before a byte": then(b"", and_then="close"),
    "reset amid headers": then(HALF_HEAD, and_then="reset"),
    "closed amid headers": then(HALF_HEAD, and_then="close"),
    "reset amid the body": then(HALF_BODY, and_then="reset"),
    "closed amid the body": then(HALF_BODY, and_then="close"),
    "reset amid chunks": then(HALF_CHUNKS, and_then="reset"),
    "closed amid chunks": then(HALF_CHUNKS, and_then="close"),
    "closed amid a chunk": then(chunked_head(JSON) + b"ff\r\n{", and_then="close"),
    "closed amid an error": then(ERROR_HALF, and_then="close"),
    "another protocol": then(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", and_then="close"),
    "no status": then(b"HTTP/1.1 \r\n\r\n", and_then="close"),
    "a length that is no number": then(head(200, JSON, ("content-length", "ten")) + b"{}", and_then="close"),
    "a chunk of no size": then(chunked_head(JSON) + b"zz\r\n{}", and_then="close"),
    "gzip that is none": then(reply(b"no gzip", JSON, ("content-encoding", "gzip"))),
}


@each_of(BROKEN)
@every_way
async def test_no_whole_reply(face: Face, value: Handler) -> None:
    """SDK-23: tried again like a refused connection; then APIConnectionError, the foreign cause behind it."""
    async with trial(face, value, max_retries=1) as t:
        with pytest.raises(t.sdk.APIConnectionError) as caught:
            await create(t.client)
        assert type(caught.value) is t.sdk.APIConnectionError
        assert str(caught.value).startswith("Connection error.")
        assert caught.value.body is None
        assert caught.value.__cause__ is not None
        assert t.attempts == len(t.server.conns) == 2
        assert len(t.slept) == 1


@each_of(BROKEN)
@every_client
async def test_a_whole_reply_after_a_broken_one(face: Face, value: Handler) -> None:
    """SDK-23: the caller learns nothing of it."""
    async with trial(face, in_turn(value, well_behaved)) as t:
        assert (await create(t.client)).content[0].text == "Half of it"
        assert t.attempts == 2


@every_way
async def test_refused(face: Face) -> None:
    """SDK-23: nobody listens."""
    async with trial(face, base_url=refused_url(), max_retries=2) as t:
        with pytest.raises(t.sdk.APIConnectionError) as caught:
            await create(t.client)
        assert type(caught.value) is t.sdk.APIConnectionError
        assert len(t.slept) == 2


@every_client
async def test_an_unknown_host(face: Face) -> None:
    """RFC 6761: no name below .invalid is ever found, and no resolver is asked."""
    async with trial(face, base_url="http://api.invalid", max_retries=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client)


@every_client
async def test_a_server_that_speaks_no_tls(face: Face) -> None:
    """https to a port of plain http."""

    async def plain(conn: Conn) -> None:
        await conn.read_some()
        await conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trial(face, plain, max_retries=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client.with_options(base_url=t.server.url.replace("http", "https")))


@every_way
async def test_no_secret_in_the_message(face: Face) -> None:
    """What is printed of a fault, by `str` and `repr` of error and request, holds no key."""
    async with trial(face, base_url=refused_url() + "/secret-path", max_retries=0, api_key="sk-secret") as t:
        with pytest.raises(t.sdk.APIConnectionError) as caught:
            await create(t.client)
        assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
        assert "sk-secret" not in repr(caught.value.request)


# -- silence -------------------------------------------------------------------------------------------------------

SILENT: dict[str, Handler] = {
    "before a byte": then(b""),
    "amid headers": then(HALF_HEAD),
    "before the body": then(head(200, JSON, ("content-length", "500"))),
    "amid the body": then(HALF_BODY),
    "amid chunks": then(HALF_CHUNKS),
    "amid an error": then(ERROR_HALF),
}


@each_of(SILENT)
@every_way
async def test_silence(face: Face, value: Handler) -> None:
    """SDK-20, SDK-23: tried again; then APITimeoutError, which is an APIConnectionError; nobody is left hanging."""
    async with trial(face, value, max_retries=1, timeout=face.sdk.Timeout(5, read=SHORT_S)) as t:
        with pytest.raises(t.sdk.APITimeoutError) as caught:
            await create(t.client)
        assert str(caught.value).startswith("Request timed out")
        await t.asked(1)  # a busy server may see it later than the client gave up
        assert t.attempts == len(t.server.conns) == 2
        await t.hung_up(0)
        await t.hung_up(1)


@every_way
async def test_a_server_that_takes_no_request(face: Face) -> None:
    """SDK-20: a body that nobody reads; the time-out of `write`."""

    async def deaf(conn: Conn) -> None:
        await conn.stall()

    big = [{"role": "user", "content": "x" * (16 * MIB)}]
    async with trial(face, deaf, max_retries=0, timeout=face.sdk.Timeout(5, write=SHORT_S)) as t:
        with pytest.raises(t.sdk.APITimeoutError):
            await create(t.client, messages=big)


@every_client
async def test_a_slow_reply_is_no_silence(face: Face) -> None:
    """SDK-20: `read` is the longest pause, not the time of the whole: every byte comes alone."""

    async def slow(conn: Conn) -> None:
        await conn.read_request()
        await conn.trickle(FINE)

    async with trial(face, slow, max_retries=0, timeout=face.sdk.Timeout(5, read=1.0)) as t:
        assert (await create(t.client)).id == MESSAGE["id"]


# -- faults in a stream --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "close", "garbage"])
@every_way
async def test_a_stream_that_breaks_off(face: Face, how: str) -> None:
    """SDK-26: what came is handed out, then the fault is told; no second attempt."""
    handler = then(BEGUN + b"zz\r\n") if how == "garbage" else then(BEGUN, and_then=how)
    async with trial(face, handler) as t:
        events = await stream(t.client)
        got: list[str] = []
        with pytest.raises(Exception) as caught:
            await types_until_the_end(events, got)
        kind = face.either("a fault amid a stream", official="httpx2", ours="anthropic")
        if kind == "anthropic":
            assert type(caught.value) is t.sdk.APIConnectionError
        else:
            assert type(caught.value).__module__ == "httpx2"
        assert got == (BEGUN_TYPES if how != "reset" else got)  # a reset may overtake what was sent before it
        assert t.attempts == 1


@every_way
async def test_a_stream_that_stands_still(face: Face) -> None:
    """SDK-20, SDK-26."""
    async with trial(face, then(BEGUN), timeout=face.sdk.Timeout(5, read=0.2)) as t:
        events = await stream(t.client)
        got: list[str] = []
        with pytest.raises(Exception) as caught:
            await types_until_the_end(events, got)
        kind = face.either("a fault amid a stream", official="ReadTimeout", ours="APITimeoutError")
        assert type(caught.value).__name__ == kind
        assert got == BEGUN_TYPES
        assert t.attempts == 1
        await t.hung_up()


@pytest.mark.parametrize("and_then", ["reset", "close", "stall"])
@every_client
async def test_the_stream_helper_breaks_off(face: Face, and_then: str) -> None:
    """SDK-51: what holds for raw events holds for `messages.stream`, however it is read."""
    handler = then(BEGUN, and_then=and_then)
    name = "APITimeoutError" if and_then == "stall" else "APIConnectionError"
    async with trial(face, handler, timeout=face.sdk.Timeout(5, read=0.2)) as t:
        kinds = face.either("a fault amid a stream", official=httpx2.TransportError, ours=getattr(t.sdk, name))
        with pytest.raises(kinds):
            async with entered(t.client.messages.stream(model="m", max_tokens=9, messages=[])) as helper:
                await listed(helper.text_stream)
        with pytest.raises(kinds):
            async with entered(t.client.messages.stream(model="m", max_tokens=9, messages=[])) as helper:
                await settled(helper.get_final_message())
        assert t.attempts == 2
        assert t.slept == []
        await until(lambda: t.server.open_conns == 0)


@every_client
async def test_the_stream_helper_is_refused(face: Face) -> None:
    """SDK-30: on entering the block, after the retries; nothing of the block is done."""
    async with trial(face, answering(json_reply(envelope(), status=529)), max_retries=1) as t:
        with pytest.raises(t.sdk.OverloadedError) as caught:
            async with entered(t.client.messages.stream(model="m", max_tokens=9, messages=[])):
                raise AssertionError("the block was entered")
        assert caught.value.body == envelope()
        assert t.attempts == 2


@every_client
async def test_a_body_read_by_hand_breaks_off(face: Face) -> None:
    """SDK-42: `with_streaming_response`: the body is the caller's to read, and is never asked for again."""
    params: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}
    async with trial(face, then(HALF_BODY, and_then="close")) as t:
        async with entered(t.client.messages.with_streaming_response.create(**params)) as response:
            kinds = face.either("a fault amid a stream", official=httpx2.TransportError, ours=t.sdk.APIConnectionError)
            assert response.status_code == 200
            with pytest.raises(kinds):
                await settled(response.read())
        async with entered(t.client.messages.with_streaming_response.create(**params)) as response:
            got: list[bytes] = []
            with pytest.raises(kinds):
                await gathered(response.iter_bytes(), got)
            assert b"".join(got) == HALF_BODY.partition(b"\r\n\r\n")[2]
        assert t.attempts == 2


@every_client
async def test_leaving_the_block_of_a_raw_response(face: Face) -> None:
    """SDK-42: an unread body is given up."""
    params: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": []}
    async with trial(face, then(HALF_BODY)) as t:
        async with entered(t.client.messages.with_streaming_response.create(**params)) as response:
            assert response.headers["content-length"] == "500"
        await t.hung_up()


@every_client
async def test_a_stream_whose_events_are_no_json(face: Face) -> None:
    handler = then(BEGUN + chunk(b"event: content_block_stop\ndata: {\n\n"))
    async with trial(face, handler) as t:
        got: list[str] = []
        with pytest.raises(Exception) as caught:
            await types_until_the_end(await stream(t.client), got)
        kind = face.either("JSON that is none", official="JSONDecodeError", ours="APIResponseValidationError")
        assert type(caught.value).__name__ == kind
        assert got == BEGUN_TYPES
        await t.hung_up()


@every_client
async def test_a_stream_that_ends_early_but_well(face: Face) -> None:
    """The framing is whole and `message_stop` is missing: raw events are handed out as they are."""
    async with trial(face, then(BEGUN + LAST_CHUNK)) as t:
        got: list[str] = []
        await types_until_the_end(await stream(t.client), got)
        assert got == BEGUN_TYPES


@every_client
async def test_a_stream_cut_into_bytes(face: Face) -> None:
    """Every byte in a packet of its own."""

    async def trickling(conn: Conn) -> None:
        await conn.read_request()
        await conn.trickle(sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK)

    async with trial(face, trickling) as t:
        got: list[str] = []
        await types_until_the_end(await stream(t.client), got)
        assert got == [event["type"] for event in STREAM]


@every_client
async def test_a_stream_without_its_last_chunk(face: Face) -> None:
    """After `message_stop` all is said: a server that hangs up then has done no harm to who stops there."""
    async with trial(face, then(sse_head() + chunk(sse(*STREAM)), and_then="close")) as t:
        events = await stream(t.client)
        got = [(await first(events)).type for _ in STREAM]
        assert got[-1] == "message_stop"
        await settled(events.close())


# -- replies of another kind ---------------------------------------------------------------------------------------

ODD: dict[str, tuple[bytes, Any]] = {  # a reply of status 200, then what is returned
    "a page": (reply(b"<html>Sign in</html>", ("content-type", "text/html")), "<html>Sign in</html>"),
    "text": (reply(b"fine", ("content-type", "text/plain")), "fine"),
    "text of no type": (reply(b"fine"), "fine"),
    "204": (head(204), ""),
    "a list": (json_reply([1, 2]), [1, 2]),
    "null": (json_reply(None), None),
    "JSON text": (json_reply("fine"), "fine"),
    "a number": (json_reply(5), 5),
}


@each_of(ODD)
@every_client
async def test_a_reply_that_is_no_message(face: Face, value: tuple[bytes, Any]) -> None:
    """A proxy's page with status 200, for instance. Never tried again."""
    answer, result = value
    async with trial(face, answering(answer)) as t:
        if face.either("a reply that is no object", official=True, ours=False):
            assert await create(t.client) == result
        else:
            with pytest.raises(t.sdk.APIResponseValidationError) as caught:
                await create(t.client)
            assert caught.value.body == result
            assert caught.value.response.status_code == caught.value.status_code
        assert t.attempts == 1


NO_JSON = {
    "half of it": reply(b'{"id": "msg_1"', JSON),
    "nothing": reply(b"", JSON),
    "a page called JSON": reply(b"<html>", JSON),
    "no UTF-8": reply(b'{"id": "\xff"}', JSON),
}


@each_of(NO_JSON)
@every_client
async def test_json_that_is_none(face: Face, value: bytes) -> None:
    async with trial(face, answering(value)) as t:
        if face.either("JSON that is none", official=True, ours=False):
            with pytest.raises(ValueError):
                await create(t.client)
        else:
            with pytest.raises(t.sdk.APIResponseValidationError) as caught:
                await create(t.client)
            assert caught.value.body == value.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
        assert t.attempts == 1


MESSAGES = {
    "called text": reply(json.dumps(MESSAGE).encode(), ("content-type", "text/plain")),
    "of no type": reply(json.dumps(MESSAGE).encode()),
    "of a special type": reply(json.dumps(MESSAGE).encode(), ("content-type", "application/vnd.x+json; charset=utf-8")),
    "in capitals": reply(json.dumps(MESSAGE).encode(), ("Content-Type", "APPLICATION/JSON")),
    "with a mark of byte order": reply(b"\xef\xbb\xbf" + json.dumps(MESSAGE).encode(), JSON),
    "in chunks": chunked_head(JSON)
    + b"".join(chunk(bytes([byte])) for byte in json.dumps(MESSAGE).encode())
    + LAST_CHUNK,
    "gzipped": reply(gzip.compress(json.dumps(MESSAGE).encode(), mtime=0), JSON, ("content-encoding", "gzip")),
    "deflated": reply(zlib.compress(json.dumps(MESSAGE).encode()), JSON, ("content-encoding", "deflate")),
    "after 103": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + FINE,
    "with status 201": json_reply(MESSAGE, status=201),
}


@each_of(MESSAGES)
@every_way
async def test_messages_in_odd_clothes(face: Face, value: bytes) -> None:
    """ERR-4: a proxy may have changed the headers; a message it is all the same."""
    async with trial(face, answering(value), max_retries=0) as t:
        message = await create(t.client)
        assert message.content[0].text == "Half of it"
        assert type(message).__name__ == "Message"


@every_client
async def test_a_gzipped_stream(face: Face) -> None:
    body = gzip.compress(sse(*STREAM))
    answer = sse_head(("content-encoding", "gzip")) + chunk(body[:40]) + chunk(body[40:]) + LAST_CHUNK
    async with trial(face, answering(answer)) as t:
        assert [event.type async for event in each(await stream(t.client))] == [event["type"] for event in STREAM]


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
@every_client
async def test_a_reply_where_a_stream_was_asked_for(face: Face, kind: str) -> None:
    """A server that knows no streams, or a proxy's page."""
    answer = reply(json.dumps(MESSAGE).encode(), ("content-type", kind))
    async with trial(face, answering(answer)) as t:
        if face.either("a stream that is none", official=True, ours=False):
            assert await listed(await stream(t.client)) == []
        else:
            with pytest.raises(t.sdk.APIResponseValidationError):
                await listed(await stream(t.client))
        assert t.attempts == 1


# -- size ----------------------------------------------------------------------------------------------------------


LONG_ERROR = envelope("invalid_request_error", more="x" * (10 * MIB))
LONG_REFUSAL = json_reply(LONG_ERROR, status=400)


@pytest.mark.parametrize("is_stream", [False, True])
@every_client
async def test_an_error_of_10_mb(face: Face, is_stream: bool) -> None:
    """Issue 5: read to its end, so that the connection can be used again."""
    async with trial(face, answering(LONG_REFUSAL, FINE)) as t:
        with pytest.raises(t.sdk.BadRequestError) as caught:
            await create(t.client, stream=is_stream)
        assert caught.value.body == LONG_ERROR
        assert caught.value.type == "invalid_request_error"
        await create(t.client)
        assert len(t.server.conns) == 1


@every_client
async def test_an_error_page_of_10_mb_is_retried(face: Face) -> None:
    page = reply(b"<p>" * (10 * MIB // 3), ("content-type", "text/html"), status=502)
    async with trial(face, answering(page), max_retries=1) as t:
        with pytest.raises(t.sdk.InternalServerError) as caught:
            await create(t.client)
        assert len(caught.value.body) == len(caught.value.message) == 10 * MIB // 3 * 3
        assert t.attempts == 2


@every_client
async def test_a_reply_of_20_mb(face: Face) -> None:
    message = {**MESSAGE, "content": [{"type": "text", "text": "x" * (20 * MIB)}]}
    async with trial(face, answering(json_reply(message))) as t:
        assert len((await create(t.client)).content[0].text) == 20 * MIB


# -- nothing is left behind ----------------------------------------------------------------------------------------


@every_way
async def test_no_fault_leaves_anything(face: Face, recwarn: pytest.WarningsRecorder) -> None:
    """Issue 5: after every fault in turn, with the client still open, all that is left is an idle connection; and
    what is collected then was closed before: no ResourceWarning, no task that nobody awaited."""
    faults = [*BROKEN.values(), *SILENT.values(), then(BEGUN), then(BEGUN, and_then="reset")]
    options: dict[str, Any] = {"max_retries": 0, "timeout": face.sdk.Timeout(5, read=SHORT_S)}
    with only_new_garbage():
        async with trial(face, in_turn(*faults, well_behaved), **options) as t:
            for _ in faults[:-2]:
                with pytest.raises(t.sdk.APIError):
                    await create(t.client)
            for _ in faults[-2:]:
                with pytest.raises(Exception):  # noqa: B017 (test_a_stream_that_breaks_off says which)
                    await listed(await stream(t.client))
            await create(t.client.with_options(timeout=5))
            assert len(t.server.conns) == len(faults) + 1
            await until(lambda: t.server.open_conns == 1)
        await collected()
    assert [str(warning.message) for warning in recwarn] == []


def test_every_difference_is_shown_by_a_test() -> None:
    """What no test holds any more is to be struck from the list."""
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in DIFFERENCES if f'either("{name}"' not in tests] == []
