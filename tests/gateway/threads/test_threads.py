"""Message threads: what a target sees, what is remembered and for how long, and who may go on from where (SDK-65)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, MESSAGE, START, envelope, sse
from misbehaving import LAST_CHUNK, Conn, chunk, json_reply, sse_head
from rawhttp import KEY, Wire, events, exchange, json_bytes, post
from relaying import cut, relay
from serving import Serving

from dragoman.errors import ApiError, NotFound, Overloaded, RequestTooLarge
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Answer, Asked, Call
from dragoman.gateway.config.config import ProviderConfig, load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ledger.accounting import Outcome
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import answer
from dragoman.gateway.routing.routing import Route
from dragoman.gateway.threads.store import OVERHEAD_BYTES, Conversation, ThreadStore
from dragoman.gateway.threads.threads import Threads, Turn
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

BETA = "message-threads-2026-08-12"
CREATE = {"type": "create"}
HI = {"role": "user", "content": "Hi"}
MORE = {"role": "user", "content": "More"}
ASK: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 64, "messages": [HI]}
MARK = {"cache_control": {"type": "ephemeral"}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def go_on(message_id: str = "msg_1") -> dict[str, str]:
    return {"type": "continue", "previous_message_id": message_id}


# -- the store --------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def talk(size: int = 100) -> Conversation:
    return Conversation(system=None, tools=None, turns=b"x" * size)


def one(name: str) -> tuple[str, str]:
    return ("wrkspc_1", name)


def code(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str, str]:
    assert error.value.details is not None
    return error.value.status, error.value.kind, error.value.details["error_code"]


NOT_FOUND = (404, "not_found_error", "thread_not_found")
CONTINUED = (400, "invalid_request_error", "thread_already_continued")
IN_FLIGHT = (400, "invalid_request_error", "thread_continue_in_flight")
MISMATCH = (400, "invalid_request_error", "thread_fingerprint_mismatch")


def refused(store: ThreadStore, name: str) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as error:
        store.claim(one(name))
    return code(error)


def test_a_reply_is_forgotten_five_minutes_after_its_last_use() -> None:
    """SDK-65, ERR-30."""
    clock = Clock()
    store = ThreadStore(clock=clock)
    store.keep(one("a"), talk())
    clock.now += 299
    held, _ = store.claim(one("a"))
    store.release(held)  # a use, though it came to nothing
    clock.now += 299
    store.release(store.claim(one("a"))[0])
    clock.now += 300
    assert refused(store, "a") == NOT_FOUND
    assert (len(store), store.size_bytes) == (0, 0)


def test_a_reply_that_is_being_continued_does_not_expire() -> None:
    clock = Clock()
    store = ThreadStore(clock=clock)
    store.keep(one("a"), talk())
    held, _ = store.claim(one("a"))
    for _ in range(4):
        clock.now += 200
        store.sweep()
    assert refused(store, "a") == IN_FLIGHT
    store.release(held)
    store.claim(one("a"))


def test_a_reply_is_continued_once() -> None:
    """SDK-65."""
    store = ThreadStore(clock=Clock())
    store.keep(one("a"), talk())
    held, _ = store.claim(one("a"))
    assert refused(store, "a") == IN_FLIGHT
    store.keep(one("b"), talk(), after=held)
    assert refused(store, "a") == CONTINUED
    store.claim(one("b"))


def test_the_replies_of_another_workspace_are_not_found() -> None:
    """SDK-65."""
    store = ThreadStore(clock=Clock())
    store.keep(("wrkspc_2", "a"), talk())
    assert refused(store, "a") == NOT_FOUND


def test_memory_is_bounded_and_what_was_used_longest_ago_goes_first() -> None:
    size = OVERHEAD_BYTES + 1 + 1000
    store = ThreadStore(clock=Clock(), limit_bytes=3 * size)
    for name in "abc":
        store.keep(one(name), talk(1000))
    store.release(store.claim(one("a"))[0])
    store.keep(one("d"), talk(1000))
    assert store.size_bytes == 3 * size
    assert refused(store, "b") == NOT_FOUND
    for name in "acd":
        store.claim(one(name))


def test_what_is_too_large_is_not_remembered_and_pushes_nothing_out() -> None:
    store = ThreadStore(clock=Clock(), limit_bytes=5000)
    store.keep(one("a"), talk(1000))
    held, _ = store.claim(one("a"))
    assert store.keep(one("b"), talk(5000), after=held) is None
    assert refused(store, "b") == NOT_FOUND
    assert refused(store, "a") == CONTINUED
    assert store.size_bytes == OVERHEAD_BYTES + 1


def test_a_long_thread_is_counted_once() -> None:
    store = ThreadStore(clock=Clock())
    store.keep(one("0"), talk(1000))
    for turn in range(1, 10):
        held, _ = store.claim(one(str(turn - 1)))
        store.keep(one(str(turn)), talk(1000), after=held)
    assert store.size_bytes == 1000 + 10 * (OVERHEAD_BYTES + 1)


def test_a_reply_that_was_lost_is_taken_back() -> None:
    store = ThreadStore(clock=Clock())
    store.keep(one("a"), talk(1000))
    before = store.size_bytes
    held, conversation = store.claim(one("a"))
    lost = store.keep(one("b"), talk(2000), after=held)
    assert lost is not None
    store.take_back(lost, after=held, conversation=conversation)
    assert refused(store, "b") == NOT_FOUND
    assert store.size_bytes == before
    assert store.claim(one("a"))[1] is conversation


def test_a_reply_that_is_gone_on_from_was_not_lost() -> None:
    store = ThreadStore(clock=Clock())
    store.keep(one("a"), talk())
    held, conversation = store.claim(one("a"))
    lost = store.keep(one("b"), talk(), after=held)
    assert lost is not None
    store.claim(one("b"))
    store.take_back(lost, after=held, conversation=conversation)
    assert refused(store, "b") == IN_FLIGHT
    assert refused(store, "a") == CONTINUED


# -- requests and replies, without a network --------------------------------------------------------------------------


class Talk:
    """Requests to one gateway's threads, of several workspaces, to one target."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.threads = Threads(clock=self.clock, **{"body_limit_bytes": 1_000_000, **settings})
        self.provider: dict[str, Any] = {}

    async def begin(
        self,
        body: Any,
        *,
        betas: str | None = BETA,
        workspace: str = "wrkspc_1",
        operation: Operation = Operation.MESSAGES,
    ) -> Turn:
        headers = {"anthropic-version": "2023-06-01", "x-other": "1"}
        if betas is not None:
            headers["anthropic-beta"] = betas
        call = Call(
            operation=operation,
            headers=Headers(headers.items()),
            body=json_bytes(body),
            request_id="req_1",
            arrived=0.0,
        )
        asked = Asked.read(call, Principal("key_1", "a", workspace, "org_1"), refuse_unknown_betas=False)
        provider = ProviderConfig(name="up", origin="the test", base_url="http://x", **self.provider)
        route = Route(provider=provider, model_name=asked.model, model=None, name="x/y", target="x/y", is_local=False)
        seen, turn = await self.threads.begin(asked, route)
        return turn or Turn(seen)

    async def say(self, body: Any, reply: Any = None, **more: Any) -> bytes:
        """One turn; what the target saw of it. `reply`: None is a plain one under the id msg_1."""
        turn = await self.begin(body, **more)
        await turn.note(given(reply_of() if reply is None else reply))
        return turn.asked.envelope.body

    async def refusal(self, body: Any, **more: Any) -> pytest.ExceptionInfo[ApiError]:
        with pytest.raises(ApiError) as error:
            await self.begin(body, **more)
        return error


