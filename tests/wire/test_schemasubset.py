"""The subset of JSON Schema of structured outputs and strict tools: spec MSG-67 to 69, TOOL-2, 30, SDK-53."""

import enum
from typing import Any, Literal

import pydantic
import pytest
from anthropic import transform_schema
from asking import DOCUMENT, EPHEMERAL, OK, TOOL, Json, assistant, body, messages, model, outcome, says, tools

from dragoman.errors import InvalidRequest
from dragoman.wire.schemasubset import MAX_LEVELS, MAX_NODES, check_subset
from dragoman.wire.validate import validate_count, validate_messages

SONNET = "claude-sonnet-4-5"
BETA = ("structured-outputs-2025-11-13",)
TEXT: Json = {"type": "string"}
NULL: Json = {"type": "null"}
TOO_COMPLEX = "Schema is too complex for compilation."


def obj(*, required: list[str] | None = None, **properties: Any) -> Json:
    """An object of the subset; everything is required, unless told."""
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def format_of(schema: Any) -> Json:
    return {"type": "json_schema", "schema": schema}


def formatted(schema: Any, **fields: Any) -> Json:
    return {"output_config": {"format": format_of(schema)}, **fields}


def strict(schema: Any, name: str = "record") -> Json:
    return {"name": name, "input_schema": schema, "strict": True}


def said_of(schema: Any) -> str:
    """What is wrong with a schema, as a format and as a strict tool alike: without the place."""
    of_format = outcome(SONNET, **formatted(schema))
    of_tool = outcome(SONNET, **tools(strict(schema)))
    assert of_format.removeprefix("output_config.format.schema: ") == of_tool.removeprefix("tools.0.custom: ")
    return of_tool


ALLOWED: dict[str, Json] = {
    "every type": obj(a=TEXT, b={"type": "integer"}, c={"type": "number"}, d={"type": "boolean"}, e=NULL),
    "annotations": obj(a=TEXT | {"title": "A", "description": "B", "default": "x", "examples": ["y"]}) | {"title": "T"},
    "options": obj(a={"enum": ["x", 1, 2.5, True, None]}, b={"const": "only"}, c=TEXT | {"enum": ["x", "y"]}),
    "a nullable list of options": obj(a={"type": ["string", "null"], "enum": ["x", None]}),
    "a union": obj(a={"anyOf": [TEXT, {"type": "array", "items": TEXT}, NULL]}, b={"type": ["integer", "null"]}),
    "allOf": obj(a={"allOf": [TEXT, {"enum": ["x", "y"]}]}),
    "allOf whose parts do not say the type again": obj(
        a={"allOf": [TEXT, {"pattern": "^x"}]}, b={"allOf": [{"pattern": "^x"}, {"allOf": [{"title": "b"}, TEXT]}]},
        c=TEXT | {"allOf": [{"pattern": "^x"}, {"allOf": [{"format": "uri"}]}]},
        d={"anyOf": [TEXT, NULL], "allOf": [{"description": "d"}]},
        e=obj(x=TEXT) | {"allOf": [{"required": ["x"]}]},
    ),
    "lists": obj(a={"type": "array", "items": TEXT, "minItems": 0}, b={"type": "array", "items": TEXT, "minItems": 1}),
    "formats": obj(
        **{
            f"f{at}": {"type": "string", "format": name}
            for at, name in enumerate("date-time time date duration email hostname uri ipv4 ipv6 uuid".split())
        }
    ),
    "patterns": obj(
        **{
            f"p{at}": {"type": "string", "pattern": pattern}
            for at, pattern in enumerate(
                (r"^\d{3}-\w+\s?$", "[a-z]*", "(?:a|b)+", r"[\b]", r"^(x|y){2,10}$", r"\\b", r"\.\(\?=", "", "[(?=]")
            )
        }
    ),
    "shared definitions": obj(a={"$ref": "#/$defs/p"}, b={"$ref": "#/definitions/q"}, c={"$ref": "#/$defs/p"})
    | {"$defs": {"p": obj(x=TEXT)}, "definitions": {"q": {"enum": ["x"]}}},
    "a property with the name of a keyword": obj(minimum=TEXT, oneOf=TEXT, pattern=TEXT, not_=TEXT, **{"$ref": TEXT}),
    "data that looks like schemas": obj(a={"const": {"minimum": 1, "oneOf": []}}) | {"default": {"type": "object"}},
    "an empty object": obj(),
    "properties left out": {"type": "object", "additionalProperties": False},
    "foreign keywords": obj(a=TEXT | {"x-order": 1, "$comment": "c", "readOnly": True}) | {"$schema": "http://json-schema.org/draft-07/schema#"},
}  # fmt: skip


