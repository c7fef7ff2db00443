"""Requests in small pieces, and what is said to them: for the tests of validation."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from dragoman.errors import InvalidRequest
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.models import Model
from dragoman.wire.validate import validate_count, validate_messages

Json = dict[str, Any]

MODELS = Catalogue.load()
OLD, NEW = "2023-06-01", "2026-10-21"
GENERATION_ONLY = {
    "max_tokens", "stop_sequences", "stream", "metadata", "service_tier", "temperature", "top_p", "top_k", "container",
    "inference_geo", "diagnostics", "fallbacks", "thread",
}  # fmt: skip
OK = ""  # what is said to a request that passes
HI: Json = {"role": "user", "content": "hi"}
EPHEMERAL: Json = {"type": "ephemeral"}
TOOL: Json = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
PNG: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
DOCUMENT: Json = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
MANUAL: Json = {"type": "enabled", "budget_tokens": 1024}
JSON_FORMAT: Json = {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}}
CITED: Json = {
    "type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None, "start_char_index": 0,
    "end_char_index": 1,
}  # fmt: skip
WEB_SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}


def model(name: str) -> Model:
    found = MODELS.resolve(name)
    assert found is not None
    return found


def body(**fields: Any) -> Json:
    """A request; a field given as `...` is left out."""
    whole = {"model": "claude-sonnet-4-5", "max_tokens": 2000, "messages": [HI]} | fields
    return {name: value for name, value in whole.items() if value is not ...}


def says(*blocks: Json | str, role: str = "user") -> Json:
    return {"role": role, "content": [text(block) if isinstance(block, str) else block for block in blocks]}


def text(words: str, **fields: Any) -> Json:
    return {"type": "text", "text": words, **fields}


def call(number: str, **fields: Any) -> Json:
    return {"type": "tool_use", "id": number, "name": "get_weather", "input": {}, **fields}


def result(number: str, **fields: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": number, **fields}


def assistant(*blocks: Json | str) -> Json:
    return says(*blocks, role="assistant")


def messages(*turns: Json) -> Json:
    return {"messages": list(turns)}


def tools(*definitions: Any, **fields: Any) -> Json:
    return {"tools": list(definitions), **fields}


def marked(count: int, **marker: Any) -> Json:
    """A user turn of so many blocks with a cache breakpoint."""
    return says(*(text(f"block {at}", cache_control=EPHEMERAL | marker) for at in range(count)))


class Row(NamedTuple):
    """One rule broken. A `message` that ends in `…` is only the beginning of what is said."""

    spec: str
    message: str
    fields: Json
    model: str = "claude-sonnet-4-5"
    version: str = OLD
    betas: tuple[str, ...] = ()
    counts: bool = True  # holds for count_tokens too, where the fields exist there


def name_of(row: Row) -> str:
    return f"{row.spec}: {row.message[:60]}"


def counted(rows: list[Row]) -> list[Row]:
    """The rows that count_tokens must refuse in the same words (TOK-3, CCH-6)."""
    return [row for row in rows if row.counts and not row.fields.keys() & GENERATION_ONLY]


def must_refuse(row: Row) -> None:
    message = refusal(validate_messages, row, body(**row.fields))
    assert is_said(message, row.message), message


def must_refuse_to_count(row: Row) -> None:
    fields = body(**row.fields)
    del fields["max_tokens"]
    message = refusal(validate_count, row, fields)
    assert is_said(message, row.message), message


def refusal(validate: Callable[..., object], row: Row, fields: Json) -> str:
    with pytest.raises(InvalidRequest) as caught:
        validate(fields, model(row.model), version=row.version, betas=row.betas)
    return caught.value.message


def is_said(message: str, expected: str) -> bool:
    beginning, is_open, _ = expected.partition("…")
    return message.startswith(beginning) if is_open else message == expected


def outcome(name: str, version: str = OLD, betas: tuple[str, ...] = (), **fields: Any) -> str:
    """What is said to a request; "" where it passes."""
    try:
        validate_messages(body(model=name, **fields), model(name), version=version, betas=betas)
    except InvalidRequest as error:
        return error.message
    return OK


def claude_code_body() -> Json:
    """As Claude Code 2.1.329 sends it (CC-2 to 5, CC-8)."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "file_path": {"type": "string", "description": "The absolute path. " * 20},
            "offset": {"type": "integer", "minimum": 0, "exclusiveMaximum": 9007199254740991},
            "edits": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {"old": {}}}},
            "mode": {"anyOf": [{"enum": ["r", "w"]}, {"type": "null"}], "default": None},
        },
        "required": ["file_path"],
        "additionalProperties": False,
    }
    thought = {"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl"}
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 128_000,
        "stream": True,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
        "system": [
            text("x-anthropic-billing-header: cc_version=2.1.329.abc;"),
            text("You are Claude Code.", cache_control=EPHEMERAL | {"ttl": "1h"}),
            text("# Instructions\n" * 500, cache_control=EPHEMERAL | {"ttl": "1h"}),
        ],
        "tools": [{"name": f"Tool{at}", "description": "x" * 2000, "input_schema": schema} for at in range(20)],
        "messages": [
            says("<system-reminder>…</system-reminder>", "Fix the bug."),
            {"role": "system", "content": "# Environment"},
            assistant(thought, "I'll look.", call("toolu_1", name="Tool0"), call("toolu_2", name="Tool1")),
            says(
                result("toolu_2", content=[text("no such file")], is_error=True),
                result("toolu_1", content="1\tx = 1"),
                text("<system-reminder>…</system-reminder>"),
            ),
            assistant(thought, call("toolu_3", name="Tool2")),
            says(result("toolu_3", content="done", cache_control=EPHEMERAL)),
        ],
    }


CLAUDE_CODE_BETAS = (
    "claude-code-20250219", "interleaved-thinking-2025-05-14", "context-management-2025-06-27",
    "per-turn-control-2026-07-01", "mid-conversation-tool-changes-2026-07-01", "thinking-token-count-2026-05-13",
    "advanced-tool-use-2025-11-20", "effort-2025-11-24",
)  # fmt: skip
