"""Schemas by the hundred, made from a seed: whatever the engine puts into a call or a format fits them.

Each schema is made so that some value fits it. Checked by another validator than the one that the engine itself asks.
"""

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from dragoman.engines.base import Generation
from dragoman.engines.offline import OfflineEngine
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.events import Fold
from dragoman.wire.types import Message, Text, ToolUse
from dragoman.wire.validate import validate_messages

Json = dict[str, Any]
Maker = Callable[[random.Random, int], Json]

MODEL = Catalogue.load().resolve("claude-haiku-4-5")
ENGINE = OfflineEngine(secret=b"a secret of this test alone")
# The checker's "time" is that of draft 3, without an offset: RFC 3339, which 2020-12 names, demands one.
FORMATS = FormatChecker([name for name in FormatChecker.checkers if name != "time"])
NAMES = "name city count price email when tags owner unit status id notes address limit items active".split()
WORDS = ("red", "green", "blue", "Berlin", "x-1", "")
PROMPTS = (
    "Hello",
    "Ada Lovelace is 36 years old and lives in Berlin, ada@example.org, since 2024-02-29",
    'Set the status to "green" with 3 items of 2.5 kg, tags: red, blue; price -12',
    "Send 100000 to https://example.com/x at 10:30 for customer 4711, urgent, active",
)
SOURCES = (  # regular expressions that any string or none must match whole
    r"^[A-Z]{2}-\d{3}$", r"^\d{4}-\d{2}$", r"^(red|green)$", r"^[a-z0-9_]{3,10}$", r"^#[0-9a-fA-F]{6}$",
    r"^\+?\d{1,3}[ -]?\d{4,8}$", r"^v\d+\.\d+\.\d+$", r"\.(png|jpe?g)$", r"^[^\s@]+@[^\s@]+$", r"^.{2,5}$", r"\S",
    r"^(?:[01]\d|2[0-3]):[0-5]\d$", r"^[\w.-]+/[\w.-]+$", r"^$|^none$", r"a+b*c?",
)  # fmt: skip
ASSERTED = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


# Schemas for tools without `strict`: all of JSON Schema that is common in them.


def any_schema(rng: random.Random, depth: int) -> Json:
    """A schema that some value fits, of at most six levels."""
    leaves: list[Maker] = [text, number, whole, plain, options, asserted, pattern, nullable]
    branches: list[Maker] = [record, array, alternatives, tagged, both, reference, table, pair, conditional]
    return rng.choice(leaves if depth > 5 or rng.random() < 0.12 * depth else [*leaves, *branches])(rng, depth)


def text(rng: random.Random, _: int) -> Json:
    low = rng.randint(0, 30)
    limits = {"minLength": low, "maxLength": low + rng.choice((0, 1, 5, 200))}
    return {"type": "string", **{key: limits[key] for key in limits if rng.random() < 0.6}}


def number(rng: random.Random, _: int) -> Json:
    low = round(rng.uniform(-1000, 1000), rng.randint(0, 3))
    limits: Json = rng.choice(
        (
            {},
            {"minimum": low},
            {"maximum": low},
            {"minimum": low, "maximum": low + 0.5},
            {"exclusiveMinimum": low, "exclusiveMaximum": low + 0.25},
            {"multipleOf": rng.choice((0.01, 0.5, 0.1, 2.5, 3))},
            {"minimum": low, "multipleOf": 0.25},
            {"exclusiveMinimum": 0, "maximum": 1},
        )
    )
    return {"type": "number", **limits}


def whole(rng: random.Random, _: int) -> Json:
    low = rng.randint(-100, 10 ** rng.randint(1, 12))
    limits: Json = rng.choice(
        (
            {},
            {"minimum": low},
            {"maximum": low},
            {"minimum": low, "maximum": low + rng.randint(0, 3)},
            {"exclusiveMinimum": low, "exclusiveMaximum": low + 2},
            {"minimum": low, "maximum": low + 20, "multipleOf": rng.randint(1, 20)},
            {"exclusiveMinimum": low, "multipleOf": 7},
        )
    )
    return {"type": "integer", **limits}


