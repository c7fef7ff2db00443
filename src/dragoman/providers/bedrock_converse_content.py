"""Messages and system prompts as Converse's content blocks. Pure.

Source: as bedrock_converse.py. Converse wants turns of two roles in alternation, from a user's on; no text of white
space alone; results of tools in the turn behind their calls; documents with a text beside them and names of their own.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from dragoman.errors import CannotCarry
from dragoman.wire.provenance import unwrap
from dragoman.wire.tools import CacheControl
from dragoman.wire.types import (
    Base64Image,
    Base64Pdf,
    Document,
    FileSource,
    Image,
    InputMessage,
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

from .bedrock_converse_models import Traits
from .openai_common import kind_of, shortened, system_text
from .searches import told_searches
from .translating import Names

__all__ = ["REDACTED", "SIGNED", "UNSIGNED_TEXT", "Content", "hidden"]

JSON = dict[str, Any]
LONGEST_ID = 64  # ToolUseId
LONGEST_NAME = 200  # DocumentBlock.name
NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\] -]+")
NO_POINT_BEHIND = frozenset({"cachePoint", "reasoningContent"})
EMPTY = "(empty)"  # where there must be a text, and there is none
GO_ON = "Go on."
SEE_DOCUMENT = "The document:"
OF_TOOLS = frozenset({"toolUse", "toolResult", "toolSpec", "document"})  # what a model may have no cache for

# What a reasoning block was: the first letter of what is wrapped into the signature of the thinking that stands for it.
SIGNED, REDACTED, UNSIGNED_TEXT = "s", "r", "t"
HIDDEN = "h"  # text that the caller does not see, and its signature, as JSON


class _Hidden(msgspec.Struct, frozen=True):
    text: str
    signature: str = ""


def hidden(text: str, signature: str) -> str:
    """What is wrapped into the signature of an empty block for it."""
    return HIDDEN + msgspec.json.encode(_Hidden(text, signature)).decode()


class Content:
    """The content of one request; `lose` is told what a model does not take."""

    def __init__(self, traits: Traits, *, origin: str, names: Names, lose: Callable[[str], None]) -> None:
        self._traits = traits
        self._origin = origin
        self._names = names
        self._lose = lose
        self._document_names: set[str] = set()
        self.calls: dict[str, None] = {}  # names of the tools that were called, as Converse has them, each once

    def system(self, system: str | Sequence[Text] | None) -> list[JSON]:
        """Blocks of the field `system`."""
        if system is None or isinstance(system, str):
            return _text(system or "")
        blocks: list[JSON] = []
        for each in system:
            blocks += _text(system_text([each]))
            blocks += self.cache_point(each.cache_control)
        return _without_idle_points(blocks)

    def messages(self, messages: Sequence[InputMessage], *, last: CacheControl | None) -> list[JSON]:
        """`last` is the mark of the whole request: it stands behind its last block."""
        turns: list[JSON] = []
        for message in messages:
            role = "assistant" if message.role == "assistant" else "user"
            blocks = self._turn(message)
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += blocks
            elif blocks:
                turns.append({"role": role, "content": blocks})
        if not turns or turns[0]["role"] != "user":  # nothing of the first turn could be carried
            turns.insert(0, {"role": "user", "content": [{"text": EMPTY}]})
        turns[-1]["content"] += self.cache_point(last, behind=turns[-1]["content"][-1])
        return [settled for turn in turns for settled in self._settled(turn)]

    def cache_point(self, control: CacheControl | None, *, behind: JSON | None = None) -> list[JSON]:
        """`behind` is the block that it is to stand behind: of tools and documents, only some models remember
        anything."""
        if control is None:
            return []
        is_text = behind is None or OF_TOOLS.isdisjoint(behind)
        if not self._traits.caches or not (is_text or self._traits.caches_tools):
            self._lose("cache_control")
            return []
        point = {"type": "default"}
        if control.ttl == "1h" and self._traits.caches_an_hour:
            point["ttl"] = "1h"
        elif control.ttl == "1h":
            self._lose("cache_control.ttl")
        return [{"cachePoint": point}]

    # -- turns --

    def _turn(self, message: InputMessage) -> list[JSON]:
        blocks = [Text(text=message.content)] if isinstance(message.content, str) else message.content
        if message.output_config is not None and message.output_config.effort is not None:
            self._lose("output_config.effort")
        if message.role == "system":  # in its place: moved to the front it would change every prefix
            texts = [block for block in blocks if isinstance(block, Text)]
            text = "\n\n".join(block.text for block in texts)
            control = next((block.cache_control for block in reversed(texts) if block.cache_control), None)
            return [{"text": f"<system>\n{text}\n</system>"}, *self.cache_point(control)] if text.strip() else []
        one = self._said if message.role == "assistant" else self._asked
        turn: list[JSON] = []
        for block in told_searches(blocks, self._origin, self._lose):
            told = one(block)
            turn += told
            if (control := getattr(block, "cache_control", None)) is not None:
                behind = next((part for part in reversed(told) if "toolResult" in part), told[-1] if told else None)
                turn += self.cache_point(control, behind=behind)
        return turn

    def _settled(self, turn: JSON) -> list[JSON]:
        """A turn as the model takes it, which may be three."""
        content = _without_idle_points(turn["content"])
        if turn["role"] == "assistant":
            return [{"role": "assistant", "content": content}] if self._traits.mixes else _apart(content)
        content = _results_first(content)
        if not self._traits.mixes:
            content = _into_result(content)
        return [{"role": "user", "content": _with_text(content)}]

    # -- what the model said --

    def _said(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return _text(text)
            case ToolUse(id=call_id, name=name, input=given):
                outward = self._names.outward(name)
                self.calls[outward] = None
                return [{"toolUse": {"toolUseId": _call_id(call_id), "name": outward, "input": given}}]
            case Thinking() | RedactedThinking():
                reasoning = self._thought(block) if isinstance(block, Thinking) else self._redacted(block)
                if reasoning is None:
                    self._lose("thinking")
                    return []
                return [{"reasoningContent": reasoning}]
            case _:
                self._lose(kind_of(block))
                return []

    def _thought(self, block: Thinking) -> JSON | None:
        """As it came, where this model made it; None for what it would refuse."""
        wrapped = unwrap(block.signature)
        if self._traits.is_claude:
            is_signed = wrapped is None and bool(block.signature)
            return _reasoning(block.thinking, block.signature) if is_signed else None
        if wrapped is None or wrapped[0] != self._origin:
            return None
        kind, opaque, text = wrapped[1][:1], wrapped[1][1:], block.thinking
        if kind == HIDDEN:
            try:
                told = msgspec.json.decode(opaque, type=_Hidden)
            except msgspec.MsgspecError:  # somebody has changed it
                return None
            kind, opaque, text = (SIGNED if told.signature else UNSIGNED_TEXT), told.signature, told.text
        if kind == REDACTED and _is_base64(opaque):
            return {"redactedContent": opaque}
        if kind == SIGNED and opaque:
            return _reasoning(text, opaque)
        if kind == UNSIGNED_TEXT and self._traits.takes_thoughts and text.strip():
            return _reasoning(text)
        return None

    def _redacted(self, block: RedactedThinking) -> JSON | None:
        return {"redactedContent": block.data} if self._traits.is_claude and _is_base64(block.data) else None

    # -- what it is asked --

    def _asked(self, block: Any) -> list[JSON]:
        return self._result(block) if isinstance(block, ToolResult) else self._parts(block)

    def _result(self, result: ToolResult) -> list[JSON]:
        """The result, and behind it what else is in it, where the model sees nothing but text within."""
        content = result.content
        blocks: Sequence[Any] = [Text(text=content or "")] if content is None or isinstance(content, str) else content
        parts = [part for block in blocks for part in self._parts(block)]
        within = parts if self._traits.sees_results else [part for part in parts if "text" in part]
        outside = [] if self._traits.sees_results else [part for part in parts if "text" not in part]
        call_id = _call_id(result.tool_use_id)
        if outside:
            within.append({"text": f"[{len(outside)} attachment(s) of this result follow]"})
            outside.insert(0, {"text": f"Attached to the result of {call_id}:"})
        told: JSON = {"toolUseId": call_id}
        if result.is_error and self._traits.status:
            told["status"] = "error"
        elif result.is_error:
            within.insert(0, {"text": "Error:" if within else "Error"})
        told["content"] = within or [{"text": EMPTY}]
        return [{"toolResult": told}, *outside]

    def _parts(self, block: Any) -> list[JSON]:
        match block:
            case Text(text=text):
                return _text(text)
            case Image(source=Base64Image(media_type=media_type, data=data)):
                return [{"image": {"format": media_type.rpartition("/")[2], "source": {"bytes": data}}}]
            case Image(source=UrlSource()):
                raise CannotCarry("image.source.url: the model that answers takes no images by URL.")
            case Image():
                raise CannotCarry("image.source.file: the model that answers cannot see files of this API.")
            case Document():
                return self._document(block)
            case SearchResult(source=source, title=title, content=content):
                if getattr(block.citations, "enabled", None):
                    self._lose("citations")
                text = "\n".join(each.text for each in content)
                return _text(f"{title}\n{source}\n{text}")
            case ToolReference(tool_name=name):  # a client's own search for tools found it; it is among `tools`
                return [{"text": f"Tool: {self._names.outward(name)}"}]
            case _:
                self._lose(kind_of(block))
                return []

    def _document(self, document: Document) -> list[JSON]:
        """Text as text, which all models see; a PDF as a document."""
        head = "\n".join(part for part in (document.title, document.context) if part)
        if getattr(document.citations, "enabled", None):
            self._lose("citations")
        match document.source:
            case Base64Pdf(data=data):
                name = self._document_name(document.title)
                told = {"format": "pdf", "name": name, "source": {"bytes": data}}
                return [*([] if head == name else _text(head)), {"document": told}]
            case PlainText(data=text):
                return _text(f"{head}\n{text}".lstrip("\n"))
            case UrlSource():
                raise CannotCarry("document.source.url: the model that answers takes no documents by URL.")
            case FileSource():
                raise CannotCarry("document.source.file: the model that answers cannot see files of this API.")
        content = getattr(document.source, "content", None)
        if isinstance(content, str):
            return _text(f"{head}\n{content}".lstrip("\n"))
        return [*_text(head), *(part for each in content or () for part in self._parts(each))]

    def _document_name(self, title: str | None) -> str:
        """Its title in the characters that a name may have; no two are alike, whatever the case of their letters."""
        legal = " ".join(NOT_IN_NAMES.sub(" ", title or "").split())
        stem = legal[: LONGEST_NAME - 8].strip() or "document"
        name, number = stem, 1
        while name.lower() in self._document_names:
            number += 1
            name = f"{stem} ({number})"
        self._document_names.add(name.lower())
        return name


def _text(text: str) -> list[JSON]:
    """White space alone is refused."""
    return [{"text": text}] if text.strip() else []


def _reasoning(text: str, signature: str | None = None) -> JSON:
    """An empty signature is refused, a missing one is not."""
    return {"reasoningText": {"text": text} if signature is None else {"text": text, "signature": signature}}


def _is_base64(data: str) -> bool:
    try:
        return bool(b64decode(data, validate=True))
    except (Base64Error, ValueError):
        return False


def _call_id(tool_use_id: str) -> str:
    """The same for a call and its result."""
    return shortened(tool_use_id, LONGEST_ID, prefix="call_")


# -- the order within a turn --


def _without_idle_points(content: Iterable[JSON]) -> list[JSON]:
    """A cache point that nothing stands before, or another one, has nothing to remember and is refused; behind
    reasoning it is refused too (anomalyco/opencode#36517)."""
    kept: list[JSON] = []
    for block in content:
        if "cachePoint" not in block or (kept and NO_POINT_BEHIND.isdisjoint(kept[-1])):
            kept.append(block)
    return kept


def _results_first(content: Sequence[JSON]) -> list[JSON]:
    """Results directly behind the calls that they answer, each with its cache point; then all else."""
    results: list[JSON] = []
    rest: list[JSON] = []
    goes_to = rest
    for block in content:
        if "cachePoint" not in block:
            goes_to = results if "toolResult" in block else rest
        goes_to.append(block)
    return [*results, *rest]


def _into_result(content: Sequence[JSON]) -> list[JSON]:
    """Text beside results, as a part of the last one."""
    at = max((at for at, block in enumerate(content) if "toolResult" in block), default=None)
    texts = [block for block in content if "text" in block]
    if at is None or not texts:
        return list(content)
    result = content[at]["toolResult"]
    joined = {"toolResult": {**result, "content": [*result["content"], *texts]}}
    return [joined if place == at else block for place, block in enumerate(content) if "text" not in block]


def _apart(content: Sequence[JSON]) -> list[JSON]:
    """What was said before and with calls, and then the calls, in turns of their own."""
    calls = [block for block in content if "toolUse" in block]
    rest = [block for block in content if "toolUse" not in block]
    if not calls or all("text" not in block for block in rest):
        return [{"role": "assistant", "content": list(content)}]
    between = {"role": "user", "content": [{"text": GO_ON}]}
    return [{"role": "assistant", "content": rest}, between, {"role": "assistant", "content": calls}]


def _with_text(content: Sequence[JSON]) -> list[JSON]:
    """Documents are refused where no text stands beside them."""
    first = next((at for at, block in enumerate(content) if "document" in block), None)
    if first is None or any("text" in block for block in content):
        return list(content)
    return [*content[:first], {"text": SEE_DOCUMENT}, *content[first:]]
