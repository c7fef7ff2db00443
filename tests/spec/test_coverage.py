"""Every rule that a server must hold has a test that cites it, or says why not. Writes docs/spec-coverage.md.

The rules stand in rules.toml. A test cites a rule in its docstring or in the data that it runs over ("MSG-67 to 69, 80
and STR-3"); comments, the docstrings of modules and of helpers do not count. `python tests/spec/test_coverage.py`
writes the page anew.
"""

import ast
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs/spec-coverage.md"
REMEDY = "run `python tests/spec/test_coverage.py`"
SHOWN = 3  # tests told of one rule
# These look at our own client, the documents, the layers and the helpers: they show nothing of the server.
ELSEWHERE = {"spec/test_coverage.py", "test_chat.py", "test_docs.py", "test_layers.py"}
HELPERS = "support"

AREAS = "ADM BAT CC CCH ERR FIL HDR LEG LIM MOD MSG SDK STR TOK TOOL".split()
CITED = re.compile(rf"\b({'|'.join(AREAS)})-(\d+)")
# What may follow an id: parts of it, and further numbers. A number must stand at the end of its phrase, so that
# "MSG-94, 100 images" does not cite MSG-100.
MORE = re.compile(r"(?: [a-e]\b(?:, [a-e]\b)*)?(, | and | to )(\d+)(?=[.,;:)\]]|$| [a-e]\b| and | to |\n)")


class Rule(NamedTuple):
    """One line of rules.toml."""

    name: str  # "MSG-10"
    section: str
    who: str
    statement: str
    not_held: str | None
    later: str | None
    but: str | None  # what of it is not held, though the rest is

    @property
    def area(self) -> str:
        return self.name.partition("-")[0]

    @property
    def number(self) -> int:
        return int(self.name.partition("-")[2])


class Rules(NamedTuple):
    known: dict[str, Rule]
    later: dict[str, str]  # name of something to be built -> what is said of it


def read_rules(text: str) -> Rules:
    data = tomllib.loads(text)
    later = data.pop("later", {})
    known = {
        name: Rule(name, section, line["who"], line["rule"], line.get("not_held"), line.get("later"), line.get("but"))
        for section, lines in data.items()
        for name, line in lines.items()
    }
    return Rules(known, later)


# -- who cites what ------------------------------------------------------------------------------------------------


def ids_in(text: str, known: Mapping[str, Rule]) -> set[str]:
    """The ids that a text cites. A range holds the rules that there are between its ends."""
    found: set[str] = set()
    for match in CITED.finditer(text):
        area, number = match[1], int(match[2])
        found.add(f"{area}-{number}")
        end = match.end()
        while more := MORE.match(text, end):
            last = int(more[2])
            if more[1] == " to ":
                between = (f"{area}-{each}" for each in range(number + 1, last))
                found.update(name for name in between if name in known)
            found.add(f"{area}-{last}")
            number, end = last, more.end()
    return found


class Used(NamedTuple):
    """What one definition of a file says, and the names that it uses."""

    texts: list[str]
    names: set[str]


