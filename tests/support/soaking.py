"""The callers of the soak test: a mix of requests at many connections, some of them hung up by the client.

    load = Load(server.url, control)
    await load.run(jobs(0, 30_000))   # every reply is checked
    load.settle(server.log())         # every request has its one ledger row

Asks a server with the providers `up` (first; a `soak_upstream.Upstream`), `engine` and `slow` (the offline engine, at
full speed and at a few tokens a second). What a request is, the tables at the end say.
"""

import asyncio
import gzip
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from rawhttp import KEY, Reply, Wire, chunks, error, events, exchange, json_bytes, post, request
from serving import ledger_rows
from soak_upstream import DELTAS, LARGE_BYTES, PACED, STATUSES, input_tokens

__all__ = ["CONNECTIONS", "Control", "Job", "Load", "jobs"]

SEED = 20261121
CONNECTIONS = 64
PATIENCE_S = 60.0  # generous: the machine may be busy
ENGINE = "claude-opus-4-8"
HELLO = [{"role": "user", "content": "Hello, Claude"}]
LARGE = [{"role": "user", "content": "x" * 1_000_000}]
MEDIUM = [{"role": "user", "content": "All work and no play. " * 5_000}]
THREADS = ("anthropic-beta", "message-threads-2026-08-12")


class Owed(NamedTuple):
    """The ledger rows that a request must have, and the outcomes that it may have."""

    rows: range
    outcomes: frozenset[str]


ONE = range(1, 2)


class Load:
    """What the callers have in common: whom they ask, and what the ledger owes them.

    A request goes by the tag in its model's name, or by the request id of its reply.
    """

    def __init__(self, url: str, control: "Control") -> None:
        self.url = url
        self.control = control
        self.owed: dict[str, Owed] = {}

    def owe(self, name: str, outcome: str, *others: str, rows: range = ONE) -> None:
        assert name not in self.owed, name
        self.owed[name] = Owed(rows, frozenset((outcome, *others)))

    async def run(self, jobs: Iterable["Job"]) -> None:
        """Do them all at CONNECTIONS connections, which are closed at the end."""
        left = iter(jobs)
        async with asyncio.TaskGroup() as callers:
            for _ in range(CONNECTIONS):
                callers.create_task(self._call(left))

    async def _call(self, jobs: Iterator["Job"]) -> None:
        wire: Wire | None = None
        try:
            for job in jobs:
                if wire is None:
                    wire = await Wire.connect(self.url)
                try:
                    keeps = await job.do(self, wire, job)
                except Exception as fault:
                    fault.add_note(f"in {job}")
                    raise
                if not keeps:
                    wire.close()
                    wire = None
        finally:
            if wire is not None:
                wire.close()

    def settle(self, log: str) -> None:
        """Every request has its rows, and every row its request."""
        outcomes: dict[str, list[str]] = {name: [] for name in self.owed}
        unnamed = 0
        for row in ledger_rows(log):
            tag = row.get("model", "").rpartition(".")[2]
            name = next((each for each in (tag, row["request_id"]) if each in outcomes), None)
            if name is not None:
                outcomes[name].append(row["outcome"])
            else:  # left before its model was read
                assert row["outcome"] == "abandoned", f"a row of no request: {row}"
                assert "model" not in row, f"a row of no request: {row}"
                unnamed += 1
        for name, owed in self.owed.items():
            assert len(outcomes[name]) in owed.rows, (name, owed, outcomes[name])
            assert owed.outcomes.issuperset(outcomes[name]), (name, owed, outcomes[name])
        assert unnamed <= sum(not outcomes[name] for name, owed in self.owed.items() if 0 in owed.rows)


