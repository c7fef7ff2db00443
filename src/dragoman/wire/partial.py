"""JSON that was cut off: what can be made of the front part of an object. Pure; imports nothing of this package."""

from typing import Any, NamedTuple

import msgspec

__all__ = ["parse_partial"]

CLOSERS = {"{": "}", "[": "]"}


def parse_partial(text: str, *, keep_cut_text: bool = True) -> dict[str, Any]:
    """The object that `text` is, or the largest part of one that it begins (TOOL-23).

    A string that was cut keeps what it has, a key without a value goes, a number keeps the digits that are there, an
    unfinished word goes; "" is {}. What follows a whole object goes too. Text that no legal JSON begins with gives
    the part before the fault where that can be told, else {}. Without `keep_cut_text` a string that was cut goes with
    its key, as the official client has it. Linear in the text.
    """
    if not text.strip():
        return {}
    for candidate in _candidates(text, keep_cut_text):
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            continue
        return value if isinstance(value, dict) else {}
    return {}


def _candidates(text: str, keep_cut_text: bool) -> list[str]:
    """The text itself, then the text closed where it ends, then closed where the last whole member ended."""
    end = _scan(text)
    found = [text]
    if end.quoted and keep_cut_text:
        # An escape may be cut too (`\u00`, or the first half of a pair): then up to eleven characters go with it.
        trimmed = text[:-1] if end.escaped else text
        found += [f'{trimmed[: len(trimmed) - back]}"{end.closers()}' for back in range(12)]
    found.append(text + end.closers())
    whole = text[: end.last_whole]
    found.append(whole + _scan(whole).closers())
    return found


class _End(NamedTuple):
    """What is open where the text ends."""

    brackets: list[str]  # what would close them, outermost first
    quoted: bool
    escaped: bool
    last_whole: int  # where the last comma, or the inside of the last opened bracket, begins; or where all is closed

    def closers(self) -> str:
        return "".join(reversed(self.brackets))


def _scan(text: str) -> _End:
    brackets: list[str] = []
    last_whole = 0
    quoted = escaped = False
    for at, char in enumerate(text):
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in CLOSERS:
            brackets.append(CLOSERS[char])
            last_whole = at + 1
        elif char in "}]":
            if not brackets or brackets.pop() != char:
                break
            if not brackets:  # the whole object; nothing may follow
                last_whole = at + 1
                break
        elif char == ",":
            last_whole = at
    return _End(brackets, quoted, escaped, last_whole)
