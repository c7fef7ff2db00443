"""The relay of a stream, cancelled at every turn of the event loop, for every phase of an upstream.

However a request ends: one ledger row, the upstream's reply closed or read to its end, no task left, nothing logged.
"""

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, START, envelope, sse, well_behaved
from rawhttp import HELLO, KEY, exchange, json_bytes, post
from relaying import ASKING, relay
from serving import Serving, ledger_rows

from dragoman.gateway.call import Call
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.pipeline import answer
from dragoman.http.base import IdleTimeout, ReplyBroken, Request
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers
from dragoman.wire.sse import SSEDecoder

TURNS = 40  # more than any of these exchanges takes
Step = int | bytes | Exception | None  # so many turns of the loop; a piece; a failure; silence for ever


class FakeReply:
    """Plays `steps`, and notes what becomes of it."""

    def __init__(self, steps: list[Step], *, status: int = 200) -> None:
        self.status = status
        self.headers = [("content-type", "text/event-stream"), ("request-id", "req_011Upstream")]
        self.is_complete = False
        self.is_closed = False
        self._steps = iter(steps)
        self._is_reading = False

    def pieces(self) -> "FakeReply":
        return self

    def __aiter__(self) -> "FakeReply":
        return self

    async def __anext__(self) -> bytes:
        assert not self._is_reading, "read by two at once"
        if self.is_closed:
            raise ReplyBroken("upstream", "closed")
        self._is_reading = True
        try:
            for step in self._steps:
                if isinstance(step, bytes):
                    return step
                await played(step)
            self.is_complete = True
            raise StopAsyncIteration
        except StopAsyncIteration:
            raise
        except BaseException:  # as the transports do: an error or a cancellation lets go of the connection
            self.is_closed = True
            raise
        finally:
            self._is_reading = False

    async def forward(self, take: Callable[[bytes], bool]) -> None:
        """As the fast transport's: the end is for `__anext__` to tell."""
        async for piece in self:
            if not take(piece):
                return

    async def read(self, limit_bytes: int) -> bytes:
        return b"".join([piece async for piece in self])

    async def aclose(self) -> None:
        self.is_closed = True


async def played(step: Step) -> None:
    if isinstance(step, Exception):
        raise step
    if isinstance(step, int):
        for _ in range(step):
            await asyncio.sleep(0)
    elif step is None:
        await asyncio.Event().wait()


class FakeTransport:
    def __init__(self) -> None:
        self.replies: list[FakeReply] = []
        self.before: list[Step] = []
        self.steps: list[Step] = []
        self.status = 200

    async def send(self, request: Request) -> FakeReply:
        for step in self.before:
            await played(step)
        self.replies.append(FakeReply(self.steps, status=self.status))
        return self.replies[-1]

    async def aclose(self) -> None:
        pass


class Caller:
    """One request as the edge makes it; `out` is what the caller got so far, `status` None while there is no reply.
    `passes`: it takes events in the step in which they come, every other time."""

    def __init__(self, gateway: Gateway, *, passes: bool = False) -> None:
        self._gateway = gateway
        self._passes = passes
        self._is_willing = False
        self.status: int | None = None
        self.out = b""
        self.is_whole = False

    async def run(self) -> None:
        headers = Headers([("x-api-key", KEY), ("anthropic-version", "2023-06-01")])
        call = Call(
            operation=Operation.MESSAGES, headers=headers, body=json_bytes(ASKING), request_id="req_1", arrived=0.0
        )
        reply = await answer(self._gateway, call)
        try:
            self.status, self.out = reply.status, reply.body
            if self._passes:
                reply.pass_to(self._take)
            while (piece := await reply.next_piece()) is not None:
                self.out += piece
                if not reply.has_more:
                    break
                await asyncio.sleep(0)  # it is sent
            self.is_whole = True
        finally:
            await reply.aclose(None if self.is_whole else "abandoned")

    def _take(self, piece: bytes) -> bool:
        self._is_willing = not self._is_willing
        if self._is_willing:
            self.out += piece
        return self._is_willing


