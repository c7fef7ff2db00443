"""What routing says of a request: who is asked, the first one first, and why. Data only."""

from msgspec import Struct

from dragoman.gateway.call import Answer
from dragoman.gateway.config.routes import RouteConfig

from .choosing import Need, Reason, Standing
from .routing import Route

__all__ = ["ATTEMPTS_HEADER", "Explained", "Plan"]

ATTEMPTS_HEADER = "dragoman-attempts"


class Plan(Struct, frozen=True, kw_only=True):
    """Who is asked, the first one first. `rule` is None where there is nothing to do but ask."""

    routes: tuple[Route, ...]
    rule: RouteConfig | None = None
    key: bytes | None = None  # of the conversation
    is_long: bool = False  # its cache is to live for an hour
    cache_s: int = 0  # how long its reply may be given again
    has_several_keys: bool = False  # of a lone target

    @property
    def first(self) -> Route:
        return self.routes[0]

    @property
    def for_threads(self) -> Route:
        """One that keeps no threads itself, if there is one: then they are kept here, whoever answers."""
        return next((each for each in self.routes if each.provider.threads != "upstream"), self.first)

    @property
    def is_counted(self) -> bool:
        """There may be several attempts, so their number is told."""
        return len(self.routes) > 1 or self.has_several_keys

    def counted(self, answered: Answer, made: int) -> Answer:
        if self.is_counted:
            answered.headers = [*answered.headers, (ATTEMPTS_HEADER, str(made))]
        return answered

    @property
    def scope(self) -> str:
        """The same for requests that the same ones may answer."""
        return " ".join(sorted(route.name for route in self.routes))


class Explained(Struct, frozen=True, kw_only=True):
    """What would be done with a request, and why: for `dragoman route explain`."""

    policy: str
    condition: int | None  # the place of the [[models."NAME".when]] that holds
    need: Need
    standings: tuple[Standing, ...]
    reasons: tuple[Reason, ...]
    order: tuple[str, ...]
