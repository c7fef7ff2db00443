"""Calls that the server makes, their results, and what else only a server puts into a message."""

from typing import Any

from .making import (
    DELTA_USAGE,
    END,
    STOP,
    TOOL_END,
    Events,
    block,
    call,
    delta,
    message_delta,
    recording,
    start,
    text,
    text_delta,
    whole,
)
from .texts import CITATIONS, CITED, cite

__all__ = ["RECORDINGS", "result", "server_call"]

CALL_ID = "srvtoolu_01Recorded"
WEB_PAGES = [
    {
        "type": "web_search_result",
        "title": "Sun",
        "url": "https://example.com/sun",
        "encrypted_content": "EqgfCioIARgBIiQ3",
        "page_age": "2 days ago",
    },
    {
        "type": "web_search_result",
        "title": "Moon",
        "url": "https://example.com/moon",
        "encrypted_content": "EqgfCioIARgBIiQ4",
        "page_age": None,
    },
]
TEXT_PAGE = {
    "type": "web_fetch_result",
    "url": "https://example.com",
    "retrieved_at": "2026-11-21T10:00:00Z",
    "content": {
        "type": "document",
        "title": "Example",
        "citations": {"enabled": True},
        "source": {"type": "text", "media_type": "text/plain", "data": "Example Domain"},
    },
}
PDF_PAGE = {
    "type": "web_fetch_result",
    "url": "https://example.com/a.pdf",
    "retrieved_at": None,
    "content": {
        "type": "document",
        "title": None,
        "citations": None,
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
    },
}
RAN = {"stdout": "1\n", "stderr": "", "return_code": 0}
VIEWED = {"file_type": "text", "content": "x", "num_lines": 1, "start_line": 1, "total_lines": 1}
REPLACED = {"lines": ["-a", "+b"], "old_start": 1, "old_lines": 1, "new_start": 1, "new_lines": 1}
CONTAINER = {"id": "container_01", "expires_at": "2026-11-21T12:00:00Z", "skills": None}
FALLBACK = {
    "from": {"model": "claude-opus-4-8"},
    "to": {"model": "claude-sonnet-4-6"},
    "trigger": {"type": "refusal", "category": "cyber"},
}


def server_call(name: str, *parts: str) -> Events:
    return call(0, *parts, kind="server_tool_use", id=CALL_ID, name=name, caller={"type": "direct"})


def result(index: int, tool: str, content: Any, **fields: Any) -> Events:
    return whole(index, f"{tool}_tool_result", tool_use_id=CALL_ID, content=content, **fields)


def failure(tool: str, code: str, **fields: Any) -> dict[str, Any]:
    """TOOL-62."""
    return {"type": f"{tool}_tool_result_error", "error_code": code, **fields}


EDITOR = "text_editor_code_execution"

