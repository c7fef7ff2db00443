"""What a script remembers between requests: for each conversation, how often its rules fitted, and variables.

The API is stateless, so a conversation is recognised by how it begins. Bounded: the conversation that was longest
not heard of is forgotten first. Imports `wire` and this folder.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from dragoman.engines.base import Generation
from dragoman.wire.turns import blocks_of
from dragoman.wire.types import MessagesRequest, Text

__all__ = ["Conversation", "Memory", "Tally", "conversation_key"]

HASHED_CHARACTERS = 10_000  # at each end of a text
HASHED_BLOCKS = 100


class Tally:
    """How often a rule's conditions held, and how often it answered."""

    __slots__ = ("answered", "matched")

    def __init__(self) -> None:
        self.matched = 0
        self.answered = 0


class Conversation:
    """Not safe for threads: whoever asks holds the lock."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self._tallies: dict[int, Tally] = {}  # by the index of the rule

    def tally(self, rule: int) -> Tally:
        return self._tallies.setdefault(rule, Tally())


class Memory:
    """The conversations heard of last, `limit` of them. Not safe for threads."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._conversations: OrderedDict[bytes, Conversation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._conversations)

    def of(self, key: bytes) -> Conversation:
        """The conversation, a new one where it is not known."""
        conversation = self._conversations.setdefault(key, Conversation())
        self._conversations.move_to_end(key)
        if len(self._conversations) > self._limit:
            self._conversations.popitem(last=False)
        return conversation

    def forget(self, key: bytes) -> None:
        self._conversations.pop(key, None)


def conversation_key(generation: Generation, header: str | None) -> bytes:
    """What a conversation has in all of its requests, and others do not.

    The workspace and the value of `header` where the request has it; else the workspace, `metadata.user_id`, the
    system prompt and the user's first turn. The model is not in it: a program may change it on the way. Neither is
    `cache_control`, which moves along, nor the data of images, of which the kind of block must do.
    """
    named = generation.headers.get(header) if header is not None else None
    if named is not None:
        return _digest(["named", generation.workspace_id, named])
    request = generation.request
    user_id = request.metadata.user_id if request.metadata else None
    return _digest(["begun", generation.workspace_id, user_id or "", *_system(request), "\0", *_first_turn(request)])


def _system(request: MessagesRequest) -> Iterator[str]:
    if isinstance(request.system, str):
        yield request.system
    for block in (request.system if isinstance(request.system, list) else [])[:HASHED_BLOCKS]:
        yield block.text


def _first_turn(request: MessagesRequest) -> Iterator[str]:
    left = HASHED_BLOCKS
    for message in request.messages:
        if message.role == "assistant" or left <= 0:
            return
        for block in blocks_of(message)[:left]:
            yield block.text if isinstance(block, Text) else f"\0{block.__struct_config__.tag}"
            left -= 1


def _digest(texts: list[str]) -> bytes:
    hashed = hashlib.blake2b(digest_size=16)
    for text in texts:
        ends = text if len(text) <= 2 * HASHED_CHARACTERS else text[:HASHED_CHARACTERS] + text[-HASHED_CHARACTERS:]
        data = ends.encode("utf-8", "surrogatepass")
        hashed.update(b"%d %d " % (len(text), len(data)) + data)
    return hashed.digest()
