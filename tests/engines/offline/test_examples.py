"""Values made for schemas: valid by two validators, made of the user's words, and quick for any schema."""

import json
import random
import re
import time
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from dragoman.engines.offline.examples.fill import MAX_ITEMS, fill
from dragoman.engines.offline.examples.formats import is_typical
from dragoman.engines.offline.examples.strings import MAX_STRING, format_sample, pattern_sample
from dragoman.engines.offline.hints.hints import Hints
from dragoman.wire.jsonschema import Checker, Document, TooCostly, weigh

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}


def obj(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def is_valid(schema: dict[str, Any], value: object) -> bool:
    """By both. The draft's own format checker: the plain one takes "time" for draft 3's, without an offset."""
    strict = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
    checker = Draft202012Validator.FORMAT_CHECKER
    return strict.is_valid(value) and Draft202012Validator(schema, format_checker=checker).is_valid(value)


NODE = {
    "$defs": {"node": obj("name children", name=TEXT, children={"type": "array", "items": {"$ref": "#/$defs/node"}})}
}
LINKED = {"$defs": {"l": obj("v next", v=WHOLE, next={"anyOf": [{"$ref": "#/$defs/l"}, {"type": "null"}]})}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"const": {"a": [1]}}, {"a": [1]}),
        ({"enum": ["red", "green"]}, "red"),
        ({"type": "integer", "enum": ["x", 2]}, 2),
        ({"enum": ["red", "green"], "default": "green"}, "green"),
        ({"type": "integer", "default": 7}, 7),
        ({"type": "string", "examples": [3, "oslo"]}, "oslo"),
        ({"type": "string", "description": "The city, e.g. San Francisco, CA"}, "San Francisco, CA"),
        ({"type": "string", "default": "no", "minLength": 4}, "exam" + "ple"),
        ({"type": "string", "pattern": r"^[A-Z]{2}-\d{3}$"}, "AA-000"),
        ({"type": "string", "maxLength": 3}, "exa"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 10, "multipleOf": 7}, 14),
        ({"type": "integer", "multipleOf": 0.5, "maximum": 0.75}, 0),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.1, "multipleOf": 0.25, "maximum": 0.4}, 0.25),
        ({"minimum": 3}, 3),
        ({"items": {"type": "integer"}}, [1]),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"a": 1}),
        ({"type": "array", "items": WHOLE, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
        ({"type": "array", "prefixItems": [WHOLE, {"type": "boolean"}], "items": False}, [1, False]),
        ({"type": "array", "items": WHOLE, "contains": {"minimum": 5}, "minContains": 2}, [5, 6]),
        ({"type": "array", "items": WHOLE, "maxItems": 0}, []),
        (obj("b a", a=WHOLE, b=WHOLE, c=WHOLE), {"a": 1, "b": 1}),
        ({"type": "object", "required": ["x"], "additionalProperties": WHOLE}, {"x": 1}),
        ({"type": "object", "required": ["x"], "patternProperties": {"^x": {"const": 3}}}, {"x": 3}),
        ({"type": "object", "minProperties": 2, "additionalProperties": WHOLE}, {"key1": 1, "key2": 1}),
        ({"type": "object", "minProperties": 1, "propertyNames": {"const": "k"}}, {"k": "example"}),
        ({**obj("a", a=WHOLE, b=WHOLE), "dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}),
        ({**obj("a", a=WHOLE), "dependentSchemas": {"a": obj("c", c=WHOLE)}}, {"a": 1, "c": 1}),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"allOf": [{"type": "integer", "minimum": 3}, {"multipleOf": 4}]}, 4),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 2.5),
        ({"type": "integer", "not": {"enum": [1, 2]}}, 3),
        ({"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "uniqueItems": True}, [1, 2]),
        (
            {**obj("mode", mode={"enum": ["a", "b"]}), "if": obj(mode={"const": "a"}), "then": {"required": ["x"]}},
            {"mode": "a", "x": "example"},
        ),
        ({"$ref": "#/$defs/node", **NODE}, {"name": "example", "children": []}),
        ({"$ref": "#/$defs/l", **LINKED}, {"v": 1, "next": None}),
        ({"$defs": {"n": {"$anchor": "here", "const": 4}}, "$ref": "#here"}, 4),
        ({"$id": "https://x.org/a", "$defs": {"n": {"$id": "b", "const": 5}}, "$ref": "b"}, 5),
        ({"definitions": {"a/b~c": {"const": 6}}, "$ref": "#/definitions/a~1b~0c"}, 6),
        (True, "example"),
        ({}, "example"),
    ],
)  # fmt: skip
def test_the_plain_value_of_a_schema(schema: Any, value: object) -> None:
    made = fill(schema, Hints.none())
    if isinstance(value, str) and value.startswith("exa"):
        assert isinstance(made, str)
        assert made[:3] == value[:3]
    else:
        assert made == value
    assert isinstance(schema, bool) or is_valid(schema, made)


TEXTS = {"type": "array", "items": TEXT}
CITY = obj("city", city=TEXT, unit={"enum": ["celsius", "fahrenheit"]})
ACTIONS = {
    "anyOf": [
        obj("type x y", type={"const": "click"}, x=WHOLE, y=WHOLE),
        obj("type text", type={"const": "type"}, text=TEXT),
    ]
}


@pytest.mark.parametrize(
    ("schema", "prompt", "value"),
    [
        (CITY, "weather in Tokyo", {"city": "Tokyo"}),
        (CITY, "weather in Tokyo in celsius", {"city": "Tokyo", "unit": "celsius"}),
        (obj("b a", a=NUMBER, b=NUMBER), "add 2 and 3.5", {"a": 2, "b": 3.5}),
        (obj("a", a=WHOLE), "add 2.5", {"a": 1}),
        (obj("a", a={"type": "integer", "maximum": 10}), "take 50 or 7", {"a": 7}),
        (obj("sides", sides={"type": "integer", "default": 6}), "roll it 3 times", {"sides": 6}),
        (obj("op a", op={"enum": ["add", "multiply"]}, a=NUMBER), "15 * 23", {"op": "multiply", "a": 15}),
        (obj("cities", cities=TEXTS), "Tokyo, Paris and Rome", {"cities": ["Tokyo", "Paris", "Rome"]}),
        (obj("n", n={"type": "array", "items": NUMBER}), "sum 1, 2 and 3.5", {"n": [1, 2, 3.5]}),
        (obj("at", at={"type": "array", "items": WHOLE, "maxItems": 2}), "at (10,20), 3", {"at": [10, 20]}),
        (obj("tags", tags=TEXTS), "tags: red, green and blue", {"tags": ["red", "green", "blue"]}),
        (obj("where", where=obj("city", city=TEXT)), "weather in Oslo", {"where": {"city": "Oslo"}}),
        (obj(where=obj("city", city=TEXT)), "weather in Oslo", {"where": {"city": "Oslo"}}),
        (obj(where=obj("city", city=TEXT)), "hello", {}),
        (obj("action", action=ACTIONS), "type hello world", {"action": {"type": "type", "text": "hello world"}}),
        (obj("action", action=ACTIONS), "click 10, 20", {"action": {"type": "click", "x": 10, "y": 20}}),
        (obj("id", id={"anyOf": [WHOLE, TEXT]}), "look up ABC-123", {"id": "ABC-123"}),
        (obj("path", path=TEXT, deep={"type": "boolean"}), "list /tmp deeply", {"path": "/tmp", "deep": True}),
        (obj("mail", mail={"type": "string", "format": "email"}), "ask bob", {"mail": "user@example.com"}),
        (obj("text", text={"type": "string", "maxLength": 5}), "a long text", {"text": "examp"}),
        (obj("code", code={"type": "string", "pattern": "^[A-Z]{3}$"}), "code: abc", {"code": "AAA"}),
        (obj("command", command=TEXT), "hello", {"command": "echo hello"}),
        (
            obj("name age email", name=TEXT, age=WHOLE, email={"type": "string", "format": "email"}),
            "Extract: John Smith, 35 years old, john@x.org",
            {"name": "John Smith", "age": 35, "email": "john@x.org"},
        ),
    ],
)  # fmt: skip
def test_values_come_out_of_the_prompt(schema: dict[str, Any], prompt: str, value: object) -> None:
    made = fill(schema, Hints.of(prompt))
    assert made == value
    assert is_valid(schema, made)


def test_required_properties_come_first_in_the_order_of_the_schema() -> None:
    schema = obj("c b", a=WHOLE, b=WHOLE, c=WHOLE)
    assert list(fill(schema, Hints.of("a: 1"))) == ["b", "c", "a"]  # type: ignore[arg-type]


def test_a_hint_that_the_whole_schema_refuses_is_given_up() -> None:
    schema = {**obj("city", city=TEXT), "not": {"properties": {"city": {"const": "Tokyo"}}}}
    made = fill(schema, Hints.of("weather in Tokyo"))
    assert is_valid(schema, made)


def test_the_name_of_the_parameter_may_be_given() -> None:
    assert fill(TEXT, Hints.of("weather in Tokyo"), name="city") == "Tokyo"


def test_what_was_used_can_be_asked() -> None:
    hints = Hints.of("weather in Tokyo")
    fill(CITY, hints)
    assert [(taken.param.name, taken.candidate.value) for taken in hints.taken] == [("city", "Tokyo")]


# Random schemas.

FORMATS = "date-time date time duration email hostname uri ipv4 ipv6 uuid".split()
PATTERNS = (r"^[a-z]{2,5}$", r"^[A-Z]{3}-\d{4}$", r"^(foo|bar)\d*$", r"^\+?[1-9]\d{1,14}$", r"^#[0-9a-f]{6}$", r"\d")
NAMES = "city path query count name email url items unit date flag tags limit a b note id kind mode size".split()
PROMPTS = (
    "weather in Tokyo, Paris and Rome", "read src/a.py and b.txt, limit 10", "add 2 and 3.5 to 'hello world'", "",
    "email bob@example.com about https://x.example/y on 2024-05-06 at 10:30", "what is 15 * 23", "x" * 300,
)  # fmt: skip
OPTIONS = ("red", "green", 1, 2.5, None, True, {"a": 1}, [1, 2], "celsius", "Tokyo")
DEFS = {
    **NODE["$defs"],
    **LINKED["$defs"],
    "json": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/json"}}, TEXT]},
}


def random_schema(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """One that some value fits, with everything that clients' schemas have."""
    kinds = [_text, _number, _plain, _options, _format, _pattern]
    if depth < 4:
        kinds += [_object, _object, _object, _array, _array, _any, _tagged, _all, _reference, _map, _tuple, _condition]
    return rng.choice(kinds)(rng, depth)


def _text(rng: random.Random, _: int) -> dict[str, Any]:
    low = rng.randint(0, 20)
    return {"type": "string", "minLength": low, "maxLength": low + rng.randint(0, 20)} if rng.random() < 0.7 else TEXT


def _number(rng: random.Random, _: int) -> dict[str, Any]:
    low, kind = rng.randint(-50, 50), rng.choice(["integer", "number"])
    limits = (
        {"minimum": low, "maximum": low + rng.randint(0, 30)},
        {"exclusiveMinimum": low, "exclusiveMaximum": low + rng.randint(2, 30)},
        {"multipleOf": rng.choice([2, 5, 7]), "minimum": low},
        {"maximum": low},
        {},
    )
    return {"type": kind, **rng.choice(limits)}


def _plain(rng: random.Random, _: int) -> dict[str, Any]:
    return rng.choice([{"type": "boolean"}, {"type": "null"}, {"type": rng.sample(["string", "null", "array"], 2)}])


def _options(rng: random.Random, _: int) -> dict[str, Any]:
    return {"enum": rng.sample(OPTIONS, rng.randint(1, 6))} if rng.random() < 0.7 else {"const": rng.choice(OPTIONS)}


def _format(rng: random.Random, _: int) -> dict[str, Any]:
    return {"type": "string", "format": rng.choice(FORMATS)}


def _pattern(rng: random.Random, _: int) -> dict[str, Any]:
    return {"type": "string", "pattern": rng.choice(PATTERNS)}


def _object(rng: random.Random, depth: int) -> dict[str, Any]:
    names = rng.sample(NAMES, rng.randint(0, 6))
    schema = obj(
        " ".join(rng.sample(names, rng.randint(0, len(names)))), **{n: random_schema(rng, depth + 1) for n in names}
    )
    if rng.random() < 0.3:
        schema["additionalProperties"] = False
    if rng.random() < 0.3:
        schema["minProperties"] = rng.randint(0, len(names))
    return schema


def _array(rng: random.Random, depth: int) -> dict[str, Any]:
    low = rng.randint(0, 3)
    schema = {
        "type": "array",
        "items": random_schema(rng, depth + 1),
        "minItems": low,
        "maxItems": low + rng.randint(0, 3),
    }
    if rng.random() < 0.3:
        schema |= {"uniqueItems": True, "items": rng.choice([TEXT, WHOLE, NUMBER])}
    return schema


def _any(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"anyOf": [random_schema(rng, depth + 1) for _ in range(rng.randint(1, 4))]}


def _tagged(rng: random.Random, depth: int) -> dict[str, Any]:
    marks = rng.sample(["red", "green", "blue"], rng.randint(1, 3))
    return {"oneOf": [obj("kind v", kind={"const": mark}, v=random_schema(rng, depth + 1)) for mark in marks]}


def _all(rng: random.Random, depth: int) -> dict[str, Any]:
    return {"allOf": [obj(n, **{n: random_schema(rng, depth + 1)}) for n in rng.sample(NAMES, 2)]}


def _reference(rng: random.Random, _: int) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{rng.choice(list(DEFS))}"}


def _map(rng: random.Random, depth: int) -> dict[str, Any]:
    names = {"pattern": "^[a-z]+$"}
    values = random_schema(rng, depth + 1)
    return {
        "type": "object",
        "additionalProperties": values,
        "minProperties": rng.randint(0, 3),
        "propertyNames": names,
    }


def _tuple(rng: random.Random, depth: int) -> dict[str, Any]:
    parts = [random_schema(rng, depth + 1) for _ in range(3)]
    return {"type": "array", "prefixItems": parts, "items": False, "minItems": rng.randint(0, 3)}


def _condition(rng: random.Random, depth: int) -> dict[str, Any]:
    schema = obj("mode", mode={"enum": ["red", "blue"]}, x=random_schema(rng, depth + 1), y=TEXT)
    then = {"then": {"required": ["x"]}, "else": {"required": ["y"]}}
    return {**schema, "if": {"properties": {"mode": {"const": rng.choice(["red", "blue"])}}}, **then}


@pytest.mark.parametrize("seed", range(300))
def test_values_of_random_schemas_are_valid(seed: int) -> None:
    """By two independent validators, and whatever the prompt is. 40,000 seeds have passed."""
    rng = random.Random(seed)
    schema = {**random_schema(rng), "$defs": DEFS}
    prompt = rng.choice(PROMPTS)
    value = fill(schema, Hints.of(prompt))
    assert is_valid(schema, value), value
    assert fill(schema, Hints.of(prompt)) == value
    assert json.loads(json.dumps(value)) == value


RUBBISH: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 10**400, "", "x", "^a$", "#", "(", [], {}, [1], ["a", None], {"a": 1}, {"$ref": "#"},
    [{}], {"type": "string"}, [{"type": 5}], "integer", ["string", 7], "\x00",
]  # fmt: skip
KEYWORDS = (
    "type properties required items prefixItems enum const anyOf oneOf allOf not if then else $ref $dynamicRef $id "
    "$anchor minItems maxItems minLength maxLength pattern format minimum exclusiveMinimum multipleOf uniqueItems "
    "contains minContains minProperties maxProperties propertyNames patternProperties additionalProperties "
    "dependentRequired dependentSchemas unevaluatedProperties unevaluatedItems default examples description $defs"
).split()


def broken(rng: random.Random, part: Any) -> Any:
    """The schema with rubbish here and there."""
    if isinstance(part, dict):
        mended = {key: broken(rng, value) if rng.random() < 0.7 else value for key, value in part.items()}
        return mended | ({rng.choice(KEYWORDS): rng.choice(RUBBISH)} if rng.random() < 0.25 else {})
    if isinstance(part, list):
        return [broken(rng, item) for item in part]
    return rng.choice(RUBBISH) if rng.random() < 0.1 else part


@pytest.mark.parametrize("seed", range(0, 300, 10))
def test_broken_schemas_never_raise(seed: int) -> None:
    """20,000 seeds have passed."""
    for offset in range(10):
        rng = random.Random(seed + offset)
        schema = broken(rng, {**random_schema(rng), "$defs": DEFS})
        json.dumps(fill(schema, Hints.of(rng.choice(PROMPTS))))


# Hostile schemas.


def chained(length: int, link: Any, last: Any = None) -> dict[str, Any]:
    links = {f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}) for i in range(length)}
    return {"$defs": {**links, f"d{length}": last or {"type": "object"}}, "$ref": "#/$defs/d0"}


