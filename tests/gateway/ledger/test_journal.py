"""The journal: nothing that was noted is lost or doubled, whatever becomes of the process, the store or the disk."""

import asyncio
import errno
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import astuple

from dragoman.errors import StoreError
from dragoman.gateway.config.config import load
from dragoman.gateway.ledger import journal as journals
from dragoman.gateway.ledger import journal_files
from dragoman.gateway.ledger.journal import Journal, Tokens
from dragoman.gateway.ledger.journal_files import Segment, Writer, dead_writers, read_notes
from dragoman.gateway.open import open_gateway
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore

PATIENCE_S = 15.0  # generous: the machine may be busy


class Rows:
    """A store of rows by id, which may be away."""

    def __init__(self) -> None:
        self.rows: dict[str, LedgerRow] = {}
        self.is_away = False
        self.asked = 0

    async def add(self, rows: Any) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreError("the store is away")
        new = {row.id: row for row in rows if row.id not in self.rows}
        self.rows |= new
        return len(new)


def row(number: int, **changes: Any) -> LedgerRow:
    values: dict[str, Any] = {"input_tokens": number, "cost_nano": 7, "status": 200, **changes}
    return LedgerRow(id=f"req_{number}", at_us=number, operation="/v1/messages", **values)


def begin(journal: Journal, number: int, *, spent: Any = (), attempts: int = 1) -> None:
    who = ("o", "w", "k")
    what = ("/v1/messages", "mine", "up", "m-1", attempts, True, None, spent)
    journal.begin((f"req_{number}", number, *who, *what))


def end(journal: Journal, number: int, **changes: Any) -> None:
    journal.end(f"req_{number}", astuple(row(number, **changes)))


def made(store: Any, folder: Path | None, **settings: Any) -> Journal:
    return Journal(store, folder, pause_s=0.001, **settings)


@asynccontextmanager
async def opened(store: Any, folder: Path | None, **settings: Any) -> AsyncIterator[Journal]:
    journal = made(store, folder, **settings)
    journal.open()
    yield journal
    await journal.aclose()


def die(journal: Journal) -> None:
    """What `kill -9` leaves: the files as they are, and the lock let go of."""
    if journal._flusher is not None:
        journal._flusher.cancel()
    assert journal._writer is not None
    journal._writer.let_go()
    journal._writer = None


def listed(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.glob(pattern))


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "x.journal"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 4 KB, and batches of 50 rows."""
    monkeypatch.setattr(Segment.__init__, "__defaults__", (4096,))
    monkeypatch.setattr(journals, "ROWS_AT_ONCE", 50)


async def test_rows_come_into_the_store_and_the_files_go(folder: Path) -> None:
    store = Rows()
    async with opened(store, folder) as journal:
        for number in range(100):
            begin(journal, number)
            end(journal, number)
        await until(lambda: len(store.rows) == 100)
        assert list(map(astuple, store.rows.values())) == [astuple(row(number)) for number in range(100)]
        assert journal.waiting == 0
    assert listed(folder) == []


async def test_what_waits_at_the_end_is_stored(folder: Path) -> None:
    store = Rows()
    async with opened(store, folder, clock=lambda: 0.0) as journal:
        for number in range(100):
            end(journal, number)
    assert len(store.rows) == 100
    assert journal.counts.stored == 100
    assert listed(folder) == []


async def test_segments_follow_each_other_and_go_when_all_in_them_is_stored(folder: Path, small: None) -> None:
    store = Rows()
    async with opened(store, folder) as journal:
        for number in range(2000):
            begin(journal, number)
            end(journal, number)
        assert len(listed(folder)) > 50
        await until(lambda: len(store.rows) == 2000)
        await until(lambda: len(listed(folder)) <= 3)
    assert list(store.rows) == [f"req_{number}" for number in range(2000)]


async def test_a_long_request_keeps_no_old_segment(folder: Path, small: None) -> None:
    """It is noted again, so that it is known when the process dies much later."""
    store = Rows()
    async with opened(store, folder) as journal:
        begin(journal, 1)
        journal.seen(("req_1", Tokens(77), None, False))
        for number in range(1000, 2000):
            end(journal, number)
        await until(lambda: len(store.rows) == 1000 and len(listed(folder)) <= 3)
        die(journal)
        async with opened(store, folder):
            await until(lambda: "req_1" in store.rows)
    assert store.rows["req_1"].outcome == "interrupted"
    assert store.rows["req_1"].input_tokens == 77


async def test_while_the_store_is_away_rows_wait_on_the_disk(
    folder: Path, small: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Pain 35 and 36: memory does not grow, requests are not held up, and each row comes in once afterwards."""
    store = Rows()
    store.is_away = True
    async with opened(store, folder) as journal:
        for number in range(500):
            end(journal, number)
        await until(lambda: store.asked > 3)
        for number in range(500, 1000):
            end(journal, number)
        assert journal.waiting == 1000
        assert not journal._loose
        assert store.rows == {}
        store.is_away = False
        await until(lambda: journal.waiting == 0)
    assert list(store.rows) == [f"req_{number}" for number in range(1000)]
    said = [record.message for record in caplog.records]
    assert len([each for each in said if "wait in the journal" in each]) == 1
    assert len([each for each in said if "are stored again" in each]) == 1


