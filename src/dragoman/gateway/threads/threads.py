"""Message threads as a feature of the gateway: `thread` on the way in, and the reply to remember on the way out.

A target sees the whole conversation and no `thread`, so any engine and any upstream will do; an upstream that keeps
threads itself (`threads = "upstream"`) gets requests as they came. Of a request, `system`, `tools` and `messages` are
remembered: SDKs leave out those and send every other field again, which is taken from each request as it stands.
Values are cut and joined as raw JSON: signatures and cache prefixes survive. Source: spec SDK-63 to 68, ERR-30, and
the SDK's `lib/threads`, 2.11.0, read 2026-11-21.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from dragoman.errors import InvalidRequest, RequestTooLarge
from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.gateway.routing.routing import Route
from dragoman.providers.base import Operation
from dragoman.wire.codec import Wire, WireError, plain, read
from dragoman.wire.envelope import Envelope, decode
from dragoman.wire.events import BlockDelta, Event, Fold, InputJsonDelta, decode_event
from dragoman.wire.schema import EXTRA, REQUIRED, check
from dragoman.wire.sse import EventTooLarge, SSEDecoder

from .store import EXPIRES_S, LIMIT_BYTES, Conversation, Held, ThreadStore

__all__ = ["Threads", "Turn"]

BETA = "message-threads-"
MARKER = b'"cache_control"'
MARKERS_LIMIT = 1000  # above it they are left: with so many real ones the request is refused anyway
HOLDS_BLOCKS = frozenset({"content", "source"})  # fields of messages and blocks whose value may hold blocks
MARKER_DEPTH = 10  # message, content, tool_result, content, document, source, content, text; two to spare
LARGE_BYTES = 256 * 1024  # above this, JSON is worked on in a thread, off the event loop
# A block that Claude Code puts into `system`, other words in each request: no instruction.
BILLING = re.compile(r"x-[a-z]+-billing-header:")

T = TypeVar("T")


class _Create(Wire, frozen=True, kw_only=True, tag_field="type", tag="create"):
    pass


class _Continue(Wire, frozen=True, kw_only=True, tag_field="type", tag="continue"):
    previous_message_id: str


class _Fields(Wire, frozen=True, kw_only=True):
    thread: _Create | _Continue


class _Reply(Struct, frozen=True):
    """What is remembered of a reply; `content` as it was sent."""

    id: str
    content: Raw
    stop_reason: str | None = None


class Threads:
    """The threads of this process. `clock` gives monotonic seconds, `body_limit_bytes` bounds a whole request."""

    def __init__(self, *, clock: Callable[[], float], body_limit_bytes: int, limit_bytes: int = LIMIT_BYTES) -> None:
        self.store = ThreadStore(clock=clock, limit_bytes=limit_bytes)
        self._body_limit_bytes = body_limit_bytes
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, asked: Asked, route: Route) -> "tuple[Asked, Turn | None]":
        """What the target is to be asked, and its turn in a thread, if it has one.

        Raises NotFound, InvalidRequest and RequestTooLarge.
        """
        self.store.sweep()
        if route.provider.threads == "upstream" or not (asked.betas or "thread" in asked.envelope.fields):
            return asked, None
        thread = _thread_of(asked)
        if thread is None:
            return _unthreaded(asked), None
        workspace = asked.principal.workspace_id
        if isinstance(thread, _Create):
            same, draft = await _off_loop(len(asked.call.body), lambda: _created(asked))
            return same, Turn(same, threads=self, draft=draft)
        held, conversation = self.store.claim((workspace, thread.previous_message_id))
        try:
            size = len(asked.call.body) + conversation.size_bytes
            if size > self._body_limit_bytes:
                raise RequestTooLarge("Request exceeds the maximum size")
            whole, draft = await _off_loop(size, lambda: _continued(asked, conversation))
            return whole, Turn(whole, threads=self, draft=draft, after=held)
        except BaseException:
            self.store.release(held)
            raise

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.store.clear()

    def erase_in_time(self) -> None:
        """See to it that what expires is erased when nobody calls any more: here within twice its time."""
        if self._timer is None and len(self.store):
            self._timer = asyncio.get_running_loop().call_later(EXPIRES_S, self._erase)

    def _erase(self) -> None:
        self._timer = None
        self.store.sweep()
        self.erase_in_time()


class Turn:
    """One request of a thread, and what becomes of that.

    A claim on the earlier reply ends here in every case: with the reply remembered, or released.
    """

    def __init__(
        self,
        asked: Asked,
        *,
        threads: Threads | None = None,
        draft: Conversation | None = None,
        after: Held | None = None,
    ) -> None:
        self.asked = asked
        self._threads = threads
        self._draft = draft  # the conversation without the reply; None: there is nothing to remember
        self._after = after  # the earlier reply, claimed
        self._before = None if after is None else after.conversation
        self._held: Held | None = None

    async def note(self, answering: Awaitable[Answer]) -> Answer:
        """The answer, which is remembered when it is complete, before its caller can know its end.

        Raises what `answering` raises. `Answer.lost` takes it back.
        """
        if self._draft is None:
            return await answering
        try:
            answered = await answering
            if answered.stream is not None:
                stream = answered.stream = self._gathered(answered.stream)
                await anext(stream)  # now it has begun, and closing it closes what is behind it
            elif answered.status == 200:
                self._remember(_reply_of(answered.body))
            else:
                self._release()
        except BaseException:
            self._release()
            raise
        answered.lost = self._take_back
        return answered

    async def _gathered(self, stream: Stream) -> AsyncGenerator[bytes, None]:
        """An empty piece, then the stream as it comes."""
        gathering = _Gathering()
        try:
            async with aclosing(stream):
                yield b""
                async for piece in stream:
                    gathering.feed(piece)
                    if gathering.is_over:
                        self._remember(gathering.reply())
                    yield piece
                    if gathering.is_over:  # many callers hang up at message_stop: to them nothing is lost
                        self._held = None
        finally:
            self._release()
            self._take_back()

    def _remember(self, reply: _Reply | None) -> None:
        """Remember the reply; None: there is none worth it."""
        if reply is None or self._threads is None or self._draft is None:
            self._release()
            return
        workspace = self.asked.principal.workspace_id
        conversation = msgspec.structs.replace(
            self._draft,
            turns=_joined(self._draft.turns, _turn_of(reply)),
            is_paused=reply.stop_reason in ("pause_turn", "compaction"),
        )
        self._held = self._threads.store.keep((workspace, reply.id), conversation, after=self._after)
        self._threads.erase_in_time()
        self._draft = None

    def _release(self) -> None:
        if self._after is not None and self._threads is not None:
            self._threads.store.release(self._after)

    def _take_back(self) -> None:
        """The reply did not reach its caller, who will ask again."""
        if self._held is not None and self._threads is not None:
            self._threads.store.take_back(self._held, after=self._after, conversation=self._before)


# -- requests ---------------------------------------------------------------------------------------------------------


def _thread_of(asked: Asked) -> _Create | _Continue | None:
    """The `thread` of a request, None where there is none. Raises InvalidRequest."""
    thread = asked.envelope.value("thread")
    if thread is None:
        return None
    if asked.call.operation is not Operation.MESSAGES:
        raise InvalidRequest(f"thread: {EXTRA}")
    if not _has_beta(asked):
        # The API's words; the details besides, as without them the SDK's tool runner would break (SDK-64). With them
        # it goes on without a thread, for instance behind a proxy that drops betas.
        raise InvalidRequest(
            f"thread: {EXTRA}", details={"error_code": "thread_unsupported_request", "unsupported": []}
        )
    check(_Fields, {"thread": thread})
    return read(_Fields, {"thread": thread}).thread


def _has_beta(asked: Asked) -> bool:
    return any(name.startswith(BETA) for name in asked.betas)


def _unthreaded(asked: Asked, body: bytes | None = None) -> Asked:
    """The request as a target that knows no threads may see it: `body`, else its own, without field and beta."""
    if body is None and "thread" in asked.envelope.fields:
        body = asked.envelope.without("thread")
    if body is None and not _has_beta(asked):
        return asked
    betas = tuple(name for name in asked.betas if not name.startswith(BETA))
    headers = asked.call.headers.with_betas(betas) if _has_beta(asked) else asked.call.headers
    envelope = asked.envelope if body is None else Envelope(body)
    call = msgspec.structs.replace(asked.call, headers=headers, body=envelope.body)
    return msgspec.structs.replace(asked, call=call, betas=betas, envelope=envelope)


def _created(asked: Asked) -> tuple[Asked, Conversation | None]:
    """The same for the target, and what to remember; None where the target will refuse it, so that it says why."""
    envelope = asked.envelope
    turns = _items(envelope.fields.get("messages"))
    if turns is None:
        return _unthreaded(asked), None
    system, tools = (_given(envelope, name) for name in ("system", "tools"))
    return _unthreaded(asked), Conversation(system=system, tools=tools, turns=_without_markers(turns))


def _continued(asked: Asked, conversation: Conversation) -> tuple[Asked, Conversation]:
    """The whole conversation for the target, and what to remember. Raises InvalidRequest."""
    envelope = asked.envelope
    new = _items(envelope.fields.get("messages"))
    if new is None:
        is_there = "messages" in envelope.fields
        raise InvalidRequest(f"messages: {'Input should be a valid list' if is_there else REQUIRED}")
    if not new and not conversation.is_paused:
        raise InvalidRequest("messages: at least one message is required")
    _must_be_the_same(envelope, conversation)
    fields = {"messages": Raw(b"[%b]" % _joined(conversation.turns, new))}
    if conversation.system is not None:
        fields["system"] = Raw(conversation.system)
    if conversation.tools is not None:
        fields["tools"] = Raw(conversation.tools)
    body = Envelope(envelope.without("thread")).encode(**fields)
    turns = _joined(conversation.turns, _without_markers(new))
    return _unthreaded(asked, body), msgspec.structs.replace(conversation, turns=turns)


def _must_be_the_same(envelope: Envelope, conversation: Conversation) -> None:
    """Raises InvalidRequest for a `system` or `tools` that differs from the thread's; none is always right."""
    held = {"system": conversation.system, "tools": conversation.tools}
    differing = [name for name, raw in held.items() if not _is_same(_given(envelope, name), raw)]
    if differing:
        raise InvalidRequest(
            "thread: the request differs from what the thread was created with; differing field(s): "
            f"{', '.join(differing)}. Leave them out, or send the full conversation with "
            '`thread: {"type": "create"}`.',
            details={"error_code": "thread_fingerprint_mismatch"},
        )


