"""What Chat Completions refuses, as code: `check(body)` raises Refused with the words that OpenAI has for it.

Source: OpenAI's API reference, "Create chat completion", and the errors that its users quote, written 2026-11-21.
Deliberately stricter than most compatible servers: what passes here passes there.
"""

import re
from collections.abc import Callable
from typing import Any

import fake_provider

__all__ = ["Refused", "check"]

Json = dict[str, Any]
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
REASONING = re.compile(r"(?:o[1-9]|gpt-5)")
MOST_TOOLS, LONGEST_ID, LONGEST_USER, MOST_STOPS = 128, 40, 64, 4


class Refused(fake_provider.Refused):
    """An error of OpenAI's form."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        super().__init__(message, body={"error": error}, status=status)


def check(body: Any) -> None:
    """Raises Refused."""
    _need(isinstance(body, dict), "We could not parse the JSON body of your request.")
    for name in body:
        _need(name in FIELDS, f"Unrecognized request argument supplied: {name}", name)
    for name in ("model", "messages"):
        _need(name in body, f"Missing required parameter: '{name}'.", name)
    for name, value in body.items():
        FIELDS[name](value, name)
    _check_together(body)
    _check_model(body)
    _check_turns(body["messages"])


def _need(is_so: bool, message: str, param: str | None = None, code: str | None = None) -> None:
    if not is_so:
        raise Refused(message, param=param, code=code)


def _check_together(body: Json) -> None:
    _need("stream_options" not in body or body.get("stream") is True,
          "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")  # fmt: skip
    for name in ("tool_choice", "parallel_tool_calls"):
        _need(name not in body or "tools" in body, f"'{name}' is only allowed when 'tools' are specified.", name)
    _need(not {"max_tokens", "max_completion_tokens"} <= body.keys(),
          "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")  # fmt: skip
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        names = [tool["function"]["name"] for tool in body["tools"]]
        name = choice["function"]["name"]
        _need(name in names, f"Tool choice 'function' {name} not found in 'tools' parameter.", "tool_choice")


def _check_model(body: Json) -> None:
    reasons = REASONING.match(body["model"]) is not None
    refused = ("max_tokens", "temperature", "top_p", "stop") if reasons else ("reasoning_effort",)
    for name in refused:
        _need(name not in body, f"Unsupported parameter: '{name}' is not supported with this model.", name,
              "unsupported_parameter")  # fmt: skip


# -- fields --


def _is(kind: type | tuple[type, ...]) -> Callable[[Any, str], None]:
    def checks(value: Any, path: str) -> None:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        _need(fits, f"Invalid type for '{path}': got {value!r:.40}.", path, "invalid_type")

    return checks


def _within(low: float, high: float, kind: type | tuple[type, ...] = (int, float)) -> Callable[[Any, str], None]:
    def checks(value: Any, path: str) -> None:
        _is(kind)(value, path)
        _need(low <= value <= high, f"Invalid '{path}': {value} is not from {low} to {high}.", path)

    return checks


def _one_of(*values: str) -> Callable[[Any, str], None]:
    def checks(value: Any, path: str) -> None:
        _need(value in values, f"Invalid value: {value!r}. Supported values are: {values}.", path, "invalid_value")

    return checks


def _exactly(value: Any, path: str, *, needs: str, may: str = "") -> None:
    """An object with these fields and no others."""
    _is(dict)(value, path)
    for name in needs.split():
        _need(name in value, f"Missing required parameter: '{path}.{name}'.", path, "missing_required_parameter")
    for name in value:
        _need(name in f"{needs} {may}".split(), f"Unknown parameter: '{path}.{name}'.", path, "unknown_parameter")


def _stops(value: Any, path: str) -> None:
    stops = [value] if isinstance(value, str) else value
    _need(isinstance(stops, list) and all(isinstance(each, str) and each for each in stops), f"Invalid '{path}'.", path)
    _need(1 <= len(stops) <= MOST_STOPS, f"Invalid '{path}': array too long, at most {MOST_STOPS}.", path)


def _user(value: Any, path: str) -> None:
    _is(str)(value, path)
    _need(len(value) <= LONGEST_USER, f"Invalid '{path}': string too long, at most {LONGEST_USER}.", path)


def _stream_options(value: Any, path: str) -> None:
    _exactly(value, path, needs="", may="include_usage include_obfuscation")


def _tools(value: Any, path: str) -> None:
    _is(list)(value, path)
    _need(1 <= len(value) <= MOST_TOOLS, f"Invalid '{path}': from 1 to {MOST_TOOLS} are expected.", path)
    for at, tool in enumerate(value):
        here = f"{path}[{at}]"
        _exactly(tool, here, needs="type function")
        _one_of("function")(tool["type"], f"{here}.type")
        function = tool["function"]
        _exactly(function, f"{here}.function", needs="name", may="description parameters strict")
        _name(function["name"], f"{here}.function.name")
        _is(str)(function.get("description", ""), f"{here}.function.description")
        _schema(function.get("parameters", {"type": "object", "properties": {}}), function["name"])
        if function.get("strict"):
            _strict(function["parameters"], f"function '{function['name']}'")


def _name(value: Any, path: str) -> None:
    _is(str)(value, path)
    fits = NAME.fullmatch(value) is not None
    _need(fits, f"Invalid '{path}': does not match pattern '^[a-zA-Z0-9_-]+$', at most 64.", path, "invalid_value")


def _schema(schema: Any, name: str) -> None:
    said = f"Invalid schema for function '{name}':"
    _need(isinstance(schema, dict) and schema.get("type") == "object", f"{said} schema must be of type 'object'.")
    _need("properties" in schema, f"{said} object schema missing properties.")
    combined = {"oneOf", "anyOf", "allOf", "enum", "not"} & schema.keys()
    _need(not combined, f"{said} schema must not have {sorted(combined)} at the top level.")


def _strict(schema: Any, where: str) -> None:
    for part in _parts(schema):
        if part.get("type") == "object":
            _need(part.get("additionalProperties") is False,
                  f"Invalid schema for {where}: 'additionalProperties' is required to be false.")  # fmt: skip
            _need(set(part.get("required", ())) == set(part.get("properties", ())),
                  f"Invalid schema for {where}: 'required' must hold every key in properties.")  # fmt: skip


def _parts(value: Any) -> list[Json]:
    if isinstance(value, list):
        return [part for each in value for part in _parts(each)]
    if not isinstance(value, dict):
        return []
    return [value, *(part for each in value.values() for part in _parts(each))]


def _tool_choice(value: Any, path: str) -> None:
    if isinstance(value, str):
        _one_of("none", "auto", "required")(value, path)
        return
    _exactly(value, path, needs="type function")
    _exactly(value["function"], f"{path}.function", needs="name")


def _response_format(value: Any, path: str) -> None:
    _exactly(value, path, needs="type", may="json_schema")
    _one_of("text", "json_object", "json_schema")(value["type"], f"{path}.type")
    if value["type"] == "json_schema":
        form = value["json_schema"]
        _exactly(form, f"{path}.json_schema", needs="name", may="description schema strict")
        _name(form["name"], f"{path}.json_schema.name")
        if form.get("strict"):
            _strict(form["schema"], f"response_format '{form['name']}'")


# -- messages --


def _messages(value: Any, path: str) -> None:
    _is(list)(value, path)
    _need(bool(value), f"Invalid '{path}': empty array.", path, "empty_array")
    for at, message in enumerate(value):
        here = f"{path}[{at}]"
        _is(dict)(message, here)
        role = message.get("role")
        _one_of(*ROLES)(role, f"{here}.role")
        ROLES[role](message, here)


def _instructing(message: Json, path: str) -> None:
    _exactly(message, path, needs="role content", may="name")
    _content(message["content"], f"{path}.content", "text")


def _asking(message: Json, path: str) -> None:
    _exactly(message, path, needs="role content", may="name")
    _content(message["content"], f"{path}.content", "text", "image_url", "input_audio", "file")


def _answering(message: Json, path: str) -> None:
    _exactly(message, path, needs="role", may="content name refusal tool_calls audio")
    content, calls = message.get("content"), message.get("tool_calls")
    _need(content is not None or bool(calls) or "refusal" in message,
          f"Invalid value for '{path}.content': expected a string, got null.", path)  # fmt: skip
    if content is not None:
        _content(content, f"{path}.content", "text", "refusal")
    if "tool_calls" in message:
        _is(list)(calls, f"{path}.tool_calls")
        _need(bool(calls), f"Invalid '{path}.tool_calls': empty array.", path, "empty_array")
        for at, call in enumerate(calls):
            _call(call, f"{path}.tool_calls[{at}]")


def _call(call: Any, path: str) -> None:
    _exactly(call, path, needs="id type function")
    _one_of("function")(call["type"], f"{path}.type")
    _id(call["id"], f"{path}.id")
    _exactly(call["function"], f"{path}.function", needs="name arguments")
    _name(call["function"]["name"], f"{path}.function.name")
    _is(str)(call["function"]["arguments"], f"{path}.function.arguments")


def _id(value: Any, path: str) -> None:
    _is(str)(value, path)
    _need(0 < len(value) <= LONGEST_ID, f"Invalid '{path}': string too long, at most {LONGEST_ID}.", path)


def _resulting(message: Json, path: str) -> None:
    _exactly(message, path, needs="role content tool_call_id")
    _id(message["tool_call_id"], f"{path}.tool_call_id")
    _content(message["content"], f"{path}.content", "text")


ROLES: dict[str, Callable[[Json, str], None]] = {
    "developer": _instructing,
    "system": _instructing,
    "user": _asking,
    "assistant": _answering,
    "tool": _resulting,
}
PARTS = {"text": "text", "refusal": "refusal", "image_url": "image_url", "input_audio": "input_audio", "file": "file"}


def _content(content: Any, path: str, *kinds: str) -> None:
    if isinstance(content, str):
        return
    _is(list)(content, path)
    _need(bool(content), f"Invalid '{path}': empty array.", path, "empty_array")
    for at, part in enumerate(content):
        here = f"{path}[{at}]"
        _is(dict)(part, here)
        _one_of(*kinds)(part.get("type"), f"{here}.type")
        _exactly(part, here, needs=f"type {PARTS[part['type']]}")
        _part(part, here)


def _part(part: Json, path: str) -> None:
    match part["type"]:
        case "text":
            _is(str)(part["text"], f"{path}.text")
        case "image_url":
            _exactly(part["image_url"], f"{path}.image_url", needs="url", may="detail")
            url = part["image_url"]["url"]
            fits = re.match(r"https?://|data:image/(?:png|jpeg|gif|webp);base64,", url) is not None
            _need(fits, f"Invalid '{path}.image_url.url': expected a base64-encoded data URL or a URL.", path)
        case "file":
            _exactly(part["file"], f"{path}.file", needs="", may="file_data file_id filename")
            _need("file_id" in part["file"] or {"file_data", "filename"} <= part["file"].keys(),
                  f"Missing required parameter: '{path}.file.file_id'.", path)  # fmt: skip


def _check_turns(messages: list[Json]) -> None:
    """Results of tools stand directly behind the message that called them, one for each call."""
    open_calls: set[str] = set()
    for at, message in enumerate(messages):
        where = f"messages.[{at}].role"
        if message["role"] == "tool":
            _need(message["tool_call_id"] in open_calls, ORPHAN, where)
            open_calls.remove(message["tool_call_id"])
            continue
        _need(not open_calls, f"{UNANSWERED} {', '.join(sorted(open_calls))}", where)
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        _need(len(set(calls)) == len(calls), f"Duplicate value for 'tool_call_id' of {calls}.", where)
        open_calls = set(calls)
    _need(not open_calls, f"{UNANSWERED} {', '.join(sorted(open_calls))}", "messages")


ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
    " The following tool_call_ids did not have response messages:"
)


# Every field of the reference; those that dragoman never sends are checked for no more than being known.
FIELDS: dict[str, Callable[[Any, str], None]] = {
    "model": _is(str),
    "messages": _messages,
    "frequency_penalty": _within(-2, 2),
    "max_completion_tokens": _within(1, 10**9, int),
    "max_tokens": _within(1, 10**9, int),
    "metadata": _is(dict),
    "n": _within(1, 1, int),
    "parallel_tool_calls": _is(bool),
    "presence_penalty": _within(-2, 2),
    "prompt_cache_key": _is(str),
    "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh"),
    "response_format": _response_format,
    "safety_identifier": _user,
    "seed": _is(int),
    "service_tier": _one_of("auto", "default", "flex", "scale", "priority"),
    "stop": _stops,
    "store": _is(bool),
    "stream": _is(bool),
    "stream_options": _stream_options,
    "temperature": _within(0, 2),
    "tool_choice": _tool_choice,
    "tools": _tools,
    "top_p": _within(0, 1),
    "user": _user,
    "verbosity": _one_of("low", "medium", "high"),
}
