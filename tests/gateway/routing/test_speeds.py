"""How quick targets are and how much models write, with times passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.routing.speeds import HALF_LIFE_S, KEPT, KEPT_NAMES, PRIOR_LIMIT, Lengths, Speeds


def test_of_what_was_never_asked_nothing_is_known() -> None:
    assert Speeds().expected("a", 0.0) is None


def test_the_median_and_the_slow_end() -> None:
    speeds = Speeds()
    for first_s in (0.1, 0.2, 0.3, 0.4, 5.0):
        speeds.note("a", 0.0, first_s=first_s, output_tokens=101, rest_s=2.0)
    expected = speeds.expected("a", 0.0)
    assert expected is not None
    assert (expected.first_s, expected.first_p95_s, expected.per_s) == (0.3, 5.0, 50.0)
    assert expected.weight == 5.0
    assert expected.total_s(100) == pytest.approx(2.3)


def test_what_is_recent_counts_most() -> None:
    speeds = Speeds()
    for _ in range(10):
        speeds.note("a", 0.0, first_s=9.0, output_tokens=1, rest_s=None)
    later = 10 * HALF_LIFE_S
    speeds.note("a", later, first_s=0.5, output_tokens=1, rest_s=None)
    expected = speeds.expected("a", later)
    assert expected is not None
    assert (expected.first_s, expected.per_s) == (0.5, None)
    assert expected.total_s(1000) == 0.5
    assert expected.weight == pytest.approx(1.0, abs=0.02)


def test_waiting_in_vain_counts() -> None:
    speeds = Speeds()
    speeds.note("a", 0.0, first_s=0.1, output_tokens=50, rest_s=1.0)
    for _ in range(3):
        speeds.note_failure("a", 0.0, waited_s=60.0)
    expected = speeds.expected("a", 0.0)
    assert expected is not None
    assert expected.first_s == 60.0


def test_a_reply_that_came_at_once_has_no_rate_without_end() -> None:
    speeds = Speeds()
    speeds.note("a", 0.0, first_s=0.1, output_tokens=1001, rest_s=0.0)
    expected = speeds.expected("a", 0.0)
    assert expected is not None
    assert expected.per_s == 1_000_000


def test_memory_is_bounded() -> None:
    speeds, lengths = Speeds(), Lengths()
    for number in range(KEPT_NAMES + 500):
        speeds.note(number, 0.0, first_s=0.1, output_tokens=1, rest_s=None)
        lengths.note(f"model-{number}", 10)
    assert (len(speeds._known), len(lengths._means)) == (KEPT_NAMES, KEPT_NAMES)
    for number in range(1000):
        speeds.note("one", float(number), first_s=0.1, output_tokens=1, rest_s=None)
    assert len(speeds._known["one"].samples) == KEPT


def test_lengths_are_learned() -> None:
    lengths = Lengths()
    assert lengths.expected("m", 400) == 100
    assert lengths.expected("m", 100_000) == PRIOR_LIMIT
    for _ in range(50):
        lengths.note("m", 300)
    assert lengths.expected("m", 4096) == pytest.approx(300, rel=0.25)
    assert lengths.expected("m", 100) == 100


@given(st.lists(st.integers(0, 100_000), min_size=1), st.integers(1, 200_000))
def test_what_is_expected_lies_within_what_can_be(seen: list[int], max_tokens: int) -> None:
    lengths = Lengths()
    for tokens in seen:
        lengths.note("m", tokens)
    assert 0 <= lengths.expected("m", max_tokens) <= max_tokens
