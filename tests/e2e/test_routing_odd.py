"""Several targets behind one name, and what is not usual: odd requests, odd upstreams, other dialects and features."""

import asyncio
import json
from typing import Any

import pytest
from canned import BLOCK, COUNT, DELTA, END, MESSAGE, START, envelope, sse, then
from fakes import FAKES
from misbehaving import LAST_CHUNK, Conn, Handler, chunk, json_reply, refused_url, sse_head
from rawhttp import HELLO, Reply, error, events, exchange, json_bytes, post, request
from routed import FAILURES, answers, breaks_off, named, routed
from serving import Serving, wait_until

from dragoman.gateway.config.config import Secret
from dragoman.store.keys import KeyChanges

ASKING = {**HELLO, "model": "m"}
TARGET = "bad/claude-opus-4-8"
TOOL = {"name": "t", "input_schema": {"type": "object"}}


async def ask(server: Serving, *headers: tuple[str, str], path: str = "/v1/messages", **more: Any) -> Reply:
    answered = await exchange(server.url, post({**ASKING, **more}, *headers, path=path))
    await server.settled()
    return answered


def text(answered: Reply) -> str:
    assert answered.status == 200, answered.body
    if answered.body.startswith(b"{"):
        return str(answered.json()["content"][0]["text"])
    return "".join(data["delta"]["text"] for name, data in events(answered.body) if name == "content_block_delta")


# Requests

DEEP = "[" * 900 + "]" * 900
ODD: dict[str, bytes] = {
    name: json_bytes(ASKING)[:-1] + b"," + more.encode() + b"}"
    for name, more in {
        "messages are a number": '"messages":7',
        "messages are none": '"messages":[]',
        "messages are null": '"messages":null',
        "a message is text": '"messages":["Hello"]',
        "content is a number": '"messages":[{"role":"user","content":7}]',
        "content holds a number": '"messages":[{"role":"user","content":[7,null,"x"]}]',
        "a block without a type": '"messages":[{"role":"user","content":[{}]}]',
        "max_tokens is text": '"max_tokens":"x"',
        "max_tokens is huge": '"max_tokens":1' + "0" * 400,
        "max_tokens is negative": '"max_tokens":-1',
        "tools are an object": '"tools":{}',
        "tools are text": '"tools":"x"',
        "deep content": f'"messages":[{{"role":"user","content":{DEEP}}}]',
        "a deep block": f'"messages":[{{"role":"user","content":[{{"type":"x","y":{DEEP}}}]}}]',
        "deep metadata": f'"metadata":{DEEP}',
        "very deep": '"metadata":' + "[" * 100_000 + "]" * 100_000,
        "half a character": '"messages":[{"role":"user","content":"\\ud800"}]',
        "a doubled field": '"max_tokens":5,"max_tokens":6',
        "system is a number": '"system":7',
        "thread is a number": '"thread":7',
    }.items()
}
EVERYTHING = 'policy = "cheapest"\nhedge = true\ncontinue_cut = true\ncache_s = 60'
RULES = {"ordered": "", "fastest": 'policy = "fastest"', "everything": EVERYTHING}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_odd_requests_are_answered_or_refused(rule: str) -> None:
    """By upstreams that take anything; and nothing of it is a fault of ours, which leaving the server checks."""

    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            await conn.send(json_reply(COUNT if asked.target.endswith("count_tokens") else named("a")))

    async with routed(rule, a=handler, b=handler) as (server, _):
        for name, body in ODD.items():
            for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/dragoman/route"):
                answered = await exchange(server.url, post(body, path=path))
                assert answered.status in (200, 400), (name, path, answered.body[:300])
        await server.settled()
        assert not any(server.gateway.dispatch._running.values())


async def test_odd_requests_that_break_off_are_refused_or_end() -> None:
    """To go on, the messages must be understood."""
    async with routed(EVERYTHING, a=breaks_off("One", and_then="close"), b=answers("b")) as (server, _):
        for name, body in ODD.items():
            streamed = body[:-1] + b',"stream":true}'
            answered = await exchange(server.url, post(streamed))
            assert answered.status in (200, 400), (name, answered.body[:300])
            if answered.status == 200:
                assert events(answered.body)[-1][0] in ("message_stop", "error")


async def test_large_requests() -> None:
    large = [{"type": "text", "text": "y" * 3_000_000}, {"type": "text", "text": "z"}]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 3_000_000}}
    async with routed(EVERYTHING, bad=FAILURES["500"], good=answers("good")) as (server, upstreams):
        for content in (large, [image], [image] * 3):
            assert text(await ask(server, messages=[{"role": "user", "content": content}])) == "I am good"
        assert [len(each.body) > 3_000_000 for each in upstreams["good"].requests] == [True] * 3


