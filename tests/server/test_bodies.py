"""Bodies: how large, how packed, how sent. Source: spec ERR-24, ERR-25."""

import gzip
import zlib
from typing import Any

import pytest
from canned import well_behaved
from misbehaving import Misbehaving
from rawhttp import HELLO, Wire, chunks, error, exchange, json_bytes, post, request
from serving import Serving, wait_until

MB = 1024 * 1024
PATHS = ["/v1/messages", "/v1/messages/count_tokens"]
HELLO_BYTES = json_bytes(HELLO)


def padded(size: int, *, counts: bool = False) -> bytes:
    """A good request of so many bytes; `counts`: for count_tokens, which takes no max_tokens."""
    body = json_bytes({name: value for name, value in HELLO.items() if name != "max_tokens" or not counts})
    return body + b" " * (size - len(body))


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_of_32_mb_is_taken_and_one_byte_more_is_not(path: str) -> None:
    """ERR-24. A limit of 1 MB stands for the default of 32: the next test has that one."""
    fits, larger = (padded(size, counts=path.endswith("count_tokens")) for size in (MB, MB + 1))
    async with Serving(body_limit_mb=1) as server:
        assert (await exchange(server.url, post(fits, path=path))).status == 200
        assert error(await exchange(server.url, post(larger, path=path)), 413)["type"] == "request_too_large"
        body = chunks(fits, size=5000)
        assert (await exchange(server.url, request("POST", path, body, ("transfer-encoding", "chunked")))).status == 200
        body = chunks(larger, size=5000)
        error(await exchange(server.url, request("POST", path, body, ("transfer-encoding", "chunked"))), 413)
        await server.settled()
        assert [row["status"] for row in server.rows] == ["200", "413", "200", "413"]


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_client_that_sends_too_much_can_send_it_all_and_read_the_reply(is_chunked: bool) -> None:
    """A client that is still sending does not look for a reply, and would find the connection reset."""
    async with Serving() as server, await Wire.connect(server.url) as wire:
        framing = ("transfer-encoding", "chunked") if is_chunked else ("content-length", str(40 * MB))
        await wire.send(request("POST", "/v1/messages", b"", framing))
        for _ in range(40):
            await wire.send(b"%x\r\n" % MB + b" " * MB + b"\r\n" if is_chunked else b" " * MB)
        if is_chunked:
            await wire.send(b"0\r\n\r\n")
        reply = await wire.reply()
        assert error(reply, 413) == {"type": "request_too_large", "message": "Request exceeds the maximum size"}
        assert reply.header("connection") == "close"
        assert await wire.is_closed()


async def test_expect_100_continue_is_answered_before_the_body_comes() -> None:
    async with Serving() as server, await Wire.connect(server.url) as wire:
        length = ("content-length", str(len(HELLO_BYTES)))
        for _ in range(2):
            await wire.send(request("POST", "/v1/messages", b"", length, ("expect", "100-continue")))
            assert await wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await wire.send(HELLO_BYTES)
            assert (await wire.reply()).status == 200
        await wire.send(post(HELLO, ("expect", "100-continue")))  # does not wait: legal too
        assert (await wire.reply()).status == 200
        await wire.send(post(HELLO, ("expect", "something else")))
        assert (await wire.reply()).status == 200


async def test_a_client_that_asks_whether_to_send_too_much_is_told_not_to() -> None:
    async with Serving() as server, await Wire.connect(server.url) as wire:
        length = ("content-length", str(40 * MB))
        await wire.send(request("POST", "/v1/messages", b"", length, ("expect", "100-continue")))
        reply = await wire.reply()
        error(reply, 413)
        assert reply.interim == []
        assert await wire.is_closed()


async def test_a_body_that_nobody_looks_at_is_bounded_too() -> None:
    """Else what follows on the connection could be taken for the rest of it."""
    async with Serving() as server:
        for target in ("/v1/models", "/", "/v1/nothing"):
            async with await Wire.connect(server.url) as wire:
                length = ("content-length", str(40 * MB))
                await wire.send(request("GET", target, b"", length, ("expect", "100-continue")))
                error(await wire.reply(), 413)
                assert await wire.is_closed()
        assert server.rows == []


# -- packed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        (" gzip ", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
async def test_a_packed_body_is_unpacked(name: str, pack: Any) -> None:
    async with Misbehaving(well_behaved) as upstream, Serving(upstream=upstream.url) as server:
        packed = pack(HELLO_BYTES)
        assert (await exchange(server.url, post(packed, ("content-encoding", name)))).status == 200
        body = chunks(packed, size=3)
        raw = request("POST", "/v1/messages", body, ("transfer-encoding", "chunked"), ("content-encoding", name))
        assert (await exchange(server.url, raw)).status == 200
        assert [seen.body for seen in upstream.requests] == [HELLO_BYTES, HELLO_BYTES]
        assert all(seen.header("content-encoding") is None for seen in upstream.requests)


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "compress", "\xff", "x" * 5000])
async def test_an_encoding_that_is_not_known_is_refused(name: str) -> None:
    async with Serving() as server:
        told = error(await exchange(server.url, post(HELLO, ("content-encoding", name))), 400)
        assert told["details"] == {"error_code": "request_body_encoding_unsupported"}


