"""P6 of issue 7: every endpoint of the admin API asked with every role, over real sockets.

The cases are made of the route table, so a new endpoint is asked too, and one without a row in the table of roles
fails. What the table must say whatever becomes of it is said here a second time, by other words.
"""

import re
from collections.abc import AsyncIterator

import pytest
from administering import Administered
from rawhttp import KEY

from dragoman.gateway.admin.roles import ALL_ROLES, MAY, OF_ONE_WORKSPACE
from dragoman.server.admin import Endpoint
from dragoman.server.admin_routes import ENDPOINTS

CLOSED = [endpoint for endpoint in ENDPOINTS if endpoint.access == "admin"]
READS = frozenset({"GET"})
KEYS = re.compile(r"/v1/(dragoman/keys|organizations/api_keys)(/|$)")
BUDGETS = re.compile(r"/v1/dragoman/budgets(/|$)")


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


def somewhere(endpoint: Endpoint) -> str:
    """A path of this endpoint, whose ids are nobody's."""
    return re.sub(r"\{\w+\}", "nobodys", endpoint.path)


def test_every_endpoint_has_a_row_and_every_row_an_endpoint() -> None:
    assert {endpoint.name for endpoint in CLOSED} == set(MAY)
    assert set(MAY) >= OF_ONE_WORKSPACE
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    others = {endpoint.name: endpoint.access for endpoint in ENDPOINTS if endpoint.access != "admin"}
    assert others == {"GET /v1/dragoman/openapi.json": "open", "POST /v1/dragoman/route": "models"}


@pytest.mark.parametrize("endpoint", CLOSED, ids=lambda endpoint: endpoint.name)
def test_what_the_table_says(endpoint: Endpoint) -> None:
    """Owners and admins all; a reader nothing but reads; developers change keys, billing changes budgets."""
    roles = MAY[endpoint.name]
    assert {"owner", "admin"} <= roles <= set(ALL_ROLES)
    if endpoint.method not in READS:
        assert "reader" not in roles
        assert ("developer" in roles) == bool(KEYS.match(endpoint.path))
        assert ("billing" in roles) == bool(BUDGETS.match(endpoint.path))
    if "credentials" in endpoint.path:
        assert not roles & {"developer", "billing"}


@pytest.mark.parametrize("role", ALL_ROLES)
async def test_the_table_is_held(admin: Administered, role: str) -> None:
    """Each endpoint with each role: 403 where the table has no place for it, and only there."""
    for endpoint in CLOSED:
        reply = await admin.ask(endpoint.method, somewhere(endpoint), role=role, json={})
        if role in MAY[endpoint.name]:
            assert reply.status_code in (200, 400, 404), f"{endpoint.name}: {reply.text}"
        else:
            assert reply.status_code == 403, f"{endpoint.name}: {reply.text}"
            assert reply.json()["error"]["type"] == "permission_error"


async def test_a_key_of_one_workspace_is_refused_what_is_the_organization_s(admin: Administered) -> None:
    made = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()
    for endpoint in CLOSED:
        reply = await admin.ask(endpoint.method, somewhere(endpoint), workspace_id=made["id"], json={})
        is_refused = endpoint.name not in OF_ONE_WORKSPACE
        assert (reply.status_code == 403) == is_refused, f"{endpoint.name}: {reply.text}"


async def test_a_key_for_models_is_refused_everywhere(admin: Administered) -> None:
    """ADM-1."""
    for endpoint in CLOSED:
        reply = await admin.ask(endpoint.method, somewhere(endpoint), key=KEY, json={})
        assert reply.status_code == 403, endpoint.name


@pytest.mark.parametrize("key", [None, "sk-dgm-admin-of-nobody-at-all", ""])
async def test_without_a_key_of_ours_nothing_is_told(admin: Administered, key: str | None) -> None:
    """ADM-1, HDR-9: 401 before anything else is looked at."""
    headers = {} if key is None else {"x-api-key": key}
    for endpoint in CLOSED:
        reply = await admin.http.request(endpoint.method, somewhere(endpoint), content=b"{broken", headers=headers)
        assert reply.status_code == 401, endpoint.name
        assert reply.json()["error"]["type"] == "authentication_error"
        assert "anthropic-organization-id" not in reply.headers


@pytest.mark.parametrize("version", [None, "2023-10-01"])
async def test_the_version_is_needed(admin: Administered, version: str | None) -> None:
    """ERR-43, ERR-44: after the key, before the body."""
    for endpoint in CLOSED:
        reply = await admin.ask(endpoint.method, somewhere(endpoint), version=version, json={"nonsense": 1})
        assert reply.status_code == 400, endpoint.name
        assert reply.json()["error"]["message"].startswith("anthropic-version: ")


async def test_other_methods_are_told_apart(admin: Administered) -> None:
    """ERR-23; HEAD is GET without the body."""
    for path in sorted({somewhere(endpoint) for endpoint in ENDPOINTS}):
        methods = {endpoint.method for endpoint in ENDPOINTS if somewhere(endpoint) == path}
        refused = await admin.ask("PATCH", path)
        assert refused.status_code == 405
        head = {"HEAD"} if "GET" in methods else set()
        assert set(refused.headers["allow"].split(", ")) == methods | head
        if head:
            asked, seen = await admin.ask("GET", path), await admin.ask("HEAD", path)
            assert (seen.status_code, seen.content) == (asked.status_code, b"")
    other = await admin.ask("GET", "/v1/dragoman/nothing")
    assert other.status_code == 404


