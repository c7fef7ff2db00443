"""The places at all targets: those of a model, where it has some of its own, and those of its provider.

A request has one of each. It takes the model's first: so who waits for a place at one model holds none of the
provider's, which others could use.
"""

from typing import Protocol

from .capacity import Capacity
from .routing import Route

__all__ = ["Places"]


class Bounds(Protocol):
    """What the configuration says of a provider, or of a model of its."""

    @property
    def max_concurrent(self) -> int | None: ...
    @property
    def queue(self) -> int: ...
    @property
    def queue_timeout_s(self) -> float: ...


class Places:
    """Of one process. Kept by names in the configuration, so there are only so many."""

    def __init__(self) -> None:
        self._capacities: dict[str, Capacity] = {}  # by provider, and by provider/model

    def are_bounded(self, route: Route) -> bool:
        return route.provider.max_concurrent is not None or route.model_name in route.provider.models

    def room(self, route: Route) -> int | None:
        """How many more may come, those that would wait included; None: any number."""
        if not self.are_bounded(route):
            return None
        rooms = [each.room for each in self._of(route) if each.room is not None]
        return min(rooms, default=None)

    async def enter(self, route: Route) -> None:
        """Returns with a place; `leave` gives it back. Raises Shed."""
        entered: list[Capacity] = []
        try:
            for each in self._of(route):
                await each.enter()
                entered.append(each)
        except BaseException:
            for each in entered:
                each.leave()
            raise

    def enter_at_once(self, route: Route) -> bool:
        """As `enter`, without a wait; False: there is no place now."""
        entered: list[Capacity] = []
        for each in self._of(route):
            if not each.enter_at_once():
                for taken in entered:
                    taken.leave()
                return False
            entered.append(each)
        return True

    def leave(self, route: Route, held_s: float) -> None:
        for each in self._of(route):
            each.leave(held_s)

    def _of(self, route: Route) -> tuple[Capacity, ...]:
        provider = route.provider
        of_provider = self._named(provider.name, provider)
        own = provider.models.get(route.model_name)
        return (of_provider,) if own is None else (self._named(f"{provider.name}/{route.model_name}", own), of_provider)

    def _named(self, name: str, bounds: Bounds) -> Capacity:
        found = self._capacities.get(name)
        if found is None:
            found = Capacity(bounds.max_concurrent, queue=bounds.queue, wait_s=bounds.queue_timeout_s)
            self._capacities[name] = found
        return found