class Module:
    """One test file: what its tests say and use."""

    def __init__(self, source: str) -> None:
        self._definitions: dict[str, Used] = {}
        self.tests: dict[str, Used] = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                self.tests[node.name] = _used(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._definitions[node.name] = _used(node, told=_docstring(node))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                used = _used(node)
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    self._definitions.update({name.id: used for name in ast.walk(target) if isinstance(name, ast.Name)})

    def texts(self, test: str) -> Iterator[str]:
        """Every string of a test: its own, and those of the definitions that it uses."""
        waiting, seen = [self.tests[test]], set()
        while waiting:
            used = waiting.pop()
            yield from used.texts
            found = used.names & self._definitions.keys() - seen
            seen |= found
            waiting += [self._definitions[name] for name in sorted(found)]


def _used(node: ast.AST, *, told: ast.AST | None = None) -> Used:
    """`told` is a docstring, which does not count. Walks by hand: `ast.walk` takes four times as long."""
    texts: list[str] = []
    names: set[str] = set()
    waiting: list[Any] = [node]
    while waiting:
        inner = waiting.pop()
        kind = type(inner)
        if kind is ast.Name:
            names.add(inner.id)
        elif kind is ast.Constant:
            if type(inner.value) is str and inner is not told:
                texts.append(inner.value)
        elif kind is list:
            waiting += inner
        elif isinstance(inner, ast.AST):
            waiting += [value for value in vars(inner).values() if not isinstance(value, int | str)]
    return Used(texts, names)


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST | None:
    first = node.body[0]
    return first.value if isinstance(first, ast.Expr) else None


def citations(known: Mapping[str, Rule]) -> dict[str, list[str]]:
    """Id -> the tests that cite it, `wire/test_sse.py::test_x`, those first that cite the least besides."""
    cited: dict[str, list[tuple[int, str]]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        where = file.relative_to(TESTS)
        if where.as_posix() in ELSEWHERE or HELPERS in where.parts or "node_modules" in where.parts:
            continue
        source = file.read_text()
        if not CITED.search(source):
            continue
        module = Module(source)
        for test in module.tests:
            ids = set().union(*(ids_in(text, known) for text in module.texts(test) if CITED.search(text)))
            for name in ids:
                cited.setdefault(name, []).append((len(ids), f"{where.as_posix()}::{test}"))
    return {name: [test for _, test in sorted(tests)] for name, tests in cited.items()}


# -- the page ------------------------------------------------------------------------------------------------------

HEAD = """\
# How much of the API's rules is held

Written by `python tests/spec/test_coverage.py` out of `tests/spec/rules.toml` and the tests: do not edit. A test fails
when a rule has neither a test nor a reason, or when this page is old. The numbers are those of our reading of the API's
documentation, of recorded replies and of the official SDKs; the statements are in our own words.
"""


def page(rules: Rules, cited: Mapping[str, list[str]]) -> str:
    """The whole of docs/spec-coverage.md."""
    server = [rule for rule in rules.known.values() if rule.who == "server"]
    today = [rule for rule in server if rule.later is None]
    others = [rule for rule in rules.known.values() if rule.who != "server"]
    tables = (
        f"## {section}\n\n{_table([rule for rule in today if rule.section == section], cited)}"
        for section in dict.fromkeys(rule.section for rule in today)
    )
    return "\n".join([HEAD, _summary(server, today, cited), *tables, _later(rules, server), _others(others)])


def _summary(server: list[Rule], today: list[Rule], cited: Mapping[str, list[str]]) -> str:
    held = [rule for rule in today if _is_held(rule, cited)]
    refused = [rule.name for rule in today if rule.not_held is not None]
    partly = [rule.name for rule in today if rule.but is not None]
    untested = [rule.name for rule in today if rule.not_held is None and rule.name not in cited]
    lines = [
        f"- of the {len(today)} rules about what is built today, **{len(held)}** are held by a test: "
        f"{_percent(held, today)}",
        f"- of all {len(server)} rules for a server, those about batches, files, the admin API and rate limits "
        f"included: {_percent(held, server)}",
        f"- not held, with a reason: {', '.join(refused) or 'none'}",
        f"- held in part, and not counted as held: {', '.join(partly) or 'none'}",
        f"- without a test: {', '.join(untested) or 'none'}",
    ]
    return "\n".join(lines) + "\n"


def _is_held(rule: Rule, cited: Mapping[str, list[str]]) -> bool:
    return not (rule.not_held or rule.later or rule.but) and rule.name in cited


def _percent(part: list[Rule], whole: list[Rule]) -> str:
    return f"{int(1000 * len(part) / len(whole)) / 10} %"  # rounded down: 100 means all


def _table(rules: list[Rule], cited: Mapping[str, list[str]]) -> str:
    lines = ["| rule | | held | tests |", "|---|---|---|---|"]
    for rule in rules:
        tests = cited.get(rule.name, [])
        shown = [f"`{test}`" for test in tests[:SHOWN]] + ([f"{len(tests) - SHOWN} more"] if tests[SHOWN:] else [])
        held = "yes" if _is_held(rule, cited) else "in part" if rule.but else "no"
        why = rule.not_held or ", ".join([*([rule.but] if rule.but else []), *shown]) or "no test yet"
        lines.append(f"| {rule.name} | {rule.statement} | {held} | {why} |")
    return "\n".join(lines) + "\n"


def _later(rules: Rules, server: list[Rule]) -> str:
    parts = ["## Not built yet\n"]
    for name, reason in rules.later.items():
        lines = [f"| {rule.name} | {rule.statement} |" for rule in server if rule.later == name]
        reason = f"{reason[:1].upper()}{reason[1:]}."
        parts.append("\n".join([f"### {name}", "", reason, "", "| rule | |", "|---|---|", *lines]) + "\n")
    return "\n".join(parts)


def _others(rules: list[Rule]) -> str:
    lines = [f"| {rule.name} | {rule.statement} | {rule.who} |" for rule in rules]
    about = "What clients do, and notes: nothing that a server could break."
    return "\n".join(["## For others", "", about, "", "| rule | | |", "|---|---|---|", *lines]) + "\n"


# -- the tests -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rules() -> Rules:
    return read_rules((TESTS / "spec/rules.toml").read_text())


@pytest.fixture(scope="module")
def cited(rules: Rules) -> dict[str, list[str]]:
    return citations(rules.known)


def test_each_rule_is_of_one_kind(rules: Rules) -> None:
    for rule in rules.known.values():
        assert rule.who in ("server", "client", "note"), rule
        assert rule.statement, rule
        assert len(rule.statement) <= 110, rule
        assert rule.not_held is None or rule.later is None, rule
        assert rule.who == "server" or not (rule.not_held or rule.later or rule.but), rule
        assert not rule.but or not (rule.not_held or rule.later), rule
        assert rule.later is None or rule.later in rules.later, rule
    by_area: dict[str, list[int]] = {}
    for rule in rules.known.values():
        by_area.setdefault(rule.area, []).append(rule.number)
    assert sorted(by_area) == AREAS
    assert all(numbers == sorted(set(numbers)) for numbers in by_area.values())


def test_each_rule_for_a_server_has_a_test_or_a_reason(rules: Rules, cited: dict[str, list[str]]) -> None:
    bare = [
        rule.name
        for rule in rules.known.values()
        if rule.who == "server" and not (rule.not_held or rule.later) and rule.name not in cited
    ]
    assert bare == [], "cite these in a test that fails when they are broken, or give `not_held` a reason"


def test_no_rule_is_both_tested_and_not_held(rules: Rules, cited: dict[str, list[str]]) -> None:
    """A rule that is held in part has a test of that part, and says under `but` what is missing."""
    both = {rule.name: cited[rule.name] for rule in rules.known.values() if rule.name in cited if _has_reason(rule)}
    assert both == {}


def _has_reason(rule: Rule) -> bool:
    return bool(rule.not_held or rule.later)


def test_no_test_cites_a_rule_that_there_is_not(rules: Rules, cited: dict[str, list[str]]) -> None:
    assert {name: tests for name, tests in cited.items() if name not in rules.known} == {}


def test_the_page_is_of_today(rules: Rules, cited: dict[str, list[str]]) -> None:
    stored = PAGE.read_text() if PAGE.exists() else ""
    due = page(rules, cited)
    changes = "\n".join(difflib.unified_diff(stored.splitlines(), due.splitlines(), "stored", "due", lineterm="", n=0))
    assert stored == due, f"{REMEDY}:\n{changes[:4000]}"


KNOWN = {
    name: Rule(name, "", "server", "", None, None, None)
    for name in ("MSG-3", "MSG-67", "MSG-68", "MSG-69", "MSG-80", "MSG-100", "STR-1", "TOOL-5")
}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("MSG-67, TOOL-5: x", "MSG-67 TOOL-5"),
        ("MSG-67, 68.", "MSG-67 MSG-68"),
        ("(MSG-67 to 69)", "MSG-67 MSG-68 MSG-69"),
        ("MSG-67 to 69, 80 and STR-1", "MSG-67 MSG-68 MSG-69 MSG-80 STR-1"),
        ("MSG-67 and 68: x", "MSG-67 MSG-68"),
        ("MSG-3 b, c, 80: x", "MSG-3 MSG-80"),
        ("MSG-69, 100 images", "MSG-69"),
        ("MSG-69 to 100 images", "MSG-69"),
        ("MSG-9999: x", "MSG-9999"),
        ("MSG-67 to 71.", "MSG-67 MSG-68 MSG-69 MSG-71"),
        ("RFC-7230, UTF-8", ""),
    ],
)
def test_what_a_text_cites(text: str, names: str) -> None:
    assert ids_in(text, KNOWN) == set(names.split())


def test_what_a_test_cites() -> None:
    """Its docstring and its data, through whatever it uses; not what stands beside it."""
    source = '''
"""MSG-1."""
ROWS = [("MSG-2", 1)]
MORE = {"MSG-3": ROWS}
LEFT = ["MSG-4"]

def helper():
    """MSG-5."""
    return "MSG-6"

def test_one():
    """MSG-7."""
    assert MORE  # MSG-8

def test_two():
    assert helper()
'''
    module = Module(source)
    assert {name: sorted(module.texts(name)) for name in module.tests} == {
        "test_one": ["MSG-2", "MSG-3", "MSG-7."],
        "test_two": ["MSG-6"],
    }


def main() -> None:
    rules = read_rules((TESTS / "spec/rules.toml").read_text())
    PAGE.write_text(page(rules, citations(rules.known)))
    print(f"written: {PAGE.relative_to(TESTS.parent)}")


if __name__ == "__main__":
    main()
