"""The fields of a request, versions, betas, and counting: each row names the spec id that it comes from."""

import pytest
from asking import (
    CITED,
    DOCUMENT,
    GENERATION_ONLY,
    HI,
    JSON_FORMAT,
    NEW,
    OK,
    OLD,
    PNG,
    TOOL,
    Row,
    assistant,
    body,
    counted,
    messages,
    model,
    must_refuse,
    must_refuse_to_count,
    name_of,
    outcome,
    refusal,
    says,
    text,
    tools,
)

from dragoman.wire.types import CountTokensRequest
from dragoman.wire.validate import validate_count

FIELDS = [
    Row("MSG-10", "model: Field required", {"model": ...}),
    Row("MSG-10", "model: Input should be a valid string", {"model": 5}),
    Row("MSG-10", "model: String should have at least 1 character", {"model": ""}),
    Row("MSG-11", "max_tokens: Field required", {"max_tokens": ...}),
    Row("MSG-11", "max_tokens: Input should be greater than or equal to 0", {"max_tokens": -1}),
    Row("MSG-11", "max_tokens: Input should be a valid integer", {"max_tokens": "5"}),
    Row("MSG-11", "max_tokens: Input should be a valid integer", {"max_tokens": True}),
    Row("MSG-11", "max_tokens: Input should be a valid integer", {"max_tokens": None}),
    Row(
        "MSG-11",
        "max_tokens: Input should be a valid integer, got a number with a fractional part",
        {"max_tokens": 1.5},
    ),
    Row(
        "MSG-11",
        "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for claude-opus-4-8",
        {"max_tokens": 128_001},
        "claude-opus-4-8",
    ),
    Row(
        "MSG-11",
        "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5-20251001",
        {"max_tokens": 64_001},
        "claude-haiku-4-5",
    ),
    Row("MSG-12", "messages: Field required", {"messages": ...}),
    Row("MSG-12", "messages: Input should be a valid list", {"messages": "hi"}),
    Row("MSG-12", "messages: Input should be a valid list", {"messages": HI}),
    Row("MSG-12", "messages: at least one message is required", {"messages": []}),
    Row("MSG-12", "messages.0: Input should be an object", {"messages": ["hi"]}),
    Row("MSG-13", "system: text content blocks must contain non-whitespace text", {"system": " \n"}),
    Row("MSG-13", "system: text content blocks must contain non-whitespace text", {"system": [text("a"), text(" ")]}),
    Row("MSG-13", "system: text content blocks must be non-empty", {"system": [text("")]}),
    Row("MSG-13", "system.0.type: Input should be 'text'", {"system": [PNG]}),
    Row("MSG-13", "system.0.text: Field required", {"system": [{"type": "text"}]}),
    Row("MSG-13", "system: Input should be a valid list", {"system": 5}),
    Row("MSG-14", "stop_sequences: each stop sequence must contain non-whitespace", {"stop_sequences": ["a", ""]}),
    Row("MSG-14", "stop_sequences: each stop sequence must contain non-whitespace", {"stop_sequences": ["\n\t "]}),
    Row("MSG-14", "stop_sequences: Input should be a valid list", {"stop_sequences": "END"}),
    Row("MSG-14", "stop_sequences.1: Input should be a valid string", {"stop_sequences": ["a", 5]}),
    Row("MSG-15", "stream: Input should be a valid boolean", {"stream": "true"}),
    Row("MSG-15", "stream: Input should be a valid boolean", {"stream": 1}),
    Row("MSG-18", "output_config.style: Extra inputs are not permitted", {"output_config": {"style": "x"}}),
    Row("MSG-20", "metadata.agent: Extra inputs are not permitted", {"metadata": {"agent": "x"}}),
    Row("MSG-20", "metadata.user_id: String should have at most 256 characters", {"metadata": {"user_id": "x" * 257}}),
    Row("MSG-20", "metadata.user_id: Input should be a valid string", {"metadata": {"user_id": 5}}),
    Row("MSG-20", "metadata: Input should be an object", {"metadata": "x"}),
    Row("MSG-21", "service_tier: Input should be 'auto' or 'standard_only'", {"service_tier": "flex"}),
    Row("MSG-22", "temperature: range: 0..1", {"temperature": 2.0}),
    Row("MSG-22", "temperature: range: 0..1", {"temperature": -0.1}),
    Row("MSG-22", "temperature: Input should be a valid number", {"temperature": "hot"}),
    Row("MSG-22", "temperature: Input should be a valid number", {"temperature": False}),
    Row("MSG-23", "top_p: range: 0..1", {"top_p": 1.01}),
    Row("MSG-23", "top_p: Input should be a valid number", {"top_p": []}),
    Row("MSG-24", "top_k: Input should be greater than or equal to 0", {"top_k": -1}),
    Row("MSG-24", "top_k: Input should be a valid integer", {"top_k": "5"}),
    Row("MSG-25", "container: Input should be an object", {"container": 5}),
    Row("MSG-25", "container.name: Extra inputs are not permitted", {"container": {"name": "x"}}),
    Row(
        "MSG-25",
        "container.skills: List should have at most 8 items after validation, not 9",
        {"container": {"skills": [{"type": "custom", "skill_id": "s"}] * 9}},
    ),
    Row(
        "MSG-25",
        "container.skills.0.type: Input should be 'anthropic' or 'custom'",
        {"container": {"skills": [{"type": "x", "skill_id": "s"}]}},
    ),
    Row("MSG-26", "inference_geo: Input should be a valid string", {"inference_geo": 5}, "claude-opus-4-8"),
    Row("MSG-26", "inference_geo: …", {"inference_geo": "us"}, "claude-sonnet-4-5"),
    Row("MSG-27", "diagnostics.x: Extra inputs are not permitted", {"diagnostics": {"x": 1}}),
    Row(
        "MSG-27",
        "diagnostics.previous_message_id: Input should be a valid string",
        {"diagnostics": {"previous_message_id": 5}},
    ),
    Row("MSG-28", "speed: Input should be 'standard' or 'fast'", {"speed": "slow"}),
    Row("MSG-29", "mcp_servers: Extra inputs are not permitted", {"mcp_servers": []}),
    Row("MSG-29", "context_management: Extra inputs are not permitted", {"context_management": {}}),
    Row("MSG-29", "fallbacks: Extra inputs are not permitted", {"fallbacks": []}),
    Row("MSG-29", "output_format: Extra inputs are not permitted", {"output_format": JSON_FORMAT["format"]}),
    Row(
        "MSG-29",
        "mcp_servers: Extra inputs are not permitted",
        {"mcp_servers": [{"name": "x"}]},
        betas=("context-management-2025-06-27", "interleaved-thinking-2025-05-14"),
    ),
    Row("MSG-30", "foo: Extra inputs are not permitted", {"foo": 1}),
    Row("MSG-30", "max_token: Extra inputs are not permitted", {"max_token": 5}),
    Row("MSG-30", "extra: Extra inputs are not permitted", {"extra": {}}),
    Row("MSG-30", "type: Extra inputs are not permitted", {"type": "message"}),
    Row("MSG-30", "messages.0.name: Extra inputs are not permitted", messages(HI | {"name": "x"})),
    Row(
        "MSG-34",
        "messages.0.content.0: Input tag 'foo' found using 'type' does not match any of the expected tags: "
        "'bash_code_execution_tool_result', 'code_execution_tool_result', …",
        messages(says({"type": "foo"})),
    ),
    Row("MSG-34", "messages.0.content.0.type: Field required", messages(says({"text": "x"}))),
    Row("MSG-34", "messages.0.content.0.type: Input should be a valid string", messages(says({"type": ["text"]}))),
    Row(
        "MSG-34", "messages.0.content.0: Input should be an object", {"messages": [{"role": "user", "content": ["x"]}]}
    ),
    Row("MSG-35", "max_tokens: 0 …", {"max_tokens": 0, "stream": True}),
    Row("MSG-35", "max_tokens: 0 …", {"max_tokens": 0, "output_config": JSON_FORMAT}),
    Row("MSG-35", "max_tokens: 0 …", {"max_tokens": 0, **tools(TOOL, tool_choice={"type": "any"})}),
    Row("MSG-35", "max_tokens: 0 …", {"max_tokens": 0, "thinking": {"type": "adaptive"}}, "claude-opus-4-8"),
]


