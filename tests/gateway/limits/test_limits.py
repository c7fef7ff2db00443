"""Rate limits: the arithmetic of buckets, who is limited by what, and what callers are told. Time is a number."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import sse_event
from rawhttp import HELLO

from dragoman.errors import ApiError, BillingProblem, ConfigError, Overloaded, StoreError, Unavailable
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import OFFLINE, Config, ProviderConfig, RouteConfig, ServerConfig, TargetName
from dragoman.gateway.config.limits import BUILT_IN, GroupConfig, LimitsConfig, TierConfig
from dragoman.gateway.ledger.input_estimate import estimate_input_tokens, estimate_output_tokens
from dragoman.gateway.limits.limits import Hold, LimitReached, Limits
from dragoman.gateway.limits.model_groups import ModelGroups
from dragoman.gateway.routing.routing import Route, Router
from dragoman.providers.base import Operation
from dragoman.store.buckets import Buckets, level
from dragoman.store.counters import Order, Purse, Taking
from dragoman.store.memory import MemoryCounters
from dragoman.wire.headers import Headers
from dragoman.wire.ratelimits import Window, rate_limit_headers
from dragoman.wire.types import Usage

CATALOGUE = Catalogue.load()
WALL = 1_795_255_200.0  # 2026-11-21T10:00:00Z, when the tests' clock shows 0
ORGANIZATION = "b0b1a2c3-0000-4000-8000-000000000001"
DEFAULT_WORKSPACE = "wrkspc_default"
ME = Principal("apikey_1", "mine", DEFAULT_WORKSPACE, ORGANIZATION)
OPUS, HAIKU, FABLE = "claude-opus-4-8", "claude-haiku-4-5", "claude-fable-5"
FAMILY = "anthropic-ratelimit-"
T = TypeVar("T")
LIMIT = st.integers(1, 10_000_000)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def done(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    raise AssertionError("it waits")


class Limited:
    """Limits with a clock that stands until it is moved."""

    def __init__(self, **config: Any) -> None:
        tiers = {**BUILT_IN, **config.pop("tiers", {})}
        spending = config.pop("spending", None)
        whole = Config(
            server=ServerConfig(),
            providers={
                OFFLINE: ProviderConfig(name=OFFLINE, origin="t", dialect=OFFLINE),
                "box": ProviderConfig(name="box", origin="t", base_url="http://box"),
            },
            models={
                "fast": RouteConfig(name="fast", origin="t", targets=(TargetName(OFFLINE, HAIKU),)),
                "own": RouteConfig(name="own", origin="t", targets=(TargetName("box", "qwen3-32b"),)),
            },
            limits=LimitsConfig(tiers=tiers, **config),
        )
        self.clock = Clock()
        self.router = Router(whole, CATALOGUE)
        self.groups = ModelGroups(self.router, whole)
        self.limits = Limits(
            whole.limits,
            groups=self.groups,
            default_workspace_id=DEFAULT_WORKSPACE,
            spending=spending,
            clock=self.clock,
            wall=lambda: WALL + self.clock.now,
        )

    def reserve(self, model: str = OPUS, who: Principal = ME, **more: Any) -> Hold:
        return done(self.limits.reserve(asked(model, who, **more)))

    @property
    def buckets(self) -> Buckets:
        assert isinstance(self.limits.counters, MemoryCounters)
        return self.limits.counters.buckets

    def refusal(self, model: str = OPUS, who: Principal = ME, **more: Any) -> LimitReached:
        with pytest.raises(LimitReached) as caught:
            self.reserve(model, who, **more)
        return caught.value

    def headers(self) -> dict[str, str]:
        """As a reply of now would have them; nothing is spent."""
        hold = self.reserve()
        told = dict(hold.tell([], status=200))
        hold.release(None, status=529)
        return told


def tier(name: str = "t", groups: dict[str, GroupConfig] | None = None, **limits: int) -> dict[str, TierConfig]:
    return {name: TierConfig(name=name, origin="the file:1", groups=groups or {}, **limits)}


def limited(**limits: int) -> Limited:
    """Everybody together, to so many."""
    return Limited(tiers=tier(**limits), organization="t")


def asked(model: str, who: Principal, *, text: str = "Hello", count: bool = False) -> Asked:
    body = {**HELLO, "model": model, "messages": [{"role": "user", "content": text}]}
    call = Call(
        operation=Operation.COUNT_TOKENS if count else Operation.MESSAGES,
        headers=Headers([("anthropic-version", "2023-06-01")]),
        body=json.dumps(body).encode(),
        request_id="req_1",
        arrived=0.0,
    )
    return Asked.read(call, who, refuse_unknown_betas=False)


def used(read: int = 0, written: int = 0, **more: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written, **more)


def passing(server: Limited, model: str = OPUS, who: Principal = ME, **more: Any) -> int:
    """How many pass at once before one is refused. They are not released."""
    for count in range(20_000):
        try:
            server.reserve(model, who, **more)
        except LimitReached:
            return count
    raise AssertionError("nothing limits it")


# -- who is limited, by what ------------------------------------------------------------------------------------------


def test_nothing_is_limited_unless_configured() -> None:
    """LIM-9: a tier alone limits nobody."""
    free = Limited(tiers=tier(rpm=1))
    assert [free.reserve().tell([], status=200) for _ in range(100)] == [[]] * 100
    assert len(free.buckets) == 0


@pytest.mark.parametrize(
    ("limits", "use", "message"),
    [
        ({"rpm": 50}, None, "50 requests"),
        ({"itpm": 30_000}, used(read=30_000), "30,000 input tokens"),
        ({"otpm": 8_000}, used(written=8_000), "8,000 output tokens"),
        ({"tpm": 40_000}, used(20_000, 20_000), "40,000 tokens"),
        ({"tpd": 1_000_000}, used(600_000, 400_000), "1,000,000 tokens per day"),
    ],
)
def test_a_used_up_limit_is_429_that_names_it(limits: dict[str, int], use: Usage | None, message: str) -> None:
    """LIM-2, ERR-51, ERR-17, HDR-37: in the API's words, with organization and model."""
    server = limited(**limits)
    for _ in range(1 if use else 50):
        server.reserve().release(use, status=200)
    error = server.refusal()
    said = message if message.endswith("day") else f"{message} per minute"
    assert (error.status, error.kind) == (429, "rate_limit_error")
    assert error.message == (
        f"This request would exceed your organization's rate limit of {said} (org: {ORGANIZATION}, "
        "model: claude-opus-4-8). You can see the response headers for current usage. Please reduce the prompt length "
        "or the maximum tokens requested, or try again later."
    )
    assert error.retry_after is not None
    assert dict(error.headers())["retry-after"] == str(error.retry_after)
    server.clock.now += error.retry_after
    server.reserve()


