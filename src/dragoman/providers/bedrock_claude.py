"""What Claude takes on Bedrock, as tables. Pure.

InvokeModel reads bodies strictly: a field that it does not know is a 400 ("Extra inputs are not permitted"), and so is
a beta that the model does not take ("invalid beta flag"), whatever else the request holds. So a beta is sent only where
the model is known to take it and something in the request needs it.

Sources, read 2026-11-21. AWS, Bedrock user guide: "Request and Response", "Tool use", "Extended thinking", "Adaptive
thinking" and "Compaction" of "Anthropic Claude Messages API"; "Structured outputs". Anthropic: "Claude on Amazon
Bedrock (Opus 4.6 and earlier)", "Features overview", "Structured outputs", "Effort", "Tool search tool", "Prompt
caching", "Mid-conversation system messages and tool changes". What was refused: anthropics/claude-code #24168, #49370,
#49648, #56595, anthropics/claude-agent-sdk-python #694, BerriAI/litellm #27532 and the table of betas of that project.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from .cloud_claude import Cloud, CloudRequest, ObjectRule
from .cloud_claude_blocks import BlocksRule
from .cloud_claude_marks import CacheMarks
from .cloud_claude_models import ALL, MYTHIC, NEWEST, NONE, Models, Support
from .cloud_claude_thinking import ThinkingRule
from .cloud_claude_tools import NO_OPTION, ToolsRule
from .cloud_claude_turns import MessagesRule, SystemRule
from .raw_json import items, members, string

__all__ = ["BEDROCK", "is_claude_on_bedrock"]

CLAUDE = re.compile(r"(?:^|[./])anthropic\.claude")  # behind the prefix of an inference profile, or in an ARN


def is_claude_on_bedrock(model: str) -> bool:
    """Whether an id or ARN of Bedrock is one of Claude's. The ARN of an application inference profile does not tell."""
    return CLAUDE.search(model) is not None


# -- who takes what, and with which beta --

CONTEXT_BETA = "context-management-2025-06-27"
SEARCH_BETA = "tool-search-tool-2025-10-19"  # here for what is advanced-tool-use-2025-11-20 elsewhere

TOP_LEVEL_CACHE: Support = (Models((4, 7)),)
EFFORT: Support = (Models((4, 6)), Models((4, 5), (4, 5), ("opus",), beta="effort-2025-11-24"))
STRUCTURED: Support = (Models((4, 5), (4, 6)),)  # output_config.format, and tools that are strict
CONTEXT_EDITING: Support = (Models((4, 0), beta=CONTEXT_BETA),)
COMPACTION: Support = (Models((4, 6), beta="compact-2026-01-12"),)
TOOL_SEARCH: Support = (
    Models((4, 5), NEWEST, ("opus", "sonnet", *MYTHIC), beta=SEARCH_BETA),
    Models((4, 6), beta=SEARCH_BETA),
)
TOOL_EXAMPLES: Support = (Models((4, 5), (4, 5), ("opus",), beta="tool-examples-2025-10-29"),)
EAGER_STREAMING: Support = (Models((4, 6)),)
SYSTEM_TURNS: Support = (Models((4, 8), NEWEST, ("opus", *MYTHIC)),)
CLEAR_AT: Support = tuple(row._replace(beta="mid-conversation-system-clear-at-2026-08-21") for row in SYSTEM_TURNS)
TOOL_CHANGES: Support = tuple(row._replace(beta="mid-conversation-tool-changes-2026-07-01") for row in SYSTEM_TURNS)
EFFORT_OF_TURNS: Support = tuple(
    Models(since, NEWEST, families, beta="mid-conversation-output-config-2026-07-01")
    for since, families in (((5, 0), ("opus",)), ((5, 1), MYTHIC), ((5, 5), ("sonnet", "haiku")))
)
UPDATES: Support = tuple(  # thinking.display = "updates"
    Models(since, NEWEST, families, beta="thinking-display-updates-2026-08-18")
    for since, families in (((5, 0), MYTHIC), ((5, 5), ()))
)
BINDING: Support = (Models((5, 0), beta="thinking-binding-controls-2026-08-01"),)
ADAPTIVE: Support = (Models((4, 6)),)  # "Adaptive thinking" of the same guide
BUDGETS: Support = (Models((3, 7), (4, 6)),)
# A mark with `ttl`: from 4.5 on (AWS, "What's new", 2026-01-26: one-hour prompt caching), and before "cache_control.
# ephemeral.ttl: Extra inputs are not permitted", whatever it says: earendil-works/pi PR#1570, BerriAI/litellm PR#25855.
CACHE_TTL: Support = (Models((4, 5)),)

