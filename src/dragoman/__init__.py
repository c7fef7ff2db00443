"""dragoman: a self-hosted server that is the Claude API, in front of any model, and the Python client for that API.

    from dragoman import Anthropic    # or: import dragoman as anthropic

Importing the package loads nothing else: each name is loaded when it is first asked for. The server is `dragoman serve`
(see `dragoman.cli`). Its pytest plugin asserts nothing, so: PYTEST_DONT_REWRITE.
"""

import sys as _sys

TYPE_CHECKING = False  # type checkers take it for True by its name; `typing` itself takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

    from . import pagination as pagination
    from . import types as types
    from .client.aio import AsyncClient as AsyncAnthropic
    from .client.aio import AsyncClient as AsyncClient
    from .client.base import (
        RequestOptions,
    )
    from .client.beta_message_stream import (
        BetaAsyncMessageStream,
        BetaAsyncMessageStreamManager,
        BetaMessageStream,
        BetaMessageStreamManager,
    )
    from .client.exceptions import (
        AnthropicError,
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        APIWebhookValidationError,
        AuthenticationError,
        BadRequestError,
        ClientClosedRequestError,
        ConflictError,
        ContentTooLargeError,
        CredentialsError,
        DeadlineExceededError,
        GatewayTimeoutError,
        HTTPNotImplementedError,
        IdentityTokenFileError,
        InternalServerError,
        NotFoundError,
        OverloadedError,
        PaymentRequiredError,
        PermissionDeniedError,
        PreconditionFailedError,
        RateLimitError,
        RequestHeaderFieldsTooLargeError,
        RequestTimeoutError,
        RequestTooLargeError,
        RetryableError,
        ServiceUnavailableError,
        UnprocessableEntityError,
    )
    from .client.given import (
        NOT_GIVEN,
        NoneType,
        NotGiven,
        Omit,
        not_given,
        omit,
    )
    from .client.httpx_clients import (
        DEFAULT_CONNECTION_LIMITS,
        DefaultAsyncHttpxClient,
        DefaultHttpxClient,
    )
    from .client.message_stream import (
        AsyncMessageStream,
        AsyncMessageStreamManager,
        MessageStream,
        MessageStreamManager,
    )
    from .client.parse import (
        transform_schema,
    )
    from .client.raw import (
        APIResponse,
        AsyncAPIResponse,
    )
    from .client.record import Record as BaseModel
    from .client.settings import (
        DEFAULT_MAX_RETRIES,
    )
    from .client.stream import (
        AsyncStream,
        Stream,
    )
    from .client.sync import Client as Anthropic
    from .client.sync import Client as Client
    from .client.timeouts import (
        DEFAULT_TIMEOUT,
        Timeout,
    )
    from .client.tools.functions import (
        ToolError,
        beta_async_tool,
        beta_tool,
    )
    from .client.uploads import (
        file_from_path,
    )
    from .gateway.gateway import Gateway
    from .types.beta.events import (
        BetaContentBlockStopEvent,
        BetaInputJsonEvent,
        BetaMessageStopEvent,
        BetaMessageStreamEvent,
        BetaTextEvent,
        ParsedBetaContentBlockStopEvent,
        ParsedBetaMessageStopEvent,
        ParsedBetaMessageStreamEvent,
        ParsedBetaTextEvent,
    )
    from .types.coded_errors import (
        ClaudeCodeKeyCreatorNotMemberError,
        ClaudeCodeVersionTooOldError,
        CMEKContextUnavailableError,
        CMEKKeyDisabledError,
        CMEKKeyNetworkBlockedError,
        CMEKKeyUnreachableError,
        ContractSpendLimitReachedError,
        EnforcedSpendLimitReachedError,
        LinkedOrganizationBillingUnavailableError,
        LinkedOrganizationSpendLimitReachedError,
        OrganizationOnHoldError,
        OrganizationTypeNotSupportedError,
        ParentOrganizationRequiredError,
        RampLimitExceededError,
        RequestBodyEncodingInvalidError,
        RequestBodyEncodingUnsupportedError,
        RequestBodyTooLargeAfterDecodingError,
        SandboxEgressRestrictedError,
    )
    from .types.events import (
        ContentBlockStopEvent,
        InputJsonEvent,
        MessageStopEvent,
        MessageStreamEvent,
        ParsedContentBlockStopEvent,
        ParsedMessageStopEvent,
        ParsedMessageStreamEvent,
        TextEvent,
    )

__title__ = "dragoman"
__version__ = "0.1.0"

