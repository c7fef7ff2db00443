"""What goes over the wire of the Messages API: requests, content blocks, messages, usage.

The types say what types can say (names, shapes, ranges); `schema.py` checks a request against them with the API's
wording, `validate.py` holds the rules that types cannot say. Source: spec/messages.md, and the official SDK 2.11.0.
Imports only `codec` and `tools` of this folder.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from .codec import Unknown, Wire
from .contexts import ContextManagement
from .tools import AnyTool, CacheControl, CitationsConfig, JsonObject

__all__ = [
    "Block",
    "CacheCreation",
    "Citation",
    "Citations",
    "Compaction",
    "Container",
    "CountTokensRequest",
    "Document",
    "Effort",
    "Image",
    "InputMessage",
    "JsonFormat",
    "Message",
    "MessagesRequest",
    "OutputBlock",
    "OutputConfig",
    "RedactedThinking",
    "SearchResult",
    "ServerToolResult",
    "ServerToolUse",
    "StopDetails",
    "StopReason",
    "Text",
    "Thinking",
    "ThinkingAdaptive",
    "ThinkingEnabled",
    "ToolChoice",
    "ToolChoiceAny",
    "ToolChoiceAuto",
    "ToolChoiceNone",
    "ToolChoiceTool",
    "ToolResult",
    "ToolUse",
    "Usage",
]

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
ToolUseId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]+$")]
ServerToolUseId = Annotated[str, Meta(pattern=r"^srvtoolu_[a-zA-Z0-9_]+$")]
ImageType = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]


class _Tagged(Wire, frozen=True, kw_only=True, tag_field="type"):
    """A wire object that says by `type` what it is."""


# Sources of images and documents (MSG-71, 72).


class Base64Image(_Tagged, frozen=True, kw_only=True, tag="base64"):
    media_type: ImageType
    data: str


class UrlSource(_Tagged, frozen=True, kw_only=True, tag="url"):
    url: str


class FileSource(_Tagged, frozen=True, kw_only=True, tag="file"):
    file_id: str


class Base64Pdf(_Tagged, frozen=True, kw_only=True, tag="base64"):
    media_type: Literal["application/pdf"]
    data: str


class PlainText(_Tagged, frozen=True, kw_only=True, tag="text"):
    media_type: Literal["text/plain"]
    data: str


class Transformations(Wire, frozen=True, kw_only=True):
    oversized_image: Literal["downsize", "error"] | None = None


# Citations that come back in the text blocks of a history (MSG-99). The API sends a `file_id` that its own types for
# input do not name; what it sent must pass. Titles have no limit here: a document's may be longer than a citation's.


class CharLocation(_Tagged, frozen=True, kw_only=True, tag="char_location"):
    cited_text: str
    document_index: Annotated[int, Meta(ge=0)]
    document_title: str | None
    start_char_index: Annotated[int, Meta(ge=0)]
    end_char_index: int
    file_id: str | None = None


class PageLocation(_Tagged, frozen=True, kw_only=True, tag="page_location"):
    cited_text: str
    document_index: Annotated[int, Meta(ge=0)]
    document_title: str | None
    start_page_number: Annotated[int, Meta(ge=1)]
    end_page_number: int
    file_id: str | None = None


class ContentBlockLocation(_Tagged, frozen=True, kw_only=True, tag="content_block_location"):
    cited_text: str
    document_index: Annotated[int, Meta(ge=0)]
    document_title: str | None
    start_block_index: Annotated[int, Meta(ge=0)]
    end_block_index: int
    file_id: str | None = None


class SearchResultLocation(_Tagged, frozen=True, kw_only=True, tag="search_result_location"):
    cited_text: str
    source: str
    title: str | None
    search_result_index: Annotated[int, Meta(ge=0)]
    start_block_index: Annotated[int, Meta(ge=0)]
    end_block_index: int


class WebSearchResultLocation(_Tagged, frozen=True, kw_only=True, tag="web_search_result_location"):
    cited_text: str
    url: str
    title: str | None
    encrypted_index: str


Citation = CharLocation | PageLocation | ContentBlockLocation | SearchResultLocation | WebSearchResultLocation


class Citations(Wire, frozen=True, kw_only=True):
    """The `citations` of a text block, to be checked: the block itself keeps them as they came."""

    citations: list[Citation]


# Content blocks (MSG-70 to 79). One class a block, for both directions: what only goes in (`cache_control`) or only
# comes out is optional.


class Text(_Tagged, frozen=True, kw_only=True, tag="text"):
    text: str
    citations: list[JsonObject] | None = None
    cache_control: CacheControl | None = None


class Image(_Tagged, frozen=True, kw_only=True, tag="image"):
    source: Base64Image | UrlSource | FileSource
    transformations: Transformations | None = None
    cache_control: CacheControl | None = None


class ContentSource(_Tagged, frozen=True, kw_only=True, tag="content"):
    content: str | list[Text | Image]


class Document(_Tagged, frozen=True, kw_only=True, tag="document"):
    source: Base64Pdf | PlainText | ContentSource | UrlSource | FileSource
    title: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    context: Annotated[str, Meta(min_length=1)] | None = None
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


class SearchResult(_Tagged, frozen=True, kw_only=True, tag="search_result"):
    source: str
    title: str
    content: Annotated[list[Text], Meta(min_length=1)]
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


class Thinking(_Tagged, frozen=True, kw_only=True, tag="thinking"):
    thinking: str
    signature: str


class RedactedThinking(_Tagged, frozen=True, kw_only=True, tag="redacted_thinking"):
    data: str


class Caller(Wire, frozen=True, kw_only=True):
    type: str
    tool_id: str | None = None


class ToolUse(_Tagged, frozen=True, kw_only=True, tag="tool_use"):
    id: ToolUseId
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]  # TOOL-3
    input: dict[str, Any]
    caller: Caller | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ToolReference(_Tagged, frozen=True, kw_only=True, tag="tool_reference"):
    tool_name: str
    cache_control: CacheControl | None = None


class BrowserState(_Tagged, frozen=True, kw_only=True, tag="browser_state"):
    tabs: list[JsonObject]
    state_changes: list[JsonObject] | None = None
    cache_control: CacheControl | None = None


class ToolResult(_Tagged, frozen=True, kw_only=True, tag="tool_result"):
    tool_use_id: ToolUseId
    content: str | list[Text | Image | Document | SearchResult | ToolReference | BrowserState] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ServerToolUse(_Tagged, frozen=True, kw_only=True, tag="server_tool_use"):
    id: ServerToolUseId
    name: str
    input: dict[str, Any]
    caller: Caller | None = None
    cache_control: CacheControl | None = None


class ServerToolResult(_Tagged, frozen=True, kw_only=True):
    """Base of the results that the API's own tools leave in an assistant turn; their content is theirs (TOOL-63)."""

    tool_use_id: ServerToolUseId
    content: Any
    caller: Caller | None = None
    cache_control: CacheControl | None = None


