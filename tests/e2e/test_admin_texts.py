"""The texts of requests to the admin API: names, tags and others that end up in lists, logs and terminals."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from administering import Administered


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


UNSEEN = ("a\r\nb", "a\x1b[31mb", "a\x00", "a\u2028b", "a\u202eb", "a\x85")
CLASSIC = "/v1/organizations"
OWN = "/v1/dragoman"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"{CLASSIC}/workspaces", {"name": "?"}, "name"),
        (f"{CLASSIC}/workspaces", {"name": "w", "tags": {"team": "?"}}, "tags.team"),
        (f"{CLASSIC}/workspaces", {"name": "w", "tags": {"?": "a"}}, "tags"),
        (f"{CLASSIC}/workspaces/wrkspc_1", {"name": "?"}, "name"),
        (f"{CLASSIC}/workspaces/wrkspc_1", {"tags": {"?": None}}, "tags"),
        (f"{CLASSIC}/api_keys/apikey_1", {"name": "?"}, "name"),
        (f"{CLASSIC}/invites", {"email": "?@example.com", "role": "user"}, "email"),
        (f"{OWN}/members", {"email": "a@example.com", "name": "?", "role": "admin"}, "name"),
        (f"{OWN}/members/user_1", {"name": "?"}, "name"),
        (f"{OWN}/invites/invite_1/accept", {"name": "?"}, "name"),
        (f"{OWN}/keys", {"name": "?"}, "name"),
        (f"{OWN}/keys", {"name": "k", "tags": {"team": "?"}}, "tags.team"),
        (f"{OWN}/keys", {"name": "k", "models": ["claude-*", "?"]}, "models.1"),
        (f"{OWN}/keys/apikey_1", {"tier": "?"}, "tier"),
        (f"{OWN}/budgets", {"scope": "key", "scope_id": "?", "period": "day", "limit_usd": "1"}, "scope_id"),
        (f"{OWN}/budgets", {"scope": "organization", "period": "day", "limit_usd": "1", "zone": "?"}, "zone"),
        (f"{OWN}/providers/offline/credentials", {"name": "?", "key": "sk-x"}, "name"),
    ],
    ids=lambda value: str(value) if not isinstance(value, dict) else "",
)
async def test_no_text_has_a_line_end_or_what_cannot_be_seen(
    admin: Administered, path: str, body: Any, field: str
) -> None:
    """ERR-10: the field is named, and what stood there is not repeated."""
    for unseen in UNSEEN:
        sent = json.loads(json.dumps(body).replace("?", json.dumps(unseen)[1:-1]))
        reply = await admin.ask("POST", path, json=sent)
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith(f"{field}: String should "), error
        assert error["message"].isprintable()


async def test_names_are_more_than_spaces(admin: Administered) -> None:
    for path, more in (("workspaces", {}), ("members", {"email": "a@example.com", "role": "admin"})):
        where = f"{CLASSIC if path == 'workspaces' else OWN}/{path}"
        reply = await admin.ask("POST", where, json={"name": "  ", **more})
        assert reply.json()["error"]["message"].startswith("name: String should have at least 1 character")
    for name in ("%20", "a%0Ab"):
        reply = await admin.ask("PUT", f"{OWN}/tiers/{name}", json={"rpm": 1})
        assert reply.json()["error"]["message"].startswith("name: takes")


async def test_names_are_as_long_as_the_api_lets_them_be(admin: Administered) -> None:
    """Its reference: of a key up to 500 characters. Ours of workspaces may be longer than its 40."""
    key = (await admin.ask("POST", f"{OWN}/keys", json={"name": "x" * 500})).json()
    reply = await admin.ask("POST", f"{CLASSIC}/api_keys/{key['id']}", json={"name": "\u00e9" * 500})
    assert reply.json()["name"] == "\u00e9" * 500
    reply = await admin.ask("POST", f"{CLASSIC}/workspaces", json={"name": "x" * 201})
    assert reply.json()["error"]["message"] == "name: String should have at most 200 characters"
