"""JSON that was cut off (TOOL-23, STR-14, STR-30, STR-54)."""

import json
import re
from random import Random
from typing import Any

import jiter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import json_object

from dragoman.wire.partial import parse_partial

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=500)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" \n", {}),
        ("{", {}),
        ("{}", {}),
        ('{"', {}),
        ('{"a', {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": "', {"a": ""}),
        ('{"a": "Par', {"a": "Par"}),
        ('{"a": "Par"', {"a": "Par"}),
        ('{"a": "Par",', {"a": "Par"}),
        ('{"a": "Par", "b', {"a": "Par"}),
        ('{"a": "Par", "b": tru', {"a": "Par"}),
        ('{"a": "Par", "b": true', {"a": "Par", "b": True}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": [1, -', {"a": [1]}),
        ('{"a": [1, 2.', {"a": [1]}),
        ('{"a": [tru', {"a": []}),
        ('{"a": {"b": {"c": "d', {"a": {"b": {"c": "d"}}}),
        ('{"a": {"b": 1}, "c": {"d', {"a": {"b": 1}, "c": {}}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "x\\u', {"a": "x"}),
        ('{"a": "x\\u00e', {"a": "x"}),
        ('{"a": "x\\u00e9', {"a": "xé"}),
        ('{"a": "x\\ud83d', {"a": "x"}),
        ('{"a": "x\\ud83d\\', {"a": "x"}),
        ('{"a": "x\\ud83d\\ude0', {"a": "x"}),
        ('{"a": "x\\ud83d\\ude00', {"a": "x😀"}),
        ('{"a": "say \\"', {"a": 'say "'}),
        ('{"a": "{[', {"a": "{["}),
        ('{"a": "}]', {"a": "}]"}),
        ('{"a": "1", "b": "x, y", "c', {"a": "1", "b": "x, y"}),
        # What is no JSON: the part before the fault where that can be told, never an exception.
        ('{"a": 1}}', {"a": 1}),
        ('{"a": 1} and more', {"a": 1}),
        ('{"a": 1}{"b": 2}', {"a": 1}),
        ("[1, 2]", {}),
        ("[{", {}),
        ('"text"', {}),
        ("null", {}),
        ("nonsense", {}),
        ("}", {}),
        ('{"a": \ud800', {}),
        ('{"a": "\ud800', {"a": ""}),
        ("\x00", {}),
    ],
)
def test_the_object_that_a_text_begins(text: str, expected: dict[str, Any]) -> None:
    assert parse_partial(text) == expected


def agrees(part: Any, whole: Any, *, is_last: bool) -> bool:
    """Whether `part` is what one has of `whole` when the end is missing; `is_last`: the cut may be in here."""
    if not is_last:
        return bool(part == whole) and type(part) is type(whole)
    if isinstance(whole, dict) and isinstance(part, dict):
        keys = list(part)
        return keys == list(whole)[: len(keys)] and all(
            agrees(part[key], whole[key], is_last=key == keys[-1]) for key in keys
        )
    if isinstance(whole, list) and isinstance(part, list):
        last = len(part) - 1
        return last < len(whole) and all(agrees(item, whole[at], is_last=at == last) for at, item in enumerate(part))
    if isinstance(whole, str) and isinstance(part, str):
        return whole.startswith(part)
    if isinstance(whole, int | float) and not isinstance(whole, bool):
        digits = json.dumps(whole)  # as far as they go; 1e+20 cut to 1e+2 begins otherwise
        return type(part) in (int, float) and (digits.startswith(json.dumps(part)) or "e" in digits)
    return bool(part == whole) and type(part) is type(whole)


def last_number(text: str) -> str | None:
    """The number that a text ends in, which may go on behind the cut."""
    found = re.search(r"(?<=[\s:\[,])-?\d[\d.eE+-]*\Z", text)
    return found[0] if found else None


def random_object(rng: Random) -> tuple[dict[str, Any], str]:
    value: dict[str, Any] = {}
    for at in range(rng.randint(0, 4)):
        value[f"k{at}"] = json_object(rng) if rng.random() < 0.5 else rng.choice((1, "two", 3.25, [4, "5"], "ü😀\n"))
    indent = rng.choice((None, None, 1))
    return value, json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=indent)


@pytest.mark.parametrize("batch", range(6))
def test_every_front_part_gives_an_object_that_agrees_with_the_whole(batch: int) -> None:
    """300 random objects, cut at every character."""
    rng = Random(f"partial {batch}")
    for _ in range(50):
        whole, text = random_object(rng)
        size = -1
        for cut in range(len(text) + 1):
            part = parse_partial(text[:cut])
            assert agrees(part, whole, is_last=True), text[:cut]
            json.dumps(part, ensure_ascii=False).encode()  # no half of a pair of surrogates
            # What was there once stays there. (A number that was cut may be left out: `1.` is none.)
            if last_number(text[:cut]) is None and last_number(text[: cut - 1]) is None:
                assert weight(part) >= size
            size = weight(part)
        assert parse_partial(text) == whole


def weight(value: Any) -> int:
    """How much a value holds: characters and members."""
    if isinstance(value, dict):
        return sum(1 + weight(item) for item in value.values())
    if isinstance(value, list):
        return sum(1 + weight(item) for item in value)
    return len(value) if isinstance(value, str) else 0


def test_it_agrees_with_the_parser_of_the_official_sdk() -> None:
    """STR-54: partial mode with trailing strings. Ours keeps `[` and `{` that have just been opened, as theirs does."""
    rng = Random("jiter")
    for _ in range(60):
        _, text = random_object(rng)
        for cut in range(1, len(text) + 1):
            part = text[:cut]
            assert parse_partial(part) == jiter.from_json(part.encode(), partial_mode="trailing-strings"), part


@REPEATABLE
@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_partial(text), dict)
    assert isinstance(parse_partial("{" + text), dict)
    assert isinstance(parse_partial('{"a": "' + text), dict)


@REPEATABLE
@given(st.text(st.sampled_from('{}[]",:\\u0dab1e-. tfn\n\ud83d')))
def test_no_text_that_looks_like_json_raises(text: str) -> None:
    assert isinstance(parse_partial(text), dict)
    assert isinstance(parse_partial('{"a":' + text), dict)


@pytest.mark.parametrize("text", ['{"a":' * 100_000, '{"a":' + "[" * 100_000, "[" * 100_000, '{"a":' + "[{" * 50_000])
def test_nesting_too_deep_is_no_object(text: str) -> None:
    assert parse_partial(text) == {}
    assert parse_partial(text + '"' + text) == {}


def test_nesting_as_deep_as_a_tool_might_have_is_kept() -> None:
    part: Any = parse_partial('{"a":' * 200 + '"x')
    for _ in range(200):
        part = part["a"]
    assert part == "x"


def test_a_long_input_is_read_in_a_few_passes() -> None:
    """Linear: 1 MB of it, cut in a string, in a list, and in an escape."""
    items = '"0123456789", ' * 70_000
    assert parse_partial('{"a": "' + "x" * 1_000_000) == {"a": "x" * 1_000_000}
    assert len(parse_partial('{"a": [' + items)["a"]) == 70_000
    assert len(parse_partial('{"a": [' + items + '"\\ud83d\\ude0')["a"]) == 70_001