def _is_same(given: bytes | None, held: bytes | None) -> bool:
    if given is None or given == held:
        return True
    try:
        old = None if held is None else _stable(decode(held))
        new = decode(given)
    except InvalidRequest:  # nested too deeply: nothing that a target would have answered
        return False
    stable = _stable(new)
    return bool(new and not stable) or (stable or None) == (old or None)


def _stable(value: Any) -> Any:
    """A `system` or `tools` without what may differ between requests: cache markers, and Claude Code's own block."""
    if not isinstance(value, list):
        return value
    items = [
        {name: part for name, part in item.items() if name != "cache_control"} if isinstance(item, dict) else item
        for item in value
    ]
    return [item for item in items if not (isinstance(item, dict) and BILLING.match(str(item.get("text"))))]


def _given(envelope: Envelope, name: str) -> bytes | None:
    raw = envelope.fields.get(name)
    return None if raw is None or bytes(raw) == b"null" else bytes(raw)


def _items(raw: Raw | None) -> bytes | None:
    """What stands between the brackets of a list; None for what is no list."""
    text = b"" if raw is None else bytes(raw)
    return text[1:-1].strip(b" \t\r\n") if text.startswith(b"[") else None


def _joined(*parts: bytes) -> bytes:
    return b",".join(part for part in parts if part)


