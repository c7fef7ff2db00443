"""From the body of a request to its typed form: first the shape, then the rules, in the API's words.

Only a target that translates, or an engine of our own, needs this: for pass-through the upstream judges. The order is
that of MSG-32: shape, betas, version, conversation, tools, model rules. Pure.
"""

from collections.abc import Sequence
from typing import Any

from dragoman.errors import InvalidRequest

from . import modelrules, toolrules, turns
from .codec import read
from .headers import Version
from .models import Model
from .schema import EXTRA, check
from .types import CountTokensRequest, Document, InputMessage, MessagesRequest, Text, ToolResult

__all__ = ["validate_count", "validate_messages"]

# Fields that need a beta (MSG-29), and the prefix of the betas that bring each.
BETA_FIELDS = {
    "mcp_servers": ("mcp-client-",),
    "context_management": ("context-management-", "compact-"),
    "fallbacks": ("server-side-fallback-",),
    "output_format": ("structured-outputs-",),
}


def validate_messages(body: dict[str, Any], model: Model, *, version: Version, betas: Sequence[str]) -> MessagesRequest:
    """The typed form of a POST /v1/messages body. Raises InvalidRequest for the first rule that it breaks."""
    _refuse_threads(body)
    _check_beta_fields(body, betas)
    check(MessagesRequest, body)
    request = read(MessagesRequest, body)
    _check_shared(request, body, model, version, betas)
    _check_stop_sequences(request.stop_sequences)
    modelrules.check_max_tokens(request, model)
    given = frozenset(name for name, value in body.items() if value is not None)
    modelrules.check_sampling(request, model, version=version, given=given)
    turns.check_prefill(request, model)
    if request.inference_geo is not None and not model.inference_geo:
        raise InvalidRequest("inference_geo: is not supported for this model")
    return request


def validate_count(body: dict[str, Any], model: Model, *, version: Version, betas: Sequence[str]) -> CountTokensRequest:
    """The typed form of a POST /v1/messages/count_tokens body (TOK-2, TOK-3). Raises InvalidRequest."""
    _check_beta_fields(body, betas)
    check(CountTokensRequest, body)
    request = read(CountTokensRequest, body)
    _check_shared(request, body, model, version, betas)
    return request


def _check_shared(
    request: CountTokensRequest, body: dict[str, Any], model: Model, version: Version, betas: Sequence[str]
) -> None:
    if version == "2026-10-21":
        _check_newer_version(request)
    toolrules.check_system(request.system)
    turns.check_turns(request.messages, model, betas=betas)
    toolrules.check_tools(request.tools or ())
    toolrules.check_choice(request, model)
    toolrules.check_cache_control(request)
    _check_citations(request)
    modelrules.check_effort(request, model)
    modelrules.check_thinking(request, model, betas=betas)


def _check_beta_fields(body: dict[str, Any], betas: Sequence[str]) -> None:
    """Without its beta such a field is unknown, whatever it holds (MSG-29)."""
    for name, prefixes in BETA_FIELDS.items():
        if body.get(name) is not None and not any(beta.startswith(prefixes) for beta in betas):
            raise InvalidRequest(f"{name}: {EXTRA}")


def _refuse_threads(body: dict[str, Any]) -> None:
    """We keep no message threads yet; with these details the SDK's tool runner goes on without them (SDK-64 b)."""
    if body.get("thread") is not None:
        raise InvalidRequest(
            "thread: message threads are not supported for this request",
            details={"error_code": "thread_unsupported_request", "unsupported": []},
        )


def _check_newer_version(request: CountTokensRequest) -> None:
    """What 2026-10-21 no longer takes (MSG-3 b, c)."""
    for path in turns.documents_of_assistants(request.messages):
        raise InvalidRequest(
            f"{path}: `document` blocks in `assistant` messages are not supported in API version 2026-10-21."
        )
    for index, message in enumerate(request.messages):
        if message.role != "user":
            continue
        for at, block in enumerate(turns.blocks_of(message)):
            if isinstance(block, Text) and block.citations:
                raise InvalidRequest(
                    f"messages.{index}.content.{at}.text.citations: `citations` in `user` messages are not supported "
                    "in API version 2026-10-21."
                )


def _check_stop_sequences(sequences: Sequence[str] | None) -> None:
    """MSG-14."""
    if any(not sequence.strip() for sequence in sequences or ()):
        raise InvalidRequest("stop_sequences: each stop sequence must contain non-whitespace")


def _check_citations(request: CountTokensRequest) -> None:
    """All documents have citations or none has (MSG-98); never together with a format."""
    enabled = {bool(document.citations and document.citations.enabled) for document in _documents(request.messages)}
    if len(enabled) > 1:
        raise InvalidRequest("messages: citations must be enabled on all or none of the documents in the request")
    if True in enabled and request.output_config is not None and request.output_config.format is not None:
        raise InvalidRequest("output_config.format: cannot be combined with citations")


def _documents(messages: Sequence[InputMessage]) -> list[Document]:
    found: list[Document] = []
    for message in messages:
        for block in turns.blocks_of(message):
            if isinstance(block, Document):
                found.append(block)
            elif isinstance(block, ToolResult) and isinstance(block.content, list):
                found += [part for part in block.content if isinstance(part, Document)]
    return found