async def given(answer: Answer | Exception) -> Answer:
    if isinstance(answer, Exception):
        raise answer
    return answer


def reply_of(message_id: str = "msg_1", content: Any = None, **more: Any) -> Answer:
    return Answer(body=json_bytes({**MESSAGE, "id": message_id, "content": content or [text("Hello")], **more}))


def streamed(*pieces: bytes) -> Answer:
    async def stream() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    return Answer(stream=stream())


@pytest.fixture
async def talks() -> AsyncIterator[Talk]:
    opened = Talk()
    yield opened
    opened.threads.close()
    assert len(opened.threads.store) == 0


def asking(thread: Any, **more: Any) -> dict[str, Any]:
    return {**ASK, "thread": thread, **more}


async def test_a_target_sees_the_whole_conversation_and_no_thread(talks: Talk) -> None:
    """SDK-63, 65: each byte of system, tools, history, reply and new messages as it came; the rest is the request's."""
    first = (
        b'{ "model":"m" , "system" : [ {"text":"Caf\\u00e9 \\/", "type":"text"} ],"tools":[ {"a" : 1e2} ],'
        b'"max_tokens":1,"temperature":0.50, "thread": {"type": "create"} ,'
        b'"messages": [ {"role" : "user","content":"1"} , {"x":2.0} ] }'
    )
    reply = b'{"content": [ {"type":"thinking","signature":"Ab\\/+=","thinking":""}] ,"id":"msg_1","stop_reason":null}'
    second = (
        b'{"thread":{"previous_message_id":"msg_1","type":"continue"},\n"model":"n",'
        b'"messages":[{"role":"user","content":"\xc3\xa9" }\t],"max_tokens":2}'
    )
    assert await talks.say(first, Answer(body=reply)) == first.replace(b'"thread": {"type": "create"} ,', b"")
    assert await talks.say(second, reply_of("msg_2")) == (
        b'{"model":"n","messages":[{"role" : "user","content":"1"} , {"x":2.0},'
        b'{"role":"assistant","content":[ {"type":"thinking","signature":"Ab\\/+=","thinking":""}]},'
        b'{"role":"user","content":"\xc3\xa9" }],"max_tokens":2,'
        b'"system":[ {"text":"Caf\\u00e9 \\/", "type":"text"} ],"tools":[ {"a" : 1e2} ]}'
    )
    third = json.loads(await talks.say(asking(go_on("msg_2"), messages=[MORE])))
    assert [message["role"] for message in third["messages"][2:]] == ["assistant", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "body", [b'{"thread":%b,"model":"a","model":"m","messages":[]}', b'{"th\\u0072ead":%b,"model":"m"}']
)
async def test_a_thread_is_found_in_a_body_in_no_usual_form(talks: Talk, body: bytes) -> None:
    seen = await talks.say(body % b'{"type":"create"}')
    assert "thread" not in json.loads(seen)
    assert json.loads(seen)["model"] == "m"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (BETA, None),
        (f"a-1, {BETA} ,b-2", "a-1,b-2"),
        ("a-1 , b-2", "a-1 , b-2"),
        (None, None),
    ],
)
async def test_the_beta_of_threads_goes_no_further(talks: Talk, sent: str | None, seen: str | None) -> None:
    """Also without a `thread`, and where tokens are counted: an upstream may refuse a name that it does not know."""
    for operation in Operation:
        turn = await talks.begin(ASK, betas=sent, operation=operation)
        headers = turn.asked.call.headers
        assert headers.get("anthropic-beta") == seen
        assert (headers.get("anthropic-version"), headers.get("x-other")) == ("2023-06-01", "1")
        assert BETA not in turn.asked.betas
        assert turn.asked.call.body == json_bytes(ASK)