def nested(depth: int, wrap: Any) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(depth):
        schema = wrap(schema)
    return schema


HOSTILE: dict[str, Any] = {
    "many items": {"type": "array", "items": obj("a", a=TEXT), "minItems": 10**9},
    "many of many": nested(3, lambda s: {"type": "array", "items": s, "minItems": 1000}),
    "long text": {"type": "array", "items": {"type": "string", "minLength": 10**9}, "minItems": 10**9},
    "many properties": {"type": "object", "minProperties": 10**9},
    "many names": {"type": "object", "required": [f"a{i}" for i in range(5_000)]},
    "too many nodes": obj("a5", **{f"a{i}": TEXT for i in range(60_000)}),
    "huge number": {"type": "integer", "minimum": 10**400},
    "tiny step": {"type": "number", "multipleOf": 1e-300, "minimum": 1e308},
    "deep objects": nested(900, lambda s: obj("a", a=s)),
    "very deep": nested(50_000, lambda s: {"anyOf": [s]}),
    "exponential objects": chained(40, lambda r: obj("a b", a=r, b=r)),
    "exponential options": chained(40, lambda r: obj(a=r, b=r)),
    "exponential arrays": chained(9, lambda r: {"type": "array", "items": r, "minItems": 10}),
    "exponential allOf": chained(60, lambda r: {"allOf": [r, r]}),
    "exponential anyOf": chained(60, lambda r: {"anyOf": [r, r]}, {"not": {}}),
    "exponential not": chained(60, lambda r: {"not": {"allOf": [r, r]}}),
    "exponential if": chained(60, lambda r: {"if": r, "then": r, "else": r}),
    "exponential unevaluated": chained(40, lambda r: {"allOf": [r], "unevaluatedProperties": False}),
    "long chain": chained(6_000, lambda r: r),
    "itself": {"$ref": "#"},
    "itself in turn": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "itself required": obj("a", a={"$ref": "#"}),
    "everything refers to everything": {
        "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{j}"} for j in range(20)]} for i in range(20)},
        "$ref": "#/$defs/d0",
    },
    "dynamic": {
        "$defs": {
            f"d{i}": {"$dynamicAnchor": f"x{i}", "allOf": [{"$dynamicRef": f"#x{i + 1}"}] * 2} for i in range(50)
        },
        "$dynamicRef": "#x0",
    },
    "elsewhere": obj("a b", a={"$ref": "http://127.0.0.1:9/x"}, b={"$ref": "file:///etc/passwd"}),
    "no address": {"$ref": "http://["},
    "not a reference": {"$ref": 5},
    "not a schema": {"type": "object", "properties": [1], "required": "x", "minLength": "a", "anyOf": {}, "allOf": 7},
    "not types": {"type": ["foo", 3]},
    "odd names": {"type": "object", "required": [1, None, {}], "properties": {"a": 5}},
    "nothing fits": {"type": "integer", "minimum": 5, "maximum": 4},
    "no options": {"enum": []},
    "false": False,
    "two booleans are not five": {"type": "array", "items": {"type": "boolean"}, "minItems": 5, "uniqueItems": True},
    "backtracking": {"type": "string", "pattern": r"^(a+)+(?!x)\1$", "minLength": 50},
    "huge pattern": {"type": "string", "pattern": r"^((\w{1000}){1000}){1000}$"},
    "long pattern": {"type": "string", "pattern": "a" * 100_000},
    "deep pattern": {"type": "string", "pattern": "(" * 900 + ")" * 900},
    "broken pattern": {"type": "string", "pattern": "("},
    "warned of pattern": {"type": "string", "pattern": "^[[a&&b]$"},
    "many patterns": {
        "type": "object",
        "patternProperties": {f"^(a{i}+)+$": TEXT for i in range(400)},
        "required": [f"a{i}" for i in range(400)],
    },
    "many options": {"type": "array", "items": {"enum": [f"v{i}" for i in range(5_000)]}, "minItems": 10**5},
    "many branches": {"anyOf": [{**obj("k", k={"const": f"c{i}"}), "not": {}} for i in range(200)]},
    "names that cannot be": {"type": "object", "minProperties": 3, "propertyNames": False},
    "surrogate": {"const": "\ud800"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_schemas_end_quickly(name: str) -> None:
    """Measured: below 0.5 s for any of these, mostly below 0.1 s; nothing raises, hangs or grows without bound."""
    started = time.perf_counter()
    value = fill(HOSTILE[name], Hints.of("v5 word k c7 in Tokyo 'x' " * 300))
    assert time.perf_counter() - started < 60
    assert len(repr(value)) < 2_000_000


def test_a_long_list_is_made_as_long_as_may_be() -> None:
    value = fill({"type": "array", "items": {"type": "null"}, "minItems": 10**9}, Hints.none())
    assert value == [None] * MAX_ITEMS


def test_a_reference_to_elsewhere_is_not_followed() -> None:
    """No network and no file, whatever the schema says: the value is made without it."""
    assert fill(HOSTILE["elsewhere"], Hints.none()) == {"a": "example", "b": "example"}


# The parts.


def test_weighing_is_quick_where_checking_would_not_be() -> None:
    assert weigh(Document(chained(40, lambda r: {"allOf": [r, r]})), {}) > 2**40
    assert weigh(Document(CITY), {"city": "Tokyo"}) < 10


@pytest.mark.parametrize("name", ["itself", "itself in turn", "everything refers to everything"])
def test_a_schema_that_refers_to_itself_for_the_same_value_is_not_checked(name: str) -> None:
    with pytest.raises(TooCostly):
        weigh(Document(HOSTILE[name]), {})
    assert Checker(Document(HOSTILE[name])).wrong({}) is None


def test_a_check_names_the_place_that_is_wrong() -> None:
    checker = Checker(Document(obj("a", a={"type": "array", "items": WHOLE})))
    assert checker.wrong({"a": [1, "x"]}) == ("a", 1)
    assert checker.wrong({}) == ()
    assert checker.wrong({"a": [1]}) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$", r"^\d{3}-\d{2}-\d{4}$", r"^[^/]+$", r"^(foo|bar)[0-9]*$", r"^\p{L}+$", r"^[\p{L}\p{N}_-]+$", r"^$",
        r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$", r"x{3,}", r"^((a|b)c){2,3}\1$", r"^\u0041\u{42}$", r"^\S+\s\S+$", r"^a.c$",
        r"^\/api\/v\d+$", r"^(?:[01]\d|2[0-3]):[0-5]\d$", r"^[^a-zA-Z0-9]$", r"\bfoo\b", r"^[[a]$", r"^v(\d+\.){2}\d+$",
        r"^(?<year>\d{4})$", r"^(a|)+$", r"^.{10,20}$", r"^[!-~]+$", r"^\P{L}$",
    ],
)  # fmt: skip
@pytest.mark.parametrize("variant", [0, 1, 7])
def test_a_sample_of_a_pattern_matches_it(pattern: str, variant: int) -> None:
    sample = pattern_sample(pattern, variant)
    assert jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid(sample)