def plain(rng: random.Random, _: int) -> Json:
    return {"type": rng.choice(("boolean", "string", "integer", "number", "null"))}


def options(rng: random.Random, _: int) -> Json:
    chosen = rng.sample(["red", "green", "blue", 1, 2.5, True, None, "4", ""], rng.randint(1, 6))
    made: Json = {"enum": chosen} if rng.random() < 0.7 else {"const": chosen[0]}
    if rng.random() < 0.3:
        made["default"] = rng.choice(chosen)
    return made


def asserted(rng: random.Random, _: int) -> Json:
    return {"type": "string", "format": rng.choice(ASSERTED)}


def pattern(rng: random.Random, _: int) -> Json:
    return {"type": "string", "pattern": rng.choice(SOURCES)}


def nullable(rng: random.Random, depth: int) -> Json:
    inner = rng.choice((text, number, whole, asserted, pattern))(rng, depth)
    return rng.choice(({**inner, "type": [inner["type"], "null"]}, {"anyOf": [inner, {"type": "null"}]}))


def record(rng: random.Random, depth: int) -> Json:
    names = rng.sample(NAMES, rng.randint(0, 5))
    made: Json = {
        "type": "object",
        "properties": {name: described(rng, any_schema(rng, depth + 1)) for name in names},
        "required": rng.sample(names, rng.randint(0, len(names))),
    }
    if rng.random() < 0.4:
        made["additionalProperties"] = False
    if names and rng.random() < 0.2:
        made["minProperties"] = rng.randint(0, len(names))
    if len(names) > 1 and rng.random() < 0.2:
        made["dependentRequired"] = {names[0]: [names[-1]]}
    return made


def described(rng: random.Random, schema: Json) -> Json:
    if rng.random() < 0.3:
        return {**schema, "description": rng.choice(("How many, e.g. 5", "The city, e.g. Paris", "Leave empty"))}
    return schema


def array(rng: random.Random, depth: int) -> Json:
    low = rng.randint(0, 4)
    made: Json = {"type": "array", "items": any_schema(rng, depth + 1)}
    made |= {key: value for key, value in (("minItems", low), ("maxItems", low + 2)) if rng.random() < 0.5}
    if rng.random() < 0.3:
        few: list[Json] = [{"enum": [1, 2, "x", None, "y", "z"]}, {"type": "integer"}, {"type": "string"}]
        few += [{"type": "string", "format": "uuid"}, {"type": "string", "minLength": 3, "maxLength": 4}]
        few += [{"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}]
        made |= {"uniqueItems": True, "items": rng.choice(few)}
    if rng.random() < 0.15:
        made |= {"items": {"type": "integer"}, "contains": {"minimum": 50}, "minContains": low, "maxItems": low + 3}
    return made


def alternatives(rng: random.Random, depth: int) -> Json:
    return {"anyOf": [any_schema(rng, depth + 1) for _ in range(rng.randint(1, 4))]}


def tagged(rng: random.Random, depth: int) -> Json:
    branches = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, "value": any_schema(rng, depth + 1)},
            "required": ["kind", "value"],
        }
        for kind in ("circle", "square", "line")
    ]
    return {rng.choice(("oneOf", "anyOf")): branches}


def both(rng: random.Random, depth: int) -> Json:
    if rng.random() < 0.4:
        low = rng.randint(-20, 20)
        return {"allOf": [{"type": "integer", "minimum": low}, {"maximum": low + 12}, {"multipleOf": 3}]}
    first, second = rng.sample(NAMES, 2)
    return {
        "type": "object",
        "properties": {first: any_schema(rng, depth + 1)},
        "allOf": [
            {"properties": {second: any_schema(rng, depth + 1)}, "required": [second]},
            {"required": [first]},
        ],
    }


def reference(rng: random.Random, _: int) -> Json:
    return {"$ref": "#/$defs/" + rng.choice(list(DEFS))}


