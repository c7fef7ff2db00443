"""What a program sees of a stream: the same with ours as with the official client, recording by recording.

Both are run, sync and async, with and without beta. Where ours differs on purpose, `DIFFERENCES` says how and why. Two
differences are everywhere, and go before the comparison: classes of objects whose `type` nobody knows (in
`client_recordings`), and errors that the official client lets through from elsewhere (`INSTEAD_OF`).
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest
import pytest_asyncio
from client_recordings import Player, connect, disconnect, observe
from recordings import RECORDINGS

import dragoman

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),  # the official client's own
]

FACES = ("sync", "async")
Seen = dict[str, Any]


# -- where ours differs --


@dataclass(frozen=True)
class Like:
    """Ours sees this recording as the official client sees another one."""

    why: str
    other: str


@dataclass(frozen=True)
class Ends:
    """How the stream ends with ours. `create` gives the events as they came, and the helper the same and its own.

    `message`: fields of the message at the end, perhaps not all; None where there is none. `raises` cuts the stream
    off: a ValueError that of the helper alone, any other that of `create` too.
    """

    why: str
    message: dict[str, Any] | None
    raises: str | None = None


def said(*texts: str, **fields: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text} for text in texts]} | fields


NOT_YET = "white space begins JSON, and so does the front of a string or a null; the official client calls them broken"
NO_JSON = "what JSON cannot say cannot go back to the API with the next request"
GOES_ON = (
    "what is lawful counts, the rest goes by; the official client dies of a TypeError, AttributeError or IndexError"
)
NO_EVENT = "what is no object is no event, and no program can use it"
NO_STREAM = "a body of another kind is not taken for a stream of no events"
CALL = {"type": "tool_use", "id": "toolu_00", "name": "get_weather"}
OK = {"type": "text", "text": "ok"}
BROKEN_CALL = CALL | {"id": "toolu_01", "input": {}}
WRONG = "APIResponseValidationError"

DIFFERENCES: dict[str, Like | Ends] = {
    "frame: byte order mark": Like("WHATWG; the official client loses the first event to it", "text: one block"),
    "error: no data": Like("WHATWG: an event without a line of data is none", "order: ends inside a block"),
    "tool: spaces in front": Ends(NOT_YET, {"content": [CALL | {"input": {"a": 1}}], "stop_reason": "tool_use"}),
    "tool: a string as input": Ends(NOT_YET, {"content": [CALL | {"input": "text"}], "stop_reason": "tool_use"}),
    "tool: null as input": Ends(NOT_YET, {"content": [CALL | {"input": None}], "stop_reason": "tool_use"}),
    "tool: broken: not a number": Ends(NO_JSON, {"content": [OK, BROKEN_CALL]}, "ValueError"),
    "tool: fragment missing": Ends(
        GOES_ON, {"content": [CALL | {"name": "f", "input": {}}], "stop_reason": "tool_use"}
    ),
    "thinking: a bare start": Ends(GOES_ON, {"content": [{"type": "thinking", "thinking": "ab"}]}),
    "end: no delta": Ends(GOES_ON, said("x", stop_reason=None, usage={"output_tokens": 9})),
    "end: usage: none": Ends(GOES_ON, said("x", stop_reason="end_turn", usage={"output_tokens": 1})),
    "end: usage: none at the start": Ends(GOES_ON, said("x", usage={"input_tokens": 25, "output_tokens": 8})),
    "end: usage: empty": Ends("STR-13: what is missing keeps its value", said("x", usage={"output_tokens": 1})),
    "end: a bare start": Ends(GOES_ON, said("x", usage={"input_tokens": 25, "output_tokens": 8})),
    "unknown: fields": Ends(
        "SDK-40; the official helper drops them from the events that it makes anew",
        {"content": [{"type": "text", "text": "a", "font": "serif"}]},
    ),
    **{
        f"unknown: data: {kind}": Ends(NO_EVENT, said(""), WRONG) for kind in ("a number", "null", "a list", "a string")
    },
    **{
        f"unknown: delta: {kind}": Ends(GOES_ON, said("x", stop_reason="end_turn"))
        for kind in ("none", "a string", "text null", "no text")
    },
    "unknown: block: no text": Ends(GOES_ON, said("x")),
    "unknown: block: no type": Ends("get_final_text finds no text, as with other blocks", {"content": [{"text": "z"}]}),
    "unknown: block: none": Ends(GOES_ON, said(stop_reason="end_turn")),
    "unknown: block: a string": Ends(GOES_ON, said(stop_reason="end_turn")),
    "unknown: index: none": Ends(GOES_ON, said("", stop_reason="end_turn")),
    "unknown: index: beyond the last": Ends("the block is found by the index that it began with", said("x")),
    "unknown: index: negative": Ends("no block began with it; the official client takes the last", said("x")),
    "order: message_start without a message": Ends(GOES_ON, None),
    "order: a delta for no block": Ends(GOES_ON, said(stop_reason="end_turn")),
    "order: a stop for no block": Ends(GOES_ON, said("a", stop_reason="end_turn")),
    "order: a start for a started block": Ends("deltas are for the block that began last", said("a", "b")),
    "frame: HTML": Ends(NO_STREAM, None, WRONG),
    "frame: a JSON body": Ends(NO_STREAM, None, WRONG),
}

# `client.messages` of the official package lets the helper ignore what is beta; our one fold knows it everywhere.
AS_IN_BETA = [
    "server tool: MCP",
    "server tool: compaction",
    "server tool: compaction deltas of nothing",
    "server tool: fallback",
    "end: context management",
    "end: input transformations",
    "end: usage: iterations",
]

# Errors of the official client that are not of its documented tree -> ours, of which the words are our own.
INSTEAD_OF = {
    "RemoteProtocolError": "APIConnectionError",
    "JSONDecodeError": WRONG,
    "UnicodeDecodeError": WRONG,
    "AssertionError": WRONG,  # there is no message at the end
}


# -- both, side by side --


class Both:
    """The clients of both packages, and what the official one has seen.

    That is asked for once a recording, by its sync and its async face in turn: it takes five times as long as ours.
    """

    def __init__(self, url: str) -> None:
        self._ours = {face: connect(dragoman, face, url) for face in FACES}
        self._official = {face: connect(anthropic, face, url) for face in FACES}
        self._face_of = dict(zip(RECORDINGS, itertools.cycle(FACES), strict=False))
        self._seen: dict[str, Seen] = {}

    async def official(self, name: str) -> Seen:
        if name not in self._seen:
            client = self._official[self._face_of[name]]
            self._seen[name] = _translated(await observe(client, name, RECORDINGS[name]))
        return self._seen[name]

    async def ours(self, face: str, name: str) -> Seen:
        seen: Seen = _translated(await observe(self._ours[face], name, RECORDINGS[name]))
        return seen

    async def close(self) -> None:
        for client in [*self._ours.values(), *self._official.values()]:
            await disconnect(client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[Both]:
    with Player(RECORDINGS) as player:
        clients = Both(player.url)
        yield clients
        await clients.close()


def _translated(seen: Any) -> Any:
    """With our errors in place of foreign ones. That there is no snapshot yet stays an AssertionError."""
    if isinstance(seen, list):
        return [_translated(each) for each in seen]
    if not isinstance(seen, dict):
        return seen
    if "raised" in seen:
        ours = INSTEAD_OF.get(seen["raised"], seen["raised"])
        return {"raised": ours} if ours in INSTEAD_OF.values() else seen
    return {name: value if name == "snapshots" else _translated(value) for name, value in seen.items()}


def _differences(official: Any, ours: Any, path: str = "") -> Iterator[str]:
    """One line for each value that is not the same: a diff of the whole would be long."""
    if isinstance(official, dict) and isinstance(ours, dict):
        for name in [*official, *(name for name in ours if name not in official)]:
            yield from _differences(official.get(name, "missing"), ours.get(name, "missing"), f"{path} / {name}")
    elif isinstance(official, list) and isinstance(ours, list):
        if len(official) != len(ours):
            yield f"{path}: {len(official)} items, ours {len(ours)}"
        for at, (theirs, our) in enumerate(zip(official, ours, strict=False)):
            yield from _differences(theirs, our, f"{path} / {at}")
    elif type(official) is not type(ours) or (official != ours and repr(official) != repr(ours)):  # NaN is NaN
        yield f"{path}: {official!r:.200}, ours {ours!r:.200}"


# -- the tests --

DIFFERENT = [*DIFFERENCES, *AS_IN_BETA]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [name for name in RECORDINGS if name not in DIFFERENT])
async def test_a_recording_looks_as_with_the_official_client(both: Both, name: str, face: str) -> None:
    """STR-50 to 59: events, helper events with snapshots, text, messages and errors."""
    assert list(_differences(await both.official(name), await both.ours(face, name))) == [], RECORDINGS[name].shows


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", AS_IN_BETA)
async def test_what_is_beta_is_known_without_beta(both: Both, name: str, face: str) -> None:
    """STR-54: what one has asked for by a header of one's own is not lost."""
    official, ours = await both.official(name), await both.ours(face, name)
    for run in ("create", "beta create", "beta stream"):
        assert list(_differences(official[run], ours[run], run)) == []
    expected, seen = _without_classes(official["beta stream"]), _without_classes(ours)
    assert list(_differences(expected, seen["stream"])) == []
    assert list(_differences(expected["message"], seen["get_final_message"])) == []
    assert list(_differences(expected["text"], seen["text_stream"]["text"])) == []
    assert list(_differences(official["stream"], ours["stream"])) != [], "no difference any more"


