"""Several targets behind one name, over real sockets: who answers when one of them does not."""

import asyncio
from typing import Any

import pytest
from canned import START, envelope, sse, then
from fakes import FAKES
from misbehaving import Conn, Handler, chunk, json_reply, refused_url, sse_head
from rawhttp import HELLO, Reply, events, exchange, post
from relaying import BEGUN
from routed import FAILURES, STREAM_FAILURES, answers, breaks_off, named, routed
from serving import Serving, wait_until

from dragoman.gateway.config.config import Secret

ASKING = {**HELLO, "model": "m"}


async def ask(server: Serving, **more: Any) -> Reply:
    answered = await exchange(server.url, post({**ASKING, **more}))
    await server.settled()
    return answered


def who(answered: Reply) -> str:
    """Whose whole answer it is."""
    assert answered.status == 200, answered.body
    if answered.body.startswith(b"{"):
        return str(answered.json()["content"][0]["text"])
    told = events(answered.body)
    assert [name for name, _ in told if name != "ping"] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    return "".join(data["delta"]["text"] for name, data in told if name == "content_block_delta")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_next_one_answers(failure: Handler, stream: bool) -> None:
    async with routed("", bad=failure, good=answers("good")) as (server, _):
        answered = await ask(server, stream=stream)
        assert who(answered) == "I am good"
        assert answered.header("dragoman-attempts") == "2"
        (row,) = server.rows
        assert (row["target"], row["outcome"], row["status"]) == ("good/claude-opus-4-8", "answered", "200")


@pytest.mark.parametrize("failure", STREAM_FAILURES.values(), ids=STREAM_FAILURES)
async def test_a_stream_that_fails_before_content_is_taken_over(failure: Handler) -> None:
    """Pain 26: an overload inside an event stream is seen as a failure, and the first event decides."""
    async with routed("", bad=failure, good=answers("good")) as (server, _):
        assert who(await ask(server, stream=True)) == "I am good"


async def test_nobody_listens() -> None:
    async with routed("", bad=refused_url(), good=answers("good")) as (server, _):
        assert who(await ask(server)) == "I am good"


async def test_a_slow_one_is_given_up_though_pings_have_begun() -> None:
    """The caller gets the head of a stream and pings after `ping_after_s`; another target may still answer."""
    slow = then(b"")
    async with routed("", timeout_s=0.6, settings="ping_after_s = 0.1", bad=slow, good=answers("good")) as (server, _):
        answered = await ask(server, stream=True)
        assert who(answered) == "I am good"
        assert b"event: ping" in answered.body.partition(b"message_start")[0]
        (row,) = server.rows
        assert (row["target"], row["outcome"]) == ("good/claude-opus-4-8", "answered")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_callers_own_errors_are_handed_on(status: int) -> None:
    """Pain 29: no attempt after an error that would come again."""
    bad = then(json_reply(envelope("invalid_request_error"), status=status), and_then="close")
    async with routed("", bad=bad, good=answers("good")) as (server, upstreams):
        answered = await ask(server)
        assert (answered.status, answered.header("dragoman-attempts")) == (status, "1")
        assert upstreams["good"].requests == []


async def test_after_content_a_failure_is_the_end() -> None:
    async with routed("", bad=then(BEGUN, and_then="reset"), good=answers("good")) as (server, upstreams):
        answered = await ask(server, stream=True)
        assert events(answered.body)[-1][0] == "error"
        assert upstreams["good"].requests == []
        assert server.rows[0]["outcome"] == "cut"


async def test_too_long_goes_to_a_longer_context_only() -> None:
    too_long = {**envelope("invalid_request_error")}
    too_long["error"] = {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}
    bad = then(json_reply(too_long, status=400), and_then="close")
    rule = 'targets = ["bad/claude-haiku-4-5", "same/claude-haiku-4-5", "good/claude-opus-4-8"]'
    async with routed(rule, bad=bad, same=answers("same"), good=answers("good")) as (server, upstreams):
        assert who(await ask(server)) == "I am good"
        assert upstreams["same"].requests == []


