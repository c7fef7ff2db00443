"""What only a request to the beta may hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Required, TypeAlias

from dragoman.types.beta.content import BetaContentBlock
from dragoman.types.names import AnthropicBetaParam, ModelParam

from .beta_tools import BetaMCPToolParamParam, BetaToolUnionParam
from .content import (
    BashCodeExecutionToolResultBlockParam,
    CacheControlEphemeralParam,
    CodeExecutionToolResultBlockParam,
    ContainerUploadBlockParam,
    DocumentBlockParam,
    ImageBlockParam,
    RedactedThinkingBlockParam,
    SearchResultBlockParam,
    TextBlockParam,
    TextEditorCodeExecutionToolResultBlockParam,
    ThinkingBlockParam,
    ToolResultBlockParam,
    ToolSearchToolResultBlockParam,
    ToolUseBlockParam,
    ToolUseCallerParam,
    WebFetchToolResultBlockParam,
    WebSearchToolResultBlockParam,
)
from .request import (
    DiagnosticsParam,
    FileListParams,
    FileUploadParams,
    JSONOutputFormatParam,
    MessageCreateParamsContainerParam,
    MetadataParam,
    ModelListParams,
    OutputConfigParam,
    SamplingParams,
    ThinkingConfigBetweenToolsParam,
    ThinkingConfigDisabledParam,
    ToolChoiceParam,
)
from .typed import TypedDict
from .values import SequenceNotStr


class BetaServerToolUseBlockParam(TypedDict, total=False):
    id: Required[str]
    input: Required[dict[str, object]]
    name: Required[
        Literal[
            "advisor",
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


class BetaAdvisorToolResultErrorParam(TypedDict):
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


class BetaAdvisorResultBlockParam(TypedDict, total=False):
    text: Required[str]
    type: Required[Literal["advisor_result"]]
    stop_reason: str | None


class BetaAdvisorRedactedResultBlockParam(TypedDict, total=False):
    encrypted_content: Required[str]
    type: Required[Literal["advisor_redacted_result"]]
    stop_reason: str | None


class BetaAdvisorToolResultBlockParam(TypedDict, total=False):
    content: Required[
        BetaAdvisorToolResultErrorParam | BetaAdvisorResultBlockParam | BetaAdvisorRedactedResultBlockParam
    ]
    tool_use_id: Required[str]
    type: Required[Literal["advisor_tool_result"]]
    cache_control: CacheControlEphemeralParam | None


class BetaMCPToolUseBlockParam(TypedDict, total=False):
    id: Required[str]
    input: Required[dict[str, object]]
    name: Required[str]
    server_name: Required[str]
    type: Required[Literal["mcp_tool_use"]]
    cache_control: CacheControlEphemeralParam | None


class BetaRequestMCPToolResultBlockParam(TypedDict, total=False):
    tool_use_id: Required[str]
    type: Required[Literal["mcp_tool_result"]]
    cache_control: CacheControlEphemeralParam | None
    content: str | Iterable[TextBlockParam]
    is_error: bool


class BetaToolChangeToolReferenceParam(TypedDict):
    name: str
    type: Literal["tool_reference"]


class BetaToolChangeMCPToolReferenceParam(TypedDict):
    name: str
    server_name: str
    type: Literal["mcp_tool_reference"]


class BetaToolChangeMCPToolsetReferenceParam(TypedDict):
    server_name: str
    type: Literal["mcp_toolset_reference"]


class BetaToolChangeToolDefinitionParam(TypedDict):
    definition: BetaToolUnionParam
    type: Literal["tool_definition"]


class BetaRequestToolAdditionBlockParam(TypedDict, total=False):
    tool: Required[
        BetaToolChangeToolReferenceParam
        | BetaToolChangeMCPToolReferenceParam
        | BetaToolChangeMCPToolsetReferenceParam
        | BetaToolChangeToolDefinitionParam
    ]
    type: Required[Literal["tool_addition"]]
    cache_control: CacheControlEphemeralParam | None


class BetaRequestToolRemovalBlockParam(TypedDict, total=False):
    tool: Required[
        BetaToolChangeToolReferenceParam | BetaToolChangeMCPToolReferenceParam | BetaToolChangeMCPToolsetReferenceParam
    ]
    type: Required[Literal["tool_removal"]]
    cache_control: CacheControlEphemeralParam | None


class BetaCompactionBlockParam(TypedDict, total=False):
    type: Required[Literal["compaction"]]
    cache_control: CacheControlEphemeralParam | None
    content: str | None
    encrypted_content: str | None
    signature: str | None
    tool_changes: Iterable[BetaRequestToolAdditionBlockParam | BetaRequestToolRemovalBlockParam] | None


class BetaMCPToolListingBlockParam(TypedDict):
    mcp_server_name: str
    tools: Iterable[BetaMCPToolParamParam]
    type: Literal["mcp_tool_listing"]


class BetaFallbackInfoParam(TypedDict):
    model: ModelParam


_FallbackFromParam = TypedDict("_FallbackFromParam", {"from": "BetaFallbackInfoParam"})  # a keyword


class BetaFallbackBlockParam(_FallbackFromParam, total=False):
    to: Required[BetaFallbackInfoParam]
    type: Required[Literal["fallback"]]
    trigger: object


BetaContentBlockParam: TypeAlias = (
    TextBlockParam
    | ImageBlockParam
    | DocumentBlockParam
    | SearchResultBlockParam
    | ThinkingBlockParam
    | RedactedThinkingBlockParam
    | ToolUseBlockParam
    | ToolResultBlockParam
    | BetaServerToolUseBlockParam
    | WebSearchToolResultBlockParam
    | WebFetchToolResultBlockParam
    | BetaAdvisorToolResultBlockParam
    | CodeExecutionToolResultBlockParam
    | BashCodeExecutionToolResultBlockParam
    | TextEditorCodeExecutionToolResultBlockParam
    | ToolSearchToolResultBlockParam
    | BetaMCPToolUseBlockParam
    | BetaRequestMCPToolResultBlockParam
    | ContainerUploadBlockParam
    | BetaCompactionBlockParam
    | BetaRequestToolAdditionBlockParam
    | BetaRequestToolRemovalBlockParam
    | BetaMCPToolListingBlockParam
    | BetaFallbackBlockParam
    | BetaContentBlock
)


BetaMessageContentParam: TypeAlias = str | Iterable[BetaContentBlockParam]


class BetaUserMessageParam(TypedDict):
    content: BetaMessageContentParam
    role: Literal["user"]


class BetaAssistantMessageParam(TypedDict):
    content: BetaMessageContentParam
    role: Literal["assistant"]


class BetaSystemMessageOutputConfigParam(TypedDict, total=False):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None


class BetaSystemMessageParam(TypedDict, total=False):
    role: Required[Literal["system"]]
    clear_at: Literal["next_user_message", "never"] | None
    content: str | Iterable[TextBlockParam | BetaRequestToolAdditionBlockParam | BetaRequestToolRemovalBlockParam]
    output_config: BetaSystemMessageOutputConfigParam | None


BetaMessageParam: TypeAlias = BetaUserMessageParam | BetaAssistantMessageParam | BetaSystemMessageParam


class BetaBillingPolicyParam(TypedDict, total=False):
    type: Required[Literal["billing_policy"]]
    bill_to: BetaBillTo


class BetaCompactionConfigParam(TypedDict, total=False):
    type: Required[Literal["summarize"]]
    instructions: str | None


class BetaInputTokensClearAtLeastParam(TypedDict):
    type: Literal["input_tokens"]
    value: int


class BetaToolUsesKeepParam(TypedDict):
    type: Literal["tool_uses"]
    value: int


class BetaInputTokensTriggerParam(TypedDict):
    type: Literal["input_tokens"]
    value: int


class BetaToolUsesTriggerParam(TypedDict):
    type: Literal["tool_uses"]
    value: int


class BetaClearToolUses20250919EditParam(TypedDict, total=False):
    type: Required[Literal["clear_tool_uses_20250919"]]
    clear_at_least: BetaInputTokensClearAtLeastParam | None
    clear_tool_inputs: bool | SequenceNotStr[str] | None
    exclude_tools: SequenceNotStr[str] | None
    keep: BetaToolUsesKeepParam
    trigger: BetaInputTokensTriggerParam | BetaToolUsesTriggerParam


class BetaThinkingTurnsParam(TypedDict):
    type: Literal["thinking_turns"]
    value: int


class BetaAllThinkingTurnsParam(TypedDict):
    type: Literal["all"]


class BetaClearThinking20251015EditParam(TypedDict, total=False):
    type: Required[Literal["clear_thinking_20251015"]]
    keep: BetaThinkingTurnsParam | BetaAllThinkingTurnsParam | Literal["all"]


class BetaCompact20260112EditParam(TypedDict, total=False):
    type: Required[Literal["compact_20260112"]]
    instructions: str | None
    pause_after_compaction: bool
    trigger: BetaInputTokensTriggerParam | None


class BetaContextManagementConfigParam(TypedDict, total=False):
    edits: Iterable[
        BetaClearToolUses20250919EditParam | BetaClearThinking20251015EditParam | BetaCompact20260112EditParam
    ]


class BetaFallbackCreditTokenParam(TypedDict, total=False):
    token: Required[str]
    mode: Literal["strict", "best_effort"]


class BetaTokenTaskBudgetParam(TypedDict, total=False):
    total: Required[int]
    type: Required[Literal["tokens"]]
    remaining: int | None


class BetaOutputConfigParam(OutputConfigParam, total=False):
    task_budget: BetaTokenTaskBudgetParam | None


class BetaThinkingBlockBindingParam(TypedDict, total=False):
    prefix_mismatch_behavior: BetaThinkingPrefixMismatchBehavior | None


class BetaThinkingConfigEnabledParam(TypedDict, total=False):
    budget_tokens: Required[int]
    type: Required[Literal["enabled"]]
    block_binding: BetaThinkingBlockBindingParam | None
    display: Literal["summarized", "omitted", "updates"] | None


class BetaThinkingConfigAdaptiveParam(TypedDict, total=False):
    type: Required[Literal["adaptive"]]
    block_binding: BetaThinkingBlockBindingParam | None
    display: Literal["summarized", "omitted", "updates"] | None


class BetaFallbackParam(TypedDict, total=False):
    model: Required[ModelParam]
    max_tokens: int | None
    output_config: BetaOutputConfigParam | None
    speed: Literal["standard", "fast"] | None
    thinking: BetaThinkingConfigParam | None


BetaFallbacksParam: TypeAlias = Iterable[BetaFallbackParam] | Literal["default"]


class BetaRequestMCPServerToolConfigurationParam(TypedDict, total=False):
    allowed_tools: SequenceNotStr[str] | None
    enabled: bool | None


class BetaRequestMCPServerURLDefinitionParam(TypedDict, total=False):
    name: Required[str]
    type: Required[Literal["url"]]
    url: Required[str]
    authorization_token: str | None
    tool_configuration: BetaRequestMCPServerToolConfigurationParam | None


BetaThinkingConfigParam: TypeAlias = (
    BetaThinkingConfigEnabledParam
    | ThinkingConfigDisabledParam
    | ThinkingConfigBetweenToolsParam
    | BetaThinkingConfigAdaptiveParam
)


class BetaThreadCreateParams(TypedDict):
    type: Literal["create"]


class BetaThreadContinueParams(TypedDict):
    previous_message_id: str
    type: Literal["continue"]


BetaMessageThreadParam: TypeAlias = BetaThreadCreateParams | BetaThreadContinueParams


class BetaMessageCreateParamsBase(SamplingParams, total=False):
    max_tokens: Required[int]
    messages: Required[Iterable[BetaMessageParam]]
    model: Required[ModelParam]
    billing_policy: BetaBillingPolicyParam | None
    cache_control: CacheControlEphemeralParam | None
    compaction: BetaCompactionConfigParam | None
    container: MessageCreateParamsContainerParam | None
    context_management: BetaContextManagementConfigParam | None
    diagnostics: DiagnosticsParam | None
    fallback_credit_token: str | BetaFallbackCreditTokenParam | None
    fallbacks: BetaFallbacksParam | None
    inference_geo: str | None
    mcp_servers: Iterable[BetaRequestMCPServerURLDefinitionParam]
    metadata: MetadataParam
    output_config: BetaOutputConfigParam
    output_format: JSONOutputFormatParam | None  # as it was before `output_config.format`
    service_tier: Literal["auto", "standard_only"]
    speed: Literal["standard", "fast"] | None
    stop_sequences: SequenceNotStr[str]
    system: str | Iterable[TextBlockParam]
    thinking: BetaThinkingConfigParam
    thread: BetaMessageThreadParam | None
    tool_choice: ToolChoiceParam
    tools: Iterable[BetaToolUnionParam]
    betas: list[AnthropicBetaParam]
    user_profile_id: str
    workspace_id: str


class BetaMessageCreateParamsNonStreaming(BetaMessageCreateParamsBase, total=False):
    stream: Literal[False]


class BetaMessageCreateParamsStreaming(BetaMessageCreateParamsBase):
    stream: Required[Literal[True]]


BetaMessageCreateParams: TypeAlias = BetaMessageCreateParamsNonStreaming | BetaMessageCreateParamsStreaming


class BetaMessageCountTokensParams(TypedDict, total=False):
    messages: Required[Iterable[BetaMessageParam]]
    model: Required[ModelParam]
    billing_policy: BetaBillingPolicyParam | None
    cache_control: CacheControlEphemeralParam | None
    compaction: BetaCompactionConfigParam | None
    context_management: BetaContextManagementConfigParam | None
    mcp_servers: Iterable[BetaRequestMCPServerURLDefinitionParam]
    output_config: BetaOutputConfigParam
    output_format: JSONOutputFormatParam | None
    speed: Literal["standard", "fast"] | None
    system: str | Iterable[TextBlockParam]
    thinking: BetaThinkingConfigParam
    tool_choice: ToolChoiceParam
    tools: Iterable[BetaToolUnionParam]
    betas: list[AnthropicBetaParam]
    user_profile_id: str
    workspace_id: str


class BetaModelListParams(ModelListParams, total=False):
    betas: list[AnthropicBetaParam]


class BetaFileListParams(FileListParams, total=False):
    scope_id: str
    betas: list[AnthropicBetaParam]


class BetaFileUploadParams(FileUploadParams, total=False):
    betas: list[AnthropicBetaParam]


BetaBillTo: TypeAlias = Literal["self", "user_profile"]


BetaThinkingPrefixMismatchBehavior: TypeAlias = Literal["error", "drop_block"]
