"""The beta's types. Most are those of `dragoman.types` under a name with `Beta` before it; the rest has more in it.

Loaded as `dragoman.types` is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.types.params.beta import *  # noqa: F403
    from dragoman.types.params.beta_tools import *  # noqa: F403

    from . import messages as messages
    from .content import *  # noqa: F403
    from .files import *  # noqa: F403
    from .models import *  # noqa: F403
    from .raw_events import *  # noqa: F403
    from .replies import *  # noqa: F403
    from .same import *  # noqa: F403
    from .tools import *  # noqa: F403
    from .toolsets import *  # noqa: F403

# Module -> what is defined in it.
_CONTENTS = {
    "beta.content": """
        BetaAdvisorRedactedResultBlock BetaAdvisorResultBlock BetaAdvisorToolResultBlock
        BetaAdvisorToolResultError BetaAdvisorToolResultErrorObject BetaCompactionBlock BetaContentBlock
        BetaFallbackBlock BetaFallbackInfo BetaFallbackRefusalTrigger BetaMCPToolListingBlock
        BetaMCPToolResultBlock BetaMCPToolUseBlock BetaResponseToolAdditionBlock
        BetaResponseToolChangeMCPToolReference BetaResponseToolChangeToolReference BetaResponseToolRemovalBlock
        BetaServerToolUseBlock
    """,
    "beta.files": """
        BetaFileMetadata BetaFileScope
    """,
    "beta.models": """
        BetaCompactionCapability BetaModelCapabilities BetaModelInfo
    """,
    "beta.raw_events": """
        BetaCompactionContentBlockDelta BetaMessageDelta BetaRawContentBlockDelta BetaRawContentBlockDeltaEvent
        BetaRawContentBlockStartEvent BetaRawMessageDeltaEvent BetaRawMessageStartEvent
        BetaRawMessageStreamEvent BetaThinkingDelta
    """,
    "beta.replies": """
        BetaAdvisorMessageIterationUsage BetaClearThinking20251015EditResponse
        BetaClearToolUses20250919EditResponse BetaCompactionIterationUsage BetaContextManagementResponse
        BetaCountTokensContextManagementResponse BetaFallbackCreditNotApplied BetaFallbackCreditRedeemed
        BetaFallbackCreditUsage BetaFallbackMessageIterationUsage BetaInputTransformation BetaIterationsUsage
        BetaMessage BetaMessageDeltaUsage BetaMessageIterationUsage BetaMessageTokensCount
        BetaRefusalStopDetails BetaStopReason BetaThinkingDroppedInputTransformation
        BetaThinkingMismatchAllowedInputTransformation BetaUsage ParsedBetaContentBlock ParsedBetaMessage
    """,
    "beta.tools": """
        BetaAdvisorTool20260301 BetaCitationsConfigParam BetaCodeExecutionTool20250522
        BetaCodeExecutionTool20250825 BetaCodeExecutionTool20260120 BetaCodeExecutionTool20260521 BetaMCPTool
        BetaMCPToolParam BetaMCPToolset BetaMemoryTool20250818 BetaMemoryTool20250818Command
        BetaMemoryTool20250818CreateCommand BetaMemoryTool20250818DeleteCommand
        BetaMemoryTool20250818InsertCommand BetaMemoryTool20250818RenameCommand
        BetaMemoryTool20250818StrReplaceCommand BetaMemoryTool20250818ViewCommand BetaResponseTool
        BetaResponseToolChangeMCPToolsetReference BetaResponseToolInputSchema BetaResponseToolUnion
        BetaToolBash20241022 BetaToolBash20250124 BetaToolChangeToolDefinition BetaToolComputerUse20241022
        BetaToolComputerUse20250124 BetaToolComputerUse20251124 BetaToolSearchToolBm25_20251119
        BetaToolSearchToolRegex20251119 BetaToolTextEditor20241022 BetaToolTextEditor20250124
        BetaToolTextEditor20250429 BetaToolTextEditor20250728 BetaUserLocation BetaWebFetchTool20250910
        BetaWebFetchTool20260209 BetaWebFetchTool20260309 BetaWebFetchTool20260318 BetaWebFetchURLSourceAll
        BetaWebFetchURLSourceExcept BetaWebFetchURLSourceNone BetaWebFetchURLSourceOnly
        BetaWebFetchURLSourceToolReference BetaWebFetchURLSources BetaWebSearchTool20250305
        BetaWebSearchTool20260209 BetaWebSearchTool20260318
    """,
    "beta.toolsets": """
        BetaBrowserCloseTabConfig BetaBrowserDoubleClickConfig BetaBrowserFileUploadConfig BetaBrowserFindConfig
        BetaBrowserFormInputConfig BetaBrowserGetPageTextConfig BetaBrowserHoldKeyConfig BetaBrowserHoverConfig
        BetaBrowserJavascriptExecConfig BetaBrowserKeyConfig BetaBrowserLeftClickConfig
        BetaBrowserLeftClickDragConfig BetaBrowserLeftMouseDownConfig BetaBrowserLeftMouseUpConfig
        BetaBrowserListTabsConfig BetaBrowserMiddleClickConfig BetaBrowserMouseMoveConfig
        BetaBrowserNavigateConfig BetaBrowserNewTabConfig BetaBrowserReadConsoleConfig
        BetaBrowserReadNetworkConfig BetaBrowserReadPageConfig BetaBrowserRightClickConfig
        BetaBrowserScreenshotConfig BetaBrowserScrollConfig BetaBrowserScrollToConfig BetaBrowserSwitchTabConfig
        BetaBrowserToolset20260801 BetaBrowserToolsetConfigs BetaBrowserTripleClickConfig BetaBrowserTypeConfig
        BetaBrowserWaitConfig BetaBrowserZoomConfig BetaCacheControlEphemeral BetaComputerCursorPositionConfig
        BetaComputerDoubleClickConfig BetaComputerHoldKeyConfig BetaComputerKeyConfig
        BetaComputerLeftClickConfig BetaComputerLeftClickDragConfig BetaComputerLeftMouseDownConfig
        BetaComputerLeftMouseUpConfig BetaComputerMiddleClickConfig BetaComputerMouseMoveConfig
        BetaComputerRightClickConfig BetaComputerScreenshotConfig BetaComputerScrollConfig
        BetaComputerToolset20260801 BetaComputerToolsetConfigs BetaComputerTripleClickConfig
        BetaComputerTypeConfig BetaComputerWaitConfig BetaComputerZoomConfig BetaMCPToolConfig
        BetaMCPToolDefaultConfig BetaToolsetMemberConfig
    """,
    "params.beta": """
        BetaAdvisorRedactedResultBlockParam BetaAdvisorResultBlockParam BetaAdvisorToolResultBlockParam
        BetaAdvisorToolResultErrorParam BetaAllThinkingTurnsParam BetaAssistantMessageParam BetaBillTo
        BetaBillingPolicyParam BetaClearThinking20251015EditParam BetaClearToolUses20250919EditParam
        BetaCompact20260112EditParam BetaCompactionBlockParam BetaCompactionConfigParam BetaContentBlockParam
        BetaContextManagementConfigParam BetaFallbackBlockParam BetaFallbackCreditTokenParam
        BetaFallbackInfoParam BetaFallbackParam BetaFallbacksParam BetaFileListParams BetaFileUploadParams
        BetaInputTokensClearAtLeastParam BetaInputTokensTriggerParam BetaMCPToolListingBlockParam
        BetaMCPToolUseBlockParam BetaMessageContentParam BetaMessageCountTokensParams BetaMessageCreateParams
        BetaMessageCreateParamsBase BetaMessageCreateParamsNonStreaming BetaMessageCreateParamsStreaming
        BetaMessageParam BetaMessageThreadParam BetaModelListParams BetaOutputConfigParam
        BetaRequestMCPServerToolConfigurationParam BetaRequestMCPServerURLDefinitionParam
        BetaRequestMCPToolResultBlockParam BetaRequestToolAdditionBlockParam BetaRequestToolRemovalBlockParam
        BetaServerToolUseBlockParam BetaSystemMessageOutputConfigParam BetaSystemMessageParam
        BetaThinkingBlockBindingParam BetaThinkingConfigAdaptiveParam BetaThinkingConfigEnabledParam
        BetaThinkingConfigParam BetaThinkingPrefixMismatchBehavior BetaThinkingTurnsParam
        BetaThreadContinueParams BetaThreadCreateParams BetaTokenTaskBudgetParam
        BetaToolChangeMCPToolReferenceParam BetaToolChangeMCPToolsetReferenceParam
        BetaToolChangeToolDefinitionParam BetaToolChangeToolReferenceParam BetaToolUsesKeepParam
        BetaToolUsesTriggerParam BetaUserMessageParam
    """,
    "params.beta_tools": """
        BetaAdvisorTool20260301Param BetaMCPToolConfigParam BetaMCPToolDefaultConfigParam BetaMCPToolParamParam
        BetaMCPToolsetParam BetaToolBash20241022Param BetaToolComputerUse20241022Param
        BetaToolComputerUse20250124Param BetaToolComputerUse20251124Param BetaToolTextEditor20241022Param
        BetaToolUnionParam
    """,
}
# Names that are one with the same name without `Beta` in `dragoman.types`.
_SAME = """
    Base64ImageSourceParam Base64PDFSource Base64PDFSourceParam BashCodeExecutionOutputBlock
    BashCodeExecutionOutputBlockParam BashCodeExecutionResultBlock BashCodeExecutionResultBlockParam
    BashCodeExecutionToolResultBlock BashCodeExecutionToolResultBlockParam BashCodeExecutionToolResultError
    BashCodeExecutionToolResultErrorObject BashCodeExecutionToolResultErrorParam BrowserClickTarget
    BrowserCloseTabConfigParam BrowserCloseTabInput BrowserCloseTabToolUseBlock BrowserCoordinateTarget
    BrowserDoubleClickConfigParam BrowserDoubleClickInput BrowserDoubleClickToolUseBlock
    BrowserFileUploadConfigParam BrowserFileUploadInput BrowserFileUploadToolUseBlock BrowserFindConfigParam
    BrowserFindInput BrowserFindToolUseBlock BrowserFormInputConfigParam BrowserFormInputInput
    BrowserFormInputToolUseBlock BrowserFormInputValue BrowserGetPageTextConfigParam BrowserGetPageTextInput
    BrowserGetPageTextToolUseBlock BrowserHoldKeyConfigParam BrowserHoldKeyInput BrowserHoldKeyToolUseBlock
    BrowserHoverConfigParam BrowserHoverInput BrowserHoverToolUseBlock BrowserJavascriptExecConfigParam
    BrowserJavascriptExecInput BrowserJavascriptExecToolUseBlock BrowserKeyConfigParam BrowserKeyInput
    BrowserKeyToolUseBlock BrowserLeftClickConfigParam BrowserLeftClickDragConfigParam BrowserLeftClickDragInput
    BrowserLeftClickDragToolUseBlock BrowserLeftClickInput BrowserLeftClickToolUseBlock
    BrowserLeftMouseDownConfigParam BrowserLeftMouseDownInput BrowserLeftMouseDownToolUseBlock
    BrowserLeftMouseUpConfigParam BrowserLeftMouseUpInput BrowserLeftMouseUpToolUseBlock BrowserListTabsConfigParam
    BrowserListTabsInput BrowserListTabsToolUseBlock BrowserMemberInput BrowserMemberName
    BrowserMiddleClickConfigParam BrowserMiddleClickInput BrowserMiddleClickToolUseBlock BrowserMouseMoveConfigParam
    BrowserMouseMoveInput BrowserMouseMoveToolUseBlock BrowserNavigateConfigParam BrowserNavigateInput
    BrowserNavigateToolUseBlock BrowserNewTabConfigParam BrowserNewTabInput BrowserNewTabToolUseBlock
    BrowserReadConsoleConfigParam BrowserReadConsoleInput BrowserReadConsoleToolUseBlock
    BrowserReadNetworkConfigParam BrowserReadNetworkInput BrowserReadNetworkToolUseBlock BrowserReadPageConfigParam
    BrowserReadPageFilter BrowserReadPageInput BrowserReadPageToolUseBlock BrowserRefTarget
    BrowserRightClickConfigParam BrowserRightClickInput BrowserRightClickToolUseBlock BrowserScreenshotConfigParam
    BrowserScreenshotInput BrowserScreenshotToolUseBlock BrowserScrollConfigParam BrowserScrollDirection
    BrowserScrollInput BrowserScrollToConfigParam BrowserScrollToInput BrowserScrollToToolUseBlock
    BrowserScrollToolUseBlock BrowserStateBlockParam BrowserStateChangeDownloadCompletedParam
    BrowserStateChangeDownloadFailedParam BrowserStateChangeDownloadStartedParam BrowserStateChangeParam
    BrowserStateChangeTabOpenedParam BrowserStateTabEntryParam BrowserSwitchTabConfigParam BrowserSwitchTabInput
    BrowserSwitchTabToolUseBlock BrowserToolUseBlock BrowserToolset20260801Param BrowserToolsetConfigsParam
    BrowserTripleClickConfigParam BrowserTripleClickInput BrowserTripleClickToolUseBlock BrowserTypeConfigParam
    BrowserTypeInput BrowserTypeToolUseBlock BrowserWaitConfigParam BrowserWaitInput BrowserWaitToolUseBlock
    BrowserZoomConfigParam BrowserZoomInput BrowserZoomToolUseBlock CacheControlEphemeralParam CacheCreation
    CacheMissMessagesChanged CacheMissModelChanged CacheMissPreviousMessageNotFound CacheMissReason
    CacheMissSystemChanged CacheMissToolsChanged CacheMissUnavailable CapabilitySupport CitationCharLocation
    CitationCharLocationParam CitationContentBlockLocation CitationContentBlockLocationParam CitationPageLocation
    CitationPageLocationParam CitationSearchResultLocationParam CitationWebSearchResultLocationParam CitationsDelta
    CitationsWebSearchResultLocation CodeExecutionOutputBlock CodeExecutionOutputBlockParam CodeExecutionResultBlock
    CodeExecutionResultBlockParam CodeExecutionTool20250522Param CodeExecutionTool20250825Param
    CodeExecutionTool20260120Param CodeExecutionTool20260521Param CodeExecutionToolResultBlock
    CodeExecutionToolResultBlockContent CodeExecutionToolResultBlockParam
    CodeExecutionToolResultBlockParamContentParam CodeExecutionToolResultError CodeExecutionToolResultErrorCode
    CodeExecutionToolResultErrorObject CodeExecutionToolResultErrorParam ComputerCursorPositionConfigParam
    ComputerCursorPositionInput ComputerCursorPositionToolUseBlock ComputerDoubleClickConfigParam
    ComputerDoubleClickInput ComputerDoubleClickToolUseBlock ComputerHoldKeyConfigParam ComputerHoldKeyInput
    ComputerHoldKeyToolUseBlock ComputerKeyConfigParam ComputerKeyInput ComputerKeyToolUseBlock
    ComputerLeftClickConfigParam ComputerLeftClickDragConfigParam ComputerLeftClickDragInput
    ComputerLeftClickDragToolUseBlock ComputerLeftClickInput ComputerLeftClickToolUseBlock
    ComputerLeftMouseDownConfigParam ComputerLeftMouseDownInput ComputerLeftMouseDownToolUseBlock
    ComputerLeftMouseUpConfigParam ComputerLeftMouseUpInput ComputerLeftMouseUpToolUseBlock ComputerMemberInput
    ComputerMemberName ComputerMiddleClickConfigParam ComputerMiddleClickInput ComputerMiddleClickToolUseBlock
    ComputerMouseMoveConfigParam ComputerMouseMoveInput ComputerMouseMoveToolUseBlock ComputerRightClickConfigParam
    ComputerRightClickInput ComputerRightClickToolUseBlock ComputerScreenshotConfigParam ComputerScreenshotInput
    ComputerScreenshotToolUseBlock ComputerScrollConfigParam ComputerScrollDirection ComputerScrollInput
    ComputerScrollToolUseBlock ComputerToolUseBlock ComputerToolset20260801Param ComputerToolsetConfigsParam
    ComputerTripleClickConfigParam ComputerTripleClickInput ComputerTripleClickToolUseBlock ComputerTypeConfigParam
    ComputerTypeInput ComputerTypeToolUseBlock ComputerWaitConfigParam ComputerWaitInput ComputerWaitToolUseBlock
    ComputerZoomConfigParam ComputerZoomInput ComputerZoomToolUseBlock Container ContainerParams ContainerSkill
    ContainerUploadBlock ContainerUploadBlockParam ContentBlockSourceContentParam ContentBlockSourceParam
    ContextManagementCapability DeletedFile Diagnostics DiagnosticsParam DirectCaller DirectCallerParam
    DocumentBlock EffortCapability EncryptedCodeExecutionResultBlock EncryptedCodeExecutionResultBlockParam
    FileDocumentSourceParam FileImageSourceParam ImageBlockParam ImageTransformationsParam InputJSONDelta
    JSONOutputFormatParam MemoryTool20250818Param MetadataParam ModelLine OutputTokensDetails PlainTextSource
    PlainTextSourceParam RawContentBlockStopEvent RawMessageStopEvent RedactedThinkingBlock
    RedactedThinkingBlockParam ResponseBrowserCloseTabToolUseBlock ResponseBrowserDoubleClickToolUseBlock
    ResponseBrowserFileUploadToolUseBlock ResponseBrowserFindToolUseBlock ResponseBrowserFormInputToolUseBlock
    ResponseBrowserGetPageTextToolUseBlock ResponseBrowserHoldKeyToolUseBlock ResponseBrowserHoverToolUseBlock
    ResponseBrowserJavascriptExecToolUseBlock ResponseBrowserKeyToolUseBlock
    ResponseBrowserLeftClickDragToolUseBlock ResponseBrowserLeftClickToolUseBlock
    ResponseBrowserLeftMouseDownToolUseBlock ResponseBrowserLeftMouseUpToolUseBlock
    ResponseBrowserListTabsToolUseBlock ResponseBrowserMiddleClickToolUseBlock ResponseBrowserMouseMoveToolUseBlock
    ResponseBrowserNavigateToolUseBlock ResponseBrowserNewTabToolUseBlock ResponseBrowserReadConsoleToolUseBlock
    ResponseBrowserReadNetworkToolUseBlock ResponseBrowserReadPageToolUseBlock ResponseBrowserRightClickToolUseBlock
    ResponseBrowserScreenshotToolUseBlock ResponseBrowserScrollToToolUseBlock ResponseBrowserScrollToolUseBlock
    ResponseBrowserSwitchTabToolUseBlock ResponseBrowserToolUseBlock ResponseBrowserTripleClickToolUseBlock
    ResponseBrowserTypeToolUseBlock ResponseBrowserWaitToolUseBlock ResponseBrowserZoomToolUseBlock
    ResponseComputerCursorPositionToolUseBlock ResponseComputerDoubleClickToolUseBlock
    ResponseComputerHoldKeyToolUseBlock ResponseComputerKeyToolUseBlock ResponseComputerLeftClickDragToolUseBlock
    ResponseComputerLeftClickToolUseBlock ResponseComputerLeftMouseDownToolUseBlock
    ResponseComputerLeftMouseUpToolUseBlock ResponseComputerMiddleClickToolUseBlock
    ResponseComputerMouseMoveToolUseBlock ResponseComputerRightClickToolUseBlock
    ResponseComputerScreenshotToolUseBlock ResponseComputerScrollToolUseBlock ResponseComputerToolUseBlock
    ResponseComputerTripleClickToolUseBlock ResponseComputerTypeToolUseBlock ResponseComputerWaitToolUseBlock
    ResponseComputerZoomToolUseBlock ResponseToolUseBlockUnion SearchResultBlockParam ServerToolCaller
    ServerToolCaller20260120 ServerToolCaller20260120Param ServerToolCallerParam ServerToolUsage
    ServerToolsCapability SignatureDelta SkillParams TextBlock TextBlockParam TextCitation TextCitationParam
    TextDelta TextEditorCodeExecutionCreateResultBlock TextEditorCodeExecutionCreateResultBlockParam
    TextEditorCodeExecutionStrReplaceResultBlock TextEditorCodeExecutionStrReplaceResultBlockParam
    TextEditorCodeExecutionToolResultBlock TextEditorCodeExecutionToolResultBlockParam
    TextEditorCodeExecutionToolResultError TextEditorCodeExecutionToolResultErrorObject
    TextEditorCodeExecutionToolResultErrorParam TextEditorCodeExecutionViewResultBlock
    TextEditorCodeExecutionViewResultBlockParam ThinkingBlock ThinkingBlockParam ThinkingCapability
    ThinkingConfigBetweenToolsParam ThinkingConfigDisabledParam ThinkingTypes ToolBash20250124Param
    ToolChoiceAnyParam ToolChoiceAutoParam ToolChoiceNoneParam ToolChoiceParam ToolChoiceToolParam ToolParam
    ToolReferenceBlock ToolReferenceBlockParam ToolResultBlockParam ToolSearchToolBm25_20251119Param
    ToolSearchToolRegex20251119Param ToolSearchToolResultBlock ToolSearchToolResultBlockParam
    ToolSearchToolResultError ToolSearchToolResultErrorObject ToolSearchToolResultErrorParam
    ToolSearchToolSearchResultBlock ToolSearchToolSearchResultBlockParam ToolTextEditor20250124Param
    ToolTextEditor20250429Param ToolTextEditor20250728Param ToolUseBlock ToolUseBlockParam ToolUseCaller
    ToolsetToolUseBlock URLImageSourceParam URLPDFSourceParam UserLocationParam WebFetchBlock WebFetchBlockParam
    WebFetchTool20250910Param WebFetchTool20260209Param WebFetchTool20260309Param WebFetchTool20260318Param
    WebFetchToolResultBlock WebFetchToolResultBlockParam WebFetchToolResultErrorBlock
    WebFetchToolResultErrorBlockParam WebFetchToolResultErrorCode WebFetchURLSourceAllParam
    WebFetchURLSourceExceptParam WebFetchURLSourceNoneParam WebFetchURLSourceOnlyParam
    WebFetchURLSourceToolReferenceParam WebFetchURLSourcesParam WebSearchResultBlock WebSearchResultBlockParam
    WebSearchTool20250305Param WebSearchTool20260209Param WebSearchTool20260318Param
    WebSearchToolRequestErrorObjectParam WebSearchToolRequestErrorParam WebSearchToolResultBlock
    WebSearchToolResultBlockContent WebSearchToolResultBlockParam WebSearchToolResultBlockParamContentParam
    WebSearchToolResultError WebSearchToolResultErrorCode WebSearchToolResultErrorObject