def test_a_sample_of_a_pattern_is_as_long_as_asked() -> None:
    assert pattern_sample("^[a-z]+$", 0, 12) == "a" * 12
    assert pattern_sample("^(a{1000}){1000}$", 0) is None
    assert len(pattern_sample("a+", 0, 10**9) or "") == MAX_STRING


@pytest.mark.parametrize("format_", FORMATS)
def test_samples_of_a_format_are_valid_and_many(format_: str) -> None:
    samples = [format_sample(format_, variant) for variant in range(100)]
    assert all(is_valid({"format": format_}, sample) for sample in samples)
    assert len(set(samples)) == 100


# Expressions that plain letters do not fit, and expressions beside a format.


@pytest.mark.parametrize("variant", [0, 1, 5])
@pytest.mark.parametrize(
    "pattern",
    [
        r"^[^\x00-\x7F]{2}$", r"^[^ -~]+$", r"[^\x20-\x7e]", r"^[^\u0000-\uffff]$", r"^[^\u0000-\u1233\u1236-\uffff]$",
        r"^[\u0600-\u06ff]+$", r"^\p{Lu}{3}$", r"^[\p{Ll}_]{9}$", r"^\p{Script=Han}+$", r"^\P{N}{4}$",
    ],
)  # fmt: skip
def test_a_set_without_plain_characters_has_others(pattern: str, variant: int) -> None:
    """MSG-68."""
    sample = pattern_sample(pattern, variant)
    assert sample
    assert jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid(sample)