class Control:
    """Tells when a request has reached the upstream, and what is open there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._waiting: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        host, _, port = self.url.removeprefix("http://").partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        self._writer.write(request("GET", "/stalled", key=None))
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()
        await self._listening

    async def stalled(self, tag: str) -> None:
        """Wait until the upstream has the request, whole."""
        async with asyncio.timeout(PATIENCE_S):
            await self._waiting.setdefault(tag, asyncio.Event()).wait()
        del self._waiting[tag]

    async def state(self) -> dict[str, int]:
        found = await exchange(self.url, request("GET", "/state", key=None))
        return dict(found.json())

    async def _listen(self) -> None:
        async for line in self._reader:
            self._waiting.setdefault(line.decode().strip(), asyncio.Event()).set()


@dataclass(frozen=True)
class Job:
    """One request. `do` makes it, and says whether the connection can be used again."""

    number: int
    what: str
    do: Callable[[Load, Wire, "Job"], Awaitable[bool]]
    dice: random.Random

    @property
    def tag(self) -> str:
        return f"{self.number:06}"

    def __str__(self) -> str:
        return f"job {self.number}: {self.what}"


Do = Callable[[Load, Wire, Job], Awaitable[bool]]


def asking(job: Job, what: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": f"{what or job.what}.{job.tag}", "max_tokens": 64, "messages": HELLO, **more}


def of_engine(name: str = "engine", **more: Any) -> dict[str, Any]:
    return {"model": f"{name}/{ENGINE}", "max_tokens": 64, "messages": HELLO, **more}


# -- requests whose replies are read ---------------------------------------------------------------------------------


def must_be_message(reply: Reply, tag: str) -> dict[str, Any]:
    assert (reply.status, reply.header("request-id")) == (200, f"req_{tag}"), reply
    told = reply.json()
    assert (told["id"], told["content"][0]["text"][: len(tag)]) == (f"msg_{tag}", tag)
    return dict(told)


def must_be_stream(reply: Reply, tag: str | None, *, deltas: int | None = None, end: str = "message_stop") -> None:
    """Whole events, the request's own, from the first to the one that ends the stream."""
    assert reply.status == 200, reply
    assert (reply.header("content-type") or "").startswith("text/event-stream"), reply.headers
    told = events(reply.body)
    assert (told[0][0], told[-1][0]) == ("message_start", end), reply.body
    texts = [value["delta"]["text"] for kind, value in told if kind == "content_block_delta"]
    assert deltas is None or len(texts) == deltas, reply.body
    if tag is not None:
        assert (reply.header("request-id"), told[0][1]["message"]["id"], texts[0]) == (f"req_{tag}", f"msg_{tag}", tag)


async def whole(load: Load, wire: Wire, job: Job) -> bool:
    load.owe(job.tag, "answered")
    await wire.send(post(asking(job)))
    must_be_message(await wire.reply(), job.tag)
    return True


async def whole_by_size(load: Load, wire: Wire, job: Job) -> bool:
    """A body of some size, which the upstream has counted."""
    body = json_bytes(asking(job, "json", messages=LARGE if job.what == "large body" else MEDIUM))
    load.owe(job.tag, "answered")
    await wire.send(post(body))
    told = must_be_message(await wire.reply(), job.tag)
    assert told["usage"]["input_tokens"] == input_tokens(body)
    return True


async def whole_by_form(load: Load, wire: Wire, job: Job) -> bool:
    """The same request in other forms of HTTP."""
    body = json_bytes(asking(job, "json"))
    form: dict[str, bytes] = {
        "close": post(body, ("connection", "close")),
        "chunks": post(chunks(body, size=50), ("transfer-encoding", "chunked")),
        "gzip": post(gzip.compress(body), ("content-encoding", "gzip")),
        "expect": post(body, ("expect", "100-continue")),
    }
    load.owe(job.tag, "answered")
    await wire.send(form[job.what])
    told = must_be_message(await wire.reply(), job.tag)
    assert told["usage"]["input_tokens"] == input_tokens(body)
    return job.what != "close"


