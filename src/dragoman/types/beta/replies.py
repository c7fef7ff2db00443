"""Messages of the beta: those of `..replies` with more in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, TypeAlias

from dragoman.client.record import Record
from dragoman.types.content import (
    BashCodeExecutionToolResultBlock,
    CodeExecutionToolResultBlock,
    ContainerUploadBlock,
    RedactedThinkingBlock,
    TextEditorCodeExecutionToolResultBlock,
    ThinkingBlock,
    ToolSearchToolResultBlock,
    ToolUseBlock,
    WebFetchToolResultBlock,
    WebSearchToolResultBlock,
)
from dragoman.types.generic import T, first_parsed
from dragoman.types.names import Model
from dragoman.types.replies import (
    CacheCreation,
    Container,
    Diagnostics,
    MessageDeltaUsage,
    MessageTokensCount,
    ParsedTextBlock,
    RefusalStopDetails,
    Usage,
)

from .content import (
    BetaAdvisorToolResultBlock,
    BetaCompactionBlock,
    BetaContentBlock,
    BetaFallbackBlock,
    BetaMCPToolListingBlock,
    BetaMCPToolResultBlock,
    BetaMCPToolUseBlock,
    BetaServerToolUseBlock,
)

if TYPE_CHECKING:
    from dragoman.types.params.beta import BetaAssistantMessageParam

BetaStopReason: TypeAlias = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "compaction",
    "refusal",
    "model_context_window_exceeded",
]


class BetaClearToolUses20250919EditResponse(Record):
    cleared_input_tokens: int
    cleared_tool_uses: int
    type: Literal["clear_tool_uses_20250919"]


class BetaClearThinking20251015EditResponse(Record):
    cleared_input_tokens: int
    cleared_thinking_turns: int
    type: Literal["clear_thinking_20251015"]


class BetaContextManagementResponse(Record):
    applied_edits: list[BetaClearToolUses20250919EditResponse | BetaClearThinking20251015EditResponse]


class BetaRefusalStopDetails(RefusalStopDetails):
    fallback_credit_token: str | None = None
    fallback_has_prefill_claim: bool | None = None
    recommended_model: str | None = None


class BetaFallbackCreditRedeemed(Record):
    type: Literal["redeemed"]


class BetaFallbackCreditNotApplied(Record):
    reason: Literal[
        "body_mismatch",
        "continuation_excluded",
        "continuation_only",
        "expired",
        "invalid_target_model",
        "not_enabled",
        "reprice_unavailable",
        "temporarily_unavailable",
        "variant_fields_present",
        "wrong_organization",
        "wrong_platform",
        "wrong_workspace",
    ]
    type: Literal["not_applied"]
    remove_to_redeem: list[str] | None = None


class BetaFallbackCreditUsage(Record):
    status: BetaFallbackCreditRedeemed | BetaFallbackCreditNotApplied


class BetaMessageIterationUsage(Record):
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    input_tokens: int
    output_tokens: int
    type: Literal["message"]
    cache_creation: CacheCreation | None = None
    model: Model | None = None


class BetaCompactionIterationUsage(Record):
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    input_tokens: int
    output_tokens: int
    type: Literal["compaction"]
    cache_creation: CacheCreation | None = None


class BetaAdvisorMessageIterationUsage(Record):
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    input_tokens: int
    model: Model
    output_tokens: int
    type: Literal["advisor_message"]
    cache_creation: CacheCreation | None = None


class BetaFallbackMessageIterationUsage(Record):
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    input_tokens: int
    model: Model
    output_tokens: int
    type: Literal["fallback_message"]
    cache_creation: CacheCreation | None = None


BetaIterationsUsage: TypeAlias = list[
    BetaMessageIterationUsage
    | BetaCompactionIterationUsage
    | BetaAdvisorMessageIterationUsage
    | BetaFallbackMessageIterationUsage
]


class BetaUsage(Usage):
    fallback_credit: BetaFallbackCreditUsage | None = None
    iterations: BetaIterationsUsage | None = None


class BetaThinkingDroppedInputTransformation(Record):
    path: str
    reason: Literal[
        "model_binding_mismatch",
        "prefix_binding_mismatch",
        "organization_binding_mismatch",
        "end_user_binding_mismatch",
    ]
    type: Literal["thinking_dropped"]


class BetaThinkingMismatchAllowedInputTransformation(Record):
    path: str
    reason: Literal[
        "model_binding_mismatch",
        "prefix_binding_mismatch",
        "organization_binding_mismatch",
        "end_user_binding_mismatch",
    ]
    type: Literal["thinking_mismatch_allowed"]


BetaInputTransformation: TypeAlias = (
    BetaThinkingDroppedInputTransformation | BetaThinkingMismatchAllowedInputTransformation
)


class BetaMessage(Record):
    id: str
    content: list[BetaContentBlock]
    model: Model
    role: Literal["assistant"]
    type: Literal["message"]
    usage: BetaUsage
    container: Container | None = None
    context_management: BetaContextManagementResponse | None = None
    diagnostics: Diagnostics | None = None
    stop_details: BetaRefusalStopDetails | None = None
    stop_reason: BetaStopReason | None = None
    stop_sequence: str | None = None
    input_transformations: list[BetaInputTransformation] | None = None

    def to_param(self) -> BetaAssistantMessageParam:
        """The turn to send back in `messages`."""
        return {"role": self.role, "content": list(self.content)}


class BetaMessageDeltaUsage(MessageDeltaUsage):
    fallback_credit: BetaFallbackCreditUsage | None = None
    iterations: BetaIterationsUsage | None = None


class BetaCountTokensContextManagementResponse(Record):
    original_input_tokens: int


class BetaMessageTokensCount(MessageTokensCount):
    context_management: BetaCountTokensContextManagementResponse | None = None


ParsedBetaContentBlock: TypeAlias = (
    ParsedTextBlock[T]
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
    | BetaMCPToolListingBlock
    | BetaFallbackBlock
)


class ParsedBetaMessage(BetaMessage, Generic[T]):
    content: list[ParsedBetaContentBlock[T]]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def parsed_output(self) -> T | None:
        """Of the first text block that has any."""
        found: T | None = first_parsed(self.content)
        return found
