"""The admin API through the official Python SDK: its `organization` resources against a real server.

Every reply is judged by the OpenAPI document that the server serves (support/administering.py).
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anthropic
import pytest
from administering import Administered
from anthropic import AsyncAnthropic
from rawhttp import KEY

from dragoman.gateway.config.limits import LimitsConfig


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


@pytest.fixture(params=["organization", "beta.organization"])
async def organization(request: pytest.FixtureRequest, admin: Administered) -> Any:
    """The SDK's resources have the same methods twice."""
    client = await admin.client()
    return client.organization if request.param == "organization" else client.beta.organization


async def member(admin: Administered, email: str, role: str = "reader") -> str:
    reply = await admin.ask("POST", "/v1/dragoman/members", json={"email": email, "name": email.title(), "role": role})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


async def test_the_organization_tells_its_id_and_name(admin: Administered, organization: Any) -> None:
    """ADM-2, HDR-31, HDR-32: the workspace's header is not on admin paths."""
    raw = await organization.with_raw_response.retrieve()
    told = await raw.parse()
    assert (told.type, told.id) == ("organization", admin.gateway.auth.organization_id)
    assert raw.headers["anthropic-organization-id"] == told.id
    assert "anthropic-workspace-id" not in raw.headers
    assert raw.headers["request-id"].startswith("req_")


async def test_workspaces_are_made_changed_and_archived(organization: Any) -> None:
    """ADM-5."""
    made = await organization.workspaces.create(
        name="Research", tags={"team": "a", "cost": "7"}, display_color="#123abc",
        data_residency={"allowed_inference_geos": ["us"], "default_inference_geo": "us"},
    )  # fmt: skip
    assert made.id.startswith("wrkspc_")
    assert (made.name, made.display_color, made.tags) == ("Research", "#123abc", {"team": "a", "cost": "7"})
    assert made.data_residency.allowed_inference_geos == ["us"]
    assert made.archived_at is None
    assert await organization.workspaces.retrieve(made.id) == made

    changed = await organization.workspaces.update(made.id, name="Science", tags={"team": None, "floor": "3"})
    assert (changed.name, changed.display_color, changed.tags) == ("Science", "#123abc", {"cost": "7", "floor": "3"})
    assert await organization.workspaces.retrieve(made.id) == changed

    archived = await organization.workspaces.archive(made.id)
    assert archived.archived_at is not None
    assert (await organization.workspaces.archive(made.id)).archived_at == archived.archived_at
    assert [each.id async for each in organization.workspaces.list()] == []
    assert [each.id async for each in organization.workspaces.list(include_archived=True)] == [made.id]
    with pytest.raises(anthropic.BadRequestError, match="archived"):
        await organization.workspaces.update(made.id, name="Again")


async def test_workspaces_are_paged_in_both_directions(admin: Administered, organization: Any) -> None:
    """ADM-7: newest first, the default one behind all others and only where it is asked for."""
    made = [(await organization.workspaces.create(name=f"w{number}")).id for number in range(5)][::-1]
    assert [each.id async for each in organization.workspaces.list(limit=2)] == made
    default = admin.gateway.auth.workspace_id
    for limit in (1, 2, 5, 6, 1000):
        found = [each.id async for each in organization.workspaces.list(limit=limit, include_default=True)]
        assert found == [*made, default]
    page = await organization.workspaces.list(before_id=made[3], limit=2)
    assert [each.id for each in page.data] == made[1:3]
    assert page.has_more
    assert (page.first_id, page.last_id) == (made[1], made[2])
    back = await page.get_next_page()
    assert [each.id for each in back.data] == made[:1]
    assert not back.has_more
    assert [each.id async for each in organization.workspaces.list(before_id=default, limit=5)] == made
    page = await organization.workspaces.list(before_id=default, limit=2)  # those right before it
    assert ([each.id for each in page.data], page.has_more) == (made[-2:], True)
    assert [each.id for each in (await page.get_next_page()).data] == made[1:3]
    assert (await organization.workspaces.list(after_id=default, include_default=True)).data == []
    some = await organization.workspaces.list(ids=[made[1], made[4], "wrkspc_none"])
    assert [each.id for each in some.data] == [made[1], made[4]]


