"""Tool definitions and tool choice: spec TOOL-1 to 18, TOOL-50 to 71."""

import pytest
from asking import (
    OK,
    OLD,
    TOOL,
    Json,
    Row,
    body,
    counted,
    model,
    must_refuse,
    must_refuse_to_count,
    name_of,
    outcome,
    tools,
)

from dragoman.errors import InvalidRequest
from dragoman.wire.toolrules import check_server_tools
from dragoman.wire.validate import validate_messages

TOOLS = [
    Row(
        "TOOL-1",
        "tools.0: Input tag 'function' found using 'type' does not match any of the expected tags: …",
        tools({"type": "function", "function": {"name": "f", "parameters": {}}}),
    ),
    Row("TOOL-1", "tools.0.type: Input should be a valid string", tools({"type": 5, "name": "a"})),
    Row("TOOL-1", "tools.1: Input should be an object", tools(TOOL, "get_weather")),
    Row("TOOL-1", "tools: Input should be a valid list", {"tools": TOOL}),
    Row("TOOL-2", "tools.0.custom.input_schema: Field required", tools({"name": "a"})),
    Row("TOOL-2", "tools.0.custom.input_schema.type: Field required", tools({"name": "a", "input_schema": {}})),
    *(
        Row(
            "TOOL-2",
            "tools.0.custom.input_schema.type: Input should be 'object'",
            tools({"name": "a", "input_schema": {"type": kind}}),
        )
        for kind in ("string", None, ["object"], {"type": "object"})
    ),
    *(
        Row(
            "TOOL-2",
            "tools.1.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 …",
            tools(TOOL, {"name": "a", "input_schema": {"type": "object", **broken}}),
        )
        for broken in (
            {"properties": {"x": {"type": "str"}}},
            {"properties": []},
            {"required": "x"},
            {"required": [1]},
            {"properties": {"x": {"enum": "a"}}},
            {"properties": {"x": 5}},
            {"properties": {"x": {"minLength": -1}}},
            {"$defs": {"x": {"items": [{}]}}},
        )
    ),
    *(
        Row(
            "TOOL-3",
            "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
            tools(TOOL | {"name": name}),
        )
        for name in ("", "a b", "a.b", "größe", "a" * 129, "a\n", "a\nb")
    ),
    Row("TOOL-3", "tools.0.custom.name: Field required", tools({"input_schema": {"type": "object"}})),
    Row("TOOL-4", "tools: Tool names must be unique.", tools(TOOL, TOOL)),
    Row(
        "TOOL-4",
        "tools: Tool names must be unique.",
        tools({"type": "bash_20250124", "name": "bash"}, TOOL | {"name": "bash"}),
    ),
    Row("TOOL-5", "tools.0.custom.foo: Extra inputs are not permitted", tools(TOOL | {"foo": 1})),
    Row("TOOL-5", "tools.0.custom.parameters: Extra inputs are not permitted", tools(TOOL | {"parameters": {}})),
    Row(
        "TOOL-6",
        "tools.0.custom.input_examples.1: …",
        tools(TOOL | {"input_examples": [{"city": "Paris"}, {"city": 5}]}),
    ),
    Row(
        "TOOL-7",
        "tools.0.bash_20250124.eager_input_streaming: Extra inputs are not permitted",
        tools({"type": "bash_20250124", "name": "bash", "eager_input_streaming": True}),
    ),
    Row("TOOL-7", "tools: …", tools(TOOL | {"defer_loading": True}, TOOL | {"name": "b", "defer_loading": True})),
    Row("TOOL-12", "Tool 'x' not found in provided tools", tools(TOOL, tool_choice={"type": "tool", "name": "x"})),
    Row("TOOL-12", "tool_choice.tool.name: Field required", tools(TOOL, tool_choice={"type": "tool"})),
    Row(
        "TOOL-15",
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
        tools(TOOL, tool_choice={"type": "none", "disable_parallel_tool_use": True}),
    ),
    Row(
        "TOOL-15",
        "tool_choice.auto.disable_parallel_tool_use: Input should be a valid boolean",
        tools(TOOL, tool_choice={"type": "auto", "disable_parallel_tool_use": "yes"}),
    ),
    Row("TOOL-16", "tool_choice: Input should be an object", tools(TOOL, tool_choice="auto")),
    Row("TOOL-16", "tool_choice.type: Field required", tools(TOOL, tool_choice={})),
    Row(
        "TOOL-16",
        "tool_choice: Input tag 'function' found using 'type' does not match any of the expected tags: "
        "'any', 'auto', 'none', 'tool'",
        tools(TOOL, tool_choice={"type": "function"}),
    ),
    *(
        Row("TOOL-17", "tool_choice: may only be specified while providing `tools`", given | {"tool_choice": choice})
        for given in ({}, {"tools": []}, {"tools": None})
        for choice in ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "x"})
    ),
    *(
        Row(
            "TOOL-18",
            'tool_choice: type "tool" and "any" are not supported for this model.',
            tools(TOOL, tool_choice=choice),
            name,
        )
        for name in ("claude-mythos-preview", "claude-opus-5-5", "claude-fable-5-1")
        for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"})
    ),
    Row(
        "TOOL-54",
        "tools.0.computer_toolset_20260801.strict: Extra inputs are not permitted",
        tools({"type": "computer_toolset_20260801", "strict": True}),
    ),
    Row(
        "TOOL-55",
        "tools.0.computer_20250124.display_width_px: Field required",
        tools({"type": "computer_20250124", "name": "computer"}),
    ),
    *(
        Row("TOOL-61", f"tools.0.{kind}.name: Input should be '{name}'", tools({"type": kind, "name": "x"}))
        for kind, name in (
            ("bash_20250124", "bash"),
            ("text_editor_20250728", "str_replace_based_edit_tool"),
            ("text_editor_20250429", "str_replace_based_edit_tool"),
            ("text_editor_20250124", "str_replace_editor"),
            ("memory_20250818", "memory"),
            ("web_search_20250305", "web_search"),
        )
    ),
    Row("TOOL-61", "tools.0.bash_20250124.name: Field required", tools({"type": "bash_20250124"})),
    Row(
        "TOOL-61",
        "tools.0.bash_20250124.input_schema: Extra inputs are not permitted",
        tools({"type": "bash_20250124", "name": "bash", "input_schema": {"type": "object"}}),
    ),
]


