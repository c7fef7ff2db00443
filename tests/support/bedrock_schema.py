"""What Bedrock's Converse would say to a request: its service model, checked to the letter, and the rules beyond it.

The service model is botocore's. Its own validator checks types, required fields, lengths and unions; what it leaves to
the service (patterns, values of enums, that blobs are base64 in JSON) is checked here. The rules beyond the model are
errors that users quote: turns alternate (strands-agents#1223), no blank text (boto/botocore#3525), tools declared where
there are calls, results behind their calls, documents named and with a text (archestra-ai/archestra#3978, #4220).
"""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

__all__ = ["as_botocore_sends", "problems"]

DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9()\[\]-]+(?: [a-zA-Z0-9()\[\]-]+)*")


@cache
def _service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def problems(operation: str, body: dict[str, Any], *, model: str = "some-model") -> list[str]:
    """`operation` is Converse, ConverseStream or CountTokens. Empty where the request would be taken."""
    shape = _service().operation_model(operation).input_shape
    report = ParamValidator().validate({"modelId": model, **body}, shape)
    found = [report.generate_report()] if report.has_errors() else []
    found += _beyond({"modelId": model, **body}, shape, "")
    if found:
        return found
    asked = body["input"]["converse"] if operation == "CountTokens" else body
    return list(_rules(asked))


def as_botocore_sends(operation: str, body: dict[str, Any], *, model: str) -> tuple[str, Any]:
    """Path and body that AWS's own client makes of the same request."""
    operation_model = _service().operation_model(operation)
    told = _with_bytes({"modelId": model, **body}, operation_model.input_shape)
    request = create_serializer("rest-json").serialize_to_request(told, operation_model)
    return request["url_path"], json.loads(request["body"])


def _with_bytes(value: Any, shape: Shape) -> Any:
    match shape.type_name:
        case "structure" if not getattr(shape, "is_document_type", False):
            return {name: _with_bytes(each, shape.members[name]) for name, each in value.items()}
        case "list":
            return [_with_bytes(each, shape.member) for each in value]
        case "blob":
            return b64decode(value, validate=True)
    return value


def _beyond(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """What botocore leaves to the service."""
    match shape.type_name:
        case "structure" if not getattr(shape, "is_document_type", False):
            for name, member in shape.members.items():
                if name in value:
                    yield from _beyond(value[name], member, f"{path}.{name}")
        case "list":
            yield from _longer(value, shape, path)
            for at, each in enumerate(value):
                yield from _beyond(each, shape.member, f"{path}[{at}]")
        case "map":
            yield from _longer(value, shape, path)
            for name, each in value.items():
                yield from _beyond(name, shape.key, f"{path}.{name}")
                yield from _beyond(each, shape.value, f"{path}.{name}")
        case "string":
            pattern = shape.metadata.get("pattern")
            if pattern and not re.fullmatch(pattern, value):
                yield f"{path}: {value!r} does not match {pattern}"
            if shape.enum and value not in shape.enum:
                yield f"{path}: {value!r} is none of {shape.enum}"
            yield from _longer(value, shape, path)
        case "blob":
            if not isinstance(value, str) or not _is_base64(value):
                yield f"{path}: no base64"
        case "integer" | "float":
            if value > shape.metadata.get("max", value):
                yield f"{path}: {value} is too much"


def _longer(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if len(value) > shape.metadata.get("max", len(value)):
        yield f"{path}: longer than {shape.metadata['max']}"


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except (Base64Error, ValueError):
        return False


# -- the rules beyond the model --


def _rules(body: dict[str, Any]) -> Iterator[str]:
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    if roles != [("user", "assistant")[at % 2] for at in range(len(roles))]:
        yield f"A conversation must alternate between user and assistant roles: {roles}"
    names: list[str] = []
    tools = [tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool]
    for at, message in enumerate(messages):
        yield from _content(message, f"messages.{at}.content", names)
        yield from _pairs(messages, at)
        used = [block for block in message["content"] if "toolUse" in block or "toolResult" in block]
        if used and not tools:
            yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    if len({name.lower() for name in names}) != len(names):
        yield "Messages can't contain duplicate document names."
    if len(set(tools)) != len(tools):
        yield "The toolConfig field contains duplicate tool names."
    yield from _points(body)


def _content(message: dict[str, Any], path: str, names: list[str]) -> Iterator[str]:
    content = message["content"]
    if not content:
        yield f"The content field at {path} is empty."
    within = [each for block in content for each in block.get("toolResult", {}).get("content", ())]
    for block in [*content, *within]:
        if "text" in block and not block["text"].strip():
            yield f"The text field at {path} is blank."
        if "document" in block:
            names.append(block["document"]["name"])
            if not DOCUMENT_NAME.fullmatch(block["document"]["name"]):
                yield f"The document file name {block['document']['name']!r} holds what it may not."
    if any("document" in block for block in content) and not any("text" in block for block in content):
        yield "A text block must be included when using documents."
    only = {"user": ("toolUse", "reasoningContent"), "assistant": ("toolResult", "image", "document")}[message["role"]]
    for name in only:
        if any(name in block for block in content):
            yield f"{message['role']} messages cannot contain {name}."


def _pairs(messages: list[dict[str, Any]], at: int) -> Iterator[str]:
    def ids(place: int, kind: str) -> set[str]:
        content = messages[place]["content"] if 0 <= place < len(messages) else ()
        return {block[kind]["toolUseId"] for block in content if kind in block}

    results = ids(at, "toolResult")
    if results != ids(at - 1, "toolUse") and (results or ids(at - 1, "toolUse")):
        yield f"Expected toolResult blocks at messages.{at}.content for the calls before: {results}"
    kinds = ["toolResult" in block for block in messages[at]["content"] if "cachePoint" not in block]
    if kinds != sorted(kinds, reverse=True):
        yield f"toolResult blocks at messages.{at}.content must come first."


def _points(body: dict[str, Any]) -> Iterator[str]:
    within = [body.get("system", []), body.get("toolConfig", {}).get("tools", [])]
    within += [message["content"] for message in body["messages"]]
    count = 0
    for content in within:
        points = ["cachePoint" in block for block in content]
        count += sum(points)
        if points[:1] == [True] or (True, True) in pairwise(points):
            yield "There is nothing available to cache."
    if count > 4:
        yield f"{count} cache points, of which four may be"
