"""Heavy work of the offline engine: it holds up nobody else, and does not go on when its caller has gone."""

import asyncio
import base64
import io
import json
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from asking import TOOL, Json, body, model, says
from offline import run
from PIL import Image as Pillow
from rawhttp import HELLO, Wire, exchange, post
from serving import Serving, wait_until

from dragoman.engines.offline import OfflineEngine, images, pdf
from dragoman.engines.offline.offloading import HEAVY_THREADS, LIGHT_CHARACTERS, QUICK, Threads, is_heavy
from dragoman.engines.offline.pdf import PdfFile, PdfReader
from dragoman.engines.offline.prompt import Abandoned, Reading, read_prompt
from dragoman.errors import ApiError, InvalidRequest, Overloaded
from dragoman.gateway.config.config import OFFLINE
from dragoman.wire.types import MessagesRequest
from dragoman.wire.validate import validate_messages

FILE = PdfFile("f", base64.b64encode(b"%PDF-1.7").decode())
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the limits and /proc are Linux's")


def png(width: int = 20, height: int = 20) -> Json:
    out = io.BytesIO()
    Pillow.new("L", (width, height)).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def pdf_block(data: bytes) -> Json:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(data).decode()}
    return {"type": "document", "source": source}


def validated(**fields: Any) -> MessagesRequest:
    name = "claude-haiku-4-5"
    return validate_messages(body(model=name, **fields), model(name), version="2023-06-01", betas=())


class Gate:
    """Holds up whoever comes through, and counts them."""

    def __init__(self) -> None:
        self.came = 0
        self.may_go = threading.Event()

    def pass_through(self) -> None:
        self.came += 1
        assert self.may_go.wait(15)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.may_go.set()


# Threads.


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("dragoman-")}


@pytest.fixture
async def threads() -> Any:
    before = workers()
    made = Threads()
    yield made
    await made.aclose()
    assert workers() <= before


async def test_light_work_does_not_wait_for_heavy(threads: Threads, gate: Gate) -> None:
    tasks = [asyncio.create_task(threads.heavy(gate.pass_through)) for _ in range(50)]
    await wait_until(lambda: gate.came == HEAVY_THREADS)
    assert await asyncio.wait_for(threads.light(lambda: "done"), 5) == "done"
    assert gate.came == HEAVY_THREADS
    gate.may_go.set()
    await asyncio.gather(*tasks)
    assert gate.came == 50


async def test_work_that_waits_does_not_begin_when_its_caller_has_gone(threads: Threads, gate: Gate) -> None:
    tasks = [asyncio.create_task(threads.heavy(gate.pass_through)) for _ in range(9)]
    await wait_until(lambda: gate.came == HEAVY_THREADS)
    for task in tasks[HEAVY_THREADS:]:
        task.cancel()
    await asyncio.wait(tasks[HEAVY_THREADS:], timeout=15)
    assert all(task.cancelled() for task in tasks[HEAVY_THREADS:])
    gate.may_go.set()
    await asyncio.gather(*tasks[:HEAVY_THREADS])
    assert gate.came == HEAVY_THREADS