VERSIONS = [
    *(
        Row("MSG-3 a", f"`{name}` is not supported in API version 2026-10-21.", {name: value}, model_name, NEW)
        for model_name in ("claude-sonnet-4-5", "claude-opus-4-8")
        for name, value in (("temperature", 1), ("temperature", 0.5), ("top_p", 1), ("top_k", 0))
    ),
    Row(
        "MSG-3 b",
        "messages.1.content.1: `document` blocks in `assistant` messages are not supported in API version 2026-10-21.",
        messages(HI, assistant("a", DOCUMENT), HI),
        version=NEW,
    ),
    Row(
        "MSG-3 c",
        "messages.0.content.0.text.citations: `citations` in `user` messages are not supported in API version "
        "2026-10-21.",
        messages(says(text("a", citations=[CITED]))),
        version=NEW,
    ),
]


FORMAT = [
    Row(
        "MSG-66",
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        {"output_config": {"effort": "extreme"}},
        "claude-opus-4-8",
    ),
    Row(
        "MSG-67",
        "output_config.format.type: Input should be 'json_schema'",
        {"output_config": {"format": {"type": "x", "schema": {}}}},
    ),
    Row(
        "MSG-67", "output_config.format.schema: Field required", {"output_config": {"format": {"type": "json_schema"}}}
    ),
]


