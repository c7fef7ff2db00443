"""Thinking in Chat Completions, which has no one form for it: how a model is asked to think, and gets thoughts back.

What goes back goes to its maker alone, the same model of the same provider, and as it came: its text is in the thinking
block, and what else the maker gave (signatures, encrypted data) in the block's signature (wire/provenance.py).
Sources: the documentation of DeepSeek, "Thinking Mode"; OpenRouter, "Reasoning Tokens"; Ollama, "OpenAI compatibility";
vLLM's and SGLang's protocol.py; for each host, its row in hosts.toml.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from dragoman.wire.provenance import unwrap, wrap
from dragoman.wire.types import (
    Effort,
    MessagesRequest,
    Thinking,
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
)

from .base import Capabilities, Target
from .openai_common import EFFORTS, JSON, effort_of, is_among, traits_of

__all__ = ["Details", "GivenBack", "Wish", "asked", "origin_of", "rests", "shows_thinking", "signed", "texts_of"]

LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which an effort is low, or medium
NONE = "none"  # as an effort


# -- how a model is asked --


class Wish(NamedTuple):
    """What a request says of thinking: whether, how hard, and for how many tokens."""

    on: bool | None = None
    effort: Effort | None = None
    budget: int | None = None

    @classmethod
    def of(cls, request: MessagesRequest) -> "Wish":
        effort = None if request.output_config is None else request.output_config.effort
        match request.thinking:
            case ThinkingDisabled():
                return cls(False, effort)
            case ThinkingEnabled(budget_tokens=budget):
                return cls(True, effort, budget)
            case ThinkingAdaptive() | ThinkingBetweenTools():
                return cls(True, effort)
            case _:
                return cls(None, effort)

    @property
    def hardness(self) -> Effort | None:
        """As an effort, whichever way it was said."""
        if self.effort is not None or self.budget is None:
            return self.effort
        return "low" if self.budget <= LOW_BUDGET else "medium" if self.budget <= MEDIUM_BUDGET else "high"


class Asked(NamedTuple):
    fields: JSON
    lost: list[str]


def asked(wish: Wish, target: Target) -> Asked:
    """The fields that ask for it, and what of it cannot be asked."""
    if wish == Wish():
        return Asked({}, [])
    can = target.can
    if can.effort is None:
        return _as_openai(wish, target.model)
    if can.effort == "none" or not is_among(can.reasons, target.model):
        return Asked({}, _lost_all(wish))
    return Asked(*_ASKING[can.effort](wish, can))


def rests(target: Target) -> bool:
    """Can the model be told not to think?"""
    can = target.can
    if can.effort is None:
        return traits_of(target.model).rests
    if not is_among(can.reasons, target.model):
        return False
    return NONE in can.efforts if can.effort == "reasoning_effort" else can.effort != "none"


def _lost_all(wish: Wish) -> list[str]:
    if wish.on:
        return ["thinking"]
    return [] if wish.effort is None else ["output_config.effort"]


def _as_openai(wish: Wish, model: str) -> Asked:
    traits = traits_of(model)
    if not traits.reasons:
        return Asked({}, _lost_all(wish))
    if wish.hardness is not None:
        return Asked({"reasoning_effort": effort_of(wish.hardness, traits)}, [])
    return Asked({"reasoning_effort": NONE} if wish.on is False and traits.rests else {}, [])


def _by_effort(wish: Wish, can: Capabilities) -> tuple[JSON, list[str]]:
    """`reasoning_effort` alone. A host that rests by itself is told to think by an effort, too."""
    if wish.on is False and NONE in can.efforts:
        return {"reasoning_effort": NONE}, []
    if wish.on is False and wish.effort is None:
        return {}, ["thinking"]
    hardness = wish.hardness or ("medium" if NONE in can.efforts else None)
    return {} if hardness is None else {"reasoning_effort": _nearest(hardness, can.efforts)}, []


def _by_reasoning(wish: Wish, can: Capabilities) -> tuple[JSON, list[str]]:
    """OpenRouter's `reasoning`, which it puts into the words of whoever answers."""
    if wish.on is False:
        return {"reasoning": {"effort": NONE}}, []
    if wish.effort is not None:
        return {"reasoning": {"effort": _nearest(wish.effort, can.efforts)}}, []
    return {"reasoning": {"enabled": True} if wish.budget is None else {"max_tokens": wish.budget}}, []


def _by_switch(switch: Callable[[bool], JSON]) -> Callable[[Wish, Capabilities], tuple[JSON, list[str]]]:
    """On or off, with an effort and a budget beside it where the host has fields for them."""

    def fields(wish: Wish, can: Capabilities) -> tuple[JSON, list[str]]:
        on = wish.on is not False
        body, lost = switch(on), []
        if on and wish.hardness is not None and can.efforts:
            body["reasoning_effort"] = _nearest(wish.hardness, can.efforts)
        elif on and wish.effort is not None:
            lost.append("output_config.effort")
        if on and wish.budget is not None:
            if can.budget:
                body[can.budget] = wish.budget
            elif not can.efforts:
                lost.append("thinking.budget_tokens")
        return body, lost

    return fields


