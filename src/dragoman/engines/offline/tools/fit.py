"""Does a tool fit what is asked? The rule by which the offline engine calls tools of its own accord.

Pure; imports only what stands beside it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dragoman.engines.offline.examples.merge import kinds_of, merge
from dragoman.engines.offline.hints.hints import STRONG, Candidate, Hints, Param
from dragoman.engines.offline.hints.words import ACTIONS, GENERIC, STOP, kin, singular, split_name, stem, stems

__all__ = ["FITS", "Request", "ToolView", "fit", "is_named", "refuses_all", "values_for"]

FITS = 50  # the score from which on a tool is called
NAMED = 100  # the score of a tool whose very name is said
MAX_PARAMS = 50  # properties of one tool that are looked at
_STOP = frozenset(stem(word) for word in STOP)
_GENERIC = frozenset(stem(word) for word in GENERIC)
_ACTIONS = frozenset(stem(word) for word in ACTIONS)
# These are one and the same to the user: "add a todo" is for TodoWrite.
_MAKING = frozenset(stem(word) for word in "write create add make save insert append put set update edit".split())
_NOT_TO_USE = r"(?:do\snot|don'?t|never)\s(?:use|call|invoke)|(?:avoid|without)\s(?:using|calling|invoking)"
_REFUSED = re.compile(rf"\b(?:{_NOT_TO_USE})\b", re.IGNORECASE)
_REFUSED_ALL = re.compile(
    rf"\b(?:{_NOT_TO_USE}|avoid|without|no)\s(?:any\s|the\s|your\s)?(?:tools|tool\scalls|functions)\b", re.IGNORECASE
)
# Hints that are of one kind whatever the words around them are.
_UNMISTAKABLE = frozenset({"path", "glob", "url", "email", "math", "run", "code", "search", "said"})


@dataclass(frozen=True)
class ToolView:
    """A tool as the engine sees it: `schema` is that of its input."""

    name: str
    description: str
    schema: dict[str, Any]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Of the name; of `mcp__server__tool` the last part."""
        found = split_name(self.name.rpartition("__")[2]) or split_name(self.name)
        return tuple(found) or (self.name.lower(),)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(stem(word) for word in self.words))

    @cached_property
    def spoken(self) -> re.Pattern[str]:
        """The ways to name it. A plain word is a name only where it is used as one."""
        name = re.escape(self.name)
        if len(self.words) > 1:
            words = r"[\s_-]?".join(re.escape(word) for word in self.words)
            name = f"(?:{name}|{words})"
        elif self.name.isalpha():
            called = rf"\b(?:us(?:e|ing)|call(?:ing)?|invoke|try|with)\s(?:the\s)?[`\"']?{name}\b"
            return re.compile(rf"{called}|`{name}`|\b{name}[`\"']?\s(?:tool|function)\b", re.IGNORECASE)
        return re.compile(rf"(?<![\w-]){name}(?![\w-])", re.IGNORECASE)

    @cached_property
    def acts(self) -> bool:
        """Does it change something?"""
        return not _ACTIONS.isdisjoint(self.stems)

    @cached_property
    def about(self) -> frozenset[str]:
        """What its description begins with, what its parameters are called, and the options they have."""
        text = self.description or str(self.schema.get("description", ""))
        names = [word for param, _ in self.params for word in param.words]
        options = [o for param, _ in self.params for o in param.options[:MAX_PARAMS] if isinstance(o, str)]
        names += [word for option in options for word in split_name(option[:100])]
        return frozenset((*stems(text[:300]), *(stem(word) for word in names))) - _STOP

    @cached_property
    def params(self) -> tuple[tuple[Param, bool], ...]:
        """Its parameters, and whether a call must have them; of a choice of forms those of all of them."""
        forms = [self.schema]
        for keyword in ("anyOf", "oneOf"):
            if isinstance(branches := self.schema.get(keyword), list):
                forms += [branch for branch in branches[:MAX_PARAMS] if isinstance(branch, dict)]
        found: dict[str, tuple[Param, bool]] = {}
        for form in forms:
            for param, needed in _params(form):
                known = found.get(param.name)
                options = (*known[0].options, *param.options) if known else param.options
                found[param.name] = replace(param, options=options), needed
        return tuple(found.values())[:MAX_PARAMS]


