"""The fake Gemini of the tests refuses what the service refuses: without this, a test with it would prove nothing."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from fake_gemini_rules import Refused, check, check_count

MODEL = "gemini-3-flash"
CALL = {"functionCall": {"id": "a", "name": "f", "args": {}}, "thoughtSignature": "QUJD"}
ANSWER = {"functionResponse": {"id": "a", "name": "f", "response": {"output": "x"}}}
GOOD: dict[str, Any] = {
    "contents": [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [CALL]},
        {"role": "user", "parts": [{"text": "and now?"}, ANSWER]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object", "properties": {}}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "generationConfig": {"maxOutputTokens": 100, "thinkingConfig": {"thinkingLevel": "LOW"}},
}
Json = dict[str, Any]
BAD: dict[str, tuple[Callable[[Json], Any], str]] = {
    "unknown field": (lambda b: b.update(metadata={}), 'Unknown name "metadata"'),
    "unknown inner field": (lambda b: b["generationConfig"].update(effort="low"), "'generation_config': Cannot find"),
    "field of Vertex": (
        lambda b: b["contents"][1]["parts"][0]["functionCall"].update(willContinue=True),
        "Unknown name",
    ),
    "wrong type": (lambda b: b["generationConfig"].update(temperature="1"), "Invalid value at 'generation_config.temp"),
    "wrong value": (
        lambda b: b["toolConfig"]["functionCallingConfig"].update(mode="auto"),
        "Invalid value at 'tool_co",
    ),
    "no contents": (lambda b: b.update(contents=[]), "contents is not specified"),
    "role": (lambda b: b["contents"][0].update(role="system"), "valid role: user, model"),
    "begins with the model": (lambda b: b["contents"].pop(0), "begin with a user turn"),
    "empty turn": (lambda b: b["contents"][0].update(parts=[]), "must not be empty"),
    "empty text": (lambda b: b["contents"][0].update(parts=[{"text": ""}]), "must have a text parameter"),
    "two in one": (lambda b: b["contents"][0]["parts"][0].update(fileData={"fileUri": "u"}), "required oneof field"),
    "no signature": (lambda b: b["contents"][1]["parts"][0].pop("thoughtSignature"), "missing a thought_signature"),
    "no answer": (lambda b: b["contents"][2]["parts"].pop(), "number of function response parts"),
    "no call": (lambda b: b["contents"][1].update(parts=[{"text": "x"}]), "immediately after a function call turn"),
    "answer to another": (lambda b: b["contents"][2]["parts"][1]["functionResponse"].update(id="b"), "matches no"),
    "text behind answers": (lambda b: b["contents"][2]["parts"].reverse(), "ending with a model turn"),
    "keyword": (lambda b: schema(b).update({"$schema": "x"}), 'Unknown keyword "$schema"'),
    "inner keyword": (lambda b: schema(b)["properties"].update(a={"pattern": "x"}), 'Unknown keyword "pattern"'),
    "no object": (lambda b: schema(b).update(type="string"), "should be of type OBJECT"),
    "required and unknown": (lambda b: schema(b).update(required=["a"]), "property is not defined"),
    "both schemas": (lambda b: function(b).update(parameters={"type": "OBJECT"}), "mutually exclusive"),
    "keyword of OpenAPI": (lambda b: function(b).update(parameters={"$ref": "x"}), 'Unknown name "$ref"'),
    "name": (lambda b: function(b).update(name="9f"), "Invalid function name"),
    "twice": (lambda b: b["tools"].append(b["tools"][0]), "Duplicate function declaration"),
    "search beside functions": (lambda b: b["tools"].append({"googleSearch": {}}), "cannot be combined"),
    "level and budget": (lambda b: thinking(b).update(thinkingBudget=1), "only one of thinking budget"),
    "budget": (lambda b: b["generationConfig"].update(thinkingConfig={"thinkingBudget": 1}), "budget is not supported"),
    "level": (lambda b: thinking(b).update(thinkingLevel="XHIGH"), "Thinking level XHIGH is not supported"),
    "too much output": (lambda b: b["generationConfig"].update(maxOutputTokens=65_537), "supported range"),
}


def function(body: Json) -> Json:
    found: Json = body["tools"][0]["functionDeclarations"][0]
    return found


def schema(body: Json) -> Json:
    found: Json = function(body)["parametersJsonSchema"]
    return found


def thinking(body: Json) -> Json:
    found: Json = body["generationConfig"]["thinkingConfig"]
    return found


def test_a_good_request_is_taken() -> None:
    check(GOOD, MODEL)
    check({"contents": GOOD["contents"]}, "gemini-2.5-flash")
    check_count({"generateContentRequest": {"model": f"models/{MODEL}", **GOOD}}, MODEL)


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused(change: Callable[[Json], Any], words: str) -> None:
    body = copy.deepcopy(GOOD)
    change(body)
    with pytest.raises(Refused) as refused:
        check(body, MODEL)
    assert words in str(refused.value)
    assert refused.value.body["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("config", "model", "words"),
    [
        ({"thinkingConfig": {"thinkingLevel": "LOW"}}, "gemini-2.5-flash", "Thinking level is not supported"),
        ({"thinkingConfig": {"thinkingBudget": 0}}, "gemini-2.5-pro", "thinking budget 0 is invalid"),
        ({"thinkingConfig": {"thinkingLevel": "MEDIUM"}}, "gemini-3-pro-preview", "MEDIUM is not supported"),
        ({"temperature": 0.5}, "gemini-4-argon", "deprecated"),
        ({"maxOutputTokens": 8_193}, "gemini-2.0-flash", "supported range"),
    ],
)
def test_models_differ(config: Json, model: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        check({"contents": GOOD["contents"][:1], "generationConfig": config}, model)
    assert words in str(refused.value)


def test_a_turn_of_the_model_ends_no_request_to_newer_ones() -> None:
    turns = [GOOD["contents"][0], {"role": "model", "parts": [{"text": "1, 2,"}]}]
    check({"contents": turns}, "gemini-3.5-flash")
    with pytest.raises(Refused, match="ending with a model turn"):
        check({"contents": turns}, "gemini-3.5-flash-lite")


def test_a_count_names_its_model_and_one_request() -> None:
    for body in ({}, {"contents": [], "generateContentRequest": {}}, {"generateContentRequest": dict(GOOD)}):
        with pytest.raises(Refused):
            check_count(body, MODEL)
