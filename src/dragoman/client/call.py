"""One call of the API, as plain data: what to ask, and what the reply is to become. No I/O."""

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.http.base import Request

from .given import NOT_GIVEN, NotGiven, is_given
from .record import encode
from .settings import Settings
from .timeouts import DEFAULT_TIMEOUT, Timeout, for_transport, timeout_of

__all__ = ["Call", "Raw", "Result", "body_of", "must_be_quick"]

Result = Callable[["Call", Any, Any], Any]  # call, Response, client -> what the caller gets; see `results.py`

# A reply that takes longer than this is to be streamed: connections that are silent for so long break. SDK-21.
WHOLE_REPLY_S = 600.0
SECONDS_A_TOKEN = 3600 / 128_000
WHOLE_REPLY_TOKENS = {  # models that are slower than that
    "claude-opus-4-20250514": 8_192,
    "claude-opus-4-0": 8_192,
    "claude-4-opus-20250514": 8_192,
    "claude-opus-4-1": 8_192,
    "claude-opus-4-1-20250805": 8_192,
}


class Raw:
    """How much of a reply a caller wants to see for himself."""

    PARSED = 0
    READ = 1  # with_raw_response: the body is read, and parsed when asked for
    OPEN = 2  # with_streaming_response: the body is the caller's to read


class Call:
    """`path` is below the base URL, or a whole URL. `result` says what the decoded reply becomes."""

    __slots__ = ("body", "headers", "is_stream", "max_retries", "method", "path", "query", "result", "timeout")

    def __init__(
        self,
        method: str,
        path: str,
        result: Result,
        *,
        body: bytes = b"",
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        timeout: "float | Timeout | NotGiven | None" = NOT_GIVEN,
        is_stream: bool = False,
        max_retries: int | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.result = result
        self.body = body
        self.query = query
        self.headers = headers
        self.timeout = timeout
        self.is_stream = is_stream
        self.max_retries = max_retries

    def request(self, settings: Settings, *, retries_taken: int) -> Request:
        """What goes out. Raises TypeError when no credential is known: SDK-3."""
        headers = settings.request_headers(self.headers, retries_taken=retries_taken)
        if not self.body:
            headers = [(name, value) for name, value in headers if name != "content-type"]
        return Request(
            self.method,
            settings.url(self.path, self.query),
            headers,
            self.body,
            for_transport(timeout_of(self.timeout, settings.timeout)),
        )


def body_of(
    params: Mapping[str, Any], extra: Mapping[str, Any] | None = None, *, leave_out: frozenset[str] = frozenset()
) -> bytes:
    """A request's JSON: what was given of `params`, and `extra` over it. Raises TypeError for what JSON cannot hold."""
    fields = {name: value for name, value in params.items() if name not in leave_out and is_given(value)}
    if extra:
        fields |= {name: value for name, value in extra.items() if is_given(value)}
    return encode(fields)


def must_be_quick(params: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a whole reply that may outlast the time-out which nobody has chosen. Raises ValueError: SDK-21."""
    if is_given(params.get("timeout", NOT_GIVEN)) or settings.timeout != DEFAULT_TIMEOUT:
        return
    max_tokens = params.get("max_tokens")
    if not isinstance(max_tokens, int | float):
        return
    most = WHOLE_REPLY_TOKENS.get(str(params.get("model")))
    if max_tokens * SECONDS_A_TOKEN > WHOLE_REPLY_S or (most is not None and max_tokens > most):
        raise ValueError(
            "Streaming is required for operations that may take longer than 10 minutes. Use `stream=True` or "
            "`messages.stream()`, or give a `timeout`."
        )
