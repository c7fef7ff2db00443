"""`dragoman usage` and `dragoman requests`, over a database with a few rows."""

import asyncio
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dragoman.cli.commands import app
from dragoman.errors import ConfigError
from dragoman.store.keys import KeyRecord
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore

NOW = datetime(2026, 11, 1, tzinfo=UTC)
START = 1_793_491_200  # 2026-11-01, UTC
SINCE = ("usage", "--since", "2026-11-01", "--until", "2026-11-08")


def row(number: int, after_s: float = 0.0, **changes: Any) -> LedgerRow:
    values: dict[str, Any] = {
        "id": f"req_{number}",
        "at_us": int((START + after_s) * 1_000_000),
        "workspace_id": "wrkspc_a",
        "key_id": "apikey_a",
        "operation": "messages",
        "model": "claude-opus-4-8",
        "provider": "anthropic",
        "answered_model": "claude-opus-4-8",
        "attempts": 1,
        "status": 200,
        "input_tokens": 1000,
        "cache_write_5m_tokens": 20,
        "cache_write_1h_tokens": 3,
        "cache_read_tokens": 400,
        "output_tokens": 50,
        "cost_nano": 1_234_567_891,
        "total_us": 1_500_000,
        **changes,
    }
    return LedgerRow(**values)


