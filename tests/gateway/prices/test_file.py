"""The price lists in the library's file: read as the library itself reads them, or refused."""

import datetime
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data import providers as library
from genai_prices.types import ModelInfo, Provider, TieredPrices

from dragoman.errors import ConfigError
from dragoman.gateway.prices.file import Listed, PriceFile, PriceList, When, open_price_file

TODAY = datetime.date(2026, 11, 21)
INSTALLED = Path(sys.modules["genai_prices"].__file__ or "").parent
RECORDED = next(INSTALLED.parent.glob("genai_prices-*.dist-info"))
EVERY = 9  # of the models of a long list, one in so many is looked at
MOMENTS = [
    datetime.datetime(2024, 5, 1, 20, 0, tzinfo=datetime.UTC),
    datetime.datetime(2026, 3, 12, 23, 59, 59, tzinfo=datetime.UTC),
    datetime.datetime(2026, 3, 13, tzinfo=datetime.UTC),
    datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC),
    datetime.datetime(2026, 11, 21, 0, 30, tzinfo=datetime.UTC),
    datetime.datetime(2027, 2, 1, 17, 0, tzinfo=datetime.UTC),
]
CONTEXTS: list[dict[str, str]] = [
    {},
    {"processing": "batch"},
    {"speed": "fast"},
    {"service_tier": "flex"},
    {"service_tier": "priority", "processing": "batch"},
]


@pytest.fixture(scope="module")
def file() -> PriceFile:
    return open_price_file(today=TODAY)


# -- the same as the library reads --


def likely_names(model: ModelInfo, condition: Any) -> Iterator[str]:
    """Names at the edges of a condition: the words in it, longer and shorter, and in the forms that others write."""
    yield model.id
    kind, word = condition
    if isinstance(word, list):
        for each in word:
            yield from likely_names(model, each)
    elif kind != "regex":
        yield from (word, f"{word}-20251211", f"us.{word}-v1:0", f"{word}@20251211", word[:-1], word.upper())
    else:
        yield from (f"{model.id}-20261101", f"{model.id}@20261101", f"{model.id}-2026-11-01")


def as_library(listed: Listed, at: datetime.datetime, context: dict[str, str]) -> dict[str, Any]:
    amounts, _ = listed.amounts(at.timestamp(), context)
    return dict(amounts)


def of_library(model: ModelInfo, at: datetime.datetime, context: dict[str, str]) -> dict[str, Any]:
    prices = model.get_prices(at, context or None)
    return {key: _tiered(value) for key, value in vars(prices).items() if value is not None}


def _tiered(value: Decimal | TieredPrices) -> tuple[Decimal, tuple[tuple[int, Decimal], ...]]:
    if isinstance(value, Decimal):
        return value, ()
    return value.base, tuple((tier.start, tier.price) for tier in value.tiers)


@pytest.mark.parametrize("provider", library, ids=lambda provider: provider.id)
def test_models_are_found_and_priced_as_the_library_does(file: PriceFile, provider: Provider) -> None:
    ours = file.of(provider.id)
    assert list(ours.fallbacks) == (provider.fallback_model_providers or [])
    everything = list(ours.every())
    assert [listed.id for listed, _ in everything] == [model.id for model in provider.models]
    step = EVERY if len(provider.models) > 60 else 1
    for model, (listed, condition) in list(zip(provider.models, everything, strict=True))[::step]:
        for at in MOMENTS:
            for context in CONTEXTS:
                assert as_library(listed, at, context) == of_library(model, at, context), (model.id, at, context)
        for name in likely_names(model, condition):
            expected = provider.find_model(name, all_providers=library)
            found = file.find(provider.id, name)
            assert (found and found[0].id) == (expected and expected.id), name
            if found and expected:
                assert found[1] == any(expected is each for each in provider.models), name


def test_the_list_of_an_address_is_the_librarys(file: PriceFile) -> None:
    for url, id_ in {
        "https://api.anthropic.com": "anthropic",
        "https://bedrock-runtime.eu-west-3.amazonaws.com": "aws",
        "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5": "google",
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu": "google",
        "https://generativelanguage.googleapis.com/v1beta": "google",
        "https://api.openai.com/v1": "openai",
        "https://openrouter.ai/api": "openrouter",
        "https://team.openai.azure.com/openai/v1": "azure",
        "https://api.moonshot.ai/anthropic": "moonshotai",
        "https://gpu.example/v1": None,
        "http://127.0.0.1:8000/v1": None,
    }.items():
        assert file.by_address(url) == id_, url


