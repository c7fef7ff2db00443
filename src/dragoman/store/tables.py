"""The tables of a SQL database, as migrations/versions/ leave them; tests/store/test_migrations.py compares the two.

A type with a name of its own here changes values on their way, not the columns: migrations name what it is made of.
"""

import re
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

__all__ = ["API_KEYS", "BATCHES", "BATCH_REQUESTS", "FILES", "METADATA", "VERSION", "PlainText", "UTCDateTime"]

_UNKNOWN_LETTERS = re.compile("[\0\ud800-\udfff]")


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes, also in SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # PostgreSQL: the session's


class PlainText(TypeDecorator[str]):
    """Text of which each database takes every letter: NUL, which PostgreSQL does not, and halves of surrogate pairs,
    which are no UTF-8, become U+FFFD. So what a caller makes up is looked up in vain, and is no trouble.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _UNKNOWN_LETTERS.sub("\ufffd", value)


METADATA = MetaData()
API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("hint", PlainText, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("revoked_at", UTCDateTime),
    Column("workspace_id", PlainText),
    Column("is_test", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("id", name="pk_api_keys"),
    UniqueConstraint("hash", name="uq_api_keys_hash"),
)
FILES = Table(
    "files",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("workspace_id", PlainText, nullable=False),
    Column("filename", PlainText, nullable=False),
    Column("mime_type", PlainText, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime),
    Column("erased_at", UTCDateTime),
    Column("downloadable", Boolean, nullable=False),
    PrimaryKeyConstraint("id", name="pk_files"),
    Index("ix_files_newest", "workspace_id", "created_at", "id"),
)
BATCHES = Table(
    "message_batches",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("workspace_id", PlainText, nullable=False),
    Column("caller", LargeBinary, nullable=False),  # JSON: whose requests they are, and the headers they came with
    Column("is_whole", Boolean, nullable=False),  # its last request has been kept
    Column("total", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("errored", Integer, nullable=False),
    Column("canceled", Integer, nullable=False),
    Column("expired", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("cancel_initiated_at", UTCDateTime),
    Column("ended_at", UTCDateTime),
    Column("worker", PlainText),  # the process that answers it, until `leased_until`
    Column("leased_until", UTCDateTime),
    PrimaryKeyConstraint("id", name="pk_message_batches"),
    Index("ix_message_batches_newest", "workspace_id", "created_at", "id"),
    Index("ix_message_batches_open", "ended_at", "created_at"),
)
BATCH_REQUESTS = Table(
    "message_batch_requests",
    METADATA,
    Column("batch_id", PlainText, nullable=False),
    Column("number", Integer, nullable=False),
    Column("custom_id", PlainText, nullable=False),
    Column("params", LargeBinary),  # until there is a result
    Column("outcome", PlainText),  # succeeded, errored, canceled or expired; null: not answered yet
    Column("body", LargeBinary),  # the message, or the envelope of the error
    PrimaryKeyConstraint("batch_id", "number", name="pk_message_batch_requests"),
    ForeignKeyConstraint(
        ["batch_id"], ["message_batches.id"], name="fk_message_batch_requests_batch", ondelete="CASCADE"
    ),
)
VERSION = Table(  # Alembic's own table, in its own words
    "alembic_version",
    METADATA,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