# Module -> what of it is public here.
_HOMES = {
    "client.aio": "AsyncClient",
    "client.base": "RequestOptions",
    "client.beta_message_stream": """
        BetaAsyncMessageStream BetaAsyncMessageStreamManager BetaMessageStream BetaMessageStreamManager
    """,
    "client.exceptions": """
        APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError
        APIWebhookValidationError AnthropicError AuthenticationError BadRequestError ClientClosedRequestError
        ConflictError ContentTooLargeError CredentialsError DeadlineExceededError GatewayTimeoutError
        HTTPNotImplementedError IdentityTokenFileError InternalServerError NotFoundError OverloadedError
        PaymentRequiredError PermissionDeniedError PreconditionFailedError RateLimitError
        RequestHeaderFieldsTooLargeError RequestTimeoutError RequestTooLargeError RetryableError
        ServiceUnavailableError UnprocessableEntityError
    """,
    "client.given": "NOT_GIVEN NoneType NotGiven Omit not_given omit",
    "client.httpx_clients": "DEFAULT_CONNECTION_LIMITS DefaultAsyncHttpxClient DefaultHttpxClient",
    "client.message_stream": "AsyncMessageStream AsyncMessageStreamManager MessageStream MessageStreamManager",
    "client.parse": "transform_schema",
    "client.raw": "APIResponse AsyncAPIResponse",
    "client.settings": "DEFAULT_MAX_RETRIES",
    "client.stream": "AsyncStream Stream",
    "client.sync": "Client",
    "client.timeouts": "DEFAULT_TIMEOUT Timeout",
    "client.tools.functions": "ToolError beta_async_tool beta_tool",
    "client.uploads": "file_from_path",
    "gateway.gateway": "Gateway",
    "types.beta.events": """
        BetaContentBlockStopEvent BetaInputJsonEvent BetaMessageStopEvent BetaMessageStreamEvent BetaTextEvent
        ParsedBetaContentBlockStopEvent ParsedBetaMessageStopEvent ParsedBetaMessageStreamEvent
        ParsedBetaTextEvent
    """,
    "types.coded_errors": """
        CMEKContextUnavailableError CMEKKeyDisabledError CMEKKeyNetworkBlockedError CMEKKeyUnreachableError
        ClaudeCodeKeyCreatorNotMemberError ClaudeCodeVersionTooOldError ContractSpendLimitReachedError
        EnforcedSpendLimitReachedError LinkedOrganizationBillingUnavailableError
        LinkedOrganizationSpendLimitReachedError OrganizationOnHoldError OrganizationTypeNotSupportedError
        ParentOrganizationRequiredError RampLimitExceededError RequestBodyEncodingInvalidError
        RequestBodyEncodingUnsupportedError RequestBodyTooLargeAfterDecodingError SandboxEgressRestrictedError
    """,
    "types.events": """
        ContentBlockStopEvent InputJsonEvent MessageStopEvent MessageStreamEvent ParsedContentBlockStopEvent
        ParsedMessageStopEvent ParsedMessageStreamEvent TextEvent
    """,
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
_OTHER_NAMES = {"Anthropic": "Client", "AsyncAnthropic": "AsyncClient"}

__all__ = [
    "DEFAULT_CONNECTION_LIMITS",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "APIWebhookValidationError",
    "Anthropic",
    "AnthropicError",
    "AsyncAPIResponse",
    "AsyncAnthropic",
    "AsyncClient",
    "AsyncMessageStream",
    "AsyncMessageStreamManager",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "BaseModel",
    "BetaAsyncMessageStream",
    "BetaAsyncMessageStreamManager",
    "BetaContentBlockStopEvent",
    "BetaInputJsonEvent",
    "BetaMessageStopEvent",
    "BetaMessageStream",
    "BetaMessageStreamEvent",
    "BetaMessageStreamManager",
    "BetaTextEvent",
    "CMEKContextUnavailableError",
    "CMEKKeyDisabledError",
    "CMEKKeyNetworkBlockedError",
    "CMEKKeyUnreachableError",
    "ClaudeCodeKeyCreatorNotMemberError",
    "ClaudeCodeVersionTooOldError",
    "Client",
    "ClientClosedRequestError",
    "ConflictError",
    "ContentBlockStopEvent",
    "ContentTooLargeError",
    "ContractSpendLimitReachedError",
    "CredentialsError",
    "DeadlineExceededError",
    "DefaultAsyncHttpxClient",
    "DefaultHttpxClient",
    "EnforcedSpendLimitReachedError",
    "Gateway",
    "GatewayTimeoutError",
    "HTTPNotImplementedError",
    "IdentityTokenFileError",
    "InputJsonEvent",
    "InternalServerError",
    "LinkedOrganizationBillingUnavailableError",
    "LinkedOrganizationSpendLimitReachedError",
    "MessageStopEvent",
    "MessageStream",
    "MessageStreamEvent",
    "MessageStreamManager",
    "NoneType",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OrganizationOnHoldError",
    "OrganizationTypeNotSupportedError",
    "OverloadedError",
    "ParentOrganizationRequiredError",
    "ParsedBetaContentBlockStopEvent",
    "ParsedBetaMessageStopEvent",
    "ParsedBetaMessageStreamEvent",
    "ParsedBetaTextEvent",
    "ParsedContentBlockStopEvent",
    "ParsedMessageStopEvent",
    "ParsedMessageStreamEvent",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "RampLimitExceededError",
    "RateLimitError",
    "RequestBodyEncodingInvalidError",
    "RequestBodyEncodingUnsupportedError",
    "RequestBodyTooLargeAfterDecodingError",
    "RequestHeaderFieldsTooLargeError",
    "RequestOptions",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "RetryableError",
    "SandboxEgressRestrictedError",
    "ServiceUnavailableError",
    "Stream",
    "TextEvent",
    "Timeout",
    "ToolError",
    "UnprocessableEntityError",
    "__title__",
    "__version__",
    "beta_async_tool",
    "beta_tool",
    "file_from_path",
    "not_given",
    "omit",
    "pagination",
    "transform_schema",
    "types",
]


def _is_elsewhere(name: str) -> bool:
    """Is it a module of the official package that is no file here? `client/paths.py` makes those."""
    if name in _HOME or name in _OTHER_NAMES or name.startswith("__"):
        return False
    from .client.paths import is_known

    return is_known(name)


class _Elsewhere:
    """The last to be asked for a module: files come first."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> "Any":
        if not fullname.startswith("dragoman."):
            return None
        from .client.paths import spec_of

        return spec_of(fullname)


_sys.meta_path.append(_Elsewhere)


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in ("pagination", "types") or _is_elsewhere(name):
        return import_module(f"dragoman.{name}")
    if name == "BaseModel":
        value = import_module("dragoman.client.record").Record
    elif (home := _HOME.get(_OTHER_NAMES.get(name, name))) is not None:
        value = getattr(import_module(f"dragoman.{home}"), _OTHER_NAMES.get(name, name))
    else:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted(__all__)
