"""Budgets at the command line: made, listed with what is spent of them, and ended."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dragoman.cli import main
from dragoman.cli.commands import app
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore

SECRET = "a secret of sixteen letters or more"
CONFIG = """
[[budgets]]
scope = "organization"
usd = 100
period = "month"
zone = "Europe/Berlin"
alerts = []
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in, and nothing in the environment that they read but a secret."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DRAGOMAN_SECRET", SECRET)
    return tmp_path


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found = str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else "sqlite:///dragoman.db"
    monkeypatch.setenv("DRAGOMAN_DATABASE", found)
    return found


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="dragoman")


def output(*arguments: str) -> str:
    result = invoke(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), (result.exception, result.stderr)
    return result.stdout


def told(*arguments: str) -> Any:
    return json.loads(output(*arguments, "--json"))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    return err


def spend(url: str, nano: int, key_id: str) -> None:
    async def add() -> None:
        store = SQLStore(url)
        await store.open()
        row = LedgerRow(
            id="req_1", at_us=int(time.time() * 1e6), operation="messages", cost_nano=nano, key_id=key_id,
            workspace_id="wrkspc_1",
        )  # fmt: skip
        await store.ledger.add([row])
        await store.close()

    asyncio.run(add())


def test_a_budget_is_made_listed_with_what_is_spent_and_ended(url: str, folder: Path) -> None:
    (folder / "dragoman.toml").write_text(CONFIG)
    key = told("keys", "create", "--name", "nightly")["id"]
    spend(url, 250_000_000, key)
    made = told(
        "budgets", "create", "key:nightly", "--usd", "0.50", "--period", "total", "--soft", "--alert", "90",
        "--alert", "10", "--webhook", "https://hooks.example/s3cret",
    )  # fmt: skip
    assert made == {
        **made,
        "scope": "key", "scope_id": key, "period": "total", "zone": "UTC", "limit_usd": "0.50", "is_hard": False,
        "unknown_price": "allow", "alerts": [10, 90], "webhook_host": "hooks.example", "origin": "api",
        "ended_at": None,
    }  # fmt: skip
    each = told("budgets", "create", "workspace:*", "--usd", "5", "--period", "week", "--refuse-unpriced")
    assert (each["scope_id"], each["unknown_price"], each["alerts"]) == ("*", "refuse", [80, 100])
    of_file, *of_database = told("budgets", "list")
    assert (of_file["origin"], of_file["spent_usd"], of_file["limit_usd"]) == ("file", "0.25", "100.00")
    assert [(row["id"], row["spent_usd"]) for row in of_database] == [(each["id"], None), (made["id"], "0.25")]

    shown = output("budgets", "list")
    assert "s3cret" not in shown
    assert [line.split()[0] for line in shown.splitlines()[2:]] == [of_file["id"], each["id"], made["id"]]
    assert "$0.25   $0.50 in all; then nothing is refused; alerts at 10, 90 %, told to hooks.example" in shown

    assert output("budgets", "end", each["id"]).startswith(f"Ended {each['id']}, of each workspace: $5.00 a week")
    assert told("budgets", "end", each["id"])["ended_at"] is not None
    assert [row["id"] for row in told("budgets", "list")] == [of_file["id"], made["id"]]
    assert [row["id"] for row in told("budgets", "list", "--all")] == [of_file["id"], each["id"], made["id"]]


def test_the_organization_and_the_default_workspace_have_ids_of_their_own(url: str) -> None:
    organization = told("budgets", "create", "organization", "--usd", "1", "--period", "day")
    workspace = told("budgets", "create", "workspace:default", "--usd", "1", "--period", "day")
    again = told("budgets", "create", f"workspace:{workspace['scope_id']}", "--usd", "1", "--period", "day")
    assert len(organization["scope_id"]) == 36
    assert workspace["scope_id"] == again["scope_id"]
    assert workspace["scope_id"].startswith("wrkspc_")


def test_to_look_makes_no_database(folder: Path) -> None:
    assert output("budgets", "list").startswith("No budgets: ")
    (folder / "dragoman.toml").write_text(CONFIG)
    assert [row["spent_usd"] for row in told("budgets", "list")] == [None]
    assert not (folder / "dragoman.db").exists()


def test_the_key_that_alerts_are_signed_with_stays_the_same(folder: Path) -> None:
    key = output("budgets", "webhook-key")
    assert key.startswith("whsec_")
    assert output("budgets", "webhook-key") == key
    assert SECRET not in key


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "team", "--usd", "1", "--period", "day"], 'SCOPE: "team" does not say whose budget it is'),
        (["create", "key:none", "--usd", "1", "--period", "day"], "there is no key 'none'"),
        (["create", "key:two", "--usd", "1", "--period", "day"], "there are several keys 'two'"),
        (["create", "workspace:none", "--usd", "1", "--period", "day"], "there is no workspace 'none'"),
        (["create", "key:*", "--usd", "1e3", "--period", "day"], '--usd: "1e3" is no amount of US dollars'),
        (["create", "key:*", "--usd", "1", "--period", "year"], '--period: "year" is not one of the words'),
        (["create", "key:*", "--usd", "1", "--period", "day", "--zone", "Mars"], '--zone: "Mars" is no time zone'),
        (["create", "key:*", "--usd", "1", "--period", "day", "--alert", "0"], "--alert: "),
        (
            ["create", "key:*", "--usd", "1", "--period", "day", "--webhook", "x://s3cret"],
            "--webhook: the value begins with neither http:// nor https://",
        ),
        (["end", "budget_none"], "there is no budget 'budget_none'"),
    ],
    ids=[
        "whose", "no key", "two keys", "no workspace", "amount", "period", "zone", "alert", "webhook", "no budget",
    ],
)  # fmt: skip
def test_what_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    for _ in range(2):
        output("keys", "create", "--name", "two", "--json")
    message = refusal(capsys, "budgets", *arguments)
    assert message.startswith(f"error: {said}")
    assert "s3cret" not in message


def test_a_budget_of_the_file_is_ended_there(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "dragoman.toml").write_text(CONFIG)
    (row,) = told("budgets", "list")
    assert "is of the configuration file" in refusal(capsys, "budgets", "end", row["id"])
    (folder / "dragoman.toml").unlink()
    assert "is not there yet" in refusal(capsys, "budgets", "end", row["id"])