async def test_the_default_workspace_cannot_be_changed(admin: Administered, organization: Any) -> None:
    """ADM-5: it is there always, and every member is in it."""
    default = admin.gateway.auth.workspace_id
    assert (await organization.workspaces.retrieve(default)).name == "Default"
    with pytest.raises(anthropic.PermissionDeniedError):
        await organization.workspaces.archive(default)
    with pytest.raises(anthropic.PermissionDeniedError):
        await organization.workspaces.update(default, name="Mine")
    user_id = await member(admin, "dev@example.com", "developer")
    (found,) = [each async for each in organization.workspaces.members.list(default)]
    assert (found.user_id, found.workspace_role) == (user_id, "workspace_developer")
    assert (await organization.workspaces.members.retrieve(user_id, workspace_id=default)) == found


async def test_members_of_a_workspace(admin: Administered, organization: Any) -> None:
    """ADM-5: list, create, get, update, delete."""
    workspace = (await organization.workspaces.create(name="Research")).id
    ids = [await member(admin, f"user{number}@example.com") for number in range(3)]
    for user_id in ids:
        added = await organization.workspaces.members.add(
            workspace, user_id=user_id, workspace_role="workspace_developer"
        )
        assert (added.type, added.user_id, added.workspace_id) == ("workspace_member", user_id, workspace)
    assert [each.user_id async for each in organization.workspaces.members.list(workspace, limit=2)] == ids[::-1]
    with pytest.raises(anthropic.BadRequestError, match="already"):
        await organization.workspaces.members.add(workspace, user_id=ids[0], workspace_role="workspace_user")
    changed = await organization.workspaces.members.update(
        ids[0], workspace_id=workspace, workspace_role="workspace_billing"
    )
    assert changed.workspace_role == "workspace_billing"
    assert await organization.workspaces.members.retrieve(ids[0], workspace_id=workspace) == changed
    gone = await organization.workspaces.members.remove(ids[0], workspace_id=workspace)
    assert (gone.type, gone.user_id, gone.workspace_id) == ("workspace_member_deleted", ids[0], workspace)
    for ask in (organization.workspaces.members.retrieve, organization.workspaces.members.remove):
        with pytest.raises(anthropic.NotFoundError):
            await ask(ids[0], workspace_id=workspace)
    with pytest.raises(anthropic.NotFoundError):
        await organization.workspaces.members.add(workspace, user_id="user_none", workspace_role="workspace_user")


async def test_users_are_listed_changed_and_removed(admin: Administered, organization: Any) -> None:
    """ADM-6: our reader is "user" there, owner and admin are "admin", which cannot be given."""
    roles = {"owner": "admin", "admin": "admin", "developer": "developer", "billing": "billing", "reader": "user"}
    ids = {role: await member(admin, f"{role}@example.com", role) for role in roles}
    found = {each.id: each.role async for each in organization.users.list(limit=2)}
    assert found == {ids[role]: wire for role, wire in roles.items()}
    assert {each.id async for each in organization.users.list(roles=["admin", "user"])} == {
        ids["owner"], ids["admin"], ids["reader"],
    }  # fmt: skip
    (one,) = [each async for each in organization.users.list(email="BILLING@example.com")]
    assert one.id == ids["billing"]
    changed = await organization.users.update(ids["reader"], role="claude_code_user")
    assert changed.role == "claude_code_user"
    assert await organization.users.retrieve(ids["reader"]) == changed
    for refused in ("admin", "managed", "owner"):
        with pytest.raises(anthropic.BadRequestError, match="role: Input should be 'user', 'developer'"):
            await organization.users.update(ids["reader"], role=refused)
    assert (await organization.users.remove(ids["reader"])).type == "user_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await organization.users.retrieve(ids["reader"])


async def test_the_last_member_stays(admin: Administered, organization: Any) -> None:
    """The SDK has an error of its own for it."""
    user_id = await member(admin, "only@example.com", "owner")
    with pytest.raises(anthropic.BadRequestError) as caught:
        await organization.users.remove(user_id)
    assert caught.value.body["error"]["details"] == {"error_code": "cannot_remove_last_member"}


