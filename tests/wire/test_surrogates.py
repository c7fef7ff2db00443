"""JSON that a model wrote, half characters and all, comes out as a strict parser reads it, however it is cut."""

import json
import re
from random import Random

import msgspec
import pytest

from dragoman.wire.surrogates import WholeCharacters


def through(*fragments: str) -> str:
    whole = WholeCharacters()
    return "".join([*map(whole.take, fragments), whole.end()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"a": "plain"}', None),
        (r'{"a": "\ud83e\udd14 \u00e7 \n \\ud800 \\\\"}', None),
        (r'{"a": "Os\ud800lo"}', r'{"a": "Os\ufffdlo"}'),
        (r'{"a": "\udc00"}', r'{"a": "\ufffd"}'),
        (r'{"a": "\ud800\ud83e\udd14"}', r'{"a": "\ufffd\ud83e\udd14"}'),
        (r'{"a": "\ud83e\n\udd14"}', r'{"a": "\ufffd\n\ufffd"}'),
        (r'{"a": "\\\ud800"}', r'{"a": "\\\ufffd"}'),
        (r'{"a": "\udd14\ud83e"}', r'{"a": "\ufffd\ufffd"}'),
        (r'{"a": "\ud83e', r'{"a": "\ufffd'),  # cut off by a limit of tokens
        (r'{"a": "\ud83', None),
        (r'{"a": "\ud83e\udd', r'{"a": "\ufffd\udd'),
        (r'{"a": "\uZZ00"}', None),  # no escape at all: nothing to be made of it
        ("\\", None),
    ],
)
def test_half_characters_are_replaced_and_all_else_stays(text: str, expected: str | None) -> None:
    expected = text if expected is None else expected
    for cut in range(len(text) + 1):
        assert through(text[:cut], text[cut:]) == expected
    assert through(*text) == expected


def test_whatever_is_written_a_strict_parser_reads_it() -> None:
    rng = Random("halves")
    pieces = (r"\ud83e", r"\udd14", r"\\", r"\n", "a", r"\u00e7", r"\"", "ud800", "ç", r"\uD800", r"\uDFFF")
    for _ in range(2000):
        text = f'"{"".join(rng.choices(pieces, k=rng.randint(0, 8)))}"'
        cuts = sorted(rng.choices(range(len(text) + 1), k=3))
        out = through(text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] : cuts[2]], text[cuts[2] :])
        lenient = re.sub("[\ud800-\udfff]", "\ufffd", json.loads(text))
        assert msgspec.json.decode(out) == lenient


def test_what_is_held_is_short() -> None:
    whole = WholeCharacters()
    assert whole.take("x" * 1000 + r"\ud83e\udd1") == "x" * 1000
    assert whole.take("4" + "y" * 1000) == r"\ud83e\udd14" + "y" * 1000