def test_the_longest_wait_is_told() -> None:
    """LIM-10: when several limits are used up, all of them must let it pass."""
    server = limited(rpm=60, otpm=60)
    for hold in [server.reserve() for _ in range(60)]:
        hold.release(used(written=3), status=200)  # 180 at 60 a minute
    error = server.refusal()
    assert "60 output tokens" in error.message
    assert error.retry_after == 121
    server.clock.now = 120.0
    server.refusal()
    server.clock.now = 121.0
    server.reserve()


@hypothesis.settings(max_examples=200)
@given(
    limits=st.fixed_dictionaries(
        {
            "rpm": st.integers(1, 40),
            "itpm": st.integers(50, 5000),
            "otpm": st.integers(1, 500),
            "tpm": st.integers(50, 5000),
            "tpd": st.integers(50, 50_000),
        }
    ),
    ends=st.lists(st.tuples(st.floats(0, 5), st.integers(0, 400), st.integers(0, 400)), max_size=20),
    start=st.floats(0, 1e6),
)
def test_retry_after_is_the_truth(limits: dict[str, int], ends: list[tuple[float, int, int]], start: float) -> None:
    """LIM-10, issue 7: with limits of all kinds at once, the same request passes then, and not a second before."""
    server = limited(**limits)
    server.clock.now = start
    for after_s, read, written in ends:
        server.clock.now += after_s
        with suppress(LimitReached):
            server.reserve().release(used(read, written), status=200)
    for _ in range(50):
        try:
            server.reserve()
        except LimitReached:
            break
    error = server.refusal()
    assert error.retry_after is not None
    assert error.retry_after >= 1
    server.clock.now += error.retry_after - 1
    server.refusal()
    server.clock.now += 1
    server.reserve()


def test_a_long_name_is_not_told_whole() -> None:
    """ERR-51: nothing that a caller sends makes a reply large."""
    server = Limited(tiers=tier(rpm=1), organization="t")
    server.reserve("box/" + "x" * 9000)
    assert len(server.refusal("box/" + "x" * 9000).message) < 700


