"""What Claude takes on Vertex, as tables: of messages, and of counts. Pure.

Vertex answers a beta that it does not know with 400, and any field too.

Sources, read 2026-11-21: "Claude Models on Google Cloud (Google managed)", "Vision" and "Versions" of Anthropic's
documentation; Google's pages on Claude ("Web search", "Count tokens", "Prompt caching"); what Claude Code 2.1.329 sends
to Vertex, and what it keeps from it; requests that people have shown with their outcome, beside each table.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from .cloud_claude import Cloud, CloudRequest, ObjectRule
from .cloud_claude_blocks import BlocksRule
from .cloud_claude_marks import CacheMarks
from .cloud_claude_models import ALL, MYTHIC, NEWEST, NONE, Models, Support
from .cloud_claude_tools import NO_OPTION, ToolsRule
from .cloud_claude_turns import MessagesRule, SystemRule
from .raw_json import items, string

__all__ = ["COUNTS", "MESSAGES"]

EDITING = "context-management-2025-06-27"
COMPACTING = ("compact-2026-01-12", "compact-2026-09-04")
TOOL_SEARCH = "tool-search-tool-2025-10-19"
WEB_SEARCH = "web-search-2025-03-05"


def needing(beta: str) -> Support:
    """All models, with a beta."""
    return (Models(beta=beta),)


# -- who takes what --

# Others refuse the role `system` within `messages` (MSG-45), and `output_config.effort`, or take it with a beta that
# Vertex has not. One that nobody knows takes what newer ones do. BerriAI/litellm PR#33807, PR#27039.
SYSTEM_TURNS: Support = (
    Models((4, 8), (4, 99)),
    Models((5, 0), NEWEST, ("opus", "haiku", *MYTHIC)),
    Models((5, 5), NEWEST, ("sonnet",)),
)
EFFORT: Support = (Models((4, 6)),)
BINDING: Support = (Models((5, 0)),)  # thinking.block_binding
UPDATES: Support = (Models((5, 0), NEWEST, MYTHIC), Models((5, 5)))  # thinking.display = "updates"

# -- fields --

# Not `cache_control` (dust-tt/dust PR#27109), `diagnostics` (anthropics/claude-code#82539), `service_tier` and the rest
# of what only Anthropic's own API does.
FIELDS: Mapping[str, Support] = dict.fromkeys(
    """
    max_tokens messages metadata stop_sequences stream system temperature thinking tool_choice tools top_k top_p
    output_config output_format context_management
    """.split(),
    ALL,
)
COUNTED: Mapping[str, Support] = dict.fromkeys(
    ("messages", "system", "tools", "tool_choice", "thinking", "output_config"), ALL
)
THINKING = ObjectRule(
    members={"type": ALL, "budget_tokens": ALL, "display": ALL, "block_binding": BINDING},
    values={("display", b'"updates"'): UPDATES},
)
OUTPUT_CONFIG = ObjectRule(members={"effort": EFFORT, "format": ALL})


class NeedsOneOf(Struct, frozen=True):
    """A field that is known only with one of some betas: with the first, where the caller has named none."""

    betas: Sequence[str]

    def apply(self, request: CloudRequest, name: str) -> None:
        if name not in request.fields or name in request.dropped:
            return
        if not (request.requested.keys() | request.required.keys()) & set(self.betas):
            request.required[self.betas[0]] = None


# -- tools --

# Those of any other type are refused ("does not match any of the expected tags"), and some need a beta there, though
# not at Anthropic.
CLIENT_TOOLS = ((re.compile(r"(?:bash|text_editor)_.*"), ALL),)
TYPES = (
    *CLIENT_TOOLS,
    (re.compile(r"memory_.*"), needing(EDITING)),
    (re.compile(r"computer_20250124"), needing("computer-use-2025-01-24")),
    (re.compile(r"computer_20251124"), needing("computer-use-2025-11-24")),
    (re.compile(r"web_search_20250305"), needing(WEB_SEARCH)),
    (re.compile(r"tool_search_tool_.*"), needing(TOOL_SEARCH)),
)
REFUSED: Mapping[str, Support] = dict.fromkeys(("input_examples", "allowed_callers", "eager_input_streaming"), NONE)
OF_CUSTOM: Mapping[str, Support] = dict.fromkeys(
    ("type", "name", "description", "input_schema", "cache_control", "strict"), ALL
)


def tools(types: Sequence[tuple[re.Pattern[str], Support]], *, defer_loading: Support) -> ToolsRule:
    options = {**REFUSED, "defer_loading": defer_loading}
    return ToolsRule(
        types=types,
        custom=ObjectRule(members={**options, **OF_CUSTOM}, defaults=NO_OPTION),
        typed=ObjectRule(members=options, is_open=True, defaults=NO_OPTION),
    )


# -- messages --


def as_user(request: CloudRequest, content: Raw | Sequence[Raw] | None) -> Any:
    """What is marked stands between blocks of its own."""
    if isinstance(content, Raw):
        if text := string(content):
            return f"<system>\n{text}\n</system>"
        content = items(content)
    begin, end = ({"type": "text", "text": mark} for mark in ("<system>", "</system>"))
    return [begin, *content, end] if content else []


CHANGES: Mapping[str, Support] = dict.fromkeys(("tool_addition", "tool_removal", "tool_definition"), NONE)


def turns(*, web_search: Support, tool_search: Support) -> MessagesRule:
    """With what a history holds of the tools that the API runs itself, there and here."""
    return MessagesRule(
        message=ObjectRule(members={"role": ALL, "content": ALL}),
        system_turns=SYSTEM_TURNS,
        system_message=ObjectRule(members={}, is_open=True),
        as_user=as_user,
        blocks=BlocksRule(
            types={
                **CHANGES,
                "web_search_tool_result": web_search,
                "tool_search_tool_result": tool_search,
                "tool_reference": tool_search,
            },
            calls={
                "web_search": web_search,
                "tool_search_tool_regex": tool_search,
                "tool_search_tool_bm25": tool_search,
            },
        ),
        # "URL sources are not supported": anthropics/anthropic-sdk-typescript#1038.
        references=dict.fromkeys(
            ("url", "file"),
            "source.type: the model that answers takes images and documents only as `base64` or `text`.",
        ),
    )


MARKS = CacheMarks(ObjectRule(members={"scope": NONE}, is_open=True))  # there are no caches but a project's

# -- betas --

# Those of features that are there without a name: to leave them out loses nothing.
NEEDLESS: Mapping[str, Support] = dict.fromkeys(
    """
    prompt-caching-2024-07-31 extended-cache-ttl-2025-04-11 pdfs-2024-09-25 token-counting-2024-11-01
    token-efficient-tools-2025-02-19 structured-outputs-2025-11-13 structured-outputs-2025-12-15 effort-2025-11-24
    """.split(),
    ALL,
)
# Those that LiteLLM sends (anthropic_beta_headers_config.json; PR#39597 of 2026-09-03 shows Vertex's answers), or that
# Claude Code sends there itself; not those that it keeps from Vertex (per-turn-control-2026-07-01).
BETAS: Mapping[str, Support] = {
    **NEEDLESS,
    **{
        each: needing(each)
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
    },
    "advanced-tool-use-2025-11-20": needing(TOOL_SEARCH),
}
# A count refuses betas of tools (anthropics/claude-code#12429, and the PR above); these are Claude Code's own for it.
OF_COUNTS: Mapping[str, Support] = {
    **dict.fromkeys(BETAS, ALL),
    **{each: needing(each) for each in ("claude-code-20250219", "interleaved-thinking-2025-05-14")},
}

MESSAGES = Cloud(
    fields=FIELDS,
    elsewhere=frozenset({"model"}),  # in the URL
    rules={
        "thinking": THINKING,
        "output_config": OUTPUT_CONFIG,
        "system": SystemRule(),
        "messages": turns(web_search=needing(WEB_SEARCH), tool_search=needing(TOOL_SEARCH)),
        "tools": tools(TYPES, defer_loading=needing(TOOL_SEARCH)),
        "context_management": NeedsOneOf((EDITING, *COMPACTING)),
    },
    marks=MARKS,
    betas=BETAS,
)
COUNTS = Cloud(
    fields=COUNTED,
    elsewhere=frozenset({"model"}),
    rules={
        "thinking": ObjectRule(members={"type": ALL, "budget_tokens": ALL}),
        "output_config": OUTPUT_CONFIG,
        "system": SystemRule(),
        "messages": turns(web_search=ALL, tool_search=ALL),
        "tools": tools(CLIENT_TOOLS, defer_loading=NONE),
    },
    marks=MARKS,
    betas=OF_COUNTS,
)
