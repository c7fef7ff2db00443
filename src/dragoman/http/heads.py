"""Request heads written and reply heads read, strictly: pure functions over bytes, with small caches.

Requests to a provider repeat themselves: the same URL and the same headers, so a head is written once and then looked
up. Replies to them have new values each time, but in few shapes. What is remembered is bounded, in entries and in the
length of an entry.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from dragoman import __version__
from dragoman.http.base import HEADER_NAME, OURS, Request, RequestInvalid, encoded_header, host_of

__all__ = ["HeadBroken", "Origin", "ReplyHead", "RequestHead", "read_head", "request_head"]

KNOWN_LINES = 1024  # entries of each cache
KNOWN_HEADS = 256
KNOWN_HEAD_LENGTH = 2048  # bytes
KNOWN_LENGTH = 256  # characters; longer lines are checked each time
HEADER_LIMIT = 1000  # header lines of one reply

# -- requests ------------------------------------------------------------------------------------------------------


class Origin(NamedTuple):
    """What a connection leads to. `host` is without brackets, as the resolver takes it."""

    scheme: str
    host: str
    port: int


class RequestHead(msgspec.Struct, frozen=True):
    """`name` is the host as messages tell it; `awaits_continue`: a body waits for the other side's 100."""

    origin: Origin
    name: str
    data: bytes
    awaits_continue: bool

    def __repr__(self) -> str:
        """Without `data`, which holds the key. See Request."""
        return f"RequestHead({self.name!r}, {len(self.data)} bytes)"


class _Opening(NamedTuple):
    origin: Origin
    name: str
    line: bytes
    host_line: bytes


# What one header line means to us.
_PLAIN, _DROPPED, _USER_AGENT, _ACCEPT_ENCODING, _HOST, _CONTINUE = 0, 1, 2, 4, 8, 16
_MEANING = {"user-agent": _USER_AGENT, "accept-encoding": _ACCEPT_ENCODING, "host": _HOST} | dict.fromkeys(
    OURS, _DROPPED
)
_USER_AGENT_LINE = f"user-agent: dragoman/{__version__}\r\n".encode()
_ACCEPT_ENCODING_LINE = b"accept-encoding: identity\r\n"  # a compressed stream would delay its events
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f]")
_SAFE_IN_TARGET = "!$%&'()*+,-./:;=?@[]_~|^{}`\"<>\\"  # all of ASCII that is visible stays as the caller wrote it

_Begun = tuple[Origin, str, bytes, bool]  # all of a head but what depends on the body
_begun: dict[tuple[object, ...], _Begun] = {}  # by method, URL and headers
_written: dict[tuple[str, str], tuple[bytes, int]] = {}


def request_head(request: Request) -> RequestHead:
    """Request line and headers, to the empty line; what is added is what `base.request_headers` says.

    Raises RequestInvalid.
    """
    method, body = request.method, request.body
    key = (method, request.url, *request.headers)
    origin, name, data, awaits_continue = _begun.get(key) or _begin(key, request)
    if body or method in _WITH_LENGTH:
        return RequestHead(origin, name, b"%bcontent-length: %d\r\n\r\n" % (data, len(body)), awaits_continue)
    return RequestHead(origin, name, data + b"\r\n", False)


def _begin(key: tuple[object, ...], request: Request) -> _Begun:
    method, url = request.method, request.url
    origin, name, line, host_line = _opening(method, url) if len(url) <= 2048 else _opening.__wrapped__(method, url)
    parts = [line]
    meanings = 0
    for header in request.headers:
        encoded, meaning = _written.get(header) or _learn_written(header, name)
        parts.append(encoded)
        meanings |= meaning
    if not meanings & _HOST:
        parts[0] = line + host_line
    if not meanings & _USER_AGENT:
        parts.append(_USER_AGENT_LINE)
    if not meanings & _ACCEPT_ENCODING:
        parts.append(_ACCEPT_ENCODING_LINE)
    begun = (origin, name, b"".join(parts), bool(meanings & _CONTINUE))
    if len(begun[2]) <= KNOWN_HEAD_LENGTH:
        if len(_begun) >= KNOWN_HEADS:
            _begun.clear()
        _begun[key] = begun
    return begun