def _without_markers(turns: bytes) -> bytes:
    """Messages without the cache breakpoints of their blocks. Each was set for one request, and a request may have
    only four (CCH-4): added up, the fifth turn would be refused. What is cached does not depend on them."""
    if turns.count(MARKER) > MARKERS_LIMIT:
        return turns
    return _unmarked(b"[%b]" % turns, MARKER_DEPTH)[1:-1]


def _unmarked(raw: bytes, depth: int) -> bytes:
    if depth == 0 or MARKER not in raw:
        return raw
    if raw.startswith(b"["):
        items = msgspec.json.decode(raw, type=list[Raw])
        return b"[%b]" % b",".join(_unmarked(bytes(item), depth - 1) for item in items)
    if not raw.startswith(b"{"):
        return raw
    fields = msgspec.json.decode(raw, type=dict[str, Raw])
    fields.pop("cache_control", None)
    for name in HOLDS_BLOCKS & fields.keys():
        fields[name] = Raw(_unmarked(bytes(fields[name]), depth - 1))
    return msgspec.json.encode(fields)


# -- replies ----------------------------------------------------------------------------------------------------------


def _reply_of(body: bytes) -> _Reply | None:
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if _items(reply.content) is None else msgspec.structs.replace(reply, content=reply.content.copy())


