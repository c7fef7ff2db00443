"""What OpenAI's Responses API refuses, as code: `check(body)` raises Refused with the words that OpenAI has for it.

Sources: the types of OpenAI's Python package, which say what a request may hold; its API reference and guides
("Reasoning models", "Function calling", "Structured model outputs", "Web search"); the errors that its users quote.
Written 2026-11-22. Where OpenAI is now and then more lenient, as it is said to be about the order of reasoning in
requests that store nothing, the stricter rule stands here: what passes here passes there.
"""

import re
from collections.abc import Callable
from typing import Any

import fake_provider
from fake_responses_schema import check_parameters, check_strict
from openai.types.responses import input_token_count_params, response_create_params
from published_types import adapter, first_problem
from pydantic import ValidationError

__all__ = ["THOUGHT_OUT", "Refused", "check", "check_count", "reasons", "unsealed"]

Json = dict[str, Any]
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
DOMAIN = re.compile(r"(?:[\w-]+\.)+[\w-]+")
IMAGE = re.compile(r"https?://\S+|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
REASONING = re.compile(r"o[1-9]|gpt-5(?!.*-chat)|gpt-[6-9]")
NO_SEARCH = re.compile(r"gpt-4\.1-nano|o1|o3-mini|.*-chat|gpt-3|gpt-oss")
# The first row that fits a model: efforts that it takes.
EFFORTS = (
    (r"gpt-5-pro", "high"),
    (r"gpt-\d\.\d-pro", "medium high xhigh"),
    (r"gpt-5\.(?:1-codex-max|[2-5]-codex)", "low medium high xhigh"),
    (r"o[1-9]|gpt-5\.1-codex|gpt-5-codex", "low medium high"),
    (r"gpt-5(?:-|$)", "minimal low medium high"),
    (r"gpt-5\.1", "none low medium high"),
    (r"gpt-5\.[2-5]", "none low medium high xhigh"),
    (r"gpt-", "none low medium high xhigh max"),
)
THOUGHT_OUT = "wst"  # how ids of searches begin that reasoning led to
MOST_TOOLS, LONGEST_ID, LONGEST_USER, FEWEST_TOKENS, MOST_DOMAINS = 128, 64, 64, 16, 100


class Refused(fake_provider.Refused):
    """An error of OpenAI's form."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, *, status: int = 400) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        super().__init__(message, body={"error": error}, status=status)


def reasons(model: str) -> bool:
    return REASONING.match(model) is not None


def check(body: Any, unseal: Callable[[str], Json | None]) -> None:
    """Raises Refused. `unseal` opens what the provider has encrypted; None for what it did not."""
    streams = isinstance(body, dict) and body.get("stream") is True
    kind = "ResponseCreateParamsStreaming" if streams else "ResponseCreateParamsNonStreaming"
    _check_types(body, getattr(response_create_params, kind), ("model", "input"))
    _check_limits(body)
    _check_include(body)
    _check_shared(body, unseal)


def check_count(body: Any, unseal: Callable[[str], Json | None]) -> None:
    """Of a request to count its tokens. Raises Refused."""
    _check_types(body, input_token_count_params.InputTokenCountParams, ("model", "input"))
    _check_shared(body, unseal)


def _need(is_so: bool, message: str, param: str | None = None, code: str | None = None) -> None:
    if not is_so:
        raise Refused(message, param, code)


def _check_types(body: Any, kind: Any, needed: tuple[str, ...]) -> None:
    _need(isinstance(body, dict), "We could not parse the JSON body of your request.")
    for name in needed:
        _need(name in body, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    try:
        adapter(kind).validate_python(body)
    except ValidationError as error:
        what, where = first_problem(error)
        if what == "extra_forbidden":
            raise Refused(f"Unknown parameter: '{where}'.", where, "unknown_parameter") from None
        raise Refused(f"Invalid value: '{where}' ({what}).", where, "invalid_value") from None


def _check_shared(body: Json, unseal: Callable[[str], Json | None]) -> None:
    _check_reasoning(body)
    _check_format(body)
    _check_tools(body.get("tools") or [], body["model"])
    _check_choice(body)
    _check_input(body["input"], body["model"], unseal)


# -- fields --


def _check_limits(body: Json) -> None:
    limit = body.get("max_output_tokens", FEWEST_TOKENS)
    said = f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {FEWEST_TOKENS}"
    _need(limit >= FEWEST_TOKENS, f"{said}, but got {limit} instead.", "max_output_tokens", "integer_below_min_value")
    _need(body.get("max_tool_calls", 1) >= 1, "Invalid 'max_tool_calls'.", "max_tool_calls")
    for name, most in (("temperature", 2), ("top_p", 1)):
        if name in body:
            _supported(not reasons(body["model"]), name)
            _need(0 <= body[name] <= most, f"Invalid '{name}': {body[name]} is not from 0 to {most}.", name)
    for name in ("safety_identifier", "user"):
        longest = f"Invalid '{name}': string too long. Expected a string with maximum length {LONGEST_USER}."
        _need(len(body.get(name, "")) <= LONGEST_USER, longest, name, "string_above_max_length")
    _need("stream_options" not in body or body.get("stream") is True,
          "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")  # fmt: skip
    _need(body.get("service_tier", "auto") in ("auto", "default", "flex", "priority"), "Invalid service_tier argument")
    _need(body.get("instructions", "x") != "", "Invalid 'instructions': empty string.", "instructions")


def _supported(is_so: bool, name: str) -> None:
    _need(is_so, f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter")


def _check_include(body: Json) -> None:
    included = body.get("include") or []
    _need(len(set(included)) == len(included), "Invalid 'include': duplicates.", "include")
    if "reasoning.encrypted_content" in included:
        _need(reasons(body["model"]), "Encrypted content is not supported with this model.", "include")
        _need(body.get("store") is False, "Encrypted content is not supported when 'store' is true.", "include")


def _check_reasoning(body: Json) -> None:
    told = body.get("reasoning")
    if told is None:
        return
    _supported(reasons(body["model"]), "reasoning.effort" if "effort" in told else "reasoning.summary")
    if (effort := told.get("effort")) is not None:
        known = next(efforts for pattern, efforts in EFFORTS if re.match(pattern, body["model"])).split()
        said = f"Unsupported value: '{effort}' is not supported with the '{body['model']}' model."
        _need(effort in known, f"{said} Supported values are: {known}.", "reasoning.effort", "unsupported_value")


def _check_format(body: Json) -> None:
    form = (body.get("text") or {}).get("format") or {"type": "text"}
    if form["type"] != "json_schema":
        return
    _name(form["name"], "text.format.name")
    where, schema = f"response_format '{form['name']}'", form["schema"]
    kind = schema.get("type")
    problem = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    _need(kind == "object", f"Invalid schema for {where}: {problem}", "text.format.schema", "invalid_json_schema")
    if form.get("strict"):
        _schema(check_strict(schema), where, "text.format.schema")


def _schema(problem: str | None, where: str, param: str) -> None:
    _need(problem is None, f"Invalid schema for {where}: {problem}", param, "invalid_json_schema")


def _name(value: str, param: str) -> None:
    said = f"Invalid '{param}': string does not match pattern. Expected a string that matches '^[a-zA-Z0-9_-]+$'"
    _need(NAME.fullmatch(value) is not None, f"{said}, at most 64 characters.", param, "invalid_value")


# -- tools --


def _check_tools(tools: list[Json], model: str) -> None:
    _need(len(tools) <= MOST_TOOLS, f"Invalid 'tools': array too long, at most {MOST_TOOLS}.", "tools")
    names = [tool["name"] for tool in tools if tool["type"] == "function"]
    _need(len(set(names)) == len(names), "Duplicate function names in 'tools'.", "tools")
    for at, tool in enumerate(tools):
        if tool["type"] == "function":
            _check_function(tool, f"tools[{at}]")
        elif tool["type"] == "web_search":
            _check_search(tool, f"tools[{at}]", model)
        else:
            raise Refused(f"This fake runs no '{tool['type']}'.", f"tools[{at}]")


def _check_function(tool: Json, path: str) -> None:
    _name(tool["name"], f"{path}.name")
    where = f"function '{tool['name']}'"
    _schema(check_parameters(tool["parameters"]), where, f"{path}.parameters")
    if tool["strict"] is not False:  # null too is strict
        _schema(check_strict(tool["parameters"]), where, f"{path}.parameters")


def _check_search(tool: Json, path: str, model: str) -> None:
    _need(NO_SEARCH.match(model) is None, f"Hosted tool 'web_search' is not supported with {model}.", "tools")
    domains = (tool.get("filters") or {}).get("allowed_domains") or []
    param = f"{path}.filters.allowed_domains"
    _need(len(domains) <= MOST_DOMAINS, f"Invalid '{param}': array too long.", param, "array_above_max_length")
    for domain in domains:
        _need(DOMAIN.fullmatch(domain) is not None, f"Invalid domain: '{domain}'.", param, "invalid_value")


def _check_choice(body: Json) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    for name in ("tool_choice", "parallel_tool_calls"):
        _need(name not in body or bool(tools), f"'{name}' is only allowed when 'tools' are specified.", name)
    if not isinstance(choice, dict):
        return
    named = choice["tools"] if choice["type"] == "allowed_tools" else [choice]
    offered = [{name: tool[name] for name in ("type", "name") if name in tool} for tool in tools or ()]
    for each in named:
        _need(each in offered, f"Tool choice '{each['type']}' not found in 'tools' parameter.", "tool_choice")


# -- input --


def _check_input(items: Any, model: str, unseal: Callable[[str], Json | None]) -> None:
    if isinstance(items, str):
        return
    _need(bool(items), "Invalid 'input': empty array.", "input", "empty_array")
    for at, item in enumerate(items):
        kind = item.get("type", "message")
        _need(kind in ITEMS, f"This fake knows no item of type '{kind}'.", f"input[{at}]")
        ITEMS[kind](item, f"input[{at}]")
    _check_calls(items)
    _check_thoughts(items, model, unseal)


def _check_message(item: Json, path: str) -> None:
    content = item["content"]
    _need(bool(content), f"Invalid '{path}.content': empty.", path)
    if isinstance(content, str):
        return
    kinds = PARTS[item["role"]]
    for at, part in enumerate(content):
        here = f"{path}.content[{at}]"
        _need(part["type"] in kinds, f"Invalid value: '{part['type']}'. Supported values are: {kinds}.", here)
        _check_part(part, here)


def _check_part(part: Json, path: str) -> None:
    match part["type"]:
        case "input_text":
            _need(bool(part["text"]), f"Invalid '{path}.text': empty string.", path)
        case "input_image":
            fits = IMAGE.fullmatch(part.get("image_url") or "") is not None
            said = "Expected a base64-encoded data URL with an image MIME type, or an http(s) URL."
            _need(fits, f"Invalid '{path}.image_url'. {said}", path, "invalid_value")
        case "input_file":
            given = [name for name in ("file_data", "file_url", "file_id") if part.get(name)]
            _need(len(given) == 1, f"Invalid '{path}': one of file_data, file_url and file_id is needed.", path)
            if given == ["file_data"]:
                _need(bool(part.get("filename")), f"Missing required parameter: '{path}.filename'.", path)
                fits = part["file_data"].startswith("data:application/pdf;base64,")
                _need(fits, f"Invalid '{path}.file_data'.", path)


def _check_call(item: Json, path: str) -> None:
    _name(item["name"], f"{path}.name")
    _check_id(item["call_id"], f"{path}.call_id")


def _check_output(item: Json, path: str) -> None:
    _need("call_id" in item, f"Missing required parameter: '{path}.call_id'.", path)
    _check_id(item["call_id"], f"{path}.call_id")
    for at, part in enumerate(item["output"] if isinstance(item["output"], list) else ()):
        _check_part(part, f"{path}.output[{at}]")


def _check_id(value: str, param: str) -> None:
    said = f"Invalid '{param}': string too long. Expected a string with maximum length {LONGEST_ID}."
    _need(0 < len(value) <= LONGEST_ID, said, param, "string_above_max_length")


def _check_reasoning_item(item: Json, path: str) -> None:
    stored = f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set to false."
    _need(bool(item.get("encrypted_content")), stored, "input")
    for name in ("content", "status"):
        _need(name not in item, f"Unknown parameter: '{path}.{name}'.", f"{path}.{name}", "unknown_parameter")


def _check_nothing(item: Json, path: str) -> None:
    """The types have said it all."""


PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "system": ("input_text",),
    "developer": ("input_text",),
    "assistant": ("output_text", "refusal"),
}
ITEMS: dict[str, Callable[[Json, str], None]] = {
    "message": _check_message,
    "function_call": _check_call,
    "function_call_output": _check_output,
    "reasoning": _check_reasoning_item,
    "web_search_call": _check_nothing,
}


def _check_calls(items: list[Json]) -> None:
    """Each call has one output, and each output a call before it; nobody speaks between a call and its output."""
    waiting: set[str] = set()
    called: set[str] = set()
    for item in items:
        kind, call_id = item.get("type", "message"), item.get("call_id")
        if kind == "function_call":
            _need(call_id not in called, f"Duplicate item found with call_id {call_id}.", "input")
            called.add(str(call_id))
            waiting.add(str(call_id))
        elif kind == "function_call_output":
            _need(call_id in waiting, f"No tool call found for function call output with call_id {call_id}.", "input")
            waiting.discard(str(call_id))
        elif kind == "message" and item["role"] != "assistant":
            _need(not waiting, f"No tool output found for function call {', '.join(sorted(waiting))}.", "input")
    _need(not waiting, f"No tool output found for function call {', '.join(sorted(waiting))}.", "input")


def _check_thoughts(items: list[Json], model: str, unseal: Callable[[str], Json | None]) -> None:
    """Reasoning is the provider's own, and stands before the item that it led to; a search stands behind its own."""
    for at, item in enumerate(items):
        if item.get("type") == "web_search_call":
            _check_searched(item, items[at - 1] if at else {})
        if item.get("type") != "reasoning":
            continue
        made = unseal(item["encrypted_content"])
        unread = f"The encrypted content for item {item['id']} could not be verified."
        _need(made is not None and made["id"] == item["id"] and made["model"] == model,
              f"{unread} Reason: Encrypted content could not be decrypted or parsed.", "input",
              "invalid_encrypted_content")  # fmt: skip
        assert made is not None
        after = items[at + 1] if at + 1 < len(items) else {}
        said = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
        _need(unsealed(after) == made["before"], said, "input")


def unsealed(item: Json) -> Json:
    """What identifies an item to the reasoning before it."""
    kind = item.get("type", "message" if item else None)
    name = {"function_call": "call_id", "web_search_call": "id"}.get(str(kind))
    is_assistants = kind != "message" or item.get("role") == "assistant"
    return {"type": kind if is_assistants else "nobody's", "id": item.get(name) if name else None}


def _check_searched(item: Json, before: Json) -> None:
    _need("_fake" in item["id"], f"Item with id '{item['id']}' not found.", "input")
    said = f"Item '{item['id']}' of type 'web_search_call' was provided without its required 'reasoning' item."
    _need(not item["id"].startswith(THOUGHT_OUT) or before.get("type") == "reasoning", said, "input")