async def test_when_nobody_can_take_it_all_are_named() -> None:
    rule = 'targets = ["a/claude-haiku-4-5", "a/claude-3-haiku-20240307"]'
    async with routed(rule, a=answers("a")) as (server, upstreams):
        answered = await ask(server, messages=[{"role": "user", "content": "x" * 1_100_000}])
        told = error(answered, 400)["message"]
        assert told.startswith("model: no target of m can take this request (a/claude-haiku-4-5: about 275,0")
        assert "; a/claude-3-haiku-20240307: about 275,0" in told
        assert upstreams["a"].requests == []


# Upstreams


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": "many", "output_tokens": None},
        {"input_tokens": -5, "output_tokens": 1},
        {"input_tokens": 1e300, "output_tokens": 10**30},
        {"input_tokens": 5, "output_tokens": True, "cache_read_input_tokens": {}},
        {},
        None,
    ],
    ids=["words", "negative", "huge", "other types", "empty", "null"],
)
@pytest.mark.parametrize("rule", [*RULES.values()], ids=RULES)
async def test_usage_that_makes_no_sense_is_no_fault_of_ours(usage: Any, rule: str) -> None:
    """And teaches routing nothing."""
    whole = {**MESSAGE, "usage": usage}
    start = {**START, "message": {**START["message"], "usage": usage}}
    end = [END[0], {**END[1], "usage": usage}, END[2]]

    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            is_stream = asked.json().get("stream")
            await conn.send(
                sse_head() + chunk(sse(start, BLOCK, DELTA, *end)) + LAST_CHUNK if is_stream else json_reply(whole)
            )

    async with routed(rule, a=handler, b=answers("b")) as (server, _):
        for stream in (False, True, False):
            answered = await ask(server, stream=stream)
            assert answered.status in (200, 502), answered.body
        assert not any(server.gateway.dispatch._running.values())
        assert server.running == 0


STRANGE: dict[str, list[dict[str, Any]]] = {
    "a block without an index": [START, {"type": "content_block_start", "content_block": {"type": "text"}}],
    "a block that is none": [START, {**BLOCK, "content_block": None}],
    "a delta without text": [START, BLOCK, {**DELTA, "delta": {"type": "text_delta"}}],
    "a text that is none": [START, BLOCK, {**DELTA, "delta": {"type": "text_delta", "text": 7}}],
    "an index that is none": [START, {**BLOCK, "index": "x"}],
}


@pytest.mark.parametrize("which", ["a", "b"], ids=["first", "goes on"])
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_strange_streams_are_no_fault_of_ours(strange: list[dict[str, Any]], which: str) -> None:
    odd = then(sse_head() + chunk(sse(*strange)), and_then="close")
    first, second = (odd, answers("b")) if which == "a" else (breaks_off("One", and_then="close"), odd)
    async with routed("continue_cut = true\nattempts = 2", a=first, b=second) as (server, _):
        answered = await ask(server, stream=True)
        assert answered.status in (200, 502)
        assert server.rows[-1]["outcome"] in ("cut", "refused", "answered")
        assert not any(server.gateway.dispatch._running.values())


async def test_attempts_are_told_though_nobody_answers() -> None:
    async with routed("", one=refused_url(), two=refused_url()) as (server, _):
        answered = await ask(server)
        assert (answered.status, answered.header("dragoman-attempts")) == (502, "3")


async def test_the_last_ones_wish_to_be_left_alone_is_heard() -> None:
    """A 429 of the last target asked cools it as long as it says, not a second."""
    bad = FAILURES["429"]
    busy = then(json_reply(envelope("rate_limit_error"), ("retry-after", "90"), status=429), and_then="close")
    async with routed("", bad=bad, busy=busy) as (server, _):
        await ask(server)
        dispatch, route = server.gateway.dispatch, server.gateway.router.candidates("m").routes[1]
        assert dispatch.breaker(route).wait_s(server.gateway.clock()) > 60


async def test_one_that_fails_at_once_is_not_quick() -> None:
    async with routed('policy = "fastest"', bad=FAILURES["500"], good=answers("good")) as (server, _):
        for _ in range(4):
            assert text(await ask(server)) == "I am good"
        assert server.gateway.dispatch.speeds.expected((TARGET, False), server.gateway.clock()) is None


