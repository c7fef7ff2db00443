"""Arguments of a method -> the call that it makes. Pure, and the same for threads and asyncio."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from dragoman.client import deprecated
from dragoman.client.call import Call, Result, body_of, must_be_quick
from dragoman.client.given import NOT_GIVEN, is_given, omit
from dragoman.client.settings import Settings

__all__ = [
    "NOT_IN_BODY",
    "body_of",
    "by_id",
    "call",
    "checked",
    "count_tokens",
    "create_message",
    "listing",
    "message_stream",
    "required",
    "version_for",
    "with_format",
]

OPTIONS = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
AS_HEADERS = {"user_profile_id": "anthropic-user-profile-id", "workspace_id": "anthropic-workspace-id"}
NOT_IN_BODY = OPTIONS | frozenset(AS_HEADERS) | {"betas"}
COUNTING_BETA = "token-counting-2024-11-01"
SAMPLING = ("temperature", "top_k", "top_p")
SAMPLING_VERSION = "2023-06-01"  # of the API: the last that has them. MSG-3
HELPER_STREAM = {"x-stainless-helper-method": "stream", "x-stainless-stream-helper": "messages"}  # SDK-6


@cache
def _known(arguments: str) -> tuple[frozenset[str], frozenset[str]]:
    """Keys that a class of `types/arguments.py` has, and those that it needs. Loaded at the first call, not before."""
    from dragoman.types import arguments as module

    cls = getattr(module, arguments)
    return cls.__required_keys__ | cls.__optional_keys__, cls.__required_keys__


def checked(method: str, arguments: str, given: Mapping[str, Any]) -> None:
    """Raises TypeError for an argument that the method does not have, or lacks: before anything is sent."""
    known, needed = _known(arguments)
    if not known >= given.keys():
        name = min(given.keys() - known)
        raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
    missing = sorted(name for name in needed if name not in given or not is_given(given[name]))
    if missing:
        raise TypeError(f"{method}() is missing {', '.join(repr(name) for name in missing)}")


def headers_of(given: Mapping[str, Any], ours: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """`ours`, what arguments say in headers, and the caller's `extra_headers` over them."""
    headers: dict[str, Any] = dict(ours or {})
    betas = given.get("betas")
    if betas is not None and is_given(betas):
        headers["anthropic-beta"] = ",".join(str(beta) for beta in betas)
    for name, header in AS_HEADERS.items():
        if (value := given.get(name)) is not None and is_given(value):
            headers[header] = value
    extra = given.get("extra_headers")
    if not headers:
        return extra  # nearly always: nothing to merge
    lower = {name.lower() for name in extra or ()}
    return {name: value for name, value in headers.items() if name.lower() not in lower} | dict(extra or {})


def call(
    method: str,
    path: str,
    result: Result,
    given: Mapping[str, Any],
    *,
    body: bytes = b"",
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    is_stream: bool = False,
) -> Call:
    """A call with the options that every method has."""
    extra_query = given.get("extra_query")
    return Call(
        method,
        path,
        result,
        body=body,
        query={**(query or {}), **extra_query} if extra_query else query,
        headers=headers_of(given, headers),
        timeout=given.get("timeout", NOT_GIVEN),
        is_stream=is_stream,
    )


def create_message(
    given: Mapping[str, Any],
    result: Result,
    settings: Settings,
    arguments: str,
    *,
    stream: bool,
    output_format: Any = omit,
    method: str = "create",
    headers: Mapping[str, Any] | None = None,
) -> Call:
    """POST /v1/messages. Raises TypeError and, for a whole reply that would take too long, ValueError (SDK-21)."""
    checked(method, arguments, given)
    if not stream:
        must_be_quick(given, settings)
    deprecated.warn_of(given["model"], given.get("thinking"))
    params = with_format(given, output_format)
    if stream:
        params = {**params, "stream": True}
    body = body_of(params, given.get("extra_body"), leave_out=NOT_IN_BODY)
    headers = {**(headers or {}), **version_for([given], settings)}
    return call("POST", "/v1/messages", result, given, body=body, headers=headers, is_stream=stream)


def version_for(requests: Iterable[Mapping[str, Any]], settings: Settings) -> dict[str, str]:
    """The header that asks for an older version of the API, where only that takes a request; unless the client has one
    of its own."""
    if not any(each.get(name) is not None and is_given(each[name]) for each in requests for name in SAMPLING):
        return {}
    is_chosen = any(name.lower() == "anthropic-version" for name in settings.headers)
    return {} if is_chosen else {"anthropic-version": SAMPLING_VERSION}


def message_stream(
    given: Mapping[str, Any], result: Result, settings: Settings, arguments: str, *, output_format: Any
) -> Call:
    return create_message(
        given,
        result,
        settings,
        arguments,
        output_format=output_format,
        stream=True,
        method="stream",
        headers=HELPER_STREAM,
    )


def count_tokens(
    given: Mapping[str, Any], result: Result, arguments: str, *, output_format: Any, is_beta: bool
) -> Call:
    checked("count_tokens", arguments, given)
    params = with_format(given, output_format)
    if is_beta:  # SDK-52
        betas = given.get("betas")
        given = {**given, "betas": [*(betas if betas is not None and is_given(betas) else ()), COUNTING_BETA]}
    body = body_of(params, given.get("extra_body"), leave_out=NOT_IN_BODY)
    return call("POST", "/v1/messages/count_tokens", result, given, body=body)


def with_format(given: Mapping[str, Any], wanted: Any) -> Mapping[str, Any]:
    """`output_format`, a type or a format of the wire, becomes `output_config.format`. SDK-53."""
    if wanted is None or not is_given(wanted):
        return given
    if not isinstance(wanted, Mapping):
        from dragoman.client.parse import format_of

        wanted = format_of(wanted)
    config = given.get("output_config")
    return {**given, "output_config": {**(config if isinstance(config, Mapping) else {}), "format": wanted}}


def listing(path: str, result: Result, given: Mapping[str, Any], *, arguments: str) -> Call:
    checked("list", arguments, given)
    query = {name: value for name, value in given.items() if name not in NOT_IN_BODY and is_given(value)}
    return call("GET", path, result, given, query=query)


def required(value: Any, name: str) -> str:
    """An id, fit for a path. Raises ValueError for an empty one and for dots, which would ask for something else."""
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise ValueError(f"`{name}` must be an id, not {value!r}")
    return quote(value, safe="")


def by_id(
    method: str,
    path: str,
    result: Result,
    given: Mapping[str, Any],
    *,
    arguments: str = "BetaOptions",
    name: str = "retrieve",
    headers: Mapping[str, Any] | None = None,
) -> Call:
    """A call that says all in its path."""
    checked(name, arguments, given)
    return call(method, path, result, given, headers=headers)
