"""What Gemini's `generateContent` refuses, as code: `check(body, model)` raises Refused with Google's words for it.

Sources, written 2026-11-21: the published types (fake_gemini_types.py); the guides "Function calling", "Thought
signatures", "Thinking", "Structured output", "Tool combination" and "Latest models"; and the errors that its users
quote. Deliberately stricter than the service where it tells models apart: what passes here passes there.
"""

import re
from collections.abc import Iterator
from typing import Any

from fake_gemini_types import Refused, conforms, invalid, need, request_fields

__all__ = ["Refused", "check", "check_count", "version_of"]

Json = dict[str, Any]
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:.-]{0,63}")
VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
# The keywords of JSON Schema that "Structured output" lists.
KEYWORDS = frozenset(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems minimum maximum"
    " anyOf oneOf properties additionalProperties required propertyOrdering".split()
)
TYPES = frozenset("string number integer boolean array object null".split())
TIERS = frozenset({"unspecified", "standard", "flex", "priority"})
LEVELS = frozenset({"LOW", "MEDIUM", "HIGH"})  # those that all models have, but for one
# What a part is: one of these.
DATA = frozenset(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall"
    " toolResponse".split()
)
BUILT_IN = frozenset({"googleSearch", "urlContext", "codeExecution", "googleMaps", "fileSearch", "computerUse"})
IMAGES = frozenset("image/png image/jpeg image/webp image/heic image/heif".split())
FILES = IMAGES | {"application/pdf", "text/plain"}
WITHIN_RESULT = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})

UNANSWERED = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the"
    " function call turn."
)
ORPHAN = "Please ensure that function response turn comes immediately after a function call turn."
ENDS_WITH_MODEL = "Requests ending with a model turn are not supported."
UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly,"
    " and missing thought_signature may lead to degraded model performance. Additional data, function call"
    " `default_api:{name}` , position {position}. Please refer to"
    " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)
MIXED = "Please ensure that multiturn requests alternate between user and model."
WITH_JSON = "Function calling with a response mime type: 'application/json' is unsupported"
ONE_OF = "* GenerateContentRequest.{}: required oneof field '{}' must have one initialized field\n"
OUT_OF_RANGE = (
    "Unable to submit request because it has a {} value of {} but the supported range is from {} to {} (inclusive)."
    " Update the value and try again."
)
APART = (
    "Built-in tools ({{{names}}}) and Function Calling cannot be combined in the same request. Please choose one to"
    " proceed."
)


def check(body: Any, model: str) -> None:
    """Raises Refused."""
    conforms(body, request_fields(), "")
    need("contents" in body and body["contents"], "* GenerateContentRequest.contents: contents is not specified\n")
    need(body.get("serviceTier", "standard") in TIERS, invalid("service_tier", "ServiceTier", body.get("serviceTier")))
    for at, content in enumerate(body["contents"]):
        _check_content(content, f"contents[{at}]")
    _check_system(body.get("systemInstruction"))
    _check_turns(body["contents"], model)
    _check_tools(body, model)
    together = body.get("toolConfig", {}).get("includeServerSideToolInvocations", False)
    ran = any("toolCall" in part for content in body["contents"] for part in content["parts"])
    need(together or not ran, "Tool calls in the history need include_server_side_tool_invocations.")
    _check_config(body.get("generationConfig", {}), model, has_functions=bool(_functions(body)))


def check_count(body: Any, model: str) -> Json:
    """The request that is counted. Raises Refused."""
    fields = {"contents": request_fields()["contents"], "generateContentRequest": {**request_fields(), "model": str}}
    conforms(body, fields, "")
    asked = body.get("generateContentRequest")
    need(("contents" in body) != (asked is not None), "contents and generate_content_request are mutually exclusive.")
    if asked is None:
        check({"contents": body["contents"]}, model)
        return dict(body)
    need("model" in asked, "* CountTokensRequest.generate_content_request.model: unexpected model name format\n")
    need(asked["model"] == f"models/{model}", f"The model {asked['model']} is not that of the path.")
    inner = {name: value for name, value in asked.items() if name != "model"}
    check(inner, model)
    return inner