ROWS = [*FIELDS, *VERSIONS, *FORMAT]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_wrong_field_is_refused_in_the_words_of_the_api(row: Row) -> None:
    must_refuse(row)


@pytest.mark.parametrize("row", counted(ROWS), ids=name_of)
def test_a_wrong_field_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3, CCH-6."""
    must_refuse_to_count(row)


@pytest.mark.parametrize("name", sorted(GENERATION_ONLY - {"thread"}))
def test_counting_takes_only_what_makes_up_the_prompt(name: str) -> None:
    """TOK-2."""
    values = {"max_tokens": 5, "stream": False, "stop_sequences": ["x"], "metadata": {}, "temperature": 1, "top_k": 0}
    row = Row("TOK-2", "", {})
    fields = body(max_tokens=..., **{name: values.get(name)} if name != "max_tokens" else {}) | {name: values.get(name)}
    assert refusal(validate_count, row, fields) == f"{name}: Extra inputs are not permitted"


def test_counting_needs_a_model_and_messages() -> None:
    """TOK-2."""
    row = Row("TOK-2", "", {})
    assert refusal(validate_count, row, {"messages": [HI]}) == "model: Field required"
    assert refusal(validate_count, row, {"model": "claude-sonnet-4-5"}) == "messages: Field required"
    counted = validate_count(body(max_tokens=...), model("claude-sonnet-4-5"), version=OLD, betas=())
    assert type(counted) is CountTokensRequest


@pytest.mark.parametrize("version", [OLD, NEW])
def test_both_versions_take_a_plain_request(version: str) -> None:
    """MSG-2."""
    assert outcome("claude-opus-4-8", version=version) == OK


def test_what_the_newer_version_refuses_the_older_takes() -> None:
    """MSG-3, MSG-4."""
    assert outcome("claude-sonnet-4-5", temperature=0.5) == OK
    assert outcome("claude-sonnet-4-5", messages=[HI, assistant("a", DOCUMENT), HI]) == OK
    cited = says(text("a", citations=[CITED]))
    assert outcome("claude-sonnet-4-5", messages=[cited]) == OK
    for version in (OLD, NEW):
        assert outcome("claude-sonnet-4-5", version, messages=[says(text("a", citations=[]), DOCUMENT)]) == OK
        history = [HI, assistant(text("a", citations=[CITED])), HI]
        assert outcome("claude-sonnet-4-5", version, messages=history) == OK


@pytest.mark.parametrize(
    ("field", "value", "beta"),
    [
        ("mcp_servers", [{"type": "url", "url": "https://a.test", "name": "a"}], "mcp-client-2025-11-20"),
        ("context_management", {"edits": []}, "context-management-2025-06-27"),
        ("context_management", {"edits": []}, "compact-2026-01-12"),
        ("fallbacks", [{"model": "x"}], "server-side-fallback-2026-06-01"),
        ("output_format", JSON_FORMAT["format"], "structured-outputs-2025-11-13"),
    ],
)
def test_a_beta_brings_its_field(field: str, value: object, beta: str) -> None:
    """MSG-29."""
    assert outcome("claude-sonnet-4-5", betas=("x", beta), **{field: value}) == OK
    assert outcome("claude-sonnet-4-5", betas=("x",), **{field: value}) == f"{field}: Extra inputs are not permitted"
    assert outcome("claude-sonnet-4-5", **{field: None}) == OK  # MSG-31
