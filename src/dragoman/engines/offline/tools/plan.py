"""Which tools the offline engine calls for a prompt, how often, and with what input. Pure: same prompt, same calls.

When a tool fits is told in `fit.fit`, how an input is made in `examples.fill`. Imports only these, the
hints, and the schemas of the API's own tools.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dragoman.engines.offline.examples.fill import MAX_STEPS, fill
from dragoman.engines.offline.examples.merge import key_of
from dragoman.engines.offline.hints.hints import Candidate, Hints, Taken, shortened
from dragoman.engines.offline.hints.types import blank
from dragoman.engines.offline.hints.words import DATE_WORDS, UNITS, is_separator

from .builtin import acts_in_a_tab, as_said, without_place
from .fit import FITS, NAMED, Request, ToolView, fit, is_named, refuses_all, values_for

__all__ = ["Call", "ToolView", "plan"]

MAX_CALLS = 10  # of one reply
MAX_TOOLS = 1_000  # of one request that are looked at, unless one is forced
MAX_CLAUSES = 24  # of one prompt that are looked at
LONG = 2_000  # characters from which on a prompt is a document, in which every word may occur
ENDS = 600  # characters at the two ends of a long prompt in which the request is looked for
BY_NAME = 60  # a score that words of the tool's name have given


@dataclass(frozen=True)
class Call:
    """A call of a tool; `input` is valid under the tool's schema wherever `fill` can make it so."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class _Order:
    """The part of the prompt that asks for one tool."""

    tool: ToolView
    start: int
    end: int


def plan(
    tools: Sequence[ToolView],
    prompt: str,
    *,
    choice: str = "auto",
    forced: str | None = None,
    parallel: bool = True,
) -> list[Call]:
    """The calls that `prompt` asks for, at most MAX_CALLS.

    `choice` is the type of the request's tool_choice (TOOL-10 to 13). With "auto" those tools are called that fit a
    clause of the prompt, by the rule of `fit.fit`; with "any" at least one is, the best or else the first;
    with "tool" the one named `forced` (none when there is none of that name). Without `parallel` it is at most one
    call (TOOL-15).

    A prompt of several clauses may ask for several tools ("the weather in Tokyo and the time in Paris"), and a list
    in it for several calls of one ("weather in Tokyo, Paris and Rome"), unless one call takes all the list's values
    ("add 2 and 3", or an array). Of a prompt of more than LONG characters only the two ends are taken for the
    request, but for tools whose very name is said.
    """
    if choice == "none" or not tools:
        return []
    text = shortened(prompt)
    reader = _Reader()
    named = [tool for tool in tools if tool.name == forced][:1]
    tools = tools[:MAX_TOOLS]
    orders = [] if refuses_all(text) else _orders(tools, text, reader)
    if choice == "tool":
        orders = [order for order in orders if order.tool in named] or [_Order(t, 0, len(text)) for t in named]
    elif choice == "any" and not orders:
        orders = [_Order(_likeliest(tools, text, reader), 0, len(text))]
    calls: dict[str, Call] = {}
    for order in orders:
        for call in _calls(order, text, reader, parallel=parallel, made=len(calls)):
            calls.setdefault(key_of([call.name, call.input]), call)
            if len(calls) == (MAX_CALLS if parallel else 1):
                return list(calls.values())
    return list(calls.values())


class _Reader:
    """Reads each text of one prompt once: to read takes most of the time."""

    def __init__(self) -> None:
        self._read: dict[str, Hints] = {}

    def hints(self, text: str, *, context: str = "") -> Hints:
        """The hints of the text, none of them used."""
        if text not in self._read:
            self._read[text] = Hints.of(text)
        return self._read[text].within(context) if context else self._read[text].fresh()


# What is asked, clause by clause.


def _orders(tools: Sequence[ToolView], text: str, reader: _Reader) -> list[_Order]:
    """The tools that are asked for, each with its part of the text, in the order of the text."""
    orders: list[_Order] = []
    begin = 0
    asked = without_place(text) if any(acts_in_a_tab(tool.schema) for tool in tools) else text
    for start, end in _clauses(text, reader):
        request = Request(asked[start:end], reader.hints(asked[start:end]))
        if request.is_refusal:
            begin = end
            continue
        fitting = _fitting(tools, request)
        last = orders[-1] if orders else None
        if last is not None and _goes_on(last, fitting):
            orders[-1] = _Order(last.tool, last.start, end)
        else:
            # What comes before the first order belongs to it: "I am in Tokyo. What is the weather?"
            orders += [_Order(tool, start if orders else begin, end) for _, tool in fitting]
    if orders:
        return orders
    if len(text) > LONG:
        return [_Order(tool, 0, len(text)) for tool in tools if is_named(tool, text)]
    whole = Request(asked, reader.hints(asked))
    score, tool = max(((fit(tool, whole), tool) for tool in tools), key=lambda pair: pair[0])
    return [_Order(tool, 0, len(text))] if score >= FITS else []


_BOUNDARY = re.compile(
    r"[.!?;](?:\s+|$)|\n+|,?\s{1,4}(?:and(?:\sthen|\salso)?|then|also|plus|but|as\swell\sas)\s+|(?<!\d),\s+|,\s+(?!\d)",
    re.IGNORECASE,
)


