"""What a program can see of two Messages clients, the official package's and ours, in one form that can be compared.

A surface is a dictionary: the path of a name, as `messages.create(model)`, and what stands there. Where a method takes
`**arguments: Unpack[SomeArguments]`, the keys of that TypedDict are its parameters.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from dragoman.types import arguments as unpacked

Surface = dict[str, str]

UNPACK = re.compile(r"Unpack\[(?:\w+\.)*(\w+)\]")
PROTOCOLS = frozenset(
    "__enter__ __exit__ __aenter__ __aexit__ __iter__ __next__ __aiter__ __anext__ __await__ __call__ __getitem__ "
    "__len__ __contains__".split()
)
KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional or keyword",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "*",
}


class How(StrEnum):
    """In which way ours differs, as the table of docs/client.md says it."""

    MISSING = "missing"
    ADDED = "added"
    CHANGED = "changed"


class Difference(NamedTuple):
    how: How
    theirs: str | None
    ours: str | None


def differences(theirs: Surface, ours: Surface) -> dict[str, Difference]:
    """Of what is missing or added as a whole, the parts are not told. Where ours takes `**`, it takes any keyword."""
    found: dict[str, Difference] = {}
    for path in sorted(theirs.keys() | ours.keys()):
        left, right = theirs.get(path), ours.get(path)
        if left == right or any(path.startswith((f"{whole}(", f"{whole}.")) for whole in found):
            continue
        if right is None and f"{path.partition('(')[0]}(**)" in ours:
            continue
        how = How.ADDED if left is None else How.MISSING if right is None else How.CHANGED
        found[path] = Difference(how, left, right)
    return found


def surface_of(name: str, thing: Any, *, hidden: frozenset[str] = frozenset()) -> Surface:
    """The public names of a class, or of an instance, which has more of them; and what a class is made with."""
    surface: Surface = {}
    for member in sorted(_names(thing) - hidden):
        surface |= member_surface(f"{name}.{member}", _member(thing, member))
        if not isinstance(thing, type) and surface[f"{name}.{member}"] == "a value":
            surface[f"{name}.{member}"] = _kind_of(thing, member)
    if isinstance(thing, type):
        surface |= parameters(name, thing.__init__)
    return surface


def _kind_of(thing: Any, name: str) -> str:
    """The type of an attribute's value, where it is one of Python's own."""
    try:
        kind = type(getattr(thing, name))
    except Exception as error:  # whatever it is, it is compared
        return f"raises {type(error).__name__}"
    return kind.__name__ if kind.__module__ in ("builtins", "datetime") else "an object"


def _names(thing: Any) -> set[str]:
    cls = thing if isinstance(thing, type) else type(thing)
    names = set(dir(thing))
    for base in cls.__mro__:
        names |= inspect.get_annotations(base).keys()
    return {name for name in names if not name.startswith("_") or name in PROTOCOLS}


def _member(thing: Any, name: str) -> Any:
    """As it stands in the class; a method of an instance as that has it; None for what is no more than declared."""
    found = inspect.getattr_static(thing, name, None)
    return found.__func__ if isinstance(found, classmethod | staticmethod) else found


def member_surface(path: str, member: Any) -> Surface:
    if not (inspect.isfunction(member) or inspect.ismethod(member) or inspect.isbuiltin(member)):
        return {path: "a class" if isinstance(member, type) else "a value"}
    plain = inspect.unwrap(member)
    kind = "a coroutine" if inspect.iscoroutinefunction(plain) else "a method"
    is_called_by_syntax = path.endswith("__")  # and so by nobody with names of parameters
    return {path: kind} | ({} if is_called_by_syntax else parameters(path, member))


def parameters(path: str, function: Callable[..., Any]) -> Surface:
    """`path(name)` -> its kind, and its default or that it is required."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # of something built in
        return {}
    found: Surface = {}
    for index, each in enumerate(signature.parameters.values()):
        is_hidden = each.name.startswith("_") and each.kind is not each.VAR_KEYWORD
        if (index == 0 and each.name in ("self", "cls")) or is_hidden:
            continue
        if each.kind is each.VAR_KEYWORD and (argument_class := _unpacked(function)) is not None:
            found |= _keys(path, argument_class)
        elif each.kind is each.VAR_KEYWORD:
            found[f"{path}(**)"] = "any keyword"
        else:
            found[f"{path}({each.name})"] = f"{KINDS[each.kind]}, {_default(each)}"
    return found


def _unpacked(function: Callable[..., Any]) -> type | None:
    """The TypedDict of a function's `**arguments`; that of its overloads where it has some."""
    plain: Any = inspect.unwrap(function)
    if not inspect.isfunction(plain):
        return None
    names = {
        match[1]
        for each in [plain, *typing.get_overloads(plain)]
        for annotation in each.__annotations__.values()
        if isinstance(annotation, str) and (match := UNPACK.search(annotation))
    }
    assert len(names) <= 1, names
    if not names:
        return None
    name = names.pop()
    return plain.__globals__.get(name) or getattr(unpacked, name)


def _keys(path: str, cls: Any) -> Surface:
    return {
        f"{path}({name})": f"keyword, {'required' if name in cls.__required_keys__ else _left_out(hint)}"
        for name, hint in cls.__annotations__.items()
    }


def _left_out(hint: Any) -> str:
    """What an argument is that a caller leaves out, by what it may be. Types of arguments are loaded for type checkers
    only, so they are looked at as text."""
    text = hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else str(hint)
    return "omit" if "Maybe[" in text else "NOT_GIVEN" if "NotGiven" in text else "None"


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is parameter.empty:
        return "required"
    sentinels = {"Omit": "omit", "NotGiven": "NOT_GIVEN", "UnsetType": "NOT_GIVEN"}  # the last is httpx2's
    return sentinels.get(type(default).__name__) or repr(default)


def both(sync: Mapping[str, Difference], asynchronous: Mapping[str, Difference]) -> Iterator[tuple[str, Difference]]:
    """Differences of a class and its twin for asyncio; what only one of them has, with a word that tells which."""
    for path in sorted(sync.keys() | asynchronous.keys()):
        mine, twins = sync.get(path), asynchronous.get(path)
        if mine is not None and twins is not None and mine.how is twins.how:
            yield path, mine
            continue
        if mine is not None:
            yield f"{path} for threads", mine
        if twins is not None:
            yield f"{path} for asyncio", twins
