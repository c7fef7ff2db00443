"""Records: what the API sends, as objects with attributes. SDK-40, 41.

A record's `__dict__` is the JSON object that came: fields and types that nobody knows stay in it, and go back as they
were. Classes declare fields by annotations; of these, only those that hold records or times are looked at when a record
is built.
"""

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from math import isfinite
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

import msgspec

from .guards import LIST, OBJECT, is_list, is_mapping, is_object, is_set

__all__ = ["Record", "build", "encode", "plain", "read_as"]

Reader = Callable[[Any], Any]  # a decoded JSON value -> what stands in its place; a value of another kind stays
R = TypeVar("R", bound="Record")
Fields = dict[str, Any]


class FieldError(TypeError, ValueError):
    """A record cannot be made of this: fields are missing, or it is no dictionary."""


class _PydanticSerializer:
    """Made for a class when Pydantic first asks, as it does for a value of which its model says only `Any`."""

    def __get__(self, record: Any, cls: "type[Record]") -> Any:
        try:
            from .pydantic_schema import serializer_for
        except ImportError as error:
            raise AttributeError("__pydantic_serializer__: Pydantic is not there") from error
        cls.__pydantic_serializer__ = serializer = serializer_for(cls)
        return serializer


@dataclass_transform(kw_only_default=True, eq_default=False)
class Record:
    """Base of all replies. Attributes may be changed; equality is by class and fields.

    A declared field that did not come reads as its default, and as None where it has none: SDK-40. A field with the
    name of a method hides it; so methods here ask the class for one another.
    """

    __slots__ = ("__dict__", "__weakref__", "_request_id")

    _request_id: str | None  # the reply's `request-id`; of no record but the outermost (SDK-41)
    __readers__: ClassVar[tuple[tuple[str, Reader], ...] | None] = None
    __unsent__: ClassVar[frozenset[str]] = frozenset()  # fields of ours: in no dump and in no request

    def __init__(self, /, **fields: Any) -> None:
        """Dictionaries become records where records are declared. Raises FieldError for a missing field."""
        missing = [name for name in _fields(type(self)) if name not in fields and not hasattr(type(self), name)]
        if missing:
            raise FieldError(f"{type(self).__name__}: missing {', '.join(missing)}")
        _fill(self, _copied(fields))

    if not TYPE_CHECKING:  # a type checker is to refuse what is not declared

        def __getattr__(self, name: str) -> Any:
            if name == "_request_id" or name in _fields(type(self)):
                return None
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__ or type(self)._all(self) == type(other)._all(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Pairs of names and values, so that `dict(record)` is what one expects."""
        return iter(type(self)._all(self).items())

    def _all(self) -> Fields:
        """What came, and what is read for what did not: declared fields first."""
        cls = type(self)
        fields = self.__dict__
        return {name: fields[name] if name in fields else getattr(cls, name, None) for name in _fields(cls)} | fields

    # -- as data --

    def to_dict(
        self,
        *,
        mode: Literal["json", "python"] = "python",
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> Fields:
        """The JSON object that came. With `exclude_unset=False`, declared fields that did not come are in it too.

        `mode="json"` has times as text. `use_api_names` and `warnings` change nothing here.
        """
        return type(self).model_dump(
            self, mode=mode, exclude_unset=exclude_unset, exclude_defaults=exclude_defaults, exclude_none=exclude_none
        )

    def to_json(
        self,
        *,
        indent: int | None = 2,
        use_api_names: bool = True,
        exclude_unset: bool = True,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        warnings: bool = True,
    ) -> str:
        return type(self).model_dump_json(
            self,
            indent=indent,
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
        )

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Any = None,
        exclude: Any = None,
        by_alias: bool | None = None,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        **_: Any,
    ) -> Fields:
        """A dictionary of plain values, nothing of it shared with the record.

        `include` and `exclude` are sets of names, or dictionaries that say what is meant of a part. Further options of
        Pydantic's are taken and change nothing.
        """
        fields = self.__dict__ if exclude_unset else type(self)._all(self)
        rules = _Dump(mode == "json", exclude_unset, exclude_defaults, exclude_none)
        dumped = {name: rules.of(value) for name, value in fields.items() if rules.takes(type(self), name, value)}
        if include is None and exclude is None:
            return dumped
        from .picks import picked

        return picked(dumped, include, exclude)  # type: ignore[no-any-return]

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As `model_dump`, as JSON text."""
        options["mode"] = "json"
        text = msgspec.json.encode(type(self).model_dump(self, **options))
        return (text if indent is None else msgspec.json.format(text, indent=indent)).decode()

    def dict(self, **options: Any) -> Fields:
        return self.model_dump(**options)

    def json(self, **options: Any) -> str:
        return self.model_dump_json(**options)

    @property
    def model_fields_set(self) -> set[str]:
        """Names of what came or was set."""
        return set(self.__dict__)

    @property
    def model_extra(self) -> Fields | None:
        """What came that is not declared."""
        known = _fields(type(self))
        return {name: value for name, value in self.__dict__.items() if name not in known}

    # -- from data --

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **fields: Any) -> Self:
        """A record of whatever is given; nothing is checked."""
        return build(cls, _copied(fields))

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **fields: Any) -> Self:
        return build(cls, _copied(fields))

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Self:
        """A record of a dictionary, or this record itself. Raises FieldError for a missing field, or anything else."""
        if isinstance(obj, cls):
            return obj
        if not isinstance(obj, Mapping):
            raise FieldError(f"{cls.__name__}: needs a dictionary, not {type(obj).__name__}")
        return cls(**obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes, **_: Any) -> Self:
        """As `model_validate`, of JSON text. Raises ValueError when it is none."""
        return cls.model_validate(msgspec.json.decode(json_data))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        from copy import copy, deepcopy

        new = deepcopy(self) if deep else copy(self)
        new.__dict__ = {**new.__dict__, **(update or {})}
        return new

    __pydantic_serializer__: ClassVar[Any] = _PydanticSerializer()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Lets a Pydantic model hold records, made from dictionaries and dumped to them."""
        from .pydantic_schema import schema_for

        return schema_for(cls, _fields(cls), tags_of(cls))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Fields:
        from .pydantic_schema import json_schema

        return json_schema(cls, _fields(cls))


class _Dump:
    """How values are written by `model_dump`."""

    def __init__(self, as_json: bool, exclude_unset: bool, exclude_defaults: bool, exclude_none: bool) -> None:
        self._as_json = as_json
        self._exclude_unset = exclude_unset
        self._exclude_defaults = exclude_defaults
        self._exclude_none = exclude_none

    def takes(self, cls: type[Record], name: str, value: Any) -> bool:
        if (value is None and self._exclude_none) or name in cls.__unsent__:
            return False
        return not (
            self._exclude_defaults and name in _fields(cls) and hasattr(cls, name) and getattr(cls, name) == value
        )

    def of(self, value: Any) -> Any:
        if isinstance(value, Record):
            fields = value.__dict__ if self._exclude_unset else type(value)._all(value)
            return {name: self.of(item) for name, item in fields.items() if self.takes(type(value), name, item)}
        if is_object(value):
            return {name: self.of(item) for name, item in value.items()}
        if is_list(value):
            return [self.of(item) for item in value]
        if isinstance(value, datetime) and self._as_json:
            return _time_text(value)
        if self._as_json and not isinstance(value, str | int | float | bool | None):
            return plain(value)
        return value


def build(cls: type[R], fields: dict[str, Any]) -> R:
    """A record of a decoded JSON object, which it keeps and changes: the quick way, nothing is checked."""
    self = cls.__new__(cls)
    self.__dict__ = fields
    readers = cls.__dict__.get("__readers__")
    for name, read in _compile(cls) if readers is None else readers:
        value = fields.get(name)
        if value is not None:
            fields[name] = read(value)
    return self


def _copied(value: Any) -> Any:
    """JSON as another object, whose parts may become records while the caller's stay as they are."""
    if type(value) is OBJECT:
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if type(value) is LIST else value


