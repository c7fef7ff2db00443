"""Replies of an HTTP server as bytes: legal ones with what they say, and illegal ones that nobody may take for whole.

`HTTPX_TAKES` names the illegal ones that httpx2 is more patient with; all others hold for every transport.
"""

from typing import NamedTuple

__all__ = ["HTTPX_TAKES", "LEGAL", "WRONG", "Legal"]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
LENGTH = b"content-length: 3\r\n\r\nabc"


class Legal(NamedTuple):
    """`ends`: the server then closes, and only that ends the body. `keeps`: another request may follow."""

    data: bytes
    status: int = 200
    body: bytes = b"abc"
    method: str = "GET"
    keeps: bool = True
    ends: bool = False


LEGAL: dict[str, Legal] = {
    "length": Legal(OK + LENGTH),
    "length 0": Legal(OK + b"content-length: 0\r\n\r\n", body=b""),
    "length with zeros in front": Legal(OK + b"content-length: 0003\r\n\r\nabc"),
    "the same length twice": Legal(OK + b"content-length: 3\r\n" + LENGTH),
    "the same length in a list": Legal(OK + b"content-length: 3, 3\r\n\r\nabc"),
    "no phrase": Legal(b"HTTP/1.1 200 \r\n" + LENGTH),
    "no space for the phrase": Legal(b"HTTP/1.1 200\r\n" + LENGTH),
    "latin phrase": Legal(b"HTTP/1.1 200 \xe9t\xe9\r\n" + LENGTH),
    "empty value": Legal(OK + b"x:\r\ny: \t \r\n" + LENGTH),
    "spaces around a value": Legal(OK + b"x: \t y z \t\r\n" + LENGTH),
    "upper case": Legal(OK + b"CONTENT-LENGTH: 3\r\n\r\nabc"),
    "one chunk": Legal(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"),
    "three chunks": Legal(CHUNKED + b"1\r\na\r\n1\r\nb\r\n01\r\nc\r\n0\r\n\r\n"),
    "chunk size in upper case": Legal(CHUNKED + b"A\r\n0123456789\r\n00\r\n\r\n", body=b"0123456789"),
    "chunk extensions": Legal(CHUNKED + b'3;a;b=c;d="e f"\r\nabc\r\n0;x\r\n\r\n'),
    "trailers": Legal(CHUNKED + b"3\r\nabc\r\n0\r\nx: y\r\nz:\r\n\r\n"),
    "line ends in a chunk": Legal(CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", body=b"\r\n0\r\n\r\n"),
    "chunked in upper case": Legal(OK + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", body=b""),
    "until close": Legal(OK + b"\r\nabc", keeps=False, ends=True),
    "HTTP/1.0": Legal(b"HTTP/1.0 200 OK\r\n\r\nabc", keeps=False, ends=True),
    "HTTP/1.0 with a length": Legal(b"HTTP/1.0 200 OK\r\n" + LENGTH, keeps=False),
    "connection: close": Legal(OK + b"connection: close\r\n" + LENGTH, keeps=False),
    "connection: close among others": Legal(OK + b"connection: x, Close\r\n" + LENGTH, keeps=False),
    "204": Legal(b"HTTP/1.1 204 No Content\r\n\r\n", status=204, body=b""),
    "304 with a length": Legal(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", status=304, body=b""),
    "HEAD with a length": Legal(OK + b"content-length: 9\r\n\r\n", body=b"", method="HEAD"),
    "HEAD, chunked": Legal(CHUNKED, body=b"", method="HEAD"),
    "100 first": Legal(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH),
    "102 and 103 first": Legal(b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nlink: </a>\r\n\r\n" + OK + LENGTH),
    "status 529": Legal(b"HTTP/1.1 529 Overloaded\r\n" + LENGTH, status=529),
    "bytes behind a length": Legal(OK + LENGTH + b"x", keeps=False),
    "a line end behind a length": Legal(OK + LENGTH + b"\r\n", keeps=False),
    "a reply behind a reply": Legal(OK + LENGTH + OK + LENGTH, keeps=False),
    "bytes behind 204": Legal(b"HTTP/1.1 204 No Content\r\n\r\nx", status=204, body=b"", keeps=False),
    "a line end behind chunks": Legal(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n\r\n", keeps=False),
    "garbage behind chunks": Legal(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n\x00", keeps=False),
    "a reply behind chunks": Legal(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + OK + LENGTH, keeps=False),
}

WRONG: dict[str, bytes] = {
    # status line
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n" + LENGTH,
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + LENGTH,
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n" + LENGTH,
    "HTTP in lower case": b"http/1.1 200 OK\r\n" + LENGTH,
    "no version": b"HTTP 200 OK\r\n" + LENGTH,
    "no status": b"HTTP/1.1 \r\n" + LENGTH,
    "status of two digits": b"HTTP/1.1 20 OK\r\n" + LENGTH,
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH,
    "status is no number": b"HTTP/1.1 2x0 OK\r\n" + LENGTH,
    "status 099": b"HTTP/1.1 099 OK\r\n" + LENGTH,
    "two spaces before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH,
    "NUL in the phrase": b"HTTP/1.1 200 O\x00K\r\n" + LENGTH,
    "CR in the phrase": b"HTTP/1.1 200 O\rK\r\n" + LENGTH,
    "a space in front": b" " + OK + LENGTH,
    "switched protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    # headers
    "LF for CRLF": OK.replace(b"\r\n", b"\n") + LENGTH,
    "LF for CRLF everywhere": (OK + LENGTH).replace(b"\r\n", b"\n"),
    "LF in the headers": OK + b"x: y\n" + LENGTH,
    "CR in a value": OK + b"x: y\rz\r\n" + LENGTH,
    "NUL in a value": OK + b"x: y\x00z\r\n" + LENGTH,
    "control character in a value": OK + b"x: y\x01z\r\n" + LENGTH,
    "DEL in a value": OK + b"x: y\x7fz\r\n" + LENGTH,
    "no colon": OK + b"broken\r\n" + LENGTH,
    "no name": OK + b": x\r\n" + LENGTH,
    "space before the colon": OK + b"x : y\r\n" + LENGTH,
    "tab before the colon": OK + b"x\t: y\r\n" + LENGTH,
    "space in a name": OK + b"a b: y\r\n" + LENGTH,
    "latin letter in a name": OK + b"\xe9: y\r\n" + LENGTH,
    "control character in a name": OK + b"x\x01: y\r\n" + LENGTH,
    "folded line": OK + b"x: y\r\n z\r\n" + LENGTH,
    "folded with a tab": OK + b"x: y\r\n\tz\r\n" + LENGTH,
    "folded first line": OK + b" x: y\r\n" + LENGTH,
    # lengths
    "two lengths": OK + b"content-length: 4\r\n" + LENGTH + b"d",
    "two lengths in a list": OK + b"content-length: 3, 4\r\n\r\nabcd",
    "negative length": OK + b"content-length: -3\r\n\r\nabc",
    "length with a sign": OK + b"content-length: +3\r\n\r\nabc",
    "length in hex": OK + b"content-length: 0x3\r\n\r\nabc",
    "length with a letter": OK + b"content-length: 3a\r\n\r\nabc",
    "length with a space": OK + b"content-length: 3 3\r\n\r\nabc",
    "length with a point": OK + b"content-length: 3.0\r\n\r\nabc",
    "empty length": OK + b"content-length:\r\n\r\nabc",
    "length and a comma": OK + b"content-length: 3,\r\n\r\nabc",
    "length beyond 64 bits": OK + b"content-length: 99999999999999999999999\r\n\r\nabc",
    "length and chunks": OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks and length": OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "gzip as transfer-encoding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked and not last": OK + b"transfer-encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunked twice": OK + b"transfer-encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "unknown transfer-encoding": OK + b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "empty transfer-encoding": OK + b"transfer-encoding:\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    # chunks
    "no chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk size with a letter": CHUNKED + b"3g\r\nabc\r\n0\r\n\r\n",
    "chunk size beyond 64 bits": CHUNKED + b"1" + b"0" * 16 + b"\r\nabc\r\n0\r\n\r\n",
    "space before a chunk size": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
    "LF after a chunk size": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "CR after a chunk size": CHUNKED + b"3\rabc\r\n0\r\n\r\n",
    "LF after a chunk": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "no line end after a chunk": CHUNKED + b"3\r\nabc0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "LF in a chunk extension": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "NUL in a chunk extension": CHUNKED + b"3;a\x00\r\nabc\r\n0\r\n\r\n",
    "LF for the last line end": CHUNKED + b"3\r\nabc\r\n0\r\n\n",
    "LF in the trailers": CHUNKED + b"3\r\nabc\r\n0\r\nx: y\n\r\n",
    "a trailer without colon": CHUNKED + b"3\r\nabc\r\n0\r\nbroken\r\n\r\n",
    "a space in a trailer's name": CHUNKED + b"3\r\nabc\r\n0\r\nx : y\r\n\r\n",
    "NUL in a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nx: \x00\r\n\r\n",
}

HTTPX_TAKES = frozenset(
    {
        "HTTP/2.0", "HTTP/0.9", "LF for CRLF", "LF for CRLF everywhere", "LF in the headers",
        "control character in a value", "DEL in a value", "folded line", "folded with a tab", "length and chunks",
        "chunks and length", "chunks in HTTP/1.0", "chunk size beyond 64 bits", "NUL in a chunk extension",
        "LF for the last line end", "LF in the trailers",
    }
)  # fmt: skip
