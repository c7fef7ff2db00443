"""What Claude on Vertex refuses, as code: `check(body, betas, model)` raises Refused with the words that it has for it.

Sources, written 2026-11-21: the errors that its users quote (anthropics/claude-code#12429, #21612, #21625, #37746,
#82539; BerriAI/litellm#15299, #18430, #25798, PR#39597; dust-tt/dust PR#27109), Anthropic's pages "Versions" and
"Claude Models on Google Cloud (Google managed)", and, for all that is not Vertex's own, the rules of the Messages API
as the engine keeps them. Deliberately stricter than the service: what passes here passes there.
"""

import base64
import hashlib
import re
from typing import Any

import fake_provider

from dragoman.errors import InvalidRequest
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.validate import validate_count, validate_messages

__all__ = ["Refused", "anthropic_error", "check", "check_count", "signature"]

Json = dict[str, Any]
MODELS = Catalogue.load()
MODEL = re.compile(r"(claude-(?:opus|sonnet|haiku|fable)-[0-9]+(?:-[0-9])?)(?:-thinker)?(?:@[0-9]{8})?")
VERSIONS = {"vertex-2023-10-16": "2023-06-01", "2026-10-21": "2026-10-21"}
FIELDS = frozenset(
    "anthropic_version max_tokens messages metadata stop_sequences stream system temperature thinking tool_choice tools"
    " top_k top_p output_config context_management".split()
)
COUNTED = frozenset("anthropic_version model messages system thinking tool_choice tools output_config".split())
EDITING, SEARCH, TOOLS = "context-management-2025-06-27", "web-search-2025-03-05", "tool-search-tool-2025-10-19"
BETAS = frozenset(
    {
        "claude-code-20250219",
        "context-1m-2025-08-07",
        "interleaved-thinking-2025-05-14",
        "computer-use-2025-01-24",
        "thinking-display-updates-2026-08-18",
        EDITING,
        SEARCH,
        TOOLS,
    }
)
COUNT_BETAS = frozenset({"claude-code-20250219", "interleaved-thinking-2025-05-14", EDITING, "effort-2025-11-24"})
# Types of tools -> the beta without which they are not known.
KINDS = {
    "custom": None,
    "bash_20250124": None,
    "text_editor_20250728": None,
    "memory_20250818": EDITING,
    "computer_20250124": "computer-use-2025-01-24",
    "web_search_20250305": SEARCH,
}
TOOL_FIELDS = frozenset("type name description input_schema cache_control strict".split())
EXTRA = "Extra inputs are not permitted"


class Refused(fake_provider.Refused):
    """An error of Claude's own."""

    def __init__(self, message: str) -> None:
        super().__init__(message, body=anthropic_error("invalid_request_error", message))


def anthropic_error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_vrtx_011Fake"}


def signature(thought: str, model: str) -> str:
    """Of a model, whatever its version, for what it thought."""
    digest = hashlib.sha256(f"{model.partition('@')[0]}|{thought}".encode()).digest()
    return base64.b64encode(digest * 8).decode()


def check(body: Json, betas: list[str], model: str) -> None:
    """Raises Refused."""
    _need("model" not in body, f"model: {EXTRA}")
    _check_request(body, betas, model, fields=FIELDS, known=BETAS)
    version = VERSIONS[body["anthropic_version"]]
    fields = {name: value for name, value in body.items() if name != "anthropic_version"}
    _legal(validate_messages, {**fields, "model": model}, version, betas)


def check_count(body: Json, betas: list[str]) -> None:
    """Raises Refused."""
    model = body.get("model", "")
    _need("@" not in model and MODEL.fullmatch(model), f"{model} is not supported for token counting")
    _check_request(body, betas, model, fields=COUNTED, known=COUNT_BETAS)
    fields = {name: value for name, value in body.items() if name != "anthropic_version"}
    _legal(validate_count, fields, VERSIONS[body["anthropic_version"]], betas)