def _params(form: dict[str, Any]) -> Iterator[tuple[Param, bool]]:
    properties, required = form.get("properties"), form.get("required")
    needed = required if isinstance(required, list) else []
    if isinstance(properties, dict):
        for name, part in list(properties.items())[:MAX_PARAMS]:
            if (param := _param(name, part)) is not None:
                yield param, name in needed


def _param(name: str, schema: object) -> Param | None:
    """A parameter as far as its own schema says, of a list its items; None for an object."""
    if not isinstance(schema, dict):
        return None
    flat: dict[str, Any] = {}
    merge(flat, schema)
    kind = kinds_of(flat)[0]
    if kind == "array" and isinstance(flat.get("items"), dict) and flat["items"].get("type") != "array":
        return _param(singular(name), flat["items"])
    if kind not in {"string", "integer", "number", "boolean"}:
        return None
    options = [flat["const"]] if "const" in flat else flat.get("enum", [])
    return Param(name, kind, flat.get("description", ""), flat.get("format", ""), tuple(options))


@dataclass(frozen=True)
class Request:
    """A clause of what the user said."""

    text: str
    hints: Hints

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(stems(self.text))

    @cached_property
    def telling(self) -> frozenset[str]:
        """The words that say what is wanted."""
        return frozenset(word for word in self.stems - _STOP - _GENERIC if not word.isdigit())

    @cached_property
    def kin(self) -> frozenset[str]:
        """All that means the same as one of its words."""
        return frozenset().union(*(kin(word) for word in self.stems - _STOP))

    @cached_property
    def first(self) -> frozenset[str]:
        """What means the same as its first word that says something: most often the verb."""
        return next((kin(word) for word in stems(self.text) if word not in _STOP), frozenset())

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of its hints that are of one kind whatever the words around them are."""
        return frozenset(hint.kind for hint in self.hints.found) & _UNMISTAKABLE

    @cached_property
    def is_refusal(self) -> bool:
        return _REFUSED.search(self.text) is not None

    @cached_property
    def is_bare(self) -> bool:
        """Is there no word but a path or an address: "what's in /etc/hosts?" """
        spans = [hint for hint in self.hints.found if hint.kind in {"path", "url", "email"} and not hint.is_context]
        rest = self.hints.text
        for hint in reversed(spans):
            rest = rest[: hint.start] + " " + rest[hint.end :]
        return bool(spans) and not (frozenset(stems(rest)) - _STOP)


def fit(tool: ToolView, request: Request) -> int:
    """How well a tool fits a clause: from FITS on it is called, and of several the best.

    100   Its name is said: `get_weather`, "get weather"; a name that is one plain word, only as "use bash",
          "the bash tool" or in backticks.
    60-95 More than half of the telling words of its name are said, or words that mean the same ("forecast" for
          weather); or half of them, and a value for one of its parameters. Words that many names share, such as get,
          tool or file, do not tell; where no word of the name does (`read_file`, `search`), one of them is said, and a
          value for a parameter (50-59 when it is not the first of them).
    70    There is arithmetic to do, and it calculates.
    52-59 There is a path, an address or a command for it, and a word of its description or name; or nothing else at
          all is said ("what's in /etc/hosts?"), and it only looks.
    50-59 Of what is asked a third of the telling words, and at least two, stand at the beginning of its description
          or in its parameters' names; or half of them, and there is a value for a parameter.
    0     Otherwise; and where the clause says not to use it.

    A tool that changes something (send, delete, book ...) is called only when that is said: by its verb, by its noun as
    a verb ("email bob@x.org"), or by its name. A tool whose name has the clause's first word, or one that means the
    same, has 2 more.
    """
    if request.is_refusal or not request.text.strip():
        return 0
    if is_named(tool, request.text):
        return NAMED
    if not (request.kinds or request.kin & (tool.about | frozenset(tool.stems))):
        return 0  # not a word in common: most tools, most of the time
    values = values_for(tool, request.hints)
    if not _is_order(tool, request, values):
        return 0
    score = max(
        _by_name(tool, request, has_value=bool(values)),
        _by_value(tool, request),
        _by_description(tool, request, has_value=bool(values)),
    )
    return score + 2 if score and request.first & frozenset(tool.stems) else score


def refuses_all(text: str) -> bool:
    """Does the user want no tools at all?"""
    return _REFUSED_ALL.search(text) is not None


def is_named(tool: ToolView, text: str) -> bool:
    """Is the tool's very name said? (The first test is for speed: of a thousand tools few are.)"""
    return tool.words[-1] in text.lower() and tool.spoken.search(text) is not None