async def test_what_cannot_be_stored_at_the_end_waits_for_the_next_start(folder: Path) -> None:
    store = Rows()
    store.is_away = True
    async with opened(store, folder) as journal:
        end(journal, 1)
    store.is_away = False
    async with opened(store, folder):
        await until(lambda: bool(store.rows))
    assert astuple(store.rows["req_1"]) == astuple(row(1))
    assert listed(folder) == []


async def test_a_store_that_hangs_does_not_hold_up_the_stop(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Silent(Rows):
        async def add(self, rows: Any) -> int:
            await asyncio.Event().wait()
            return 0

    journal = made(Silent(), folder, close_s=0.01)
    end(journal, 1)
    await journal.aclose()
    assert "could not be stored in 0.01 s" in caplog.text
    store = Rows()
    async with opened(store, folder):
        await until(lambda: bool(store.rows))


async def test_a_dead_process_is_taken_over(folder: Path) -> None:
    """Pain 35: what had ended comes in as it was, what had not as `interrupted`, with the usage that was seen."""
    store = Rows()
    priced: list[str] = []

    def price(row: LedgerRow) -> None:
        priced.append(row.id)
        row.cost_nano = row.input_tokens * 3

    dead = made(store, folder)
    for number in range(1, 6):
        begin(dead, number, spent=(("budget", 86_400),))
    end(dead, 1)
    dead.seen(("req_2", Tokens(10, 1, 2, 3, 4, 5, "standard", "us", "fast"), "end_turn", True))
    dead.seen(("req_3", Tokens(10, 0, 0, 0, 1), None, False))
    dead.seen(("req_4", Tokens(10, 0, 0, 0, 1), None, False))
    dead.seen(("req_4", Tokens(10, 0, 0, 0, 99), "max_tokens", True))
    die(dead)
    async with opened(store, folder, price=price) as journal:
        await until(lambda: len(store.rows) == 5)
        await until(lambda: journal.counts.taken_over == 5)
        assert journal.counts.interrupted == 4
    assert listed(folder) == []
    assert astuple(store.rows["req_1"]) == astuple(row(1))
    assert sorted(priced) == ["req_2", "req_3", "req_4", "req_5"]
    told = {id_: each for id_, each in store.rows.items() if id_ != "req_1"}
    assert {each.outcome for each in told.values()} == {"interrupted"}
    assert {each.spent for each in told.values()} == {(("budget", 86_400),)}
    assert [each.is_estimated for each in told.values()] == [False, True, False, True]
    second = told["req_2"]
    assert (second.input_tokens, second.cache_write_5m_tokens, second.cache_write_1h_tokens) == (10, 1, 2)
    assert (second.cache_read_tokens, second.output_tokens, second.web_searches) == (3, 4, 5)
    assert (second.service_tier, second.inference_geo, second.speed) == ("standard", "us", "fast")
    assert (second.model, second.provider, second.answered_model) == ("mine", "up", "m-1")
    assert (second.cost_nano, second.stop_reason) == (30, "end_turn")
    assert (told["req_4"].output_tokens, told["req_4"].stop_reason) == (99, "max_tokens")
    assert told["req_5"].input_tokens == 0


async def test_what_an_earlier_attempt_told_is_not_of_the_last(folder: Path) -> None:
    store = Rows()
    dead = made(store, folder)
    begin(dead, 1)
    dead.seen(("req_1", Tokens(10), None, False))
    begin(dead, 1, attempts=2)
    die(dead)
    async with opened(store, folder):
        await until(lambda: bool(store.rows))
    assert (store.rows["req_1"].input_tokens, store.rows["req_1"].attempts) == (0, 2)


async def test_a_process_that_lives_is_left_alone(folder: Path) -> None:
    store, other = Rows(), Rows()
    other.is_away = True
    async with opened(other, folder) as busy:
        end(busy, 1)
        async with opened(store, folder) as journal:
            end(journal, 2)
            await until(lambda: "req_2" in store.rows)
        assert set(store.rows) == {"req_2"}
        other.is_away = False
        await until(lambda: "req_1" in other.rows)


async def test_of_several_who_take_over_one_does(folder: Path) -> None:
    store = Rows()
    dead = made(store, folder)
    for number in range(100):
        end(dead, number)
    die(dead)
    async with opened(store, folder) as one, opened(store, folder) as two, opened(store, folder) as three:
        await until(lambda: len(store.rows) == 100)
        await until(lambda: one.counts.taken_over + two.counts.taken_over + three.counts.taken_over == 100)


async def test_dying_while_taking_over_doubles_nothing(tmp_path: Path, folder: Path) -> None:
    """Pain 35: with a real store, whose sums must not count a row twice."""
    store = SQLStore(f"sqlite:///{tmp_path}/dragoman.db")
    await store.open()
    dead = made(store.ledger, folder)
    for number in range(100):
        begin(dead, number)
        end(dead, number)
    begin(dead, 100)
    await dead._store_some()
    end(dead, 101)
    die(dead)
    for left in dead_writers(folder):  # stored, and then it died too
        await made(store.ledger, folder)._take(_Kept(left))
        left.close()
    async with opened(store.ledger, folder):
        await until(lambda: len(listed(folder, "*.lock")) == 1)
    totals = await store.ledger.totals()
    await store.close()
    assert totals["requests"] == 102
    assert totals["input_tokens"] == sum(range(100)) + 101


class _Kept:
    """What was left, which is not removed."""

    def __init__(self, left: Any) -> None:
        self.segments = left.segments

    def remove(self) -> None:
        pass


async def test_a_note_that_was_not_written_to_its_end_is_none(folder: Path) -> None:
    store = Rows()
    dead = made(store, folder)
    end(dead, 1)
    whole = dead._segments[0].end
    end(dead, 2)
    path = dead._segments[0].path
    die(dead)
    content = path.read_bytes()
    for cut in (whole + 3, whole + 9, whole + 40):
        path.write_bytes(content[:cut] + bytes(len(content) - cut))
        notes, _ = read_notes(path)
        assert len(notes) == 1
    async with opened(store, folder):
        await until(lambda: len(listed(folder, "*.lock")) == 1)
    assert set(store.rows) == {"req_1"}


@pytest.fixture
def littered(folder: Path) -> Path:
    folder.mkdir()
    (folder / "1-dead.lock").write_bytes(b"")
    (folder / "1-dead.1").write_bytes(b"not a segment at all")
    (folder / "1-dead.2").write_bytes(b"")
    (folder / "1-dead.txt").write_bytes(b"mine")
    return folder


def test_what_stood_in_a_segment_before_is_no_note(folder: Path) -> None:
    """Segments are used again. What is left of their earlier notes lies where the next one would, to the byte."""
    writer = Writer.open(folder)
    segment = writer.new_segment()
    for at in range(10):
        assert segment.append(1, b"old %d" % at)
    segment.begin(writer.next_number())
    assert read_notes(segment.path) == ([], segment.end)
    for at in range(3):
        assert segment.append(1, b"new %d" % at)
    assert [note.data for note in read_notes(segment.path)[0]] == [b"new 0", b"new 1", b"new 2"]
    segment.close()
    writer.close(is_empty=False)
    (left,) = dead_writers(folder)
    other = Segment(folder / f"{left.name}.1000", 1)  # a lower number, whatever its name says
    assert left.segments() == [other.path, segment.path]
    other.close()
    left.close()


async def test_few_segments_do_for_many_requests(folder: Path, small: None) -> None:
    store = Rows()
    async with opened(store, folder) as journal:
        seen = set()
        for number in range(1000):
            begin(journal, number)
            end(journal, number)
            if number % 20 == 0:
                await journal.flush()
            seen.update(listed(folder))
        assert len(seen) <= 6
    assert list(store.rows) == [f"req_{number}" for number in range(1000)]


async def test_files_that_are_none_of_ours_do_no_harm(littered: Path) -> None:
    folder = littered
    store = Rows()
    async with opened(store, folder) as journal:
        end(journal, 1)
        await until(lambda: bool(store.rows))
        await until(lambda: len(listed(folder, "*.lock")) == 1)
    assert [path.name for path in listed(folder)] == ["1-dead.txt"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the disk is full."""
    is_full = [True]
    allocate = os.posix_fallocate

    def fallocate(*given: int) -> None:
        if is_full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(*given)

    monkeypatch.setattr(journal_files.os, "posix_fallocate", fallocate)
    return is_full


async def test_on_a_full_disk_rows_are_kept_in_memory(
    folder: Path, full_disk: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    """Requests go on, one loud line says so, and when there is room again it is used."""
    store, clock = Rows(), [0.0]
    async with opened(store, folder, clock=lambda: clock[0]) as journal:
        for number in range(100):
            begin(journal, number)
            end(journal, number)
        await until(lambda: len(store.rows) == 100)
        assert journal.counts.without_file == 100
        full_disk[0] = False
        clock[0] = journals.DISK_PAUSE_S + 1
        end(journal, 100)
        assert journal._segments
        await until(lambda: len(store.rows) == 101)
    loud = [record for record in caplog.records if record.levelno >= logging.CRITICAL]
    assert len(loud) == 1
    assert "No space left on device" in loud[0].message
    assert "can be written again" in caplog.text
    assert listed(folder) == []


async def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Rows()
    async with opened(store, tmp_path / "file" / "x.journal") as journal:
        end(journal, 1)
        await until(lambda: bool(store.rows))
    assert "cannot be written" in caplog.text


async def test_with_neither_disk_nor_store_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journals, "MEMORY_ROWS", 10)
    store = Rows()
    store.is_away = True
    async with opened(store, None) as journal:
        for number in range(100):
            end(journal, number)
        assert journal.waiting == 10
        assert journal.counts.lost == 90
        store.is_away = False
    assert len(store.rows) == 10
    assert caplog.text.count("loses rows") == 1


async def test_a_row_that_no_store_takes_keeps_back_no_other(caplog: pytest.LogCaptureFixture, folder: Path) -> None:
    class Picky(Rows):
        async def add(self, rows: Any) -> int:
            if any(row.id == "req_7" for row in rows):
                raise OverflowError("too large")
            return await super().add(rows)

    store = Picky()
    async with opened(store, folder) as journal:
        for number in range(20):
            end(journal, number)
        await until(lambda: journal.waiting == 0)
        assert journal.counts.lost == 1
    assert len(store.rows) == 19
    assert "req_7" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
async def test_a_fork_leaves_the_journal_to_the_parent(folder: Path) -> None:
    store = Rows()
    async with opened(store, folder) as journal:
        begin(journal, 1)
        if (child := os.fork()) == 0:
            end(journal, 1)  # of the parent's requests it knows nothing
            os._exit(0 if journal.waiting == 0 and journal._writer is None else 1)
        assert await asyncio.to_thread(os.waitpid, child, 0) == (child, 0)
        assert list(dead_writers(folder)) == []
        end(journal, 1)
        await until(lambda: bool(store.rows))
    assert astuple(store.rows["req_1"]) == astuple(row(1))


def test_a_writer_whose_lock_was_taken_makes_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of its file and the locking of it somebody may take it for a dead one's."""
    lock = journal_files._lock
    taken: list[int] = []

    def late(descriptor: int) -> bool:
        if not taken:
            taken.append(descriptor)
            for path in folder.glob("*.lock"):
                path.unlink()
        return lock(descriptor)

    monkeypatch.setattr(journal_files, "_lock", late)
    writer = Writer.open(folder)
    assert taken
    assert [path.name for path in folder.iterdir()] == [f"{writer.name}.lock"]
    writer.close(is_empty=True)


def test_the_form_of_notes_is_known() -> None:
    """A journal is read by the next start, which may be of a newer version: then MAGIC must change with this."""
    assert journal_files.MAGIC.startswith(b"dragoman1\0")
    assert len(msgspec.structs.fields(LedgerRow)) == 36
    assert len(msgspec.structs.fields(journals.Begun)) == 13
    assert len(msgspec.structs.fields(Tokens)) == 9


@pytest.mark.parametrize(
    ("database", "named", "expected"),
    [
        ("sqlite:///{here}/my.db", None, "my.db.journal"),
        ("sqlite:///{here}/my.db", "elsewhere", "elsewhere"),
        ("sqlite://", None, None),
        ("sqlite://", "elsewhere", "elsewhere"),
        ("postgresql://somebody@127.0.0.1/x", None, "dragoman.journal"),
    ],
    ids=["file", "file, named", "memory", "memory, named", "postgresql"],
)
def test_where_the_journal_is(
    database: str, named: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = f'[ledger]\njournal_folder = "{named}"\n' if named else ""
    config = load(None, {}, text=text, database=database.format(here=tmp_path))
    gateway = open_gateway(config, {"DRAGOMAN_SECRET": "a secret of sixteen letters or more"})
    assert gateway.journal is not None
    assert gateway.journal._folder == (None if expected is None else tmp_path / expected)