@asynccontextmanager
async def faking(hold_s: float) -> AsyncIterator[tuple[Gateway, FakeTransport, list[str]]]:
    transport = FakeTransport()
    server = Serving(upstream="http://upstream.test")
    rows: list[str] = []
    gateway = server.gateway
    gateway.ledger.write = rows.append
    gateway.upstream._transport_of = lambda config: transport
    gateway.upstream._hold_s = hold_s
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: troubles.append(context))
    async with gateway:
        await gateway.auth.preset(KEY)
        await gateway.auth.identify(KEY, None)  # remembered from here on
        before = asyncio.all_tasks()
        yield gateway, transport, rows
        await asyncio.gather(*gateway.upstream._drains)
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
    gc.collect()
    await asyncio.sleep(0)
    assert troubles == []


FAILED = IdleTimeout("upstream", "stood still")
WHOLE = sse(START, BLOCK, DELTA, *END)
OVERLOADED = sse(envelope("overloaded_error"))

# Before the head, and the steps of the body.
SCRIPTS: dict[str, tuple[list[Step], list[Step]]] = {
    "no head": ([None], []),
    "no head, then failure": ([3, FAILED], []),
    "head only": ([2], [None]),
    "message_start, then silence": ([1], [1, sse(START), None]),
    "message_start, then failure": ([1], [1, sse(START), 2, FAILED]),
    "message_start, then an error": ([1], [1, sse(START), 2, OVERLOADED, 2]),
    "message_start, then the end": ([1], [1, sse(START), 2]),
    "content, then silence": ([1], [sse(START), 1, sse(BLOCK), 1, sse(DELTA), None]),
    "content, then failure": ([1], [sse(START, BLOCK), 2, FAILED]),
    "content, then an error": ([1], [sse(START, BLOCK), 2, OVERLOADED, 1]),
    "half an event": ([1], [sse(START, BLOCK, DELTA)[:-7], 2, FAILED]),
    "whole": ([1], [sse(START), 2, sse(BLOCK, DELTA), 1, sse(*END)]),
    "whole at once": ([], [WHOLE]),
    "whole, and a slow end": ([1], [WHOLE, 5]),
    "whole, and a broken end": ([1], [WHOLE, 2, FAILED]),
}
HOLDS = {"held": 60.0, "not held": 0.0}


def names(out: bytes) -> list[str]:
    """The events of a stream; all of it must be whole."""
    decoder = SSEDecoder()
    found = [event.name for event in decoder.feed(out)]
    assert decoder.pending == 0, out
    return found


def check(caller: Caller, row: dict[str, str], reply: FakeReply | None) -> None:
    """What holds however it ended."""
    if reply is not None:
        assert reply.is_closed or reply.is_complete
    if caller.status is None:
        assert row["outcome"] == "abandoned"
        return
    assert row["status"] == str(caller.status)
    if caller.status != 200:
        assert row["outcome"] in ("refused", "abandoned")
        assert caller.out.startswith(b'{"')
        return
    found = names(caller.out)
    assert found.count("error") + found.count("message_stop") == caller.is_whole or not caller.is_whole
    if not caller.is_whole:
        assert row["outcome"] == "abandoned"
    elif found[-1] == "error":
        assert row["outcome"] == "cut"
        assert row["error"]
    else:
        assert (row["outcome"], found[-1], row["output_tokens"]) == ("answered", "message_stop", "5")


async def hung_up(script: str, hold_s: float, *, again: int | None, passes: bool = False) -> None:
    """The caller goes in each turn, and is told so again that many turns later."""
    before, steps = SCRIPTS[script]
    async with faking(hold_s) as (gateway, transport, rows):
        transport.before, transport.steps = before, steps
        for turns in range(1, TURNS):
            rows.clear()
            transport.replies.clear()
            caller = Caller(gateway, passes=passes)
            task = asyncio.create_task(caller.run())
            await played(turns)
            task.cancel()
            if again is not None:
                await played(again)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.gather(*gateway.upstream._drains)
            (row,) = ledger_rows("\n".join(rows))
            check(caller, row, transport.replies[0] if transport.replies else None)
            assert gateway.limits.running == 0


@pytest.mark.parametrize("hold_s", HOLDS.values(), ids=HOLDS.keys())
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("passes", [False, True], ids=["piece by piece", "passed on"])
async def test_a_caller_may_hang_up_at_any_turn(passes: bool, script: str, hold_s: float) -> None:
    """STR-7."""
    await hung_up(script, hold_s, again=None, passes=passes)


