"""Random replies that are no HTTP/1.1, each for one reason that is known, and legal ones with bytes behind them.

Seeded: the same seed, the same reply. `KINDS` says what can be wrong; each is a legal reply of `replies_http.py` of
which one thing was changed.
"""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from replies_http import Draft, Field, Legal, chunked, draft, legal

__all__ = ["KINDS", "Broken", "broken", "overfull"]

HEAD_BYTES = 256 * 1024  # more than any head may have


@dataclass(frozen=True)
class Broken:
    """`closes`: the server hangs up behind it. Else what came must be enough to refuse it."""

    seed: int
    kind: str
    data: bytes
    closes: bool = False

    def __repr__(self) -> str:  # what pytest shows
        return f"Broken(seed={self.seed}, {self.kind}, {self.data[:600]!r}, {len(self.data)} bytes)"


def broken(seed: int) -> Broken:
    """Seeds from 0 on go through all kinds in turn."""
    kind = list(KINDS)[seed % len(KINDS)]
    data = KINDS[kind](Random(seed))
    return Broken(seed, kind, data, kind in CLOSING)


def overfull(seed: int) -> Legal:
    """A legal reply with more behind it: to be read as if alone, and the connection is not to be used again."""
    rng = Random(-1 - seed)
    while (reply := legal(rng.randrange(1 << 30))).ends_by_close:
        pass
    return replace(reply, seed=seed, data=reply.data + _more(rng), is_kept=False)


def _more(rng: Random) -> bytes:
    other = legal(rng.randrange(1 << 30)).data
    return rng.choice(
        (other, other[: rng.randint(1, 20)], b"\r\n", b"\n", b"\r", b"\0", b"0\r\n\r\n", b"x", b"\r\n\r\n")
    )


# -- what is wrong in the head -------------------------------------------------------------------------------------

STATUS_LINES = tuple(
    line.encode("latin-1")
    for line in (
        "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/1.9 200 OK", "HTTP/1.10 200 OK", "HTTP/01.1 200 OK",
        "HTTP/0.9 200 OK", "HTTP/1.2 200 OK", "HTTP/11.1 200 OK", "HTTP/1,1 200 OK", "HTTP/1. 200 OK", "HTTP/ 200 OK",
        "HTTP/1.1200 OK", "http/1.1 200 OK", "Http/1.1 200 OK", "HTTPS/1.1 200 OK", "RTSP/1.0 200 OK", "ICY 200 OK",
        "ICE/1.0 200 OK", " HTTP/1.1 200 OK", "\ufeffHTTP/1.1 200 OK".encode().decode("latin-1"), "HTTP /1.1 200 OK",
        "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200OK", "HTTP/1.1", "HTTP/1.1 ",
        "HTTP/1.1 OK", "200 OK", "", "HTTP/1.1 99 OK", "HTTP/1.1 099 OK", "HTTP/1.1 000 OK", "HTTP/1.1 1000 OK",
        "HTTP/1.1 0200 OK", "HTTP/1.1 2 OK", "HTTP/1.1 20 OK", "HTTP/1.1 abc OK", "HTTP/1.1 2O0 OK", "HTTP/1.1 -200 OK",
        "HTTP/1.1 +200 OK", "HTTP/1.1 2\xb20 OK", "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 O\x7fK",
        "HTTP/1.1 200 \x1b[31m", "HTTP/1.1: 200", "GET / HTTP/1.1", "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 101",
        "SSH-2.0-x", "\x16\x03\x01\x02\0\x01",
    )
)  # fmt: skip
FIELD_LINES = (
    b"no colon", b": no name", b":", b"x : y", b"x\t: y", b"x y: z", b"x(: y", b'"x": y', b"x@: y", b"x\x80: y",
    b"x\0: y", b"\x7fx: y", b"x: \x7f", b"x: a\0b", b"x: a\rb", b"x: a\nb", b"x: \r", b"x: a\x0bb", b"x: a\x0c",
    b"x: \x1b[31m", b"x: \x01", b" folded", b"\tfolded", b" x: y", b"x: a\r\n b", b"x: a\r\n\tb", b"x:\r\n y",
    b"x\r\n : y", b"\0",
)  # fmt: skip
LENGTHS = (
    b"-1", b"-0", b"+5", b"0x5", b"5h", b"a", b"five", b"", b" ", b"5 5", b"5,6", b"5, 6", b"5;q=1", b"5.0", b"1e1",
    b"5,", b",5", b'"5"', b"\xb2", b"18446744073709551615", b"18446744073709551616", b"18446744073709551621",
    b"9" * 200, b"99999999999999999999",
)  # fmt: skip
# An empty list of codings is legal, says RFC 9110, section 5.6.1; but then where does the body end?
CODINGS = (
    b"gzip", b"identity", b"deflate", b"gzip, chunked", b"chunked, gzip", b"chunked, identity", b"chunked, chunked",
    b"chunked;q=1", b"xchunked", b"chunkedx", b"chunke", b"chunked chunked", b"", b",", b'"chunked"', b"br",
    b"\xa0chunked", b"chunked\xa0",
)  # fmt: skip
JUNK = (
    b"\r\n", b"\n", b"\r", b" ", b"\0", b"x", b"0\r\n\r\n", b"\r\n\r\n", b"<html></html>\r\n", b"HTTP/1.1 ", b"{}\r\n",
    b"HTTP/1.1 100\r\n", b"data: {}\n\n", b"5\r\nhello\r\n",
)  # fmt: skip
LINE_ENDS_WITH_LF = (b"\n", b"\n\r", b"\n\n")
LINE_ENDS_WITH_CR = (b"\r", b"\r\r\n", b"\r \n")


