"""What Claude takes on Bedrock, as tables, and a request of the Messages API cut to that. Pure.

InvokeModel reads bodies strictly: a field that it does not know is a 400 ("Extra inputs are not permitted"), and so is
a beta that the model does not take ("invalid beta flag"), whatever else the request holds. So what it does not take is
left out and told, and a beta is sent only where the model is known to take it and something in the request needs it.
History is never written anew: of the turns, only what would be refused is touched, the same way in every request, so
that what was cached and signed stays so.

Sources, read 2026-11-21. AWS, Bedrock user guide: "Request and Response", "Tool use", "Extended thinking" and
"Compaction" of "Anthropic Claude Messages API"; "Structured outputs". Anthropic: "Claude on Amazon Bedrock (Opus 4.6
and earlier)", "Features overview", "Structured outputs", "Effort", "Tool search tool", "Prompt caching",
"Mid-conversation system messages and tool changes". What was refused: anthropics/claude-code #24168, #49370, #49648,
#56595, anthropics/claude-agent-sdk-python #694, BerriAI/litellm #27532 and the table of betas of that project.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from dragoman.errors import InvalidRequest
from dragoman.wire.envelope import Envelope, decode

__all__ = ["Fitted", "fitted", "is_claude_on_bedrock"]

Version = tuple[int, int]
NEWEST: Version = (99, 0)
CLAUDE = re.compile(r"(?:^|[./])anthropic\.claude")  # behind the prefix of an inference profile, or in an ARN
NAMED = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:-(\d{1,2}))?(?:-([a-z]+))?(?!\d)")


def is_claude_on_bedrock(model: str) -> bool:
    """Whether an id or ARN of Bedrock is one of Claude's. The ARN of an application inference profile does not tell."""
    return CLAUDE.search(model) is not None


class _Claude(NamedTuple):
    family: str  # empty: not known, so it may be any
    version: Version


def _claude(model: str) -> _Claude:
    """A model whose version is not known is taken for the newest."""
    found = NAMED.search(model)
    if found is None:
        return _Claude("", NEWEST)
    return _Claude(found[1] or found[4] or "", (int(found[2]), int(found[3] or 0)))


class _Models(NamedTuple):
    """From one version to another, both included; of some families, or of all."""

    since: Version = (0, 0)
    until: Version = NEWEST
    families: tuple[str, ...] = ()


Takers = Sequence[_Models]
MYTHIC = ("fable", "mythos")

ALL = (_Models(),)
TOP_LEVEL_CACHE: Takers = (_Models((4, 7)),)
EFFORT: Takers = (_Models((4, 6)), _Models((4, 5), (4, 5), ("opus",)))
STRUCTURED: Takers = (_Models((4, 5), (4, 6)),)  # output_config.format, and tools that are strict
CONTEXT_EDITING: Takers = (_Models((4, 0)),)
COMPACTION: Takers = (_Models((4, 6)),)
TOOL_SEARCH: Takers = (_Models((4, 5), NEWEST, ("opus", "sonnet", *MYTHIC)), _Models((4, 6)))
TOOL_EXAMPLES: Takers = (_Models((4, 5), (4, 5), ("opus",)),)
EAGER_STREAMING: Takers = (_Models((4, 6)),)
SYSTEM_TURNS: Takers = (_Models((4, 8), NEWEST, ("opus", *MYTHIC)),)
EFFORT_OF_TURNS: Takers = (
    _Models((5, 0), NEWEST, ("opus",)),
    _Models((5, 1), NEWEST, MYTHIC),
    _Models((5, 5), NEWEST, ("sonnet", "haiku")),
)
UPDATES: Takers = (_Models((5, 0), NEWEST, MYTHIC), _Models((5, 5)))  # thinking.display = "updates"
BINDING: Takers = (_Models((5, 0)),)

# Top-level fields that every model takes. Of `cache_control`, `output_config` and `context_management`, see above.
FIELDS = frozenset(
    """
    messages max_tokens system stop_sequences temperature top_p top_k tools tool_choice thinking metadata
    """.split()
)
SOMETIMES = frozenset(("cache_control", "output_config", "context_management"))
ELSEWHERE = frozenset(("model", "stream"))  # in the URL

