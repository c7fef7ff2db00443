"""What is read of the ledger: pages of its rows, sums of them, contents where they are kept; and what is erased of it.

Times are Unix microseconds in rows and Unix seconds in sums, as in the tables; ends of spans are exclusive.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from .ledger import LedgerRow

__all__ = [
    "DAY_OF_ALL_S",
    "DAY_S",
    "DIMENSIONS",
    "HOUR_S",
    "LONG",
    "LONG_CONTEXT",
    "MAX_MINUTES",
    "MINUTE_S",
    "SHORT",
    "Contents",
    "RequestFilter",
    "RequestPage",
    "RequestPosition",
    "UsageStore",
    "UsageSum",
    "context_window",
]

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
DAY_OF_ALL_S: Final = -DAY_S  # as a width: a day of all keys together, which is a small part of the rows
MAX_MINUTES: Final = 1440  # that one question may ask by the minute, which reads the ledger itself

# What sums can be split by: columns of `usage_sums`, and of `ledger`.
DIMENSIONS: Final = (
    "workspace_id",
    "key_id",
    "operation",
    "model",
    "provider",
    "answered_model",
    "service_tier",
    "inference_geo",
    "speed",
    "context_window",  # of the ledger by `context_window`, not a column of it
)
LONG_CONTEXT: Final = 200_000  # input tokens, of caches too: above that some models cost more (ADM-9)
SHORT, LONG = "0-200k", "200k-1M"


def context_window(row: LedgerRow) -> str:
    """The class of its context window, by the API's names."""
    cached = row.cache_write_5m_tokens + row.cache_write_1h_tokens + row.cache_read_tokens
    return LONG if row.input_tokens + cached > LONG_CONTEXT else SHORT


class RequestPosition(NamedTuple):
    """A place in the log, also of a row that is gone."""

    at_us: int
    id: str


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows; None: all."""

    workspace_id: str | None = None
    key_id: str | None = None
    model: str | None = None  # as it was asked for
    provider: str | None = None
    status: int | None = None  # 429, or a class of them by its first digit: 4
    outcome: str | None = None
    upstream_request_id: str | None = None
    since_us: int | None = None
    until_us: int | None = None


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, newest first. `after` is where the next page goes on; None: there is no more.

    A page may hold fewer rows than were asked for, even none, and still have an `after`: a filter that no index serves
    looks at a bounded number of rows in one go.
    """

    rows: Sequence[LedgerRow]
    after: RequestPosition | None = None


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the requests of a bucket of time that have the same `group`; see the table `usage_sums`."""

    start: int | None  # Unix seconds, a multiple of the width; None: over the whole span
    group: tuple[str, ...]  # values of the dimensions that were asked for, in their order; empty where a row has none
    requests: int
    errors: int
    input_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cache_read_tokens: int
    output_tokens: int
    web_searches: int
    cost_nano: int  # of those whose cost is known
    unpriced: int  # requests with usage whose cost is not
    total_us: int


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and replied, without its secrets."""

    id: str  # the request's
    at_us: int
    workspace_id: str
    request: bytes
    reply: bytes


class UsageStore(Protocol):
    """Every method raises StoreError for any trouble with the database."""

    async def page(self, wanted: RequestFilter, *, limit: int, after: RequestPosition | None = None) -> RequestPage:
        """At most `limit` rows, newest first, from `after` on."""

    async def find(self, request_id: str, *, workspace_id: str | None = None) -> LedgerRow | None:
        """One row; None also where it is of another workspace than this one."""

    async def sums(
        self,
        *,
        width_s: int,
        start: int,
        end: int,
        by: Sequence[str] = (),
        where: Mapping[str, Sequence[str]] | None = None,
        in_buckets: bool = True,
    ) -> Sequence[UsageSum]:
        """Sums of the buckets of `width_s` that begin in the span from `start` to `end`, oldest first.

        `by` are DIMENSIONS that split them, `where` the values of some that count; an empty list lets none through.
        `in_buckets` False: over the whole span. By the minute the span has MAX_MINUTES at most.
        """

    async def add_contents(self, contents: Sequence[Contents]) -> None:
        """Keep them. Ones that are there already stay as they are."""

    async def contents(self, request_id: str, *, workspace_id: str | None = None) -> Contents | None:
        """Those of one request; None also where it is of another workspace than this one."""

    async def erase(self, *, before_us: int, limit: int) -> int:
        """Erase the oldest rows, `limit` at most, of requests that arrived before; how many. Their sums stay."""

    async def erase_contents(self, *, before_us: int, limit: int) -> int:
        """The same of contents."""
