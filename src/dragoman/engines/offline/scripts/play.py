"""Plays a script: the reply of the first rule that fits a request. Imports `wire`, the engine's prompt, this folder."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from dragoman.engines.base import Generation
from dragoman.engines.offline.prompt import Prompt
from dragoman.errors import InvalidRequest
from dragoman.wire.modelrules import thinks

from .match import Facts, facts_of, misfit
from .replies import ReplySpec, ScriptedReply
from .script import Rule, Script
from .state import Memory, Tally, conversation_key
from .template import Lookup, rendered_text

__all__ = ["Scripted"]

CONVERSATIONS = 10_000
VARIABLE_CHARACTERS = 1_000  # of one value: so much is kept for each conversation
TOLD_RULES = 20


class Fit(NamedTuple):
    """A rule that a request fits by itself, with what its regexes found."""

    rule: Rule
    groups: dict[str, str]


class Chosen(NamedTuple):
    """The reply to give, with what its templates may name besides the request."""

    rule: Rule
    spec: ReplySpec
    groups: dict[str, str]
    call: int
    variables: dict[str, str]


class Scripted:
    """A script with its memory: one for each engine. Safe for threads."""

    def __init__(self, script: Script, *, conversations: int = CONVERSATIONS) -> None:
        """`conversations`: how many are remembered."""
        self._script = script
        self._memory = Memory(limit=conversations)
        self._workspaces = Memory(limit=conversations)
        self._lock = threading.Lock()

    def answer(self, generation: Generation, prompt: Prompt) -> ScriptedReply | None:
        """The reply of the first rule that fits, which is then counted; None when none does.

        Raises InvalidRequest for that where the script says `otherwise = "error"`.
        """
        facts = facts_of(generation, prompt)
        missed: list[tuple[int, str]] = []  # index of a rule, and what of it does not hold
        fits = self._fits(facts, missed)
        with self._lock:
            chosen = self._choose(fits, facts, generation, missed)
        if chosen is None:
            self._refuse_if_told_to(missed)
            return None
        lookup = _lookup(facts, chosen)
        is_thinking = thinks(generation.request, generation.model)
        return chosen.spec.render(chosen.rule.name, lookup, thinks=is_thinking, new_tool_id=generation.new_tool_id)

    def _fits(self, facts: Facts, missed: list[tuple[int, str]]) -> list[Fit]:
        """The rules that may answer, as far as the request decides. Searches texts, so it holds no lock."""
        fits: list[Fit] = []
        for rule in self._script.rules:
            found = misfit(rule.conditions, facts)
            if not isinstance(found, str) and not facts.tools >= rule.tools:
                found = "tools"
            if isinstance(found, str):
                missed.append((rule.index, found))
                continue
            fits.append(Fit(rule, found))
            if rule.is_stateless:
                break
        return fits

    def _choose(
        self, fits: Sequence[Fit], facts: Facts, generation: Generation, missed: list[tuple[int, str]]
    ) -> Chosen | None:
        """The first that fits what was before, too. Counts each that is looked at, and keeps what the rule sets."""
        key = conversation_key(generation, self._script.conversation_header)
        conversation, workspace = self._memory.of(key), self._workspaces.of(facts.workspace.encode())
        for rule, groups in fits:
            tally = (workspace if rule.per == "workspace" else conversation).tally(rule.index)
            spec = _next_reply(rule, conversation.variables, tally)
            if isinstance(spec, str):
                missed.append((rule.index, spec))
                continue
            tally.answered += 1
            chosen = Chosen(rule, spec, groups, tally.matched, dict(conversation.variables))
            self._remember(chosen, facts, key, conversation.variables)
            return chosen._replace(variables=dict(conversation.variables))
        return None

    def _remember(self, chosen: Chosen, facts: Facts, key: bytes, variables: dict[str, str]) -> None:
        lookup = _lookup(facts, chosen)  # of the variables as they were
        for name, tree in chosen.rule.set:
            variables[name] = rendered_text(tree, lookup)[:VARIABLE_CHARACTERS]
        if chosen.rule.forget:
            self._memory.forget(key)

    def _refuse_if_told_to(self, missed: list[tuple[int, str]]) -> None:
        if self._script.otherwise == "engine":
            return
        rules = self._script.rules
        tried = [f'"{rules[index].name}" ({why})' for index, why in sorted(missed)]
        more = f" and {len(tried) - TOLD_RULES} more" if len(tried) > TOLD_RULES else ""
        raise InvalidRequest(
            f"no rule of {PurePath(self._script.source).name} fits this request; tried, with the condition that does "
            f"not hold: {', '.join(tried[:TOLD_RULES])}{more}"
        )


def _next_reply(rule: Rule, variables: Mapping[str, str], tally: Tally) -> ReplySpec | str:
    """The reply that is due, or the condition that does not hold. Counts the request where only `call` is left."""
    if not all(variables.get(name, "") in values for name, values in rule.when):
        return "when"
    tally.matched += 1
    if rule.call is not None and tally.matched not in rule.call:
        return "call"
    return rule.next_reply(tally.answered) or "then"


def _lookup(facts: Facts, chosen: Chosen) -> Lookup:
    """What the names of a template stand for."""
    plain: Mapping[str, Any] = {
        "call": chosen.call,
        "model": facts.model,
        "rule": chosen.rule.name,
        "system": facts.system,
        "text": facts.text,
        "turn": facts.turn,
        "turn_text": facts.turn_text,
    }

    def lookup(parts: tuple[str, ...]) -> Any:
        match parts:
            case ("match", name):
                return chosen.groups.get(name)
            case ("state", name):
                return chosen.variables.get(name)
            case ("header", name):
                return facts.headers.get(name)
            case ("metadata", _):
                return facts.user_id
            case ("tool_result", *names):
                return next((result.text for result in reversed(facts.results) if names in ([], [result.name])), None)
            case ("tool_input", name, *path):
                given = next((result.input for result in reversed(facts.results) if result.name == name), None)
                return _inside(given, path)
            case _:
                return plain.get(parts[0])

    return lookup


def _inside(value: Any, path: Sequence[str]) -> Any:
    """The value at a path of keys and, in lists, of numbers from 0; None where there is none."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
