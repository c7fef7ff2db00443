"""The subset of JSON Schema that structured outputs and strict tools take, and how much of it one request may hold.

Spec MSG-68, MSG-69, TOOL-30; the texts are those recorded of the API where there is a record. Pure; imports only this
folder and the error tree. It loads the schema validator: who must do without that imports this inside a function.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from dragoman.errors import InvalidRequest

from .jsonschema import Document, Leaves, is_schema
from .tools import CustomTool
from .types import CountTokensRequest, JsonFormat

__all__ = ["Cost", "check_format", "check_structured", "check_subset", "has_broken_pattern"]

MAX_STRICT_TOOLS = 20
MAX_OPTIONAL = 24  # properties that are not required, of all schemas of a request
MAX_UNIONS = 16  # subschemas with `anyOf` or several types
# The API gives a grammar 180 s to compile. Nothing is compiled here: these bounds stand for it, well above what the API
# takes in practice, and within what the offline engine fills and checks.
MAX_NODES = 2_000  # subschemas and options of one schema, each reference written out where it stands
MAX_LEVELS = 32  # objects and arrays, one inside the other
MAX_STEPS = 100  # subschemas, one inside the other, references included
MAX_PATTERN = 2_000  # characters of a regular expression that is looked at
MAX_PATTERNS = 10_000  # different ones of a tool that is not strict
MAX_REPEAT = 1_000  # the largest number in a quantifier

# As recorded.
TOO_COMPLEX = "Schema is too complex for compilation. Try reducing the number of tools or simplifying tool schemas."
TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
# Keywords of JSON Schema that restrict values in a way that the subset has not, by the type that they are for.
UNSUPPORTED = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": (
        "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems", "additionalItems",
        "unevaluatedItems",
    ),
    "object": (
        "patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired",
        "dependentSchemas", "dependencies", "unevaluatedProperties",
    ),
}  # fmt: skip
UNSUPPORTED_ANYWHERE = ("oneOf", "not", "if", "then", "else", "$dynamicRef", "$recursiveRef")
_UNSUPPORTED_NAMES = frozenset(name for names in UNSUPPORTED.values() for name in names)
# What makes a schema without a `type` say what its values are.
SPEAKING = ("$ref", "enum", "const", "anyOf")


class Cost(Struct, frozen=True):
    """What a schema adds to its request; `nodes`, `levels` and `steps` count it with its references written out."""

    nodes: int
    levels: int
    steps: int
    optional: int
    unions: int


def check_structured(request: CountTokensRequest, *, format_at: str = "output_config.format") -> None:
    """The strict tools and the format of a request: each in the subset, all together within the limits (MSG-68, 69).

    `format_at` is where the caller wrote the format, for the texts.
    """
    strict = [tool for tool in request.tools or () if getattr(tool, "strict", None)]
    costs = [
        check_subset(tool.input_schema, f"tools.{index}.custom")
        for index, tool in enumerate(request.tools or ())
        if isinstance(tool, CustomTool) and tool.strict
    ]
    if request.output_config is not None and request.output_config.format is not None:
        costs.append(check_format(request.output_config.format, format_at))
    _check_limits(len(strict), costs)


def _check_limits(strict_tools: int, costs: Sequence[Cost]) -> None:
    """MSG-69."""
    if strict_tools > MAX_STRICT_TOOLS:
        raise InvalidRequest(
            f"Too many strict tools ({strict_tools}). The maximum number of strict tools supported is "
            f"{MAX_STRICT_TOOLS}. Try reducing the number of tools marked as strict."
        )
    optional, unions = sum(cost.optional for cost in costs), sum(cost.unions for cost in costs)
    if optional > MAX_OPTIONAL:
        raise InvalidRequest(
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            f"inefficient. Reduce the number of optional parameters in your tool schemas (limit: {MAX_OPTIONAL})."
        )
    if unions > MAX_UNIONS:
        raise InvalidRequest(
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf). "
            "This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
            f"(limit: {MAX_UNIONS} parameters with unions)."
        )


def check_format(given: JsonFormat, loc: str) -> Cost:
    """The schema of a format, which no rule about tools has looked at before (MSG-67, 68)."""
    cost = check_subset(given.schema, f"{loc}.schema")
    if not is_schema({key: value for key, value in given.schema.items() if key != "$schema"}):
        raise InvalidRequest(
            f"{loc}.schema: Invalid JSON Schema in output format. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12)."
        )
    return cost


def check_subset(schema: dict[str, Any], loc: str) -> Cost:
    """What `schema` costs. Raises InvalidRequest, at `loc`, for the first thing in it that the subset has not (MSG-68).

    Linear in the schema: what several references name is looked at once, and its cost remembered.
    """
    document = Document(schema)
    if document.too_large:
        raise InvalidRequest(TOO_COMPLEX)
    walk = _Walk(document, loc)
    nodes, levels, steps = walk.visit(schema, 0, name="#", is_root=True)
    if nodes > MAX_NODES or levels > MAX_LEVELS or steps > MAX_STEPS:
        raise InvalidRequest(TOO_COMPLEX)
    return Cost(nodes=nodes, levels=levels, steps=steps, optional=walk.optional, unions=walk.unions)


Size = tuple[int, int, int]  # nodes, levels, steps


class _Walk:
    """Visits each subschema once, and refuses the first that the subset has not."""

    def __init__(self, document: Document, loc: str) -> None:
        self.optional = 0
        self.unions = 0
        self._document = document
        self._loc = loc
        self._leaves = Leaves()
        self._sizes: dict[int, Size] = {}  # by the id of a subschema
        self._kinds: dict[int, str] = {}  # by the id of a subschema: what the parts of its `allOf` are
        self._open: dict[int, str] = {}  # those being visited, in order, with the name they were referred to by

    def visit(self, schema: object, depth: int, *, name: str = "", kind: str = "", is_root: bool = False) -> Size:
        """`kind`: what the values are by the schema around this one, of which it is a part of an `allOf`."""
        if isinstance(schema, bool) or schema == {}:
            self._refuse("Empty schema ({}) that accepts any JSON value is not supported.")
        if not isinstance(schema, dict):
            self._refuse("Invalid schema: A schema must be an object")
        if id(schema) in self._open:
            self._refuse_circle(id(schema), name)
        if id(schema) in self._sizes:
            return self._sizes[id(schema)]
        if depth > MAX_STEPS:
            raise InvalidRequest(TOO_COMPLEX)
        self._open[id(schema)] = name
        kind = _kind(schema) or kind or self._kind_of_parts(schema, 0)
        self._check(schema, kind)
        self._count(schema, is_root=is_root)
        size = self._visit_parts(schema, depth + 1, kind)
        del self._open[id(schema)]
        self._sizes[id(schema)] = size
        return size

    def _kind_of_parts(self, schema: dict[str, Any], depth: int) -> str:
        """What the first part of an `allOf` that speaks of a type says; "" where none does."""
        if id(schema) not in self._kinds:
            parts = schema.get("allOf")
            found = (
                _kind(part) or self._kind_of_parts(part, depth + 1)
                for part in (parts if isinstance(parts, list) and depth <= MAX_STEPS else ())
                if isinstance(part, dict)
            )
            self._kinds[id(schema)] = next((kind for kind in found if kind), "")
        return self._kinds[id(schema)]

    def _visit_parts(self, schema: dict[str, Any], depth: int, kind: str) -> Size:
        options = schema.get("enum")
        nodes, levels, steps = 1 + (len(options) if isinstance(options, list) else 0), 0, 0
        for part, is_inside in _parts(schema):
            sizes = self.visit(part, depth)
            nodes, levels, steps = nodes + sizes[0], max(levels, sizes[1] + is_inside), max(steps, sizes[2] + 1)
        for part in schema.get("allOf", ()):  # one value obeys them all: what one says of its type holds for the rest
            sizes = self.visit(part, depth, kind=kind)
            nodes, levels, steps = nodes + sizes[0], max(levels, sizes[1]), max(steps, sizes[2] + 1)
        if "$ref" in schema:
            sizes = self.visit(self._target(schema), depth, name=str(schema["$ref"]).rpartition("/")[2])
            nodes, levels, steps = nodes + sizes[0], max(levels, sizes[1]), max(steps, sizes[2] + 1)
        for keyword in ("$defs", "definitions"):  # what nothing refers to costs nothing, but must be in the subset
            if isinstance(named := schema.get(keyword), dict):
                for key, part in named.items():
                    self.visit(part, depth, name=key)
        return min(nodes, MAX_NODES + 1), levels, steps

    def _count(self, schema: dict[str, Any], *, is_root: bool) -> None:
        """MSG-69."""
        properties, required = schema.get("properties"), schema.get("required")
        if isinstance(properties, dict):
            needed = {key for key in required if isinstance(key, str)} if isinstance(required, list) else set()
            self.optional += len(properties.keys() - needed)
        several = isinstance(schema.get("type"), list) and len(schema["type"]) > 1
        self.unions += not is_root and (several or "anyOf" in schema)

    def _target(self, schema: dict[str, Any]) -> object:
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            self._refuse(f"Invalid schema: External $ref is not supported: {_shown(reference)}")
        target = self._document.resolve(schema, reference)
        if target is None:
            self._refuse(f"Invalid schema: Reference to non-existent definition: {_shown(reference)}")
        return target

    def _check(self, schema: dict[str, Any], kind: str) -> None:
        """What one subschema says by itself, of values of that kind."""
        for keyword in UNSUPPORTED_ANYWHERE:
            if keyword in schema:
                self._refuse(f"Schema type '{keyword}' is not supported")
        types = self._types(schema)
        if not kind and "allOf" not in schema:  # else a part of it is refused
            self._refuse("Invalid schema: Schema type is missing")
        if "array" in types or kind == "array":
            self._check_array(schema)
        kind = kind or "allOf"
        if names := sorted(schema.keys() & _UNSUPPORTED_NAMES):
            what = f"property '{names[0]}' is" if len(names) == 1 else f"properties {', '.join(names)} are"
            self._refuse(f"For '{kind}' type, {what} not supported")
        if "object" in types or "properties" in schema or "additionalProperties" in schema:
            self._check_object(schema)
        self._check_string(schema, kind)
        self._check_options(schema, types)
        self._check_branches(schema)

    def _types(self, schema: dict[str, Any]) -> list[str]:
        given = schema.get("type", [])
        types = given if isinstance(given, list) else [given]
        for kind in types:
            if not isinstance(kind, str) or kind not in TYPES:
                self._refuse(f"Schema type {_shown(kind)} is not supported")
        return types

    def _check_array(self, schema: dict[str, Any]) -> None:
        if isinstance(schema.get("items"), list):
            self._refuse("Invalid schema: Array types must be specified with a single object schema for 'items'")
        fewest = schema.get("minItems", 0)
        if isinstance(fewest, bool) or fewest not in (0, 1):
            most = schema.get("maxItems", "∞")
            self._refuse(
                "For 'array' type, 'minItems' values other than 0 or 1 are not supported "
                f"(got: [{_shown(fewest)}, {most if isinstance(most, int | str) else '?'}])"
            )

    def _check_object(self, schema: dict[str, Any]) -> None:
        more = schema.get("additionalProperties")
        if "additionalProperties" not in schema:
            self._refuse("For 'object' type, 'additionalProperties' must be explicitly set to false")
        if more is not False:
            self._refuse(
                f"For 'object' type, 'additionalProperties: {'true' if more is True else 'object'}' is not supported. "
                "Please set 'additionalProperties' to false"
            )
        properties, required = schema.get("properties"), schema.get("required")
        properties = properties if isinstance(properties, dict) else {}
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str) and name not in properties:
                self._refuse(f"Invalid schema: Required property {_shown(name)} is not defined in 'properties'")

    def _check_string(self, schema: dict[str, Any], kind: str) -> None:
        if "format" in schema and schema["format"] not in FORMATS:
            self._refuse(
                f"For '{kind}' type, 'format' value {_shown(schema['format'])} is not supported. "
                f"Supported formats: {', '.join(FORMATS)}"
            )
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and (fault := _fault(pattern, self._leaves)):
            self._refuse(f"Invalid regex in pattern field: {fault}")

    def _check_options(self, schema: dict[str, Any], types: list[str]) -> None:
        if "enum" not in schema:
            return
        options = schema["enum"]
        if not isinstance(options, list) or not options:
            self._refuse("Invalid schema: 'enum' must be a list of at least one value")
        for option in options:
            if isinstance(option, dict | list):
                self._refuse("Invalid schema: Enum values must be strings, numbers, booleans or null")
            # The API also refuses any list of types beside an enum; no rule says so, and here it does no harm.
            if types and not any(_is_of(option, kind) for kind in types):
                shown = schema["type"] if isinstance(schema["type"], str) else types
                self._refuse(f"Invalid schema: Enum value {_shown(option)} does not match declared type '{shown}'")

    def _check_branches(self, schema: dict[str, Any]) -> None:
        for keyword in ("anyOf", "allOf"):
            branches = schema.get(keyword, [{}])
            if not isinstance(branches, list) or not branches:
                self._refuse(f"Invalid schema: '{keyword}' must be a list of at least one schema")
        parts = schema.get("allOf", ())
        if parts and ("$ref" in schema or any(isinstance(part, dict) and "$ref" in part for part in parts)):
            self._refuse("Schema type 'allOf' with '$ref' is not supported")

    def _refuse_circle(self, start: int, name: str) -> NoReturn:
        names = list(self._open.values())[list(self._open).index(start) :]
        way = [shown for shown in (*names, name) if shown][-10:]
        self._refuse(
            f"Circular reference detected in schema definitions: {' -> '.join(each[:60] for each in way)}. "
            "Self-referencing or mutually-referencing definitions are not supported."
        )

    def _refuse(self, text: str) -> NoReturn:
        raise InvalidRequest(f"{self._loc}: {text}")


def _parts(schema: dict[str, Any]) -> Iterator[tuple[object, bool]]:
    """The subschemas of the subset's keywords, but for references; True where they are of a value inside this one."""
    if isinstance(properties := schema.get("properties"), dict):
        yield from ((part, True) for part in properties.values())
    if "items" in schema:
        yield schema["items"], True
    yield from ((part, False) for part in schema.get("anyOf", ()))