def version_of(model: str) -> tuple[int, int]:
    found = VERSION.match(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _is_fixed(model: str) -> bool:
    """3.6 Flash, 3.5 Flash-Lite, and all that came later."""
    return version_of(model) >= (3, 6) or model.startswith("gemini-3.5-flash-lite")


# -- contents --


def _check_content(content: Json, path: str) -> None:
    need(content.get("role") in ("user", "model"), "Please use a valid role: user, model.")
    need(bool(content.get("parts")), f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n")
    for at, part in enumerate(content["parts"]):
        _check_part(part, content["role"], f"{path}.parts[{at}]")


def _check_part(part: Json, role: str, path: str) -> None:
    kinds = DATA & part.keys()
    need(len(kinds) == 1, ONE_OF.format(path, "data"))
    (kind,) = kinds
    by_model = {"functionCall", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"}
    need(role == "model" or not (by_model | {"thought"}) & part.keys(), f"{path}: {kind} is not a user's.")
    need(role == "user" or kind not in ("functionResponse", "inlineData", "fileData"), f"{path}: {kind} is a user's.")
    match kind:
        case "text":
            is_empty = part["text"] == "" and "thoughtSignature" not in part
            need(not is_empty, "Unable to submit request because it must have a text parameter.")
        case "inlineData":
            _check_blob(part["inlineData"], FILES, path)
        case "fileData":
            need(bool(part["fileData"].get("fileUri")), f"* {path}.file_data.file_uri: must not be empty\n")
            told = part["fileData"].get("mimeType")
            need(told is None or told in FILES, f"Unsupported MIME type: {told}")
        case "functionCall" | "functionResponse":
            _check_name(part[kind].get("name"), f"{path}.{kind}.name")


def _check_blob(blob: Json, kinds: frozenset[str], path: str) -> None:
    need(blob.get("mimeType") in kinds, f"Unsupported MIME type: {blob.get('mimeType')}")
    need(bool(blob.get("data")), f"* {path}.inline_data.data: must not be empty\n")


def _check_name(name: Any, path: str) -> None:
    said = "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), "
    need(isinstance(name, str) and NAME.fullmatch(name) is not None, f"* {path}: {said}...\n")


def _check_system(system: Json | None) -> None:
    if system is None:
        return
    need(bool(system.get("parts")), "* GenerateContentRequest.system_instruction.parts: must not be empty.\n")
    for part in system["parts"]:
        need(part.keys() == {"text"} and bool(part["text"]), "system_instruction: only text is supported.")


# -- turns --


def _check_turns(contents: list[Json], model: str) -> None:
    need(contents[0]["role"] == "user", "Please ensure that multiturn requests begin with a user turn.")
    before: Json = {"role": "model", "parts": []}
    for content in contents:
        need(content["role"] != before["role"], MIXED)
        if content["role"] == "user":
            calls = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
            _check_responses(content, calls, model)
        before = content
    if before["role"] == "model":
        need(not any("functionCall" in part for part in before["parts"]), UNANSWERED)
        need(not _is_fixed(model), ENDS_WITH_MODEL)
    if version_of(model) >= (3, 0):
        _check_signed(contents)


def _check_responses(content: Json, calls: list[Json], model: str) -> None:
    """One for each call of the turn before, at the end of the turn: behind them there may be nothing else."""
    parts = content["parts"]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    need(not answers or bool(calls), ORPHAN)
    need(len(answers) == len(calls), UNANSWERED)
    need(all("functionResponse" in part for part in parts[len(parts) - len(answers) :]), ENDS_WITH_MODEL)
    open_calls = {call.get("id"): call["name"] for call in calls}
    need(len(open_calls) == len(calls), "Ids of function calls are not unique.")
    for answer in answers:
        said = f"Function response {answer.get('id')} {answer['name']} matches no function call."
        need(open_calls.pop(answer.get("id"), None) == answer["name"], said)
        need(isinstance(answer.get("response"), dict), "function_response.response: must be an object.")
        need("parts" not in answer or version_of(model) >= (3, 0), "Multimodal function responses are not supported.")
        for part in answer.get("parts", ()):
            _check_blob(part["inlineData"], WITHIN_RESULT, "function_response.parts")


def _check_signed(contents: list[Json]) -> None:
    """In the current turn, that is behind the last words of the user, the first call of each step is signed."""
    starts = [at for at, each in enumerate(contents) if each["role"] == "user" and not _answers(each)]
    for position, content in enumerate(contents[starts[-1] :], starts[-1]):
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None and not first.get("thoughtSignature"):
            raise Refused(UNSIGNED.format(name=first["functionCall"]["name"], position=position + 1))


def _answers(content: Json) -> bool:
    return any("functionResponse" in part for part in content["parts"])


# -- tools --


def _functions(body: Json) -> list[Json]:
    return [each for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])]


def _check_tools(body: Json, model: str) -> None:
    functions = _functions(body)
    for tool in body.get("tools", []):
        need(bool(tool), ONE_OF.format("tools[0]", "tool_type"))
    for at, function in enumerate(functions):
        _check_function(function, f"tools[0].function_declarations[{at}]")
    names = [function["name"] for function in functions]
    for name in names:
        need(names.count(name) == 1, f"Duplicate function declaration found: {name}")
    built_in = sorted({name for tool in body.get("tools", []) for name in tool} & BUILT_IN)
    config = body.get("toolConfig", {})
    together = config.get("includeServerSideToolInvocations", False) and version_of(model) >= (3, 0)
    need(together or not (built_in and functions), APART.format(names=", ".join(built_in)))
    _check_calling(config.get("functionCallingConfig"), names)


def _check_calling(config: Json | None, names: list[str]) -> None:
    if config is None:
        return
    need(bool(names), "Function calling config is set without function_declarations.")
    allowed = config.get("allowedFunctionNames")
    if allowed is not None:
        need(config["mode"] in ("ANY", "VALIDATED"), "`allowed_function_names` should only be set when mode is ANY.")
        need(bool(allowed), "`allowed_function_names` is empty.")
        for name in allowed:
            need(name in names, f"allowed_function_names: {name} is not declared.")


def _check_function(function: Json, path: str) -> None:
    _check_name(function.get("name"), f"GenerateContentRequest.{path}.name")
    both = {"parameters", "parametersJsonSchema"} <= function.keys()
    need(not both, f"{path}: parameters and parameters_json_schema are mutually exclusive.")
    if "parametersJsonSchema" in function:
        schema = function["parametersJsonSchema"]
        said = f"* GenerateContentRequest.{path}.parameters: "
        need(isinstance(schema, dict) and schema.get("type") == "object", f"{said}schema should be of type OBJECT\n")
        _check_schema(schema, f"{path}.parameters_json_schema")


def _check_schema(schema: Any, path: str) -> None:
    """Of the keywords that are listed, in their forms; properties that are required are described."""
    need(isinstance(schema, dict), invalid(path, "a schema", schema))
    for name in schema:
        need(name in KEYWORDS, f"Unknown keyword \"{name}\" at '{path}'.")
    told = schema.get("type", [])
    for each in told if isinstance(told, list) else [told]:
        need(each in TYPES, f"{path}.type: unknown type {each!r}")
    required = schema.get("required", [])
    need(isinstance(required, list), invalid(f"{path}.required", "a list", required))
    for name in required:
        need(name in schema.get("properties", {}), f"{path}.required[0]: property is not defined: {name}")
    for value in schema.get("enum", []):
        need(isinstance(value, str | int | float) and not isinstance(value, bool), f"{path}.enum: {value!r}")
    need(schema.get("enum", [0]) != [], f"{path}.enum: cannot be empty")
    is_array = told == "array" or (isinstance(told, list) and "array" in told)
    need(not is_array or bool({"items", "prefixItems"} & schema.keys()), f"{path}.items: missing field.")
    for name, below in _below(schema):
        _check_schema(below, f"{path}.{name}")


def _below(schema: Json) -> Iterator[tuple[str, Any]]:
    for name in ("properties", "$defs"):
        yield from schema.get(name, {}).items()
    for name in ("anyOf", "oneOf", "prefixItems"):
        yield from ((name, each) for each in schema.get(name, []))
    if "items" in schema:
        yield "items", schema["items"]
    if not isinstance(schema.get("additionalProperties", True), bool):
        yield "additional_properties", schema["additionalProperties"]


# -- settings --


def _check_config(config: Json, model: str, *, has_functions: bool) -> None:
    version = version_of(model)
    is_old = version < (2, 5)
    ranges = {
        "maxOutputTokens": (1, 8_192 if is_old else 65_536),
        "temperature": (0, 2),
        "topP": (0, 1),
        "topK": (1, 40 if is_old else 1_000_000),
    }
    for name, (low, high) in ranges.items():
        value = config.get(name, low)
        need(low <= value <= high, OUT_OF_RANGE.format(name, value, low, high))
    stops = config.get("stopSequences", [])
    need(len(stops) <= 5 and all(stops), "stop_sequences: at most 5 stop sequences are allowed.")
    if "responseJsonSchema" in config or "responseSchema" in config:
        need(config.get("responseMimeType") == "application/json", "response_mime_type must be application/json.")
        need(not has_functions or version >= (3, 0), WITH_JSON)
        _check_schema(config.get("responseJsonSchema", {}), "generation_config.response_json_schema")
    for name in ("temperature", "topP", "topK"):  # ignored so far, to be refused
        need(name not in config or not _is_fixed(model), f"{name} is deprecated for this model.")
    _check_thinking(config.get("thinkingConfig"), model)


def _check_thinking(thinking: Json | None, model: str) -> None:
    if thinking is None:
        return
    version = version_of(model)
    need(version >= (2, 5), "Unable to submit request because thinking is not supported by this model.")
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    need(level is None or budget is None, "You can only set only one of thinking budget and thinking level.")
    if level is not None:
        need(version >= (3, 0), "Thinking level is not supported for this model.")
        known = LEVELS - {"MEDIUM"} if model.startswith("gemini-3-pro") else LEVELS
        need(level in known, f"Thinking level {level} is not supported for this model.")
    if budget is not None:
        need(version < (3, 0), "Thinking budget is not supported for this model.")
        low, high = (128, 32_768) if "pro" in model else (512, 24_576) if "flash-lite" in model else (0, 24_576)
        off = budget == 0 and "pro" not in model
        fits = budget == -1 or off or low <= budget <= high
        need(fits, f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}.")