_ASKING: Mapping[str, Callable[[Wish, Capabilities], tuple[JSON, list[str]]]] = {
    "reasoning_effort": _by_effort,
    "reasoning": _by_reasoning,
    "enabled": _by_switch(lambda on: {"reasoning": {"enabled": on}}),
    "thinking": _by_switch(lambda on: {"thinking": {"type": "enabled" if on else "disabled"}}),
    "enable_thinking": _by_switch(lambda on: {"enable_thinking": on}),
    "chat_template_kwargs": _by_switch(lambda on: {"chat_template_kwargs": {"enable_thinking": on}}),
}


def _nearest(effort: Effort, efforts: tuple[str, ...]) -> str:
    """The effort, or the hardest of a host's that is not harder; else its least."""
    taken = [each for each in efforts if each != NONE] or list(EFFORTS)
    order = EFFORTS.index(effort)
    fitting = [each for each in taken if each in EFFORTS and EFFORTS.index(each) <= order]
    return fitting[-1] if fitting else taken[0]


# -- what a model gets back --


def origin_of(target: Target) -> str:
    """Who made a thought: for another it has no meaning, and hosts refuse what they did not make."""
    return f"openai_chat/{target.provider}/{target.model}"


def signed(origin: str, *, hidden: str | None, details: list[Any]) -> str:
    """The signature of a thinking block; `hidden` is its text where the caller does not see it."""
    told = {"text": hidden} if hidden and not details else {}
    return wrap(origin, msgspec.json.encode({**told, **({"details": details} if details else {})}).decode())


def shows_thinking(request: MessagesRequest) -> bool:
    """Is the caller to see what is thought?"""
    return getattr(request.thinking, "display", None) != "omitted"


class Details:
    """OpenRouter's `reasoning_details`, told in pieces: what they are when they go back, in their order.

    Pieces of one text or summary become one again; what is encrypted stays as it is.
    """

    def __init__(self) -> None:
        self._told: list[JSON] = []

    def __bool__(self) -> bool:
        return bool(self._told)

    def take(self, pieces: Any) -> None:
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, dict):
                continue
            last = self._told[-1] if self._told else None
            field = TEXT_OF_DETAIL.get(str(piece.get("type")))
            if field is not None and last is not None and _is_same(last, piece):
                text = f"{_text(last.get(field))}{_text(piece.get(field))}"
                last |= {name: value for name, value in piece.items() if value is not None}
                last[field] = text
            else:
                self._told.append(dict(piece))

    def told(self) -> list[JSON]:
        """All since the last time."""
        told, self._told = self._told, []
        return told


TEXT_OF_DETAIL = {"reasoning.text": "text", "reasoning.summary": "summary"}


def texts_of(details: Any) -> list[str]:
    """What there is to read in them."""
    told = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    found = (_text(detail.get(TEXT_OF_DETAIL.get(str(detail.get("type")), ""))) for detail in told)
    return [text for text in found if text]


def _is_same(one: JSON, other: JSON) -> bool:
    """Signed text is whole: what follows is another."""
    return (
        one.get("type") == other.get("type") and one.get("index") == other.get("index") and one.get("signature") is None
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class GivenBack:
    """The thinking of one assistant message, for the field that `how` names."""

    def __init__(self, how: str | None, origin: str) -> None:
        self._how = how
        self._origin = origin
        self._texts: list[str] = []
        self._details: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._texts or self._details)

    def take(self, block: Thinking) -> bool:
        """False for thinking that is another's, or that this host has no place for."""
        made = None if self._how is None else unwrap(block.signature)
        if made is None or made[0] != self._origin:
            return False
        try:
            told = msgspec.json.decode(made[1], type=_Signed)
        except msgspec.MsgspecError:  # somebody has changed it
            return False
        self._texts.append(block.thinking if told.text is None else told.text)
        self._details += told.details
        return True

    def write(self, message: JSON) -> None:
        """Into the assistant's message."""
        text = "".join(self._texts)
        match self._how:
            case "reasoning_details" if self._details:
                message["reasoning_details"] = self._details
            case "reasoning_details" | "reasoning":
                message["reasoning"] = text
            case "parts":
                said = message["content"]
                parts = [{"type": "text", "text": said}] if isinstance(said, str) else said or []
                message["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}, *parts]
            case _:
                message["reasoning_content"] = text


class _Signed(msgspec.Struct, frozen=True):
    text: str | None = None
    details: list[Any] = []