BOTH: dict[str, tuple[str, ...]] = {
    "date-time": ("^2031-", r"\+01:00$", "T23:", r"^2024-02-29T", r"\.\d{3}Z$", "[^Z]$"),
    "time": ("^23:", r"\+02:00$", "^0", r"\.\d{3}Z$", "^12:34:56"),
    "date": ("^2031-", "^19", "-02-29$", "-31$", r"^\d{4}-12-"),
    "duration": ("^PT", "W$", "M", "^P3Y", r"^P\d+D$"),
    "email": ("^admin@", r"@corp\.example$", "^[A-Z]+@", r"@(a|b)\.co\.uk$", r"^[^@]+@[^@]+\.[a-z]{2}$"),
    "hostname": (r"^api\.", r"\.dev$", "^[A-Z]", r"^\d", "^[^.]+$", "-"),
    "uri": ("^https://", "^http://", "^ftp:", "^urn:", r"\.pdf$", r"^https://api\.", r"^[^:]+://[^/]+/v1/"),
    "ipv4": ("^2", r"^10\.", r"^192\.168\.", r"\.255$", "^(10|172)"),
    "ipv6": ("^a", "^fe80:", "^::ffff:", "f$", "^([0-9a-f]{4}:){7}[0-9a-f]{4}$", r"\d+\.\d+$"),
    "uuid": ("^2", "^a", "^[A-F]", "f$", "^123e4567-", "^[0-9]+-", "^.{8}-ab"),
}