# Betas that no field tells of -> who takes them, and who does the same without.
BETAS: Mapping[str, tuple[Takers, Takers]] = {
    "interleaved-thinking-2025-05-14": ((_Models((4, 0), (4, 6)),), (_Models((4, 7)),)),
    "context-1m-2025-08-07": (
        (_Models((4, 6), (4, 6)), _Models((4, 0), (4, 5), ("sonnet",))),
        (_Models((4, 7)),),
    ),
    "output-128k-2025-02-19": ((_Models((3, 7), (3, 7)),), (_Models((4, 0)),)),
    "token-efficient-tools-2025-02-19": ((_Models((3, 7), (3, 7)),), (_Models((4, 0)),)),
    "fine-grained-tool-streaming-2025-05-14": ((_Models((4, 0), (4, 5)),), ()),
    "dev-full-thinking-2025-05-14": ((_Models((4, 0), (4, 5)),), ()),
    "claude-code-20250219": ((), ALL),
    "prompt-caching-2024-07-31": ((), ALL),
    "extended-cache-ttl-2025-04-11": ((), (_Models((4, 5)),)),
    "pdfs-2024-09-25": ((), ALL),
    "token-counting-2024-11-01": ((), ALL),
}
# Betas without their dates, of which fields tell: what is lost is told by the field, and these are sent for it.
OF_FIELDS = frozenset(
    """
    advanced-tool-use advisor-tool cache-diagnosis code-execution compact computer-use context-management effort
    fallback-credit fast-mode files-api inline-tools mcp-client message-threads mid-conversation-output-config
    mid-conversation-system mid-conversation-system-clear-at mid-conversation-tool-changes per-turn-control
    prompt-caching-scope server-side-fallback skills structured-outputs task-budgets thinking-binding-controls
    thinking-display-updates tool-examples tool-search-tool web-fetch web-search
    """.split()
)
DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
CONTEXT_BETA = "context-management-2025-06-27"
COMPACT_BETA, COMPACT_EDIT = "compact-2026-01-12", "compact_20260112"
EFFORT_BETA = "effort-2025-11-24"
SEARCH_BETA = "tool-search-tool-2025-10-19"  # here for what is advanced-tool-use-2025-11-20 elsewhere
EXAMPLES_BETA = "tool-examples-2025-10-29"
UPDATES_BETA = "thinking-display-updates-2026-08-18"
BINDING_BETA = "thinking-binding-controls-2026-08-01"
TURN_EFFORT_BETA = "mid-conversation-output-config-2026-07-01"
TOOL_CHANGES_BETA = "mid-conversation-tool-changes-2026-07-01"
CLEAR_AT_BETA = "mid-conversation-system-clear-at-2026-08-21"

CLIENT_TOOL = re.compile(r"(?:bash|text_editor|memory)_\d{8}")
COMPUTERS: Mapping[str, tuple[Takers, str]] = {
    "computer_20241022": ((_Models((3, 5), (3, 5)),), "computer-use-2024-10-22"),
    "computer_20250124": ((_Models((3, 7), (4, 5)),), "computer-use-2025-01-24"),
    "computer_20251124": ((_Models((4, 5), NEWEST, ("opus",)), _Models((4, 6))), "computer-use-2025-11-24"),
}
# Keys of a tool that not every model takes -> who does, and the beta that it needs.
TOOL_KEYS: Mapping[str, tuple[Takers, str | None]] = {
    "defer_loading": (TOOL_SEARCH, SEARCH_BETA),
    "input_examples": (TOOL_EXAMPLES, EXAMPLES_BETA),
    "eager_input_streaming": (EAGER_STREAMING, None),
    "strict": (STRUCTURED, None),
    "allowed_callers": ((), None),
}
SAYS_NOTHING = frozenset((b"null", b"false", b"[]", b'["direct"]'))  # values of these keys that are the default
ATTRIBUTION = "x-anthropic-billing-header:"
NULL = Raw(b"null")
SILENT = (Raw(b"[]"), Raw(b'""'))  # contents

MARKS = ("<system>\n", "\n</system>")  # around what the system says in a user's turn