ROWS = [
    row(0),
    row(1, 3600, key_id="apikey_b", cost_nano=5),
    row(2, 86_400, model="=cmd()", provider="local", cost_nano=None),
    row(3, 86_400 + 7200, status=429, outcome="refused", error="rate_limit_error", cost_nano=0, input_tokens=0,
        cache_write_5m_tokens=0, cache_write_1h_tokens=0, cache_read_tokens=0, output_tokens=0),
    row(4, 86_400 + 7200, model="=cmd()", provider="local", cost_nano=0, output_tokens=7, is_estimated=True),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in, and no variables of dragoman's."""
    monkeypatch.chdir(tmp_path)
    for name in ("DRAGOMAN_CONFIG", "DRAGOMAN_DATABASE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fill(rows: Sequence[LedgerRow]) -> None:
    async def add() -> None:
        store = SQLStore("sqlite:///dragoman.db")
        await store.open()
        await store.ledger.add(rows)
        await store.close()

    asyncio.run(add())


@pytest.fixture
def filled(folder: Path) -> None:
    fill(ROWS)


def run(*arguments: str) -> Result:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def refusal(*arguments: str) -> str:
    with pytest.raises(ConfigError) as refused:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    return str(refused.value)


def rows_of(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(run(*SINCE, "--format", "json", *arguments).stdout))


@pytest.mark.usefixtures("filled")
def test_usage_by_model_with_exact_costs() -> None:
    """Pain 31: dollars to the last nano-dollar; what has no price is counted, and its cost is not zero."""
    first, second = rows_of()
    assert first == {
        "model": "claude-opus-4-8",
        "requests": 3,
        "errors": 1,
        "input_tokens": 2000,
        "cache_write_5m_tokens": 40,
        "cache_write_1h_tokens": 6,
        "cache_read_tokens": 800,
        "output_tokens": 100,
        "web_searches": 0,
        "cost_usd": "1.234567896",
        "unpriced": 0,
    }
    assert (second["model"], second["requests"], second["cost_usd"], second["unpriced"]) == ("=cmd()", 2, None, 1)


def keys(*tags: dict[str, str] | None) -> None:
    """apikey_a, apikey_b and so on, with these tags."""

    async def add() -> None:
        store = SQLStore("sqlite:///dragoman.db")
        await store.open()
        for number, its in enumerate(tags):
            letter = "abc"[number]
            await store.keys.add(
                KeyRecord(id=f"apikey_{letter}", name="k", hash=letter.encode(), hint="", created_at=NOW, tags=its)
            )
        await store.close()

    asyncio.run(add())


@pytest.mark.usefixtures("filled")
def test_usage_by_the_tags_that_keys_have_now() -> None:
    """A key that is not there, or has no such tag, is in a group of its own; nothing is lost of the sums."""
    keys({"team": "search"}, {"team": "ads", "a,b": '"x",\ny'})
    fill([row(9, 86_400, key_id="apikey_gone", cost_nano=7)])
    assert [(each["tag:team"], each["requests"]) for each in rows_of("--by", "tag:team")] == [
        ("search", 4),
        ("", 1),
        ("ads", 1),
    ]
    by_day = [(each["day"], each["tag:team"], each["key_id"], each["requests"])
              for each in rows_of("--by", "day,tag:team,key")]  # fmt: skip
    assert by_day == [
        ("2026-11-01", "ads", "apikey_b", 1),
        ("2026-11-01", "search", "apikey_a", 1),
        ("2026-11-02", "", "apikey_gone", 1),
        ("2026-11-02", "search", "apikey_a", 3),
    ]
    assert [each["requests"] for each in rows_of("--by", '"tag:a,b"')] == [5, 1]
    assert sum(each["requests"] for each in rows_of("--by", "tag:none,model")) == 6


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("tags", "requests"),
    [
        (["team=search"], 4),
        (["team=search", "team=ads"], 5),
        (["team=search", "env=ci"], 0),
        (["team=ads", "env=ci"], 1),
        (["env="], 5),
        (["env=", "team="], 1),
        (["team=nobody"], 0),
    ],
    ids=str,
)
def test_usage_of_keys_with_a_tag(tags: list[str], requests: int) -> None:
    keys({"team": "search"}, {"team": "ads", "env": "ci"})
    fill([row(9, 86_400, key_id="apikey_gone", cost_nano=7)])
    for by in ("model", "tag:team", "hour,key", ""):
        found = rows_of("--by", by, *(text for tag in tags for text in ("--tag", tag)))
        assert sum(each["requests"] for each in found) == requests


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("form", ["csv", "json"])
def test_what_programs_read_is_utf_8_whatever_the_terminal_takes(form: str) -> None:
    keys({"team": "\u00e9\U0001f600"}, {"team": "\u00e8\U0001f600"})
    command = [sys.executable, "-m", "dragoman", *SINCE, "--by", "tag:team", "--format", form]
    said = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert {"\u00e9\U0001f600", "\u00e8\U0001f600"} <= set(re.findall(r"[\u0080-\U0001ffff]+", said.stdout.decode()))


def test_what_is_no_tag_is_refused() -> None:
    for by in ("tag:", "tag", "tags:team", '"a', "day\nkey"):
        assert refusal(*SINCE, "--by", by).startswith("--by: ")
    for tag in ("team", "=a", ""):
        assert refusal(*SINCE, "--tag", tag).startswith("--tag: ")


@pytest.mark.usefixtures("filled")
def test_what_has_no_price_is_said_aloud() -> None:
    result = run(*SINCE)
    assert "Not in the cost: 1 request at a cost that is not known" in result.stderr
    assert "unknown" in result.stdout
    assert run("usage", "--since", "2026-11-01", "--until", "2026-11-02").stderr == ""


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("key", [("apikey_a", 4), ("apikey_b", 1)]),
        ("workspace", [("wrkspc_a", 5)]),
        ("provider", [("anthropic", 3), ("local", 2)]),
        ("operation", [("messages", 5)]),
        ("day", [("2026-11-01", 2), ("2026-11-02", 3)]),
        (
            "hour",
            [
                ("2026-11-01T00:00:00Z", 1),
                ("2026-11-01T01:00:00Z", 1),
                ("2026-11-02T00:00:00Z", 1),
                ("2026-11-02T02:00:00Z", 2),
            ],
        ),
        ("day,provider", [("2026-11-01", "anthropic", 2), ("2026-11-02", "anthropic", 1), ("2026-11-02", "local", 2)]),
        ("provider, day", [("anthropic", "2026-11-01", 2), ("anthropic", "2026-11-02", 1), ("local", "2026-11-02", 2)]),
        ("", [(5,)]),
    ],
)
def test_usage_by_each_dimension(by: str, groups: list[tuple[Any, ...]]) -> None:
    found = [(*list(row.values())[: len(groups[0]) - 1], row["requests"]) for row in rows_of("--by", by)]
    assert sorted(found, key=str) == sorted(groups, key=str)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("since", "until", "requests"),
    [
        ("2026-11-01", "2026-11-02", 2),
        ("2026-11-01T01:00:00Z", "2026-11-02", 1),
        ("2026-11-01T01:59:00Z", "2026-11-01T02:00:00Z", 1),
        ("2026-11-02T02:00:00+02:00", "2026-11-02T00:30:00Z", 1),
        ("2026-11-02", "2026-11-02T02:00:00.5Z", 3),
        ("2025-01-01", "2025-02-01", 0),
    ],
)
def test_the_span_is_taken_to_the_hour(since: str, until: str, requests: int) -> None:
    """Also where it is whole days, which are kept as such."""
    found = json.loads(run("usage", "--since", since, "--until", until, "--by", "", "--format", "json").stdout)
    assert sum(row["requests"] for row in found) == requests


