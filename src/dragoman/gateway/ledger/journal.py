"""Brings the ledger's rows into the store, in batches and off the request's path, so that none is lost or doubled.

A request leaves notes in the journal: `begin` when it is sent to a provider, `usage` when a provider has told what it
charges, and its row when it has ended. They are in files (`journal_files.py`), which the next process reads when this
one dies: see docs/ledger.md. Where there are no files (a database in memory, a disk that is full), rows wait in memory.
"""

import asyncio
import logging
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from dragoman.errors import StoreError
from dragoman.store.ledger import LedgerRow, LedgerStore

from .journal_files import (
    CAN_LOCK,
    SEGMENT_BYTES,
    Left,
    Segment,
    Writer,
    dead_writers,
    read_notes,
)
from .journal_notes import (
    BEGIN,
    ROW,
    USAGE,
    Begun,
    Seen,
    Tokens,
    decode_begun,
    decode_row,
    decode_seen,
    encode,
)

__all__ = ["Counts", "Journal", "Tokens"]

log = logging.getLogger("dragoman.ledger")

# Rows are collected so long, or until there are so many. Of SQLite's time for 200 rows half is the transaction's: of a
# thousand, a row takes 12 us in place of 20.
PAUSE_S = 0.5
ROWS_AT_ONCE = 2000
DECODED_AT_ONCE = 250  # half a millisecond: then requests have their turn
MEMORY_ROWS = 10_000  # that wait where there is no file for them: some 10 MB
LONGEST_PAUSE_S = 5.0  # between attempts while the store is away
DISK_PAUSE_S = 5.0  # between attempts to make a file
TAKE_OVER_S = 60.0  # how often dead processes are looked for
CLOSE_S = 5.0  # for what is left at the end

Spends = Sequence[tuple[str, int]]


class Counts(msgspec.Struct):
    """Since the start. What is not 0 below `stored` is worth a look."""

    stored: int = 0  # rows
    taken_over: int = 0  # of them, those of processes that had died
    interrupted: int = 0  # of those, requests that had not ended
    without_file: int = 0  # rows that were in memory alone, as there was trouble with the disk
    lost: int = 0  # rows for which there was no room any more