async def test_invites_last_for_21_days(organization: Any) -> None:
    """ADM-6."""
    made = await organization.invites.create(email="New@example.com", role="developer")
    assert made.id.startswith("invite_")
    assert (made.status, made.role, made.rbac_group_ids) == ("pending", "developer", [])
    assert made.expires_at - made.invited_at == timedelta(days=21)
    assert await organization.invites.retrieve(made.id) == made
    with pytest.raises(anthropic.BadRequestError) as caught:
        await organization.invites.create(email="new@EXAMPLE.com", role="user")
    assert caught.value.body["error"]["details"] == {"error_code": "invite_already_exists"}
    assert [each.id async for each in organization.invites.list(statuses=["pending"], roles=["developer"])] == [made.id]
    assert [each.id async for each in organization.invites.list(statuses=["accepted", "expired"])] == []
    assert (await organization.invites.delete(made.id)).type == "invite_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await organization.invites.retrieve(made.id)
    assert (await organization.invites.create(email="new@example.com", role="user")).id != made.id


async def test_an_accepted_invite_makes_a_member(admin: Administered, organization: Any) -> None:
    """There is no sign-in: whoever may invite also accepts."""
    invite = await organization.invites.create(email="new@example.com", role="billing")
    accepted = await admin.ask("POST", f"/v1/dragoman/invites/{invite.id}/accept", json={"name": "Noor"})
    user = await organization.users.retrieve(accepted.json()["id"])
    assert (user.email, user.name, user.role) == ("new@example.com", "Noor", "billing")
    assert (await organization.invites.retrieve(invite.id)).status == "accepted"
    again = await admin.ask("POST", f"/v1/dragoman/invites/{invite.id}/accept")
    assert again.status_code == 400
    with pytest.raises(anthropic.BadRequestError) as caught:
        await organization.invites.create(email="new@example.com", role="user")
    assert caught.value.body["error"]["details"] == {"error_code": "already_member"}
    with pytest.raises(anthropic.BadRequestError, match="not pending"):
        await organization.invites.delete(invite.id)


async def test_keys_are_listed_named_and_set_inactive(admin: Administered, organization: Any) -> None:
    """ADM-3, ADM-4: never with the secret; archived ones stay so."""
    workspace = (await organization.workspaces.create(name="Research")).id
    made = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "ci", "workspace_id": workspace})).json()
    listed = [each async for each in organization.api_keys.list()]
    assert {each.name for each in listed} == {"ci", "preset"}  # and no admin key
    (found,) = [each async for each in organization.api_keys.list(workspace_id=workspace)]
    assert found.id == made["id"]
    assert (found.status, found.scope.type, found.scope.workspace_id) == ("active", "workspace", workspace)
    assert made["key"] not in repr(listed)
    assert found.partial_key_hint == made["partial_key_hint"]
    assert await organization.api_keys.retrieve(found.id) == found
    assert (await ask_a_model(admin, made["key"])) == 200

    changed = await organization.api_keys.update(found.id, name="nightly", status="inactive")
    assert (changed.name, changed.status) == ("nightly", "inactive")
    assert (await ask_a_model(admin, made["key"])) == 401
    assert [each.id async for each in organization.api_keys.list(status="inactive")] == [found.id]
    assert (await organization.api_keys.update(found.id, status="active")).status == "active"
    assert (await organization.api_keys.update(found.id, status="archived")).status == "archived"
    with pytest.raises(anthropic.BadRequestError, match="archived"):
        await organization.api_keys.update(found.id, status="active")
    assert (await ask_a_model(admin, made["key"])) == 401


async def ask_a_model(admin: Administered, key: str) -> int:
    """The status."""
    reply = await admin.http.get("/v1/models", headers={"x-api-key": key, "anthropic-version": "2023-06-01"})
    return int(reply.status_code)


async def test_archiving_a_workspace_ends_its_keys(admin: Administered, organization: Any) -> None:
    """ADM-5: at once in this process."""
    workspace = (await organization.workspaces.create(name="Research")).id
    made = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "ci", "workspace_id": workspace})).json()
    assert (await ask_a_model(admin, made["key"])) == 200
    await organization.workspaces.archive(workspace)
    assert (await ask_a_model(admin, made["key"])) == 401
    refused = await admin.ask("POST", "/v1/dragoman/keys", json={"name": "late", "workspace_id": workspace})
    assert refused.status_code == 400
    assert "archived" in refused.json()["error"]["message"]
    assert (await organization.api_keys.retrieve(made["id"])).status == "archived"
    assert [each.id async for each in organization.api_keys.list(status="archived")] == [made["id"]]
    assert made["id"] not in [each.id async for each in organization.api_keys.list(status="active")]
    for change in ({"status": "active"}, {"status": "inactive"}):
        with pytest.raises(anthropic.BadRequestError, match="archived"):
            await organization.api_keys.update(made["id"], **change)
    moved = await admin.ask("POST", f"/v1/dragoman/keys/{made['id']}", json={"workspace_id": None})
    assert moved.json()["status"] == "archived"
    assert (await ask_a_model(admin, made["key"])) == 401
    assert (await admin.ask("POST", f"/v1/dragoman/keys/{made['id']}/rotate")).status_code == 400