SAME = ["claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5", "claude-opus-4-5-20251101"]
SAME_SONNET = ["claude-sonnet-4-6", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"]


@pytest.mark.parametrize(
    "shared",
    [SAME, SAME_SONNET, [HAIKU, "claude-haiku-4-5-20251001", "fast", f"offline/{HAIKU}"], ["own", "box/qwen3-32b"],
     ["box/a", "box/b", "nobody"]],
)  # fmt: skip
def test_models_of_a_group_share_and_others_do_not(shared: list[str]) -> None:
    """LIM-2: a name is what it resolves to; names that nobody configured get no fresh bucket each."""
    for first in shared:
        server = limited(rpm=1)
        server.reserve(first)
        for name in shared:
            server.refusal(name)
        for other in ("claude-opus-5", "claude-sonnet-5", "claude-opus-4-1"):
            server.reserve(other)


def test_names_that_a_caller_makes_up_take_no_memory() -> None:
    server = limited(rpm=1000, itpm=1_000_000)
    for number in range(500):
        server.reserve(f"box/model-{number}")
    assert len(server.buckets) == 2


def test_a_tier_may_say_otherwise_of_a_group_or_a_line() -> None:
    """LIM-8, LIM-9: what it does not say otherwise stays."""
    groups = {
        "claude-opus-4-6": GroupConfig(origin="f:1", rpm=2),
        "opus": GroupConfig(origin="f:2", rpm=3),
        "own": GroupConfig(origin="f:3", rpm=4),
        "box/mixtral": GroupConfig(origin="f:3", rpm=5),
    }
    for model, rpm in (
        (OPUS, 2), ("claude-opus-5", 3), ("claude-opus-4-1", 3), (HAIKU, 6), ("own", 4), ("box/qwen3-32b", 4),
        ("box/mixtral", 5), ("box/other", 6),
    ):  # fmt: skip
        server = Limited(tiers=tier(groups=groups, rpm=6, tpm=10_000_000), organization="t")
        assert passing(server, model) == rpm, model
        server.clock.now = 60.0
        assert f"{FAMILY}tokens-limit" in dict(server.reserve(model).tell([], status=200))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"claude-opus-4-8": 1, "claude-opus-4-6": 2}, "have a table already"),
        ({"claude-opsu-4-8": 1}, "no model answers to this name"),
    ],
)
def test_a_tier_that_means_no_models_or_the_same_twice_is_refused_at_start(groups: dict[str, int], said: str) -> None:
    special = {name: GroupConfig(origin="file:7", rpm=rpm) for name, rpm in groups.items()}
    with pytest.raises(ConfigError, match=rf"^file:7: tiers\.t\.groups\.claude-op.*{said}"):
        Limited(tiers=tier(groups=special))


@pytest.mark.parametrize(
    ("name", "of_most", "of_fable", "counts"),
    [
        ("start", (1000, 2_000_000, 400_000), (1000, 500_000, 100_000), 2000),
        ("build", (5000, 5_000_000, 1_000_000), (2000, 1_500_000, 300_000), 4000),
        ("scale", (10_000, 10_000_000, 2_000_000), (4000, 4_000_000, 800_000), 8000),
    ],
)
def test_the_tiers_that_are_built_in(
    name: str, of_most: tuple[int, ...], of_fable: tuple[int, ...], counts: int
) -> None:
    """LIM-6, LIM-8, LIM-9."""
    server = Limited(organization=name)
    for model, limits in ((OPUS, of_most), (FABLE, of_fable)):
        told = dict(server.reserve(model).tell([], status=200))
        kinds = ("requests", "input-tokens", "output-tokens")
        assert tuple(int(told[f"{FAMILY}{kind}-limit"]) for kind in kinds) == limits
    assert dict(server.reserve(count=True).tell([], status=200))[f"{FAMILY}requests-limit"] == str(counts)


def test_the_tiers_that_count_input_and_output_together() -> None:
    """LIM-9, HDR-35: and counting tokens has no limit in them."""
    for name, requests, tokens in (("free", "50", "40000"), ("pro", "1000", "400000")):
        server = Limited(organization=name)
        told = server.headers()
        assert {key.removeprefix(FAMILY) for key in told if key.endswith("limit")} == {"requests-limit", "tokens-limit"}
        assert (told[f"{FAMILY}requests-limit"], told[f"{FAMILY}tokens-limit"]) == (requests, tokens)
        assert server.reserve(count=True).tell([], status=200) == []


