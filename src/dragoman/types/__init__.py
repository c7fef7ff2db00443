"""What the API sends and takes: classes for replies, TypedDicts for requests. Names are those of the official package.

Each module is loaded when one of its names is first asked for; `beta` and `messages` hold the rest. `import *` in here
is for type checkers only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import beta as beta
    from . import messages as messages
    from .browser import *  # noqa: F403
    from .coded_errors import *  # noqa: F403
    from .computer import *  # noqa: F403
    from .content import *  # noqa: F403
    from .errors import *  # noqa: F403
    from .files import *  # noqa: F403
    from .models import *  # noqa: F403
    from .names import *  # noqa: F403
    from .params.content import *  # noqa: F403
    from .params.request import *  # noqa: F403
    from .params.tools import *  # noqa: F403
    from .params.toolsets import *  # noqa: F403
    from .raw_events import *  # noqa: F403
    from .replies import *  # noqa: F403

# Module -> what is defined in it.
_CONTENTS = {
    "browser": """
        BROWSER_MEMBER_NAME_VALUES BrowserClickTarget BrowserCloseTabInput BrowserCloseTabToolUseBlock
        BrowserCoordinateTarget BrowserDoubleClickInput BrowserDoubleClickToolUseBlock BrowserFileUploadInput
        BrowserFileUploadToolUseBlock BrowserFindInput BrowserFindToolUseBlock BrowserFormInputInput
        BrowserFormInputToolUseBlock BrowserFormInputValue BrowserGetPageTextInput
        BrowserGetPageTextToolUseBlock BrowserHoldKeyInput BrowserHoldKeyToolUseBlock BrowserHoverInput
        BrowserHoverToolUseBlock BrowserJavascriptExecInput BrowserJavascriptExecToolUseBlock BrowserKeyInput
        BrowserKeyToolUseBlock BrowserLeftClickDragInput BrowserLeftClickDragToolUseBlock BrowserLeftClickInput
        BrowserLeftClickToolUseBlock BrowserLeftMouseDownInput BrowserLeftMouseDownToolUseBlock
        BrowserLeftMouseUpInput BrowserLeftMouseUpToolUseBlock BrowserListTabsInput BrowserListTabsToolUseBlock
        BrowserMemberInput BrowserMemberName BrowserMiddleClickInput BrowserMiddleClickToolUseBlock
        BrowserMouseMoveInput BrowserMouseMoveToolUseBlock BrowserNavigateInput BrowserNavigateToolUseBlock
        BrowserNewTabInput BrowserNewTabToolUseBlock BrowserReadConsoleInput BrowserReadConsoleToolUseBlock
        BrowserReadNetworkInput BrowserReadNetworkToolUseBlock BrowserReadPageFilter BrowserReadPageInput
        BrowserReadPageToolUseBlock BrowserRefTarget BrowserRightClickInput BrowserRightClickToolUseBlock
        BrowserScreenshotInput BrowserScreenshotToolUseBlock BrowserScrollDirection BrowserScrollInput
        BrowserScrollToInput BrowserScrollToToolUseBlock BrowserScrollToolUseBlock BrowserSwitchTabInput
        BrowserSwitchTabToolUseBlock BrowserToolUseBlock BrowserTripleClickInput BrowserTripleClickToolUseBlock
        BrowserTypeInput BrowserTypeToolUseBlock BrowserWaitInput BrowserWaitToolUseBlock BrowserZoomInput
        BrowserZoomToolUseBlock ResponseBrowserCloseTabToolUseBlock ResponseBrowserDoubleClickToolUseBlock
        ResponseBrowserFileUploadToolUseBlock ResponseBrowserFindToolUseBlock
        ResponseBrowserFormInputToolUseBlock ResponseBrowserGetPageTextToolUseBlock
        ResponseBrowserHoldKeyToolUseBlock ResponseBrowserHoverToolUseBlock
        ResponseBrowserJavascriptExecToolUseBlock ResponseBrowserKeyToolUseBlock
        ResponseBrowserLeftClickDragToolUseBlock ResponseBrowserLeftClickToolUseBlock
        ResponseBrowserLeftMouseDownToolUseBlock ResponseBrowserLeftMouseUpToolUseBlock
        ResponseBrowserListTabsToolUseBlock ResponseBrowserMiddleClickToolUseBlock
        ResponseBrowserMouseMoveToolUseBlock ResponseBrowserNavigateToolUseBlock
        ResponseBrowserNewTabToolUseBlock ResponseBrowserReadConsoleToolUseBlock
        ResponseBrowserReadNetworkToolUseBlock ResponseBrowserReadPageToolUseBlock
        ResponseBrowserRightClickToolUseBlock ResponseBrowserScreenshotToolUseBlock
        ResponseBrowserScrollToToolUseBlock ResponseBrowserScrollToolUseBlock
        ResponseBrowserSwitchTabToolUseBlock ResponseBrowserToolUseBlock ResponseBrowserTripleClickToolUseBlock
        ResponseBrowserTypeToolUseBlock ResponseBrowserWaitToolUseBlock ResponseBrowserZoomToolUseBlock
    """,
    "coded_errors": """
        AvailableToolsLimitExceededError BetaOrganizationNotEnrolledInBetaError BetaRequestBodyTimeoutError
        BetaUnsupportedCharsetError CMEKContextUnavailableError CMEKKeyDisabledError CMEKKeyNetworkBlockedError
        CMEKKeyUnreachableError ClaudeCodeKeyCreatorNotMemberError ClaudeCodeVersionTooOldError
        CompactionBlockAmbiguousError CompactionBlockMisplacedError CompactionContentMismatchError
        CompactionIncompleteTurnError CompactionNothingToSummarizeError CompactionSignatureInvalidError
        CompactionTooManyToolReferencesError CompactionToolChangesMismatchError CompactionUnavailableError
        ConcurrentMembershipChangeError ContractSpendLimitReachedError EnforcedSpendLimitReachedError
        FileExpiredError FileNotDownloadableError LinkedOrganizationBillingUnavailableError
        LinkedOrganizationSpendLimitReachedError OrgMemberLimitExceededError OrganizationOnHoldError
        OrganizationTypeNotSupportedError ParentOrganizationRequiredError RBACRoleNotFoundError
        RampLimitExceededError RequestBodyEncodingInvalidError RequestBodyEncodingUnsupportedError
        RequestBodyTooLargeAfterDecodingError SandboxEgressRestrictedError SkillReadBlockedUndecryptableError
        StorageQuotaExceededError ThreadAlreadyContinuedError ThreadContinueInFlightError
        ThreadFingerprintMismatchError ThreadNotFoundError ThreadUnsupportedRequestError ToolNameConflictError
        ToolReferenceUnresolvedError UserProfileBillingNotAuthorizedError UserProfileNotBillableError
        UserProfileNotFoundError UserProfileRequiredError
    """,
    "computer": """
        COMPUTER_MEMBER_NAME_VALUES ComputerCursorPositionInput ComputerCursorPositionToolUseBlock
        ComputerDoubleClickInput ComputerDoubleClickToolUseBlock ComputerHoldKeyInput
        ComputerHoldKeyToolUseBlock ComputerKeyInput ComputerKeyToolUseBlock ComputerLeftClickDragInput
        ComputerLeftClickDragToolUseBlock ComputerLeftClickInput ComputerLeftClickToolUseBlock
        ComputerLeftMouseDownInput ComputerLeftMouseDownToolUseBlock ComputerLeftMouseUpInput
        ComputerLeftMouseUpToolUseBlock ComputerMemberInput ComputerMemberName ComputerMiddleClickInput
        ComputerMiddleClickToolUseBlock ComputerMouseMoveInput ComputerMouseMoveToolUseBlock
        ComputerRightClickInput ComputerRightClickToolUseBlock ComputerScreenshotInput
        ComputerScreenshotToolUseBlock ComputerScrollDirection ComputerScrollInput ComputerScrollToolUseBlock
        ComputerToolUseBlock ComputerTripleClickInput ComputerTripleClickToolUseBlock ComputerTypeInput
        ComputerTypeToolUseBlock ComputerWaitInput ComputerWaitToolUseBlock ComputerZoomInput
        ComputerZoomToolUseBlock ResponseComputerCursorPositionToolUseBlock
        ResponseComputerDoubleClickToolUseBlock ResponseComputerHoldKeyToolUseBlock
        ResponseComputerKeyToolUseBlock ResponseComputerLeftClickDragToolUseBlock
        ResponseComputerLeftClickToolUseBlock ResponseComputerLeftMouseDownToolUseBlock
        ResponseComputerLeftMouseUpToolUseBlock ResponseComputerMiddleClickToolUseBlock
        ResponseComputerMouseMoveToolUseBlock ResponseComputerRightClickToolUseBlock
        ResponseComputerScreenshotToolUseBlock ResponseComputerScrollToolUseBlock ResponseComputerToolUseBlock
        ResponseComputerTripleClickToolUseBlock ResponseComputerTypeToolUseBlock
        ResponseComputerWaitToolUseBlock ResponseComputerZoomToolUseBlock ResponseToolUseBlockUnion
        ToolsetToolUseBlock
    """,
    "content": """
        Base64PDFSource BashCodeExecutionOutputBlock BashCodeExecutionResultBlock
        BashCodeExecutionToolResultBlock BashCodeExecutionToolResultError BashCodeExecutionToolResultErrorCode
        BashCodeExecutionToolResultErrorObject CitationCharLocation CitationContentBlockLocation
        CitationPageLocation CitationsConfig CitationsSearchResultLocation CitationsWebSearchResultLocation
        CodeExecutionOutputBlock CodeExecutionResultBlock CodeExecutionToolResultBlock
        CodeExecutionToolResultBlockContent CodeExecutionToolResultError CodeExecutionToolResultErrorCode
        CodeExecutionToolResultErrorObject ContainerUploadBlock ContentBlock DirectCaller DocumentBlock
        EncryptedCodeExecutionResultBlock PlainTextSource RedactedThinkingBlock ServerToolCaller
        ServerToolCaller20260120 ServerToolUseBlock TextBlock TextCitation
        TextEditorCodeExecutionCreateResultBlock TextEditorCodeExecutionStrReplaceResultBlock
        TextEditorCodeExecutionToolResultBlock TextEditorCodeExecutionToolResultError
        TextEditorCodeExecutionToolResultErrorCode TextEditorCodeExecutionToolResultErrorObject
        TextEditorCodeExecutionViewResultBlock ThinkingBlock ToolReferenceBlock ToolSearchToolResultBlock
        ToolSearchToolResultError ToolSearchToolResultErrorCode ToolSearchToolResultErrorObject
        ToolSearchToolSearchResultBlock ToolUseBlock ToolUseCaller WebFetchBlock WebFetchToolResultBlock
        WebFetchToolResultErrorBlock WebFetchToolResultErrorCode WebSearchResultBlock WebSearchToolResultBlock
        WebSearchToolResultBlockContent WebSearchToolResultError WebSearchToolResultErrorCode
        WebSearchToolResultErrorObject
    """,
    "errors": """
        APIErrorObject AuthenticationError AuthenticationErrorObject AvailableToolsLimitExceededErrorDetails
        BetaAPIError BetaAPIErrorObject BetaAuthenticationError BetaAuthenticationErrorObject BetaBillingError
        BetaBillingErrorObject BetaError BetaErrorObject BetaErrorResponse BetaGatewayTimeoutError
        BetaGatewayTimeoutErrorObject BetaInvalidRequestError BetaInvalidRequestErrorObject BetaNotFoundError
        BetaNotFoundErrorObject BetaOrganizationNotEnrolledInBetaErrorDetails BetaOverloadedError
        BetaOverloadedErrorObject BetaPermissionError BetaPermissionErrorObject BetaRateLimitError
        BetaRateLimitErrorObject BetaRequestBodyTimeoutErrorDetails BetaUnsupportedCharsetErrorDetails
        BillingError BillingErrorObject CMEKContextUnavailableErrorDetails CMEKKeyDisabledErrorDetails
        CMEKKeyNetworkBlockedErrorDetails CMEKKeyUnreachableErrorDetails
        ClaudeCodeKeyCreatorNotMemberErrorDetails ClaudeCodeVersionTooOldErrorDetails
        CompactionBlockAmbiguousErrorDetails CompactionBlockMisplacedErrorDetails
        CompactionContentMismatchErrorDetails CompactionIncompleteTurnErrorDetails
        CompactionNothingToSummarizeErrorDetails CompactionSignatureInvalidErrorDetails
        CompactionTooManyToolReferencesErrorDetails CompactionToolChangesMismatchErrorDetails
        CompactionUnavailableErrorDetails ConcurrentMembershipChangeErrorDetails
        ContractSpendLimitReachedErrorDetails EnforcedSpendLimitReachedErrorDetails ErrorDetails ErrorObject
        ErrorResponse FileExpiredErrorDetails FileNotDownloadableErrorDetails GatewayTimeoutError
        GatewayTimeoutErrorObject InvalidRequestError InvalidRequestErrorObject
        LinkedOrganizationBillingUnavailableErrorDetails LinkedOrganizationSpendLimitReachedErrorDetails
        NotFoundError NotFoundErrorObject OrgMemberLimitExceededErrorDetails OrganizationOnHoldErrorDetails
        OrganizationTypeNotSupportedErrorDetails OverloadedError OverloadedErrorObject
        ParentOrganizationRequiredErrorDetails PermissionError PermissionErrorObject
        RBACRoleNotFoundErrorDetails RampLimitExceededErrorDetails RateLimitError RateLimitErrorObject
        RequestBodyEncodingInvalidErrorDetails RequestBodyEncodingUnsupportedErrorDetails
        RequestBodyTooLargeAfterDecodingErrorDetails SandboxEgressRestrictedErrorDetails
        SkillReadBlockedUndecryptableErrorDetails StorageQuotaExceededErrorDetails
        ThreadAlreadyContinuedErrorDetails ThreadContinueInFlightErrorDetails
        ThreadFingerprintMismatchErrorDetails ThreadNotFoundErrorDetails ThreadUnsupportedFeatureName
        ThreadUnsupportedRequestErrorDetails ToolNameConflictErrorDetails ToolReferenceUnresolvedErrorDetails
        UserProfileBillingNotAuthorizedErrorDetails UserProfileNotBillableErrorDetails
        UserProfileNotFoundErrorDetails UserProfileRequiredErrorDetails
    """,
    "files": """
        DeletedFile FileMetadata
    """,
    "models": """
        CapabilitySupport ContextManagementCapability EffortCapability ModelCapabilities ModelInfo
        ServerToolsCapability ThinkingCapability ThinkingTypes
    """,
    "names": """
        AllowedCaller AnthropicBetaParam ErrorType Model ModelLine ModelParam StopReason
    """,
    "params.content": """
        AssistantMessageParam Base64ImageSourceParam Base64PDFSourceParam BashCodeExecutionOutputBlockParam
        BashCodeExecutionResultBlockParam BashCodeExecutionToolResultBlockParam
        BashCodeExecutionToolResultErrorParam BrowserStateBlockParam BrowserStateChangeDownloadCompletedParam
        BrowserStateChangeDownloadFailedParam BrowserStateChangeDownloadStartedParam BrowserStateChangeParam
        BrowserStateChangeTabOpenedParam BrowserStateTabEntryParam CacheControlEphemeralParam
        CitationCharLocationParam CitationContentBlockLocationParam CitationPageLocationParam
        CitationSearchResultLocationParam CitationWebSearchResultLocationParam CitationsConfigParam
        CodeExecutionOutputBlockParam CodeExecutionResultBlockParam CodeExecutionToolResultBlockParam
        CodeExecutionToolResultBlockParamContentParam CodeExecutionToolResultErrorParam
        ContainerUploadBlockParam ContentBlockParam ContentBlockSourceContentParam ContentBlockSourceParam
        DirectCallerParam DocumentBlockParam EncryptedCodeExecutionResultBlockParam FileDocumentSourceParam
        FileImageSourceParam ImageBlockParam ImageTransformationsParam MessageContentParam MessageParam
        PlainTextSourceParam RedactedThinkingBlockParam SearchResultBlockParam ServerToolCaller20260120Param
        ServerToolCallerParam ServerToolUseBlockParam SystemMessageParam TextBlockParam TextCitationParam
        TextEditorCodeExecutionCreateResultBlockParam TextEditorCodeExecutionStrReplaceResultBlockParam
        TextEditorCodeExecutionToolResultBlockParam TextEditorCodeExecutionToolResultErrorParam
        TextEditorCodeExecutionViewResultBlockParam ThinkingBlockParam ToolReferenceBlockParam
        ToolResultBlockParam ToolSearchToolResultBlockParam ToolSearchToolResultErrorParam
        ToolSearchToolSearchResultBlockParam ToolUseBlockParam ToolUseCallerParam URLImageSourceParam
        URLPDFSourceParam UserMessageParam WebFetchBlockParam WebFetchToolResultBlockParam
        WebFetchToolResultErrorBlockParam WebSearchResultBlockParam WebSearchToolRequestErrorObjectParam
        WebSearchToolRequestErrorParam WebSearchToolResultBlockParam WebSearchToolResultBlockParamContentParam
    """,
    "params.request": """
        ContainerParams DiagnosticsParam FileListParams FileUploadParams JSONOutputFormatParam
        MessageCountTokensParams MessageCreateParams MessageCreateParamsBase MessageCreateParamsContainerParam
        MessageCreateParamsNonStreaming MessageCreateParamsStreaming MetadataParam ModelListParams
        OutputConfigParam SamplingParams SkillParams ThinkingConfigAdaptiveParam ThinkingConfigBetweenToolsParam
        ThinkingConfigDisabledParam ThinkingConfigEnabledParam ThinkingConfigParam ToolChoiceAnyParam
        ToolChoiceAutoParam ToolChoiceNoneParam ToolChoiceParam ToolChoiceToolParam
    """,
    "params.tools": """
        CodeExecutionTool20250522Param CodeExecutionTool20250825Param CodeExecutionTool20260120Param
        CodeExecutionTool20260521Param InputSchema InputSchemaTyped MemoryTool20250818Param
        MessageCountTokensToolParam ToolBash20250124Param ToolParam ToolSearchToolBm25_20251119Param
        ToolSearchToolRegex20251119Param ToolTextEditor20250124Param ToolTextEditor20250429Param
        ToolTextEditor20250728Param ToolUnionParam UserLocationParam WebFetchTool20250910Param
        WebFetchTool20260209Param WebFetchTool20260309Param WebFetchTool20260318Param WebFetchURLSourceAllParam
        WebFetchURLSourceExceptParam WebFetchURLSourceNoneParam WebFetchURLSourceOnlyParam
        WebFetchURLSourceToolReferenceParam WebFetchURLSourcesParam WebSearchTool20250305Param
        WebSearchTool20260209Param WebSearchTool20260318Param
    """,
    "params.toolsets": """
        BrowserCloseTabConfigParam BrowserDoubleClickConfigParam BrowserFileUploadConfigParam
        BrowserFindConfigParam BrowserFormInputConfigParam BrowserGetPageTextConfigParam
        BrowserHoldKeyConfigParam BrowserHoverConfigParam BrowserJavascriptExecConfigParam BrowserKeyConfigParam
        BrowserLeftClickConfigParam BrowserLeftClickDragConfigParam BrowserLeftMouseDownConfigParam
        BrowserLeftMouseUpConfigParam BrowserListTabsConfigParam BrowserMiddleClickConfigParam
        BrowserMouseMoveConfigParam BrowserNavigateConfigParam BrowserNewTabConfigParam
        BrowserReadConsoleConfigParam BrowserReadNetworkConfigParam BrowserReadPageConfigParam
        BrowserRightClickConfigParam BrowserScreenshotConfigParam BrowserScrollConfigParam
        BrowserScrollToConfigParam BrowserSwitchTabConfigParam BrowserToolset20260801Param
        BrowserToolsetConfigsParam BrowserTripleClickConfigParam BrowserTypeConfigParam BrowserWaitConfigParam
        BrowserZoomConfigParam ComputerCursorPositionConfigParam ComputerDoubleClickConfigParam
        ComputerHoldKeyConfigParam ComputerKeyConfigParam ComputerLeftClickConfigParam
        ComputerLeftClickDragConfigParam ComputerLeftMouseDownConfigParam ComputerLeftMouseUpConfigParam
        ComputerMiddleClickConfigParam ComputerMouseMoveConfigParam ComputerRightClickConfigParam
        ComputerScreenshotConfigParam ComputerScrollConfigParam ComputerToolset20260801Param
        ComputerToolsetConfigsParam ComputerTripleClickConfigParam ComputerTypeConfigParam
        ComputerWaitConfigParam ComputerZoomConfigParam ToolsetMemberConfigParam
    """,
    "raw_events": """
        CitationsDelta ContentBlockDeltaEvent ContentBlockStartEvent ContentBlockStopEvent InputJSONDelta
        MessageDelta MessageDeltaEvent MessageStartEvent MessageStopEvent MessageStreamEvent
        RawContentBlockDelta RawContentBlockDeltaEvent RawContentBlockStartEvent RawContentBlockStopEvent
        RawMessageDeltaEvent RawMessageStartEvent RawMessageStopEvent RawMessageStreamEvent SignatureDelta
        TextDelta ThinkingDelta
    """,
    "replies": """
        CacheCreation CacheMissMessagesChanged CacheMissModelChanged CacheMissPreviousMessageNotFound
        CacheMissReason CacheMissSystemChanged CacheMissToolsChanged CacheMissUnavailable Container
        ContainerSkill Diagnostics Message MessageDeltaUsage MessageTokensCount OutputTokensDetails
        ParsedContentBlock ParsedMessage ParsedTextBlock RefusalStopDetails ServerToolUsage Usage
    """,
}
_HOMES = {name: module for module, names in _CONTENTS.items() for name in names.split()}

if not TYPE_CHECKING:
    __all__ = sorted([*_HOMES, "beta", "messages"])


def __getattr__(name: str) -> Any:
    if name in ("beta", "messages"):
        return import_module(name=f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(name=f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