async def test_work_that_has_begun_is_told_to_stop_and_waited_for(threads: Threads, gate: Gate) -> None:
    """Else a limit on requests under way would not limit the work."""
    has_ended = False

    def work() -> None:
        nonlocal has_ended
        gate.pass_through()
        has_ended = True
        raise Abandoned

    task = asyncio.create_task(threads.heavy(work, abandon=gate.may_go.set))
    await wait_until(lambda: gate.came == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended


async def test_an_error_of_the_work_is_its_callers(threads: Threads) -> None:
    for way in (threads.light, threads.heavy):
        with pytest.raises(ZeroDivisionError):
            await way(lambda: 1 // 0)


async def test_a_closed_engine_leaves_no_thread() -> None:
    before = workers()
    engine = OfflineEngine(secret=b"s")
    await run(engine=engine, messages=[says(png(), "What is it?")])
    await run(engine=engine, messages=[says("What is it?")], tools=[TOOL])
    assert len(workers() - before) >= 2
    await engine.aclose()
    assert workers() <= before


# What is heavy.


@pytest.mark.parametrize(
    ("is_so", "fields"),
    [
        (False, {"messages": [says("hi")], "tools": [TOOL] * 20}),
        (False, {"messages": [says("a" * 50_000)] * 4}),
        (True, {"messages": [says("a" * (LIGHT_CHARACTERS // 4))] * 5}),
        (True, {"messages": [says("hi")], "system": "a" * LIGHT_CHARACTERS}),
        (True, {"messages": [says("a")] * 10_000}),
        (True, {"messages": [says("hi")], "tools": [{**TOOL, "input_schema": {"type": "object", "enum": [1] * 9999}}]}),
        (True, {"messages": [says(png())]}),
        (True, {"messages": [says({"type": "document", "source": {"type": "content", "content": [png()]}})]}),
        (True, {"messages": [says(pdf_block(b"%PDF"))]}),
    ],
)
def test_images_pdfs_and_size_make_a_request_heavy(is_so: bool, fields: Json) -> None:
    if "tools" in fields:
        fields = fields | {"tools": [tool | {"name": f"t{at}"} for at, tool in enumerate(fields["tools"])]}
    assert is_heavy(validated(**fields)) == is_so


LONG = "Which way to Rome? " * 100
USE = {"type": "tool_use", "id": "toolu_1", "name": TOOL["name"], "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}


@pytest.mark.parametrize(
    ("threads", "fields"),
    [
        (0, {"messages": [says("hi")]}),
        (0, {"messages": [says(LONG, role=role) for role in ("user", "assistant") * 5] + [says(LONG)]}),
        (0, {"messages": [says({"type": "text", "text": LONG})], "system": [{"type": "text", "text": LONG}]}),
        (0, {"messages": [says("Go"), says(USE, role="assistant"), says(RESULT)], "tools": [TOOL]}),
        (1, {"messages": [says("hi")], "tools": [TOOL]}),
        (1, {"messages": [says("hi")], "stop_sequences": [f"stop {n}" for n in range(20)]}),
        (1, {"messages": [says("a" * QUICK)]}),
    ],
)
async def test_what_is_quick_is_done_without_a_thread(threads: int, fields: Json) -> None:
    """The way to one costs as much as the work."""
    before = workers()
    engine = OfflineEngine(secret=b"s")
    await run(engine=engine, **fields)
    assert min(len(workers() - before), 1) == threads
    await engine.aclose()


# Images.


async def test_each_image_is_decoded_once_however_often_the_prompt_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The edits of `context_management` ask for the tokens of the whole prompt, before and after each."""
    decoded: list[str] = []
    whole = images.from_base64

    def noted(data: str, *args: Any, **kwargs: Any) -> images.Image:
        decoded.append(data)
        return whole(data, *args, **kwargs)

    monkeypatch.setattr(images, "from_base64", noted)
    turns = [says(png(10, 10), png(11, 11), "Go")]
    for at in range(4):
        use = {"type": "tool_use", "id": f"toolu_{at}", "name": "read", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": [png(300 + at, 300)]}
        turns += [says(use, role="assistant"), says(result)]
    edit = {"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 1}}
    request = validate_messages(
        body(model="claude-sonnet-4-5", messages=turns, context_management={"edits": [edit]}),
        model("claude-sonnet-4-5"),
        version="2023-06-01",
        betas=("context-management-2025-06-27",),
    )
    engine = OfflineEngine(secret=b"s")
    counted = await engine.count(request, model("claude-sonnet-4-5"))
    await engine.aclose()
    assert counted.original_input_tokens is not None
    assert counted.input_tokens < counted.original_input_tokens
    assert len(decoded) == 6


def test_an_abandoned_reading_ends_before_its_next_image(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading()
    decoded = 0

    def last(*_: Any, **__: Any) -> images.Image:
        nonlocal decoded
        decoded += 1
        reading.abandon()
        return images.Image(1, 1, "image/png")

    monkeypatch.setattr(images, "from_base64", last)
    with pytest.raises(Abandoned):
        read_prompt(validated(messages=[says(png(), png(), png())]), model("claude-haiku-4-5"), reading)
    assert decoded == 1


async def ask(url: str, *blocks: Json | str, **fields: Any) -> tuple[int, Json]:
    reply = await exchange(url, post(HELLO | {"messages": [says(*blocks)], **fields}))
    return reply.status, reply.json()


async def test_requests_with_images_hold_up_no_other(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    """On a real server: what is decoded is counted as long as it is, what waits never begins."""

    def held_up(*_: Any, **__: Any) -> images.Image:
        gate.pass_through()
        return images.Image(1, 1, "image/png")

    monkeypatch.setattr(images, "from_base64", held_up)
    async with Serving() as server, AsyncExitStack() as opened:
        wires = [await opened.enter_async_context(await Wire.connect(server.url)) for _ in range(6)]
        for at, wire in enumerate(wires):
            await wire.send(post(HELLO | {"messages": [says(png(), png(), "What?")]}))
            await wait_until(lambda at=at: server.running == at + 1)  # type: ignore[misc]
        await wait_until(lambda: gate.came == HEAVY_THREADS)
        assert (await ask(server.url, "Weather in Lima?", tools=[TOOL]))[0] == 200
        assert (await ask(server.url, "List it", output_config={"format": FORMAT}))[0] == 200
        for wire in wires:
            wire.close()
        await wait_until(lambda: server.running == HEAVY_THREADS)
        gate.may_go.set()
        await server.settled()
        assert gate.came == HEAVY_THREADS  # neither the second image of these, nor any of the others
        assert sum(row["outcome"] == "abandoned" for row in server.rows) == 6
        engine = server.gateway.local._engines[OFFLINE]
        assert isinstance(engine, OfflineEngine)
    with pytest.raises(RuntimeError, match="shutdown"):  # the gateway has closed it
        await engine._threads.light(lambda: None)


FORMAT: Json = {
    "type": "json_schema",
    "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
}


# The process that reads PDFs.


@pytest.fixture
def child(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a program that is run in place of the one that reads PDFs; it may say TOLD, or `note()` its process."""

    def made(program: str) -> Path:
        path = tmp_path / "child.py"
        begin = f"""
            import json, os, signal, sys
            signal.alarm(20)  # it ends also when nobody ends it
            def tell(*pages): print(json.dumps({{"pages": pages}}), flush=True)
            def note():
                with open({str(tmp_path / "pids")!r}, "a") as file: print(os.getpid(), file=file)
        """
        path.write_text(textwrap.dedent(begin) + textwrap.dedent(program))
        return path

    return made


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def read(reader: PdfReader, *files: PdfFile, workspace_id: str | None = "w") -> list[pdf.Pages]:
    return await reader.read(files or (FILE,), workspace_id=workspace_id, most_pages=100)


@LINUX
async def test_the_process_knows_no_secret_and_can_do_little(
    child: Callable[[str], Path], threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells itself: its environment, whether a terminal's Ctrl-C reaches it, and its limits."""
    monkeypatch.setenv("DRAGOMAN_API_KEY", "a secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another secret")
    program = child(f"""
        import resource
        sys.path.insert(0, {str(Path(pdf.__file__).parent)!r})
        import pdf_child
        pdf_child.limit_resources()
        limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in {LIMITS!r}]
        tell(json.dumps([dict(os.environ), os.getsid(0) == os.getpid(), limits, os.nice(0)]))
    """)
    [[told]] = await read(PdfReader(threads, child=program))
    environment, is_of_its_own_session, limits, niceness = json.loads(told)
    assert "secret" not in str(environment)
    assert set(environment) <= {*pdf._ENVIRONMENT, "LC_CTYPE"}  # Python itself adds the last
    assert is_of_its_own_session
    assert limits == [0, 0, 16, 6, 768 << 20]
    assert niceness >= 10


LIMITS = ("CORE", "FSIZE", "NOFILE", "CPU", "AS")


@LINUX
@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", Overloaded),
        ("os.kill(os.getpid(), signal.SIGTERM)", Overloaded),
        ("os.kill(os.getpid(), signal.SIGXCPU)", InvalidRequest),
        ("os.kill(os.getpid(), signal.SIGSEGV)", InvalidRequest),
        ("sys.exit(1)", InvalidRequest),
        ("print('{\"pages', end='')", InvalidRequest),
    ],
)
async def test_who_ends_the_process_is_told(
    end: str, kind: type[ApiError], child: Callable[[str], Path], threads: Threads
) -> None:
    """MSG-97, ERR-22: a file that it cannot be read is the caller's affair, and the rest the machine's."""
    reader = PdfReader(threads, child=child(end))
    with pytest.raises(kind) as caught:
        await read(reader)
    if kind is InvalidRequest:
        assert caught.value.message == "f.data: Could not process PDF"
    assert kind is InvalidRequest or caught.value.status == 529


async def test_a_file_that_takes_much_of_a_processor_is_refused(child: Callable[[str], Path], threads: Threads) -> None:
    """MSG-97: the one in which the process met its limit."""
    program = child("tell('the first is read'); os.kill(os.getpid(), signal.SIGXCPU)")
    other = PdfFile("g", base64.b64encode(b"%PDF-2").decode())
    with pytest.raises(InvalidRequest, match=r"^g.data: Could not process PDF$"):
        await read(PdfReader(threads, child=program), FILE, other)


async def test_a_file_that_is_not_read_in_time_is_not_the_callers_fault(
    child: Callable[[str], Path], threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ERR-22."""
    monkeypatch.setattr(pdf, "TIME_LIMIT_S", 0.3)
    with pytest.raises(Overloaded):
        await read(PdfReader(threads, child=child("note(); signal.pause()")))
    await wait_until(lambda: not any(map(is_there, pids(tmp_path))))


async def test_two_are_read_at_a_time_and_the_next_waits_not_for_ever(
    child: Callable[[str], Path], threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ERR-22."""
    reader = PdfReader(threads, child=child("note(); signal.pause()"))
    tasks = [asyncio.create_task(read(reader)) for _ in range(2)]
    await wait_until(lambda: len(pids(tmp_path)) == 2)
    monkeypatch.setattr(pdf, "WAIT_LIMIT_S", 0.01)
    with pytest.raises(Overloaded, match="Too many PDF files"):
        await read(reader)
    await gone(*tasks)
    assert len(pids(tmp_path)) == 2


async def gone(*tasks: "asyncio.Task[Any]") -> None:
    """The callers hang up."""
    for task in tasks:
        task.cancel()
    _, waiting = await asyncio.wait(tasks, timeout=15)
    assert not waiting
    assert all(task.cancelled() for task in tasks)


AT_WORK = {
    "idle": "note(); signal.pause()",
    "deaf": "signal.signal(signal.SIGTERM, signal.SIG_IGN); note(); signal.pause()",
    "talking": "note()\nwhile True: sys.stdout.write('x' * 1000000)",
    "reading": "note(); sys.stdin.buffer.read(100000); signal.pause()",
}


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The server runs in uvloop where there is one, and the tests in asyncio's own loop."""
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    else:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as made:
        yield made


@pytest.mark.parametrize("program", AT_WORK)
def test_a_caller_who_hangs_up_ends_the_process(
    program: str, child: Callable[[str], Path], runner: asyncio.Runner, tmp_path: Path
) -> None:
    """Also when it is in the middle of a large file, or of a long answer; its place is free then."""

    async def hang_up() -> None:
        threads = Threads()
        reader = PdfReader(threads, child=child(AT_WORK[program]))
        large = PdfFile("f", base64.b64encode(bytes(3_000_000)).decode())
        tasks = [asyncio.create_task(read(reader, large)) for _ in range(5)]
        await wait_until(lambda: len(pids(tmp_path)) == 2)
        await gone(*tasks)
        assert len(pids(tmp_path)) == 2
        await wait_until(lambda: not any(map(is_there, pids(tmp_path))))
        reader._child = child("tell('fine')")
        assert await read(reader) == [("fine",)]
        await threads.aclose()

    runner.run(hang_up())


def test_a_caller_may_hang_up_at_any_moment(
    child: Callable[[str], Path], runner: asyncio.Runner, tmp_path: Path
) -> None:
    async def hang_up() -> None:
        threads = Threads()
        reader = PdfReader(threads, child=child("note(); tell('fine')"))
        for turns in range(14):
            task = asyncio.create_task(reader._told(b"x" * 100_000))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await wait_until(lambda: not any(map(is_there, pids(tmp_path))))
        assert await read(reader) == [("fine",)]
        await threads.aclose()

    runner.run(hang_up())


async def test_one_workspace_does_not_learn_what_another_sent(
    child: Callable[[str], Path], threads: Threads, tmp_path: Path
) -> None:
    """An answer that comes sooner would tell it that the file was read before."""
    reader = PdfReader(threads, child=child("note(); tell('fine')"))
    for workspace_id, runs in [("a", 1), ("a", 1), ("b", 2), ("a", 2), (None, 3), (None, 4), ("", 5), ("b", 5)]:
        assert await read(reader, workspace_id=workspace_id) == [("fine",)]
        assert len(pids(tmp_path)) == runs


async def test_requests_with_pdfs_hold_up_no_other(child: Callable[[str], Path], tmp_path: Path) -> None:
    """On a real server: the processes end with their callers, and the next PDF is read at once."""
    async with Serving() as server, AsyncExitStack() as opened:
        engine = server.gateway.local._engines[OFFLINE]
        assert isinstance(engine, OfflineEngine)
        engine._pdfs._child = child("note(); signal.pause()")
        wires = [await opened.enter_async_context(await Wire.connect(server.url)) for _ in range(6)]
        for at, wire in enumerate(wires):
            await wire.send(post(HELLO | {"messages": [says(pdf_block(b"%%PDF-%d" % at), "What?")]}))
        await wait_until(lambda: server.running == 6 and len(pids(tmp_path)) == 2)
        assert (await ask(server.url, "Weather in Lima?", tools=[TOOL]))[0] == 200
        assert (await ask(server.url, png(), "What is it?"))[0] == 200
        for wire in wires:
            wire.close()
        await server.settled()
        assert len(pids(tmp_path)) == 2
        await wait_until(lambda: not any(map(is_there, pids(tmp_path))))
        assert [row["outcome"] for row in server.rows].count("abandoned") == 6
        engine._pdfs._child = child("os.kill(os.getpid(), signal.SIGKILL)")
        status, told = await ask(server.url, pdf_block(b"%PDF"), "What?")
        assert (status, told["error"]["type"]) == (529, "overloaded_error")