@pytest.mark.parametrize("schema", ALLOWED.values(), ids=ALLOWED)
def test_what_the_subset_has_passes(schema: Json) -> None:
    """MSG-68, TOOL-30."""
    assert said_of(schema) == OK


def refused(of: Json, text: str) -> tuple[Json, str]:
    """A property `a` with that schema, and what is said."""
    return obj(a=of), text


REFUSED = [
    ({"type": "object", "properties": {}}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
    refused({"type": "object"}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
    refused({"type": ["object", "null"]}, "For 'object' type, 'additionalProperties' must be explicitly set to false"),
    refused(
        {"type": "object", "additionalProperties": True},
        "For 'object' type, 'additionalProperties: true' is not supported. Please set 'additionalProperties' to false",
    ),
    refused(
        {"type": "object", "additionalProperties": TEXT},
        "For 'object' type, 'additionalProperties: object' is not supported. "
        "Please set 'additionalProperties' to false",
    ),
    *(
        refused({"type": kind, keyword: value}, f"For '{kind}' type, property '{keyword}' is not supported")
        for kind, keyword, value in (
            ("integer", "minimum", 0), ("integer", "maximum", 5), ("number", "exclusiveMinimum", 0),
            ("number", "exclusiveMaximum", 1), ("number", "multipleOf", 2), ("string", "minLength", 1),
            ("string", "maxLength", 5), ("array", "maxItems", 3), ("array", "uniqueItems", True),
            ("array", "contains", TEXT), ("array", "prefixItems", [TEXT]),
        )
    ),
    refused(
        {"type": "number", "minimum": 0, "maximum": 1},
        "For 'number' type, properties maximum, minimum are not supported",
    ),
    refused(
        {"type": ["null", "integer"], "minimum": 0}, "For 'integer' type, property 'minimum' is not supported"
    ),
    (obj() | {"minProperties": 1}, "For 'object' type, property 'minProperties' is not supported"),
    (obj() | {"patternProperties": {"^x": TEXT}}, "For 'object' type, property 'patternProperties' is not supported"),
    refused(
        {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 5},
        "For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: [2, 5])",
    ),
    refused({"oneOf": [TEXT, NULL]}, "Schema type 'oneOf' is not supported"),
    refused(TEXT | {"not": {"const": "x"}}, "Schema type 'not' is not supported"),
    refused(TEXT | {"if": TEXT, "then": TEXT}, "Schema type 'if' is not supported"),
    refused(
        {"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": TEXT}}, "Schema type 'allOf' with '$ref' is not supported"
    ),
    refused(
        TEXT | {"enum": ["x", {"y": 1}]}, "Invalid schema: Enum values must be strings, numbers, booleans or null"
    ),
    refused({"enum": [["x"]]}, "Invalid schema: Enum values must be strings, numbers, booleans or null"),
    refused(TEXT | {"enum": ["x", 1]}, "Invalid schema: Enum value 1 does not match declared type 'string'"),
    refused(
        {"type": ["integer", "null"], "enum": ["x"]},
        "Invalid schema: Enum value 'x' does not match declared type '['integer', 'null']'",
    ),
    refused({}, "Empty schema ({}) that accepts any JSON value is not supported."),
    refused({"description": "anything"}, "Invalid schema: Schema type is missing"),
    refused({"allOf": [{"pattern": "^x"}, {"allOf": [{"title": "x"}]}]}, "Invalid schema: Schema type is missing"),
    refused(
        {"type": "array", "items": TEXT, "allOf": [{"items": {"pattern": "^x"}}]},
        "Invalid schema: Schema type is missing",
    ),
    refused({"allOf": [TEXT, {"minLength": 1}]}, "For 'string' type, property 'minLength' is not supported"),
    refused(
        {"type": "integer", "allOf": [{"allOf": [{"minimum": 1}]}]},
        "For 'integer' type, property 'minimum' is not supported",
    ),
    refused(
        {"type": "array", "items": TEXT, "allOf": [{"minItems": 2}]},
        "For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: [2, ∞])",
    ),
    refused({"type": "array", "items": {}}, "Empty schema ({}) that accepts any JSON value is not supported."),
    (
        obj(a=TEXT, required=["a", "b"]),
        "Invalid schema: Required property 'b' is not defined in 'properties'",
    ),
    refused(
        {"$ref": "https://example.com/schema.json"},
        "Invalid schema: External $ref is not supported: 'https://example.com/schema.json'",
    ),
    refused({"$ref": "#/$defs/none"}, "Invalid schema: Reference to non-existent definition: '#/$defs/none'"),
    *(
        refused(TEXT | {"pattern": pattern}, f"Invalid regex in pattern field: {what} is not supported")
        for pattern, what in (
            (r"(a)\1", "A back-reference"), (r"(?<x>a)\k<x>", "A back-reference"), ("(?=a)", "Lookahead"),
            ("(?!a)b", "Lookahead"), ("(?<=a)b", "Lookbehind"), ("(?<!a)b", "Lookbehind"),
            (r"\bword", r"The word boundary '\b'"), (r"[a]\B", r"The word boundary '\B'"),
            ("a{1,5000}", "A quantifier beyond 1000"),
        )
    ),
    refused(
        TEXT | {"format": "color"},
        "For 'string' type, 'format' value 'color' is not supported. Supported formats: date-time, time, date, "
        "duration, email, hostname, uri, ipv4, ipv6, uuid",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_the_subset_has_not_is_refused_in_the_words_of_the_api(schema: Json, text: str) -> None:
    """MSG-68, TOOL-30: also where it lies deep, in a list, in a union or in a definition that nothing refers to."""
    assert outcome(SONNET, **formatted(schema)) == f"output_config.format.schema: {text}"
    assert outcome(SONNET, **tools(TOOL, strict(schema))) == f"tools.1.custom: {text}"
    if "#/" in str(schema):
        return  # would point elsewhere
    for around in (
        {"type": "array", "items": obj(deep=schema)},
        {"anyOf": [NULL, schema]},
        {"allOf": [schema]},
        TEXT | {"$defs": {"unused": schema}},
    ):
        assert outcome(SONNET, **formatted(obj(x=around))) == f"output_config.format.schema: {text}"


@pytest.mark.parametrize(
    ("schema", "way"),
    [
        ({"$ref": "#"}, "# -> #"),
        (obj(a={"$ref": "#/$defs/node"}) | {"$defs": {"node": obj(next={"$ref": "#/$defs/node"})}}, "node -> node"),
        (
            obj(a={"$ref": "#/$defs/a"})
            | {"$defs": {"a": obj(x={"$ref": "#/$defs/b"}), "b": obj(x={"$ref": "#/$defs/a"})}},
            "a -> b -> a",
        ),
        (obj() | {"$defs": {"unused": {"type": "array", "items": {"$ref": "#/$defs/unused"}}}}, "unused -> unused"),
    ],
)  # fmt: skip
def test_a_schema_may_not_hold_itself(schema: Json, way: str) -> None:
    """MSG-68: recursion."""
    assert outcome(SONNET, **formatted(schema)) == (
        f"output_config.format.schema: Circular reference detected in schema definitions: {way}. "
        "Self-referencing or mutually-referencing definitions are not supported."
    )


@pytest.mark.parametrize("schema", [{"type": "str"}, {"type": 5}, obj(a={"type": ["string", "text"]})])
def test_unknown_types_are_refused(schema: Json) -> None:
    """MSG-68."""
    assert outcome(SONNET, **formatted(schema)).startswith("output_config.format.schema: Schema type ")


@pytest.mark.parametrize(
    "schema",
    [obj() | {"required": [1]}, obj(a=TEXT | {"title": 5}), obj() | {"properties": []}, obj() | {"$defs": 5}],
)
def test_a_format_that_is_no_schema_is_refused(schema: Json) -> None:
    """MSG-68: whatever is wrong with it, it is a 400."""
    assert outcome(SONNET, **formatted(schema)).startswith("output_config.format.schema: Invalid JSON Schema")


@pytest.mark.parametrize("pattern", ["(", "a)", "[z-a]", "*a", "a{2,1}", "\\"])
def test_a_pattern_must_be_a_regular_expression(pattern: str) -> None:
    """TOOL-2 for all tools, MSG-68 for the subset."""
    text = "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12"
    for schema in (
        obj(a=TEXT | {"pattern": pattern}),
        {"type": "object", "patternProperties": {pattern: TEXT}},
        {"type": "object", "properties": {"default": {"items": {"pattern": pattern}}}},
        {"type": "object", "anyOf": [{"$defs": {"x": {"pattern": pattern}}}]},
    ):
        assert outcome(SONNET, **tools({"name": "a", "input_schema": schema})).startswith(text)
    said = outcome(SONNET, **formatted(obj(a=TEXT | {"pattern": pattern})))
    assert said == (
        f"output_config.format.schema: Invalid regex in pattern field: {pattern!r} is not a valid regular expression"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"pattern": r"(?i)abc"}, "b": {"pattern": r"^\p{Lu}+$"}, "c": {"pattern": r"a++"}}},
        {"properties": {"pattern": {"type": "string"}, "patternProperties": {"type": "object"}}},
        {"properties": {"a": {"const": {"pattern": "("}, "default": {"pattern": "("}}}, "required": ["pattern"]},
        {"dependentRequired": {"pattern": ["("]}},
    ],
)
def test_a_pattern_of_another_dialect_and_data_that_looks_like_one_pass(schema: Json) -> None:
    """TOOL-2: a tool that is not strict may use all of JSON Schema; many programs write Python's expressions."""
    assert outcome(SONNET, **tools({"name": "a", "input_schema": {"type": "object", **schema}})) == OK


