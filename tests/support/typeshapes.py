"""The shapes of types, the official package's and ours, in one form that can be compared; and examples of them."""

import importlib
import json
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import pydantic
import typing_extensions

from dragoman.client.record import Record

PAIRS = ("types", "types.messages", "types.beta", "types.beta.messages")  # below `anthropic` and below `dragoman`

# What of the official packages `types` is no part of the Messages API; each pattern with what it is.
OUT_OF_SCOPE = {
    r"UserProfile(?!\w*ErrorDetails)": "user profiles",
    r"^(Beta)?(Deleted)?Skill(?!Params|Read)": "endpoints for skills",
    r"^(Beta)?Organization(Info|Role)?$|Monetary|BetaCurrency": "organisations and money",
    r"ManagedAgents|^Agent|^Beta(Cloud|SelfHosted)Config|^Beta(Unr|L)\w*Network|^BetaPackages": "agents, environments",
    r"Session|Deployment|Environment|^BetaOutputBehavior|^Thread(Create|Send)Params": "sessions and their like",
    r"Dream|MemoryStore|Tunnel|Vault|[Ww]ebhook": "dreams, memory stores, tunnels, vaults, webhooks",
    r"^BetaInvalid(Metadata|ConfigTypeChange)Error": "errors of agents",
}


class Field(NamedTuple):
    kind: str  # canonical text of the type
    is_required: bool
    default: Any = None


class Pair(NamedTuple):
    """A name in the official package, and what it is there and here."""

    where: str
    name: str
    theirs: Any
    ours: Any


def is_out_of_scope(name: str) -> bool:
    return any(re.search(pattern, name) for pattern in OUT_OF_SCOPE)


def official_names(where: str) -> list[str]:
    module = importlib.import_module(f"anthropic.{where}")
    return sorted(
        name
        for name in dir(module)
        if not name.startswith("_")
        and name != "annotations"
        and not isinstance(getattr(module, name), types.ModuleType)
    )


def pairs() -> Iterator[Pair]:
    """Every official name in scope that we have too."""
    for where in PAIRS:
        theirs = importlib.import_module(f"anthropic.{where}")
        ours = importlib.import_module(f"dragoman.{where}")
        for name in official_names(where):
            if not is_out_of_scope(name) and name in ours.__all__:
                yield Pair(where, name, getattr(theirs, name), getattr(ours, name))


def is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Record)


def is_typed_dict(kind: Any) -> bool:
    return bool(typing_extensions.is_typeddict(kind))


# -- canonical text --

# Official classes that are known by no name of their own in `types`, and their counterparts.
LOCAL = {
    "anthropic.types.raw_message_delta_event.Delta": "dragoman.types.raw_events.MessageDelta",
    "anthropic.types.beta.beta_raw_message_delta_event.Delta": "dragoman.types.beta.raw_events.BetaMessageDelta",
    "anthropic.types.tool_param.InputSchemaTyped": "dragoman.types.params.tools.InputSchemaTyped",
    "anthropic.types.beta.beta_tool_param.InputSchemaTyped": "dragoman.types.params.tools.InputSchemaTyped",
    "anthropic.types.messages.batch_create_params.Request": "dragoman.types.params.batches.Request",
    "anthropic.types.beta.messages.batch_create_params.Request": "dragoman.types.params.batches.BetaRequest",
    "anthropic.types.message_create_params.MessageCreateParamsNonStreaming": (
        "dragoman.types.params.request.MessageCreateParamsNonStreaming"
    ),
    "anthropic.types.message_create_params.MessageCreateParamsStreaming": (
        "dragoman.types.params.request.MessageCreateParamsStreaming"
    ),
    "anthropic.types.beta.message_create_params.MessageCreateParamsNonStreaming": (
        "dragoman.types.params.beta.BetaMessageCreateParamsNonStreaming"
    ),
    "anthropic.types.beta.message_create_params.MessageCreateParamsStreaming": (
        "dragoman.types.params.beta.BetaMessageCreateParamsStreaming"
    ),
}

# Classes of arguments that are no types of the API.
OF_ARGUMENTS = {
    "Omit": "dragoman.client.given.Omit",
    "NotGiven": "dragoman.client.given.NotGiven",
    "SupportsToDict": "dragoman.types.arguments.SupportsToDict",
}


def told(kind: Any) -> str:
    """A type as text that is the same for the official one and for ours: unions sorted, their classes as ours."""
    if kind is None or kind is type(None):
        return "None"
    if isinstance(kind, typing.TypeVar | typing_extensions.TypeVar):
        return "Any"
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Annotated, typing_extensions.Required, typing_extensions.NotRequired):
        return told(inner[0])
    if origin in (Union, types.UnionType):
        return " | ".join(sorted(set(parts_of(kind))))
    if origin is Literal:
        return " | ".join(sorted(f"={value!r}" for value in inner))
    if origin is not None and (is_record(origin) or is_model(origin)):
        return told(origin)
    if origin is not None:
        if origin is os.PathLike:
            return "PathLike"  # official only for type checkers what it is a path of
        return f"{origin.__name__}[{', '.join(told(each) for each in inner)}]"
    return class_name(kind) if isinstance(kind, type) else str(kind)