async def test_a_race_that_both_lose_is_accounted_for_to_whoever_answers() -> None:
    async with routed("hedge = true", timeout_s=0.3, a=then(b""), b=FAILURES["529"], c=answers("c")) as (server, _):
        now = server.gateway.clock()
        for _ in range(5):
            pace = "a/claude-opus-4-8", False
            server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)
        answered = await ask(server)
        assert (text(answered), answered.header("dragoman-attempts")) == ("I am c", "3")
        rows = {row["request_id"].partition(".")[2]: row for row in server.rows}
        assert (rows[""]["target"], rows[""]["outcome"]) == ("c/claude-opus-4-8", "answered")
        assert (rows["2"]["target"], rows["2"]["outcome"]) == ("b/claude-opus-4-8", "refused")
        assert len(rows) == 2


async def test_a_race_is_not_run_with_one_that_is_ill() -> None:
    async with routed("hedge = true", timeout_s=5.0, a=answers("a"), b=answers("b")) as (server, upstreams):
        dispatch = server.gateway.dispatch
        a, b = server.gateway.router.candidates("m").routes
        dispatch.speeds.note((a.target, False), server.gateway.clock(), first_s=0.0, output_tokens=1, rest_s=None)
        for _ in range(5):
            dispatch.breaker(b).failed(server.gateway.clock())
        assert text(await ask(server)) == "I am a"
        assert upstreams["b"].requests == []


@pytest.mark.parametrize(
    "sent",
    [chunk(sse(START, BLOCK, DELTA)), chunk(sse(START, BLOCK, DELTA, envelope())) + LAST_CHUNK, b""],
    ids=["cut", "error late", "empty"],
)
async def test_an_error_after_pings_names_the_request_as_the_header_does(sent: bytes) -> None:
    """ERR-2: by then our own id has gone out, not the upstream's."""

    async def slow(conn: Conn) -> None:
        await conn.read_request()
        await asyncio.sleep(0.1)
        await conn.send(sse_head(("request-id", "req_011CUpstreamsOwn")) + sent)

    async with routed("attempts = 1", settings="ping_after_s = 0.02", timeout_s=5.0, a=slow, b=slow) as (server, _):
        answered = await ask(server, stream=True)
        name, data = events(answered.body)[-1]
        assert (name, data["request_id"]) == ("error", answered.header("request-id"))


async def test_an_error_of_who_goes_on_names_the_request_as_the_header_does() -> None:
    goes_on = sse_head(("request-id", "req_other")) + chunk(sse(START, BLOCK, DELTA, envelope())) + LAST_CHUNK
    async with routed("continue_cut = true\nattempts = 2", a=breaks_off("One"), b=then(goes_on)) as (server, _):
        answered = await ask(server, stream=True)
        name, data = events(answered.body)[-1]
        assert (name, data["request_id"]) == ("error", answered.header("request-id"))


# Budgets


@pytest.mark.parametrize(
    ("rule", "stream", "times"),
    [("", True, 1), ("hedge = true", False, 2), ("continue_cut = true", True, 3), ("continue_cut = true", False, 1)],
)
async def test_a_budget_holds_whatever_is_paid_for_one_request(rule: str, stream: bool, times: int) -> None:
    """As many as may be paid are reserved, of the dearest."""
    body = {**ASKING, "max_tokens": 1000, "stream": stream}
    # Opus, for its output alone: 1000 x 25 of a million = 0.025 dollars each.
    for dollars, status in ((0.025 * times, 402), (0.027 * times, 200)):
        told = f'{rule}\n[[budgets]]\nscope = "organization"\nusd = {dollars:.3f}\nperiod = "day"\n'
        targets = 'targets = ["a/claude-haiku-4-5", "b/claude-opus-4-8"]\n'
        prices = '[prices."a/*"]\ninput = 1\noutput = 5\n[prices."b/*"]\ninput = 5\noutput = 25\n'
        async with routed(targets + told + prices, a=answers("a"), b=answers("b")) as (server, _):
            answered = await exchange(server.url, post(body))
            assert answered.status == status, answered.body
            await server.settled()


# Keys


async def test_one_keys_limit_does_not_take_the_target_away() -> None:
    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            if asked.header("x-api-key") == "sk-one":
                await conn.send(json_reply(envelope("rate_limit_error"), ("retry-after", "60"), status=429))
            else:
                await conn.send(json_reply(named("a")))

    async with routed("", a=handler, b=answers("b")) as (server, _):
        server.gateway.upstream.use_keys("a", [Secret("sk-one"), Secret("sk-two")])
        for _ in range(4):
            assert text(await ask(server)) == "I am a"


# What callers do to themselves