async def test_the_last_failure_is_told_and_attempts_are_bounded() -> None:
    """Pain 29: one number of attempts for all that is done for a request."""
    async with routed("attempts = 4", one=FAILURES["529"], two=FAILURES["500"]) as (server, upstreams):
        answered = await ask(server)
        assert answered.status in (500, 529)
        assert answered.json()["error"]["type"] in ("api_error", "overloaded_error")
        assert answered.header("dragoman-attempts") == "4"
        assert sum(len(each.requests) for each in upstreams.values()) == 4


async def test_a_target_that_fails_is_left_alone_after_a_while() -> None:
    async with routed("", bad=FAILURES["500"], good=answers("good")) as (server, upstreams):
        for _ in range(12):
            assert who(await ask(server)) == "I am good"
        assert len(upstreams["bad"].requests) == 5


async def test_what_callers_do_wrong_takes_no_target_away() -> None:
    """Pain 30: 20 bad requests by one caller, and the others are served."""
    bad = json_reply(envelope("invalid_request_error"), status=400)

    async def handler(conn: Any) -> None:
        while (request := await conn.read_request()) is not None:
            await conn.send(bad if b"wrong" in request.body else json_reply(named("one")))

    async with routed("", one=handler, other=answers("other")) as (server, upstreams):
        for _ in range(20):
            assert (await ask(server, metadata={"user_id": "wrong"})).status == 400
        assert (await ask(server)).status == 200
        assert upstreams["other"].requests == []


async def test_one_target_alone_is_asked_once_and_never_taken_away() -> None:
    async with routed("", bad=FAILURES["529"]) as (server, upstreams):
        for _ in range(8):
            answered = await ask(server)
            assert (answered.status, answered.header("dragoman-attempts")) == (529, None)
        assert len(upstreams["bad"].requests) == 8


async def test_a_conversation_stays_where_it_is_warm_until_that_fails() -> None:
    """Pain 51: 20 turns over three equal targets stay on one, until it fails."""
    failing: set[str] = set()

    them = {name: answers(name, failing=failing) for name in "abc"}
    async with routed('policy = "weighted"', **them) as (server, _):
        turns: list[dict[str, str]] = [{"role": "user", "content": "Hello"}]
        seen = set()
        for number in range(20):
            seen.add(who(await ask(server, messages=turns)))
            turns += [{"role": "assistant", "content": "Yes"}, {"role": "user", "content": f"And {number}?"}]
        assert len(seen) == 1
        home = seen.pop()[-1]
        failing.add(home)
        moved = {who(await ask(server, messages=turns)) for _ in range(5)}
        assert len(moved) == 1
        assert moved != {f"I am {home}"}


async def test_conditions_choose_the_targets() -> None:
    rule = """targets = ["plain/claude-haiku-4-5"]
    [[models.m.when]]
    tools = true
    targets = ["tooled/claude-opus-4-8"]
    """
    tool = {"name": "t", "input_schema": {"type": "object"}}
    async with routed(rule, plain=answers("plain"), tooled=answers("tooled")) as (server, _):
        assert who(await ask(server)) == "I am plain"
        assert who(await ask(server, tools=[tool])) == "I am tooled"
        assert who(await ask(server, tools=[])) == "I am plain"


async def test_a_pattern_is_for_all_names_that_fit() -> None:
    rule = """targets = ["a/claude-haiku-4-5"]
    [models."*sonnet*"]
    targets = ["b/x"]
    [models."claude-*"]
    targets = ["a/*"]
    """
    async with routed(rule, a=answers("a"), b=answers("b")) as (server, upstreams):
        for model, expected in (("claude-sonnet-4-6", "I am b"), ("claude-opus-4-8", "I am a"), ("m", "I am a")):
            assert who(await ask(server, model=model)) == expected
        assert upstreams["b"].requests[0].json()["model"] == "x"
        assert [each.json()["model"] for each in upstreams["a"].requests] == ["claude-opus-4-8", "claude-haiku-4-5"]


