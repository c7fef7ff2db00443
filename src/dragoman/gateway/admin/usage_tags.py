"""Sums of usage by the tags of keys. Sums are kept by key, so they are joined to what tags the keys have now.

A key that is not there any more, or is of another workspace than one that may be seen, has no tags here.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dragoman.errors import InvalidRequest
from dragoman.store.base import Store
from dragoman.store.usage import UsageSum

from .usage_query import Query, listed

__all__ = ["TAG", "added", "read_tag_filter", "sums_by_tags", "tags_of"]

TAG: Final = "tag:"  # as in `tag:team`: what begins so is a dimension of the keys' tags
LONG: Final = 500  # sums that take some milliseconds to merge

Tags = Mapping[str, Mapping[str, str]]  # of keys by their ids


def read_tag_filter(query: Query) -> dict[str, list[str]]:
    """`tags[]=team=a&tags[]=team=b`: the values of each tag of which a key is to have one. Raises InvalidRequest."""
    wanted: dict[str, list[str]] = {}
    for index, text in enumerate(listed(query, "tags")):
        name, has_value, value = text.partition("=")
        if not name or not has_value:
            raise InvalidRequest(f"tags.{index}: Input should be NAME=VALUE, or NAME= for keys without that tag")
        wanted.setdefault(name, []).append(value)
    return wanted


def tags_of(group: Mapping[str, str | None]) -> dict[str, str | None] | None:
    """Those that a group was split by; None: by none."""
    return {name.removeprefix(TAG): value for name, value in group.items() if name.startswith(TAG)} or None


async def sums_by_tags(
    store: Store,
    *,
    by: Sequence[str],
    wanted: Mapping[str, Sequence[str]],
    workspace_id: str | None = None,
    **span: Any,
) -> Sequence[UsageSum]:
    """As `UsageStore.sums`. `by` may hold names such as `tag:team` besides: the group is empty there for a key without
    that tag. `wanted`: only keys with one of these values of each of these tags, where "" is to have none.
    `workspace_id`: only keys of this one have tags.
    """
    plain = [name for name in by if not name.startswith(TAG)]
    if len(plain) == len(by) and not wanted:
        return await store.usage.sums(by=by, **span)
    by_key = plain if "key_id" in plain else [*plain, "key_id"]
    sums = await store.usage.sums(by=by_key, **span)
    at = by_key.index("key_id")
    tags = await store.keys.tags({each.group[at] for each in sums}, workspace_id=workspace_id)
    if len(sums) > LONG:
        return await asyncio.to_thread(_joined, sums, by_key, by, wanted, tags)
    return _joined(sums, by_key, by, wanted, tags)


def _joined(
    sums: Sequence[UsageSum],
    by_key: Sequence[str],
    by: Sequence[str],
    wanted: Mapping[str, Sequence[str]],
    tags: Tags,
) -> list[UsageSum]:
    at = by_key.index("key_id")
    places = [None if name.startswith(TAG) else by_key.index(name) for name in by]
    names = [name.removeprefix(TAG) for name in by]
    merged: dict[tuple[object, ...], UsageSum] = {}
    for each in sums:
        its = tags.get(each.group[at], {})
        if any(its.get(name, "") not in values for name, values in wanted.items()):
            continue
        group = tuple(
            its.get(name, "") if place is None else each.group[place] for name, place in zip(names, places, strict=True)
        )
        before = merged.get((each.start, *group))
        merged[each.start, *group] = added(each, before, group=group)
    return sorted(merged.values(), key=lambda each: (each.start or 0, each.group))


def added(one: UsageSum, other: UsageSum | None, *, group: tuple[str, ...]) -> UsageSum:
    """Both together, as of this group."""
    names = UsageSum.__struct_fields__[2:]
    counts = {name: getattr(one, name) + (getattr(other, name) if other is not None else 0) for name in names}
    return UsageSum(start=one.start, group=group, **counts)
