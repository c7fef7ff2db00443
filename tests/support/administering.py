"""The admin API as tests ask it: a server, admin keys of each role, and every reply judged by the served document.

    async with Administered() as admin:
        client = await admin.client("owner")          # the official SDK
        reply = await admin.ask("POST", "/v1/dragoman/keys", json={"name": "ci"})

What a reply does not match, or what the document does not know, fails the test.
"""

import json as codec
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Self

import httpx2
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from jsonschema import Draft202012Validator
from serving import Serving

from dragoman.store.keys import KeyChanges

__all__ = ["DOCUMENT", "VERSION", "Administered", "judged"]

DOCUMENT = "/v1/dragoman/openapi.json"
VERSION = "2026-10-21"
ADMIN = ("/v1/organizations", "/v1/dragoman")


class Administered(Serving):
    """A server and its administrators. `key_of` has the admin keys that were made, by role and workspace."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.key_of: dict[tuple[str, str | None], str] = {}
        self.document: dict[str, Any] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.http = await self._stack.enter_async_context(httpx2.AsyncClient(base_url=self.url, trust_env=False))
        self.document = (await self.http.get(DOCUMENT)).json()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()
        await super().__aexit__(*error)

    async def key(self, role: str | None = "owner", workspace_id: str | None = None) -> str:
        """An admin key of a role, made at first; None: one for models."""
        made = self.key_of.get((str(role), workspace_id))
        if made is None:
            terms = KeyChanges() if workspace_id is None else KeyChanges(workspace_id=workspace_id)
            made, _ = await self.gateway.auth.create(f"the {role}", role=role, terms=terms)
            self.key_of[str(role), workspace_id] = made
        return made

    async def ask(
        self,
        method: str,
        path: str,
        *,
        role: str | None = "owner",
        workspace_id: str | None = None,
        key: str | None = None,
        json: Any = None,
        version: str | None = VERSION,
        **options: Any,
    ) -> httpx2.Response:
        """Its reply, which the document knows. `workspace_id`: of the key that asks."""
        headers = {"x-api-key": key or await self.key(role, workspace_id)}
        if version is not None:
            headers["anthropic-version"] = version
        reply = await self.http.request(method, path, headers=headers, json=json, **options)
        judged(self.document, reply)
        return reply

    async def client(
        self, role: str | None = "owner", *, version: str = VERSION, key: str | None = None
    ) -> AsyncAnthropic:
        """The official SDK, whose replies are judged too."""

        async def judge(reply: Any) -> None:
            await reply.aread()
            judged(self.document, reply)

        http = DefaultAsyncHttpxClient(trust_env=False, event_hooks={"response": [judge]})
        client = AsyncAnthropic(
            base_url=self.url,
            api_key=key or await self.key(role),
            max_retries=0,
            http_client=http,
            default_headers={"anthropic-version": version},
        )
        return await self._stack.enter_async_context(client)


def judged(document: dict[str, Any], reply: Any) -> None:
    """Asserts that a reply is one that the document tells of. Errors are in the API's envelope, whatever the path."""
    path = reply.request.url.path
    if not path.startswith(ADMIN) or path == DOCUMENT or reply.request.method == "HEAD":
        return
    body = codec.loads(reply.content)
    operation = operation_of(document, reply.request.method, path)
    if reply.status_code >= 400 or operation is None:
        assert reply.status_code >= 400, f"{path} is not in the document"
        _validate(document, {"$ref": "#/components/schemas/Error"}, body)
        return
    _validate(document, operation["responses"]["200"]["content"]["application/json"]["schema"], body)
    _has_times(body)


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """A fixed path goes before one with places for ids."""
    for template, operations in sorted(document["paths"].items(), key=lambda row: row[0].count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: dict[str, Any] | None = operations.get(method.lower())
            return found
    return None


def _validate(document: dict[str, Any], schema: dict[str, Any], body: Any) -> None:
    whole = {**schema, "components": document["components"]}
    errors = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(body)]
    assert not errors, errors


def _has_times(body: Any) -> None:
    """JSON Schema only notes formats: a time is RFC 3339 in UTC."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name.endswith("_at") and value is not None:
                assert value.endswith("Z")
                assert datetime.fromisoformat(value).tzinfo == UTC
            _has_times(value)
    elif isinstance(body, list):
        for each in body:
            _has_times(each)
