"""A conversation as the items of the Responses API. Source: as openai_responses.py."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from dragoman.errors import CannotCarry
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Document,
    Image,
    InputMessage,
    PlainText,
    RedactedThinking,
    SearchResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolReference,
    ToolResult,
    ToolUse,
    UrlSource,
    WebSearchResult,
)

from .openai_common import JSON, Traits, kind_of, shortened
from .openai_responses_items import Thought, thought_of
from .openai_responses_search import call_of
from .searches import note_of, told_searches
from .translating import Names

__all__ = ["Conversation"]

LONGEST_ID = 64  # of a call
NO_FILES = "the model that answers takes no uploaded files."
# Models whose messages say whether they are the answer or came before it, and that take one for the other where that
# is left out (`EasyInputMessageParam.phase`; pydantic-ai#5229: others do not mind it).
PHASED = re.compile(r"gpt-5\.3-codex|gpt-5\.(?:[4-9]|\d\d)|gpt-[6-9]")


class Conversation:
    """Turns on their way into the dialect; what is lost on it is told to `lose`."""

    def __init__(self, model: str, traits: Traits, *, origin: str, names: Names, lose: Callable[[str], None]) -> None:
        self._traits = traits
        self._origin = origin
        self._names = names
        self._lose = lose
        self._is_phased = PHASED.match(model.rpartition("/")[2]) is not None

    def items(self, messages: Sequence[InputMessage]) -> list[JSON]:
        """Raises CannotCarry for a file that the model could not see in any form, and where nothing is left."""
        items = [item for message in messages for item in self._turn(message)]
        if not items:
            raise CannotCarry("messages: there is nothing in them that the model that answers could be told.")
        if messages[-1].role == "assistant":
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

    # -- the assistant --

    def _assistant(self, blocks: Sequence[Any]) -> list[JSON]:
        turn = _Turn(self._lose)
        blocks = told_searches(blocks, self._origin, self._lose)
        results = {block.tool_use_id for block in blocks if isinstance(block, WebSearchResult)}
        searches = {block.id: block for block in blocks if isinstance(block, ServerToolUse) and block.id in results}
        for block in blocks:
            match block:
                case Text(text=text):
                    turn.add(_message("assistant", text) if text else None)
                case ToolUse():
                    turn.add(self._call(block))
                case Thinking(signature=signature):
                    turn.think(thought_of(signature, self._origin))
                case RedactedThinking():
                    self._lose("thinking")
                case ServerToolUse() if block.id in searches:
                    continue  # it stands in its result
                case WebSearchResult():
                    item = call_of(block, self._origin, thought=turn.thought_of("web_search_call"))
                    if item is None:
                        turn.leave_out(kind_of(block))
                        item = _message("assistant", note_of(block, searches.get(block.tool_use_id)).text)
                    turn.add(item)
                case _:
                    turn.leave_out(kind_of(block))
        items = turn.ended()
        return _phased(items) if self._is_phased else items

    def _call(self, block: ToolUse) -> JSON:
        return {
            "type": "function_call",
            "call_id": _call_id(block.id),
            "name": self._names.outward(block.name),
            "arguments": msgspec.json.encode(block.input).decode(),
        }

    # -- the user --

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
                return _said(text)
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [_image(f"data:{media_type};base64,{data}")]
            case Image(source=UrlSource(url=url)):
                return [_image(url)]
            case Image():
                raise CannotCarry(f"image.source.file_id: {NO_FILES}")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                if getattr(block.citations, "enabled", None):
                    self._lose("citations")
                text = "\n".join(each.text for each in content)
                return [_text(f"{title}\n{source}\n{text}")]
            case ToolReference(tool_name=name):  # a client's own search for tools found it; it is among `tools`
                return [_text(f"Tool: {self._names.outward(name)}")]
            case _:
                self._lose(kind_of(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        head = "\n".join(part for part in (document.title, document.context) if part)
        about = _said(head)
        match document.source:
            case Base64Pdf(data=data):
                file = {"filename": _filename(document), "file_data": f"data:application/pdf;base64,{data}"}
                return [*about, {"type": "input_file", **file}]
            case UrlSource(url=url):
                return [*about, {"type": "input_file", "file_url": url}]
            case PlainText(data=text):
                return _said(f"{head}\n{text}".lstrip("\n"))
        content = getattr(document.source, "content", None)
        if content is None:
            raise CannotCarry(f"document.source.file_id: {NO_FILES}")
        if isinstance(content, str):
            return _said(f"{head}\n{content}".lstrip("\n"))
        return [*about, *(part for each in content for part in self._parts(each))]


class _Turn:
    """The items of one turn of the assistant. Reasoning is refused without what it led to, so it goes with that."""

    def __init__(self, lose: Callable[[str], None]) -> None:
        self._items: list[JSON] = []
        self._thoughts: list[Thought] = []  # that stand at the end of it
        self._lose = lose

    def thought_of(self, kind: str) -> bool:
        """Whether it ends in thoughts that led to an item of this type."""
        return bool(self._thoughts) and self._thoughts[-1].before in ("", kind)

    def think(self, thought: Thought | None) -> None:
        if thought is None:
            self._lose("thinking")
            return
        self._settle("reasoning")
        self._thoughts.append(thought)

    def add(self, item: JSON | None) -> None:
        if item is not None:
            self._settle(item["type"])
            self._items += [*(thought.item for thought in self._thoughts), item]
            self._thoughts.clear()

    def leave_out(self, *kinds: str) -> None:
        """What stood here cannot be sent, nor can the thoughts that led to it."""
        for kind in [*kinds, *("thinking" for _ in self._thoughts)]:
            self._lose(kind)
        self._thoughts.clear()

    def ended(self) -> list[JSON]:
        self.leave_out()
        return self._items

    def _settle(self, kind: str) -> None:
        """Thoughts that led to something else than what comes now have lost it on their way."""
        while self._thoughts and self._thoughts[-1].before not in ("", kind):
            self._thoughts.pop()
            self._lose("thinking")


def _phased(items: list[JSON]) -> list[JSON]:
    """A message with anything but messages behind it in its turn was said on the way there."""
    phase = "final_answer"
    for item in reversed(items):
        if item["type"] == "message":
            item["phase"] = phase
        else:
            phase = "commentary"
    return items


def _message(role: str, text: str) -> JSON:
    return {"type": "message", "role": role, "content": text}


def _text(text: str) -> JSON:
    return {"type": "input_text", "text": text}


def _said(text: str) -> list[JSON]:
    """An empty one is refused."""
    return [_text(text)] if text else []


def _image(url: str) -> JSON:
    return {"type": "input_image", "detail": "auto", "image_url": url}


def _filename(document: Document) -> str:
    """By its end the file's type is known there."""
    title = document.title or "document"
    return title if title.lower().endswith(".pdf") else f"{title}.pdf"


def _call_id(tool_use_id: str) -> str:
    """The same for a call and its result."""
    return shortened(tool_use_id, LONGEST_ID, prefix="call_")