def _fill(record: Record, fields: dict[str, Any]) -> None:
    record.__dict__ = fields
    for name, read in type(record).__dict__.get("__readers__") or _compile(type(record)):
        value = fields.get(name)
        if value is not None:
            fields[name] = read(value)


# -- from annotations to readers, once a class --


def _fields(cls: type) -> dict[str, Any]:
    """Names of declared fields, those of base classes first; values are the annotations as they stand."""
    found = _FIELDS.get(cls)
    if found is None:
        found = _FIELDS[cls] = {
            name: annotation
            for base in reversed(cls.__mro__)
            if issubclass(base, Record) and base is not Record
            for name, annotation in base.__dict__.get("__annotations__", {}).items()  # noqa: RUF063 (inspect is dear)
            if not name.startswith("_")
        }
    return found


_FIELDS: dict[type, dict[str, Any]] = {}


def _compile(cls: type[Record]) -> tuple[tuple[str, Reader], ...]:
    from typing import get_type_hints

    hints = get_type_hints(cls)
    made = ((name, reader_of(hints[name])) for name in _fields(cls))
    readers = tuple((name, reader) for name, reader in made if reader is not None)
    cls.__readers__ = readers
    return readers


def read_as(annotation: Any, value: Any) -> Any:
    """`value`, decoded JSON, as what `annotation` says: a record class, a union or list of them, or anything plain."""
    reader = reader_of(annotation)
    return value if reader is None else reader(value)


