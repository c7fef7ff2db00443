"""Messages and what goes with them, as the API sends them; and messages whose text was read as an output format."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeAlias

from dragoman.client.record import Record

from .content import (
    BashCodeExecutionToolResultBlock,
    CodeExecutionToolResultBlock,
    ContainerUploadBlock,
    ContentBlock,
    RedactedThinkingBlock,
    ServerToolUseBlock,
    TextBlock,
    TextEditorCodeExecutionToolResultBlock,
    ThinkingBlock,
    ToolSearchToolResultBlock,
    ToolUseBlock,
    WebFetchToolResultBlock,
    WebSearchToolResultBlock,
)
from .generic import T, first_parsed
from .names import Model, StopReason

if TYPE_CHECKING:
    from .params.content import AssistantMessageParam


class ContainerSkill(Record):
    skill_id: str
    type: Literal["anthropic", "custom"]
    version: str


class Container(Record):
    id: str
    expires_at: datetime
    skills: list[ContainerSkill] | None = None


class CacheMissModelChanged(Record):
    cache_missed_input_tokens: int
    type: Literal["model_changed"]


class CacheMissSystemChanged(Record):
    cache_missed_input_tokens: int
    type: Literal["system_changed"]


class CacheMissToolsChanged(Record):
    cache_missed_input_tokens: int
    type: Literal["tools_changed"]


class CacheMissMessagesChanged(Record):
    cache_missed_input_tokens: int
    type: Literal["messages_changed"]


class CacheMissPreviousMessageNotFound(Record):
    type: Literal["previous_message_not_found"]


class CacheMissUnavailable(Record):
    type: Literal["unavailable"]


CacheMissReason: TypeAlias = (
    CacheMissModelChanged
    | CacheMissSystemChanged
    | CacheMissToolsChanged
    | CacheMissMessagesChanged
    | CacheMissPreviousMessageNotFound
    | CacheMissUnavailable
)


class Diagnostics(Record):
    cache_miss_reason: CacheMissReason | None = None


class RefusalStopDetails(Record):
    type: Literal["refusal"]
    category: Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"] | None = None
    explanation: str | None = None


class CacheCreation(Record):
    ephemeral_1h_input_tokens: int
    ephemeral_5m_input_tokens: int


class OutputTokensDetails(Record):
    thinking_tokens: int


class ServerToolUsage(Record):
    web_fetch_requests: int
    web_search_requests: int


class Usage(Record):
    input_tokens: int
    output_tokens: int
    cache_creation: CacheCreation | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    inference_geo: str | None = None
    output_tokens_details: OutputTokensDetails | None = None
    server_tool_use: ServerToolUsage | None = None
    service_tier: Literal["standard", "priority", "batch"] | None = None
    speed: Literal["standard", "fast"] | None = None


class Message(Record):
    """A reply. `stop_reason` is None only in a stream that has not come to it."""

    id: str
    content: list[ContentBlock]
    model: Model
    role: Literal["assistant"]
    type: Literal["message"]
    usage: Usage
    container: Container | None = None
    diagnostics: Diagnostics | None = None
    stop_details: RefusalStopDetails | None = None
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None

    def to_param(self) -> AssistantMessageParam:
        """The turn to send back in `messages`."""
        return {"role": self.role, "content": list(self.content)}


class MessageDeltaUsage(Record):
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens_details: OutputTokensDetails | None = None
    server_tool_use: ServerToolUsage | None = None


class MessageTokensCount(Record):
    input_tokens: int


class ParsedTextBlock(TextBlock, Generic[T]):
    """`parsed_output` is ours: it is in no dump, and never sent back."""

    __unsent__: ClassVar[frozenset[str]] = frozenset({"parsed_output"})

    parsed_output: T | None = None


ParsedContentBlock: TypeAlias = (
    ParsedTextBlock[T]
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


class ParsedMessage(Message, Generic[T]):
    content: list[ParsedContentBlock[T]]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def parsed_output(self) -> T | None:
        """Of the first text block that has any."""
        found: T | None = first_parsed(self.content)
        return found
