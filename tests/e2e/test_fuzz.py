"""20,000 requests that no decent client sends: random bytes, random JSON, real requests changed at random.

None may cause a 5xx, a fault in the log, a hang, or a reply that is not the API's. Seeded, so a failure comes back;
it prints its request. Most run in process, through the ASGI application: the sockets are fuzzed below.
"""

import asyncio
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from canned import COUNT, MESSAGE, STREAM, envelope, sse
from corpus import FOR_A_REAL_MODEL, REQUESTS, TEXTS, changed, counting, mutated, random_json, scrambled
from rawhttp import KEY, Reply, Wire, chunks, error, events, exchange, json_bytes, post, request
from serving import Serving, ledger_rows

from dragoman.http.base import Request
from dragoman.server.app import App
from dragoman.wire.events import StreamLaw, decode_event
from dragoman.wire.sse import SSEDecoder

SEED = 20261121
SLOW_S = 3.0  # for one request: a pattern or a schema that takes this long holds up everybody
STREAMED = re.compile(rb'"stream" ?: ?true')
KNOWN = [("x-api-key", KEY), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")]


class Fuzzed:
    """The application of a server, without its sockets, and what it has answered so far."""

    def __init__(self, server: Serving) -> None:
        self.statuses: Counter[int] = Counter()
        self._app = App(server.gateway)
        self._server = server

    async def ask(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
        """One request; checks all that must hold for any reply."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(20):
                reply = await self._call(method, target, headers, body)
            self._check(method, target, reply)
            assert time.monotonic() - began < SLOW_S, "slow"
        except BaseException as fault:
            shown = body if len(body) < 20_000 else body[:20_000] + b"..."
            pytest.fail(f"{fault!r}\n{method} {target}\n{headers}\n{shown!r}\n{self._server.faults}")
        self.statuses[reply.status] += 1
        return reply

    async def _call(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode("latin-1", "replace"),
            "query_string": query.encode("latin-1", "replace"),
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers],
            "http_version": "1.1",
        }
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)] or [b""]
        never = asyncio.Event()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not pieces:
                await never.wait()
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *bodies = sent
        assert start["type"] == "http.response.start"
        assert [bool(message.get("more_body")) for message in bodies] == [True] * (len(bodies) - 1) + [False]
        names = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        return Reply(start["status"], names, b"".join(message.get("body", b"") for message in bodies))

    def _check(self, method: str, target: str, reply: Reply) -> None:
        assert reply.status < 500, reply
        assert reply.header("request-id")
        if reply.status >= 400:
            error(reply, 400, 401, 404, 405, 413)
        elif (reply.header("content-type") or "").startswith("text/event-stream"):
            _check_stream(reply.body)
        else:
            assert json.loads(reply.body).keys() & {"content", "input_tokens", "data", "id", "service", "status"}
        if reply.header("content-length") is not None:
            assert int(reply.header("content-length") or 0) == len(reply.body)
        assert not self._server.faults


def _check_stream(body: bytes) -> None:
    law = StreamLaw()
    for event in SSEDecoder().feed(body):
        law.check(decode_event(event))
    assert law.is_done
    assert events(body)[-1][0] == "message_stop"


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    async with Serving() as running:
        yield running


@pytest.fixture
def fuzzed(server: Serving) -> Fuzzed:
    return Fuzzed(server)


def _target(rng: random.Random) -> str:
    return rng.choice(["/v1/messages", "/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"])


async def test_real_requests_are_answered(fuzzed: Fuzzed) -> None:
    """Else the mutations below would show nothing."""
    for body in REQUESTS[:-FOR_A_REAL_MODEL]:
        reply = await fuzzed.ask("POST", "/v1/messages", KNOWN, json_bytes(body))
        assert reply.status == 200, reply
        reply = await fuzzed.ask("POST", "/v1/messages/count_tokens", KNOWN, json_bytes(counting(body)))
        assert reply.status == 200, reply


async def test_mutated_requests(fuzzed: Fuzzed, server: Serving) -> None:
    rng = random.Random(SEED)
    for _ in range(11_000):
        target = _target(rng)
        body, headers = mutated(rng, counts=target.endswith("count_tokens")), KNOWN
        if rng.random() < 0.02:
            body, headers = gzip.compress(body, 1), [*KNOWN, ("content-encoding", "gzip")]
        await fuzzed.ask("POST", target, headers, body)
    assert fuzzed.statuses[200] > 1_000, fuzzed.statuses
    assert fuzzed.statuses[400] > 4_000, fuzzed.statuses
    assert server.running == 0
    assert len(ledger_rows(server.log)) == 11_000


async def test_random_json(fuzzed: Fuzzed) -> None:
    rng = random.Random(SEED + 1)
    for _ in range(3_000):
        body = random_json(rng)
        if isinstance(body, dict) and rng.random() < 0.7:
            body = {"model": "claude-opus-4-8", "max_tokens": 10, "messages": random_json(rng), **body}
        raw = json.dumps(body, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
        await fuzzed.ask("POST", _target(rng), KNOWN, raw)


async def test_random_bytes(fuzzed: Fuzzed) -> None:
    rng = random.Random(SEED + 2)
    for _ in range(1_500):
        body = rng.randbytes(rng.choice([0, 1, 2, 10, 100, 5_000]))
        if rng.random() < 0.3:
            body = scrambled(rng, json.dumps(rng.choice(REQUESTS)).encode(rng.choice(["utf-8", "utf-16", "utf-32"])))
        packing = [("content-encoding", rng.choice(["gzip", "deflate", "br", "identity", ""]))] * (rng.random() < 0.3)
        await fuzzed.ask("POST", _target(rng), [*KNOWN, *packing], body)


async def test_random_targets_and_headers(fuzzed: Fuzzed) -> None:
    rng = random.Random(SEED + 3)
    paths = [
        "/",
        "/healthz",
        "/readyz",
        "/v1",
        "/v1/models",
        "/v1/models/claude-opus-4-8",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/complete",
        "*",
    ]
    names = [
        "x-api-key",
        "authorization",
        "anthropic-version",
        "anthropic-beta",
        "content-type",
        "content-length",
        "content-encoding",
        "expect",
        "accept",
        "cookie",
    ]
    values = [
        "",
        " ",
        KEY,
        f"Bearer {KEY}",
        "Bearer",
        "Basic x",
        "2023-06-01",
        "2026-10-21",
        "2023-06-01, 2023-06-01",
        "pdfs-2024-09-25",
        ",,",
        "\xff",
        "x" * 3000,
        "gzip",
        "100-continue",
        "9" * 30,
    ]
    keys = ["limit", "after_id", "before_id", "beta", "lifecycle", "", "\xff"]
    for _ in range(3_000):
        method = rng.choice(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
        path = rng.choice(paths)
        if rng.random() < 0.3:
            path = "/" + scrambled(rng, path.encode()).decode("latin-1")[1:]
        if rng.random() < 0.3:
            path += "/" + rng.choice(["%ff%00", "%2F", "%", "a%20b", "%ed%a0%80", "..", "x" * 2000])
        query = "&".join(
            f"{rng.choice(keys)}={rng.choice([*TEXTS, '5', '%ff', '1000', '-1', '1e3', '９'])}"
            for _ in range(rng.randrange(4))
        )
        headers = [*KNOWN] if rng.random() < 0.7 else []
        headers += [(rng.choice(names), rng.choice(values)) for _ in range(rng.randrange(3))]
        body = json_bytes(rng.choice(REQUESTS)) if rng.random() < 0.5 else b""
        await fuzzed.ask(method, f"{path}?{query}", headers, body)
    assert fuzzed.statuses.keys() >= {200, 400, 401, 404, 405}, fuzzed.statuses


# -- through to an upstream -----------------------------------------------------------------------------------------


class Canned:
    """A transport without a network: every reply is a good one."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, asked: Request) -> "CannedReply":
        self.sent += 1
        json.loads(asked.body, parse_int=str)  # what goes out must be JSON, for any parser
        if asked.url.endswith("count_tokens"):
            return CannedReply(json_bytes(COUNT))
        if STREAMED.search(asked.body):
            return CannedReply(sse(*STREAM), ("content-type", "text/event-stream"))
        return CannedReply(json_bytes(MESSAGE))

    async def aclose(self) -> None:
        return None


class CannedReply:
    is_complete = False  # as that of a transport that cannot tell

    def __init__(self, body: bytes, *headers: tuple[str, str], status: int = 200, step: int = 1_000_000) -> None:
        self.status = status
        self.headers = [*headers, ("request-id", "req_011CUpstream")]
        self._body = body
        self._step = step

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._body), self._step):
            yield self._body[at : at + self._step]

    async def read(self, limit_bytes: int) -> bytes:
        return self._body

    async def aclose(self) -> None:
        return None


