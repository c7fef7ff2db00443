"""The messages of a request as Chat Completions takes them, with what a host wants of them (Capabilities in base.py).

A mark of `cache_control` makes a list of parts of a content that would be a text otherwise: only so can it be borne.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dragoman.errors import CannotCarry
from dragoman.wire.codec import plain
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
    ToolReference,
    ToolResult,
    ToolUse,
    UrlSource,
)

from .base import Question
from .openai_chat_thinking import GivenBack, origin_of
from .openai_common import JSON, is_among, kind_of, nine_letters, shortened, system_blocks
from .searches import told_searches
from .translating import Names

__all__ = ["Conversation"]

LONGEST_ID = 40  # of a call
BRIDGE = "I have the results."  # said between results and a user, where one may not follow the other
NO_THOUGHT = " "  # the least that a host takes that misses thinking


class Conversation:
    """The messages of one request; `lost` grows as they are written.

    `prefill` is what the assistant has begun, where the host goes on with it; `gives_back` and `has_attachments` say
    whether there is thinking among them, or anything but text.
    """

    def __init__(self, question: Question, names: Names) -> None:
        self.lost: list[str] = []
        self.prefill = ""
        self.gives_back = False
        self.has_attachments = False
        self._names = names
        self._can = question.target.can
        self._origin = origin_of(question.target)
        self._marks = is_among(self._can.cache_control, question.target.model)

    def messages(self, request: MessagesRequest, *, also: str = "") -> list[JSON]:
        """`also` is for the end of the system prompt. Raises CannotCarry for what the model could not see."""
        messages = self._system(request, also)
        turns = [message for turn in request.messages for message in self._turn(turn)]
        if not turns:
            raise CannotCarry("messages: there is nothing in them that the model that answers could see.")
        messages += turns
        if request.messages[-1].role == "assistant":
            self._begin_with(messages[-1])
        if request.cache_control is not None:
            self.lost.append("cache_control")
        return self._in_order(messages)

    def _system(self, request: MessagesRequest, also: str) -> list[JSON]:
        parts = [part for block in system_blocks(request.system) for part in self._text(block)]
        if also:
            parts.append({"type": "text", "text": also})
        return [{"role": "system", "content": _content(parts)}] if parts else []

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if message.output_config is not None:
            self.lost.append("output_config.effort")  # from a turn on: the dialect has one effort for all
        match message.role:
            case "system":
                return self._note(blocks)
            case "assistant":
                return self._assistant(blocks)
            case _:
                return self._user(blocks)

    def _note(self, blocks: Iterable[Any]) -> list[JSON]:
        """A system message in its place: moved to the front it would change every prefix.

        Many templates refuse it there (Qwen's and Mistral's do), so that it is a note that the user shows.
        """
        parts = [part for block in blocks if isinstance(block, Text) for part in self._text(block)]
        if not parts:
            return []
        if self._can.system_turns:
            return [{"role": "system", "content": _content(parts)}]
        parts[0] = {**parts[0], "text": f"<system>\n{parts[0]['text']}"}
        parts[-1] = {**parts[-1], "text": f"{parts[-1]['text']}\n</system>"}
        return [{"role": "user", "content": _content(parts)}]

    # -- assistants --

    def _assistant(self, blocks: Sequence[Any]) -> list[JSON]:
        parts: list[JSON] = []
        calls: list[JSON] = []
        thoughts = GivenBack(self._can.thinking_back, self._origin)
        for block in told_searches(blocks, self._origin, self.lost.append):
            match block:
                case Text():
                    parts += self._text(block)
                case ToolUse():
                    calls.append(self._call(block))
                case Thinking():
                    if not thoughts.take(block):
                        self.lost.append("thinking")
                case RedactedThinking():
                    self.lost.append("thinking")  # another's
                case _:
                    self.lost.append(kind_of(block))
        if not parts and not calls:
            if thoughts:
                self.lost.append("thinking")  # it was cut off before anything followed it
            return []
        message: JSON = {"role": "assistant", "content": _content(parts, between="") if parts else None}
        if calls:
            message["tool_calls"] = calls
        if thoughts:
            self.gives_back = True
            thoughts.write(message)
        elif self._can.thinking_missed:
            message["reasoning_content"] = NO_THOUGHT
        return [message]

    def _call(self, block: ToolUse) -> JSON:
        function = {"name": self._names.outward(block.name), "arguments": msgspec.json.encode(block.input).decode()}
        return {"id": self._id(block.id), "type": "function", "function": function}

    def _id(self, tool_use_id: str) -> str:
        """The same for a call and its result."""
        if self._can.short_ids:
            return nine_letters(tool_use_id)
        return shortened(tool_use_id, LONGEST_ID, prefix="call_")

    def _begin_with(self, message: JSON) -> None:
        """What the assistant has begun is the beginning of the reply, or else it goes out as an answer that it gave."""
        begun = message.get("content")
        if self._can.prefill is None or message["role"] != "assistant" or not begun or "tool_calls" in message:
            self.lost.append("prefill")
            return
        self.prefill = begun if isinstance(begun, str) else "".join(part.get("text", "") for part in begun)
        if self._can.prefill in ("prefix", "partial"):
            message[self._can.prefill] = True

    # -- users --

    def _user(self, blocks: Iterable[Any]) -> list[JSON]:
        """Results of tools first, each a message of its own, directly behind the calls; then what the user says."""
        results: list[JSON] = []
        parts: list[JSON] = []
        for block in blocks:
            if isinstance(block, ToolResult):
                content, seen = self._result(block)
                results.append({"role": "tool", "tool_call_id": self._id(block.tool_use_id), "content": content})
                parts += seen
            else:
                parts += self._parts(block)
        return [*results, {"role": "user", "content": _content(parts)}] if parts else results

    def _result(self, result: ToolResult) -> tuple[str | list[JSON], list[JSON]]:
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
            seen = [{"type": "text", "text": f"Attached to the result of {self._id(result.tool_use_id)}:"}, *seen]
        if result.is_error:
            text = f"Error: {text}" if text else "Error"
        marked = next((part for part in reversed(parts) if "cache_control" in part), {})
        mark = self._mark(result) or {name: value for name, value in marked.items() if name == "cache_control"}
        return [{"type": "text", "text": text, **mark}] if mark and text else text, seen

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text():
                return self._text(block)
            case Image():
                self.has_attachments = True
                return [{**self._image(block), **self._mark(block)}]
            case Document():
                self.has_attachments = self.has_attachments or isinstance(block.source, Base64Pdf)
                parts = self._document(block)
                mark = self._mark(block)
                return [*parts[:-1], {**parts[-1], **mark}] if mark and parts else parts
            case SearchResult(source=source, title=title, content=content):
                text = "\n".join(each.text for each in content)
                return [{"type": "text", "text": f"{title}\n{source}\n{text}", **self._mark(block)}]
            case ToolReference(tool_name=name):  # a client's own search for tools found it; it is among `tools`
                return [{"type": "text", "text": f"Tool: {self._names.outward(name)}", **self._mark(block)}]
            case _:
                self.lost.append(kind_of(block))
                return []

    def _text(self, block: Text) -> list[JSON]:
        mark = self._mark(block)
        return [{"type": "text", "text": block.text, **mark}] if block.text else []

    def _mark(self, block: Any) -> JSON:
        mark = getattr(block, "cache_control", None)
        if mark is None:
            return {}
        if self._marks:
            return {"cache_control": plain(mark)}
        self.lost.append("cache_control")
        return {}

    def _image(self, image: Image) -> JSON:
        match image.source:
            case Base64Image(media_type=media_type, data=data):
                url = f"data:{media_type};base64,{data}"
            case UrlSource(url=url) if self._can.image_urls:
                pass
            case UrlSource():
                raise CannotCarry("image.source.url: the model that answers takes images only as base64.")
            case _:
                raise CannotCarry("image.source.file: the model that answers cannot see files of this API.")
        return {"type": "image_url", "image_url": {"url": url}}

    def _document(self, document: Document) -> list[JSON]:
        head = "\n".join(part for part in (document.title, document.context) if part)
        if getattr(document.citations, "enabled", None):
            self.lost.append("citations")
        match document.source:
            case Base64Pdf(data=data) if self._can.files:
                name = document.title or "document.pdf"
                file = {"filename": name, "file_data": f"data:application/pdf;base64,{data}"}
                return [{"type": "file", "file": file}]
            case Base64Pdf():
                raise CannotCarry("document.source.base64: the model that answers takes no PDFs; send the text of it.")
            case PlainText(data=text):
                return [{"type": "text", "text": f"{head}\n{text}".lstrip("\n")}]
            case UrlSource():
                raise CannotCarry("document.source.url: the model that answers takes no documents by URL.")
            case FileSource():
                raise CannotCarry("document.source.file: the model that answers cannot see files of this API.")
            case source:
                content = getattr(source, "content", None)
                if isinstance(content, str):
                    return [{"type": "text", "text": f"{head}\n{content}".lstrip("\n")}]
                return [part for each in content or () for part in self._parts(each)]

    # -- their order --

    def _in_order(self, messages: list[JSON]) -> list[JSON]:
        """As hosts want it that are strict about who speaks after whom."""
        if self._can.user_after_results and not self._can.alternates:
            return messages
        ordered: list[JSON] = []
        for message in messages:
            last = ordered[-1] if ordered else None
            if last is None or message["role"] != "user" or last["role"] not in ("user", "tool"):
                ordered.append(message)
            elif last["role"] == "tool":
                ordered += [message] if self._can.user_after_results else [_bridge(), message]
            elif self._can.alternates:
                ordered[-1] = {**last, "content": _joined(last["content"], message["content"])}
            else:
                ordered.append(message)
        return ordered


def _bridge() -> JSON:
    return {"role": "assistant", "content": BRIDGE}


def _content(parts: list[JSON], *, between: str = "\n\n") -> str | list[JSON]:
    """Nothing but text is a text: so it is taken everywhere, and cached."""
    for part in parts:
        if part["type"] != "text" or "cache_control" in part:
            return parts
    return between.join(part["text"] for part in parts)


def _joined(first: str | list[JSON], second: str | list[JSON]) -> str | list[JSON]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [part for each in (first, second) for part in _as_parts(each)]


def _as_parts(content: str | list[JSON]) -> list[JSON]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