def reader_of(annotation: Any) -> Reader | None:
    """What makes values of this type out of JSON; None where they are what JSON has already."""
    try:
        return _READERS[annotation]
    except KeyError:
        reader = _READERS[annotation] = _make_reader(annotation)
        return reader
    except TypeError:  # an annotation that cannot be hashed
        return _make_reader(annotation)


_READERS: dict[Any, Reader | None] = {}


def _make_reader(annotation: Any) -> Reader | None:
    origin = get_origin(annotation)
    if origin is Union or origin is types.UnionType:
        return _union_reader(get_args(annotation))
    if origin is list:
        return _list_reader(get_args(annotation)[0])
    if origin is dict:
        return _dict_reader(get_args(annotation)[1])
    if isinstance(origin, type) and issubclass(origin, Record):  # ParsedMessage[T]
        annotation = origin
    if annotation is datetime:
        return _time
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return lambda value: build(annotation, value) if type(value) is OBJECT else value
    return None


def _list_reader(item: Any) -> Reader | None:
    read = reader_of(item)
    if read is None:
        return None
    return lambda value: [read(each) for each in value] if type(value) is LIST else value


def _dict_reader(item: Any) -> Reader | None:
    read = reader_of(item)
    if read is None:
        return None
    return lambda value: {name: read(each) for name, each in value.items()} if type(value) is OBJECT else value


def _union_reader(members: tuple[Any, ...]) -> Reader | None:
    """By the tag `type`, where members have one. An object that no member claims becomes a bare Record; where there is
    but one member, it is that, whatever its tag.
    """
    flat = list(_flat(members))
    records = [each for each in flat if isinstance(each, type) and issubclass(each, Record)]
    rest = [reader for each in flat if each not in records and (reader := reader_of(each)) is not None]
    if not records:
        return rest[0] if rest else None
    tagged = {tag: each for each in reversed(records) for tag in tags_of(each)}
    otherwise: type[Record] = records[0] if len(records) == 1 else Record
    untagged = next((each for each in records if hasattr(each, "type")), otherwise)  # its tag may be missing

    def read(value: Any) -> Any:
        if type(value) is OBJECT:
            tag = value.get("type")
            return build(tagged.get(tag, otherwise) if isinstance(tag, str) else untagged, value)
        for other in rest:
            value = other(value)
        return value

    return read