async def test_mutated_requests_to_an_upstream() -> None:
    """What is passed through is looked at too: its envelope, and that it is JSON."""
    rng = random.Random(SEED + 4)
    async with Serving(upstream="http://upstream.test") as server:
        transport = Canned()
        server.gateway.upstream._providers["upstream"].transport = transport  # type: ignore[assignment]
        fuzzed = Fuzzed(server)
        for _ in range(1_500):
            makers: list[Callable[[random.Random], bytes]] = [mutated, mutated, lambda r: json_bytes(random_json(r))]
            body = rng.choice(makers)(rng)
            whole = await fuzzed.ask("POST", _target(rng), KNOWN, body)
            if whole.status == 200:
                assert whole.body in (json_bytes(COUNT), json_bytes(MESSAGE), sse(*STREAM))
        assert transport.sent > 300
        assert fuzzed.statuses[200] == transport.sent


class Hostile:
    """A transport whose replies are good ones that were changed at random."""

    def __init__(self, rng: random.Random) -> None:
        self.last = b""
        self._rng = rng

    async def send(self, asked: Request) -> CannedReply:
        rng = self._rng
        status = rng.choice([200] * 8 + [400, 429, 500, 529, 302, 201])
        if asked.url.endswith("count_tokens"):
            self.last = changed(rng, COUNT)
        elif STREAMED.search(asked.body) and rng.random() < 0.9:
            told = [*STREAM[:3], envelope()] if rng.random() < 0.2 else list(STREAM)
            at = rng.randrange(len(told))
            data = changed(rng, told[at]).replace(b"\n", b" ")
            events_ = [sse(event) for event in told]
            events_[at] = b"event: %b\ndata: %b\n\n" % (told[at]["type"].encode(), data)
            self.last = b"".join(events_)
            if rng.random() < 0.3:
                self.last = scrambled(rng, self.last)
        else:
            self.last = changed(rng, MESSAGE if status == 200 else envelope())
        kind = rng.choice(["text/event-stream"] * 5 + ["application/json", ""])
        return CannedReply(self.last, ("content-type", kind), status=status, step=rng.choice([1, 50, 1_000_000]))

    async def aclose(self) -> None:
        return None


