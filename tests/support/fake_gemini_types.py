"""The published types of Gemini's `generateContent`, as a check of JSON: unknown fields, wrong types, wrong values of
enumerations, refused in Google's words. Source: the types of the package google-genai, which are those of the REST
interface, without the fields that the service has on Vertex only.
"""

import base64
import binascii
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import fake_provider

__all__ = ["Refused", "conforms", "invalid", "need", "request_fields"]

Json = dict[str, Any]
# Fields of the package's types that the service has on Vertex only.
ELSEWHERE = {
    "FunctionCall": {"partialArgs", "willContinue"},
    "FunctionCallingConfig": {"streamFunctionCallArguments"},
    "GenerationConfig": {"routingConfig", "audioTimestamp", "modelSelectionConfig"},
    "GoogleSearch": {"blockingConfidence", "excludeDomains"},
    "SafetySetting": {"method"},
    "Tool": {"retrieval", "enterpriseWebSearch", "parallelAiSearch", "exaAiSearch"},
}


class Refused(fake_provider.Refused):
    """An error of Google's form (google.rpc.Status)."""

    def __init__(
        self, message: str, *, status: int = 400, name: str = "INVALID_ARGUMENT", details: list[Json] | None = None
    ) -> None:
        error: Json = {"code": status, "message": message, "status": name}
        if details:
            error["details"] = details
        super().__init__(message, body={"error": error}, status=status)


def need(is_so: bool, message: str) -> None:
    if not is_so:
        raise Refused(message)


@functools.cache
def request_fields() -> Mapping[str, Any]:
    """Fields of GenerateContentRequest."""
    from google.genai import types as published

    return {
        "contents": list[published.Content],
        "tools": list[published.Tool],
        "toolConfig": published.ToolConfig,
        "safetySettings": list[published.SafetySetting],
        "systemInstruction": published.Content,
        "generationConfig": published.GenerationConfig,
        "cachedContent": str,
        "serviceTier": str,
        "store": bool,
    }


def _fits(value: Any, kind: Any, path: str) -> None:
    """Whether a value has the published type."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return
    if origin in (typing.Union, types.UnionType):
        _fits(value, next(each for each in typing.get_args(kind) if each is not type(None)), path)
    elif origin is list:
        need(isinstance(value, list), invalid(path, "a list", value))
        for at, each in enumerate(value):
            _fits(each, typing.get_args(kind)[0], f"{path}[{at}]")
    elif origin is dict:
        need(isinstance(value, dict), invalid(path, "TYPE_MESSAGE", value))
        for name, each in value.items():
            _fits(each, typing.get_args(kind)[1], f"{path}.{name}")
    elif isinstance(kind, Mapping):
        conforms(value, kind, path)
    elif issubclass(kind, Enum):
        need(value in {each.value for each in kind}, invalid(path, kind.__name__, value))
    elif hasattr(kind, "model_fields"):
        conforms(value, _published_fields(kind), path)
    else:
        SCALARS[kind](value, path)


@functools.cache
def _published_fields(kind: Any) -> Mapping[str, Any]:
    hidden = ELSEWHERE.get(kind.__name__, set())
    named = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return {name: annotation for name, annotation in named.items() if name not in hidden}


def conforms(value: Any, fields: Mapping[str, Any], path: str) -> None:
    need(isinstance(value, dict), invalid(path, "TYPE_MESSAGE", value))
    for name, each in value.items():
        where = f" at '{path}'" if path else ""
        said = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
        if name not in fields:
            violation = {"field": path, "description": said}
            kind = "type.googleapis.com/google.rpc.BadRequest"
            raise Refused(said, details=[{"@type": kind, "fieldViolations": [violation]}])
        below = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        _fits(each, fields[name], f"{path}.{below}" if path else below)


def invalid(path: str, kind: str, value: Any) -> str:
    return f"Invalid value at '{path}' ({kind}), {value!r:.60}"


def _text(value: Any, path: str) -> None:
    need(isinstance(value, str), invalid(path, "TYPE_STRING", value))


def _bytes(value: Any, path: str) -> None:
    try:
        base64.b64decode(str(value).translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(invalid(path, "TYPE_BYTES", "Base64 decoding failed")) from None


def _number(*kinds: type) -> Callable[[Any, str], None]:
    def checks(value: Any, path: str) -> None:
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        need(fits, invalid(path, f"TYPE_{kinds[0].__name__.upper()}", value))

    return checks


SCALARS: Mapping[type, Callable[[Any, str], None]] = {
    str: _text,
    bytes: _bytes,
    bool: _number(bool),
    int: _number(int),
    float: _number(float, int),
}