async def test_a_thread_that_is_null_is_none(talks: Talk) -> None:
    """MSG-31; an upstream may not know the field."""
    assert await talks.say({"thread": None, **ASK}, betas=None) == json_bytes(ASK)
    assert len(talks.threads.store) == 0


@pytest.mark.parametrize("body", [ASK, asking(CREATE), asking(go_on()), asking("nonsense"), {**ASK, "thread": None}])
async def test_an_upstream_that_keeps_threads_itself_gets_what_came(talks: Talk, body: Any) -> None:
    talks.provider["threads"] = "upstream"
    turn = await talks.begin(body, betas=f"{BETA},a-1")
    answer = reply_of()
    assert await turn.note(given(answer)) is answer
    assert turn.asked.call.body == json_bytes(body)
    assert turn.asked.call.headers.get("anthropic-beta") == f"{BETA},a-1"
    assert len(talks.threads.store) == 0


def test_anthropic_s_own_api_keeps_threads_itself(tmp_path: Any) -> None:
    """And nobody else, unless the configuration says so."""
    file = tmp_path / "dragoman.toml"
    file.write_text(
        '[providers.anthropic]\n[providers.eu]\nbase_url = "https://api.anthropic.com/eu"\napi_key = "k"\n'
        '[providers.ours]\nbase_url = "https://api.anthropic.com"\napi_key = "k"\nthreads = "ours"\n'
        '[providers.box]\nbase_url = "http://box:1"\n[providers.far]\nbase_url = "http://box:2"\nthreads = "upstream"\n'
        "[providers.offline]\n"
    )
    found = load(file, {"ANTHROPIC_API_KEY": "k"}).providers
    kept_by = {name: provider.threads for name, provider in found.items()}
    assert kept_by == {
        "anthropic": "upstream", "eu": "upstream", "ours": "ours", "box": "ours", "far": "upstream", "offline": "ours",
    }  # fmt: skip
    assert load(None, {"ANTHROPIC_API_KEY": "k"}).route_provider.threads == "upstream"


@pytest.mark.parametrize(
    ("thread", "message"),
    [
        ("x", "thread: Input should be an object"),
        ([], "thread: Input should be an object"),
        ({}, "thread.type: Field required"),
        ({"type": 5}, "thread.type: Input should be a valid string"),
        ({"type": "fork"}, "thread: Input tag 'fork' found using 'type' does not match any of the expected tags: "),
        ({"type": "create", "id": "x"}, "thread.create.id: Extra inputs are not permitted"),
        ({"type": "create", "x": [[[]]]}, "thread.create.x: Extra inputs are not permitted"),
        ({"type": "continue"}, "thread.continue.previous_message_id: Field required"),
        ({**go_on(), "previous_message_id": 1}, "thread.continue.previous_message_id: Input should be a valid string"),
    ],
)
async def test_a_thread_of_another_shape_is_refused(talks: Talk, thread: Any, message: str) -> None:
    """SDK-65."""
    error = (await talks.refusal(asking(thread))).value
    assert (error.status, error.message.startswith(message)) == (400, True), error.message