def values_for(tool: ToolView, hints: Hints, *, needed: bool = False) -> list[Candidate]:
    """What the user gave for its parameters; with `needed` only for those that a call must have, if there are any."""
    params = [param for param, is_needed in tool.params if is_needed] if needed else []
    best = [hints.candidates(param)[:1] for param in (params or [param for param, _ in tool.params])[:20]]
    return [c for offers in best for c in offers if c.score >= STRONG and c.kind not in {"whole", "flag"}]


def _by_name(tool: ToolView, request: Request, *, has_value: bool) -> int:
    said = {word: _is_said(word, request.stems) for word in tool.stems}
    telling = [word for word in tool.stems if word not in _GENERIC and word not in _STOP]
    generic = sum(1 for word in tool.stems if word in _GENERIC and said[word] == 1)
    if not telling:
        if not (has_value and any(said.values())):
            return 0
        # The verb comes first: "list the files" speaks of files, but not of reading them.
        return (62 if said[tool.stems[0]] else 50) + 3 * generic
    share = sum(said[word] for word in telling) / len(telling)
    if share < 0.5 or (share == 0.5 and not has_value):
        return 0
    return 60 + int(20 * share) + min(15, 5 * generic)


def _is_order(tool: ToolView, request: Request, values: list[Candidate]) -> bool:
    """What changes something wants to be told to."""
    if not tool.acts or any(word in _ACTIONS and _is_said(word, request.stems) for word in tool.stems):
        return True
    if not (_MAKING.isdisjoint(tool.stems) or _MAKING.isdisjoint(request.stems)):
        return True
    # A tool for many things that is told which: "view a.txt"; or its noun as a verb: "email bob@x.org".
    if any(value.kind == "option" for value in values):
        return True
    return bool(values) and not request.first.isdisjoint(word for word in tool.stems if word not in _GENERIC)


def _is_said(word: str, said: frozenset[str]) -> float:
    """1 for the word itself, less for one that means the same."""
    if word in said:
        return 1
    return 0 if kin(word).isdisjoint(said) else 0.8


def _by_value(tool: ToolView, request: Request) -> int:
    kinds = {value.kind for value in values_for(tool, request.hints, needed=True)} & _UNMISTAKABLE
    calculates = not kin("calculat").isdisjoint((*tool.stems, *tool.about))
    if "math" in kinds or (calculates and "math" in request.kinds):
        return 70
    if not kinds:
        return 0
    shared = sum(1 for word in request.stems - _STOP if not kin(word).isdisjoint((*tool.about, *tool.stems)))
    shared += 3 * len(kinds & frozenset(tool.stems))
    if shared:
        # Anything may be searched for or said: a path or an address tells more.
        return (55 if kinds - {"search", "said"} else 51) + min(4, shared)
    return 52 if request.is_bare and not tool.acts else 0


def _by_description(tool: ToolView, request: Request, *, has_value: bool) -> int:
    shared = request.telling & (tool.about | frozenset(tool.stems))
    share = len(shared) / len(request.telling) if request.telling else 0
    if len(shared) >= 2 and share >= 1 / 3:
        return 50 + min(9, 2 * len(shared))
    return 52 if shared and share >= 0.5 and has_value else 0