def table(rng: random.Random, depth: int) -> Json:
    made: Json = {"type": "object", "additionalProperties": any_schema(rng, depth + 1)}
    made |= {"minProperties": rng.randint(0, 2)} if rng.random() < 0.6 else {}
    made |= {"propertyNames": {"pattern": "^[a-z]{2,4}$"}} if rng.random() < 0.4 else {}
    return made


def pair(rng: random.Random, depth: int) -> Json:
    parts = [any_schema(rng, depth + 1) for _ in range(2)]
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": rng.randint(0, 2)}


def conditional(rng: random.Random, depth: int) -> Json:
    return {
        "type": "object",
        "properties": {"mode": {"enum": ["fast", "slow"]}, "limit": any_schema(rng, depth + 1)},
        "required": ["mode"],
        "if": {"properties": {"mode": {"const": "fast"}}},
        "then": {"required": ["limit"]},
    }


DEFS: Json = {
    "node": {
        "type": "object",
        "properties": {
            "value": {"type": "integer", "minimum": 3},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
        },
        "required": ["value", "children"],
        "additionalProperties": False,
    },
    "list": {
        "type": "object",
        "properties": {"head": {"type": "string"}, "tail": {"anyOf": [{"$ref": "#/$defs/list"}, {"type": "null"}]}},
        "required": ["head", "tail"],
    },
    "expression": {
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "op": {"enum": ["+", "*"]},
                    "args": {"type": "array", "items": {"$ref": "#/$defs/expression"}, "minItems": 1, "maxItems": 2},
                },
                "required": ["op", "args"],
            },
            {"type": "number", "minimum": 0.5, "maximum": 9},
        ]
    },
    "address": {
        "type": "object",
        "properties": {
            "street": {"type": "string", "minLength": 1},
            "zip": {"type": "string", "pattern": r"^\d{5}$"},
            "country": {"type": "string", "enum": ["DE", "FR", "US"]},
        },
        "required": ["zip", "country"],
        "additionalProperties": False,
    },
}


def tool_schema(seed: int) -> Json:
    rng = random.Random(f"tool {seed}")
    made = record(rng, 0)
    while not made["properties"]:
        made = record(rng, 0)
    made["required"] = made["required"] or list(made["properties"])[:1]
    return {**made, "$defs": DEFS}


# Schemas of the subset, for formats and strict tools (MSG-68).


