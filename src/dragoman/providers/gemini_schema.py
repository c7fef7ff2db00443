"""JSON Schemas as Gemini takes them (`parametersJsonSchema`, `responseJsonSchema`): its keywords only, meaning kept.

Source: Gemini's documentation, "Structured output", JSON Schema support, and the reference of `FunctionDeclaration`,
read 2026-11-21. What the service has no keyword for is said in the description, which the model reads. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .gemini_joined import describe, join, note, size

__all__ = ["KEYWORDS", "cleaned", "parameters"]

Schema = dict[str, Any]

# What the service documents. `oneOf` is read there as `anyOf`, so it is written as that.
KEYWORDS = frozenset(
    """
    additionalProperties anyOf description enum format items maxItems maximum minItems minimum prefixItems properties
    required title type
    """.split()
)
FORMATS = frozenset({"date-time", "date", "time"})  # of others the service knows nothing, and refused some
# Say nothing to a model.
SILENT = frozenset(
    "$schema $id $anchor $comment $vocabulary $dynamicAnchor $defs definitions readOnly writeOnly deprecated nullable "
    "examples example propertyOrdering contentEncoding".split()
)
REWRITTEN = frozenset({"$ref", "$dynamicRef", "allOf", "oneOf", "const"})
STRUCTURE = frozenset({"anyOf", "oneOf", "allOf", "properties", "required"})  # what a reference may have too
MOST_NODES = 4_000  # of one schema with all that it refers to; behind them references are notes
DEEPEST = 24
MOST_COPIES = 20_000  # nodes that are written again, in each of several choices


def parameters(schema: Mapping[str, Any]) -> Schema | None:
    """Of a tool: an object, or None where it takes nothing at all."""
    clean = cleaned(schema)
    for choice in clean.get("anyOf", ()):  # not taken at the root: each property may be given, and the choice is said
        clean["properties"] = {**choice.get("properties", {}), **clean.get("properties", {})}
    for name in ("anyOf", "items", "prefixItems", "enum"):  # of no use to an object's root, and refused there
        if name in clean:
            describe(clean, [note(name, clean.pop(name))])
    if not clean.get("properties") and clean.get("additionalProperties") in (None, False, True, {}):
        if "description" not in clean:
            return None
        clean.pop("additionalProperties", None)
    clean["type"] = "object"
    clean.setdefault("properties", {})
    return clean


def cleaned(schema: Mapping[str, Any]) -> Schema:
    """References put in place, what the service does not know taken out, and said."""
    return _settled(_Cleaning(schema).clean(schema, (), 0))


class _Cleaning:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MOST_NODES
        self._copies = MOST_COPIES

    def clean(self, schema: Any, within: tuple[str, ...], depth: int) -> Schema:
        """`within` are the references that this schema is the content of, outermost first."""
        if not isinstance(schema, Mapping):
            return {"description": "never valid"} if schema is False else {}
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            return _cut(schema)
        schema, within, said = self._resolved(schema, within)
        clean: Schema = {}
        notes = [said] if said else []
        for key, value in schema.items():
            if key in KEYWORDS:
                self._take(clean, notes, key, value, within, depth)
            elif key not in SILENT and key not in REWRITTEN:
                notes.append(note(key, value))
        self._choices(clean, schema, within, depth)
        self._parts(clean, schema, within, depth)
        _constants(clean, schema)
        _types(clean, schema, notes)
        describe(clean, notes)
        return clean

    def _resolved(self, schema: Mapping[str, Any], within: tuple[str, ...]) -> tuple[Schema, tuple[str, ...], str]:
        """The schema with what it refers to in its place. A reference into itself is cut, with a note."""
        merged = dict(schema)
        while isinstance(ref := merged.pop("$ref", None), str):
            if STRUCTURE & merged.keys():  # both hold
                members = merged.get("allOf")
                return {**merged, "allOf": [{"$ref": ref}, *(members if isinstance(members, list) else ())]}, within, ""
            name = ref.rsplit("/", 1)[-1] or ref
            if ref in within or self._left < 0:
                kind = {} if "type" in merged else {"type": "object"}
                return {**kind, **merged}, within, f"the same form as {name} above"
            target = _pointed(self._root, ref)
            if target is None:
                return merged, within, f"of the form {name}"
            within = (*within, ref)
            merged = {**target, **merged}  # what stands beside a reference is about this use of it
        return merged, within, ""

    def _take(self, clean: Schema, notes: list[str], key: str, value: Any, within: tuple[str, ...], depth: int) -> None:
        """One keyword that the service knows, where its value has the form that it knows."""
        if key == "properties" and isinstance(value, Mapping):
            clean[key] = {str(name): self.clean(each, within, depth + 1) for name, each in value.items()}
        elif key == "items" and isinstance(value, Sequence) and not isinstance(value, str):
            clean["prefixItems"] = [self.clean(each, within, depth + 1) for each in value]
        elif key == "items":
            clean[key] = self.clean(value, within, depth + 1)
        elif key == "prefixItems" and isinstance(value, Sequence):
            clean[key] = [self.clean(each, within, depth + 1) for each in value]
        elif key == "additionalProperties":
            clean[key] = value if isinstance(value, bool) else self.clean(value, within, depth + 1)
        elif key == "format" and not (isinstance(value, str) and value in FORMATS):
            notes.append(note(key, value))
        elif key in _FORMS and isinstance(value, _FORMS[key]) and not (key != "enum" and isinstance(value, bool)):
            clean[key] = value

    def _choices(self, clean: Schema, schema: Mapping[str, Any], within: tuple[str, ...], depth: int) -> None:
        """`anyOf` and `oneOf`: each choice with what stands beside it, for the service takes nothing beside them."""
        choices = schema.get("anyOf") or schema.get("oneOf")
        if not isinstance(choices, Sequence) or isinstance(choices, str):
            return
        beside = {key: clean.pop(key) for key in list(clean) if key not in ("title", "description", "anyOf")}
        self._copies -= (len(choices) - 1) * size(beside)
        if self._copies < 0:
            clean |= beside
            describe(clean, ["one of several forms"])
            return
        branches = [_beside(self.clean(each, within, depth + 1), beside) for each in choices]
        if len(branches) == 1:
            for key, value in branches[0].items():
                clean.setdefault(key, value)
        elif branches:
            clean["anyOf"] = branches

    def _parts(self, clean: Schema, schema: Mapping[str, Any], within: tuple[str, ...], depth: int) -> None:
        """`allOf`: its members hold beside all else, each with what it refers to in its place."""
        members = schema.get("allOf")
        if not isinstance(members, list) or not members:
            return
        if "type" in schema and "anyOf" not in clean:
            clean["type"] = schema["type"]
        for member in members:
            if isinstance(member, Mapping):
                self._copies -= join(clean, self.clean(member, within, depth + 1), self._copies)


# Keyword -> the type of its values.
_FORMS: Mapping[str, type | tuple[type, ...]] = {
    "description": str,
    "title": str,
    "format": str,
    "enum": list,
    "required": list,
    "minimum": (int, float),
    "maximum": (int, float),
    "minItems": int,
    "maxItems": int,
}


def _pointed(root: Mapping[str, Any], ref: str) -> Mapping[str, Any] | None:
    """What a JSON pointer within the document points at."""
    if not ref.startswith("#"):
        return None
    at: Any = root
    for step in ref[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, list) and re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(at):
            at = at[int(name)]
        else:
            return None
    return at if isinstance(at, Mapping) else None


def _merge(into: Schema, member: Mapping[str, Any]) -> None:
    for key, value in member.items():
        if key == "properties" and isinstance(into.get(key), Mapping) and isinstance(value, Mapping):
            into[key] = {**into[key], **value}
        elif key == "required" and isinstance(into.get(key), list) and isinstance(value, list):
            into[key] = list(dict.fromkeys([*into[key], *value]))
        else:
            into.setdefault(key, value)


def _beside(branch: Schema, beside: Mapping[str, Any]) -> Schema:
    if branch.get("type") == "null":
        return branch
    merged = dict(branch)
    _merge(merged, {key: value for key, value in beside.items() if key != "type" or "anyOf" not in branch})
    return merged


def _constants(clean: Schema, schema: Mapping[str, Any]) -> None:
    """`const` is an enumeration of one; the service enumerates texts and numbers only."""
    if "const" in schema and "enum" not in clean:
        clean["enum"] = [schema["const"]]
    values = clean.get("enum")
    if values is None:
        return
    kept = [value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    if None in values:
        clean["_null"] = True
    if "type" not in clean and any(isinstance(value, bool) for value in values):
        clean["type"] = "boolean"
    if len(kept) + values.count(None) == len(values) and kept:
        clean["enum"] = kept
        return
    del clean["enum"]
    describe(clean, [note("one of", values)])


def _types(clean: Schema, schema: Mapping[str, Any], notes: list[str]) -> None:
    """A `type` that is a name, or a name and null; other lists of names are choices."""
    told = clean.pop("type", None) if "type" in clean else schema.get("type")
    told = told if isinstance(told, list) else [told]
    names = [name for name in told if isinstance(name, str)]
    names = [name.lower() for name in names]  # of OpenAPI's they may be in capitals
    if not names and "anyOf" not in clean:
        names = _guessed(clean)
    null = clean.pop("_null", False) or schema.get("nullable") is True or "null" in names
    names = [name for name in dict.fromkeys(names) if name != "null"]
    if "anyOf" in clean:
        if null and not any(each.get("type") == "null" for each in clean["anyOf"]):
            clean["anyOf"].append({"type": "null"})
        return
    if len(names) > 1:
        rest = {key: clean.pop(key) for key in list(clean) if key not in ("title", "description")}
        clean["anyOf"] = [_of_type(name, rest) for name in names] + ([{"type": "null"}] if null else [])
    elif names:
        clean["type"] = [names[0], "null"] if null else names[0]
    elif null:
        clean["type"] = "null"
    if clean.get("type") in ("array", ["array", "null"]) and not {"items", "prefixItems"} & clean.keys():
        clean["items"] = {}


def _settled(clean: Schema) -> Schema:
    """Names that are required and not described are said: the service refuses them. Last, when nothing is merged."""
    required = [name for name in clean.pop("required", ()) if isinstance(name, str)]
    described = [name for name in required if name in clean.get("properties", {})]
    if described:
        clean["required"] = described
    if len(described) < len(required):
        describe(clean, [note("required", [name for name in required if name not in described])])
    below = [clean.get("items"), clean.get("additionalProperties"), *clean.get("anyOf", ())]
    for each in (*below, *clean.get("prefixItems", ()), *clean.get("properties", {}).values()):
        if isinstance(each, dict):
            _settled(each)
    return clean


# Keyword -> the type that it is about.
ABOUT = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "maxItems": "array",
    "minimum": "number",
    "maximum": "number",
    "format": "string",
}


def _of_type(name: str, rest: Mapping[str, Any]) -> Schema:
    """One of several types, with what is about it."""
    of_it: Schema = {"type": name}
    for key, value in rest.items():
        about = ABOUT.get(key, name)
        if key == "enum":
            value = [each for each in value if isinstance(each, str) == (name == "string")]
        if (about == name or (about, name) == ("number", "integer")) and value != []:
            of_it[key] = value
    if name == "array":
        of_it.setdefault("items", {})
    return of_it


def _guessed(clean: Schema) -> list[str]:
    values = clean.get("enum")
    if values:
        if all(isinstance(value, str) for value in values):
            return ["string"]
        return ["number"] if not any(isinstance(value, str) for value in values) else []
    return next(([kind] for key, kind in ABOUT.items() if key in clean), [])


def _cut(schema: Mapping[str, Any]) -> Schema:
    kind = schema.get("type")
    clean: Schema = {"type": kind} if isinstance(kind, str) else {}
    if kind == "array":
        clean["items"] = {}
    text = schema.get("description")
    clean["description"] = f"{text} (not described further)" if isinstance(text, str) else "not described further"
    return clean