async def test_changed_replies_of_an_upstream() -> None:
    """Whatever an upstream sends, a caller gets an envelope, or a stream that ends as streams do."""
    rng = random.Random(SEED + 6)
    async with Serving(upstream="http://upstream.test") as server:
        transport = Hostile(rng)
        server.gateway.upstream._providers["upstream"].transport = transport  # type: ignore[assignment]
        fuzzed = Fuzzed(server)
        statuses: Counter[int] = Counter()
        for _ in range(1_500):
            body = json_bytes({**REQUESTS[0], "stream": rng.random() < 0.7})
            reply = await fuzzed._call("POST", _target(rng), KNOWN, body)
            shown = (transport.last, reply)
            statuses[reply.status] += 1
            assert not server.faults, (shown, server.faults)
            if reply.status >= 400:
                envelope_of(reply, shown)
            elif (reply.header("content-type") or "").startswith("text/event-stream"):
                last = reply.body.rstrip(b"\r\n").replace(b"\r", b"\n").rpartition(b"\n\n")[2]
                assert {b"event: message_stop", b"event: error"} & set(last.split(b"\n")), shown
                assert reply.body.endswith((b"\n\n", b"\r\r", b"\r\n\r")), shown
            else:
                assert reply.body == transport.last, shown
        assert server.running == 0
        assert len(server.rows) == 1_500
        assert statuses.keys() >= {200, 400, 429, 500, 502, 529}, statuses