@pytest.mark.parametrize(
    ("format_", "pattern"), [(format_, pattern) for format_, patterns in BOTH.items() for pattern in patterns]
)
def test_a_format_beside_an_expression_is_kept(format_: str, pattern: str) -> None:
    """MSG-68, TOOL-30: every format of the subset, with an expression of its beginning, its end or what is between."""
    schema = {"type": "string", "format": format_, "pattern": pattern}
    for prompt in ("Hello", "2031 at 10:30 in Berlin"):
        value = fill(schema, Hints.of(prompt))
        assert is_valid(schema, value), value
        assert is_typical(str(value), format_) or format_ == "uuid", value


@pytest.mark.parametrize("format_", BOTH)
def test_several_strings_of_a_format_and_an_expression_differ(format_: str) -> None:
    """TOOL-2."""
    items = {"type": "string", "format": format_, "pattern": BOTH[format_][0]}
    schema = {"type": "array", "items": items, "minItems": 5, "uniqueItems": True}
    value = fill(schema, Hints.none())
    assert is_valid(schema, value), value


def test_a_domain_in_a_made_up_address_is_one_kept_for_examples() -> None:
    """RFC 2606: a letter put before `example.com` would make it somebody's."""
    for format_, pattern in (("hostname", "^api"), ("uri", "^https://[a-z]"), ("email", "^[A-Z]")):
        value = str(fill({"type": "string", "format": format_, "pattern": pattern}, Hints.none()))
        assert re.search(r"[./@]example\.com/?$", value), value


