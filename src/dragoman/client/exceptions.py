"""What a call may raise: one tree, a class for each thing a caller can do about it. SDK-30 to 33.

AnthropicError
├── APIError                      message, request, body
│   ├── APIConnectionError        no reply, or not a whole one
│   │   └── APITimeoutError
│   ├── APIResponseValidationError
│   └── APIStatusError            status_code, response, request_id, type, error_code, details
│       ├── BadRequestError 400, AuthenticationError 401, PaymentRequiredError 402, PermissionDeniedError 403,
│       │   NotFoundError 404, RequestTimeoutError 408, ConflictError 409, PreconditionFailedError 412,
│       │   ContentTooLargeError 413, UnprocessableEntityError 422, RateLimitError 429,
│       │   RequestHeaderFieldsTooLargeError 431, ClientClosedRequestError 499
│       └── InternalServerError   500 and above
│           └── HTTPNotImplementedError 501, ServiceUnavailableError 503, GatewayTimeoutError 504,
│               OverloadedError 529
└── RetryableError                raised by a caller's own code to be tried again
"""

from typing import TYPE_CHECKING, Any, ClassVar

from .guards import is_object
from .record import Record, build

if TYPE_CHECKING:
    from dragoman.types.names import ErrorType

    from .reply import Response, SentRequest

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AnthropicError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedRequestError",
    "ConflictError",
    "ContentTooLargeError",
    "DeadlineExceededError",
    "GatewayTimeoutError",
    "HTTPNotImplementedError",
    "InternalServerError",
    "NotFoundError",
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
    "UnprocessableEntityError",
    "status_error",
]


class AnthropicError(Exception):
    """Base of all that this client raises on purpose. Pickles with all its attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), self.__dict__


def _restored(cls: type[AnthropicError], args: tuple[Any, ...]) -> AnthropicError:
    return cls.__new__(cls, *args)


class APIError(AnthropicError):
    """A call failed. `body` is the reply's JSON, its text where it is none, None where there was no reply."""

    def __init__(self, message: str, request: "SentRequest", *, body: object | None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body


class APIConnectionError(APIError):
    """There is no reply, or it broke off."""

    def __init__(self, *, message: str = "Connection error.", request: "SentRequest") -> None:
        super().__init__(message, request, body=None)


class APITimeoutError(APIConnectionError):
    """A limit of the call's `Timeout` was reached."""

    def __init__(self, request: "SentRequest", *, message: str = "Request timed out.") -> None:
        super().__init__(message=message, request=request)


class APIResponseValidationError(APIError):
    """A reply came, and it is not what it says it is."""

    def __init__(self, response: "Response", body: object | None, *, message: str | None = None) -> None:
        super().__init__(message or "The reply is not of the expected form.", response.request, body=body)
        self.response = response
        self.status_code = response.status_code


class APIStatusError(APIError):
    """The API refused, or failed. `type` is the error's type on the wire, `error_code` and `details` what it adds.

    Branch on the class, on `type` and `error_code`; the wording of `api_message` may change.
    """

    status_code: int
    error_code: str | None  # of a class too, where the API has one for a code

    def __init__(self, message: str, *, response: "Response", body: object | None) -> None:
        super().__init__(message, response.request, body=body)
        self.response = response
        self.status_code = response.status_code
        self.request_id = response.headers.get("request-id")
        self.workspace_id = response.headers.get("anthropic-workspace-id")
        error = body.get("error") if is_object(body) else None
        if not is_object(error):
            error = {}
        details = error.get("details")
        code = details.get("error_code") if is_object(details) else None
        self.type: ErrorType | None = error.get("type")
        self.api_message: str | None = error.get("message")
        self.error_code = code if isinstance(code, str) else None
        self.details: Record | None = _details(details, self.error_code) if is_object(details) else None


def _details(details: dict[str, Any], code: str | None) -> Record:
    if code is None:
        return build(Record, dict(details))
    from dragoman.types.coded_errors import details_of_code  # most errors have no code

    return build(details_of_code(code), dict(details))


class BadRequestError(APIStatusError):
    pass


class AuthenticationError(APIStatusError):
    pass


class PaymentRequiredError(APIStatusError):
    pass


class PermissionDeniedError(APIStatusError):
    pass


class NotFoundError(APIStatusError):
    pass


class RequestTimeoutError(APIStatusError):
    pass


class ConflictError(APIStatusError):
    pass


class PreconditionFailedError(APIStatusError):
    pass


class ContentTooLargeError(APIStatusError):
    pass


class UnprocessableEntityError(APIStatusError):
    pass


class RateLimitError(APIStatusError):
    """A limit is used up. The reply's `retry-after` header tells the seconds to wait."""


class RequestHeaderFieldsTooLargeError(APIStatusError):
    pass


class ClientClosedRequestError(APIStatusError):
    pass


class InternalServerError(APIStatusError):
    """500 and above: a fault of the other side, which may pass."""


class HTTPNotImplementedError(InternalServerError):
    pass


class ServiceUnavailableError(InternalServerError):
    pass


class GatewayTimeoutError(InternalServerError):
    pass


class OverloadedError(InternalServerError):
    pass


class APIWebhookValidationError(APIError):
    """Never raised here: programs name it in `except`."""


class CredentialsError(AnthropicError):
    """Never raised here, as it is of ways to find credentials that this client does not go."""


class IdentityTokenFileError(CredentialsError):
    """As CredentialsError. `path` is the file."""

    def __init__(self, message: str, *, path: Any = None) -> None:
        super().__init__(message)
        self.path = path


class RetryableError(AnthropicError):
    """Raise it while a call is made (in a `credentials` function, for instance) to have the attempt repeated."""


RequestTooLargeError = ContentTooLargeError  # the older names
DeadlineExceededError = GatewayTimeoutError


class _Statuses:
    of: ClassVar[dict[int, type[APIStatusError]]] = {
        400: BadRequestError,
        401: AuthenticationError,
        402: PaymentRequiredError,
        403: PermissionDeniedError,
        404: NotFoundError,
        408: RequestTimeoutError,
        409: ConflictError,
        412: PreconditionFailedError,
        413: ContentTooLargeError,
        422: UnprocessableEntityError,
        429: RateLimitError,
        431: RequestHeaderFieldsTooLargeError,
        499: ClientClosedRequestError,
        501: HTTPNotImplementedError,
        503: ServiceUnavailableError,
        504: GatewayTimeoutError,
        529: OverloadedError,
    }


for _status, _class in _Statuses.of.items():
    _class.status_code = _status


def status_error(response: "Response", *, message: str | None = None, body: object = None) -> APIStatusError:
    """The error of a reply whose body has been read, unless `body` and `message` are given. SDK-30, 31."""
    if message is None:
        import json

        text = response.text.strip()
        try:
            body = json.loads(text)  # of the text: bytes that are no UTF-8 shall not hide what else is said
            message = f"Error code: {response.status_code} - {body}"
        except (ValueError, RecursionError):  # a proxy's page, or nothing; then the text says what there is to say
            body, message = text, text or f"Error code: {response.status_code}"
    return _class_of(response.status_code, body)(message, response=response, body=body)


def _class_of(status: int, body: object) -> type[APIStatusError]:
    match body:
        case {"error": {"details": {"error_code": str(code)}}}:
            from dragoman.types.coded_errors import class_of_code

            if (own := class_of_code(status, code)) is not None:
                return own
        case _:
            pass
    return _Statuses.of.get(status) or (InternalServerError if status >= 500 else APIStatusError)
