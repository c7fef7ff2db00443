"""P6 of issue 7: what belongs to one workspace is 404 for the keys of another, at every endpoint that takes an id.

The cases are made of the application's route tables, so an endpoint that is new is asked too.
"""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from administering import Administered

from dragoman.gateway.admin.roles import OF_ONE_WORKSPACE
from dragoman.gateway.auth.auth import Principal
from dragoman.server.admin_routes import ENDPOINTS
from dragoman.server.app import ID_ROUTES
from dragoman.store.keys import KeyChanges
from dragoman.store.ledger import LedgerRow

OF_NOBODY = ("/v1/models/",)  # models are not a workspace's
# What must be sent so that the id is what is wrong.
BODIES: dict[str, Any] = {
    "POST /v1/organizations/workspaces/{workspace_id}": {"name": "x"},
    "POST /v1/organizations/workspaces/{workspace_id}/members": {
        "user_id": "{user_id}", "workspace_role": "workspace_user",
    },
    "POST /v1/organizations/workspaces/{workspace_id}/members/{user_id}": {"workspace_role": "workspace_admin"},
    "POST /v1/organizations/api_keys/{api_key_id}": {"status": "archived"},
    "POST /v1/dragoman/keys/{key_id}": {"name": "x"},
}  # fmt: skip


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


@pytest.fixture
async def workspaces(admin: Administered) -> list[str]:
    made = [await admin.ask("POST", "/v1/organizations/workspaces", json={"name": name}) for name in "ab"]
    return [reply.json()["id"] for reply in made]


async def key_of(admin: Administered, workspace_id: str) -> tuple[str, Principal]:
    plain, _ = await admin.gateway.auth.create("models", terms=KeyChanges(workspace_id=workspace_id))
    return plain, await admin.gateway.auth.identify(plain, None)


async def test_files_and_batches_are_their_workspace_s(admin: Administered, workspaces: list[str]) -> None:
    """FIL-6, BAT-12: every id endpoint of the application, with the id of another workspace's object."""
    own, _ = await key_of(admin, workspaces[0])
    other, _ = await key_of(admin, workspaces[1])

    async def ask(method: str, path: str, key: str, **options: Any) -> Any:
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return await admin.http.request(method, path, headers=headers, **options)

    file_id = (await ask("POST", "/v1/files", own, files={"file": ("a.txt", b"secret text")})).json()["id"]
    params = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    requests = [{"custom_id": "one", "params": params}]
    batch_id = (await ask("POST", "/v1/messages/batches", own, json={"requests": requests})).json()["id"]
    ids = {"/v1/files/": file_id, "/v1/messages/batches/": batch_id}
    asked = 0
    for before, behind, methods in ID_ROUTES:
        if before in OF_NOBODY:
            continue
        for method in methods:
            reply = await ask(method, f"{before}{ids[before]}{behind}", other)
            assert reply.status_code == 404, f"{method} {before}...{behind}: {reply.text}"
            assert reply.json()["error"]["type"] == "not_found_error"
            asked += 1
    assert asked >= 7
    assert (await ask("GET", f"/v1/files/{file_id}", own)).status_code == 200
    assert (await ask("GET", f"/v1/messages/batches/{batch_id}", own)).status_code == 200
    for path in ("/v1/files", "/v1/messages/batches"):
        assert (await ask("GET", path, other)).json()["data"] == []


async def test_an_admin_key_of_one_workspace_sees_no_other(admin: Administered, workspaces: list[str]) -> None:
    """Every id endpoint of the admin API: 404, or 403 where the organization is meant; never that it is there."""
    first, second = workspaces
    _, principal = await key_of(admin, first)
    people = {"email": "a@example.com", "name": "A", "role": "developer"}
    user_id = (await admin.ask("POST", "/v1/dragoman/members", json=people)).json()["id"]
    place = {"user_id": user_id, "workspace_role": "workspace_user"}
    await admin.ask("POST", f"/v1/organizations/workspaces/{first}/members", json=place)
    await admin.gateway.store.ledger.add(
        [LedgerRow(id="req_1", at_us=1, workspace_id=first, key_id=principal.key_id, operation="messages")]
    )
    ids = {
        "workspace_id": first,
        "user_id": user_id,
        "api_key_id": principal.key_id,
        "key_id": principal.key_id,
        "request_id": "req_1",
    }
    asked = set()
    for endpoint in ENDPOINTS:
        if "{" not in endpoint.path:
            continue
        path = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "nobodys"), endpoint.path)
        body = {name: value.format(**ids) for name, value in BODIES.get(endpoint.name, {}).items()}
        reply = await admin.ask(endpoint.method, path, workspace_id=second, json=body)
        assert reply.status_code == (404 if endpoint.name in OF_ONE_WORKSPACE else 403), (
            f"{endpoint.name}: {reply.text}"
        )
        asked.add(endpoint.name)
        if endpoint.name in OF_ONE_WORKSPACE and endpoint.method == "GET":
            seen = await admin.ask("GET", path, workspace_id=first)
            assert seen.status_code == 200, f"{endpoint.name}: {seen.text}"
    assert set(BODIES) <= asked
    still = await admin.ask("GET", f"/v1/dragoman/keys/{principal.key_id}")
    assert (still.json()["status"], still.json()["name"]) == ("active", "models")


async def test_lists_hold_what_is_of_the_workspace_alone(admin: Administered, workspaces: list[str]) -> None:
    """Also where another workspace is asked for by its id, or an object of it as a cursor."""
    first, second = workspaces
    _, principal = await key_of(admin, first)
    await admin.key("owner", second)

    async def listed(path: str) -> list[str]:
        reply = await admin.ask("GET", path, workspace_id=second)
        assert reply.status_code == 200, reply.text
        return [each["id"] for each in reply.json()["data"]]

    assert await listed("/v1/organizations/workspaces?include_default=true&include_archived=true") == [second]
    assert await listed(f"/v1/organizations/workspaces?ids[]={first}&ids[]={second}") == [second]
    assert await listed("/v1/organizations/api_keys") == []
    assert await listed(f"/v1/organizations/api_keys?workspace_id={first}") == []
    assert principal.key_id not in await listed("/v1/dragoman/keys")
    assert await listed(f"/v1/dragoman/keys?workspace_id={first}") == []
    for parameter in ("after_id", "before_id"):
        reply = await admin.ask("GET", f"/v1/dragoman/keys?{parameter}={principal.key_id}", workspace_id=second)
        assert reply.status_code == 400
        reply = await admin.ask("GET", f"/v1/organizations/workspaces?{parameter}={first}", workspace_id=second)
        assert reply.status_code == 400


async def test_a_key_of_one_workspace_makes_keys_for_it(admin: Administered, workspaces: list[str]) -> None:
    """And for no other, nor for the whole organization."""
    first, second = workspaces
    made = await admin.ask("POST", "/v1/dragoman/keys", workspace_id=second, json={"name": "n", "role": "admin"})
    assert made.json()["workspace_id"] == second
    for elsewhere in (first, None, admin.gateway.auth.workspace_id, "wrkspc_none"):
        for path in ("/v1/dragoman/keys", f"/v1/dragoman/keys/{made.json()['id']}"):
            body = {"name": "n", "workspace_id": elsewhere}
            reply = await admin.ask("POST", path, workspace_id=second, json=body)
            assert reply.status_code == 400, (elsewhere, path)
            said = f"workspace_id: this admin key is bound to workspace {second}, and its keys are of that one"
            assert reply.json()["error"]["message"] == said