def _kind(schema: dict[str, Any]) -> str:
    """What a text calls this schema: its type, the likelier one where there are several, or what it has instead."""
    types = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    named = [kind for kind in types if isinstance(kind, str)]
    if named:
        return next((kind for kind in named if kind != "null"), named[0])
    return next((keyword for keyword in SPEAKING if keyword in schema), "")


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool) or value is None:
        return kind == ("null" if value is None else "boolean")
    if isinstance(value, str):
        return kind == "string"
    return kind == "number" or (kind == "integer" and isinstance(value, int | float) and value == int(value))


def _shown(value: object) -> str:
    """A value in a text, cut short."""
    return type(value).__name__ if isinstance(value, dict | list) else repr(value)[:100]


# Regular expressions.

# One character, one escape, or the beginning of a group that the subset knows by its first characters.
_PIECES = re.compile(r"\\k<|\\.|\(\?(?:<?[=!])?|\{\d+(?:,\d*)?\}|.", re.DOTALL)
_BEYOND = {
    "(?=": "Lookahead", "(?!": "Lookahead", "(?<=": "Lookbehind", "(?<!": "Lookbehind",
    r"\b": r"The word boundary '\b'", r"\B": r"The word boundary '\B'", r"\k<": "A back-reference",
    **{f"\\{digit}": "A back-reference" for digit in range(1, 10)},
}  # fmt: skip


