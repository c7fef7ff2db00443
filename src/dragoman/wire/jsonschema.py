"""JSON Schemas of callers: references resolved, values checked, nothing ever fetched.

A client's schema may be hostile, and the validator is native code that cannot be interrupted: so what a check will
cost is worked out first (`weigh`), and a check that is too dear is not made. Imports nothing of this package, and
jsonschema_rs with the first schema that comes: it takes 4 MB, which a server that gets no tools need not hold.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, urljoin

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["Checker", "Document", "JsonValue", "Leaves", "Path", "Schema", "TooCostly", "as_json", "is_schema", "weigh"]

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
Schema: TypeAlias = dict[str, Any] | bool
Path: TypeAlias = tuple[str | int, ...]

MAX_SCHEMA_NODES = 20_000  # objects, arrays and scalars; a compiled schema of this size takes about 0.1 s
MAX_VISITS = 100_000  # (schema, value) pairs in one check: some 10 ms
MAX_WEIGHING = 300_000  # steps of the weighing itself: some 0.2 s
MAX_IN_PLACE = 100  # references and allOf that apply to one value, one inside the other
BACKTRACK_LIMIT = 10_000  # steps of one regular expression that needs backtracking

# Keywords whose value is data, not a schema: an "$id" in them means nothing.
_DATA = frozenset({"const", "default", "enum", "examples"})
_SAME_VALUE_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_VALUE = ("not", "if", "then", "else")


def as_json(value: Any) -> JsonValue:
    """What came out of a schema or a hint is JSON: says so to the type checker."""
    return value  # type: ignore[no-any-return]


def is_schema(value: dict[str, Any]) -> bool:
    """Whether `value` is a JSON Schema, by the draft that its `$schema` names or else 2020-12. Linear in the value."""
    import jsonschema_rs

    return bool(jsonschema_rs.meta.is_valid(value))


class TooCostly(Exception):
    """A check would take too long, or would not end."""


class Document:
    """A schema with its references indexed. Walked without recursion, so its depth is no danger."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.too_large = False
        self._base: dict[int, str] = {}  # id of a schema object -> the base URI that its references are relative to
        self._roots: dict[str, Schema] = {"": root}  # absolute URI -> schema
        self._anchors: dict[tuple[str, str], Schema] = {}
        self._index()

    def resolve(self, schema: dict[str, Any], reference: object) -> Schema | None:
        """What `reference` in `schema` names; None when it is not in this document (it is not fetched)."""
        if not isinstance(reference, str):
            return None
        base = self._base.get(id(schema), "")
        uri, _, fragment = _join(base, reference).partition("#")
        root = self._roots.get(uri)
        if root is None:
            return None
        if not fragment:
            return root
        if not fragment.startswith("/"):
            return self._anchors.get((uri, fragment))
        return _follow(root, unquote(fragment))

    def anchored(self, reference: object) -> list[Schema]:
        """Every schema that `$dynamicRef: reference` could mean."""
        name = reference.rpartition("#")[2] if isinstance(reference, str) else ""
        return [schema for (_, anchor), schema in self._anchors.items() if anchor == name]

    def _index(self) -> None:
        pending: list[tuple[object, str]] = [(self.root, "")]
        nodes = 0
        while pending:
            node, base = pending.pop()
            nodes += 1
            if nodes > MAX_SCHEMA_NODES:
                self.too_large = True
                return
            if isinstance(node, list):
                pending += [(item, base) for item in reversed(node)]
            elif isinstance(node, dict):
                base = self._enter(node, base)
                pending += [(item, base) for key, item in node.items() if key not in _DATA]
                nodes += sum(_size(item) for key, item in node.items() if key in _DATA)

    def _enter(self, node: dict[str, Any], base: str) -> str:
        if isinstance(identity := node.get("$id"), str):
            base = _join(base, identity).partition("#")[0]
            self._roots.setdefault(base, node)
        self._base[id(node)] = base
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := node.get(keyword), str):
                self._anchors.setdefault((base, name), node)
        return base


def _join(base: str, reference: str) -> str:
    if reference.startswith("#"):  # urljoin knows no fragments of urn: and the like
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:  # such as "http://["
        return reference


def _follow(root: Schema, pointer: str) -> Schema | None:
    node: object = root
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and key.isdecimal() and len(key) < 6 and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node if isinstance(node, dict | bool) else None


def _size(value: object) -> int:
    """Nodes of a JSON value, counted no further than matters."""
    pending, nodes = [value], 0
    while pending and nodes <= MAX_SCHEMA_NODES:
        item = pending.pop()
        nodes += 1
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return nodes


