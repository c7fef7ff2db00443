"""Content blocks of a reply, their citations, and the results of tools that the API runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record


class CitationCharLocation(Record):
    cited_text: str
    document_index: int
    end_char_index: int
    start_char_index: int
    type: Literal["char_location"]
    document_title: str | None = None
    file_id: str | None = None


class CitationPageLocation(Record):
    cited_text: str
    document_index: int
    end_page_number: int
    start_page_number: int
    type: Literal["page_location"]
    document_title: str | None = None
    file_id: str | None = None


class CitationContentBlockLocation(Record):
    cited_text: str
    document_index: int
    end_block_index: int
    start_block_index: int
    type: Literal["content_block_location"]
    document_title: str | None = None
    file_id: str | None = None


class CitationsWebSearchResultLocation(Record):
    cited_text: str
    encrypted_index: str
    type: Literal["web_search_result_location"]
    url: str
    title: str | None = None


class CitationsSearchResultLocation(Record):
    cited_text: str
    end_block_index: int
    search_result_index: int
    source: str
    start_block_index: int
    type: Literal["search_result_location"]
    title: str | None = None


TextCitation: TypeAlias = (
    CitationCharLocation
    | CitationPageLocation
    | CitationContentBlockLocation
    | CitationsWebSearchResultLocation
    | CitationsSearchResultLocation
)


class TextBlock(Record):
    text: str
    type: Literal["text"]
    citations: list[TextCitation] | None = None


class ThinkingBlock(Record):
    signature: str
    thinking: str
    type: Literal["thinking"]


class RedactedThinkingBlock(Record):
    data: str
    type: Literal["redacted_thinking"]


class DirectCaller(Record):
    type: Literal["direct"]


class ServerToolCaller(Record):
    tool_id: str
    type: Literal["code_execution_20250825"]


class ServerToolCaller20260120(Record):
    tool_id: str
    type: Literal["code_execution_20260120"]


class ToolUseBlock(Record):
    id: str
    input: dict[str, object]
    name: str
    type: Literal["tool_use"]
    caller: ToolUseCaller | None = None
    toolset_name: str | None = None


class ServerToolUseBlock(Record):
    id: str
    input: dict[str, object]
    name: Literal[
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


WebSearchToolResultErrorCode: TypeAlias = Literal[
    "invalid_tool_input", "unavailable", "max_uses_exceeded", "too_many_requests", "query_too_long", "request_too_large"
]


class WebSearchToolResultErrorObject(Record):
    error_code: WebSearchToolResultErrorCode
    type: Literal["web_search_tool_result_error"]


class WebSearchResultBlock(Record):
    encrypted_content: str
    title: str
    type: Literal["web_search_result"]
    url: str
    page_age: str | None = None


WebSearchToolResultBlockContent: TypeAlias = WebSearchToolResultErrorObject | list[WebSearchResultBlock]


class WebSearchToolResultBlock(Record):
    content: WebSearchToolResultBlockContent
    tool_use_id: str
    type: Literal["web_search_tool_result"]
    caller: ToolUseCaller | None = None


WebFetchToolResultErrorCode: TypeAlias = Literal[
    "invalid_tool_input",
    "url_too_long",
    "url_not_allowed",
    "url_not_in_prior_context",
    "url_not_accessible",
    "unsupported_content_type",
    "too_many_requests",
    "max_uses_exceeded",
    "unavailable",
    "content_too_large",
]


class WebFetchToolResultErrorBlock(Record):
    error_code: WebFetchToolResultErrorCode
    type: Literal["web_fetch_tool_result_error"]


class CitationsConfig(Record):
    enabled: bool


class Base64PDFSource(Record):
    data: str
    media_type: Literal["application/pdf"]
    type: Literal["base64"]


class PlainTextSource(Record):
    data: str
    media_type: Literal["text/plain"]
    type: Literal["text"]


class DocumentBlock(Record):
    source: Base64PDFSource | PlainTextSource
    type: Literal["document"]
    citations: CitationsConfig | None = None
    title: str | None = None


class WebFetchBlock(Record):
    content: DocumentBlock
    type: Literal["web_fetch_result"]
    url: str
    retrieved_at: str | None = None


class WebFetchToolResultBlock(Record):
    content: WebFetchToolResultErrorBlock | WebFetchBlock
    tool_use_id: str
    type: Literal["web_fetch_tool_result"]
    caller: ToolUseCaller | None = None


CodeExecutionToolResultErrorCode: TypeAlias = Literal[
    "invalid_tool_input", "unavailable", "too_many_requests", "execution_time_exceeded"
]


class CodeExecutionToolResultErrorObject(Record):
    error_code: CodeExecutionToolResultErrorCode
    type: Literal["code_execution_tool_result_error"]


class CodeExecutionOutputBlock(Record):
    file_id: str
    type: Literal["code_execution_output"]


class CodeExecutionResultBlock(Record):
    content: list[CodeExecutionOutputBlock]
    return_code: int
    stderr: str
    stdout: str
    type: Literal["code_execution_result"]


class EncryptedCodeExecutionResultBlock(Record):
    content: list[CodeExecutionOutputBlock]
    encrypted_stdout: str
    return_code: int
    stderr: str
    type: Literal["encrypted_code_execution_result"]


CodeExecutionToolResultBlockContent: TypeAlias = (
    CodeExecutionToolResultErrorObject | CodeExecutionResultBlock | EncryptedCodeExecutionResultBlock
)


class CodeExecutionToolResultBlock(Record):
    content: CodeExecutionToolResultBlockContent
    tool_use_id: str
    type: Literal["code_execution_tool_result"]


BashCodeExecutionToolResultErrorCode: TypeAlias = Literal[
    "invalid_tool_input", "unavailable", "too_many_requests", "execution_time_exceeded", "output_file_too_large"
]


class BashCodeExecutionToolResultErrorObject(Record):
    error_code: BashCodeExecutionToolResultErrorCode
    type: Literal["bash_code_execution_tool_result_error"]


class BashCodeExecutionOutputBlock(Record):
    file_id: str
    type: Literal["bash_code_execution_output"]


class BashCodeExecutionResultBlock(Record):
    content: list[BashCodeExecutionOutputBlock]
    return_code: int
    stderr: str
    stdout: str
    type: Literal["bash_code_execution_result"]


class BashCodeExecutionToolResultBlock(Record):
    content: BashCodeExecutionToolResultErrorObject | BashCodeExecutionResultBlock
    tool_use_id: str
    type: Literal["bash_code_execution_tool_result"]


TextEditorCodeExecutionToolResultErrorCode: TypeAlias = Literal[
    "invalid_tool_input", "unavailable", "too_many_requests", "execution_time_exceeded", "file_not_found"
]


class TextEditorCodeExecutionToolResultErrorObject(Record):
    error_code: TextEditorCodeExecutionToolResultErrorCode
    type: Literal["text_editor_code_execution_tool_result_error"]
    error_message: str | None = None


class TextEditorCodeExecutionViewResultBlock(Record):
    content: str
    file_type: Literal["text", "image", "pdf"]
    type: Literal["text_editor_code_execution_view_result"]
    num_lines: int | None = None
    start_line: int | None = None
    total_lines: int | None = None


class TextEditorCodeExecutionCreateResultBlock(Record):
    is_file_update: bool
    type: Literal["text_editor_code_execution_create_result"]


class TextEditorCodeExecutionStrReplaceResultBlock(Record):
    type: Literal["text_editor_code_execution_str_replace_result"]
    lines: list[str] | None = None
    new_lines: int | None = None
    new_start: int | None = None
    old_lines: int | None = None
    old_start: int | None = None


class TextEditorCodeExecutionToolResultBlock(Record):
    content: (
        TextEditorCodeExecutionToolResultErrorObject
        | TextEditorCodeExecutionViewResultBlock
        | TextEditorCodeExecutionCreateResultBlock
        | TextEditorCodeExecutionStrReplaceResultBlock
    )
    tool_use_id: str
    type: Literal["text_editor_code_execution_tool_result"]


ToolSearchToolResultErrorCode: TypeAlias = CodeExecutionToolResultErrorCode


class ToolSearchToolResultErrorObject(Record):
    error_code: ToolSearchToolResultErrorCode
    type: Literal["tool_search_tool_result_error"]
    error_message: str | None = None


class ToolReferenceBlock(Record):
    tool_name: str
    type: Literal["tool_reference"]


class ToolSearchToolSearchResultBlock(Record):
    tool_references: list[ToolReferenceBlock]
    type: Literal["tool_search_tool_search_result"]


class ToolSearchToolResultBlock(Record):
    content: ToolSearchToolResultErrorObject | ToolSearchToolSearchResultBlock
    tool_use_id: str
    type: Literal["tool_search_tool_result"]


class ContainerUploadBlock(Record):
    file_id: str
    type: Literal["container_upload"]


ContentBlock: TypeAlias = (
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ServerToolUseBlock
    | WebSearchToolResultBlock
    | WebFetchToolResultBlock
    | CodeExecutionToolResultBlock
    | BashCodeExecutionToolResultBlock
    | TextEditorCodeExecutionToolResultBlock
    | ToolSearchToolResultBlock
    | ContainerUploadBlock
)


ToolUseCaller: TypeAlias = DirectCaller | ServerToolCaller | ServerToolCaller20260120
BashCodeExecutionToolResultError: TypeAlias = BashCodeExecutionToolResultErrorObject
CodeExecutionToolResultError: TypeAlias = CodeExecutionToolResultErrorObject
TextEditorCodeExecutionToolResultError: TypeAlias = TextEditorCodeExecutionToolResultErrorObject
ToolSearchToolResultError: TypeAlias = ToolSearchToolResultErrorObject
WebSearchToolResultError: TypeAlias = WebSearchToolResultErrorObject