@pytest.mark.parametrize("row", TOOLS, ids=name_of)
def test_a_wrong_tool_is_refused_in_the_words_of_the_api(row: Row) -> None:
    must_refuse(row)


@pytest.mark.parametrize("row", counted(TOOLS), ids=name_of)
def test_a_wrong_tool_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3, CCH-6."""
    must_refuse_to_count(row)


@pytest.mark.parametrize(
    ("definition", "tag"),
    [
        ({"type": "web_search_20250305", "name": "web_search"}, "web_search_20250305"),
        ({"type": "web_fetch_20260318", "name": "web_fetch"}, "web_fetch_20260318"),
        ({"type": "code_execution_20260521", "name": "code_execution"}, "code_execution_20260521"),
        ({"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"}, "tool_search_tool_bm25"),
    ],
)
def test_a_server_tool_is_a_legal_form_that_an_engine_refuses(definition: Json, tag: str) -> None:
    """TOOL-56 to 59, TOOL-71: never accepted and ignored."""
    fields = body(**tools(TOOL, definition))
    request = validate_messages(fields, model("claude-sonnet-4-5"), version=OLD, betas=())
    with pytest.raises(InvalidRequest) as caught:
        check_server_tools(request.tools or ())
    beginning = f"tools.1: Input tag '{tag}' found using 'type' does not match any of the expected tags: "
    assert caught.value.message.startswith(beginning)
    assert "'custom'" in caught.value.message
    assert tag not in caught.value.message.removeprefix(beginning)
    client_run = validate_messages(
        body(**tools(TOOL, {"type": "bash_20250124", "name": "bash"})),
        model("claude-sonnet-4-5"),
        version=OLD,
        betas=(),
    )
    check_server_tools(client_run.tools or ())


def test_examples_that_cost_too_much_to_check_are_not_checked() -> None:
    """Forty levels of two references each: a validator would need 2**40 steps, and cannot be interrupted."""
    levels = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)}
    schema = {"type": "object", "allOf": [{"$ref": "#/$defs/d0"}], "$defs": levels | {"d40": {"type": "object"}}}
    assert outcome("claude-sonnet-4-5", **tools({"name": "a", "input_schema": schema, "input_examples": [{}]})) == OK
    elsewhere = {"type": "object", "required": ["x"], "$ref": "http://a.test/"}  # never fetched
    assert outcome("claude-sonnet-4-5", **tools({"name": "a", "input_schema": elsewhere, "input_examples": [{}]})) == OK


def test_examples_of_a_schema_with_references_are_checked() -> None:
    """TOOL-6."""
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}
    fitting = tools({"name": "a", "input_schema": schema, "input_examples": [{"x": 1}]})
    assert outcome("claude-sonnet-4-5", **fitting) == OK
    wrong = tools({"name": "a", "input_schema": schema, "input_examples": [{"x": 1}, {"x": "1"}]})
    assert outcome("claude-sonnet-4-5", **wrong).startswith("tools.0.custom.input_examples.1: ")


def test_examples_that_would_cost_too_much_to_check_pass_unchecked() -> None:
    """Two references a level: forty levels, or a value two hundred deep, would take 2**40 steps and more."""
    levels = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)}
    wide = {"type": "object", "allOf": [{"$ref": "#/$defs/d0"}], "$defs": levels | {"d40": {"required": ["x"]}}}
    either = [{"properties": {"a": {"$ref": "#"}}, "required": [name]} for name in ("x", "y")]
    deep: dict[str, object] = {}
    for _ in range(200):
        deep = {"a": deep, "x": 1, "y": 1}
    for schema, example in ((wide, {}), ({"type": "object", "anyOf": either}, deep)):
        said = outcome("claude-sonnet-4-5", **tools({"name": "a", "input_schema": schema, "input_examples": [example]}))
        assert said == OK


def test_examples_with_a_pattern_that_backtracks_are_given_up() -> None:
    schema = {"type": "object", "additionalProperties": {"pattern": "^(?=a)(a|a)*\\1b$"}}
    example = {str(at): "a" * 60 for at in range(2_000)}
    said = outcome("claude-sonnet-4-5", **tools({"name": "a", "input_schema": schema, "input_examples": [example]}))
    assert said.startswith("tools.0.custom.input_examples.0: ")