def test_a_tier_of_the_file_takes_the_place_of_one_that_is_built_in() -> None:
    """LIM-9."""
    assert passing(Limited(tiers=tier("free", rpm=3), organization="free")) == 3


def test_a_tier_that_was_given_to_a_key_or_a_workspace_goes_before_the_configuration() -> None:
    """LIM-5: and one that is not there any more is as though it had not been given."""
    tiers = {**tier("one", rpm=1), **tier("two", rpm=2), **tier("three", rpm=3)}
    for config in ({}, {"keys": {"*": "one"}}, {"workspaces": {"*": "one"}}):
        server = Limited(tiers=tiers, **config)
        own = msgspec.structs.replace(ME, tier="three", workspace_tier="two")
        assert passing(server, who=own) == 2
        server.clock.now += 60
        gone = msgspec.structs.replace(ME, tier="gone", workspace_tier="three")
        assert passing(server, who=gone) == (1 if "keys" in config else 3)


def test_what_is_set_while_the_server_runs_holds_from_the_next_request_on() -> None:
    """Issue 7: limits that are changed, taken away and given; what runs is settled as it was taken."""
    server = Limited(tiers=tier(rpm=2), organization="t")
    before = server.reserve()
    assert passing(server) == 1
    server.limits.use(LimitsConfig(tiers=tier(rpm=10), organization="t"))
    assert passing(server) == 0  # used up is used up
    server.clock.now += 12  # seconds: of ten a minute, two
    assert passing(server) == 2
    before.release(status=529)
    server.limits.use(LimitsConfig(tiers=tier(rpm=10)))
    assert [server.reserve().tell([], status=200) for _ in range(20)] == [[]] * 20


YOU = Principal("apikey_2", "yours", DEFAULT_WORKSPACE, ORGANIZATION)
AWAY = Principal("apikey_3", "away", "wrkspc_other", ORGANIZATION)


def test_the_lowest_of_all_that_apply_holds_and_the_organizations_always_does() -> None:
    """LIM-5: with the text that says whose limit it was."""
    tiers = {**tier("ten", rpm=10), **tier("four", rpm=4), **tier("two", rpm=2), **tier("lots", rpm=9999)}
    server = Limited(
        tiers=tiers, organization="ten", default_workspace="four", workspaces={"*": "lots"}, keys={"mine": "two"}
    )
    assert passing(server, who=ME) == 2
    assert "your API key's rate limit of 2 requests" in server.refusal(who=ME).message
    assert passing(server, who=YOU) == 2  # 4 of the workspace, two of which the other key had
    assert "your workspace's rate limit of 4 requests" in server.refusal(who=YOU).message
    assert passing(server, who=AWAY) == 6
    assert "your organization's rate limit of 10 requests" in server.refusal(who=AWAY).message


def test_keys_and_workspaces_are_found_by_id_by_name_and_as_the_rest() -> None:
    """LIM-5."""
    tiers = {**tier("one", rpm=1), **tier("two", rpm=2), **tier("three", rpm=3), **tier("four", rpm=4)}
    server = Limited(tiers=tiers, keys={"apikey_1": "one", "yours": "two", "*": "three"})
    assert [passing(server, who=who) for who in (ME, YOU, AWAY)] == [1, 2, 3]
    server = Limited(tiers=tiers, workspaces={"wrkspc_other": "four", "*": "three"})
    assert [passing(server, who=who) for who in (ME, YOU, AWAY)] == [3, 0, 4]
    server = Limited(tiers=tiers, default_workspace="two")
    assert passing(server, who=ME) == 2
    assert server.reserve(who=AWAY).tell([], status=200) == []


def test_counting_has_a_limit_of_its_own() -> None:
    """LIM-6: neither takes from the other, and it is one for all models."""
    server = limited(rpm=2, count_rpm=3, itpm=1_000_000)
    assert passing(server) == 2
    assert passing(server, count=True) == 3
    assert "3 requests per minute" in server.refusal(HAIKU, count=True).message
    server.clock.now = 60.0
    told = dict(server.reserve(count=True).tell([], status=200))
    assert told[f"{FAMILY}requests-limit"] == "3"
    assert f"{FAMILY}input-tokens-limit" not in told


