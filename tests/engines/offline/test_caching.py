"""Prompt caching of the offline engine: what is written, read and missed, by tokens; spec CCH-1 to 40.

Time is a number. Breakpoints that are refused are in tests/wire/test_validate_blocks.py, but for those of inner blocks.
"""

import asyncio
import base64
import io
from collections.abc import Sequence
from typing import Any

import pytest
from asking import (
    EPHEMERAL,
    HI,
    Row,
    assistant,
    call,
    counted,
    must_refuse,
    must_refuse_to_count,
    name_of,
    result,
    says,
    text,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dragoman.engines.base import Generation
from dragoman.engines.offline import OfflineEngine
from dragoman.engines.offline.caching import CacheUse, Diagnoses, PromptCache
from dragoman.engines.offline.pace import Pace
from dragoman.engines.offline.prompt import Prompt, read_prompt
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.codec import read
from dragoman.wire.events import Event, MessageStart
from dragoman.wire.models import Model
from dragoman.wire.types import Message, MessagesRequest

Json = dict[str, Any]
CATALOGUE = Catalogue.load()
HOUR = EPHEMERAL | {"ttl": "1h"}
LONG = "word " * 1500  # above the minimum of the models used here
SHORT = "word " * 100


class Clock:
    """Seconds, as many as a test says."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Asking:
    """A cache, and requests to it."""

    def __init__(self, model: str = "claude-sonnet-4-5", **bounds: int) -> None:
        self.clock = Clock()
        self.cache = PromptCache(clock=self.clock, **bounds)
        self._model = model

    def begin(self, *, workspace: str = "wrk_1", model: str | None = None, **fields: Any) -> CacheUse:
        name = model or self._model
        request, known, prompt = asked(name, **fields)
        return self.cache.begin(request, known, prompt, workspace_id=workspace)

    def ask(self, **fields: Any) -> tuple[int, int, int, int]:
        """Read, written for 5 minutes, written for 1 hour, plain: of a request whose response has begun."""
        use = self.begin(**fields)
        use.commit()
        return numbers(use)


def asked(model: str, **fields: Any) -> tuple[MessagesRequest, Model, Prompt]:
    known = CATALOGUE.resolve(model)
    assert known is not None
    request = read(MessagesRequest, {"model": model, "max_tokens": 100, "messages": [HI], **fields})
    return request, known, read_prompt(request, known)


def tokens(*spans: int, model: str = "claude-sonnet-4-5", **fields: Any) -> int:
    """Tokens of some blocks of the prompt, by their place in it; of all of it when none is named."""
    _, _, prompt = asked(model, **fields)
    return sum(prompt.spans[at].tokens for at in spans) if spans else prompt.tokens


def numbers(use: CacheUse) -> tuple[int, int, int, int]:
    return use.read_tokens, use.write_5m_tokens, use.write_1h_tokens, use.plain_tokens


def system(words: str = LONG, **marker: Any) -> Json:
    return {"system": [text(words, cache_control=EPHEMERAL | marker)]}


def blocks(count: int, *marked: int, words: str = SHORT) -> list[Json]:
    """A user turn of so many blocks, breakpoints on some of them, which are counted from 1."""
    numbered = [text(f"{at} {words}", cache_control=EPHEMERAL if at in marked else None) for at in range(1, count + 1)]
    return [says(*numbered)]


def picture() -> Json:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


# Written, read, missed.


def test_written_then_read_then_missed_by_one_byte_then_kept_for_an_hour() -> None:
    """CCH-24, CCH-31, CCH-33, CCH-35, MSG-120, MSG-121."""
    api = Asking()
    total, first = tokens(**system()), tokens(0, **system())
    assert api.ask(**system()) == (0, first, 0, total - first)
    assert api.ask(**system()) == (first, 0, 0, total - first)
    assert api.ask(**system(), messages=[says("another question")])[0] == first
    read, written, _, _ = api.ask(**system(LONG + "."))
    assert (read, written) == (0, tokens(0, **system(LONG + ".")))
    use = api.begin(**system(LONG + "!", ttl="1h"))
    assert (use.read_tokens, use.write_5m_tokens) == (0, 0)
    assert use.write_tokens == use.write_1h_tokens == tokens(0, **system(LONG + "!"))
    use.commit()
    api.clock.now += 3599
    assert api.ask(**system(LONG + "!", ttl="1h"))[0] == use.write_tokens
    assert api.ask(**system())[0] == 0, "five minutes are over"


def test_without_a_breakpoint_nothing_is_cached() -> None:
    """CCH-21, CCH-31."""
    api = Asking()
    plain = {"system": LONG}
    assert api.ask(**plain) == api.ask(**plain) == (0, 0, 0, tokens(**plain))
    assert len(api.cache) == 0


TOOL = {"name": "look", "description": LONG, "input_schema": {"type": "object", "properties": {"a": {}, "b": {}}}}
CALLED = [says("go"), assistant(call("toolu_1", input={"a": 1, "b": 2}))]
TURNS: Json = {
    "tools": [TOOL],
    "system": "Be brief.",
    "messages": [*CALLED, says(result("toolu_1", content="done", cache_control=EPHEMERAL), "Thanks")],
}


def turns(*messages: Json) -> Json:
    return TURNS | {"messages": list(messages)}


ENDED = says(result("toolu_1", content="done", cache_control=EPHEMERAL), "Thanks")


@pytest.mark.parametrize(
    "changed",
    [
        {"tools": [TOOL | {"description": LONG + " "}]},
        {"tools": [TOOL | {"name": "looks"}]},
        {"tools": [TOOL | {"input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}]},
        {"tools": [TOOL | {"input_schema": {"properties": {"a": {}, "b": {}}, "type": "object"}}]},
        {"tools": [TOOL, TOOL | {"name": "other"}]},
        {"system": "Be brief!"},
        {"system": [text("Be "), text("brief.")]},
        turns(says("go "), CALLED[1], ENDED),
        turns(says("g", "o"), CALLED[1], ENDED),
        turns(says("g"), says("o"), CALLED[1], ENDED),
        turns(CALLED[0], assistant(call("toolu_1", input={"b": 2, "a": 1})), ENDED),
        turns(CALLED[0], assistant(call("toolu_1", input={"a": 1.0, "b": 2})), ENDED),
        turns(CALLED[0], assistant("x", call("toolu_1", input={"a": 1, "b": 2})), ENDED),
        turns(*CALLED, says(result("toolu_1", content="done!", cache_control=EPHEMERAL), "Thanks")),
        turns(*CALLED, says(result("toolu_1", content="done", is_error=True, cache_control=EPHEMERAL), "Thanks")),
    ],
)
def test_whatever_changes_before_the_breakpoint_misses(changed: Json) -> None:
    """CCH-20: content, order of keys, borders of blocks and of messages."""
    api = Asking()
    assert api.ask(**TURNS)[1] > 0
    assert api.ask(**TURNS)[0] > 0
    assert api.ask(**TURNS | changed)[0] == 0


def test_where_a_message_ends_is_part_of_the_content() -> None:
    """CCH-20: two messages of one role are not one of two blocks."""
    api = Asking()
    marked = text(LONG, cache_control=EPHEMERAL)
    assert api.ask(messages=[says("a", marked)])[1] > 0
    assert api.ask(messages=[says("a"), says(marked)])[0] == 0
    assert api.ask(messages=[says("a", marked)])[0] > 0


def test_citations_that_are_off_are_as_none() -> None:
    """CCH-30."""
    api = Asking()
    tail = text(LONG, cache_control=EPHEMERAL)
    assert api.ask(messages=[says(CITED | {"citations": None}, tail)])[1] > 0
    assert api.ask(messages=[says(CITED | {"citations": {"enabled": False}}, tail)])[0] > 0
    assert api.ask(messages=[says(CITED, tail)])[0] == 0


def test_the_role_is_part_of_the_content() -> None:
    """CCH-20."""
    api = Asking()
    marked = text(LONG, cache_control=EPHEMERAL)
    assert api.ask(messages=[HI, says(marked)])[1] > 0
    assert api.ask(messages=[HI, assistant(marked), HI])[0] == 0


@pytest.mark.parametrize(
    "same",
    [
        {"system": [text("Be brief.")]},
        {"tools": [{"type": "custom", **TOOL, "cache_control": EPHEMERAL}]},
        {"tools": [TOOL | {"strict": False, "defer_loading": False, "input_examples": None}]},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"thinking": {"type": "disabled"}},
        {"speed": "standard"},
        {"temperature": 0.5, "max_tokens": 7, "metadata": {"user_id": "u"}, "stop_sequences": ["x"]},
        turns({"role": "user", "content": "go"}, CALLED[1], ENDED),
        turns(says(text("go", citations=None)), CALLED[1], ENDED),
        turns(
            *CALLED,
            says(result("toolu_1", content=[text("done")], is_error=False, cache_control=EPHEMERAL), "Other words"),
        ),
        turns(*CALLED, says(result("toolu_1", content=[text("done", cache_control=EPHEMERAL)]))),
        {"cache_control": EPHEMERAL},
        {"system": [text("Be brief.", cache_control=HOUR)]},
    ],
)
def test_a_default_that_is_written_out_and_a_marker_change_nothing(same: Json) -> None:
    """CCH-30, MSG-43: nor does what is no part of the prompt."""
    api = Asking()
    assert api.ask(**TURNS)[1] > 0
    assert api.ask(**TURNS | same)[0] > 0


def test_the_default_effort_and_thinking_of_a_model_change_nothing() -> None:
    """CCH-30."""
    api = Asking("claude-opus-5")
    assert api.ask(cache_control=EPHEMERAL, **system())[1] > 0
    explicit = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    assert api.ask(cache_control=EPHEMERAL, **system(), **explicit)[3] == 0


@pytest.mark.parametrize(
    "other",
    [{"workspace": "wrk_2"}, {"model": "claude-sonnet-4-6"}, {"workspace": "wrk_2", "model": "claude-sonnet-4-6"}],
)
def test_neither_another_workspace_nor_another_model_reads_it(other: Json) -> None:
    """CCH-20, CCH-27."""
    api = Asking()
    api.ask(**system())
    assert api.ask(**system(), **other)[0] == 0


def test_an_alias_is_its_model() -> None:
    """CCH-20: by the id that an alias resolves to."""
    api = Asking()
    written = api.ask(**system())[1]
    assert api.ask(**system(), model="claude-sonnet-4-5-20250929")[0] == written


# Breakpoints.


def test_only_breakpoints_are_written() -> None:
    """CCH-21: a breakpoint before the one that was written finds nothing."""
    api = Asking()
    api.ask(messages=blocks(20, 20))
    assert api.ask(messages=blocks(20, 19))[0] == 0
    assert api.ask(messages=blocks(21, 21))[0] > 0


@pytest.mark.parametrize(("written_at", "is_read"), [(16, True), (15, False)])
def test_a_breakpoint_looks_back_at_twenty_positions_with_itself(written_at: int, is_read: bool) -> None:
    """CCH-22: from block 35 it sees 35 to 16."""
    api = Asking()
    written = api.ask(messages=blocks(35, written_at))[1]
    assert written > 0
    assert api.ask(messages=blocks(35, 35))[0] == (written if is_read else 0)


def test_a_second_breakpoint_looks_back_further() -> None:
    """CCH-22."""
    api = Asking()
    written = api.ask(messages=blocks(40, 15))[1]
    assert api.ask(messages=blocks(40, 20, 40))[0] == written


def test_the_look_back_goes_through_system_and_tools() -> None:
    """CCH-22: each block is a position, whatever its level."""
    api = Asking()
    tools = [TOOL | {"cache_control": EPHEMERAL}]
    assert api.ask(tools=tools, system="s", messages=blocks(2))[1] > 0
    assert api.ask(tools=[TOOL], system="s", messages=blocks(18, 18))[0] > 0  # 18 + system + tool = 20
    api.clock.now += 301
    api.ask(tools=tools, system="s", messages=blocks(2))
    assert api.ask(tools=[TOOL], system="s", messages=blocks(19, 19))[0] == 0


def test_the_longest_of_several_hits_is_read() -> None:
    """CCH-22."""
    api = Asking()
    api.ask(messages=blocks(18, 11, 15))
    expected = tokens(*range(15), messages=blocks(18))
    assert api.ask(messages=blocks(18, 11, 18))[0] == expected


@pytest.mark.parametrize(
    "model",
    ["claude-opus-5", "claude-sonnet-4-5", "claude-opus-4-7", "claude-haiku-4-5"],
)
def test_a_prefix_below_the_minimum_is_not_cached_and_no_error(model: str) -> None:
    """CCH-23: 512, 1,024, 2,048 and 4,096 tokens."""
    minimum = CATALOGUE.resolve(model).cache_minimum_tokens  # type: ignore[union-attr]
    words = "a b " * (minimum // 2)
    while tokens(0, model=model, **system(words)) < minimum:
        words += "a "
    while tokens(0, model=model, **system(words[:-2])) >= minimum:
        words = words[:-2]
    api = Asking(model)
    assert tokens(0, model=model, **system(words)) == minimum
    assert api.ask(**system(words))[1] == minimum
    short = system(words[:-2])
    assert api.ask(**short) == api.ask(**short) == (0, 0, 0, tokens(model=model, **short))


def test_the_minimum_counts_the_whole_prefix() -> None:
    """CCH-23: a short block behind a long one is cached, and a short prefix before it is not."""
    api = Asking()
    request = system("short") | {"messages": [says(text(LONG, cache_control=EPHEMERAL), "tail")]}
    assert api.ask(**request)[1] == tokens(0, 1, **request)
    assert api.ask(**system("short"))[0] == 0


# Lifetimes.


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300), ("1h", 3600)])
def test_an_entry_lives_from_the_request_on_and_each_read_refreshes_it(ttl: str, seconds: int) -> None:
    """CCH-24."""
    api = Asking()
    use = api.begin(**system(ttl=ttl))
    api.clock.now += 50  # the response took so long to begin
    use.commit()
    api.clock.now += seconds - 51
    for _ in range(3):
        assert api.ask(**system(ttl=ttl))[0] == use.write_tokens
        api.clock.now += seconds - 1
    api.clock.now += 1
    assert api.ask(**system(ttl=ttl))[0] == 0


def test_a_read_refreshes_for_the_entrys_own_time() -> None:
    """CCH-24: whatever the breakpoint that reads says, and it upgrades nothing."""
    api = Asking()
    api.ask(**system(ttl="1h"))
    assert api.ask(**system(ttl="5m"))[1:3] == (0, 0)
    api.clock.now += 3000
    assert api.ask(**system(ttl="5m"))[0] > 0
    api.clock.now += 3000
    assert api.ask(**system(ttl="5m"))[0] > 0
    api.ask(**system(LONG + "5m"))
    assert api.ask(**system(LONG + "5m", ttl="1h"))[0] > 0
    api.clock.now += 301
    assert api.ask(**system(LONG + "5m"))[0] == 0


def test_a_read_keeps_the_shorter_prefixes_of_it_alive() -> None:
    """CCH-24: what is part of a prefix that was read was used with it."""
    api = Asking()
    api.ask(**system())
    long_request = {"system": [text(LONG)], "messages": blocks(3, 3)}
    for _ in range(3):
        api.clock.now += 200
        api.ask(**long_request)
    assert api.ask(**system())[0] > 0


def test_parallel_first_requests_all_miss() -> None:
    """CCH-25: an entry is there when the first response has begun, not before."""
    api = Asking()
    uses = [api.begin(**system()) for _ in range(3)]
    assert {use.read_tokens for use in uses} == {0}
    assert len({use.write_tokens for use in uses}) == 1
    uses[1].commit()
    assert api.begin(**system()).read_tokens == uses[0].write_tokens


def test_a_response_that_never_began_wrote_nothing() -> None:
    """CCH-25."""
    api = Asking()
    api.begin(**system())
    assert api.ask(**system())[0] == 0


# Two lifetimes in one request.


def test_two_lifetimes_are_accounted_by_three_places() -> None:
    """CCH-32, CCH-33: A the hit, B the last 1h breakpoint behind it, C the last breakpoint."""

    def request(a: str = LONG, b: str = LONG, c: str = LONG) -> Json:
        return {
            "system": [text(a, cache_control=HOUR), text(b, cache_control=HOUR)],
            "messages": [says(text(c, cache_control=EPHEMERAL), "tail")],
        }

    api = Asking()
    first, second, third, tail = (tokens(at, **request()) for at in range(4))
    assert api.ask(**request()) == (0, third, first + second, tail)
    assert api.ask(**request()) == (first + second + third, 0, 0, tail)
    assert api.ask(**request(c=LONG + "x"))[:2] == (first + second, tokens(2, **request(c=LONG + "x")))
    changed = request(b=LONG + "x")
    assert api.ask(**changed) == (first, third, tokens(1, **changed), tail)
    api.clock.now += 301
    assert api.ask(**request()) == (first + second, third, 0, tail)


# The automatic breakpoint.


def test_an_automatic_breakpoint_grows_with_the_conversation() -> None:
    """CCH-10, CCH-14: each request reads what the last one ended with, and writes what is new."""
    api = Asking()
    history: list[Json] = [{"role": "user", "content": LONG}]
    before = 0
    for turn in range(4):
        request = {"cache_control": EPHEMERAL, "system": "s", "messages": history}
        total = tokens(**request)
        assert api.ask(**request) == (before, total - before, 0, 0)
        before = total
        history = [*history, assistant(f"answer {turn}"), says(f"question {turn}")]


@pytest.mark.parametrize("last", [LONG, [result("toolu_1", content=LONG)], [text(LONG, cache_control=EPHEMERAL)]])
def test_an_automatic_breakpoint_stands_on_the_last_block_of_any_kind(last: Any) -> None:
    """CCH-10, CCH-11: on a string, on a tool result, and once on a block that is marked alike."""
    api = Asking()
    request = {"messages": [HI, assistant(call("toolu_1")), {"role": "user", "content": last}]}
    total = tokens(**request)
    assert api.ask(**request, cache_control=HOUR if isinstance(last, str) else EPHEMERAL)[3] == 0
    assert api.ask(**request, cache_control=EPHEMERAL) == (total, 0, 0, 0)


def test_an_automatic_breakpoint_walks_back_over_what_can_have_none() -> None:
    """CCH-13: thinking at the end is plain."""
    api = Asking("claude-opus-4-6")
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    request = {"messages": [says("word " * 5000), assistant("Well.", thinking)], "cache_control": EPHEMERAL}
    *cached, last = (tokens(at, model="claude-opus-4-6", **request) for at in range(3))
    assert last > 0
    assert api.ask(**request) == (0, sum(cached), 0, last)


def test_an_automatic_breakpoint_beside_explicit_ones() -> None:
    """CCH-10: each is a place of its own."""
    api = Asking()
    request = system() | {"messages": [says(LONG)], "cache_control": EPHEMERAL}
    api.ask(**request)
    assert api.ask(**request | {"messages": [says("other")]})[0] == tokens(0, **request)


def test_a_prewarming_request_writes_like_any_other() -> None:
    """CCH-29: with a breakpoint on what is shared."""
    api = Asking()
    written = api.ask(**system(), max_tokens=0, messages=[says("warmup")])[1]
    assert written > 0
    assert api.ask(**system(), messages=[says("the real question")])[0] == written


# What loses which level.

LEVELS: Json = {
    "tools": [TOOL | {"cache_control": EPHEMERAL}],
    "system": [text(LONG, cache_control=EPHEMERAL)],
    "messages": [says(text(LONG, cache_control=EPHEMERAL), "tail")],
}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
CITED = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    "citations": {"enabled": True},
}
FORM = {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def behind(block: Json) -> Json:
    """The same with one block more behind the last breakpoint."""
    return {"messages": [says(*LEVELS["messages"][0]["content"], block)]}


@pytest.mark.parametrize(
    ("kept", "changed"),
    [
        (0, {"tools": [TOOL | {"description": LONG + ".", "cache_control": EPHEMERAL}]}),
        (0, {"output_config": FORM}),
        (0, {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "title": "t"}}}}),
        (1, {"tools": [*LEVELS["tools"], SEARCH]}),
        (1, behind(CITED)),
        (1, {"speed": "fast"}),
        (1, {"system": [text(LONG + ".", cache_control=EPHEMERAL)]}),
        (2, {"tool_choice": {"type": "any"}}),
        (2, {"tool_choice": {"type": "none"}}),
        (2, {"tool_choice": {"type": "tool", "name": "look"}}),
        (2, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        (2, behind(picture())),
        (2, behind({"type": "document", "source": {"type": "content", "content": [picture()]}})),
        (2, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (2, {"thinking": {"type": "adaptive"}}),
        (2, {"output_config": {"effort": "low"}}),
        (3, {"output_config": {"effort": "high"}}),
        (3, behind(text("more"))),
        (3, behind(CITED | {"citations": {"enabled": False}})),
        (3, {"tool_choice": {"type": "auto"}}),
        (3, {"thinking": {"type": "disabled"}}),
    ],
)
@pytest.mark.parametrize("back", [False, True], ids=["on", "off"])
def test_what_a_change_loses(kept: int, changed: Json, back: bool) -> None:
    """CCH-30: how many of tools, system and messages are still read when it is turned on, and when off again."""
    model = "claude-opus-4-6"
    long = {"tools": [TOOL | {"description": LONG * 3, "cache_control": EPHEMERAL}]}
    base = LEVELS | long
    if "tools" in changed:
        changed = (
            {"tools": [*long["tools"], SEARCH]} if kept else {"tools": [long["tools"][0] | {"description": LONG * 4}]}
        )
    api = Asking(model)
    first, second = (base | changed, base) if back else (base, base | changed)
    assert api.ask(**first)[1] > 0
    places = [0, 2, 3] if SEARCH in second["tools"] else [0, 1, 2]
    ends = [0, *(places[at] + 1 for at in range(3))]
    assert api.ask(**second)[0] == sum(tokens(at, model=model, **second) for at in range(ends[kept]))


def test_a_format_loses_all_also_when_its_schema_changes() -> None:
    """CCH-30."""
    api = Asking()
    api.ask(**LEVELS, output_config=FORM)
    assert api.ask(**LEVELS, output_config=FORM)[0] > 0
    other = {"format": {"type": "json_schema", "schema": {"type": "object", "title": "t"}}}
    assert api.ask(**LEVELS, output_config=other)[0] == 0


def test_thinking_of_earlier_turns_that_a_model_drops_is_dropped_from_the_prefix() -> None:
    """CCH-30: what followed that thinking is lost with the next user turn; a model that keeps it reads on."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    loop = [says("word " * 5000), assistant(thinking, call("toolu_1")), says(result("toolu_1", content="r"))]
    for model, is_kept in (("claude-opus-4-6", True), ("claude-haiku-4-5", False)):
        keeps = CATALOGUE.resolve(model).thinking.keeps_earlier_turns  # type: ignore[union-attr]
        assert keeps is is_kept
        api = Asking(model)
        api.ask(messages=loop, cache_control=EPHEMERAL)
        on = api.ask(messages=[*loop, assistant("done"), says("and now?")], cache_control=EPHEMERAL)
        assert (on[0] > 0) is is_kept, model


# Tools that are loaded later.

LATER = {"name": "later", "description": "x" * 50, "input_schema": {"type": "object"}, "defer_loading": True}


@pytest.mark.parametrize(
    "tools",
    [[TOOL, LATER | {"description": "other"}], [TOOL, LATER, LATER | {"name": "third"}], [LATER, TOOL], [TOOL]],
    ids=len,
)
def test_a_deferred_tool_is_no_part_of_the_prefix(tools: list[Json]) -> None:
    """CCH-28."""
    api = Asking()
    rest = {"system": [text("s", cache_control=EPHEMERAL)]}
    assert api.ask(tools=[TOOL, LATER], **rest)[1] > 0
    assert api.ask(tools=tools, **rest)[0] > 0
    assert api.ask(tools=[TOOL, LATER | {"defer_loading": False}], **rest)[0] == 0


def test_a_deferred_tool_that_was_found_is_part_of_the_prefix_from_there_on() -> None:
    """CCH-28."""
    found = says(result("toolu_1", content=[{"type": "tool_reference", "tool_name": "later"}]))
    request: Json = {"messages": [says(text(LONG, cache_control=EPHEMERAL)), CALLED[1], found]}
    api = Asking()
    api.ask(tools=[TOOL, LATER], cache_control=EPHEMERAL, **request)
    read, written, _, _ = api.ask(tools=[TOOL, LATER | {"description": "new"}], cache_control=EPHEMERAL, **request)
    assert min(read, written) > 0
    assert api.ask(tools=[TOOL, LATER], cache_control=EPHEMERAL, **request)[1] == 0


# Breakpoints inside blocks.

FILLED = says(result("toolu_1", content=[text(LONG, cache_control=EPHEMERAL)]), "tail")
PARTS = {"type": "content", "content": [text(LONG, cache_control=EPHEMERAL), text("b")]}
FOUND = {"type": "search_result", "source": "s", "title": "t", "content": [text(LONG, cache_control=EPHEMERAL)]}


@pytest.mark.parametrize(
    "holder",
    [
        result("toolu_1", content=[text(LONG, cache_control=EPHEMERAL), text("b")]),
        result("toolu_1", content=[{"type": "document", "source": PARTS}]),
        {"type": "document", "source": PARTS},
        FOUND,
    ],
    ids=lambda block: block["type"],
)
def test_a_breakpoint_inside_a_block_closes_the_block_around_it(holder: Json) -> None:
    """CCH-2, CCH-3: parts of a block are no entries of their own."""
    api = Asking()
    request = {"messages": [HI, assistant(call("toolu_1")), says(holder, "tail")]}
    whole = tokens(0, 1, 2, **request)
    assert api.ask(**request) == (0, whole, 0, tokens(3, **request))
    assert api.ask(**request)[0] == whole


def inside(*parts: Json) -> list[Json]:
    return [HI, assistant(call("toolu_1")), says(result("toolu_1", content=list(parts)))]


EMPTY = "cache_control cannot be set for empty text blocks"
WITHIN = "messages.2.content.0.tool_result.content.0"
MARKED = text("a", cache_control=EPHEMERAL)
BLANK = text("", cache_control=EPHEMERAL)
REFUSED = [
    Row("CCH-3", f"{WITHIN}.text: {EMPTY}", {"messages": inside(BLANK)}),
    Row(
        "CCH-3",
        f"{WITHIN}.document.source.content.content.1.text: {EMPTY}",
        {"messages": inside({"type": "document", "source": {"type": "content", "content": [text("a"), BLANK]}})},
    ),
    Row("CCH-3", f"{WITHIN}.search_result.content.0: {EMPTY}", {"messages": inside(FOUND | {"content": [BLANK]})}),
    Row(
        "CCH-4",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        {"messages": inside(*[MARKED] * 4), **system("s")},
    ),
    Row(
        "CCH-12",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        {"messages": [*inside(*[MARKED] * 4), assistant("b"), HI], "cache_control": EPHEMERAL},
    ),
    Row(
        "CCH-5",
        "messages.2.content.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after …",
        {"messages": inside(MARKED, text("a", cache_control=HOUR))},
    ),
    Row(
        "CCH-28",
        "Tool 'later' cannot have both defer_loading=true and cache_control set. Tools with defer_loading cannot use "
        "prompt caching.",
        {"tools": [TOOL, LATER | {"cache_control": EPHEMERAL}]},
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_breakpoints_inside_blocks_keep_the_rules(row: Row) -> None:
    """CCH-3, CCH-4, CCH-5, CCH-12, CCH-28."""
    must_refuse(row)


@pytest.mark.parametrize("row", counted(REFUSED), ids=name_of)
def test_count_tokens_keeps_them_too(row: Row) -> None:
    """CCH-6."""
    must_refuse_to_count(row)


# Bounds.


def test_the_entry_that_was_used_longest_ago_goes_first() -> None:
    """CCH-24: memory is bounded."""
    api = Asking(max_entries=3)
    for words in "abc":
        api.ask(**system(LONG + words))
    api.ask(**system(LONG + "a"))
    api.ask(**system(LONG + "d"))
    assert len(api.cache) == 3
    assert [api.begin(**system(LONG + words)).read_tokens > 0 for words in "abcd"] == [True, False, True, True]


def test_entries_that_have_expired_are_dropped() -> None:
    """CCH-24."""
    api = Asking()
    for words in "abc":
        api.ask(**system(LONG + words))
    api.clock.now += 301
    api.ask(**system(LONG + "d"))
    assert len(api.cache) == 1


# By property.

WORDS = st.sampled_from(["one two three " * 60, "four five " * 200, "six " * 900, "!"])
MARKER = st.sampled_from([None, None, EPHEMERAL])


@st.composite
def requests(draw: st.DrawFn) -> Json:
    """Conversations of any shape, with at most four breakpoints."""
    left = 4

    def block() -> Json:
        nonlocal left
        marker = draw(MARKER) if left else None
        left -= marker is not None
        return text(draw(WORDS), cache_control=marker)

    tools = [TOOL | {"name": f"t{at}", "description": draw(WORDS)} for at in range(draw(st.integers(0, 2)))]
    roles = ["user", "assistant"] * 3
    turns_ = [
        says(*(block() for _ in range(draw(st.integers(1, 8)))), role=role) for role in roles[: draw(st.integers(1, 6))]
    ]
    return {
        "tools": tools or None,
        "system": [block() for _ in range(draw(st.integers(0, 2)))] or None,
        "messages": turns_,
        "cache_control": EPHEMERAL if left and draw(st.booleans()) else None,
    }


@settings(max_examples=60)
@given(requests(), requests())
def test_the_four_numbers_make_up_the_prompt_and_what_was_written_is_read(one: Json, two: Json) -> None:
    """CCH-31, CCH-35: a second identical request reads all that the first read and wrote, and writes nothing."""
    api = Asking()
    for request in (one, two):
        first, second = api.ask(**request), api.ask(**request)
        assert sum(first) == sum(second) == tokens(**request)
        assert min(first) >= 0
        assert second == (sum(first[:3]), 0, 0, first[3])


@settings(max_examples=40)
@given(requests(), st.lists(WORDS, min_size=1, max_size=5))
def test_a_longer_conversation_reads_no_less(request_: Json, added: list[str]) -> None:
    """CCH-14, CCH-22: as long as fewer than twenty blocks are added and the old breakpoints stay."""
    api = Asking()
    request_ = request_ | {"cache_control": None}
    first = api.ask(**request_)
    longer = request_ | {"messages": [*request_["messages"], *(says(words) for words in added)]}
    assert api.ask(**longer)[0] >= sum(first[:3])


# Diagnostics.

TALK: Json = {"system": [text(LONG)], "tools": [TOOL], "messages": [says("a"), assistant("b"), says("c" + LONG)]}


class Diagnosing:
    def __init__(self, **bounds: int) -> None:
        self.clock = Clock()
        self.diagnoses = Diagnoses(clock=self.clock, **bounds)
        self.betas: tuple[str, ...] = ()

    def ask(
        self,
        own: str,
        previous: str | None,
        *,
        workspace: str = "wrk_1",
        model: str = "claude-sonnet-4-5",
        **fields: Any,
    ) -> Json | None:
        request, known, prompt = asked(model, diagnostics={"previous_message_id": previous}, **fields)
        found, fingerprint = self.diagnoses.diagnose(request, known, prompt, workspace_id=workspace, betas=self.betas)
        self.diagnoses.remember(own, fingerprint, workspace_id=workspace)
        return found


def reason(found: Json | None) -> str | None:
    return found["cache_miss_reason"]["type"] if found else None


def test_a_first_turn_and_an_undisturbed_conversation_have_nothing_to_diagnose() -> None:
    """CCH-40: null, also where blocks are appended to the last message, and for markers, which are no content."""
    api = Diagnosing()
    assert api.ask("msg_1", None, **TALK) is None
    longer = TALK | {"messages": [*TALK["messages"], assistant("d"), says(text("e", cache_control=EPHEMERAL))]}
    assert api.ask("msg_2", "msg_1", **longer) is None
    assert api.ask("msg_3", "msg_2", **longer) is None
    assert api.ask("msg_4", "msg_3", **longer | {"cache_control": EPHEMERAL, "max_tokens": 1}) is None
    assert api.ask("msg_5", "msg_1", **TALK | {"messages": [*TALK["messages"][:2], says("c" + LONG, "d")]}) is None


CHANGES: list[tuple[str, Json, tuple[int, ...] | None]] = [  # the spans that were still the same
    ("model_changed", {"model": "claude-sonnet-4-6"}, ()),
    ("model_changed", {"speed": "fast"}, ()),
    ("model_changed", {"model": "claude-sonnet-4-6", "system": "s", "tools": []}, ()),
    ("tools_changed", {"tools": [TOOL | {"description": "d"}]}, ()),
    ("tools_changed", {"tools": [TOOL, TOOL | {"name": "n"}], "system": "s"}, (0,)),
    ("system_changed", {"system": [text(LONG + ".")], "messages": [HI]}, (0,)),
    ("system_changed", {"system": None}, (0,)),
    ("messages_changed", {"messages": [says("a"), assistant("B"), says("c" + LONG)]}, (0, 1, 2)),
    ("messages_changed", {"messages": [assistant("b"), says("a"), says("c" + LONG)]}, (0, 1)),
    ("messages_changed", {"messages": [says("a"), assistant("b")]}, (0, 1, 2, 3)),
    ("unavailable", {"tool_choice": {"type": "any"}}, None),
    ("unavailable", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
    ("unavailable", {"output_config": {"effort": "low"}, "messages": [HI]}, None),
    ("unavailable", {"context_management": {"edits": []}}, None),
    ("system_changed", {"tool_choice": {"type": "any"}, "system": "s"}, (0,)),
]


@pytest.mark.parametrize(("kind", "changed", "same"), CHANGES)
def test_the_earliest_difference_is_told(kind: str, changed: Json, same: tuple[int, ...] | None) -> None:
    """CCH-40: with the tokens that could have been read, which need no more than hashes to be known."""
    api = Diagnosing()
    api.ask("msg_1", None, **TALK)
    now = TALK | changed
    found = api.ask("msg_2", "msg_1", **now)
    assert reason(found) == kind
    assert found is not None
    if same is None:
        assert "cache_missed_input_tokens" not in found["cache_miss_reason"]
        return
    model = now.pop("model", "claude-sonnet-4-5")
    least = min(tokens(**TALK), tokens(model=model, **now))
    shared = tokens(*same, model=model, **now) if same else 0
    assert found["cache_miss_reason"]["cache_missed_input_tokens"] == least - shared


def test_other_betas_make_a_diagnosis_unavailable() -> None:
    """CCH-40."""
    api = Diagnosing()
    api.betas = ("a", "b")
    api.ask("msg_1", None, **TALK)
    api.betas = ("b", "a", "a")
    assert api.ask("msg_2", "msg_1", **TALK) is None
    api.betas = ("b",)
    assert reason(api.ask("msg_3", "msg_2", **TALK)) == "unavailable"


@pytest.mark.parametrize("case", ["unknown", "another workspace", "expired", "too many"])
def test_a_request_that_is_not_remembered_is_not_found(case: str) -> None:
    """CCH-40: and it is remembered itself."""
    api = Diagnosing(max_kept=2)
    api.ask("msg_1", None, **TALK)
    if case == "expired":
        api.clock.now += 3600
    if case == "too many":
        api.ask("msg_8", None, **TALK)
        api.ask("msg_9", None, **TALK)
    workspace = "wrk_2" if case == "another workspace" else "wrk_1"
    found = api.ask("msg_2", "msg_other" if case == "unknown" else "msg_1", workspace=workspace, **TALK)
    assert found == {"cache_miss_reason": {"type": "previous_message_not_found"}}
    assert api.ask("msg_3", "msg_2", workspace=workspace, **TALK) is None
    assert len(api.diagnoses) <= 2


@pytest.mark.parametrize(
    ("changed_at", "kind"), [(900, "messages_changed"), (1100, "unavailable"), (1999, "unavailable")]
)
def test_far_into_a_conversation_a_difference_is_not_located(changed_at: int, kind: str) -> None:
    """CCH-40: behind the horizon the reason is `unavailable`; that there is none is known all the same."""
    words = [str(at) for at in range(2000)]
    api = Diagnosing()
    api.ask("msg_1", None, messages=[says(*words)])
    assert api.ask("msg_2", "msg_1", messages=[says(*words), assistant("b"), HI]) is None
    words[changed_at] = "changed"
    assert reason(api.ask("msg_3", "msg_1", messages=[says(*words)])) == kind


def test_nothing_of_a_prompt_is_kept() -> None:
    """CCH-26, CCH-40: hashes and numbers only."""
    secret = "a very particular sentence " * 300
    api, diagnosing = Asking(), Diagnosing()
    api.ask(**system(secret))
    diagnosing.ask("msg_1", None, **system(secret))
    kept = repr(vars(api.cache)) + repr(vars(diagnosing.diagnoses))
    assert "particular" not in kept
    assert len(kept) < 2_000


# What stays of a block that is not in the prompt.

HM = {"type": "thinking", "thinking": "hm", "signature": "x"}


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-6"])
def test_a_breakpoint_on_the_last_block_leaves_nothing_behind_it(model: str, rounds: int) -> None:
    """CCH-31, MSG-120: also where thinking of earlier turns is dropped, whose message keeps its frame."""
    spoken = [turn for _ in range(rounds) for turn in (says("a " * 5000), assistant(HM, "b"))]
    request = {"messages": [*spoken, says(text("c", cache_control=EPHEMERAL))]}
    api = Asking(model)
    total = tokens(model=model, **request)
    assert api.ask(**request) == (0, total, 0, 0)
    assert api.ask(**request) == (total, 0, 0, 0)


def test_a_message_of_nothing_but_dropped_thinking_keeps_its_frame() -> None:
    """CCH-31."""
    api = Asking("claude-haiku-4-5")
    request = {"messages": [says("a " * 5000), assistant(HM), says(text("c", cache_control=EPHEMERAL))]}
    assert api.ask(**request)[3] == 0


def test_the_frame_of_a_request_that_begins_with_a_deferred_tool_is_cached() -> None:
    """CCH-28, CCH-31: the frame and the format stand before all; the tool that is not loaded takes nothing."""
    api = Asking()
    request = {"tools": [LATER, TOOL | {"cache_control": EPHEMERAL}], "output_config": FORM}
    tail = tokens(2, **request)
    assert api.ask(**request)[3] == tail


# More defaults that are written out.


def test_the_choice_of_no_tool_is_the_default_without_tools() -> None:
    """CCH-30, TOOL-13: and with tools it is not."""
    api = Asking()
    request = {"messages": [says(text(LONG, cache_control=EPHEMERAL))]}
    written = api.ask(**request)[1]
    assert api.ask(**request, tool_choice={"type": "none"})[0] == written > 0
    diagnosing = Diagnosing()
    diagnosing.ask("msg_1", None, **request)
    assert diagnosing.ask("msg_2", "msg_1", **request, tool_choice={"type": "none"}) is None
    api.ask(**request, tools=[TOOL])
    assert api.ask(**request, tools=[TOOL], tool_choice={"type": "none"})[0] == 0


SEARCHED = {"tool_use_id": "srvtoolu_1", "type": "web_search_tool_result", "content": []}


@pytest.mark.parametrize(
    ("block", "written_out"),
    [
        (call("toolu_1"), {"caller": {"type": "direct"}}),
        ({**call("srvtoolu_1"), "type": "server_tool_use", "name": "web_search"}, {"caller": {"type": "direct"}}),
        (SEARCHED, {"caller": {"type": "direct"}}),
        (picture(), {"transformations": {"oversized_image": "downsize"}}),
    ],
    ids=["tool_use", "server_tool_use", "web_search_tool_result", "image"],
)
def test_a_default_of_a_block_that_is_written_out_changes_nothing(block: Json, written_out: Json) -> None:
    """CCH-30: of the same block; any other value is another prompt."""
    last = says(text(LONG, cache_control=EPHEMERAL))
    api = Asking()
    assert api.ask(messages=[HI, assistant(block), last])[1] > 0
    read, *written, _ = api.ask(messages=[HI, assistant(block | written_out), last])
    assert (read > 0, written) == (True, [0, 0])
    other = {"caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}}
    if "caller" in written_out:
        assert api.ask(messages=[HI, assistant(block | other), last])[0] == 0


# Responses that overlap.


async def test_requests_that_are_read_before_the_first_response_begins_all_miss() -> None:
    """CCH-25: of the engine itself; those that come after that read, though no response has ended."""
    engine = OfflineEngine(secret=b"secret", pace=Pace(ttft_s=1e-6), clock=Clock())
    request: Json = {"messages": [{"role": "user", "content": LONG}], "cache_control": EPHEMERAL}  # read in no thread
    replies = [engine.generate(generation(**request)) for _ in range(4)]
    early = await asyncio.gather(*(anext(reply) for reply in replies[:3]))
    late = await anext(replies[3])
    read_tokens = [start(ready).usage.cache_read_input_tokens for ready in (*early, late)]
    assert read_tokens == [0, 0, 0, tokens(**request)]
    for reply in replies:
        await reply.aclose()


def generation(**fields: Any) -> Generation:
    request, known, _ = asked("claude-sonnet-4-5", **fields)
    return Generation(request=request, model=known, message_id="msg_1", new_tool_id=lambda: "toolu_1")


def start(ready: Sequence[Event]) -> Message:
    assert isinstance(ready[0], MessageStart)
    return ready[0].message