def _clauses(text: str, reader: _Reader) -> list[tuple[int, int]]:
    """Where the clauses of a text lie, of a long one those at its ends. Nothing in quotes is a boundary."""
    closed = [hint for hint in reader.hints(text).found if hint.kind in {"quoted", "code", "path", "url"}]
    clauses, start = [], 0
    for match in _BOUNDARY.finditer(blank(text, closed)):
        if text[start : match.start()].strip():
            clauses.append((start, match.start()))
        start = match.end()
    if text[start:].strip():
        clauses.append((start, len(text)))
    if len(text) > LONG:
        clauses = [(a, b) for a, b in clauses if b <= ENDS or a >= len(text) - ENDS]
    half = MAX_CLAUSES // 2
    return clauses if len(clauses) <= MAX_CLAUSES else clauses[:half] + clauses[-half:]


def _fitting(tools: Sequence[ToolView], request: Request) -> list[tuple[int, ToolView]]:
    """The tool that fits a clause best; several only when the clause names several."""
    scores = [(score, tool) for tool in tools if (score := fit(tool, request)) >= FITS]
    named = [pair for pair in scores if pair[0] == NAMED]
    return named or sorted(scores, key=lambda pair: -pair[0])[:1]


def _goes_on(last: _Order, fitting: list[tuple[int, ToolView]]) -> bool:
    """Is a clause part of the order before it, as "b.txt" is in "read a.txt and b.txt"?"""
    return not fitting or fitting[0][0] < BY_NAME


def _likeliest(tools: Sequence[ToolView], text: str, reader: _Reader) -> ToolView:
    """The tool to call when one must be: that with the most in common with the text, else the first."""
    request = Request(text, reader.hints(text))
    words = request.stems

    def common(tool: ToolView) -> int:
        return 2 * len(words & (tool.about | frozenset(tool.stems))) + len(values_for(tool, request.hints))

    return max(tools, key=common)


# The calls of one order.


def _calls(order: _Order, text: str, reader: _Reader, *, parallel: bool, made: int) -> list[Call]:
    """`made` calls were made before: these take their share of the work that one prompt may cost."""
    own, others = text[order.start : order.end], f"{text[: order.start]}\n{text[order.end :]}"
    hints = reader.hints(own, context=others.strip())
    call = _call(order.tool, hints, made)
    if not parallel:
        return [call]
    for taken in hints.taken:
        if texts := _one_by_one(taken, hints):
            parts = [Hints.of(part, context=others.strip()) for part in texts[:MAX_CALLS]]
            return [_call(order.tool, part, made + number) for number, part in enumerate(parts)]
    return [call]


def _call(tool: ToolView, hints: Hints, made: int) -> Call:
    value = fill(as_said(tool.schema, hints.text), hints, steps=MAX_STEPS // (1 + made))
    return Call(tool.name, value if isinstance(value, dict) else {})  # an input is an object (TOOL-20)


# Hints whose lists are lists of values; what is said or searched for is one text, whatever it holds.
_LISTED = frozenset(
    """place spot inside by from to proper caps initial path pathish url host email ip uuid ident number quoted code
    date date_word time option language currency""".split()
)
_JOINING = DATE_WORDS | UNITS | frozenset("and then also in at for on the of from this next also with to".split())


def _one_by_one(taken: Taken, hints: Hints) -> list[str]:
    """The text with each item of a list alone, when a parameter took one and the others are left; else nothing."""
    text, chosen = hints.text, taken.candidate
    if chosen.kind not in _LISTED or chosen.end > len(text) or chosen.start == chosen.end:
        return []
    alike = [c for c in taken.offers if c.kind == chosen.kind and c.end <= len(text) and c.start < c.end]
    items = sorted((c for c in alike if c is chosen or hints.is_free(c)), key=lambda c: c.start)
    chain = _chain(items, chosen, text)
    if len(chain) < 2:
        return []
    first, last = chain[0], chain[-1]
    if all(is_separator(text[a.end : b.start]) for a, b in pairwise(chain)):
        return [f"{text[: first.start]}{text[c.start : c.end]}{text[last.end :]}" for c in chain]
    # Each has words of its own: "in Tokyo today and in Paris tomorrow".
    ends = [text.rfind(" and ", a.end, b.start) for a, b in pairwise(chain)]
    ends = [b.start if end < 0 else end for end, b in zip(ends, chain[1:], strict=True)]
    return [
        f"{text[: first.start]}{text[c.start : end]}" for c, end in zip(chain, [*ends, len(text)], strict=True)
    ]  # fmt: skip


def _chain(items: list[Candidate], chosen: Candidate, text: str) -> list[Candidate]:
    """The unbroken list that `chosen` is an item of."""
    chain: list[Candidate] = []
    for item in items:
        if chain and not _is_joined(text[chain[-1].end : item.start]):
            if chosen in chain:
                break
            chain = []
        chain.append(item)
    return chain if chosen in chain else []


def _is_joined(between: str) -> bool:
    words = re.findall(r"\w+", between.lower())
    return is_separator(between) or ("and" in words and _JOINING.issuperset(words) and len(words) < 6)