def test_a_request_of_a_batch_is_not_counted_as_one_of_messages() -> None:
    """LIM-6: it waits in its batch instead; a 429 would be its result."""
    server = limited(rpm=1, concurrent=1)
    batched = asked(OPUS, ME)
    batched = msgspec.structs.replace(batched, call=msgspec.structs.replace(batched.call, batched_for=ME))
    for _ in range(5):
        assert done(server.limits.reserve(batched)).tell([], status=200) == []
    assert passing(server) == 1


# -- what is counted --------------------------------------------------------------------------------------------------


def left(server: Limited, kind: str) -> float:
    """What is really left of the one limit of this kind, unrounded."""
    (line,) = (each for each in server.limits._plan(ME, server.groups.of(OPUS)).lines if each.kind == kind)
    now = server.clock.now
    return level(server.buckets.full_at(line.key, now), line.limit, now, line.period_s)


def test_input_counts_without_what_a_cache_was_read_from() -> None:
    """LIM-3: what it was written with counts."""
    server = limited(itpm=100_000, tpm=100_000)
    usage = used(1000, 500, cache_creation_input_tokens=200, cache_read_input_tokens=50_000)
    server.reserve().release(usage, status=200)
    assert left(server, "input") == pytest.approx(98_800)
    assert left(server, "tokens") == pytest.approx(98_300)


def test_cache_reads_count_where_the_api_counts_them() -> None:
    """LIM-3: of Haiku 3.5 alone."""
    usage = used(1000, 0, cache_read_input_tokens=50_000)
    for model, reads in (("claude-3-5-haiku-latest", 51_000), (HAIKU, 1000)):
        server = limited(itpm=100_000)
        server.reserve(model).release(usage, status=200)
        told = dict(server.reserve(model).tell([], status=200))
        assert int(told[f"{FAMILY}input-tokens-remaining"]) == 100_000 - reads


def test_input_is_estimated_until_it_is_known() -> None:
    """LIM-3: so a second large request does not pass beside the first."""
    server = limited(itpm=10_000)
    hold = server.reserve(text="x" * 24_000)
    assert 3_000 < left(server, "input") < 4_000
    error = server.refusal(text="x" * 24_000)
    assert "10,000 input tokens" in error.message
    hold.release(used(read=500), status=200)
    server.reserve(text="x" * 24_000)


def test_output_counts_what_came() -> None:
    """LIM-4: nothing for `max_tokens`, all for what came, even below nothing."""
    server = limited(otpm=1000)
    holds = [server.reserve() for _ in range(20)]
    assert left(server, "output") == 1000
    for hold in holds[:2]:
        hold.release(used(written=900), status=200)
    assert left(server, "output") == pytest.approx(-800)
    error = server.refusal()
    assert "1,000 output tokens" in error.message
    assert error.retry_after == 49  # 801 tokens at 16.67 a second
    server.clock.now = 49.0
    server.reserve()


@pytest.mark.parametrize(
    ("status", "usage", "requests", "tokens"),
    [
        (200, used(100, 50), 1, 150),
        (200, None, 1, None),  # an answer that did not tell
        (0, None, 1, None),  # the caller hung up before there was one
        (400, None, 1, 0),
        (404, None, 1, 0),
        (429, None, 0, 0),  # the upstream's limit
        (500, None, 0, 0),
        (502, None, 0, 0),
        (504, None, 0, 0),
        (529, None, 0, 0),
    ],
)
def test_what_a_request_counts_by_its_end(status: int, usage: Usage | None, requests: int, tokens: int | None) -> None:
    """ERR-22, LIM-7: no capacity and failures are not counted; a mistake of the caller's is one request."""
    server = limited(rpm=10, tpm=1_000_000)
    hold = server.reserve(text="x" * 8000)
    estimated = 1_000_000 - left(server, "tokens")
    assert estimated > 2000
    hold.release(usage, status=status)
    hold.release(used(7, 7), status=200)  # a second end is none
    assert left(server, "requests") == pytest.approx(10 - requests)
    assert 1_000_000 - left(server, "tokens") == pytest.approx(estimated if tokens is None else tokens)
    assert server.limits.running == 0


