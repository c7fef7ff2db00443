"""Scripted replies: every matcher, every kind of reply, every complaint about a file, and what is remembered."""

import itertools
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from dragoman.engines.base import Generation
from dragoman.engines.offline.prompt import read_prompt
from dragoman.engines.offline.reply import Part, Reply, Say, Think, Use, Whole
from dragoman.engines.offline.scripts import Script, Scripted, ScriptedReply, UsageOverrides
from dragoman.engines.offline.scripts.template import PLACEHOLDERS
from dragoman.engines.offline.tools.builtin import toolset_members
from dragoman.errors import ApiError, ConfigError, InvalidRequest
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.codec import Unknown, plain
from dragoman.wire.events import DeltaUsage
from dragoman.wire.headers import Headers
from dragoman.wire.types import CacheCreation, ContainerUpload, RedactedThinking, StopDetails, Usage, WebSearchResult
from dragoman.wire.validate import validate_messages

CATALOGUE = Catalogue.load()
DOCUMENT = Path(__file__).parents[3] / "docs/offline-scripts.md"
THINKING_MODEL = "claude-sonnet-4-5"
WEATHER = {"name": "get_weather", "input_schema": {"type": "object"}}
CLOCK = {"name": "get_time", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
BROWSER = {"type": "browser_toolset_20260801"}
Json = dict[str, Any]


def generation(
    text: str = "Hello",
    *,
    headers: Json | None = None,
    workspace: str = "wrk_1",
    model: str = "claude-haiku-4-5",
    **fields: Any,
) -> Generation:
    known = CATALOGUE.resolve(model)
    assert known is not None
    body = {"model": model, "max_tokens": 5000, "messages": [{"role": "user", "content": text}], **fields}
    request = validate_messages(body, known, version="2023-06-01", betas=())
    ids = itertools.count()
    return Generation(
        request=request,
        model=known,
        message_id="msg_1",
        new_tool_id=lambda: f"toolu_new{next(ids)}",
        workspace_id=workspace,
        headers=Headers((headers or {}).items()),
    )


class Player:
    """A script with its memory, asked with the fields of a request."""

    def __init__(self, text: str, **options: Any) -> None:
        self.scripted = Scripted(Script.parse(text, source="folder/test.toml"), **options)

    def ask(self, text: str = "Hello", **fields: Any) -> ScriptedReply | None:
        asked = generation(text, **fields)
        return self.scripted.answer(asked, read_prompt(asked.request, asked.model))

    def said(self, text: str = "Hello", **fields: Any) -> str | None:
        """The text of the reply; None where no rule fits."""
        answer = self.ask(text, **fields)
        return None if answer is None else text_of(answer.reply)


def text_of(reply: Reply) -> str:
    return "|".join(part.text for part in reply.parts if isinstance(part, Say))


def reply_to(reply: str, **fields: Any) -> ScriptedReply:
    """The answer of a script with one rule, whose reply is `reply`."""
    answer = Player(f"[[rule]]\n[rule.reply]\n{reply}").ask(**fields)
    assert answer is not None
    return answer


def parts_of(reply: str, **fields: Any) -> tuple[Part, ...]:
    return reply_to(reply, **fields).reply.parts


def rule_said(rule: str, text: str = "Hello", **fields: Any) -> str | None:
    return Player(f"[[rule]]\n{rule}").said(text, **fields)


def blocks_of(reply: Reply) -> list[Json]:
    """The reply as the content of an assistant's turn."""
    blocks: list[Json] = []
    for part in reply.parts:
        match part:
            case Say(text=text):
                blocks.append({"type": "text", "text": text})
            case Use(on_server=on_server):
                kind = "server_tool_use" if on_server else "tool_use"
                blocks.append({"type": kind, "id": part.id or "toolu_x", "name": part.name, "input": part.input})
            case Whole(block=block):
                blocks.append(plain(block))
    return blocks


def turns(*contents: Any) -> list[Json]:
    """Messages that alternate, the user's first."""
    return [{"role": "user" if at % 2 == 0 else "assistant", "content": each} for at, each in enumerate(contents)]


def results(*given: tuple[str, Json, Json]) -> list[Json]:
    """A conversation that ends in tool results: name and input of each call, and fields of its result."""
    calls = [
        {"type": "tool_use", "id": f"toolu_{at}", "name": name, "input": value}
        for at, (name, value, _) in enumerate(given)
    ]
    answers = [
        {"type": "tool_result", "tool_use_id": f"toolu_{at}", **fields} for at, (_, _, fields) in enumerate(given)
    ]
    return turns("Weather?", calls, answers)


TOKYO = results(("get_weather", {"city": "Tokyo", "days": [1, 2]}, {"content": "22 degrees"}))


# ---------------------------------------------------------------- matchers

MATCHERS: list[tuple[str, Json, Json]] = [
    # the condition, a request that meets it, one that does not
    ('model = "claude-haiku-*"', {}, {"model": "claude-opus-4-8"}),
    ('model = "claude-haiku-4-5-20251001"', {}, {"model": "claude-opus-4-8"}),  # the id behind the alias
    ('model = ["claude-opus-*", "*haiku*"]', {}, {"model": "claude-sonnet-4-5"}),
    ('text = "Hello"', {"text": " Hello\n"}, {"text": "Hello you"}),
    ('text = ["Hi", "Hello"]', {"text": "Hi"}, {"text": "Hey"}),
    ('text.contains = "ell"', {}, {"text": "Hallo"}),
    ('text.contains = ["H", "o"]', {}, {"text": "Hell"}),
    ("text.regex = '(?i)^h.l+o$'", {"text": "hallo"}, {"text": "hullabaloo"}),
    ('text = { contains = "ell", regex = "o$" }', {}, {"text": "Hello you"}),
    (
        'turn_text.contains = "context"',
        {"messages": turns([{"type": "text", "text": "context"}, {"type": "text", "text": "Hello"}])},
        {},
    ),
    (
        'text = "Hello"',
        {"messages": turns([{"type": "text", "text": "context"}, {"type": "text", "text": "Hello"}])},
        {"messages": turns([{"type": "text", "text": "Hello"}, {"type": "text", "text": "more"}])},
    ),
    ('system.contains = "guide"', {"system": "You are a guide."}, {}),
    ("system.regex = '^You'", {"system": [{"type": "text", "text": "You are a guide."}]}, {"system": "A guide"}),
    ('tools = "get_weather"', {"tools": [CLOCK, WEATHER]}, {"tools": [CLOCK]}),
    ('tools = ["get_weather", "get_time"]', {"tools": [CLOCK, WEATHER]}, {"tools": [WEATHER]}),
    ('tools = ["web_search"]', {"tools": [SEARCH]}, {}),
    ("tools = true", {"tools": [CLOCK]}, {}),
    ("tools = false", {}, {"tools": [CLOCK]}),
    ('tool_result = "get_weather"', {"messages": TOKYO}, {"messages": results(("get_time", {}, {"content": "9"}))}),
    ("tool_result = true", {"messages": TOKYO}, {}),
    (
        "tool_result.regex = '[0-9]+ deg'",
        {"messages": TOKYO},
        {"messages": results(("get_weather", {}, {"content": "?"}))},
    ),
    (
        'tool_result = { name = "b", contains = "2" }',
        {"messages": results(("a", {}, {"content": "1"}), ("b", {}, {"content": "2"}))},
        {"messages": results(("a", {}, {"content": "2"}), ("b", {}, {"content": "1"}))},
    ),
    (
        "tool_result.is_error = true",
        {"messages": results(("a", {}, {"content": "1", "is_error": True}))},
        {"messages": TOKYO},
    ),
    (
        "tool_result.is_error = false",
        {"messages": TOKYO},
        {"messages": results(("a", {}, {"content": "1", "is_error": True}))},
    ),
    ('header = { X-Scenario = "slow-*" }', {"headers": {"x-scenario": "slow-1"}}, {"headers": {"x-scenario": "fast"}}),
    ("header.x-scenario = true", {"headers": {"x-scenario": ""}}, {}),
    ("header.x-scenario = false", {}, {"headers": {"x-scenario": "slow"}}),
    ("turn = 1", {}, {"messages": turns("a", "b", "c")}),
    ('turn = "2+"', {"messages": turns("a", "b", "c")}, {}),
    ('turn = [1, "3-4"]', {"messages": turns(*"abcdefg")}, {"messages": turns("a", "b", "c")}),
    ("turn = 1", {"messages": TOKYO}, {"messages": [*TOKYO, *turns("", "Warm.", "Thanks")[1:]]}),
    ("stream = true", {"stream": True}, {}),
    ("stream = false", {}, {"stream": True}),
    ("continues = true", {"messages": turns("Hello", "I say")}, {}),
    ("continues = false", {}, {"messages": turns("Hello", "I say")}),
    ('workspace = "wrk_[12]"', {}, {"workspace": "wrk_3"}),
]


@pytest.mark.parametrize(("condition", "fits", "fits_not"), MATCHERS, ids=[row[0] for row in MATCHERS])
def test_a_condition_holds_or_does_not(condition: str, fits: Json, fits_not: Json) -> None:
    rule = f'{condition}\nreply = "fits"'
    assert rule_said(rule, **fits) == "fits"
    assert rule_said(rule, **fits_not) is None


def test_a_rule_without_conditions_fits_everything() -> None:
    assert rule_said('reply = "fits"', system="x", tools=[WEATHER]) == "fits"


def test_a_toolset_offers_its_members() -> None:
    member = next(iter(toolset_members(BROWSER["type"]) or ()))
    rule = f'tools = "{member}"\nreply = "fits"'
    assert rule_said(rule, tools=[BROWSER]) == "fits"
    assert rule_said(rule, tools=[WEATHER]) is None


def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = 'text = "Hello"\nstream = true\nreply = "both"'
    assert rule_said(rule, stream=True) == "both"
    assert rule_said(rule) is None
    assert rule_said(rule, "Bye", stream=True) is None


def test_the_text_of_a_result_is_that_of_its_text_blocks() -> None:
    blocks = [{"type": "text", "text": "22"}, {"type": "text", "text": "degrees"}]
    rule = 'tool_result.equals = """22\ndegrees"""\nreply = "fits"'
    assert rule_said(rule, messages=results(("get_weather", {}, {"content": blocks}))) == "fits"
    assert rule_said('tool_result.regex = "^$"\nreply = "fits"', messages=results(("a", {}, {}))) == "fits"


def test_the_first_rule_that_fits_answers() -> None:
    player = Player("""
        [[rule]]
        text.contains = "weather"
        reply = "rain"
        [[rule]]
        text.contains = "e"
        reply = "something"
        [[rule]]
        reply = "anything"
    """)
    assert player.said("weather?") == "rain"
    assert player.said("Hello") == "something"
    assert player.said("Hi") == "anything"


def test_a_regex_searches_both_ends_of_a_long_text() -> None:
    rule = "text.regex = 'needle'\nreply = \"found\""
    hay = "x" * 60_000
    assert rule_said(rule, f"needle{hay}{hay}") == "found"
    assert rule_said(rule, f"{hay}{hay}needle") == "found"
    assert rule_said(rule, f"{hay}needle{hay}") is None
    assert rule_said('text.contains = "needle"\nreply = "found"', f"{hay}needle{hay}") == "found"


# ---------------------------------------------------------------- what is remembered


def test_call_counts_the_requests_that_meet_the_other_conditions() -> None:
    player = Player("""
        [[rule]]
        text = "Hello"
        call = [1, "3-4"]
        reply = "{{ call }}"
        [[rule]]
        reply = "other"
    """)
    assert player.said("Bye") == "other"
    assert [player.said() for _ in range(5)] == ["1", "other", "3", "4", "other"]


def test_call_counts_each_conversation_by_itself() -> None:
    player = Player('[[rule]]\ncall = "2+"\nreply = "again"')
    same = [{}, {"model": "claude-opus-4-8"}, {"stream": True}, {"messages": turns("Hello", "Hi", "More")}]
    others = [{"text": "Bye"}, {"system": "x"}, {"workspace": "wrk_2"}, {"metadata": {"user_id": "u"}}]
    assert [player.said(**fields) for fields in [*same, *others]] == [None, *["again"] * 3, *[None] * 4]


def test_moving_cache_breakpoints_do_not_make_another_conversation() -> None:
    player = Player('[[rule]]\ncall = 2\nreply = "again"')
    marked = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
    assert player.said(messages=turns([marked])) is None
    assert player.said(messages=turns("Hello", "Hi", [marked])) == "again"


def test_pictures_and_long_texts_are_known_by_their_kind_and_their_ends() -> None:
    player = Player('[[rule]]\nreply = "{{ call }}"')
    long = "x" * 30_000
    image = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]}
    texts = [long + "a", long + "b", long + "a", long + "xa"]
    assert [player.said(text) for text in texts] == ["1", "1", "2", "1"]
    contents = [[image], [image, {"type": "text", "text": "Hello"}], [image]]
    assert [player.said(messages=turns(each)) for each in contents] == ["1", "1", "2"]