async def test_three_lines_map_the_names_of_claude_code_to_any_three_models() -> None:
    with FAKES["openai_chat"].make() as fake:
        lines = '"*opus*" = "fake/gpt-4o"\n"*sonnet*" = "a/mine"\n"*haiku*" = "offline/claude-haiku-4-5"\n'
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f'targets = ["a/x"]\n[models]\n{lines}[providers.offline]\n[providers.fake]\n{table}\n'
        async with routed(rule, a=answers("a")) as (server, upstreams):
            for model in ("claude-opus-4-8", "claude-sonnet-4-6", "claude-sonnet-4-6[1m]", "claude-haiku-4-5-20251001"):
                assert (await ask(server, model=model)).status == 200
            targets = [row["target"] for row in server.rows]
            assert targets == ["fake/gpt-4o", "a/mine", "a/mine", "offline/claude-haiku-4-5"]
            assert [each["model"] for each in fake.bodies] == ["gpt-4o"]
            assert [each.json()["model"] for each in upstreams["a"].requests] == ["mine", "mine"]


# Replies that are given again


CACHED = "cache_s = 60"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_very_same_request_gets_the_same_answer(stream: bool) -> None:
    async with routed(CACHED, a=answers("a")) as (server, upstreams):
        first, again, other = [await ask(server, stream=stream, max_tokens=n) for n in (10, 10, 11)]
        assert (who(first), who(again), who(other)) == ("I am a",) * 3
        assert [each.header("dragoman-cache") for each in (first, again, other)] == ["miss", "hit", "miss"]
        assert len(upstreams["a"].requests) == 2
        ids = {each.body.partition(b'"id":')[2][:30] for each in (first, again)}
        assert len(ids) == 2, "each reply has an id of its own"
        assert first.header("content-type") == again.header("content-type")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_of_many_equal_requests_one_is_asked(stream: bool) -> None:
    async with routed(CACHED, a=answers("a")) as (server, upstreams):
        replies = await asyncio.gather(*(exchange(server.url, post({**ASKING, "stream": stream})) for _ in range(20)))
        assert {who(each) for each in replies} == {"I am a"}
        assert len(upstreams["a"].requests) == 1


async def test_what_brings_tools_and_what_fails_is_asked_each_time() -> None:
    failing = {"a"}
    async with routed(CACHED, a=answers("a", failing=failing)) as (server, upstreams):
        assert [(await ask(server)).status for _ in range(2)] == [529, 529]
        failing.clear()
        tool = {"name": "t", "input_schema": {"type": "object"}}
        for _ in range(2):
            assert (await ask(server, tools=[tool])).header("dragoman-cache") is None
        assert len(upstreams["a"].requests) == 4


async def test_who_waits_for_the_same_goes_on_when_the_first_one_leaves() -> None:
    came = asyncio.Event()

    async def handler(conn: Conn) -> None:
        if not came.is_set():
            await conn.read_request()
            came.set()
            await conn.wait_closed()
        else:
            await answers("a")(conn)

    async with routed(CACHED, timeout_s=5.0, a=handler) as (server, _):
        first = asyncio.create_task(exchange(server.url, post(ASKING)))
        await came.wait()
        second = asyncio.create_task(exchange(server.url, post(ASKING)))
        await wait_until(lambda: server.running == 2)
        first.cancel()
        assert who(await second) == "I am a"


# Places and keys


async def test_beyond_its_places_and_queue_a_provider_sheds_load() -> None:
    """ERR-22: no capacity is 529, with a time to come again."""
    async with routed("", timeout_s=5.0, each="max_concurrent = 1\nqueue = 1", a=then(b"")) as (server, upstreams):
        waiting = [asyncio.create_task(exchange(server.url, post(ASKING))) for _ in range(2)]
        await wait_until(lambda: server.running == 2 and len(upstreams["a"].requests) == 1)
        refused = await exchange(server.url, post(ASKING))
        assert (refused.status, refused.json()["error"]["type"]) == (529, "overloaded_error")
        assert refused.header("retry-after")
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_several_keys_take_turns_and_a_refused_one_rests() -> None:
    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            if request.header("x-api-key") == "sk-two":
                await conn.send(json_reply(envelope("authentication_error"), status=401))
            else:
                await conn.send(json_reply(named("a")))

    async with routed("", a=handler) as (server, upstreams):
        server.gateway.upstream.use_keys("a", [Secret("sk-one"), Secret("sk-two"), Secret("sk-three")])
        for _ in range(6):
            assert who(await ask(server)) == "I am a"
        shown = [each.header("x-api-key") for each in upstreams["a"].requests]
        assert shown.count("sk-two") == 1
        assert set(shown) == {"sk-one", "sk-two", "sk-three"}


