"""The ledger: a row for every request that asked something of a model, and sums of them by hour and day.

Money is in whole nano-dollars, times are Unix microseconds. Never holds a key, a prompt or a reply.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

__all__ = ["LedgerRow", "LedgerStore"]


class LedgerRow(msgspec.Struct, kw_only=True):
    """One request. Its buckets of tokens are disjoint: `input_tokens` is what no cache wrote or read.

    The fields are the columns of the table `ledger`, with their names.
    """

    id: str  # the request's, "req_..."
    at_us: int  # when it arrived
    organization_id: str = ""
    workspace_id: str = ""
    key_id: str = ""  # empty: refused before the key was known
    operation: str
    model: str = ""  # as it was asked for
    provider: str = ""
    answered_model: str = ""  # as the provider calls it
    attempts: int = 0  # requests that were sent to providers
    status: int = 0  # 0: the caller was gone before there was one
    outcome: str = (
        "answered"  # see gateway/ledger/accounting.py, and "interrupted": the process ended before the request did
    )
    error: str | None = None
    stop_reason: str | None = None
    is_stream: bool = False
    input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    web_searches: int = 0
    is_estimated: bool = False  # the reply broke off, or told no usage: tokens are what was seen
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    cost_nano: int | None = None  # None: no price is known. 0 where nothing was used
    price_source: str | None = None
    price_date: str | None = None
    queue_us: int | None = None
    first_us: int | None = None  # from arrival to the first content
    total_us: int = 0
    overhead_us: int | None = None  # of the total, what was not spent waiting for a provider
    upstream_request_id: str | None = None
    lost: str | None = None  # what the provider did not get, comma-separated
    tags: str | None = None  # of the key: a JSON object of texts
    spent: tuple[tuple[str, int], ...] = ()  # (budget id, start of its window) that the cost counts for; no column


class LedgerStore(Protocol):
    """Every method raises StoreError for any trouble with the database."""

    async def add(self, rows: Sequence[LedgerRow]) -> int:
        """Keep rows, their sums, and what they spent of budgets, in one transaction; how many were new.

        A row whose id is there already is left out of everything: it has been replayed (pain 35).
        """

    async def budget_spent(self, budget_id: str, window_start: int) -> int:
        """Nano-dollars that rows have spent of a budget in one of its windows."""

    async def totals(self) -> Mapping[str, int]:
        """Sums over all rows, by column: for tests and `dragoman doctor`."""
