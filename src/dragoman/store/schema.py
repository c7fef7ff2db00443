"""Which schema a database has, and how it gets the newest: a fresh one at once, an older one by its missing steps.

Five processes may begin this at once: all but one find it done. What a step does is in `migrations/versions/`.
"""

import re
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, inspect, select

from dragoman.errors import StoreError

from .database import Database
from .migrations import HEAD, upgrade
from .tables import METADATA, VERSION

__all__ = ["Migrated", "bring_up_to_date"]


class Migrated(NamedTuple):
    """Schemas: that which was there (None: an empty database), and that which is there now."""

    before: str | None
    after: str


def bring_up_to_date(engine: Engine, database: Database) -> Migrated:
    """Make or migrate the schema, in one transaction; nothing but two reads when there is no need.

    Raises StoreError for a database that is another program's, or a newer dragoman's.
    """
    with engine.connect() as connection:
        before = _version(connection, database.place)
        if before != HEAD:
            connection.rollback()
            database.begin_migration(connection)
            before = _version(connection, database.place)  # again: another process may have been quicker
            _migrate(connection, before)
            connection.commit()
    return Migrated(before, HEAD)


def _migrate(connection: Connection, before: str | None) -> None:
    if before is None:
        METADATA.create_all(connection, checkfirst=False)  # the same schema without Alembic's import
        connection.execute(insert(VERSION).values(version_num=HEAD))
    elif before != HEAD:
        upgrade(connection)


def _version(connection: Connection, place: str) -> str | None:
    """The schema's version, at most HEAD; None for an empty database. Raises StoreError for one that is not ours."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    version: str | None = connection.scalar(select(VERSION)) if VERSION.name in tables else None
    if version is None or not re.fullmatch(r"[0-9]{4}", version):
        raise StoreError(f"{place} belongs to another program: name another one with DRAGOMAN_DATABASE")
    if version > HEAD:
        raise StoreError(
            f"{place} was written by a newer dragoman (schema {version}; this one knows {HEAD}): "
            "install that version, or name another one with DRAGOMAN_DATABASE"
        )
    return version
