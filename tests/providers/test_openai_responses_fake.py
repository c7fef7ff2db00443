"""The fake provider of the Responses API is one: what it tells is of OpenAI's published types, OpenAI's own client
reads it, and it refuses what is refused. Otherwise what passes there would prove nothing."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from fake_responses import FakeResponses, seal, unseal
from fake_responses_rules import Refused, check, check_count
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from translating_cases import Json

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
PLACES = ["Weather in Paris and Rome?", "search for otters", "Hello 🤔", "!refusal", "!incomplete", "!filtered"]
FUNCTION: Json = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
TOOLS = [FUNCTION, {"type": "web_search"}]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeResponses]:
    with FakeResponses() as fake:
        yield fake


@pytest.fixture(scope="module")
def client(fake: FakeResponses) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=fake.key, base_url=fake.url, max_retries=0, timeout=20) as client:
        yield client


def said(text: str) -> list[Json]:
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]


def good(**fields: Any) -> Json:
    return {"model": "gpt-5.4", "store": False, "input": said("hi"), **fields}


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-4o"])
@pytest.mark.parametrize("text", PLACES)
def test_openais_own_client_reads_it(client: openai.OpenAI, text: str, model: str) -> None:
    """Each event is of its published type, numbered; what they add up to is the whole response."""
    more: Json = {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    asked: Json = {**good(model=model, input=said(text), tools=TOOLS), **(more if model == "gpt-5.4" else {})}
    whole = client.responses.create(**asked)
    Response.model_validate(whole.to_dict())
    events = list(client.responses.create(**asked, stream=True))
    for number, event in enumerate(events):
        EVENTS.validate_python(event.to_dict())
        assert event.sequence_number == number
    assert events[-1].response.to_dict() == whole.to_dict()
    assert added_up(events) == [item.to_dict() for item in whole.output]


def added_up(events: list[Any]) -> list[Json]:
    """The items, from their pieces; what pieces say is what the end says."""
    items: dict[int, Json] = {}
    texts: dict[tuple[str, int], str] = {}
    for event in events:
        if event.type == "response.output_item.done":
            items[event.output_index] = event.item.to_dict()
        elif event.type.endswith(".delta"):
            key = (event.type.removesuffix(".delta"), event.output_index)
            texts[key] = texts.get(key, "") + event.delta
        elif (key := (event.type.removesuffix(".done"), getattr(event, "output_index", 0))) in texts:
            assert texts[key] in json.dumps(event.to_dict(), ensure_ascii=False).replace('\\"', '"')
    return list(items.values())


def test_it_counts(client: openai.OpenAI, fake: FakeResponses) -> None:
    count = client.responses.input_tokens.count(model="gpt-5.4", input="Hello " * 100)
    assert (count.object, 100 < count.input_tokens < 300) == ("response.input_tokens", True)


@pytest.mark.parametrize(("text", "code"), [("!failed", "server_error"), ("!late", "context_length_exceeded")])
def test_a_response_may_fail(client: openai.OpenAI, text: str, code: str) -> None:
    whole = client.responses.create(**good(input=said(text)))
    *_, last = client.responses.create(**good(input=said(text)), stream=True)
    for response in (whole, last.response):
        assert response.status == "failed"
        assert response.error is not None
        assert response.error.code == code


@pytest.mark.parametrize(
    ("word", "status"), [("!429", 429), ("!long", 400), ("!401", 401), ("!404", 404), ("!500", 500)]
)
def test_errors_are_openais(client: openai.OpenAI, word: str, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        client.responses.create(**good(input=said(word)))
    assert failed.value.status_code == status
    assert isinstance(failed.value.body, dict)
    assert {"message", "type", "param", "code"} == failed.value.body.keys()


def sealed(**fields: Any) -> Json:
    made = {"id": "rs_1", "model": "gpt-5.4", "before": {"type": "message", "id": None}, **fields}
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(made)}


ANSWER = {"type": "message", "role": "assistant", "content": "a"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def parameters(strict: bool = True, **schema: Any) -> Json:
    return {"tools": [{**FUNCTION, "strict": strict, "parameters": {**STRICT, **schema}}]}


def shown(*parts: Json, role: str = "user") -> Json:
    return {"input": [{"type": "message", "role": role, "content": list(parts)}]}


def test_what_is_good_passes() -> None:
    check(good(), unseal)
    check(good(input=[*said("x"), sealed(), ANSWER, *said("y"), CALL, OUTPUT], **parameters()), unseal)


@pytest.mark.parametrize(
    ("fields", "said_of_it"),
    [
        ({"top_k": 1}, "Unknown parameter: 'top_k'."),
        ({"input": [{**CALL, "x": 1}, OUTPUT]}, "'input[0].x'"),
        ({"tools": [{**FUNCTION, "input_schema": {}}]}, "'tools[0].input_schema'"),
        ({"model": None}, "'model'"),
        ({"input": []}, "empty array"),
        ({"max_output_tokens": 15}, "Expected a value >= 16"),
        ({"temperature": 1}, "'temperature' is not supported"),
        ({"top_p": 1}, "'top_p' is not supported"),
        ({"model": "gpt-4o", "reasoning": {"effort": "low"}}, "'reasoning.effort' is not supported"),
        ({"reasoning": {"effort": "max"}}, "'max' is not supported"),
        ({"model": "gpt-5-pro", "reasoning": {"effort": "low"}}, "'low' is not supported"),
        ({"include": ["reasoning"]}, "'include[0]'"),
        ({"include": ["reasoning.encrypted_content"], "store": True}, "when 'store' is true"),
        ({"include": ["reasoning.encrypted_content"], "model": "gpt-4o"}, "not supported with this model"),
        ({"safety_identifier": "u" * 65}, "maximum length 64"),
        ({"stream_options": {"include_obfuscation": False}}, "only allowed when 'stream'"),
        ({"tool_choice": "required"}, "only allowed when 'tools'"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}}, "not found in 'tools'"),
        ({"tools": [{**FUNCTION, "name": "a b"}]}, "does not match pattern"),
        ({"tools": [{**FUNCTION, "name": "n" * 65}]}, "does not match pattern"),
        ({"tools": [FUNCTION, FUNCTION]}, "Duplicate"),
        ({"tools": [{**FUNCTION, "parameters": {"type": "object"}}]}, "missing properties"),
        (parameters(strict=False, anyOf=[{}]), "at the top level"),
        (parameters(required=[]), "including every key"),
        (parameters(additionalProperties=True), "to be false"),
        (parameters(properties={"a": {"type": "string", "default": "x"}}), "'default' is not permitted"),
        (parameters(properties={"a": {"type": "string", "format": "uri"}}), "'uri' is not a valid format"),
        (parameters(properties={"a": {"$ref": "#/$defs/a", "description": "d"}}), "$ref cannot have keywords"),
        (parameters(properties={"a": {}}), "must have a 'type' key"),
        (parameters(properties={"a": {"type": "array"}}), "missing items"),
        ({"tools": [{"type": "web_search"}], "model": "gpt-4.1-nano"}, "'web_search' is not supported with"),
        ({"tools": [{"type": "web_search", "filters": {"allowed_domains": ["https://a.test"]}}]}, "Invalid domain"),
        ({"tools": [{"type": "web_search", "filters": {"blocked_domains": ["a.test"]}}]}, "blocked_domains"),
        ({"text": {"format": {"type": "json_schema", "name": "a b", "schema": STRICT}}}, "does not match pattern"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "array"}}}}, '"object"'),
        ({"input": [*said("x"), CALL]}, "No tool output found"),
        ({"input": [*said("x"), CALL, *said("y"), OUTPUT]}, "No tool output found"),
        ({"input": [*said("x"), OUTPUT]}, "No tool call found"),
        ({"input": [CALL, OUTPUT, CALL, OUTPUT]}, "Duplicate item"),
        ({"input": [{**CALL, "call_id": "c" * 65}, {**OUTPUT, "call_id": "c" * 65}]}, "maximum length 64"),
        ({"input": [{"type": "message", "role": "tool", "content": "x"}]}, "Invalid value"),
        (shown({"type": "input_text", "text": "x"}, role="assistant"), "Supported values are"),
        (shown({"type": "input_text", "text": ""}), "empty string"),
        (shown({"type": "input_image", "detail": "auto", "image_url": "data:image/bmp;base64,AA"}), "image MIME type"),
        (shown({"type": "input_file", "file_data": "data:application/pdf;base64,AA"}), "filename"),
        (shown({"type": "text", "text": "x"}), "'input[0].content"),
        ({"input": [*said("x"), sealed(), *said("y")]}, "without its required following item"),
        ({"input": [*said("x"), sealed()]}, "without its required following item"),
        ({"input": [sealed(model="gpt-5.5"), ANSWER]}, "could not be verified"),
        ({"input": [{**sealed(), "encrypted_content": "gAAAAA"}, ANSWER]}, "could not be verified"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, ANSWER]}, "not found"),
        ({"input": [{**sealed(), "status": "completed"}, ANSWER]}, "Unknown parameter"),
        (
            {"input": [{"type": "web_search_call", "id": "wst_fake1", "status": "completed",
                        "action": {"type": "search", "query": "q"}}]},
            "without its required 'reasoning' item",
        ),
    ],
)  # fmt: skip
def test_what_openai_refuses_it_refuses(fields: Json, said_of_it: str) -> None:
    with pytest.raises(Refused) as refused:
        check(good(**fields), unseal)
    assert said_of_it in str(refused.value)


@pytest.mark.parametrize("name", ["store", "include", "max_output_tokens", "stream", "temperature", "service_tier"])
def test_a_count_takes_less(name: str) -> None:
    """Types of the package, `InputTokenCountParams`."""
    value = {"store": False, "include": [], "stream": True, "service_tier": "auto"}.get(name, 16)
    asked = {"model": "gpt-4o", "input": said("hi")}
    check_count(asked, unseal)
    with pytest.raises(Refused, match=f"Unknown parameter: '{name}'"):
        check_count({**asked, name: value}, unseal)