def _need(is_so: object, message: str) -> None:
    if not is_so:
        raise Refused(message)


def _legal(validate: Any, body: Json, version: str, betas: list[str]) -> None:
    found = MODEL.fullmatch(body["model"])
    known = MODELS.resolve(found[1]) if found else None
    assert known is not None
    try:
        validate(body, known, version=version, betas=betas)
    except InvalidRequest as error:
        raise Refused(error.message) from error


def _check_request(body: Json, betas: list[str], model: str, *, fields: frozenset[str], known: frozenset[str]) -> None:
    _need("anthropic_version" in body, "anthropic_version: Field required")
    version = body["anthropic_version"]
    _need(version in VERSIONS, f'anthropic_version: "{version}" is not a valid version')
    wrong = [beta for beta in betas if beta not in known]
    said = ", ".join(f"`{beta}`" for beta in wrong)
    _need(not wrong, f"Unexpected value(s) {said} for the `anthropic-beta` header. Please consult our documentation at "
          "platform.claude.com/docs or try again without the header.")  # fmt: skip
    for name in body:
        _need(name in fields, f"{name}: {EXTRA}")
    _need("context_management" not in body or EDITING in betas, f"context_management: {EXTRA}")
    for name in body.get("output_config", {}):
        _need(name in ("effort", "format"), f"output_config.{name}: {EXTRA}")
    _need("effort" not in body.get("output_config", {}) or "-4-5" not in model, f"output_config: {EXTRA}")
    display = body.get("thinking", {}).get("display")
    _need(
        display in (None, "omitted", "summarized"),
        "thinking.adaptive.display: Input should be 'summarized' or 'omitted'",
    )
    _check_tools(body.get("tools", []), betas)
    _check_marks(body.get("system"), "system")
    for at, message in enumerate(body["messages"]):
        _check_message(message, model, f"messages.{at}")


def _check_tools(tools: list[Json], betas: list[str]) -> None:
    for at, tool in enumerate(tools):
        kind = tool.get("type", "custom")
        known = kind in KINDS and (KINDS[kind] is None or KINDS[kind] in betas)
        tags = ", ".join(f"'{each}'" for each, beta in KINDS.items() if beta is None or beta in betas)
        _need(
            known, f"tools.{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        )
        for name in tool:
            fits = kind != "custom" or name in TOOL_FIELDS or (name == "defer_loading" and TOOLS in betas)
            _need(fits, f"tools.{at}.custom.{name}: {EXTRA}")
    _check_marks(tools, "tools")


def _check_message(message: Json, model: str, path: str) -> None:
    for name in message:
        _need(name in ("role", "content"), f"{path}.{name}: {EXTRA}")
    has_system = any(each in model for each in ("-4-8", "-5"))
    has_system = has_system and "-4-5" not in model
    _need(message["role"] != "system" or has_system, "role 'system' is not supported on this model")
    if isinstance(message["content"], list):
        _check_blocks(message["content"], model, f"{path}.content")


def _check_blocks(blocks: list[Json], model: str, path: str) -> None:
    _check_marks(blocks, path)
    for at, block in enumerate(blocks):
        source = block.get("source")
        if isinstance(source, dict):
            fits = source.get("type") in ("base64", "text", "content")
            _need(fits, f"{path}.{at}.image.source.base64.data: URL sources are not supported")
        if block["type"] == "thinking":
            signed = block["signature"] == signature(block["thinking"], model)
            _need(signed, f"{path}.{at}: Invalid `signature` in `thinking` block")
        if block["type"] == "tool_result" and isinstance(block.get("content"), list):
            _check_blocks(block["content"], model, f"{path}.{at}.content")


def _check_marks(blocks: Any, path: str) -> None:
    for at, block in enumerate(blocks if isinstance(blocks, list) else []):
        for name in block.get("cache_control") or {}:
            _need(name in ("type", "ttl"), f"{path}.{at}.cache_control.ephemeral.{name}: {EXTRA}")
