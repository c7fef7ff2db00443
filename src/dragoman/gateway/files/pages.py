"""The list of files, page by page: by `page`, by `after_id` and `before_id`, or by `ids[]`. Source: spec FIL-3."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from dragoman.errors import InvalidRequest
from dragoman.gateway.catalogue import last, read_limit
from dragoman.store.files import FileRecord, FileStore, Position

__all__ = ["Page", "read_page"]

MAX_IDS = 100
CURSOR = "page_"


class Page(Struct, frozen=True, kw_only=True):
    """Files, newest first. `has_more` looks where the page goes: on, or with `before_id` back."""

    records: list[FileRecord]
    has_more: bool = False
    next_page: str | None = None


async def read_page(store: FileStore, workspace_id: str, query: Mapping[str, list[str]], *, now: datetime) -> Page:
    """The page that these query parameters ask for; ones it does not know are ignored. Raises InvalidRequest."""
    ids = list(dict.fromkeys([*query.get("ids[]", ()), *query.get("ids", ())]))
    names = [name for name in ("page", "after_id", "before_id") if name in query]
    if ids:
        return await _chosen(store, workspace_id, ids, [*names, *(["limit"] if "limit" in query else [])], now)
    if len(names) > 1:
        raise InvalidRequest(f"{names[1]}: cannot be given together with {names[0]}")
    limit = read_limit(query)
    before = await _place(store, workspace_id, query, "before_id")
    after = await _place(store, workspace_id, query, "after_id")
    page = last(query, "page")
    if page:
        after = _position(page)
    found = list(await store.page(workspace_id, now=now, limit=limit + 1, after=after, before=before))
    has_more = len(found) > limit
    if before is not None:
        return Page(records=found[-limit:], has_more=has_more)
    shown = found[:limit]
    return Page(records=shown, has_more=has_more, next_page=_cursor(shown[-1]) if has_more else None)


async def _chosen(store: FileStore, workspace_id: str, ids: list[str], names: list[str], now: datetime) -> Page:
    if names:
        raise InvalidRequest(f"{names[0]}: cannot be given together with ids")
    if len(ids) > MAX_IDS:
        raise InvalidRequest(f"ids: List should have at most {MAX_IDS} items after validation, not {len(ids)}")
    found = await store.find_all(workspace_id, ids)
    return Page(records=[record for record in found if record.expires_at is None or record.expires_at > now])


async def _place(store: FileStore, workspace_id: str, query: Mapping[str, list[str]], name: str) -> Position | None:
    file_id = last(query, name)
    if not file_id:
        return None
    record = await store.find(workspace_id, file_id)
    if record is None:
        raise InvalidRequest(f"{name}: no file has the id {file_id[:120]!r}")
    return Position(record.created_at, record.id)


def _cursor(record: FileRecord) -> str:
    """Opaque to callers. A place and no id, so that it holds when the file is deleted."""
    place = f"{record.created_at.isoformat()} {record.id}"
    return CURSOR + base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _position(cursor: str) -> Position:
    packed = cursor.removeprefix(CURSOR)
    try:
        place = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True).decode()
        time, _, file_id = place.partition(" ")
        created_at = datetime.fromisoformat(time)
        if created_at.utcoffset() != timedelta(0) or not cursor.startswith(CURSOR):
            raise ValueError(cursor)
        return Position(created_at, file_id)
    except (ValueError, binascii.Error):
        raise InvalidRequest("page: is not a cursor that came in `next_page`") from None