@pytest.mark.parametrize("fault", ['kind = "cut"\nafter = 1', 'kind = "error"\ntype = "overloaded_error"\nafter = 1'])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_faults_on_demand_do_not_count_against_the_target(fault: str, stream: bool) -> None:
    """A breaker hears of an upstream's own faults alone (pain 30)."""
    rule = f'targets = ["a/claude-opus-4-8", "b/claude-opus-4-8"]\n[[faults]]\n{fault}\n'
    async with routed(rule, a=answers("a"), b=answers("b")) as (server, upstreams):
        for _ in range(8):
            try:
                await ask(server, stream=stream)
            except (EOFError, ConnectionError):
                await server.settled()
        assert len(upstreams["a"].requests) == 8
        (route, _) = server.gateway.router.candidates("m").routes
        assert server.gateway.dispatch.breaker(route).state(server.gateway.clock()) == "closed"


async def test_what_one_dialect_cannot_carry_another_may() -> None:
    """`dragoman-strict`: all of it or nothing; so the next target is asked, and the first one is not ill."""
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f'targets = ["fake/gpt-4o", "good/claude-opus-4-8"]\n[providers.fake]\n{table}\n'
        async with routed(rule, good=answers("good")) as (server, _):
            strict = ("dragoman-strict", "true")
            assert text(await ask(server, strict, top_k=5)) == "I am good"
            assert fake.bodies == []
            answered = await ask(server, top_k=5)
            assert (answered.status, answered.header("dragoman-lost")) == (200, "top_k")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("other", ["offline/claude-opus-4-8", "fake/gpt-4o"])
async def test_another_dialect_takes_over(other: str, stream: bool) -> None:
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f'targets = ["bad/claude-opus-4-8", "{other}"]\n{EVERYTHING.replace("cheapest", "ordered")}\n'
        rule += f"[providers.offline]\n[providers.fake]\n{table}\n"
        for bad in (FAILURES["529"], FAILURES["reset"]):
            async with routed(rule, bad=bad) as (server, _):
                answered = await ask(server, stream=stream)
                assert text(answered)
                assert answered.header("dragoman-attempts") == "2"
                assert server.rows[-1]["target"] == other
                again = await ask(server, stream=stream)
                assert (text(again), again.header("dragoman-cache")) == (text(answered), "hit")


@pytest.mark.parametrize("other", ["offline/claude-opus-4-8", "fake/gpt-4o"])
async def test_another_dialect_goes_on(other: str) -> None:
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f'targets = ["bad/claude-opus-4-8", "{other}"]\ncontinue_cut = true\n'
        rule += f"[providers.offline]\n[providers.fake]\n{table}\n"
        async with routed(rule, bad=breaks_off("Once upon")) as (server, _):
            answered = await ask(server, stream=True)
            assert text(answered).startswith("Once upon")
            assert len(text(answered)) > len("Once upon")
            assert events(answered.body)[-1][0] == "message_stop"


async def test_a_prompt_too_long_for_our_own_engine_goes_to_a_longer_context() -> None:
    rule = 'targets = ["offline/claude-haiku-4-5", "good/claude-opus-4-8"]\n[providers.offline]\n'
    async with routed(rule, good=answers("good")) as (server, _):
        words = "word " * 180_000  # not too long for sure, as we count beforehand
        answered = await ask(server, messages=[{"role": "user", "content": words}])
        assert text(answered) in ("I am good",) or server.rows[-1]["target"].startswith("offline")


# Other operations and features