@pytest.mark.usefixtures("filled")
def test_csv_is_safe_to_open_in_a_spreadsheet() -> None:
    """A caller who names a model `=cmd()` runs nothing there."""
    written = list(csv.DictReader(io.StringIO(run(*SINCE, "--format", "csv").stdout)))
    assert [row["model"] for row in written] == ["claude-opus-4-8", "'=cmd()"]
    assert [row["cost_usd"] for row in written] == ["1.234567896", ""]
    assert [row["unpriced"] for row in written] == ["0", "1"]


@pytest.mark.usefixtures("filled")
def test_parquet_has_types(folder: Path) -> None:
    from pyarrow import parquet

    run(*SINCE, "--by", "day,hour,model", "--format", "parquet", "--output", "usage.parquet")
    table = parquet.read_table(folder / "usage.parquet")
    assert [str(field.type) for field in table.schema][:4] == [
        "date32[day]",
        "timestamp[ms, tz=UTC]",
        "string",
        "int64",
    ]
    assert str(table.schema.field("cost_usd").type) == "decimal128(38, 9)"
    assert sum(row["cost_usd"] or 0 for row in table.to_pylist()) == Decimal("1.234567896")
    assert sum(row["requests"] for row in table.to_pylist()) == 5


@pytest.mark.usefixtures("filled")
def test_usage_goes_to_a_file(folder: Path) -> None:
    assert run(*SINCE, "--format", "csv", "--output", "usage.csv").stdout == ""
    assert (folder / "usage.csv").read_text().startswith("model,requests,errors,input_tokens")


@pytest.mark.usefixtures("filled")
def test_usage_for_people() -> None:
    lines = run(*SINCE).stdout.splitlines()
    assert lines[0].split() == [
        "model", "requests", "errors", "input", "cache", "write", "cache", "read", "output", "cost", "USD", "unpriced",
    ]  # fmt: skip
    assert any(line.split() == ["total", "5", "1", "4,000", "92", "1,600", "157", "1.234567896", "1"] for line in lines)


def test_an_empty_ledger_is_told(folder: Path) -> None:
    """And no database is made to say so."""
    assert run(*SINCE).stdout == "No requests in this time.\n"
    assert run("requests").stdout == "No requests.\n"
    assert json.loads(run("requests", "--json").stdout) == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "colour"], "--by: 'colour' is none. Choose of: day, hour, workspace, key"),
        (["--since", "yesterday"], "--since: 'yesterday' is no time. Write it as 2026-11-01"),
        (["--since", "2026-11-01T10:00"], "--since: '2026-11-01T10:00' says no zone."),
        (["--until", "2026-10-01"], "--until: this is not later than --since."),
        (["--format", "parquet"], "--format parquet: name a file with --output."),
        (["--output", "x"], "--output: a table is for people to read."),
        (["--format", "csv", "--output", "no/such/x"], "no/such/x: cannot be written: No such file or directory."),
    ],
    ids=str,
)
def test_wrong_options_of_usage_are_told(arguments: list[str], said: str) -> None:
    assert refusal(*SINCE, *arguments).startswith(said)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    said = refusal(*SINCE, "--format", "parquet", "--output", "x")
    assert said == "--format parquet needs pyarrow, which is not installed here: pip install 'dragoman[parquet]'"


