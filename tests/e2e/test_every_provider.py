"""One request, and what becomes of it at every provider of support/many.py. Cases of pain.md are cited by number."""

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from asking import CLAUDE_CODE_BETAS, claude_code_body
from fakes import FAKES
from many import CLAUDE, CLAUDES, MODELS, PLAYERS, WEATHER, Json, Place, Sealed, every_provider

HI: Json = {"role": "user", "content": "hi"}
PATIENCE_S = 20.0
MARK: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
STAMP = "x-anthropic-billing-header: cc_version=2.1.329.feb; cc_entrypoint=cli; cch={};"
BETAS = [*CLAUDE_CODE_BETAS, "of-a-later-version-2027-01-01"]
TIME: Json = {"name": "get_time", "input_schema": {"type": "object"}}

each_player = pytest.mark.parametrize("player", PLAYERS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with every_provider(tmp_path_factory.mktemp("every")) as place:
        yield place


@pytest.fixture(autouse=True)
def nothing_was_refused(place: Place) -> Iterator[None]:
    place.forget()
    yield
    assert place.refused == {}


def plain(player: str) -> str:
    return f"{player}/{'claude-haiku-4-5' if player == CLAUDE else FAKES[player].plain}"


def thinker(player: str) -> str:
    return f"{player}/{MODELS[player, 'adaptive']}"


def asked(place: Place, model: str, *betas: str, **fields: Any) -> Any:
    """The raw reply."""
    options: Json = {"model": model, "max_tokens": 4000, "messages": [HI], **fields}
    return place.client.beta.messages.with_raw_response.create(**options, betas=[*betas])


def turns(player: str, body: Json) -> list[Any]:
    found: list[Any] = body["messages"] if player == CLAUDE else FAKES[player].turns(body)
    return found


# What stands for a mark; where nothing does, it is told as lost. Nova, on Bedrock, has none for tools.
MARKS = {**dict.fromkeys(CLAUDES, ("cache_control", 3)), "bedrock_converse": ("cachePoint", 2)}


@each_player
def test_marks_for_the_cache(place: Place, player: str) -> None:
    """Pain 10: kept for Claude, written otherwise where there is another way, told as lost elsewhere; never added."""
    fields: Json = {
        "system": [{"type": "text", "text": "Be brief. " * 3000, **MARK}],
        "tools": [{**WEATHER, **MARK}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", **MARK}]}],
    }
    name, count = MARKS.get(player, (None, 0))
    told = asked(place, plain(player), **fields).headers.get("dragoman-lost", "").split(", ")
    (body,) = place.asked(player)
    for each in ("cache_control", "cachePoint"):
        assert json.dumps(body).count(f'"{each}"') == (count if each == name else 0)
    assert ("cache_control" in told) == (count < 3)
    if player in CLAUDES:
        assert {field: body[field] for field in fields} == fields
    again = asked(place, plain(player), **fields).parse().usage
    assert again.cache_read_input_tokens > (1000 if player == CLAUDE else 0)
    place.forget()
    asked(place, plain(player), **json.loads(json.dumps(fields).replace(f", {json.dumps(MARK)[1:-1]}", "")))
    assert "ephemeral" not in json.dumps(place.asked(player))
    assert "cachePoint" not in json.dumps(place.asked(player))


@each_player
def test_the_line_that_changes_with_each_request(place: Place, player: str) -> None:
    """Pain 11: it is taken out for all but Anthropic's own API, which gets every byte."""
    stamps = [STAMP.format(number) for number in ("a1b2c", "d3e4f")]
    for stamp in stamps:
        asked(place, plain(player), system=[{"type": "text", "text": each} for each in (stamp, "Be brief.")])
    one, other = place.asked(player)
    if player == CLAUDE:
        assert [body["system"][0]["text"] for body in (one, other)] == stamps
        assert stamps[0].encode() in place.tap.exchanges[0].body
    else:
        assert one == other
        assert "Be brief." in json.dumps(one)
        assert "cch=" not in json.dumps(one)


@each_player
def test_a_system_message_among_the_others(place: Place, player: str) -> None:
    """Pain 12, 13: it is taken, stays where it was said, and changes nothing of what stands before it."""
    said = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "second"}]
    before = [*said, {"role": "user", "content": "third"}]
    after = [*before, {"role": "system", "content": "fourth"}]
    for history in (
        before,
        after,
        [*after, {"role": "assistant", "content": "fifth"}, {"role": "user", "content": "sixth"}],
    ):
        assert asked(place, thinker(player), messages=history).parse().content
    short, longer, longest = (turns(player, body) for body in place.asked(player))
    words = json.dumps(longest)
    places = [words.index(word) for word in ("first", "second", "third", "fourth", "fifth", "sixth")]
    assert places == sorted(places)
    assert longer[: len(short) - 1] == short[:-1]
    assert json.dumps(longer[len(short) - 1]).startswith(json.dumps(short[-1]).rstrip("]}"))
    assert longest[: len(longer) - 1] == longer[:-1]


