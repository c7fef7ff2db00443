"""The tables [prices."PROVIDER/MODEL"]: what is read, what is refused, and what a person is told."""

import datetime
import re
from decimal import Decimal
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import Config, describe, load
from dragoman.gateway.config.prices import PriceConfig, PriceTier
from dragoman.gateway.prices.prices import Prices

DOCUMENT = (Path(__file__).parents[3] / "docs" / "prices.md").read_text("utf-8")
PROVIDERS = '[providers.gpu]\nbase_url = "https://gpu.example"\n[providers.offline]\n'
EVERYTHING = """\
[prices."gpu/qwen3/32b"]
input = 0.1
output = 1
cache_read = 0.000001
cache_write_5m = 0.125
cache_write_1h = 0.2
search = 0.01
request = 0
multiplier = 0.85
batch_multiplier = 0.5
date = 2026-11-01
[[prices."gpu/qwen3/32b".tiers]]
above = 200_000
input = 0.2
output = 2
cache_read = 0.000002
cache_write_5m = 0.25
cache_write_1h = 0.4
[[prices."gpu/qwen3/32b".tiers]]
above = 100_000
output = 1.5
[prices."offline/*"]
request = 0.5
date = "2026-11-02"
"""


def read(text: str) -> Config:
    return load(None, {}, text=PROVIDERS + text)


def test_a_file_sets_every_price_exactly() -> None:
    prices = read(EVERYTHING).prices
    assert list(prices) == ["gpu/qwen3/32b", "offline/*"]
    assert prices["gpu/qwen3/32b"] == PriceConfig(
        origin='prices."gpu/qwen3/32b"',
        input=Decimal("0.1"),
        output=Decimal(1),
        cache_read=Decimal("0.000001"),
        cache_write_5m=Decimal("0.125"),
        cache_write_1h=Decimal("0.2"),
        search=Decimal("0.01"),
        request=Decimal(0),
        multiplier=Decimal("0.85"),
        batch_multiplier=Decimal("0.5"),
        date="2026-11-01",
        tiers=(
            PriceTier(above=100_000, output=Decimal("1.5")),
            PriceTier(
                above=200_000,
                input=Decimal("0.2"),
                output=Decimal(2),
                cache_read=Decimal("0.000002"),
                cache_write_5m=Decimal("0.25"),
                cache_write_1h=Decimal("0.4"),
            ),
        ),
    )
    assert prices["offline/*"].date == "2026-11-02"


def test_without_the_tables_there_are_none() -> None:
    assert read("").prices == {}


def test_a_person_is_told_what_was_set() -> None:
    rows = [row for row in describe(read(EVERYTHING)) if row[0].startswith("price")]
    assert rows == [
        (
            "price of gpu/qwen3/32b",
            "$0.1 in and $1 out a million tokens, other prices above 100,000 tokens, "
            'other prices above 200,000 tokens, times 0.85, $0 a request, $0.01 a search (prices."gpu/qwen3/32b")',
        ),
        ("price of offline/*", 'as in the price list, $0.5 a request (prices."offline/*")'),
    ]


TABLE = '[prices."gpu/m"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TABLE + "input = 1", '5: prices."gpu/m": input is set, and not output. Set the whole price, or none'),
        (TABLE + "cache_read = 1", "cache_read is set, and not input and output"),
        (TABLE + "batch_multiplier = 1", "batch_multiplier is set, and not input and output"),
        (TABLE + '[[prices."gpu/m".tiers]]\nabove = 1', "tiers is set, and not input and output"),
        (TABLE, "nothing is set. Add input and output"),
        (TABLE + 'input = "1"\noutput = 1', '6: prices."gpu/m".input: "1" is no price of a million tokens in US dol'),
        (TABLE + "input = true\noutput = 1", "true is no price"),
        (TABLE + "input = -1\noutput = 1", "-1 is no price"),
        (TABLE + "input = nan\noutput = 1", "nan is no price"),
        (TABLE + "input = inf\noutput = 1", "so large a number is no price"),
        (TABLE + "input = 1e7\noutput = 1", "10000000.0 is no price"),
        (TABLE + "input = 0.1234567890123456\noutput = 1", "has more than 15 digits"),
        (TABLE + "multiplier = -0.5", "-0.5 is no factor"),
        (TABLE + "inptu = 1\noutput = 1", 'there is no such setting here. Did you mean "input"?'),
        (TABLE + 'request = 1\ndate = "yesterday"', '"yesterday" is no day. Write it as 2026-11-21.'),
        (TABLE + "request = 1\ndate = 2026-11-21T10:00:00", "is no day"),
        (TABLE + "request = 1\ndate = 20261121", "is no day"),
        ('[prices."gpu"]\nrequest = 1', "does not name a provider and a model of its. Write [prices."),
        ('[prices."gpu/"]\nrequest = 1', "does not name a provider and a model"),
        ('[prices."gpuu/m"]\nrequest = 1', 'there is no provider "gpuu". Did you mean "gpu"?'),
        ('[prices."nobody/m"]\nrequest = 1', 'there is no provider "nobody". There are "gpu", "offline".'),
        ("[prices]\ninput = 1", "prices.input: this is a setting, not a table. It belongs in [prices."),
        ("[[prices]]\ninput = 1", "prices: this is a setting, not a table"),
        (TABLE + "input = 1\noutput = 1\ntiers = 5", "tiers: this is not a list of tables. Write [[prices."),
        (TABLE + "input = 1\noutput = 1\ntiers = [5]", "tiers: this is not a list of tables"),
        (
            TABLE + 'input = 1\noutput = 1\n[[prices."gpu/m".tiers]]\ninput = 2',
            '8: prices."gpu/m".tiers[0]: above is missing',
        ),
        (TABLE + 'input = 1\noutput = 1\n[[prices."gpu/m".tiers]]\nabove = 0', "0 is not a whole number from 1 to"),
        (
            TABLE + "input = 1\noutput = 1\n" + '[[prices."gpu/m".tiers]]\nabove = 5\n' * 2,
            '11: prices."gpu/m".tiers[1].above: there is a tier of this number already',
        ),
        (
            TABLE + 'input = 1\noutput = 1\n[[prices."gpu/m".tiers]]\nabove = 1\nsearch = 2',
            "there is no such setting here",
        ),
        ('[providers.offline]\nprice_list = "local"', "the offline engine has no use for it"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "dragoman.toml"
    providers = PROVIDERS.replace("[providers.offline]\n", "") if "[providers.offline]" in text else PROVIDERS + "\n"
    file.write_text(providers + text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert said in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read('[prices."gpu/m"]\ninput = -1\n[prices."x/m"]\nrequest = "1"\n')
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("text", re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE))
def test_every_example_of_the_document_works(text: str) -> None:
    config = load(None, {"ANTHROPIC_API_KEY": "key"}, text=text)
    prices = Prices.load(config, today=datetime.date(2026, 11, 21))
    for name in config.prices:
        provider, _, model = name.partition("/")
        model = "claude-opus-4-8" if model == "*" else model
        assert prices.reserve(provider, model, input_tokens=1000, max_tokens=1, at=0)