def test_the_file_has_the_librarys_version_and_the_newest_day_that_had_come(file: PriceFile) -> None:
    assert file.version == RECORDED.name.removeprefix("genai_prices-").removesuffix(".dist-info")
    assert datetime.date(2026, 10, 1) < datetime.date.fromisoformat(file.date) <= TODAY
    assert open_price_file(today=datetime.date(2026, 10, 1)).date <= "2026-10-01"


def test_a_long_name_is_no_models(file: PriceFile) -> None:
    assert file.find("anthropic", "claude-opus-4-8" + "-" * 300) is None


def test_the_library_is_not_imported_for_its_prices() -> None:
    """Its import takes half a second and 32 MB."""
    program = """if True:
        import datetime, sys
        from dragoman.gateway.config.config import load
        from dragoman.gateway.prices.prices import Prices
        from dragoman.wire.types import Usage
        prices = Prices.load(load(None, {"ANTHROPIC_API_KEY": "key"}, text=""), today=datetime.date(2026, 11, 21))
        cost = prices.cost("anthropic", "claude-opus-4-8", Usage(input_tokens=1, output_tokens=1), at=1795000000)
        print(cost.nano_usd, {"genai_prices", "pydantic", "urllib.request"} & set(sys.modules))
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "30000 set()", run.stderr


def test_what_nobody_asked_for_is_let_go_of(file: PriceFile) -> None:
    other = open_price_file(today=TODAY)
    other.of("google")
    other.forget()
    assert sorted(other.ids) == ["anthropic", "google"], "which it falls back to"
    assert other.find("google", "claude-sonnet-5") == file.find("google", "claude-sonnet-5")
    with pytest.raises(ConfigError, match="there is no list openai"):
        other.of("openai")


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(), [True, True, True]),
        (When(since=86_400), [False, True, True]),
        (When(daily=(0, 3600)), [True, True, False]),
        (When(daily=(7200, 3600)), [True, True, True]),  # round midnight
        (When(daily=(7201, 3600)), [True, True, False]),
    ],
)
def test_a_price_holds_from_a_day_on_or_at_an_hour(when: When, holds: list[bool]) -> None:
    assert [when.holds(at) for at in (0, 86_400, 86_400 + 7200)] == holds


# -- refused --


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The library's package beside its record, to be damaged."""
    folder = tmp_path / "genai_prices"
    folder.mkdir()
    shutil.copy(INSTALLED / "data.py", folder)
    shutil.copytree(RECORDED, tmp_path / RECORDED.name)
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        open_price_file(today=TODAY, module=folder)
    message = str(caught.value)
    assert "\n" not in message
    assert "pip install" in message, "what to do is said"
    return message


def test_a_file_as_it_was_installed_is_read(copy: Path) -> None:
    assert open_price_file(today=TODAY, module=copy).ids == [provider.id for provider in library]


def test_one_changed_digit_is_seen(copy: Path) -> None:
    """Pain 31: a price is right, or told to be missing."""
    path = copy / "data.py"
    path.write_text(path.read_text().replace("input_mtok=Decimal('5')", "input_mtok=Decimal('0')", 1))
    assert "not the file that genai-prices" in refused(copy)


def test_a_file_that_is_cut_off_is_seen_without_a_checksum_too(copy: Path) -> None:
    path = copy / "data.py"
    path.write_bytes(path.read_bytes()[:800_000])
    assert "not the file that genai-prices" in refused(copy)
    (copy.parent / RECORDED.name / "RECORD").unlink()
    assert "does not begin or end as it should" in refused(copy)


def test_a_file_that_is_away_is_told(copy: Path) -> None:
    (copy / "data.py").unlink()
    assert "cannot be read: No such file" in refused(copy)


@pytest.mark.parametrize("version", ["0.1.9", "0.3.0", "1.2.3", "0.2.0rc1", "0.2"])
def test_another_version_is_told(copy: Path, version: str) -> None:
    (copy.parent / RECORDED.name).rename(copy.parent / f"genai_prices-{version}.dist-info")
    assert f"genai-prices {version} is installed, and dragoman reads the prices of 0.2." in refused(copy)


def test_a_version_that_cannot_be_told_is_told(copy: Path) -> None:
    shutil.copytree(copy.parent / RECORDED.name, copy.parent / "genai_prices-0.2.4.dist-info")
    assert "the version of genai-prices cannot be told" in refused(copy)


HEAD = """\"\"\"DO NOT EDIT\"\"\"

providers: list[Provider] = [
    Provider(
        id='one',
        name='One',
        api_pattern='https://one\\\\.example',
        models=[
            ModelInfo(
                id='m',
                match=ClauseEquals(equals='m'),
"""
TAIL = """            ),
        ],
    ),
]
"""
PRICES = "                prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2')),\n"


