"""The request log as `GET /v1/dragoman/requests` tells it: rows of the ledger, page by page, and one by its id."""

import base64
import binascii
from typing import Final

import msgspec

from dragoman.errors import InvalidRequest, NotFound
from dragoman.gateway.catalogue import last
from dragoman.store.base import UsageStore
from dragoman.store.ledger import LedgerRow
from dragoman.store.usage import RequestFilter, RequestPosition

from .usage_query import CURSOR, Query, chosen, money, read_time, rfc3339, whole
from .usage_types import (
    CacheCreation,
    RequestCost,
    RequestPageReply,
    RequestReply,
    RequestTimes,
    RequestUsage,
    ServerToolUse,
)

__all__ = ["OUTCOMES", "read_status", "request_page", "request_row", "request_with_contents", "shown_row"]

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
OUTCOMES: Final = ("answered", "refused", "cut", "abandoned", "interrupted")
US = 1_000_000


async def request_page(
    store: UsageStore, query: Query, *, default_workspace_id: str, bound_to: str | None = None
) -> RequestPageReply:
    """One page; `bound_to`: of this workspace only. Raises InvalidRequest."""
    limit = whole(query, "limit", default=DEFAULT_LIMIT, most=MAX_LIMIT)
    wanted = _filter(query, default_workspace_id)
    if bound_to is not None:
        if wanted.workspace_id not in (None, bound_to):
            return RequestPageReply(data=[], has_more=False, next_page=None)
        wanted = msgspec.structs.replace(wanted, workspace_id=bound_to)
    found = await store.page(wanted, limit=limit, after=_position(query))
    return RequestPageReply(
        data=[shown_row(row, default_workspace_id) for row in found.rows],
        has_more=found.after is not None,
        next_page=None if found.after is None else _cursor(found.after),
    )


async def request_row(
    store: UsageStore, request_id: str, *, default_workspace_id: str, bound_to: str | None = None
) -> RequestReply:
    """Raises NotFound, also for a request of another workspace than `bound_to`.

    A caller may know it by the id of its provider's reply: that one is looked for among the newest rows.
    """
    row = await store.find(request_id, workspace_id=bound_to)
    if row is None:
        passed_through = RequestFilter(upstream_request_id=request_id, workspace_id=bound_to)
        row = next(iter((await store.page(passed_through, limit=1)).rows), None)
    if row is None:
        raise NotFound(f"Request {request_id[:100]} not found.")
    return shown_row(row, default_workspace_id)


async def request_with_contents(
    store: UsageStore, request_id: str, *, default_workspace_id: str, bound_to: str | None = None
) -> dict[str, object]:
    """The row, and in `contents` what was asked and replied; null where that is not kept. Raises NotFound."""
    row = await request_row(store, request_id, default_workspace_id=default_workspace_id, bound_to=bound_to)
    kept = await store.contents(row.id, workspace_id=bound_to)
    texts = kept and {
        "request": kept.request.decode("utf-8", "replace"),
        "reply": kept.reply.decode("utf-8", "replace"),
    }
    return {**msgspec.to_builtins(row), "contents": texts}


def read_status(text: str) -> int:
    """ "429" is that one, "4xx" or "4" all of its class: 4. Raises ValueError."""
    digits = text.lower().removesuffix("xx") if len(text) == 3 else text
    if not (digits.isascii() and digits.isdecimal() and (1 <= int(digits) <= 5 or 100 <= int(digits) <= 599)):
        raise ValueError(text)
    return int(digits)


def shown_row(row: LedgerRow, default_workspace_id: str) -> RequestReply:
    """As the wire has it."""
    return RequestReply(
        id=row.id,
        created_at=rfc3339(row.at_us / US, to_us=True),
        workspace_id=None if row.workspace_id in ("", default_workspace_id) else row.workspace_id,
        api_key_id=row.key_id or None,
        operation=row.operation,
        model=row.model or None,
        provider=row.provider or None,
        answered_model=row.answered_model or None,
        attempts=row.attempts,
        status=row.status or None,
        outcome=row.outcome,
        error=row.error,
        stop_reason=row.stop_reason,
        stream=row.is_stream,
        usage=_usage(row),
        cost=_cost(row),
        times_ms=RequestTimes(
            queue=_ms(row.queue_us),
            first_content=_ms(row.first_us),
            total=row.total_us / 1000,
            overhead=_ms(row.overhead_us),
        ),
        upstream_request_id=row.upstream_request_id,
        lost=row.lost.split(",") if row.lost else [],
        tags=msgspec.json.decode(row.tags) if row.tags else {},
    )


def _usage(row: LedgerRow) -> RequestUsage:
    return RequestUsage(
        input_tokens=row.input_tokens,
        cache_creation=CacheCreation(
            ephemeral_1h_input_tokens=row.cache_write_1h_tokens, ephemeral_5m_input_tokens=row.cache_write_5m_tokens
        ),
        cache_read_input_tokens=row.cache_read_tokens,
        output_tokens=row.output_tokens,
        server_tool_use=ServerToolUse(web_search_requests=row.web_searches),
        service_tier=row.service_tier,
        inference_geo=row.inference_geo,
        speed=row.speed,
        estimated=row.is_estimated,
    )


def _cost(row: LedgerRow) -> RequestCost | None:
    if row.cost_nano is None:
        return None
    amount = money(row.cost_nano, units=9)
    return RequestCost(amount=amount, price_source=row.price_source, price_date=row.price_date)


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _filter(query: Query, default_workspace_id: str) -> RequestFilter:
    """A workspace named "default" is the one that has no id (ADM-5)."""
    status, outcome = last(query, "status"), last(query, "outcome")
    since, until = read_time(query, "starting_at"), read_time(query, "ending_at")
    workspace_id = last(query, "workspace_id")
    try:
        by_status = None if status is None else read_status(status)
    except ValueError:
        raise InvalidRequest("status: Input should be a status as 429, or a class of them as 4xx") from None
    return RequestFilter(
        workspace_id=default_workspace_id if workspace_id == "default" else workspace_id,
        key_id=last(query, "api_key_id"),
        model=last(query, "model"),
        provider=last(query, "provider"),
        status=by_status,
        outcome=None if outcome is None else chosen(query, "outcome", OUTCOMES, default=""),
        upstream_request_id=last(query, "upstream_request_id"),
        since_us=None if since is None else round(since * US),
        until_us=None if until is None else round(until * US),
    )


def _cursor(place: RequestPosition) -> str:
    """Opaque to callers. A place and no id, so that it holds when the row is erased."""
    return CURSOR + base64.urlsafe_b64encode(f"{place.at_us} {place.id}".encode()).decode().rstrip("=")


def _position(query: Query) -> RequestPosition | None:
    cursor = last(query, "page")
    if not cursor:
        return None
    packed = cursor.removeprefix(CURSOR)
    try:
        place = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True).decode()
        at_us, _, request_id = place.partition(" ")
        if not cursor.startswith(CURSOR) or not 0 <= int(at_us) < 2**63:
            raise ValueError(cursor)
        return RequestPosition(int(at_us), request_id)
    except (ValueError, binascii.Error):
        raise InvalidRequest("page: is not a cursor that came in `next_page`") from None
