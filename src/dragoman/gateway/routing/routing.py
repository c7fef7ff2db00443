"""Who may answer a model name, in the order of the configuration. Pure: configuration and catalogue in, routes out.

Which of several is asked first is for `choosing.py`. Names no provider.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import translate
from functools import lru_cache
from itertools import chain

from msgspec import Struct

from dragoman.errors import ConfigError, NotFound
from dragoman.gateway.catalogue import Alias, Catalogue
from dragoman.gateway.config.config import OFFLINE, Config, ProviderConfig, TargetName
from dragoman.gateway.config.routes import ANY_NAME, ConditionConfig, RouteConfig
from dragoman.wire.models import Model

__all__ = ["LONGEST_KEPT", "Candidates", "Route", "Router", "aliases"]

ROUTES_KEPT = 1000
LONGEST_KEPT = 256  # characters of a name: one may be megabytes long


class Route(Struct, frozen=True, kw_only=True):
    """Who answers a request: a provider and a model of its."""

    provider: ProviderConfig
    model_name: str  # as the provider calls it
    model: Model | None  # what the catalogue knows of it; never None for our own engine
    name: str  # provider/model
    target: str  # as it is configured, so there are only so many of them: provider/model, or provider/* for any model
    is_local: bool  # an engine of ours answers

    def __str__(self) -> str:
        return self.name


class Candidates(Struct, frozen=True, kw_only=True):
    """All who may answer a name. `rule` is the configured route, None where the name itself says who answers."""

    routes: tuple[Route, ...]
    rule: RouteConfig | None = None
    weights: tuple[float, ...] | None = None  # of the routes, where the rule has some
    conditions: tuple[tuple[ConditionConfig, tuple[Route, ...]], ...] = ()

    @property
    def only(self) -> Route | None:
        """The one who answers, where there is no choice."""
        return self.routes[0] if len(self.routes) == 1 and not self.conditions else None

    @property
    def first(self) -> Route:
        return self.routes[0]

    @property
    def every(self) -> Sequence[Route]:
        """Whatever condition holds."""
        of_conditions = chain.from_iterable(routes for _, routes in self.conditions)
        return list({each.name: each for each in chain(self.routes, of_conditions)}.values())


class Router:
    """Maps the model name of a request to its candidates, by the configuration alone.

    Raises ConfigError for a configured model that nothing could answer.
    """

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        self._providers: Mapping[str, ProviderConfig] = config.providers
        self._default = config.route_provider
        self._named = config.models
        self._patterns = [(re.compile(translate(_literal(name))), rule) for name, rule in _patterns(config)]
        self._refuses_retired = config.retired == "refuse"
        self._catalogue = catalogue
        self._kept = lru_cache(ROUTES_KEPT)(self._find)  # names come from callers, so only so many
        for rule in config.models.values():
            for target in rule.all_targets():
                self._check(rule, target)

    def candidates(self, name: str) -> Candidates:
        """Who may answer a model name: a configured route, `provider/model`, or what the first provider serves.

        Raises NotFound (ERR-46) for a name that nothing answers, and for a retired model where those are refused.
        """
        return self._kept(name) if len(name) <= LONGEST_KEPT else self._find(name)

    def route(self, name: str) -> Route:
        """The first of them: what a name stands for. Raises NotFound."""
        return self.candidates(name).first

    def _find(self, name: str) -> Candidates:
        rule = self._rule(name)
        if rule is None:
            said = self._said(name)
            return Candidates(routes=(self._route(said, name, target=f"{said.provider}/{ANY_NAME}"),))
        weights = rule.weights or (1.0,) * len(rule.targets)
        answering = self._routes(rule.targets, name)
        if not answering:
            raise NotFound(f"model: {name}")
        return Candidates(
            routes=tuple(route for _, route in answering),
            rule=rule,
            weights=tuple(weights[at] for at, _ in answering),
            conditions=tuple(
                (each, tuple(route for _, route in self._routes(each.targets, name))) for each in rule.when
            ),
        )

    def _rule(self, name: str) -> RouteConfig | None:
        """A table of this name, else the first pattern that fits; `provider/model` is never one."""
        if (rule := self._named.get(name)) is not None and not rule.is_pattern:
            return rule
        if not self._patterns or "/" in name:
            return None
        return next((rule for pattern, rule in self._patterns if pattern.match(name)), None)

    def _routes(self, targets: Sequence[TargetName], name: str) -> list[tuple[int, Route]]:
        """Those of targets that answer the name, with their places."""
        found = []
        for at, target in enumerate(targets):
            with suppress(NotFound):
                found.append((at, self._route(_filled(target, name), name, target=str(target))))
        return found

    def _route(self, named: TargetName, name: str, *, target: str) -> Route:
        provider = self._providers[named.provider]
        model = self._catalogue.resolve(named.model)
        if provider.dialect == OFFLINE and model is None:
            raise NotFound(f"model: {name}")
        if self._refuses_retired and model is not None and model.lifecycle == "retired":
            raise NotFound(f"model: {name}")
        return Route(
            provider=provider,
            model_name=named.model,
            model=model,
            name=str(named),
            target=target,
            is_local=provider.dialect == OFFLINE,
        )

    def _said(self, name: str) -> TargetName:
        prefix, slash, model = name.partition("/")
        if slash and model and prefix in self._providers:
            return TargetName(prefix, model)
        return TargetName(self._default.name, name)

    def _check(self, rule: RouteConfig, target: TargetName) -> None:
        is_ours = self._providers[target.provider].dialect == OFFLINE
        if is_ours and target.model != ANY_NAME and self._catalogue.resolve(target.model) is None:
            raise ConfigError(
                f"{rule.origin}: models.{rule.name}: the offline engine stands in for the catalogue, and "
                f"{target.model} is none of them. `dragoman models --all` lists them."
            )


def _patterns(config: Config) -> Iterable[tuple[str, RouteConfig]]:
    return ((name, rule) for name, rule in config.models.items() if rule.is_pattern)


def _literal(name: str) -> str:
    """For fnmatch, of whose letters with a meaning only the star has one here."""
    return name.replace("[", "[[]").replace("?", "[?]")


def _filled(target: TargetName, name: str) -> TargetName:
    return TargetName(target.provider, name) if target.model == ANY_NAME else target


def aliases(config: Config, catalogue: Catalogue) -> list[Alias]:
    """The configured names, as the model list shows them. A pattern is no name."""
    return [
        Alias(name, str(_filled(rule.targets[0], name)), catalogue.resolve(_filled(rule.targets[0], name).model))
        for name, rule in config.models.items()
        if not rule.is_pattern
    ]
