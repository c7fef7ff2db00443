"""Kinds of values: the JSON Schema of each, and how decoded JSON becomes a value of it. Pure; loads no Pydantic.

Schemas have the form that Pydantic 2 gives them (titles, `$defs`, the order of keys): a server sees no difference
between the clients. Values are read as leniently as Pydantic reads them: `"3"` is taken for an int, 3 not for a str.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum, IntEnum
from inspect import cleandoc
from typing import Any, NamedTuple, Protocol

import msgspec

from dragoman.client.guards import is_list, is_mapping

from .definitions import Definitions, Schema

__all__ = [
    "ABSENT",
    "Arguments",
    "Choice",
    "Enumeration",
    "Field",
    "Fixed",
    "Items",
    "Kind",
    "Mapped",
    "Maybe",
    "Mismatch",
    "Object",
    "OneOf",
    "Plain",
    "Text",
    "read",
    "schema_of",
]

ABSENT: Any = object()  # no default


class Mismatch(ValueError):
    """A value is not of the kind asked for; the message says where."""

    def __init__(self, what: str, *path: str | int) -> None:
        super().__init__(what, *path)
        self.what, self.path = what, path

    def __str__(self) -> str:
        where = ".".join(str(step) for step in self.path)
        return f"{where}: {self.what}" if where else self.what

    def inside(self, step: str | int) -> "Mismatch":
        return Mismatch(self.what, step, *self.path)


class Care(IntEnum):
    """How closely a value must fit. A union asks its members with the greatest care first."""

    LAX = 0
    STRICT = 1
    EXACT = 2


class Kind(Protocol):
    @property
    def is_titled(self) -> bool:
        """Whether a field of this kind has a `title` made of its name: not where the schema is a reference."""
        ...

    def schema(self, definitions: "Definitions") -> Schema: ...

    def read(self, value: Any, care: Care) -> Any:
        """Raises Mismatch."""


def schema_of(kind: Kind) -> Schema:
    """A whole schema, with its `$defs`."""
    definitions = Definitions()
    return definitions.finish(kind.schema(definitions))


def read(kind: Kind, value: Any) -> Any:
    """Raises Mismatch."""
    return kind.read(value, Care.LAX)


# -- single values --


class Plain:
    """JSON's own: null, booleans, numbers, strings, bytes as text, and anything at all (`object`)."""

    is_titled = True

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def schema(self, definitions: Definitions) -> Schema:
        return dict(_PLAIN_SCHEMAS[self._cls])

    def read(self, value: Any, care: Care) -> Any:
        if self._cls is object or type(value) is self._cls:
            return value
        if care is not Care.EXACT:
            found = self._nearly(value, care)
            if found is not ABSENT:
                return found
        raise Mismatch(f"{_PLAIN_NAMES[self._cls]} is needed, not {_told(value)}")

    def _nearly(self, value: Any, care: Care) -> Any:
        if self._cls is float and type(value) is int:
            return float(value)
        if self._cls is bytes and isinstance(value, str):
            return value.encode()
        if care is Care.LAX:
            loosely = _LOOSELY.get(self._cls)
            return loosely(value) if loosely is not None else ABSENT
        return ABSENT


_PLAIN_SCHEMAS: dict[type, Schema] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bytes: {"type": "string", "format": "binary"},
    object: {},
}
_PLAIN_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    bytes: "a string",
}
_BOOLS: dict[str, bool] = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}
_INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?")


def _to_bool(value: Any) -> Any:
    if isinstance(value, str):
        return _BOOLS.get(value.lower(), ABSENT)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else ABSENT


def _to_int(value: Any) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return ABSENT


def _to_float(value: Any) -> Any:
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return ABSENT
    try:
        return float(value)
    except ValueError:
        return ABSENT


_LOOSELY: dict[type, Callable[[Any], Any]] = {bool: _to_bool, int: _to_int, float: _to_float}


class Text:
    """Times, ids, and decimals, which JSON has as text."""

    is_titled = True

    def __init__(self, cls: type[Any], schema: Schema) -> None:
        self._cls, self._schema = cls, schema

    def schema(self, definitions: Definitions) -> Schema:
        return dict(self._schema)

    def read(self, value: Any, care: Care) -> Any:
        if care is Care.EXACT:
            raise Mismatch(f"a {self._cls.__name__} is needed, not {_told(value)}")
        try:
            if self._cls is datetime and isinstance(value, str):
                return datetime.fromisoformat(value)  # a day alone is taken too
            return msgspec.convert(value, self._cls)
        except ValueError as error:
            raise Mismatch(f"a {self._cls.__name__} is needed, not {_told(value)}") from error


