"""Modules that the official package has as files, and ours has not: `dragoman._exceptions`, `dragoman.lib.streaming`,
`dragoman.types.message_param`.

Programs import from them, and name them to `mock.patch`. The finder of the package, which comes after all others, asks
here; a module is made when it is asked for, and holds the very classes that clients use. Type checkers do not see them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MODULES", "is_known", "spec_of"]

ROOT = "dragoman"

# Package -> where to look for the class that a module in it is named after: `tool_param` holds `ToolParam`.
ONE_CLASS_EACH: Mapping[str, str] = {
    "types": "types",
    "types.beta": "types.beta",
    "types.beta.messages": "types.beta.messages",
    "types.messages": "types.messages",
    "types.shared": "types",
}
SIX = [(prefix, suffix) for prefix in ("", "Async") for suffix in ("", "WithRawResponse", "WithStreamingResponse")]


def _six(theirs: str, ours: str, views: str | None = None) -> str:
    """A resource, its twin for asyncio, and the raw views of both, by their names and by ours."""
    names = [
        f"{prefix}{theirs}{suffix}={prefix}{views if views and suffix else ours}{suffix}" for prefix, suffix in SIX
    ]
    return " ".join(names)


BATCHES = {"client.resources.batches": ""}
MESSAGES = {"client.resources.messages": ""}
MODELS = {"client.resources.models": _six("Models", "Models")}
FILES = {"client.resources.files": _six("Files", "Files")}
BETA = {"client.resources.beta": _six("Beta", "Beta")}
BETA_MESSAGES = {"client.resources.beta_messages": _six("Messages", "BetaMessages")}
BETA_MODELS = {"client.resources.beta": "Models=BetaModels AsyncModels=AsyncBetaModels"}
BETA_FILES = {"client.resources.beta": "Files=BetaFiles AsyncFiles=AsyncBetaFiles"}
STREAMS = {"client.message_stream": "AsyncMessageStream AsyncMessageStreamManager MessageStream MessageStreamManager"}
BETA_STREAMS = {"client.beta_message_stream": ""}
EVENTS = {
    "types.events": """
        ContentBlockStopEvent InputJsonEvent MessageStopEvent MessageStreamEvent ParsedContentBlockStopEvent
        ParsedMessageStopEvent ParsedMessageStreamEvent TextEvent
    """
}
BETA_EVENTS = {
    "types.beta.events": """
        BetaContentBlockStopEvent BetaInputJsonEvent BetaMessageStopEvent BetaMessageStreamEvent BetaTextEvent
        ParsedBetaContentBlockStopEvent ParsedBetaMessageStopEvent ParsedBetaMessageStreamEvent ParsedBetaTextEvent
    """
}
FUNCTIONS = {
    "client.tools.functions": """
        BetaAsyncBuiltinFunctionTool BetaAsyncFunctionTool BetaAsyncRunnableTool BetaBuiltinFunctionTool
        BetaFunctionTool BetaFunctionToolResultType BetaRunnableTool ToolError beta_async_tool beta_tool
    """
}
RUNNERS = {"client.tools.runner": ""}

# Module -> home -> names there, `theirs=ours` where ours is another; "" for all classes that it makes.
MODULES: Mapping[str, Mapping[str, str]] = {
    "_base_client": {
        "client.pages": "AsyncPaginator=AsyncPages PageInfo",
        "client.base": "BaseClient=ClientBase",
        "client.sync": "SyncAPIClient=Client",
        "client.aio": "AsyncAPIClient=AsyncClient",
        "client.httpx_clients": "DefaultAsyncHttpxClient DefaultHttpxClient",
    },
    "_client": {
        "client.sync": "Anthropic=Client Client",
        "client.aio": "AsyncAnthropic=AsyncClient AsyncClient",
        "client.resources.views": """
            AnthropicWithRawResponse=ClientWithRawResponse AnthropicWithStreamedResponse=ClientWithStreamingResponse
            AsyncAnthropicWithRawResponse=AsyncClientWithRawResponse
            AsyncAnthropicWithStreamedResponse=AsyncClientWithStreamingResponse
        """,
    },
    "_constants": {
        "client.call": "MODEL_NONSTREAMING_TOKENS=WHOLE_REPLY_TOKENS",
        "client.flow": "INITIAL_RETRY_DELAY=FIRST_DELAY_S MAX_RETRY_DELAY=LONGEST_DELAY_S",
        "client.httpx_clients": "DEFAULT_CONNECTION_LIMITS",
        "client.settings": "ANTHROPIC_API_VERSION=API_VERSION DEFAULT_MAX_RETRIES",
        "client.timeouts": "DEFAULT_TIMEOUT",
    },
    "_exceptions": {"client.exceptions": ""},
    "_models": {"client.record": "BaseModel=Record"},
    "_response": {
        "client.raw": """
            APIResponse AsyncAPIResponse AsyncBinaryAPIResponse AsyncResponseContextManager=AsyncOpenResponse
            AsyncStreamedBinaryAPIResponse=AsyncBinaryAPIResponse BinaryAPIResponse
            ResponseContextManager=OpenResponse StreamedBinaryAPIResponse=BinaryAPIResponse
        """
    },
    "_streaming": {"client.stream": ""},
    "_types": {
        "client.base": "BinaryTypes Body Headers Query RequestOptions",
        "client.given": "NOT_GIVEN NoneType NotGiven Omit not_given omit",
        "client.reply": "Response",
        "client.timeouts": "Timeout",
        "client.uploads": "FileContent FileTypes",
    },
    "_version": {"": "__title__ __version__"},
    "lib": {},
    "lib.streaming": STREAMS | BETA_STREAMS | EVENTS | BETA_EVENTS,
    "lib.streaming._beta_messages": BETA_STREAMS,
    "lib.streaming._beta_types": BETA_EVENTS,
    "lib.streaming._messages": STREAMS,
    "lib.streaming._types": EVENTS,
    "lib.tools": FUNCTIONS | RUNNERS,
    "lib.tools._beta_functions": FUNCTIONS,
    "lib.tools._beta_runner": RUNNERS,
    "resources": MESSAGES | MODELS | FILES | BETA,
    "resources.beta": {
        "client.resources.beta": " ".join([*BETA.values(), *BETA_MODELS.values(), *BETA_FILES.values()]),
        **BETA_MESSAGES,
    },
    "resources.beta.beta": BETA,
    "resources.beta.files": BETA_FILES,
    "resources.beta.messages": BETA_MESSAGES | BATCHES,
    "resources.beta.messages.batches": BATCHES,
    "resources.beta.messages.messages": BETA_MESSAGES,
    "resources.beta.models": BETA_MODELS,
    "resources.files": FILES,
    "resources.messages": MESSAGES | BATCHES,
    "resources.messages.batches": BATCHES,
    "resources.messages.messages": MESSAGES,
    "resources.models": MODELS,
    "types.beta.beta_raw_content_block_start_event": {
        "types.beta": "BetaRawContentBlockStartEvent ContentBlock=BetaContentBlock"
    },
    "types.beta.beta_raw_message_delta_event": {"types.beta": "BetaRawMessageDeltaEvent Delta=BetaMessageDelta"},
    "types.beta.beta_tool_param": {"types.beta": "BetaToolParam", "types": "InputSchema"},
    "types.beta.parsed_beta_message": {
        "types.beta": "ParsedBetaContentBlock ParsedBetaMessage",
        "types": "ParsedBetaTextBlock=ParsedTextBlock",
    },
    "types.content_block_start_event": {"types": "ContentBlock ContentBlockStartEvent"},
    "types.message_delta_event": {"types": "Delta=MessageDelta MessageDeltaEvent"},
    "types.parsed_message": {"types": "ParsedContentBlock ParsedMessage ParsedTextBlock"},
    "types.raw_content_block_start_event": {"types": "ContentBlock RawContentBlockStartEvent"},
    "types.raw_message_delta_event": {"types": "Delta=MessageDelta RawMessageDeltaEvent"},
    "types.shared": {
        "types": """
            APIErrorObject AuthenticationError AuthenticationErrorObject BillingError BillingErrorObject
            CMEKContextUnavailableError CMEKContextUnavailableErrorDetails CMEKKeyDisabledError
            CMEKKeyDisabledErrorDetails CMEKKeyNetworkBlockedError CMEKKeyNetworkBlockedErrorDetails
            CMEKKeyUnreachableError CMEKKeyUnreachableErrorDetails ClaudeCodeKeyCreatorNotMemberError
            ClaudeCodeKeyCreatorNotMemberErrorDetails ClaudeCodeVersionTooOldError
            ClaudeCodeVersionTooOldErrorDetails ContractSpendLimitReachedError
            ContractSpendLimitReachedErrorDetails EnforcedSpendLimitReachedError
            EnforcedSpendLimitReachedErrorDetails ErrorDetails ErrorObject ErrorResponse ErrorType
            GatewayTimeoutError GatewayTimeoutErrorObject InvalidRequestError InvalidRequestErrorObject
            LinkedOrganizationBillingUnavailableError LinkedOrganizationBillingUnavailableErrorDetails
            LinkedOrganizationSpendLimitReachedError LinkedOrganizationSpendLimitReachedErrorDetails
            NotFoundError NotFoundErrorObject OrganizationOnHoldError OrganizationOnHoldErrorDetails
            OrganizationTypeNotSupportedError OrganizationTypeNotSupportedErrorDetails OverloadedError
            OverloadedErrorObject ParentOrganizationRequiredError ParentOrganizationRequiredErrorDetails
            PermissionError PermissionErrorObject RampLimitExceededError RampLimitExceededErrorDetails
            RateLimitError RateLimitErrorObject RequestBodyEncodingInvalidError
            RequestBodyEncodingInvalidErrorDetails RequestBodyEncodingUnsupportedError
            RequestBodyEncodingUnsupportedErrorDetails RequestBodyTooLargeAfterDecodingError
            RequestBodyTooLargeAfterDecodingErrorDetails SandboxEgressRestrictedError
            SandboxEgressRestrictedErrorDetails
        """
    },
    "types.tool_param": {"types": "InputSchema ToolParam"},
    "types.web_search_tool_20250305_param": {"types": "UserLocation=UserLocationParam WebSearchTool20250305Param"},
}


def is_known(name: str) -> bool:
    """`name` is without the package's own: "lib.tools"."""
    return name in MODULES or bool(_named_after(name))


