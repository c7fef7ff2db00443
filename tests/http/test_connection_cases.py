"""The machine of one HTTP/1.1 connection, over bytes alone: what it reads, refuses and gives up, at every cut.

The rules are those of RFC 9112 (sections are named where a case needs it). How httptools 0.9 (llhttp 9) was found to
read chunks is in the cases named after chunks and trailers.
"""

import gzip
import zlib
from dataclasses import dataclass

import pytest
from replies_http import cut_at

from dragoman.http import heads
from dragoman.http.base import ReplyBroken
from dragoman.http.connection import HEAD_LIMIT_BYTES, OVERHEAD_BYTES, Connection
from dragoman.http.heads import HEADER_LIMIT, SEEN_OFTEN

OK = b"HTTP/1.1 200 OK\r\n"
OLD = b"HTTP/1.0 200 OK\r\n"
LENGTH = OK + b"content-length: 3\r\n\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
ABC = b"3\r\nabc\r\n"
LAST = b"0\r\n\r\n"
SECRET = b"sk-never-in-a-message"


@dataclass(frozen=True)
class Case:
    data: bytes
    body: bytes = b""
    status: int = 200
    kept: bool | None = True  # None: as one likes
    method: str = "GET"
    closes: bool = False  # the server, behind it
    headers: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Bad:
    data: bytes
    why: str  # a part of the message
    body: bytes = b""  # what was good before
    closes: bool = False
    method: str = "GET"


def read(case: Case | Bad, pieces: list[bytes]) -> tuple[Connection, bytes, ReplyBroken | None]:
    """The connection, the body as far as it was good, and what was raised."""
    connection = Connection("test")
    connection.start(case.method)
    body = b""
    try:
        for piece in pieces:
            connection.feed(piece)
            body += connection.take() or b""
        if case.closes:
            connection.feed_eof()
        while taken := connection.take():
            body += taken
    except ReplyBroken as exc:
        return connection, body, exc
    assert taken is None, "stands still"
    return connection, body, None


def every_cut(data: bytes) -> list[list[bytes]]:
    return [
        [data],
        cut_at(data, *range(1, len(data))),
        *([data[:at], data[at:]] for at in range(1, len(data))),
    ]


# -- what is read --------------------------------------------------------------------------------------------------