def test_a_stream_that_broke_off_counts_what_was_sent() -> None:
    """LIM-4: to hang up before the end is no way around the limit."""
    server = limited(otpm=10_000)
    delta = sse_event("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"text": "x" * 30}})
    hold = server.reserve()
    for _ in range(300):
        hold.saw(delta)
    hold.release(used(20, 1), status=200, is_whole=False)
    assert 9000 < left(server, "output") <= 9700
    told = limited(otpm=10_000)
    hold = told.reserve()
    for _ in range(300):
        hold.saw(delta)
    hold.release(used(20, 123), status=200)
    assert left(told, "output") == pytest.approx(9877)


@pytest.mark.parametrize("number", [-5, 10**30])
def test_nonsense_of_an_upstream_does_no_lasting_harm(number: int) -> None:
    server = limited(itpm=100_000, otpm=100_000, tpm=100_000)
    server.reserve().release(used(number, number, cache_creation_input_tokens=number), status=200)
    for kind in ("input", "output", "tokens"):
        assert -40_000_000 < left(server, kind) <= 100_000


def test_files_in_base64_are_not_estimated_by_their_length() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}}
    text = {"type": "text", "text": "x" * 40_000}
    both = json.dumps({"content": [image, text, image]}).encode()
    assert 10_000 + 2 * 1600 <= estimate_input_tokens(both) < 14_000
    assert estimate_input_tokens(both.replace(b'": "', b'" \n:"')) < 14_000
    assert estimate_input_tokens(json.dumps(text).encode()) == pytest.approx(10_000, abs=50)
    assert estimate_input_tokens(b"") == 0
    assert estimate_output_tokens(0, 0) == 0


@pytest.mark.parametrize(
    "body",
    [
        b'"base64"' + b'"data"' * 200_000,
        b'"base64"' + b'"data":"' * 200_000,
        b'"base64"' + b'"data":' + b" " * 2_000_000,
        b'"base64"' + b'"data":"' + b"x" * 2_000_000,
    ],
)
def test_an_estimate_takes_no_time_whatever_the_body(body: bytes) -> None:
    assert 0 < estimate_input_tokens(body) <= len(body)


# -- at the same time -------------------------------------------------------------------------------------------------


def test_so_many_at_once_and_no_more() -> None:
    """ERR-52, LIM-7, LIM-10: nobody can say when one of them ends, so no `retry-after`; a refusal takes nothing."""
    server = limited(rpm=100, concurrent=2)
    first, second = server.reserve(), server.reserve(HAIKU, count=True)
    for _ in range(5):
        error = server.refusal()
        assert error.message.startswith("Number of concurrent connections has exceeded your rate limit.")
        assert (error.status, error.kind, error.retry_after) == (429, "rate_limit_error", None)
        assert "retry-after" not in dict(error.headers())
        assert dict(error.headers())[f"{FAMILY}requests-remaining"] == "99"
    assert left(server, "requests") == 99
    second.release(status=200)
    server.reserve().release(status=200)
    first.release()
    first.release()
    assert passing(server) == 2


def test_a_key_may_have_its_own_number_at_once() -> None:
    """LIM-5."""
    tiers = {**tier("ten", concurrent=3), **tier("two", concurrent=2)}
    server = Limited(tiers=tiers, organization="ten", keys={"mine": "two"})
    assert passing(server, who=ME) == 2
    assert passing(server, who=YOU) == 1


def test_a_full_server_is_529_and_not_a_limit() -> None:
    """ERR-22, ERR-53: and it takes nothing from the limits."""
    limits = Limits(max_running=1)
    hold = done(limits.reserve())
    with pytest.raises(Overloaded, match=r"^Overloaded$"):
        done(limits.reserve())
    hold.release()
    done(limits.reserve())


# -- what is told -----------------------------------------------------------------------------------------------------


def test_the_headers_of_a_reply() -> None:
    """HDR-33, 34, 35: the recorded case: 50/49, 30000/28000, 8000/8000, 38000/36000."""
    server = limited(rpm=50, itpm=30_000, otpm=8_000)
    assert dict(server.reserve(text="x" * 7800).tell([("request-id", "req_1")], status=200)) == {
        "request-id": "req_1",
        f"{FAMILY}requests-limit": "50",
        f"{FAMILY}requests-remaining": "49",
        f"{FAMILY}requests-reset": "2026-11-21T10:00:02Z",  # 1.2 s
        f"{FAMILY}input-tokens-limit": "30000",
        f"{FAMILY}input-tokens-remaining": "28000",
        f"{FAMILY}input-tokens-reset": "2026-11-21T10:00:04Z",
        f"{FAMILY}output-tokens-limit": "8000",
        f"{FAMILY}output-tokens-remaining": "8000",
        f"{FAMILY}output-tokens-reset": "2026-11-21T10:00:00Z",
        f"{FAMILY}tokens-limit": "38000",
        f"{FAMILY}tokens-remaining": "36000",
        f"{FAMILY}tokens-reset": "2026-11-21T10:00:04Z",
    }