def _base(rng: Random, *framings: str) -> Draft:
    """A short reply with a body, in one of `framings`."""
    while True:
        made = draft(rng)
        is_plain = made.version == b"HTTP/1.1" and not made.coding and len(made.on_wire) < 5000
        if is_plain and made.framing in (framings or ("length", "chunked", "close")):
            return made


def _with_lines(made: Draft, lines: list[bytes]) -> bytes:
    return b"".join(made.interim) + b"\r\n".join([*lines, b"", b""]) + made.on_wire


def _status_line(rng: Random) -> bytes:
    made = _base(rng)
    return _with_lines(made, [rng.choice(STATUS_LINES), *made.lines[1:]])


def _field_line(rng: Random) -> bytes:
    made = _base(rng)
    lines = made.lines
    lines.insert(rng.randint(1, len(lines)), rng.choice(FIELD_LINES))
    return _with_lines(made, lines)


def _line_end(rng: Random, *others: bytes) -> bytes:
    made = _base(rng)
    ends = [b"\r\n"] * (len(made.lines) + 1)
    ends[rng.randrange(len(ends))] = rng.choice(others)
    head = b"".join(line + end for line, end in zip([*made.lines, b""], ends, strict=True))
    return b"".join(made.interim) + head + made.on_wire


def _replaced(rng: Random, made: Draft, name: str, values: tuple[bytes, ...]) -> bytes:
    made.fields = [
        replace(item, value=rng.choice(values), after=b"") if item.read[0] == name else item for item in made.fields
    ]
    return made.data


def _added(rng: Random, made: Draft, name: bytes, value: bytes) -> bytes:
    made.fields.insert(rng.randint(0, len(made.fields)), Field(name, value))
    return made.data


def _two_lengths(rng: Random) -> bytes:
    made = _base(rng, "length")
    wrong = len(made.body) + rng.choice((-1, 1, 10, 1000))
    return _added(rng, made, b"content-LENGTH", str(abs(wrong)).encode())


def _length_and_chunked(rng: Random) -> bytes:
    if rng.random() < 0.5:
        made = _base(rng, "length")
        return _added(rng, made, b"Transfer-encoding", rng.choice((b"chunked", b"identity", b"CHUNKED")))
    made = _base(rng, "chunked")
    return _added(rng, made, b"Content-length", rng.choice((b"0", b"5", str(len(made.on_wire)).encode())))


def _two_codings(rng: Random) -> bytes:
    return _added(rng, _base(rng, "chunked"), b"transfer-encoding", rng.choice((b"chunked", b"gzip", b"identity", b"")))