@pytest.mark.parametrize("thread", [CREATE, go_on(), {}, "x"])
async def test_a_thread_without_its_beta_is_refused_so_that_the_sdk_goes_on(talks: Talk, thread: Any) -> None:
    """SDK-64: never the plain words without details."""
    error = (await talks.refusal(asking(thread), betas="other-beta")).value
    assert (error.status, error.message) == (400, "thread: Extra inputs are not permitted")
    assert error.details == {"error_code": "thread_unsupported_request", "unsupported": []}


async def test_tokens_are_counted_without_threads(talks: Talk) -> None:
    error = (await talks.refusal(asking(CREATE), operation=Operation.COUNT_TOKENS)).value
    assert (error.status, error.message) == (400, "thread: Extra inputs are not permitted")


async def test_only_the_same_workspace_finds_a_thread_and_only_while_it_lives(talks: Talk) -> None:
    """SDK-65, ERR-30."""
    assert code(await talks.refusal(asking(go_on()))) == NOT_FOUND
    await talks.say(asking(CREATE))
    assert code(await talks.refusal(asking(go_on()), workspace="wrkspc_2")) == NOT_FOUND
    talks.clock.now += 301
    assert code(await talks.refusal(asking(go_on()))) == NOT_FOUND


async def test_what_expired_is_erased_though_nobody_calls(talks: Talk) -> None:
    """SDK-65: within an hour."""
    await talks.say(asking(CREATE))
    timer = talks.threads._timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() < 3000
    talks.clock.now += 200
    talks.threads._erase()
    assert (len(talks.threads.store), talks.threads._timer is None) == (1, False)
    talks.clock.now += 200
    talks.threads._erase()
    assert (len(talks.threads.store), talks.threads._timer) == (0, None)


# -- the same system and tools ----------------------------------------------------------------------------------------

TOOL = {"name": "a", "input_schema": {"type": "object"}}
BILLING = text("x-anthropic-billing-header: cc_version=2; cch=1;")


@pytest.mark.parametrize(
    ("created", "again"),
    [
        ({"system": "s", "tools": [TOOL]}, {"system": "s", "tools": [TOOL]}),
        ({"system": "s", "tools": [TOOL]}, {"system": None}),
        ({"tools": [TOOL]}, {"tools": [dict(reversed(TOOL.items()))]}),
        ({"system": [text("s")]}, {"system": [text("s", **MARK)]}),
        ({"system": [text("s", **MARK)]}, {"system": [text("s")]}),
        ({}, {"system": None, "tools": []}),
        ({"system": [], "tools": None}, {"tools": [], "system": ""}),
        ({"system": [BILLING, text("s")]}, {"system": [text("x-anthropic-billing-header: cch=2;"), text("s")]}),
        ({"system": [BILLING, text("s")]}, {"system": [BILLING]}),
    ],
)
async def test_system_and_tools_may_be_given_again(talks: Talk, created: Any, again: Any) -> None:
    """SDK-65: those of the thread go out."""
    await talks.say(asking(CREATE, **created))
    seen = json.loads(await talks.say(asking(go_on(), **again)))
    for name in ("system", "tools"):
        assert (seen.get(name) or None) == (created.get(name) or None)


