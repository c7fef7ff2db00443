"""How a reply comes out: fragments of tool inputs, limits, pace, and server tools' blocks."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from offline import CATALOGUE, ENGINE, Json, calls_of, run, said

from dragoman.engines.base import Generation
from dragoman.engines.offline.engine import OfflineEngine, Pace
from dragoman.engines.offline.output import Limit, Output, cut_at_stop_sequence
from dragoman.engines.offline.pace import TOGETHER, Break, paced
from dragoman.engines.offline.reply import Reply, Say, Think, Use, Whole
from dragoman.engines.offline.thinking import Signer
from dragoman.errors import CutOff
from dragoman.wire.codec import plain
from dragoman.wire.events import BlockDelta, Event, Fold, InputJsonDelta, TextDelta
from dragoman.wire.types import Message, Usage, WebSearchResult
from dragoman.wire.validate import validate_messages
from dragoman.wire.writer import BlockWriter

NOTE = {
    "name": "save_note",
    "input_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "body": {"type": "string"}, "tags": {"type": "array"}},
        "required": ["title", "body"],
        "additionalProperties": False,
    },
}
INPUT = {"title": "milk", "body": "Buy milk, bread and a great deal of butter on the way home.", "tags": ["shop"]}
FINE = ("fine-grained-tool-streaming-2025-05-14",)


def written(
    reply: Reply, *, limit: int = 1000, betas: tuple[str, ...] = (), **fields: Any
) -> tuple[list[Event], Message]:
    """What Output makes of a reply."""
    model = CATALOGUE.resolve("claude-haiku-4-5")
    assert model is not None
    body = {"model": model.id, "max_tokens": 1000, "messages": said("Hi"), **fields}
    usage = Usage(input_tokens=7, output_tokens=1)
    ids = itertools.count()
    output = Output(
        BlockWriter("msg_1", model=model.id, usage=usage),
        request=validate_messages(body, model, version="2023-06-01", betas=betas),
        model=model,
        betas=betas,
        limit=Limit(limit, "max_tokens"),
        signer=Signer(b"secret"),
        new_tool_id=lambda: f"toolu_{next(ids)}",
    )
    events = [*itertools.chain.from_iterable(output.write(reply)), *output.finish(reply, usage)]
    fold = Fold()
    for event in events:
        fold.add(event)
    return events, fold.message()


def fragments(events: list[Event]) -> list[str]:
    deltas = [event.delta for event in events if isinstance(event, BlockDelta)]
    return [delta.partial_json for delta in deltas if isinstance(delta, InputJsonDelta)]


def tokens_that_fit(events: list[Event]) -> str:
    return "".join(fragments(events))


@pytest.mark.parametrize("limit", range(3, 40))
def test_by_default_a_cut_call_holds_whole_parameters_only(limit: int) -> None:
    """TOOL-40, STR-32, TOOL-23: a parameter is buffered until it is whole."""
    events, message = written(Reply(parts=(Use(name="save_note", input=INPUT),)), limit=limit, tools=[NOTE])
    if message.stop_reason == "tool_use":
        assert calls_of(message) == [("save_note", INPUT)]
        return
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == limit
    for _, value in calls_of(message):
        assert value.items() <= INPUT.items()
    assert tokens_that_fit(events) == "" or json.loads(tokens_that_fit(events) + "}").items() <= INPUT.items()


@pytest.mark.parametrize(
    ("betas", "tool"),
    [(FINE, NOTE), ((), {**NOTE, "eager_input_streaming": True})],
    ids=["the beta, for all tools", "eager_input_streaming"],
)
def test_fine_grained_input_is_cut_anywhere(betas: tuple[str, ...], tool: Json) -> None:
    """TOOL-40, TOOL-41, STR-30: as it was generated, so its JSON may be broken at the end."""
    whole = json.dumps(INPUT, separators=(",", ":"))
    ends = set()
    for limit in range(6, 20):
        events, message = written(
            Reply(parts=(Use(name="save_note", input=INPUT),)), limit=limit, betas=betas, tools=[tool]
        )
        assert message.stop_reason == "max_tokens"
        assert whole.startswith(tokens_that_fit(events))
        ends.add(tokens_that_fit(events)[-1:])
    assert ends - set('",}]'), "cut in the middle of a value"


def test_broken_json_streams_as_it_is() -> None:
    """TOOL-40: what a script wants to be broken."""
    events, _ = written(Reply(parts=(Use(name="save_note", input={}, raw='{"title": "mil'),)), tools=[NOTE])
    assert tokens_that_fit(events) == '{"title": "mil'


def test_a_call_without_arguments_is_an_empty_object() -> None:
    """STR-31."""
    events, message = written(Reply(parts=(Use(name="save_note", input={}),)), tools=[NOTE])
    assert fragments(events) == ["", "{}"]
    assert calls_of(message) == [("save_note", {})]


def test_a_member_of_a_toolset_comes_in_one_delta() -> None:
    """STR-33, TOOL-54."""
    events, message = written(
        Reply(parts=(Use(name="left_click", input={"coordinate": [100, 200], "text": "a" * 40}),)),
        tools=[{"type": "computer_toolset_20260801"}],
    )
    assert len([each for each in fragments(events) if each]) == 1
    assert plain(message.content[0])["toolset_name"] == "computer"


def test_server_tools_are_told_and_counted() -> None:
    """TOOL-62, STR-22, STR-25, MSG-102, MSG-114, MSG-123: the call in fragments, its result whole, the turn paused."""
    found = WebSearchResult(tool_use_id="srvtoolu_9", content=[{"type": "web_search_result", "url": "http://x"}])
    call = Use(name="web_search", input={"query": "x"}, id="srvtoolu_9", on_server=True)
    events, message = written(Reply(parts=(call, Whole(found)), stop_reason="pause_turn"))
    kinds = [plain(block)["type"] for block in message.content]
    assert kinds == ["server_tool_use", "web_search_tool_result"]
    assert plain(message.content[0])["input"] == {"query": "x"}
    assert plain(message.content[1])["content"] == [{"type": "web_search_result", "url": "http://x"}]
    assert message.stop_reason == "pause_turn"
    assert message.usage.server_tool_use == {"web_search_requests": 1, "web_fetch_requests": 0}
    assert fragments(events)[-1] == "}" or fragments(events)[-1].endswith("}")


def test_a_server_call_without_an_id_gets_one() -> None:
    """MSG-78: `srvtoolu_`."""
    _, message = written(Reply(parts=(Use(name="web_search", input={}, on_server=True),)))
    assert plain(message.content[0])["id"].startswith("srvtoolu_")
    assert message.stop_reason == "end_turn", "the server's own call leaves nothing to do"


def test_each_say_is_a_text_block_and_carries_its_citations() -> None:
    """STR-20, MSG-99: citations come before the text they belong to, and cost no tokens."""
    citation = {"type": "char_location", "cited_text": "grass " * 200}
    parts = (Say("It says: "), Say("green", (citation,)), Say("."))
    events, message = written(Reply(parts=parts), limit=8)
    assert [plain(block) for block in message.content] == [
        {"type": "text", "text": "It says: "},
        {"type": "text", "text": "green", "citations": [citation]},
        {"type": "text", "text": "."},
    ]
    kinds = [plain(plain(event)["delta"])["type"] for event in events if isinstance(event, BlockDelta)]
    assert kinds.index("citations_delta") == kinds.index("text_delta", 1) - 1 or "citations_delta" in kinds
    assert message.usage.output_tokens <= 8


def test_a_stop_sequence_in_a_later_block_drops_what_follows() -> None:
    """MSG-106, MSG-112."""
    reply = Reply(parts=(Say("one "), Say("two STOP three"), Use(name="save_note", input={})))
    _, message = written(cut_at_stop_sequence(reply, ["STOP", "three"]), tools=[NOTE])
    assert "".join(plain(block)["text"] for block in message.content) == "one two "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "STOP")


def test_a_stop_sequence_may_lie_over_two_text_blocks() -> None:
    """STR-16, MSG-106: to a reader they are one text."""
    citation = {"type": "char_location", "cited_text": "blue"}
    reply = Reply(parts=(Think("hm"), Say("The sky is "), Say("blue", (citation,)), Say("; cats purr")))
    _, message = written(cut_at_stop_sequence(reply, ["ue; c"]))
    assert [plain(block).get("text") for block in message.content] == [None, "The sky is ", "bl"]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "ue; c")
    _, whole = written(cut_at_stop_sequence(reply, ["hm", "skyblue"]))
    assert whole.stop_reason == "end_turn"


def test_a_reply_that_is_cut_before_its_stop_has_another_reason() -> None:
    """MSG-111: the limit came first."""
    reply = Reply(parts=(Say("one two three four five six"),), stop_reason="stop_sequence", stop_sequence="x")
    _, message = written(reply, limit=2)
    assert (message.stop_reason, message.stop_sequence) == ("max_tokens", None)


def test_thinking_counts_against_max_tokens() -> None:
    """MSG-52, MSG-111, MSG-122."""
    _, message = written(Reply(parts=(Think("one two three four five"), Say("six"))), limit=3)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3
    assert message.usage.output_tokens_details == {"thinking_tokens": 3}
    assert [plain(block)["type"] for block in message.content] == ["thinking"]


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time passes at once when everything waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def skip(timeout: float | None = None) -> Any:
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = skip  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now


async def timed(engine: OfflineEngine, **fields: Any) -> list[tuple[float, list[Event]]]:
    model = CATALOGUE.resolve("claude-haiku-4-5")
    assert model is not None
    request = validate_messages(
        {"model": model.id, "max_tokens": 1000, "stream": True, **fields}, model, version="2023-06-01", betas=()
    )
    generation = Generation(request=request, model=model, message_id="m", new_tool_id=lambda: "toolu_1")
    loop = asyncio.get_running_loop()
    stream: AsyncIterator[list[Event]] = engine.generate(generation)
    return [(loop.time(), ready) async for ready in stream]


def test_a_pace_is_kept() -> None:
    """The first event after `ttft_ms`, then so many tokens a second."""
    engine = OfflineEngine(secret=b"s", pace=Pace(ttft_s=2.0, tokens_per_second=10.0))
    loop = Clock()
    try:
        came = loop.run_until_complete(timed(engine, messages=said("Hi")))
    finally:
        loop.close()
    used = plain(came[-1][1][-2])["usage"]
    tokens = plain(used)["output_tokens"]
    assert came[0][0] >= 2.0
    assert came[0][0] < 3.0
    assert came[-1][0] == pytest.approx(2.0 + tokens / 10, abs=0.5)
    gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(came)]
    assert max(gaps) <= 0.7, "it flows"


@pytest.mark.parametrize("limit", [6, 12, 30, 500])
@pytest.mark.parametrize(
    "fields",
    [
        {"messages": said("one two three four")},
        {"messages": said("Save a note, title: Greetings, body: hello there"), "tools": [NOTE]},
        {"messages": said("What?"), "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1030},
    ],
    ids=["text", "call", "thinking"],
)
async def test_a_whole_reply_is_its_stream_folded(fields: Json, limit: int) -> None:
    """STR-15: also where the limit cuts it. It is made in fewer events, as nobody sees them."""
    fields = {"max_tokens": limit, **fields}
    (events, streamed), (fewer, whole) = [await run(**fields, stream=stream) for stream in (True, False)]
    assert plain(whole) == plain(streamed)
    assert len(fewer) <= len(events)


def test_a_whole_reply_takes_as_long_as_its_stream() -> None:
    engine = OfflineEngine(secret=b"s", pace=Pace(ttft_s=2.0, tokens_per_second=10.0))
    ends = []
    for stream in (True, False):
        loop = Clock()
        try:
            ends.append(loop.run_until_complete(timed(engine, messages=said("Hi"), stream=stream))[-1][0])
        finally:
            loop.close()
    assert ends[0] == pytest.approx(ends[1], abs=0.01)


async def taken(ready: Iterable[list[Event]], pace: Pace, broken: Break | None = None) -> list[list[Event]]:
    return [together async for together in paced(ready, pace, tokenizer="claude-3", broken=broken)]


def deltas(count: int, text: str = "a word") -> Iterator[list[Event]]:
    return ([BlockDelta(index=0, delta=TextDelta(text=text))] for _ in range(count))


async def test_what_is_due_at_the_same_time_leaves_together() -> None:
    assert [len(together) for together in await taken(deltas(3 * TOGETHER), Pace())] == [TOGETHER] * 3
    short, _ = written(Reply(parts=(Say("one two three four five six"),)))
    assert await taken([[event] for event in short], Pace()) == [short]


def test_at_a_pace_beyond_what_a_loop_can_wait_for_events_leave_together() -> None:
    """A thousand tokens and more in a millisecond, the least that loops wait."""
    loop = Clock()
    try:
        came = loop.run_until_complete(taken(deltas(1_000), Pace(tokens_per_second=1_000_000.0)))
        assert loop.time() == pytest.approx(0.002, abs=0.001)
    finally:
        loop.close()
    assert sum(map(len, came)) == 1_000
    assert len(came) < 10


async def test_events_are_not_made_before_they_are_asked_for() -> None:
    """So that a slow reader stays a small one, and a caller who goes costs no more work."""
    made = 0

    def making() -> Iterator[list[Event]]:
        nonlocal made
        for ready in deltas(10 * TOGETHER):
            made += 1
            yield ready

    events = paced(making(), Pace(), tokenizer="claude-3")
    for pieces in (1, 2, 3):
        await anext(events)
        assert made <= pieces * TOGETHER + 1
    await events.aclose()
    assert made <= 3 * TOGETHER + 1


@pytest.mark.parametrize("after", [1, 5, TOGETHER, TOGETHER + 5])
async def test_what_comes_before_a_break_is_sent(after: int) -> None:
    came: list[Event] = []

    async def take() -> None:
        async for together in paced(deltas(2 * TOGETHER), Pace(), tokenizer="claude-3", broken=Break(after, None)):
            came.extend(together)

    with pytest.raises(CutOff):
        await take()
    assert len(came) == after


async def test_long_replies_let_others_have_their_turn() -> None:
    """Without a pace nothing waits for time, but the loop is given up now and then."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    pieces = await taken(deltas(10 * TOGETHER), Pace())
    other.cancel()
    assert turns >= len(pieces) - 1 >= 9


def test_events_may_be_apart() -> None:
    """`between_s`: of a script, between the events of blocks."""

    async def came() -> list[float]:
        loop = asyncio.get_running_loop()
        events, _ = written(Reply(parts=(Say("one two three"),)))
        together = paced([events], Pace(between_s=2.0), tokenizer="claude-3")
        return [loop.time() async for ready in together for _ in ready]

    loop = Clock()
    try:
        times = loop.run_until_complete(came())
    finally:
        loop.close()
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert [round(gap, 3) for gap in gaps if gap > 0.5] == [2.0] * (len(gaps) - 2)


async def test_without_a_pace_nothing_waits() -> None:
    """The default is as fast as it goes."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await run(messages=said("Hi " * 200), engine=ENGINE)
    assert loop.time() - began < 5