class OneOf:
    """`Literal`."""

    is_titled = True

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = [(_wire(value), value) for value in values]

    def schema(self, definitions: Definitions) -> Schema:
        on_wire = [wire for wire, _ in self._values]
        listed = {"const": on_wire[0]} if len(on_wire) == 1 else {"enum": on_wire}
        return listed | _type_of(on_wire)

    def read(self, value: Any, care: Care) -> Any:
        for wire, own in self._values:
            if wire == value and (care is Care.LAX or type(wire) is type(value)):
                return own
        raise Mismatch(f"one of {', '.join(repr(wire) for wire, _ in self._values)} is needed, not {_told(value)}")


class Enumeration:
    is_titled = False

    def __init__(self, cls: type[Enum]) -> None:
        self._cls = cls
        # An IntEnum is an int: "1" is taken for 1.
        self._plain = next((Plain(base) for base in (int, float, str) if issubclass(cls, base)), None)

    def schema(self, definitions: Definitions) -> Schema:
        return definitions.refer(self._cls, self._definition)

    def _definition(self) -> Schema:
        on_wire = [_wire(member.value) for member in self._cls]
        about = _description(self._cls, "An enumeration.")
        return (
            about | {"title": self._cls.__name__, "enum": on_wire} | (_type_of(on_wire) if None not in on_wire else {})
        )

    def read(self, value: Any, care: Care) -> Any:
        if care is Care.EXACT:
            raise Mismatch(f"a {self._cls.__name__} is needed, not {_told(value)}")
        for candidate in self._candidates(value, care):
            for member in self._cls:
                if _wire(member.value) == candidate:
                    return member
        wanted = ", ".join(repr(_wire(member.value)) for member in self._cls)
        raise Mismatch(f"one of {wanted} is needed, not {_told(value)}")

    def _candidates(self, value: Any, care: Care) -> list[Any]:
        if care is not Care.LAX or self._plain is None:
            return [value]
        try:
            return [value, self._plain.read(value, care)]
        except Mismatch:
            return [value]


# -- values that hold others --


class Items:
    """A list, set or tuple of any length, all of one kind."""

    is_titled = True

    def __init__(self, item: Kind, make: Callable[[list[Any]], Any] | None, *, is_set: bool = False) -> None:
        self._item, self._make, self._is_set = item, make, is_set

    def schema(self, definitions: Definitions) -> Schema:
        schema = {"type": "array", "items": self._item.schema(definitions)}
        return schema | {"uniqueItems": True} if self._is_set else schema

    def read(self, value: Any, care: Care) -> Any:
        items = _list(value)
        found = [_read_at(step, self._item, item, care) for step, item in enumerate(items)]
        return found if self._make is None else self._make(found)


class Fixed:
    """A tuple with a kind for each place."""

    is_titled = True

    def __init__(self, items: Sequence[Kind]) -> None:
        self._items = items

    def schema(self, definitions: Definitions) -> Schema:
        schema: Schema = {"type": "array", "minItems": len(self._items), "maxItems": len(self._items)}
        if self._items:
            schema["prefixItems"] = [item.schema(definitions) for item in self._items]
        return schema

    def read(self, value: Any, care: Care) -> tuple[Any, ...]:
        items = _list(value)
        if len(items) != len(self._items):
            raise Mismatch(f"a list of {len(self._items)} is needed, not of {len(items)}")
        pairs = zip(self._items, items, strict=True)
        return tuple(_read_at(step, kind, item, care) for step, (kind, item) in enumerate(pairs))


class Mapped:
    """A dict with values of one kind. Keys are text in JSON, and become what is declared."""

    is_titled = True

    def __init__(self, key: Kind, value: Kind) -> None:
        self._key, self._value = key, value

    def schema(self, definitions: Definitions) -> Schema:
        names = self._key.schema(definitions)
        for name in ("type", "title"):
            names.pop(name, None)  # a name is always a string
        schema: Schema = {"type": "object", "additionalProperties": self._value.schema(definitions) or True}
        return schema | {"propertyNames": names} if names else schema

    def read(self, value: Any, care: Care) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for name, item in _dict(value).items():
            key = _read_at(name, self._key, name, Care.LAX)
            found[key] = _read_at(name, self._value, item, care)
        return found


class Maybe:
    """`Optional`."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    @property
    def is_titled(self) -> bool:
        return self._kind.is_titled

    def schema(self, definitions: Definitions) -> Schema:
        inner = self._kind.schema(definitions)
        variants = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
        return {"anyOf": [*variants, {"type": "null"}]}

    def read(self, value: Any, care: Care) -> Any:
        return None if value is None else self._kind.read(value, care)


class Choice:
    """`Union`. The member that fits best is taken, the first of several."""

    is_titled = True

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds

    def schema(self, definitions: Definitions) -> Schema:
        variants: list[Schema] = []
        for kind in self._kinds:
            variant = kind.schema(definitions)
            if variant not in variants:
                variants.append(variant)
        return variants[0] if len(variants) == 1 else {"anyOf": variants}

    def read(self, value: Any, care: Care) -> Any:
        faults: list[str] = []
        for each in (Care.EXACT, Care.STRICT, Care.LAX):
            if each < care:
                break
            faults = []
            for kind in self._ranked(value):
                try:
                    # That an object has a class's fields says more than how closely the fields fit.
                    return kind.read(value, Care.LAX if isinstance(kind, Object) else each)
                except Mismatch as fault:
                    faults.append(str(fault))
        raise Mismatch("; or ".join(dict.fromkeys(faults)))

    def _ranked(self, value: Any) -> Iterator[Kind]:
        """The members as declared, but among classes those first that know more of the value's fields."""
        objects = iter(
            sorted((kind for kind in self._kinds if isinstance(kind, Object)), key=lambda kind: -kind.known(value))
        )
        for kind in self._kinds:
            yield next(objects) if isinstance(kind, Object) else kind


