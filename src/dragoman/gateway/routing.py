"""Which target answers a model name. Pure: configuration and catalogue in, route out.

For now a route is one target; several in order, with fallback, will be one more field. Names no provider.
"""

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from dragoman.errors import ConfigError, NotFound
from dragoman.wire.models import Model

from .catalogue import Alias, Catalogue
from .config import OFFLINE, Config, ProviderConfig, TargetName

__all__ = ["LONGEST_KEPT", "Route", "Router"]

ROUTES_KEPT = 1000
LONGEST_KEPT = 256  # characters of a name: one may be megabytes long


class Route(Struct, frozen=True, kw_only=True):
    """Who answers a request: a provider and a model of its."""

    provider: ProviderConfig
    model_name: str  # as the provider calls it
    model: Model | None  # what the catalogue knows of it; never None for our own engine
    name: str  # provider/model
    is_local: bool  # an engine of ours answers

    def __str__(self) -> str:
        return self.name


class Router:
    """Maps the model name of a request to its route, by the configuration alone.

    Raises ConfigError for a configured model that nothing could answer.
    """

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        self._providers: Mapping[str, ProviderConfig] = config.providers
        self._default = config.route_provider
        self._configured = {name: route.targets[0] for name, route in config.models.items()}
        self._refuses_retired = config.retired == "refuse"
        self._catalogue = catalogue
        self._kept = lru_cache(ROUTES_KEPT)(self._find)  # names come from callers, so only so many
        for route in config.models.values():
            target = route.targets[0]
            if self._providers[target.provider].dialect == OFFLINE and catalogue.resolve(target.model) is None:
                raise ConfigError(
                    f"{route.origin}: models.{route.name}: the offline engine stands in for the catalogue, and "
                    f"{target.model} is none of them. `dragoman models --all` lists them."
                )

    def route(self, name: str) -> Route:
        """The route of a model name: a configured one, `provider/model`, or what the first provider serves.

        Raises NotFound (ERR-46) for a name that nothing answers, and for a retired model where those are refused.
        """
        return self._kept(name) if len(name) <= LONGEST_KEPT else self._find(name)

    def _find(self, name: str) -> Route:
        target = self._target(name)
        provider = self._providers[target.provider]
        model = self._catalogue.resolve(target.model)
        if provider.dialect == OFFLINE and model is None:
            raise NotFound(f"model: {name}")
        if self._refuses_retired and model is not None and model.lifecycle == "retired":
            raise NotFound(f"model: {name}")
        return Route(
            provider=provider,
            model_name=target.model,
            model=model,
            name=str(target),
            is_local=provider.dialect == OFFLINE,
        )

    def _target(self, name: str) -> TargetName:
        if configured := self._configured.get(name):
            return configured
        prefix, slash, model = name.partition("/")
        if slash and model and prefix in self._providers:
            return TargetName(prefix, model)
        return TargetName(self._default.name, name)


def aliases(config: Config, catalogue: Catalogue) -> list[Alias]:
    """The configured names, as the model list shows them."""
    return [
        Alias(name, str(route.targets[0]), catalogue.resolve(route.targets[0].model))
        for name, route in config.models.items()
    ]
