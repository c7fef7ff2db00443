"""Keyword arguments of the client's methods, for `Unpack`: the body's parameters, and how the call is made.

As the TypedDicts of `params`, but an argument may also be `omit` or `NOT_GIVEN`. What a method spells out in its own
signature (`stream`, an `output_format` that is a type, the tools of a tool runner) is not in here. Each has all
that the official 2.11 takes; `SamplingArguments` are what 0.74 took too.

The client asks for keys at run time, so what is required stands in classes of its own: `Required` in an annotation
that is text is known to nobody. What annotations name is for type checkers, and takes too long to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict, TypeVar

from dragoman.client.given import NotGiven, Omit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dragoman.client.timeouts import Timeout

    from .names import AnthropicBetaParam, ModelParam
    from .params.batches import BetaRequest, Request
    from .params.beta import (
        BetaBillingPolicyParam,
        BetaCompactionConfigParam,
        BetaContextManagementConfigParam,
        BetaFallbackCreditTokenParam,
        BetaFallbacksParam,
        BetaMessageParam,
        BetaMessageThreadParam,
        BetaOutputConfigParam,
        BetaRequestMCPServerURLDefinitionParam,
        BetaThinkingConfigParam,
    )
    from .params.beta_tools import BetaToolUnionParam
    from .params.content import CacheControlEphemeralParam, MessageParam, TextBlockParam
    from .params.request import (
        DiagnosticsParam,
        MessageCreateParamsContainerParam,
        MetadataParam,
        OutputConfigParam,
        ThinkingConfigParam,
        ToolChoiceParam,
    )
    from .params.tools import ToolUnionParam
    from .params.values import FileTypes, SequenceNotStr

V = TypeVar("V")
Maybe: TypeAlias = V | Omit | NotGiven


class CallOptions(TypedDict, total=False):
    """How one call is made. `timeout` is in seconds; None is no limit. `extra_body` is laid over the body."""

    extra_headers: Mapping[str, str | Omit] | None
    extra_query: Mapping[str, object] | None
    extra_body: object | None
    timeout: float | Timeout | NotGiven | None


class WorkspaceOptions(CallOptions, total=False):
    workspace_id: Maybe[str]


class BetaOptions(WorkspaceOptions, total=False):
    betas: Maybe[list[AnthropicBetaParam]]


class SamplingArguments(TypedDict, total=False):
    temperature: Maybe[float]
    top_k: Maybe[int]
    top_p: Maybe[float]


# -- messages --


class _Asked(TypedDict):
    model: ModelParam
    messages: Iterable[MessageParam]


class _BetaAsked(TypedDict):
    model: ModelParam
    messages: Iterable[BetaMessageParam]


class _Limited(TypedDict):
    max_tokens: int


class _Common(WorkspaceOptions, total=False):
    """What counting tokens takes too."""

    cache_control: Maybe[CacheControlEphemeralParam | None]
    speed: Maybe[Literal["standard", "fast"] | None]
    system: Maybe[str | Iterable[TextBlockParam]]
    tool_choice: Maybe[ToolChoiceParam]
    user_profile_id: Maybe[str]


class _Writing(_Common, SamplingArguments, _Limited, total=False):
    """What it takes to have something written, in the beta and without."""

    container: Maybe[MessageCreateParamsContainerParam | None]
    diagnostics: Maybe[DiagnosticsParam | None]
    inference_geo: Maybe[str | None]
    metadata: Maybe[MetadataParam]
    service_tier: Maybe[Literal["auto", "standard_only"]]
    stop_sequences: Maybe[SequenceNotStr[str]]


class _PlainCommon(_Common, _Asked, total=False):
    output_config: Maybe[OutputConfigParam]
    thinking: Maybe[ThinkingConfigParam]
    tools: Maybe[Iterable[ToolUnionParam]]


class MessageStreamArguments(_PlainCommon, _Writing, total=False):
    """Of `messages.stream` and `messages.parse`: what `create` takes."""


class MessageCreateArguments(MessageStreamArguments, total=False):
    pass


class MessageCountTokensArguments(_PlainCommon, total=False):
    pass


# -- messages of the beta --


class SupportsToDict(Protocol):
    """A tool that knows what to send for it, such as a function under `@beta_tool`."""

    def to_dict(self) -> BetaToolUnionParam: ...


class _BetaCommon(BetaOptions, _BetaAsked, total=False):
    billing_policy: Maybe[BetaBillingPolicyParam | None]
    context_management: Maybe[BetaContextManagementConfigParam | None]
    mcp_servers: Maybe[Iterable[BetaRequestMCPServerURLDefinitionParam]]
    output_config: Maybe[BetaOutputConfigParam]
    thinking: Maybe[BetaThinkingConfigParam]


class _BetaWriting(_BetaCommon, _Writing, total=False):
    fallback_credit_token: Maybe[str | BetaFallbackCreditTokenParam | None]
    fallbacks: Maybe[BetaFallbacksParam | None]


class ToolRunnerArguments(_BetaWriting, total=False):
    """Of `beta.messages.tool_runner`, but for `tools`. `thread=False`: the whole history with each request (SDK-66)."""

    thread: Maybe[Literal[False] | None]


class BetaMessageStreamArguments(_BetaWriting, total=False):
    """Of `beta.messages.stream` and `beta.messages.parse`: what `create` takes."""

    compaction: Maybe[BetaCompactionConfigParam | None]
    thread: Maybe[BetaMessageThreadParam | None]
    tools: Maybe[Iterable[BetaToolUnionParam | SupportsToDict]]


class BetaMessageCreateArguments(BetaMessageStreamArguments, total=False):
    pass


class BetaMessageCountTokensArguments(_BetaCommon, _Common, total=False):
    compaction: Maybe[BetaCompactionConfigParam | None]
    tools: Maybe[Iterable[BetaToolUnionParam | SupportsToDict]]


# -- batches, models, files --


class _Requests(TypedDict):
    requests: Iterable[Request]


class _BetaRequests(TypedDict):
    requests: Iterable[BetaRequest | Request]  # the plain ones have fewer keys


class BatchCreateArguments(WorkspaceOptions, _Requests, total=False):
    user_profile_id: Maybe[str]


class BetaBatchCreateArguments(BetaOptions, _BetaRequests, total=False):
    user_profile_id: Maybe[str]


class _PageArguments(TypedDict, total=False):
    """A page of a list that is walked by the ids of its items."""

    after_id: Maybe[str]
    before_id: Maybe[str]
    limit: Maybe[int]


class BatchListArguments(_PageArguments, WorkspaceOptions, total=False):
    pass


class BetaBatchListArguments(_PageArguments, BetaOptions, total=False):
    pass


class ModelListArguments(BatchListArguments, total=False):
    lifecycle: Maybe[list[Literal["active", "deprecated", "retired"]]]


class BetaModelListArguments(BetaBatchListArguments, total=False):
    lifecycle: Maybe[list[Literal["active", "deprecated", "retired"]]]


class _FilePageArguments(_PageArguments, total=False):
    """`page` is the `next_page` of the page before. `after_id` and `before_id` are of older servers."""

    ids: Maybe[SequenceNotStr[str] | None]
    page: Maybe[str | None]


class FileListArguments(_FilePageArguments, WorkspaceOptions, total=False):
    pass


class BetaFileListArguments(_FilePageArguments, BetaOptions, total=False):
    scope_id: Maybe[str]


class _Upload(TypedDict):
    file: FileTypes


class FileUploadArguments(WorkspaceOptions, _Upload, total=False):
    expires_in_seconds: Maybe[int]


class BetaFileUploadArguments(BetaOptions, _Upload, total=False):
    expires_in_seconds: Maybe[int]