@each_player
def test_claude_codes_whole_request(place: Place, player: str) -> None:
    """Pain 14: its fields and betas, and one of a later version: answered, and what went is told."""
    body = json.loads(json.dumps(claude_code_body()).replace("c2lnbmF0dXJl", Sealed.of("")))
    body = {**body, "model": thinker(player)}
    reply = asked(place, body.pop("model"), *BETAS, **body)
    assert [event.type for event in reply.parse()][-1] == "message_stop"
    told = {*reply.headers.get("dragoman-lost", "").split(", ")}
    if player == CLAUDE:
        assert told == {""}
        assert place.tap.exchanges[-1].headers["anthropic-beta"].split(",") == BETAS
    elif player in CLAUDES:
        assert told >= {"betas.of-a-later-version-2027-01-01", "betas.thinking-token-count-2026-05-13"}
        assert all(each.startswith("betas.") for each in told)
    else:
        assert told >= {"cache_control", "context_management", "thinking"}
        assert told <= {"cache_control", "context_management", "thinking", "metadata.user_id"}


@each_player
def test_tokens_before_and_after(place: Place, player: str) -> None:
    """Pain 15, 16: of a request with 20 tools. What is counted, and what a stream tells first, is within a tenth of
    what the provider tells in the end; where we estimate, once it has told us some."""
    schema = WEATHER["input_schema"]
    tools = [{"name": f"tool_{at}", "description": "Finds.", "input_schema": schema} for at in range(20)]
    long = {"role": "user", "content": "It must be here somewhere. " * 2000}  # not every fake counts tools
    short = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Well?"}]  # which is what they echo
    fields: Json = {"model": plain(player), "messages": [long, *short], "tools": tools}
    for _ in range(3):
        with place.client.messages.stream(max_tokens=4000, **fields) as events:
            first = prompt_of(next(iter(events)).message.usage)
            total = prompt_of(events.get_final_message().usage)
    assert abs(first / total - 1) < 0.1
    counted = place.client.messages.count_tokens(**fields).input_tokens
    assert abs(counted / total - 1) < 0.1


def prompt_of(usage: Any) -> int:
    """All tokens of a prompt."""
    parts = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    return sum(part or 0 for part in parts)


@each_player
def test_results_and_text_in_one_turn(place: Place, player: str) -> None:
    """Pain 20: text behind results is taken everywhere. In front of them the API itself refuses it, so we do."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sun"}
    text = {"type": "text", "text": "Well?"}
    history = [{"role": "user", "content": "Paris?"}, {"role": "assistant", "content": [call]}]
    fields: Json = {"tools": [WEATHER]}
    for blocks in ([result], [result, text]):
        reply = asked(place, plain(player), messages=[*history, {"role": "user", "content": blocks}], **fields)
        assert "sun" in reply.parse().content[-1].text
    if player not in CLAUDES:
        with pytest.raises(anthropic.BadRequestError, match="without `tool_result` blocks immediately after"):
            asked(place, plain(player), messages=[*history, {"role": "user", "content": [text, result]}], **fields)
        assert len(place.asked(player)) == 2


CHOICES: list[Json] = [
    {"type": "auto"},
    {"type": "auto", "disable_parallel_tool_use": True},
    {"type": "any"},
    {"type": "tool", "name": "get_weather"},
    {"type": "none"},
]


@each_player
@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(map(str, choice.values())))
def test_choices_of_tools(place: Place, player: str, choice: Json) -> None:
    """Pain 47: with tools every one is taken; without, it is refused as the API does, and no provider asked."""
    for tools in ([WEATHER], [WEATHER, TIME]):
        assert asked(place, plain(player), tools=tools, tool_choice=choice).parse().content
    if player in CLAUDES:
        return  # which refuses for itself
    for without in ({}, {"tools": []}):
        try:
            asked(place, plain(player), tool_choice=choice, **without)
        except anthropic.BadRequestError as error:
            assert "may only be specified while providing `tools`" in str(error)  # noqa: PT017 (none is not refused)
    assert len(place.asked(player)) == (4 if choice["type"] == "none" else 2)


@each_player
def test_a_batch(place: Place, player: str) -> None:
    """Pain 56: its requests are messages like others, with calls of tools and errors of their own."""
    asking = {"model": plain(player), "max_tokens": 100, "tools": [WEATHER]}
    wanted: Json = {
        "said": {**asking, "messages": [HI]},
        "called": {**asking, "messages": [{"role": "user", "content": "The weather in Paris?"}]},
        "unfit": {**asking, "messages": []},
    }
    requests: Any = [{"custom_id": name, "params": params} for name, params in wanted.items()]
    batch = place.client.messages.batches.create(requests=requests)
    deadline = time.monotonic() + PATIENCE_S
    while batch.processing_status != "ended":
        assert time.monotonic() < deadline
        time.sleep(0.01)
        batch = place.client.messages.batches.retrieve(batch.id)
    results: Any = {each.custom_id: each.result for each in place.client.messages.batches.results(batch.id)}
    assert {name: result.type for name, result in results.items()} == {
        "said": "succeeded", "called": "succeeded", "unfit": "errored"
    }  # fmt: skip
    assert "hi" in results["said"].message.content[-1].text
    assert results["called"].message.content[-1].input == {"city": "Paris"}
    assert results["unfit"].error.error.type == "invalid_request_error"
    assert all(result.message.usage.output_tokens for result in (results["said"], results["called"]))
    if player in CLAUDES:
        place.forget()  # which refuse the last for themselves
