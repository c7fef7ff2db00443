"""Tiers and who is in which, as they are set while the server runs (issue 7): read, merged, and never in the way."""

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dragoman.errors import StoreError
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import load
from dragoman.gateway.config.limits import LimitsConfig
from dragoman.gateway.limits.limits import Limits
from dragoman.gateway.limits.model_groups import ModelGroups
from dragoman.gateway.limits.policies import Policies
from dragoman.gateway.routing.routing import Router
from dragoman.store.organization import SettingRecord


class Settings:
    """As much of the store as policies need."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], SettingRecord] = {}
        self.is_away = False

    def set(self, kind: str, name: str, value: Any) -> None:
        text = msgspec.json.encode(value).decode()
        self.records[kind, name] = SettingRecord(
            kind=kind, name=name, value=text, updated_at=datetime(2026, 11, 21, tzinfo=UTC)
        )

    async def settings(self) -> list[SettingRecord]:
        if self.is_away:
            raise StoreError("the database is away")
        return [self.records[key] for key in sorted(self.records)]


def opened(store: Settings) -> tuple[Limits, Policies]:
    config = load(None, {}, text='[tiers.own]\nrpm = 5\n[limits]\norganization = "own"\nkeys = {"*" = "free"}')
    limits = Limits(config.limits, groups=ModelGroups(Router(config, Catalogue.load()), config))
    return limits, Policies(limits, config.limits, store=store)  # type: ignore[arg-type]


async def test_what_is_set_goes_before_the_file_and_the_rest_stays() -> None:
    store = Settings()
    limits, policies = opened(store)
    await policies.refresh()
    before = limits.config
    store.set("tier", "gold", {"rpm": 7, "tpd": 1000, "groups": {"opus": {"rpm": 2}}})
    store.set("tier", "own", {"rpm": 6})
    store.set("assignment", "organization", "gold")
    store.set("other", "organization", "unheard of")
    await policies.refresh()
    config = limits.config
    assert (config.organization, config.default_workspace, config.keys) == ("gold", None, before.keys)
    assert (config.tiers["gold"].rpm, config.tiers["gold"].groups["opus"].rpm) == (7, 2)
    assert (config.tiers["own"].rpm, config.tiers["free"]) == (6, before.tiers["free"])
    store.set("assignment", "organization", None)
    await policies.refresh()
    assert limits.config.organization is None  # which is not what the file says: nobody
    store.records.clear()
    await policies.refresh()
    assert limits.config == before


async def test_nothing_is_done_when_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Settings()
    limits, policies = opened(store)
    used: list[LimitsConfig] = []
    monkeypatch.setattr(limits, "use", used.append)
    for _ in range(3):
        await policies.refresh()
    store.set("tier", "gold", {"rpm": 7})
    for _ in range(3):
        await policies.refresh()
    assert len(used) == 1


@pytest.mark.parametrize(
    ("kind", "name", "value", "said"),
    [
        ("tier", "bad", {"rpm": "many"}, "Expected `int | null`"),
        ("tier", "bad", {"groups": {"claude-opsu-4-8": {"rpm": 1}}}, "no model answers to this name"),
        ("assignment", "organization", "unheard of", "there is not"),
    ],
)
async def test_what_cannot_be_is_left_out_and_told(
    caplog: pytest.LogCaptureFixture, kind: str, name: str, value: Any, said: str
) -> None:
    """It must not stop a server from starting: another version, or another file, may have known it."""
    store = Settings()
    limits, policies = opened(store)
    store.set("tier", "gold", {"rpm": 7})
    store.set(kind, name, value)
    await policies.refresh()
    assert limits.config.tiers["gold"].rpm == 7
    assert "bad" not in limits.config.tiers
    assert limits.config.organization == "own"
    (record,) = caplog.records
    assert said in record.message


async def test_it_is_read_again_and_again_and_a_database_that_is_away_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    store = Settings()
    limits, _ = opened(store)
    turns = 0

    async def sleep(_: float) -> None:
        nonlocal turns
        turns += 1
        store.is_away = turns in (2, 3)
        if turns == 2:
            store.set("tier", "gold", {"rpm": 7})
        if turns > 5:
            raise RuntimeError("enough")

    policies = Policies(limits, limits.config, store=store, sleep=sleep)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="enough"):
        await policies._keep_refreshing()
    assert limits.config.tiers["gold"].rpm == 7
    assert [each.message for each in caplog.records] == [
        "tiers cannot be read, those known stay in force: the database is away"
    ]
