"""Other models on Bedrock, behind Converse: what the service refuses beyond its shapes, and what a model answers.

The model of the maker "openai" thinks; others do not. Only "amazon" remembers prompts (cache points).
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fake_bedrock_rules import refused
from fake_provider import PIECE, THOUGHT, Json, wishes

__all__ = ["check_converse", "converse_events", "converse_message", "converse_said"]

# What `additionalModelRequestFields` may hold, by the beginning of a model's id.
MORE_FIELDS = {"amazon.nova": {"inferenceConfig", "reasoningConfig"}, "openai.gpt-oss": {"reasoning_effort"}}
REMEMBERS = ("amazon.nova", "anthropic.")
AREA = re.compile(r"(?:us|eu|apac|global)\.")


def signature_of(thought: str, model: str) -> str:
    return base64.b64encode(hashlib.sha256(f"{model} {thought}".encode()).digest()).decode()


# -- what is refused --


def check_converse(params: Json, model: str) -> None:
    """Raises Refused, in the service's words. Of shapes nothing is left to say."""
    model = AREA.sub("", model, count=1)
    messages = params["messages"]
    _check_turns(messages)
    for at, block in enumerate(params.get("system", [])):
        if "text" in block and not block["text"].strip():
            raise refused(f"The text field in the SystemContentBlock object at system.{at} is blank.")
    for at, message in enumerate(messages):
        for number, block in enumerate(message["content"]):
            _check_block(block, f"messages.{at}.content.{number}", model, role=message["role"])
    _check_tools(params, messages)
    if not model.startswith(REMEMBERS) and "cachePoint" in json.dumps(params, default=str):
        raise refused("You invoked an unsupported model or your request did not allow prompt caching.")
    allowed = next((fields for start, fields in MORE_FIELDS.items() if model.startswith(start)), set())
    for field in params.get("additionalModelRequestFields", {}).keys() - allowed:
        raise refused(f"Malformed input request: #: extraneous key [{field}] is not permitted")


def _check_turns(messages: list[Json]) -> None:
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        raise refused("A conversation must start with a user message. Try again with a conversation that does.")
    if any(role == after for role, after in pairwise(roles)):
        raise refused("A conversation must alternate between user and assistant roles.")
    if any(not message["content"] for message in messages):
        raise refused("The content field in the Message object is empty.")
    calls: list[str] = []
    for at, message in enumerate(messages):
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if message["role"] == "user" and sorted(results) != sorted(calls):
            raise refused(f"The number of toolResult blocks at messages.{at}.content exceeds or misses toolUse blocks.")
        calls = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]


def _check_block(block: Json, path: str, model: str, *, role: str) -> None:
    if "text" in block and not block["text"].strip():
        raise refused(f"The text field in the ContentBlock object at {path} is blank.")
    if ("toolUse" in block or "reasoningContent" in block) and role != "assistant":
        raise refused(f"User messages cannot contain what stands at {path}.")
    told = block.get("reasoningContent", {}).get("reasoningText", {})
    if "signature" in told and told["signature"] != signature_of(told["text"], model):
        raise refused(f"{path}: Invalid `signature` in reasoningText")


def _check_tools(params: Json, messages: list[Json]) -> None:
    has_calls = any("toolUse" in block or "toolResult" in block for each in messages for block in each["content"])
    tools = params.get("toolConfig", {}).get("tools", [])
    if has_calls and not tools:
        raise refused("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    names = [tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool]
    if len(set(names)) < len(names):
        raise refused("The tool names must be unique.")
    for tool in tools:
        schema = tool.get("toolSpec", {}).get("inputSchema", {}).get("json", {"type": "object"})
        if schema.get("type") != "object":
            raise refused("The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of: object.")
    chosen = params.get("toolConfig", {}).get("toolChoice", {}).get("tool")
    if chosen is not None and chosen["name"] not in names:
        raise refused("The tool in toolChoice is not among the tools.")


# -- what is answered --


def converse_message(body: Json, model: str) -> Json:
    """The whole reply to a request, as it came over the wire."""
    content: list[Json] = []
    if model.startswith("openai."):
        content.append({"reasoningContent": {"reasoningText": {"text": THOUGHT}}})
    results = _results(body)
    calls = [] if results else _calls(body)
    if results:
        text = f"It says: {' | '.join(results)}"
    else:
        text = "I shall look." if calls else f"You said: {converse_said(body)}"
    content += [{"text": text}, *calls]
    return {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if calls else "end_turn",
        "usage": _usage(body, content),
    }


def converse_events(reply: Json) -> Iterator[tuple[str, Json]]:
    """The same, streamed: names of events and what they hold. Text and reasoning open no block."""
    yield "messageStart", {"role": "assistant"}
    for at, block in enumerate(reply["output"]["message"]["content"]):
        if "toolUse" in block:
            start = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            yield "contentBlockStart", {"contentBlockIndex": at, "start": {"toolUse": start}}
        for delta in _deltas(block):
            yield "contentBlockDelta", {"contentBlockIndex": at, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": at}
    yield "messageStop", {"stopReason": reply["stopReason"]}
    yield "metadata", {"metrics": reply["metrics"], "usage": reply["usage"]}


def _deltas(block: Json) -> Iterator[Json]:
    match block:
        case {"text": text}:
            yield from ({"text": piece} for piece in _pieces(text))
        case {"reasoningContent": {"reasoningText": {"text": thought}}}:
            yield from ({"reasoningContent": {"text": piece}} for piece in _pieces(thought))
        case {"toolUse": {"input": given}}:
            yield from ({"toolUse": {"input": piece}} for piece in _pieces(json.dumps(given, ensure_ascii=False)))


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _usage(body: Json, content: Any) -> Json:
    read = [body.get(name) for name in ("system", "toolConfig", "messages")]
    prompt, output = len(json.dumps(read)) // 4, len(json.dumps(content)) // 4
    return {
        "inputTokens": prompt - prompt // 2,
        "outputTokens": output,
        "totalTokens": prompt + output,
        "cacheReadInputTokens": prompt // 2,
        "cacheWriteInputTokens": 0,
    }


def _calls(body: Json) -> list[Json]:
    turn = len(body["messages"])
    tools = (tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", []) if "toolSpec" in tool)
    return [
        {"toolUse": {"toolUseId": f"tooluse_{turn}_{at}", "name": name, "input": given}}
        for at, (name, given) in enumerate(wishes(converse_said(body), tools))
    ]


def _results(body: Json) -> list[str]:
    return [
        "".join(part.get("text", "") for part in block["toolResult"]["content"])
        for block in body["messages"][-1]["content"]
        if "toolResult" in block
    ]


def converse_said(body: Json) -> str:
    return " ".join(block["text"] for block in body["messages"][-1]["content"] if "text" in block)
