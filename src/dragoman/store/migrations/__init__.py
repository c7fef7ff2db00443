"""The schema's history, forward only: `versions/` holds one file a step, `upgrade` runs those that are missing.

A step runs in both kinds of database, in one transaction, while older processes may be at work: so it adds, and takes
nothing away. In PostgreSQL it has no time-out of its own, but waits 10 s at most for a table (`postgres.py`).
Alembic is imported only when there is something to run: its import alone takes about 0.1 s.
"""

from sqlalchemy import Connection

__all__ = ["HEAD", "upgrade"]

# The newest step in versions/: four digits, counted up by one. A constant, so that start-up need not ask Alembic;
# tests/store/test_migrations.py holds it to the folder.
HEAD = "0006"


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run every missing step up to `to`, in the caller's transaction, which must have begun: the caller commits."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "dragoman.store:migrations")
    config.attributes["connection"] = connection  # env.py takes it from here
    command.upgrade(config, to)
