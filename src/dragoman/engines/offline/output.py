"""How a reply of the offline engine comes out: through the block writer, within its limits, counted to the token.

Source: spec MSG-52, MSG-62, MSG-106 to 122, STR-20 to 33, TOOL-23, TOOL-40. Imports only `wire` and this folder.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, Literal

import msgspec
from msgspec import Struct

from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.models import Model
from dragoman.wire.tools import CustomTool, JsonObject, Toolset
from dragoman.wire.toolsets import offered
from dragoman.wire.types import (
    MessagesRequest,
    StopReason,
    ThinkingAdaptive,
    ThinkingEnabled,
    Usage,
)
from dragoman.wire.writer import BlockWriter

from . import tokens
from .reply import Part, Reply, Say, Sum, Think, Use, Whole
from .scripts import UsageOverrides
from .thinking import Signer

__all__ = ["Limit", "Output", "cut_at_stop_sequence"]

FRAGMENT_CHARACTERS = 12  # of a tool's input in one event
FINE_GRAINED = "fine-grained-tool-streaming-"
# The API's own tools whose calls it counts (TOOL-62).
COUNTED = {"web_search": "web_search_requests", "web_fetch": "web_fetch_requests"}


class Limit(Struct, frozen=True):
    """How many tokens may come out, and what it is called when they do."""

    tokens: int
    reason: Literal["max_tokens", "model_context_window_exceeded"]


def cut_at_stop_sequence(reply: Reply, sequences: Sequence[str]) -> Reply:
    """The reply up to the first stop sequence in its text; the sequence itself is left out (MSG-106, STR-16).

    Text blocks that follow each other are one text to it: those of a cited answer are.
    """
    for first, last in _texts(reply.parts):
        says = [part for part in reply.parts[first:last] if isinstance(part, Say)]
        text = "".join(say.text for say in says)
        found = [(where, stop) for stop in sequences if (where := text.find(stop)) >= 0]
        if found:
            where, stop = min(found)
            parts = (*reply.parts[:first], *_shortened(says, where))
            return Reply(parts=parts, stop_reason="stop_sequence", stop_sequence=stop)
    return reply


def _texts(parts: Sequence[Part]) -> Iterator[tuple[int, int]]:
    """Where text blocks follow each other: first, and behind the last."""
    at = 0
    for is_text, run in groupby(parts, lambda part: isinstance(part, Say)):
        size = len(list(run))
        if is_text:
            yield at, at + size
        at += size


def _shortened(says: Sequence[Say], length: int) -> list[Say]:
    """The first `length` characters of these blocks."""
    kept: list[Say] = []
    for say in says:
        if length <= 0:
            break
        kept.append(Say(say.text[:length], say.citations))
        length -= len(say.text)
    return kept


class Output:
    """Writes one reply within its limits, and knows why it ended.

    Without `in_pieces` a text is one delta: where nobody sees a stream, only what it folds to matters. `at_once` is how
    many deltas of a text may be ready together: 1 where each is due at a time of its own.
    """

    def __init__(
        self,
        writer: BlockWriter,
        *,
        request: MessagesRequest,
        model: Model,
        betas: Sequence[str],
        limit: Limit,
        signer: Signer,
        new_tool_id: Callable[[], str],
        in_pieces: bool = True,
        at_once: int = 1,
    ) -> None:
        self.used = 0  # tokens so far
        self._writer = writer
        self._request = request
        self._tokenizer = model.tokenizer
        self._default_display = model.thinking.display if model.thinking else "summarized"
        self._all_eager = any(beta.startswith(FINE_GRAINED) for beta in betas)
        self._limit = limit
        self._left = limit.tokens
        self._signer = signer
        self._new_tool_id = new_tool_id
        self._in_pieces = in_pieces
        self._at_once = at_once
        self._thought = 0
        self._stop: StopReason | None = None
        self._searches: dict[str, int] = {}

    def write(self, reply: Reply) -> Iterator[list[Event]]:
        """The events of the parts in order, until something stops them."""
        for part in reply.parts:
            if self._stop is not None:
                return
            match part:
                case Think():
                    yield from self._think(part)
                case Say():
                    yield from self._say(part)
                case Use():
                    yield from self._use(part)
                case Sum(text=text):
                    yield self._writer.compaction(self._take(text))
                case Whole(block=block):
                    yield self._writer.whole(block)
        if self._stop is None:
            self._stop = reply.stop_reason or _natural_stop(reply)

    def finish(
        self,
        reply: Reply,
        usage: Usage,
        *,
        applied_edits: list[JsonObject] | None = None,
        overrides: UsageOverrides | None = None,
    ) -> list[Event]:
        """The end. `usage` is what message_start told of the input; `applied_edits` what was cleared of it."""
        stop = self._stop or self._limit.reason
        is_empty_refusal = stop == "refusal" and not self.used  # not billed (MSG-115)
        floor = 0 if self._limit.tokens == 0 or is_empty_refusal else 1  # even an empty text costs one (MSG-122)
        told = DeltaUsage(
            input_tokens=usage.input_tokens,
            cache_creation_input_tokens=usage.cache_creation_input_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens,
            output_tokens=max(self.used, floor),
            output_tokens_details={"thinking_tokens": self._thought} if self._thought else None,
            server_tool_use=self._server_tool_use(),
        )
        was_cut = self._stop != reply.stop_reason
        return self._writer.finish(
            stop,
            usage=overrides.of_delta(told) if overrides else told,
            stop_sequence=None if was_cut else reply.stop_sequence,
            stop_details=None if was_cut else reply.stop_details,
            context_management=None if applied_edits is None else {"applied_edits": applied_edits},
        )

    def _server_tool_use(self) -> JsonObject | None:
        if not self._searches:
            return None
        return {name: self._searches.get(tool, 0) for tool, name in COUNTED.items()}

    def _take(self, text: str, limit: int | None = None) -> str:
        """As much of `text` as the limit leaves; stops the reply when that is not all."""
        room = self._left if limit is None else min(limit, self._left)
        taken, used = tokens.cut(text, room, self._tokenizer)
        self._spend(used)
        if len(taken) < len(text) and self._left == 0:
            self._stop = self._limit.reason
        return taken

    def _spend(self, used: int) -> None:
        self._left -= used
        self.used += used

    def _think(self, part: Think) -> Iterator[list[Event]]:
        config = self._request.thinking
        budget = config.budget_tokens - self._thought if isinstance(config, ThinkingEnabled) else None
        before = self.used
        taken = self._take(part.text, budget)
        used = self.used - before
        self._thought += used
        if part.redacted:
            yield self._writer.redacted_thinking(self._signer.redact(taken, tokens=used))
            return
        display = config.display if isinstance(config, ThinkingEnabled | ThinkingAdaptive) else None
        shown = taken if (display or self._default_display) == "summarized" else ""
        for piece in self._pieces(shown):
            yield self._writer.thinking(piece)
        yield self._writer.signature(self._signer.sign(shown, tokens=used))

    def _pieces(self, text: str) -> Iterable[str]:
        return tokens.streamed(text, self._tokenizer) if self._in_pieces else (text,)

    def _say(self, part: Say) -> Iterator[list[Event]]:
        """A text block. What it cites is not counted (MSG-99)."""
        taken = self._take(part.text)
        if not taken:
            return
        events = self._writer.end_block()
        for citation in part.citations:
            events += self._writer.citation(citation)
        pieces = iter(self._pieces(taken))
        while ready := list(islice(pieces, self._at_once)):
            yield [*events, *self._writer.texts(ready)]
            events = []

    def _use(self, part: Use) -> Iterator[list[Event]]:
        """A call, its input in fragments cut anywhere. Without room for its name it is not begun."""
        name_tokens = tokens.count(part.name, self._tokenizer)
        if name_tokens >= self._left:
            self._spend(self._left)
            self._stop = self._limit.reason
            return
        self._spend(name_tokens)
        if part.on_server:
            self._searches[part.name] = self._searches.get(part.name, 0) + 1
            events, toolset = self._writer.server_tool_use(part.id or self._new_server_id(), part.name), None
        else:
            toolset = self._toolset_of(part.name)
            events = self._writer.tool_use(part.id or self._new_tool_id(), part.name, toolset_name=toolset)
        for fragment in self._fragments(part, is_whole=toolset is not None):
            yield [*events, *self._writer.input_json(fragment)]
            events = []
        yield self._writer.end_block()

    def _fragments(self, part: Use, *, is_whole: bool) -> Iterator[str]:
        """An empty one first, as the API has it (STR-30); of a toolset's member one, the whole (STR-33)."""
        if is_whole:
            yield self._input(part, is_whole=True)
            return
        yield ""
        taken = self._input(part, is_whole=False)
        step = FRAGMENT_CHARACTERS if self._in_pieces else max(len(taken), 1)
        for start in range(0, len(taken), step):
            yield taken[start : start + step]

    def _new_server_id(self) -> str:
        return "srvtoolu_" + self._new_tool_id().removeprefix("toolu_")

    def _input(self, part: Use, *, is_whole: bool) -> str:
        """The JSON that fits: to the token when fine-grained, else in whole parameters (STR-32, TOOL-40)."""
        if part.raw is not None:
            return self._take(part.raw)
        encoded = msgspec.json.encode(part.input).decode()
        if self._is_eager(part.name):
            return self._take(encoded)
        if tokens.count(encoded, self._tokenizer) <= self._left:
            return self._take(encoded)
        fitting = "" if is_whole else self._whole_parameters(part.input, encoded)
        self._spend(self._left)  # what did not fit was written all the same
        self._stop = self._limit.reason
        return fitting

    def _whole_parameters(self, value: dict[str, Any], encoded: str) -> str:
        """As many parameters as fit, without the brace that would close them."""
        room = len(tokens.cut(encoded, self._left, self._tokenizer)[0])
        end = 0
        for key, item in value.items():
            longer = end + 1 + len(msgspec.json.encode({key: item}).decode()) - 2  # a brace or a comma, and the pair
            if longer > room:
                break
            end = longer
        return encoded[:end]

    def _is_eager(self, name: str) -> bool:
        if self._all_eager:
            return True
        tool = next((tool for tool in self._request.tools or () if getattr(tool, "name", None) == name), None)
        return isinstance(tool, CustomTool) and bool(tool.eager_input_streaming)

    def _toolset_of(self, name: str) -> str | None:
        """The toolset that a call belongs to, which the call must name (TOOL-54): the first that offers it."""
        for tool in self._request.tools or ():
            if isinstance(tool, Toolset) and name in offered(tool):
                return tool.family
        return None


def _natural_stop(reply: Reply) -> StopReason:
    calls = any(isinstance(part, Use) and not part.on_server for part in reply.parts)
    return "tool_use" if calls else "end_turn"