@pytest.mark.parametrize(
    ("patterns", "value"),
    [
        (["^a", "b$"], "ab"),
        (["^a+$", "^.{3}$"], "aaa"),
        ([r"\d", "[A-Z]", "^[^-]+-[^-]+$"], None),
        (["(?:^x|y$)", "^[^x]*$"], None),
        (["^(ab)*$", "^(aba|b)*$"], None),
        (["^[^a-z]+$", "^[^A-Z]+$", "^[^0-9]+$", "^.{2}$"], None),
    ],
)
def test_a_string_is_found_for_several_expressions_at_once(patterns: list[str], value: str | None) -> None:
    """TOOL-2, MSG-68."""
    schema = {"type": "string", "allOf": [{"pattern": pattern} for pattern in patterns]}
    made = fill(schema, Hints.none())
    assert is_valid(schema, made)
    assert value in (None, made)


SLOW = {
    "exponentially many states": r"^(a|b)*a(a|b){300}c$",
    "repeats of repeats": r"^(((a?){30}){30}){30}b$",
    "a set of many": "^[" + "".join(chr(0x1000 + 3 * at) for at in range(1500)) + "]{5}$",
    "many literals": "^" + "".join(chr(0x1000 + 3 * at) for at in range(1900)) + "$",
}


@pytest.mark.parametrize("pattern", SLOW.values(), ids=SLOW)
def test_looking_for_what_fits_several_expressions_is_bounded(pattern: str) -> None:
    """Measured: below 2 s for a thousand of them, which share one budget."""
    for more in ({"format": "date-time"}, {"allOf": [{"pattern": "z"}]}):
        items = {"type": "string", "pattern": pattern, **more}
        started = time.perf_counter()
        fill({"type": "array", "items": items, "minItems": 1000, "uniqueItems": True}, Hints.none())
        assert time.perf_counter() - started < 60