# Two at once


def known_as_quick(server: Serving, name: str) -> None:
    now = server.gateway.clock()
    for stream in (False, True) * 5:
        pace = f"{name}/claude-opus-4-8", stream
        server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_when_the_first_one_is_slow_the_second_one_is_asked_too(stream: bool) -> None:
    async with routed("hedge = true", timeout_s=5.0, slow=then(b""), good=answers("good")) as (server, upstreams):
        known_as_quick(server, "slow")
        answered = await ask(server, stream=stream)
        assert (who(answered), answered.header("dragoman-attempts")) == ("I am good", "2")
        await wait_until(lambda: upstreams["slow"].open_conns == 0)
        rows = {row["request_id"]: row for row in server.rows}
        request_id = answered.header("request-id") or ""
        assert set(rows) == {request_id, f"{request_id}.2"}
        assert (rows[request_id]["target"], rows[request_id]["outcome"]) == ("good/claude-opus-4-8", "answered")
        lost = rows[f"{request_id}.2"]
        assert (lost["target"], lost["outcome"], lost["error"]) == ("slow/claude-opus-4-8", "abandoned", "hedged")


async def test_a_quick_one_is_asked_alone() -> None:
    async with routed("hedge = true", timeout_s=5.0, quick=answers("quick"), other=answers("other")) as (server, ups):
        assert who(await ask(server)) == "I am quick"
        assert ups["other"].requests == []
        assert len(server.rows) == 1


async def test_when_the_slow_one_comes_first_after_all_the_other_is_stopped() -> None:
    asked = asyncio.Event()

    async def slow(conn: Conn) -> None:
        await conn.read_request()
        await asked.wait()
        await conn.send(json_reply(named("slow"), ("connection", "close")))

    async def never(conn: Conn) -> None:
        await conn.read_request()
        asked.set()
        await conn.wait_closed()

    async with routed("hedge = true", timeout_s=5.0, slow=slow, never=never) as (server, upstreams):
        known_as_quick(server, "slow")
        assert who(await ask(server)) == "I am slow"
        await wait_until(lambda: upstreams["never"].open_conns == 0)
        assert sorted(row["target"] for row in server.rows) == ["never/claude-opus-4-8", "slow/claude-opus-4-8"]


async def test_when_both_fail_the_attempts_go_on() -> None:
    async with routed("hedge = true", timeout_s=0.3, a=then(b""), b=then(b""), c=answers("c")) as (server, _):
        known_as_quick(server, "a")
        answered = await ask(server)
        assert (who(answered), answered.header("dragoman-attempts")) == ("I am c", "3")
        assert sum(server.gateway.dispatch._running.values()) == 0


