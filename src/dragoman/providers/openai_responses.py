"""OpenAI's Responses API, stateless: nothing is stored there. Replies are read in openai_responses_reply.py.

Source: OpenAI's API reference, "Create a model response", and the types of its Python package 3.51.0, read 2026-11-21.

Lost on the way out: `top_k`, `cache_control`, a prefilled answer, thinking of other models, tools that the API runs
itself, citations, `container`, `mcp_servers`, `context_management`, `inference_geo`, `speed`, `fallbacks`,
`diagnostics`; of models that reason `temperature` and `top_p`, of others effort and thinking.
Renamed: `system` -> `instructions`, `max_tokens` -> `max_output_tokens`, `output_config.format` -> `text.format`,
`metadata.user_id` -> `safety_identifier`, effort and thinking budgets -> `reasoning.effort`.
Done here, as the dialect has no such thing: `stop_sequences`.
Carried there and back: reasoning, in the signature of the thinking block that stands for it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dragoman.errors import InvalidRequest
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Document,
    Effort,
    Image,
    InputMessage,
    MessagesRequest,
    PlainText,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    ThinkingAdaptive,
    ThinkingDisabled,
    ThinkingEnabled,
    ToolResult,
    ToolUse,
    UrlSource,
)

from .base import Count, Question, UpstreamRequest
from .openai_chat_tools import Functions
from .openai_common import JSON, effort_of, fits_strict, headers, kind_of, shortened, system_text, traits_of
from .openai_responses_reply import ResponsesReply, reasoning_item, shows_thinking
from .translating import Names

__all__ = ["Responses", "belongs_here"]

LONGEST_NAME = 64  # of a tool
LONGEST_ID = 64  # of a call
LONGEST_USER = 64
FEWEST_TOKENS = 16  # the dialect refuses a smaller `max_output_tokens`; clients ask for 1 to see whether a key works
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which an effort is low, or medium
NOT_CARRIED = (
    "top_k",
    "container",
    "mcp_servers",
    "context_management",
    "inference_geo",
    "speed",
    "fallbacks",
    "diagnostics",
)


OPENAI = "https://api.openai.com/"


def belongs_here(question: Question) -> bool:
    """Would OpenAI refuse the request in its other dialect? Newer models take tools and effort together only in this
    one (pipecat-ai/pipecat#4043, openai/openai-openapi#541). Other servers of that dialect may not have this one.
    """
    request = question.request
    config = request.output_config
    reasons = (config is not None and config.effort is not None) or shows_thinking(request)
    at_openai = question.target.base_url.startswith(OPENAI)
    return at_openai and reasons and bool(request.tools) and traits_of(question.target.model).encrypts


class Responses:
    """Messages <-> Responses."""

    name = "openai_responses"

    def translate(self, question: Question) -> ResponsesReply:
        """Raises InvalidRequest for a file that the model could not see in any form."""
        # Other models, and other keys, cannot read what this one encrypts: they refuse it.
        origin = f"{self.name}/{question.target.provider}/{question.target.model}"
        writing = _Writing(question, origin)
        body = writing.body()
        request = UpstreamRequest(
            url=f"{question.target.base_url}/responses", headers=headers(question), body=msgspec.json.encode(body)
        )
        return ResponsesReply(question, request, lost=tuple(writing.lost), names=writing.names, origin=origin)

    def count(self, question: Question) -> Count | None:
        return None


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question, origin: str) -> None:
        self.names = Names(LONGEST_NAME)
        self.lost: dict[str, None] = {}  # in order, each once
        self._request = question.request
        self._model = question.target.model
        self._traits = traits_of(question.target.model)
        self._origin = origin

    def body(self) -> JSON:
        request = self._request
        body: JSON = {"model": self._model, "store": False}
        if self._traits.encrypts:
            body["include"] = ["reasoning.encrypted_content"]
        if instructions := self._instructions():
            body["instructions"] = instructions
        body["input"] = self._input(request)
        body["max_output_tokens"] = max(FEWEST_TOKENS, request.max_tokens)
        if request.stream:
            body["stream"] = True
        self._sampling(body)
        self._tools(body)
        self._reasoning(body)
        self._format(body)
        self._rest(body)
        return body

    def _lose(self, name: str) -> None:
        self.lost[name] = None

    def _sampling(self, body: JSON) -> None:
        for name in ("temperature", "top_p"):
            value = getattr(self._request, name)
            if value is None:
                continue
            if self._traits.samples:
                body[name] = value
            else:
                self._lose(name)

    def _rest(self, body: JSON) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            body["safety_identifier"] = shortened(request.metadata.user_id, LONGEST_USER)
        if request.service_tier is not None:
            body["service_tier"] = "default" if request.service_tier == "standard_only" else "auto"
        for name in NOT_CARRIED:
            if getattr(request, name) is not None:
                self._lose(name)
        if request.cache_control is not None:
            self._lose("cache_control")

    def _format(self, body: JSON) -> None:
        config = self._request.output_config
        found = self._request.output_format if config is None or config.format is None else config.format
        if found is not None:
            schema = {"name": "output", "schema": found.schema, "strict": fits_strict(found.schema)}
            body["text"] = {"format": {"type": "json_schema", **schema}}

    # -- reasoning --

    def _reasoning(self, body: JSON) -> None:
        effort = self._effort()
        if not self._traits.reasons and not self._traits.encrypts:
            if effort is not None:
                asked = self._request.output_config is not None and self._request.output_config.effort is not None
                self._lose("output_config.effort" if asked else "thinking")
            return
        reasoning: JSON = {}
        if isinstance(self._request.thinking, ThinkingDisabled) and effort is None:
            if self._traits.rests:
                reasoning["effort"] = "none"
            else:
                self._lose("thinking")  # it thinks all the same; what it thinks is not told
        if effort is not None and self._traits.reasons:
            reasoning["effort"] = effort_of(effort, self._traits)
        if shows_thinking(self._request):
            reasoning["summary"] = "auto"
        if reasoning:
            body["reasoning"] = reasoning

    def _effort(self) -> Effort | None:
        """As asked, or what a budget amounts to. Models that would not think by default are told to, if asked."""
        config = self._request.output_config
        if config is not None and config.effort is not None:
            return config.effort
        match self._request.thinking:
            case ThinkingEnabled(budget_tokens=budget):
                return "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
            case ThinkingAdaptive():
                return "medium"
        return None

    # -- tools --

    def _tools(self, body: JSON) -> None:
        """As in the other dialect, but flat."""
        functions = Functions(self._request, self.names)
        fields = functions.fields()
        self.lost |= dict.fromkeys(functions.lost)
        if "tools" in fields:
            fields["tools"] = [self._function(tool["function"]) for tool in fields["tools"]]
        if isinstance(choice := fields.get("tool_choice"), dict):
            fields["tool_choice"] = {"type": "function", "name": choice["function"]["name"]}
        body |= fields

    def _function(self, told: JSON) -> JSON:
        """`strict` always: without a word the dialect takes a function for strict, and refuses most schemas then."""
        strict = told.get("strict", False) and fits_strict(told["parameters"])
        if told.get("strict") and not strict:
            self._lose("tools.strict")
        return {"type": "function", **told, "strict": strict}

    # -- input --

    def _instructions(self) -> str:
        system = self._request.system
        if not isinstance(system, str) and any(block.cache_control is not None for block in system or ()):
            self._lose("cache_control")
        return system_text(system)

    def _input(self, request: MessagesRequest) -> list[JSON]:
        items = [item for message in request.messages for item in self._turn(message)]
        if request.messages[-1].role == "assistant":
            self._lose("prefill")
        return items

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if any(getattr(block, "cache_control", None) is not None for block in blocks):
            self._lose("cache_control")
        if message.output_config is not None and message.output_config.effort is not None:
            self._lose("output_config.effort")
        if message.role == "system":  # in its place: moved to the front it would change every prefix
            text = "\n\n".join(block.text for block in blocks if isinstance(block, Text))
            return [_message("developer" if self._traits.reasons else "system", text)] if text else []
        return self._assistant(blocks) if message.role == "assistant" else self._user(blocks)

    def _assistant(self, blocks: Iterable[Any]) -> list[JSON]:
        items: list[JSON] = []
        for block in blocks:
            match block:
                case Text(text=text) if text:
                    items.append(_message("assistant", text))
                case Text():
                    continue
                case ToolUse():
                    items.append(self._call(block))
                case Thinking(signature=signature):
                    if (item := reasoning_item(signature, self._origin)) is not None:
                        items.append(item)
                    else:
                        self._lose("thinking")
                case RedactedThinking():
                    self._lose("thinking")
                case _:
                    self._lose(kind_of(block))
        while items and items[-1]["type"] == "reasoning":  # refused without what it led to: it was cut off there
            items.pop()
            self._lose("thinking")
        return items

    def _call(self, block: ToolUse) -> JSON:
        return {
            "type": "function_call",
            "call_id": _call_id(block.id),
            "name": self.names.outward(block.name),
            "arguments": msgspec.json.encode(block.input).decode(),
        }

    def _user(self, blocks: Iterable[Any]) -> list[JSON]:
        """Results of tools first, directly behind the calls; then what the user says."""
        results: list[JSON] = []
        parts: list[JSON] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                results.append(self._result(block))
            else:
                parts += self._parts(block)
        return [*results, {"type": "message", "role": "user", "content": parts}] if parts else results

    def _result(self, result: ToolResult) -> JSON:
        content = result.content
        blocks: Sequence[Any] = [Text(text=content or "")] if content is None or isinstance(content, str) else content
        parts = [part for block in blocks for part in self._parts(block)]
        if result.is_error:
            parts = [_text("Error:" if parts else "Error"), *parts]
        output: str | list[JSON] = parts
        if all(part["type"] == "input_text" for part in parts):  # which servers of other makers take too
            output = "\n".join(part["text"] for part in parts)
        return {
            "type": "function_call_output",
            "call_id": _call_id(result.tool_use_id),
            "output": output,
        }

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return [_text(text)] if text else []
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [_image(f"data:{media_type};base64,{data}")]
            case Image(source=UrlSource(url=url)):
                return [_image(url)]
            case Image():
                raise InvalidRequest("image.source.file_id: the model that answers takes no uploaded files.")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                if getattr(block.citations, "enabled", None):
                    self._lose("citations")
                text = "\n".join(each.text for each in content)
                return [_text(f"{title}\n{source}\n{text}")]
            case _:
                self._lose(kind_of(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        head = "\n".join(part for part in (document.title, document.context) if part)
        about = [_text(head)] if head else []
        match document.source:
            case Base64Pdf(data=data):
                file = {"filename": _filename(document), "file_data": f"data:application/pdf;base64,{data}"}
                return [*about, {"type": "input_file", **file}]
            case UrlSource(url=url):
                return [*about, {"type": "input_file", "file_url": url}]
            case PlainText(data=text):
                return [_text(f"{head}\n{text}".lstrip("\n"))]
        content = getattr(document.source, "content", None)
        if content is None:
            raise InvalidRequest("document.source.file_id: the model that answers takes no uploaded files.")
        if isinstance(content, str):
            return [_text(f"{head}\n{content}".lstrip("\n"))]
        return [*about, *(part for each in content for part in self._parts(each))]


def _message(role: str, text: str) -> JSON:
    return {"type": "message", "role": role, "content": text}


def _text(text: str) -> JSON:
    return {"type": "input_text", "text": text}


def _image(url: str) -> JSON:
    return {"type": "input_image", "detail": "auto", "image_url": url}


def _filename(document: Document) -> str:
    """By its end the file's type is known there."""
    title = document.title or "document"
    return title if title.lower().endswith(".pdf") else f"{title}.pdf"


def _call_id(tool_use_id: str) -> str:
    """The same for a call and its result."""
    return shortened(tool_use_id, LONGEST_ID, prefix="call_")
