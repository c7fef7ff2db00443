"""Google's Gemini: `generateContent` and `streamGenerateContent` of v1beta. Replies are read in gemini_reply.py.

Source: Gemini's API reference and guides ("Function calling", "Thinking", "Thought signatures", "Structured output",
"File input methods"), and the types of the package google-genai 3.4.0, read 2026-11-21.

Lost on the way out: `cache_control`, `disable_parallel_tool_use`, `input_examples`, thinking of other models, thinking
asked of models that do not think, a prefilled answer, `metadata.user_id`, tools that the API runs itself, `container`,
`mcp_servers`, `context_management`, `inference_geo`, `speed`, `fallbacks`, `diagnostics`.
Renamed: effort and thinking budgets -> `thinkingLevel` (Gemini 3 and later) or `thinkingBudget` (2.5).
Kept back: stop sequences. Gemini takes five and does not tell which one it stopped at, or that it did; they are looked
for in what comes, so that the reply can say it.

Thought signatures. Gemini 3 refuses a history in which the first call of a turn lacks the signature that it came with.
It travels in the `signature` of the thinking before that call, or of an empty block of thinking where there was none:
clients send thinking back unread, other models' adapters know by `wire/provenance.py` whose it is, and a client that
drops it loses no call. The id of a call, which the next best place would be, is sent twice, is shown to people, and has
a length limit at most providers: signatures have thousands of characters. A call without its signature, or with one of
another model, goes out with the value that Google documents for calls that Gemini did not make. A signature on a text
comes behind its last word, where a message has no place for it: it is dropped, as Google allows.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from dragoman.errors import InvalidRequest, NotFound
from dragoman.wire.codec import Unknown, plain
from dragoman.wire.provenance import unwrap
from dragoman.wire.tools import AnyTool, CustomTool
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Document,
    FileSource,
    Image,
    InputMessage,
    MessagesRequest,
    PlainText,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
    ToolResult,
    ToolUse,
    UrlSource,
)

from .base import Count, Question, UpstreamRequest
from .client_tools import as_function
from .gemini_reply import OF_CALL, OF_NOTHING, OF_THOUGHT, FunctionNames, GeminiReply, origin
from .gemini_schema import cleaned, parameters

__all__ = ["Gemini"]

MODEL = re.compile(r"(?:(?:models|tunedModels)/)?[a-zA-Z0-9][a-zA-Z0-9._-]*")  # it stands in the URL
THINKS_NOT = re.compile(r"gemini-(?:1|2\.0)|gemma|learnlm")
BUDGETED = re.compile(r"gemini-2\.5")
BEFORE_3 = re.compile(r"gemini-[12]\b|gemma|learnlm")  # no check of signatures, no files within results of functions
# Gemini 2.5 -> the fewest and the most tokens it may think; "Thinking", table of budgets.
BUDGETS = (("pro", 128, 32_768), ("flash-lite", 512, 24_576), ("", 1, 24_576))
NEVER_OFF = "pro"
# Effort -> level, and tokens for models with budgets (Google's own table, "OpenAI compatibility").
LEVELS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
EFFORT_TOKENS = {"low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
NO_MEDIUM = re.compile(r"gemini-3-pro")
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which a level is low, or medium

BYPASS = "skip_thought_signature_validator"  # "Thought signatures", questions: for calls that Gemini did not make
WITHIN_RESULT = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf"})  # Gemini 3, "Function calling"
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
}
ATTRIBUTION = "x-anthropic-billing-header:"  # Claude Code's: new in every request, so no prefix would ever be cached
NOT_CARRIED = (
    "container",
    "mcp_servers",
    "context_management",
    "inference_geo",
    "speed",
    "fallbacks",
    "diagnostics",
)

JSON = dict[str, Any]


class Gemini:
    """Messages <-> generateContent."""

    name = "gemini"

    def translate(self, question: Question) -> GeminiReply:
        """Raises InvalidRequest for a file that the model could not see in any form, NotFound for what is no model."""
        writing = _Writing(question)
        request = UpstreamRequest(
            url=_url(question), headers=_headers(question), body=msgspec.json.encode(writing.body())
        )
        return GeminiReply(question, request, lost=tuple(writing.lost), names=writing.names)

    def count(self, question: Question) -> Count | None:
        return None


def _url(question: Question) -> str:
    model = question.target.model
    if not MODEL.fullmatch(model):
        raise NotFound(f"model: {model}")
    path = model if "/" in model else f"models/{model}"
    verb = "streamGenerateContent?alt=sse" if question.request.stream else "generateContent"
    return f"{question.target.base_url}/{path}:{verb}"


def _headers(question: Question) -> list[tuple[str, str]]:
    """The key is never in the URL, where logs would show it."""
    accept = "text/event-stream" if question.request.stream else "application/json"
    headers = [("content-type", "application/json"), ("accept", accept)]
    if (key := question.target.api_key) is not None:
        bearer = question.target.auth == "bearer"
        headers.append(("authorization", f"Bearer {key}") if bearer else ("x-goog-api-key", key))
    return headers


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question) -> None:
        self.names = FunctionNames()
        self.lost: dict[str, None] = {}  # in order, each once
        self._request = question.request
        self._origin = origin(question.target.model)
        self._model = question.target.model.rsplit("/", 1)[-1]
        self._is_3 = BEFORE_3.match(self._model) is None
        self._called: dict[str, str] = {}  # id of a call -> name of its function

    def body(self) -> JSON:
        request = self._request
        body: JSON = {"contents": self._contents(request)}
        if system := self._system(request.system):
            body["systemInstruction"] = {"parts": [{"text": system}]}
        self._tools(body)
        body["generationConfig"] = self._config(has_tools="tools" in body)
        self._rest()
        return body

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _rest(self) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            self._lose("metadata.user_id")
        if request.cache_control is not None:
            self._lose("cache_control")
        if request.messages[-1].role == "assistant":
            self._lose("prefill")  # it goes out as an answer that was given; not every model goes on from it
        for name in NOT_CARRIED:
            if getattr(request, name) is not None:
                self._lose(name)

    # -- how to answer --

    def _config(self, *, has_tools: bool) -> JSON:
        request = self._request
        config: JSON = {"maxOutputTokens": max(1, request.max_tokens)}
        for name, theirs in (("temperature", "temperature"), ("top_p", "topP"), ("top_k", "topK")):
            if (value := getattr(request, name)) is not None:
                config[theirs] = value
        wanted = None if request.output_config is None else request.output_config.format
        if wanted is not None and has_tools and not self._is_3:
            self._lose("output_config.format")  # refused beside functions before Gemini 3
        elif wanted is not None:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": cleaned(wanted.schema)}
        if thinking := self._thinking():
            config["thinkingConfig"] = thinking
        return config

    def _thinking(self) -> JSON:
        thinking = self._request.thinking
        effort = None if self._request.output_config is None else self._request.output_config.effort
        if THINKS_NOT.match(self._model):
            if effort is not None:
                self._lose("output_config.effort")
            if thinking is not None and not isinstance(thinking, ThinkingDisabled):
                self._lose("thinking")
            return {}
        if isinstance(thinking, ThinkingDisabled):
            return self._least()
        if thinking is None and effort is None:
            return {}
        budget = thinking.budget_tokens if isinstance(thinking, ThinkingEnabled) else None
        config = self._budget(budget, effort) if BUDGETED.match(self._model) else self._level(budget, effort)
        if thinking is not None and getattr(thinking, "display", None) != "omitted":
            config["includeThoughts"] = True
        return config

    def _least(self) -> JSON:
        """As little thinking as there is: from Gemini 3 on it cannot be turned off."""
        if not BUDGETED.match(self._model):
            return {"thinkingLevel": "low"}
        return {"thinkingBudget": 128 if NEVER_OFF in self._model else 0}

    def _budget(self, budget: int | None, effort: str | None) -> JSON:
        if budget is None:
            budget = None if effort is None else EFFORT_TOKENS[effort]
        if budget is None:
            return {"thinkingBudget": -1}  # as much as the question needs
        least, most = next((low, high) for part, low, high in BUDGETS if part in self._model)
        return {"thinkingBudget": min(max(budget, least), most)}

    def _level(self, budget: int | None, effort: str | None) -> JSON:
        level = None if effort is None else LEVELS[effort]
        if level is None and budget is not None:
            level = "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
        if level is None:
            return {}
        return {"thinkingLevel": "high" if level == "medium" and NO_MEDIUM.match(self._model) else level}

    # -- tools --

    def _tools(self, body: JSON) -> None:
        tools = self._request.tools or ()
        functions = [function for tool in tools if (function := self._function(tool)) is not None]
        if not functions:
            if isinstance(self._request.tool_choice, ToolChoiceAny | ToolChoiceTool):
                self._lose("tool_choice")
            return
        is_strict = any(getattr(tool, "strict", None) for tool in tools)
        body["tools"] = [{"functionDeclarations": functions}]
        if config := self._choice({each["name"] for each in functions}, is_strict=is_strict):
            body["toolConfig"] = {"functionCallingConfig": config}

    def _function(self, tool: AnyTool) -> JSON | None:
        if tool.cache_control is not None:
            self._lose("cache_control")
        if getattr(tool, "input_examples", None):
            self._lose("input_examples")
        if isinstance(tool, CustomTool):
            return self._declared(tool.name, tool.description, tool.input_schema)
        if (known := as_function(tool)) is None:
            self._lose(f"tools.{plain(tool)['type']}")
            return None
        return self._declared(*known)

    def _declared(self, name: str, description: str | None, schema: JSON) -> JSON:
        said = {"description": description} if description else {}
        takes = parameters(schema)
        return {
            "name": self.names.outward(name),
            **said,
            **({} if takes is None else {"parametersJsonSchema": takes}),
        }

    def _choice(self, functions: set[str], *, is_strict: bool) -> JSON:
        choice = self._request.tool_choice
        if getattr(choice, "disable_parallel_tool_use", None):
            self._lose("disable_parallel_tool_use")
        match choice:
            case ToolChoiceAny():
                return {"mode": "ANY"}
            case ToolChoiceTool(name=name) if (theirs := self.names.outward(name)) in functions:
                return {"mode": "ANY", "allowedFunctionNames": [theirs]}
            case ToolChoiceTool():
                self._lose("tool_choice")  # of a tool that is lost itself
                return {}
            case ToolChoiceNone():
                return {"mode": "NONE"}
            case _:
                return {"mode": "VALIDATED"} if is_strict else {}

    # -- messages --

    def _system(self, system: str | Sequence[Text] | None) -> str:
        if system is None or isinstance(system, str):
            return system or ""
        if any(block.cache_control is not None for block in system):
            self._lose("cache_control")
        return "\n\n".join(block.text for block in system if not block.text.startswith(ATTRIBUTION))

    def _contents(self, request: MessagesRequest) -> list[JSON]:
        """Turns of two roles in alternation: what follows its like is joined to it."""
        contents: list[JSON] = []
        for message in request.messages:
            parts = self._turn(message)
            role = "model" if message.role == "assistant" else "user"
            if contents and contents[-1]["role"] == role:
                contents[-1]["parts"] = _results_first([*contents[-1]["parts"], *parts])
            elif parts:
                contents.append({"role": role, "parts": _results_first(parts)})
        return contents

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if any(getattr(block, "cache_control", None) is not None for block in blocks):
            self._lose("cache_control")
        if message.role == "system":  # in its place: moved to the front it would change every prefix
            text = "\n\n".join(block.text for block in blocks if isinstance(block, Text))
            return [{"text": f"<system>\n{text}\n</system>"}]
        if message.role == "assistant":
            return self._assistant(blocks)
        return [part for block in blocks for part in self._user(block)]

    def _assistant(self, blocks: Iterable[Any]) -> list[JSON]:
        parts: list[JSON] = []
        signature: str | None = None  # of the call that comes next
        for block in blocks:
            match block:
                case Text(text=text):
                    parts += [{"text": text}] if text else []
                case Thinking(thinking=thought):
                    on, signed = self._mine(block)
                    if on == OF_CALL:
                        signature = signed
                    elif on == OF_THOUGHT:
                        parts.append({"text": thought, "thought": True, "thoughtSignature": signed})
                    elif on == OF_NOTHING:
                        parts.append({"text": "", "thoughtSignature": signed})
                case ToolUse():
                    parts.append(self._call(block, signature))
                    signature = None
                case RedactedThinking():
                    self._lose("thinking")
                case _:
                    self._lose(_kind(block))
        return self._with_bypass(parts)

    def _mine(self, block: Thinking) -> tuple[str, str]:
        """On which part this very model signed, and how; empty for a summary without, and for thinking of others."""
        made = unwrap(block.signature)
        if made is None or made[0] != self._origin:
            self._lose("thinking")
            return "", ""
        return made[1][:1], made[1][1:]

    def _call(self, block: ToolUse, signature: str | None) -> JSON:
        self._called[block.id] = name = self.names.outward(block.name)
        part: JSON = {"functionCall": {"id": block.id, "name": name, "args": block.input}}
        if signature is not None:
            part["thoughtSignature"] = signature
        return part

    def _with_bypass(self, parts: list[JSON]) -> list[JSON]:
        """Of calls made together only the first is signed, and only from Gemini 3 on is that checked."""
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and self._is_3:
            first.setdefault("thoughtSignature", BYPASS)
        return parts

    def _user(self, block: Any) -> list[JSON]:
        if isinstance(block, ToolResult):
            return self._result(block)
        return self._parts(block)

    def _result(self, result: ToolResult) -> list[JSON]:
        """A result of a function, and behind it the files that only a part of its own can hold."""
        content = result.content
        blocks: Sequence[Any] = [Text(text=content)] if isinstance(content, str) else content or ()
        parts = [part for block in blocks for part in self._parts(block)]
        text = "\n".join(part["text"] for part in parts if "text" in part)
        files = [part for part in parts if "text" not in part]
        within = [part for part in files if self._is_3 and _media_type(part) in WITHIN_RESULT]
        beside = [part for part in files if part not in within]
        if (name := self._called.get(result.tool_use_id)) is None:
            return [{"text": f"Result of {result.tool_use_id}: {text}"}, *files]  # of a call that is not there
        response: JSON = {"id": result.tool_use_id, "name": name}
        response["response"] = {"error": text or "Error"} if result.is_error else {"output": text}
        if within:
            response["parts"] = within
        label = [{"text": f"Attached to the result of {result.tool_use_id}:"}] if beside else []
        return [{"functionResponse": response}, *label, *beside]

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return [{"text": text}] if text else []
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [{"inlineData": {"mimeType": media_type, "data": data}}]
            case Image(source=UrlSource(url=url)):
                return [_linked(url)]
            case Image():
                raise InvalidRequest("image.source.file_id: the model that answers cannot see files of this API.")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                text = "\n".join(each.text for each in content)
                return [{"text": f"{title}\n{source}\n{text}"}]
            case _:
                self._lose(_kind(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        head = "\n".join(part for part in (document.title, document.context) if part)
        title: list[JSON] = [{"text": head}] if head else []
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        match document.source:
            case Base64Pdf(data=data):
                return [*title, {"inlineData": {"mimeType": "application/pdf", "data": data}}]
            case PlainText(data=text):
                return [{"text": f"{head}\n{text}".lstrip("\n")}]
            case UrlSource(url=url):
                return [*title, {"fileData": {"mimeType": "application/pdf", "fileUri": url}}]
            case FileSource():
                raise InvalidRequest("document.source.file_id: the model that answers cannot see files of this API.")
            case source:
                if isinstance(source.content, str):
                    return [{"text": f"{head}\n{source.content}".lstrip("\n")}]
                return [*title, *(part for each in source.content for part in self._parts(each))]


def _results_first(parts: list[JSON]) -> list[JSON]:
    """Results stand directly behind the calls that they answer, before all else that a turn says."""
    return sorted(parts, key=lambda part: "functionResponse" not in part)


def _linked(url: str) -> JSON:
    """A file that Gemini fetches itself. Its kind is told where the address shows it."""
    ending = urlsplit(url).path.rpartition(".")[2].lower()
    kind = {"mimeType": MEDIA_TYPES[ending]} if ending in MEDIA_TYPES else {}
    return {"fileData": {**kind, "fileUri": url}}


def _media_type(part: JSON) -> str | None:
    data = part.get("inlineData")
    return None if data is None else data["mimeType"]


def _kind(block: Any) -> str:
    return block.kind if isinstance(block, Unknown) else str(type(block).__struct_config__.tag)