def _flat(members: Iterable[Any]) -> Iterator[Any]:
    for each in members:
        if get_origin(each) in (Union, types.UnionType):
            yield from _flat(get_args(each))
        else:
            origin = get_origin(each)
            yield origin if isinstance(origin, type) and issubclass(origin, Record) else each


def tags_of(cls: type[Record]) -> tuple[str, ...]:
    """The values that `type` may have in this class: () where it is not a Literal, or one and None."""
    from typing import get_type_hints

    kind = get_type_hints(cls).get("type")
    literals = [each for each in (kind, *get_args(kind)) if get_origin(each) is Literal]
    return get_args(literals[0]) if literals else ()


# -- times, and values on their way out --


def _time(value: Any) -> Any:
    """RFC 3339 text as a datetime; text that is none stays text."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value


def _time_text(value: datetime) -> str:
    text = value.isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def plain(value: Any) -> Any:
    """What stands in a request for a value that JSON does not have: `enc_hook` of the encoder. Raises TypeError."""
    if isinstance(value, Record):
        fields = value.__dict__
        unsent = type(value).__unsent__
        return {name: item for name, item in fields.items() if name not in unsent} if unsent else fields
    if isinstance(value, datetime):
        return _time_text(value)
    for kind, bare in BARE:
        if isinstance(value, kind):
            return bare(value)
    # Asked of the class: an object that makes up its attributes, such as a mock, has no end of them.
    if _has(value, "model_dump"):  # a Pydantic model, such as a block of another client
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, PathLike) or hasattr(value, "read"):
        return _file_text(value)
    if is_mapping(value):
        return dict(value)
    if _has(value, "to_dict"):  # a tool
        return value.to_dict()
    if _has(value, "__iter__"):
        items: Iterable[Any] = value
        return list(items)
    raise TypeError(f"a request cannot hold a {type(value).__name__}")


def _file_text(value: Any) -> str:
    """A file or its path, where a request may have one for `data`: the content as base64. Raises OSError."""
    from base64 import b64encode
    from pathlib import Path

    content = value.read() if hasattr(value, "read") else Path(value).read_bytes()
    return b64encode(content if isinstance(content, bytes) else content.encode()).decode()


# Classes that extend these, numpy's float64 and Markup for instance -> the value alone.
BARE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)

_encode = msgspec.json.Encoder(enc_hook=plain).encode


def encode(value: Any) -> bytes:
    """`value` as JSON. Raises TypeError for what it cannot hold, ValueError for NaN and infinity, RecursionError for
    what is in itself."""
    body = _encode(value)
    if b'"base64"' in body and (place := _place_of_bytes(value)) is not None:
        raise TypeError(
            f"{place.lstrip('.')} is bytes, and JSON has none: give text. What base64.b64encode() returns becomes text "
            "by `.decode()`"
        )
    if b"null" in body:  # which NaN would have become without a word
        _must_be_finite(value)
    return body


def _place_of_bytes(value: Any) -> str | None:
    """Where the first bytes are, as `.messages[0].content[1].source.data`: the encoder would write them as base64, and
    so what is base64 already a second time."""
    if isinstance(value, bytes | bytearray | memoryview):
        return ""
    if isinstance(value, Record):
        value = value.__dict__
    if is_mapping(value):
        members = ((f".{key}", item) for key, item in value.items())
    elif is_list(value):
        members = ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        return None
    return next((f"{step}{inner}" for step, item in members if (inner := _place_of_bytes(item)) is not None), None)


def _has(value: object, name: str) -> bool:
    return hasattr(type(value), name)


def _must_be_finite(value: Any) -> None:
    due = [value]
    while due:
        each = due.pop()
        if isinstance(each, float) and not isfinite(each):
            raise ValueError(f"a request cannot hold {float(each)}: JSON has no such number")
        if isinstance(each, Record):
            due.extend(each.__dict__.values())
        elif is_mapping(each):
            due.extend(each.values())
        elif is_list(each) or is_set(each):
            due.extend(each)
