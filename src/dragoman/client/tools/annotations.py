"""From annotations to kinds: of types, and of the parameters of a function. Loads no Pydantic.

What only Pydantic knows (its models, constraints in `Annotated`, rarer types) is Unknown here; `client/parse.py` and
`functions.py` then ask it, where it is installed.
"""

import collections.abc
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin
from uuid import UUID

import msgspec

from .kinds import (
    ABSENT,
    Arguments,
    Choice,
    Enumeration,
    Field,
    Fixed,
    Items,
    Kind,
    Mapped,
    Maybe,
    Object,
    OneOf,
    Plain,
    Text,
)

__all__ = ["Unknown", "arguments_of", "kind_of"]


class Unknown(TypeError):
    """No kind is known for an annotation."""

    def __init__(self, annotation: object) -> None:
        super().__init__(f"no schema is known for {annotation!r}")


ANYTHING = Plain(object)
_TEXTS: dict[type, dict[str, Any]] = {
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "string", "format": "duration"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]},
}
_LISTS = (
    list,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Iterable,
)
_SETS = (set, collections.abc.Set, collections.abc.MutableSet)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def kind_of(annotation: Any) -> Kind:
    """Raises Unknown, and NameError where text names what is not there."""
    return _Builder().kind(annotation)


def arguments_of(function: Callable[..., Any]) -> Arguments:
    """Raises Unknown, and NameError where text names what is not there."""
    hints = typing.get_type_hints(_annotated(function), include_extras=True)
    build = _Builder()
    fields: list[Field] = []
    others: Kind | None = None
    for parameter in inspect.signature(function).parameters.values():
        kind = build.kind(hints.get(parameter.name, Any))
        if parameter.kind is parameter.VAR_KEYWORD:
            others = kind
        elif _is_of_pydantics(parameter.default):
            raise Unknown(parameter)
        elif parameter.default is parameter.empty:
            fields.append(Field(parameter.name, kind, is_required=True))
        else:
            fields.append(Field(parameter.name, kind, is_required=False, default=_default(parameter.default)))
    return Arguments(fields, others)


def _annotated(function: Any) -> Any:
    """What has the annotations of a callable."""
    while isinstance(function, functools.partial):
        function = function.func
    is_plain = inspect.isroutine(function) or isinstance(function, type)
    return function if is_plain else type(function).__call__