RECORDINGS = {
    "web search": recording(
        "section 6: results, a text with citations, usage",
        [start(), server_call("web_search", "", '{"query', '": "sun"}')],
        result(1, "web_search", WEB_PAGES, caller={"type": "direct"}),
        block(2, CITED, cite(2, CITATIONS[3]), text_delta(2, "The sun "), text_delta(2, "shines.")),
        message_delta(usage=DELTA_USAGE | {"server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}}),
        STOP,
    ),
    "web search that failed": recording(
        "TOOL-62",
        [start(), server_call("web_search", '{"query":"x"}')],
        [result(1, "web_search", failure("web_search", "max_uses_exceeded")), text(2, "Sorry."), END],
    ),
    "web fetch": recording(
        "STR-25: a page of text, a PDF, and none",
        [start(), server_call("web_fetch", '{"url":"https://example.com"}')],
        [result(1, "web_fetch", TEXT_PAGE), result(2, "web_fetch", PDF_PAGE)],
        [result(3, "web_fetch", failure("web_fetch", "url_not_accessible")), text(4, "Read."), END],
    ),
    "code execution": recording(
        "STR-25, TOOL-65: it ran, it failed, and the container it ran in",
        [start(), server_call("code_execution", '{"code":"print(1)"}')],
        result(
            1,
            "code_execution",
            {"type": "code_execution_result", **RAN}
            | {"content": [{"type": "code_execution_output", "file_id": "file_01"}]},
        ),
        result(2, "code_execution", failure("code_execution", "unavailable")),
        [message_delta(container=CONTAINER), STOP],
    ),
    "shell": recording(
        "STR-25",
        [start(), server_call("bash_code_execution", '{"command":"ls"}')],
        result(
            1,
            "bash_code_execution",
            {"type": "bash_code_execution_result", **RAN}
            | {"content": [{"type": "bash_code_execution_output", "file_id": "file_02"}]},
        ),
        [result(2, "bash_code_execution", failure("bash_code_execution", "execution_time_exceeded")), END],
    ),
    "text editor": recording(
        "STR-25: view, create, str_replace, and an error",
        [start(), server_call(EDITOR, '{"command":"view","path":"/a"}')],
        result(1, EDITOR, {"type": f"{EDITOR}_view_result", **VIEWED}),
        result(2, EDITOR, {"type": f"{EDITOR}_create_result", "is_file_update": False}),
        result(3, EDITOR, {"type": f"{EDITOR}_str_replace_result", **REPLACED}),
        [result(4, EDITOR, failure(EDITOR, "file_not_found", error_message=None)), END],
    ),
    "tool search": recording(
        "STR-25",
        [start(), server_call("tool_search_tool_regex", '{"pattern":"weather"}')],
        result(
            1,
            "tool_search",
            {
                "type": "tool_search_tool_search_result",
                "tool_references": [{"type": "tool_reference", "tool_name": "get_weather"}],
            },
        ),
        [result(2, "tool_search", failure("tool_search", "unavailable", error_message="no")), END],
    ),
    "advisor": recording(
        "STR-25",
        [start(), server_call("advisor", "")],
        result(1, "advisor", {"type": "advisor_result", "text": "Do it.", "stop_reason": "end_turn"}),
        result(2, "advisor", {"type": "advisor_redacted_result", "encrypted_content": "abc"}),
        [result(3, "advisor", failure("advisor", "unavailable")), END],
    ),
    "a call made by code": recording(
        "TOOL-65",
        [start(), server_call("code_execution", '{"code":"await f()"}')],
        [call(1, "", '{"x":', "1}", caller={"type": "code_execution_20260120", "tool_id": CALL_ID}), TOOL_END],
    ),
    "MCP": recording(
        "STR-22: a call, its results, and what the server can do",
        [start(), call(0, "", '{"p":', '"x"}', kind="mcp_tool_use", name="echo", server_name="mcp")],
        whole(1, "mcp_tool_result", tool_use_id="toolu_00", is_error=False, content=[{"type": "text", "text": "x"}]),
        whole(2, "mcp_tool_result", tool_use_id="toolu_00", is_error=True, content="bad"),
        whole(
            3,
            "mcp_tool_listing",
            mcp_server_name="mcp",
            tools=[{"name": "echo", "input_schema": {"type": "object"}, "description": None}],
        ),
        END,
    ),
    "container upload": recording("STR-25", start(), whole(0, "container_upload", file_id="file_03"), END),
    "compaction": recording(
        "STR-26",
        start(),
        block(
            0,
            {"type": "compaction", "content": None},
            delta(0, "compaction_delta", content="Summary.", encrypted_content="enc"),
        ),
        [text(1, "Go on."), message_delta("compaction"), STOP],
    ),
    "compaction in its start": recording(
        "STR-26", start(), whole(0, "compaction", content="Summary.", encrypted_content=None, signature="s"), END
    ),
    "compaction deltas of nothing": recording(
        "STR-26: null, and nothing at all",
        start(),
        block(
            0,
            {"type": "compaction", "content": "a", "encrypted_content": "b"},
            delta(0, "compaction_delta", content=None, encrypted_content=None),
        ),
        block(1, {"type": "compaction", "content": "a"}, delta(1, "compaction_delta")),
        END,
    ),
    "fallback": recording(
        "STR-25: another model goes on",
        start(),
        text(0, "Half"),
        whole(1, "fallback", **FALLBACK),
        text(2, "Whole."),
        END,
    ),
}
