"""Renders a Helm chart, as far as ours goes: that part of Go's templates and of Helm's functions that it uses.

Strict: what it does not know is an error, and so is a value that is not there. tests/deploy/test_helm.py holds it
against Helm itself where that is installed.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

__all__ = ["ChartError", "render"]

TAG = re.compile(r"(\s*)\{\{-\s*(.*?)\s*(-?)\}\}|()\{\{\s*(.*?)\s*(-?)\}\}", re.DOTALL)
WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()|]|:=|,|[^\s()|,]+)')


class ChartError(Exception):
    """The chart says that something is wrong, or what is not known here."""


class Node(NamedTuple):
    kind: str  # text, output, if, with, range, define
    words: list[str] | str
    body: "list[Node]"
    other: "list[Node]"


Scope: TypeAlias = dict[str, Any]


def render(chart: Path, values: Mapping[str, Any], *, release: str = "t", namespace: str = "default") -> dict[str, str]:
    """The chart's files by name, rendered. Raises ChartError."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    base = f"{about['name']}/templates"
    top: Scope = {
        "Values": _merged(yaml.safe_load((chart / "values.yaml").read_text()), values),
        "Chart": {"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
        "Release": {"Name": release, "Namespace": namespace, "Service": "Helm"},
        "Template": {"BasePath": base},
    }
    files = {f"{base}/{path.name}": _parse(path.read_text()) for path in sorted((chart / "templates").iterdir())}
    defined = {node.words[0]: node.body for nodes in files.values() for node in nodes if node.kind == "define"}
    renderer = _Renderer({**files, **defined})
    return {
        name.removeprefix(f"{base}/"): renderer.run(nodes, top, {"$": top})
        for name, nodes in files.items()
        if not name.endswith(".tpl")
    }


def _merged(one: Any, other: Any) -> Any:
    if not (isinstance(one, dict) and isinstance(other, Mapping)):
        return other
    return {**one, **{name: _merged(one.get(name), value) for name, value in other.items()}}


# -- reading ----------------------------------------------------------------------------------------------------------


def _parse(text: str) -> list[Node]:
    pieces: list[str | list[str]] = []
    at, trims = 0, False
    for found in TAG.finditer(text):
        before = text[at : found.start()]
        pieces.append(before.lstrip() if trims else before)
        if found[2] is None:
            code, trims = found[5], found[6] == "-"
        else:
            code, trims = found[2], found[3] == "-"
        if not code.startswith("/*"):
            pieces.append(_words(code))
        at = found.end()
    pieces.append(text[at:].lstrip() if trims else text[at:])
    nodes, end = _block(iter(pieces))
    if end:
        raise ChartError(f"{{{{ {' '.join(end)} }}}} ends nothing")
    return nodes


def _words(code: str) -> list[str]:
    words, at = [], 0
    while at < len(code):
        found = WORD.match(code, at)
        if found is None:
            raise ChartError(f"{code!r} cannot be read")
        words.append(found[1])
        at = found.end()
    return words


def _block(pieces: Iterator[str | list[str]]) -> tuple[list[Node], list[str]]:
    """Up to the `end` or `else` that it is ended by."""
    nodes: list[Node] = []
    for piece in pieces:
        if isinstance(piece, str):
            nodes.append(Node("text", piece, [], []))
        elif piece[0] in ("end", "else"):
            return nodes, piece
        elif piece[0] in ("if", "with", "range", "define"):
            nodes.append(_opened(piece, pieces))
        else:
            nodes.append(Node("output", piece, [], []))
    return nodes, []


def _opened(piece: list[str], pieces: Iterator[str | list[str]]) -> Node:
    kind, words = piece[0], piece[1:]
    body, end = _block(pieces)
    other: list[Node] = []
    if end[:2] == ["else", "if"]:
        other = [_opened(end[1:], pieces)]
    elif end == ["else"]:
        other, end = _block(pieces)
    if not end:
        raise ChartError(f"{{{{ {' '.join(piece)} }}}} is not ended")
    if kind == "define":
        words = [words[0].strip('"')]
    return Node(kind, words, body, other)


# -- writing ----------------------------------------------------------------------------------------------------------


class _Renderer:
    def __init__(self, templates: Mapping[str, list[Node]]) -> None:
        self._templates = templates
        self._functions: Mapping[str, Callable[..., Any]] = {
            "include": lambda name, dot: self.run(self._template(name), dot, {"$": dot}),
            "default": lambda default, value="": value or default,
            "required": _required,
            "quote": lambda value: '"' + _shown(value).replace("\\", "\\\\").replace('"', '\\"') + '"',
            "printf": lambda form, *given: form % tuple(map(_shown, given)),
            "print": lambda *given: "".join(map(_shown, given)),
            "trunc": lambda count, text: text[:count],
            "trimSuffix": lambda end, text: text.removesuffix(end),
            "contains": lambda part, text: part in text,
            "replace": lambda old, new, text: text.replace(old, new),
            "nindent": lambda count, text: "\n" + "\n".join(f"{' ' * count}{line}" for line in text.split("\n")),
            "toYaml": lambda value: yaml.safe_dump(value, default_flow_style=False, width=10_000).rstrip("\n"),
            "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
            "add": lambda *given: sum(given),
            "not": lambda value: not value,
        }

    def run(self, nodes: list[Node], dot: Any, names: Scope) -> str:
        return "".join(self._one(node, dot, names) for node in nodes)

    def _template(self, name: str) -> list[Node]:
        if name not in self._templates:
            raise ChartError(f"there is no template {name}")
        return self._templates[name]

    def _one(self, node: Node, dot: Any, names: Scope) -> str:
        if isinstance(node.words, str):
            return node.words
        if node.kind == "define":
            return ""
        if node.kind == "range":
            return self._range(node, dot, names)
        value = self._value(node.words, dot, names)
        if node.kind == "output":
            return _shown(value)
        if not value:
            return self.run(node.other, dot, names)
        return self.run(node.body, value if node.kind == "with" else dot, names)

    def _range(self, node: Node, dot: Any, names: Scope) -> str:
        """`range $name, $value := ...`, in the order of the names."""
        name, comma, value, sign, *words = node.words
        if (comma, sign) != (",", ":="):
            raise ChartError(f"range {' '.join(node.words)}: not known here")
        items = sorted(self._value(words, dot, names).items())
        return "".join(self.run(node.body, each, {**names, name: key, value: each}) for key, each in items)

    def _value(self, words: list[str], dot: Any, names: Scope) -> Any:
        rest = list(words)
        value = self._pipeline(rest, dot, names)
        if rest:
            raise ChartError(f"{' '.join(words)}: what is {rest[0]} to mean?")
        return value

    def _pipeline(self, rest: list[str], dot: Any, names: Scope) -> Any:
        value = self._command(rest, dot, names, [])
        while rest and rest[0] == "|":
            rest.pop(0)
            value = self._command(rest, dot, names, [value])
        return value

    def _command(self, rest: list[str], dot: Any, names: Scope, last: list[Any]) -> Any:
        name = rest[0]
        if name not in self._functions:
            return self._operand(rest, dot, names)
        rest.pop(0)
        given = []
        while rest and rest[0] not in ("|", ")"):
            given.append(self._operand(rest, dot, names))
        return self._functions[name](*given, *last)

    def _operand(self, rest: list[str], dot: Any, names: Scope) -> Any:
        word = rest.pop(0)
        if word == "(":
            value = self._pipeline(rest, dot, names)
            if not rest or rest.pop(0) != ")":
                raise ChartError("a parenthesis is not closed")
            return value
        if word.startswith('"'):
            return yaml.safe_load(word)
        if re.fullmatch(r"-?[0-9]+", word):
            return int(word)
        if word == ".":
            return dot
        root, *path = word.split(".")
        if root and root not in names:
            raise ChartError(f"{word}: not known here")
        value = names[root] if root else dot
        for name in path:
            if not isinstance(value, Mapping):
                raise ChartError(f"{word}: there is no {name}")
            value = value.get(name)
        return value


def _required(message: str, value: Any) -> Any:
    if value in (None, ""):
        raise ChartError(message)
    return value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