def _chunked_in_1_0(rng: Random) -> bytes:
    """RFC 9112, section 6.1: the framing is faulty."""
    made = _base(rng, "chunked")
    made.version = b"HTTP/1.0"
    return made.data


def _early_head(rng: Random) -> bytes:
    """A 1xx that is not one, before a good reply."""
    made = _base(rng)
    bad = rng.choice(
        (b"HTTP/1.1 101 X\r\n\r\n", b"HTTP/1.1 100 C\r\nx\r\n\r\n", b"HTTP/1.1 10 C\r\n\r\n", b"HTTP/1.1 100 C\r\n")
    )
    made.interim.insert(rng.randint(0, len(made.interim)), bad)
    return made.data


def _junk(rng: Random) -> bytes:
    made = _base(rng)
    junk = rng.choice(JUNK) if rng.random() < 0.7 else b"\xff" + rng.randbytes(rng.randint(1, 20))
    made.interim.insert(rng.randint(0, len(made.interim)), junk)
    return made.data


# -- what is wrong in the body -------------------------------------------------------------------------------------

SIZES = (
    b"", b"-5", b"+5", b"0x5", b"x", b"g", b"5g", b"5.0", b"5,", b" 5", b"\t5", b"5 ", b"5;", b"5;;", b"5;a b",
    b'5;a="x', b"5;a=\0", b"5;\x7f", b";a", b"5=a", b"\0", b"5\0", b"\xb2", b"5\xa0", b"10000000000000000", b"f" * 17,
    b"10000000000000005", b"fffffffffffffffff5", b"1" * 60, b"5\r", b"5\n", b"5;a\n", b"5;a\r", b"five", b"hello",
)  # fmt: skip
SIZE_ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b" \r\n", b"\0\r\n")
DATA_ENDS = (b"", b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"!\r\n", b"\0", b"xy")
TRAILERS = (*FIELD_LINES, b"Content-Length: 5", b"HTTP/1.1 200 OK", b"5", b"0")
LAST_ENDS = (b"\n", b"\r\r\n", b"\n\r\n", b"\0\r\n", b"\rx")


def _chunks(rng: Random, bad: bytes) -> bytes:
    """A chunked reply whose body begins well and goes on with `bad`, then ends well."""
    made = _base(rng, "chunked")
    good = b"".join(b"%x\r\n%b\r\n" % (len(text), text) for text in [b"good"] * rng.randrange(4))
    made.on_wire = good + bad + b"5\r\nhello\r\n0\r\n\r\n"
    return made.data


def _chunk_size(rng: Random) -> bytes:
    return _chunks(rng, rng.choice(SIZES) + b"\r\nhello\r\n")


def _chunk_size_end(rng: Random) -> bytes:
    return _chunks(rng, rng.choice((b"5", b"5;a=b", b'5;a="b"')) + rng.choice(SIZE_ENDS) + b"hello\r\n")


def _chunk_data_end(rng: Random) -> bytes:
    return _chunks(rng, b"5\r\nhello" + rng.choice(DATA_ENDS))


def _trailer(rng: Random) -> bytes:
    before = rng.choice((b"", b"a: b\r\n"))
    return _chunks(rng, b"0\r\n" + before + rng.choice(TRAILERS) + b"\r\n\r\n")


def _last_end(rng: Random) -> bytes:
    return _chunks(rng, b"0\r\n" + rng.choice((b"", b"a: b\r\n")) + rng.choice(LAST_ENDS))


def _truncated(rng: Random) -> bytes:
    made = _base(rng, "length", "chunked")
    while not made.body:
        made = _base(rng, "length", "chunked")
    return made.data[: rng.randrange(len(made.data))]


def _truncated_close(rng: Random) -> bytes:
    """Where the body ends with the connection, it is only the head that can be cut short."""
    made = _base(rng, "close")
    return made.data[: rng.randrange(len(made.data) - len(made.on_wire))]


