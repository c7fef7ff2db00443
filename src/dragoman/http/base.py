"""The protocol of a client towards providers: a request goes out, a reply streams back, and what may fail.

Knows bytes, headers and time-outs; nothing of Messages, of providers or of routes.

    TransportError
    ├── RequestInvalid       it cannot be written as HTTP: nothing was sent
    ├── ConnectFailed        no connection: nothing was sent
    ├── TimedOut
    │   ├── ConnectTimeout   no connection in time: nothing was sent
    │   ├── SendTimeout      the other side stopped taking the request
    │   ├── FirstByteTimeout the request is there, no reply begins
    │   ├── IdleTimeout      the reply stands still
    │   └── TotalTimeout     the whole took too long, in whatever phase it was
    ├── ReplyBroken          closed early, reset, or not HTTP
    └── ReplyTooLarge        more bytes than the caller takes

Messages name host and port, never path, query or a header's value: those may hold keys.
"""

import re
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

import msgspec

from dragoman import __version__
from dragoman.errors import DragomanError

__all__ = [
    "ConnectFailed",
    "ConnectTimeout",
    "FirstByteTimeout",
    "IdleTimeout",
    "ReplyBroken",
    "ReplyTooLarge",
    "Request",
    "RequestInvalid",
    "Response",
    "SendTimeout",
    "SyncResponse",
    "SyncTransport",
    "TimedOut",
    "Timeouts",
    "TotalTimeout",
    "Transport",
    "TransportError",
    "encoded_header",
    "host_of",
    "late",
    "request_headers",
]


class TransportError(DragomanError):
    """Base of all that can fail between us and `host` ("name" or "name:port")."""

    def __init__(self, host: str, what: str) -> None:
        super().__init__(f"{host}: {what}")
        self.host = host


class RequestInvalid(TransportError):
    """The URL or a header is not what HTTP allows: a fault on our side of the wire, mostly of the configuration."""


class ConnectFailed(TransportError):
    """Refused, unreachable, unknown name, or TLS does not trust the other side."""


class TimedOut(TransportError):
    """A limit of `Timeouts` was reached."""


class ConnectTimeout(TimedOut):
    pass


class SendTimeout(TimedOut):
    pass


class FirstByteTimeout(TimedOut):
    pass


class IdleTimeout(TimedOut):
    pass


class TotalTimeout(TimedOut):
    pass


class ReplyBroken(TransportError):
    """There is no whole reply: reset, closed early, garbage, illegal framing, headers without end."""


class ReplyTooLarge(TransportError):
    """The body has more bytes than the limit given to `Response.read`."""


_LATE: dict[type[TimedOut], str] = {
    ConnectTimeout: "no connection within {limit_s} s",
    SendTimeout: "has taken nothing of the request for {limit_s} s",
    FirstByteTimeout: "no reply within {limit_s} s of the request",
    IdleTimeout: "the reply stood still for {limit_s} s",
    TotalTimeout: "the whole exchange took longer than it may",
}


def late(kind: type[TimedOut], host: str, limit_s: float | None = None) -> TimedOut:
    """The error to raise when a limit of this kind was reached."""
    return kind(host, _LATE[kind].format(limit_s=limit_s))


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long each phase may take, in seconds; None is without limit."""

    connect_s: float | None = 10.0  # until a request can be written: a free place, name, TCP, proxy and TLS together
    write_s: float | None = 60.0  # the longest standstill while the request is sent
    first_byte_s: float | None = 600.0  # from the request's last byte to the end of the reply's headers
    idle_s: float | None = 300.0  # between two pieces of the body, and from the headers to the first piece
    total_s: float | None = None  # the whole exchange, from `send` to the end of the body, sent again or not


class Request(msgspec.Struct, frozen=True):
    """What to send. `url` is absolute, http or https, without user and password.

    With `expect: 100-continue` in `headers` the body may wait for the other side's word, for a second at most, and
    stays unsent after a final reply. A transport never asks for that by itself; that over httpx2 does not wait.
    """

    method: str
    url: str
    headers: list[tuple[str, str]] = []
    body: bytes = b""
    timeouts: Timeouts = Timeouts()
    is_sent_once: bool = False  # never again, not even on a new connection (see Transport.send)

    def __repr__(self) -> str:
        """Without headers: tools that report an error show what its frames hold, and the key is not theirs."""
        return f"Request({self.method!r}, {self.url!r}, body of {len(self.body)} bytes)"


class Response(Protocol):
    """A reply whose headers have arrived and whose body may still be on its way.

    The caller reads it to its end or calls `aclose`; until then it holds a connection.
    1xx replies are never seen here. Redirects are replies like any other.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> list[tuple[str, str]]:
        """As received: order and repeats kept, names in lower case.

        When the body came compressed, `content-encoding` and `content-length` are left out: the pieces are plain.
        """
        ...

    @property
    def is_complete(self) -> bool:
        """The body has been handed out to its end: closing costs nothing. False as long as that is not known."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes: what has arrived is handed on at once, never an empty piece.

        Nothing is read ahead of the caller beyond one bounded piece, so a slow caller slows the sender down.
        To be iterated by one task; a second call goes on where the first has stopped. Raises IdleTimeout and
        ReplyBroken; both close the connection.
        """
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """The whole body. Raises ReplyTooLarge when it has more than `limit_bytes`, and what `pieces` raises."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection, at once if the body has not been read to its end. May be called twice, and
        while another task reads: that task then gets ReplyBroken."""
        ...