def _turn_of(reply: _Reply) -> bytes:
    """The reply as a message; nothing where it has no content, for an empty message would be refused."""
    return b'{"role":"assistant","content":%b}' % bytes(reply.content) if _items(reply.content) else b""


class _Gathering:
    """Reads a reply out of its stream, beside its way to the caller. What cannot be read is not remembered."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.is_over = False  # nothing that is still to come can change the reply
        self._left_bytes = limit_bytes
        self._decoder = SSEDecoder()
        self._fold = Fold()
        self._inputs: dict[int, list[str]] = {}  # of tool calls, as they were sent
        self._is_lost = False

    def feed(self, piece: bytes) -> None:
        self._left_bytes -= len(piece)
        if self._is_lost or self.is_over:
            return
        try:
            for event in self._decoder.feed(piece):
                self._add(decode_event(event))
        except (WireError, EventTooLarge):
            self._is_lost = True
        self._is_lost = self._is_lost or self._left_bytes < 0
        self.is_over = self._is_lost or self._fold.is_complete or self._fold.error is not None

    def reply(self) -> _Reply | None:
        """None for a stream that broke off, told of an error, or could not be read."""
        if self._is_lost or not self._fold.is_complete or self._fold.error is not None:
            return None
        try:
            message = self._fold.message()
        except WireError:
            return None
        blocks = plain(message)["content"]
        for index, parts in self._inputs.items():
            text = "".join(parts).encode()
            if index < len(blocks) and "input" in blocks[index] and _is_object(text):
                blocks[index]["input"] = Raw(text)
        return _Reply(message.id, Raw(msgspec.json.encode(blocks)), message.stop_reason)

    def _add(self, event: Event) -> None:
        self._fold.add(event)
        if isinstance(event, BlockDelta) and isinstance(event.delta, InputJsonDelta) and self._fold.has_begun:
            self._inputs.setdefault(event.index, []).append(event.delta.partial_json)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


async def _off_loop(size_bytes: int, work: Callable[[], T]) -> T:
    """Do the work, in a thread when there is much of it: other requests must not wait for it."""
    return work() if size_bytes <= LARGE_BYTES else await asyncio.to_thread(work)