async def test_no_role_makes_or_changes_what_is_above_it(admin: Administered) -> None:
    """An owner's keys and members are for owners; admin keys are for owners and admins."""
    owner_key = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "o", "role": "owner"})).json()["id"]
    admin_key = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "a", "role": "admin"})).json()["id"]
    reader_key = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "r", "role": "reader"})).json()["id"]
    for role, above, below in (
        ("admin", [owner_key], [admin_key, reader_key]),
        ("developer", [owner_key, admin_key, reader_key], []),
    ):
        for key_id in above + below:
            status = 403 if key_id in above else 200
            path = f"/v1/dragoman/keys/{key_id}"
            assert (await admin.ask("POST", path, role=role, json={"name": "x"})).status_code == status
            assert (await admin.ask("POST", f"{path}/rotate", role=role)).status_code == status
            limits = f"/v1/dragoman/limits/keys/{key_id}"
            assert (await admin.ask("PUT", limits, role=role, json={"tier": "free"})).status_code == status
            assert (await admin.ask("DELETE", path, role=role)).status_code == status
            classic = f"/v1/organizations/api_keys/{key_id}"
            assert (await admin.ask("POST", classic, role=role, json={"status": "archived"})).status_code == 404
    for role, made, status in (
        ("admin", "owner", 403), ("admin", "admin", 200), ("developer", "reader", 403), ("developer", "admin", 403),
        ("developer", None, 200),
    ):  # fmt: skip
        reply = await admin.ask("POST", "/v1/dragoman/keys", role=role, json={"name": "n", "role": made})
        assert reply.status_code == status, (role, made)
    assert (await admin.ask("GET", f"/v1/dragoman/keys/{owner_key}")).json()["status"] == "active"

    member = {"email": "o@example.com", "name": "O", "role": "owner"}
    assert (await admin.ask("POST", "/v1/dragoman/members", role="admin", json=member)).status_code == 403
    owner = (await admin.ask("POST", "/v1/dragoman/members", json=member)).json()["id"]
    other = {"email": "d@example.com", "name": "D", "role": "developer"}
    dev = (await admin.ask("POST", "/v1/dragoman/members", role="admin", json=other)).json()["id"]
    for method, path, json in (
        ("POST", f"/v1/dragoman/members/{owner}", {"name": "x"}),
        ("POST", f"/v1/dragoman/members/{dev}", {"role": "owner"}),
        ("POST", f"/v1/organizations/users/{owner}", {"role": "user"}),
        ("DELETE", f"/v1/organizations/users/{owner}", None),
    ):
        assert (await admin.ask(method, path, role="admin", json=json)).status_code == 403, path
    assert (await admin.ask("POST", f"/v1/dragoman/members/{dev}", json={"role": "owner"})).status_code == 200
    assert (await admin.ask("DELETE", f"/v1/organizations/users/{owner}")).status_code == 200


async def test_whoever_makes_keys_does_not_raise_their_limits(admin: Administered) -> None:
    """A tier is set by those who may set limits, in whatever way."""
    made = (await admin.ask("POST", "/v1/dragoman/keys", role="developer", json={"name": "n", "tier": None})).json()
    workspace = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()["id"]
    for path in ("/v1/dragoman/keys", f"/v1/dragoman/keys/{made['id']}"):
        body = {"name": "n", "tier": "scale"}
        assert (await admin.ask("POST", path, role="developer", json=body)).status_code == 403
        assert (await admin.ask("POST", path, role="admin", json=body)).status_code == 200
    mine = (await admin.ask("POST", "/v1/dragoman/keys", workspace_id=workspace, json={"name": "n"})).json()["id"]
    for tier in ("scale", None):
        path = f"/v1/dragoman/keys/{mine}"
        assert (await admin.ask("POST", path, workspace_id=workspace, json={"tier": tier})).status_code == 403
        path = f"/v1/dragoman/keys/{made['id']}"
        assert (await admin.ask("POST", path, role="developer", json={"tier": tier})).status_code == 403


async def test_an_admin_s_requests_are_in_the_log_by_their_ids_alone(admin: Administered) -> None:
    """Who changed what: a line a change, without what was sent."""
    body = {"name": "a-name-not-for-logs", "tags": {"t": "a-tag-not-for-logs"}}
    made = await admin.ask("POST", "/v1/dragoman/keys", json=body)
    changed = await admin.ask("POST", f"/v1/dragoman/keys/{made.json()['id']}", json=body)
    missed = await admin.ask("DELETE", "/v1/dragoman/keys/a-secret-not-for-logs")
    for reply, said in (
        (made, "status=200 POST /v1/dragoman/keys"),
        (changed, f"status=200 POST /v1/dragoman/keys/{made.json()['id']}"),
        (missed, "status=404 DELETE /v1/dragoman/keys/{key_id}"),
    ):
        (line,) = [line for line in admin.log.splitlines() if reply.headers["request-id"] in line]
        assert line.endswith(f"role=owner {said}")
    assert "not-for-logs" not in admin.log
    assert made.json()["key"] not in admin.log
