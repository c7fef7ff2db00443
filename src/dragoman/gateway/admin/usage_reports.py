"""The usage report and the cost report, out of the ledger's sums. Source: spec ADM-9 to 11 and the API reference,
"Get Messages Usage Report" and "Get Cost Report", read 2026-11-21.

What is said otherwise than there, because the ledger keeps other things: there are no accounts, so `account_id` and
`service_account_id` are null, and filters for them let nothing through; `model` is the model that was asked for; a
cost is not split by the type of its tokens. Groups that used nothing are left out.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from dragoman.errors import InvalidRequest
from dragoman.store.base import Store
from dragoman.store.usage import DAY_S, HOUR_S, LONG, MINUTE_S, SHORT, UsageSum

from .usage_query import (
    Query,
    alternatives,
    chosen,
    listed,
    money,
    read_time,
    rfc3339,
    time_cursor,
    time_of_cursor,
    whole,
)
from .usage_tags import TAG, added, read_tag_filter, sums_by_tags, tags_of
from .usage_types import CacheCreation, CostItem, Report, ServerToolUse, TimeBucket, UsageItem

__all__ = ["cost_report", "usage_report"]

I = TypeVar("I")  # noqa: E741


class Width(NamedTuple):
    seconds: int
    default: int  # buckets of a page
    most: int


WIDTHS: Final = {"1d": Width(DAY_S, 7, 31), "1h": Width(HOUR_S, 24, 168), "1m": Width(MINUTE_S, 60, 1440)}
LONG_REPORT: Final = 500  # sums: 5 ms
NOT_AVAILABLE: Final = "not_available"  # the place of a model that lets nobody choose one
GEOS: Final = ("global", "us", NOT_AVAILABLE)
SPEEDS: Final = ("standard", "fast")
TIERS: Final = ("standard", "batch", "priority", "priority_on_demand", "flex", "flex_discount")
NO_ACCOUNTS: Final = ("account_id", "service_account_id")
# Dimension on the wire -> that of the sums.
DIMENSIONS: Final = {
    "api_key_id": "key_id",
    "context_window": "context_window",
    "inference_geo": "inference_geo",
    "model": "model",
    "service_tier": "service_tier",
    "speed": "speed",
    "workspace_id": "workspace_id",
    "answered_model": "answered_model",  # ours, as the next one
    "provider": "provider",
}
DESCRIBED: Final = ("model", "service_tier", "context_window", "inference_geo")  # what a cost item's description is of


class _Span(NamedTuple):
    """The buckets of one page, and where the next one begins; all in Unix seconds."""

    width: Width
    start: int
    end: int
    next: int | None


async def usage_report(
    store: Store,
    query: Query,
    *,
    default_workspace_id: str,
    bound_to: str | None = None,
    now: Callable[[], float] = time.time,
) -> Report[UsageItem]:
    """GET /v1/organizations/usage_report/messages. `bound_to`: only this workspace counts. Raises InvalidRequest."""
    width = WIDTHS[chosen(query, "bucket_width", list(WIDTHS), default="1d")]
    span = _span(query, width, now())
    grouped, tags = _grouped(query, sorted([*DIMENSIONS, *NO_ACCOUNTS]))
    where = _filters(query, default_workspace_id, bound_to)
    by = [*(DIMENSIONS[name] for name in grouped if name in DIMENSIONS), *tags]
    sums = await _sums(store, span, by, where, read_tag_filter(query), bound_to)

    def items(found: Iterable[UsageSum]) -> list[UsageItem]:
        return [
            _usage_item(dict(group), each)
            for group, each in _merged(found, by, default_workspace_id)
            if _has_usage(each)
        ]

    return await _report(span, sums, items)


async def cost_report(
    store: Store,
    query: Query,
    *,
    default_workspace_id: str,
    bound_to: str | None = None,
    now: Callable[[], float] = time.time,
) -> Report[CostItem]:
    """GET /v1/organizations/cost_report. Raises InvalidRequest."""
    width = WIDTHS[chosen(query, "bucket_width", ["1d"], default="1d")]
    span = _span(query, width, now())
    grouped, tags = _grouped(query, ["workspace_id", "description"])
    by = [
        *(["workspace_id"] if "workspace_id" in grouped else []),
        *(DESCRIBED if "description" in grouped else []),
        *tags,
    ]
    where = {} if bound_to is None else {"workspace_id": [bound_to]}
    sums = await _sums(store, span, by, where, read_tag_filter(query), bound_to)

    def items(found: Iterable[UsageSum]) -> list[CostItem]:
        return [
            _cost_item(dict(group), each, is_described="description" in grouped)
            for group, each in _merged(found, by, default_workspace_id)
            if each.cost_nano or each.unpriced
        ]

    return await _report(span, sums, items)


def _span(query: Query, width: Width, now: float) -> _Span:
    """Begins and ends of buckets are multiples of the width in UTC; the bucket of now is the last."""
    given_start, given_end = read_time(query, "starting_at"), read_time(query, "ending_at")
    if given_start is None:
        raise InvalidRequest("starting_at: Field required")
    limit = whole(query, "limit", default=width.default, most=width.most)
    seconds = width.seconds
    start = int(given_start // seconds) * seconds
    end = int(now // seconds) * seconds + seconds
    if given_end is not None:
        if given_end <= given_start:
            raise InvalidRequest("ending_at: must be later than starting_at")
        end = min(end, int(given_end // seconds) * seconds)
    page = time_of_cursor(query)
    if page is not None:
        if page % seconds or page < start:
            raise InvalidRequest("page: came with other parameters than these")
        start = page
    if start + limit * seconds < end:
        return _Span(width, start, start + limit * seconds, start + limit * seconds)
    return _Span(width, start, max(start, end), None)


def _grouped(query: Query, among: Sequence[str]) -> tuple[list[str], list[str]]:
    """The dimensions to group by, and those that are tags of keys, with their prefix. Raises InvalidRequest."""
    given = listed(query, "group_by")
    for index, name in enumerate(given):
        if name not in among and not (name.startswith(TAG) and name != TAG):
            raise InvalidRequest(f"group_by.{index}: Input should be {alternatives([*among, 'tag:NAME'])}")
    return [name for name in given if name in among], [name for name in given if name not in among]


def _filters(query: Query, default_workspace_id: str, bound_to: str | None) -> dict[str, list[str]]:
    """Of dimensions of the sums. A list that was not given lets all through, so it is left out."""
    where = {
        "key_id": listed(query, "api_key_ids"),
        "workspace_id": listed(query, "workspace_ids"),
        "model": listed(query, "models"),
        "service_tier": listed(query, "service_tiers", among=TIERS),
        "context_window": listed(query, "context_window", among=(SHORT, LONG)),
        "inference_geo": listed(query, "inference_geos", among=GEOS),
        "speed": listed(query, "speeds", among=SPEEDS),
    }
    where = {name: values for name, values in where.items() if values}
    for name, unset in (("inference_geo", NOT_AVAILABLE), ("speed", SPEEDS[0])):
        if unset in where.get(name, ()):
            where[name].append("")
    if bound_to is not None:
        where["workspace_id"] = [each for each in where.get("workspace_id", [bound_to]) if each == bound_to]
    if listed(query, "account_ids") or listed(query, "service_account_ids"):
        where["model"] = []  # no usage here is an account's
    return where


async def _sums(
    store: Store,
    span: _Span,
    by: Sequence[str],
    where: Mapping[str, Sequence[str]],
    tagged: Mapping[str, Sequence[str]],
    bound_to: str | None,
) -> Sequence[UsageSum]:
    if span.start >= span.end or not all(where.values()):
        return []
    return await sums_by_tags(
        store,
        by=by,
        wanted=tagged,
        workspace_id=bound_to,
        width_s=span.width.seconds,
        start=span.start,
        end=span.end,
        where=where,
    )


async def _report(span: _Span, sums: Sequence[UsageSum], items: Callable[[Iterable[UsageSum]], list[I]]) -> Report[I]:
    """A long one, of many groups, takes a second to make: in a thread, so that nobody waits for that."""
    if len(sums) > LONG_REPORT:
        return await asyncio.to_thread(_filled, span, sums, items)
    return _filled(span, sums, items)


def _filled(span: _Span, sums: Sequence[UsageSum], items: Callable[[Iterable[UsageSum]], list[I]]) -> Report[I]:
    found: dict[int, list[UsageSum]] = {start: [] for start in range(span.start, span.end, span.width.seconds)}
    for each in sums:
        assert each.start is not None
        found[each.start].append(each)
    return Report(
        data=[
            TimeBucket(
                starting_at=rfc3339(start), ending_at=rfc3339(start + span.width.seconds), results=items(of_bucket)
            )
            for start, of_bucket in found.items()
        ],
        has_more=span.next is not None,
        next_page=None if span.next is None else time_cursor(span.next),
    )


Group = tuple[tuple[str, str | None], ...]


def _merged(found: Iterable[UsageSum], by: Sequence[str], default_workspace_id: str) -> list[tuple[Group, UsageSum]]:
    """By what the wire calls them: several values of ours may be one there."""
    merged: dict[Group, UsageSum] = {}
    for each in found:
        group = tuple(
            (name, _told(name, value, default_workspace_id)) for name, value in zip(by, each.group, strict=True)
        )
        merged[group] = added(each, merged[group], group=each.group) if group in merged else each
    return list(merged.items())


def _told(name: str, value: str, default_workspace_id: str) -> str | None:
    if name == "inference_geo":
        return value or NOT_AVAILABLE
    if name == "speed":
        return value or SPEEDS[0]
    if name == "workspace_id" and value == default_workspace_id:
        return None
    return value or None


def _has_usage(each: UsageSum) -> bool:
    return bool(
        each.input_tokens
        or each.output_tokens
        or each.cache_read_tokens
        or each.cache_write_5m_tokens
        or each.cache_write_1h_tokens
        or each.web_searches
    )


def _usage_item(group: Mapping[str, str | None], each: UsageSum) -> UsageItem:
    return UsageItem(
        uncached_input_tokens=each.input_tokens,
        cache_creation=CacheCreation(
            ephemeral_1h_input_tokens=each.cache_write_1h_tokens, ephemeral_5m_input_tokens=each.cache_write_5m_tokens
        ),
        cache_read_input_tokens=each.cache_read_tokens,
        output_tokens=each.output_tokens,
        server_tool_use=ServerToolUse(web_search_requests=each.web_searches),
        account_id=None,
        service_account_id=None,
        tags=tags_of(group),
        **{wire: group.get(ours) for wire, ours in DIMENSIONS.items()},
    )


def _cost_item(group: Mapping[str, str | None], each: UsageSum, *, is_described: bool) -> CostItem:
    described = {name: group.get(name) for name in DESCRIBED}
    return CostItem(
        amount=money(each.cost_nano, units=7),
        cost_type="tokens" if is_described else None,
        description=_description(described) if is_described else None,
        model=described["model"],
        service_tier=described["service_tier"],
        context_window=described["context_window"],
        inference_geo=described["inference_geo"],
        workspace_id=group.get("workspace_id"),
        unpriced_requests=each.unpriced,
        tags=tags_of(group),
    )


def _description(described: Mapping[str, str | None]) -> str:
    said = [f"{described['model'] or 'No model'} usage"]
    if described["context_window"] == LONG:
        said.append("long context")
    if described["service_tier"] not in (None, TIERS[0]):
        said.append(f"{described['service_tier']}")
    if described["inference_geo"] not in (None, NOT_AVAILABLE, GEOS[0]):
        said.append(f"in {described['inference_geo']}")
    return ", ".join(said)
