"""Content blocks that only the beta has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from dragoman.client.record import Record
from dragoman.types.content import (
    BashCodeExecutionToolResultBlock,
    CodeExecutionToolResultBlock,
    ContainerUploadBlock,
    RedactedThinkingBlock,
    TextBlock,
    TextEditorCodeExecutionToolResultBlock,
    ThinkingBlock,
    ToolSearchToolResultBlock,
    ToolUseBlock,
    ToolUseCaller,
    WebFetchToolResultBlock,
    WebSearchToolResultBlock,
)
from dragoman.types.names import Model

from .tools import BetaMCPTool, BetaResponseToolChangeMCPToolsetReference, BetaToolChangeToolDefinition


class BetaServerToolUseBlock(Record):
    id: str
    input: dict[str, object]
    name: Literal[
        "advisor",
        "web_search",
        "web_fetch",
        "code_execution",
        "bash_code_execution",
        "text_editor_code_execution",
        "tool_search_tool_regex",
        "tool_search_tool_bm25",
    ]
    type: Literal["server_tool_use"]
    caller: ToolUseCaller | None = None


class BetaAdvisorToolResultErrorObject(Record):
    error_code: Literal[
        "max_uses_exceeded",
        "prompt_too_long",
        "too_many_requests",
        "overloaded",
        "unavailable",
        "execution_time_exceeded",
        "model_not_found",
    ]
    type: Literal["advisor_tool_result_error"]


class BetaAdvisorResultBlock(Record):
    text: str
    type: Literal["advisor_result"]
    stop_reason: str | None = None


class BetaAdvisorRedactedResultBlock(Record):
    encrypted_content: str
    type: Literal["advisor_redacted_result"]
    stop_reason: str | None = None


class BetaAdvisorToolResultBlock(Record):
    content: BetaAdvisorToolResultErrorObject | BetaAdvisorResultBlock | BetaAdvisorRedactedResultBlock
    tool_use_id: str
    type: Literal["advisor_tool_result"]


class BetaMCPToolUseBlock(Record):
    id: str
    input: dict[str, object]
    name: str
    server_name: str
    type: Literal["mcp_tool_use"]


class BetaMCPToolResultBlock(Record):
    content: str | list[TextBlock]
    is_error: bool
    tool_use_id: str
    type: Literal["mcp_tool_result"]


class BetaResponseToolChangeToolReference(Record):
    name: str
    type: Literal["tool_reference"]


class BetaResponseToolChangeMCPToolReference(Record):
    name: str
    server_name: str
    type: Literal["mcp_tool_reference"]


class BetaResponseToolAdditionBlock(Record):
    tool: (
        BetaResponseToolChangeToolReference
        | BetaResponseToolChangeMCPToolReference
        | BetaResponseToolChangeMCPToolsetReference
        | BetaToolChangeToolDefinition
    )
    type: Literal["tool_addition"]


class BetaResponseToolRemovalBlock(Record):
    tool: (
        BetaResponseToolChangeToolReference
        | BetaResponseToolChangeMCPToolReference
        | BetaResponseToolChangeMCPToolsetReference
    )
    type: Literal["tool_removal"]


class BetaCompactionBlock(Record):
    type: Literal["compaction"]
    content: str | None = None
    encrypted_content: str | None = None
    signature: str | None = None
    tool_changes: list[BetaResponseToolAdditionBlock | BetaResponseToolRemovalBlock] | None = None


class BetaFallbackInfo(Record):
    model: Model


class BetaFallbackRefusalTrigger(Record):
    type: Literal["refusal"]
    category: Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"] | None = None


class BetaFallbackBlock(Record):
    to: BetaFallbackInfo
    trigger: BetaFallbackRefusalTrigger
    type: Literal["fallback"]
    if not TYPE_CHECKING:
        __annotations__["from"] = "BetaFallbackInfo"  # a keyword, which no annotation can spell

    @property
    def from_(self) -> BetaFallbackInfo:
        found: BetaFallbackInfo = self.__dict__["from"]
        return found


class BetaMCPToolListingBlock(Record):
    mcp_server_name: str
    tools: list[BetaMCPTool]
    type: Literal["mcp_tool_listing"]


BetaContentBlock: TypeAlias = (
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | BetaServerToolUseBlock
    | WebSearchToolResultBlock
    | WebFetchToolResultBlock
    | BetaAdvisorToolResultBlock
    | CodeExecutionToolResultBlock
    | BashCodeExecutionToolResultBlock
    | TextEditorCodeExecutionToolResultBlock
    | ToolSearchToolResultBlock
    | BetaMCPToolUseBlock
    | BetaMCPToolResultBlock
    | ContainerUploadBlock
    | BetaCompactionBlock
    | BetaFallbackBlock
    | BetaMCPToolListingBlock
)
BetaAdvisorToolResultError: TypeAlias = BetaAdvisorToolResultErrorObject
