"""What a store keeps of message batches: the records, and the protocol. Imports nothing heavy."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

__all__ = ["Batch", "BatchRequest", "BatchResult", "BatchStore", "Outcome"]

Outcome = Literal["succeeded", "errored", "canceled", "expired"]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it is stored. Times are aware and UTC. The four counts are 0 until it has ended (BAT-5)."""

    id: str  # "msgbatch_..."
    workspace_id: str
    caller: bytes  # whose requests they are; the store does not look into it
    total: int
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0
    created_at: datetime
    expires_at: datetime
    cancel_initiated_at: datetime | None = None
    ended_at: datetime | None = None


class BatchRequest(msgspec.Struct, frozen=True):
    """One request of a batch; `params` are the bytes of a Messages body, as they came.

    `error` is the envelope of the error of one that is refused already; then it has no params.
    """

    number: int  # from 0, in the order in which they came
    custom_id: str
    params: bytes
    error: bytes | None = None


class BatchResult(msgspec.Struct, frozen=True):
    """What became of a request. `body`: the message, or the envelope of the error; None for the other outcomes."""

    number: int
    custom_id: str
    outcome: Outcome
    body: bytes | None


class BatchStore(Protocol):
    """The batches of an installation. Every method raises StoreError for any trouble with the database."""

    async def add(self, batch: Batch, pages: Iterable[Sequence[BatchRequest]], *, worker: str) -> None:
        """Keep a batch and its requests, page by page. Nobody sees it before its last page is there.

        `worker` does so. Where that fails nothing stays, if the database still takes that.
        """

    async def find(self, batch_id: str, workspace_id: str) -> Batch | None:
        """The batch with this id, if it is the workspace's."""

    async def page(
        self, workspace_id: str, limit: int, *, after: Batch | None = None, before: Batch | None = None
    ) -> Sequence[Batch]:
        """At most `limit` batches of a workspace, newest first: the newest, those next behind `after`, or before it."""

    async def cancel(self, batch_id: str, at: datetime) -> None:
        """Note that a batch is to end early. Nothing happens to one that has ended or was canceled already."""

    async def delete(self, batch_id: str) -> bool:
        """Forget a batch and its results. False, and nothing done, for one that has not ended."""

    async def claim(self, worker: str, now: datetime, until: datetime, limit: int) -> Sequence[Batch]:
        """The batches that `worker` is to answer until `until`: its own, and open ones that nobody holds.

        At most `limit` are taken, oldest first, and besides them as many that are canceled or expired: to end those
        takes no turn. Of several processes, one gets a batch.
        """

    async def release(self, worker: str) -> None:
        """Let others have what `worker` holds."""

    async def workers(self) -> Sequence[str]:
        """Those that hold an open batch, or half of one."""

    async def bury(self, worker: str) -> None:
        """Let others have what a `worker` held that is no more, and forget the halves of batches that it left."""

    async def pending(self, batch_id: str, *, after: int, limit: int) -> Sequence[int]:
        """Numbers of requests above `after` that have no result, lowest first."""

    async def take(self, batch_id: str, number: int, now: datetime) -> BatchRequest | None:
        """A request that is to be answered; None when its batch is canceled or expired, or it has a result."""

    async def keep(self, batch_id: str, number: int, outcome: Outcome, body: bytes) -> None:
        """Note a request's result, and forget its params. The first result stays."""

    async def end(self, batch_id: str, at: datetime) -> bool:
        """End a batch: in one that is canceled or expired, what has no result becomes so.

        False, and nothing done, while requests of another one have no result.
        """

    async def results(self, batch_id: str, *, after: int, limit: int) -> Sequence[BatchResult]:
        """At most `limit` results with numbers above `after`, lowest first."""

    async def erase(self, *, results_before: datetime, broken_before: datetime) -> None:
        """Forget the requests and results of batches as old as the first time, and halves of batches as the second."""
