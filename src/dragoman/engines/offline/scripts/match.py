"""Conditions of a rule: what they are, and whether a request meets them.

Only what a request says by itself; what was before it (`call`, `when`) is the business of `play.py`. Imports `wire` and
the engine's prompt and tools.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from dragoman.engines.base import Generation
from dragoman.engines.offline.prompt import Prompt
from dragoman.wire.headers import Headers
from dragoman.wire.tools import Toolset
from dragoman.wire.toolsets import offered
from dragoman.wire.turns import Turn, merged
from dragoman.wire.types import MessagesRequest, Text, ToolResult, ToolUse

__all__ = ["Conditions", "Counts", "Facts", "Result", "ResultTest", "TextTest", "facts_of", "misfit"]

SEARCHED_CHARACTERS = 5_000  # by a regex, at each end of a text

Groups = dict[str, str]


class Result(NamedTuple):
    """A tool result of the last user turn, with the call that it answers."""

    name: str
    text: str
    is_error: bool
    input: dict[str, Any]


class Facts(NamedTuple):
    """What conditions and templates see of a request."""

    model: str  # as asked for
    models: tuple[str, ...]  # that, and the id that it stands for
    text: str  # the last text block of the last user turn
    turn_text: str  # all of its text
    system: str
    tools: frozenset[str]  # names of the tools that are offered
    results: tuple[Result, ...]
    headers: Headers
    turn: int  # how often the user has spoken
    stream: bool
    continues: bool  # ends with an assistant turn: a prefill, or a paused turn sent back
    workspace: str
    user_id: str | None


class TextTest(Struct, frozen=True, kw_only=True):
    """What a text must be. All that is given must hold."""

    equals: tuple[str, ...] = ()  # one of these, white space at the ends aside
    contains: tuple[str, ...] = ()  # all of these
    regex: re.Pattern[str] | None = None

    def groups(self, text: str) -> Groups | None:
        """The named groups of the regex; None when the text does not pass."""
        if self.equals and text.strip() not in self.equals:
            return None
        if not all(part in text for part in self.contains):
            return None
        if self.regex is None:
            return {}
        found = _searched(self.regex, text)
        return None if found is None else {name: value or "" for name, value in found.groupdict().items()}


class ResultTest(Struct, frozen=True, kw_only=True):
    """What one of the tool results must be."""

    name: str | None = None
    is_error: bool | None = None
    text: TextTest = TextTest()

    def groups(self, results: Sequence[Result]) -> Groups | None:
        for result in results:
            if self.name not in (None, result.name) or self.is_error not in (None, result.is_error):
                continue
            if (groups := self.text.groups(result.text)) is not None:
                return groups
        return None


class Counts(Struct, frozen=True):
    """Numbers from 1 on: `(2, 2)` is 2, `(2, None)` all from 2."""

    ranges: tuple[tuple[int, int | None], ...]

    def __contains__(self, number: int) -> bool:
        return any(least <= number and (most is None or number <= most) for least, most in self.ranges)


class Conditions(Struct, frozen=True, kw_only=True):
    """All that are given must hold; what is None holds always."""

    model: tuple[re.Pattern[str], ...] | None = None
    workspace: tuple[re.Pattern[str], ...] | None = None
    stream: bool | None = None
    continues: bool | None = None
    turn: Counts | None = None
    header: tuple[tuple[str, re.Pattern[str] | bool], ...] = ()  # a bool: whether there is one
    tools: tuple[str, ...] | bool | None = None  # a bool: whether there are any
    text: TextTest | None = None
    turn_text: TextTest | None = None
    system: TextTest | None = None
    tool_result: ResultTest | None = None

    @property
    def is_empty(self) -> bool:
        return self == Conditions()

    @property
    def regexes(self) -> list[tuple[str, re.Pattern[str]]]:
        """With the names of their conditions."""
        tests = {name: getattr(self, name) for name in ("text", "turn_text", "system")}
        tests["tool_result"] = self.tool_result and self.tool_result.text
        return [(name, test.regex) for name, test in tests.items() if test is not None and test.regex is not None]


def misfit(conditions: Conditions, facts: Facts) -> str | Groups:
    """The first condition that does not hold; when all do, the named groups that their regexes found."""
    if (name := _plain_misfit(conditions, facts)) is not None:
        return name
    groups: Groups = {}
    for name, test, subject in (
        ("text", conditions.text, facts.text),
        ("turn_text", conditions.turn_text, facts.turn_text),
        ("system", conditions.system, facts.system),
    ):
        if test is not None:
            if (found := test.groups(subject)) is None:
                return name
            groups |= found
    if conditions.tool_result is not None:
        if (found := conditions.tool_result.groups(facts.results)) is None:
            return "tool_result"
        groups |= found
    return groups


def _plain_misfit(conditions: Conditions, facts: Facts) -> str | None:
    """The first that does not hold of those that search no text."""
    if conditions.model is not None and not any(_fits_any(conditions.model, model) for model in facts.models):
        return "model"
    if conditions.workspace is not None and not _fits_any(conditions.workspace, facts.workspace):
        return "workspace"
    if conditions.stream not in (None, facts.stream):
        return "stream"
    if conditions.continues not in (None, facts.continues):
        return "continues"
    if conditions.turn is not None and facts.turn not in conditions.turn:
        return "turn"
    if not all(_fits_header(facts.headers.get(name), wanted) for name, wanted in conditions.header):
        return "header"
    return None if _fits_tools(conditions.tools, facts.tools) else "tools"


def _fits_any(globs: Sequence[re.Pattern[str]], value: str) -> bool:
    return any(glob.match(value) for glob in globs)


def _fits_header(value: str | None, wanted: re.Pattern[str] | bool) -> bool:
    if isinstance(wanted, bool):
        return (value is not None) == wanted
    return value is not None and wanted.match(value) is not None


def _fits_tools(wanted: tuple[str, ...] | bool | None, offered: frozenset[str]) -> bool:
    if wanted is None or isinstance(wanted, bool):
        return wanted in (None, bool(offered))
    return offered.issuperset(wanted)


def _searched(regex: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Search both ends of the text: callers send megabytes, and a regex may take long for each character."""
    if len(text) <= 2 * SEARCHED_CHARACTERS:
        return regex.search(text)
    return regex.search(text, 0, SEARCHED_CHARACTERS) or regex.search(text, len(text) - SEARCHED_CHARACTERS)


