"""`dragoman keys` beyond making, listing and revoking, which are in `test_cli.py`."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.test_cli import folder, invoke, output, refusal, run  # noqa: F401 (a fixture that every test here uses)

from dragoman.cli.keys import _duration, _moment
from dragoman.errors import ConfigError
from dragoman.gateway.auth.auth import Auth
from dragoman.gateway.auth.secret import load_secret
from dragoman.store.organization import WorkspaceRecord
from dragoman.store.sql import SQLStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def made(*options: str) -> dict[str, Any]:
    return dict(json.loads(output("keys", "create", "--json", *options)))


def with_store(work: Callable[[SQLStore], Awaitable[Any]]) -> Any:
    """In the database that the commands use."""

    async def run_it() -> Any:
        store = SQLStore("sqlite:///dragoman.db")
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run_it())


def identified(key: str) -> Any:
    return with_store(lambda store: Auth(store, load_secret("sqlite:///dragoman.db", {})).identify(key, None))


def workspace(name: str, *, archived_at: datetime | None = None) -> None:
    record = WorkspaceRecord(id=f"wrkspc_{name}", name=name, display_color="#fff", created_at=NOW)

    async def add(store: SQLStore) -> None:
        await store.organization.add_workspace(record)
        if archived_at is not None:
            await store.organization.archive_workspace(record.id, archived_at)

    with_store(add)


def test_a_key_with_all_of_its_terms() -> None:
    workspace("one")
    key = made(
        *("--name", "nightly", "--workspace", "wrkspc_one", "--expires", "2099-01-31T12:00+01:00", "--tier", "pro"),
        *("--model", "claude-haiku-*", "--model", "fast", "--address", "10.0.0.0/8", "--address", "2001:db8::1"),
        *("--tag", "team=blue", "--tag", "note=a=b", "--cache", "10m"),
    )
    assert key["workspace_id"] == "wrkspc_one"
    assert (key["expires_at"], key["tier"], key["status"]) == ("2099-01-31T11:00:00Z", "pro", "active")
    assert key["models"] == ["claude-haiku-*", "fast"]
    assert key["addresses"] == ["10.0.0.0/8", "2001:db8::1/128"]
    assert key["tags"] == {"team": "blue", "note": "a=b"}
    assert key["cache_s"] == 600
    principal = identified(key["key"])
    assert (principal.workspace_id, principal.tier, principal.models, principal.cache_s) == (
        "wrkspc_one",
        "pro",
        ("claude-haiku-*", "fast"),
        600,
    )
    (listed,) = json.loads(output("keys", "list", "--json"))
    assert listed == {name: value for name, value in key.items() if name != "key"}


def test_the_first_admin_key_is_made_here() -> None:
    """ADM-1: nobody could make one over the admin API without one."""
    result = invoke("keys", "create", "--admin", "owner", "--name", "me")
    assert re.fullmatch(r"sk-dgm-admin-[\w-]{43}\n", result.stdout)
    assert result.stderr.startswith("This is the admin key (owner) apikey_")
    assert identified(result.stdout.strip()).role == "owner"
    assert output("keys", "list").splitlines()[-1].endswith(" live, admin (owner)")


def test_the_table_has_the_columns_that_are_used() -> None:
    made("--name", "plain")
    key = made("--name", "bound", "--expires", "90d", "--tag", "team=blue", "--model", "a*", "--model", "b")
    heading, _, *rows = output("keys", "list").splitlines()
    assert heading.split() == ["id", "hint", "name", "created", "expires", "models", "tags", "state"]
    assert rows[0].split() == [
        *(key["id"], key["hint"], "bound", key["created_at"][:10], key["expires_at"][:10], "a*", "team=blue", "live"),
    ]
    assert rows[1].split() == ["b"]
    assert rows[2].split()[2:] == ["plain", key["created_at"][:10], "live"]


def test_what_is_given_takes_the_place_of_what_was_there() -> None:
    key = made(
        "--expires", "90d", "--tier", "pro", "--model", "a", "--address", "10.0.0.0/8", "--tag", "a=b", "--cache", "1h"
    )
    command = ("keys", "update", key["id"], "--json")
    changed = json.loads(output(*command, "--name", "new", "--model", "b", "--model", "c"))
    assert (changed["name"], changed["models"]) == ("new", ["b", "c"])
    kept = ("expires_at", "tier", "addresses", "tags", "cache_s", "hint", "status")
    assert {name: changed[name] for name in kept} == {name: key[name] for name in kept}
    taken = (
        "--expires",
        "",
        "--tier",
        "",
        "--model",
        "",
        "--address",
        "",
        "--tag",
        "",
        "--workspace",
        "",
        "--cache",
        "",
    )
    bare = json.loads(output(*command, *taken))
    gone = ("expires_at", "tier", "models", "addresses", "tags", "workspace_id", "cache_s")
    assert [bare[name] for name in gone] == [None] * 7
    assert bare["name"] == "new"
    assert output("keys", "update", key["hint"], "--name", "last") == f'Changed {key["id"]}, "last" ({key["hint"]}).\n'


def test_a_key_is_disabled_and_enabled() -> None:
    key = made("--name", "ci")
    told = f'{key["id"]}, "ci" ({key["hint"]}).\n'
    assert output("keys", "disable", key["id"]) == f"Disabled {told}"
    assert output("keys", "list").splitlines()[-1].endswith(" inactive")
    with pytest.raises(Exception, match="invalid x-api-key"):
        identified(key["key"])
    assert output("keys", "enable", key["hint"]) == f"Enabled {told}"
    assert identified(key["key"]).key_id == key["id"]


def test_an_expired_key_is_listed_so() -> None:
    key = made("--expires", "1s")

    async def end(store: SQLStore) -> None:
        from dragoman.store.keys import KeyChanges

        await store.keys.update(key["id"], KeyChanges(expires_at=NOW - timedelta(days=99)), NOW)

    with_store(end)
    assert output("keys", "list").splitlines()[-1].endswith(" expired")
    assert json.loads(output("keys", "list", "--json"))[0]["status"] == "expired"


def test_a_rotated_key_keeps_its_id_and_both_work() -> None:
    key = made("--name", "ci", "--tag", "a=b")
    result = invoke("keys", "rotate", key["hint"], "--overlap", "2h")
    new = result.stdout.removesuffix("\n")
    assert result.exit_code == 0
    assert re.fullmatch(r"sk-dgm-[\w-]{43}", new)
    assert key["id"] in result.stderr
    assert re.search(r"The old one works until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.\n$", result.stderr)
    assert identified(new) == identified(key["key"])
    assert ", old one until " in output("keys", "list").splitlines()[-1]
    again = json.loads(output("keys", "rotate", key["id"], "--overlap", "0s", "--json"))
    assert (again["id"], again["name"], again["tags"]) == (key["id"], "ci", {"a": "b"})
    for old in (key["key"], new):
        with pytest.raises(Exception, match="invalid x-api-key"):
            identified(old)


def test_an_archived_key_stays_so(capsys: pytest.CaptureFixture[str]) -> None:
    """ADM-3."""
    key = made()
    output("keys", "revoke", key["id"])
    for command in (["enable"], ["disable"], ["update", "--name", "x"], ["rotate"]):
        name, *options = command
        told = refusal(capsys, "keys", name, key["id"], *options)
        assert told.startswith(f"error: the key {key['id']} was revoked, and stays so")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workspace", "wrkspc_none"), "--workspace: there is none with the id 'wrkspc_none'"),
        (("--workspace", "wrkspc_old"), "--workspace: wrkspc_old was archived"),
        (("--expires", "soon"), "--expires: 'soon' is no time"),
        (("--expires", "2020-01-01"), "--expires: 2020-01-01 is over"),
        (("--expires", "0s"), "--expires: 0s is over"),
        (("--expires", "999999999w"), "--expires: '999999999w' is no time"),
        (("--cache", "10"), "--cache: '10' is no duration: write one such as 10m or 1h"),
        (("--cache", "31d"), "cache_s: takes 0 to 2592000 seconds"),
        (("--tier", "gold"), "--tier: there is no tier 'gold'. There are "),
        (("--expires", "9999-12-31T23:59-14:00"), "--expires: '9999-12-31T23:59-14:00' is no time"),
        (("--expires", "99999999w"), "--expires: '99999999w' is no time"),
        (("--model", "a b"), "models: a pattern takes"),
        (("--address", "10.0.0.1/8"), "addresses: '10.0.0.1/8' is neither"),
        (("--tag", "blue"), "--tag: 'blue' is no NAME=VALUE"),
        (("--tag", "=blue"), "--tag: '=blue' is no NAME=VALUE"),
        (("--admin", "boss"), "role: 'boss' is none: choose of owner, admin"),
        (("--admin", "owner", "--test"), "an admin key asks no models"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_unfit_makes_no_key(options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    workspace("old", archived_at=NOW)
    assert refusal(capsys, "keys", "create", *options).startswith(f"error: {said}")
    assert json.loads(output("keys", "list", "--json")) == []


@pytest.mark.parametrize("command", ["update", "enable", "rotate"])
def test_a_key_of_an_archived_workspace_is_archived(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """ADM-3, ADM-5: the list says so, and nothing makes it work again."""
    workspace("old")
    key = made("--workspace", "wrkspc_old")
    workspace("old", archived_at=NOW)
    assert json.loads(output("keys", "list", "--json"))[0]["status"] == "archived"
    assert "archived with its workspace 2026-11-21" in output("keys", "list")
    assert "was revoked, and stays so" in refusal(capsys, "keys", command, key["id"])


@pytest.mark.parametrize("command", ["update", "disable", "enable", "rotate", "revoke"])
def test_a_key_that_is_not_there_is_told_and_no_database_is_made(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "is not there. Name the server's with" in refusal(capsys, "keys", command, "apikey_x")
    assert list(tmp_path.iterdir()) == []
    made()
    assert "no key has the id or hint apikey_x" in refusal(capsys, "keys", command, "apikey_x")


def test_an_overlap_is_a_duration(capsys: pytest.CaptureFixture[str]) -> None:
    key = made()
    for wrong in ("24", "h", "-1h", "1.5h", "1 h", "tomorrow"):
        assert f"--overlap: '{wrong}' is no duration" in refusal(
            capsys, "keys", "rotate", key["id"], f"--overlap={wrong}"
        )
    for long in ("367d", "999999999w"):
        assert "overlap: takes 0 to 366 days" in refusal(capsys, "keys", "rotate", key["id"], "--overlap", long)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90d", NOW + timedelta(days=90)),
        ("2w", NOW + timedelta(weeks=2)),
        ("36h", NOW + timedelta(hours=36)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31 12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_while_or_a_time(text: str, at: datetime) -> None:
    assert _moment(text, NOW) == at


def test_a_time_that_is_over_is_none() -> None:
    for text in ("2026-11-21T12:00Z", "2026-11-21", "0s"):
        with pytest.raises(ConfigError, match="is over"):
            _moment(text, NOW)
    assert _duration("12m") == timedelta(minutes=12)
    assert _duration("1y") is None


def test_no_secret_stands_in_any_output_but_that_of_its_making() -> None:
    """Pain 79."""
    key = made("--name", "ci")
    new = json.loads(output("keys", "rotate", key["id"], "--json"))
    said = [output("keys", "list"), output("keys", "list", "--json"), output("keys", "disable", key["id"], "--json")]
    said += [run("keys", "revoke", new["key"]).stdout, run("keys", "update", "x" * 60).stderr]
    for secret in (key["key"], new["key"], "x" * 60):
        assert not any(secret in each for each in said)
