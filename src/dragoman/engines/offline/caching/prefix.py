"""A request laid out as the cache sees it: positions in the order tools, system, messages, and lines to hash.

Two requests have the same prefix when they have the same lines, and a change of one byte changes all that follows
(CCH-20). What is no content is taken out first: `cache_control`, defaults written out (CCH-30), and the choice
between a string and its one text block, which mean the same (MSG-43). Message boundaries and roles are content.
Imports only `wire` and the prompt of this engine.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dragoman.engines.offline.prompt import Span
from dragoman.wire.models import Model
from dragoman.wire.toolrules import is_deferred
from dragoman.wire.tools import AnyTool
from dragoman.wire.turns import blocks_of, merged
from dragoman.wire.types import (
    Caller,
    ContentSource,
    CountTokensRequest,
    Document,
    Image,
    InputMessage,
    RedactedThinking,
    SearchResult,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolChoiceTool,
    ToolReference,
    ToolResult,
    ToolUse,
)

__all__ = ["Layout", "Level", "Running", "Settings", "laid_out", "settings_of"]

DIGEST_BYTES = 16  # nobody gains by a collision here but the one who made it, within his own workspace
CHUNK_LINES = 10_000  # encoded at once: the copy in memory stays small where blocks are
ENCODER = msgspec.json.Encoder()

# What a tool means without the field (CCH-30).
TOOL_DEFAULTS: Mapping[str, object] = {
    "strict": False,
    "defer_loading": False,
    "eager_input_streaming": False,
    "allowed_callers": ["direct"],
    "input_examples": [],
}


class Level(Struct, frozen=True):
    """Tools, system or messages: its positions are the blocks that can be read back from a cache."""

    lines: list[Any]  # what is hashed: blocks, and before the first of each message its role
    ends: list[int]  # of each position: how many lines there are up to its end
    tokens: list[int]  # of each position: all tokens of the prompt up to its end, the levels before included
    paths: dict[str, int]  # where a block of the request is: `messages.0.content.1` -> position in this level


class Layout(Struct, frozen=True):
    """A request, as positions."""

    tools: Level
    system: Level
    messages: Level
    has_images: bool
    has_citations: bool
    total: int  # tokens of the whole prompt

    @property
    def levels(self) -> tuple[Level, Level, Level]:
        return self.tools, self.system, self.messages


class Settings(Struct, frozen=True):
    """The parameters that a prompt depends on besides its blocks; a default says the same as nothing (CCH-30)."""

    form: object  # schema of `output_config.format`
    speed: str | None
    choice: object  # of tools
    thinking: object
    effort: str


# Positions.


class _Builder:
    """Puts blocks beside the spans that say how many tokens they take: both come in the order of the prompt."""

    def __init__(self, spans: Sequence[Span], wanted: frozenset[str]) -> None:
        self._spans = iter(spans)
        self._wanted = wanted
        self._tokens = 0
        self.level = Level([], [], [], {})

    def next_level(self) -> Level:
        """Begin a level; returns the one that is done."""
        done, self.level = self.level, Level([], [], [], {})
        return done

    def add(self, *lines: Any) -> None:
        """The next block is a position."""
        span = next(self._spans)
        level = self.level
        self._tokens += span.tokens
        if span.path in self._wanted:
            level.paths[span.path] = len(level.ends)
        level.lines.extend(lines)
        level.ends.append(len(level.lines))
        level.tokens.append(self._tokens)

    def leave_out(self) -> None:
        """The next block is not in the prompt: it is no position.

        It takes no tokens itself. What its span has is the frame of the message, or of the request, that it would have
        begun: that stays, before the next block.
        """
        self._tokens += next(self._spans).tokens


def laid_out(
    request: CountTokensRequest, model: Model, spans: Sequence[Span], *, wanted: frozenset[str] = frozenset()
) -> Layout:
    """Lay out a validated request; `spans` are its prompt's, `wanted` the paths of blocks to be found again.

    Linear in the number of blocks: about a second for a million. Hashes nothing.
    """
    builder = _Builder(spans, wanted)
    _add_tools(request, builder)
    tools = builder.next_level()
    _add_system(request, builder)
    system = builder.next_level()
    contents = _Contents(request, model)
    contents.add_to(builder)
    return Layout(
        tools=tools,
        system=system,
        messages=builder.next_level(),
        has_images=contents.has_images,
        has_citations=contents.has_citations,
        total=sum(span.tokens for span in spans),
    )


def _add_tools(request: CountTokensRequest, builder: _Builder) -> None:
    """A tool that is loaded later is not in the prompt (CCH-28)."""
    for tool in request.tools or ():
        if is_deferred(tool):
            builder.leave_out()
        else:
            builder.add(_bare_tool(tool))


def _bare_tool(tool: AnyTool) -> AnyTool:
    changed: dict[str, Any] = {} if tool.cache_control is None else {"cache_control": None}
    for name, default in TOOL_DEFAULTS.items():
        if getattr(tool, name, None) == default:
            changed[name] = None
    return replace(tool, **changed) if changed else tool


def _add_system(request: CountTokensRequest, builder: _Builder) -> None:
    system = request.system
    if isinstance(system, str):
        builder.add(Text(text=system))
    for block in system if isinstance(system, list) else ():
        builder.add(_bare_text(block))


class _Contents:
    """The messages, and what is seen on the way through them."""

    def __init__(self, request: CountTokensRequest, model: Model) -> None:
        self.has_images = False
        self.has_citations = False
        self._messages = request.messages
        self._deferred = {
            getattr(tool, "name", ""): _bare_tool(tool) for tool in request.tools or () if is_deferred(tool)
        }
        self._keeps = model.thinking is not None and model.thinking.keeps_earlier_turns
        self._current: int | None = None  # the message that the current turn begins with, once somebody has asked

    def add_to(self, builder: _Builder) -> None:
        for index, message in enumerate(self._messages):
            head: tuple[str, ...] = (message.role,)  # a line of its own, before the first block
            for block in blocks_of(message):
                if type(block) is Text:  # most are
                    builder.add(*head, _bare_text(block))
                elif not isinstance(block, Thinking | RedactedThinking):
                    bare = self._bare(block)
                    builder.add(*head, bare, *self._loaded_by(bare))
                elif self._is_kept(index):
                    builder.add(*head, block)
                else:
                    builder.leave_out()
                    continue  # the next block begins the message
                head = ()

    def _is_kept(self, index: int) -> bool:
        """Whether thinking of this message is in the prompt: of earlier turns only some models keep it (TOK-5)."""
        if not self._keeps and self._current is None:
            self._current = _start_of_current_turn(self._messages)
        return index >= (self._current or 0)

    def _bare(self, block: Any) -> Any:
        """The block without what is no content, nor is in its parts."""
        changed: dict[str, Any] = {}
        if block.cache_control is not None:
            changed["cache_control"] = None
        match block:
            case Text():
                return _bare_text(block)
            case Image(transformations=transformations):
                self.has_images = True
                if transformations is not None and transformations.oversized_image != "error":
                    changed["transformations"] = None
            case ToolUse(caller=Caller(type="direct")) | ServerToolUse(caller=Caller(type="direct")):
                changed["caller"] = None
            case ServerToolResult(caller=Caller(type="direct")):
                changed["caller"] = None
            case ToolResult(content=content):
                if block.is_error is False:
                    changed["is_error"] = None
                if content is not None:
                    changed["content"] = self._parts(content)
            case Document(source=ContentSource(content=content)):
                changed["source"] = ContentSource(content=self._parts(content))
            case SearchResult(content=content):
                changed["content"] = self._parts(content)
            case _:
                pass
        if isinstance(block, Document | SearchResult) and block.citations is not None:
            if block.citations.enabled:
                self.has_citations = True
            else:
                changed["citations"] = None
        return replace(block, **changed) if changed else block

    def _parts(self, content: Any) -> list[Any]:
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        return [self._bare(part) for part in content]

    def _loaded_by(self, block: Any) -> Iterator[AnyTool]:
        """The tools that a search found: from here on they are part of the prompt (CCH-28)."""
        if not self._deferred or not isinstance(block, ToolResult):
            return
        for part in block.content or ():
            if isinstance(part, ToolReference) and part.tool_name in self._deferred:
                yield self._deferred[part.tool_name]


def _bare_text(block: Text) -> Text:
    if block.cache_control is None and not block.citations:
        return block
    return Text(text=block.text, citations=block.citations or None)


def _start_of_current_turn(messages: Sequence[InputMessage]) -> int:
    """Index of the message with the user's last request: a tool loop behind it goes on within one turn."""
    for turn in reversed(merged(messages)):
        if turn.role == "user" and not any(isinstance(placed.value, ToolResult) for placed in turn.blocks):
            return turn.blocks[0].message
    return 0