def one_model(lines: str = PRICES, *, head: str = HEAD) -> PriceList:
    return PriceFile((head + lines + TAIL).encode(), "0.2.9", today=TODAY).of("one")


def test_a_file_of_one_model_is_read() -> None:
    found = one_model().find("m")
    assert found is not None
    assert (found.id, found.amounts(0, {})[0]["output_mtok"].base) == ("m", Decimal(2))


@pytest.mark.parametrize(
    "lines",
    [
        PRICES.replace("ModelPrice", "ModelPriceSet"),
        PRICES.replace("Decimal('1')", "Decimal('-1')"),
        PRICES.replace("Decimal('1')", "Decimal('NaN')"),
        PRICES.replace("Decimal('1')", "Decimal('one')"),
        PRICES.replace("Decimal('1')", "1.0"),
        PRICES.replace("Decimal('1')", "__import__('os').getcwd()"),
        PRICES.replace("Decimal('1')", "TieredPrices(base=Decimal('1'), tiers=[Tier(start=-1, price=Decimal('2'))])"),
        PRICES.replace("Decimal('1')", "{**{}}"),
        PRICES.replace("ModelPrice(", "ModelPrice((("),
        PRICES.replace("prices=", "costs="),
        "                prices=Decimal('1'),\n",
        "                prices=[Decimal('1')],\n",
        "                prices=[ConditionalPrice(prices=Decimal('1'))],\n",
        "                prices=[ConditionalPrice(prices=ModelPrice(), constraint='always')],\n",
        PRICES + "                price_variants=ModelPrice(),\n",
        PRICES + "                price_variants=[PriceVariant(when='batch', prices=ModelPrice())],\n",
        PRICES + "                price_variants=[ModelPrice()],\n",
        PRICES.replace("prices=ModelPrice(", "prices=[], more=ModelPrice("),
        PRICES.replace(
            "prices=ModelPrice(", "prices=[ConditionalPrice(constraint=When(1), prices=ModelPrice(), more=("
        ),
    ],
)
def test_what_has_another_form_is_refused_and_not_executed(lines: str) -> None:
    with pytest.raises(ConfigError, match="a form that is not known"):
        one_model(lines).find("m")


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace("            ModelInfo(", "            Model(ModelInfo("),
        HEAD.replace("        models=[", "        things=["),
        HEAD.replace("match=ClauseEquals(equals='m')", "match=ClauseNot(not_='m')"),
        HEAD.replace("match=ClauseEquals(equals='m')", "match=ClauseRegex(regex='(')"),
        HEAD.replace("match=ClauseEquals(equals='m')", "match=ClauseEquals(equals='m', case='x')"),
        HEAD.replace("match=ClauseEquals(equals='m')", "match=[ClauseEquals(equals='m')]"),
        HEAD.replace("match=ClauseEquals(equals='m')", "match=ClauseOr(or_=ClauseEquals(equals='m'))"),
        HEAD.replace(
            "        models=[", "        fallback_model_providers=[\n            'x'\n        ] + [],\n        models=["
        ),
    ],
)
def test_a_list_of_another_form_is_refused(head: str) -> None:
    with pytest.raises(ConfigError, match="a form that is not known"):
        one_model(head=head).find("m")


def test_a_list_without_an_address_is_refused() -> None:
    text = (HEAD.replace("api_pattern", "pattern") + PRICES + TAIL).encode()
    with pytest.raises(ConfigError, match="one has no api_pattern"):
        PriceFile(text, "0.2.9", today=TODAY).by_address("https://one.example")


def test_a_day_that_is_none_is_refused() -> None:
    lines = "                prices=[StartDateConstraint(start_date=datetime.date(2026, 13, 1))],\n"
    with pytest.raises(ConfigError, match="one of its days is none"):
        one_model(lines)


def test_noise_in_a_file_is_refused_with_words_of_ours() -> None:
    """Where no checksum was left. What is still whole is read; nothing else is raised than what a start can tell."""
    text = (HEAD + PRICES + TAIL).encode()
    chance = random.Random(7)
    refusals = 0
    for _ in range(400):
        at = chance.randrange(len(text))
        damaged = text[:at] + text[at + 1 + chance.randrange(40) :]
        try:
            file = PriceFile(damaged, "0.2.9", today=TODAY)
            for id_ in file.ids:
                file.by_address("https://one.example")
                file.find(id_, "m")
        except ConfigError:
            refusals += 1
    assert 300 < refusals < 400