def parts_of(kind: Any) -> Iterator[str]:
    for each in get_args(kind):
        while get_origin(each) is Annotated:
            each = get_args(each)[0]
        if get_origin(each) in (Union, types.UnionType):
            yield from parts_of(each)
        else:
            yield from told(each).split(" | ") if get_origin(each) is Literal else [told(each)]


def class_name(kind: type) -> str:
    """Our class of that name, for one of the official package; `str` and the like as they are."""
    if kind is os.PathLike:
        return "PathLike"
    path = f"{kind.__module__}.{kind.__qualname__}"
    if not path.startswith("anthropic."):
        return kind.__name__ if kind.__module__ in ("builtins", "datetime", "typing") else path
    if kind.__name__ in OF_ARGUMENTS:
        return OF_ARGUMENTS[kind.__name__]
    if path in LOCAL:
        return LOCAL[path]
    return told(counterpart(kind))


def counterpart(kind: type) -> Any:
    """What we have for an official class."""
    if ".lib.streaming." in kind.__module__:
        where = "types.beta.events" if "beta" in kind.__module__ else "types.events"
    else:
        where = next(
            where
            for where in reversed(PAIRS)
            if f"{kind.__module__}.".startswith(f"anthropic.{where}.") or where == "types"
        )
    name = re.sub(r"\[.*", "", kind.__name__)  # generic classes of Pydantic's have their argument in the name
    return getattr(importlib.import_module(f"dragoman.{where}"), name)


# -- fields --

# What annotations in `arguments` name, which it loads for type checkers only.
NAMES: dict[str, Any] = {"Iterable": Iterable, "Mapping": Mapping, "Timeout": object}
for _module in "batches beta beta_tools content request tools values".split():
    NAMES |= vars(importlib.import_module(f"dragoman.types.params.{_module}"))


def fields_of(kind: Any) -> dict[str, Field]:
    """What a model, a record or a TypedDict holds."""
    if is_model(kind):
        kind.model_rebuild()
        return {
            field.alias or name: Field(told(field.annotation), field.is_required(), field.default)
            if not field.is_required()
            else Field(told(field.annotation), True)
            for name, field in kind.model_fields.items()
        }
    if is_record(kind):
        hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if not name.startswith("_")}
        return {
            name: Field(told(hint), not hasattr(kind, name), getattr(kind, name, None)) for name, hint in hints.items()
        }
    names = NAMES if kind.__module__ == "dragoman.types.arguments" else None
    hints = typing_extensions.get_type_hints(kind, localns=names, include_extras=True)
    return {name: Field(told(hint), is_key_required(kind, name, hint)) for name, hint in hints.items()}


def is_key_required(kind: Any, name: str, hint: Any) -> bool:
    """`Required` in an annotation that is a string is not known to `__required_keys__`."""
    origin = get_origin(hint)
    return origin is typing_extensions.Required or (
        name in kind.__required_keys__ and origin is not typing_extensions.NotRequired
    )


# -- examples --

TIME = "2026-02-03T04:05:06.120000Z"


def full_examples(kind: type[Record]) -> Iterator[dict[str, Any]]:
    """JSON objects of a record with every field in it: together they have each member of each union."""
    yield from json.loads(_full_examples(kind))


@cache
def _full_examples(kind: type[Record]) -> str:
    options = {name: list(values_of(hint)) for name, hint in hints_of(kind).items()}
    count = max((len(each) for each in options.values()), default=1)
    return json.dumps([{name: each[at % len(each)] for name, each in options.items()} for at in range(count)])


def minimal_example(kind: type[Record]) -> dict[str, Any]:
    return {name: next(values_of(hint, deep=False)) for name, hint in hints_of(kind).items() if not hasattr(kind, name)}


@cache
def hints_of(kind: type[Record]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {name: hint for name, hint in hints.items() if not name.startswith("_") and name not in kind.__unsent__}


def values_of(hint: Any, *, deep: bool = True) -> Iterator[Any]:
    """Values of a type; none of them None, unless it is nothing else."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for each in inner:
            if each is not type(None):
                yield from values_of(each, deep=deep)
    elif origin is Literal:
        yield from inner if deep else inner[:1]
    elif origin is list:
        yield list(values_of(inner[0], deep=deep))
    elif origin is dict:
        yield {"key": next(values_of(inner[1], deep=deep))}
    elif is_record(origin) or is_record(hint):
        record = origin if is_record(origin) else hint
        yield next(full_examples(record)) if deep else minimal_example(record)
    else:
        yield PLAIN.get(hint, {"parsed": True})


PLAIN: Mapping[Any, Any] = {
    str: "text",
    int: 7,
    float: 1.5,
    bool: True,
    object: {"any": [1, None]},
    datetime: TIME,
}


def with_unknown(value: Any) -> Any:
    """The same JSON with a field that nobody knows in each of its objects."""
    if isinstance(value, dict):
        return {name: with_unknown(each) for name, each in value.items()} | {"from_the_future": {"list": [{"a": None}]}}
    return [with_unknown(each) for each in value] if isinstance(value, list) else value
