"""The tables [[budgets]]: what is read, what is refused, and what a person is told."""

import re
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.config.budgets import dollars
from dragoman.gateway.config.config import Config, describe, load
from dragoman.gateway.config.values import Refused
from dragoman.store.budgets import BudgetRecord

WHOLE = """\
[[budgets]]
scope = "workspace:default"
usd = 20.0
period = "week"
zone = "Europe/Berlin"
hard = false
alerts = [100, 50, 80, 50]
webhook = "https://hooks.example:8443/services/${PLACE}?x=1"
unknown_price = "refuse"
[[budgets]]
scope = "key:nightly tests"
usd = 0.000000001
period = "total"
"""
NEEDED = 'scope = "organization"\nusd = 1\nperiod = "day"\n'


DOCUMENT = (Path(__file__).parents[3] / "docs" / "budgets.md").read_text("utf-8")


def read(folder: Path, text: str) -> Config:
    file = folder / "dragoman.toml"
    file.write_text(text)
    return load(file, {"PLACE": "s3cret", "HOOK": "s3cret"})


def test_all_that_a_budget_may_say(tmp_path: Path) -> None:
    first, second = read(tmp_path, WHOLE).budgets
    assert first == BudgetRecord(
        id=first.id,
        scope="workspace",
        scope_id="default",
        period="week",
        limit_nano=20_000_000_000,
        zone="Europe/Berlin",
        is_hard=False,
        alerts=(50, 80, 100),
        webhook="https://hooks.example:8443/services/s3cret?x=1",
        unknown_price="refuse",
    )
    assert second == BudgetRecord(
        id=second.id, scope="key", scope_id="nightly tests", period="total", limit_nano=1, zone="UTC"
    )
    assert first.id != second.id
    assert first.id.startswith("budget_file_")


def test_the_id_of_a_budget_is_the_same_as_long_as_it_is_about_the_same(tmp_path: Path) -> None:
    """So that what is spent of it stays, whatever else changes; and of two that are alike each has its own."""

    def ids(*tables: str) -> list[str]:
        return [each.id for each in read(tmp_path, "".join(f"[[budgets]]\n{table}" for table in tables)).budgets]

    (plain,) = ids(NEEDED)
    assert ids(NEEDED.replace("usd = 1", "usd = 5") + "hard = false\nalerts = []\n") == [plain]
    assert ids(NEEDED.replace("day", "week"), NEEDED)[1] == plain
    others = [
        *ids(NEEDED, NEEDED),
        *ids(NEEDED.replace("day", "week")),
        *ids(NEEDED + 'zone = "Asia/Tokyo"\n'),
        *ids(NEEDED.replace("organization", "key:*")),
    ]
    assert len({plain, *others}) == len(others) == 5


def test_there_is_none_unless_it_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, "").budgets == ()


