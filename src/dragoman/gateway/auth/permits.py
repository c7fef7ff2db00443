"""Which models a key may ask. Pure; what the patterns of a key mean is in `key_terms.py`.

A model that a key may not ask is not there for it: the API says 404 to a key without access, as to an unknown name
(ERR-14), and its list does not have it. Source: langgenius/dify-official-plugins#1201, read 2026-11-21.
"""

from functools import lru_cache

from dragoman.errors import NotFound
from dragoman.gateway.routing.routing import LONGEST_KEPT, Route, Router

from .auth import Principal
from .key_terms import matches_any

__all__ = ["Permits"]

NAMES_KEPT = 1000

Names = tuple[str, ...]


class Permits:
    def __init__(self, router: Router) -> None:
        self._router = router
        self._kept = lru_cache(NAMES_KEPT)(self._names)

    def allows(self, principal: Principal, name: str) -> bool:
        """Whether the key may ask for this name: the name itself, or whatever may answer it, by any name of theirs."""
        if principal.models is None:
            return True
        if matches_any(principal.models, (name,)):
            return True
        answering = self._kept(name) if len(name) <= LONGEST_KEPT else self._names(name)
        return bool(answering) and all(matches_any(principal.models, names) for names in answering)

    def check(self, principal: Principal, name: str) -> None:
        """Raises NotFound, in the words for a model that does not exist (ERR-46)."""
        if principal.models is not None and not self.allows(principal, name):
            raise NotFound(f"model: {name}")

    def _names(self, name: str) -> tuple[Names, ...]:
        """Of each that may answer a name: its names."""
        return tuple(self._names_of(route) for route in self._routes(name))

    def _names_of(self, route: Route) -> Names:
        """`provider/model`, and every name of that model that leads to it and to nothing else: what the configuration
        has given to another provider is another model, though the catalogue has it under that name."""
        others = (route.model_name, *((route.model.id, *route.model.aliases) if route.model else ()))
        return tuple(dict.fromkeys((route.name, *(each for each in others if self._is_same(each, route)))))

    def _is_same(self, name: str, route: Route) -> bool:
        found = self._routes(name)
        if len(found) != 1 or found[0].provider.name != route.provider.name:
            return False
        other = found[0]
        return other.model_name == route.model_name or (other.model is not None and other.model is route.model)

    def _routes(self, name: str) -> list[Route]:
        """All that the configuration lets answer a name."""
        try:
            found = self._router.candidates(name)
        except NotFound:
            return []
        return [*found.routes, *(route for _, routes in found.conditions for route in routes)]
