"""JSON that is still being written: what can be said of it so far, and whether it can still become JSON. Pure.

Unlike `wire/partial.py`, which makes the best of anything, this one refuses text that no JSON begins with: STR-55.
"""

import re
from typing import Any, NamedTuple

import msgspec

__all__ = ["PartialJsonError", "partial_json"]

TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
    (?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
  | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)(?=[,\]}\ \t\n\r]|\Z)
  | (?P<word>true|false|null)
  | (?P<mark>[{}\[\],:])
  )""",
    re.VERBOSE,
)
CUT = re.compile(  # what a lexeme may look like while it is being written, at the end of the text
    r"""[ \t\n\r]*+(?:
    (?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)(?:\\(?:u[0-9a-fA-F]{0,3})?)?
  | -(?:(?:0|[1-9][0-9]*+)?(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]*+)?)
  | (?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]*+)?
  | t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?
  )?\Z""",
    re.VERBOSE,
)
HALF_PAIR = re.compile(r"(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})\Z")  # a character whose other half is to come
CLOSERS = {"{": "}", "[": "]"}


class PartialJsonError(ValueError):
    """No JSON begins so."""


class _Whole(NamedTuple):
    """Where all is whole: the length of the text up to there, what is open, and how the text goes on."""

    end: int
    open: int  # how many of the brackets, outermost first
    tail: str = ""


def partial_json(text: str, *, keep_cut_text: bool) -> Any:
    """The value that `text` is the front of: members and items that are whole; None where nothing can be said yet.

    A string that is being written is left out, or with `keep_cut_text` has what there is of it. Where neither comma
    nor closing bracket follows a whole value, the rest is not looked at: the official client does not either.
    Linear in the text. Raises PartialJsonError.
    """
    whole, closers = _scan(text, keep_cut_text)
    if whole is None:
        return None
    try:
        return msgspec.json.decode(text[: whole.end] + whole.tail + "".join(reversed(closers[: whole.open])))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise PartialJsonError(str(error)) from error


def _scan(text: str, keep_cut_text: bool) -> tuple[_Whole | None, list[str]]:
    """What is whole of `text`, and the closers of its brackets as they were there."""
    closers: list[str] = []
    whole: _Whole | None = None
    at = 0
    due = "value"  # or: "key or end", "key", "colon", "value or end", "more"
    while found := TOKEN.match(text, at):
        lexeme = found[found.lastgroup or 0]
        if due == "more" and lexeme != "," and lexeme != closers[-1]:
            return whole, closers
        due = _next(due, found.lastgroup or "", lexeme, closers, at)
        at = found.end()
        if due in ("more", "key or end", "value or end"):
            whole = _Whole(at, len(closers))
        if due == "more" and not closers:
            return whole, closers
    cut = CUT.match(text, at)
    if due == "more":
        return whole, closers
    if cut is None:
        raise PartialJsonError(f"unexpected character at position {at}")
    if cut.end() > at and cut[0].strip():
        _may_begin(due, cut[0].strip()[0], at)
    if keep_cut_text and cut["string"] and due.startswith("value"):
        string = HALF_PAIR.sub("", text[cut.start("string") : cut.end("string")])
        whole = _Whole(cut.start("string"), len(closers), string + '"')
    return whole, closers


def _next(due: str, kind: str, lexeme: str, closers: list[str], at: int) -> str:
    """What is due after `lexeme`. Raises PartialJsonError where it may not stand."""
    if kind == "mark" and lexeme in "]}":
        if due in ("key or end", "value or end", "more") and closers and closers[-1] == lexeme:
            closers.pop()
            return "more"
    elif due.startswith("value"):
        if kind != "mark":
            return "more"
        if lexeme in CLOSERS:
            closers.append(CLOSERS[lexeme])
            return "key or end" if lexeme == "{" else "value or end"
    elif due.startswith("key") and kind == "string":
        return "colon"
    elif due == "colon" and lexeme == ":":
        return "value"
    elif due == "more" and lexeme == ",":
        return "key" if closers[-1] == "}" else "value"
    raise PartialJsonError(f"{lexeme[:20]!r} may not stand at position {at}")


def _may_begin(due: str, first: str, at: int) -> None:
    if due.startswith("value") or (due.startswith("key") and first == '"'):
        return
    raise PartialJsonError(f"{first!r} may not stand at position {at}")
