"""What was asked and replied, kept where the configuration asks for it: `[ledger] contents = true`.

A request hands over the bytes that it has anyway; taking the secrets out and writing them happens behind it, one at a
time in a thread. What does not fit into WAITING_BYTES meanwhile is left out, and told. Nothing of it is in the journal:
contents that were waiting when a process is killed are lost, unlike rows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from dragoman.errors import StoreError
from dragoman.store import usage
from dragoman.store.base import UsageStore

from .contents_text import MARGIN_BYTES, kept_json, kept_stream

__all__ = ["LIMIT_BYTES", "Contents", "Recording"]

log = logging.getLogger("dragoman.contents")

LIMIT_BYTES: Final = 1024 * 1024  # of a request or a reply, each
WAITING_BYTES: Final = 64 * 1024 * 1024
AT_ONCE: Final = 20  # rows of one transaction


class Recording:
    """Of one request, until it has ended."""

    __slots__ = ("_contents", "_pieces", "_seen_bytes", "at_us", "body", "request_id", "workspace_id")

    def __init__(self, contents: "Contents", request_id: str, workspace_id: str, body: bytes, at_us: int) -> None:
        self.request_id = request_id
        self.workspace_id = workspace_id
        self.body = body
        self.at_us = at_us
        self._contents = contents
        self._pieces: list[bytes] = []
        self._seen_bytes = 0

    def saw(self, piece: bytes) -> None:
        """A piece of the reply goes out."""
        if self._seen_bytes < LIMIT_BYTES + MARGIN_BYTES:
            self._pieces.append(piece)
        self._seen_bytes += len(piece)

    def over(self, write: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """`write`, with what it takes recorded."""

        def recorded(piece: bytes) -> bool:
            is_taken = write(piece)
            if is_taken:
                self.saw(piece)
            return is_taken

        return recorded

    def end(self, body: bytes) -> None:
        """`body` is that of a reply that was no stream. Twice is harmless."""
        contents, self._contents = self._contents, _ENDED
        contents.take(self, body)

    @property
    def size_bytes(self) -> int:
        return len(self.body) + sum(map(len, self._pieces))

    def read(self, reply: bytes) -> usage.Contents:
        """As it may be kept. Takes some 0.05 s for a megabyte."""
        if self._pieces:
            clean = kept_stream(self._pieces, limit_bytes=LIMIT_BYTES, total_bytes=self._seen_bytes)
        else:
            clean = kept_json(reply, limit_bytes=LIMIT_BYTES) if reply else b""
        return usage.Contents(
            id=self.request_id,
            at_us=self.at_us,
            workspace_id=self.workspace_id,
            request=kept_json(self.body, limit_bytes=LIMIT_BYTES),
            reply=clean,
        )


class Contents:
    """Writes what recordings hand over. `now` gives Unix seconds."""

    def __init__(self, store: UsageStore, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._waiting: deque[tuple[Recording, bytes, int]] = deque()
        self._waiting_bytes = 0
        self._left_out = 0
        self._has_news = asyncio.Event()
        self._is_closing = False
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._work = asyncio.create_task(self._write_all(), name="dragoman contents")

    async def aclose(self) -> None:
        """Write what waits, then end."""
        self._is_closing = True
        self._has_news.set()
        if self._work is not None:
            await self._work

    def begin(self, request_id: str, workspace_id: str, body: bytes) -> Recording:
        return Recording(self, request_id, workspace_id, body, int(self._now() * 1_000_000))

    def take(self, recording: Recording, reply: bytes) -> None:
        size = recording.size_bytes + len(reply)
        if self._waiting_bytes + size > WAITING_BYTES:
            self._left_out += 1
            return
        self._waiting_bytes += size
        self._waiting.append((recording, reply, size))
        self._has_news.set()

    async def _write_all(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            while self._waiting:
                await self._write_some()
            if self._is_closing and not self._waiting:
                return

    async def _write_some(self) -> None:
        """Trouble with the store costs these contents, and no request."""
        taken = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            await self._store.add_contents([await asyncio.to_thread(each.read, reply) for each, reply, _ in taken])
        except StoreError as error:
            self._left_out += len(taken)
            log.warning("contents of %d requests were not kept: %s", self._left_out, error)
            self._left_out = 0
        except Exception:
            log.exception("contents of %d requests were not kept by a fault of dragoman's", len(taken))
        finally:
            self._waiting_bytes -= sum(size for _, _, size in taken)
        if self._left_out:
            log.warning("contents of %d requests were not kept: more came than could be written", self._left_out)
            self._left_out = 0


class _Ended(Contents):
    """Takes nothing more."""

    def __init__(self) -> None:
        pass

    def take(self, recording: Recording, reply: bytes) -> None:
        pass


_ENDED: Final = _Ended()