@lru_cache(maxsize=256)
def _opening(method: str, url: str) -> _Opening:
    name = host_of(url)
    if not HEADER_NAME.fullmatch(method):
        raise RequestInvalid(name, f"{method!r} is not a method")
    if _NOT_IN_URL.search(url):  # urlsplit would drop line ends in silence
        raise RequestInvalid(name, "the URL holds a space or a control character")
    parts = urlsplit(url)
    assert parts.hostname is not None  # host_of looked
    try:
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    except UnicodeError as exc:
        raise RequestInvalid(name, "the URL's host is no name that the network knows") from exc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE_IN_TARGET)
    authority = f"[{host}]" if ":" in host else host
    if port != (443 if parts.scheme == "https" else 80):
        authority = f"{authority}:{port}"
    try:
        host_line = f"host: {authority}\r\n".encode("ascii")
    except UnicodeError as exc:
        raise RequestInvalid(name, "the URL cannot be read") from exc
    return _Opening(Origin(parts.scheme, host, port), name, f"{method} {target} HTTP/1.1\r\n".encode(), host_line)


def _learn_written(header: tuple[str, str], host: str) -> tuple[bytes, int]:
    name, value = header
    lower = name.lower()
    encoded, encoded_value = encoded_header(name, value, host)
    meaning = _MEANING.get(lower, _PLAIN)
    if lower == "expect" and value.strip().lower() == "100-continue":
        meaning = _CONTINUE
    entry = (b"" if meaning == _DROPPED else b"%b: %b\r\n" % (encoded, encoded_value), meaning)
    if len(value) <= KNOWN_LENGTH:
        if len(_written) >= KNOWN_LINES:
            _written.clear()
        _written[header] = entry
    return entry


# -- replies -------------------------------------------------------------------------------------------------------


class HeadBroken(Exception):
    """Not the head of an HTTP/1 reply; the text says why, without its bytes."""


class ReplyHead(msgspec.Struct, frozen=True):
    """`length` is None when no content-length was sent; `encoding` is "" when the body comes as it is."""

    status: int
    headers: list[tuple[str, str]]
    is_chunked: bool
    length: int | None
    keeps_alive: bool
    encoding: str


_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_HEADER_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*+((?:[\x21-\x7e\x80-\xff]+|[\t ]+(?=[^\t ]))*+)[\t ]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})
_statuses: dict[str, tuple[int, bool]] = {}  # status line -> status, is it HTTP/1.1


def read_head(data: bytes) -> ReplyHead:
    """The head in `data`, whose last line end and empty line are cut off. Raises HeadBroken."""
    text = data.decode("latin-1")
    for shape in _shapes:
        if (match := shape.match(text)) is not None:
            values = match.groups()
            length = None if shape.is_chunked else int(values[shape.length_at])
            headers = list(zip(shape.names, values, strict=False))
            return ReplyHead(shape.status, headers, shape.is_chunked, length, True, "")
    line, *lines = text.split("\r\n")
    status, keeps_alive = _statuses.get(line) or _learn_status(line)
    if len(lines) > HEADER_LIMIT:
        raise HeadBroken(f"more than {HEADER_LIMIT} headers")
    headers = []
    framing = []
    for each in lines:
        match = _HEADER_LINE.fullmatch(each)
        if match is None:
            raise HeadBroken("a line that is no header")
        name, value = match.groups()
        name = name.lower()
        headers.append((name, value))
        if name in _FRAMING:
            framing.append((name, value))
    head = _framed(status, headers, framing, keeps_alive)
    if head.keeps_alive and not head.encoding and len(text) <= KNOWN_HEAD_LENGTH:
        _notice(line, lines, text, head)
    return head


