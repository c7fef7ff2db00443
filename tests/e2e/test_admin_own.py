"""`/v1/dragoman`: keys with all of their terms, members, tiers, limits, budgets, keys of providers, routes, the log."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from administering import Administered
from msgspec.structs import replace

from dragoman.errors import StoreError
from dragoman.gateway.config.limits import LimitsConfig, TierConfig
from dragoman.store.ledger import LedgerRow
from dragoman.store.organization import SettingRecord

MODELS = {"anthropic-version": "2023-06-01"}


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


async def asked(
    admin: Administered, method: str, path: str, json: Any = None, *, status: int = 200, **more: Any
) -> Any:
    reply = await admin.ask(method, f"/v1/dragoman/{path}", json=json, **more)
    assert reply.status_code == status, reply.text
    return reply.json() if status == 200 else reply.json()["error"]["message"]


async def status_of(admin: Administered, key: str) -> int:
    return int((await admin.http.get("/v1/models", headers={"x-api-key": key, **MODELS})).status_code)


# -- keys --


async def test_a_key_is_made_with_all_of_its_terms(admin: Administered) -> None:
    """Shown once; the rest of it whenever it is asked for."""
    workspace = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()["id"]
    people = {"email": "a@example.com", "name": "A", "role": "developer"}
    user_id = (await asked(admin, "POST", "members", people))["id"]
    terms = {
        "name": "ci",
        "workspace_id": workspace,
        "models": ["claude-haiku-*"],
        "addresses": ["127.0.0.0/8"],
        "tags": {"team": "a"},
        "tier": "free",
        "cache_s": 600,
        "is_test": True,
        "created_by": user_id,
    }
    made = await asked(admin, "POST", "keys", {**terms, "expires_at": "2199-01-01T00:00:00+01:00"})
    key = made.pop("key")
    assert key.startswith("sk-dgm-")
    assert {name: made[name] for name in terms} == terms
    assert made["expires_at"] == "2198-12-31T23:00:00Z"
    assert (made["status"], made["role"], made["previous_works_until"]) == ("active", None, None)
    assert await asked(admin, "GET", f"keys/{made['id']}") == made
    assert (await asked(admin, "GET", f"keys?created_by={user_id}"))["data"] == [made]
    assert await status_of(admin, key) == 200
    for path in (f"keys/{made['id']}", "keys"):
        assert key not in (await admin.ask("GET", f"/v1/dragoman/{path}")).text


async def test_admin_keys_are_told_apart(admin: Administered) -> None:
    """ADM-1: they ask no models, and the classic list does not know them."""
    made = await asked(admin, "POST", "keys", {"name": "boss", "role": "admin"})
    assert made["key"].startswith("sk-dgm-admin-")
    assert await status_of(admin, made["key"]) == 403
    listed = {each["id"]: each["role"] for each in (await asked(admin, "GET", "keys?kind=admin"))["data"]}
    assert listed[made["id"]] == "admin"
    assert None not in listed.values()
    models = (await asked(admin, "GET", "keys?kind=model"))["data"]
    assert {each["role"] for each in models} == {None}
    assert (await admin.ask("GET", f"/v1/organizations/api_keys/{made['id']}")).status_code == 404


async def test_terms_are_changed_and_taken_away(admin: Administered) -> None:
    """What is not sent stays; null takes a bound away."""
    made = await asked(
        admin, "POST", "keys", {"name": "ci", "models": ["a*"], "tags": {"x": "y"}, "tier": "pro", "cache_s": 9}
    )
    path = f"keys/{made['id']}"
    changed = await asked(admin, "POST", path, {"models": ["b*", "c*"], "tier": None})
    assert (changed["models"], changed["tier"], changed["tags"]) == (["b*", "c*"], None, {"x": "y"})
    assert changed["cache_s"] == 9
    assert (await asked(admin, "POST", path, {"cache_s": 0}))["cache_s"] is None
    changed = await asked(admin, "POST", path, {"models": None, "tags": None, "name": "new", "status": "inactive"})
    assert (changed["models"], changed["tags"]) == (None, {})
    assert (changed["name"], changed["status"]) == ("new", "inactive")
    assert await status_of(admin, made["key"]) == 401
    ended = await asked(admin, "DELETE", path)
    assert ended["status"] == "archived"
    assert await asked(admin, "DELETE", path) == ended
    assert "archived" in await asked(admin, "POST", path, {"status": "active"}, status=400)


async def test_a_rotated_key_works_on_for_its_overlap(admin: Administered) -> None:
    """The id and the terms stay."""
    made = await asked(admin, "POST", "keys", {"name": "ci", "tags": {"x": "y"}})
    path = f"keys/{made['id']}/rotate"
    rotated = await asked(admin, "POST", path, {"overlap_seconds": 3600})
    assert (rotated["id"], rotated["tags"]) == (made["id"], {"x": "y"})
    until = datetime.fromisoformat(rotated["previous_works_until"])
    assert timedelta(minutes=59) < until - datetime.now(UTC) <= timedelta(hours=1)
    assert [await status_of(admin, each["key"]) for each in (made, rotated)] == [200, 200]
    again = await asked(admin, "POST", path, {"overlap_seconds": 0})
    assert again["previous_works_until"] is None
    assert [await status_of(admin, each["key"]) for each in (made, rotated, again)] == [401, 401, 200]
    assert (await asked(admin, "POST", path))["previous_works_until"] is not None  # a day, without a body
    assert "overlap" in await asked(admin, "POST", path, {"overlap_seconds": 10**9}, status=400)
    assert "overlap" in await asked(admin, "POST", path, {"overlap_seconds": 10**18}, status=400)


async def test_the_old_secret_works_no_longer_than_the_key(admin: Administered) -> None:
    """And of a key that has ended, neither does."""
    ends = datetime.now(UTC) + timedelta(hours=2)
    made = await asked(admin, "POST", "keys", {"name": "ci", "expires_at": ends.isoformat()})
    path = f"keys/{made['id']}"
    for overlap_s, until in ((3600, None), (86_400, made["expires_at"])):
        rotated = await asked(admin, "POST", f"{path}/rotate", {"overlap_seconds": overlap_s})
        assert rotated["previous_works_until"] == (until or rotated["previous_works_until"]) <= made["expires_at"]
    assert (await asked(admin, "POST", path, {"status": "inactive"}))["previous_works_until"] == made["expires_at"]
    assert (await asked(admin, "POST", path, {"expires_at": "2020-01-01T00:00:00Z"}))["previous_works_until"] is None
    assert (await asked(admin, "POST", f"{path}/rotate", {"overlap_seconds": 60}))["previous_works_until"] is None
    assert (await asked(admin, "POST", path, {"expires_at": None}))["previous_works_until"] is not None
    assert (await asked(admin, "DELETE", path))["previous_works_until"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at: is over already"),
        ({}, "name: Field required"),
        ({"name": ""}, "name: String should have at least 1 character"),
        ({"name": "x" * 501}, "name: String should have at most 500 characters"),
        ({"name": 5}, "name: Input should be a valid string"),
        ({"name": "a\nb"}, "name: String should have printable characters only, and no line ends"),
        ({"name": "x", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"name": "x", "role": "king"}, "role: Input should be 'owner', 'admin', 'developer', 'billing' or 'reader'"),
        ({"name": "x", "expires_at": "tomorrow"}, "expires_at: Input should be a valid datetime"),
        ({"name": "x", "expires_at": "2030-01-01T00:00:00"}, "expires_at: Input should have timezone info"),
        ({"name": "x", "models": "all"}, "models: Input should be a valid list"),
        ({"name": "x", "models": [""]}, "models: a pattern takes"),
        ({"name": "x", "addresses": ["home"]}, "addresses: 'home' is neither"),
        ({"name": "x", "tags": {"a": 1}}, "tags.a: Input should be a valid string"),
        ({"name": "x", "tags": []}, "tags: Input should be a valid dictionary"),
        ({"name": "x", "cache_s": 2_592_001}, "cache_s: takes 0 to 2592000 seconds"),
        ({"name": "x", "cache_s": "60"}, "cache_s: Input should be a valid integer"),
        ({"name": "x", "tier": "golden"}, "tier: there is no tier 'golden'"),
        ({"name": "x", "workspace_id": "wrkspc_none"}, "workspace_id: no workspace has the id 'wrkspc_none'"),
        ({"name": "x", "created_by": "user_none"}, "created_by: no member has the id 'user_none'"),
        ([], "Input should be an object"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
async def test_a_wrong_key_is_refused_by_its_field(admin: Administered, body: Any, said: str) -> None:
    """ERR-10: the message begins with the field, in the API's words."""
    assert said in await asked(admin, "POST", "keys", body, status=400)