def envelope_of(reply: Reply, shown: object) -> None:
    told = reply.json()
    assert isinstance(told["type"], str), shown
    assert isinstance(told["error"]["type"], str), shown
    assert isinstance(told["error"]["message"], str), shown


# -- over sockets ---------------------------------------------------------------------------------------------------


def _broken_http(rng: random.Random) -> bytes:
    """A request whose head, framing or body is not what it should be."""
    body = json_bytes(rng.choice(REQUESTS[:-FOR_A_REAL_MODEL]))
    target = rng.choice(["/v1/messages"] * 5 + ["/v1/models", "/", "*", "http://x/v1/messages"])
    method = rng.choice(["POST"] * 6 + ["GET", "HEAD", "OPTIONS", "CONNECT"])
    extra = [(rng.choice(["x", "expect", "connection", "upgrade", "te", "content-length", "transfer-encoding"]),
              rng.choice(["", "5", "chunked", "upgrade", "close", "100-continue", "h2c", "websocket", "gzip, chunked"]))
             for _ in range(rng.randrange(4))]  # fmt: skip
    if rng.random() < 0.4:
        raw = request(method, target, chunks(body, size=rng.randint(1, 300)), ("transfer-encoding", "chunked"), *extra)
    else:
        raw = request(method, target, body, *extra, version=rng.choice(["1.1", "1.1", "1.1", "1.0", "2.0", "0.9"]))
    if rng.random() < 0.6:
        cut = raw.index(b"\r\n\r\n") + 4
        raw = scrambled(rng, raw[:cut]) + raw[cut:] if rng.random() < 0.7 else raw[:cut] + scrambled(rng, raw[cut:])
    return raw * rng.choice([1, 1, 1, 2, 5])


async def _provoke(server: Serving, raw: bytes, *, step: int) -> Counter[int]:
    """Send it, and read replies for as long as some come. What comes must be replies."""
    statuses: Counter[int] = Counter()
    async with await Wire.connect(server.url) as wire:
        try:
            for at in range(0, len(raw), step):
                await wire.send(raw[at : at + step])
            while True:
                async with asyncio.timeout(0.2):  # else the server waits for more, and rightly
                    reply = await wire.reply("HEAD" if raw.startswith(b"HEAD ") else "POST")
                statuses[reply.status] += 1
                assert reply.status < 500, (raw, reply)
                if reply.status >= 400 and not raw.startswith(b"HEAD "):
                    error(reply)
        except (EOFError, TimeoutError, ConnectionError):
            return statuses


async def test_broken_http(server: Serving) -> None:
    rng = random.Random(SEED + 5)
    found: Counter[int] = Counter()
    for _ in range(12):
        raws = [_broken_http(rng) for _ in range(50)]
        work = [_provoke(server, raw, step=rng.choice([len(raw), 1000, 37])) for raw in raws]
        for statuses in await asyncio.gather(*work):
            found += statuses
    assert not server.faults, server.faults
    assert found[200] > 40, found
    assert found[400] > 40, found
    assert (await exchange(server.url, post(REQUESTS[0]))).status == 200
    await server.settled()