# What one provider sends has few shapes: a status line and names in a certain order; only values are new. A shape that
# was often seen becomes one expression, which checks a head and takes it apart in a third of the time (5.6 us for the
# sixteen headers of a reply through a CDN, 2.5 by its shape). What is in the least unusual does not match and is read
# line by line, so a shape decides nothing but how long it takes.

SHAPES = 16
SHAPES_COUNTED = 256
SEEN_OFTEN = 50  # making an expression takes 2 ms
SHAPE_LINES = 64
_SHAPE_VALUE = r"((?:[!-~\x80-\xff][ -~\x80-\xff]*+(?<! ))?+)"
_SHAPE_FIXED = {"transfer-encoding": "(chunked)", "connection": "([Kk]eep-[Aa]live)", "content-length": "([0-9]{1,18})"}


class _Shape(NamedTuple):
    match: Callable[[str], re.Match[str] | None]
    names: tuple[str, ...]
    status: int
    is_chunked: bool
    length_at: int  # which of the values is the length, unless it is chunked


_shapes: list[_Shape] = []  # the newest first
_counted: dict[tuple[str, ...], int] = {}  # status line and names as written -> how often


def _notice(line: str, lines: list[str], text: str, head: ReplyHead) -> None:
    """Count the shape of a legal head with keep-alive and without packing; make an expression of what comes often."""
    written = [each.partition(":")[0] for each in lines]
    key = (line, *written)
    if len(_counted) >= SHAPES_COUNTED:
        _counted.clear()
    count = _counted[key] = _counted.get(key, 0) + 1
    names = tuple(name for name, _ in head.headers)
    framing = [name for name in names if name in _FRAMING and name != "connection"]
    if count != SEEN_OFTEN or len(lines) > SHAPE_LINES or len(framing) != 1 or "content-encoding" in framing:
        return
    pattern = re.escape(line) + "".join(
        rf"\r\n{re.escape(each)}: ?+{_SHAPE_FIXED.get(name, _SHAPE_VALUE)}"
        for each, name in zip(written, names, strict=True)
    )
    shape = _Shape(re.compile(pattern).fullmatch, names, head.status, head.is_chunked, names.index(framing[0]))
    if shape.match(text) is not None:
        _shapes.insert(0, shape)
        del _shapes[SHAPES:]


def _learn_status(line: str) -> tuple[int, bool]:
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise HeadBroken("no status line of HTTP/1.1")
    entry = (int(match[2]), match[1] == "1")
    if len(line) <= KNOWN_LENGTH:
        if len(_statuses) >= KNOWN_LINES:
            _statuses.clear()
        _statuses[line] = entry
    return entry


def _framed(status: int, headers: list[tuple[str, str]], framing: list[tuple[str, str]], is_1_1: bool) -> ReplyHead:
    """RFC 9112, section 6.3. Two ways to tell the length are refused, equal repeats of one length are taken."""
    values: dict[str, list[str]] = {}
    for name, value in framing:
        values.setdefault(name, []).extend(part.strip(" \t") for part in value.lower().split(","))
    codings, lengths = values.get("transfer-encoding"), values.get("content-length")
    if codings is not None:
        if lengths is not None:
            raise HeadBroken("both content-length and transfer-encoding")
        if codings != ["chunked"]:
            raise HeadBroken("a transfer-encoding other than chunked")
        if not is_1_1:
            raise HeadBroken("a transfer-encoding in HTTP/1.0")
    options = values.get("connection", [])
    return ReplyHead(
        status,
        headers,
        codings is not None,
        None if lengths is None else _length(lengths),
        "close" not in options and (is_1_1 or "keep-alive" in options),
        ", ".join(part for part in values.get("content-encoding", []) if part not in ("", "identity")),
    )


def _length(values: list[str]) -> int:
    if not all(_LENGTH.fullmatch(value) for value in values):
        raise HeadBroken("a content-length that is no number")
    if len(set(map(int, values))) > 1:
        raise HeadBroken("two different lengths")
    return int(values[0])