# Limits of one request (MSG-69).


def optional(count: int) -> Json:
    return obj(required=[], **{f"o{at}": TEXT for at in range(count)})


def unions(count: int) -> Json:
    return obj(**{f"u{at}": {"type": ["string", "null"]} if at % 2 else {"anyOf": [TEXT, NULL]} for at in range(count)})


def test_twenty_tools_may_be_strict() -> None:
    """MSG-69: those that are not strict do not count."""
    many = [strict(obj(), f"t{at}") for at in range(21)]
    assert outcome(SONNET, **tools(*many[:20], TOOL)) == OK
    assert outcome(SONNET, **tools(*many)) == (
        "Too many strict tools (21). The maximum number of strict tools supported is 20. Try reducing the number of "
        "tools marked as strict."
    )


def test_optional_parameters_are_counted_over_strict_tools_and_format() -> None:
    """MSG-69: at every level, but not those of tools that are not strict."""
    loose = {"name": "loose", "input_schema": optional(30)}
    asked = tools(strict(optional(12)), strict(obj(x=optional(2)), "b"), loose)
    assert outcome(SONNET, **asked, **formatted(optional(10))) == OK
    assert outcome(SONNET, **asked, **formatted(optional(11))) == (
        "Schemas contains too many optional parameters (25), which would make grammar compilation inefficient. "
        "Reduce the number of optional parameters in your tool schemas (limit: 24)."
    )