# What a request says.


def facts_of(generation: Generation, prompt: Prompt) -> Facts:
    request = generation.request
    turns = merged(request.messages)
    return Facts(
        model=request.model,
        models=(request.model, generation.model.id),
        text=prompt.asked,
        turn_text=prompt.said,
        system=prompt.system,
        tools=frozenset(_offered(request)),
        results=_results(turns),
        headers=generation.headers,
        turn=sum(_is_spoken(turn) for turn in turns),
        stream=request.stream,
        continues=request.messages[-1].role == "assistant",
        workspace=generation.workspace_id,
        user_id=request.metadata.user_id if request.metadata else None,
    )


def _is_spoken(turn: Turn) -> bool:
    """Whether the user says something anew, and does not go on in a tool loop (as TOK-5 has it)."""
    return turn.role == "user" and not any(isinstance(placed.value, ToolResult) for placed in turn.blocks)


def _offered(request: MessagesRequest) -> list[str]:
    names: list[str] = []
    for tool in request.tools or ():
        names += offered(tool) if isinstance(tool, Toolset) else [str(getattr(tool, "name", ""))]
    return names


def _results(turns: Sequence[Turn]) -> tuple[Result, ...]:
    """Those of the last user turn."""
    at = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=0)
    asked = turns[at - 1].blocks if at else []
    calls = {placed.value.id: placed.value for placed in asked if isinstance(placed.value, ToolUse)}
    answers = [placed.value for placed in turns[at].blocks if isinstance(placed.value, ToolResult)]
    return tuple(
        Result(call.name, _result_text(answer), bool(answer.is_error), call.input)
        for answer in answers
        if (call := calls.get(answer.tool_use_id)) is not None
    )


def _result_text(result: ToolResult) -> str:
    if result.content is None or isinstance(result.content, str):
        return result.content or ""
    return "\n".join(part.text for part in result.content if isinstance(part, Text))
