"""What is tried again, how often and after what pause (spec SDK-22 to SDK-26), with a real socket and no waiting.

Every test runs with the official SDK too; where ours differs on purpose, `client_faults.DIFFERENCES` says why.
"""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest
from canned import BLOCK, MESSAGE, START, envelope, sse
from client_faults import BACKOFF_S, Face, answering, create, each_of, every_client, every_sync_client, stream, trial
from either import each, settled
from misbehaving import LAST_CHUNK, Conn, Handler, chunk, in_turn, json_reply, refused_url, reply, sse_head, sse_reply

DAY_S = 86_400.0
FINE = json_reply(MESSAGE)
RETRIED = [408, 409, 429, 500, 501, 502, 503, 504, 520, 529, 599]
FINAL = [300, 302, 400, 401, 402, 403, 404, 405, 410, 412, 413, 418, 422, 431, 451, 499]


def failing(status: int = 529, *headers: tuple[str, str]) -> bytes:
    return json_reply(envelope(), *headers, status=status)


def pauses(count: int, jitter: float = 0.0) -> list[float]:
    """SDK-24: the backoff of `count` retries, when the random source gives `jitter`."""
    return [seconds * (1 - 0.25 * jitter) for seconds in BACKOFF_S[:count]]


# -- which ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", RETRIED)
@every_client
async def test_retried_statuses(face: Face, status: int) -> None:
    """SDK-22, SDK-23: three attempts, then the error of the last one."""
    async with trial(face, answering(failing(status), failing(status), failing(status), FINE), jitter=0) as t:
        with pytest.raises(t.sdk.APIStatusError) as caught:
            await create(t.client)
        assert caught.value.status_code == status
        assert t.attempts == 3
        assert t.slept == pauses(2)


@pytest.mark.parametrize("status", FINAL)
@every_client
async def test_statuses_that_are_final(face: Face, status: int) -> None:
    """SDK-23."""
    async with trial(face, answering(failing(status), FINE)) as t:
        with pytest.raises(t.sdk.APIStatusError):
            await create(t.client)
        assert t.attempts == 1
        assert t.slept == []


@pytest.mark.parametrize("failures", [1, 2])
@every_client
async def test_success_after_failures(face: Face, failures: int) -> None:
    """SDK-22: nothing of the failures is left, and the same bytes were sent each time."""
    async with trial(face, answering(*[failing()] * failures, FINE)) as t:
        assert (await create(t.client)).id == MESSAGE["id"]
        assert t.attempts == failures + 1
        assert len({request.body for request in t.server.requests}) == 1
        assert len(t.server.conns) == 1  # an answered failure does not cost the connection


ORDERS = {  # SDK-23: status, the header's value, is it tried again
    "a 400 that may be": (400, "true", True),
    "a 404 that may be": (404, "true", True),
    "a 529 that must not be": (529, "false", False),
    "a 429 that must not be": (429, "false", False),
    "neither true nor false, 400": (400, "yes", False),
    "neither true nor false, 429": (429, "no", True),
    "upper case counts for nothing": (429, "FALSE", True),
    "empty": (429, "", True),
}


@each_of(ORDERS)
@every_client
async def test_the_server_decides(face: Face, value: tuple[int, str, bool]) -> None:
    """SDK-23, HDR-38: `x-should-retry` wins over the status."""
    status, order, again = value
    async with trial(face, answering(failing(status, ("x-should-retry", order)))) as t:
        with pytest.raises(t.sdk.APIStatusError):
            await create(t.client)
        assert t.attempts == (3 if again else 1)


@every_client
async def test_the_last_failure_is_told(face: Face) -> None:
    """SDK-22: 529, then 400: no third attempt, and the 400 is what is raised."""
    async with trial(face, answering(failing(529), failing(400), FINE)) as t:
        with pytest.raises(t.sdk.BadRequestError):
            await create(t.client)
        assert t.attempts == 2