def test_union_types_are_counted_over_strict_tools_and_format() -> None:
    """MSG-69."""
    loose = {"name": "loose", "input_schema": unions(30)}
    assert outcome(SONNET, **tools(strict(unions(6)), loose), **formatted(unions(10))) == OK
    assert outcome(SONNET, **tools(strict(unions(6)), loose), **formatted(unions(11))) == (
        "Schemas contains too many parameters with union types (17 parameters with type arrays or anyOf). This causes "
        "exponential compilation cost. Reduce the number of nullable or union-typed parameters (limit: 16 parameters "
        "with unions)."
    )


def nested(levels: int) -> Json:
    schema = obj(x=TEXT)
    for _ in range(levels - 1):
        schema = obj(x=schema)
    return schema


def doubling(count: int) -> Json:
    """`count` definitions, each of which refers twice to the next: 2**count objects when written out."""
    defs = {f"d{at}": obj(a={"$ref": f"#/$defs/d{at + 1}"}, b={"$ref": f"#/$defs/d{at + 1}"}) for at in range(count)}
    return obj(x={"$ref": "#/$defs/d0"}) | {"$defs": defs | {f"d{count}": TEXT}}


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        (nested(MAX_LEVELS), nested(MAX_LEVELS + 1)),
        (doubling(7), doubling(20)),
        (obj(a=TEXT | {"enum": ["x"] * (MAX_NODES - 2)}), obj(a=TEXT | {"enum": ["x"] * MAX_NODES})),
    ],
    ids=["levels", "references", "options"],
)
def test_what_would_take_too_long_to_compile_is_refused(fits: Json, too_much: Json) -> None:
    """MSG-69: what the API measures in seconds is here the size of the schema, its references written out."""
    assert said_of(fits) == OK
    assert said_of(too_much).startswith(TOO_COMPLEX)


def deep(keyword: str) -> Json:
    schema: Json = TEXT
    for _ in range(380):
        schema = {keyword: [schema]} if keyword != "items" else {"type": "array", "items": schema}
    return schema


HOSTILE: dict[str, Json] = {
    "references that double 3000 times": doubling(3000),
    "anyOf 380 times": deep("anyOf"),
    "items 380 times": deep("items"),
    "a chain of 5000 references": obj(x={"$ref": "#/$defs/d0"})
    | {"$defs": {f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(5000)} | {"d5000": TEXT}},
    "a large constant": obj(x={"const": [[0] * 1000] * 1000}),
    "many properties": obj(**{f"p{at}": TEXT for at in range(30_000)}),
}


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
def test_hostile_schemas_are_refused_at_once(schema: Json) -> None:
    """MSG-69: each subschema is looked at once, and none deeper than the limit: else this would not end."""
    with pytest.raises(InvalidRequest, match=TOO_COMPLEX):
        check_subset(schema, "output_config.format.schema")