# -- fields --

FIELDS: Mapping[str, Support] = {
    **dict.fromkeys(
        """
        messages max_tokens system stop_sequences temperature top_p top_k tools tool_choice thinking metadata
        output_config context_management
        """.split(),
        ALL,
    ),
    "cache_control": TOP_LEVEL_CACHE,
}
THINKING = ThinkingRule(
    parts=ObjectRule(
        members={"display": ALL, "block_binding": BINDING}, values={("display", b'"updates"'): UPDATES}, is_open=True
    ),
    adaptive=ADAPTIVE,
    budgets=BUDGETS,
)
OUTPUT_CONFIG = ObjectRule(
    members={"effort": EFFORT, "format": STRUCTURED},
    values={("effort", b"null"): NONE, ("format", b"null"): NONE},
)


CLEAR_THINKING = "clear_thinking"  # "strategy requires `thinking` to be enabled": anthropics/claude-code#11971


class Edits(Struct, frozen=True):
    """Edits of the context: each type has a beta, and without any of them the field is not known."""

    types: Mapping[str, Support]  # by their beginnings

    def apply(self, request: CloudRequest, name: str) -> None:
        management = members(request.field(name))
        if management is None:
            return
        edits = items(management.get("edits")) or []
        kept = [each for each in edits if self._keeps(request, name, each)]
        if not kept or len(kept) < len(edits) or management.keys() != {"edits"}:
            request.replace(name, {"edits": kept} if kept else {})

    def _keeps(self, request: CloudRequest, path: str, edit: Raw) -> bool:
        kind = string((members(edit) or {}).get("type")) or ""
        support = next((support for start, support in self.types.items() if kind.startswith(start)), NONE)
        is_idle = kind.startswith(CLEAR_THINKING) and "thinking" in request.dropped
        return request.keeps(f"{path}.{kind}", NONE if is_idle else support)


# -- tools --

TOOLS = ToolsRule(
    types=(
        (re.compile(r"(?:bash|text_editor)_\d{8}"), ALL),
        (re.compile(r"memory_\d{8}"), (*CONTEXT_EDITING, *ALL)),
        (re.compile(r"tool_search_tool_.*"), TOOL_SEARCH),
        (re.compile(r"computer_20241022"), (Models((3, 5), (3, 5), beta="computer-use-2024-10-22"),)),
        (re.compile(r"computer_20250124"), (Models((3, 7), (4, 5), beta="computer-use-2025-01-24"),)),
        (
            re.compile(r"computer_20251124"),
            (
                Models((4, 5), NEWEST, ("opus",), beta="computer-use-2025-11-24"),
                Models((4, 6), beta="computer-use-2025-11-24"),
            ),
        ),
    ),
    custom=ObjectRule(
        members={
            "defer_loading": TOOL_SEARCH,
            "input_examples": TOOL_EXAMPLES,
            "eager_input_streaming": EAGER_STREAMING,
            "strict": STRUCTURED,
            "allowed_callers": NONE,
        },
        is_open=True,
        defaults=NO_OPTION,
    ),
    typed=ObjectRule(members={}, is_open=True),
)

# -- messages --

MARKS = ("<system>\n", "\n</system>")  # around what the system says in a user's turn


def as_user(request: CloudRequest, content: Raw | Sequence[Raw] | None) -> Any:
    """One block is written as a text alone would be: clients change between the two, and caches must not miss."""
    text = string(content) if isinstance(content, Raw) else None
    if text:
        return f"{MARKS[0]}{text}{MARKS[1]}"
    texts: list[dict[str, Any]] = []
    for block in (items(content) if isinstance(content, Raw) else content) or []:
        fields = members(block) or {}
        if (text := string(fields.get("text"))) is None:
            request.lose(f"messages.{string(fields.get('type'))}")
        else:
            texts.append({**fields, "text": text})
    if texts:
        texts[0]["text"] = f"{MARKS[0]}{texts[0]['text']}"
        texts[-1]["text"] = f"{texts[-1]['text']}{MARKS[1]}"
    return texts


