"""Message Batches: made, listed, read, canceled, deleted. `work.py` answers their requests.

Source: spec BAT-1 to 13. A batch belongs to the workspace of the key that made it (BAT-12), and its requests are
answered for that key, also when the key is revoked meanwhile. Knows no SQL and no HTTP framework.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from dragoman.errors import CutOff, InvalidRequest, NotFound, StoreError
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.catalogue import last, read_limit
from dragoman.gateway.faults.header import HEADER as FAULT
from dragoman.gateway.workers import is_gone
from dragoman.store.batches import Batch, BatchResult, BatchStore
from dragoman.wire.headers import Headers

from .requests import pages_of, read_requests
from .work import KEPT, Ask, BatchWork, Caller

__all__ = ["Batches"]

log = logging.getLogger("dragoman.batches")

EXPIRES = timedelta(hours=24)
LARGE_BODY_BYTES = 256 * 1024  # above this, a body is read in a thread, off the event loop
RESULTS_PAGE = 32
# What of a create's headers its requests need. No keys, and no idempotency-key: that is the create's own.
KEPT_HEADERS = ("anthropic-version", "anthropic-beta", FAULT)


class Results(NamedTuple):
    """The results of a batch, JSON lines; closing `lines` ends the reading."""

    lines: AsyncGenerator[bytes, None]


class Batches:
    """The batches of all workspaces. Methods raise ApiError, and StoreError when the store is away.

    `now` gives the aware UTC time, `limit_bytes` bounds one request; for `ask` and the others see BatchWork. Objects
    come as the API's JSON has them; `base_url` is this server's as the caller sees it (BAT-9), without a slash at
    the end.
    """

    def __init__(
        self,
        store: BatchStore,
        *,
        ask: Ask,
        clock: Callable[[], float],
        new_id: Callable[[str], str],
        limit_bytes: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        is_gone: Callable[[str], bool] = is_gone,
    ) -> None:
        self.now = now
        self._store = store
        self._new_id = new_id
        self._limit_bytes = limit_bytes
        self._adding: set[asyncio.Task[None]] = set()
        self._work = BatchWork(
            store, ask=ask, now=lambda: self.now(), clock=clock, new_id=new_id, sleep=sleep, is_gone=is_gone
        )

    def start(self) -> None:
        """Go on with what is there. The store must be open."""
        self._work.start()

    async def aclose(self) -> None:
        await asyncio.gather(*self._adding, return_exceptions=True)
        await self._work.aclose()

    async def create(self, body: bytes, headers: Headers, principal: Principal, *, base_url: str) -> dict[str, object]:
        requests = await asyncio.to_thread(read_requests, body) if len(body) > LARGE_BODY_BYTES else read_requests(body)
        kept = [(name, value) for name in KEPT_HEADERS if (value := headers.get(name)) is not None]
        created = self.now()
        batch = Batch(
            id=self._new_id("msgbatch"),
            workspace_id=principal.workspace_id,
            caller=msgspec.json.encode(Caller(principal, kept)),
            total=len(requests),
            created_at=created,
            expires_at=created + EXPIRES,
        )
        adding = asyncio.create_task(self._add(batch, requests))
        self._adding.add(adding)
        adding.add_done_callback(self._added)
        await asyncio.shield(adding)  # a caller who hangs up now has a whole batch, not half of one
        return self._shown(batch, base_url)

    async def _add(self, batch: Batch, requests: list[tuple[str, msgspec.Raw]]) -> None:
        pages = pages_of(requests, limit_bytes=self._limit_bytes, new_id=self._new_id)
        await self._store.add(batch, pages, worker=self._work.worker)
        self._work.look()

    def _added(self, adding: asyncio.Task[None]) -> None:
        self._adding.discard(adding)
        if not adding.cancelled() and (trouble := adding.exception()) is not None:  # the caller may be gone by now
            log.warning("a batch could not be stored: %s", trouble)

    async def retrieve(self, batch_id: str, principal: Principal, *, base_url: str) -> dict[str, object]:
        return self._shown(await self._find(batch_id, principal), base_url)

    async def page(
        self, query: Mapping[str, Sequence[str]], principal: Principal, *, base_url: str
    ) -> dict[str, object]:
        """Newest first (BAT-6). `has_more` looks where the page goes, as in the list of models."""
        given = {name: list(values) for name, values in query.items()}
        limit = read_limit(given)
        after, before = last(given, "after_id"), last(given, "before_id")
        if after is not None and before is not None:
            raise InvalidRequest("before_id: cannot be given together with after_id")
        found = await self._store.page(
            principal.workspace_id,
            limit + 1,
            after=None if after is None else await self._cursor("after_id", after, principal),
            before=None if before is None else await self._cursor("before_id", before, principal),
        )
        page = found[-limit:] if before is not None else found[:limit]
        return {
            "data": [self._shown(batch, base_url) for batch in page],
            "has_more": len(found) > limit,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }

    async def cancel(self, batch_id: str, principal: Principal, *, base_url: str) -> dict[str, object]:
        """Start nothing more of a batch; what runs may end within seconds (BAT-7). One that has ended stays."""
        await self._find(batch_id, principal)
        await self._store.cancel(batch_id, self.now())
        self._work.look()
        return self._shown(await self._find(batch_id, principal), base_url)

    async def delete(self, batch_id: str, principal: Principal) -> dict[str, object]:
        await self._find(batch_id, principal)
        if not await self._store.delete(batch_id):
            raise InvalidRequest(
                f"Message batch {batch_id} is still processing. Cancel it first, and wait for its end."
            )
        return {"id": batch_id, "type": "message_batch_deleted"}

    async def results(self, batch_id: str, principal: Principal) -> AsyncGenerator[bytes, None]:
        """JSON lines (BAT-8). Raises NotFound while there are none, and when there are none any more."""
        batch = await self._find(batch_id, principal)
        if batch.ended_at is None:
            raise NotFound(f"Message batch {batch_id} has no results yet: it is still processing.")
        if self._archived_at(batch) is not None:
            raise NotFound(f"Message batch {batch_id} has no results any more: it was archived.")
        first = await self._store.results(batch_id, after=-1, limit=RESULTS_PAGE)
        return self._lines(batch, first)

    async def _lines(self, batch: Batch, page: Sequence[BatchResult]) -> AsyncGenerator[bytes, None]:
        """Raises CutOff where not every result can be read: what was sent must not look like the whole."""
        sent = 0
        while page:
            yield b"".join(map(_line, page))
            sent += len(page)
            try:
                page = await self._store.results(batch.id, after=page[-1].number, limit=RESULTS_PAGE)
            except StoreError as error:
                raise CutOff from error
        if sent < batch.total:  # deleted meanwhile
            raise CutOff

    async def _find(self, batch_id: str, principal: Principal) -> Batch:
        found = await self._store.find(batch_id, principal.workspace_id)
        if found is None:
            raise NotFound(f"Message batch {batch_id[:100]} not found.")
        return found

    async def _cursor(self, parameter: str, batch_id: str, principal: Principal) -> Batch:
        found = await self._store.find(batch_id, principal.workspace_id)
        if found is None:
            raise InvalidRequest(f"{parameter}: no message batch has the id {batch_id[:100]!r}")
        return found

    def _archived_at(self, batch: Batch) -> datetime | None:
        archived = batch.created_at + KEPT
        return archived if self.now() >= archived and batch.ended_at is not None else None

    def _shown(self, batch: Batch, base_url: str) -> dict[str, object]:
        """The object of BAT-4 and BAT-5."""
        has_ended = batch.ended_at is not None
        archived_at = self._archived_at(batch)
        has_results = has_ended and archived_at is None
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if has_ended else "canceling" if batch.cancel_initiated_at else "in_progress",
            "request_counts": {
                "processing": 0 if has_ended else batch.total,
                "succeeded": batch.succeeded,
                "errored": batch.errored,
                "canceled": batch.canceled,
                "expired": batch.expired,
            },
            "created_at": batch.created_at,
            "expires_at": batch.expires_at,
            "ended_at": batch.ended_at,
            "cancel_initiated_at": batch.cancel_initiated_at,
            "archived_at": archived_at,
            "results_url": f"{base_url}/v1/messages/batches/{batch.id}/results" if has_results else None,
        }


def _line(found: BatchResult) -> bytes:
    """One line of the results (BAT-8). The body's bytes go out as they came in."""
    result: dict[str, object] = {"type": found.outcome}
    if found.body is not None:
        result["message" if found.outcome == "succeeded" else "error"] = msgspec.Raw(found.body)
    return msgspec.json.encode({"custom_id": found.custom_id, "result": result}) + b"\n"
