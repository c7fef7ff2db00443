"""The rules that every BatchStore keeps, over each kind of database (conftest.py)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from dragoman.errors import StoreError
from dragoman.store.batches import Batch, BatchRequest, BatchStore
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OURS, THEIRS = "wrkspc_1", "wrkspc_2"


@pytest.fixture
def store(sql_store: SQLStore) -> BatchStore:
    return sql_store.batches


def batch(number: int = 1, *, total: int = 3, **changes: Any) -> Batch:
    created = NOON + timedelta(seconds=number)
    first = Batch(
        id=f"msgbatch_{number}",
        workspace_id=OURS,
        caller=b"{}",
        total=total,
        created_at=created,
        expires_at=created + DAY,
    )
    return msgspec.structs.replace(first, **changes)


def requests(count: int = 3) -> list[BatchRequest]:
    return [BatchRequest(number, f"id-{number}", b'{"n":%d}' % number) for number in range(count)]


async def added(store: BatchStore, number: int = 1, *, total: int = 3, **changes: Any) -> Batch:
    made = batch(number, total=total, **changes)
    await store.add(made, [requests(total)], worker="a")
    return made


async def answered(store: BatchStore, made: Batch, numbers: Sequence[int]) -> None:
    for number in numbers:
        await store.keep(made.id, number, "succeeded", b"[%d]" % number)


async def test_a_batch_comes_back_as_it_was_kept(store: BatchStore) -> None:
    made = await added(store)
    assert await store.find(made.id, OURS) == made


async def test_only_its_workspace_finds_a_batch(store: BatchStore) -> None:
    """BAT-12."""
    made = await added(store)
    assert await store.find(made.id, THEIRS) is None
    assert await store.page(THEIRS, 10) == []
    assert await store.page(OURS, 10) == [made]


async def test_nobody_sees_a_batch_before_it_is_whole(store: BatchStore) -> None:
    """Not even when the process that takes it ends half way."""
    made = batch()

    def pages() -> Iterator[list[BatchRequest]]:
        yield requests(2)
        raise KeyboardInterrupt  # from which nobody cleans up

    with pytest.raises(KeyboardInterrupt):
        await store.add(made, pages(), worker="a")
    assert await store.find(made.id, OURS) is None
    assert await store.page(OURS, 10) == []
    assert await store.claim("a", NOON, NOON + HOUR, 10) == []
    await store.erase(results_before=NOON - DAY, broken_before=NOON + HOUR)
    await added(store)  # the id is free again, and so are the numbers of its requests
    assert await store.pending(made.id, after=-1, limit=10) == [0, 1, 2]


@pytest.mark.parametrize("trouble", [StoreError("the disk is full"), RuntimeError("a fault")])
async def test_what_cannot_be_stored_whole_is_forgotten(store: BatchStore, trouble: Exception) -> None:
    def pages() -> Iterator[list[BatchRequest]]:
        yield requests(2)
        raise trouble

    with pytest.raises(type(trouble)):
        await store.add(batch(), pages(), worker="a")
    assert await store.workers() == []
    assert await store.pending(batch().id, after=-1, limit=10) == []


async def test_the_half_of_a_batch_goes_with_its_worker(store: BatchStore) -> None:
    def pages() -> Iterator[list[BatchRequest]]:
        yield requests(2)
        raise KeyboardInterrupt

    whole = await added(store, 2)
    await store.claim("a", NOON, NOON + HOUR, 9)
    with pytest.raises(KeyboardInterrupt):
        await store.add(batch(), pages(), worker="a")
    assert await store.workers() == ["a"]
    await store.bury("b")
    assert await store.claim("b", NOON, NOON + HOUR, 9) == []
    assert await store.pending(batch().id, after=-1, limit=9) == [0, 1]
    await store.bury("a")
    assert await store.pending(batch().id, after=-1, limit=9) == []
    assert await store.workers() == []
    assert await store.claim("b", NOON, NOON + HOUR, 9) == [whole]


async def test_a_request_that_is_refused_already_has_its_result(store: BatchStore) -> None:
    made = batch(total=2)
    good, bad = requests(2)
    refused = msgspec.structs.replace(bad, params=b"", error=b'{"type":"error"}')
    await store.add(made, [[good, refused]], worker="a")
    assert await store.pending(made.id, after=-1, limit=9) == [0]
    assert await store.take(made.id, 1, NOON) is None
    assert await store.take(made.id, 0, NOON) == good
    await answered(store, made, [0])
    assert await store.end(made.id, NOON)
    found = [(each.outcome, each.body) for each in await store.results(made.id, after=-1, limit=9)]
    assert found == [("succeeded", b"[0]"), ("errored", b'{"type":"error"}')]


async def test_pages_are_newest_first_and_go_both_ways(store: BatchStore) -> None:
    """BAT-6."""
    made = [await added(store, number) for number in (2, 4, 1, 3)]
    one, two, three, four = sorted(made, key=lambda each: each.id)
    assert await store.page(OURS, 3) == [four, three, two]
    assert await store.page(OURS, 2, after=three) == [two, one]
    assert await store.page(OURS, 2, before=one) == [three, two]
    assert await store.page(OURS, 9, before=two) == [four, three]
    assert await store.page(OURS, 9, after=one) == []


async def test_batches_of_one_moment_are_paged_by_their_ids(store: BatchStore) -> None:
    """BAT-6."""
    same = [await added(store, number, created_at=NOON) for number in (1, 2, 3)]
    assert await store.page(OURS, 9) == same[::-1]
    assert await store.page(OURS, 9, after=same[1]) == [same[0]]
    assert await store.page(OURS, 9, before=same[1]) == [same[2]]


async def test_one_worker_at_a_time_gets_a_batch(store: BatchStore) -> None:
    old, new = await added(store, 1), await added(store, 2)
    assert await store.claim("a", NOON, NOON + HOUR, 1) == [old]
    assert await store.claim("b", NOON, NOON + HOUR, 9) == [new]
    assert await store.claim("a", NOON, NOON + HOUR, 9) == [old]
    later = NOON + 2 * HOUR  # neither has been heard of
    assert await store.claim("c", later, later + HOUR, 9) == [old, new]
    assert await store.claim("a", later, later + HOUR, 9) == []


async def test_a_batch_that_is_over_waits_for_no_turn(store: BatchStore) -> None:
    """BAT-7 and BAT-10."""
    first, _, canceled = await added(store, 1), await added(store, 2), await added(store, 3)
    expired = await added(store, 4, expires_at=NOON)
    await store.cancel(canceled.id, NOON)
    claimed = await store.claim("a", NOON - HOUR, NOON, 1)
    assert [each.id for each in claimed] == [first.id, canceled.id]
    await store.end(canceled.id, NOON)
    claimed = await store.claim("a", NOON, NOON + HOUR, 1)
    assert [each.id for each in claimed] == [first.id, expired.id]


async def test_what_a_worker_lets_go_is_free_at_once(store: BatchStore) -> None:
    made = await added(store)
    await store.claim("a", NOON, NOON + HOUR, 9)
    await store.release("b")
    assert await store.claim("b", NOON, NOON + HOUR, 9) == []
    await store.release("a")
    assert await store.claim("b", NOON, NOON + HOUR, 9) == [made]


async def test_what_is_pending_has_no_result(store: BatchStore) -> None:
    made = await added(store, total=5)
    await answered(store, made, [1, 3])
    assert await store.pending(made.id, after=-1, limit=9) == [0, 2, 4]
    assert await store.pending(made.id, after=0, limit=1) == [2]
    assert await store.take(made.id, 2, NOON) == requests(5)[2]
    assert await store.take(made.id, 3, NOON) is None


async def test_nothing_is_taken_from_a_batch_that_is_canceled_or_expired(store: BatchStore) -> None:
    """BAT-7 and BAT-10."""
    expired, canceled = await added(store, 1), await added(store, 2)
    assert await store.take(expired.id, 0, expired.expires_at) is None
    await store.cancel(canceled.id, NOON)
    assert await store.take(canceled.id, 0, NOON) is None
    assert await store.take(expired.id, 0, NOON) is not None


async def test_the_first_result_stays(store: BatchStore) -> None:
    made = await added(store, total=1)
    await store.keep(made.id, 0, "errored", b"1")
    await store.keep(made.id, 0, "succeeded", b"2")
    (result,) = await store.results(made.id, after=-1, limit=9)
    assert (result.custom_id, result.outcome, result.body) == ("id-0", "errored", b"1")


async def test_the_counts_come_with_the_end(store: BatchStore) -> None:
    """BAT-5."""
    made = await added(store)
    await answered(store, made, [0, 2])
    assert not await store.end(made.id, NOON)
    assert await store.find(made.id, OURS) == made
    await store.keep(made.id, 1, "errored", b"{}")
    assert await store.end(made.id, NOON + HOUR)
    ended = msgspec.structs.replace(made, succeeded=2, errored=1, ended_at=NOON + HOUR)
    assert await store.find(made.id, OURS) == ended
    assert await store.claim("a", NOON, NOON + HOUR, 9) == []


@pytest.mark.parametrize(("is_canceled", "outcome"), [(True, "canceled"), (False, "expired")])
async def test_what_has_no_result_at_the_end_says_why(store: BatchStore, is_canceled: bool, outcome: str) -> None:
    """BAT-7 and BAT-10."""
    made = await added(store)
    await answered(store, made, [1])
    if is_canceled:
        await store.cancel(made.id, NOON)
    assert await store.end(made.id, made.expires_at)
    ended = await store.find(made.id, OURS)
    assert ended is not None
    assert (ended.succeeded, getattr(ended, outcome)) == (1, 2)
    found = [(each.outcome, each.body) for each in await store.results(made.id, after=-1, limit=9)]
    assert found == [(outcome, None), ("succeeded", b"[1]"), (outcome, None)]


async def test_a_cancel_counts_once_and_only_before_the_end(store: BatchStore) -> None:
    """BAT-7."""
    made = await added(store, total=1)
    await store.cancel(made.id, NOON)
    await store.cancel(made.id, NOON + HOUR)
    found = await store.find(made.id, OURS)
    assert found is not None
    assert found.cancel_initiated_at == NOON
    done = await added(store, 2, total=1)
    await answered(store, done, [0])
    assert await store.end(done.id, NOON)
    await store.cancel(done.id, NOON)
    found = await store.find(done.id, OURS)
    assert found is not None
    assert found.cancel_initiated_at is None


async def test_results_come_in_pages(store: BatchStore) -> None:
    """BAT-8."""
    made = await added(store, total=5)
    await answered(store, made, [4, 0, 1, 3, 2])
    first = await store.results(made.id, after=-1, limit=3)
    rest = await store.results(made.id, after=first[-1].number, limit=3)
    assert [each.body for each in [*first, *rest]] == [b"[%d]" % number for number in range(5)]


async def test_only_a_batch_that_has_ended_is_deleted_and_with_it_its_results(store: BatchStore) -> None:
    """BAT-11."""
    made = await added(store, total=1)
    assert not await store.delete(made.id)
    assert await store.find(made.id, OURS) == made
    await answered(store, made, [0])
    await store.end(made.id, NOON)
    assert await store.delete(made.id)
    assert await store.find(made.id, OURS) is None
    assert await store.results(made.id, after=-1, limit=9) == []
    assert not await store.delete(made.id)


async def test_old_results_go_and_their_batch_stays(store: BatchStore) -> None:
    """BAT-10."""
    old, young = await added(store, 1, total=1), await added(store, 2, total=1)
    for made in (old, young):
        await answered(store, made, [0])
        await store.end(made.id, NOON)
    await store.erase(results_before=old.created_at, broken_before=NOON)
    assert await store.results(old.id, after=-1, limit=9) == []
    assert len(await store.results(young.id, after=-1, limit=9)) == 1
    assert await store.find(old.id, OURS) is not None


async def test_a_store_that_is_not_open_says_so() -> None:
    with pytest.raises(StoreError, match="not open"):
        await SQLStore("sqlite://").batches.find("msgbatch_1", OURS)