READ = {
    "length": Case(LENGTH + b"abc", b"abc", headers=(("content-length", "3"),)),
    "length 0": Case(OK + b"content-length: 0\r\n\r\n"),
    "length with zeros": Case(OK + b"content-length: 0003\r\n\r\nabc", b"abc", headers=(("content-length", "0003"),)),
    "length in white space": Case(
        OK + b"Content-Length:\t 3 \t\r\n\r\nabc", b"abc", headers=(("content-length", "3"),)
    ),
    "a body like a reply": Case(OK + b"content-length: 38\r\n\r\n" + LENGTH, LENGTH),
    "a body of line ends": Case(OK + b"content-length: 4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    "chunked": Case(CHUNKED + ABC + LAST, b"abc", headers=(("transfer-encoding", "chunked"),)),
    "chunked, any case": Case(OK + b"Transfer-Encoding: ChunKED\r\n\r\n" + ABC + LAST, b"abc"),
    "chunked, empty": Case(CHUNKED + LAST),
    "chunks": Case(CHUNKED + ABC + b"1\r\nd\r\n" + ABC + LAST, b"abcdabc"),
    "chunk size in upper hex": Case(CHUNKED + b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
    "chunk size in lower hex": Case(CHUNKED + b"b\r\n0123456789a\r\n" + LAST, b"0123456789a"),
    "chunk size with zeros": Case(CHUNKED + b"0" * 30 + ABC + b"000" + LAST, b"abc"),
    "chunk like a last one": Case(CHUNKED + b"5\r\n0\r\n\r\n\r\n" + LAST, b"0\r\n\r\n"),
    "chunk extensions": Case(CHUNKED + b'3;a;b=c;d="e;\\" f\t\xe9"\r\nabc\r\n0;x\r\n\r\n', b"abc"),
    "trailers": Case(
        CHUNKED + ABC + b"0\r\nx: y\r\nContent-MD5:\r\n\r\n", b"abc", headers=(("transfer-encoding", "chunked"),)
    ),
    # RFC 9110, section 6.5.1: these are not to be sent there, and nothing to go by. llhttp goes by them.
    "trailer with a coding": Case(CHUNKED + ABC + b"0\r\ntransfer-encoding: gzip\r\n\r\n", b"abc", kept=None),
    "trailer with close": Case(CHUNKED + ABC + b"0\r\nconnection: close\r\n\r\n", b"abc", kept=None),
    "trailer with upgrade": Case(
        CHUNKED + ABC + b"0\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", b"abc", kept=None
    ),
    "trailer of old proxies": Case(CHUNKED + ABC + b"0\r\nproxy-connection: close\r\n\r\n", b"abc", kept=None),
    "until the end": Case(OK + b"\r\nabc", b"abc", kept=False, closes=True, headers=()),
    "until the end, empty": Case(OK + b"\r\n", kept=False, closes=True),
    "until the end, like chunks": Case(OK + b"\r\n" + ABC + LAST, ABC + LAST, kept=False, closes=True),
    "HTTP/1.0 until the end": Case(OLD + b"\r\nabc", b"abc", kept=False, closes=True),
    "HTTP/1.0 with length": Case(OLD + b"content-length: 3\r\n\r\nabc", b"abc", kept=False),
    "HTTP/1.0 keep-alive": Case(OLD + b"content-length: 3\r\nconnection: Keep-Alive\r\n\r\nabc", b"abc", kept=None),
    "HTTP/1.0 keep-alive, close": Case(
        OLD + b"content-length: 3\r\nconnection: keep-alive, close\r\n\r\nabc", b"abc", kept=False
    ),
    "204": Case(b"HTTP/1.1 204 No Content\r\n\r\n", status=204),
    "204 with length": Case(b"HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n", status=204),
    "204 chunked": Case(b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", status=204),
    "304": Case(b"HTTP/1.1 304 Not Modified\r\n\r\n", status=304),
    "304 with length": Case(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 300\r\n\r\n", status=304),
    "304 packed": Case(b"HTTP/1.1 304 Not Modified\r\ncontent-encoding: gzip\r\n\r\n", status=304, headers=()),
    "HEAD": Case(OK + b"\r\n", method="HEAD"),
    "HEAD with length": Case(LENGTH, method="HEAD", headers=(("content-length", "3"),)),
    "HEAD chunked": Case(CHUNKED, method="HEAD"),
    "HEAD packed": Case(OK + b"content-length: 3\r\ncontent-encoding: gzip\r\n\r\n", method="HEAD"),
    "no reason": Case(b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n"),
    "no reason, no space": Case(b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"),
    "any reason": Case(b"HTTP/1.1 200 HTTP/1.1 500 \t\xff \r\ncontent-length: 0\r\n\r\n"),
    "status 999": Case(b"HTTP/1.1 999 Request denied\r\ncontent-length: 0\r\n\r\n", status=999),
    "header values": Case(
        OK + b"A:\r\nb:c\r\nC: \t d \t e \t\r\nd: \xe9\xff\r\ne: :\r\nB: x\r\nContent-length: 0\r\n\r\n",
        headers=(("a", ""), ("b", "c"), ("c", "d \t e"), ("d", "éÿ"), ("e", ":"), ("b", "x"), ("content-length", "0")),
    ),
    "header names": Case(
        OK + b"!#$%&'*+-.^_`|~09aZ: x\r\ncontent-length: 0\r\n\r\n",
        headers=(("!#$%&'*+-.^_`|~09az", "x"), ("content-length", "0")),
    ),
    "names that only look so": Case(
        OK + b"content-lengthy: 9\r\nx-content-length: 1\r\ntransfer-encodings: a\r\n" + LENGTH[len(OK) :] + b"abc",
        b"abc",
    ),
    "close": Case(OK + b"content-length: 3\r\nconnection: close\r\n\r\nabc", b"abc", kept=False),
    "close in a list": Case(OK + b"connection: a,, CLOSE ,b\r\ncontent-length: 3\r\n\r\nabc", b"abc", kept=False),
    "close in a second line": Case(OK + b"connection: a\r\nConnection: close\r\ncontent-length: 0\r\n\r\n", kept=False),
    "close, chunked": Case(CHUNKED[:-2] + b"connection: close\r\n\r\n" + ABC + LAST, b"abc", kept=False),
    "close, said by old proxies": Case(OK + b"proxy-connection: close\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
    "closed is not close": Case(OK + b"connection: closed, xclose\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
    "an offer to switch": Case(OK + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
    "100": Case(b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH + b"abc", b"abc", headers=(("content-length", "3"),)),
    "several 1xx": Case(
        b"HTTP/1.1 103 A\r\nx: y\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 199 \r\n\r\n" + LENGTH + b"abc", b"abc"
    ),
    # RFC 9112, section 6.3: a 1xx has no body, whatever it says.
    "1xx with a length": Case(b"HTTP/1.1 103 A\r\ncontent-length: 3\r\n\r\n" + LENGTH + b"abc", b"abc"),
    "1xx that closes": Case(b"HTTP/1.1 103 A\r\nconnection: close\r\n\r\n" + LENGTH + b"abc", b"abc"),
    "gzip": Case(
        OK + b"content-encoding: gzip\r\ncontent-length: 23\r\nx: y\r\n\r\n" + gzip.compress(b"abc", mtime=0),
        b"abc",
        headers=(("x", "y"),),
    ),
    "gzip in two members": Case(
        OK + b"Content-Encoding: X-GZIP\r\n\r\n" + gzip.compress(b"abc", mtime=0) + gzip.compress(b"def", mtime=0),
        b"abcdef",
        kept=False,
        closes=True,
    ),
    "deflate in chunks": Case(
        CHUNKED[:-2] + b"content-encoding: deflate\r\n\r\nb\r\n" + zlib.compress(b"abc") + b"\r\n" + LAST, b"abc"
    ),
    "gzip of nothing": Case(OK + b"content-encoding: gzip\r\ncontent-length: 0\r\n\r\n"),
    "identity": Case(OK + b"content-encoding: identity\r\ncontent-length: 3\r\n\r\nabc", b"abc"),
}  # fmt: skip


@pytest.mark.parametrize("case", READ.values(), ids=READ.keys())
def test_a_legal_reply_is_read_at_every_cut(case: Case) -> None:
    for pieces in every_cut(case.data):
        connection, body, error = read(case, pieces)
        assert error is None
        assert (connection.status, body) == (case.status, case.body)
        assert case.kept in (None, connection.is_reusable)
        assert connection.received == len(case.data)
        if case.headers is not None:
            assert connection.headers == list(case.headers)


@pytest.mark.parametrize("lines", [b"content-length: 3\r\ncontent-length: 3", b"content-length: 3, 3"])
def test_a_length_said_twice_is_refused_or_taken_for_one(lines: bytes) -> None:
    """RFC 9110, section 8.6 leaves the choice; httpx2 takes it for one."""
    data = OK + lines + b"\r\n\r\nabc"
    results = []
    for pieces in every_cut(data):
        connection, body, error = read(Case(data), pieces)
        results.append((body, error is None, connection.is_reusable))
    assert set(results) in ({(b"abc", True, True)}, {(b"", False, False)})


# -- what is refused -----------------------------------------------------------------------------------------------


def line(data: bytes) -> Bad:
    return Bad(OK + data + b"\r\ncontent-length: 0\r\n\r\n", "a line that is no header")


def status(data: bytes) -> Bad:
    return Bad(data + b"\r\ncontent-length: 0\r\n\r\n", "no status line")


def framing(data: bytes, why: str) -> Bad:
    return Bad(OK + data + b"\r\n\r\nabc", why)


def chunk(data: bytes, body: bytes = b"abc") -> Bad:
    return Bad(CHUNKED + ABC + data, "not HTTP", body)


REFUSED = {
    "nothing": Bad(b"", "before the reply began", closes=True),
    "text": status(b"hello"),
    "HTML": status(b"<html></html>"),
    "HTTP/2.0": status(b"HTTP/2.0 200 OK"),
    "HTTP/1.2": status(b"HTTP/1.2 200 OK"),
    "HTTP/0.9": status(b"HTTP/0.9 200 OK"),
    "HTTP/1.11": status(b"HTTP/1.11 200 OK"),
    "RTSP": status(b"RTSP/1.0 200 OK"),  # llhttp would read these two
    "ICE": status(b"ICE/1.0 200 OK"),
    "http in lower case": status(b"http/1.1 200 OK"),
    "status 99": status(b"HTTP/1.1 99 OK"),
    "status 099": status(b"HTTP/1.1 099 OK"),
    "status 1000": status(b"HTTP/1.1 1000 OK"),
    "status abc": status(b"HTTP/1.1 abc OK"),
    "status in other digits": status(b"HTTP/1.1 2\xb20 OK"),
    "two spaces": status(b"HTTP/1.1  200 OK"),
    "tab behind the status": status(b"HTTP/1.1 200\tOK"),
    "no status": status(b"HTTP/1.1 "),
    "NUL in the reason": status(b"HTTP/1.1 200 O\0K"),
    "bare CR in the reason": status(b"HTTP/1.1 200 O\rK"),
    "an empty line before": status(b"\r\n" + OK[:-2]),  # RFC 9112, section 2.2 allows that before requests only
    "space before": status(b" " + OK[:-2]),
    "bare LF behind the status": Bad(b"HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n", "not an HTTP reply"),
    "only LFs": Bad(b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "not an HTTP reply"),
    "bare LF in the headers": Bad(OK + b"x: y\ncontent-length: 0\r\n\r\n", "not an HTTP reply"),
    "bare LF as the empty line": Bad(OK + b"content-length: 0\r\n\n", "not an HTTP reply"),
    "bare CR as a line end": Bad(OK + b"x: y\rcontent-length: 0\r\n\r\n", "a line that is no header"),
    "CR CR LF": Bad(OK + b"x: y\r\r\ncontent-length: 0\r\n\r\n", "a line that is no header"),
    "no colon": line(b"x"),
    "no name": line(b": x"),
    "space before the colon": line(b"x : y"),
    "space in a name": line(b"x y: z"),
    "8 bits in a name": line(b"x\xe9: y"),
    "obs-fold": line(b"x: y\r\n z"),
    "obs-fold by tab": line(b"x: y\r\n\tz"),
    "obs-fold at once": line(b" x: y"),
    "NUL in a value": line(b"x: " + SECRET + b"\0"),
    "bell in a value": line(b"x: \x07"),
    "DEL in a value": line(b"x: \x7f"),
    "bare CR in a value": line(b"x: y\rz"),
    "two lengths": framing(b"content-length: 3\r\ncontent-length: 4", "two different lengths"),
    "two lengths in a line": framing(b"content-length: 3, 4", "two different lengths"),
    "length is negative": framing(b"content-length: -1", "no number"),
    "length has a plus": framing(b"content-length: +3", "no number"),
    "length is hex": framing(b"content-length: 0x3", "no number"),
    "length is empty": framing(b"content-length:", "no number"),
    "length has an empty part": framing(b"content-length: 3,", "no number"),
    "length is a word": framing(b"content-length: three", "no number"),
    "length in other digits": framing(b"content-length: \xb2", "no number"),
    "length over 2**64": framing(b"content-length: 18446744073709551619", "no number"),
    "length and chunked": framing(b"content-length: 3\r\ntransfer-encoding: chunked", "both"),
    "chunked and length": framing(b"transfer-encoding: chunked\r\ncontent-length: 3", "both"),
    "gzip, chunked": framing(b"transfer-encoding: gzip, chunked", "other than chunked"),
    "chunked, gzip": framing(b"transfer-encoding: chunked, gzip", "other than chunked"),
    "chunked twice": framing(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", "other than chunked"),
    "coding identity": framing(b"transfer-encoding: identity", "other than chunked"),
    "coding xchunked": framing(b"transfer-encoding: xchunked", "other than chunked"),
    "coding is empty": framing(b"transfer-encoding:", "other than chunked"),
    # RFC 9110, section 5.6.1 would have an empty part passed over; httpx2 refuses it, too.
    "coding with an empty part": framing(b"transfer-encoding: chunked,", "other than chunked"),
    "chunked in HTTP/1.0": Bad(OLD + b"transfer-encoding: chunked\r\n\r\n" + LAST, "HTTP/1.0"),
    "HEAD, two lengths": Bad(OK + b"content-length: 3\r\ncontent-length: 4\r\n\r\n", "two different", method="HEAD"),
    "101": Bad(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "nobody asked for"),
    "101 after 100": Bad(b"HTTP/1.1 100\r\n\r\nHTTP/1.1 101\r\n\r\n", "nobody asked for"),
    "junk after 100": Bad(b"HTTP/1.1 100\r\n\r\njunk", "no status line"),
    "chunk size is empty": chunk(b"\r\nabc\r\n"),
    "chunk size is negative": chunk(b"-3\r\nabc\r\n"),
    "chunk size has a plus": chunk(b"+3\r\nabc\r\n"),
    "chunk size is 0x": chunk(b"0x3\r\nabc\r\n"),
    "chunk size over 2**64": chunk(b"10000000000000003\r\nabc\r\n"),
    "chunk size is a word": chunk(b"three\r\nabc\r\n"),
    "chunk size behind a space": chunk(b" 3\r\nabc\r\n"),
    "chunk size before a space": chunk(b"3 \r\nabc\r\n"),
    # RFC 9112, section 7.1.1 would have it read, though never written; no one writes it, and httpx2 refuses it, too.
    "chunk size, space, extension": chunk(b"3 ;a\r\nabc\r\n"),
    "chunk size with bare LF": chunk(b"3\nabc\r\n"),
    "chunk size with bare CR": chunk(b"3\rabc\r\n"),
    "chunk extension without name": chunk(b"3;\r\nabc\r\n"),
    "chunk extension with NUL": chunk(b"3;a=\0\r\nabc\r\n"),
    "chunk extension with LF": chunk(b"3;a\nabc\r\n"),
    "chunk longer than said": chunk(b"3\r\ndefg\r\n", b"abcdef"),
    "chunk shorter than said": chunk(b"3\r\nde\r\n0\r\n\r\n", b"abcde\r"),
    "chunk with LF behind": chunk(b"3\r\ndef\n0\r\n\r\n", b"abcdef"),
    "chunk with CR behind": chunk(b"3\r\ndef\r0\r\n\r\n", b"abcdef"),
    "chunk with nothing behind": chunk(b"3\r\ndef0\r\n\r\n", b"abcdef"),
    "last chunk with bare LF": chunk(b"0\n\r\n"),
    "last line end with bare LF": chunk(b"0\r\n\n"),
    "last line end is missing": chunk(b"0\r\n" + LENGTH),
    "trailer without colon": chunk(b"0\r\nx\r\n\r\n"),
    "trailer with NUL": chunk(b"0\r\nx: \0\r\n\r\n"),
    "trailer with bare LF": chunk(b"0\r\nx: y\nz: a\r\n\r\n"),
    "trailer folded": chunk(b"0\r\nx: y\r\n z\r\n\r\n"),
    "trailer with a length": chunk(b"0\r\ncontent-length: 3\r\n\r\n"),
    "no gzip": Bad(OK + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", "not gzip"),
    "half a gzip": Bad(
        OK + b"content-encoding: gzip\r\ncontent-length: 12\r\n\r\n" + gzip.compress(b"", mtime=0)[:12],
        "in the middle of its",
    ),
    "an unknown packing": Bad(OK + b"content-encoding: br\r\ncontent-length: 3\r\n\r\nabc", "nobody asked for"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_an_illegal_reply_is_refused_at_every_cut(case: Bad) -> None:
    """And what was good before it is handed on, and nothing of it told."""
    for pieces in every_cut(case.data):
        connection, body, error = read(case, pieces)
        assert error is not None, pieces
        assert case.why in str(error)
        assert SECRET.decode() not in str(error)
        assert body == case.body
        assert not connection.is_reusable or b"content-encoding" in case.data  # then the driver hangs up


# -- the end of the connection -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    data: bytes
    broken: str | None  # what `feed_eof` makes of it: a part of the message, or None if that is the end of the body


STOOD = "the middle of the reply's headers"
ENDS = {
    "before the reply": End(b"", "before the reply began"),
    "in the status line": End(b"HTTP/1.1 20", STOOD),
    "behind the status line": End(OK, STOOD),
    "in a header": End(OK + b"content-le", STOOD),
    "in the empty line": End(OK + b"content-length: 3\r\n\r", STOOD),
    "behind a 1xx": End(b"HTTP/1.1 100\r\n\r\n", STOOD),
    "before a body with length": End(LENGTH, "after 0 bytes"),
    "in a body with length": End(LENGTH + b"ab", "after 2 bytes"),
    "before the chunks": End(CHUNKED, "after 0 bytes"),
    "in a chunk size": End(CHUNKED + ABC + b"1", "after 3 bytes"),
    "in a chunk": End(CHUNKED + b"9\r\nabc", "after 3 bytes"),
    "behind a chunk": End(CHUNKED + ABC, "after 3 bytes"),
    "in the last chunk": End(CHUNKED + ABC + b"0\r\n", "after 3 bytes"),
    "in the trailers": End(CHUNKED + ABC + b"0\r\nx: y\r\n", "after 3 bytes"),
    "in the last line end": End(CHUNKED + ABC + b"0\r\n\r", "after 3 bytes"),
    "in a body without length": End(OK + b"\r\nabc", None),
    "before a body without length": End(OK + b"\r\n", None),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("is_lost", [False, True], ids=["in order", "lost"])
def test_the_end_of_the_connection_breaks_what_is_not_whole(end: End, is_lost: bool) -> None:
    """Lost, every reply is broken; ended in order, one without a length is whole."""
    for pieces in every_cut(end.data) if end.data else [[]]:
        connection = Connection("test")
        connection.start("GET")
        for piece in pieces:
            connection.feed(piece)
            if len(pieces) == 2:  # what was taken counts as what was not
                connection.take()
        (connection.feed_lost if is_lost else connection.feed_eof)()
        assert connection.is_done
        assert not connection.is_reusable
        if end.broken is None and not is_lost:
            assert connection.error is None
        else:
            assert isinstance(connection.error, ReplyBroken)
            assert (end.broken or "broke off the reply") in str(connection.error)


@pytest.mark.parametrize("is_lost", [False, True])
def test_the_end_of_the_connection_behind_a_reply_harms_no_reply(is_lost: bool) -> None:
    connection, body, _ = read(READ["length"], [LENGTH + b"abc"])
    assert connection.is_reusable
    (connection.feed_lost if is_lost else connection.feed_eof)()
    assert (body, connection.error, connection.is_reusable) == (b"abc", None, False)


# -- what comes behind ---------------------------------------------------------------------------------------------

WHOLE = [name for name, case in READ.items() if case.kept]
BEHIND = {
    "a byte": b"x",
    "a line end": b"\r\n",
    "half a line end": b"\r",
    "bare LF": b"\n",
    "NUL": b"\0",
    "a last chunk": LAST,
    "half a reply": b"HTTP/1.1 2",
    "a reply": LENGTH + b"XYZ",
    "a chunked reply": CHUNKED + b"3\r\nXYZ\r\n" + LAST,
    "a 1xx": b"HTTP/1.1 100\r\n\r\n",
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
def test_what_comes_behind_a_reply_is_no_part_of_it(behind: bytes) -> None:
    """And spoils the connection: nobody asked for it, and the next request must not get it for an answer."""
    for name in WHOLE:
        case = READ[name]
        data = case.data + behind
        for pieces in ([data], cut_at(data, *range(1, len(data))), [case.data, behind], [data[:-1], data[-1:]]):
            connection, body, error = read(case, pieces)
            assert (error, connection.status, body) == (None, case.status, case.body), name
            assert not connection.is_reusable, (name, pieces)


def test_bytes_before_the_next_request_spoil_the_connection() -> None:
    connection = Connection("test")
    assert connection.is_reusable
    connection.feed(LENGTH + b"abc")
    assert not connection.is_reusable
    assert (connection.status, connection.take()) == (0, None)


def test_one_connection_reads_reply_after_reply() -> None:
    """Each in another framing, and nothing of one is seen in the next, nor breaks it."""
    kept = [case for case in READ.values() if case.kept is not False]
    connection = Connection("test")
    for case in [*kept, *kept[::-1], *(case for one in kept for case in (one, READ["chunked"], one, READ["length"]))]:
        if not connection.is_reusable:
            connection = Connection("test")
        connection.start(case.method)
        assert (connection.status, connection.received, connection.was_continued) == (0, 0, False)
        connection.feed(case.data)
        body = b""
        while taken := connection.take():
            body += taken
        assert (connection.status, body, connection.error) == (case.status, case.body, None)
        assert case.kept in (None, connection.is_reusable)


# -- what is told on the way ---------------------------------------------------------------------------------------


def test_what_has_arrived_is_taken_in_one_piece() -> None:
    connection = Connection("test")
    connection.start("POST")
    connection.feed(CHUNKED[:-1])
    assert (connection.status, connection.take()) == (0, b"")
    connection.feed(CHUNKED[-1:] + ABC + b"2\r\nde")
    connection.feed(b"\r\n1\r\nf")
    assert (connection.status, connection.buffered, connection.is_done) == (200, 6, False)
    assert connection.take() == b"abcdef"
    assert (connection.buffered, connection.take()) == (0, b"")
    connection.feed(b"\r\n" + ABC + LAST)
    assert (connection.is_done, connection.is_reusable) == (True, True)
    assert (connection.take(), connection.take(), connection.take()) == (b"abc", None, None)


def test_a_continue_is_told_before_the_reply_is_there() -> None:
    connection = Connection("test")
    connection.start("POST")
    connection.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    assert not connection.was_continued
    connection.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (connection.was_continued, connection.status, connection.is_done) == (True, 0, False)


def test_an_error_is_raised_behind_what_was_good_and_again() -> None:
    connection = Connection("test")
    connection.start("GET")
    connection.feed(CHUNKED + ABC + b"x")
    assert isinstance(connection.error, ReplyBroken)
    assert connection.take() == b"abc"
    for _ in range(2):
        with pytest.raises(ReplyBroken):
            connection.take()


def test_a_line_that_was_refused_once_is_refused_again() -> None:
    """Status lines are looked up when they were seen before, and heads by their shape: only legal ones."""
    for _ in range(3 * SEEN_OFTEN):
        for name in ("space before the colon", "status 99", "NUL in a value", "two lengths in a line"):
            assert read(REFUSED[name], [REFUSED[name].data])[2] is not None


def test_thousands_of_different_lines_are_read_each_as_it_is() -> None:
    """More than are remembered, and longer ones than are."""
    for number in range(3000):
        text = f"{number} " + "v" * (number % 7) * 60
        data = f"HTTP/1.1 {200 + number % 3} {text}\r\nX-{number}: {text}x\r\ncontent-length: 0\r\n\r\n".encode()
        connection, _, _ = read(Case(data), [data])
        assert connection.status == 200 + number % 3
        assert connection.headers == [(f"x-{number}", f"{text}x"), ("content-length", "0")]


# -- heads whose shape is known ------------------------------------------------------------------------------------

LENGTH_SHAPE = OK + b"Date: %b\r\nx: %b\r\nConnection: keep-alive\r\ncontent-length: %b\r\n\r\n"
CHUNKED_SHAPE = OK + b"Date: %b\r\nx: %b\r\nTransfer-Encoding: %b\r\n\r\n"


@pytest.fixture
def _known_shapes() -> None:
    for number in range(SEEN_OFTEN):
        for data in (
            LENGTH_SHAPE % (b"d", b"%d" % number, b"3") + b"abc",
            CHUNKED_SHAPE % (b"d", b"", b"chunked") + LAST,
        ):
            read(Case(data), [data])
    assert {("date", "x", "connection", "content-length"), ("date", "x", "transfer-encoding")} <= {
        shape.names for shape in heads._shapes
    }


@pytest.mark.usefixtures("_known_shapes")
@pytest.mark.parametrize(
    ("written", "value"),
    [(b"y", "y"), (b"", ""), (b" ", ""), (b"\t", ""), (b" \ty \t", "y"), (b"y  z: ", "y  z:"),
     (b"\xa0\x85\xe9", "\xa0\x85é"), (b"y\tz", "y\tz"), (b"y" * 5000, "y" * 5000)],
)  # fmt: skip
def test_a_value_in_a_known_shape_is_read_as_in_any(written: bytes, value: str) -> None:
    data = LENGTH_SHAPE % (b"d", written, b"3") + b"abc"
    connection, body, error = read(Case(data), [data])
    assert (body, error, connection.is_reusable) == (b"abc", None, True)
    assert connection.headers == [("date", "d"), ("x", value), ("connection", "keep-alive"), ("content-length", "3")]
    data = CHUNKED_SHAPE % (b"d", written, b"chunked") + ABC + LAST
    assert read(Case(data), [data])[1:] == (b"abc", None)


@pytest.mark.usefixtures("_known_shapes")
@pytest.mark.parametrize(
    "value", [b"\0", b"y\r", b"y\rz", b"y\nz", b"\ry", b"y\x7f", b"y\r\n z", b"y\r\nz", b"y\r\nz : a",
              b"y\r\ncontent-length: 4", b"y\r\ntransfer-encoding: gzip"],
)  # fmt: skip
def test_what_is_illegal_is_so_in_a_known_shape(value: bytes) -> None:
    for data in (LENGTH_SHAPE % (b"d", value, b"3"), CHUNKED_SHAPE % (b"d", value, b"chunked") + ABC + LAST):
        assert read(Case(data), [data + b"abc"])[2] is not None


@pytest.mark.usefixtures("_known_shapes")
@pytest.mark.parametrize("length", [b"", b"-3", b"+3", b"3,", b"3, 4", b"0x3", b"3 3", b"\xb3", b"3" * 19])
def test_a_length_that_is_none_is_so_in_a_known_shape(length: bytes) -> None:
    data = LENGTH_SHAPE % (b"d", b"y", length) + b"abc"
    assert read(Case(data), [data])[2] is not None


@pytest.mark.usefixtures("_known_shapes")
def test_other_framing_is_seen_behind_a_known_shape() -> None:
    data = LENGTH_SHAPE.replace(b"keep-alive", b"close") % (b"d", b"y", b"3") + b"abc"
    connection, body, error = read(Case(data), [data])
    assert (body, error, connection.is_reusable) == (b"abc", None, False)
    for coding in (b"gzip", b"chunked, gzip", b"", b"xchunked"):
        data = CHUNKED_SHAPE % (b"d", b"y", coding) + ABC + LAST
        assert read(Case(data), [data])[2] is not None


def test_what_is_remembered_of_heads_is_bounded() -> None:
    for number in range(2 * heads.SHAPES):
        data = b"HTTP/1.1 200 %d\r\ncontent-length: 0\r\n\r\n" % number
        for _ in range(SEEN_OFTEN):
            read(Case(data), [data])
    assert len(heads._shapes) == heads.SHAPES
    for number in range(2 * heads.SHAPES_COUNTED):
        data = b"HTTP/1.1 200 OK\r\nx-%d: y\r\ncontent-length: 0\r\n\r\n" % number
        read(Case(data), [data])
    assert len(heads._counted) <= heads.SHAPES_COUNTED


# -- bounds --------------------------------------------------------------------------------------------------------


def fed(data: bytes, step: int = 65536) -> Connection:
    """A connection that was fed `data`, `step` bytes at a time, until it breaks."""
    connection = Connection("test")
    connection.start("GET")
    for at in range(0, len(data), step):
        connection.feed(data[at : at + step])
        if connection.error is not None:
            break
    return connection


@pytest.mark.parametrize("step", [1000, 65536, 1 << 20])
def test_a_head_has_a_limit(step: int) -> None:
    start, end = OK + b"content-length: 0\r\nx: ", b"\r\n\r\n"
    most = start + b"a" * (HEAD_LIMIT_BYTES - len(start)) + end
    assert fed(most, step).is_reusable
    too_much = start + b"a" * (HEAD_LIMIT_BYTES - len(start) + 1) + end
    assert "headers without end" in str(fed(too_much, step).error)
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000
    assert "headers without end" in str(fed(early + most, step).error)


ENDLESS = {
    "status line": (b"", b"HTTP/1.1 200 OK", b"K"),
    "status": (b"", b"HTTP/1.1 ", b"2"),
    "header name": (OK, b"", b"x"),
    "header value": (OK, b"x: ", b"x"),
    "white space": (OK, b"x: ", b" "),
    "headers": (OK, b"", b"x: y\r\n"),
    "1xx": (b"", b"", b"HTTP/1.1 100\r\n\r\n"),
    "CRs": (OK, b"", b"\r"),
    "chunk size": (CHUNKED, b"", b"0"),
    "chunk extension": (CHUNKED, b"3;", b"x"),
    "quoted chunk extension": (CHUNKED, b'3;x="', b"x"),
    "chunk extensions": (CHUNKED, b"3", b";a=b"),
    "trailer": (CHUNKED, b"0\r\nx: ", b"y"),
    "trailers": (CHUNKED, b"0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize("step", [999, 65536])
@pytest.mark.parametrize(("start", "next_", "again"), ENDLESS.values(), ids=ENDLESS.keys())
def test_what_has_no_end_is_refused_in_time(start: bytes, next_: bytes, again: bytes, step: int) -> None:
    connection = fed(start + next_ + again * (2 * HEAD_LIMIT_BYTES // len(again)), step)
    assert isinstance(connection.error, ReplyBroken)
    assert connection.received <= HEAD_LIMIT_BYTES + step + len(again)
    assert connection.buffered == 0


def test_a_head_has_a_number_of_headers() -> None:
    most = OK + b"x:\r\n" * (HEADER_LIMIT - 1) + b"content-length: 0\r\n\r\n"
    assert fed(most).is_reusable
    assert "more than 1000 headers" in str(fed(OK + b"x:\r\n" + most[len(OK) :]).error)


@pytest.mark.parametrize("step", [7, 1000, 1 << 20])
def test_many_small_chunks_with_extensions_are_no_attack(step: int) -> None:
    """A stream of events with a signature at each chunk, far beyond what overhead alone may be."""
    chunks = b"1;sig=" + b"0" * 200 + b"\r\nx\r\n"
    count = 4 * OVERHEAD_BYTES // len(chunks)
    connection = fed(CHUNKED + chunks * count + LAST, step)
    assert connection.error is None
    assert connection.take() == b"x" * count
    assert connection.is_reusable


def test_a_long_body_pays_for_no_endless_trailer() -> None:
    """However many chunks there were, what they allow for is not saved up."""
    body = b"1\r\nx\r\n" * 4000
    connection = fed(CHUNKED + body + b"0\r\n" + b"x: y\r\n" * 100_000)
    assert isinstance(connection.error, ReplyBroken)
    assert connection.received < len(body) + 3 * OVERHEAD_BYTES


def test_each_reply_has_its_bounds_to_itself() -> None:
    """What the replies before it on the connection took is not counted against it."""
    early = b"HTTP/1.1 103 Early Hints\r\nlink: " + b"x" * (HEAD_LIMIT_BYTES // 2) + b"\r\n\r\n"
    trailer = b"x: " + b"y" * (OVERHEAD_BYTES // 2) + b"\r\n"
    connection = Connection("test")
    for _ in range(5):
        connection.start("GET")
        connection.feed(early)
        connection.feed(CHUNKED + b"0\r\n" + trailer)
        connection.feed(b"\r\n")
        assert connection.is_reusable, connection.error


def test_a_small_packed_reply_is_unpacked_in_bounded_pieces() -> None:
    packed = gzip.compress(bytes(20 << 20))
    connection = fed(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed)
    size = 0
    while piece := connection.take():
        assert len(piece) <= 256 * 1024
        size += len(piece)
    assert size == 20 << 20
