"""OpenAI's Chat Completions, which most servers of open models speak too. Replies are read in openai_chat_reply.py.

Source: OpenAI's API reference, "Create chat completion", and the documentation of vLLM, read 2026-11-21.

Lost on the way out: `top_k`, `cache_control`, thinking of earlier turns, a prefilled answer, tools that the API runs
itself, `container`, `mcp_servers`, `context_management`, `inference_geo`, `speed`, `fallbacks`, `diagnostics`.
Renamed: `stop_sequences` -> `stop` (and looked for in what comes), `metadata.user_id` -> `user`, `output_config.format`
-> `response_format`, effort and thinking budgets -> `reasoning_effort` where the model reasons.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dragoman.errors import InvalidRequest
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
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingEnabled,
    ToolResult,
    ToolUse,
    UrlSource,
)

from .base import Count, Question, Translated, UpstreamRequest
from .openai_chat_reply import ChatReply
from .openai_chat_tools import Functions
from .openai_common import JSON, effort_of, fits_strict, headers, kind_of, shortened, system_text, traits_of
from .openai_responses import Responses, belongs_here
from .translating import Names

__all__ = ["ChatCompletions"]

NEWER = re.compile(r"(?:.*/)?gpt-[5-9]")  # take `max_completion_tokens` alone, as do all that take no temperature
LONGEST_NAME = 64  # of a tool
LONGEST_ID = 40  # of a call
LONGEST_USER = 64
MOST_STOPS = 4
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
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which an effort is low, or medium


class ChatCompletions:
    """Messages <-> Chat Completions."""

    name = "openai_chat"

    def translate(self, question: Question) -> Translated:
        """Raises InvalidRequest for a document that the model could not see in any form."""
        if belongs_here(question):
            return Responses().translate(question)
        writing = _Writing(question)
        body = writing.body()
        request = UpstreamRequest(
            url=f"{question.target.base_url}/chat/completions",
            headers=headers(question),
            body=msgspec.json.encode(body),
        )
        return ChatReply(question, request, lost=tuple(writing.lost), names=writing.names)

    def count(self, question: Question) -> Count | None:
        return None


class _Writing:
    """One request on its way into the dialect; `lost` grows as it goes."""

    def __init__(self, question: Question) -> None:
        self.names = Names(LONGEST_NAME)
        self.lost: dict[str, None] = {}  # in order, each once
        self._request = question.request
        self._model = question.target.model
        self._traits = traits_of(self._model)

    def body(self) -> JSON:
        request = self._request
        body: JSON = {"model": self._model, "messages": self._messages(request)}
        newer = not self._traits.samples or NEWER.match(self._model) is not None
        body["max_completion_tokens" if newer else "max_tokens"] = request.max_tokens
        if request.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        self._sampling(body)
        self._stops(body)
        self._tools(body)
        self._thinking(body)
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

    def _stops(self, body: JSON) -> None:
        """All are looked for in what comes too: four are taken at most, and by models that reason none."""
        stops = self._request.stop_sequences or []
        if stops and self._traits.samples:
            body["stop"] = stops[:MOST_STOPS]

    def _rest(self, body: JSON) -> None:
        request = self._request
        if request.metadata is not None and request.metadata.user_id is not None:
            body["user"] = shortened(request.metadata.user_id, LONGEST_USER)
        if request.service_tier is not None:
            body["service_tier"] = "default" if request.service_tier == "standard_only" else "auto"
        for name in NOT_CARRIED:
            if getattr(request, name) is not None:
                self._lose(name)
        config = request.output_config
        if config is not None and config.format is not None:
            form: JSON = {"name": "output", "schema": config.format.schema}
            if fits_strict(config.format.schema):
                form["strict"] = True
            else:  # such as optional properties: OpenAI would refuse it; others hold to any schema
                self._lose("output_config.format.strict")
            body["response_format"] = {"type": "json_schema", "json_schema": form}

    def _thinking(self, body: JSON) -> None:
        request = self._request
        effort = None if request.output_config is None else request.output_config.effort
        match request.thinking:
            case ThinkingEnabled(budget_tokens=budget) if effort is None:
                effort = "low" if budget <= LOW_BUDGET else "medium" if budget <= MEDIUM_BUDGET else "high"
            case ThinkingAdaptive() | ThinkingEnabled() | ThinkingBetweenTools() if not self._traits.reasons:
                self._lose("thinking")
        if effort is None:
            return
        if self._traits.reasons:
            body["reasoning_effort"] = effort_of(effort, self._traits)
        else:
            self._lose("thinking" if request.thinking is not None else "output_config.effort")

    def _tools(self, body: JSON) -> None:
        functions = Functions(self._request, self.names)
        body |= functions.fields()
        self.lost |= dict.fromkeys(functions.lost)

    # -- messages --

    def _messages(self, request: MessagesRequest) -> list[JSON]:
        messages: list[JSON] = []
        if system := system_text(request.system):
            messages.append({"role": "system", "content": system})
        if any(getattr(block, "cache_control", None) is not None for block in request.system or ()):
            self._lose("cache_control")
        for message in request.messages:
            messages += self._turn(message)
        if request.messages[-1].role == "assistant":
            self._lose("prefill")
        if request.cache_control is not None:
            self._lose("cache_control")
        return messages

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if any(getattr(block, "cache_control", None) is not None for block in blocks):
            self._lose("cache_control")
        if message.output_config is not None:
            self._lose("output_config.effort")  # from a turn on: the dialect has one effort for all
        if message.role == "system":  # in its place: moved to the front it would change every prefix
            return [{"role": "system", "content": text}] if (text := _texts(blocks)) else []
        return self._assistant(blocks) if message.role == "assistant" else self._user(blocks)

    def _assistant(self, blocks: Iterable[Any]) -> list[JSON]:
        texts: list[str] = []
        calls: list[JSON] = []
        for block in blocks:
            match block:
                case Text(text=text):
                    texts.append(text)
                case ToolUse(id=call_id, name=name, input=arguments):
                    function = {"name": self.names.outward(name), "arguments": msgspec.json.encode(arguments).decode()}
                    calls.append({"id": _call_id(call_id), "type": "function", "function": function})
                case Thinking() | RedactedThinking():
                    self._lose("thinking")  # another's, or of a form that this dialect has no place for
                case _:
                    self._lose(kind_of(block))
        text = "".join(texts)
        if not text and not calls:
            return []
        message: JSON = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = calls
        return [message]

    def _user(self, blocks: Iterable[Any]) -> list[JSON]:
        """Results of tools first, each a message of its own, directly behind the calls; then what the user says."""
        results: list[JSON] = []
        parts: list[JSON] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                text, seen = self._result(block)
                results.append({"role": "tool", "tool_call_id": _call_id(block.tool_use_id), "content": text})
                parts += seen
            else:
                parts += self._parts(block)
        if not parts:
            return results
        if all(part["type"] == "text" for part in parts):
            return [*results, {"role": "user", "content": "\n\n".join(part["text"] for part in parts)}]
        return [*results, {"role": "user", "content": parts}]

    def _result(self, result: ToolResult) -> tuple[str, list[JSON]]:
        """The text of a result, and what else is in it, which only a user's message can hold."""
        content = result.content
        if content is None or isinstance(content, str):
            blocks: Sequence[Any] = [Text(text=content or "")]
        else:
            blocks = content
        parts = [part for block in blocks for part in self._parts(block)]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        seen = [part for part in parts if part["type"] != "text"]
        if seen:
            text = f"{text}\n[{len(seen)} attachment(s) of this result follow in the next message]".lstrip("\n")
            seen = [{"type": "text", "text": f"Attached to the result of {_call_id(result.tool_use_id)}:"}, *seen]
        if result.is_error:
            text = f"Error: {text}" if text else "Error"
        return text, seen

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return [{"type": "text", "text": text}] if text else []
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [_image(f"data:{media_type};base64,{data}")]
            case Image(source=UrlSource(url=url)):
                return [_image(url)]
            case Image():
                raise InvalidRequest("image.source.file: the model that answers cannot see files of this API.")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                text = "\n".join(each.text for each in content)
                return [{"type": "text", "text": f"{title}\n{source}\n{text}"}]
            case _:
                self._lose(kind_of(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        head = "\n".join(part for part in (document.title, document.context) if part)
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        match document.source:
            case Base64Pdf(data=data):
                name = document.title or "document.pdf"
                file = {"filename": name, "file_data": f"data:application/pdf;base64,{data}"}
                return [{"type": "file", "file": file}]
            case PlainText(data=text):
                return [{"type": "text", "text": f"{head}\n{text}".lstrip("\n")}]
            case UrlSource():
                raise InvalidRequest("document.source.url: the model that answers takes no documents by URL.")
            case FileSource():
                raise InvalidRequest("document.source.file: the model that answers cannot see files of this API.")
            case source:
                content = getattr(source, "content", None)
                if isinstance(content, str):
                    return [{"type": "text", "text": f"{head}\n{content}".lstrip("\n")}]
                return [part for each in content or () for part in self._parts(each)]


def _image(url: str) -> JSON:
    return {"type": "image_url", "image_url": {"url": url}}


def _texts(blocks: Iterable[Any]) -> str:
    return "\n\n".join(block.text for block in blocks if isinstance(block, Text))


def _call_id(tool_use_id: str) -> str:
    """The same for a call and its result."""
    return shortened(tool_use_id, LONGEST_ID, prefix="call_")