async def large_reply(load: Load, wire: Wire, job: Job) -> bool:
    load.owe(job.tag, "answered")
    await wire.send(post(asking(job)))
    told = must_be_message(await wire.reply(), job.tag)
    assert told["content"][0]["text"] == job.tag + "x" * LARGE_BYTES
    return True


async def streamed(load: Load, wire: Wire, job: Job) -> bool:
    deltas = {"sse": DELTAS, "long": DELTAS, "paced": PACED}.get(job.what, 1)
    load.owe(job.tag, "answered")
    await wire.send(post(asking(job, stream=True)))
    must_be_stream(await wire.reply(), job.tag, deltas=deltas)
    return True


async def broken_stream(load: Load, wire: Wire, job: Job) -> bool:
    """It has begun, then the upstream fails: an `error` event is the last; a status where both came in one moment."""
    load.owe(job.tag, "cut", "refused")
    await wire.send(post(asking(job, stream=True)))
    reply = await wire.reply()
    if reply.status == 200:
        must_be_stream(reply, job.tag, deltas=1, end="error")
    else:
        error(reply, 529 if job.what == "error" else 502)
    return True


async def failed_stream(load: Load, wire: Wire, job: Job) -> bool:
    """It fails before there is content: an error status."""
    load.owe(job.tag, "refused")
    await wire.send(post(asking(job, stream=True)))
    error(await wire.reply(), 529 if job.what == "early" else 502)
    return True


async def refused(load: Load, wire: Wire, job: Job) -> bool:
    """An error of the upstream, as it came; or 502 for what is no reply."""
    load.owe(job.tag, "refused")
    status = int(job.what.removeprefix("status-")) if job.what.startswith("status-") else 502
    await wire.send(post(asking(job)))
    reply = await wire.reply()
    told = error(reply, status)
    if status in STATUSES:
        assert (told["type"], told["message"]) == (STATUSES[status], f"of {job.tag}")
        assert (reply.header("request-id"), reply.header("retry-after")) == (f"req_{job.tag}", "7")
    return True


async def count(load: Load, wire: Wire, job: Job) -> bool:
    body = json_bytes({"model": f"count.{job.tag}", "messages": HELLO})
    load.owe(job.tag, "answered")
    await wire.send(post(body, path="/v1/messages/count_tokens"))
    reply = await wire.reply()
    assert (reply.status, reply.json()) == (200, {"input_tokens": input_tokens(body)})
    assert reply.header("request-id") == f"req_{job.tag}"
    return True


async def looked_up(load: Load, wire: Wire, job: Job) -> bool:
    """GET and HEAD, of which the ledger says nothing."""
    method, path = {
        "models": ("GET", "/v1/models?limit=1000"),
        "model": ("GET", f"/v1/models/{ENGINE}"),
        "no path": ("GET", "/v1/nothing"),
        "root": ("HEAD", "/"),
        "health": ("GET", "/healthz"),
    }[job.what]
    await wire.send(request(method, path))
    reply = await wire.reply(method)
    if job.what == "no path":
        error(reply, 404)
    else:
        assert reply.status == 200, reply
    return True


async def no_call(load: Load, wire: Wire, job: Job) -> bool:
    """Refused before anything is asked."""
    body = b'{"model": "json.' if job.what == "no json" else json_bytes(of_engine())
    key = f"sk-dgm-of-nobody-{job.number}" if job.what == "no key" else KEY
    await wire.send(post(body, key=key))
    reply = await wire.reply()
    # A wrong key; or one of too many of them from this address, which are braked.
    error(reply, 429 if job.what == "no key" and reply.status == 429 else 401 if job.what == "no key" else 400)
    load.owe(reply.header("request-id") or "", "refused")
    return True