def spec_of(fullname: str) -> ModuleSpec | None:
    """For an import of `dragoman.x.y` that no file answers."""
    name = fullname.removeprefix(f"{ROOT}.")
    if not is_known(name):
        return None
    return ModuleSpec(fullname, _Maker(), is_package=_is_package(name))  # type: ignore[arg-type]  # has what it needs


class _Maker:
    """No child of `importlib.abc`, whose import takes 12 ms."""

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__.removeprefix(f"{ROOT}.")
        names = dict(_contents(name))
        module.__dict__.update(names, __all__=sorted(names))
        if _is_package(name):
            module.__dict__["__getattr__"] = _modules_within(name)


def _modules_within(package: str) -> Any:
    """`__getattr__` of a package: its modules are there without being imported one by one."""

    def find(name: str) -> ModuleType:
        if name.startswith("__") or not is_known(f"{package}.{name}"):
            raise AttributeError(f"module '{ROOT}.{package}' has no attribute {name!r}")
        return import_module(name=f"{ROOT}.{package}.{name}")

    return find


def _is_package(name: str) -> bool:
    return name in ONE_CLASS_EACH or any(other.startswith(f"{name}.") for other in MODULES)


def _contents(name: str) -> Iterator[tuple[str, Any]]:
    if name not in MODULES:
        home = _module(ONE_CLASS_EACH[name.rpartition(".")[0]])
        yield from ((each, getattr(home, each)) for each in _named_after(name))
    for path, names in MODULES.get(name, {}).items():
        home = _module(path)
        for theirs, _, ours in (each.partition("=") for each in names.split() or _classes(home)):
            yield theirs, getattr(home, ours or theirs)


def _named_after(name: str) -> list[str]:
    """`types.tool_search_tool_bm25_20251119_param` -> its class: compared without case and underscores."""
    package, _, module = name.rpartition(".")
    if package not in ONE_CLASS_EACH:
        return []
    wanted = module.replace("_", "")
    return [each for each in _module(ONE_CLASS_EACH[package]).__all__ if each.replace("_", "").lower() == wanted]


def _classes(home: ModuleType) -> list[str]:
    """The public ones that a module makes, by all their names."""
    kinds = [name for name, value in vars(home).items() if isinstance(value, type) and not name.startswith("_")]
    return [name for name in kinds if vars(home)[name].__module__ == home.__name__]


def _module(path: str) -> ModuleType:
    return import_module(name=f"{ROOT}.{path}".rstrip("."))