MESSAGES = MessagesRule(
    message=ObjectRule(members={"output_config": EFFORT_OF_TURNS}, is_open=True, defaults=()),
    system_turns=SYSTEM_TURNS,
    system_message=ObjectRule(members={"clear_at": CLEAR_AT}, is_open=True),
    as_user=as_user,
    blocks=BlocksRule(
        types={
            "compaction": COMPACTION,
            "tool_addition": TOOL_CHANGES,
            "tool_removal": TOOL_CHANGES,
            "tool_search_tool_result": TOOL_SEARCH,
            "tool_reference": TOOL_SEARCH,
        },
        calls=dict.fromkeys(("tool_search_tool_regex", "tool_search_tool_bm25"), TOOL_SEARCH),
        citations={"web_search_result_location": NONE},
    ),
    references={
        kind: f"source: the model that answers takes no files {how}: send it as base64."
        for kind, how in (("url", "by URL"), ("file", "of the Files API"))
    },
)

# -- betas that no field tells of --

BETAS: Mapping[str, Support] = {
    "interleaved-thinking-2025-05-14": (
        Models((4, 0), (4, 6), beta="interleaved-thinking-2025-05-14"),
        Models((4, 7)),
    ),
    "context-1m-2025-08-07": (
        Models((4, 6), (4, 6), beta="context-1m-2025-08-07"),
        Models((4, 0), (4, 5), ("sonnet",), beta="context-1m-2025-08-07"),
        Models((4, 7)),
    ),
    "output-128k-2025-02-19": (Models((3, 7), (3, 7), beta="output-128k-2025-02-19"), Models((4, 0))),
    "token-efficient-tools-2025-02-19": (
        Models((3, 7), (3, 7), beta="token-efficient-tools-2025-02-19"),
        Models((4, 0)),
    ),
    "fine-grained-tool-streaming-2025-05-14": (Models((4, 0), (4, 5), beta="fine-grained-tool-streaming-2025-05-14"),),
    "dev-full-thinking-2025-05-14": (Models((4, 0), (4, 5), beta="dev-full-thinking-2025-05-14"),),
    "claude-code-20250219": ALL,
    "prompt-caching-2024-07-31": ALL,
    "extended-cache-ttl-2025-04-11": (Models((4, 5)),),
    "pdfs-2024-09-25": ALL,
    "token-counting-2024-11-01": ALL,
}
OF_FIELDS = frozenset(
    """
    advanced-tool-use advisor-tool cache-diagnosis code-execution compact computer-use context-management effort
    fallback-credit fast-mode files-api inline-tools mcp-client message-threads mid-conversation-output-config
    mid-conversation-system mid-conversation-system-clear-at mid-conversation-tool-changes per-turn-control
    prompt-caching-scope server-side-fallback skills structured-outputs task-budgets thinking-binding-controls
    thinking-display-updates tool-examples tool-search-tool web-fetch web-search
    """.split()
)

# There are no caches that workspaces share, so no `scope`; `ttl: "5m"` says no more than a mark without.
MARK = ObjectRule(members={"scope": NONE, "ttl": CACHE_TTL}, is_open=True, defaults=(b"null", b'"5m"'))

BEDROCK = Cloud(
    fields=FIELDS,
    elsewhere=frozenset({"model", "stream"}),  # in the URL
    rules={
        "thinking": THINKING,
        "output_config": OUTPUT_CONFIG,
        "context_management": Edits({"clear_": CONTEXT_EDITING, "compact_20260112": COMPACTION}),
        "system": SystemRule(),
        "tools": TOOLS,
        "messages": MESSAGES,
        "cache_control": MARK,
    },
    marks=CacheMarks(MARK),
    betas=BETAS,
    betas_of_fields=OF_FIELDS,
)