async def test_keys_have_other_fields_in_the_older_version(admin: Administered) -> None:
    """ADM-4: `workspace_id`, null for the default workspace, in place of `scope`."""
    made = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "ci"})).json()
    for path in (f"/v1/organizations/api_keys/{made['id']}", "/v1/organizations/api_keys?limit=1"):
        old = (await admin.ask("GET", path, version="2023-06-01")).json()
        new = (await admin.ask("GET", path)).json()
        if "data" in old:
            old, new = old["data"][0], new["data"][0]
        assert old["workspace_id"] is None
        assert "scope" not in old
        assert new["scope"] == {"type": "workspace", "workspace_id": admin.gateway.auth.workspace_id}
        assert "workspace_id" not in new


async def test_rate_limits_of_the_organization_and_of_a_workspace(admin: Administered, organization: Any) -> None:
    """ADM-8, LIM-8, LIM-6: by groups of models, and of counting tokens."""
    assert [each async for each in organization.rate_limits.list()] == []
    assert [each async for each in organization.rate_limits.list(model="claude-sonnet-4-6")] == []  # it is known
    assert [each async for each in organization.rate_limits.list(model="claude-sonnet-4-6", group_type="files")] == []
    admin.gateway.limits.use(LimitsConfig(organization="build"))
    entries = [each async for each in organization.rate_limits.list()]
    assert [each async for each in organization.rate_limits.list(limit=2)] == entries
    (sonnet,) = [each async for each in organization.rate_limits.list(model="claude-sonnet-4-6")]
    assert sonnet.group.type == "model_group"
    assert {"claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "claude-sonnet-4-6"} <= set(sonnet.models)
    assert {each.type: each.value for each in sonnet.limits} == {
        "requests_per_minute": 5000,
        "input_tokens_per_minute_cache_aware": 5_000_000,
        "output_tokens_per_minute": 1_000_000,
    }
    (counts,) = [each async for each in organization.rate_limits.list(group_type="token_count")]
    assert (counts.models, counts.limits[0].value) == (None, 4000)
    assert [each async for each in organization.rate_limits.list(group_type="files")] == []
    with pytest.raises(anthropic.NotFoundError):
        await organization.rate_limits.list(model="claude-none")

    workspace = (await organization.workspaces.create(name="Research")).id
    assert [each async for each in organization.workspaces.rate_limits.list(workspace)] == []
    inherited = [each async for each in organization.workspaces.rate_limits.list(workspace, include_inherited=True)]
    assert [each.rate_limit_id for each in inherited] == [each.id for each in entries]
    assert {value.source.type for each in inherited for value in each.limits} == {"organization"}
    put = await admin.ask("PUT", f"/v1/dragoman/limits/workspaces/{workspace}", json={"tier": "free"})
    assert put.json()["tier"] == "free"
    own = [each async for each in organization.workspaces.rate_limits.list(workspace)]
    of_sonnet = next(each for each in own if "claude-sonnet-4-6" in (each.models or ()))
    values = {value.type: (value.value, value.org_limit, value.source.type) for value in of_sonnet.limits}
    assert values["requests_per_minute"] == (50, 5000, "workspace")
    assert values["tokens_per_minute"] == (40_000, None, "workspace")


async def test_rate_limits_have_other_fields_in_the_older_version(admin: Administered) -> None:
    """ADM-8: `group_type` in place of `group`."""
    admin.gateway.limits.use(LimitsConfig(organization="free", default_workspace="pro"))
    old = (await admin.ask("GET", "/v1/organizations/rate_limits", version="2023-06-01")).json()["data"][0]
    assert old["group_type"] == "model_group"
    assert "group" not in old
    path = f"/v1/organizations/workspaces/{admin.gateway.auth.workspace_id}/rate_limits"
    first = (await admin.ask("GET", path, version="2023-06-01")).json()["data"][0]
    assert first["limits"][0] == {"type": "requests_per_minute", "value": 1000, "org_limit": 50}


async def test_a_key_for_models_is_refused_and_no_key_is_asked_for(admin: Administered) -> None:
    """ADM-1, ERR-40, ERR-11, ERR-13."""
    client = await admin.client(key=KEY)
    with pytest.raises(anthropic.PermissionDeniedError):
        await client.organization.retrieve()
    for resource in (client.organization.workspaces, client.organization.api_keys, client.organization.users):
        with pytest.raises(anthropic.PermissionDeniedError):
            await resource.list()
    wrong = await admin.client(key="sk-dgm-admin-none-of-ours")
    with pytest.raises(anthropic.AuthenticationError):
        await wrong.organization.retrieve()
    missing = await admin.http.get("/v1/organizations/me", headers={"anthropic-version": "2023-06-01"})
    assert missing.status_code == 401
    owner = await admin.client()
    with pytest.raises(anthropic.PermissionDeniedError):
        await owner.messages.create(
            model="claude-opus-4-8", max_tokens=5, messages=[{"role": "user", "content": "Hello"}]
        )


@pytest.mark.parametrize(
    "path",
    [
        "service_accounts", "federation/issuers", "spend_limits", "rbac_roles", "analytics/skills", "external_keys",
        "usage_report/claude_code", "compliance_settings", "me/more", "", "workspaces//members",
    ],
)  # fmt: skip
async def test_what_is_not_here_is_404_in_the_envelope(admin: Administered, path: str) -> None:
    """ADM-12, ERR-47."""
    reply = await admin.ask("GET", f"/v1/organizations/{path}")
    assert reply.status_code == 404
    assert reply.json()["error"]["type"] == "not_found_error"


async def test_unknown_ids_are_404(organization: Any) -> None:
    """ERR-14: in words that do not repeat a megabyte."""
    for ask in (
        lambda: organization.users.retrieve("user_none"),
        lambda: organization.users.update("user_none", role="user"),
        lambda: organization.users.remove("user_none"),
        lambda: organization.invites.retrieve("invite_none"),
        lambda: organization.invites.delete("invite_none"),
        lambda: organization.api_keys.retrieve("apikey_none"),
        lambda: organization.api_keys.update("apikey_none", name="x"),
        lambda: organization.workspaces.retrieve("wrkspc_none"),
        lambda: organization.workspaces.update("wrkspc_none", name="x"),
        lambda: organization.workspaces.archive("wrkspc_none"),
        lambda: organization.workspaces.members.list("wrkspc_none"),
        lambda: organization.workspaces.rate_limits.list("wrkspc_none"),
    ):
        with pytest.raises(anthropic.NotFoundError):
            await ask()


async def test_the_sdk_s_bearer_works_too(admin: Administered) -> None:
    """ADM-1, HDR-2."""
    client: AsyncAnthropic = await admin.client(key="unused-by-this-test")
    bearer = client.with_options(auth_token=await admin.key(), api_key=None)
    assert (await bearer.organization.retrieve()).type == "organization"


async def test_every_object_is_what_the_sdk_s_types_say(admin: Administered, organization: Any) -> None:
    """ADM-2 to 8: the SDK takes any JSON for its types; read strictly, each field is there and of its type."""
    admin.gateway.limits.use(LimitsConfig(organization="build"))
    user_id = await member(admin, "a@example.com", "developer")
    workspace = await organization.workspaces.create(name="one")
    made = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "k", "created_by": user_id})).json()
    invite = await organization.invites.create(email="b@example.com", role="user")
    place = await organization.workspaces.members.add(
        workspace.id, user_id=user_id, workspace_role="workspace_developer"
    )
    lists = [
        await organization.workspaces.list(include_default=True),
        await organization.users.list(),
        await organization.api_keys.list(),
        await organization.rate_limits.list(),
        await organization.workspaces.rate_limits.list(workspace.id, include_inherited=True),
        await organization.workspaces.members.list(workspace.id),
        await organization.invites.list(),
    ]
    objects = [
        await organization.retrieve(),
        workspace,
        place,
        invite,
        await organization.api_keys.retrieve(made["id"]),
        await organization.workspaces.archive(workspace.id),
        await organization.invites.delete(invite.id),
        *(each for page in lists for each in page.data),
    ]
    assert all(page.data for page in lists)
    for each in objects:
        type(each).model_validate(each.to_dict(mode="json"), strict=False)
        assert not each.model_extra, f"{type(each).__name__} does not know {each.model_extra}"
