"""What OpenAI's strict mode takes: held against the fake provider's own reading of the same rules."""

from random import Random
from typing import Any

import pytest
from fake_responses_schema import check_strict
from translating_cases import Json

from dragoman.providers.openai_strict import is_strict

TEXT: Json = {"type": "string"}


def closed(**properties: Any) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        closed(a=TEXT, b={"type": ["integer", "null"], "minimum": 1}),
        closed(a={"anyOf": [TEXT, {"type": "null"}]}),
        closed(a={"type": "array", "items": closed(b=TEXT), "maxItems": 3}),
        closed(a={"type": "string", "enum": ["x"], "description": "d", "title": "t"}),
        {**closed(a={"$ref": "#/$defs/b"}), "$defs": {"b": closed(c=TEXT)}, "$schema": "s", "description": "d"},
        closed(a={"type": "string", "format": "date", "pattern": "^2"}),
    ],
)
def test_what_strict_mode_takes(schema: Json) -> None:
    assert is_strict(schema)
    assert check_strict(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array", "items": TEXT},
        {"anyOf": [closed()], **closed()},
        {**closed(a=TEXT), "required": []},
        {**closed(), "additionalProperties": True},
        closed(a={}),
        closed(a={"enum": ["x"]}),
        closed(a={"type": "string", "default": "x"}),
        closed(a={"type": "string", "minLength": 1}),
        closed(a={"type": "string", "format": "uri"}),
        closed(a={"type": "integer", "pattern": "1"}),
        closed(a={"type": "array"}),
        closed(a={"allOf": [TEXT]}),
        closed(a={"$ref": "#/$defs/b", "description": "d"}),
        closed(a={"type": "object", "properties": {"b": TEXT}}),
        closed(a={"anyOf": [TEXT, {"type": "object"}]}),
        closed(a=True),
    ],
)
def test_what_it_refuses(schema: Json) -> None:
    assert not is_strict(schema)
    assert check_strict(schema) is not None


def made_up(rng: Random, depth: int = 0) -> Any:
    kind = rng.choice(["string", "integer", "array", "object", "anyOf", "$ref", "none"]) if depth else "object"
    if depth > 12 or kind == "none":
        return rng.choice([{}, TEXT, {"type": "null"}, {"type": ["string", "array"], "items": TEXT}])
    more = {name: value for name, value in (("description", "d"), ("default", 1)) if rng.random() < 0.05}
    match kind:
        case "object":
            properties = {name: made_up(rng, depth + 1) for name in rng.sample("abc", rng.randint(0, 2))}
            whole = closed(**properties)
            return {name: value for name, value in {**whole, **more}.items() if rng.random() < 0.98}
        case "array":
            return {"type": "array", "items": made_up(rng, depth + 1), **more}
        case "anyOf":
            return {"anyOf": [made_up(rng, depth + 1) for _ in range(2)], **more}
        case "$ref":
            return {"$ref": "#", **more}
        case _:
            return {"type": kind, **more, **({"pattern": "1"} if rng.random() < 0.1 else {})}


def test_the_two_readings_agree() -> None:
    rng = Random("schemas")
    found = {True: 0, False: 0}
    for _ in range(4000):
        schema = made_up(rng)
        assert is_strict(schema) == (check_strict(schema) is None), schema
        found[is_strict(schema)] += 1
    assert min(found.values()) > 400
