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

__all__ = [
    "API_KEYS",
    "BATCHES",
    "BATCH_REQUESTS",
    "BUDGETS",
    "BUDGET_SPENDING",
    "CONTENTS",
    "CREDENTIALS",
    "FILES",
    "INVITES",
    "LEDGER",
    "MEMBERS",
    "METADATA",
    "SETTINGS",
    "USAGE_SUMS",
    "VERSION",
    "WORKSPACES",
    "WORKSPACE_MEMBERS",
    "PlainText",
    "UTCDateTime",
]

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
    Column("role", PlainText),  # of an admin key; null: a key for models
    Column("disabled_at", UTCDateTime),
    Column("expires_at", UTCDateTime),
    Column("created_by", PlainText),  # a member's id
    Column("tier", PlainText),
    Column("models", PlainText),  # JSON: an array of patterns; null: all
    Column("addresses", PlainText),  # JSON: an array of networks; null: all
    Column("tags", PlainText),  # JSON: an object of texts
    Column("previous_hash", LargeBinary),  # of the key before its last rotation, good until `previous_until`
    Column("previous_until", UTCDateTime),
    Column("cache_s", Integer),  # null: its replies are not kept
    PrimaryKeyConstraint("id", name="pk_api_keys"),
    UniqueConstraint("hash", name="uq_api_keys_hash"),
    Index("ix_api_keys_previous_hash", "previous_hash", unique=True),
    Index("ix_api_keys_newest", "created_at", "id"),
    Index("ix_api_keys_workspace", "workspace_id", "created_at", "id"),
)
WORKSPACES = Table(  # the default workspace has no row: it is there always, and has no settings but the file's
    "workspaces",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("display_color", PlainText, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("archived_at", UTCDateTime),
    Column("data_residency", PlainText),  # JSON
    Column("tags", PlainText),  # JSON: an object of texts
    Column("tier", PlainText),
    PrimaryKeyConstraint("id", name="pk_workspaces"),
)
MEMBERS = Table(
    "members",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("email", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("added_at", UTCDateTime, nullable=False),
    Column("removed_at", UTCDateTime),
    PrimaryKeyConstraint("id", name="pk_members"),
)
INVITES = Table(
    "invites",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("email", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("invited_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("accepted_at", UTCDateTime),
    Column("deleted_at", UTCDateTime),
    PrimaryKeyConstraint("id", name="pk_invites"),
)
WORKSPACE_MEMBERS = Table(
    "workspace_members",
    METADATA,
    Column("workspace_id", PlainText, nullable=False),
    Column("member_id", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("added_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("workspace_id", "member_id", name="pk_workspace_members"),
)
SETTINGS = Table(  # what is set while the server runs, above the configuration file: tiers, who is in which
    "settings",
    METADATA,
    Column("kind", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("value", PlainText, nullable=False),  # JSON
    Column("updated_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("kind", "name", name="pk_settings"),
)
CREDENTIALS = Table(  # keys of providers, encrypted
    "provider_credentials",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("provider", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("hint", PlainText, nullable=False),
    Column("master_key_id", PlainText, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    PrimaryKeyConstraint("id", name="pk_provider_credentials"),
)
BUDGETS = Table(
    "budgets",
    METADATA,
    Column("id", PlainText, nullable=False),
    Column("scope", PlainText, nullable=False),  # organization, workspace or key
    Column("scope_id", PlainText, nullable=False),
    Column("period", PlainText, nullable=False),  # day, week, month or total
    Column("zone", PlainText, nullable=False),  # of the calendar, as "Europe/Berlin"
    Column("limit_nano", BigInteger, nullable=False),  # nano-dollars
    Column("is_hard", Boolean, nullable=False),
    Column("alerts", PlainText, nullable=False),  # JSON: an array of percentages
    Column("webhook", PlainText),
    Column("unknown_price", PlainText, nullable=False),  # allow or refuse
    Column("created_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    PrimaryKeyConstraint("id", name="pk_budgets"),
)
BUDGET_SPENDING = Table(
    "budget_spending",
    METADATA,
    Column("budget_id", PlainText, nullable=False),
    Column("window_start", BigInteger, nullable=False),  # Unix seconds
    Column("window_end", BigInteger, nullable=False),  # Unix seconds; 0: it has none
    Column(
        "scope", PlainText, nullable=False
    ),  # whose requests it is a sum of: as of a budget, and never all of a kind
    Column("scope_id", PlainText, nullable=False),
    Column("spent_nano", BigInteger, nullable=False),
    Column("told_nano", BigInteger, nullable=False),  # of its alerts that were told in this window, the highest amount
    Column("refused_nano", BigInteger, nullable=False),  # the limit at which it was told that it refuses; below 0: none
    PrimaryKeyConstraint("budget_id", "window_start", name="pk_budget_spending"),
    Index("ix_budget_spending_scope", "scope", "scope_id", "window_end"),
)
LEDGER = Table(  # a row a request; see store/ledger.py. Many and quickly written, so in types that need no conversion
    "ledger",
    METADATA,
    Column("id", Text, nullable=False),  # the request's
    Column("at_us", BigInteger, nullable=False),  # when it arrived: Unix microseconds
    Column("organization_id", Text, nullable=False),
    Column("workspace_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # empty: refused before the key was known
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),  # as it was asked for
    Column("provider", Text, nullable=False),
    Column("answered_model", Text, nullable=False),  # as the provider calls it
    Column("attempts", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("stop_reason", Text),
    Column("is_stream", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("web_searches", BigInteger, nullable=False),
    Column("is_estimated", Integer, nullable=False),  # the reply broke off: tokens are what was seen
    Column("service_tier", Text),
    Column("inference_geo", Text),
    Column("speed", Text),
    Column("cost_nano", BigInteger),  # nano-dollars; null: not known
    Column("price_source", Text),
    Column("price_date", Text),
    Column("queue_us", BigInteger),
    Column("first_us", BigInteger),  # from arrival to the first content
    Column("total_us", BigInteger, nullable=False),
    Column("overhead_us", BigInteger),  # of the total, what was not spent waiting for a provider
    Column("upstream_request_id", Text),
    Column("lost", Text),  # comma-separated
    Column("tags", Text),  # JSON: an object of texts
    PrimaryKeyConstraint("id", name="pk_ledger"),
    Index("ix_ledger_at", "at_us", "id"),
    Index("ix_ledger_workspace_at", "workspace_id", "at_us", "id"),
    Index("ix_ledger_key_at", "key_id", "at_us", "id"),
)
USAGE_SUMS = Table(  # of the ledger, so that nobody need scan it
    "usage_sums",
    METADATA,
    Column("width_s", Integer, nullable=False),  # 3600 or 86400; -86400: a day of all keys together
    Column("start", BigInteger, nullable=False),  # Unix seconds, a multiple of the width
    Column("workspace_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("answered_model", Text, nullable=False),
    Column("service_tier", Text, nullable=False),  # empty where the row has none, as the next two
    Column("inference_geo", Text, nullable=False),
    Column("speed", Text, nullable=False),
    Column("context_window", Text, nullable=False),  # see store/usage.py
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),  # of them, those with a status of 400 and above, or cut
    Column("input_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("web_searches", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),  # of those whose cost is known
    Column("unpriced", BigInteger, nullable=False),  # requests with usage whose cost is not
    Column("total_us", BigInteger, nullable=False),
    PrimaryKeyConstraint(
        "width_s", "start", "workspace_id", "key_id", "operation", "model", "provider", "answered_model",
        "service_tier", "inference_geo", "speed", "context_window", name="pk_usage_sums",
    ),
    sqlite_with_rowid=False,  # it is read and written along its key only
)  # fmt: skip
CONTENTS = Table(  # only where it was asked for
    "ledger_contents",
    METADATA,
    Column("id", Text, nullable=False),  # the request's
    Column("at_us", BigInteger, nullable=False),
    Column("workspace_id", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("reply", LargeBinary, nullable=False),
    PrimaryKeyConstraint("id", name="pk_ledger_contents"),
    Index("ix_ledger_contents_at", "at_us"),
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