def test_reset_is_when_all_of_it_is_there_again() -> None:
    """HDR-33: not when the next request passes."""
    server = limited(rpm=60)
    server.clock.now = 1000.0
    for _ in range(60):
        server.reserve()
    error = server.refusal()
    assert (error.retry_after, dict(error.headers())[f"{FAMILY}requests-reset"]) == (1, "2026-11-21T10:17:40Z")


def test_tokens_tell_the_tightest_limit_in_force() -> None:
    """HDR-35: of a key's, the workspace's and the organization's that which has the least left."""
    tiers = {**tier("wide", itpm=100_000, otpm=20_000), **tier("low", tpm=40_000, rpm=7)}
    server = Limited(tiers=tiers, organization="wide", default_workspace="low")
    told = server.headers()
    assert (told[f"{FAMILY}tokens-limit"], told[f"{FAMILY}tokens-remaining"]) == ("40000", "40000")
    assert told[f"{FAMILY}input-tokens-limit"] == "100000"
    assert told[f"{FAMILY}requests-limit"] == "7"
    server.reserve(who=AWAY).release(used(90_000, 19_500), status=200)
    told = server.headers()
    assert (told[f"{FAMILY}tokens-limit"], told[f"{FAMILY}tokens-remaining"]) == ("120000", "10000")


@given(
    kind=st.sampled_from(["requests", "input-tokens", "output-tokens", "tokens"]),
    limit=LIMIT,
    left=st.floats(-1e9, 1) | st.floats(0, 1),
    full_at=st.floats(WALL, 1e13),
)
def test_what_is_left_is_never_more_than_the_limit_nor_less_than_nothing(
    kind: Any, limit: int, left: float, full_at: float
) -> None:
    """HDR-33, 34: tokens to the nearest thousand, where there are thousands."""
    left = min(left * limit, float(limit))
    told = dict(rate_limit_headers([Window(kind, limit, left, full_at)]))
    remaining = int(told[f"{FAMILY}{kind}-remaining"])
    assert 0 <= remaining <= limit == int(told[f"{FAMILY}{kind}-limit"])
    if kind == "requests" or limit < 1000:
        assert abs(remaining - max(0.0, left)) <= 1
    else:
        assert remaining % 1000 == 0 or remaining == limit
        assert abs(remaining - max(0.0, left)) <= 501
    assert told[f"{FAMILY}{kind}-reset"].endswith("Z")


def test_a_day_is_told_when_it_is_the_tightest() -> None:
    """HDR-35: in the family of tokens; `reset` may be a day away."""
    server = limited(tpm=40_000, tpd=100_000)
    server.reserve().release(used(30_000, 9_900), status=200)
    told = server.headers()
    assert (told[f"{FAMILY}tokens-limit"], told[f"{FAMILY}tokens-remaining"]) == ("40000", "0")
    server.clock.now += 60
    server.reserve().release(used(30_000, 9_900), status=200)
    server.clock.now += 60
    told = server.headers()
    assert (told[f"{FAMILY}tokens-limit"], told[f"{FAMILY}tokens-remaining"]) == ("100000", "20000")
    # 79,800 tokens and 24 of the request itself, by its estimate, at 0.864 s each
    assert told[f"{FAMILY}tokens-reset"] == "2026-11-22T05:09:28Z"
    only = limited(tpd=100_000).headers()
    assert {name.removeprefix(FAMILY) for name in only} == {"tokens-limit", "tokens-remaining", "tokens-reset"}


def test_our_limits_take_the_place_of_an_upstreams_but_on_its_own_429() -> None:
    """HDR-39."""
    theirs = [(f"{FAMILY}requests-limit", "5"), (f"{FAMILY}tokens-limit", "6"), ("retry-after", "9")]
    server = limited(rpm=50)
    hold = server.reserve()
    told = hold.tell(theirs, status=200)
    assert [(name, value) for name, value in told if name.endswith("-limit")] == [(f"{FAMILY}requests-limit", "50")]
    assert ("retry-after", "9") in told
    assert hold.tell(theirs, status=429) == theirs
    assert (f"{FAMILY}requests-limit", "50") in hold.tell([], status=429)
    assert Limited().reserve().tell(theirs, status=200) == theirs


# -- budgets, in the same step ----------------------------------------------------------------------------------------