async def test_a_caller_who_leaves_stops_both() -> None:
    """Pain 27: within a second, hedged ones too."""
    async with routed("hedge = true", timeout_s=9.0, a=then(b""), b=then(b"")) as (server, upstreams):
        known_as_quick(server, "a")
        waiting = asyncio.create_task(exchange(server.url, post(ASKING)))
        await wait_until(lambda: len(upstreams["b"].requests) == 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await wait_until(lambda: upstreams["a"].open_conns == 0 and upstreams["b"].open_conns == 0, within_s=1.0)
        await server.settled()
        assert sum(server.gateway.dispatch._running.values()) == 0
        assert [row["outcome"] for row in server.rows] == ["abandoned"] * 2


# Streams that break off


CONTINUED = "continue_cut = true"


def text_of(answered: Reply) -> str:
    return "".join(data["delta"]["text"] for name, data in events(answered.body) if name == "content_block_delta")


async def test_another_target_goes_on_in_the_same_stream() -> None:
    async with routed(CONTINUED, bad=breaks_off("One two", " three"), good=answers("good")) as (server, upstreams):
        answered = await ask(server, stream=True, max_tokens=100)
        assert [name for name, _ in events(answered.body) if name not in ("ping", "content_block_delta")] == [
            "message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop",
        ]  # fmt: skip
        assert (text_of(answered), answered.header("dragoman-attempts")) == ("One two threeI am good", "1")
        sent = upstreams["good"].requests[0].json()
        assert sent["messages"][: len(ASKING["messages"])] == ASKING["messages"]
        assert sent["messages"][-2] == {"role": "assistant", "content": [{"type": "text", "text": "One two three"}]}
        assert sent["messages"][-1]["role"] == "user"
        assert sent["max_tokens"] == 97
        request_id = answered.header("request-id") or ""
        rows = {row["request_id"]: row for row in server.rows}
        assert (rows[request_id]["outcome"], rows[request_id]["target"]) == ("answered", "good/claude-opus-4-8")
        joined = rows[f"{request_id}.2"]
        assert (joined["outcome"], joined["error"], joined["target"]) == ("cut", "continued", "bad/claude-opus-4-8")


async def test_whoever_takes_a_prefill_gets_one() -> None:
    rule = f'targets = ["bad/claude-opus-4-8", "good/claude-haiku-4-5"]\n{CONTINUED}'
    async with routed(rule, bad=breaks_off("One two "), good=answers("good")) as (server, upstreams):
        answered = await ask(server, stream=True)
        assert text_of(answered) == "One two I am good"
        sent = upstreams["good"].requests[0].json()
        assert sent["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "One two"}]}


async def test_it_may_break_off_more_than_once() -> None:
    handlers = {"a": breaks_off("One"), "b": breaks_off(" two"), "c": answers("c")}
    async with routed(CONTINUED, **handlers) as (server, upstreams):
        answered = await ask(server, stream=True)
        assert text_of(answered) == "One twoI am c"
        assert upstreams["c"].requests[0].json()["messages"][-2]["content"][0]["text"] == "One two"
        assert len(server.rows) == 3


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}},
        {"type": "thinking", "thinking": "", "signature": ""},
    ],
    ids=["tool", "thinking"],
)
async def test_never_inside_a_tool_input_or_a_thinking_block(block: dict[str, Any]) -> None:
    delta = {
        "tool_use": {"type": "input_json_delta", "partial_json": '{"a":'},
        "thinking": {"type": "thinking_delta", "thinking": "Hm"},
    }[block["type"]]
    start = {"type": "content_block_start", "index": 0, "content_block": block}
    piece = {"type": "content_block_delta", "index": 0, "delta": delta}
    bad = then(sse_head() + chunk(sse(START, start, piece)), and_then="reset")
    async with routed(CONTINUED, bad=bad, good=answers("good")) as (server, upstreams):
        answered = await ask(server, stream=True)
        assert events(answered.body)[-1][0] == "error"
        assert upstreams["good"].requests == []
        assert server.rows[0]["outcome"] == "cut"


async def test_when_nobody_can_go_on_the_error_is_told() -> None:
    async with routed(f"{CONTINUED}\nattempts = 2", a=breaks_off("One"), b=FAILURES["529"]) as (server, _):
        answered = await ask(server, stream=True)
        assert (text_of(answered), events(answered.body)[-1][0]) == ("One", "error")
        outcomes = {row["outcome"] for row in server.rows if "." not in row["request_id"]}
        assert outcomes == {"cut"}
        assert sum(server.gateway.dispatch._running.values()) == 0


# What would be done


async def test_the_explanation_is_what_is_done() -> None:
    async with routed("", bad=FAILURES["500"], good=answers("good")) as (server, upstreams):
        for _ in range(6):
            await ask(server)
        before = len(upstreams["bad"].requests)
        told = await exchange(server.url, post(ASKING, path="/v1/dragoman/route"))
        found = told.json()
        assert (found["policy"], found["order"]) == ("ordered", ["good/claude-opus-4-8", "bad/claude-opus-4-8"])
        assert [(each["place"], each["is_well"]) for each in found["targets"]] == [(1, False), (0, True)]
        assert found["targets"][1]["expected_first_token_s"] > 0
        assert len(upstreams["bad"].requests) == before


async def test_an_explanation_needs_a_key_and_a_request() -> None:
    async with routed("", a=answers("a")) as (server, _):
        assert (await exchange(server.url, post(ASKING, path="/v1/dragoman/route", key="no"))).status == 401
        wrong = await exchange(server.url, post({"messages": []}, path="/v1/dragoman/route"))
        assert (wrong.status, wrong.json()["error"]["message"]) == (400, "model: Field required")
