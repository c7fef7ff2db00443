"""Every complaint of users that concerns translation has a test that cites its number; the cases stand in pain.toml.

A test cites a case in its docstring, or its file's: "Pain 7: ...", "(pain 12, 13)". `python tests/spec/test_pain.py`
lists who cites what.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent.parent
COUNT = 84
TRANSLATION = "translation"
PARTS = {
    TRANSLATION, "server", "routing", "limits", "ledger", "store", "console", "local models", "security", "policy",
}  # fmt: skip
CITED = re.compile(r"\b[Pp]ain (\d+(?:(?:, and |, | and )\d+\b)*)")


class Case(NamedTuple):
    """One line of pain.toml."""

    part: str
    case: str


def read_cases(text: str) -> dict[int, Case]:
    return {int(number): Case(**line) for number, line in tomllib.loads(text).items()}


def numbers_in(text: str) -> set[int]:
    return {int(number) for match in CITED.finditer(text) for number in re.findall(r"\d+", match[1])}


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """(test, docstring), and the module's, whose name is empty."""
    module = ast.parse(source)
    yield "", ast.get_docstring(module) or ""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


def citations() -> dict[int, list[str]]:
    """Number -> the tests that cite it."""
    cited: dict[int, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        where = file.relative_to(TESTS)
        if "node_modules" in where.parts or file == Path(__file__):
            continue
        source = file.read_text("utf-8")
        if not CITED.search(source):
            continue
        for name, text in docstrings(source):
            for number in numbers_in(text):
                cited.setdefault(number, []).append(f"{where.as_posix()}::{name}" if name else where.as_posix())
    return cited


@pytest.fixture(scope="module")
def cases() -> Mapping[int, Case]:
    return read_cases((TESTS / "spec/pain.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def cited() -> Mapping[int, list[str]]:
    return citations()


def test_every_case_is_there_once_and_belongs_somewhere(cases: Mapping[int, Case]) -> None:
    assert [*cases] == [*range(1, COUNT + 1)]
    assert {case.part for case in cases.values()} == PARTS
    assert all(10 < len(case.case) <= 110 for case in cases.values())


def test_each_case_of_translation_is_cited_by_a_test(cases: Mapping[int, Case], cited: Mapping[int, list[str]]) -> None:
    """A file alone does not hold a case: one of its tests must cite it."""
    held = {number for number, tests in cited.items() if any("::" in test for test in tests)}
    assert {n: case.case for n, case in cases.items() if case.part == TRANSLATION and n not in held} == {}


def test_no_test_cites_a_case_that_there_is_not(cases: Mapping[int, Case], cited: Mapping[int, list[str]]) -> None:
    assert {number: tests for number, tests in cited.items() if number not in cases} == {}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Pain 7.", {7}),
        ("Pain 1, 4, 20: x", {1, 4, 20}),
        ("x (pain 12 and 13), and pain 40", {12, 13, 40}),
        ("Pain 12, 13, and 14", {12, 13, 14}),
        ("Pain 15: within 10 %", {15}),
        ("Pain 6: it is kept; pain 7: or left out", {6, 7}),
        ("Paint 6, campaign 7, pain", set()),
    ],
)
def test_what_a_text_cites(text: str, numbers: set[int]) -> None:
    assert numbers_in(text) == numbers


def test_what_stands_elsewhere_does_not_cite() -> None:
    source = (
        '"""Pain 1."""\n# pain 2\ndef helper():\n    """Pain 3."""\ndef test_x():\n    """Pain 4."""\n    "Pain 5"\n'
    )
    assert dict(docstrings(source)) == {"": "Pain 1.", "test_x": "Pain 4."}


def main() -> None:
    found = citations()
    for number, case in read_cases((TESTS / "spec/pain.toml").read_text("utf-8")).items():
        print(f"{number}. ({case.part}) {case.case}")
        for test in found.get(number, []):
            print(f"    {test}")


if __name__ == "__main__":
    main()