class Checker:
    """Says where a value breaks a schema, as JSON Schema 2020-12 with formats asserted."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._validator = None if document.too_large else _compiled(document.root)
        self.visits = 0  # what the last check cost: (schema, value) pairs

    def wrong(self, value: JsonValue) -> Path | None:
        """The path of the first value that breaks the schema; None when none does, or when it cannot be said.

        It cannot be said of a schema that is none, refers to elsewhere, nests deeper than the validator takes
        (some 250 levels) or would cost too much to check.
        """
        if self._validator is None:
            return None
        import jsonschema_rs

        try:
            self.visits = weigh(self._document, value)
            if self.visits > MAX_VISITS or self._validator.is_valid(value):
                return None
            # Not iter_errors: it finds all errors at once, each with a copy of the value.
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return tuple(error.instance_path)
        except (TooCostly, RecursionError, ValueError):  # ValueError: lone surrogates
            return None
        return None


class Leaves:
    """Checks values against small schemas, each compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[str, jsonschema_rs.Draft202012Validator | None] = {}

    def accept(self, schema: dict[str, Any], value: JsonValue) -> bool:
        """Does `value` fit this schema, which holds no reference? One that is no schema accepts nothing."""
        key = repr(schema)
        if key not in self._compiled:
            self._compiled[key] = _compiled(schema)
        validator = self._compiled[key]
        try:
            return validator is not None and validator.is_valid(value)
        except ValueError:
            return False


def _compiled(schema: Schema) -> "jsonschema_rs.Draft202012Validator | None":
    import jsonschema_rs

    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            offline=True,  # a reference to elsewhere is an error: nothing is fetched
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )
    except (ValueError, OverflowError):  # ValidationError is a ValueError, and so is "Recursion limit reached"
        return None


def weigh(document: Document, value: JsonValue) -> int:
    """How many (schema, value) pairs a validator without memory visits, short cuts aside.

    The same pair is counted once and remembered, so this is quick where the validator would be exponential.
    Raises TooCostly where it would not end: a schema that refers to itself for the same value.
    """
    return _Scales(document).visits(document.root, value, 0)


class _Scales:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: dict[tuple[int, int], int | None] = {}  # None: being weighed now
        self._steps = 0

    def visits(self, schema: object, value: JsonValue, in_place: int) -> int:
        self._steps += 1
        if self._steps > MAX_WEIGHING:
            raise TooCostly
        if not isinstance(schema, dict):
            return 1
        # Scalars weigh the same, whatever they are; only what they hold makes values differ.
        key = (id(schema), id(value) if isinstance(value, dict | list) else 0)
        if key in self._known:
            known = self._known[key]
            if known is None:
                raise TooCostly
            return known
        if in_place > MAX_IN_PLACE:
            raise TooCostly
        self._known[key] = None
        total = 1 + sum(self.visits(part, value, in_place + 1) for part in self._same_value(schema))
        total += sum(self.visits(part, item, 0) for part, item in _children(schema, value))
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            total *= 3  # measured: every such keyword evaluates what lies below it 2 to 3 times
        self._known[key] = total
        return total

    def _same_value(self, schema: dict[str, Any]) -> Iterator[object]:
        """Schemas that apply to the same value."""
        if "$ref" in schema:
            target = self._document.resolve(schema, schema["$ref"])
            if target is None:  # one of the meta-schemas, which the validator knows: not worth knowing here
                raise TooCostly
            yield target
        if "$dynamicRef" in schema:
            yield from self._document.anchored(schema["$dynamicRef"])
        for keyword in _SAME_VALUE_LISTS:
            if isinstance(parts := schema.get(keyword), list):
                yield from parts
        yield from (schema[keyword] for keyword in _SAME_VALUE if keyword in schema)
        if isinstance(parts := schema.get("dependentSchemas"), dict):
            yield from parts.values()


def _children(schema: dict[str, Any], value: JsonValue) -> Iterator[tuple[object, JsonValue]]:
    """Schemas that apply to what `value` holds."""
    if isinstance(value, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from ((properties[name], item) for name, item in value.items() if name in properties)
        patterns = schema.get("patternProperties")
        others = list(patterns.values()) if isinstance(patterns, dict) else []
        others += [schema[key] for key in ("additionalProperties", "unevaluatedProperties") if key in schema]
        yield from ((part, item) for part in others for item in value.values())
        if "propertyNames" in schema:
            yield from ((schema["propertyNames"], name) for name in value)
    elif isinstance(value, list):
        prefix = schema.get("prefixItems")
        if isinstance(prefix, list):
            yield from zip(prefix, value, strict=False)
        for keyword in ("items", "contains", "unevaluatedItems"):
            if keyword in schema:
                yield from ((schema[keyword], item) for item in value)