# -- the log --


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], ["req_4", "req_3", "req_2", "req_1", "req_0"]),
        (["--limit", "2"], ["req_4", "req_3"]),
        (["--key", "apikey_b"], ["req_1"]),
        (["--model", "=cmd()"], ["req_4", "req_2"]),
        (["--status", "4xx"], ["req_3"]),
        (["--status", "429", "--outcome", "refused"], ["req_3"]),
        (["--provider", "local", "--workspace", "wrkspc_a"], ["req_4", "req_2"]),
        (["--since", "2026-11-02", "--until", "2026-11-02T01:00:00Z"], ["req_2"]),
    ],
    ids=str,
)
def test_requests_are_listed_newest_first(arguments: list[str], ids: list[str]) -> None:
    assert [each["id"] for each in json.loads(run("requests", "--json", *arguments).stdout)] == ids


@pytest.mark.usefixtures("filled")
def test_requests_that_a_filter_finds_slowly_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is short is not the last."""
    monkeypatch.setattr("dragoman.store.sql_usage.SLICE", 1)
    monkeypatch.setattr("dragoman.store.sql_usage.LOOK_S", -1.0)
    found = json.loads(run("requests", "--json", "--model", "claude-opus-4-8").stdout)
    assert [each["id"] for each in found] == ["req_3", "req_1", "req_0"]


@pytest.mark.usefixtures("filled")
def test_requests_for_people() -> None:
    lines = [line.split() for line in run("requests").stdout.splitlines()]
    assert [
        "2026-11-02", "02:00:00", "429", "refused", "(rate_limit_error)", "claude-opus-4-8", "anthropic", "0", "0",
        "0.00", "1,500", "apikey_a", "req_3",
    ] in lines  # fmt: skip
    (unpriced,) = [line for line in lines if line[-1] == "req_2"]
    assert "unknown" in unpriced
    (estimated,) = [line for line in lines if line[-1] == "req_4"]
    assert "7~" in estimated


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--status", "teapot"], "--status: 'teapot' is none. Write it as 429, or 4xx for all of them."),
        (["--outcome", "good"], "--outcome: 'good' is none. Choose of: answered, refused, cut"),
    ],
    ids=str,
)
def test_wrong_options_of_requests_are_told(arguments: list[str], said: str) -> None:
    assert refusal("requests", *arguments).startswith(said)


# -- the doctor --


def ledger_finding() -> dict[str, Any]:
    result = CliRunner().invoke(app, ["doctor", "--offline", "--json"], env={"DRAGOMAN_LISTEN": "127.0.0.1:0"})
    found = {each["subject"]: each for each in json.loads(result.stdout)["findings"]}
    return dict(found["ledger"])


def test_the_doctor_looks_at_the_ledger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_SECRET", "a secret of tests, long enough")
    monkeypatch.setattr("dragoman.doctor.time.time", lambda: START + 2 * 86_400.0)
    fill(ROWS[:2])
    told = ledger_finding()
    assert (told["status"], told["text"]) == ("ok", "2 requests in the last 7 days")
    fill([ROWS[2]])
    told = ledger_finding()
    assert (told["status"], told["text"]) == (
        "warn",
        "3 requests in the last 7 days, 1 of them at a cost that is not known",
    )
    (folder / "dragoman.toml").write_text("[ledger]\nenabled = false\n")
    assert ledger_finding()["text"] == "off: no request is recorded"