class Journal:
    """`folder` None: there are no files. `price` fills in the cost of a row of whose request only the tokens are known.

    What a request calls returns at once and raises nothing.
    """

    def __init__(
        self,
        store: LedgerStore,
        folder: Path | None,
        *,
        price: Callable[[LedgerRow], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        pause_s: float = PAUSE_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._folder = folder if CAN_LOCK else None
        self._price = price
        self._clock = clock
        self._pause_s = pause_s
        self._close_s = close_s
        self._writer: Writer | None = None
        self._segments: deque[Segment] = deque()  # the last is written to, the first is the next to be stored
        self._last: Segment | None = None  # of them
        self._spare: Segment | None = None
        # Requests that have not ended: in which segment that begins, and what was noted of them last.
        self._begun: dict[str, tuple[Segment, bytes, bytes | None]] = {}
        self._loose: deque[LedgerRow] = deque()  # rows that are in no file
        self._rows = 0  # in the segments, and not stored
        self._broken_until: float | None = None  # when to try again to make a file
        self._wake: asyncio.Event | None = None
        self._is_asleep = False  # until the next row
        self._flusher: asyncio.Task[None] | None = None
        self._storing = asyncio.Lock()
        self._has_looked = asyncio.Event()  # once at what others left
        self._is_store_away = False
        self._is_childs = False

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return self._rows + len(self._loose)

    def open(self) -> None:
        self._wake = asyncio.Event()
        if self._folder is not None:
            self._spare = self._new_segment(self._folder)  # trouble is told now
        self._flusher = asyncio.create_task(self._run())
        _open.add(self)

    async def aclose(self) -> None:
        """Store what is left, within bounds. What cannot be stored now the next process finds."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait({self._flusher})
            self._flusher = None
        try:
            async with asyncio.timeout(self._close_s):
                await self.flush()
        except TimeoutError:
            log.error("%d rows of the ledger could not be stored in %g s", self.waiting, self._close_s)
        except StoreError as error:
            log.error("%d rows of the ledger could not be stored: %s", self.waiting, error)
        self._close_files()

    async def flush(self) -> None:
        """Store all rows that wait. Raises StoreError."""
        async with self._storing:
            while self.waiting:
                await self._store_some()

    async def catch_up(self) -> None:
        """Until what waits is stored, here and of processes that had died when this one began. Raises StoreError."""
        await self._has_looked.wait()
        await self.flush()

    # -- notes: on the request's path --

    def begin(self, begun: "tuple[str, *tuple[object, ...]]") -> None:
        """`begun` has the fields of a Begun: a tuple is made more quickly."""
        data = encode(begun)
        if (segment := self._append(BEGIN, data)) is not None:
            self._begun[begun[0]] = segment, data, None

    def seen(self, seen: "tuple[str, Tokens, str | None, bool]") -> None:
        """Of a request that has begun here; the fields of a Seen."""
        if (begun := self._begun.get(seen[0])) is not None:
            data = encode(seen)
            self._append(USAGE, data)
            self._begun[seen[0]] = begun[0], begun[1], data

    def end(self, request_id: str, values: tuple[object, ...]) -> None:
        """A request has ended; `values` are of its LedgerRow."""
        if self._is_childs:
            return
        if self._append(ROW, encode(values)) is not None:
            self._rows += 1
        elif len(self._loose) < MEMORY_ROWS:
            self._loose.append(decode_row(encode(values)))
        else:
            self.counts.lost += 1
            if self.counts.lost == 1:
                log.critical("the ledger loses rows: neither the database nor the disk takes them")
        self._begun.pop(request_id, None)
        if self._is_asleep and self._wake is not None:
            self._is_asleep = False
            self._wake.set()

    def _append(self, kind: int, data: bytes) -> Segment | None:
        """The segment that has it now; None where there is none."""
        if (last := self._last) is not None and last.append(kind, data):
            return last
        if self._folder is None or self._is_childs or len(data) > SEGMENT_BYTES // 2:
            return None
        segment = self._next_segment(self._folder)
        if segment is None:
            self.counts.without_file += kind == ROW
            return None
        segment.append(kind, data)
        return segment

    # -- files --

    def _next_segment(self, folder: Path) -> Segment | None:
        spare, self._spare = self._spare, None
        segment = spare or self._new_segment(folder)
        if segment is not None:
            self._segments.append(segment)
            self._last = segment
        return segment

    def _new_segment(self, folder: Path) -> Segment | None:
        """None where the disk does not give one. It is asked again only after a while."""
        now = self._clock()
        if self._broken_until is not None and now < self._broken_until:
            return None
        try:
            if self._writer is None:
                self._writer = Writer.open(folder)
            segment = self._writer.new_segment()
        except OSError as error:
            if self._broken_until is None:
                log.critical(
                    "the journal %s cannot be written, so rows of the ledger are lost if this process dies: %s",
                    folder, error.strerror or error,
                )  # fmt: skip
            self._broken_until = now + DISK_PAUSE_S
            return None
        if self._broken_until is not None:
            log.warning("the journal %s can be written again", folder)
        self._broken_until = None
        return segment

    def _tidy(self) -> None:
        """Let go of segments in which nothing is left to do, and have another ready before this one is full."""
        while len(self._segments) > 1 and self._segments[0].stored == self._segments[0].end:
            first = self._segments[0]
            for id_ in [id_ for id_, (segment, *_) in self._begun.items() if segment is first]:
                self._begin_again(id_)
            if any(segment is first for segment, *_ in self._begun.values()):
                return  # there was no room
            self._segments.popleft()
            if self._spare is None and self._writer is not None:
                first.begin(self._writer.next_number())
                self._spare = first
            else:
                first.remove()
        last = self._last
        if last is not None and self._spare is None and self._folder is not None and last.share_used > 1 / 2:
            self._spare = self._new_segment(self._folder)

    def _begin_again(self, id_: str) -> None:
        """A request that takes long is noted again, so that it need not keep a whole file."""
        _, data, seen = self._begun[id_]
        if (segment := self._append(BEGIN, data)) is not None and (
            seen is None or self._append(USAGE, seen) is not None
        ):
            self._begun[id_] = segment, data, seen

    def _close_files(self) -> None:
        is_empty = not self._rows and not self._begun
        if self._loose:
            log.critical(
                "%d rows of the ledger are lost: neither the database nor the disk took them", len(self._loose)
            )
        elif not is_empty:
            log.warning("%d rows of the ledger wait in %s for the next start", self._rows, self._folder)
        if self._spare is not None:
            self._spare.remove()
        for segment in self._segments:
            if is_empty:
                segment.remove()
            else:
                segment.close()
        self._segments.clear()
        self._last = self._spare = None
        if self._writer is not None:
            self._writer.close(is_empty=is_empty)
            self._writer = None
        self._folder = None

    def _leave_to_parent(self) -> None:
        """This is a child of a fork: the files, and the rows, are its parent's."""
        self._is_childs = True
        self._segments.clear()
        self._loose.clear()
        self._begun.clear()
        self._rows, self._wake = 0, None
        self._last = self._spare = None
        if self._writer is not None:
            self._writer.let_go()
            self._writer = None

    # -- to the store: beside the requests --

    async def _run(self) -> None:
        """As long as the gateway is open. Whatever goes wrong here is tried again: there are rows to be stored."""
        assert self._wake is not None
        pause_s, look_at = 0.0, self._clock()
        while True:
            try:
                if (now := self._clock()) >= look_at:
                    look_at = now  # in vain while the store is away
                    await self._take_over()
                    self._has_looked.set()
                    look_at = now + TAKE_OVER_S
                if not self.waiting:
                    self._wake.clear()
                    self._is_asleep = True
                    with suppress(TimeoutError):
                        async with asyncio.timeout(TAKE_OVER_S):
                            await self._wake.wait()
                if self.waiting < ROWS_AT_ONCE:
                    await asyncio.sleep(self._pause_s)
                async with self._storing:
                    if self.waiting:
                        await self._store_some()
                pause_s = 0.0
                continue
            except StoreError as error:
                self._note_store(is_away=True, why=error)
            except Exception:
                log.exception("a fault of dragoman's: rows of the ledger could not be stored; they are kept")
            pause_s = min(2 * pause_s or self._pause_s, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _store_some(self) -> None:
        """Raises StoreError; then nothing has changed."""
        if loose := list(islice(self._loose, ROWS_AT_ONCE)):
            await self._add(loose)
            for _ in loose:
                self._loose.popleft()
            return
        rows, ends = await self._oldest_rows()
        if rows:
            await self._add(rows)
        for segment, end in ends:
            segment.mark_stored(end)
        self._rows -= len(rows)
        self._tidy()

    async def _oldest_rows(self) -> tuple[list[LedgerRow], list[tuple[Segment, int]]]:
        """Rows of the segments that are to be stored next, and up to where those are stored then."""
        rows: list[LedgerRow] = []
        ends = []
        for segment in list(self._segments):  # there may be another one meanwhile
            end, is_more = segment.stored, True
            while is_more and len(rows) < ROWS_AT_ONCE:
                held, end = segment.some(ROW, end, min(DECODED_AT_ONCE, ROWS_AT_ONCE - len(rows)))
                rows += map(decode_row, held)
                is_more = bool(held)
                await asyncio.sleep(0)
            ends.append((segment, end))
            if len(rows) == ROWS_AT_ONCE:
                break
        return rows, ends

    async def _add(self, rows: Sequence[LedgerRow]) -> int:
        try:
            new = await self._store.add(rows)
        except StoreError:
            raise
        except Exception:  # a row that no database takes must not keep back all others for ever
            if len(rows) > 1:
                return sum([await self._add([row]) for row in rows])
            log.exception("a fault of dragoman's: the row of request %s cannot be stored", rows[0].id)
            self.counts.lost += 1
            return 0
        self._note_store(is_away=False)
        self.counts.stored += new
        return new

    def _note_store(self, *, is_away: bool, why: StoreError | None = None) -> None:
        """One line when the store goes and one when it comes back."""
        if is_away and not self._is_store_away:
            log.warning("rows of the ledger wait in the journal, as they cannot be stored: %s", why)
        elif self._is_store_away and not is_away:
            log.warning("rows of the ledger are stored again; %d wait", self.waiting)
        self._is_store_away = is_away

    # -- what dead processes have left --

    async def _take_over(self) -> None:
        """Raises StoreError: then it is tried again."""
        if self._folder is None:
            return
        try:
            for left in dead_writers(self._folder):
                try:
                    await self._take(left)
                finally:
                    left.close()
        except OSError as error:
            log.error("what other processes left in the journal %s cannot be read: %s", self._folder, error)

    async def _take(self, left: Left) -> None:
        begun: dict[str, Begun] = {}
        seen: dict[str, Seen] = {}
        rows: list[LedgerRow] = []
        stored = 0
        for path in left.segments():
            notes, stored_until = read_notes(path)
            for note in notes:
                if note.kind == BEGIN:
                    begin = decode_begun(note.data)
                    if begin.id in begun and begun[begin.id].attempts < begin.attempts:
                        seen.pop(begin.id, None)  # of the attempt before
                    begun[begin.id] = begin
                elif note.kind == USAGE:
                    usage = decode_seen(note.data)
                    seen[usage.id] = usage
                elif note.kind == ROW:
                    row = decode_row(note.data)
                    begun.pop(row.id, None)
                    if note.end > stored_until:
                        rows.append(row)
                if len(rows) == ROWS_AT_ONCE:
                    stored += await self._add(rows)
                    rows = []
        interrupted = [self._interrupted(each, seen.get(each.id)) for each in begun.values()]
        for some in _batched([*rows, *interrupted], ROWS_AT_ONCE):
            stored += await self._add(some)
        self.counts.taken_over += stored
        self.counts.interrupted += len(interrupted)
        if stored:
            log.warning(
                "%d rows of the ledger were taken over from a process that had died, %d of them of requests that it "
                "was answering", stored, len(interrupted),
            )  # fmt: skip
        left.remove()

    def _interrupted(self, begun: Begun, seen: Seen | None) -> LedgerRow:
        tokens = seen.tokens if seen is not None else Tokens()
        row = LedgerRow(
            id=begun.id,
            at_us=begun.at_us,
            organization_id=begun.organization_id,
            workspace_id=begun.workspace_id,
            key_id=begun.key_id,
            operation=begun.operation,
            model=begun.model,
            provider=begun.provider,
            answered_model=begun.answered_model,
            attempts=begun.attempts,
            outcome="interrupted",
            stop_reason=seen.stop_reason if seen is not None else None,
            is_stream=begun.is_stream,
            input_tokens=tokens.input,
            cache_write_5m_tokens=tokens.cache_write_5m,
            cache_write_1h_tokens=tokens.cache_write_1h,
            cache_read_tokens=tokens.cache_read,
            output_tokens=tokens.output,
            web_searches=tokens.web_searches,
            is_estimated=seen is None or not seen.is_whole,
            service_tier=tokens.service_tier,
            inference_geo=tokens.inference_geo,
            speed=tokens.speed,
            upstream_request_id=seen.upstream_request_id if seen is not None else None,
            tags=begun.tags,
            spent=begun.spent,
        )
        self._price(row)
        return row


def _batched(rows: Sequence[LedgerRow], size: int) -> Iterator[Sequence[LedgerRow]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]


_open: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork() -> None:
    for journal in list(_open):
        journal._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