def test_a_header_can_name_the_conversation() -> None:
    player = Player('conversation_header = "X-Test"\n[[rule]]\nreply = "{{ call }}"')
    a, b = {"headers": {"x-test": "a"}}, {"headers": {"x-test": "b"}}
    assert [player.said(**a), player.said("Bye", **a), player.said(**b), player.said()] == ["1", "2", "1", "1"]
    assert player.said(workspace="wrk_2", **a) == "1", "never across workspaces"


def test_counts_can_be_those_of_a_workspace() -> None:
    player = Player('[[rule]]\nper = "workspace"\nreply = ["{{ call }}", "{{ call }}.", "{{ call }}!"]')
    assert [player.said(text) for text in "abc"] == ["1", "2.", "3!"]
    assert player.said("a", workspace="wrk_2") == "1"


@pytest.mark.parametrize(
    ("then", "rest"),
    [
        ("", ["b", "b", "b"]),
        ('then = "repeat"', ["b", "b", "b"]),
        ('then = "cycle"', ["a", "b", "a"]),
        ('then = "stop"', [None, None, None]),
    ],
)
def test_replies_come_in_their_order(then: str, rest: list[str | None]) -> None:
    player = Player(f'[[rule]]\n{then}\nreply = ["a", {{ text = "b" }}]')
    assert [player.said() for _ in range(5)] == ["a", "b", *rest]


