"""A request of the Messages API as Claude on Vertex takes it: without what Vertex refuses. Pure.

Vertex answers a beta that it does not know with 400, and any field too. What goes is told; what stays keeps its bytes,
for caches and signatures depend on them: a value is looked into only where it may hold something that has to go.

Sources, read 2026-11-21: "Claude Models on Google Cloud (Google managed)", "Vision" and "Versions" of Anthropic's
documentation; Google's pages on Claude ("Web search", "Count tokens", "Prompt caching"); what Claude Code 2.1.329 sends
to Vertex, and what it keeps from it; requests that people have shown with their outcome, beside each table.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from dragoman.errors import InvalidRequest
from dragoman.wire.envelope import Envelope

__all__ = ["COUNTS", "MESSAGES", "Fitted", "Takes", "fitted"]

ATTRIBUTION = "x-anthropic-billing-header:"  # Claude Code's: may be new in every request, and then no prefix is cached
# Models that refuse the role `system` within `messages` (MSG-45), and `output_config.effort`, or take it with a beta
# that Vertex has not. One that nobody knows takes what newer ones do. BerriAI/litellm PR#33807, PR#27039.
NO_SYSTEM_TURNS = re.compile(r"claude-(?:[123]\b|(?:opus|sonnet|haiku)-4(?!-[89])|sonnet-5(?!-5)|mythos-preview)")
NO_EFFORT = re.compile(r"claude-(?:[123]\b|(?:opus|sonnet|haiku)-4(?!-[6-9]))")
# Models without `thinking.block_binding`, and without the value `updates` of `thinking.display`.
NO_BINDING = re.compile(r"claude-(?:[123]\b|(?:opus|sonnet|haiku)-4)")
NO_UPDATES = re.compile(r"claude-(?:[123]\b|(?:opus|sonnet|haiku)-(?:4|5(?!-[5-9])))")
UPDATES = Raw(b'"updates"')

EDITING = "context-management-2025-06-27"
COMPACTING = ("compact-2026-01-12", "compact-2026-09-04")
TOOL_SEARCH = "tool-search-tool-2025-10-19"
WEB_SEARCH = "web-search-2025-03-05"


class Takes(Struct, frozen=True, kw_only=True):
    """What one operation takes."""

    fields: frozenset[str]
    betas: Mapping[str, str]  # as callers name them -> as they go out
    # Betas of features that are there without a name: to leave them out loses nothing.
    needless: frozenset[str]
    objects: Mapping[str, frozenset[str]]  # of fields that are objects, the fields within

    def has(self, beta: str) -> bool:
        return beta in self.betas


# Not `cache_control` (dust-tt/dust PR#27109), `diagnostics` (anthropics/claude-code#82539), `service_tier` and the rest
# of what only Anthropic's own API does.
MESSAGES = Takes(
    fields=frozenset(
        """
        max_tokens messages metadata stop_sequences stream system temperature thinking tool_choice tools top_k top_p
        output_config output_format context_management
        """.split()
    ),
    # Those that LiteLLM sends (anthropic_beta_headers_config.json; PR#39597 of 2026-09-03 shows Vertex's answers), or
    # that Claude Code sends there itself; not those that it keeps from Vertex (per-turn-control-2026-07-01).
    betas={
        each: each
        for each in (
            "claude-code-20250219",
            "interleaved-thinking-2025-05-14",
            "context-1m-2025-08-07",
            EDITING,
            *COMPACTING,
            "computer-use-2025-01-24",
            "computer-use-2025-11-24",
            TOOL_SEARCH,
            WEB_SEARCH,
            "dangerous-tool-use-2026-09-03",
            "thinking-binding-controls-2026-08-01",
            "thinking-display-updates-2026-08-18",
        )
    }
    | {"advanced-tool-use-2025-11-20": TOOL_SEARCH},
    needless=frozenset(
        """
        prompt-caching-2024-07-31 extended-cache-ttl-2025-04-11 pdfs-2024-09-25 token-counting-2024-11-01
        token-efficient-tools-2025-02-19 structured-outputs-2025-11-13 structured-outputs-2025-12-15 effort-2025-11-24
        """.split()
    ),
    objects={
        "output_config": frozenset({"effort", "format"}),
        "thinking": frozenset({"type", "budget_tokens", "display", "block_binding"}),
    },
)
# A count refuses betas of tools (anthropics/claude-code#12429, and the PR above); these are Claude Code's own for it.
COUNTS = Takes(
    fields=frozenset({"messages", "system", "tools", "tool_choice", "thinking", "output_config"}),
    betas={each: each for each in ("claude-code-20250219", "interleaved-thinking-2025-05-14")},
    needless=MESSAGES.needless | MESSAGES.betas.keys(),
    objects={**MESSAGES.objects, "thinking": frozenset({"type", "budget_tokens"})},
)
# The beginning of a tool's type -> the beta that it needs there, though not at Anthropic; None: none. A tool of any
# other type is refused ("does not match any of the expected tags").
TOOLS = {
    "bash_": None,
    "text_editor_": None,
    "memory_": EDITING,
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "web_search_20250305": WEB_SEARCH,
    "tool_search_tool_": TOOL_SEARCH,
}
CUSTOM = "custom"
OF_CUSTOM = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading"})
LOADING = "defer_loading"
OPTIONS = frozenset({"input_examples", "allowed_callers", "eager_input_streaming", LOADING})  # that any tool may have
SAYS_NOTHING = frozenset({b"null", b"false", b"[]", b'["direct"]'})  # values of options that are what there is without

# What is looked for in bytes before a value is parsed.
CHANGES = frozenset({"tool_addition", "tool_removal", "tool_definition"})  # blocks that change the tools on the way
SCOPE = b'"scope"'
HINTS = (SCOPE, b'"url"', b'"file"', *(f'"{each}"'.encode() for each in sorted(CHANGES)))

NULL, SYSTEM = Raw(b"null"), Raw(b'"system"')
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # of a field or beta, as it may stand in a header
MOST_NAMES, OTHERS = 40, "others"  # what is told of a request with more unknown names than anybody reads


class Fitted(NamedTuple):
    """`lost` by the names of the Messages API, each once; a beta is "betas.NAME"."""

    body: bytes
    betas: Sequence[str]
    lost: Sequence[str]


def fitted(envelope: Envelope, betas: Iterable[str], *, takes: Takes, model: str, more: Mapping[str, Any]) -> Fitted:
    """The request with `more`, and without what Vertex refuses; `model` is in it only if it is in `more`.

    Raises InvalidRequest for images and documents that Vertex would have to fetch.
    """
    fitting = _Fitting(envelope, takes, model)
    fitting.dropped = {"model"} - more.keys()
    fitting.fields()
    fitting.name(betas)
    fitting.tools()
    fitting.editing()
    body = envelope.edited(fitting.dropped, {**fitting.replaced, **more})
    return Fitted(body, tuple(fitting.named), tuple(fitting.lost))


class _Fitting:
    """One request on its way; what is lost, named and changed grows as it goes."""

    def __init__(self, envelope: Envelope, takes: Takes, model: str) -> None:
        self.lost: dict[str, None] = {}  # in order, each once
        self.named: dict[str, None] = {}
        self.dropped: set[str] = set()
        self.replaced: dict[str, Any] = {}
        self._fields = envelope.fields
        self._takes = takes
        self._model = model

    def _lose(self, name: str) -> None:
        is_told = len(self.lost) < MOST_NAMES and NAME.fullmatch(name) is not None
        self.lost[name if is_told else OTHERS] = None

    def _drop(self, name: str) -> None:
        if self._fields[name] != NULL:
            self._lose(name)
        self.dropped.add(name)

    def _left(self, name: str, value: Any) -> None:
        """What is left of a field; nothing is no field."""
        if value:
            self.replaced[name] = value
        else:
            self.dropped.add(name)

    # -- fields --

    def fields(self) -> None:
        for name, raw in self._fields.items():
            if name not in self._takes.fields:
                if name != "model":
                    self._drop(name)
            elif name in self._takes.objects:
                self._object(name, raw)
            elif name == "system":
                self._system(raw)
            elif name == "messages":
                self._messages(raw)

    def name(self, betas: Iterable[str]) -> None:
        for beta in betas:
            if self._takes.has(beta):
                self.named[self._takes.betas[beta]] = None
            elif beta not in self._takes.needless:
                self._lose(f"betas.{beta}")

    def editing(self) -> None:
        """`context_management` with a beta, or neither."""
        if "context_management" not in self._fields.keys() - self.dropped:
            return
        if not self.named.keys() & {EDITING, *COMPACTING}:
            self.named[EDITING] = None

    def _object(self, name: str, raw: Raw) -> None:
        """A field that is an object, with the fields that are taken of it."""
        told = _object(raw)
        kept = {each: value for each, value in (told or {}).items() if self._is_taken(name, each, value)}
        if told is not None and len(kept) < len(told):
            self._left(name, kept)

    def _is_taken(self, name: str, field: str, value: Raw) -> bool:
        if field in self._takes.objects[name] and not self._is_unknown(field, value):
            return True
        if value != NULL:
            self._lose(f"{name}.{field}")
        return False

    def _is_unknown(self, field: str, value: Raw) -> bool:
        """To the model."""
        match field:
            case "effort":
                return NO_EFFORT.match(self._model) is not None
            case "block_binding":
                return NO_BINDING.match(self._model) is not None
            case "display":
                return value == UPDATES and NO_UPDATES.match(self._model) is not None
            case _:
                return False

    def _system(self, raw: Raw) -> None:
        """Without Claude Code's stamp: Google bills by itself, and caches go by the prefix (pain 11)."""
        data = bytes(raw)
        if not (ATTRIBUTION.encode() in data or SCOPE in data) or (blocks := _items(raw)) is None:
            return
        kept = [block for block in blocks if not _text(_field(block, "text")).startswith(ATTRIBUTION)]
        unscoped = [self._unscoped(block) for block in kept]
        if unscoped != blocks:
            self._left("system", unscoped)

    def _unscoped(self, raw: Raw) -> Raw:
        """A block or tool, and the blocks within it, without `scope` in the marks for the cache: there are no caches
        but a project's."""
        block = _object(raw) if SCOPE in bytes(raw) else None
        if block is None:
            return raw
        changed: dict[str, Any] = {}
        mark = _object(block.get("cache_control", NULL))
        if mark is not None and "scope" in mark:
            self._lose("cache_control.scope")
            changed["cache_control"] = {name: value for name, value in mark.items() if name != "scope"}
        inner = _items(block.get("content", NULL)) or []
        if inner != (unscoped := [self._unscoped(each) for each in inner]):
            changed["content"] = unscoped
        return Raw(msgspec.json.encode({**block, **changed})) if changed else raw

    # -- tools --

    def tools(self) -> None:
        tools = _items(self._fields.get("tools", NULL))
        if tools is None:
            return
        kept = [self._unscoped(tool) for each in tools if (tool := self._tool(each)) is not None]
        if kept != tools:
            self._left("tools", kept)
        if len(kept) < len(tools):
            self._choice({_text(_field(tool, "name")) for tool in kept})

    def _tool(self, raw: Raw) -> Raw | None:
        """The very same, or what is left of it, or None."""
        tool = _object(raw)
        if tool is None:
            return raw
        kind = _text(tool.get("type")) or CUSTOM
        if kind != CUSTOM and not self._is_known(kind):
            return None
        unfit = [each for each in tool if (kind == CUSTOM and each not in OF_CUSTOM) or each in OPTIONS]
        unfit = [each for each in unfit if self._is_refused(each, tool[each])]
        if not unfit:
            return raw
        return Raw(msgspec.json.encode({name: value for name, value in tool.items() if name not in unfit}))

    def _is_known(self, kind: str) -> bool:
        needed = next((beta for start, beta in TOOLS.items() if kind.startswith(start)), kind)
        if needed is not None and not self._takes.has(needed):
            self._lose(f"tools.{kind}")
            return False
        if needed is not None:
            self.named[needed] = None
        return True

    def _is_refused(self, name: str, value: Raw) -> bool:
        if name == LOADING and self._takes.has(TOOL_SEARCH):
            self.named[TOOL_SEARCH] = None
            return False
        if bytes(value) not in SAYS_NOTHING:
            self._lose(f"tools.{name}")
        return True

    def _choice(self, left: set[str]) -> None:
        """A choice cannot stand without tools, nor one of a tool that has gone."""
        if "tool_choice" not in self._fields:
            return
        choice = _object(self._fields["tool_choice"]) or {}
        if not left or ("name" in choice and _text(choice["name"]) not in left):
            self._drop("tool_choice")

    # -- messages --

    def _messages(self, raw: Raw) -> None:
        messages = _items(raw)
        if messages is None:
            return
        kept = [self._message(message, f"messages.{at}") for at, message in enumerate(messages)]
        if kept != messages:
            self._left("messages", [message for message in kept if message is not None])

    def _message(self, raw: Raw, path: str) -> Raw | None:
        """The very same, or what is left of it; None where nothing is."""
        message = _object(raw)
        if message is None:
            return raw
        kept: dict[str, Any] = {name: value for name, value in message.items() if name in ("role", "content")}
        for name, value in message.items():
            if name not in kept and value != NULL:
                self._lose(f"messages.{name}")
        content = message.get("content", NULL)
        blocks = self._content(content, f"{path}.content")
        if blocks is not None:
            kept["content"] = blocks
        if message.get("role") == SYSTEM and NO_SYSTEM_TURNS.match(self._model):
            kept = {"role": "user", "content": _told(content if blocks is None else blocks)}
        if kept == message:
            return raw
        return Raw(msgspec.json.encode(kept)) if kept.get("content") != [] else None

    def _content(self, raw: Raw, path: str) -> list[Any] | None:
        """What is left of it; None where that is all. Raises InvalidRequest."""
        data = bytes(raw)
        if not any(hint in data for hint in HINTS) or (blocks := _items(raw)) is None:
            return None
        _refuse_references(_value(raw), path)
        kept = []
        for block in blocks:
            if (kind := _text(_field(block, "type"))) in CHANGES:
                self._lose(f"messages.{kind}")
            else:
                kept.append(self._unscoped(block))
        return kept if kept != blocks else None


