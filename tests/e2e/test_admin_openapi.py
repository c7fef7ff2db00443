"""The OpenAPI document of the admin API: it is served to anybody, whole, and true.

That replies are as it says, every test of the admin API checks (support/administering.py).
"""

import random
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from administering import DOCUMENT, VERSION, Administered
from jsonschema import Draft202012Validator

from dragoman.errors import InvalidRequest
from dragoman.gateway.admin.roles import MAY
from dragoman.server.admin import Endpoint
from dragoman.server.admin_openapi import document
from dragoman.server.admin_routes import ENDPOINTS
from dragoman.server.app import ROUTES
from dragoman.store.sql import SQLStore
from dragoman.wire.schema import check

WHOLE = document(ENDPOINTS)
WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
ODD = "a\0b\u2028'\";--%"
VALUES: list[Any] = [
    None, True, 0, 1, -1, 1.5, 10**12, "", "x", ODD, "x" * 300, "2030-01-01T00:00:00Z", "a@example.com", "#123abc",
    "developer", "month", "organization", "12.5", "unrestricted", [], [1], ["x"], [50, 100], {}, {"a": "b"},
    {"a": None}, {"a": 1}, {"a": {"rpm": 1}},
]  # fmt: skip


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered() as opened:
        yield opened


def operation(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = WHOLE["paths"][endpoint.path][endpoint.method.lower()]
    return found


def schema_of(endpoint: Endpoint) -> dict[str, Any]:
    """Of its body."""
    return {**operation(endpoint)["requestBody"]["content"]["application/json"]["schema"], **components()}


def components() -> dict[str, Any]:
    return {"components": WHOLE["components"]}


def bodies(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """Of known and unknown fields with fit and unfit values; the same ones each time."""
    chance = random.Random(endpoint.name)
    (name,) = (schema_of(endpoint)["$ref"].rpartition("/")[2],)
    schema = WHOLE["components"]["schemas"][name]
    fields = list(schema["properties"])
    for field in fields:
        for value in [*VALUES, *choices(schema, field)]:
            yield {**likely(schema, endpoint), field: value}
    for _ in range(100):
        some = chance.sample(fields, chance.randint(0, len(fields)))
        yield {field: chance.choice(VALUES) for field in some} | ({"other": 1} if chance.random() < 0.1 else {})


def likely(schema: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The fields that are needed, with values that fit."""
    found = {}
    for field in schema.get("required", ()):
        validator = Draft202012Validator({**schema["properties"][field], **components()})
        found[field] = next(value for value in ["x@y", *VALUES, *choices(schema, field)] if validator.is_valid(value))
    return found


def choices(schema: dict[str, Any], field: str) -> list[Any]:
    return list(schema["properties"][field].get("enum", []))


async def test_it_is_served_without_a_key(admin: Administered) -> None:
    reply = await admin.http.get(DOCUMENT)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == WHOLE
    assert (await admin.http.head(DOCUMENT)).status_code == 200


def test_it_has_every_route_and_no_other() -> None:
    told = {f"{method.upper()} {path}" for path, methods in WHOLE["paths"].items() for method in methods}
    assert told == {endpoint.name for endpoint in ENDPOINTS}
    mounted = [path for path in ROUTES if path.startswith(("/v1/dragoman", "/v1/organizations"))]
    assert set(mounted) <= set(WHOLE["paths"])
    ids = [each["operationId"] for methods in WHOLE["paths"].values() for each in methods.values()]
    assert len(set(ids)) == len(ids)


def test_its_form_is_that_of_openapi_3_1() -> None:
    assert WHOLE["openapi"] == "3.1.0"
    assert set(WHOLE["info"]) == {"title", "version"}
    for schema in WHOLE["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    refs = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(WHOLE)))
    assert refs == set(WHOLE["components"]["schemas"])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_each_operation_is_whole(endpoint: Endpoint) -> None:
    """Its parameters, body, reply, error and roles."""
    told = operation(endpoint)
    names = [(each["in"], each["name"]) for each in told["parameters"]]
    assert len(set(names)) == len(names)
    assert [name for place, name in names if place == "path"] == re.findall(r"\{(\w+)\}", endpoint.path)
    assert (("header", "anthropic-version") in names) == (endpoint.access != "open")
    for each in told["parameters"]:
        Draft202012Validator.check_schema(each["schema"])
    queries = {name.removesuffix("[]") for place, name in names if place == "query"}
    assert queries == set(endpoint.query.__struct_fields__ if endpoint.query else ())
    assert ("requestBody" in told) == (endpoint.body is not None or endpoint.takes_message)
    assert "application/json" in told["responses"]["200"]["content"]
    assert told["responses"]["default"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Error"
    }
    if endpoint.access == "open":
        assert told["security"] == []
    elif endpoint.access == "admin":
        assert set(told["x-roles"]) == MAY[endpoint.name]


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=lambda endpoint: endpoint.name)
def test_what_it_says_of_a_body_is_what_is_checked(endpoint: Endpoint) -> None:
    """A body that it allows passes the check; one that it does not allow is refused, there or by the endpoint itself,
    which looks into objects of texts."""
    validator = Draft202012Validator(schema_of(endpoint))
    fits = 0
    for body in bodies(endpoint):
        try:
            check(endpoint.body, body)
            is_taken = True
        except InvalidRequest:
            is_taken = False
        is_told = validator.is_valid(body)
        fits += is_told
        has_object = any(isinstance(value, dict) for value in body.values())
        assert is_taken == is_told or (has_object and is_taken), body
    assert fits >= 3


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_nothing_that_is_sent_is_a_fault_of_ours(
    database: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: every endpoint, with bodies, ids and queries that are wrong in all ways: refused in the envelope, never a
    500, nor a 503, which trouble with the database would be. Leaving the server asserts that its log has no fault."""
    if database == "postgres":
        url = request.getfixturevalue("postgres_url")
        monkeypatch.setattr("dragoman.gateway.open.SQLStore", lambda _: SQLStore(url))
    async with Administered() as admin:
        await ask_in_all_ways(admin)


async def ask_in_all_ways(admin: Administered) -> None:
    headers = {"x-api-key": await admin.key(), "anthropic-version": VERSION}
    chance = random.Random(7)
    ids = [
        "x",
        "%00",
        "%ED%A0%80",
        "a'%22;--",
        "..%2F..",
        "%F0%9F%8E%89",
        "x" * 2000,
        "*",
        admin.gateway.auth.workspace_id,
    ]
    for endpoint in ENDPOINTS:
        sent = [None] if endpoint.body is None else chance.sample(list(bodies(endpoint)), 40)
        for body in sent:
            path = re.sub(r"\{\w+\}", lambda _: chance.choice(ids), endpoint.path)
            named = [each["name"] for each in operation(endpoint)["parameters"] if each["in"] == "query"]
            query = {name: chance.choice(["", "x", "%", "-1", ODD, "9" * 30, "true"]) for name in named}
            reply = await admin.http.request(
                endpoint.method, path, headers=headers, json=body, params=query if chance.random() < 0.7 else None
            )
            assert reply.status_code < 500, f"{endpoint.method} {path} {body}: {reply.text}"
