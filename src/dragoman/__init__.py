"""dragoman: a self-hosted server that is the Claude API, in front of any model, and the Python client for that API.

    from dragoman import Anthropic    # or: import dragoman as anthropic

Importing the package loads nothing else: each name is loaded when it is first asked for. The server is `dragoman serve`
(see `dragoman.cli`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import types as types
    from .client.aio import AsyncClient as AsyncAnthropic
    from .client.aio import AsyncClient as AsyncClient
    from .client.exceptions import (
        AnthropicError,
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ClientClosedRequestError,
        ConflictError,
        ContentTooLargeError,
        DeadlineExceededError,
        GatewayTimeoutError,
        HTTPNotImplementedError,
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
    from .client.given import NOT_GIVEN, NotGiven, Omit, not_given, omit
    from .client.message_stream import (
        AsyncMessageStream,
        AsyncMessageStreamManager,
        MessageStream,
        MessageStreamManager,
    )
    from .client.parse import transform_schema
    from .client.raw import APIResponse, AsyncAPIResponse
    from .client.record import Record as BaseModel
    from .client.settings import DEFAULT_MAX_RETRIES
    from .client.stream import AsyncStream, Stream
    from .client.sync import Client as Anthropic
    from .client.sync import Client as Client
    from .client.timeouts import DEFAULT_TIMEOUT, Timeout
    from .client.tools.functions import ToolError, beta_async_tool, beta_tool
    from .client.uploads import file_from_path

__version__ = "0.1.0"

_HOMES = {
    "client.aio": "AsyncClient",
    "client.exceptions": "APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError "
    "AnthropicError AuthenticationError BadRequestError ClientClosedRequestError ConflictError ContentTooLargeError "
    "DeadlineExceededError GatewayTimeoutError HTTPNotImplementedError InternalServerError NotFoundError "
    "OverloadedError PaymentRequiredError PermissionDeniedError PreconditionFailedError RateLimitError "
    "RequestHeaderFieldsTooLargeError RequestTimeoutError RequestTooLargeError RetryableError "
    "ServiceUnavailableError UnprocessableEntityError",
    "client.given": "NOT_GIVEN NotGiven Omit not_given omit",
    "client.message_stream": "AsyncMessageStream AsyncMessageStreamManager MessageStream MessageStreamManager",
    "client.parse": "transform_schema",
    "client.raw": "APIResponse AsyncAPIResponse",
    "client.settings": "DEFAULT_MAX_RETRIES",
    "client.stream": "AsyncStream Stream",
    "client.sync": "Client",
    "client.timeouts": "DEFAULT_TIMEOUT Timeout",
    "client.tools.functions": "ToolError beta_async_tool beta_tool",
    "client.uploads": "file_from_path",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
_OTHER_NAMES = {"Anthropic": "Client", "AsyncAnthropic": "AsyncClient"}

__all__ = [
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
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
    "Client",
    "ClientClosedRequestError",
    "ConflictError",
    "ContentTooLargeError",
    "DeadlineExceededError",
    "GatewayTimeoutError",
    "HTTPNotImplementedError",
    "InternalServerError",
    "MessageStream",
    "MessageStreamManager",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OverloadedError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "RateLimitError",
    "RequestHeaderFieldsTooLargeError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "RetryableError",
    "ServiceUnavailableError",
    "Stream",
    "Timeout",
    "ToolError",
    "UnprocessableEntityError",
    "__version__",
    "beta_async_tool",
    "beta_tool",
    "file_from_path",
    "not_given",
    "omit",
    "transform_schema",
    "types",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "types":
        return import_module("dragoman.types")
    if name == "BaseModel":
        value = import_module("dragoman.client.record").Record
    elif (home := _HOME.get(_OTHER_NAMES.get(name, name))) is not None:
        value = getattr(import_module(f"dragoman.{home}"), _OTHER_NAMES.get(name, name))
    else:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