def _refuse_references(blocks: Any, path: str) -> None:
    """ "URL sources are not supported": anthropics/anthropic-sdk-typescript#1038."""
    for at, block in enumerate(blocks if isinstance(blocks, list) else ()):
        if not isinstance(block, dict):
            continue
        source = block.get("source")
        inner = source.get("content") if isinstance(source, dict) else block.get("content")
        if isinstance(source, dict) and source.get("type") in ("url", "file"):
            told = "the model that answers takes images and documents only as `base64` or `text`."
            raise InvalidRequest(f"{path}.{at}.source.type: {told}")
        _refuse_references(inner, f"{path}.{at}.content")


def _told(content: Raw | Sequence[Raw]) -> Any:
    """A system turn as a user's, in its place: moved to the front, it would change every prefix (pain 12, 13)."""
    if isinstance(content, Raw):
        if text := _text(content):
            return f"<system>\n{text}\n</system>"
        content = _items(content) or []
    begin, end = ({"type": "text", "text": mark} for mark in ("<system>", "</system>"))
    return [begin, *content, end] if content else []


def _items(raw: Raw) -> list[Raw] | None:
    """None for what is no list: it is refused for that, not here."""
    try:
        return msgspec.json.decode(raw, type=list[Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def _object(raw: Raw) -> dict[str, Raw] | None:
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def _value(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _field(raw: Raw, name: str) -> Raw | None:
    return (_object(raw) or {}).get(name)


def _text(raw: Raw | None) -> str:
    try:
        return "" if raw is None else msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return ""
