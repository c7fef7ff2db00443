"""Faults on demand, without a server: what the header says, whom it strikes and when, and what becomes of a reply."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, START, sse
from hypothesis import given
from hypothesis import strategies as st
from rawhttp import HELLO, json_bytes

from dragoman.errors import ApiError, CutOff, InvalidRequest, Overloaded, PermissionDenied, RateLimited
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Answer, Asked, Call
from dragoman.gateway.config.config import settings
from dragoman.gateway.config.faults import CALLERS, ERROR_KINDS, KIND_NAMES, FaultConfig, describe_fault, model_fits
from dragoman.gateway.faults.faults import COUNTED_LIMIT, FOREVER_S, Faults, chance
from dragoman.gateway.faults.header import HEADER, parse_header
from dragoman.gateway.ledger.accounting import Entry
from dragoman.gateway.reply import error_answer
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

TESTER = Principal("apikey_test", "tests", "wrkspc_1", "org-1", is_test=True)
ANYBODY = Principal("apikey_any", "prod", "wrkspc_1", "org-1")
NOW = datetime(2026, 12, 21, tzinfo=UTC)
TEXT = [{**DELTA, "delta": {"type": "text_delta", "text": word}} for word in "abc"]
STREAM = [START, BLOCK, *TEXT, *END]  # content events: BLOCK, three deltas, and the block's stop


def asked(header: str | None = None, *, who: Principal = TESTER, model: str = "claude-opus-4-8") -> Asked:
    headers = {"anthropic-version": "2023-06-01"} | ({} if header is None else {HEADER: header})
    call = Call(
        operation=Operation.MESSAGES,
        headers=Headers(headers.items()),
        body=json_bytes({**HELLO, "model": model}),
        request_id="req_1",
        arrived=0.0,
    )
    return Asked.read(call, who, refuse_unknown_betas=False)


def entry() -> Entry:
    return Entry("req_1", "/v1/messages", arrived=0.0, clock=lambda: 0.0)


def fault(kind: str, **fields: Any) -> FaultConfig:
    return FaultConfig(origin="dragoman.toml:1", kind=kind, **fields)


class Slept:
    """Sleeps at once, and keeps how long it was to be."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        if seconds:
            self.seconds.append(seconds)


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def faults(slept: Slept) -> Faults:
    return Faults((), sleep=slept, now=lambda: NOW)


async def outcome(faults: Faults, request: Asked) -> str:
    """The status that strikes a request, the kinds that befall its reply, or nothing."""
    try:
        plan = await faults.plan(request)
    except ApiError as error:
        return str(error.status)
    return "" if plan is None else "+".join(each.kind for each in plan._faults)


async def outcomes(faults: Faults, request: Asked, times: int) -> list[str]:
    return [await outcome(faults, request) for _ in range(times)]