async def test_what_is_no_json_is_said_so(admin: Administered) -> None:
    """ERR-10."""
    headers = {"x-api-key": await admin.key(), "anthropic-version": "2026-10-21"}
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        reply = await admin.http.post("/v1/dragoman/keys", content=content, headers=headers)
        assert reply.status_code == 400
        assert reply.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        ("limit=ten", "limit: Input should be a valid integer, unable to parse string as an integer"),
        ("status=dead", "status: Input should be 'active', 'archived', 'expired' or 'inactive'"),
        ("after_id=a&before_id=b", "before_id: cannot be given together with after_id"),
        ("after_id=apikey_none", "after_id: no API key has the id 'apikey_none'"),
    ],
)
async def test_a_wrong_query_is_refused_by_its_parameter(admin: Administered, query: str, said: str) -> None:
    """ADM-7."""
    assert await asked(admin, "GET", f"keys?{query}", status=400) == said


async def test_the_example_of_the_page_runs(admin: Administered) -> None:
    """docs/admin.md: the same lines, but for the address and the key."""
    code = re.search(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/admin.md").read_text(), re.DOTALL)
    assert code is not None
    lines = code[1].replace("http://127.0.0.1:8000", admin.url).replace("sk-dgm-admin-...", await admin.key())
    names: dict[str, Any] = {}
    await asyncio.to_thread(exec, compile(lines, "admin.md", "exec"), names)
    names["client"].close()
    assert names["workspace"].name == "Research"


# -- members --


async def test_members_have_our_roles_here(admin: Administered) -> None:
    people = {"email": "a@example.com", "name": "A", "role": "owner"}
    made = await asked(admin, "POST", "members", people)
    assert made["role"] == "owner"
    assert "member" in await asked(admin, "POST", "members", {**people, "email": "A@EXAMPLE.com"}, status=400)
    changed = await asked(admin, "POST", f"members/{made['id']}", {"name": "B", "role": "admin"})
    assert (changed["name"], changed["role"]) == ("B", "admin")
    assert (await asked(admin, "GET", "members"))["data"] == [changed]
    for email in ("nobody", "a b@example.com", "a@b@c", ""):
        await asked(admin, "POST", "members", {**people, "email": email}, status=400)


# -- tiers and limits --


async def test_a_tier_is_put_used_and_deleted(admin: Administered) -> None:
    """In force in this process at once."""
    tier = {"rpm": 3, "tpd": 5_000_000_000, "groups": {"claude-haiku-4-5": {"rpm": 2}}}
    put = await asked(admin, "PUT", "tiers/small", tier)
    assert (put["origin"], put["rpm"], put["tpd"], put["itpm"]) == ("api", 3, 5_000_000_000, None)
    assert put["groups"]["claude-haiku-4-5"]["rpm"] == 2
    listed = {each["name"]: each for each in (await asked(admin, "GET", "tiers"))["data"]}
    assert listed["small"] == put
    assert listed["free"]["origin"] == "built in"

    await asked(admin, "PUT", "limits/organization", {"tier": "small"})
    assert (await asked(admin, "GET", "limits"))["organization"] == "small"
    assert "in use" in await asked(admin, "DELETE", "tiers/small", status=400)
    made = await asked(admin, "POST", "keys", {"name": "ci"})
    body = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    statuses = []
    for _ in range(3):
        reply = await admin.http.post("/v1/messages", json=body, headers={"x-api-key": made["key"], **MODELS})
        statuses.append(reply.status_code)
    assert statuses == [200, 200, 429]

    await asked(admin, "PUT", "limits/organization", {"tier": None})
    assert (await asked(admin, "GET", "limits"))["organization"] is None
    assert await asked(admin, "DELETE", "tiers/small") == {"name": "small", "type": "tier_deleted"}
    await asked(admin, "DELETE", "tiers/small", status=404)


async def test_a_tier_that_keys_or_workspaces_are_in_stays(admin: Administered) -> None:
    """Who is in it is named, and archived ones are not."""
    await asked(admin, "PUT", "tiers/small", {"rpm": 3})
    keys = [(await asked(admin, "POST", "keys", {"name": "ci", "tier": "small"}))["id"] for _ in range(12)]
    said = await asked(admin, "DELETE", "tiers/small", status=400)
    assert said.startswith("Tier small is in use by apikey_")
    assert said.endswith(" and 2 more. Put them into another one first.")
    for key_id in keys:
        await asked(admin, "DELETE", f"keys/{key_id}")
    workspace = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()["id"]
    await asked(admin, "PUT", f"limits/workspaces/{workspace}", {"tier": "small"})
    said = await asked(admin, "DELETE", "tiers/small", status=400)
    assert said == f"Tier small is in use by {workspace}. Put them into another one first."
    await asked(admin, "PUT", f"limits/workspaces/{workspace}", {"tier": None})
    await asked(admin, "DELETE", "tiers/small")


async def test_a_tier_that_another_process_has_just_deleted_is_known_to_be_gone(admin: Administered) -> None:
    """And one that it has just made is there."""
    await asked(admin, "PUT", "tiers/small", {"rpm": 3})
    store = admin.gateway.store.organization
    await store.delete_setting("tier", "small")
    assert "no tier 'small'" in await asked(admin, "POST", "keys", {"name": "ci", "tier": "small"}, status=400)
    await store.put_setting(SettingRecord(kind="tier", name="big", value='{"rpm": 9}', updated_at=datetime.now(UTC)))
    key = await asked(admin, "POST", "keys", {"name": "ci", "tier": "big"})
    assert key["id"] in await asked(admin, "DELETE", "tiers/big", status=400)


async def test_a_tier_that_the_file_has_too_is_the_files_again(admin: Administered) -> None:
    """Though somebody is in it: they stay in the file's."""
    of_file = TierConfig(name="small", origin="dragoman.toml", rpm=5)
    await asked(admin, "PUT", "tiers/small", {"rpm": 3})
    policies = admin.gateway.policies
    policies._configured = replace(policies._configured, tiers={**policies._configured.tiers, "small": of_file})
    key = await asked(admin, "POST", "keys", {"name": "ci", "tier": "small"})
    await asked(admin, "DELETE", "tiers/small")
    listed = {each["name"]: each for each in (await asked(admin, "GET", "tiers"))["data"]}
    assert (listed["small"]["origin"], listed["small"]["rpm"]) == ("file", 5)
    assert (await asked(admin, "GET", f"keys/{key['id']}"))["tier"] == "small"


async def test_tiers_that_are_not_set_here_stay(admin: Administered) -> None:
    assert "built in" in await asked(admin, "PUT", "tiers/free", {"rpm": 1}, status=400)
    assert "built in" in await asked(admin, "DELETE", "tiers/free", status=400)
    for body, said in (
        ({"rpm": 0}, "rpm: Input should be greater than or equal to 1"),
        ({"rpm": 10**10}, "rpm: Input should be less than or equal to 1000000000"),
        ({"rpm": True}, "rpm: Input should be a valid integer"),
        ({"speed": 1}, "speed: Extra inputs are not permitted"),
        (
            {"groups": {"claude-haiku-4-5": {"rpm": "x"}}},
            "groups.claude-haiku-4-5.rpm: Input should be a valid integer",
        ),
        ({"groups": {"claude-none": {"rpm": 1}}}, "groups.claude-none: no model answers to this name."),
    ):
        assert (await asked(admin, "PUT", "tiers/mine", body, status=400)).startswith(said)
    assert "golden" in await asked(admin, "PUT", "limits/organization", {"tier": "golden"}, status=400)
    assert "tier: Field required" in await asked(admin, "PUT", "limits/organization", {}, status=400)


async def test_keys_and_workspaces_are_put_into_tiers(admin: Administered) -> None:
    """The default workspace too, by its id."""
    key = (await asked(admin, "POST", "keys", {"name": "ci"}))["id"]
    workspace = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()["id"]
    default = admin.gateway.auth.workspace_id
    for scope, id_ in (("key", key), ("workspace", workspace), ("workspace", default)):
        path = f"limits/{scope}s/{id_}"
        told = {"type": "limit_assignment", "scope": scope, "id": id_}
        assert await asked(admin, "PUT", path, {"tier": "pro"}) == {**told, "tier": "pro"}
    assert (await asked(admin, "GET", f"keys/{key}"))["tier"] == "pro"
    assert (await asked(admin, "GET", "limits"))["default_workspace"] == "pro"
    limits = await admin.ask("GET", f"/v1/organizations/workspaces/{workspace}/rate_limits")
    assert {"type": "tokens_per_minute", "value": 400_000, "org_limit": None, "source": {"type": "workspace"}} in (
        limits.json()["data"][0]["limits"]
    )
    assert (await asked(admin, "PUT", f"limits/keys/{key}", {"tier": None}))["tier"] is None
    await asked(admin, "PUT", "limits/keys/apikey_none", {"tier": None}, status=404)
    await asked(admin, "PUT", "limits/workspaces/wrkspc_none", {"tier": None}, status=404)


async def test_what_the_file_says_holds_again(admin: Administered) -> None:
    admin.gateway.policies._configured = LimitsConfig(organization="build")
    await asked(admin, "PUT", "limits/organization", {"tier": "free"})
    assert (await asked(admin, "GET", "limits"))["organization"] == "free"
    await asked(admin, "PUT", "limits/organization", {"tier": None})
    assert (await asked(admin, "GET", "limits"))["organization"] == "build"


# -- budgets --


async def test_a_budget_is_made_changed_and_ended(admin: Administered) -> None:
    """In force in this process at once. A webhook may hold a secret: its host alone is shown."""
    body = {"scope": "organization", "period": "month", "limit_usd": "12.50", "zone": "Europe/Berlin"}
    hook = "https://hooks.example.com/secret-path?token=secret"
    made = await asked(admin, "POST", "budgets", {**body, "alerts": [50], "webhook": hook})
    assert made["id"].startswith("budget_")
    assert made["scope_id"] == admin.gateway.auth.organization_id
    assert (made["limit_usd"], made["spent_usd"], made["is_hard"]) == ("12.50", "0.00", True)
    assert (made["webhook_host"], made["alerts"], made["origin"]) == ("hooks.example.com", [50], "api")
    assert admin.gateway.budgets.is_on
    path = f"budgets/{made['id']}"
    assert await asked(admin, "GET", path) == made
    changed = await asked(admin, "POST", path, {"limit_usd": "0.000000001", "is_hard": False, "webhook": None})
    assert (changed["limit_usd"], changed["is_hard"], changed["webhook_host"]) == ("0.000000001", False, None)
    assert changed["alerts"] == [50]
    assert (await asked(admin, "GET", "budgets"))["data"] == [changed]
    ended = await asked(admin, "DELETE", path)
    assert ended["ended_at"] is not None
    assert await asked(admin, "DELETE", path) == ended
    assert (await asked(admin, "GET", "budgets"))["data"] == []
    assert (await asked(admin, "GET", "budgets?include_ended=true"))["data"] == [ended]
    assert "ended" in await asked(admin, "POST", path, {"limit_usd": "1"}, status=400)
    assert "secret" not in str([made, changed, ended])
    assert "secret-path" not in admin.log


async def test_what_is_spent_of_a_budget_is_told(admin: Administered) -> None:
    """By the ledger: dollars, exact."""
    key = (await asked(admin, "POST", "keys", {"name": "ci"}))["id"]
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    row = LedgerRow(
        id="req_1", at_us=now_us, organization_id=admin.gateway.auth.organization_id, key_id=key,
        workspace_id=admin.gateway.auth.workspace_id, operation="messages", model="m", cost_nano=1_234_567_890,
    )  # fmt: skip
    await admin.gateway.store.ledger.add([row])
    for scope, id_ in (("organization", None), ("workspace", admin.gateway.auth.workspace_id), ("key", key)):
        body = {"scope": scope, "scope_id": id_, "period": "total", "limit_usd": "2"}
        assert (await asked(admin, "POST", "budgets", body))["spent_usd"] == "1.23456789"
    every = {"scope": "key", "scope_id": "*", "period": "total", "limit_usd": "2"}
    assert (await asked(admin, "POST", "budgets", every))["spent_usd"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit_usd": "-1"}, "limit_usd: String should match pattern"),
        ({"limit_usd": 5}, "limit_usd: Input should be a valid string"),
        ({"limit_usd": "9999999"}, "limit_usd: is no amount"),
        ({"period": "year"}, "period: Input should be 'day', 'week', 'month' or 'total'"),
        ({"zone": "Mars"}, "zone: is no time zone"),
        ({"alerts": [0]}, "alerts: is no whole number from 1 to"),
        ({"webhook": "ftp://secret"}, "webhook: begins with neither"),
        ({"scope": "key", "scope_id": "apikey_none"}, "scope_id: no key has the id 'apikey_none'"),
        ({"scope": "workspace"}, "scope_id: no workspace has the id ''"),
        ({"scope_id": "another"}, "scope_id: is not this organization's id"),
        ({"soft": True}, "soft: Extra inputs are not permitted"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
async def test_a_wrong_budget_is_refused_by_its_field(admin: Administered, change: dict[str, Any], said: str) -> None:
    body = {"scope": "organization", "period": "month", "limit_usd": "1", **change}
    message = await asked(admin, "POST", "budgets", body, status=400)
    assert said in message
    assert "secret" not in message


# -- providers, routes, the log --


async def test_a_provider_s_key_is_stored_and_never_told_again(admin: Administered) -> None:
    """The built-in engine takes none."""
    (offline,) = (await asked(admin, "GET", "providers"))["data"]
    assert (offline["name"], offline["state"], offline["is_default"]) == ("offline", "ready", True)
    secret = {"name": "n", "key": "sk-a-secret-of-a-provider"}
    message = await asked(admin, "POST", "providers/offline/credentials", secret, status=400)
    assert "takes no key" in message
    assert secret["key"] not in message
    await asked(admin, "POST", "providers/none/credentials", secret, status=404)
    await asked(admin, "GET", "providers/none/credentials", status=404)


async def test_keys_of_a_provider_are_added_listed_and_ended() -> None:
    async with Administered(upstream="http://127.0.0.1:9") as admin:
        path = "providers/upstream/credentials"
        secret = {"name": "main", "key": "sk-a-secret-of-a-provider"}
        made = await asked(admin, "POST", path, secret)
        assert (made["provider"], made["name"]) == ("upstream", "main")
        assert made["partial_key_hint"] == "sk-...der"
        assert (await asked(admin, "GET", path))["data"] == [made]
        (provider,) = (await asked(admin, "GET", "providers"))["data"]
        assert (provider["credentials"], provider["has_key"], provider["state"]) == (1, True, "ready")
        await asked(admin, "DELETE", f"{path}/cred_none", status=404)
        assert (await asked(admin, "DELETE", f"{path}/{made['id']}"))["id"] == made["id"]
        await asked(admin, "DELETE", f"{path}/{made['id']}", status=404)
        assert (await asked(admin, "GET", path))["data"] == []
        assert secret["key"] not in admin.log
        assert secret["key"] not in str(made)


async def test_routes_tell_what_answers_what() -> None:
    """And how the targets are, by their breakers."""
    toml = """
        [providers.one]
        base_url = "http://127.0.0.1:9"
        api_key = "k"
        [models.nick]
        targets = ["one/claude-haiku-4-5", "one/claude-opus-4-8"]
    """
    async with Administered(toml=toml) as admin:
        route = admin.gateway.router.candidates("nick").routes[1]
        for _ in range(5):
            admin.gateway.dispatch.breaker(route).failed(admin.gateway.clock())
        named, default = (await asked(admin, "GET", "routes"))["data"]
    assert (named["model"], named["policy"]) == ("nick", "ordered")
    assert named["targets"] == [
        {"target": "one/claude-haiku-4-5", "breaker": "closed"},
        {"target": "one/claude-opus-4-8", "breaker": "open"},
    ]
    assert (default["model"], default["targets"][0]["target"]) == (None, "one")


async def test_reports_and_the_log_of_requests_are_there(admin: Administered) -> None:
    """ADM-9 to 11; what they tell is tested with them."""
    await admin.gateway.store.ledger.add([LedgerRow(id="req_1", at_us=1_000_000, operation="messages", status=200)])
    assert [each["id"] for each in (await asked(admin, "GET", "requests"))["data"]] == ["req_1"]
    assert (await asked(admin, "GET", "requests/req_1"))["status"] == 200
    assert (await asked(admin, "GET", "requests/req_1?contents=true"))["contents"] is None
    await asked(admin, "GET", "requests/req_1?contents=true", role="reader", status=403)
    assert "contents" in (await asked(admin, "GET", "requests/req_1?contents=1"))
    assert "contents" not in (await asked(admin, "GET", "requests/req_1?contents=false"))
    assert "valid boolean" in await asked(admin, "GET", "requests/req_1?contents=maybe", status=400)
    await asked(admin, "GET", "requests/req_none", status=404)
    for path in ("usage_report/messages", "cost_report"):
        reply = await admin.ask("GET", f"/v1/organizations/{path}?starting_at=2026-11-01T00:00:00Z")
        assert reply.status_code == 200
        assert "anthropic-workspace-id" not in reply.headers
        missing = await admin.ask("GET", f"/v1/organizations/{path}")
        assert missing.json()["error"]["message"] == "starting_at: Field required"


async def test_a_database_that_is_away_is_503(admin: Administered) -> None:
    """ERR-21: not the caller's fault, and nothing of the trouble's text is told."""
    await admin.ask("GET", "/v1/organizations/me")  # the key is known from here on

    async def away(work: Any) -> Any:
        raise StoreError("the database /secret/path is away")

    admin.gateway.store.organization._run = away
    for path in ("/v1/organizations/workspaces", "/v1/organizations/users", "/v1/dragoman/members"):
        reply = await admin.ask("GET", path)
        assert reply.status_code == 503
        assert "secret" not in reply.text
        assert reply.headers["request-id"] in admin.log


def test_a_server_loads_the_admin_api_when_it_is_asked() -> None:
    """Its declarations take memory that most processes need not have."""
    program = "import sys, dragoman.server.app; print(*sorted(name for name in sys.modules if 'admin' in name))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


async def test_a_name_that_the_configuration_gives_limits_by_is_not_for_everybody() -> None:
    """Whoever may make keys may not therefore raise their limits."""
    toml = """
        [providers.offline]
        [limits.keys]
        "vip" = "scale"
        [[budgets]]
        scope = "key:rich"
        usd = 100
        period = "day"
    """
    async with Administered(toml=toml) as admin:
        plain = await asked(admin, "POST", "keys", {"name": "plain"}, role="developer")
        for name in ("vip", "rich"):
            await asked(admin, "POST", "keys", {"name": name}, role="developer", status=403)
            await asked(admin, "POST", f"keys/{plain['id']}", {"name": name}, role="developer", status=403)
            await asked(admin, "POST", "keys", {"name": name}, role="owner")


@pytest.mark.parametrize("field", ["expires_at"])
async def test_a_time_out_of_the_calendar_is_400(admin: Administered, field: str) -> None:
    await asked(admin, "POST", "keys", {"name": "a", field: "0001-01-01T00:00:00+23:59"}, status=400)
    for path in ("usage_report/messages", "cost_report"):
        reply = await admin.ask("GET", f"/v1/organizations/{path}?starting_at=0001-01-01T00:00:00%2B23:59")
        assert reply.status_code == 400