class Field(NamedTuple):
    name: str
    kind: Kind
    is_required: bool
    default: Any = ABSENT  # as it stands in the schema


class Object:
    """A dataclass or a TypedDict. Fields that it does not know are left out."""

    is_titled = False

    def __init__(self, cls: type, make: Callable[..., Any]) -> None:
        """`fields` is filled in afterwards: a class may hold itself."""
        self._cls, self._make = cls, make
        self.fields: list[Field] = []

    def schema(self, definitions: Definitions) -> Schema:
        return definitions.refer(self._cls, lambda: self._definition(definitions))

    def _definition(self, definitions: Definitions) -> Schema:
        about = _description(self._cls, f"{self._cls.__name__}(")
        return about | {"title": self._cls.__name__} | _object_schema(self.fields, definitions)

    def known(self, value: Any) -> int:
        """How many of a value's fields are known here."""
        return sum(field.name in value for field in self.fields) if isinstance(value, dict) else 0

    def read(self, value: Any, care: Care) -> Any:
        found = _read_fields(self.fields, _dict(value), care)
        try:
            return self._make(**found)
        except (ValueError, AssertionError) as error:  # out of `__post_init__`
            raise Mismatch(str(error)) from error


class Arguments:
    """The parameters of a function, by name."""

    is_titled = False

    def __init__(self, fields: Sequence[Field], others: Kind | None) -> None:
        """`others` is the kind of what `**` takes; None where there is no such parameter."""
        self._fields, self._others = fields, others

    def schema(self, definitions: Definitions) -> Schema:
        schema = _object_schema(self._fields, definitions)
        others = self._others.schema(definitions) if self._others is not None else False
        return schema if others == {} else schema | {"additionalProperties": others}

    def read(self, value: Any, care: Care) -> dict[str, Any]:
        given = _dict(value)
        known = {field.name for field in self._fields}
        others = {name: item for name, item in given.items() if name not in known}
        if others and self._others is None:
            raise Mismatch("there is no such parameter", next(iter(others)))
        found = _read_fields(self._fields, given, care)
        for name, item in others.items():
            assert self._others is not None
            found[name] = _read_at(name, self._others, item, care)
        return found


def _object_schema(fields: Sequence[Field], definitions: Definitions) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {field.name: _field_schema(field, definitions) for field in fields},
    }
    required = [field.name for field in fields if field.is_required]
    return schema | {"required": required} if required else schema


def _field_schema(field: Field, definitions: Definitions) -> Schema:
    schema = field.kind.schema(definitions)
    if field.default is not ABSENT:
        schema["default"] = field.default
    if field.kind.is_titled:
        schema["title"] = field.name.title().replace("_", " ").strip()
    return schema


def _read_fields(fields: Sequence[Field], value: Mapping[str, Any], care: Care) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        if field.name in value:
            found[field.name] = _read_at(field.name, field.kind, value[field.name], care)
        elif field.is_required:
            raise Mismatch("is missing", field.name)
    return found


# -- helpers --


def _read_at(step: str | int, kind: Kind, value: Any, care: Care) -> Any:
    try:
        return kind.read(value, care)
    except Mismatch as fault:
        raise fault.inside(step) from fault.__cause__


def _list(value: Any) -> Sequence[Any]:
    if not is_list(value):
        raise Mismatch(f"a list is needed, not {_told(value)}")
    return value


def _dict(value: Any) -> Mapping[str, Any]:
    if not is_mapping(value):
        raise Mismatch(f"an object is needed, not {_told(value)}")
    return value


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wire(value: Any) -> Any:
    """A literal or an enum's value, as JSON has it."""
    value = value.value if isinstance(value, Enum) else value
    return value.decode() if isinstance(value, bytes) else msgspec.json.decode(msgspec.json.encode(value))


_TYPE_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", type(None): "null"}


def _type_of(values: Sequence[Any]) -> Schema:
    """The `type` that all have, if they have one."""
    types: set[type[Any]] = {type(value) for value in values}
    name = _TYPE_NAMES.get(types.pop()) if len(types) == 1 else None
    return {"type": name} if name is not None else {}


def _description(cls: type, not_this: str) -> Schema:
    """A class's docstring, unless Python made it."""
    doc = cls.__doc__
    return {"description": cleandoc(doc)} if doc and not doc.startswith(not_this) else {}
