"""Tool schemas as Gemini takes them: its keywords only, and nothing of their meaning lost."""

import json
from typing import Any

import pytest
from gemini_cases import keywords
from translating_cases import translated_body

from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.gemini_schema import KEYWORDS, cleaned, parameters

JSON = dict[str, Any]


MCP = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "The URL"},
        "limit": {"type": ["integer", "null"], "exclusiveMinimum": 0, "default": 5},
        "kind": {"const": "page"},
        "either": {"oneOf": [{"type": "string"}, {"type": "null"}], "description": "Or nothing"},
        "tree": {"$ref": "#/$defs/Node"},
        "headers": {"type": "object", "propertyNames": {"pattern": "^x-"}, "additionalProperties": {"type": "string"}},
        "bare": {"type": "array"},
        "any": True,
        "tags": {"type": "array", "items": {"$ref": "#/properties/kind"}, "uniqueItems": True},
        "both": {"allOf": [{"$ref": "#/$defs/Point"}, {"required": ["y"], "properties": {"y": {"type": "number"}}}]},
    },
    "required": ["url", "gone"],
    "additionalProperties": False,
    "$defs": {
        "Node": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}},
        "Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
    },
}


def test_a_schema_has_only_the_keywords_that_are_taken_and_keeps_its_meaning() -> None:
    """Pain 9, 69."""
    schema = parameters(MCP)
    assert schema is not None
    assert keywords(schema) <= KEYWORDS
    properties = schema["properties"]
    assert properties["url"] == {"type": "string", "description": "The URL (format: uri)"}
    assert properties["limit"] == {"type": ["integer", "null"], "description": "(exclusiveMinimum: 0; default: 5)"}
    assert properties["kind"] == {"type": "string", "enum": ["page"]}
    assert properties["either"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Or nothing"}
    assert properties["tree"]["properties"]["kids"]["items"] == {
        "type": "object",
        "description": "(the same form as Node above)",
    }
    assert properties["headers"]["additionalProperties"] == {"type": "string"}
    assert "^x-" in properties["headers"]["description"]
    assert properties["bare"]["items"] == {}
    assert properties["tags"]["items"] == properties["kind"]
    assert set(properties["both"]["properties"]) == {"x", "y"}
    assert sorted(properties["both"]["required"]) == ["x", "y"]
    assert schema["required"] == ["url"]
    assert "gone" in schema["description"]
    assert schema["additionalProperties"] is False


def test_a_tool_that_takes_nothing_has_no_schema() -> None:
    for schema in ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}):
        assert parameters(schema) is None


CHOICE = {"type": "object", "properties": {"a": {"type": "string"}}}
OF_TWO_TYPES = [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1], "minimum": 1}]


@pytest.mark.parametrize(
    ("schema", "clean"),
    [
        ({"type": ["string", "integer"], "enum": ["a", 1], "minimum": 1}, {"anyOf": OF_TWO_TYPES}),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"enum": [True, None]}, {"type": ["boolean", "null"], "description": "(one of: [true,null])"}),
        (
            {"anyOf": [{"required": ["a"]}, {"type": "null"}], **CHOICE},
            {"anyOf": [{"required": ["a"], **CHOICE}, {"type": "null"}]},
        ),
        ({"$ref": "#/elsewhere"}, {"description": "(of the form elsewhere)"}),
        ({"$ref": "#"}, {"type": "object", "description": "(the same form as # above)"}),
    ],
)
def test_schemas(schema: JSON, clean: JSON) -> None:
    assert cleaned(schema) == clean


def test_a_schema_that_doubles_at_each_step_stays_small() -> None:
    steps = {
        f"D{n}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/D{n + 1}"} for side in "ab"}}
        for n in range(40)
    }
    clean = cleaned({"$ref": "#/$defs/D0", "$defs": {**steps, "D40": {"type": "string"}}})
    assert len(json.dumps(clean)) < 400_000
    assert keywords(clean) <= KEYWORDS


ANY_KEY = """type properties items required enum anyOf allOf $ref $defs minimum description additionalProperties
    prefixItems const oneOf format nullable""".split()


@pytest.mark.parametrize("value", [5, "x", None, [], [5], {"x": 5}, True, [None], [[]], [{}]])
@pytest.mark.parametrize("key", ANY_KEY)
def test_a_schema_of_any_form_is_cleaned(key: str, value: Any) -> None:
    assert keywords(cleaned({key: value})) <= KEYWORDS
    parameters({"type": "object", "properties": {"p": {key: value}}, key: value})


def part_of(**properties: str) -> JSON:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }


TWO = {"$defs": {"A": part_of(a="string"), "B": part_of(b="integer")}}
A, B = {"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}
BOTH = part_of(a="string", b="integer")


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [A, B]},
        {**A, "allOf": [B]},
        {**A, **part_of(b="integer")},
        {"type": "object", "allOf": [A, {"allOf": [B]}]},
        {"allOf": [{**A, **part_of(b="integer")}, B]},
        {"allOf": [A, {"oneOf": [B]}]},
    ],
)
def test_all_that_must_hold_is_one_schema(schema: JSON) -> None:
    """Pain 9: models that inherit are told as `allOf` of references; what each part has is seen, in no note."""
    assert without_order(cleaned({**schema, **TWO})) == BOTH
    assert without_order(parameters({**schema, **TWO})) == BOTH
    inner = parameters({"type": "object", "properties": {"p": schema}, **TWO})
    assert inner is not None
    assert without_order(inner["properties"]["p"]) == BOTH


@pytest.mark.parametrize(
    ("parts", "clean"),
    [
        (
            [{"type": "integer", "minimum": 1, "description": "One."}, {"minimum": 3, "maximum": 9, "format": "int32"}],
            {"type": "integer", "minimum": 3, "maximum": 9, "description": "One. (format: int32)"},
        ),
        ([{"type": ["string", "null"]}, {"enum": ["a", "b"]}, {"enum": ["b"]}], {"type": "string", "enum": ["b"]}),
        ([{"type": "string"}, {"type": "integer"}], {"type": "string", "description": "(and type: integer)"}),
        ([{"type": "number"}, {"type": "integer"}], {"type": "integer"}),
        (
            [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "integer"}, {"type": "null"}]}],
            {"type": "integer"},
        ),
        (
            [{"anyOf": [A, B]}, part_of(c="string")],
            {"anyOf": [part_of(a="string", c="string"), part_of(b="integer", c="string")]},
        ),
        (
            [{"type": "array", "items": A}, {"items": B, "minItems": 1}],
            {"type": "array", "items": BOTH, "minItems": 1},
        ),
    ],
)
def test_what_both_parts_say_of_the_same_is_joined(parts: list[JSON], clean: JSON) -> None:
    assert without_order(cleaned({"allOf": parts, **TWO})) == without_order(clean)
    a, b = ({"type": "object", "properties": {"p": part}} for part in ({"allOf": parts[:-1]}, parts[-1]))
    assert without_order(cleaned({"allOf": [a, b], **TWO})["properties"]["p"]) == without_order(clean)


def test_nova_sees_all_parts_too() -> None:
    """Pain 9, 69: its schemas are written by the same hand."""
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {"p": {"allOf": [A, B]}}, **TWO}}]
    body = translated_body(Converse(), "us.amazon.nova-2-lite-v1:0", tools=tools)
    (tool,) = body["toolConfig"]["tools"]
    assert without_order(tool["toolSpec"]["inputSchema"]["json"]["properties"]["p"]) == BOTH


def without_order(schema: JSON | None) -> Any:
    """Neither of keys nor of what is required."""
    return json.loads(
        json.dumps(schema),
        object_pairs_hook=lambda pairs: {key: sorted(value) if key == "required" else value for key, value in pairs},
    )


def test_a_form_that_holds_itself_ends() -> None:
    """Pain 9: inheritance and a reference to itself, at once."""
    base = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Child"}, "id": {"type": "string"}}}
    child = {"allOf": [{"$ref": "#/$defs/Base"}, {"$ref": "#/$defs/Child"}, part_of(name="string")]}
    schema = parameters({"$ref": "#/$defs/Child", "$defs": {"Base": base, "Child": child}})
    assert schema is not None
    assert set(schema["properties"]) == {"next", "id", "name"}
    assert "the same form as Child above" in schema["properties"]["next"]["description"]
    assert keywords(schema) <= KEYWORDS


def test_what_may_be_nothing_and_is_another_form_is_both() -> None:
    """OpenAPI's way of saying so."""
    assert cleaned({"nullable": True, "allOf": [A], **TWO}) == {**part_of(a="string"), "type": ["object", "null"]}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_choices_within_choices_stay_small(word: str) -> None:
    """Each level makes many of what is below it."""
    schema: JSON = {"type": "string"}
    for _ in range(11):
        below = {"type": "object", "properties": {"p": schema}}
        choices = {"anyOf": [part_of(a="string"), part_of(b="string"), part_of(c="string")]}
        schema = {"allOf": [choices, {"anyOf": [below, part_of(d="string")]}]} if word == "allOf" else {
            **below, word: choices["anyOf"]
        }  # fmt: skip
    clean = cleaned(schema)
    assert len(json.dumps(clean)) < 2_000_000
    assert keywords(clean) <= KEYWORDS
