"""Routes as configuration: the tables [models."NAME"], and their short form NAME = "provider/model" in [models].

What the policies do is in `routing/choosing.py`; docs/routing.md is the user's side.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import msgspec

from dragoman.gateway.routing.attempts import ATTEMPTS
from dragoman.gateway.routing.choosing import POLICIES, Policy

from .sheet import Readers, Sheet
from .text import KeyPath, dotted
from .values import Refused, TargetName, choice, nearest, shown, targets, whole, yes_or_no

__all__ = ["ConditionConfig", "RouteConfig", "describe_routes", "read_routes"]

ANY_NAME = "*"  # as the model of a target: the name that was asked for
_MODEL_NAME = re.compile(r"[!-.0-~]{1,256}")  # visible ASCII without the slash
_PROVIDER_NAME = re.compile(r"[a-z0-9_-]+")
_HIGHEST = 1_000_000_000


def _weights(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise Refused("is no list of weights", "Write one number for each target, such as [3, 1].")
    for index, each in enumerate(value):
        if isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each <= 1_000_000:
            raise Refused("is not a number from 0 to 1000000", "Write it without quotes.", index=index)
    if not any(value):
        raise Refused("gives no target any weight", "Give at least one of them more than 0.")
    return tuple(map(float, value))


def _tag(value: object) -> tuple[str, str]:
    name, equals, wanted = value.partition("=") if isinstance(value, str) else ("", "", "")
    if not equals or not name.strip():
        raise Refused("is no tag", 'Write the name and the value of a tag of keys: "team=blue".')
    return name.strip(), wanted.strip()


class ConditionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [[models."NAME".when]]: for requests of which all that it says is true, other targets."""

    origin: str
    targets: Annotated[tuple[TargetName, ...], targets]
    images: Annotated[bool | None, yes_or_no] = None  # the request holds some
    documents: Annotated[bool | None, yes_or_no] = None
    tools: Annotated[bool | None, yes_or_no] = None
    over_tokens: Annotated[int | None, whole(0, _HIGHEST)] = None  # of the prompt, as far as they are counted
    tag: Annotated[tuple[str, str] | None, _tag] = None  # of the caller's key


class RouteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [models.NAME]: what answers when a caller names that model, or one that fits the pattern."""

    name: str
    origin: str
    targets: Annotated[tuple[TargetName, ...], targets]
    policy: Annotated[Policy, choice(*POLICIES)] = "ordered"
    weights: Annotated[tuple[float, ...] | None, _weights] = None
    attempts: Annotated[int | None, whole(1, 20)] = None
    unpriced: Annotated[str, choice("last", "refuse")] = "last"
    continue_cut: Annotated[bool, yes_or_no] = False
    hedge: Annotated[bool, yes_or_no] = False
    cache_s: Annotated[int | None, whole(0, 30 * 86_400)] = None  # None: as the key says
    when: tuple[ConditionConfig, ...] = ()

    @property
    def limit(self) -> int:
        """How many attempts a request has: each target gets one at least."""
        return self.attempts or max(ATTEMPTS, len(self.targets))

    @property
    def is_pattern(self) -> bool:
        """It is for all names that fit it, `*` standing for any letters."""
        return "*" in self.name

    def all_targets(self) -> Iterator[TargetName]:
        yield from self.targets
        for condition in self.when:
            yield from condition.targets


def read_routes(
    sheet: Sheet, providers: Mapping[str, object], readers_of: Callable[[type[msgspec.Struct]], Readers]
) -> dict[str, RouteConfig]:
    """The routes by their names, in the order of the file; what is wrong with them, the sheet has noted."""
    table = sheet.table(("models",))
    tables = tuple(name for name, value in table.items() if isinstance(value, dict))
    short = {name: _short for name in table if name not in tables}
    named = sheet.settings(("models",), short, tables=tables)
    found = {}
    for name in table:
        path = ("models", name)
        if not _MODEL_NAME.fullmatch(name):
            what = "this is no name for a model"
            remedy = "Use up to 256 ASCII characters other than space and /, which stands in PROVIDER/MODEL."
            sheet.note(path, what, remedy)
        route = None
        if name in tables:
            route = _whole(sheet, name, providers, readers_of)
        elif name in named:
            route = RouteConfig(name=name, origin=sheet.origin(path), targets=named[name])
        if route is not None and _check(sheet, route, providers, is_short=name in named):
            found[name] = route
    return found


def _short(value: object) -> tuple[TargetName, ...]:
    """NAME = "provider/model"."""
    remedy = 'Write NAME = "provider/model", or a table [models."NAME"].'
    if not isinstance(value, str):
        raise Refused("is no target", remedy)
    try:
        return targets([value])
    except Refused as refused:
        raise Refused(str(refused), remedy) from refused


def _whole(
    sheet: Sheet, name: str, providers: Mapping[str, object], readers_of: Callable[[type[msgspec.Struct]], Readers]
) -> RouteConfig | None:
    path: KeyPath = ("models", name)
    table = sheet.table(path)
    values: dict[str, Any] = sheet.settings(path, readers_of(RouteConfig), tables=("when",))
    when = tuple(_conditions(sheet, path, readers_of(ConditionConfig)))
    if "targets" not in table and table.keys() <= {
        *readers_of(RouteConfig),
        "when",
    }:  # else the unknown one is the problem
        fit = next((each for each in providers if _PROVIDER_NAME.fullmatch(each)), "PROVIDER")  # a person can copy it
        sheet.note(path, "targets is missing", f'Add targets = ["{fit}/..."].')
    if "targets" not in values:
        return None
    return RouteConfig(name=name, origin=sheet.origin(path), when=when, **values)


def _conditions(sheet: Sheet, path: KeyPath, readers: Readers) -> Iterator[ConditionConfig]:
    found = sheet.table(path).get("when", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        remedy = 'Write [[models."NAME".when]], once for each, and its settings below that line.'
        sheet.note((*path, "when"), "this is not a list of tables", remedy)
        return
    for index, table in enumerate(found):
        where = (*path, "when", index)
        values: dict[str, Any] = sheet.settings(where, readers)
        if "targets" not in table:
            sheet.note(where, "targets is missing", 'Add targets = ["provider/model"].')
        elif table.keys() == {"targets"}:
            sheet.note(where, "it says of no request that it is meant", 'Add tools = true, or tag = "team=blue".')
        if "targets" in values:
            yield ConditionConfig(origin=sheet.origin(where), **values)


def _check(sheet: Sheet, route: RouteConfig, providers: Mapping[str, object], *, is_short: bool) -> bool:
    """Notes targets that nobody is, and weights that do not fit. False: there is no such route."""
    path: KeyPath = ("models", route.name)
    lists = [(path if is_short else (*path, "targets"), route.targets)]
    lists += [((*path, "when", at, "targets"), each.targets) for at, each in enumerate(route.when)]
    is_right = True
    for where, named in lists:
        written = sheet.table(where[:-1]).get(str(where[-1]), [])
        for index, target in enumerate(named):
            if target.provider in providers:
                continue
            # As the file has it: a variable may have been replaced by something secret.
            what = f"the provider of {shown(written if is_short else written[index])} is not there"
            sheet.note(where if is_short else (*where, index), what, _remedy(target.provider, providers))
            is_right = False
    if route.weights is not None and len(route.weights) != len(route.targets):
        what = f"there are {len(route.weights)} weights and {len(route.targets)} targets"
        sheet.note((*path, "weights"), what, "Write one number for each target.")
        is_right = False
    return is_right


def _remedy(provider: str, providers: Mapping[str, object]) -> str:
    if likely := nearest(provider, providers):
        return f"Did you mean {dotted((likely,))}?"
    if provider == "anthropic":
        return "Set ANTHROPIC_API_KEY, or add a table [providers.anthropic]."
    return f"Add its table [providers.NAME], or name one of: {', '.join(dotted((name,)) for name in providers)}."


def describe_routes(routes: Mapping[str, RouteConfig]) -> list[tuple[str, str]]:
    """Who answers what, as (subject, sentence) rows for a person."""
    return [(f"model {name}", _describe(route)) for name, route in routes.items()]


def _describe(route: RouteConfig) -> str:
    names = ", ".join(map(str, route.targets))
    if len(route.targets) == 1:
        said = f"answered by {names}"
    else:
        how = {"ordered": "in this order", "least_busy": "the least busy"}.get(route.policy, route.policy)
        said = f"answered by {names} ({how}, {route.limit} attempts)"
    others = f"; others under {len(route.when)} conditions" if route.when else ""
    return said + others
