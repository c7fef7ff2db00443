"""Remembers conversations by the reply that ends each, for a short while and in memory only (SDK-65).

Knows no JSON, no HTTP and no event loop; `clock` gives monotonic seconds. One store a process: after a restart, and in
another process, a thread is not found, and clients send the whole conversation again.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from dragoman.errors import InvalidRequest, NotFound

__all__ = ["Conversation", "Held", "Key", "ThreadStore"]

EXPIRES_S = 300.0  # after the last use
LIMIT_BYTES = 256 * 1024 * 1024  # of all conversations
OVERHEAD_BYTES = 500  # what one reply costs beside its JSON: also one that only says that it was continued

Key = tuple[str, str]  # workspace, message id: nobody else's replies can be found, or told from unknown ones


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation up to a reply, as raw JSON. None: the field was not given."""

    system: bytes | None
    tools: bytes | None
    turns: bytes  # messages, separated by commas, without the brackets of their list; the reply is the last
    is_paused: bool = False  # the reply's stop_reason is pause_turn

    @property
    def size_bytes(self) -> int:
        return len(self.system or b"") + len(self.tools or b"") + len(self.turns)


class Held:
    """One reply that can be continued, is being continued (claimed), or has been."""

    __slots__ = ("conversation", "key", "state", "used")

    def __init__(self, key: Key, conversation: Conversation | None, used: float) -> None:
        self.key = key
        self.conversation = conversation  # None once it has been continued: the next reply's holds it
        self.state: Literal["open", "claimed", "continued"] = "open"
        self.used = used

    @property
    def size_bytes(self) -> int:
        return OVERHEAD_BYTES + len(self.key[1]) + (0 if self.conversation is None else self.conversation.size_bytes)


class ThreadStore:
    """Conversations by reply. Above `limit_bytes`, those that were used longest ago go first."""

    def __init__(self, *, clock: Callable[[], float], limit_bytes: int = LIMIT_BYTES) -> None:
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[Key, Held] = OrderedDict()  # in the order of their last use
        self.size_bytes = 0
        self._shares: Counter[str] = Counter()  # bytes of each workspace

    def __len__(self) -> int:
        return len(self._held)

    def claim(self, key: Key) -> tuple[Held, Conversation]:
        """Take a reply to continue it; `keep` or `release` ends that. Raises NotFound and InvalidRequest (ERR-30)."""
        self.sweep()
        held = self._held.get(key)
        if held is None:
            raise NotFound(
                "thread.previous_message_id: no thread was found for this message id. Send the full conversation with "
                '`thread: {"type": "create"}`.',
                details={"error_code": "thread_not_found"},
            )
        if held.state == "claimed":
            raise InvalidRequest(
                "thread.previous_message_id: another request is still continuing from this message.",
                details={"error_code": "thread_continue_in_flight"},
            )
        if held.conversation is None:
            raise InvalidRequest(
                "thread.previous_message_id: this message has already been continued. Continue from the most recent "
                "message of the thread.",
                details={"error_code": "thread_already_continued"},
            )
        held.state = "claimed"
        self._touch(held)
        return held, held.conversation

    def release(self, held: Held) -> None:
        """The continuation came to nothing: the reply can be continued again. Does nothing for one not claimed."""
        if held.state == "claimed":
            held.state = "open"
            self._touch(held)

    def keep(self, key: Key, conversation: Conversation, *, after: Held | None = None) -> Held | None:
        """Remember a reply, which ends the claim on the one it continues. None: it is too large to be remembered."""
        if after is not None:
            self._replace(after, None, "continued")
        held = Held(key, conversation, self._clock())
        if held.size_bytes > self._limit_bytes:
            return None
        self._forget(key)
        self._held[key] = held
        self._count(held, +1)
        self._make_room()
        return held

    def take_back(self, held: Held, *, after: Held | None, conversation: Conversation | None) -> None:
        """Undo a `keep`: the reply never reached its caller. `conversation` is that of `after`.

        Not when the reply is being continued: then it did reach them.
        """
        if held.state != "open" or self._held.get(held.key) is not held:
            return
        self._forget(held.key)
        if after is not None:
            self._replace(after, conversation, "open")

    def sweep(self) -> None:
        """Erase what has expired. What is being continued is in use."""
        expired = self._clock() - EXPIRES_S
        while self._held:
            held = next(iter(self._held.values()))
            if held.used > expired:
                return
            if held.state == "claimed":
                self._touch(held)
            else:
                self._forget(held.key)

    def clear(self) -> None:
        self._held.clear()
        self._shares.clear()
        self.size_bytes = 0

    def _touch(self, held: Held) -> None:
        held.used = self._clock()
        if self._held.get(held.key) is held:
            self._held.move_to_end(held.key)

    def _replace(self, held: Held, conversation: Conversation | None, state: Literal["open", "continued"]) -> None:
        is_here = self._held.get(held.key) is held  # else pushed out meanwhile, or its id was given twice
        if is_here:
            self._count(held, -1)
        held.conversation, held.state = conversation, state
        self._touch(held)
        if is_here:
            self._count(held, +1)
            self._make_room()

    def _forget(self, key: Key) -> None:
        if held := self._held.pop(key, None):
            self._count(held, -1)

    def _count(self, held: Held, sign: int) -> None:
        self.size_bytes += sign * held.size_bytes
        workspace = held.key[0]
        self._shares[workspace] += sign * held.size_bytes
        if not self._shares[workspace]:
            del self._shares[workspace]

    def _make_room(self) -> None:
        """Forget what was used longest ago of the workspace that holds most: a busy one pushes out its own."""
        while self.size_bytes > self._limit_bytes:
            largest = max(self._shares, key=self._shares.__getitem__)
            self._forget(next(key for key in self._held if key[0] == largest))