# Properties that a schema has expressions for, and no names.

WHOLES = {"type": "object", "patternProperties": {"^x-": WHOLE}, "additionalProperties": False, "minProperties": 1}


@pytest.mark.parametrize(
    "schema",
    [
        WHOLES,
        WHOLES | {"minProperties": 3},
        obj("deep", deep=obj("map", map=WHOLES)),
        {"type": "array", "items": WHOLES, "minItems": 1},
        WHOLES | {"required": ["x-1"], "minProperties": 2},
        WHOLES | {"propertyNames": {"pattern": "z$", "maxLength": 6}, "minProperties": 2},
        WHOLES | {"patternProperties": {"^x$": WHOLE, "^y$": {}}, "minProperties": 2},
        WHOLES | {"patternProperties": {"a": False, "^x": WHOLE}, "minProperties": 2},
        {"allOf": [{key: WHOLES[key] for key in WHOLES if key != "minProperties"}, {"minProperties": 2}]},
        {"type": "object", "patternProperties": {"^x-": WHOLE}, "unevaluatedProperties": False, "minProperties": 2},
        {"type": "object", "propertyNames": {"format": "uuid", "pattern": "^a"}, "minProperties": 3},
    ],
)
def test_names_are_made_for_the_properties_that_must_be_there(schema: dict[str, Any]) -> None:
    """TOOL-2, TOOL-12."""
    for prompt in ("", "set x-rate to 5"):
        value = fill(schema, Hints.of(prompt))
        assert is_valid(schema, value), value
