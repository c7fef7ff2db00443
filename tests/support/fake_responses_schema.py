"""What OpenAI refuses in schemas, in its words: of a function's parameters, and of any schema in strict mode.

Source: OpenAI's guide "Structured model outputs", "Supported schemas"; the errors that its users quote. Written
2026-11-22.
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["check_parameters", "check_strict"]

Json = dict[str, Any]
OF_ANY = {"type", "enum", "const", "anyOf", "$ref", "title", "description"}
OF_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
OF_ROOT = {"$schema", "$defs", "definitions"}
FORMATS = "date-time time date duration email hostname ipv4 ipv6 uuid".split()
MOST_LEVELS = 10


def check_parameters(schema: Any) -> str | None:
    """What is wrong with a function's parameters, strict or not; None: nothing."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "schema must be a JSON Schema of 'type: \"object\"'."
    combined = {"oneOf", "anyOf", "allOf", "enum", "not"} & schema.keys()
    if combined:
        return f"schema must have type 'object' and not have {sorted(combined)} at the top level."
    return None if "properties" in schema else "object schema missing properties."


def check_strict(schema: Json) -> str | None:
    """What strict mode has against a schema; None: nothing."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be an object at its root, and not anyOf."
    for path, part, level in _parts(schema, (), 0):
        problem = _problem(part, level, is_root=not path)
        if problem is not None:
            return f"In context={path}, {problem}"
    return None


def _problem(part: Any, level: int, *, is_root: bool) -> str | None:
    if not isinstance(part, dict):
        return "schema must be an object."
    if level > MOST_LEVELS:
        return f"schema exceeds {MOST_LEVELS} levels of nesting."
    if "$ref" in part and len(part) > 1:
        return f"$ref cannot have keywords {set(part) - {'$ref'}}."
    kinds = _kinds(part)
    if not kinds and not {"$ref", "anyOf"} & part.keys():
        return "schema must have a 'type' key."
    known = OF_ANY.union(*(OF_TYPE.get(kind, set()) for kind in kinds), OF_ROOT if is_root else set())
    if unknown := part.keys() - known:
        return f"'{min(unknown)}' is not permitted."
    if part.get("format", "date") not in FORMATS:
        return f"'{part['format']}' is not a valid format."
    if "array" in kinds and "items" not in part:
        return "array schema missing items."
    return _problem_of_object(part) if "object" in kinds else None


def _problem_of_object(part: Json) -> str | None:
    if part.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    if set(part.get("required", ())) != set(part.get("properties", ())):
        return "'required' is required to be supplied and to be an array including every key in properties."
    return None


def _kinds(part: Json) -> list[str]:
    kind = part.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _parts(part: Any, path: tuple[str, ...], level: int) -> Iterator[tuple[tuple[str, ...], Any, int]]:
    yield path, part, level
    if not isinstance(part, dict):
        return
    for field in ("properties", "$defs", "definitions"):
        for name, inner in (part.get(field) or {}).items():
            yield from _parts(inner, (*path, field, name), level + 1)
    for at, inner in enumerate(part.get("anyOf") or ()):
        yield from _parts(inner, (*path, "anyOf", str(at)), level)
    if "items" in part:
        yield from _parts(part["items"], (*path, "items"), level + 1)
