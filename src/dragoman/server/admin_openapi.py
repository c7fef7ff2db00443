"""The OpenAPI 3.1 document of the admin API, made of the declarations that check its requests."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_args

import msgspec
from msgspec import Struct

from dragoman import __version__
from dragoman.gateway.admin.roles import MAY, OF_ONE_WORKSPACE
from dragoman.wire.codec import Wire

from .admin import Endpoint

__all__ = ["document", "encoded_document"]

REF = "#/components/schemas/{name}"
ID = re.compile(r"\{([a-z_]+)\}")
TEXT: Mapping[str, Any] = {"type": "string"}
ERROR: Mapping[str, Any] = {
    "type": "object",
    "description": "The API's envelope of an error.",
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": TEXT, "message": TEXT, "details": {"type": "object"}},
            "required": ["type", "message"],
            "additionalProperties": False,
        },
        "request_id": {"type": ["string", "null"]},
    },
    "required": ["type", "error", "request_id"],
    "additionalProperties": False,
}
MESSAGE: Mapping[str, Any] = {"type": "object", "description": "A request as for /v1/messages."}
VERSION: Mapping[str, Any] = {
    "name": "anthropic-version",
    "in": "header",
    "required": True,
    "description": "Some replies have other shapes in each.",
    "schema": {"type": "string", "enum": ["2023-06-01", "2026-10-21"]},
}


@cache
def encoded_document(endpoints: tuple[Endpoint, ...]) -> bytes:
    return msgspec.json.encode(document(endpoints))


def document(endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    """All of the endpoints, in their order."""
    bodies = [endpoint.body for endpoint in endpoints if endpoint.body is not None]
    queries = [endpoint.query for endpoint in endpoints if endpoint.query is not None]
    others = [endpoint.other_reply for endpoint in endpoints if endpoint.other_reply is not None]
    kinds = [*bodies, *queries, *others, *(endpoint.reply for endpoint in endpoints)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    given = {name for kind in _structs(bodies) for name in [kind.__name__]}
    for name, schema in components.items():
        _tidy(schema, is_given=name in given)
    made = iter(schemas)
    body_schemas, query_schemas, other_schemas = ([next(made) for _ in each] for each in (bodies, queries, others))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint, reply in zip(endpoints, made, strict=True):
        body = None if endpoint.body is None else body_schemas.pop(0)
        query = None if endpoint.query is None else components[_name(query_schemas.pop(0))]
        shown = reply if endpoint.other_reply is None else {"anyOf": [reply, other_schemas.pop(0)]}
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, shown, body, query)
    unseen = {endpoint.query.__name__ for endpoint in endpoints if endpoint.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "dragoman, admin API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in unseen} | {"Error": ERROR},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{"key": []}, {"bearer": []}],
    }


def _operation(endpoint: Endpoint, reply: Any, body: Any, query: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": _operation_id(endpoint),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": TEXT} for name in ID.findall(endpoint.path)),
            *_parameters(query),
            *([] if endpoint.access == "open" else [VERSION]),
        ],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": reply}}},
            "default": {
                "description": "An error.",
                "content": {"application/json": {"schema": {"$ref": REF.format(name="Error")}}},
            },
        },
    }
    if endpoint.access == "open":
        operation["security"] = []
    elif endpoint.access == "admin":
        operation["x-roles"] = sorted(MAY[endpoint.name])
        operation["x-of-one-workspace"] = endpoint.name in OF_ONE_WORKSPACE
    if body is not None or endpoint.takes_message:
        operation["requestBody"] = {
            "required": endpoint.needs_body,
            "content": {"application/json": {"schema": body or MESSAGE}},
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.sub(r"[{}]", "", endpoint.path.removeprefix("/v1/")).replace(".", "_").replace("/", "_")
    return f"{endpoint.method.lower()}_{words}"


def _parameters(query: Any) -> Iterable[dict[str, Any]]:
    """A list is written `name[]=a&name[]=b`, as SDKs do; `name=a&name=b` is read too."""
    if query is None:
        return
    for name, schema in query["properties"].items():
        options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
        schema = options[0] if len(options) == 1 else {"anyOf": options}
        is_list = schema.get("type") == "array"
        yield {
            "name": f"{name}[]" if is_list else name,
            "in": "query",
            "required": name in query.get("required", ()),
            "schema": {key: value for key, value in schema.items() if key != "default" or value is not None},
        }


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _tidy(schema: dict[str, Any], *, is_given: bool) -> None:
    """Of what is sent to us no field is taken that is not known; what we send has all of its fields, and no others."""
    properties = schema.get("properties")
    if properties is None:
        return
    properties.pop("extra", None)
    schema["additionalProperties"] = False
    if not is_given:
        schema["required"] = sorted(properties)


def _structs(kinds: Iterable[Any]) -> Iterable[type[Struct]]:
    """Types of bodies, and those within them."""
    pending, seen = list(kinds), set[Any]()
    while pending:
        kind = pending.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, Wire):
            yield kind
            pending += [field.type for field in msgspec.structs.fields(kind)]
        else:
            pending += get_args(kind)