class WebSearchResult(ServerToolResult, frozen=True, kw_only=True, tag="web_search_tool_result"):
    pass


class WebFetchResult(ServerToolResult, frozen=True, kw_only=True, tag="web_fetch_tool_result"):
    pass


class CodeExecutionResult(ServerToolResult, frozen=True, kw_only=True, tag="code_execution_tool_result"):
    pass


class BashExecutionResult(ServerToolResult, frozen=True, kw_only=True, tag="bash_code_execution_tool_result"):
    pass


class EditorExecutionResult(ServerToolResult, frozen=True, kw_only=True, tag="text_editor_code_execution_tool_result"):
    pass


class ToolSearchResult(ServerToolResult, frozen=True, kw_only=True, tag="tool_search_tool_result"):
    pass


class ContainerUpload(_Tagged, frozen=True, kw_only=True, tag="container_upload"):
    file_id: str
    cache_control: CacheControl | None = None


class Compaction(_Tagged, frozen=True, kw_only=True, tag="compaction"):
    """Stands for all that came before it; null when there was nothing to sum up (STR-26)."""

    content: str | None = None
    encrypted_content: str | None = None
    signature: str | None = None
    tool_changes: list[JsonObject] | None = None
    cache_control: CacheControl | None = None


Block = (
    Text
    | Image
    | Document
    | SearchResult
    | Thinking
    | RedactedThinking
    | ToolUse
    | ToolResult
    | ServerToolUse
    | WebSearchResult
    | WebFetchResult
    | CodeExecutionResult
    | BashExecutionResult
    | EditorExecutionResult
    | ToolSearchResult
    | ContainerUpload
    | Compaction
)
OutputBlock = Block | Unknown


# The request.


class TurnConfig(Wire, frozen=True, kw_only=True):
    effort: Effort | None = None


class InputMessage(Wire, frozen=True, kw_only=True):
    # `system` is legal for some models (MSG-45), yet the API does not name it to those who mistype a role (MSG-40).
    role: Annotated[Literal["user", "assistant", "system"], Meta(extra={"named": ["user", "assistant"]})]
    content: str | list[Block]
    output_config: "TurnConfig | None" = None  # of a `system` turn: from there on (CC-4)