def _without_classes(seen: Any) -> Any:
    if isinstance(seen, list):
        return [_without_classes(each) for each in seen]
    if not isinstance(seen, dict):
        return seen
    return {name: _without_classes(value) for name, value in seen.items() if name != "classes"}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [name for name, difference in DIFFERENCES.items() if isinstance(difference, Like)])
async def test_a_recording_looks_like_another_one(both: Both, name: str, face: str) -> None:
    """STR-2, 5."""
    difference = DIFFERENCES[name]
    assert isinstance(difference, Like)
    ours = await both.ours(face, name)
    assert list(_differences(await both.official(difference.other), ours)) == [], difference.why
    assert list(_differences(await both.official(name), ours)) != [], "no difference any more"


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", [name for name, difference in DIFFERENCES.items() if isinstance(difference, Ends)])
async def test_a_lawless_recording_ends_well(both: Both, name: str, face: str) -> None:
    """STR-50, 53, 55: unknown things are kept and passed on; errors are those of the documented tree."""
    difference = DIFFERENCES[name]
    assert isinstance(difference, Ends)
    official, ours = await both.official(name), await both.ours(face, name)
    for api in ("", "beta "):
        came, helped = ours[f"{api}create"], ours[f"{api}stream"]
        _must_be_the_front(official[f"{api}create"]["events"], came["events"])
        assert _raised(came["end"]) == (None if difference.raises == "ValueError" else difference.raises)
        assert len(came["events"]) == len(official[f"{api}create"]["events"]) or came["end"], "an event is lost"
        _must_hold_all(came["events"], helped["events"], to_the_end=difference.raises != "ValueError")
        assert helped["events, looked at later"] == helped["events"]
        assert _raised(helped["end"]) == difference.raises
        _must_be_the_message(difference, helped)
    assert ours["get_final_message"] == (
        {"raised": difference.raises} if difference.raises else ours["stream"]["message"]
    )
    assert ours["text_stream"]["text"] == ours["stream"]["text"]
    assert list(_differences(official, ours)) != [], "no difference any more"