@every_client
async def test_faults_of_all_kinds_share_one_count(face: Face) -> None:
    """SDK-22: a reset, a status and garbage are three attempts."""

    async def reset(conn: Conn) -> None:
        await conn.read_request()
        conn.reset()

    async def busy(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(reply(b"busy", ("connection", "close"), status=529))

    async def garbage(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(b"SSH-2.0-x\r\n\r\n")

    async with trial(face, in_turn(reset, busy, garbage, answering(FINE)), jitter=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client)
        assert t.attempts == 3
        assert t.slept == pauses(2)


# -- how often -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 5])
@every_client
async def test_max_retries(face: Face, retries: int) -> None:
    """SDK-22."""
    async with trial(face, answering(failing()), max_retries=retries) as t:
        with pytest.raises(t.sdk.OverloadedError):
            await create(t.client)
        assert t.attempts == 1 + retries
        assert len(t.slept) == retries


@pytest.mark.parametrize("retries", [0, 4])
@every_client
async def test_max_retries_for_some_calls(face: Face, retries: int) -> None:
    """SDK-7: `with_options` and `copy`; the client itself stays as it was."""
    async with trial(face, answering(failing()), max_retries=1) as t:
        for other in (t.client.with_options(max_retries=retries), t.client.copy(max_retries=retries)):
            before = t.attempts
            with pytest.raises(t.sdk.OverloadedError):
                await create(other)
            assert t.attempts - before == 1 + retries
        before = t.attempts
        with pytest.raises(t.sdk.OverloadedError):
            await create(t.client)
        assert t.attempts - before == 2


@every_client
async def test_max_retries_is_a_number(face: Face) -> None:
    """SDK-22: None is refused when the client is made, and by `with_options`."""
    with pytest.raises(TypeError, match="max_retries"):
        face.client(api_key="x", max_retries=None)
    async with trial(face) as t:
        with pytest.raises(TypeError, match="max_retries"):
            t.client.with_options(max_retries=None)
        assert t.client.max_retries == t.sdk.DEFAULT_MAX_RETRIES == 2


@every_client
async def test_each_attempt_says_its_number(face: Face) -> None:
    """SDK-25: 0, 1, 2, ..."""
    async with trial(face, answering(failing()), max_retries=3) as t:
        with pytest.raises(t.sdk.OverloadedError):
            await create(t.client)
        counts = [request.header("x-stainless-retry-count") for request in t.server.requests]
        assert counts == ["0", "1", "2", "3"]


@every_client
async def test_the_number_of_retries_can_be_asked(face: Face) -> None:
    """SDK-42: `retries_taken`."""
    async with trial(face, answering(failing(), failing(), FINE)) as t:
        raw = await settled(
            t.client.messages.with_raw_response.create(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )
        )
        assert raw.retries_taken == 2


# -- how long ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
@every_client
async def test_backoff(face: Face, jitter: float) -> None:
    """SDK-24: half a second, doubled each time, never above 8, and up to a quarter less."""
    async with trial(face, answering(failing()), max_retries=6, jitter=jitter) as t:
        with pytest.raises(t.sdk.OverloadedError):
            await create(t.client)
        assert t.slept == pytest.approx(pauses(6, jitter))


@every_client
async def test_backoff_is_really_random(face: Face) -> None:
    """SDK-24: between three quarters and the whole; clients that failed together do not come back together."""
    async with trial(face, answering(failing()), max_retries=6) as t:
        for _ in range(3):
            with pytest.raises(t.sdk.OverloadedError):
                await create(t.client)
        whole = BACKOFF_S * 3
        assert all(0.75 * most <= pause <= most for pause, most in zip(t.slept, whole, strict=True))
        assert len({pause / most for pause, most in zip(t.slept, whole, strict=True)}) > 9


@every_sync_client
async def test_a_thousand_retries_overflow_nothing(face: Face) -> None:
    async with trial(face, base_url=refused_url(), max_retries=1030, jitter=0) as t:
        with pytest.raises(t.sdk.APIConnectionError):
            await create(t.client)
        assert len(t.slept) == 1030
        assert t.slept[4:] == [8.0] * 1026


ASKED: dict[str, tuple[dict[str, str], float]] = {  # SDK-24: headers, then the pause
    "seconds": ({"retry-after": "17"}, 17.0),
    "a fraction": ({"retry-after": "0.25"}, 0.25),
    "scientific": ({"retry-after": "1e1"}, 10.0),
    "space around": ({"retry-after": " 3 "}, 3.0),
    "above a minute": ({"retry-after": "61"}, 61.0),
    "an hour": ({"retry-after": "3600"}, 3600.0),
    "milliseconds": ({"retry-after-ms": "250"}, 0.25),
    "a fraction of milliseconds": ({"retry-after-ms": "1.5"}, 0.0015),
    "milliseconds before seconds": ({"retry-after": "9", "retry-after-ms": "100"}, 0.1),
    "garbage before seconds": ({"retry-after": "9", "retry-after-ms": "soon"}, 9.0),
    # what says nothing leaves the backoff
    "zero": ({"retry-after": "0"}, 0.5),
    "negative": ({"retry-after": "-5"}, 0.5),
    "no milliseconds": ({"retry-after-ms": "0"}, 0.5),
    "negative milliseconds": ({"retry-after-ms": "-1"}, 0.5),
    "no milliseconds, before seconds": ({"retry-after": "9", "retry-after-ms": "0"}, 0.5),
    "garbage": ({"retry-after": "soon"}, 0.5),
    "empty": ({"retry-after": ""}, 0.5),
    "a list": ({"retry-after": "1, 2"}, 0.5),
    "hexadecimal": ({"retry-after": "0x10"}, 0.5),
    "a past date": ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.5),
    "half a date": ({"retry-after": "Wed, 21 Oct"}, 0.5),
    "not a number": ({"retry-after": "nan"}, 0.5),
}


@each_of(ASKED)
@every_client
async def test_the_server_names_the_pause(face: Face, value: tuple[dict[str, str], float]) -> None:
    """SDK-24, HDR-37."""
    headers, pause = value
    async with trial(face, answering(failing(429, *headers.items()), FINE), jitter=0) as t:
        await create(t.client)
        assert t.slept == [pause]


@pytest.mark.parametrize("named", ["1e9", "inf"])
@every_client
async def test_a_pause_no_clock_can_take(face: Face, named: str) -> None:
    """SDK-24: `time.sleep` raises OverflowError for what is too long, so it is cut."""
    async with trial(face, answering(failing(429, ("retry-after", named)), FINE)) as t:
        await create(t.client)
        assert DAY_S < t.slept[0] <= 4_294_967.0  # Windows takes 2**32 ms


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is 13 hours before Greenwich's."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "EAST-13")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("zone", [" GMT", " +0000", " -0000", ""])
@every_client
@pytest.mark.usefixtures("far_east")
async def test_the_pause_may_be_a_date(face: Face, zone: str) -> None:
    """SDK-24: an HTTP date, a day from now. RFC 9110, section 5.6.7: one without a zone is Greenwich's too."""
    date = formatdate(time.time() + DAY_S, usegmt=True).replace(" GMT", zone)
    async with trial(face, answering(failing(429, ("retry-after", date)), FINE)) as t:
        await create(t.client)
        assert DAY_S - 600 < t.slept[0] <= DAY_S


@every_client
async def test_a_date_of_no_calendar(face: Face) -> None:
    """SDK-24: the year 99999."""
    async with trial(face, answering(failing(429, ("retry-after", "Wed, 21 Oct 99999 05:28:00 GMT")), FINE)) as t:
        if face.either("a date of no calendar", official=True, ours=False):
            with pytest.raises(ValueError, match="year 99999"):
                await create(t.client)
        else:
            await create(t.client)
            assert 0 < t.slept[0] <= 0.5


@every_client
async def test_every_failure_names_its_own_pause(face: Face) -> None:
    """SDK-24: the third falls back to the backoff, at its own place in the row."""
    answers = [failing(429, ("retry-after", "7")), failing(529, ("retry-after-ms", "20")), failing(500), FINE]
    async with trial(face, answering(*answers), max_retries=3, jitter=0) as t:
        await create(t.client)
        assert t.slept == [7.0, 0.02, 2.0]


@pytest.mark.parametrize("status", [408, 409, 500, 529])
@every_client
async def test_every_retried_status_may_name_a_pause(face: Face, status: int) -> None:
    async with trial(face, answering(failing(status, ("retry-after", "3")), FINE)) as t:
        await create(t.client)
        assert t.slept == [3.0]


# -- streams -------------------------------------------------------------------------------------------------------


def _events(*events: dict[str, Any]) -> bytes:
    return sse_reply((event["type"], event) for event in events)


@every_client
async def test_a_stream_is_tried_again_before_it_begins(face: Face) -> None:
    """SDK-23: the status comes before the first event."""
    async with trial(face, answering(failing(529), failing(429, ("retry-after", "2")), _events(START, BLOCK))) as t:
        assert [event.type async for event in each(await stream(t.client))] == ["message_start", "content_block_start"]
        assert t.attempts == 3


async def cut(conn: Conn) -> None:
    await conn.read_request()
    await conn.send(sse_head() + chunk(sse(START, BLOCK)))
    conn.reset()


BROKEN: dict[str, Handler] = {
    "an error event": answering(_events(START, envelope())),
    "an error event first of all": answering(_events(envelope())),
    "a reset": cut,
    "broken JSON": answering(sse_head() + chunk(b"event: message_start\ndata: {\n\n") + LAST_CHUNK),
}


@each_of(BROKEN)
@every_client
async def test_a_stream_that_has_begun_is_never_tried_again(face: Face, value: Handler) -> None:
    """SDK-26: what was said already cannot be taken back."""
    async with trial(face, value) as t:
        events = await stream(t.client)
        with pytest.raises(Exception):  # noqa: B017 (which one: test_errors.py and test_faults.py)
            async for _ in each(events):
                pass
        assert t.attempts == 1
        assert t.slept == []


# -- what ends the waiting -----------------------------------------------------------------------------------------


@every_client
async def test_an_interrupt_between_attempts_is_not_swallowed(face: Face) -> None:
    """Ctrl-C while it waits: no further attempt."""

    def interrupt(delay: float) -> None:
        raise KeyboardInterrupt

    async with trial(face, answering(failing()), on_sleep=interrupt) as t:
        with pytest.raises(KeyboardInterrupt):
            await create(t.client)
        assert t.attempts == 1


@every_client
async def test_a_failed_attempt_holds_no_connection_while_it_waits(face: Face) -> None:
    """A long `retry-after` must not keep a place in the pool: the failure has been read, or its connection closed."""
    async with trial(face, answering(failing(), failing(), FINE)) as t:
        await create(t.client)
        await create(t.client)
        assert len(t.server.conns) == 1
