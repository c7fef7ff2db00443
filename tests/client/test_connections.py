"""The connections of a client: kept, shared, given up, closed; by the end of a block, an exception, Ctrl-C, a
cancellation, or because nobody holds them any more. Spec SDK-7, SDK-9, SDK-50, SDK-51; issue 5, "Done when", point 4.

Every test runs with the official SDK too. Every `trial` ends with the proof that no socket is open that was not open
before.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from canned import END, MESSAGE, STREAM, envelope, sse, then
from client_faults import (
    BEGUN,
    BEGUN_TYPES,
    FACES,
    FINE,
    HALF_BODY,
    HALF_HEAD,
    PARAMS,
    Face,
    Trial,
    answering,
    collected,
    create,
    every_async_client,
    every_client,
    every_sync_client,
    every_way,
    only_new_garbage,
    open_sockets,
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
    in_turn,
    json_reply,
)

SHORT_S = 0.03  # for a limit that is to be reached

# -- connections ---------------------------------------------------------------------------------------------------


@every_way
async def test_one_connection_for_all_calls(face: Face) -> None:
    """After replies, errors, whole streams, and other copies of the client."""
    async with trial(face, well_behaved) as t:
        await create(t.client)
        assert len(await listed(await stream(t.client))) == len(STREAM)
        await create(t.client.with_options(max_retries=9, default_headers={"x-a": "b"}))
        await create(t.client.copy())
        await settled(t.client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "x"}]))
        assert t.attempts == 5
        assert len(t.server.conns) == 1


@pytest.mark.parametrize("status", [400, 529])
@every_client
async def test_a_refusal_leaves_the_connection_to_others(face: Face, status: int) -> None:
    async with trial(face, answering(json_reply(envelope(), status=status), FINE), max_retries=0) as t:
        with pytest.raises(t.sdk.APIStatusError):
            await create(t.client)
        await create(t.client)
        assert len(t.server.conns) == 1


@pytest.mark.parametrize("and_then", ["close", "reset"])
@every_way
async def test_a_kept_connection_that_died_meanwhile(face: Face, and_then: str) -> None:
    """A server closes what was idle for long: the next call takes a new connection and nobody waits."""
    async with trial(face, in_turn(then(FINE, and_then=and_then), well_behaved), max_retries=0) as t:
        await create(t.client)
        await until(lambda: t.server.open_conns == 0)
        await create(t.client)
        assert t.attempts == 2
        assert t.slept == []


@pytest.mark.parametrize("is_stream", [False, True])
@every_client
async def test_a_kept_connection_that_dies_under_a_request(face: Face, is_stream: bool) -> None:
    """The race of RFC 9112, section 9.3.1: the server hangs up while the request is on its way."""

    async def once(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(FINE)
        await conn.read_head()  # the second request: seen, not answered

    async with trial(face, in_turn(once, well_behaved)) as t:
        await create(t.client)
        await create(t.client, stream=is_stream)
        pauses = face.either("a kept connection that dies", official=1, ours=0)
        assert len(t.slept) == pauses
        assert [request.header("x-stainless-retry-count") for request in t.server.requests] == ["0", "0", str(pauses)]


@every_client
async def test_a_server_that_keeps_no_connection(face: Face) -> None:
    async with trial(face, answering(json_reply(MESSAGE, ("connection", "close")))) as t:
        for _ in range(3):
            await create(t.client)
        assert len(t.server.conns) == 3
        assert t.slept == []


@every_client
async def test_many_at_once(face: Face) -> None:
    """Tasks, or threads, that share a client: broken connections of others disturb nobody."""
    number = 0

    async def sometimes(conn: Conn) -> None:
        nonlocal number
        number += 1
        await (then(HALF_BODY, and_then="reset") if number % 3 == 0 else well_behaved)(conn)

    async with trial(face, sometimes, max_retries=9) as t:
        calls = [create(t.client) if face.is_async else asyncio.to_thread(_created, t.client) for _ in range(20)]
        messages = await asyncio.gather(*calls)
        assert {message.id for message in messages} == {MESSAGE["id"]}


def _created(client: Any) -> Any:
    return client.messages.create(**PARAMS)


# -- closing -------------------------------------------------------------------------------------------------------


@every_way
async def test_closing_a_stream_closes_its_connection(face: Face) -> None:
    """SDK-50: the server stops working for nobody. Closing twice is no fault."""
    async with trial(face, then(BEGUN)) as t:
        events = await stream(t.client)
        assert (await first(events)).type == "message_start"
        await settled(events.close())
        await t.hung_up()
        await settled(events.close())


@every_client
async def test_closing_a_stream_before_its_first_event(face: Face) -> None:
    async with trial(face, then(BEGUN)) as t:
        await settled((await stream(t.client)).close())
        await t.hung_up()


@every_client
async def test_leaving_the_block_closes_the_connection(face: Face) -> None:
    """SDK-50, SDK-51."""
    async with trial(face, then(BEGUN)) as t:
        async with entered(await stream(t.client)) as events:
            await first(events)
        await t.hung_up()
        async with entered(t.client.messages.stream(model="m", max_tokens=9, messages=[])) as helper:
            await first(helper)
        await t.hung_up(1)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
@every_way
async def test_leaving_the_block_by_an_exception_closes_it_too(face: Face, kind: type[BaseException]) -> None:
    """And the exception is the caller's own."""
    mine = kind()
    async with trial(face, then(BEGUN)) as t:
        with pytest.raises(kind) as caught:  # noqa: PT012 (the block is what is tested)
            async with entered(await stream(t.client)) as events:
                await first(events)
                raise mine
        assert caught.value is mine
        await t.hung_up()
        with pytest.raises(kind) as caught:  # noqa: PT012 (the block is what is tested)
            async with entered(t.client.messages.stream(model="m", max_tokens=9, messages=[])) as helper:
                await first(helper)
                raise mine
        assert caught.value is mine
        await t.hung_up(1)