def test_the_order_of_replies_counts_answers_and_not_matches() -> None:
    player = Player('[[rule]]\ncall = "3+"\nreply = ["a", "b", "c"]')
    assert [player.said() for _ in range(5)] == [None, None, "a", "b", "c"]


def test_variables_lead_from_rule_to_rule() -> None:
    player = Player("""
        [[rule]]
        text.regex = 'I am (?P<name>\\w+)'
        set = { name = "{{ match.name }}", step = "known" }
        reply = "Hello {{ state.name }}"
        [[rule]]
        when = { step = ["known", "old"] }
        set = { step = "" }
        reply = "You are {{ state.name }}{{ state.step }}"
        [[rule]]
        when = { step = "" }
        reply = "Who are you?"
    """)
    fresh, begun = turns("Hi"), turns("I am Ann", "Hello Ann", "Who am I?")
    assert player.said(messages=fresh) == "Who are you?"
    assert player.said(messages=begun[:1]) == "Hello Ann"
    assert player.said(messages=begun) == "You are Ann"
    assert player.said(messages=begun) == "Who are you?"


def test_a_variable_is_set_from_its_old_value() -> None:
    player = Player('[[rule]]\nset = { path = "{{ state.path }}x" }\nreply = "{{ state.path }}"')
    assert [player.said() for _ in range(3)] == ["x", "xx", "xxx"]
    assert player.said("Bye") == "x"
    player = Player('[[rule]]\nset = { a = "{{ call }}", b = "{{ state.a }}" }\nreply = "{{ state.a }}{{ state.b }}"')
    assert [player.said() for _ in range(2)] == ["1", "21"]


def test_variables_are_bounded() -> None:
    player = Player('[[rule]]\nset = { a = "{{ text }}" }\nreply = "{{ state.a }}"')
    assert player.said("y" * 5_000) == "y" * 1_000


def test_a_rule_can_forget_the_conversation() -> None:
    player = Player("""
        [[rule]]
        call = 2
        forget = true
        reply = "and good bye"
        [[rule]]
        reply = "Hello {{ call }}"
    """)
    assert [player.said() for _ in range(4)] == ["Hello 1", "and good bye", "Hello 1", "and good bye"]


def test_the_conversation_longest_not_heard_of_is_forgotten() -> None:
    player = Player('[[rule]]\nreply = "{{ call }}"', conversations=2)
    assert [player.said(text) for text in ["a", "b", "a", "c", "a", "b"]] == ["1", "1", "2", "1", "3", "1"]


