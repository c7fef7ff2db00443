"""JSON that is still being written, beside the parser that the official client has for it."""

import json
from random import Random

import jiter
import pytest
from streams import cut, json_object

from dragoman.client.partial import PartialJsonError, WrittenJson, partial_json

SEEDS = range(40)
BROKEN = (
    *('{1 {, {] {"a"} {"a",'.split()),
    *('[, [1,] {"a":1,} } [nulL [-- [1.e [01'.split()),
    *(r'"\x "\ud83dx "\ude00" "\ud83d\n'.split()),
    *("[tru x", '{"a" 1', '"\n', '"\x00', "[\x00", "\ufeff{}", '"\ud83d', '{"a":' + "[" * 200 + "1"),
)


def written(rng: Random) -> str:
    indent = rng.choice((None, 1))
    return json.dumps(json_object(rng, 3), ensure_ascii=rng.random() < 0.5, indent=indent)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_can_be_told_is_what_the_official_client_tells(seed: int) -> None:
    """STR-30, 54: cut behind every character."""
    text = written(Random(seed))
    for end in range(1, len(text) + 1):
        front = text[:end]
        assert partial_json(front, keep_cut_text=False) == jiter.from_json(front.encode(), partial_mode=True)
        kept = jiter.from_json(front.encode(), partial_mode="trailing-strings")
        assert partial_json(front, keep_cut_text=True) == kept


@pytest.mark.parametrize("seed", SEEDS)
def test_pieces_tell_what_the_whole_tells(seed: int) -> None:
    """STR-30."""
    rng = Random(seed)
    json_text = WrittenJson()
    text = ""
    for piece in cut(rng, written(rng)):
        json_text.feed(piece)
        text += piece
        for keep in (False, True):
            mark = json_text.mark(keep_cut_text=keep)
            assert (mark and mark.value(text)) == partial_json(text, keep_cut_text=keep)


@pytest.mark.parametrize("text", BROKEN)
def test_what_no_json_begins_with_is_refused(text: str) -> None:
    """STR-55."""
    with pytest.raises(ValueError):
        jiter.from_json(text.encode("utf-8", "surrogatepass"), partial_mode=True)
    with pytest.raises(PartialJsonError):
        partial_json(text, keep_cut_text=False)


@pytest.mark.parametrize(
    "text", ['{"a":1 2', '{"a":1 "b"', "[1 x", "[truex", "[12x", "[1.5.", '{"a":1]', "[1] [2]", "1 {"]
)
def test_what_follows_a_value_without_a_comma_is_not_looked_at(text: str) -> None:
    """STR-55: the official client does not either."""
    assert partial_json(text, keep_cut_text=False) == jiter.from_json(text.encode(), partial_mode=True)


@pytest.mark.parametrize(
    ("text", "value"), [("", None), (" \n", None), ("-", None), ("tr", None), ('"ab', None), ("12", 12)]
)
def test_nothing_can_be_told_yet(text: str, value: object) -> None:
    """STR-31."""
    assert partial_json(text, keep_cut_text=False) == value


@pytest.mark.parametrize("text", ["[NaN", "[Na", "[-Infinity", "[Infin"])
def test_what_json_cannot_say_is_refused(text: str) -> None:
    """STR-55: the official client takes it, and the tool's call cannot go back to the API as it was."""
    with pytest.raises(PartialJsonError):
        partial_json(text, keep_cut_text=False)


def test_a_number_that_no_float_holds_is_infinite() -> None:
    """STR-54."""
    assert partial_json('{"a": [1e400, -1e400', keep_cut_text=False) == {"a": [float("inf"), float("-inf")]}