# What of the turns has to be looked at more closely: few requests hold any of it.
OF_SYSTEM_TURNS = (b'"system"', b'"output_config"')
BY_REFERENCE = re.compile(rb'"type"\s*:\s*"(?:url|file)"')
CACHE_SCOPE = re.compile(
    rb'("cache_control"\s*:\s*\{[^{}]*?)(?:,\s*"scope"\s*:\s*"[^"\\]*"|"scope"\s*:\s*"[^"\\]*"(?:\s*,)?)'
)
PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a name that may stand in a header
MOST_NAMES, OTHERS = 40, "others"  # what is told of a request with more of them than anybody reads


class Fitted(NamedTuple):
    """`lost` is by the names of the Messages API, each once; a beta is "betas.NAME"."""

    body: bytes
    lost: tuple[str, ...]


def fitted(envelope: Envelope, betas: Iterable[str], model: str, *, more: Mapping[str, Any]) -> Fitted:
    """The body of an InvokeModel request, with `more` added to it.

    Raises InvalidRequest for images and documents that Bedrock would have to fetch.
    """
    fitting = _Fitting(envelope, _claude(model))
    body = fitting.body(betas, more)
    return Fitted(body, tuple(fitting.lost))


class _Fitting:
    """One request on its way; what is lost, sent and changed grows as it goes."""

    def __init__(self, envelope: Envelope, model: _Claude) -> None:
        self.lost: dict[str, None] = {}  # in order, each once
        self._envelope = envelope
        self._model = model
        self._betas: dict[str, None] = {}
        self._dropped = set(ELSEWHERE)
        self._replaced: dict[str, Any] = {}

    def body(self, betas: Iterable[str], more: Mapping[str, Any]) -> bytes:
        for name in self._envelope.fields.keys() - FIELDS - SOMETIMES - ELSEWHERE:
            self._drop(name)
        if not self._takes(TOP_LEVEL_CACHE):
            self._drop("cache_control")
        self._thinking()
        self._output_config()
        self._context_management()
        self._system()
        self._tools()
        self._messages()
        for name in ("system", "tools", "messages"):
            self._cache_scope(name)
        self._ask_for(betas)
        asked = {"anthropic_beta": list(self._betas)} if self._betas else {}
        added = {**more, **asked}
        return self._envelope.edited(self._dropped - added.keys(), {**self._replaced, **added})

    def _takes(self, takers: Takers) -> bool:
        family, version = self._model
        return any(
            each.since <= version <= each.until and (not family or not each.families or family in each.families)
            for each in takers
        )

    def _lose(self, name: str) -> None:
        is_told = len(self.lost) < MOST_NAMES and PLAIN.fullmatch(name) is not None
        self.lost[name if is_told else OTHERS] = None

    def _need(self, beta: str) -> None:
        self._betas[beta] = None

    def _ask_for(self, betas: Iterable[str]) -> None:
        for beta in betas:
            if beta in self._betas or DATE.sub("", beta) in OF_FIELDS:
                continue
            takers, needless = BETAS.get(beta, ((), ()))
            if self._takes(takers):
                self._need(beta)
            elif not self._takes(needless):
                self._lose(f"betas.{beta}")

    # -- fields --

    def _raw(self, name: str) -> Raw | None:
        """A field as it will go out; None where it is missing, null, or gone."""
        raw = self._envelope.fields.get(name)
        if raw is None or raw == NULL or name in self._dropped:
            return None
        changed: Raw = self._replaced.get(name, raw)
        return changed

    def _drop(self, name: str) -> None:
        if self._raw(name) is not None:
            self._lose(name)
        self._dropped.add(name)

    def _keep(self, name: str, fields: Mapping[str, Any]) -> None:
        """What is left of an object; an empty one goes."""
        if fields:
            self._replaced[name] = Raw(msgspec.json.encode(fields))
        else:
            self._dropped.add(name)

    def _thinking(self) -> None:
        thinking = _object(self._raw("thinking"))
        if thinking is None:
            return
        kept: dict[str, Any] = dict(thinking)
        has_updates = _text(thinking.get("display")) == "updates"
        if has_updates and not self._optional("thinking.display", UPDATES, UPDATES_BETA):
            del kept["display"]
        if "block_binding" in thinking and not self._optional("thinking.block_binding", BINDING, BINDING_BETA):
            del kept["block_binding"]
        if kept != thinking:
            self._keep("thinking", kept)

    def _optional(self, name: str, takers: Takers, beta: str | None) -> bool:
        """Whether something can go out: with its beta, or else lost."""
        if not self._takes(takers):
            self._lose(name)
            return False
        if beta is not None:
            self._need(beta)
        return True

    def _output_config(self) -> None:
        config = _object(self._raw("output_config"))
        if config is None:
            return
        kept = {}
        for name, raw in config.items():
            takers = {"effort": EFFORT, "format": STRUCTURED}.get(name, ())
            beta = EFFORT_BETA if name == "effort" and self._model.version == (4, 5) else None
            if raw != NULL and self._optional(f"output_config.{name}", takers, beta):
                kept[name] = raw
        if kept != config:
            self._keep("output_config", kept)

    def _context_management(self) -> None:
        management = _object(self._raw("context_management"))
        if management is None:
            return
        edits = _items(management.get("edits")) or []
        kept = [edit for edit in edits if self._edit(_text((_object(edit) or {}).get("type")) or "")]
        if not kept or len(kept) < len(edits) or management.keys() != {"edits"}:
            self._keep("context_management", {"edits": kept} if kept else {})

    def _edit(self, kind: str) -> bool:
        if kind.startswith("clear_"):
            return self._optional(f"context_management.{kind}", CONTEXT_EDITING, CONTEXT_BETA)
        takers = COMPACTION if kind == COMPACT_EDIT else ()
        return self._optional(f"context_management.{kind}", takers, COMPACT_BETA)

    def _system(self) -> None:
        """Without Claude Code's stamp, which Bedrock refuses, and which may be new in every request (pain 11)."""
        raw = self._raw("system")
        if raw is None or ATTRIBUTION.encode() not in bytes(raw):
            return
        blocks = _items(raw)
        if blocks is not None:
            self._replace("system", blocks, [None if _is_stamp(block) else block for block in blocks])
        elif (text := _text(raw)) is not None and text.startswith(ATTRIBUTION):
            if rest := text.partition("\n")[2]:
                self._replaced["system"] = Raw(msgspec.json.encode(rest))
            else:
                self._dropped.add("system")

    def _cache_scope(self, name: str) -> None:
        """Bedrock knows of no caches that workspaces share."""
        raw = self._raw(name)
        if raw is None or b'"scope"' not in bytes(raw):
            return
        data, count = CACHE_SCOPE.subn(rb"\1", bytes(raw))
        if count:
            self._lose("cache_control.scope")
            self._replaced[name] = Raw(data)

    # -- tools --

    def _tools(self) -> None:
        tools = _items(self._raw("tools"))
        if not tools:
            return
        kept = [self._tool(each) for each in tools]
        gone = {_name(tool) for tool, left in zip(tools, kept, strict=True) if left is None}
        self._replace("tools", tools, kept)
        if not gone:
            return
        choice = _object(self._raw("tool_choice")) or {}
        is_forced = _text(choice.get("type")) in ("any", "tool")
        if (is_forced and "tools" in self._dropped) or ("name" in choice and _name(choice) in gone):
            self._drop("tool_choice")
        elif "tools" in self._dropped:  # it cannot stand alone, and asks for nothing
            self._dropped.add("tool_choice")

    def _tool(self, raw: Raw) -> Raw | None:
        tool = _object(raw)
        if tool is None:
            return raw
        kind = _text(tool.get("type")) or "custom"
        if kind == "custom":
            return self._custom(raw, tool)
        if kind.startswith("tool_search_tool_"):
            return raw if self._optional(f"tools.{kind}", TOOL_SEARCH, SEARCH_BETA) else None
        if kind.startswith("computer_"):
            return raw if self._optional(f"tools.{kind}", *COMPUTERS.get(kind, ((), None))) else None
        if CLIENT_TOOL.fullmatch(kind) is None:
            self._lose(f"tools.{kind}")
            return None
        if kind.startswith("memory_") and self._takes(CONTEXT_EDITING):
            self._need(CONTEXT_BETA)
        return raw

    def _custom(self, raw: Raw, tool: Mapping[str, Raw]) -> Raw:
        kept = dict(tool)
        for name, (takers, beta) in TOOL_KEYS.items():
            if name not in tool:
                continue
            is_needless = bytes(tool[name]) in SAYS_NOTHING and not self._takes(takers)
            if is_needless or not self._optional(f"tools.{name}", takers, beta):
                del kept[name]
        return raw if len(kept) == len(tool) else Raw(msgspec.json.encode(kept))

    def _replace(self, name: str, before: Sequence[Raw], after: Iterable[Raw | None]) -> None:
        """A list whose items were changed, or went. What was not keeps its bytes."""
        kept = [each for each in after if each is not None]
        if len(kept) == len(before) and all(new is old for new, old in zip(kept, before, strict=True)):
            return
        if kept:
            self._replaced[name] = Raw(msgspec.json.encode(kept))
        else:
            self._dropped.add(name)

    # -- messages --

    def _messages(self) -> None:
        raw = self._raw("messages")
        if raw is None:
            return
        data = bytes(raw)
        if BY_REFERENCE.search(data):
            _refuse_references(decode(raw))
        if any(mark in data for mark in OF_SYSTEM_TURNS) and (messages := _items(raw)):
            self._replace("messages", messages, [self._message(each) for each in messages])

    def _message(self, raw: Raw) -> Raw | None:
        message = _object(raw)
        if message is None:
            return raw
        kept: dict[str, Any] = dict(message)
        if "output_config" in message and not self._optional(
            "messages.output_config", EFFORT_OF_TURNS, TURN_EFFORT_BETA
        ):
            del kept["output_config"]
        if _text(message.get("role")) == "system":
            if not self._takes(SYSTEM_TURNS):
                return self._as_user(kept)
            if "clear_at" in message:
                self._need(CLEAR_AT_BETA)
            if b'"tool_addition"' in bytes(raw) or b'"tool_removal"' in bytes(raw):
                self._need(TOOL_CHANGES_BETA)
            if "output_config" not in kept and message.get("content") in SILENT:
                return None  # it set the effort, and nothing else
        return raw if len(kept) == len(message) else Raw(msgspec.json.encode(kept))

    def _as_user(self, message: Mapping[str, Raw]) -> Raw | None:
        """For models that know no system turns: in its place, as the user's. One that says nothing goes."""
        content = message.get("content")
        text = _text(content)
        said: Any = f"{MARKS[0]}{text}{MARKS[1]}" if text else self._texts(_items(content) or [])
        return None if not said else Raw(msgspec.json.encode({"role": "user", "content": said}))

    def _texts(self, blocks: Iterable[Raw]) -> list[Any]:
        """One block is written as a text alone would be: clients change between the two, and caches must not miss."""
        texts = []
        for block in blocks:
            fields = _object(block) or {}
            text = _text(fields.get("text"))
            if text is None:
                self._lose(f"messages.{_text(fields.get('type'))}")
            else:
                texts.append({**fields, "text": text})
        if texts:
            first, last = texts[0], texts[-1]
            first["text"] = f"{MARKS[0]}{first['text']}"
            last["text"] = f"{last['text']}{MARKS[1]}"
        return texts