class _Builder:
    """Makes kinds, one for each class."""

    def __init__(self) -> None:
        self._objects: dict[type, Object] = {}

    def kind(self, annotation: Any) -> Kind:
        if annotation in (Any, object):
            return ANYTHING
        if annotation is None:
            return Plain(type(None))
        if isinstance(annotation, typing.NewType):
            return self.kind(annotation.__supertype__)
        origin = get_origin(annotation)
        if origin is None:
            return self._of_class(annotation)
        return self._of_generic(annotation, origin, get_args(annotation))

    def _of_class(self, cls: Any) -> Kind:
        if not inspect.isclass(cls) or _is_pydantics(cls):
            raise Unknown(cls)
        if cls in (bool, int, float, str, bytes, type(None)):
            return Plain(cls)
        if cls in _TEXTS:
            return Text(cls, _TEXTS[cls])
        if issubclass(cls, Enum) and not issubclass(cls, Flag):
            return Enumeration(cls)
        if _is_typed_dict(cls):
            return self._object(cls, dict, self._of_typed_dict)
        if dataclasses.is_dataclass(cls):
            return self._object(cls, cls, self._of_dataclass)
        if cls is tuple:
            return Items(ANYTHING, tuple)
        return self._of_generic(cls, cls, ())

    def _of_generic(self, annotation: Any, origin: Any, arguments: tuple[Any, ...]) -> Kind:
        if origin is Annotated:
            if any(_is_of_pydantics(note) for note in arguments[1:]):
                raise Unknown(annotation)
            return self.kind(arguments[0])
        if origin is Literal:
            return OneOf(_flat(arguments))
        if origin in (Union, types.UnionType):
            return self._of_union(arguments)
        if origin is tuple:
            return self._of_tuple(arguments)
        if origin in _MAPPINGS:
            key, value = arguments or (Any, Any)
            return Mapped(self.kind(key), self.kind(value))
        if origin in (*_LISTS, *_SETS, frozenset):
            item = self.kind(arguments[0]) if arguments else ANYTHING
            make = set if origin in _SETS else frozenset if origin is frozenset else None
            return Items(item, make, is_set=make is not None)
        raise Unknown(annotation)

    def _of_union(self, members: tuple[Any, ...]) -> Kind:
        kinds = [self.kind(member) for member in members if member is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else Choice(kinds)
        return kind if type(None) not in members else Maybe(kind)

    def _of_tuple(self, arguments: tuple[Any, ...]) -> Kind:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return Items(self.kind(arguments[0]), tuple)
        return Fixed([self.kind(each) for each in arguments])

    # -- classes with fields --

    def _object(self, cls: type, make: Callable[..., Any], fields_of: Callable[[type], list[Field]]) -> Object:
        """A class that holds itself meets the kind that is being made."""
        if cls in self._objects:
            return self._objects[cls]
        made = self._objects[cls] = Object(cls, make)
        made.fields = fields_of(cls)
        return made

    def _of_typed_dict(self, cls: Any) -> list[Field]:
        return [self._item(cls, name, hint) for name, hint in _hints(cls).items()]

    def _item(self, cls: Any, name: str, hint: Any) -> Field:
        is_required = name in cls.__required_keys__
        while (qualifier := getattr(get_origin(hint), "_name", "")) in ("Required", "NotRequired", "ReadOnly"):
            # With annotations as text, `__required_keys__` does not know of these.
            is_required = {"Required": True, "NotRequired": False}.get(qualifier, is_required)
            hint = get_args(hint)[0]
        return Field(name, self.kind(hint), is_required)

    def _of_dataclass(self, cls: Any) -> list[Field]:
        hints = _hints(cls)
        fields = dataclasses.fields(cls)
        is_usual = cls.__dataclass_params__.init and all(field.init for field in fields)
        if not is_usual or any(type(hint) is dataclasses.InitVar for hint in hints.values()):
            raise Unknown(cls)  # what is given is not what is kept: seldom, and Pydantic knows it
        by_name = sorted(fields, key=lambda field: bool(field.kw_only))
        return [self._attribute(field, hints[field.name]) for field in by_name]

    def _attribute(self, field: "dataclasses.Field[Any]", hint: Any) -> Field:
        if _is_of_pydantics(field.default):
            raise Unknown(field.default)
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        default = ABSENT if field.default is dataclasses.MISSING else _default(field.default)
        return Field(field.name, self.kind(hint), is_required=not has_default, default=default)


def _hints(cls: type) -> dict[str, Any]:
    """A class within a function is not among its module's names, but may name itself."""
    return typing.get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)


def _flat(values: tuple[Any, ...]) -> list[Any]:
    """The values of a Literal, those of Literals within it too, each once."""
    found: list[Any] = []
    for value in values:
        for each in _flat(get_args(value)) if get_origin(value) is Literal else [value]:
            if not any(type(each) is type(other) and each == other for other in found):
                found.append(each)
    return found


def _default(value: Any) -> Any:
    """As JSON; ABSENT for what JSON does not have."""
    try:
        return msgspec.json.decode(msgspec.json.encode(sorted(value) if _is_set(value) else value))
    except TypeError:
        return ABSENT


def _is_set(value: object) -> TypeGuard[Set[Any]]:
    return isinstance(value, set | frozenset)


def _is_typed_dict(cls: type[Any]) -> bool:
    """Of typing or of typing_extensions."""
    return hasattr(cls, "__required_keys__") and issubclass(cls, dict)


def _is_of_pydantics(value: object) -> bool:
    return _is_pydantics(type(value))


def _is_pydantics(cls: type) -> bool:
    """Whether Pydantic gives this class, or this note in `Annotated`, a meaning of its own."""
    if cls.__module__.partition(".")[0] in ("pydantic", "annotated_types"):
        return True
    return any(
        hasattr(cls, name)
        for name in ("__get_pydantic_core_schema__", "__pydantic_core_schema__", "__pydantic_config__")
    )