"""
# Name -> module and name there, where they are less alike.
_RENAMED = {
    "BETA_BROWSER_MEMBER_NAME_VALUES": ("browser", "BROWSER_MEMBER_NAME_VALUES"),
    "BETA_COMPUTER_MEMBER_NAME_VALUES": ("computer", "COMPUTER_MEMBER_NAME_VALUES"),
    "BetaBase64PDFBlockParam": ("params.content", "DocumentBlockParam"),  # as 0.74 called it; and so the next two
    "DeletedFile": ("files", "DeletedFile"),
    "FileMetadata": ("beta.files", "BetaFileMetadata"),
    "BetaCitationConfig": ("content", "CitationsConfig"),
    "BetaCitationSearchResultLocation": ("content", "CitationsSearchResultLocation"),
    "BetaCitationsConfigParamParam": ("params.content", "CitationsConfigParam"),
    "BetaRequestDocumentBlockParam": ("params.content", "DocumentBlockParam"),
    "FileListParams": ("params.beta", "BetaFileListParams"),
    "FileUploadParams": ("params.beta", "BetaFileUploadParams"),
    "MessageCountTokensParams": ("params.beta", "BetaMessageCountTokensParams"),
    "MessageCreateParams": ("params.beta", "BetaMessageCreateParams"),
    "ModelListParams": ("params.beta", "BetaModelListParams"),
}
_HOMES = {
    **{name: (module, name) for module, names in _CONTENTS.items() for name in names.split()},
    **{f"Beta{name}": ("", name) for name in _SAME.split()},
    **_RENAMED,
}

if not TYPE_CHECKING:
    __all__ = sorted([*_HOMES, "messages"])


def __getattr__(name: str) -> Any:
    if name == "messages":
        return import_module(name=f"{__name__}.messages")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _HOMES[name]
    found = globals()[name] = getattr(import_module(name=f"dragoman.types.{module}".rstrip(".")), there)
    return found


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