@pytest.mark.parametrize(
    ("created", "again", "named"),
    [
        ({"system": "s"}, {"system": "t"}, "system"),
        ({}, {"system": "t"}, "system"),
        ({"tools": [TOOL]}, {"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [TOOL]}, {"tools": []}, "tools"),
        ({"system": "s"}, {"system": ""}, "system"),
        ({"system": "s", "tools": [TOOL]}, {"system": "t", "tools": 5}, "system, tools"),
        ({"system": "s"}, {"system": json.loads("[" * 450 + "]" * 450)}, "system"),
    ],
)
async def test_other_system_or_tools_are_refused(talks: Talk, created: Any, again: Any, named: str) -> None:
    """SDK-65: and the thread can still be continued."""
    await talks.say(asking(CREATE, **created))
    error = await talks.refusal(asking(go_on(), **again))
    assert code(error) == MISMATCH
    assert f"differing field(s): {named}." in error.value.message
    await talks.say(asking(go_on()))


# -- messages ---------------------------------------------------------------------------------------------------------


async def test_nothing_new_is_allowed_after_a_pause_only(talks: Talk) -> None:
    """SDK-65."""
    await talks.say(asking(CREATE))
    error = (await talks.refusal(asking(go_on(), messages=[]))).value
    assert (error.status, error.message) == (400, "messages: at least one message is required")
    await talks.say(asking(go_on()), reply_of("msg_2", stop_reason="pause_turn"))
    seen = json.loads(await talks.say(asking(go_on("msg_2"), messages=[]), reply_of("msg_3")))
    assert seen["messages"][-1] == {"role": "assistant", "content": [text("Hello")]}
    assert (await talks.refusal(asking(go_on("msg_3"), messages=[]))).value.status == 400


@pytest.mark.parametrize(
    ("messages", "message"),
    [(..., "messages: Field required"), (5, "messages: Input should be a valid list"), ({}, "messages: Input should")],
)
async def test_messages_are_needed(talks: Talk, messages: Any, message: str) -> None:
    await talks.say(asking(CREATE))
    body = {name: value for name, value in asking(go_on(), messages=messages).items() if value is not ...}
    error = (await talks.refusal(body)).value
    assert (error.status, error.message.startswith(message)) == (400, True), error.message


async def test_a_reply_without_content_is_no_turn(talks: Talk) -> None:
    """An empty turn would be refused in the middle of a conversation."""
    await talks.say(asking(CREATE), Answer(body=b'{"id":"msg_1","content":[ ]}'))
    assert json.loads(await talks.say(asking(go_on(), messages=[MORE])))["messages"] == [HI, MORE]


async def test_breakpoints_hold_for_their_own_request(talks: Talk) -> None:
    """CCH-4, SDK-65: else they would add up until the upstream refuses the fifth."""
    parts = [text("a", **MARK), {"type": "document", "source": {"type": "content", "content": [text("b", **MARK)]}}]
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {**MARK, "content": [MARK]}, **MARK}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [text("c", **MARK)], **MARK}
    turns = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    system = [text("s", **MARK)]
    seen = await talks.say(asking(CREATE, messages=turns, system=system))
    assert json.loads(seen)["messages"] == turns
    new = {"role": "user", "content": [text("d", **MARK)]}
    seen = await talks.say(asking(go_on(), messages=[new]), reply_of("msg_2"))
    whole = json.loads(seen)
    assert whole["system"] == system
    call_unmarked = {name: value for name, value in call.items() if name != "cache_control"}
    assert whole["messages"] == [
        {"role": "user", "content": [text("a"), {**parts[1], "source": {"type": "content", "content": [text("b")]}}]},
        {"role": "assistant", "content": [call_unmarked]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [text("c")]}]},
        {"role": "assistant", "content": [text("Hello")]},
        new,
    ]
    seen = await talks.say(asking(go_on("msg_2"), messages=[new]))
    assert seen.count(b"cache_control") == 4  # system, two in the tool's input, the new one


async def test_a_body_of_nothing_but_breakpoints_takes_no_time(talks: Talk) -> None:
    """So many cannot be real ones: they are left, and the target says what it thinks of them."""
    turn = {"role": "user", "content": [text("a", **MARK)] * 1001}
    await talks.say(asking(CREATE, messages=[turn]))
    assert json.loads(await talks.say(asking(go_on())))["messages"][0] == turn


async def test_a_conversation_above_the_size_of_a_request_is_refused() -> None:
    """ERR-24."""
    talks = Talk(body_limit_bytes=2000)
    await talks.say(asking(CREATE, messages=[{"role": "user", "content": "x" * 1000}]))
    with pytest.raises(RequestTooLarge):
        await talks.begin(asking(go_on(), messages=[{"role": "user", "content": "x" * 1000}]))
    await talks.say(asking(go_on()))
    talks.threads.close()


async def test_what_is_too_large_is_answered_and_not_remembered() -> None:
    """SDK-65: best effort; the SDK then sends the whole conversation."""
    talks = Talk(limit_bytes=2000)
    await talks.say(asking(CREATE, messages=[{"role": "user", "content": "x" * 2000}]))
    assert code(await talks.refusal(asking(go_on()))) == NOT_FOUND