def _packed(rng: Random) -> bytes:
    """A content-encoding that does not hold."""
    plain = rng.randbytes(rng.randint(1, 300))
    good = gzip.compress(plain, mtime=0)
    coding, body = rng.choice((
        (b"gzip", good[: rng.randrange(1, len(good))]),
        (b"gzip", good[:-8] + bytes([good[-8] ^ 1]) + good[-7:]),  # its checksum
        (b"gzip", good[:-1] + b"\x7f"),  # its length
        (b"gzip", plain + b"no gzip"),
        (b"gzip", good + b"more"),
        (b"x-gzip", b"\x1f"),
        (b"deflate", zlib.compress(plain)[:-1]),
        (b"deflate", zlib.compress(plain)[:-1] + b"\0\0\0"),
        (b"gzip, gzip", gzip.compress(good, mtime=0)),
        (b"br", b"\x0b\x02\x80abc\x03"),
        (b"zstd", b"\x28\xb5\x2f\xfd\x04\0\x01\0\0\x99\xe9\xd8\x51"),
    ))  # fmt: skip
    made = Draft(fields=[Field(b"Content-Encoding", coding)])
    if rng.random() < 0.5:
        made.on_wire = chunked(rng, body)
        return _added(rng, made, b"Transfer-Encoding", b"chunked")
    made.on_wire = body
    return _added(rng, made, b"Content-Length", str(len(body)).encode())


# -- what has no end -----------------------------------------------------------------------------------------------


def _huge(rng: Random) -> bytes:
    line = b"HTTP/1.1 200 OK\r\n"
    chunk = line + b"transfer-encoding: chunked\r\n\r\n"
    return rng.choice((
        line + b"x: " + b"a" * HEAD_BYTES + b"\r\n\r\n",
        line + b"x" * HEAD_BYTES + b": a\r\n\r\n",
        line + b"x:" + b" " * HEAD_BYTES,
        b"HTTP/1.1 200 " + b"x" * HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 " + b"2" * HEAD_BYTES,
        line + b"x: y\r\n" * (HEAD_BYTES // 6 + 1),
        line + b"x:\r\n" * 5000 + b"content-length: 0\r\n\r\n",  # few bytes, but many headers
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * (HEAD_BYTES // 38 + 1),
        b"HTTP/1.1 100\r\n\r\n" * (HEAD_BYTES // 16) + line + b"content-length: 0\r\n\r\n",
        chunk + b"1;" + b"x" * HEAD_BYTES,
        chunk + b'1;x="' + b"x" * HEAD_BYTES,
        chunk + b"0" * HEAD_BYTES,
        chunk + b"0\r\nx: " + b"a" * HEAD_BYTES,
        chunk + b"0\r\n" + b"x: y\r\n" * (HEAD_BYTES // 6),
    ))  # fmt: skip


KINDS: dict[str, Callable[[Random], bytes]] = {
    "status line": _status_line,
    "status line, again": _status_line,
    "header line": _field_line,
    "header line, again": _field_line,
    "line end with LF": lambda rng: _line_end(rng, *LINE_ENDS_WITH_LF),
    "line end with CR": lambda rng: _line_end(rng, *LINE_ENDS_WITH_CR),
    "bad length": lambda rng: _replaced(rng, _base(rng, "length"), "content-length", LENGTHS),
    "bad length, again": lambda rng: _replaced(rng, _base(rng, "length"), "content-length", LENGTHS),
    "two lengths": _two_lengths,
    "bad coding": lambda rng: _replaced(rng, _base(rng, "chunked"), "transfer-encoding", CODINGS),
    "bad coding, again": lambda rng: _replaced(rng, _base(rng, "chunked"), "transfer-encoding", CODINGS),
    "two codings": _two_codings,
    "length and chunked": _length_and_chunked,
    "chunked in HTTP/1.0": _chunked_in_1_0,
    "bad 1xx": _early_head,
    "junk before it": _junk,
    "chunk size": _chunk_size,
    "chunk size, again": _chunk_size,
    "line end of a chunk size": _chunk_size_end,
    "line end of a chunk": _chunk_data_end,
    "bad trailer": _trailer,
    "line end of the last chunk": _last_end,
    "truncated": _truncated,
    "truncated, again": _truncated,
    "truncated before the end of the connection": _truncated_close,
    "bad content-encoding": _packed,
    "huge": _huge,
}
CLOSING = {"line end with CR", "truncated", "truncated, again", "truncated before the end of the connection"}