@every_client
async def test_breaking_out_of_the_loop(face: Face) -> None:
    """The connection is freed by closing, or when the stream is garbage; and it is never used for another call."""
    async with trial(face, in_turn(then(BEGUN), well_behaved)) as t:
        events = await stream(t.client)
        async for event in each(events):
            assert event.type == "message_start"
            break
        assert (await create(t.client)).id == MESSAGE["id"]
        assert len(t.server.conns) == 2
        await settled(events.close())
        await t.hung_up()


@pytest.mark.parametrize("read", [0, 1])
@every_client
async def test_an_abandoned_stream(face: Face, read: int, recwarn: pytest.WarningsRecorder) -> None:
    """A stream that nobody holds any more: no ResourceWarning, no socket after the client is closed."""
    with only_new_garbage():
        async with trial(face, then(BEGUN)) as t:
            events = await stream(t.client)
            for _ in range(read):
                await first(events)
            del events
            await collected()
        await collected()
    assert [str(warning.message) for warning in recwarn] == []


@every_sync_client
async def test_an_abandoned_client(face: Face, recwarn: pytest.WarningsRecorder) -> None:
    """A client that nobody closed: its connections go with it, in order."""
    before = open_sockets()
    with only_new_garbage():
        async with trial(face) as t:
            other = face.client(api_key="x", base_url=t.server.url, http_client=None)
            await create(other)
            del other
            await collected()
            await t.hung_up()
        await collected()
    await until(lambda: open_sockets() <= before)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("face", [face for face in FACES if face.is_ours], ids=str)