async def test_the_server_may_be_stopped_while_a_caller_who_hung_up_is_let_go() -> None:
    for script in ("no head", "content, then silence", "whole", "whole, and a slow end"):
        for again in (0, 1, 2):
            await hung_up(script, 60.0, again=again)
            await hung_up(script, 0.0, again=again)


@pytest.mark.parametrize("script", [name for name, (before, steps) in SCRIPTS.items() if None not in before + steps])
@pytest.mark.parametrize("passes", [False, True], ids=["piece by piece", "passed on"])
async def test_the_hold_may_end_at_any_turn(passes: bool, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very one in which the head, the first content or the failure comes is one of them."""
    before, steps = SCRIPTS[script]
    statuses = set()
    async with faking(60.0) as (gateway, transport, rows):
        loop = gateway.upstream._loop
        transport.steps = steps
        for turns in range(TURNS):
            rows.clear()
            transport.replies.clear()
            transport.before = [1, *before]

            def call_later(within_s: float, wake: Any, left: int = turns) -> asyncio.Handle:
                return Countdown(loop, left, wake)

            with monkeypatch.context() as patch:
                if turns:
                    patch.setattr(gateway.upstream, "_loop", Loop(loop, call_later))
                caller = Caller(gateway, passes=passes)
                await asyncio.wait_for(caller.run(), 5)
            await asyncio.gather(*gateway.upstream._drains)
            (row,) = ledger_rows("\n".join(rows))
            assert caller.is_whole
            check(caller, row, transport.replies[0] if transport.replies else None)
            statuses.add(caller.status)
            if script.startswith("whole"):
                assert caller.out == WHOLE
    if "message_start," in script:
        assert len(statuses) == 2  # a status while it was held, an event afterwards


class Countdown:
    """A timer that fires after so many turns of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: int, wake: Any) -> None:
        self._loop, self._turns, self._wake = loop, turns, wake
        self._handle = loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._turns -= 1
        if self._turns <= 0:
            self._wake()
        else:
            self._handle = self._loop.call_soon(self._tick)

    def cancel(self) -> None:
        self._handle.cancel()


class Loop:
    """The running loop with another `call_later`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call_later: Any) -> None:
        self._loop = loop
        self.call_later = call_later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.mark.parametrize("how", ["status", "page"])
async def test_a_refusal_may_come_at_any_turn_of_the_hold(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<html>" if how == "page" else json_bytes(envelope("overloaded_error"))
    async with faking(60.0) as (gateway, transport, rows):
        loop = gateway.upstream._loop
        transport.status, transport.steps = 529, [2, body, 1]
        statuses = set()
        for turns in range(1, TURNS):
            rows.clear()
            transport.before = [2]
            monkeypatch.setattr(
                gateway.upstream,
                "_loop",
                Loop(loop, lambda within_s, wake, left=turns: Countdown(loop, left, wake)),
            )
            caller = Caller(gateway)
            await asyncio.wait_for(caller.run(), 5)
            (row,) = ledger_rows("\n".join(rows))
            check(caller, row, transport.replies[-1])
            statuses.add(caller.status)
            assert row["error"] == "overloaded_error"
        assert statuses == {200, 529}


# -- what callers make large ------------------------------------------------------------------------------------------


async def test_long_model_names_are_not_kept() -> None:
    """A caller names what it likes; a thousand names of 32 MB must not stay behind."""
    logging.getLogger("dragoman").setLevel(logging.INFO)
    async with relay(well_behaved) as (server, upstream):
        await exchange(server.url, post(HELLO))
        tracemalloc.start()
        try:
            began = tracemalloc.get_traced_memory()[0]
            for at in range(10):
                named = {**HELLO, "model": f"{at}" + "m" * 500_000}
                assert (await exchange(server.url, post(named))).status == 200
            await server.settled()
            upstream.requests.clear()
            gc.collect()
            kept = tracemalloc.get_traced_memory()[0] - began
        finally:
            tracemalloc.stop()
        assert kept < 2_500_000, kept


async def test_a_body_of_any_depth_is_no_fault_of_ours() -> None:
    statuses = set()
    async with relay(well_behaved) as (server, _):
        for levels in (*range(900, 1000, 4), 5000):
            deep = b'{"model": "m", "max_tokens": 1, "x": ' + b"[" * levels + b"]" * levels + b"}"
            answered = await exchange(server.url, post(deep))
            statuses.add(answered.status)
        await server.settled()
        assert statuses == {200, 400}