def _raised(end: Any) -> Any:
    return end and end["raised"]


def _must_be_the_front(whole: list[Any], front: list[Any]) -> None:
    assert list(_differences(whole[: len(front)], front)) == []


def _must_hold_all(came: list[Any], helped: list[Any], *, to_the_end: bool) -> None:
    """The helper's events are those that came, with more in them, and others between."""
    waiting = iter(came)
    due = next(waiting, None)
    for event in helped:
        if due is not None and _within(due["fields"], event["fields"]):
            due = next(waiting, None)
    assert due is None or not to_the_end, f"the helper lost {due}"


def _must_be_the_message(difference: Ends, helped: Seen) -> None:
    if difference.message is None:
        assert helped["message"] == helped["text"] == {"raised": WRONG}
        return
    assert _within(difference.message, helped["message"]["fields"]), difference.why
    texts = [block["text"] for block in difference.message["content"] if block.get("type") == "text"]
    assert helped["text"] == ("".join(texts) if texts else {"raised": "RuntimeError"})


def _within(part: Any, whole: Any) -> bool:
    """Is every field of `part` in `whole`, with all that is in it?"""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and _within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_within, part, whole))
    return repr(part) == repr(whole)


async def test_what_differs_is_seen(both: Both) -> None:
    """Of the comparison itself: a text delta more or less shows in every kind of use."""
    official, ours = await both.official("text: one block"), await both.ours("sync", "text: three blocks")
    paths = {line.split(" / ")[1] for line in _differences(official, ours)}
    assert paths == set(official)


async def test_every_difference_is_of_a_recording() -> None:
    assert set(DIFFERENT) <= set(RECORDINGS)
    assert len(set(DIFFERENT)) == len(DIFFERENT)