async def offline(load: Load, wire: Wire, job: Job) -> bool:
    """Whatever our own engine answers or refuses."""
    asked: dict[str, dict[str, Any]] = {
        "offline": of_engine(),
        "offline, streamed": of_engine(stream=True),
        "offline, a long prompt": of_engine(messages=MEDIUM),
        "offline, no model": {**of_engine(), "model": "engine/none-such"},
        "offline, a wrong role": of_engine(messages=[{"role": "robot", "content": "Hi"}]),
    }
    await wire.send(post(asked[job.what]))
    reply = await wire.reply()
    status = {"offline, no model": 404, "offline, a wrong role": 400}.get(job.what, 200)
    load.owe(reply.header("request-id") or "", "answered" if status == 200 else "refused")
    if job.what == "offline, streamed":
        must_be_stream(reply, None)
    elif status != 200:
        error(reply, status)
    else:
        assert reply.status == 200, reply
        assert reply.json()["content"][0]["text"]
    return True


async def offline_count(load: Load, wire: Wire, job: Job) -> bool:
    asked = {"model": f"engine/{ENGINE}", "messages": HELLO}
    await wire.send(post(asked, path="/v1/messages/count_tokens"))
    reply = await wire.reply()
    assert reply.status == 200, reply
    assert reply.json()["input_tokens"] > 0
    load.owe(reply.header("request-id") or "", "answered")
    return True


async def thread(load: Load, wire: Wire, job: Job) -> bool:
    """A conversation and its continuation."""
    of_thread: dict[str, Any] = {"type": "create"}
    for _ in range(2):
        await wire.send(post(of_engine(thread=of_thread), THREADS))
        reply = await wire.reply()
        assert reply.status == 200, reply
        load.owe(reply.header("request-id") or "", "answered")
        of_thread = {"type": "continue", "previous_message_id": reply.json()["id"]}
    return True


# -- requests that are hung up ---------------------------------------------------------------------------------------


def hang_up(wire: Wire, job: Job) -> bool:
    """By FIN or by RST (the system sends RST by itself where something is unread)."""
    if job.dice.random() < 0.5:
        wire.reset()
    else:
        wire.close()
    return False


async def leave_early(load: Load, wire: Wire, job: Job) -> bool:
    """Before the request is there: there was none."""
    data = post(asking(job, "json", messages=LARGE if "large" in job.what else HELLO))
    head = data.index(b"\r\n\r\n") + 4
    end = job.dice.randrange(1, head) if job.what == "in the head" else job.dice.randrange(head, len(data))
    await wire.send(data[:end])
    return hang_up(wire, job)


async def leave_at_once(load: Load, wire: Wire, job: Job) -> bool:
    """Behind the request: it may be seen together with the hang-up, or be answered already."""
    load.owe(job.tag, "abandoned", "answered", rows=range(2))
    await wire.send(post(asking(job, "sse", stream=True) if job.dice.random() < 0.5 else asking(job, "json")))
    return hang_up(wire, job)


async def leave_waiting(load: Load, wire: Wire, job: Job) -> bool:
    """While the upstream thinks."""
    load.owe(job.tag, "abandoned")
    path = "/v1/messages/count_tokens" if job.what == "waiting for a count" else "/v1/messages"
    await wire.send(post(asking(job, "stall", stream=job.what == "waiting for a stream"), path=path))
    if job.what == "with another behind":
        await wire.send(post({**asking(job), "model": f"json.{job.tag}-behind"}))
    await load.control.stalled(job.tag)
    return hang_up(wire, job)


async def leave_stream(load: Load, wire: Wire, job: Job) -> bool:
    """Amid a stream that goes on, in silence or in a flood."""
    load.owe(job.tag, "abandoned")
    await wire.send(post(asking(job, "flood" if job.what == "amid a flood" else "begun", stream=True)))
    await wire.until(job.tag.encode() + b'"}}\n\n')
    return hang_up(wire, job)


async def leave_reply(load: Load, wire: Wire, job: Job) -> bool:
    """Amid a large reply, which may be out of our hands already."""
    load.owe(job.tag, "abandoned", "answered")
    await wire.send(post(asking(job, "large")))
    await wire.until(job.tag.encode() + b"x")
    return hang_up(wire, job)