def test_long_texts_of_callers_are_cut_in_messages() -> None:
    """MSG-68."""
    assert len(outcome(SONNET, **formatted(obj(a=TEXT | {"format": "x" * 100_000})))) < 500
    assert len(outcome(SONNET, **formatted(obj(a={"$ref": "#/$defs/" + "x" * 100_000})))) < 500


# What the SDK sends (SDK-53).


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(pydantic.BaseModel):
    """Where somebody lives."""

    zip: str = pydantic.Field(pattern=r"^\d{5}$", description="Five digits")
    country: Literal["DE", "FR"] = "DE"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = pydantic.Field(ge=1, le=9)


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    age: float | None = None


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1, max_length=50)
    email: str = pydantic.Field(json_schema_extra={"format": "email"})
    born: str | None = pydantic.Field(default=None, json_schema_extra={"format": "color"})
    colours: list[Colour] = pydantic.Field(min_length=1, max_length=3)
    addresses: dict[str, Address]
    home: Address
    work: Address | None = None
    pet: Cat | Dog = pydantic.Field(discriminator="kind")
    pair: tuple[int, ...] = ()
    favourite: Colour = Colour.RED


@pytest.mark.parametrize("kind", [Person, Address, list[Person], int | None, Colour, pydantic.RootModel[list[Address]]])
def test_the_schemas_that_the_sdk_makes_of_models_pass(kind: Any) -> None:
    """SDK-53: title, description, $defs, default, anyOf, const and enum included."""
    schema = transform_schema(pydantic.TypeAdapter(kind).json_schema())
    assert outcome(SONNET, **formatted(schema)) == OK


# The old name of the format (MSG-29).


def test_the_old_name_of_the_format_is_the_same_thing() -> None:
    """MSG-29, MSG-68: checked in the same way; who reads the request finds it under the new name, effort kept."""
    given = {"output_format": format_of(obj(a=TEXT)), "output_config": {"effort": None}}
    request = validate_messages(body(**given), model(SONNET), version="2023-06-01", betas=BETA)
    assert request.output_format is None
    assert request.output_config is not None
    assert request.output_config.format is not None
    assert request.output_config.format.schema == obj(a=TEXT)
    counted = {name: value for name, value in body(**given).items() if name != "max_tokens"}
    count = validate_count(counted, model(SONNET), version="2023-06-01", betas=BETA)
    assert count.output_config == request.output_config
    assert outcome(SONNET, betas=BETA, output_format=format_of(obj(a={"type": "integer", "minimum": 0}))) == (
        "output_format.schema: For 'integer' type, property 'minimum' is not supported"
    )


@pytest.mark.parametrize(
    "fields",
    [
        messages({"role": "user", "content": "hi"}, assistant("a")),
        messages(says(DOCUMENT | {"citations": {"enabled": True}}, "x")),
        {"max_tokens": 0},
    ],
    ids=["a prefill (MSG-48)", "citations (MSG-98)", "no tokens (MSG-35)"],
)
def test_what_a_format_excludes_the_old_name_excludes_too(fields: Json) -> None:
    """MSG-35, MSG-48, MSG-98."""
    by_its_new_name = outcome(SONNET, **fields, **formatted(obj()))
    assert "output_config.format" in by_its_new_name
    assert outcome(SONNET, betas=BETA, **fields, output_format=format_of(obj())) == by_its_new_name


def test_a_format_may_not_be_given_twice() -> None:
    """MSG-29."""
    said = outcome(SONNET, betas=BETA, output_format=format_of(obj()), **formatted(obj()))
    assert said.startswith("output_format: Both output_format and output_config.format were provided.")
    empty = {"output_config": {"format": None}}
    assert outcome(SONNET, betas=BETA, output_format=format_of(obj()), **empty) == OK


@pytest.mark.parametrize("given", [None, False])
def test_only_strict_tools_are_held_to_the_subset(given: bool | None) -> None:
    """TOOL-30."""
    loose = TOOL | {"strict": given, "cache_control": EPHEMERAL}
    assert outcome(SONNET, **tools(loose)) == OK
    assert outcome(SONNET, **tools(TOOL | {"strict": True})) == (
        "tools.0.custom: For 'object' type, 'additionalProperties' must be explicitly set to false"
    )
