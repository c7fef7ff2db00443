"""What the usage report, the cost report and the request log put on the wire. Source: spec ADM-9 to 11.

Names and nulls are the API's. A field that the API does not have is said to be ours.
"""

from typing import Generic, Literal, TypeVar

from msgspec import Struct

__all__ = [
    "CacheCreation",
    "CostItem",
    "Report",
    "RequestCost",
    "RequestPageReply",
    "RequestReply",
    "RequestTimes",
    "RequestUsage",
    "ServerToolUse",
    "TimeBucket",
    "UsageItem",
]

T = TypeVar("T")


class TimeBucket(Struct, Generic[T], frozen=True, kw_only=True):
    """A minute, an hour or a day of UTC. Both times are RFC 3339; the end is exclusive."""

    starting_at: str
    ending_at: str
    results: list[T]


class Report(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of buckets, oldest first."""

    data: list[TimeBucket[T]]
    has_more: bool
    next_page: str | None


class CacheCreation(Struct, frozen=True, kw_only=True):
    ephemeral_1h_input_tokens: int
    ephemeral_5m_input_tokens: int


class ServerToolUse(Struct, frozen=True, kw_only=True):
    web_search_requests: int


class UsageItem(Struct, frozen=True, kw_only=True):
    """What one group used in one bucket. A dimension that was not grouped by is null."""

    account_id: str | None
    api_key_id: str | None
    cache_creation: CacheCreation
    cache_read_input_tokens: int
    context_window: str | None
    inference_geo: str | None
    model: str | None
    output_tokens: int
    server_tool_use: ServerToolUse
    service_account_id: str | None
    service_tier: str | None
    speed: str | None
    uncached_input_tokens: int
    workspace_id: str | None  # null also for the default workspace
    answered_model: str | None  # ours: as the provider calls it
    provider: str | None  # ours
    tags: dict[str, str | None] | None  # ours: those of the key that were grouped by; a value null: keys without it


class CostItem(Struct, frozen=True, kw_only=True):
    """What one group cost on one day. `token_type` is always null: the ledger keeps the cost of a request whole."""

    amount: str  # cents, as a decimal number: "123.45" is 1.23 USD
    context_window: str | None
    cost_type: Literal["tokens"] | None
    currency: Literal["USD"] = "USD"
    description: str | None
    inference_geo: str | None
    model: str | None
    service_tier: str | None
    token_type: None = None
    workspace_id: str | None
    unpriced_requests: int  # ours: requests that are not in the amount, as nobody knows the price
    tags: dict[str, str | None] | None  # ours, as of a UsageItem


class RequestUsage(Struct, frozen=True, kw_only=True):
    """Tokens in disjoint buckets, with the names of a message's `usage`."""

    input_tokens: int
    cache_creation: CacheCreation
    cache_read_input_tokens: int
    output_tokens: int
    server_tool_use: ServerToolUse
    service_tier: str | None
    inference_geo: str | None
    speed: str | None
    estimated: bool  # the reply broke off, or told no usage: what was seen of it


class RequestCost(Struct, frozen=True, kw_only=True):
    amount: str  # USD, as a decimal number, exact
    currency: Literal["USD"] = "USD"
    price_source: str | None
    price_date: str | None


class RequestTimes(Struct, frozen=True, kw_only=True):
    """In milliseconds; null: not known."""

    queue: float | None
    first_content: float | None
    total: float
    overhead: float | None


class RequestReply(Struct, frozen=True, kw_only=True):
    """A row of the request log."""

    id: str
    type: Literal["request"] = "request"
    created_at: str  # RFC 3339: when it arrived
    workspace_id: str | None  # null: the default workspace, or refused before the key was known
    api_key_id: str | None
    operation: str
    model: str | None  # as it was asked for
    provider: str | None
    answered_model: str | None
    attempts: int
    status: int | None
    outcome: str
    error: str | None
    stop_reason: str | None
    stream: bool
    usage: RequestUsage
    cost: RequestCost | None  # null: no price is known
    times_ms: RequestTimes
    upstream_request_id: str | None
    lost: list[str]
    tags: dict[str, str]


class RequestPageReply(Struct, frozen=True, kw_only=True):
    """One page, newest first. It may be shorter than `limit`, even empty, while `has_more` is true."""

    data: list[RequestReply]
    has_more: bool
    next_page: str | None