class ThinkingEnabled(_Tagged, frozen=True, kw_only=True, tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1024)]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(_Tagged, frozen=True, kw_only=True, tag="adaptive"):
    # `updates` has a beta, so the API does not name it to those who mistype one.
    display: Annotated[
        Literal["summarized", "omitted", "updates"] | None, Meta(extra={"named": ["summarized", "omitted"]})
    ] = None


class ThinkingDisabled(_Tagged, frozen=True, kw_only=True, tag="disabled"):
    pass


class ThinkingBetweenTools(_Tagged, frozen=True, kw_only=True, tag="between_tools"):
    pass


ThinkingConfig = ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | ThinkingBetweenTools


class ToolChoiceAuto(_Tagged, frozen=True, kw_only=True, tag="auto"):
    disable_parallel_tool_use: bool | None = None


class ToolChoiceAny(_Tagged, frozen=True, kw_only=True, tag="any"):
    disable_parallel_tool_use: bool | None = None


class ToolChoiceTool(_Tagged, frozen=True, kw_only=True, tag="tool"):
    name: str
    disable_parallel_tool_use: bool | None = None


class ToolChoiceNone(_Tagged, frozen=True, kw_only=True, tag="none"):
    pass


ToolChoice = ToolChoiceAuto | ToolChoiceAny | ToolChoiceTool | ToolChoiceNone


class JsonFormat(Wire, frozen=True, kw_only=True):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Wire, frozen=True, kw_only=True):
    effort: Effort | None = None
    format: JsonFormat | None = None


class Metadata(Wire, frozen=True, kw_only=True):
    user_id: Annotated[str, Meta(max_length=256)] | None = None


class Skill(Wire, frozen=True, kw_only=True):
    type: Literal["anthropic", "custom"]
    skill_id: str
    version: str | None = None


class ContainerParams(Wire, frozen=True, kw_only=True):
    id: str | None = None
    skills: Annotated[list[Skill], Meta(max_length=8)] | None = None


class Diagnostics(Wire, frozen=True, kw_only=True):
    previous_message_id: str | None = None


# MSG-22 says `temperature: range: 0..1`: not the wording of other numbers, so the range is named here.
UnitRange = Annotated[float, Meta(ge=0, le=1, extra={"range": "0..1"})]


class CountTokensRequest(Wire, frozen=True, kw_only=True):
    """Body of POST /v1/messages/count_tokens (TOK-2): what makes up the prompt, and nothing else."""

    model: Annotated[str, Meta(min_length=1)]
    messages: list[InputMessage]
    system: str | list[Text] | None = None
    tools: list[AnyTool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard", "fast"] | None = None
    # Only with their beta (MSG-29).
    mcp_servers: list[JsonObject] | None = None
    context_management: ContextManagement | None = None
    output_format: JsonFormat | None = None


class MessagesRequest(CountTokensRequest, frozen=True, kw_only=True):
    """Body of POST /v1/messages (MSG-10 to 30)."""

    max_tokens: Annotated[int, Meta(ge=0)]
    stop_sequences: list[str] | None = None
    stream: bool = False
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    temperature: UnitRange | None = None
    top_p: UnitRange | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    container: str | ContainerParams | None = None
    inference_geo: str | None = None
    diagnostics: Diagnostics | None = None
    # Only with their beta (MSG-29).
    fallbacks: list[JsonObject] | None = None
    thread: JsonObject | None = None


# The reply.


class CacheCreation(Wire, frozen=True, kw_only=True):
    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class Usage(Wire, frozen=True, kw_only=True):
    """Model tokens of one message (MSG-120 to 123). `input_tokens` is what no cache wrote or read."""

    input_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int
    output_tokens_details: JsonObject | None = None
    server_tool_use: JsonObject | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


class StopDetails(Wire, frozen=True, kw_only=True):
    """Why the model stopped, beyond `stop_reason` (MSG-104)."""

    type: str
    category: str | None
    explanation: str | None


class Container(Wire, frozen=True, kw_only=True):
    id: str
    expires_at: str
    skills: list[JsonObject] | None = None


class Message(_Tagged, frozen=True, kw_only=True, tag="message"):
    """The reply (MSG-100 to 106), in the order of keys that was recorded."""

    model: str
    id: str
    role: Literal["assistant"]
    content: list[OutputBlock]
    stop_reason: str | None
    stop_sequence: str | None
    stop_details: StopDetails | None
    container: Container | None = None
    usage: Usage