WHOLE = gzip.compress(HELLO_BYTES, mtime=0)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        HELLO_BYTES,
        WHOLE[:1],
        WHOLE[:9],
        WHOLE[:-1],
        WHOLE[:-8],
        WHOLE[:30],
        WHOLE[:40] + b"\x00" + WHOLE[41:],
        WHOLE[:-4] + b"\x00\x00\x00\x00",
        WHOLE + b"behind",
        zlib.compress(HELLO_BYTES),
        raw_deflate(HELLO_BYTES),
    ],
)
async def test_a_body_that_is_not_packed_as_it_says_is_refused(packed: bytes) -> None:
    async with Serving() as server:
        told = error(await exchange(server.url, post(packed, ("content-encoding", "gzip"))), 400)
        assert told["details"] == {"error_code": "request_body_encoding_invalid"}
        await server.settled()
        assert [(row["outcome"], row["status"]) for row in server.rows] == [("refused", "400")]


@pytest.mark.parametrize("name", ["gzip", "deflate"])
async def test_a_bomb_is_refused_before_it_goes_off(name: str) -> None:
    """30 MB packed into 30 KB, where 1 MB is the limit; and what fits to the byte is taken."""
    pack = gzip.compress if name == "gzip" else zlib.compress
    async with Serving(body_limit_mb=1) as server:
        for body, status in [(padded(MB), 200), (padded(MB + 1), 413), (padded(30 * MB), 413)]:
            reply = await exchange(server.url, post(pack(body), ("content-encoding", name)))
            assert reply.status == status
            if status == 413:
                assert error(reply)["details"] == {"error_code": "request_body_too_large_after_decoding"}


# -- JSON -----------------------------------------------------------------------------------------------------------


NO_REQUESTS = [
    b"",
    b" ",
    b"null",
    b"[]",
    b'"text"',
    b"5",
    b"{",
    b"{]",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    HELLO_BYTES[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    HELLO_BYTES[:-1] + b', "metadata": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    b"\xff\xfe",
    HELLO_BYTES + b"x",
    HELLO_BYTES.replace(b"Hello", b"\xff\xff"),
    HELLO_BYTES.replace(b"Hello", b"\x00"),
    HELLO_BYTES.replace(b"Hello", b"\xed\xa0\x80"),
    HELLO_BYTES.replace(b"Hello", b"\\ud800"),
    HELLO_BYTES.replace(b"64", b"1e999"),
    HELLO_BYTES.replace(b"64", b"9" * 10_000),
    HELLO_BYTES.replace(b"64", b"NaN"),
    HELLO_BYTES.replace(b"64", b"-0"),
    HELLO_BYTES.decode().encode("utf-16"),
    HELLO_BYTES.replace(b"claude-opus-4-8", b"\\ud800"),
    HELLO_BYTES.replace(b"claude-opus-4-8", b"x" * 200_000),
    HELLO_BYTES.replace(b"claude-opus-4-8", b"\\u0000\\n\\r offline/claude-opus-4-8"),
    b'{"model": "claude-opus-4-8"}' * 2,
    b'{"\\ud800": 1}',
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("through", ["offline", "upstream"])
async def test_a_body_that_is_no_request_is_refused_in_the_envelope(path: str, through: str) -> None:
    """MSG-33. Through to an upstream as well, which must not be sent what is no JSON."""
    async with (
        Misbehaving(well_behaved) as upstream,
        Serving(upstream=upstream.url if through == "upstream" else None) as server,
    ):
        for number, body in enumerate(NO_REQUESTS, start=1):
            reply = await exchange(server.url, post(body, path=path))
            assert reply.status == 200 or error(reply, 400, 404), body[:100]
            await server.settled()
            assert len(server.rows) == number
        for seen in upstream.requests:
            seen.body.decode()
            assert seen.body in NO_REQUESTS


async def test_a_broken_body_leaves_the_connection_usable_or_closed() -> None:
    async with Serving(body_limit_mb=1) as server:
        for body in (b"{", b"\xff", padded(MB + 1)):
            async with await Wire.connect(server.url) as wire:
                await wire.send(post(body))
                reply = await wire.reply()
                if reply.header("connection") == "close":
                    assert await wire.is_closed()
                else:
                    await wire.send(post(HELLO))
                    assert (await wire.reply()).status == 200
        await wait_until(lambda: server.connections == 0)


async def test_a_body_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API's own answer: 400 with an error code of its own, after which SDKs try again."""
    monkeypatch.setattr("dragoman.server.body.STANDSTILL_S", 0.05)
    async with Serving() as server, await Wire.connect(server.url) as wire:
        await wire.send(post(HELLO_BYTES)[:-3])
        reply = await wire.reply()
        told = error(reply, 400)
        assert told["details"] == {"error_code": "request_body_timeout"}
        assert reply.header("connection") == "close"
        assert reply.header("x-should-retry") == "true"
        assert await wire.is_closed()
