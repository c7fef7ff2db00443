"""Random HTTP/1.1 replies as bytes, and what must be read out of them: every legal shape of RFC 9110 and 9112.

Seeded: the same seed, the same reply. `replies_broken.py` takes these apart and makes illegal ones of them.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

__all__ = ["Draft", "Field", "Legal", "chunked", "cut_at", "draft", "legal", "random_cuts"]

TCHAR = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # RFC 9110, section 5.6.2
VISIBLE = bytes(range(0x21, 0x7F))
OBS_TEXT = bytes(range(0x80, 0x100))
SPACES = (b"", b" ", b" ", b" ", b"  ", b"\t", b" \t ", b" " * 40)  # around a value

STATUSES = (*[200] * 8, 201, 202, 206, 207, 301, 307, 400, 401, 404, 418, 426, 429, 451, 500, 503, 529, 599)
PHRASES = (b"OK", b"OK", b"Too Many Requests", b"", b" ", b"a  b\tc", b"caf\xe9 \xff", b"HTTP/1.1 200 OK", b"x" * 300)
INTERIM = (100, 100, 102, 103, 103, 104, 199)

# Names that begin or end as those that matter, and matter not.
NEAR_MISSES = (
    b"Content-Lengthy", b"X-Content-Length", b"Content-Lengt", b"Transfer-Encodings", b"X-Transfer-Encoding", b"TE",
    b"Transfer-Encodin", b"Connections", b"Connectio", b"Upgrade-Insecure-Requests", b"Content-Encodings",
    b"Proxy-Connection",
)  # fmt: skip
NAMES = (b"Content-Type", b"Date", b"Server", b"Set-Cookie", b"set-cookie", b"ETag", b"Via", b"x", b"Request-Id", b"_")
VALUES = (
    b"text/event-stream; charset=utf-8", b"Sat, 21 Nov 2026 12:00:00 GMT", b"a=1; Path=/; HttpOnly", b"=?utf-8?q?x?=",
    b"0", b"-1", b"a, b,, c", b'"quoted, \\" string"', b": :", b"chunked", b"close", b"a\tb", b"caf\xc3\xa9",
    b"x" * 4000,
)  # fmt: skip

# Values of `connection` under which the connection stays open, and under which it does not (RFC 9112, section 9.3).
KEPT = (
    (b"keep-alive",), (b"Keep-Alive",), (b"x-a, keep-alive",), (b"keep-alive,x-a",), (b",, keep-alive ,",),
    (b"closed",), (b"xclose",), (b"clos",), (b"x-close-not",), (b"x-a", b"keep-alive"),
)  # fmt: skip
CLOSED = (
    (b"close",), (b"Close",), (b"CLOSE",), (b"x-a,close",), (b"close\t,\tx-a",), (b", close,",), (b"close", b"x-a"),
    (b"keep-alive, close",), (b"close, keep-alive",), (b"keep-alive", b"close"),
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """A header line: name and value, and the white space around the value."""

    name: bytes
    value: bytes
    before: bytes = b" "
    after: bytes = b""

    @property
    def line(self) -> bytes:
        return b"%b:%b%b%b" % (self.name, self.before, self.value, self.after)

    @property
    def read(self) -> tuple[str, str]:
        return self.name.lower().decode("ascii"), self.value.decode("latin-1")


@dataclass
class Draft:
    """A legal reply in parts. Line ends are added by `data`."""

    method: str = "GET"  # of the request that it answers
    interim: list[bytes] = field(default_factory=list)  # whole heads of 1xx replies
    version: bytes = b"HTTP/1.1"
    status: int = 200
    reason: bytes | None = b"OK"  # None: not even the space in front of it
    fields: list[Field] = field(default_factory=list)
    framing: str = "none"  # "length", "chunked", "close" or "none": no body whatever the headers say
    body: bytes = b""
    on_wire: bytes = b""  # the body in its framing
    coding: str = ""  # of the content
    plain: bytes = b""  # the body without it
    is_kept: bool | None = True  # may the next request go on this connection; None: as one likes

    @property
    def status_line(self) -> bytes:
        return b"%b %d" % (self.version, self.status) + (b"" if self.reason is None else b" " + self.reason)

    @property
    def lines(self) -> list[bytes]:
        """Status line and headers, without line ends."""
        return [self.status_line, *(item.line for item in self.fields)]

    @property
    def data(self) -> bytes:
        return b"".join(self.interim) + b"\r\n".join([*self.lines, b"", b""]) + self.on_wire


@dataclass(frozen=True)
class Legal:
    """A reply and what is to be read out of it."""

    seed: int
    method: str
    data: bytes
    status: int
    sent_headers: list[tuple[str, str]]  # in order, names in lower case
    sent_body: bytes  # without its framing
    headers: list[tuple[str, str]]  # as `Response.headers`: without those of a compressed body
    body: bytes  # as `Response.read`: unpacked
    ends_by_close: bool  # the end of the connection is the end of the body
    is_kept: bool | None  # may the next request go on the same connection; None: as one likes

    def __repr__(self) -> str:  # what pytest shows
        return f"Legal(seed={self.seed}, {self.method}, {self.data[:600]!r}, {len(self.data)} bytes)"


def legal(seed: int) -> Legal:
    made = draft(Random(seed))
    sent = [item.read for item in made.fields]
    dropped = ("content-encoding", "content-length") if made.coding else ()
    return Legal(
        seed,
        made.method,
        made.data,
        made.status,
        sent,
        made.body,
        [(name, value) for name, value in sent if name not in dropped],
        made.plain,
        made.framing == "close",
        made.is_kept,
    )


def draft(rng: Random) -> Draft:
    made = Draft(reason=_reason(rng), status=_status(rng), interim=_interim(rng))
    made.fields = _fields(rng)
    if rng.random() < 0.12:
        made.version = b"HTTP/1.0"
        made.interim = []  # RFC 9110, section 15.2: not to be sent to where 1xx is not known
    if rng.random() < 0.15:
        _without_body(rng, made)
    else:
        _with_body(rng, made)
    _connection(rng, made)
    if rng.random() < 0.03:  # RFC 9110, section 7.8: only an offer, without 101
        _insert(rng, made, _field(rng, b"Upgrade", b"h2c"))
        _insert(rng, made, _field(rng, b"Connection", b"upgrade"))
    return made


# -- the head ------------------------------------------------------------------------------------------------------


def _status(rng: Random) -> int:
    """Any but 1xx and those that rule out a body. Beyond 599 is not valid, but handed on (RFC 9110, section 15)."""
    if rng.random() < 0.7:
        return rng.choice(STATUSES)
    return rng.choice([code for code in range(200, 1000) if code not in (204, 205, 304)])


def _reason(rng: Random) -> bytes | None:
    """None is against the grammar of RFC 9112, section 4, but common: the space before no reason is left out, too."""
    if rng.random() < 0.1:
        return None
    if rng.random() < 0.8:
        return rng.choice(PHRASES)
    return _some(rng, VISIBLE + OBS_TEXT + b" \t", 30)


def _interim(rng: Random) -> list[bytes]:
    if rng.random() < 0.85:
        return []
    heads = []
    for _ in range(rng.choice((1, 1, 2, 5))):
        lines = [b"HTTP/1.1 %d Early" % rng.choice(INTERIM), *(_any_field(rng).line for _ in range(rng.randrange(3)))]
        heads.append(b"\r\n".join([*lines, b"", b""]))
    return heads


def _fields(rng: Random) -> list[Field]:
    fields = [_any_field(rng) for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 30)))]
    if fields and rng.random() < 0.3:
        fields.insert(rng.randrange(len(fields)), rng.choice(fields))  # a repeat, in another place
    return fields


def _any_field(rng: Random) -> Field:
    roll = rng.random()
    if roll < 0.6:
        name = rng.choice(NAMES)
    elif roll < 0.75:
        name = rng.choice(NEAR_MISSES)
    else:
        name = b"y-" + _some(rng, TCHAR, 20)  # with a prefix: not by chance one that matters
    return _field(rng, _in_some_case(rng, name), _any_value(rng))


def _any_value(rng: Random) -> bytes:
    roll = rng.random()
    if roll < 0.1:
        return b""
    if roll < 0.7:
        return rng.choice(VALUES)
    return _some(rng, VISIBLE + OBS_TEXT + b" \t", 80).strip(b" \t")


def _field(rng: Random, name: bytes, value: bytes) -> Field:
    return Field(_in_some_case(rng, name), value, rng.choice(SPACES), rng.choice(SPACES) if rng.random() < 0.3 else b"")


def _insert(rng: Random, made: Draft, new: Field) -> None:
    made.fields.insert(rng.randint(0, len(made.fields)), new)


def _in_some_case(rng: Random, name: bytes) -> bytes:
    return rng.choice((name, name, name.lower(), name.upper(), name.swapcase(), name.title()))


def _some(rng: Random, alphabet: bytes, limit: int) -> bytes:
    return bytes(rng.choices(alphabet, k=rng.randint(1, limit)))


# -- framing and body ----------------------------------------------------------------------------------------------


def _without_body(rng: Random, made: Draft) -> None:
    """204, 304 and every reply to HEAD end with the head, whatever it says about a body (RFC 9112, section 6.3)."""
    case = rng.choice(("204", "304", "HEAD", "HEAD"))
    if case == "HEAD":
        made.method = "HEAD"
    else:
        made.status = int(case)
    if case == "204":
        return  # RFC 9110, section 8.6: it must not have a length
    if (said := rng.choice(("", "length", "chunked"))) == "length":
        _insert(rng, made, _field(rng, b"Content-Length", str(rng.choice((0, 5, 10**12))).encode()))
    elif said == "chunked" and made.version == b"HTTP/1.1":
        _insert(rng, made, _field(rng, b"Transfer-Encoding", b"chunked"))


def _with_body(rng: Random, made: Draft) -> None:
    made.body = made.plain = _content(rng)
    if rng.random() < 0.12:
        _compress(rng, made)
    framings = (
        ("length", "length", "close")
        if made.version == b"HTTP/1.0"
        else ("length",) * 4 + ("chunked",) * 5 + ("close",)
    )
    made.framing = rng.choice(framings)
    if made.framing == "length":
        zeros = b"0" * rng.choice((0,) * 8 + (1, 6))
        _insert(rng, made, _field(rng, b"Content-Length", zeros + str(len(made.body)).encode()))
        made.on_wire = made.body
    elif made.framing == "chunked":
        _insert(rng, made, _field(rng, b"Transfer-Encoding", rng.choice((b"chunked",) * 4 + (b"Chunked", b"CHUNKED"))))
        made.on_wire = chunked(rng, made.body)
    else:
        made.on_wire = made.body
        made.is_kept = False


def _content(rng: Random) -> bytes:
    roll = rng.random()
    if roll < 0.12:
        return b""
    if roll < 0.25:
        return rng.choice(
            (b"\n", b"\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n", b"\0")
        )
    if roll < 0.7:
        return rng.randbytes(rng.randint(1, 60))
    if roll < 0.96:
        return b"event: ping\ndata: {}\n\n" * rng.randint(1, 60)
    return rng.randbytes(rng.randint(10_000, 200_000))


def _compress(rng: Random, made: Draft) -> None:
    coding = rng.choice(("gzip", "GZIP", "x-gzip", "deflate", "identity"))
    if coding == "deflate":
        made.body = zlib.compress(made.plain)
    elif coding != "identity":
        half = len(made.plain) // 2 if rng.random() < 0.3 else 0
        parts = [made.plain[:half], made.plain[half:]] if half else [made.plain]
        made.body = b"".join(gzip.compress(part, 6, mtime=0) for part in parts)
    made.coding = "" if coding == "identity" else coding
    _insert(rng, made, _field(rng, b"Content-Encoding", coding.encode()))


def chunked(rng: Random, body: bytes) -> bytes:
    """`body` in chunks of random sizes, written in every legal way, with or without trailers."""
    data = b"".join(
        b"%b%b\r\n%b\r\n" % (_size(rng, len(piece)), _extension(rng), piece) for piece in _chunks(rng, body)
    )
    trailers = b"".join(_trailer(rng).line + b"\r\n" for _ in range(rng.choice((0, 0, 0, 1, 3))))
    return data + rng.choice((b"0", b"0", b"0", b"00000")) + _extension(rng) + b"\r\n" + trailers + b"\r\n"


def _trailer(rng: Random) -> Field:
    """Any but one by which llhttp goes even there: `proxy-connection` has its case in tests/http/test_connection.py."""
    while (item := _any_field(rng)).read[0] == "proxy-connection":
        pass
    return item


def _chunks(rng: Random, body: bytes) -> Iterator[bytes]:
    longest = rng.choice((1, 16, 17, 300, 70_000, 1 << 20))
    longest = max(longest, len(body) // 60)
    at = 0
    while at < len(body):
        size = rng.randint(1, longest)
        yield body[at : at + size]
        at += size


def _size(rng: Random, size: int) -> bytes:
    written = b"%x" % size if rng.random() < 0.5 else b"%X" % size
    return b"0" * rng.choice((0,) * 8 + (1, 10)) + written


def _extension(rng: Random) -> bytes:
    if rng.random() < 0.85:
        return b""
    return rng.choice((b";a", b";a=b", b";a;b=c;d", b';a="x;y \\" z\t"', b';sig="\xc3\xa9"', b";" + b"n" * 200 + b"=1"))


# -- connection ----------------------------------------------------------------------------------------------------


def _connection(rng: Random, made: Draft) -> None:
    """Adds `connection` or not, and with it what follows for the next request (RFC 9112, section 9.3)."""
    values: tuple[bytes, ...] = ()
    stays = True
    if rng.random() < 0.3:
        stays = rng.random() < 0.5
        values = rng.choice(KEPT if stays else CLOSED)
        for value in values:
            made.fields.append(_field(rng, b"Connection", value))
    if made.framing == "close":
        return
    if made.version == b"HTTP/1.0":  # a client may keep one that says so, and need not
        stays_by_word = stays and any(b"keep-alive" in value.lower() for value in values)
        made.is_kept = None if stays_by_word else False
    else:
        made.is_kept = stays


# -- cuts ----------------------------------------------------------------------------------------------------------


def random_cuts(rng: Random, data: bytes) -> list[bytes]:
    """`data` in up to ten pieces; every second cut is beside a line end."""
    ends = [at for at in range(min(len(data), 5000)) if data[at] in b"\r\n"]
    places = {rng.randint(0, len(data)) for _ in range(rng.randint(0, 4))}
    places |= {rng.choice(ends) + rng.randint(0, 1) for _ in range(rng.randint(0, 5) if ends else 0)}
    return cut_at(data, *sorted(places))


def cut_at(data: bytes, *places: int) -> list[bytes]:
    """`data` cut at `places`, in order; no piece is empty."""
    bounds = [0, *places, len(data)]
    return [data[start:end] for start, end in pairwise(bounds) if end > start]