def test_a_person_is_told_of_budgets_but_not_of_secrets(tmp_path: Path) -> None:
    """Pain 79."""
    rows = [row for row in describe(read(tmp_path, WHOLE)) if row[0].startswith("budget")]
    assert rows == [
        (
            "budget of workspace default",
            "$20.00 a week (Europe/Berlin); then nothing is refused; alerts at 50, 80, 100 %, told to hooks.example",
        ),
        ("budget of key nightly tests", "$0.000000001 in all; then requests are refused; alerts at 80, 100 %"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('scope = "organisation"', 'scope: "organisation" does not say whose budget it is. Write "organization"'),
        ('scope = "organization:x"', 'scope: "organization:x" does not say'),
        ('scope = "workspace"', 'scope: "workspace" does not say'),
        ('scope = "key:"', 'scope: "key:" does not say'),
        ("scope = 5", "scope: 5 does not say"),
        ("usd = -1", "usd: -1 is no amount of US dollars from 0 to 5000000"),
        ("usd = 5000001", "usd: 5000001 is no amount"),
        ("usd = nan", "usd: nan is no amount"),
        ("usd = inf", "usd: so large a number is no amount"),
        ("usd = true", "usd: true is no amount"),
        ('usd = "many"', 'usd: "many" is no amount'),
        ("usd = 0.1234567891", "usd: 0.1234567891 is finer than a billionth of a dollar"),
        ("usd = 1234567.123456789", "usd: 1234567.123456789 has more than 15 digits"),
        ('period = "year"', 'period: "year" is not one of the words it takes. Write "day" or "week" or "month" or'),
        ('zone = "Europe/Berlinn"', 'zone: "Europe/Berlinn" is no time zone that is known here. Did you mean "Europe/'),
        ('zone = "../etc/passwd"', 'zone: "../etc/passwd" is no time zone that is known here'),
        ('zone = "Europe"', 'zone: "Europe" is no time zone that is known here'),
        ('zone = "localtime"', 'zone: "localtime" is a time zone that differs between machines'),
        ('zone = "right/Europe/Berlin"', 'zone: "right/Europe/Berlin" is a time zone that differs'),
        ('zone = ""', 'zone: "" is no time zone'),
        ("zone = 2", "zone: 2 is no time zone"),
        ('hard = "yes"', 'hard: "yes" is neither true nor false'),
        ("alerts = 80", "alerts: 80 is no list of at most 20 percentages"),
        ("alerts = [80, 0]", "alerts[1]: 0 is no whole number from 1 to 1000"),
        ("alerts = [80.5]", "alerts[0]: 80.5 is no whole number"),
        ('webhook = "hooks.example/s3cret"', "webhook: the value begins with neither http:// nor https://"),
        ('webhook = "https:///s3cret"', "webhook: the value names no host"),
        ('webhook = "https://a:b@c/"', "webhook: the value has a user or a password before its host"),
        ('webhook = "https://a/#b"', "webhook: the value has a # in it"),
        ('webhook = "https://a:99999/"', "webhook: the value has a broken host or port"),
        ('webhook = "https://a/ b"', "webhook: the value has a space"),
        ("webhook = 5", "webhook: the value is not a URL"),
        ('unknown_price = "maybe"', 'unknown_price: "maybe" is not one of the words'),
        ("limit = 5", "limit: there is no such setting here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    name = text.partition(" ")[0]
    others = [line for line in NEEDED.splitlines() if not line.startswith(name)]
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "\n".join(["[[budgets]]", text, *others]))
    (message,) = str(caught.value).splitlines()
    assert message.startswith(f"{tmp_path}/dragoman.toml:2: budgets[0].{said}"), message
    assert "s3cret" not in message


def test_the_example_of_the_document_is_what_it_says(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    budgets = read(tmp_path, example).budgets
    assert [(each.scope, each.scope_id, each.period, each.limit_nano // 10**9) for each in budgets] == [
        ("organization", "", "month", 500), ("key", "*", "day", 20), ("key", "nightly tests", "day", 100),
    ]  # fmt: skip


def test_what_every_budget_must_say(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, '[[budgets]]\nzone = "UTC"\n')
    assert [line.partition("budgets[0]: ")[2].partition(".")[0] for line in str(caught.value).splitlines()] == [
        "scope is missing", "usd is missing", "period is missing",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "nano"),
    [
        ("20", 20_000_000_000), ("$0.50", 500_000_000), ("0.000000001", 1), ("5000000", 5 * 10**15), (0.1, 100_000_000),
        ("0", 0), (0.07, 70_000_000), (1e-9, 1), ("12345.678900001", 12_345_678_900_001),
    ],
)  # fmt: skip
def test_amounts_are_exact(given: object, nano: int) -> None:
    """In binary 0.1 is something else."""
    assert dollars(given) == nano


@pytest.mark.parametrize(
    "given", ["", ".5", "1e3", "-1", "1,000", "1.2.3", "٣", "1 ", "0x1", "nan", None, [], "1" * 40]
)
def test_amounts_that_are_none(given: object) -> None:
    with pytest.raises(Refused):
        dollars(given)