async def leave_engine(load: Load, wire: Wire, job: Job) -> bool:
    """Amid a stream of our own engine, which writes slowly."""
    await wire.send(post(of_engine("slow", stream=True, max_tokens=2000)))
    status, fields = await wire.head()
    assert status == 200
    load.owe(dict(fields)["request-id"], "abandoned")
    await wire.until(b"content_block_delta\ndata: ")
    return hang_up(wire, job)


async def leave_satisfied(load: Load, wire: Wire, job: Job) -> bool:
    """After the reply."""
    load.owe(job.tag, "answered")
    await wire.send(post(asking(job, "sse", stream=True)))
    must_be_stream(await wire.reply(), job.tag)
    return hang_up(wire, job)


# -- the mix ---------------------------------------------------------------------------------------------------------

# What -> how often, who does it. For a request to the upstream `what` is its behaviour.
REQUESTS: dict[str, tuple[float, Do]] = {
    "json": (250, whole),
    "chunked": (40, whole),
    "last": (10, whole),
    "unsized": (10, whole),
    "medium body": (15, whole_by_size),
    "large body": (3, whole_by_size),
    **dict.fromkeys(("close", "chunks", "gzip", "expect"), (10, whole_by_form)),
    "large": (3, large_reply),
    "sse": (200, streamed),
    "paced": (80, streamed),
    "long": (5, streamed),
    "late": (5, streamed),
    "unended": (5, streamed),
    **dict.fromkeys(("cut", "reset", "error"), (10, broken_stream)),
    **dict.fromkeys(("early", "no-stream", "bad-chunk"), (7, failed_stream)),
    **dict.fromkeys((f"status-{status}" for status in STATUSES), (15, refused)),
    **dict.fromkeys(("page", "silent", "garbage", "short", "two-lengths", "no-json"), (6, refused)),
    "count": (60, count),
    "models": (20, looked_up),
    **dict.fromkeys(("model", "no path", "root", "health"), (10, looked_up)),
    "no key": (15, no_call),
    "no json": (10, no_call),
    "offline": (40, offline),
    "offline, streamed": (40, offline),
    "offline, a long prompt": (2, offline),
    "offline, no model": (10, offline),
    "offline, a wrong role": (10, offline),
    "offline, a count": (20, offline_count),
    "thread": (8, thread),
}
HANG_UPS: dict[str, tuple[float, Do]] = {
    "in the head": (8, leave_early),
    "in the body": (8, leave_early),
    "in a large body": (2, leave_early),
    "at once": (20, leave_at_once),
    "waiting": (12, leave_waiting),
    "waiting for a stream": (12, leave_waiting),
    "waiting for a count": (5, leave_waiting),
    "with another behind": (5, leave_waiting),
    "amid a stream": (20, leave_stream),
    "amid a flood": (0.5, leave_stream),
    "amid a large reply": (1, leave_reply),
    "amid the engine's": (8, leave_engine),
    "after the reply": (8, leave_satisfied),
}


def jobs(first: int, size: int, *, without: Iterable[str] = ()) -> list[Job]:
    """A mix of `size` requests, numbered from `first` on, a tenth of which are hung up. The same numbers give the same
    jobs; `without` leaves some kinds out."""
    dice = random.Random(f"{SEED} {first}")
    kinds = {what: kind for what, kind in REQUESTS.items() if what not in without}
    whats = dice.choices(list(kinds), [weight for weight, _ in kinds.values()], k=size)
    for at in dice.sample(range(size), size // 10):
        whats[at] = dice.choices(list(HANG_UPS), [weight for weight, _ in HANG_UPS.values()])[0]
    kinds |= HANG_UPS
    return [Job(first + at, what, kinds[what][1], random.Random(first + at)) for at, what in enumerate(whats)]
