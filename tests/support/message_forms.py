"""Every form of content, tools and settings that a request can have: for tests of what becomes of each in a dialect."""

from typing import Any

from translating_cases import TOOLS, Json

__all__ = ["CALL", "COMPUTER", "EDITOR", "EVERYTHING", "FORMS", "PNG", "document", "said", "told"]

CALL = {"type": "tool_use", "id": "toolu_c", "name": "get_time", "input": {"zone": "canary"}}
EVERYTHING: Json = {
    "tools": TOOLS,
    "messages": [
        {"role": "user", "content": "What time?"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_c", "content": "noon"}]},
    ],
}
PNG = {
    "type": "base64",
    "media_type": "image/png",
    "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk",
}


def said(*blocks: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def told(result: Any, **more: Any) -> Json:
    block = {"type": "tool_result", "tool_use_id": "toolu_c", "content": result, **more}
    return {"tools": TOOLS, "messages": [*EVERYTHING["messages"][:2], {"role": "user", "content": [block]}]}


def document(source: Json, **more: Any) -> Json:
    return {"type": "document", "source": source, **more}


TEXT = {"type": "text", "text": "canary"}
CACHED = {**TEXT, "cache_control": {"type": "ephemeral"}}
CITED = {
    "type": "char_location", "cited_text": "canary", "document_index": 0, "document_title": None,
    "start_char_index": 0, "end_char_index": 6,
}  # fmt: skip
EDITOR = {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}
COMPUTER = {"type": "computer_20250124", "name": "computer", "display_width_px": 1024, "display_height_px": 768}
SEARCH = {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]}
MCP_CALL = {"type": "mcp_tool_use", "id": "mcptoolu_a", "name": "look", "server_name": "maps", "input": {"at": "x"}}
MCP_RESULT = {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_a", "content": [{**TEXT, "text": "canary in Malmö"}]}
ADVICE = (
    {"type": "server_tool_use", "id": "srvtoolu_a", "name": "advisor", "input": {}},
    {"type": "advisor_tool_result", "tool_use_id": "srvtoolu_a", "content": {**TEXT, "type": "advisor_result"}},
)
RAN = (
    {"type": "server_tool_use", "id": "srvtoolu_b", "name": "bash_code_execution", "input": {"command": "ls"}},
    {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_b",
     "content": {"type": "bash_code_execution_result", "stdout": "canary", "stderr": "", "return_code": 0}},
)  # fmt: skip


def searched(sealed: str) -> tuple[Json, Json]:
    found = {"type": "web_search_result", "url": "https://x.test", "title": "canary", "encrypted_content": sealed}
    return (
        {"type": "server_tool_use", "id": "srvtoolu_s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_s", "content": [found]},
    )


def before(*blocks: Json) -> Json:
    """What an assistant said, and a user after it."""
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": list(blocks)}]
    return {"messages": [*said, {"role": "user", "content": "go on"}]}


# form -> fields of a request, and what of them must arrive, or be told as lost, or refused
FORMS: dict[str, tuple[Json, str]] = {
    "text": (said(TEXT), "canary"),
    "image": (said({"type": "image", "source": PNG}), PNG["data"]),
    "image by URL": (said({"type": "image", "source": {"type": "url", "url": "https://x.test/canary.png"}}), "canary"),
    "text document": (said(document({"type": "text", "media_type": "text/plain", "data": "canary"})), "canary"),
    "document's title": (
        said(document({"type": "text", "media_type": "text/plain", "data": "x"}, title="canary")),
        "canary",
    ),
    "document of blocks": (said(document({"type": "content", "content": [TEXT]})), "canary"),
    "PDF": (
        said(document({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="})),
        "JVBERi0xLjQ=",
    ),
    "PDF by URL": (said(document({"type": "url", "url": "https://x.test/canary.pdf"})), "canary"),
    "search result": (said(SEARCH), "canary"),
    "system": ({"system": "canary"}, "canary"),
    "system blocks": ({"system": [TEXT]}, "canary"),
    "system in between": (
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "canary"}]},
        "canary",
    ),
    "call": (EVERYTHING, "canary"),
    "result": (told("canary"), "canary"),
    "result of blocks": (told([TEXT]), "canary"),
    "result with an image": (told([{"type": "image", "source": PNG}]), PNG["data"]),
    "result with a search result": (told([SEARCH]), "canary"),
    "tool that a result names": (told([{"type": "tool_reference", "tool_name": "get_time"}]), "Tool: get_time"),
    "failed result": (told("canary", is_error=True), "canary"),
    "prefill": (
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "canary"}]},
        "canary",
    ),
    "tool": ({"tools": [{"name": "canary", "input_schema": {"type": "object"}}]}, "canary"),
    "schema": (
        {"tools": [{"name": "t", "input_schema": {"type": "object", "properties": {"canary": {"type": "string"}}}}]},
        "canary",
    ),
    "bash": ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, '"bash"'),
    "editor": (
        {"tools": [{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]},
        "str_replace_based_edit_tool",
    ),
    "memory": ({"tools": [{"type": "memory_20250818", "name": "memory"}]}, "old_path"),
    "computer": (
        {
            "tools": [
                {
                    "type": "computer_20250124",
                    "name": "computer",
                    "display_width_px": 1024,
                    "display_height_px": 768,
                }
            ]
        },
        "left_click_drag",
    ),
    "web search": (
        {
            "tools": [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "user_location": {"type": "approximate", "city": "canary"},
                }
            ]
        },
        "canary",
    ),
    "choice": ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "get_date"}}, "get_date"),
    "stop sequence": ({"stop_sequences": ["canary"]}, "canary"),
    "user id": ({"metadata": {"user_id": "canary"}}, "canary"),
    "output format": (
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {"canary": {"type": "string"}},
                        "additionalProperties": False,
                    },
                }
            }
        },
        "canary",
    ),
    "thinking of before": (
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "canary", "signature": "s"},
                        {"type": "text", "text": "x"},
                    ],
                },
                {"role": "user", "content": "go on"},
            ]
        },
        "canary",
    ),
    "cache control": ({"system": [{**TEXT, "cache_control": {"type": "ephemeral"}}]}, "ephemeral"),
    "top_k": ({"top_k": 37}, "37"),
    "temperature": ({"temperature": 0.5}, "temperature"),
    "tier": ({"service_tier": "standard_only"}, 'ier":'),
    "deferred tool": ({"tools": [*TOOLS, {**TOOLS[0], "name": "later", "defer_loading": True}]}, "defer"),
    "tool for code": (
        {"tools": [{**TOOLS[0], "allowed_callers": ["direct", "code_execution_20260120"]}]},
        "allowed_callers",
    ),
    "cited text": (
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{**TEXT, "citations": [CITED]}]},
                {"role": "user", "content": "go on"},
            ]
        },
        "cited_text",
    ),
    "cache control in a result": (told([CACHED]), "ephemeral"),
    "cache control on a result": (told("x", cache_control=CACHED["cache_control"]), "ephemeral"),
    "cache control in a document": (said(document({"type": "content", "content": [CACHED]})), "ephemeral"),
    "cache control on a document": (
        said(document({"type": "content", "content": [TEXT]}, cache_control=CACHED["cache_control"])),
        "ephemeral",
    ),
    "cache control in a search result": (said({**SEARCH, "content": [CACHED]}), "ephemeral"),
    "cache control in a search result of a tool": (told([{**SEARCH, "content": [CACHED]}]), "ephemeral"),
    "transformations": (
        said({"type": "image", "source": PNG, "transformations": {"oversized_image": "downsize"}}),
        "oversized",
    ),
    "transformations in a result": (
        told([{"type": "image", "source": PNG, "transformations": {"oversized_image": "error"}}]),
        "oversized",
    ),
    "editor's limit": ({"tools": [{**EDITOR, "max_characters": 9000}]}, "9000"),
    "computer's display": ({"tools": [{**COMPUTER, "display_number": 7}]}, "display_number"),
    "summary": (before({"type": "compaction", "content": "canary"}), "canary"),
    "MCP's call": (before(MCP_CALL, MCP_RESULT, TEXT), "canary in Malmö"),
    "MCP's failure": (before(MCP_CALL, {**MCP_RESULT, "is_error": True}), "failed: canary"),
    "advisor's answer": (before(*ADVICE), "canary"),
    "web search's result": (before(*searched("EqgB")), "canary"),
    "web search's result of another": (before(*searched("dragoman:x/p/m:{}")), "canary"),
    "what code printed": (before(*RAN), "canary"),
    "change of tools": (before({"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": []}, TEXT), "canary"),
    "GIF in a result": (told([{"type": "image", "source": {**PNG, "media_type": "image/gif"}}]), PNG["data"]),
}