# Settings.


def settings_of(request: CountTokensRequest, model: Model) -> Settings:
    config = request.output_config
    form = config.format if config else None
    return Settings(
        form=form.schema if form else None,
        speed="fast" if request.speed == "fast" else None,
        choice=_choice(request),
        thinking=_thinking(request, model),
        effort=(config.effort if config else None) or model.default_effort,
    )


def _choice(request: CountTokensRequest) -> object:
    """`auto` is what happens without a choice where there are tools, and `none` where there are none (TOOL-10, 13)."""
    choice = request.tool_choice
    if choice is None:
        return ["auto"] if request.tools else ["none"]
    name = choice.name if isinstance(choice, ToolChoiceTool) else None
    alone = getattr(choice, "disable_parallel_tool_use", None) or None
    said = [choice.__struct_config__.tag, name, alone]
    return said[:1] if said[1:] == [None, None] else said


def _thinking(request: CountTokensRequest, model: Model) -> object:
    """How the model thinks; `display` is only how it tells of it."""
    match request.thinking:
        case ThinkingEnabled(budget_tokens=budget):
            return ["enabled", budget]
        case ThinkingDisabled():
            return "disabled"
        case ThinkingBetweenTools():
            return "between_tools"
        case None if model.thinking is None or model.thinking.default == "off":
            return "disabled"
        case _:
            return "adaptive"


# Hashes.


class Running:
    """A hash of lines of JSON. No line end can stand in one: so it does not matter how they are taken together."""

    def __init__(self, *lines: object) -> None:
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.add(lines)

    def add(self, lines: Sequence[object]) -> None:
        for at in range(0, len(lines), CHUNK_LINES):
            self._hash.update(ENCODER.encode_lines(lines[at : at + CHUNK_LINES]))

    def digest(self) -> bytes:
        """Of what was added until now; it may go on."""
        return self._hash.digest()

    def through(self, level: Level, wanted: Sequence[int], *, to_end: bool) -> dict[int, bytes]:
        """Go through a level; what the hash was at the end of each `wanted` position, which must ascend."""
        found: dict[int, bytes] = {}
        done = 0
        for position in wanted:
            end = level.ends[position]
            self.add(level.lines[done:end])
            found[position] = self.digest()
            done = end
        if to_end:
            self.add(level.lines[done:])
        return found
