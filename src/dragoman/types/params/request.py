"""Requests: messages, counts of tokens, batches, lists; and the settings in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Required, TypeAlias

from dragoman.types.names import ModelParam

from .content import CacheControlEphemeralParam, MessageParam, TextBlockParam
from .tools import MessageCountTokensToolParam, ToolUnionParam
from .typed import TypedDict
from .values import FileTypes, SequenceNotStr


class SkillParams(TypedDict, total=False):
    skill_id: Required[str]
    type: Required[Literal["anthropic", "custom"]]
    version: str


class ContainerParams(TypedDict, total=False):
    id: str | None
    skills: Iterable[SkillParams] | None


MessageCreateParamsContainerParam: TypeAlias = ContainerParams | str


class DiagnosticsParam(TypedDict, total=False):
    previous_message_id: str | None


class MetadataParam(TypedDict, total=False):
    user_id: str | None


class JSONOutputFormatParam(TypedDict):
    schema: dict[str, object]
    type: Literal["json_schema"]


class OutputConfigParam(TypedDict, total=False):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None
    format: JSONOutputFormatParam | None


class ThinkingConfigEnabledParam(TypedDict, total=False):
    budget_tokens: Required[int]
    type: Required[Literal["enabled"]]
    display: Literal["summarized", "omitted"] | None


class ThinkingConfigDisabledParam(TypedDict):
    type: Literal["disabled"]


class ThinkingConfigBetweenToolsParam(TypedDict):
    type: Literal["between_tools"]


class ThinkingConfigAdaptiveParam(TypedDict, total=False):
    type: Required[Literal["adaptive"]]
    display: Literal["summarized", "omitted"] | None


ThinkingConfigParam: TypeAlias = (
    ThinkingConfigEnabledParam
    | ThinkingConfigDisabledParam
    | ThinkingConfigBetweenToolsParam
    | ThinkingConfigAdaptiveParam
)


class ToolChoiceAutoParam(TypedDict, total=False):
    type: Required[Literal["auto"]]
    disable_parallel_tool_use: bool


class ToolChoiceAnyParam(TypedDict, total=False):
    type: Required[Literal["any"]]
    disable_parallel_tool_use: bool


class ToolChoiceToolParam(TypedDict, total=False):
    name: Required[str]
    type: Required[Literal["tool"]]
    disable_parallel_tool_use: bool


class ToolChoiceNoneParam(TypedDict):
    type: Literal["none"]


ToolChoiceParam: TypeAlias = ToolChoiceAutoParam | ToolChoiceAnyParam | ToolChoiceToolParam | ToolChoiceNoneParam


class SamplingParams(TypedDict, total=False):
    """What only older models take: newer ones refuse it with 400. MSG-60, SDK-8."""

    temperature: float
    top_k: int
    top_p: float


class MessageCreateParamsBase(SamplingParams, total=False):
    max_tokens: Required[int]
    messages: Required[Iterable[MessageParam]]
    model: Required[ModelParam]
    cache_control: CacheControlEphemeralParam | None
    container: MessageCreateParamsContainerParam | None
    diagnostics: DiagnosticsParam | None
    inference_geo: str | None
    metadata: MetadataParam
    output_config: OutputConfigParam
    service_tier: Literal["auto", "standard_only"]
    speed: Literal["standard", "fast"] | None
    stop_sequences: SequenceNotStr[str]
    system: str | Iterable[TextBlockParam]
    thinking: ThinkingConfigParam
    tool_choice: ToolChoiceParam
    tools: Iterable[ToolUnionParam]
    user_profile_id: str
    workspace_id: str


class MessageCreateParamsNonStreaming(MessageCreateParamsBase, total=False):
    stream: Literal[False]


class MessageCreateParamsStreaming(MessageCreateParamsBase):
    stream: Required[Literal[True]]


MessageCreateParams: TypeAlias = MessageCreateParamsNonStreaming | MessageCreateParamsStreaming


class MessageCountTokensParams(TypedDict, total=False):
    messages: Required[Iterable[MessageParam]]
    model: Required[ModelParam]
    cache_control: CacheControlEphemeralParam | None
    output_config: OutputConfigParam
    speed: Literal["standard", "fast"] | None
    system: str | Iterable[TextBlockParam]
    thinking: ThinkingConfigParam
    tool_choice: ToolChoiceParam
    tools: Iterable[MessageCountTokensToolParam]
    user_profile_id: str
    workspace_id: str


class ModelListParams(TypedDict, total=False):
    after_id: str
    before_id: str
    lifecycle: list[Literal["active", "deprecated", "retired"]]
    limit: int
    workspace_id: str


class FileListParams(TypedDict, total=False):
    ids: SequenceNotStr[str] | None
    limit: int
    page: str | None
    workspace_id: str


class FileUploadParams(TypedDict, total=False):
    file: Required[FileTypes]
    expires_in_seconds: int
    workspace_id: str