# -- the header -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("529", [("529", {})]),
        (" overloaded ", [("529", {})]),
        ("overloaded_error", [("529", {})]),
        ("request_too_large", [("413", {})]),
        ("rate_limit", [("429", {})]),
        ("spend_limit", [("spend_limit", {})]),
        ("429; retry-after=2", [("429", {"retry_after": 2})]),
        ("504;ms=3000", [("504", {"ms": 3000})]),
        ("slow ; ms = 1500", [("slow", {"ms": 1500})]),
        ("stall; after=3", [("stall", {"after": 3})]),
        ("stall; after=3; ms=9", [("stall", {"after": 3, "ms": 9})]),
        ("cut; after=0", [("cut", {"after": 0})]),
        ("error; after=3; type=api_error", [("error", {"after": 3, "type": "api_error"})]),
        ("500; rate=0.3; times=2; seed=7; run=a.b-c_1", [("500", {"rate": 0.3, "times": 2, "seed": 7})]),
        ("500; rate=1", [("500", {"rate": 1.0})]),
        ("429; times=1, 529; times=1,slow", [("429", {"times": 1}), ("529", {"times": 1}), ("slow", {})]),
    ],
)
def test_the_header_s_grammar(text: str, expected: list[tuple[str, dict[str, Any]]]) -> None:
    assert list(parse_header(text)) == [FaultConfig(origin=HEADER, kind=kind, **fields) for kind, fields in expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", '"" is no kind of fault. There are 400,'),
        ("418", '"418" is no kind of fault.'),
        ("stal; after=1", '"stal" is no kind of fault. Did you mean stall?'),
        ("529,", '"" is no kind of fault.'),
        ("529; times", '529: "times" is not of the form name=value'),
        ("529; ", '529: "" is not of the form name=value'),
        ("529; tmes=1", '529: "tmes" is no name that is known here. Did you mean times?'),
        ("529; model=x", '529: "model" is no name that is known here. There are after, ms, retry-after, type,'),
        ("529; kind=cut", '529: "kind" is given twice'),
        ("cut; after=1; after=2", 'cut: "after" is given twice'),
        ("429; retry-after=1; retry_after=2", '429: "retry_after" is given twice'),
        ("529; retry-after=2", '529: "retry-after" means nothing to the kind 529'),
        ("529; after=2", '529: "after" means nothing to the kind 529'),
        ("cut; ms=5", 'cut: "ms" means nothing to the kind cut'),
        ("cut; type=api_error", 'cut: "type" means nothing to the kind cut'),
        ("cut; after=-1", 'cut: after: "-1" is not a whole number from 0 to 100000.'),
        ("cut; after=1.5", 'cut: after: "1.5" is not a whole number from 0 to 100000.'),
        ("cut; after=100001", 'cut: after: "100001" is not a whole number from 0 to 100000.'),
        ("cut; after=" + "9" * 900, 'cut: after: "999'),
        ("slow; ms=3600001", 'slow: ms: "3600001" is not a whole number from 0 to 3600000.'),
        ("429; retry-after=3601", '429: retry-after: "3601" is not a whole number from 0 to 3600.'),
        ("500; rate=0", '500: rate: "0" is not a share of the requests.'),
        ("500; rate=1.1", '500: rate: "1.1" is not a share of the requests.'),
        ("500; rate=nan", '500: rate: "nan" is not a share of the requests.'),
        ("500; times=0", '500: times: "0" is not a whole number from 1 to 1000000.'),
        ("500; seed=2147483648", '500: seed: "2147483648" is not a whole number'),
        ("500; run=a b", '500: run: "a b" is no name of a run.'),
        ("error; type=overload", 'error: type: "overload" is no type of an error. There are api_error,'),
        ("529," * 16 + "529", "has more than 16 faults"),
        ("x" * 1025, "has more than 1024 characters"),
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_read_names_the_part(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_header(text)
    assert caught.value.message.startswith(f"{HEADER}: {said}")


@given(st.text(st.characters(max_codepoint=255), max_size=60) | st.text("529cutrae;,= .-", max_size=30))
def test_whatever_the_header_it_is_read_or_refused(text: str) -> None:
    try:
        found: object = parse_header(text)
    except InvalidRequest as error:
        found = error.message.startswith(f"{HEADER}: ")
    assert found


def test_the_page_for_users_names_every_kind_and_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "faults.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    told = {word for row in rows for word in re.findall(r"[a-z0-9_-]+", row)}
    fields = {name.replace("_", "-") for name in settings(FaultConfig)} - CALLERS - {"kind"}
    assert {*KIND_NAMES, *fields, "run"} <= told
    examples = re.findall(r"`((?:[0-9]{3}|slow|stall|cut|error)[;,] [^`]+)`", page)
    assert len(examples) == 2
    assert all(parse_header(example) for example in examples)


# -- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["529", "nonsense", ""])
async def test_only_a_test_key_may_ask_for_faults(faults: Faults, header: str) -> None:
    with pytest.raises(PermissionDenied, match=r"dragoman-fault: only test keys .* `dragoman keys create --test`"):
        await faults.plan(asked(header, who=ANYBODY))


async def test_without_the_header_nothing_befalls_a_request(faults: Faults) -> None:
    for who in (TESTER, ANYBODY):
        assert await outcomes(faults, asked(who=who), 3) == ["", "", ""]


# -- errors in place of a reply -------------------------------------------------------------------------------------

WORDS = {
    "400": "You have reached your specified API usage limits. You will regain access on 2027-01-01 at 00:00 UTC.",
    "401": "invalid x-api-key",
    "404": "model: claude-opus-4-8",
    "413": "Request exceeds the maximum size",
    "429": "This request would exceed your organization's rate limit of 50 requests per minute (org: org-1, model: ",
    "500": "Internal server error",
    "529": "Overloaded",
    "spend_limit": "You have reached your API usage limits: your organization has crossed its monthly API usage ",
}


@pytest.mark.parametrize(("kind", "error_type"), ERROR_KINDS.items())
async def test_each_status_has_the_api_s_type_and_words(faults: Faults, kind: str, error_type: str) -> None:
    """ERR-10 to 20; ERR-41, 46, 49, 50, 51, 53, 54, 55."""
    with pytest.raises(ApiError) as caught:
        await faults.plan(asked(kind))
    assert caught.value.kind == error_type
    assert str(caught.value.status) == kind or kind == "spend_limit"
    assert caught.value.message.startswith(WORDS.get(kind, ""))
    assert caught.value.message


@pytest.mark.parametrize(
    ("header", "retry_after", "should_retry"),
    [
        ("429; retry-after=7", "7", "true"),
        ("429", "1", "true"),
        ("spend_limit", None, "true"),
        ("400", None, "false"),
        ("409", None, None),
        ("500", None, None),
        ("529", None, None),
    ],
)
async def test_an_error_has_the_headers_of_a_real_one(
    faults: Faults, header: str, retry_after: str | None, should_retry: str | None
) -> None:
    """HDR-37, HDR-38, ERR-17, ERR-50."""
    with pytest.raises(ApiError) as caught:
        await faults.plan(asked(header))
    headers = dict(error_answer(caught.value, "req_1").headers)
    assert (headers.get("retry-after"), headers.get("x-should-retry")) == (retry_after, should_retry)


async def test_a_used_up_budget_has_its_error_code(faults: Faults) -> None:
    """ERR-50."""
    with pytest.raises(RateLimited) as caught:
        await faults.plan(asked("spend_limit"))
    assert caught.value.details == {"error_code": "enforced_spend_limit_reached"}
    assert caught.value.message.endswith(" on 2027-01-01 at 00:00 UTC.")


async def test_an_error_may_come_late(faults: Faults, slept: Slept) -> None:
    assert await outcome(faults, asked("slow; ms=500, 504; ms=3000")) == "504"
    assert slept.seconds == [3.5]


# -- which requests -------------------------------------------------------------------------------------------------


async def test_times_ends_a_fault_so_that_a_retry_succeeds(faults: Faults) -> None:
    assert await outcomes(faults, asked("529; times=2"), 4) == ["529", "529", "", ""]


async def test_faults_take_turns_as_an_error_ends_the_list(faults: Faults) -> None:
    header = "429; times=1, 529; times=2, cut; times=1, slow"
    assert await outcomes(faults, asked(header), 5) == ["429", "529", "529", "cut+slow", "slow"]


async def test_counts_are_kept_apart_by_key_and_by_the_header_s_text(faults: Faults) -> None:
    other = Principal("apikey_other", "tests", "wrkspc_1", "org-1", is_test=True)
    header = "529; times=1"
    assert await outcomes(faults, asked(header), 2) == ["529", ""]
    assert await outcomes(faults, asked(header, who=other), 2) == ["529", ""]
    assert await outcomes(faults, asked(header + "; run=2"), 2) == ["529", ""]
    assert await outcomes(faults, asked(header), 1) == [""]


async def test_counts_are_bounded(faults: Faults) -> None:
    await outcome(faults, asked("529; times=1"))
    for number in range(COUNTED_LIMIT):
        faults._counts_of(("apikey_test", f"529; run={number}"), 1)
    assert len(faults._of_headers) == COUNTED_LIMIT
    assert await outcome(faults, asked("529; times=1")) == "529"  # forgotten, so it counts anew


async def test_a_rate_is_kept_and_repeatable() -> None:
    first, again, other = [await outcomes(Faults(()), asked(f"500; rate=0.3; seed={seed}"), 1000) for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    assert 250 < first.count("500") < 350


async def test_times_counts_strikes_and_not_requests() -> None:
    found = await outcomes(Faults(()), asked("500; rate=0.3; times=3"), 200)
    assert found.count("500") == 3
    assert found[0] == ""  # else this test would show nothing


def test_chance_is_even_and_two_faults_do_not_go_in_step() -> None:
    drawn = [(chance(0, 0, number), chance(0, 1, number)) for number in range(1, 4001)]
    for quarter in range(4):
        assert 900 < sum(int(one * 4) == quarter for one, _ in drawn) < 1100
    assert 900 < sum(one < 0.5 and two < 0.5 for one, two in drawn) < 1100


# -- the configuration ----------------------------------------------------------------------------------------------


async def test_a_configured_fault_strikes_every_key_unless_it_names_one() -> None:
    assert await outcome(Faults([fault("529")]), asked(who=ANYBODY)) == "529"
    named = Faults([fault("529", key="prod")])
    assert await outcome(named, asked(who=ANYBODY)) == "529"
    assert await outcome(named, asked(who=TESTER)) == ""


async def test_a_configured_fault_may_be_about_some_models() -> None:
    faults = Faults([fault("529", model="claude-opus-*", times=1)])
    assert await outcome(faults, asked(model="claude-haiku-4-5")) == ""
    assert await outcomes(faults, asked(model="claude-opus-4-8"), 2) == ["529", ""]


async def test_the_header_s_faults_come_before_the_configured_ones() -> None:
    faults = Faults([fault("500", times=1), fault("slow")])
    assert await outcomes(faults, asked("429; times=1"), 3) == ["429", "500", "slow"]


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        ("*", "x" * 1000, True),
        ("claude-opus-4-8", "claude-opus-4-8", True),
        ("claude-opus-4-8", "claude-opus-4-81", False),
        ("claude-opus-*", "claude-opus-4-8", True),
        ("claude-opus-*", "claude-opus-", True),
        ("claude-opus-*", "my-claude-opus-4", False),
        ("*-4-8", "claude-opus-4-8", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("aa*aa", "aaa", False),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("a*", "a" * 257, False),
    ],
)
def test_a_pattern_of_models(pattern: str, model: str, fits: bool) -> None:
    assert model_fits(pattern, model) is fits


def test_a_fault_is_described_in_a_line() -> None:
    assert describe_fault(fault("529")) == "529 for all requests (dragoman.toml:1)"
    described = describe_fault(fault("error", after=3, rate=0.25, times=2, key="ci", model="claude-*"))
    assert described == (
        "error (after 3, type overloaded_error) for 0.25 of the requests with the key 'ci' and a model claude-*, "
        "2 times at most (dragoman.toml:1)"
    )


# -- what becomes of a reply ----------------------------------------------------------------------------------------


class Source:
    """A stream, and whether it was closed."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.is_closed = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            for piece in self.pieces:
                yield piece
        finally:
            self.is_closed = True


async def spoilt(faults: Faults, header: str, pieces: Sequence[bytes]) -> tuple[bytes, Entry, str]:
    """What a caller gets of a stream with these faults, what is accounted, and how it ended."""
    plan = await faults.plan(asked(header))
    assert plan is not None
    source = Source(pieces)
    inner = source.stream()
    await anext(inner)
    noted = entry()
    answer = await plan.apply(Answer(request_id="req_up", headers=[("x-should-retry", "false")], stream=inner), noted)
    assert answer.stream is not None
    assert (answer.request_id, answer.headers) == ("req_up", [("x-should-retry", "false")])
    got = b""
    end = "end"
    async with aclosing(answer.stream) as stream:
        try:
            async for piece in stream:
                got += piece
        except CutOff:
            end = "cut"
    assert source.is_closed
    return got, noted, end


PACKINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "one by one": list,
    "all at once": lambda events: [b"".join(events)],
    "CRLF": lambda events: [b"".join(events).replace(b"\n", b"\r\n")],
    "in pairs": lambda events: [b"".join(events[at : at + 2]) for at in range(0, len(events), 2)],
}
each_packing = pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)


def parts(pack: Callable[[list[bytes]], list[bytes]], events: Sequence[Any]) -> list[bytes]:
    return pack([sse(event) for event in events])


@each_packing
@pytest.mark.parametrize("after", range(6))
async def test_a_cut_comes_after_so_many_content_events(faults: Faults, pack: Any, after: int) -> None:
    got, noted, end = await spoilt(faults, f"cut; after={after}", parts(pack, STREAM))
    assert got == b"".join(parts(pack, STREAM[: 1 + after]))
    assert (end, noted.outcome, noted.error) == ("cut", "cut", None)


@each_packing
async def test_a_reply_that_is_shorter_is_cut_before_its_end(faults: Faults, pack: Any) -> None:
    """STR-42 turned round: no message_stop is seen, whatever the count says."""
    got, noted, end = await spoilt(faults, "cut; after=100", parts(pack, STREAM))
    assert got == b"".join(parts(pack, STREAM[:-2]))
    assert (end, noted.outcome) == ("cut", "cut")


@each_packing
async def test_an_error_event_ends_the_stream(faults: Faults, pack: Any) -> None:
    """STR-40: in the envelope, with the request id that the headers tell, and nothing after it."""
    got, noted, end = await spoilt(faults, "error; after=3; type=api_error", parts(pack, STREAM))
    before = b"".join(parts(pack, STREAM[:4]))
    assert got.startswith(before)
    name, data, blank, rest = got.removeprefix(before).split(b"\n")
    assert (name, blank, rest) == (b"event: error", b"", b"")
    assert json.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "error": {"type": "api_error", "message": "Internal server error"},
        "request_id": "req_up",
    }
    assert (end, noted.outcome, noted.error) == ("end", "cut", "api_error")


async def test_a_slow_reply_waits_before_its_first_content(faults: Faults, slept: Slept) -> None:
    got, noted, _ = await spoilt(faults, "slow; ms=1500", parts(list, STREAM))
    assert got == sse(*STREAM)
    assert slept.seconds == [1.5]
    assert noted.outcome == "answered"


async def test_slow_without_more_is_a_second(faults: Faults, slept: Slept) -> None:
    await spoilt(faults, "slow", parts(list, STREAM))
    assert slept.seconds == [1.0]


async def test_a_stall_of_some_time_goes_on(faults: Faults, slept: Slept) -> None:
    got, noted, _ = await spoilt(faults, "stall; after=3; ms=250", parts(list, STREAM))
    assert got == sse(*STREAM)
    assert (slept.seconds, noted.outcome) == ([0.25], "answered")


async def test_a_stall_without_end_is_cut_at_last(faults: Faults, slept: Slept) -> None:
    got, _, end = await spoilt(faults, "stall; after=3", parts(list, STREAM))
    assert (got, end, slept.seconds) == (sse(*STREAM[:4]), "cut", [FOREVER_S])


async def test_several_faults_befall_one_reply_in_the_order_of_their_places(faults: Faults, slept: Slept) -> None:
    header = "cut; after=4, stall; after=2; ms=20, slow; ms=10"
    got, _, end = await spoilt(faults, header, parts(list, STREAM))
    assert (got, end, slept.seconds) == (sse(*STREAM[:5]), "cut", [0.01, 0.02])


async def test_pings_and_comments_of_an_upstream_pass_and_count_for_nothing(faults: Faults) -> None:
    pieces = [b": hello\n\n", sse(START), sse({"type": "ping"}), sse(BLOCK, TEXT[0]), b": more\n", sse(*TEXT[1:], *END)]
    got, _, _ = await spoilt(faults, "cut; after=2", pieces)
    assert got == b"".join(pieces[:4])


async def test_an_error_of_the_upstream_s_comes_through(faults: Faults) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    got, noted, end = await spoilt(faults, "cut; after=3", parts(list, [START, BLOCK, error]))
    assert (got, end, noted.outcome) == (sse(START, BLOCK, error), "end", "answered")


async def test_a_spoilt_stream_that_nobody_reads_is_closed(faults: Faults) -> None:
    plan = await faults.plan(asked("stall"))
    assert plan is not None
    source = Source(parts(list, STREAM))
    inner = source.stream()
    await anext(inner)
    answer = await plan.apply(Answer(stream=inner), entry())
    assert answer.stream is not None
    await answer.stream.aclose()
    assert source.is_closed


async def whole(faults: Faults, header: str, noted: Entry) -> Answer:
    plan = await faults.plan(asked(header))
    assert plan is not None
    return await plan.apply(Answer(body=b"{}"), noted)


async def test_a_whole_reply_is_late_when_slow_or_stalled(faults: Faults, slept: Slept) -> None:
    answer = await whole(faults, "slow; ms=1500, stall; after=9; ms=20", entry())
    assert (answer.body, slept.seconds) == (b"{}", [1.5, 0.02])


@pytest.mark.parametrize(("header", "waited"), [("cut; after=9", []), ("stall", [FOREVER_S])])
async def test_a_whole_reply_is_cut(faults: Faults, slept: Slept, header: str, waited: list[float]) -> None:
    noted = entry()
    with pytest.raises(CutOff):
        await whole(faults, header, noted)
    assert slept.seconds == waited  # the pipeline accounts for it as cut: tests/e2e/test_injected_faults.py


async def test_an_error_event_where_there_are_no_events_is_an_error(faults: Faults) -> None:
    with pytest.raises(Overloaded):
        await whole(faults, "error; after=3", entry())


@pytest.mark.parametrize("header", ["cut", "stall", "error"])
async def test_a_whole_reply_that_never_came_is_told_as_lost(faults: Faults, header: str) -> None:
    """Else a thread would go on from a reply that nobody has (SDK-63)."""
    lost: list[str] = []
    plan = await faults.plan(asked(header))
    assert plan is not None
    with pytest.raises((CutOff, Overloaded)):
        await plan.apply(Answer(body=b"{}", lost=lambda: lost.append("lost")), entry())
    assert lost == ["lost"]


async def test_a_stream_that_ends_in_an_error_event_is_told_as_lost(faults: Faults) -> None:
    """Also when the piece that was cut held its end."""
    lost: list[str] = []
    plan = await faults.plan(asked("error; after=2"))
    assert plan is not None
    inner = Source([sse(*STREAM)]).stream()
    await anext(inner)
    answer = await plan.apply(Answer(stream=inner, lost=lambda: lost.append("lost")), entry())
    assert answer.lost is not None  # a cut one is told by the Reply
    assert answer.stream is not None
    assert [piece async for piece in answer.stream][-1].startswith(b"event: error\n")
    assert lost == ["lost"]


async def test_a_refusal_by_the_target_stands(faults: Faults) -> None:
    plan = await faults.plan(asked("slow, cut"))
    assert plan is not None
    refused = Answer(status=400, body=b"{}")
    assert await plan.apply(refused, entry()) is refused
