"""Replies that are given again to the very same request, where a route or a key asks for it. In this process's memory.

The same is: the same bytes under the same headers that matter, of the same workspace. Of many equal requests at once,
one is asked and the others wait for its reply. Nothing is kept but whole answers; a reply out of the cache has an id of
its own, and costs nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from hashlib import blake2b

import msgspec
from msgspec import Struct

from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.providers.base import Operation

from .needs import brings_tools

__all__ = ["Flight", "Kept", "ResponseCache", "is_cacheable"]

TOTAL_LIMIT_BYTES = 64 * 1024 * 1024
REPLY_LIMIT_BYTES = 2 * 1024 * 1024
HEADER = "dragoman-cache"
LAST_EVENT = b'"message_stop"'
LAST_BYTES = 200  # of a stream, in which that stands

LOST = "dragoman-lost"  # a header that is true of the reply, whoever gets it

CacheKey = bytes
Headers = tuple[tuple[str, str], ...]


class Kept(Struct, frozen=True):
    """A whole reply: a body, or the pieces of an event stream."""

    message_id: bytes  # as it stands in them
    body: bytes
    pieces: Sequence[bytes]
    headers: Headers
    since: float

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(len, self.pieces))


class Flight:
    """The one request that is asked for all equal ones. It ends in any case: kept, or given up."""

    def __init__(self, cache: "ResponseCache", key: CacheKey) -> None:
        self._cache = cache
        self._key = key
        self._headers: Headers = ()
        # True: the reply is kept, or its caller has left; False: who waits for the same need wait no longer.
        self.landed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def note(self, answering: Awaitable[Answer]) -> Answer:
        """The answer, which is kept when it has come whole. Raises what `answering` raises."""
        try:
            answered = await answering
            self._headers = tuple(each for each in answered.headers if each[0] == LOST)
            if answered.status != 200:
                self._land(is_worth_waiting=False)
            elif answered.stream is not None:
                stream = answered.stream = self._gathered(answered.stream)
                await anext(stream)  # now it has begun, and closing it closes what is behind it
            else:
                self._keep(answered.body, ())
        except BaseException as error:
            self._land(is_worth_waiting=not isinstance(error, Exception))
            raise
        answered.headers = [*answered.headers, (HEADER, "miss")]
        return answered

    def _land(self, *, is_worth_waiting: bool) -> None:
        self._cache.landed(self._key, self, is_worth_waiting=is_worth_waiting)

    async def _gathered(self, stream: Stream) -> AsyncGenerator[bytes, None]:
        pieces: list[bytes] = []
        size = 0
        try:
            async with aclosing(stream):
                yield b""
                async for piece in stream:
                    size += len(piece)
                    if size > REPLY_LIMIT_BYTES:
                        pieces.clear()
                        self._land(is_worth_waiting=False)
                    else:
                        pieces.append(piece)
                        if LAST_EVENT in piece[-LAST_BYTES:]:
                            self._keep(b"", pieces)
                    yield piece
            self._land(is_worth_waiting=False)  # it broke off
        finally:
            self._land(is_worth_waiting=True)

    def _keep(self, body: bytes, pieces: Sequence[bytes]) -> None:
        is_kept = self._cache.keep(self._key, body, tuple(pieces), self._headers)
        self._land(is_worth_waiting=is_kept)


class ResponseCache:
    """`clock` gives monotonic seconds; `new_id` makes ids: "msg" -> "msg_01..."."""

    def __init__(
        self, *, clock: Callable[[], float], new_id: Callable[[str], str], limit_bytes: int = TOTAL_LIMIT_BYTES
    ) -> None:
        self._clock = clock
        self._new_id = new_id
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[CacheKey, Kept] = OrderedDict()
        self._size = 0
        self._flights: dict[CacheKey, Flight] = {}

    async def find(self, asked: Asked, ttl_s: float, *, scope: str = "") -> Answer | Flight:
        """The answer, if it is known or comes while this waits; else it is the caller's part to ask for it.

        `ttl_s`: how old it may be, for this caller. `scope` tells apart who may answer it.
        """
        key = cache_key(asked, scope)
        while True:
            kept = self._kept.get(key)
            if kept is not None and self._clock() - kept.since < ttl_s:
                self._kept.move_to_end(key)
                return self._again(kept)
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = Flight(self, key)
                return flight
            if not await asyncio.shield(flight.landed):  # then all who waited ask, or they would do so in a row
                return Flight(self, key)

    def keep(self, key: CacheKey, body: bytes, pieces: Sequence[bytes], headers: Headers) -> bool:
        """False: it cannot be kept."""
        message_id = _message_id(body or pieces[0])
        kept = Kept(message_id, body, pieces, headers, self._clock())
        if message_id == b"" or kept.size > REPLY_LIMIT_BYTES:
            return False
        self._drop(key)
        self._kept[key] = kept
        self._size += kept.size
        while self._size > self._limit_bytes:
            self._drop(next(iter(self._kept)))
        return True

    def landed(self, key: CacheKey, flight: Flight, *, is_worth_waiting: bool) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.landed.done():
            flight.landed.set_result(is_worth_waiting)

    def _drop(self, key: CacheKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size

    def _again(self, kept: Kept) -> Answer:
        headers = [*kept.headers, (HEADER, "hit")]
        new = self._new_id("msg").encode()
        if kept.body:
            return Answer(headers=headers, body=kept.body.replace(kept.message_id, new, 1))
        return Answer(headers=headers, stream=_replayed(kept, new))


def is_cacheable(asked: Asked) -> bool:
    """What brings tools is about the world, which changes; a thread has a place in a conversation."""
    is_message = asked.call.operation is Operation.MESSAGES
    return is_message and not brings_tools(asked) and "thread" not in asked.envelope.fields


def cache_key(asked: Asked, scope: str = "") -> CacheKey:
    """Equal for equal requests of one workspace and scope, and for no others."""
    call = asked.call
    strict = call.headers.get("dragoman-strict") or ""
    digest = blake2b(digest_size=32)
    parts = (call.kind, asked.principal.workspace_id, scope, strict, asked.version, *sorted(asked.betas))
    for part in parts:
        digest.update(str(part).encode() + b"\0")
    digest.update(call.body)
    return digest.digest()


async def _replayed(kept: Kept, message_id: bytes) -> AsyncGenerator[bytes, None]:
    yield kept.pieces[0].replace(kept.message_id, message_id, 1)
    for piece in kept.pieces[1:]:
        yield piece


class _Message(Struct, frozen=True):
    id: str = ""


class _Start(Struct, frozen=True):
    message: _Message = _Message()


def _message_id(said: bytes) -> bytes:
    """Of a body, or of a stream's first piece; empty where there is none."""
    try:
        if said.startswith(b"{"):
            return msgspec.json.decode(said, type=_Message).id.encode()
        data = said.partition(b"data: ")[2].partition(b"\n")[0]
        return msgspec.json.decode(data, type=_Start).message.id.encode()
    except msgspec.DecodeError:
        return b""
