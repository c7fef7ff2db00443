"""What OpenAI's strict mode takes of JSON Schema: with anything else in a schema the whole request is refused.

Source: OpenAI's guide "Structured model outputs", "Supported schemas", and the errors that its users quote, read
2026-11-22. Pure; imports nothing of this package.
"""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["is_strict"]

# Keywords of any subschema, of one at the root, and of one by its type.
OF_ANY = frozenset("$ref type enum const anyOf title description".split())
OF_ROOT = frozenset("$schema $defs definitions".split())
_OF_NUMBERS = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split())
OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "string": frozenset(("pattern", "format")),
    "number": _OF_NUMBERS,
    "integer": _OF_NUMBERS,
}
FORMATS = frozenset("date-time time date duration email hostname ipv4 ipv6 uuid".split())
MOST_PROPERTIES, MOST_LEVELS, MOST_VALUES = 5_000, 10, 1_000


def is_strict(schema: Any) -> bool:
    """Whether it may be asked for in strict mode: an object that names all its properties, and needs each of them."""
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return False
    parts = list(_parts(schema, 0))
    properties = sum(len(part.get("properties", ())) for part, _ in parts)
    values = sum(len(part.get("enum", ())) for part, _ in parts)
    deepest = max(level for _, level in parts)
    within = properties <= MOST_PROPERTIES and values <= MOST_VALUES and deepest <= MOST_LEVELS
    return within and all(_fits(part, is_root=part is schema) for part, _ in parts)


def _parts(schema: Any, level: int) -> Iterable[tuple[Mapping[str, Any], int]]:
    """Every subschema of it, itself the first, and how deep it stands; one that is no object counts as an empty one."""
    if not isinstance(schema, dict):
        yield {}, level
        return
    yield schema, level
    for name in ("properties", "$defs", "definitions"):
        if isinstance(inner := schema.get(name), dict):
            for each in inner.values():
                yield from _parts(each, level + 1)
    for each in schema["anyOf"] if isinstance(schema.get("anyOf"), list) else ():
        yield from _parts(each, level)
    if "items" in schema:
        yield from _parts(schema["items"], level + 1)


def _fits(part: Mapping[str, Any], *, is_root: bool) -> bool:
    if "$ref" in part:
        return len(part) == 1
    told = part.get("type", [])
    kinds = told if isinstance(told, list) else [told]
    known = OF_ANY.union(*(OF_TYPE.get(str(kind), ()) for kind in kinds), OF_ROOT if is_root else ())
    if not part.keys() <= known or part.get("format", "date") not in FORMATS:
        return False
    if not kinds:
        return "anyOf" in part
    if "array" in kinds and "items" not in part:
        return False
    return "object" not in kinds or _is_closed(part)


def _is_closed(part: Mapping[str, Any]) -> bool:
    properties, needed = part.get("properties", {}), part.get("required", ())
    if not isinstance(properties, dict) or not isinstance(needed, list | tuple):
        return False
    return set(needed) == set(properties) and part.get("additionalProperties") is False
