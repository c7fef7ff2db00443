"""Items of a reply of the Responses API, as far as they are told; and reasoning, there and back.

Source: as openai_responses_reply.py.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from dragoman.wire.provenance import unwrap, wrap

from .call_arguments import CallArguments, text_of
from .openai_common import JSON

__all__ = ["Item", "Thought", "signature_of", "thought_of"]


# -- reasoning, there and back --


class Thought(NamedTuple):
    """A reasoning item, and the type of the item that it stood before, without which it is refused; "": not known."""

    item: JSON
    before: str


def signature_of(told: Mapping[str, Any], before: str, origin: str) -> str | None:
    """What a thinking block is signed with for a reasoning item; None where it could not go back anyhow."""
    item = carried(told)
    return None if item is None else wrap(origin, msgspec.json.encode({**item, "before": before}).decode())


def thought_of(signature: str, origin: str) -> Thought | None:
    """The item that a thinking block of an earlier turn stands for; None where `origin` did not make it."""
    found = unwrap(signature)
    if found is None or found[0] != origin:
        return None
    try:
        told = msgspec.json.decode(found[1])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    item = carried(told) if isinstance(told, dict) else None
    return None if item is None else Thought(item, str(told.get("before", "")))


def carried(told: Mapping[str, Any]) -> JSON | None:
    """Of a reasoning item, what goes back; None for one that would not be understood.

    `content`, the thinking itself, is refused beside `encrypted_content`; servers that do not encrypt have only that.
    `status` is refused. An item with neither is looked for by its id in a store, and nothing is stored.
    """
    item: JSON = {"type": "reasoning", "summary": _texts(told.get("summary"), "summary_text")}
    if isinstance(told.get("id"), str) and told["id"]:
        item["id"] = told["id"]
    encrypted, content = told.get("encrypted_content"), _texts(told.get("content"), "reasoning_text")
    if isinstance(encrypted, str) and encrypted:
        return {**item, "encrypted_content": encrypted}
    return {**item, "content": content} if content else None


def _texts(parts: Any, kind: str) -> list[JSON]:
    return [{"type": kind, "text": part["text"]} for part in _objects(parts) if isinstance(part.get("text"), str)]


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


# -- items --


class Item:
    """An item of the reply, as far as it was told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = ""  # of a call: the one that its result names
        self.name = ""
        self.heard: dict[str, list[str]] = {}
        self.cited = 0  # annotations
        self.part: int | None = None  # of thinking, the last that was heard of
        self.waiting: list[tuple[str, Any]] = []  # what is said, and its text (or the annotation), not written yet
        self.is_open = False  # its block is being written; of calls only
        self.arguments = CallArguments()
        self.is_done = False
        self.key: str = ""  # what it is called by the server, "" if by nothing
        self.place: int | None = None  # where it stands in the reply
        self.whole: Mapping[str, Any] = {}  # as it was told in the end

    def note(self, told: Mapping[str, Any]) -> None:
        """What an item says of itself: little when it is announced, all when it is done."""
        if not self.kind and isinstance(kind := told.get("type"), str):
            self.kind = kind
        if self.kind == "function_call":
            self._note_call(told)
        elif self.kind == "message":
            self._note_message(told)
        elif self.kind == "reasoning":
            self._note_reasoning(told)

    def hear(self, how: str, text: str) -> None:
        if not text:
            return
        self.heard.setdefault(how, []).append(text)
        if how == "arguments":
            self.arguments.take(text)
            self._take_ready()
        else:
            self.waiting.append((how, text))

    def hear_whole(self, how: str, text: str) -> None:
        """All of it: what was not heard yet is new."""
        heard = "".join(self.heard.get(how, ()))
        if text.startswith(heard):
            self.hear(how, text[len(heard) :])

    def end(self) -> None:
        """Nothing more comes of it."""
        self.arguments.end()
        self._take_ready()

    def _take_ready(self) -> None:
        self.waiting += (("arguments", text) for text in self.arguments.ready)
        self.arguments.ready.clear()

    def hear_thought(self, how: str, text: str, index: Any) -> None:
        other = "raw" if how == "summary" else "summary"
        if other in self.heard:
            return
        if isinstance(index, int) and how in self.heard and index != self.part:
            text = f"\n\n{text}"
        self.part = index if isinstance(index, int) else self.part
        self.hear(how, text)

    def hear_annotation(self, annotation: Mapping[str, Any]) -> None:
        self.cited += 1
        self.waiting.append(("annotation", annotation))

    def _note_call(self, told: Mapping[str, Any]) -> None:
        for field in ("call_id", "id"):
            if not self.id and isinstance(told.get(field), str):
                self.id = told[field]
        if not self.name and isinstance(told.get("name"), str):
            self.name = told["name"]
        if (arguments := text_of(told.get("arguments"))).strip() != "{}":  # said of calls whose input is still to come
            self.hear_whole("arguments", arguments)

    def _note_message(self, told: Mapping[str, Any]) -> None:
        parts = _objects(told.get("content"))
        for how in ("text", "refusal"):
            self.hear_whole(how, "".join(text for part in parts if isinstance(text := part.get(how), str)))
        for annotation in [each for part in parts for each in _objects(part.get("annotations"))][self.cited :]:
            self.hear_annotation(annotation)

    def _note_reasoning(self, told: Mapping[str, Any]) -> None:
        for how, field, kind in (("summary", "summary", "summary_text"), ("raw", "content", "reasoning_text")):
            text = "\n\n".join(part["text"] for part in _texts(told.get(field), kind))
            if text and {"summary": "raw", "raw": "summary"}[how] not in self.heard:
                self.hear_whole(how, text)