def _fault(pattern: str, leaves: Leaves) -> str | None:
    """Why the subset has not this regular expression: what it holds, or that it is none."""
    if len(pattern) > MAX_PATTERN:
        return f"A pattern of more than {MAX_PATTERN} characters is not supported"
    in_set = False
    for piece in _PIECES.findall(pattern):
        if in_set or piece in "[]":
            in_set = piece != "]" and (in_set or piece == "[")
        elif piece in _BEYOND:
            return f"{_BEYOND[piece]} is not supported"
        elif piece[0] == "{" and max(int(number[:9]) for number in re.findall(r"\d+", piece) or ["0"]) > MAX_REPEAT:
            return f"A quantifier beyond {MAX_REPEAT} is not supported"
    return None if _is_ecma(pattern, leaves) else f"{_shown(pattern)} is not a valid regular expression"


# Named groups, flags, comments, conditions, atoms; possessive quantifiers; the ends of a text; a character by its name.
_PYTHON_ONLY = re.compile(r"\(\?(?:P[<=>]|[aiLmsux-]+[:)]|[#(>])|[*+?}]\+|\\[AZ]|\\N\{")


def has_broken_pattern(schema: dict[str, Any]) -> bool:
    """Whether some `pattern` or `patternProperties` of a valid schema is no regular expression at all (TOOL-2).

    ECMA 262's are meant, but Python's are common: one that uses what only those have is taken as it is, for to compile
    a caller's pattern can take seconds. Linear in the schema; what is looked at is bounded, the rest passes.
    """
    leaves, known = Leaves(), set[str]()
    for pattern in _patterns(schema):
        if pattern in known or len(pattern) > MAX_PATTERN:
            continue
        known.add(pattern)
        if len(known) > MAX_PATTERNS:
            return False
        if not _is_ecma(pattern, leaves) and not _PYTHON_ONLY.search(pattern):
            return True
    return False


_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")  # of names to schemas
_DATA = frozenset({"const", "default", "enum", "examples", "required", "dependentRequired"})


def _patterns(root: dict[str, Any]) -> Iterator[str]:
    """Every regular expression where a schema has one: not in data, not as the name of a property."""
    pending: list[object] = [root]
    while pending:
        schema = pending.pop()
        if isinstance(schema, list):
            pending += schema
        if not isinstance(schema, dict):
            continue
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        if isinstance(named := schema.get("patternProperties"), dict):
            yield from named
            pending += named.values()
        for keyword, part in schema.items():
            if keyword in _MAPS and isinstance(part, dict):
                pending += part.values()
            elif keyword not in _DATA and keyword != "patternProperties":
                pending.append(part)


def _is_ecma(pattern: str, leaves: Leaves) -> bool:
    """The validator reads it and matches nothing: some microseconds, without recursion, whatever the pattern."""
    return leaves.accept({"type": "string", "format": "regex"}, pattern)
