"""All schemas that apply to one value, merged into one flat set of keywords; and the choices made on the way.

Where a schema leaves a choice (anyOf, oneOf, if, a type of several) the first sensible one is taken; `Choices` lets
the next attempt take another at just the place that proved wrong. Pure; imports only `example_schemas`.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .example_schemas import Document, JsonValue, Path

__all__ = ["Budget", "Choices", "Heights", "key_of", "kinds_of", "matches_type", "merge"]

MAX_VARIANTS = 12  # of one choice that are tried
NEVER_ENDS = 99  # the height of a schema whose values cannot be finite


class Budget:
    """How much work may still be done for one schema, in steps of some 20 to 100 microseconds."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def spend(self, steps: int = 1) -> bool:
        """False when it is used up."""
        self.steps -= steps
        return self.steps > 0


class Choices:
    """What was chosen at each place of a value, so that another attempt can choose otherwise."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[Path, str], int] = {}
        self._known: dict[Path, dict[str, int]] = {}  # place -> its choices, in order -> how many options each has

    def pick(self, path: Path, label: str, options: int) -> int:
        """The number of the option to take, of `options`."""
        count = max(1, min(options, MAX_VARIANTS))
        self._known.setdefault(path, {})[label] = count
        return self._chosen.get((path, label), 0) % count

    def change(self, wrong: Iterable[Path]) -> bool:
        """Choose otherwise for each wrong value. False when everything was tried."""
        moved = False
        for path in dict.fromkeys(wrong):
            moved = self._change(path) or moved
        return moved

    def _change(self, path: Path) -> bool:
        for length in range(len(path), -1, -1):  # the value itself first, then what it lies in
            if self._advance(path[:length]):
                return True
        below = (other for other in self._known if len(other) > len(path) and other[: len(path)] == path)
        return any(self._advance(other) for other in below)

    def _advance(self, path: Path) -> bool:
        for label, count in reversed(self._known.get(path, {}).items()):
            following = self._chosen.get((path, label), 0) + 1
            if following < count:
                self._chosen[path, label] = following
                self._forget_below(path)
                return True
            self._chosen.pop((path, label), None)
        return False

    def _forget_below(self, path: Path) -> None:
        for key in [key for key in self._chosen if len(key[0]) > len(path) and key[0][: len(path)] == path]:
            del self._chosen[key]


# Merging.


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
    "unevaluatedProperties": _is_schema, "unevaluatedItems": _is_schema,
}  # fmt: skip


def merge(flat: dict[str, Any], part: dict[str, Any]) -> None:
    """Add a schema's own keywords to `flat`, so that what fits `flat` fits both. Ill-formed keywords are left out."""
    for key, value in part.items():
        shape = _SHAPES.get(key)
        if shape is None or not shape(value):
            continue
        if key == "pattern":
            flat["patterns"] = (*flat.get("patterns", ()), value)
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
        return sorted(dict.fromkeys(named), key=lambda kind: kind == "null") or ["string"]
    return [kind for kind, keywords in _BY_KEYWORD if any(key in flat for key in keywords.split())][:1] or ["string"]


def matches_type(value: object, flat: dict[str, Any]) -> bool:
    return "type" not in flat or any(_TYPES[kind](value) for kind in _as_list(flat["type"]) if kind in _TYPES)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Heights:
    """How deep the smallest value of a schema must be: what is recursive ends on the branch of least height."""

    def __init__(self, document: Document, budget: Budget) -> None:
        self._document = document
        self._budget = budget
        self._ends: dict[tuple[int, int], bool] = {}

    def of(self, schema: object) -> int:
        return next((height for height in range(1, 13) if self._fits(schema, height, 0)), NEVER_ENDS)

    def _fits(self, schema: object, height: int, in_place: int) -> bool:
        """Has it a value of at most this height?"""
        if not isinstance(schema, dict) or height == 0 or in_place > 30:
            return schema is not False and height > 0 and in_place <= 30
        key = (id(schema), height)
        if key not in self._ends:
            self._ends[key] = False  # met again while it is being asked: it goes round
            self._ends[key] = self._budget.spend() and self._all_fit(schema, height, in_place + 1)
        return self._ends[key]

    def _all_fit(self, schema: dict[str, Any], height: int, in_place: int) -> bool:
        if "const" in schema or "enum" in schema:
            return True
        if "$ref" in schema:
            target = self._document.resolve(schema, schema["$ref"])
            if target is not None and not self._fits(target, height, in_place):
                return False
        for keyword, fits in (("allOf", all), ("anyOf", any), ("oneOf", any)):
            parts = schema.get(keyword)
            if isinstance(parts, list) and not fits(self._fits(part, height, in_place) for part in parts):
                return False
        return self._own_fits(schema, height)

    def _own_fits(self, schema: dict[str, Any], height: int) -> bool:
        flat: dict[str, Any] = {}
        merge(flat, schema)
        kinds = kinds_of(flat)
        if set(kinds) - {"object", "array"}:
            return True
        inner: Sequence[object] = ()
        if kinds == ["object"]:
            properties = flat.get("properties", {})
            inner = [properties.get(name, True) for name in flat.get("required", []) if isinstance(name, str)]
        elif kinds == ["array"] and flat.get("minItems", 0) > 0:
            prefix = flat.get("prefixItems", [])[: int(flat["minItems"])]
            inner = [*prefix, *([flat["items"]] if len(prefix) < flat["minItems"] and "items" in flat else [])]
        return all(self._fits(part, height - 1, 0) for part in inner)
