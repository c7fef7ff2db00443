"""What the measures give, and how it reads: tables, targets met or missed, Markdown. Pure: no clock, no files."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Outcome", "Table", "Target", "cell", "markdown", "middle", "ratio", "text"]

Value = str | float | None


class Table(NamedTuple):
    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]


class Target(NamedTuple):
    """A bound of what is wanted; `at_least` turns it round."""

    what: str
    bound: float
    value: float | None  # None: it could not be measured
    unit: str = ""
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.value >= self.bound if self.at_least else self.value <= self.bound:
            return "met"
        return "missed"


class Outcome(NamedTuple):
    """Of one measure."""

    tables: Sequence[Table] = ()
    targets: Sequence[Target] = ()


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(values) if values else None


def ratio(rounds: Mapping[str, Sequence[float]], name: str, to: str) -> float | None:
    """How many times `to` one is: the median of the ratios of each round, as what disturbs a round disturbs both.

    None where either was not measured.
    """
    pairs = zip(rounds.get(name, ()), rounds.get(to, ()), strict=False)
    return middle([value / other for value, other in pairs if other > 0])


def cell(value: Value) -> str:
    """Three figures are enough for anything measured here."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def text(table: Table) -> str:
    """For a terminal: columns of even width."""
    lines = [list(table.columns), *([cell(value) for value in row] for row in table.rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(table.columns))]
    shown = [
        "  ".join(_padded(part, width, n) for n, (part, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    return "\n".join([f"\n{table.title}", *shown])


def _padded(part: str, width: int, column: int) -> str:
    return part.rjust(width) if column else part.ljust(width)


def markdown(outcomes: Sequence[Outcome], *, conditions: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """The whole of RESULTS.md."""
    parts = ["# Results", INTRODUCTION, "## Conditions", _conditions(conditions)]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    parts += ["## Targets", _table(targets(outcomes))]
    for table in (table for outcome in outcomes for table in outcome.tables):
        parts += [f"## {table.title}", table.about, _table(table)]
    return "\n\n".join(part for part in parts if part) + "\n"


INTRODUCTION = """\
Written by `make bench` (`make bench-peers` for the peers); what is measured and what the columns mean is in
[README.md](README.md). CPU time a request is the figure to compare, and best as a ratio to nginx in the same run:
requests a second and high percentiles move with whatever else the machine does. nginx does much less (no keys, no
accounting, no look into the body or the stream), so it is the limit and not a rival."""


def targets(outcomes: Sequence[Outcome]) -> Table:
    rows: list[list[Value]] = [
        [one.what, f"{'>=' if one.at_least else '<='} {_plain(one.bound)} {one.unit}".strip(), one.value, one.verdict]
        for outcome in outcomes
        for one in outcome.targets
    ]
    return Table("Targets", "", ("", "target", "measured", ""), rows)


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:g}"


def _conditions(conditions: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in conditions.items())


def _table(table: Table) -> str:
    rule = ["---", *["--:"] * (len(table.columns) - 1)]
    lines = [table.columns, rule, *([cell(value) for value in row] for row in table.rows)]
    return "\n".join("| " + " | ".join(part.replace("|", "\\|") for part in line) + " |" for line in lines)
