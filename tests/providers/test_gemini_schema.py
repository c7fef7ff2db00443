"""Tool schemas as Gemini takes them: its keywords only, and nothing of their meaning lost."""

import json
from typing import Any

import pytest
from gemini_cases import keywords

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
