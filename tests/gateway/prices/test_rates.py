"""The arithmetic of costs: exact, rounded once, the same however a price is written."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.prices.rates import Amount, make_rates, span
from dragoman.gateway.prices.rules import merged, read_rules

ONE = Decimal(1)
DOLLARS = st.decimals(0, 1000, places=7)
FACTORS = st.sampled_from([Decimal(each) for each in ("1", "0.5", "1.1", "0.85", "0.55", "2", "0")])
TOKENS = st.integers(0, 10_000_000)


def amount(base: Decimal | str, *tiers: tuple[int, str]) -> Amount:
    return Decimal(base), tuple((start, Decimal(price)) for start, price in tiers)


@given(st.tuples(*[DOLLARS] * 6), st.tuples(*[TOKENS] * 5), st.integers(0, 9), FACTORS)
def test_a_cost_is_the_sum_of_its_fractions_rounded_once(
    dollars: tuple[Decimal, ...], tokens: tuple[int, ...], searches: int, factor: Decimal
) -> None:
    names = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
    amounts = {name: amount(price) for name, price in zip(names, dollars, strict=False)}
    amounts["web_searches_kcount"] = amount(dollars[5])
    rates = make_rates(amounts, factor=factor, write_1h=None, search_factor=ONE)
    exact = sum(
        (Fraction(price) * Fraction(factor) * 1000 * number for price, number in zip(dollars, tokens, strict=False)),
        Fraction(dollars[5]) * 1_000_000 * searches,
    )
    found = rates.nano_usd(*tokens, searches)
    assert type(found) is int
    assert found == (exact + Fraction(1, 2)).__floor__()


def test_half_a_nano_dollar_counts_as_one() -> None:
    rates = make_rates(
        {"input_mtok": amount("0.0005"), "output_mtok": amount("0.0004")}, factor=ONE, write_1h=None, search_factor=ONE
    )
    assert [rates.nano_usd(tokens, 0, 0, 0, 0) for tokens in range(4)] == [0, 1, 1, 2]
    assert [rates.nano_usd(0, tokens, 0, 0, 0) for tokens in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("named", "dear"),
    [
        # what stands in the list -> tokens of input, output, read, 5m, 1h at so many dollars
        ({}, ("1", "9", "1", "1", "1")),
        ({"cache_read_mtok": "0.1"}, ("1", "9", "0.1", "1", "1")),
        ({"cache_write_mtok": "2"}, ("1", "9", "1", "2", "2")),
        ({"cache_write_5m_mtok": "3"}, ("1", "9", "1", "3", "1")),
        ({"cache_write_mtok": "2", "cache_write_5m_mtok": "3"}, ("1", "9", "1", "3", "2")),
        ({"cache_write_mtok": "2", "cache_write_1h_mtok": "4"}, ("1", "9", "1", "2", "4")),
    ],
)
def test_a_price_that_is_not_listed_is_that_of_the_wider_kind(named: dict[str, str], dear: tuple[str, ...]) -> None:
    """As the library has it: what a request used is never free because its price is not told apart."""
    listed = {"input_mtok": "1", "output_mtok": "9", **named}
    amounts = {name: amount(price) for name, price in listed.items()}
    rates = make_rates(amounts, factor=ONE, write_1h=None, search_factor=ONE)
    assert [Decimal(price) / rates.scale / 1000 for price in rates.bands[0][1:]] == [Decimal(each) for each in dear]


def test_an_hour_may_cost_a_multiple_of_the_input_in_each_tier() -> None:
    amounts = {"input_mtok": amount("3", (200_000, "6")), "output_mtok": amount("15"), "cache_write_mtok": amount("4")}
    rates = make_rates(amounts, factor=ONE, write_1h=Decimal(2), search_factor=ONE)
    assert [(band.above, band.cache_write_1h, band.cache_write_5m) for band in rates.bands] == [
        (0, 6000, 4000),
        (200_000, 12_000, 4000),
    ]


def test_tiers_of_different_lengths_hold_each_by_itself() -> None:
    amounts = {
        "input_mtok": amount("1", (100, "2"), (300, "3")),
        "output_mtok": amount("10", (200, "20")),
    }
    rates = make_rates(amounts, factor=ONE, write_1h=None, search_factor=ONE)
    prices = {prompt: rates.band(prompt)[1:3] for prompt in (0, 100, 101, 200, 201, 300, 301, 10**9)}
    assert prices == {
        0: (1000, 10_000), 100: (1000, 10_000), 101: (2000, 10_000), 200: (2000, 10_000),
        201: (2000, 20_000), 300: (2000, 20_000), 301: (3000, 20_000), 10**9: (3000, 20_000),
    }  # fmt: skip


def test_factors_that_cannot_be_kept_exactly_are_an_error() -> None:
    third = Decimal("0." + "3" * 199)
    amounts = {"input_mtok": amount("0.1234567"), "output_mtok": amount("1")}
    with pytest.raises(Inexact):
        make_rates(amounts, factor=third, write_1h=None, search_factor=ONE)


def test_searches_without_a_price_have_no_bound() -> None:
    rates = make_rates(
        {"input_mtok": amount("1"), "output_mtok": amount("1")}, factor=ONE, write_1h=None, search_factor=ONE
    )
    assert rates.at_most(1, 1, 1, cache="") is None
    assert rates.at_most(1, 1, 0, cache="") == 2000


DAY = 86_400


@given(st.integers(0, 10 * DAY), st.lists(st.integers(0, 10 * DAY), max_size=4), st.integers(0, DAY - 1))
def test_nothing_changes_within_a_span(at: int, starts: list[int], second: int) -> None:
    moments = [(start, None) for start in starts] + [(None, (second, (second + 3600) % DAY))]
    since, until = span(moments, at)
    assert since <= at < until
    edges = {*starts, *(day * DAY + each for day in range(-1, 12) for each in (second, (second + 3600) % DAY))}
    assert not any(since < edge < until for edge in edges)
    assert until - since <= DAY


def test_without_moments_a_price_holds_for_ever() -> None:
    assert span([], 5) == (float("-inf"), float("inf"))
    assert span([(10, None)], 10) == (10, float("inf"))
    assert span([(10, None)], 9.5) == (float("-inf"), 10)


# -- the rules beside the lists --


def test_every_rule_tells_where_it_is_from() -> None:
    rules = read_rules()
    for row in (*rules.rules, *rules.same):
        assert row.source
        assert "2026-11-01" <= row.date <= "2027-12-31"


def test_rules_are_merged_and_the_first_word_counts() -> None:
    rules = [each for each in read_rules().rules if "anthropic" in each.lists]
    whole = merged(rules)
    assert (whole.batch, whole.write_1h, whole.region) == (Decimal("0.5"), Decimal(2), None)
    assert read_rules().of("openai", "gpt-5").batch is None
    assert read_rules().of("anthropic", "CLAUDE-OPUS-4-8").places["us"] == Decimal("1.1")


@pytest.mark.parametrize(
    ("model", "is_dearer"),
    [
        ("claude-3-5-sonnet-v2@20241022", False),
        ("claude-3-7-sonnet@20250219", False),
        ("claude-opus-4@20250514", False),
        ("claude-opus-4-1@20250805", False),
        ("claude-sonnet-4@20250514", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-sonnet-4-0", False),
        ("claude-sonnet-4-5@20250929", True),
        ("claude-opus-4-5@20251101", True),
        ("claude-opus-4-8", True),
        ("claude-opus-5", True),
        ("claude-haiku-4-5@20251001", True),
        ("claude-fable-5-2", True),
        ("gemini-2.5-pro", False),
        ("gemini-3-flash-preview", True),
        ("gemini-3.8-flash", True),
    ],
)
def test_models_that_cost_more_in_a_region(model: str, is_dearer: bool) -> None:
    """Anthropic's documentation: since Claude Sonnet 4.5; older models have one price everywhere."""
    assert read_rules().of("google", model).region == (Decimal("1.1") if is_dearer else None)
