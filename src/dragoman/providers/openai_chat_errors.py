"""What errors of Chat Completions servers mean in the tree of ours, in the provider's words.

A prompt that is too long is worded as the API words it, for clients know by those words that they must compact.
Source: OpenAI's documentation, "Error codes"; messages of vLLM, SGLang, llama.cpp, Mistral, OpenRouter, LM Studio, xAI,
Moonshot, Model Studio, Z.AI, Together and GitHub Models in public issues, read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)

__all__ = ["error_in_place", "error_of"]

_CLASSES = (
    InvalidRequest, Unauthenticated, BillingProblem, PermissionDenied, NotFound, Conflict, RequestTooLarge, RateLimited,
    UpstreamTimeout, Overloaded,
)  # fmt: skip
_BY_STATUS: Mapping[int, type[ApiError]] = {
    **{each.status: each for each in _CLASSES},
    408: UpstreamTimeout,
    498: Overloaded,  # Groq: capacity exceeded
    503: Overloaded,
}
# `code` or `type` of an error that says no status -> status
_STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "BadRequestError": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
    "service_unavailable": 503,
    "unavailable_error": 503,
}
_TOO_LONG_CODES = (
    "context_length_exceeded",
    "exceed_context_size_error",
    "tokens_limit_reached",  # GitHub Models: 413
    "1261",  # Z.AI
)
_TOO_LONG = re.compile(
    r"maximum context length|available context size|model's context length|exceeds? the context (?:length|window)"
    r"|context length of only|larger than the context"
    r"|maximum prompt length is"  # xAI
    r"|exceeded model token limit"  # Moonshot
    r"|Range of input length should be"  # Model Studio
    r"|Prompt exceeds max length"  # Z.AI
    r"|`inputs` tokens \+ `max_new_tokens` must be"  # Hugging Face's server, and Together
    r"|prompt \(length \d+\) is longer than the maximum model length|your request has \d+ input tokens"  # vLLM
    r"|Input length \(\d+ tokens\) exceeds the maximum allowed length"  # SGLang
    r"|body too large for .{1,200} Max size: \d+ tokens",  # GitHub Models
    re.IGNORECASE,
)
_UNSEEN = re.compile(r"(?:image|audio|video) input is not supported")  # llama.cpp: 500, which no other try helps
_VEILED = "provider returned error"  # OpenRouter's message: what the provider said is in `metadata.raw`
_NUMBER = r"(\d[\d,]{0,15})"
_WINDOW = tuple(
    re.compile(each)
    for each in (
        rf"(?:context (?:length|size|window)\D{{0,30}}?|with model with ){_NUMBER}",
        rf"{_NUMBER} maximum context",
        rf"maximum prompt length is {_NUMBER}",
        rf"token limit: {_NUMBER}",
        rf"`max_new_tokens` must be <= {_NUMBER}",
        rf"maximum model length of {_NUMBER}",
        rf"maximum allowed length \({_NUMBER} tokens\)",
    )
)
# What a prompt is made of, where the parts are told: their sum counts.
_PARTS = re.compile(
    rf"{_NUMBER} (?:in the (?:messages|functions)|in your prompt|(?:tokens )?from the input messages"
    r"|of \w{1,20} input)"
)
_PROMPT = tuple(
    re.compile(each)
    for each in (
        rf"messages resulted in {_NUMBER} tokens",
        rf"(?:has|passed) {_NUMBER} input tokens",
        rf"contains? (?:at least )?{_NUMBER} (?:input )?tokens",
        rf"request \({_NUMBER} tokens\)",
        rf"[Ii]nput (?:length )?\({_NUMBER} tokens\)",
        rf"prompt \(length {_NUMBER}\)",
        rf"Given: {_NUMBER} `inputs` tokens",
        rf"the first {_NUMBER} tokens",
        rf"requested(?: about|:)? {_NUMBER}(?: tokens|\))",
    )
)
_OUTPUT = tuple(
    re.compile(each)
    for each in (
        rf"{_NUMBER} (?:tokens )?(?:in|for) the (?:completion|output)",
        rf"tokens' is too large: {_NUMBER}",
        rf"requested {_NUMBER} output tokens",
        rf"and {_NUMBER} `max_new_tokens`",
    )
)


def error_of(status: int, body: bytes, *, secret: str | None = None) -> ApiError:
    """`secret` is the key that was sent: there are servers that repeat it in their errors."""
    told = _told(body)
    message = _message(told) or f"The upstream answered with status {status}."
    if secret:
        message = message.replace(secret, "[key]")
    return _error(status, message, told)


def error_in_place(error: Any, *, secret: str | None = None) -> ApiError:
    """Of an error that came where a reply, or a piece of one, was due: its code where that tells a status."""
    status = _status_in(error)
    return error_of(status, msgspec.json.encode({"error": error}), secret=secret)


def _error(status: int, message: str, told: Mapping[str, Any]) -> ApiError:
    if status in (400, 413, 422, 500) and (too_long := _too_long(message, told)) is not None:
        return InvalidRequest(too_long)
    if status == 500 and _UNSEEN.search(message):
        return InvalidRequest(message)
    if told.get("code") == "insufficient_quota":  # a 429 that no waiting helps
        return BillingProblem(message)
    if (cls := _BY_STATUS.get(status)) is not None:
        return cls(message)
    return InvalidRequest(message) if 400 <= status < 500 else UpstreamFailed(message)


def _too_long(message: str, told: Mapping[str, Any]) -> str | None:
    """In the words that clients look for; None for another error.

    A prompt that fits, and is too long only together with the answer's limit, is told apart: a smaller limit helps.
    """
    codes = {str(told.get(name)) for name in ("code", "type")}
    if codes.isdisjoint(_TOO_LONG_CODES) and not _TOO_LONG.search(message):
        return None
    prompt, window = told.get("n_prompt_tokens"), told.get("n_ctx")  # llama.cpp says them
    if not isinstance(prompt, int) or not isinstance(window, int):
        prompt, window = _prompt_in(message), _first(_WINDOW, message)
    if prompt is None or window is None:
        return f"prompt is too long: {message}"
    if prompt >= window:
        return f"prompt is too long: {prompt} tokens > {window} maximum"
    output = _first(_OUTPUT, message)
    if output is None or prompt + output <= window:  # not what it says, so in its own words
        return f"prompt is too long: {message}"
    return (
        f"input length and `max_tokens` exceed context limit: {prompt} + {output} > {window}, "
        "decrease input length or `max_tokens` and try again"
    )


def _prompt_in(message: str) -> int | None:
    if parts := _PARTS.findall(message):
        return sum(map(_int, parts))
    return _first(_PROMPT, message)


def _first(patterns: tuple[re.Pattern[str], ...], message: str) -> int | None:
    for pattern in patterns:
        if found := pattern.search(message):
            return _int(found[1])
    return None


def _int(digits: str) -> int:
    return int(digits.replace(",", ""))


def _status_in(error: Any) -> int:
    if not isinstance(error, dict):
        return 500
    for name in ("code", "status", "type"):
        value = error.get(name)
        if isinstance(value, str):
            value = int(value) if value.isascii() and value.isdigit() else _STATUS_OF_CODE.get(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 500


def _told(body: bytes) -> Mapping[str, Any]:
    """The error object, in any of its forms; empty for a proxy's page, which is not the caller's business."""
    told = _error_in(_decoded(body))
    return told if _message(told).casefold() != _VEILED else _unveiled(told)


def _unveiled(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the provider behind OpenRouter said, as JSON or as a text; its status is OpenRouter's."""
    metadata = told.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str):
        inner = _error_in(raw)
    elif raw.lstrip()[:1] in ("{", "[", '"'):
        inner = _error_in(_decoded(raw.encode())) or {"message": raw}
    else:
        inner = {} if raw.lstrip()[:5].casefold() in ("<html", "<!doc") else {"message": raw}
    return inner if _message(inner) else told


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _error_in(told: Any) -> Mapping[str, Any]:
    if isinstance(told, list) and told:  # Gemini's server
        told = told[0]
    error = told.get("error", told) if isinstance(told, dict) else told
    return error if isinstance(error, dict) else {"message": error}


def _message(told: Mapping[str, Any]) -> str:
    for name in ("message", "detail"):
        if isinstance(message := told.get(name), str) and message:
            return message
    return ""