def test_threads_count_together() -> None:
    player = Player('[[rule]]\nper = "workspace"\nreply = "{{ call }}"')
    said: list[str | None] = []
    threads = [threading.Thread(target=lambda: said.extend([player.said() for _ in range(25)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(text or 0) for text in said) == list(range(1, 101))


def test_the_same_requests_have_the_same_replies() -> None:
    script = '[[rule]]\nreply = { tools = [{ name = "get_weather" }], text = "{{ call }} {{ text }}" }'
    players = [Player(script), Player(script)]
    played = [[player.ask(text, tools=[WEATHER]) for text in "aba"] for player in players]
    assert played[0] == played[1]


# ---------------------------------------------------------------- where no rule fits


def test_without_a_rule_the_engine_answers() -> None:
    assert Player('otherwise = "engine"\n[[rule]]\ntext = "x"\nreply = "y"').ask() is None


def test_without_a_rule_an_error_names_those_that_were_tried() -> None:
    player = Player("""
        otherwise = "error"
        [[rule]]
        name = "sunny"
        text = "weather?"
        reply = "sun"
        [[rule]]
        call = 2
        reply = "second"
        [[rule]]
        reply = { tools = [{ name = "get_weather" }] }
        [[rule]]
        when = { a = "b" }
        set = { a = "c" }
        reply = "never"
        [[rule]]
        name = "once"
        then = "stop"
        call = "2+"
        reply = "once"
    """)
    with pytest.raises(InvalidRequest) as refused:
        player.ask()
    assert refused.value.message == (
        "no rule of test.toml fits this request; tried, with the condition that does not hold: "
        '"sunny" (text), "rule 2" (call), "rule 3" (tools), "rule 4" (when), "once" (call)'
    )
    assert player.said() == "second"
    assert player.said() == "once"
    with pytest.raises(InvalidRequest, match=r'"once" \(then\)$'):
        player.ask()


def test_the_error_names_a_few_of_many_rules() -> None:
    rules = "".join(f'[[rule]]\ntext = "{at}"\nreply = "x"\n' for at in range(50))
    with pytest.raises(InvalidRequest, match=r'"rule 20" \(text\) and 30 more$'):
        Player(f'otherwise = "error"\n{rules}').ask()


# ---------------------------------------------------------------- replies


def test_a_reply_may_be_a_text() -> None:
    answer = Player('[[rule]]\nname = "greeting"\nreply = "Good day"').ask()
    assert answer == ScriptedReply(rule="greeting", reply=Reply(parts=(Say("Good day"),)))


def test_several_texts_are_several_blocks() -> None:
    assert parts_of('text = ["a", "b"]') == (Say("a"), Say("b"))


def test_an_empty_text_is_an_empty_reply() -> None:
    """MSG-110: the content may even be empty."""
    assert reply_to('text = ""').reply == Reply(parts=(Say(""),))


def test_parts_come_in_the_order_of_a_models_reply() -> None:
    reply = 'tools = [{ name = "get_weather" }]\ntext = "b"\nthinking = "a"\nredacted_thinking = "z"'
    thinking = {"type": "enabled", "budget_tokens": 2000}
    parts = parts_of(reply, tools=[WEATHER], model=THINKING_MODEL, thinking=thinking)
    assert parts == (Think("z", redacted=True), Think("a"), Say("b"), Use(name="get_weather", input={}))


def test_thinking_is_left_out_where_the_request_has_none() -> None:
    assert parts_of('thinking = "a"\nredacted_thinking = "z"\ntext = "b"') == (Say("b"),)
    assert parts_of('blocks = [{ type = "thinking", thinking = "a" }]') == (Think("a"),)


def test_tools_are_called_as_written_though_their_schema_says_otherwise() -> None:
    strict = {"name": "get_weather", "input_schema": {"type": "object", "required": ["city"]}}
    reply = 'tools = [{ name = "get_weather", input = { town = 1 }, id = "toolu_mine" }, { name = "get_weather" }]'
    calls = (Use(name="get_weather", input={"town": 1}, id="toolu_mine"), Use(name="get_weather", input={}))
    assert parts_of(reply, tools=[strict]) == calls


def test_a_call_may_be_broken_json() -> None:
    """TOOL-40, MSG-111."""
    reply = """tools = [{ name = "get_weather", raw = '{"city": "{{ text }}' }]\nstop_reason = "max_tokens" """
    answer = reply_to(reply, text="Rome", tools=[WEATHER])
    assert answer.reply.parts == (Use(name="get_weather", input={}, raw='{"city": "Rome'),)
    assert answer.reply.stop_reason == "max_tokens"


def test_a_rule_that_calls_a_tool_fits_only_where_it_is_offered() -> None:
    rule = '[[rule]]\nreply = [{ text = "a" }, { tools = [{ name = "get_weather" }] }]'
    assert Player(rule).ask() is None
    assert Player(rule).ask(tools=[CLOCK]) is None
    assert Player(rule).said(tools=[WEATHER]) == "a"


def test_a_block_calls_any_tool() -> None:
    assert parts_of('blocks = [{ type = "tool_use", name = "nobody", input = { a = 1 } }]') == (
        Use(name="nobody", input={"a": 1}),
    )


def test_json_becomes_text() -> None:
    reply = '[rule.reply.json]\ncity = "{{ text }}"\ndays = [1, 2.5, true]\nday = 2026-11-21\nnothing = "{{ null }}"'
    (part,) = parts_of(reply, text='Ro"me')
    assert isinstance(part, Say)
    value = {"city": 'Ro"me', "days": [1, 2.5, True], "day": "2026-11-21", "nothing": None}
    assert json.loads(part.text) == value
    assert parts_of("json = false") == (Say("false"),)


def test_a_text_block_has_citations() -> None:
    """MSG-99."""
    reply = """
        [[rule.reply.blocks]]
        type = "text"
        text = "It is warm."
        citations = [{ type = "char_location", cited_text = "{{ text }}", document_index = 0 }]
    """
    citation = {"type": "char_location", "cited_text": "warm", "document_index": 0}
    assert parts_of(reply, text="warm") == (Say("It is warm.", (citation,)),)


def test_blocks_of_other_types_come_whole() -> None:
    reply = """blocks = [
        { type = "redacted_thinking", data = "abc" },
        { type = "redacted_thinking", thinking = "secret" },
        { type = "container_upload", file_id = "file_{{ turn }}" },
        { type = "brand_new", anything = ["{{ text }}"] },
    ]"""
    assert parts_of(reply) == (
        Whole(RedactedThinking(data="abc")),
        Think("secret", redacted=True),
        Whole(ContainerUpload(file_id="file_1")),
        Whole(Unknown(kind="brand_new", extra={"anything": ["Hello"]})),
    )


SEARCHED = """
    [[rule]]
    continues = true
    reply = "Paris it is."
    [[rule]]
    [rule.reply]
    stop_reason = "pause_turn"
    blocks = [
        { type = "text", text = "Let me look." },
        { type = "server_tool_use", name = "web_search", input = { query = "{{ text }}" } },
        { type = "web_search_tool_result", content = [
            { type = "web_search_result", url = "https://example.com", title = "T", encrypted_content = "abc==" },
        ] },
    ]
"""


def test_a_servers_tool_is_played_with_its_result() -> None:
    """TOOL-62: server_tool_use, and its result in the same message. TOOL-63: what is encrypted stays as it is."""
    answer = Player(SEARCHED).ask("capital?", tools=[SEARCH])
    assert answer is not None
    _, call, result = answer.reply.parts
    assert call == Use(name="web_search", input={"query": "capital?"}, id="srvtoolu_new0", on_server=True)
    assert isinstance(result, Whole)
    assert isinstance(result.block, WebSearchResult)
    assert result.block.tool_use_id == "srvtoolu_new0"
    assert result.block.content[0]["encrypted_content"] == "abc=="


def test_a_servers_tool_may_fail() -> None:
    """TOOL-62: a failure is a result."""
    reply = """
        [[rule.reply.blocks]]
        type = "server_tool_use"
        id = "srvtoolu_1"
        name = "web_search"
        [[rule.reply.blocks]]
        type = "web_search_tool_result"
        tool_use_id = "srvtoolu_1"
        content = { type = "web_search_tool_result_error", error_code = "unavailable" }
    """
    *_, result = parts_of(reply)
    assert isinstance(result, Whole)
    assert plain(result.block)["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}


def test_a_paused_turn_is_taken_up_again() -> None:
    """MSG-114, TOOL-64: sent back unchanged, it passes our own rules, and the script goes on."""
    player = Player(SEARCHED)
    paused = player.ask("capital?", tools=[SEARCH])
    assert paused is not None
    assert paused.reply.stop_reason == "pause_turn"
    messages = turns("capital?", blocks_of(paused.reply))
    assert player.said(messages=messages, tools=[SEARCH]) == "Paris it is."


@pytest.mark.parametrize(
    "stop_reason",
    ["end_turn", "max_tokens", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "compaction"],
)
def test_every_stop_reason_can_be_said(stop_reason: str) -> None:
    """MSG-110, MSG-111, MSG-113 to 117."""
    assert reply_to(f'text = "a"\nstop_reason = "{stop_reason}"').reply.stop_reason == stop_reason


def test_without_one_the_engine_decides_on_the_stop_reason() -> None:
    assert reply_to('text = "a"').reply.stop_reason is None


def test_a_stop_sequence_says_its_reason() -> None:
    """MSG-106, MSG-112."""
    both = 'text = "a"\nstop_sequence = "END"\nstop_reason = "stop_sequence"'
    for reply in (both, both.rpartition("\n")[0]):
        said = reply_to(reply).reply
        assert (said.stop_reason, said.stop_sequence) == ("stop_sequence", "END")


def test_a_refusal_has_its_details() -> None:
    """MSG-104, MSG-115."""
    said = reply_to('refusal = { category = "cyber", explanation = "Not {{ text }}." }').reply
    details = StopDetails(type="refusal", category="cyber", explanation="Not Hello.")
    assert said == Reply(parts=(), stop_reason="refusal", stop_details=details)
    partial = reply_to('text = "I"\nrefusal = {}').reply
    assert partial.parts == (Say("I"),)
    assert partial.stop_details == StopDetails(type="refusal", category=None, explanation=None)
    other = reply_to('text = "I"\nstop_details = { type = "new", category = "c" }').reply
    assert other.stop_details == StopDetails(type="new", category="c", explanation=None)


ERRORS: list[tuple[str, int, str, str]] = [
    # as written, status, type, message (ERR-10 to ERR-21, ERR-53, ERR-54)
    ("status = 529", 529, "overloaded_error", "Overloaded"),
    ('type = "overloaded_error"', 529, "overloaded_error", "Overloaded"),
    ("status = 500", 500, "api_error", "Internal server error"),
    ("status = 400", 400, "invalid_request_error", "An error of the script: invalid_request_error"),
    ("status = 418", 418, "invalid_request_error", "An error of the script: invalid_request_error"),
    ("status = 503", 503, "api_error", "An error of the script: api_error"),
    ('type = "timeout_error"', 504, "timeout_error", "An error of the script: timeout_error"),
    ('status = 402\ntype = "brand_new_error"', 402, "brand_new_error", "An error of the script: brand_new_error"),
    ('status = 404\nmessage = "model: {{ model }}"', 404, "not_found_error", "model: claude-haiku-4-5"),
]


@pytest.mark.parametrize(("written", "status", "kind", "message"), ERRORS, ids=[row[0] for row in ERRORS])
def test_an_error_comes_instead_of_a_reply(written: str, status: int, kind: str, message: str) -> None:
    answer = reply_to(f"[rule.reply.error]\n{written}")
    error = answer.error
    assert isinstance(error, ApiError)
    assert (error.status, error.headers()) == (status, [])
    assert error.body("req_1")["error"] == {"type": kind, "message": message}
    assert answer.error_after is None
    assert answer.reply.parts == ()


@pytest.mark.parametrize(("written", "header"), [("7", "7"), ("0.5", "0.5"), ("0", "0"), ("86400", "86400")])
def test_an_error_says_when_to_try_again(written: str, header: str) -> None:
    answer = reply_to(f"error = {{ status = 429, retry_after = {written} }}")
    assert answer.error is not None
    assert answer.error.headers() == [("retry-after", header)]


def test_an_error_has_details() -> None:
    answer = reply_to('error = { status = 429, details = { error_code = "enforced_spend_limit_reached" } }')
    assert answer.error is not None
    assert answer.error.body(None)["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}


def test_an_error_may_break_a_stream() -> None:
    """STR-40."""
    answer = reply_to('text = "a b c"\nerror = { status = 529, after = 3 }')
    assert answer.error is not None
    assert (answer.error.status, answer.error_after, answer.reply.parts) == (529, 3, (Say("a b c"),))


def test_each_error_is_one_of_its_own() -> None:
    player = Player("[[rule]]\nreply = [{ error = { status = 429, retry_after = 1 } }, { error = { status = 529 } }]")
    first, second, third = (player.ask() for _ in range(3))
    assert [each and each.error and each.error.status for each in (first, second, third)] == [429, 529, 529]
    assert second is not None
    assert third is not None
    assert second.error is not third.error


def test_a_connection_may_break() -> None:
    assert reply_to('text = "a b c"\ncut_after = 2').cut_after == 2
    assert reply_to("cut_after = 1").reply == Reply(parts=())


def test_a_reply_may_take_its_time() -> None:
    slow = reply_to('text = "a"\nwait_ms = 250\nbetween_ms = 10')
    assert (slow.wait_s, slow.between_s, slow.tokens_per_second) == (0.25, 0.01, None)
    assert reply_to('text = "a"\ntokens_per_second = 40').tokens_per_second == 40.0


def test_usage_may_be_said() -> None:
    """MSG-121: the parts sum up. TOOL-62: searches count. STR-10: message_start says one token of output."""
    usage = reply_to("""text = "a"
        [rule.reply.usage]
        input_tokens = 3
        output_tokens = 40
        cache_creation_input_tokens = 1000
        cache_read_input_tokens = 2000
        thinking_tokens = 30
        web_search_requests = 2
    """).usage
    assert isinstance(usage, UsageOverrides)
    start = usage.of_start(Usage(input_tokens=9, output_tokens=1, service_tier="standard"))
    assert start == Usage(
        input_tokens=3,
        cache_creation_input_tokens=1000,
        cache_read_input_tokens=2000,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=1000, ephemeral_1h_input_tokens=0),
        output_tokens=1,
        service_tier="standard",
    )
    assert usage.of_delta(DeltaUsage(input_tokens=9, output_tokens=5)) == DeltaUsage(
        input_tokens=3,
        output_tokens=40,
        cache_creation_input_tokens=1000,
        cache_read_input_tokens=2000,
        output_tokens_details={"thinking_tokens": 30},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0},
    )


def test_usage_that_is_not_said_stays() -> None:
    usage = UsageOverrides(output_tokens=7)
    told = Usage(input_tokens=9, output_tokens=1)
    assert usage.of_start(told) == told
    delta = DeltaUsage(input_tokens=9, output_tokens=5, output_tokens_details={"thinking_tokens": 2})
    assert usage.of_delta(delta) == DeltaUsage(
        input_tokens=9, output_tokens=7, output_tokens_details={"thinking_tokens": 2}
    )


# ---------------------------------------------------------------- templates

INSERTED: list[tuple[str, str, Json]] = [
    ("{{ model }}", "claude-haiku-4-5", {}),
    ("{{text}}, {{ text }}", "Hello, Hello", {}),
    ("{{ turn_text }}", "a\nb", {"messages": turns([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])}),
    ("{{ system }}", "A guide", {"system": "A guide"}),
    ("<{{ system }}>", "<>", {}),
    ("{{ tool_result }}", "22 degrees", {"messages": TOKYO}),
    ("{{ tool_result.get_weather }}/{{ tool_result.get_time }}", "22 degrees/", {"messages": TOKYO}),
    (
        "{{ tool_result }}{{ tool_result.a }}{{ tool_input.a.n }}",
        "221",
        {"messages": results(("a", {"n": 0}, {"content": "1"}), ("a", {"n": 1}, {"content": "2"}))},
    ),
    ("{{ tool_input.get_weather.city }}", "Tokyo", {"messages": TOKYO}),
    ("{{ tool_input.get_weather.days.1 }}", "2", {"messages": TOKYO}),
    (
        "{{ tool_input.get_weather.days.2 }}{{ tool_input.get_weather.a.b }}{{ tool_input.x.y }}",
        "",
        {"messages": TOKYO},
    ),
    ("{{ tool_input.get_weather }}", '{"city":"Tokyo","days":[1,2]}', {"messages": TOKYO}),
    ("{{ call }} {{ turn }} {{ rule }}", "1 2 rule 1", {"messages": turns("a", "b", "c")}),
    ("{{ header.X-Test }}|{{ header.x-other }}", "a|", {"headers": {"x-test": "a"}}),
    ("{{ metadata.user_id }}", "ann", {"metadata": {"user_id": "ann"}}),
    ("{{ metadata.user_id }}{{ null }}", "", {}),
    ("{ {text} } }}", "{ {text} } }}", {}),
]


@pytest.mark.parametrize(("template", "said", "fields"), INSERTED, ids=[row[0] for row in INSERTED])
def test_a_name_is_replaced(template: str, said: str, fields: Json) -> None:
    assert rule_said(f"reply = '{template}'", **fields) == said


def test_groups_of_all_regexes_can_be_named() -> None:
    rule = """
        text.regex = '(?P<a>\\d+)(?P<none>x)?'
        system.regex = '(?P<b>\\w+)$'
        tool_result.regex = 'of (?P<c>\\w+)'
        reply = "{{ match.a }}{{ match.b }}{{ match.c }}{{ match.none }}"
    """
    blocks = results(("t", {}, {"content": "city of Rome"}))
    blocks[-1]["content"].append({"type": "text", "text": "at 12"})
    assert rule_said(rule, messages=blocks, system="you guide") == "12guideRome"


def test_a_text_that_is_one_name_keeps_its_kind() -> None:
    values = '{ n = "{{ turn }}", s = "{{ turn }}.", o = "{{ tool_input.get_weather }}" }'
    reply = f'tools = [{{ name = "t", input = {values} }}]'
    tool = {"name": "t", "input_schema": {"type": "object"}}
    (call,) = parts_of(reply, messages=TOKYO, tools=[tool])
    assert isinstance(call, Use)
    assert call.input == {"n": 1, "s": "1.", "o": {"city": "Tokyo", "days": [1, 2]}}


def test_what_was_put_in_is_not_looked_at_again() -> None:
    assert rule_said('reply = "{{ text }}"', "{{ system }}", system="secret") == "{{ system }}"


def test_what_is_put_in_is_bounded() -> None:
    assert rule_said('reply = "{{ text }}{{ text }}."', "y" * 50_000) == "y" * 20_000 + "."
    assert rule_said('reply = "{{ text }}"', "y" * 50_000) == "y" * 10_000
    large = results(("get_weather", {"city": "y" * 50_000}, {"content": "1"}))
    (part,) = parts_of('json = { a = "{{ tool_input.get_weather }}" }', messages=large)
    assert isinstance(part, Say)
    assert len(part.text) < 10_100


def test_a_literal_reply_has_no_templates() -> None:
    assert rule_said('reply = { text = "{{ anything }} {{", literal = true }') == "{{ anything }} {{"
    assert parts_of('literal = true\njson = { a = ["{{ text }}"], d = 2026-11-21 }') == (
        Say('{"a":["{{ text }}"],"d":"2026-11-21"}'),
    )


def test_a_template_that_leaves_no_block_is_the_callers_error() -> None:
    """An object where the API has a text."""
    reply = """blocks = [
        { type = "server_tool_use", name = "web_search" },
        { type = "web_search_tool_result", content = [], caller = "{{ tool_input.get_weather }}" },
    ]"""
    with pytest.raises(InvalidRequest, match="the script cannot make a web_search_tool_result of this request"):
        parts_of(reply, messages=TOKYO)


# ---------------------------------------------------------------- a file with something wrong

R = '[[rule]]\nreply = "x"\n'
PROBLEMS: list[tuple[str, str]] = [
    # the file, and what is said about it
    ("", "1: : there is no rule. Write [[rule]]"),
    ("rule = 3", "1: rule: 3 is no list of tables. Write rule = [{ ... }]."),
    (f'otherwize = "error"\n{R}', '1: otherwize: there is no such setting here. Did you mean "otherwise"?'),
    (f'otherwise = "fail"\n{R}', '1: otherwise: "fail" is not known here. Write one of engine, error.'),
    (f"conversation_header = 1\n{R}", "1: conversation_header: 1 is no text. Put it in quotes."),
    (f"{R}zzz = 1", "3: rule[0].zzz: there is no such setting here. Known here: call, continues, forget,"),
    ("[[rule]]\n", "1: rule[0]: a rule needs a reply."),
    ("[[rule]]\nreply = []", "1: rule[0]: a rule needs a reply."),
    ("[[rule]]\nreply = 3", "2: rule[0].reply: this is no reply. Write a text"),
    ('[[rule]]\nreply = ["a", 3]', "2: rule[0].reply[1]: this is no reply."),
    (f"{R}model = 3", "3: rule[0].model: 3 is no text and no list of texts. Put each text in quotes."),
    (f"{R}model = []", "3: rule[0].model: [] is no text and no list of texts."),
    (f"{R}text = 3", "3: rule[0].text: 3 is no text and no list of texts."),
    (f"{R}text = {{}}", "3: rule[0].text: it asks for nothing. Write equals, contains or regex."),
    (f'{R}text.regexp = "a"', '3: rule[0].text.regexp: there is no such setting here. Did you mean "regex"?'),
    (f'{R}text.regex = "("', '3: rule[0].text.regex: "(" is no regular expression: missing ), unterminated subpattern'),
    (f"{R}text.regex = 'a{{99999999999}}'", "3: rule[0].text.regex: "),
    (f"{R}system.contains = [1]", "3: rule[0].system.contains: [1] is no text"),
    (f"{R}text.regex = '(?P<a>x)'\nsystem.regex = '(?P<a>x)'", "4: rule[0].system: the group `a` stands in two"),
    (f"{R}tools = 3", "3: rule[0].tools: 3 is no text and no list of texts."),
    (f"{R}tool_result = 3", "3: rule[0].tool_result: 3 is no table."),
    (f'{R}tool_result.is_error = "no"', '3: rule[0].tool_result.is_error: "no" is neither true nor false.'),
    (f"{R}tool_result.neme = 'a'", '3: rule[0].tool_result.neme: there is no such setting here. Did you mean "name"?'),
    (f"{R}header = 3", "3: rule[0].header: 3 is no table. Write header = { ... }"),
    (f'{R}header."a b" = 3', '3: rule[0].header."a b": 3 is no text. Write the value or a glob'),
    (f"{R}stream = 1", "3: rule[0].stream: 1 is neither true nor false. Write true or false, without quotes."),
    *[
        (f"{R}call = {bad}", f"3: rule[0].call: {bad} is no count. Write 1,")
        for bad in ("0", '"x"', '"3-2"', "[]", "true", "1.5")
    ],
    (f"{R}turn = [1, '+']", '3: rule[0].turn: [1, "+"] is no count.'),
    (f'{R}per = "server"', '3: rule[0].per: "server" is not known here. Write one of conversation, workspace.'),
    (f'{R}then = "loop"', '3: rule[0].then: "loop" is not known here. Write one of repeat, cycle, stop.'),
    (f'{R}when = {{ a = "b" }}', "3: rule[0].when.a: no rule sets this. Set it in a rule: set = { a = ... }."),
    (f"{R}set = {{ a = 1 }}", "3: rule[0].set.a: 1 is no text."),
    (f"{R}set = {{ a = '{{{{ b }}}}' }}", "3: rule[0].set.a: there is nothing called `b` to put in."),
    (f"{R}set = {{ 'a b' = 'x' }}", '3: rule[0].set."a b": a variable cannot be called so.'),
    (f"{R}set = {{ a = 'x' }}\nforget = true", "4: rule[0].forget: it cannot stand together with `set`."),
    (
        f'{R}name = "a"\ncall = 1\n[[rule]]\nname = "a"\nreply = "y"',
        '6: rule[1].name: rule[0] is called "a" too. Rename one',
    ),
    (f"{R}\n{R}", '4: rule[1]: "rule 1" before it fits every request. Move that rule to the end.'),
]

REPLY_PROBLEMS: list[tuple[str, str]] = [
    # the reply from line 3 on; the line, the path within the reply, and what is said about it
    ("", "2: this reply says nothing. Write text"),
    ("usage = { input_tokens = 1 }", "2: this reply says nothing."),
    ("text = 'a'\ntexd = 'a'", '4.texd: there is no such setting here. Did you mean "text"?'),
    ("text = 3", "3.text: 3 is no text and no list of texts."),
    ("text = 'a'\njson = 1", "4.json: it cannot stand together with `text`. Keep one of the two."),
    ("text = 'a'\nblocks = []", "3.text: it cannot stand together with `blocks`."),
    ("text = '{{ nam }}'", "3.text: there is nothing called `nam` to put in. Known: call, header.NAME,"),
    ("text = '{{ }}'", "3.text: there is nothing called `` to put in."),
    ("text = '{{ match }}'", "3.text: there is nothing called `match` to put in."),
    ("text = '{{ text.a }}'", "3.text: there is nothing called `text.a` to put in."),
    ("text = '{{ 7*7 }}'", "3.text: there is nothing called `7*7` to put in."),
    ("text = '{{ match.a }}'", "3.text: no regex of this rule has a group `a`. Write one as (?P<a>...)."),
    ("text = '{{ state.a }}'", "3.text: no rule sets `a`. Set it in a rule: set = { a = ... }."),
    ("text = '{{ metadata.a }}'", "3.text: metadata has no `a`. Write metadata.user_id."),
    ("text = 'a {{ text'", "3.text: a `{{` is not closed. Close it with `}}`, or set literal = true"),
    ("thinking = 3", "3.thinking: 3 is no text"),
    ("json = { a = nan }", "3.json: JSON has no nan. Write a number"),
    (f"json = {'[' * 102}{']' * 102}", "3.json: it is nested deeper than 100 levels. Nest less."),
    ("json = { a = '{{ b }}' }", "3.json: there is nothing called `b` to put in."),
    ("tools = 'a'", '3.tools: "a" is no list of tables. Write tools = [{ ... }].'),
    ("tools = [{ input = {} }]", "3.tools[0]: a call needs the `name` of its tool."),
    ("tools = [{ name = 'a b' }]", '3.tools[0].name: "a b" is no name of a tool.'),
    ("tools = [{ name = 'a', id = '!' }]", '3.tools[0].id: "!" is no id of a call. Write letters'),
    ("tools = [{ name = 'a', input = 1 }]", "3.tools[0].input: 1 is no table."),
    ("tools = [{ name = 'a', input = {}, raw = '' }]", "3.tools[0].raw: it cannot stand together with `input`."),
    ("tools = [{ name = 'a', arguments = {} }]", "3.tools[0].arguments: there is no such setting here."),
    ("blocks = [{ text = 'a' }]", "3.blocks[0]: a block needs its `type`."),
    ("blocks = [{ type = 'image' }]", '3.blocks[0].type: "image" never comes out of a model.'),
    ("blocks = [{ type = 'text' }]", "3.blocks[0]: this block needs `text`."),
    ("blocks = [\n  { type = 'text', text = 1 },\n]", "3.blocks[0].text: 1 is no text."),
    ("blocks = [{ type = 'text', text = 'a', citations = [1] }]", "3.blocks[0].citations: [1] is no list"),
    ("blocks = [{ type = 'thinking', thinking = 'a', signature = 'b' }]", "3.blocks[0].signature: the engine signs"),
    (
        "blocks = [{ type = 'server_tool_use', name = 'a', id = 'toolu_1' }]",
        '3.blocks[0].id: "toolu_1" is no id of a call. Write srvtoolu_',
    ),
    (
        "blocks = [{ type = 'web_search_tool_result', content = [] }]",
        "3.blocks[0]: there is no server_tool_use that this result answers.",
    ),
    (
        "blocks = [{ type = 'redacted_thinking' }]",
        "3.blocks[0]: this is no such block: RedactedThinking: `data` is missing.",
    ),
    ("blocks = [{ type = 'new', a = '{{ b }}' }]", "3.blocks[0].a: there is nothing called `b`"),
    ("text = 'a'\nstop_reason = 'done'", '4.stop_reason: "done" is not known here. Write one of end_turn, max_tokens,'),
    (
        "text = 'a'\nstop_reason = 'stop_sequence'",
        '4.stop_reason: stop_reason = "stop_sequence" and `stop_sequence` belong together.',
    ),
    ("stop_sequence = 'a'\nstop_reason = 'end_turn'", "3.stop_sequence: stop_reason = "),
    (
        "tools = [{ name = 'a' }]\nstop_reason = 'pause_turn'",
        "4.stop_reason: a turn that calls a client's tool is never paused.",
    ),
    ("refusal = 'cyber'", '3.refusal: "cyber" is no table.'),
    ("refusal = { kategory = 'cyber' }", '3.refusal.kategory: there is no such setting here. Did you mean "category"?'),
    ("refusal = {}\nstop_reason = 'refusal'", "4.stop_reason: it cannot stand together with `refusal`."),
    ("refusal = {}\nstop_details = {}", "4.stop_details: it cannot stand together with `refusal`."),
    ("error = {}", "3.error: an error needs `status` or a known `type`."),
    (
        "error = { type = 'new_error' }",
        '3.error: no status is known for "new_error". Write status = 529, or type, one of',
    ),
    ("error = { status = 200 }", "3.error.status: 200 is not a whole number from 400 to 599."),
    ("error = { status = 500, type = 'A b' }", '3.error.type: "A b" is no type of an error.'),
    ("error = { status = 500, retry_after = -1 }", "3.error.retry_after: -1 is not a number from 0 to 86,400."),
    ("error = { status = 500, details = 1 }", "3.error.details: 1 is no table."),
    ("error = { status = 500, message = '{{ b }}' }", "3.error.message: there is nothing called `b`"),
    ("error = { status = 500, why = 1 }", "3.error.why: there is no such setting here."),
    ("text = 'a'\nerror = { status = 500, after = 0 }", "4.error.after: 0 is not a whole number from 1 to"),
    (
        "text = 'a'\nerror = { status = 500 }",
        "3.text: this never comes: the error comes instead. Take it out, or say error.after.",
    ),
    ("cut_after = 1\nerror = { status = 500, after = 1 }", "3.cut_after: it cannot stand together with `error`."),
    ("cut_after = 0", "3.cut_after: 0 is not a whole number from 1 to"),
    ("text = 'a'\nwait_ms = 600_001", "4.wait_ms: 600001 is not a number from 0 to 600,000."),
    ("text = 'a'\nbetween_ms = inf", "4.between_ms: Infinity is not a number from 0 to 600,000."),
    ("text = 'a'\ntokens_per_second = 0", "4.tokens_per_second: 0 is not a number above 0 and to"),
    ("text = 'a'\nbetween_ms = 1\ntokens_per_second = 1", "5.tokens_per_second: it cannot stand together with"),
    ("text = 'a'\nusage = { tokens = 1 }", "4.usage.tokens: there is no such setting here."),
    ("text = 'a'\nusage = { input_tokens = -1 }", "4.usage.input_tokens: -1 is not a whole number from 0 to"),
    ("text = 'a'\nliteral = 1", "4.literal: 1 is neither true nor false."),
]

ALL_PROBLEMS = [
    *PROBLEMS,
    *((f"[[rule]]\n[rule.reply]\n{reply}", f"{what[0]}: rule[0].reply{what[1:]}") for reply, what in REPLY_PROBLEMS),
]


@pytest.mark.parametrize(("text", "what"), ALL_PROBLEMS, ids=[what for _, what in ALL_PROBLEMS])
def test_a_problem_is_told_with_its_line_and_a_remedy(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Script.parse(text, source="test.toml")
    (message,) = str(refused.value).splitlines()
    assert message.startswith(f"test.toml:{what}")
    assert message[-1] in ".?", "a remedy is a sentence"


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = '[[rule]]\nreply = "{{ a }}"\n[[rule]]\nstream = 1\nreply = { text = "x", cut_after = 0 }\nturns = 1'
    with pytest.raises(ConfigError) as refused:
        Script.parse(text, source="s.toml")
    lines = [message.split(":")[1] for message in str(refused.value).splitlines()]
    assert lines == ["2", "3", "4", "5", "6"]


def test_of_many_problems_some_are_told() -> None:
    with pytest.raises(ConfigError, match=r"s.toml: and 10 problems more.$") as refused:
        Script.parse("[[rule]]\nstream = 1\nreply = 'x'\ntools = 'a'\n" * 40, source="s.toml")
    assert len(str(refused.value).splitlines()) == 31


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[rule]]\nreply = hello", "s.toml:2:9: this is not TOML: Invalid value. Put text in quotes"),
        ('[[rule]]\ntext = "a', "s.toml:2:"),
        ("[[rule]]\nreply.json" + ".a" * 5000 + " = 1", "s.toml:2: rule[0].reply.json: it is nested deeper than 100"),
        ("rule" + ".a" * 5000 + " = 1", "s.toml:"),  # too deep or no list: how deep Python goes differs by version
        ("a = " + "[" * 5000, "s.toml: lists or tables are nested too deep."),
        ("a = " + "1" * 5000, "s.toml: a number is too long to read."),
    ],
)
def test_what_is_not_toml_is_told(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Script.parse(text, source="s.toml")
    assert str(refused.value).startswith(what)


def test_a_line_is_found_within_statements_of_many_lines() -> None:
    name = 'name = """\n[[rule]]\nstream = 1\n"""'
    text = f'# a comment\n\n[[rule]]\n{name}\nreply = [\n  "a",\n\n  {{ text = 3 }},\n]\nstream = 1\n'
    with pytest.raises(ConfigError) as refused:
        Script.parse(text.replace("\n", "\r\n"), source="s.toml")
    first, second = str(refused.value).splitlines()
    assert first.startswith("s.toml:8: rule[0].reply[1].text: 3 is no text")
    assert second.startswith("s.toml:13: rule[0].stream: 1 is neither")


def test_a_script_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[[rule]]\nreply = "café"\n', encoding="utf-8")
    script = Script.load(path)
    assert (script.source, len(script.rules), script.otherwise) == (str(path), 1, "engine")
    path.write_text("[[rule]]\nreplies = 1\n")
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}:1: "):
        Script.load(path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    with pytest.raises(ConfigError, match="the script cannot be read: No such file"):
        Script.load(path)
    path.write_bytes(b'[[rule]]\nreply = "caf\xe9"\n')
    with pytest.raises(ConfigError, match="the script is not UTF-8"):
        Script.load(path)
    path.write_bytes(b"# " + b"x" * 1_000_000)
    with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
        Script.load(path)


# ---------------------------------------------------------------- the page about scripts

EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def example(word: str) -> Player:
    """The example of the page that holds `word`."""
    (found,) = [text for text in EXAMPLES if word in text]
    return Player(found)


@pytest.mark.parametrize("text", EXAMPLES, ids=[text.split("\n")[0] for text in EXAMPLES])
def test_every_example_of_the_page_is_a_script(text: str) -> None:
    assert Script.parse(text, source=str(DOCUMENT)).rules


def test_the_page_has_every_setting() -> None:
    """Each table, asked for a setting that there is not, names those that there are."""
    page = DOCUMENT.read_text(encoding="utf-8")
    bodies = ["zzz = 1", "[[rule]]\nzzz = 1", "[[rule]]\n[rule.reply]\nzzz = 1", "[[rule]]\n[rule.text]\nzzz = 1"]
    bodies += [
        f"[[rule]]\n[rule.{name}]\nzzz = 1" for name in ("tool_result", "reply.error", "reply.usage", "reply.refusal")
    ]
    missing: list[str] = []
    for body in bodies:
        with pytest.raises(ConfigError) as refused:
            Script.parse(body, source="s.toml")
        known = re.search(r"zzz: there is no such setting here. Known here: (.*)\.", str(refused.value))
        assert known is not None
        missing += [name for name in known[1].split(", ") if f"`{name}`" not in page]
    assert missing == []
    assert [name for name in PLACEHOLDERS if f"`{name}" not in page] == []


def test_the_example_of_a_tool_goes_round() -> None:
    player = example("ask the tool, wrongly first")
    assert player.ask("weather?") is None, "no tool is offered"
    inputs = []
    for _ in range(2):
        asked = player.ask("weather?", tools=[WEATHER])
        assert asked is not None
        inputs += [part.input for part in asked.reply.parts if isinstance(part, Use)]
    assert inputs == [{"town": "Tokyo"}, {"city": "Tokyo"}]
    assert player.said(messages=TOKYO, tools=[WEATHER]) == "It is 22 degrees in Tokyo."


def test_the_example_of_a_search_pauses() -> None:
    player = example("search and pause")
    paused = player.ask("capital?", tools=[SEARCH])
    assert paused is not None
    assert isinstance(paused.reply.parts[-1], Whole)
    assert paused.reply.parts[-1].block.content[0]["page_age"] is None  # type: ignore[union-attr]
    messages = turns("capital?", blocks_of(paused.reply))
    assert player.said(messages=messages, tools=[SEARCH]) == "Paris is the capital of France."


def test_the_example_of_errors_recovers() -> None:
    player = example("busy at first")
    answers = [player.ask("break", stream=True) for _ in range(3)]
    assert [each and each.error and each.error.status for each in answers] == [529, 429, 529]
    assert [each and each.error_after for each in answers] == [None, None, 5]
    assert player.said("break") == "Here I am.", "the same conversation, without a stream"


def test_the_example_of_memory_remembers() -> None:
    player = example("introduction")

    def said(text: str) -> str | None:
        return player.said(messages=turns("Hi", "Hello", text))

    texts = ["Hm", "I am Ann", "Hm", "Hm", "Hm", "Bye", "Bye"]
    assert [said(text) for text in texts] == [
        "Who are you?",
        "Nice to meet you, Ann.",
        "Yes, Ann?",
        "You said that already.",
        "Yes, Ann?",
        "Bye, Ann.",
        "Who are you?",
    ]


def test_the_example_of_endings_ends() -> None:
    player = example("structured output")
    refused, cut = player.ask("pick a lock"), player.ask("a long story")
    assert refused is not None
    assert refused.reply.stop_details is not None
    assert refused.reply.stop_details.category == "cyber"
    assert cut is not None
    assert cut.reply.stop_reason == "max_tokens"
    assert cut.usage == UsageOverrides(output_tokens=64_000)
    assert json.loads(player.said("T") or "") == {"title": "T", "pages": 12, "tags": ["a", "b"], "author": None}
