"""The admin API through the official TypeScript SDK: one script, `typescript/admin.mjs`, judged here."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from administering import Administered
from nodejs import must_have_the_sdk, run_script

from dragoman.gateway.config.limits import LimitsConfig


@pytest.mark.parametrize("resource", ["stable", "beta"])
async def test_the_organization_s_resources(resource: str) -> None:
    """ADM-2 to ADM-8."""
    must_have_the_sdk()
    async with Administered() as admin:
        admin.gateway.limits.use(LimitsConfig(organization="free"))
        people = {"email": "a@example.com", "name": "A", "role": "reader"}
        member = (await admin.ask("POST", "/v1/dragoman/members", json=people)).json()["id"]
        key = (await admin.ask("POST", "/v1/dragoman/keys", json={"name": "ci"})).json()
        server: Any = SimpleNamespace(url=admin.url, key=await admin.key())
        gave = await asyncio.to_thread(run_script, "admin", server, memberID=member, keyID=key["id"], resource=resource)
        organization_id = admin.gateway.auth.organization_id

    assert gave["organization"] == {"id": organization_id, "type": "organization", "name": "dragoman"}
    one, two, _ = gave["created"]
    assert gave["listed"] == gave["created"][::-1]
    assert gave["chosen"] == ["one"]
    assert gave["updated"]["tags"] == {"more": "1"}
    assert (gave["archived"]["id"], gave["archived"]["archived_at"] is None) == (two, False)
    place = {"type": "workspace_member", "user_id": member, "workspace_id": one}
    assert gave["member"] == {**place, "workspace_role": "workspace_developer"}
    assert gave["members"] == [gave["changedMember"]] == [{**place, "workspace_role": "workspace_admin"}]
    assert gave["removedMember"] == {**place, "type": "workspace_member_deleted"}
    assert [each["id"] for each in gave["users"]] == [member]
    assert gave["user"]["role"] == "billing"
    assert gave["invites"] == [gave["invite"]]
    assert gave["deletedInvite"] == {"id": gave["invite"]["id"], "type": "invite_deleted"}
    assert gave["keys"] == [gave["key"]]
    assert (gave["key"]["name"], gave["key"]["status"]) == ("renamed", "inactive")
    assert key["key"] not in str(gave)
    assert len(gave["limits"]) > 5
    assert [each["rate_limit_id"] for each in gave["inherited"]] == [each["id"] for each in gave["limits"]]
    assert (gave["missing"]["status"], gave["missing"]["type"]) == (404, "not_found_error")
    assert gave["refused"]["status"] == 400
    assert gave["refused"]["message"].startswith("role: Input should be")