def _refuse_references(messages: Any) -> None:
    for at, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            _refuse_in(message.get("content"), f"messages.{at}.content")


def _refuse_in(blocks: Any, path: str) -> None:
    """Raises InvalidRequest for the first source that is a URL or a file of the Files API."""
    for at, block in enumerate(blocks if isinstance(blocks, list) else []):
        if not isinstance(block, dict):
            continue
        source = block.get("source")
        kind = source.get("type") if isinstance(source, dict) else None
        if kind in ("url", "file"):
            how = "by URL" if kind == "url" else "of the Files API"
            raise InvalidRequest(f"{path}.{at}.source: the model that answers takes no files {how}: send it as base64.")
        if block.get("type") in ("tool_result", "document"):
            _refuse_in(block.get("content") or (source or {}).get("content"), f"{path}.{at}.content")


def _items(raw: Raw | None) -> list[Raw] | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError:
        return None


def _object(raw: Raw | None) -> dict[str, Raw] | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.DecodeError:
        return None


def _text(raw: Raw | None) -> str | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


def _is_stamp(block: Raw) -> bool:
    return (_text((_object(block) or {}).get("text")) or "").startswith(ATTRIBUTION)


def _name(raw: Raw | Mapping[str, Raw]) -> str | None:
    fields = _object(raw) if isinstance(raw, Raw) else raw
    return _text((fields or {}).get("name"))
