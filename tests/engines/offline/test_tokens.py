"""The arithmetic of the token estimate, by property, and its size, by example."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.engines.offline.tokens import TOKENIZERS, count, cut, split, streamed

PROSE = """
The harbour was quiet when we came down the hill, and the boats lay still against the wall. My brother carried
the lamp; I had the rope and the basket with the bread. "You are late," said the old man, without looking up from
his nets. He had been sitting there since before the sun rose, as he did every morning, and he would sit there
until the tide turned and the others came back with whatever the sea had given them. We asked him whether the
weather would hold. He thought about it for a long time, then pointed with his knife towards the north, where a
thin grey line stood between the water and the sky. "By noon," he said, "you will wish that you had stayed at
home." We laughed, because we were young and because nobody believed anything he said about the weather.
""".strip().replace("\n", " ")
CODE = '''
def take(bucket: Bucket, tokens: int, now: float) -> Bucket:
    """Take `tokens` out of `bucket` at `now` (seconds, monotonic)."""
    level = min(bucket.capacity, bucket.level + (now - bucket.updated) * bucket.rate)
    if tokens > level:
        raise RateLimited("too many tokens", retry_after=math.ceil((tokens - level) / bucket.rate))
    return replace(bucket, level=level - tokens, updated=now)
'''
JSON = (
    '{"model":"claude-opus-4-8","max_tokens":1024,"messages":[{"role":"user","content":'
    '[{"type":"text","text":"What is the weather in San Francisco?"}]}],"tools":[{"name":"get_weather",'
    '"description":"Get the current weather in a given location","input_schema":{"type":"object",'
    '"properties":{"location":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]}}}}]}'
)
SAMPLES = {"prose": PROSE, "code": CODE, "json": JSON}

# What text is made of, so that borders of every kind meet; and any character at all.
FRAGMENTS = st.one_of(
    st.sampled_from(["Hello", "getUserName", "snake_case", "ABCdefGHI", "naïve", "Ünïcödé", "don't", "Привет", "שלום"]),
    st.sampled_from([" ", "  ", "\t", "\n", "\r\n", "\n    ", " \n ", " " * 40, "\n" * 9, "\u00a0", "\u2028"]),
    st.sampled_from(["0", "42", "1234567", "3.14", "٣٤٥", "½", "x2", "==", '{"a":[', "...", "--", "//", "_", "\\"]),
    st.sampled_from(
        ["日本語", "한국어", "ｶﾅ", "你好，世界", "🎉", "👩‍👩‍👧", "🇯🇵", "e\u0301", "\u0301" * 5, "नमस्ते", "\0", "\ufeff"]
    ),
    st.sampled_from(["a", "aaaaaaaaaaaaaaaaaaaa", "A", "AAAAAAA", "ß", "ÀÉ", "ǅ", "ª", "²"]),
    st.text(max_size=8),
)
TEXTS = st.lists(FRAGMENTS, max_size=12).map("".join)

rule = settings(max_examples=200, derandomize=True, database=None)
each_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS)


@each_tokenizer
@rule
@given(text=TEXTS)
def test_pieces_make_up_the_text_and_are_counted(tokenizer: str, text: str) -> None:
    pieces = split(text, tokenizer)
    assert "".join(pieces) == text
    assert all(pieces)
    assert count(text, tokenizer) == len(pieces)


@each_tokenizer
@rule
@given(text=TEXTS)
def test_every_part_of_a_piece_is_a_piece(tokenizer: str, text: str) -> None:
    """The law that the others follow from."""
    for piece in set(split(text, tokenizer)):
        parts = [piece[i:j] for i in range(len(piece)) for j in range(i + 1, len(piece) + 1)]
        assert all(count(part, tokenizer) == 1 for part in parts), piece


@each_tokenizer
@rule
@given(a=TEXTS, b=TEXTS)
def test_more_text_never_has_fewer_tokens(tokenizer: str, a: str, b: str) -> None:
    """TOK-5, at either end; and joining makes at most one token of two."""
    parts = count(a, tokenizer), count(b, tokenizer)
    whole = count(a + b, tokenizer)
    assert max(parts) <= whole <= sum(parts)


@each_tokenizer
@rule
@given(text=TEXTS)
def test_a_cut_text_counts_its_limit_and_keeps_its_pieces(tokenizer: str, text: str) -> None:
    pieces = split(text, tokenizer)
    for limit in range(-1, len(pieces) + 2):
        start, used = cut(text, limit, tokenizer)
        assert used == min(max(limit, 0), len(pieces)) == count(start, tokenizer)
        assert text.startswith(start)
        assert split(start, tokenizer) == pieces[:used]


@each_tokenizer
@rule
@given(text=TEXTS)
def test_a_cut_is_the_longest_that_fits(tokenizer: str, text: str) -> None:
    start, used = cut(text, 3, tokenizer)
    assert start == text or count(text[: len(start) + 1], tokenizer) == used + 1


@each_tokenizer
@rule
@given(text=TEXTS)
def test_deltas_make_up_the_text_at_token_borders(tokenizer: str, text: str) -> None:
    deltas = list(streamed(text, tokenizer))
    sizes = [count(delta, tokenizer) for delta in deltas]
    assert "".join(deltas) == text
    assert sum(sizes) == count(text, tokenizer)
    assert all(1 <= size <= 4 for size in sizes)


@each_tokenizer
def test_the_rules_hold_for_long_random_text(tokenizer: str) -> None:
    chance = random.Random(7)
    text = "".join(chr(chance.choice([*range(0x20, 0x7F), 9, 10, chance.randrange(0xD800)])) for _ in range(20_000))
    for _ in range(20):
        border = chance.randrange(len(text))
        a, b = text[:border], text[border:]
        assert max(count(a, tokenizer), count(b, tokenizer)) <= count(text, tokenizer)
        start, used = cut(text, chance.randrange(9_000), tokenizer)
        assert count(start, tokenizer) == used


@each_tokenizer
@pytest.mark.parametrize("unit", ["a", "A", " ", "\n", "\n ", " !", "7", "_", "日", "я", "🎉", "\u0301", "\0"])
def test_time_is_linear_because_no_piece_is_long(tokenizer: str, unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert max(map(len, split(text, tokenizer))) <= 20
    assert count(text, tokenizer) >= len(text) / 20


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_newer_tokenizer_counts_about_thirty_percent_more(sample: str) -> None:
    """TOK-8."""
    text = SAMPLES[sample]
    assert 1.2 <= count(text, "claude-4.7") / count(text, "claude-3") <= 1.4


def test_english_prose_has_about_four_characters_a_token() -> None:
    tokens = count(PROSE, "claude-3")
    assert 3.5 <= len(PROSE) / tokens <= 4.1
    assert 1.25 <= tokens / len(PROSE.split()) <= 1.5


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello, Claude", ["Hello", ",", " Claude"]),
        ("getUserName(x)", ["get", "User", "Name", "(", "x", ")"]),
        ("year 2024 or 12345", ["year", " 202", "4", " or", " 123", "45"]),
        ("if x:\n    return", ["if", " x", ":", "\n    ", "return"]),
        ("東京 🎉", ["東", "京", " ", "🎉"]),
    ],
)
def test_pieces_look_like_tokens(text: str, pieces: list[str]) -> None:
    assert split(text, "claude-3") == pieces


def test_each_wide_character_is_a_token() -> None:
    for tokenizer in TOKENIZERS:
        assert count("東京は日本の首都です。한국어", tokenizer) == 14


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(KeyError):
        count("x", "claude-0")