async def test_large_conversations_are_worked_on_off_the_loop(talks: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    async def noted(work: Any) -> Any:
        calls.append(work)
        return work()

    monkeypatch.setattr("dragoman.gateway.threads.threads.asyncio.to_thread", noted)
    await talks.say(asking(CREATE, messages=[{"role": "user", "content": "x" * 300_000}]))
    await talks.say(asking(go_on()))
    assert len(calls) == 2


# -- what becomes of a reply ------------------------------------------------------------------------------------------

FAILED: dict[str, Callable[[], Answer | Exception]] = {
    "an error of ours": lambda: Overloaded("Overloaded"),
    "an error of the upstream": lambda: Answer(status=529, body=json_bytes(envelope())),
    "an error in the form of a message": lambda: Answer(status=529, body=json_bytes({**MESSAGE, "id": "msg_2"})),
    "no id": lambda: Answer(body=b'{"content":[]}'),
    "no list": lambda: Answer(body=b'{"id":"msg_2","content":"x"}'),
    "an event of an error": lambda: streamed(sse(START, BLOCK), sse({"type": "error", **envelope()})),
    "a stream without its end": lambda: streamed(sse(START, BLOCK, DELTA)),
    "a stream of nonsense": lambda: streamed(sse(START, {**DELTA, "index": 7}, *END)),
    "a stream that is no JSON": lambda: streamed(b"event: message_start\ndata: {\n\n", sse(*END)),
    "an empty stream": lambda: streamed(),
}


@pytest.mark.parametrize("name", FAILED)
async def test_a_reply_that_failed_leaves_the_one_before_it_to_be_continued(talks: Talk, name: str) -> None:
    """SDK-65, STR-52."""
    await talks.say(asking(CREATE))
    turn = await talks.begin(asking(go_on()))
    assert code(await talks.refusal(asking(go_on()))) == IN_FLIGHT
    with suppress(Overloaded):
        answer = await turn.note(given(FAILED[name]()))
        async for _ in answer.stream or nothing():
            continue
    assert len(talks.threads.store) == 1
    await talks.say(asking(go_on()), reply_of("msg_3"))
    assert code(await talks.refusal(asking(go_on()))) == CONTINUED


async def nothing() -> AsyncGenerator[bytes, None]:
    return
    yield


async def test_a_caller_who_sees_the_error_can_ask_again_at_once(talks: Talk) -> None:
    await talks.say(asking(CREATE))
    turn = await talks.begin(asking(go_on()))
    answer = await turn.note(given(streamed(sse(START), sse({"type": "error", **envelope()}))))
    assert answer.stream is not None
    await anext(answer.stream)
    assert code(await talks.refusal(asking(go_on()))) == IN_FLIGHT
    await anext(answer.stream)
    await talks.say(asking(go_on()))
    await answer.stream.aclose()


async def test_a_request_that_is_cancelled_leaves_the_one_before_it_to_be_continued(talks: Talk) -> None:
    await talks.say(asking(CREATE))
    turn = await talks.begin(asking(go_on()))
    task = asyncio.ensure_future(turn.note(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await talks.say(asking(go_on()))


@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_a_stream_that_is_left_is_not_remembered(talks: Talk, taken: int) -> None:
    """The caller hung up, before or in the middle of it; what is behind it is closed."""
    is_closed = False

    async def stream() -> AsyncGenerator[bytes, None]:
        nonlocal is_closed
        try:
            yield b""
            for event in (START, BLOCK, DELTA):
                yield sse(event)
        finally:
            is_closed = True

    await talks.say(asking(CREATE))
    turn = await talks.begin(asking(go_on()))
    inner = stream()
    await anext(inner)
    answer = await turn.note(given(Answer(stream=inner)))
    assert answer.stream is not None
    for _ in range(taken):
        await anext(answer.stream)
    await answer.stream.aclose()
    assert is_closed
    await talks.say(asking(go_on()))


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_reply_that_did_not_reach_its_caller_is_taken_back(talks: Talk, is_streamed: bool) -> None:
    """A stream that is closed with its last piece, a whole reply that is told to be lost."""
    await talks.say(asking(CREATE))
    turn = await talks.begin(asking(go_on()))
    answer = await turn.note(given(streamed(stream_of("msg_2")) if is_streamed else reply_of("msg_2")))
    if answer.stream is not None:
        await anext(answer.stream)
    assert code(await talks.refusal(asking(go_on()))) == CONTINUED
    if answer.stream is not None:
        await answer.stream.aclose()
    else:
        assert answer.lost is not None
        answer.lost()
    assert code(await talks.refusal(asking(go_on("msg_2")))) == NOT_FOUND
    await talks.say(asking(go_on()))


def stream_of(message_id: str, *blocks: dict[str, Any]) -> bytes:
    """A stream with that id; `blocks` are events in place of the usual ones."""
    start = {**START, "message": {**START["message"], "id": message_id}}
    return sse(start, *(blocks or (BLOCK, DELTA, END[0])), *END[1:])


def deltas(index: int, block: dict[str, Any], *parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": part} for part in parts),
        {"type": "content_block_stop", "index": index},
    ]


BLOCKS = [
    *deltas(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    *deltas(1, text(""), {"type": "text_delta", "text": "Ca"}, {"type": "text_delta", "text": "fé"}),
    *deltas(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {}, "caller": {"type": "direct"}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"a" : 1.0'},
        {"type": "input_json_delta", "partial_json": "0e1}"},
    ),
    *deltas(3, {"type": "tool_use", "id": "toolu_2", "name": "n", "input": {}}),
    *deltas(4, {"type": "of_a_later_version", "x": [1]}),
]
CONTENT = (
    '[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"text","text":"Café"},'
    '{"type":"tool_use","id":"toolu_1","name":"n","input":{"a" : 1.00e1},"caller":{"type":"direct"}},'
    '{"type":"tool_use","id":"toolu_2","name":"n","input":{}},{"type":"of_a_later_version","x":[1]}]'
)


@pytest.mark.parametrize("step", [1, 50, 100_000])
async def test_a_stream_is_remembered_as_its_message_and_not_touched(talks: Talk, step: int) -> None:
    """SDK-65: a tool's input as its pieces came."""
    whole = stream_of("msg_1", *BLOCKS)
    pieces = [whole[at : at + step] for at in range(0, len(whole), step)]
    turn = await talks.begin(asking(CREATE))
    answer = await turn.note(given(streamed(*pieces)))
    assert answer.stream is not None
    got = []
    async for piece in answer.stream:
        got.append(piece)
        # It is there before the caller can have seen the end.
        assert (len(talks.threads.store) == 1) == (len(got) == len(pieces))
    assert got == pieces
    seen = await talks.say(asking(go_on(), messages=[MORE]))
    assert f'{{"role":"assistant","content":{CONTENT}}}'.encode() in seen


async def test_a_caller_who_leaves_at_message_stop_has_got_the_reply(talks: Talk) -> None:
    turn = await talks.begin(asking(CREATE))
    answer = await turn.note(given(streamed(stream_of("msg_1"), b": more\n\n")))
    assert answer.stream is not None
    await anext(answer.stream)
    await anext(answer.stream)
    await answer.stream.aclose()
    assert answer.lost is not None
    answer.lost()
    await talks.say(asking(go_on()))


async def test_a_stream_without_end_is_not_gathered_without_end(talks: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.gateway.threads.threads._Gathering.__init__.__kwdefaults__", {"limit_bytes": 2000})
    turn = await talks.begin(asking(CREATE))
    large = sse({**DELTA, "delta": {"type": "text_delta", "text": "x" * 1500}})
    pieces = [sse(START, BLOCK), large, large, sse(*END)]
    answer = await turn.note(given(streamed(*pieces)))
    assert answer.stream is not None
    assert [piece async for piece in answer.stream] == pieces
    assert len(talks.threads.store) == 0


# -- over real sockets ------------------------------------------------------------------------------------------------

WITH_BETA = ("anthropic-beta", f"{BETA},a-1")


async def numbered(conn: Conn) -> None:
    """An upstream that numbers its replies: msg_1, msg_2, ... of one connection."""
    for number in range(1, 100):
        request = await conn.read_request()
        if request is None:
            return
        if request.json().get("stream"):
            await conn.send(sse_head() + chunk(stream_of(f"msg_{number}")) + LAST_CHUNK)
        else:
            await conn.send(json_reply({**MESSAGE, "id": f"msg_{number}"}))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_sees_plain_requests(stream: bool) -> None:
    """SDK-63 to 65: and both requests are accounted for."""
    more = {"stream": True} if stream else {}
    async with relay(numbered) as (server, upstream):
        first = await exchange(server.url, post(asking(CREATE, system="s", **more), WITH_BETA))
        second = await exchange(server.url, post(asking(go_on("msg_1"), messages=[MORE], **more), WITH_BETA))
        again = await exchange(server.url, post(asking(go_on("msg_1"), messages=[MORE], **more), WITH_BETA))
        await server.settled()
        assert [first.status, second.status, again.status] == [200, 200, 400]
        assert again.json()["error"]["details"] == {"error_code": "thread_already_continued"}
        assert first.body == (stream_of("msg_1") if stream else json_bytes({**MESSAGE, "id": "msg_1"}))
        assert [request.json().get("thread") for request in upstream.requests] == [None, None]
        assert [request.header("anthropic-beta") for request in upstream.requests] == ["a-1", "a-1"]
        said = {"role": "assistant", "content": [text("Half of it")]}
        assert upstream.requests[1].json() == {**ASK, **more, "system": "s", "messages": [HI, said, MORE]}
        assert [row["outcome"] for row in server.rows] == ["answered", "answered", "refused"]
        assert [row.get("output_tokens") for row in server.rows] == ["5", "5", None]


async def test_a_stream_cut_by_the_upstream_can_be_asked_for_again() -> None:
    """STR-52, SDK-65."""
    begun = stream_of("msg_2").partition(b"event: message_delta")[0]

    async def handler(conn: Conn) -> None:
        for reply in (
            json_reply({**MESSAGE, "id": "msg_1"}),
            json_reply(envelope(), status=529),
            sse_head() + chunk(begun) + LAST_CHUNK,
            json_reply({**MESSAGE, "id": "msg_3"}),
        ):
            await conn.read_request()
            await conn.send(reply)
        await conn.wait_closed()

    async with relay(handler) as (server, upstream):
        body = asking(go_on("msg_1"), messages=[MORE])
        assert (await exchange(server.url, post(asking(CREATE), WITH_BETA))).status == 200
        assert (await exchange(server.url, post(body, WITH_BETA))).status == 529
        cut(await exchange(server.url, post({**body, "stream": True}, WITH_BETA)))
        assert (await exchange(server.url, post(body, WITH_BETA))).status == 200
        assert len(upstream.requests[-1].json()["messages"]) == 3


async def test_a_caller_who_hangs_up_can_ask_again() -> None:
    """SDK-65: while the first waits, a second is told so."""
    is_asked = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            if request.json().get("stream"):
                await conn.send(sse_head() + chunk(sse(START, BLOCK, DELTA)))
                is_asked.set()
                await conn.wait_closed()
                return
            await conn.send(json_reply({**MESSAGE, "id": f"msg_{len(request.json()['messages'])}"}))

    async with relay(handler) as (server, _):
        body = asking(go_on("msg_1"), messages=[MORE])
        assert (await exchange(server.url, post(asking(CREATE), WITH_BETA))).status == 200
        async with await Wire.connect(server.url) as wire:
            await wire.send(post({**body, "stream": True}, WITH_BETA))
            await is_asked.wait()
            told = await exchange(server.url, post(body, WITH_BETA))
            assert told.json()["error"]["details"] == {"error_code": "thread_continue_in_flight"}
        await server.settled()
        assert (await exchange(server.url, post(body, WITH_BETA))).status == 200
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["answered", "refused", "abandoned", "answered"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_offline_engine_goes_on_from_its_reply(stream: bool) -> None:
    """SDK-65: as if the whole conversation had been sent; the engine judges it as such."""
    async with Serving() as server:

        async def ask(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
            answered = await exchange(server.url, post({**body, "stream": stream}, WITH_BETA))
            assert answered.status == 200, answered.body
            if not stream:
                return answered.json()["id"], answered.json()["usage"]
            told = dict(events(answered.body))
            return told["message_start"]["message"]["id"], told["message_delta"]["usage"]

        first, usage = await ask(asking(CREATE, system="Be brief."))
        reply = next(iter(server.gateway.threads.store._held.values())).conversation
        assert reply is not None
        said = json.loads(b"[%b]" % reply.turns)[-1]
        _, continued = await ask(asking(go_on(first), messages=[MORE]))
        _, replayed = await ask({**ASK, "system": "Be brief.", "messages": [HI, said, MORE]})
        assert continued["input_tokens"] == replayed["input_tokens"] > usage["input_tokens"]
        wrong = asking(go_on(first), messages=[{"role": "robot", "content": "x"}])
        assert (await exchange(server.url, post(wrong, WITH_BETA))).status == 400


async def test_a_caller_who_hangs_up_on_a_whole_reply_can_ask_again() -> None:
    """SDK-65: the reply was there, but did not go out."""
    headers = Headers({"x-api-key": KEY, "anthropic-version": "2023-06-01", "anthropic-beta": BETA}.items())

    async def ask(gateway: Gateway, body: Any, outcome: Outcome | None = None) -> dict[str, Any]:
        call = Call(
            operation=Operation.MESSAGES, headers=headers, body=json_bytes(body), request_id="req_1", arrived=0.0
        )
        reply = await answer(gateway, call)
        await reply.aclose(outcome)
        return dict(json.loads(reply.body))

    async with open_gateway(load(None, {"DRAGOMAN_DATABASE": "sqlite://"}), {}) as gateway:
        await gateway.auth.preset(KEY)
        first = (await ask(gateway, asking(CREATE)))["id"]
        lost = (await ask(gateway, asking(go_on(first)), "abandoned"))["id"]
        assert (await ask(gateway, asking(go_on(lost))))["error"]["details"] == {"error_code": "thread_not_found"}
        assert (await ask(gateway, asking(go_on(first))))["type"] == "message"


async def test_what_is_remembered_is_gone_with_the_server() -> None:
    async with Serving() as server:
        assert (await exchange(server.url, post(asking(CREATE), WITH_BETA))).status == 200
        assert len(server.gateway.threads.store) == 1
    assert len(server.gateway.threads.store) == 0
    assert server.gateway.threads._timer is None


def test_a_busy_workspace_pushes_out_its_own_conversations() -> None:
    """SDK-65: threads are the workspace's own, and so is the loss of them."""
    store = ThreadStore(clock=lambda: 0.0, limit_bytes=10_000)
    small = Conversation(system=None, tools=None, turns=b'"a"')
    large = Conversation(system=None, tools=None, turns=b'"' + b"x" * 2_000 + b'"')
    store.keep(("quiet", "msg_1"), small)
    for number in range(20):
        store.keep(("busy", f"msg_{number}"), large)
    assert store.size_bytes <= 10_000
    store.claim(("quiet", "msg_1"))
    with pytest.raises(NotFound):
        store.claim(("busy", "msg_0"))
    store.claim(("busy", "msg_19"))
