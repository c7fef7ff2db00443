"""Requests that must pass: all that the spec allows, and what Claude Code sends."""

import pytest
from asking import (
    CITED,
    CLAUDE_CODE_BETAS,
    DOCUMENT,
    EPHEMERAL,
    GENERATION_ONLY,
    HI,
    JSON_FORMAT,
    MANUAL,
    OLD,
    PNG,
    TOOL,
    Json,
    assistant,
    body,
    call,
    claude_code_body,
    marked,
    messages,
    model,
    result,
    says,
    text,
    tools,
)

from dragoman.wire.types import MessagesRequest
from dragoman.wire.validate import validate_count, validate_messages

THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "search_result", "source": "s", "title": "t", "content": [text("x")]}

LEGAL: dict[str, Json] = {
    "nulls count as absent (MSG-31)": dict.fromkeys(
        (
            "system", "stop_sequences", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking", "metadata",
            "output_config", "cache_control", "service_tier", "container", "inference_geo", "diagnostics", "speed",
            "mcp_servers", "context_management", "fallbacks", "thread", "output_format",
        )
    ),
    "nulls within (MSG-20, 25, 27, CCH-1)": {
        "metadata": {"user_id": None},
        "container": {"id": None, "skills": None},
        "diagnostics": {"previous_message_id": None},
        "output_config": {"effort": None, "format": None},
        **tools(TOOL | {"type": None, "description": None, "cache_control": None, "strict": None}),
        **messages(says(text("a", cache_control=None, citations=None), DOCUMENT | {"title": None, "context": None})),
    },
    "turns of one role in a row (MSG-42)": messages(HI, HI, assistant("a"), assistant("b"), HI, HI),
    "an empty system (MSG-13)": {"system": ""},
    "no system blocks": {"system": []},
    "results spread over merged turns (MSG-42, 80)": messages(
        HI, assistant(call("a")), assistant(call("b")), says(result("b")), says(result("a"), "so?")
    ),
    "results in another order, missing, empty, in error (MSG-86)": messages(
        HI,
        assistant("x", call("a"), call("b"), call("c"), call("d")),
        says(
            result("d", content=""), result("c"), result("b", content=[]),
            result("a", content=[text("no such city"), PNG, DOCUMENT], is_error=True), "go on",
        ),
    ),
    "calls without tools, and of tools that are gone (MSG-88, TOOL-24)": messages(
        HI, assistant(call("a", name="gone")), says(result("a"))
    ),
    "one tool loop after another": messages(
        HI, assistant(call("a")), says(result("a")), assistant(call("b")), says(result("b")), assistant("x"), HI
    ),
    "thinking sent back while it is off (MSG-64)": messages(
        HI,
        assistant(THOUGHT, {"type": "redacted_thinking", "data": "d"}, "a"),
        HI,
    ),
    "thinking at the head of a tool loop (MSG-58)": messages(
        HI,
        assistant({"type": "thinking", "thinking": "", "signature": "s"}, call("a")),
        says(result("a")),
    )
    | {"thinking": MANUAL},
    "an earlier turn need not start with thinking (MSG-58)": messages(HI, assistant("a"), HI) | {"thinking": MANUAL},
    "a prefill (MSG-47)": messages(HI, {"role": "assistant", "content": "The answer is ("}),
    "max_tokens 0 (MSG-35)": {"max_tokens": 0, "system": [text("s", cache_control=EPHEMERAL)]},
    "the highest max_tokens": {"max_tokens": 64_000},
    "a request with everything": {
        "system": [text("s", cache_control=EPHEMERAL | {"ttl": "1h"}), text("t")],
        "stop_sequences": ["END", "\n\nHuman:"],
        "stream": True,
        "metadata": {"user_id": "x" * 256},
        "service_tier": "standard_only",
        "temperature": 0,
        "top_k": 0,
        "container": {"id": "c", "skills": [{"type": "anthropic", "skill_id": "pdf", "version": "latest"}] * 8},
        "diagnostics": {"previous_message_id": "msg_1"},
        "speed": "standard",
        "output_config": JSON_FORMAT,
        **tools(TOOL, tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}),
    },
    "a container by its id (MSG-25)": {"container": "container_1"},
    "all forms of tools (TOOL-1 to 7, 50 to 60)": tools(
        TOOL | {
            "type": "custom", "description": "x" * 5000, "strict": True, "input_examples": [{"city": "Paris"}, {}],
            "input_schema": TOOL["input_schema"] | {"additionalProperties": False},
            "eager_input_streaming": True, "allowed_callers": ["direct"], "cache_control": EPHEMERAL,
        },
        {"name": "a" * 128, "input_schema": {"type": "object", "properties": None, "required": None}},
        {"name": "-_-", "input_schema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}},
        {"name": "refers", "input_schema": {"type": "object", "$defs": {"x": {}}, "allOf": [{"$ref": "#/$defs/x"}]}},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 10_000},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1, "display_height_px": 1},
        {"type": "computer_toolset_20260801", "configs": {}},
        {"type": "browser_toolset_20260801"},
        {"type": "web_search_20260209", "name": "web_search", "max_uses": 5, "allowed_domains": ["a.test"]},
        {"type": "web_fetch_20260309", "name": "web_fetch", "use_cache": True, "citations": {"enabled": True}},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"type": "mcp_toolset", "mcp_server_name": "a"},
        {"type": "advisor_20260301", "name": "advisor"},
    ),
    "no tools is none (TOOL-5), none with none (TOOL-13)": {"tools": [], "tool_choice": {"type": "none"}},
    "four breakpoints, longer before shorter (CCH-4, 5)": {
        "system": [text("s", cache_control=EPHEMERAL | {"ttl": "1h"})],
        **tools(TOOL | {"cache_control": EPHEMERAL | {"ttl": "1h"}}),
        **messages(marked(2)),
    },
    "an automatic breakpoint (CCH-10)": {"cache_control": EPHEMERAL} | messages(marked(3), HI),
    "the same as the last block's (CCH-11)": {"cache_control": EPHEMERAL | {"ttl": "5m"}} | messages(marked(4)),
    "the automatic one goes back to a block that can have it (CCH-13)": {"cache_control": EPHEMERAL}
    | messages(marked(4), assistant({"type": "thinking", "thinking": "t", "signature": "s"})),
    "citations on all documents (MSG-98)": messages(
        says(*[DOCUMENT | {"citations": {"enabled": True}}] * 2, "x")
    ),
    "citations said to be off are off": messages(says(DOCUMENT | {"citations": {"enabled": False}}, DOCUMENT, "x")),
    "every block that a user may send (MSG-70 to 79)": messages(
        says(
            "a", PNG, PNG | {"transformations": {"oversized_image": "error"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.test/x.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": EPHEMERAL},
            DOCUMENT | {"title": "t", "context": "c"},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}},
            {"type": "document", "source": {"type": "url", "url": "https://a.test/x.pdf"}},
            {"type": "document", "source": {"type": "content", "content": "x"}},
            {"type": "document", "source": {"type": "content", "content": [text("x"), PNG]}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            FOUND | {"citations": {"enabled": True}},
            {"type": "container_upload", "file_id": "file_1"},
        )
    ),
    "every block that comes back (MSG-74 to 78, TOOL-73)": messages(
        HI,
        assistant(
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            text("a", citations=[CITED]),
            *(
                block
                for kind in ("web_search", "web_fetch", "code_execution", "bash_code_execution",
                             "text_editor_code_execution", "tool_search")
                for at, content in enumerate(([], {"type": "error", "x": [1]}, "text"))
                for block in (
                    SEARCH | {
                        "id": f"srvtoolu_{kind}_{at}",
                        "name": "tool_search_tool_regex" if kind == "tool_search" else kind,
                        "caller": {"type": "direct"},
                    },
                    {"type": f"{kind}_tool_result", "tool_use_id": f"srvtoolu_{kind}_{at}", "content": content},
                )
            ),
            call("a", caller={"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}, toolset_name="computer"),
        ),
        says(
            result("a", toolset_name="computer", content=[
                {"type": "tool_reference", "tool_name": "x"}, {"type": "browser_state", "tabs": []},
                FOUND,
            ])
        ),
    ),
    "a hundred thousand messages (MSG-12)": messages(*[HI] * 100_000),
}  # fmt: skip


BETAS = ("computer-use-2025-11-24",)  # TOOL-55


@pytest.mark.parametrize("fields", LEGAL.values(), ids=LEGAL.keys())
def test_what_the_api_takes_passes(fields: Json) -> None:
    request = validate_messages(body(**fields), model("claude-sonnet-4-5"), version=OLD, betas=BETAS)
    assert type(request) is MessagesRequest
    counted = {name: value for name, value in body(**fields).items() if name not in GENERATION_ONLY}
    assert validate_count(counted, model("claude-sonnet-4-5"), version=OLD, betas=BETAS).messages == request.messages


@pytest.mark.parametrize("name", ["claude-opus-5-5", "claude-opus-4-8"])
def test_what_claude_code_sends_passes(name: str) -> None:
    """CC-3, CC-5."""
    sent = claude_code_body() | {"model": name, "max_tokens": 64_000}
    request = validate_messages(sent, model(name), version=OLD, betas=CLAUDE_CODE_BETAS)
    assert len(request.tools or ()) == 20
    counted = {key: value for key, value in sent.items() if key not in GENERATION_ONLY}
    assert validate_count(counted, model(name), version=OLD, betas=CLAUDE_CODE_BETAS).tools == request.tools