class Spending:
    """Budgets of so many nano-dollars, of which each request may cost 10."""

    def __init__(self, *limits: int | None, spent: int = 0) -> None:
        self.is_on = True
        self.limits = limits
        self.told = spent
        self.asked = 0
        self.ended: list[str] = []

    def purses(self, asked: Asked, route: Route) -> list[Purse]:
        assert route.model_name
        return [Purse(f"budget_{place}", 100, 200, limit, 10) for place, limit in enumerate(self.limits)]

    async def spent(self, purse: Purse) -> int:
        self.asked += 1
        return self.told

    def refusal(self, purse: Purse, spent_nano: int) -> ApiError:
        return BillingProblem(f"{purse.budget_id}: {spent_nano}")

    def settled(self, purses: Sequence[Purse]) -> None:
        self.ended += [purse.budget_id for purse in purses]


async def spend(server: Limited, *, batched: bool = False, **more: Any) -> Hold:
    made = asked(OPUS, ME, **more)
    if batched:
        made = msgspec.structs.replace(made, call=msgspec.structs.replace(made.call, batched_for=ME))
    return await server.limits.reserve(made, server.router.route(OPUS))


async def test_a_budget_and_limits_are_taken_together_or_not_at_all() -> None:
    """LIM-7: what a budget refuses has taken nothing of a limit, and the other way round."""
    spending = Spending(35, None)
    server = Limited(tiers=tier(rpm=5, concurrent=4), organization="t", spending=spending)
    holds = [await spend(server) for _ in range(3)]
    for _ in range(9):
        with pytest.raises(BillingProblem, match=r"^budget_0: 30$"):
            await spend(server)
    assert spending.asked == 2
    holds[0].release(used(), status=200, cost_nano=4)
    holds[0].release(used(), status=200, cost_nano=4)
    assert list(holds[0].spends) == [("budget_0", 100), ("budget_1", 100)]
    assert spending.ended == ["budget_0", "budget_1"]
    holds.append(await spend(server))  # 34 of 35, the fourth of five
    with pytest.raises(BillingProblem, match=r"^budget_0: 34$"):
        await spend(server)
    for hold in holds:
        hold.release(used(), status=200, cost_nano=0)
    await spend(server)
    with pytest.raises(LimitReached):
        await spend(server)


async def test_what_the_ledger_says_was_spent_counts() -> None:
    server = Limited(spending=Spending(35, spent=20))
    await spend(server)
    with pytest.raises(BillingProblem, match=r"^budget_0: 30$"):
        await spend(server)


async def test_the_ledger_is_asked_once_when_all_ask_at_once() -> None:
    """The first second of a window: and one who hangs up takes nothing from the others."""

    class Slow(Spending):
        async def spent(self, purse: Purse) -> int:
            await asyncio.sleep(0.002)
            return await super().spent(purse)

    spending = Slow(250)
    server = Limited(spending=spending)
    asking = [asyncio.create_task(spend(server)) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(each, Hold) for each in ended) == 25
    assert sum(isinstance(each, BillingProblem) for each in ended) == 74
    assert (spending.asked, server.limits.running) == (1, 25)


async def test_a_ledger_that_is_away_is_told_to_all_who_ask() -> None:
    class Away(Spending):
        async def spent(self, purse: Purse) -> int:
            raise Unavailable("Budgets cannot be checked at the moment.")

    server = Limited(spending=Away(250))
    ended = await asyncio.gather(*(spend(server) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in ended] == [Unavailable] * 5
    assert server.limits.running == 0


async def test_budgets_count_for_batches_which_have_no_rate_limits() -> None:
    """LIM-6."""
    server = Limited(tiers=tier(rpm=1, concurrent=1), organization="t", spending=Spending(35))
    holds = [await spend(server, batched=True) for _ in range(3)]
    assert [hold.tell([], status=200) for hold in holds] == [[]] * 3
    with pytest.raises(BillingProblem):
        await spend(server, batched=True)


def test_counters_that_are_away_are_503_where_they_must_be_asked() -> None:
    """Issue 7: with nothing secret in it."""

    class Away(MemoryCounters):
        async def take(self, order: Order, now: float) -> Taking:
            raise StoreError("Redis at cache.internal:6379 is away")

    server = Limited(tiers=tier(rpm=1), organization="t")
    server.limits.counters = Away()
    with pytest.raises(Unavailable) as caught:
        server.reserve()
    assert "cache" not in caught.value.message
    assert server.limits.running == 0
    free = Limited()
    free.limits.counters = Away()
    free.reserve()