async def test_tokens_are_counted_by_the_next_one() -> None:
    async def counts(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(json_reply(COUNT))

    async with routed(EVERYTHING, bad=FAILURES["529"], good=counts) as (server, upstreams):
        answered = await ask(server, path="/v1/messages/count_tokens")
        assert (answered.status, answered.json()) == (200, COUNT)
        assert [row["operation"] for row in server.rows] == ["/v1/messages/count_tokens"]
        assert len(upstreams["good"].requests) == 1


async def test_a_batch_over_a_route() -> None:
    async with routed("", bad=FAILURES["500"], good=answers("good")) as (server, _):
        body = {"requests": [{"custom_id": f"r{n}", "params": ASKING} for n in range(3)]}
        made = (await exchange(server.url, post(body, path="/v1/messages/batches"))).json()
        path = f"/v1/messages/batches/{made['id']}"

        async def status() -> str:
            return str((await exchange(server.url, request("GET", path))).json()["processing_status"])

        async with asyncio.timeout(15):
            while await status() != "ended":  # noqa: ASYNC110 (the server knows no event of the tests)
                await asyncio.sleep(0.01)
        results = await exchange(server.url, request("GET", f"{path}/results"))
        lines = [json.loads(line) for line in results.body.splitlines()]
        assert [line["result"]["message"]["content"][0]["text"] for line in lines] == ["I am good"] * 3


BETA = ("anthropic-beta", "message-threads-2026-08-12")


async def test_a_thread_over_a_route_is_answered_anew_each_time() -> None:
    """Two equal requests of threads have two places in two conversations: neither is out of the cache."""
    async with routed("cache_s = 60", bad=FAILURES["529"], good=answers("good")) as (server, upstreams):
        for _ in range(2):
            answered = await ask(server, BETA, thread={"type": "create"})
            assert text(answered) == "I am good"
            assert answered.header("dragoman-cache") is None
        assert len(upstreams["good"].requests) == 2
        assert all("thread" not in each.json() for each in upstreams["good"].requests)


async def test_a_file_is_in_the_request_to_whoever_answers() -> None:
    async with routed("", bad=FAILURES["529"], good=answers("good")) as (server, upstreams):
        form = (
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n'
            b"All of it\r\n--x--\r\n"
        )
        given = ("content-type", "multipart/form-data; boundary=x"), ("anthropic-beta", "files-api-2025-04-14")
        made = (await exchange(server.url, request("POST", "/v1/files", form, *given))).json()
        block = {"type": "document", "source": {"type": "file", "file_id": made["id"]}}
        turns = [{"role": "user", "content": [block]}]
        assert text(await ask(server, given[1], messages=turns)) == "I am good"
        for upstream in upstreams.values():
            (sent,) = upstream.requests
            assert sent.json()["messages"][0]["content"][0]["source"]["data"] == "All of it"


async def test_who_may_not_ask_one_of_them_may_not_ask_for_the_explanation() -> None:
    """A model that a key may not ask is not there for it, whatever the request; an alias goes by what it stands for."""
    rule = 'targets = ["a/claude-haiku-4-5", "a/claude-opus-4-8"]\n[models.small]\ntargets = ["a/claude-haiku-4-5"]\n'
    async with routed(rule, a=answers("a")) as (server, _):
        key, _ = await server.gateway.auth.create("one", terms=KeyChanges(models=("claude-haiku-*",)))
        for body in ({"model": "m"}, ASKING, {"model": "m", "messages": "x" * 1_100_000}):
            for path in ("/v1/messages", "/v1/dragoman/route"):
                answered = await exchange(server.url, post(body, path=path, key=key))
                assert error(answered, 404)["message"] == "model: m"
        small = await exchange(server.url, post({**ASKING, "model": "small"}, path="/v1/dragoman/route", key=key))
        assert small.json()["order"] == ["a/claude-haiku-4-5"]


# Replies that are given again


async def test_what_was_lost_is_told_again_and_a_strict_request_is_another() -> None:
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f'targets = ["fake/gpt-4o"]\ncache_s = 60\n[providers.fake]\n{table}\n'
        async with routed(rule) as (server, _):
            told = [await ask(server, top_k=5) for _ in range(2)]
            assert [each.header("dragoman-lost") for each in told] == ["top_k", "top_k"]
            assert [each.header("dragoman-cache") for each in told] == ["miss", "hit"]
            assert [each.header("dragoman-attempts") for each in told] == [None, None], "there is but one target"
            assert (await ask(server, ("dragoman-strict", "true"), top_k=5)).status == 400


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_who_waits_for_a_reply_that_fails_does_not_wait_in_a_row(stream: bool) -> None:
    """Ten equal requests to an upstream that takes its time to fail: all but the first one ask at once."""
    gate = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await gate.wait()
            await conn.send(json_reply(envelope(), status=529))

    async with routed("cache_s = 60", timeout_s=10.0, a=handler) as (server, upstreams):
        asking = [asyncio.create_task(exchange(server.url, post({**ASKING, "stream": stream}))) for _ in range(10)]
        await wait_until(lambda: server.running == 10)
        gate.set()
        assert {each.status for each in await asyncio.gather(*asking)} == {529}
        assert len(upstreams["a"].requests) == 10
        assert not server.gateway.replies._flights


@pytest.mark.parametrize("odd", [7, None, ""], ids=str)
async def test_a_reply_without_an_id_is_not_kept(odd: Any) -> None:
    reply: Handler = then(json_reply({**MESSAGE, "id": odd}), and_then="close")
    async with routed("cache_s = 60", a=reply) as (server, upstreams):
        for _ in range(2):
            assert (await ask(server)).status in (200, 502)
        assert len(upstreams["a"].requests) == 2