class Subset:
    """Makes one schema of the subset, within the limits of MSG-69."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._optional = 10
        self._unions = 8

    def schema(self) -> Json:
        root = self.record(0) if self._rng.random() < 0.9 else self._array(0)
        return {**root, "$defs": SUBSET_DEFS}

    def _any(self, depth: int) -> Json:
        rng = self._rng
        kinds: list[Callable[[int], Json]] = [self._leaf, self._leaf]
        if depth < 6:
            kinds += [self.record, self._array, self._reference, self._both]
        if self._unions and depth < 6:
            kinds += [self._union]
        return described(rng, rng.choice(kinds)(depth))

    def _leaf(self, _: int) -> Json:
        rng = self._rng
        return rng.choice(
            [
                {"type": rng.choice(("string", "integer", "number", "boolean", "null")), "title": "A title"},
                {"type": "string", "format": rng.choice(ASSERTED)},
                {"type": "string", "pattern": rng.choice(SOURCES)},
                {"type": "string", "enum": rng.sample(WORDS, rng.randint(1, 4))},
                {"enum": rng.sample([1, "two", None, True, 3.5], 3)},
                {"const": rng.choice((1, "only", None))},
                {"type": "integer", "default": 5},
            ]
        )

    def record(self, depth: int) -> Json:
        rng = self._rng
        names = rng.sample(NAMES, rng.randint(1, 5))
        optional = rng.sample(names, rng.randint(0, min(self._optional, len(names) - 1)))
        self._optional -= len(optional)
        required = [name for name in names if name not in optional]
        rng.shuffle(required)
        properties = {name: self._any(depth + 1) for name in names}
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def _array(self, depth: int) -> Json:
        made: Json = {"type": "array", "items": self._any(depth + 1)}
        return made | ({"minItems": self._rng.randint(0, 1)} if self._rng.random() < 0.6 else {})

    def _reference(self, _: int) -> Json:
        return {"$ref": "#/$defs/" + self._rng.choice(list(SUBSET_DEFS))}

    def _both(self, depth: int) -> Json:
        return {"type": "string", "allOf": [{"enum": ["a", "b", "c"]}, {"enum": ["c", "d"]}]}

    def _union(self, depth: int) -> Json:
        self._unions -= 1
        if self._rng.random() < 0.5:
            return {"type": [self._rng.choice(("string", "integer", "number", "boolean")), "null"]}
        return {"anyOf": [self._any(depth + 1), self._any(depth + 1), {"type": "null"}]}


SUBSET_DEFS: Json = {
    "address": {
        "type": "object",
        "properties": {
            "zip": {"type": "string", "pattern": r"^\d{5}$"},
            "country": {"$ref": "#/$defs/country"},
        },
        "required": ["country", "zip"],
        "additionalProperties": False,
    },
    "country": {"type": "string", "enum": ["DE", "FR", "US"]},
}


def subset_schema(seed: int) -> Json:
    return Subset(random.Random(f"subset {seed}")).schema()


# Asking the engine.


async def ask(prompt: str, **fields: Any) -> Message:
    assert MODEL is not None
    body = {"model": MODEL.id, "max_tokens": 60_000, "messages": [{"role": "user", "content": prompt}], **fields}
    request = validate_messages(body, MODEL, version="2023-06-01", betas=())
    ids = itertools.count()
    generation = Generation(request=request, model=MODEL, message_id="msg_1", new_tool_id=lambda: f"toolu_{next(ids)}")
    fold = Fold()
    async for ready in ENGINE.generate(generation):
        for event in ready:
            fold.add(event)
    return fold.message()


async def forced_inputs(schema: Json, prompt: str, **tool: Any) -> list[Json]:
    """The inputs of the calls that a forced choice brings: more than one where the prompt lists things."""
    tool = {"name": "record_it", "input_schema": schema, **tool}
    message = await ask(prompt, tools=[tool], tool_choice={"type": "tool", "name": "record_it"})
    calls = [block for block in message.content if isinstance(block, ToolUse)]
    assert calls
    assert (len(calls), message.stop_reason) == (len(message.content), "tool_use")
    return [call.input for call in calls]


async def formatted(schema: Json, prompt: str) -> object:
    message = await ask(prompt, output_config={"format": {"type": "json_schema", "schema": schema}})
    (block,) = message.content
    assert isinstance(block, Text)
    return json.loads(block.text)


def faults(schema: Json, value: object) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=FORMATS)
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(value)]


def unordered(schema: Any, value: Any, root: Json) -> list[object]:
    """The objects in a value, as far as no union comes between, whose keys are not in the order of MSG-67."""
    schema = schema or {}
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [found for item in value for found in unordered(schema.get("items"), item, root)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    required = [name for name in schema["properties"] if name in schema["required"]]
    optional = [name for name in schema["properties"] if name not in schema["required"]]
    wrong: list[object] = [] if list(value) == [n for n in [*required, *optional] if n in value] else [value]
    return wrong + [
        found for name, item in value.items() for found in unordered(schema["properties"][name], item, root)
    ]


@pytest.mark.parametrize("seed", range(60))
async def test_the_input_of_a_forced_call_fits_the_schema_of_its_tool(seed: int) -> None:
    """TOOL-2, TOOL-12: valid, though without `strict` it need not be (TOOL-21)."""
    schema = tool_schema(seed)
    for value in await forced_inputs(schema, PROMPTS[seed % len(PROMPTS)]):
        assert faults(schema, value) == []


@pytest.mark.parametrize("seed", range(60))
async def test_a_formatted_reply_is_json_that_fits_its_schema_in_the_order_of_it(seed: int) -> None:
    """MSG-67, MSG-68: required properties first, in the order of the schema; then the optional ones."""
    schema = subset_schema(seed)
    value = await formatted(schema, PROMPTS[seed % len(PROMPTS)])
    assert faults(schema, value) == []
    assert unordered(schema, value, schema) == []


@pytest.mark.parametrize("seed", range(100, 130))
async def test_the_input_of_a_strict_tool_fits_its_schema_in_the_order_of_it(seed: int) -> None:
    """TOOL-30, TOOL-31."""
    schema = Subset(random.Random(seed)).record(0) | {"$defs": SUBSET_DEFS}
    for value in await forced_inputs(schema, PROMPTS[seed % len(PROMPTS)], strict=True):
        assert faults(schema, value) == []
        assert unordered(schema, value, schema) == []


def unique(items: Json, fewest: int, **more: Any) -> Json:
    return {"type": "array", "items": items, "minItems": fewest, "uniqueItems": True, **more}


def fields(*required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


MANY = [f"p{at}" for at in range(1500)]
HARD: dict[str, Json] = {
    "an expression of the end, and a length": {"type": "string", "pattern": "-end$", "minLength": 10},
    "two expressions": {"allOf": [{"type": "string", "pattern": "^a"}, {"pattern": "b$", "minLength": 4}]},
    "an expression and a format": {"type": "string", "format": "email", "pattern": r"@corp\.example$"},
    "a password": {"type": "string", "pattern": r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[@$!%*?&]).{8,}$"},
    "an address by its expression": {"type": "string", "pattern": r"^(?:(?:25[0-5]|1?\d?\d)(?:\.(?!$)|$)){4}$"},
    "anything but a text": {"not": {"type": "string"}},
    "not as one would say it": {"type": "string", "not": {"pattern": "^[a-z]"}},
    "not what one would say": {"type": "integer", "minimum": 0, "not": {"enum": [0, 1, 2, 3, 4, 5, 6, 7]}},
    "options that a limit excludes": {"enum": ["x", "yy", "zzz"], "minLength": 3},
    "different values of different types": unique({"anyOf": [{"const": 1}, {"const": "a"}, {"type": "null"}]}, 3),
    "different lists": unique({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, 4),
    "all combinations": unique(fields("a", "b", a={"type": "boolean"}, b={"enum": [1, 2]}), 4),
    "one item of a kind": {"type": "array", "items": {"type": "string"}, "contains": {"const": "must"}},
    "two items of a kind, and no more": {
        "type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5},
        "minContains": 2, "maxContains": 2, "minItems": 4,
    },
    "a property that brings another": {
        **fields(a={"type": "integer"}, b={"type": "string"}), "minProperties": 1, "dependentRequired": {"a": ["b"]},
    },
    "very many properties": fields(*MANY, **{name: {"type": "null"} for name in MANY}),
}  # fmt: skip


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
async def test_what_takes_more_than_one_try_is_found(hard: Json, prompt: str) -> None:
    """TOOL-2: keywords that must be obeyed together."""
    schema = fields("tags", tags=hard)
    for value in await forced_inputs(schema, prompt):
        assert faults(schema, value) == []


FITTING: dict[str, Json] = {
    "no plain character": {"type": "string", "pattern": r"^[^\x00-\x7F]{2}$"},
    "an identifier that begins with": {"type": "string", "format": "uuid", "pattern": "^a"},
    "a date of one year": {"type": "string", "format": "date", "pattern": "^2031-"},
    "an address of one network": {"type": "string", "format": "ipv4", "pattern": r"^10\."},
    "a link of one scheme": {"type": "string", "format": "uri", "pattern": "^http://"},
    "parts that do not say the type again": {"allOf": [{"type": "string"}, {"pattern": "^a"}, {"format": "email"}]},
}


@pytest.mark.parametrize("prompt", PROMPTS[:2])
@pytest.mark.parametrize("leaf", FITTING.values(), ids=FITTING)
async def test_strict_inputs_and_formats_fit_expressions_beside_formats(leaf: Json, prompt: str) -> None:
    """MSG-68, TOOL-30."""
    schema = {**fields("value", value=leaf), "additionalProperties": False}
    for value in [*await forced_inputs(schema, prompt, strict=True), await formatted(schema, prompt)]:
        assert faults(schema, value) == []