class Transport(Protocol):
    """Sends requests over pooled connections, many at a time, in one event loop.

    A request that is cancelled, in any phase, closes its connection.
    """

    async def send(self, request: Request) -> Response:
        """Send `request` and wait for the reply's headers.

        Keeps nothing between requests but connections: no cookies, no redirects, no credentials.
        Sent again, once and on a new connection, only if a kept-alive connection turns out to be dead before
        a single byte of the reply. Raises TransportError, in one of its kinds.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection. Replies still being read raise ReplyBroken, later requests ConnectFailed."""
        ...


class SyncResponse(Protocol):
    """As Response, for threads: to be read by one thread, and closed by any. Leaving a `with` block closes it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> list[tuple[str, str]]:
        """As `Response.headers`."""
        ...

    @property
    def is_complete(self) -> bool:
        """As `Response.is_complete`."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """As `Response.pieces`: the body as it comes, to be iterated once, by one thread."""
        ...

    def read(self, limit_bytes: int) -> bytes:
        """As `Response.read`."""
        ...

    def close(self) -> None:
        """As `Response.aclose`: may be called twice, and while another thread reads, which then gets ReplyBroken."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SyncTransport(Protocol):
    """As Transport, for threads: many may share one, each exchange belongs to one. A request that is interrupted
    (KeyboardInterrupt), in any phase, closes its connection."""

    def send(self, request: Request) -> SyncResponse:
        """As `Transport.send`. In a process that was forked from this one it begins with new connections."""
        ...

    def close(self) -> None:
        """As `Transport.aclose`; a request that has no reply yet ends with ReplyBroken, or ConnectFailed if it was
        still connecting."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2: token
NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # RFC 9110, section 5.5: no CR, LF, NUL or other controls
OURS = frozenset({"content-length", "transfer-encoding"})  # framing is the transport's business


def host_of(url: str) -> str:
    """The host of `url`, and the port if it names one, for messages. Raises RequestInvalid."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise RequestInvalid("upstream", "the URL cannot be read") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise RequestInvalid(host or "upstream", "the URL must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise RequestInvalid(host, "user and password in the URL are not used; give an authorization header")
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def request_headers(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers to write, all but `host`: the caller's, in order, then ours where the caller gave none.

    `content-length` and `transfer-encoding` are replaced, since the body is in hand. Compressed replies are
    not asked for: they would delay a stream's events. Raises RequestInvalid.
    """
    host = host_of(request.url)
    headers = [encoded_header(name, value, host) for name, value in request.headers if name.lower() not in OURS]
    given = {name.lower() for name, _ in headers}
    if b"user-agent" not in given:
        headers.append((b"user-agent", f"dragoman/{__version__}".encode()))
    if b"accept-encoding" not in given:
        headers.append((b"accept-encoding", b"identity"))
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.append((b"content-length", b"%d" % len(request.body)))
    return headers


def encoded_header(name: str, value: str, host: str) -> tuple[bytes, bytes]:
    """`name` and `value` as they are written. Raises RequestInvalid for what HTTP does not allow in them."""
    value = value.strip(" \t")
    if not HEADER_NAME.fullmatch(name):
        raise RequestInvalid(host, f"{name!r} is not a header name")
    if NOT_IN_VALUE.search(value):  # the value stays unsaid: it may be a key with a line end behind it
        raise RequestInvalid(host, f"header {name!r} holds a character that HTTP does not allow, such as a line end")
    return name.encode("ascii"), value.encode("latin-1")