async def test_a_stream_outlives_its_client(face: Face) -> None:
    """`Anthropic().messages.create(stream=True)`: nobody holds the client while the stream is read. (The official one
    is held by its stream.)"""

    async def in_two_parts(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        await asyncio.sleep(0.02)
        await conn.send(chunk(sse(*END)) + LAST_CHUNK)
        await conn.wait_closed()

    with only_new_garbage():
        async with trial(face, in_two_parts) as t:
            events = await stream(face.client(api_key="x", base_url=t.server.url, timeout=5))
            await collected()
            assert len(await listed(events)) == len(STREAM)
            del events
            await collected()


@every_client
async def test_iterating_after_closing(face: Face) -> None:
    """It ends or says so, and does not hang."""
    async with trial(face, then(BEGUN)) as t:
        events = await stream(t.client)
        await first(events)
        await settled(events.close())
        ended = (StopIteration, StopAsyncIteration, t.sdk.APIError)
        with pytest.raises(face.either("a fault amid a stream", official=(httpx2.HTTPError, *ended), ours=ended)):  # noqa: PT012 (what had come may still be handed out)
            for _ in range(len(BEGUN_TYPES)):
                await first(events)


@every_client
async def test_iterating_twice(face: Face) -> None:
    """A stream is read once; the second time it is empty."""
    async with trial(face) as t:
        events = await stream(t.client)
        assert len(await listed(events)) == len(STREAM)
        assert await listed(events) == []


@every_way
async def test_a_closed_client_sends_nothing(face: Face) -> None:
    async with trial(face) as t:
        await create(t.client)
        await settled(t.client.close())
        await settled(t.client.close())
        assert t.client.is_closed()
        with pytest.raises((RuntimeError, t.sdk.APIConnectionError)):
            await create(t.client)
        assert t.attempts == 1


@every_client
async def test_the_block_of_a_client_closes_it(face: Face) -> None:
    """SDK-9."""
    async with trial(face) as t:
        async with entered(t.client) as client:
            assert client is t.client
            await create(client)
        assert client.is_closed()
        await until(lambda: t.server.open_conns == 0)


@every_client
async def test_copies_share_connections(face: Face) -> None:
    """SDK-7: closing the client that opened them closes the copies too."""
    async with trial(face) as t:
        other = t.client.with_options(timeout=3.0)
        await create(other)
        await create(t.client)
        assert len(t.server.conns) == 1
        await settled(t.client.close())
        with pytest.raises((RuntimeError, t.sdk.APIConnectionError)):
            await create(other)


# -- interrupts ----------------------------------------------------------------------------------------------------


@contextmanager
def ctrl_c_counts() -> Iterator[None]:
    """The loop of the test would turn SIGINT into a cancellation; a program without a loop gets KeyboardInterrupt."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def interrupting(sent: bytes) -> Handler:
    """Sends what it has; then the user presses Ctrl-C."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(sent)
        await asyncio.sleep(0.02)  # the client waits for more by then, most likely; if not, it is as good
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        await conn.wait_closed()

    return handler


@pytest.mark.parametrize("sent", [b"", HALF_HEAD, HALF_BODY], ids=["before a byte", "amid headers", "amid the body"])
@every_sync_client
async def test_ctrl_c_while_waiting(face: Face, sent: bytes) -> None:
    """KeyboardInterrupt is no connection error: not wrapped, not tried again, and the connection is closed."""
    async with trial(face, interrupting(sent)) as t:
        with ctrl_c_counts(), pytest.raises(KeyboardInterrupt):
            await create(t.client)
        await t.hung_up()
        assert t.attempts == 1


@every_sync_client
async def test_ctrl_c_amid_a_stream(face: Face) -> None:
    async with trial(face, interrupting(BEGUN)) as t:
        with ctrl_c_counts(), pytest.raises(KeyboardInterrupt):
            async with entered(await stream(t.client)) as events:
                await types_until_the_end(events, [])
        await t.hung_up()
        assert t.attempts == 1


async def _cancelled(t: Trial, task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await t.hung_up()
    assert t.attempts == 1
    assert t.slept == []


@pytest.mark.parametrize("sent", [b"", HALF_HEAD, HALF_BODY], ids=["before a byte", "amid headers", "amid the body"])
@every_async_client
async def test_cancelling_a_call_closes_its_connection(face: Face, sent: bytes) -> None:
    """Not tried again."""
    async with trial(face, then(sent)) as t:
        task = asyncio.create_task(create(t.client))
        await t.asked()
        await asyncio.sleep(0.01)
        await _cancelled(t, task)


@every_async_client
async def test_cancelling_amid_a_stream(face: Face) -> None:
    async with trial(face, then(BEGUN)) as t:
        got: list[str] = []

        async def read() -> None:
            async with entered(await stream(t.client)) as events:
                await types_until_the_end(events, got)

        task = asyncio.create_task(read())
        await until(lambda: got == BEGUN_TYPES)
        await _cancelled(t, task)


@every_async_client
async def test_cancelling_between_attempts(face: Face) -> None:
    """The pause ends at once, with CancelledError."""

    def cancelled(delay: float) -> None:
        raise asyncio.CancelledError

    async with trial(face, answering(json_reply(envelope(), status=529)), on_sleep=cancelled) as t:
        with pytest.raises(asyncio.CancelledError):
            await create(t.client)
        assert t.attempts == 1


@every_async_client
async def test_a_limit_of_the_callers_own(face: Face) -> None:
    """`asyncio.timeout` around a call: its TimeoutError, not ours."""
    async with trial(face, then(b"")) as t:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await create(t.client)
        await t.hung_up()


@every_async_client
async def test_closing_from_another_task(face: Face) -> None:
    """A stream that is read by one task and closed by another ends; nobody hangs."""
    async with trial(face, then(BEGUN)) as t:
        events = await stream(t.client)
        got: list[str] = []
        task = asyncio.create_task(types_until_the_end(events, got))
        await until(lambda: got == BEGUN_TYPES)
        await events.close()
        await t.hung_up()
        async with asyncio.timeout(2):
            await asyncio.wait([task])
        task.exception()
