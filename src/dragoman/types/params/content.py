"""Messages of a request and the content blocks in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Required, TypeAlias

from dragoman.types.content import (
    BashCodeExecutionToolResultErrorCode,
    CodeExecutionToolResultErrorCode,
    ContentBlock,
    TextEditorCodeExecutionToolResultErrorCode,
    ToolSearchToolResultErrorCode,
    WebFetchToolResultErrorCode,
    WebSearchToolResultErrorCode,
)

from .typed import TypedDict, holds_files
from .values import Base64FileInput, SequenceNotStr


class CacheControlEphemeralParam(TypedDict, total=False):
    type: Required[Literal["ephemeral"]]
    ttl: Literal["5m", "1h"]


class CitationCharLocationParam(TypedDict):
    cited_text: str
    document_index: int
    document_title: str | None
    end_char_index: int
    start_char_index: int
    type: Literal["char_location"]


class CitationPageLocationParam(TypedDict):
    cited_text: str
    document_index: int
    document_title: str | None
    end_page_number: int
    start_page_number: int
    type: Literal["page_location"]


class CitationContentBlockLocationParam(TypedDict):
    cited_text: str
    document_index: int
    document_title: str | None
    end_block_index: int
    start_block_index: int
    type: Literal["content_block_location"]


class CitationWebSearchResultLocationParam(TypedDict):
    cited_text: str
    encrypted_index: str
    title: str | None
    type: Literal["web_search_result_location"]
    url: str


class CitationSearchResultLocationParam(TypedDict):
    cited_text: str
    end_block_index: int
    search_result_index: int
    source: str
    start_block_index: int
    title: str | None
    type: Literal["search_result_location"]


TextCitationParam: TypeAlias = (
    CitationCharLocationParam
    | CitationPageLocationParam
    | CitationContentBlockLocationParam
    | CitationWebSearchResultLocationParam
    | CitationSearchResultLocationParam
)


class TextBlockParam(TypedDict, total=False):
    text: Required[str]
    type: Required[Literal["text"]]
    cache_control: CacheControlEphemeralParam | None
    citations: Iterable[TextCitationParam] | None


class Base64ImageSourceParam(TypedDict):
    data: str | Base64FileInput
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    type: Literal["base64"]


holds_files(Base64ImageSourceParam)


class URLImageSourceParam(TypedDict):
    type: Literal["url"]
    url: str


class FileImageSourceParam(TypedDict):
    file_id: str
    type: Literal["file"]


class ImageTransformationsParam(TypedDict, total=False):
    oversized_image: Literal["downsize", "error"]


class ImageBlockParam(TypedDict, total=False):
    source: Required[Base64ImageSourceParam | URLImageSourceParam | FileImageSourceParam]
    type: Required[Literal["image"]]
    cache_control: CacheControlEphemeralParam | None
    transformations: ImageTransformationsParam | None


class Base64PDFSourceParam(TypedDict):
    data: str | Base64FileInput
    media_type: Literal["application/pdf"]
    type: Literal["base64"]


holds_files(Base64PDFSourceParam)


class PlainTextSourceParam(TypedDict):
    data: str
    media_type: Literal["text/plain"]
    type: Literal["text"]


ContentBlockSourceContentParam: TypeAlias = TextBlockParam | ImageBlockParam


class ContentBlockSourceParam(TypedDict):
    content: str | Iterable[ContentBlockSourceContentParam]
    type: Literal["content"]


class URLPDFSourceParam(TypedDict):
    type: Literal["url"]
    url: str


class FileDocumentSourceParam(TypedDict):
    file_id: str
    type: Literal["file"]


class CitationsConfigParam(TypedDict, total=False):
    enabled: bool


class DocumentBlockParam(TypedDict, total=False):
    source: Required[
        Base64PDFSourceParam
        | PlainTextSourceParam
        | ContentBlockSourceParam
        | URLPDFSourceParam
        | FileDocumentSourceParam
    ]
    type: Required[Literal["document"]]
    cache_control: CacheControlEphemeralParam | None
    citations: CitationsConfigParam | None
    context: str | None
    title: str | None


class SearchResultBlockParam(TypedDict, total=False):
    content: Required[Iterable[TextBlockParam]]
    source: Required[str]
    title: Required[str]
    type: Required[Literal["search_result"]]
    cache_control: CacheControlEphemeralParam | None
    citations: CitationsConfigParam


class ThinkingBlockParam(TypedDict):
    signature: str
    thinking: str
    type: Literal["thinking"]


class RedactedThinkingBlockParam(TypedDict):
    data: str
    type: Literal["redacted_thinking"]


class DirectCallerParam(TypedDict):
    type: Literal["direct"]


class ServerToolCallerParam(TypedDict):
    tool_id: str
    type: Literal["code_execution_20250825"]


class ServerToolCaller20260120Param(TypedDict):
    tool_id: str
    type: Literal["code_execution_20260120"]


class ToolUseBlockParam(TypedDict, total=False):
    id: Required[str]
    input: Required[dict[str, object]]
    name: Required[str]
    type: Required[Literal["tool_use"]]
    cache_control: CacheControlEphemeralParam | None
    caller: ToolUseCallerParam
    toolset_name: str | None


class ToolReferenceBlockParam(TypedDict, total=False):
    tool_name: Required[str]
    type: Required[Literal["tool_reference"]]
    cache_control: CacheControlEphemeralParam | None


class BrowserStateTabEntryParam(TypedDict, total=False):
    tab_id: Required[str]
    title: Required[str]
    url: Required[str]
    active: bool


class BrowserStateChangeTabOpenedParam(TypedDict):
    tab_id: str
    type: Literal["tab_opened"]


class BrowserStateChangeDownloadStartedParam(TypedDict):
    download_id: str
    type: Literal["download_started"]
    url: str


class BrowserStateChangeDownloadCompletedParam(TypedDict, total=False):
    download_id: Required[str]
    type: Required[Literal["download_completed"]]
    url: Required[str]
    path: str | None
    size_bytes: int | None


class BrowserStateChangeDownloadFailedParam(TypedDict, total=False):
    download_id: Required[str]
    type: Required[Literal["download_failed"]]
    url: Required[str]
    error: str | None


BrowserStateChangeParam: TypeAlias = (
    BrowserStateChangeTabOpenedParam
    | BrowserStateChangeDownloadStartedParam
    | BrowserStateChangeDownloadCompletedParam
    | BrowserStateChangeDownloadFailedParam
)


class BrowserStateBlockParam(TypedDict, total=False):
    tabs: Required[Iterable[BrowserStateTabEntryParam]]
    type: Required[Literal["browser_state"]]
    cache_control: CacheControlEphemeralParam | None
    state_changes: Iterable[BrowserStateChangeParam] | None


class ToolResultBlockParam(TypedDict, total=False):
    tool_use_id: Required[str]
    type: Required[Literal["tool_result"]]
    cache_control: CacheControlEphemeralParam | None
    content: (
        str
        | Iterable[
            TextBlockParam
            | ImageBlockParam
            | SearchResultBlockParam
            | DocumentBlockParam
            | ToolReferenceBlockParam
            | BrowserStateBlockParam
        ]
    )
    is_error: bool
    toolset_name: str | None


class ServerToolUseBlockParam(TypedDict, total=False):
    id: Required[str]
    input: Required[dict[str, object]]
    name: Required[
        Literal[
            "web_search",
            "web_fetch",
            "code_execution",
            "bash_code_execution",
            "text_editor_code_execution",
            "tool_search_tool_regex",
            "tool_search_tool_bm25",
        ]
    ]
    type: Required[Literal["server_tool_use"]]
    cache_control: CacheControlEphemeralParam | None
    caller: ToolUseCallerParam


class WebSearchResultBlockParam(TypedDict, total=False):
    encrypted_content: Required[str]
    title: Required[str]
    type: Required[Literal["web_search_result"]]
    url: Required[str]
    page_age: str | None


class WebSearchToolRequestErrorObjectParam(TypedDict):
    error_code: WebSearchToolResultErrorCode
    type: Literal["web_search_tool_result_error"]


WebSearchToolResultBlockParamContentParam: TypeAlias = (
    Iterable[WebSearchResultBlockParam] | WebSearchToolRequestErrorObjectParam
)


class WebSearchToolResultBlockParam(TypedDict, total=False):
    content: Required[WebSearchToolResultBlockParamContentParam]
    tool_use_id: Required[str]
    type: Required[Literal["web_search_tool_result"]]
    cache_control: CacheControlEphemeralParam | None
    caller: ToolUseCallerParam


class WebFetchToolResultErrorBlockParam(TypedDict):
    error_code: WebFetchToolResultErrorCode
    type: Literal["web_fetch_tool_result_error"]


class WebFetchBlockParam(TypedDict, total=False):
    content: Required[DocumentBlockParam]
    type: Required[Literal["web_fetch_result"]]
    url: Required[str]
    retrieved_at: str | None


class WebFetchToolResultBlockParam(TypedDict, total=False):
    content: Required[WebFetchToolResultErrorBlockParam | WebFetchBlockParam]
    tool_use_id: Required[str]
    type: Required[Literal["web_fetch_tool_result"]]
    cache_control: CacheControlEphemeralParam | None
    caller: ToolUseCallerParam


class CodeExecutionToolResultErrorParam(TypedDict):
    error_code: CodeExecutionToolResultErrorCode
    type: Literal["code_execution_tool_result_error"]


class CodeExecutionOutputBlockParam(TypedDict):
    file_id: str
    type: Literal["code_execution_output"]


class CodeExecutionResultBlockParam(TypedDict):
    content: Iterable[CodeExecutionOutputBlockParam]
    return_code: int
    stderr: str
    stdout: str
    type: Literal["code_execution_result"]


class EncryptedCodeExecutionResultBlockParam(TypedDict):
    content: Iterable[CodeExecutionOutputBlockParam]
    encrypted_stdout: str
    return_code: int
    stderr: str
    type: Literal["encrypted_code_execution_result"]


CodeExecutionToolResultBlockParamContentParam: TypeAlias = (
    CodeExecutionToolResultErrorParam | CodeExecutionResultBlockParam | EncryptedCodeExecutionResultBlockParam
)


class CodeExecutionToolResultBlockParam(TypedDict, total=False):
    content: Required[CodeExecutionToolResultBlockParamContentParam]
    tool_use_id: Required[str]
    type: Required[Literal["code_execution_tool_result"]]
    cache_control: CacheControlEphemeralParam | None


class BashCodeExecutionToolResultErrorParam(TypedDict):
    error_code: BashCodeExecutionToolResultErrorCode
    type: Literal["bash_code_execution_tool_result_error"]


class BashCodeExecutionOutputBlockParam(TypedDict):
    file_id: str
    type: Literal["bash_code_execution_output"]


class BashCodeExecutionResultBlockParam(TypedDict):
    content: Iterable[BashCodeExecutionOutputBlockParam]
    return_code: int
    stderr: str
    stdout: str
    type: Literal["bash_code_execution_result"]


class BashCodeExecutionToolResultBlockParam(TypedDict, total=False):
    content: Required[BashCodeExecutionToolResultErrorParam | BashCodeExecutionResultBlockParam]
    tool_use_id: Required[str]
    type: Required[Literal["bash_code_execution_tool_result"]]
    cache_control: CacheControlEphemeralParam | None


class TextEditorCodeExecutionToolResultErrorParam(TypedDict, total=False):
    error_code: Required[TextEditorCodeExecutionToolResultErrorCode]
    type: Required[Literal["text_editor_code_execution_tool_result_error"]]
    error_message: str | None


class TextEditorCodeExecutionViewResultBlockParam(TypedDict, total=False):
    content: Required[str]
    file_type: Required[Literal["text", "image", "pdf"]]
    type: Required[Literal["text_editor_code_execution_view_result"]]
    num_lines: int | None
    start_line: int | None
    total_lines: int | None


class TextEditorCodeExecutionCreateResultBlockParam(TypedDict):
    is_file_update: bool
    type: Literal["text_editor_code_execution_create_result"]


class TextEditorCodeExecutionStrReplaceResultBlockParam(TypedDict, total=False):
    type: Required[Literal["text_editor_code_execution_str_replace_result"]]
    lines: SequenceNotStr[str] | None
    new_lines: int | None
    new_start: int | None
    old_lines: int | None
    old_start: int | None


class TextEditorCodeExecutionToolResultBlockParam(TypedDict, total=False):
    content: Required[
        TextEditorCodeExecutionToolResultErrorParam
        | TextEditorCodeExecutionViewResultBlockParam
        | TextEditorCodeExecutionCreateResultBlockParam
        | TextEditorCodeExecutionStrReplaceResultBlockParam
    ]
    tool_use_id: Required[str]
    type: Required[Literal["text_editor_code_execution_tool_result"]]
    cache_control: CacheControlEphemeralParam | None


class ToolSearchToolResultErrorParam(TypedDict, total=False):
    error_code: Required[ToolSearchToolResultErrorCode]
    type: Required[Literal["tool_search_tool_result_error"]]
    error_message: str | None


class ToolSearchToolSearchResultBlockParam(TypedDict):
    tool_references: Iterable[ToolReferenceBlockParam]
    type: Literal["tool_search_tool_search_result"]


class ToolSearchToolResultBlockParam(TypedDict, total=False):
    content: Required[ToolSearchToolResultErrorParam | ToolSearchToolSearchResultBlockParam]
    tool_use_id: Required[str]
    type: Required[Literal["tool_search_tool_result"]]
    cache_control: CacheControlEphemeralParam | None


class ContainerUploadBlockParam(TypedDict, total=False):
    file_id: Required[str]
    type: Required[Literal["container_upload"]]
    cache_control: CacheControlEphemeralParam | None


ContentBlockParam: TypeAlias = (
    TextBlockParam
    | ImageBlockParam
    | DocumentBlockParam
    | SearchResultBlockParam
    | ThinkingBlockParam
    | RedactedThinkingBlockParam
    | ToolUseBlockParam
    | ToolResultBlockParam
    | ServerToolUseBlockParam
    | WebSearchToolResultBlockParam
    | WebFetchToolResultBlockParam
    | CodeExecutionToolResultBlockParam
    | BashCodeExecutionToolResultBlockParam
    | TextEditorCodeExecutionToolResultBlockParam
    | ToolSearchToolResultBlockParam
    | ContainerUploadBlockParam
)


MessageContentParam: TypeAlias = str | Iterable[ContentBlockParam | ContentBlock]


class UserMessageParam(TypedDict):
    content: MessageContentParam
    role: Literal["user"]


class AssistantMessageParam(TypedDict):
    content: MessageContentParam
    role: Literal["assistant"]


class SystemMessageParam(TypedDict):
    content: str | Iterable[TextBlockParam]
    role: Literal["system"]


MessageParam: TypeAlias = UserMessageParam | AssistantMessageParam | SystemMessageParam
WebSearchToolRequestErrorParam: TypeAlias = WebSearchToolRequestErrorObjectParam


ToolUseCallerParam: TypeAlias = DirectCallerParam | ServerToolCallerParam | ServerToolCaller20260120Param
