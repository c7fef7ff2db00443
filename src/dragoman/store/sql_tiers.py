"""Tiers that are set while the server runs: nobody is put into one in the moment in which it is deleted."""

from sqlalchemy import Connection, select

from dragoman.errors import ConfigError

from .locks import beside_each_other
from .tables import SETTINGS

__all__ = ["hold_tier"]


def hold_tier(connection: Connection, name: str | None) -> None:
    """To the end of its transaction, this tier is there. Comes first in one, or behind another lock of it.

    Raises ConfigError where it is not; None: none is needed.
    """
    if name is None:
        return
    is_locked = connection.dialect.name == "sqlite" and connection.connection.driver_connection.in_transaction  # type: ignore[union-attr]
    if not is_locked:
        beside_each_other(connection, "settings")
    this = select(SETTINGS.c.name).where(SETTINGS.c.kind == "tier", SETTINGS.c.name == name)
    if connection.execute(this).first() is None:
        raise ConfigError(f"tier: there is no tier {name[:100]!r} any more")
