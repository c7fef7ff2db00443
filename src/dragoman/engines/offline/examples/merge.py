"""Schemas that apply to the same value, merged into one flat set of keywords; what types these allow.

Pure; imports only what stands beside it.
"""

import json
import math
from collections.abc import Callable
from typing import Any

from dragoman.wire.jsonschema import JsonValue

__all__ = ["key_of", "kinds_of", "matches_type", "merge"]
# The likelier first.
ALL_KINDS = ("string", "integer", "number", "boolean", "object", "array", "null")


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and value >= 0 and value == int(value)


def _is_types(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _is_schema(value: object) -> bool:
    return isinstance(value, dict | bool)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


# What a keyword's value must be to be obeyed. Keywords that are not here apply other schemas, or say nothing of values.
_SHAPES: dict[str, Callable[[object], bool]] = {
    "type": _is_types, "enum": _is_list, "const": lambda value: True, "default": lambda value: True,
    "examples": _is_list, "description": _is_string,
    "minimum": _is_number, "maximum": _is_number, "exclusiveMinimum": _is_number, "exclusiveMaximum": _is_number,
    "multipleOf": lambda value: _is_number(value) and value > 0,  # type: ignore[operator]
    "minLength": _is_count, "maxLength": _is_count, "pattern": _is_string, "format": _is_string,
    "items": _is_schema, "prefixItems": _is_list, "contains": _is_schema, "minItems": _is_count, "maxItems": _is_count,
    "minContains": _is_count, "maxContains": _is_count, "uniqueItems": lambda value: isinstance(value, bool),
    "properties": _is_object, "required": _is_list, "additionalProperties": _is_schema,
    "patternProperties": _is_object, "propertyNames": _is_schema, "minProperties": _is_count,
    "maxProperties": _is_count, "dependentRequired": _is_object, "dependentSchemas": _is_object,
    "unevaluatedProperties": _is_schema, "unevaluatedItems": _is_schema, "not": _is_schema,
}  # fmt: skip
_GATHERED = {"pattern": "patterns", "not": "nots"}  # keywords that do not merge: a value must obey each


def merge(flat: dict[str, Any], part: dict[str, Any]) -> None:
    """Add a schema's own keywords to `flat`, so that what fits `flat` fits both. Ill-formed keywords are left out."""
    for key, value in part.items():
        shape = _SHAPES.get(key)
        if shape is None or not shape(value):
            continue
        if key in _GATHERED:
            flat[_GATHERED[key]] = (*flat.get(_GATHERED[key], ()), value)
        elif key not in flat:
            flat[key] = value
        elif key in _COMBINED:
            flat[key] = _COMBINED[key](flat[key], value)


def _both(first: Any, second: Any) -> Any:
    """A schema for what fits both."""
    if first is True or first == {} or second is False:
        return second
    return first if second is True or second == {} else {"allOf": [first, second]}


def _both_of_each(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return first | {key: _both(first[key], value) if key in first else value for key, value in second.items()}


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    both = {key: [*first[key], *second[key]] for key in first.keys() & second.keys() if isinstance(first[key], list)}
    return {**first, **second, **both}


def _common_types(first: Any, second: Any) -> list[str]:
    others = _as_list(second)
    both = [kind for kind in _as_list(first) if kind in others or (kind == "integer" and "number" in others)]
    if "integer" in others and "number" in _as_list(first) and "integer" not in both:
        both.append("integer")
    return both


def _common_values(first: list[JsonValue], second: list[JsonValue]) -> list[JsonValue]:
    others = {key_of(value) for value in second}
    return [value for value in first if key_of(value) in others]


def _common_multiple(first: float, second: float) -> float:
    if isinstance(first, int) and isinstance(second, int):
        return math.lcm(first, second)
    return max(first, second)


_COMBINED: dict[str, Callable[[Any, Any], Any]] = {
    "type": _common_types, "enum": _common_values, "multipleOf": _common_multiple,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"), min),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames", "unevaluatedProperties"), _both),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas"), _both_of_each),
    "required": lambda first, second: list(dict.fromkeys(n for n in (*first, *second) if isinstance(n, str))),
    "dependentRequired": _joined,
    "uniqueItems": lambda first, second: first or second,
}  # fmt: skip


def key_of(value: JsonValue) -> str:
    """Equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):  # integers of more than 4,300 digits, arrays some 1,000 deep
        return f"{type(value).__name__} {id(value)}"


# Types.

_BY_KEYWORD = (
    ("object", "properties required additionalProperties patternProperties propertyNames minProperties maxProperties"),
    ("array", "items prefixItems contains minItems maxItems uniqueItems"),
    ("string", "patterns format minLength maxLength"),
    ("number", "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"),
)
_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": _is_string, "number": _is_number, "object": _is_object, "array": _is_list,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: _is_number(value) and value == int(value),
}  # fmt: skip


def kinds_of(flat: dict[str, Any]) -> list[str]:
    """The types that a value may have, the likeliest first: null last; by its keywords where it does not say."""
    if "type" in flat:
        named = [kind for kind in _as_list(flat["type"]) if kind in _TYPES]
        kinds = sorted(dict.fromkeys(named), key=lambda kind: kind == "null") or ["string"]
    else:
        meant = [kind for kind, keywords in _BY_KEYWORD if any(key in flat for key in keywords.split())][:1]
        kinds = meant or (list(ALL_KINDS) if "nots" in flat else ["string"])
    return [kind for kind in kinds if kind not in _excluded(flat)] or kinds


def _excluded(flat: dict[str, Any]) -> set[str]:
    """The types that a `not` rules out: `{"not": {"type": "null"}}`."""
    found: set[str] = set()
    for part in flat.get("nots", ()):
        if isinstance(part, dict) and part.keys() == {"type"}:
            found.update(kind for kind in _as_list(part["type"]) if isinstance(kind, str))
    return found | ({"integer"} if "number" in found else set())


def matches_type(value: object, flat: dict[str, Any]) -> bool:
    return "type" not in flat or any(_TYPES[kind](value) for kind in _as_list(flat["type"]) if kind in _TYPES)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
