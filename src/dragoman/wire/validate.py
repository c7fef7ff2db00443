"""From the body of a request to its typed form: first the shape, then the rules, in the API's words.

Only a target that translates, or an engine of our own, needs this: for pass-through the upstream judges. The order is
that of MSG-32: shape, betas, version, conversation, tools, model rules. Pure.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from dragoman.errors import InvalidRequest

from . import documentrules, modelrules, serverturns, toolrules, toolsets, turns
from .codec import read
from .contexts import check_edits
from .headers import Version
from .models import Model
from .schema import EXTRA, check
from .types import CountTokensRequest, MessagesRequest, OutputConfig, Text

__all__ = ["validate_count", "validate_messages"]

Request = TypeVar("Request", bound=CountTokensRequest)

# Fields that need a beta (MSG-29), and the prefix of the betas that bring each.
BETA_FIELDS = {
    "mcp_servers": ("mcp-client-",),
    "context_management": ("context-management-", "compact-"),
    "fallbacks": ("server-side-fallback-",),
    "output_format": ("structured-outputs-",),
}


def validate_messages(body: dict[str, Any], model: Model, *, version: Version, betas: Sequence[str]) -> MessagesRequest:
    """The typed form of a POST /v1/messages body. Raises InvalidRequest for the first rule that it breaks.

    A format stands in `output_config.format`, also when it was given by its old name.
    """
    _check_beta_fields(body, betas)
    check(MessagesRequest, body)
    request = _with_one_format(read(MessagesRequest, body))
    _check_shared(request, body, model, version, betas)
    _check_stop_sequences(request.stop_sequences)
    modelrules.check_max_tokens(request, model)
    given = frozenset(name for name, value in body.items() if value is not None)
    modelrules.check_sampling(request, model, version=version, given=given)
    turns.check_prefill(request, model)
    modelrules.check_place(request, model)
    return request


def validate_count(body: dict[str, Any], model: Model, *, version: Version, betas: Sequence[str]) -> CountTokensRequest:
    """The typed form of a POST /v1/messages/count_tokens body (TOK-2, TOK-3). Raises InvalidRequest."""
    _check_beta_fields(body, betas)
    check(CountTokensRequest, body)
    request = _with_one_format(read(CountTokensRequest, body))
    _check_shared(request, body, model, version, betas)
    return request


def _check_shared(
    request: CountTokensRequest, body: dict[str, Any], model: Model, version: Version, betas: Sequence[str]
) -> None:
    if version == "2026-10-21":
        _check_newer_version(request)
    toolrules.check_system(request.system)
    turns.check_turns(request.messages, model, betas=betas)
    if not turns.is_talk(request.messages):
        serverturns.check_server_turns(request)
        toolsets.check_results(request.messages)
    toolrules.check_tools(request.tools or (), betas=betas)
    toolrules.check_choice(request, model)
    _check_structured(request, body)
    toolrules.check_cache_control(request)
    documentrules.check_documents(request)
    modelrules.check_effort(request, model)
    modelrules.check_speed(request, model, betas=betas)
    check_edits(request.context_management, model, thinks=modelrules.thinks(request, model))
    modelrules.check_thinking(request, model, betas=betas)


def _check_beta_fields(body: dict[str, Any], betas: Sequence[str]) -> None:
    """Without its beta such a field is unknown, whatever it holds (MSG-29)."""
    for name, prefixes in BETA_FIELDS.items():
        if body.get(name) is not None and not any(beta.startswith(prefixes) for beta in betas):
            raise InvalidRequest(f"{name}: {EXTRA}")


def _with_one_format(request: Request) -> Request:
    """`output_format`, the old name of `output_config.format`, moved there: no rule and no engine looks twice."""
    given = request.output_format
    if given is None:
        return request
    config = request.output_config or OutputConfig()
    if config.format is not None:
        raise InvalidRequest(
            "output_format: Both output_format and output_config.format were provided. Please use only "
            "output_config.format (output_format is deprecated)."
        )
    return replace(request, output_config=replace(config, format=given), output_format=None)


def _check_structured(request: CountTokensRequest, body: dict[str, Any]) -> None:
    """MSG-68, 69. Named by the name that the caller used for the format."""
    has_format = request.output_config is not None and request.output_config.format is not None
    if not has_format and not any(getattr(tool, "strict", None) for tool in request.tools or ()):
        return
    from .schemasubset import check_structured  # here: the client imports this folder, and checks no schema

    old = body.get("output_format") is not None
    check_structured(request, format_at="output_format" if old else "output_config.format")


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
