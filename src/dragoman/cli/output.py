"""How commands write what they have to say: JSON for programs, tables for people."""

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["echo_json", "grid", "printable", "show", "table_of"]

NUMBERS = ("context", "max output")  # headings of columns
UNLIMITED_WIDTH = 10_000  # characters, where no terminal sets a limit: one row, one line, for grep


def echo_json(value: object) -> None:
    """One line of UTF-8, whatever the terminal's encoding."""
    import msgspec

    typer.echo(msgspec.json.encode(value))


def table_of(*headings: str, numbers: Sequence[str] = NUMBERS) -> "Table":
    """Rows below their headings. What is too long for a narrow terminal goes on in the next line, here and below."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column

    columns = [Column(each, overflow="fold", justify="right" if each in numbers else "left") for each in headings]
    return _plain_table()(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)


def grid(columns: int) -> "Table":
    from rich.table import Column

    return _plain_table().grid(*(Column(overflow="fold") for _ in range(columns)), padding=(0, 2, 0, 0))


def printable(text: str) -> str:
    """A text that does nothing to a terminal: callers name models, and others things, with whatever they like."""
    return text if text.isprintable() else "".join(each if each.isprintable() or each == "\n" else "?" for each in text)


@cache
def _plain_table() -> "type[Table]":
    from rich.table import Table

    class Plain(Table):
        def add_row(self, *cells: Any, **more: Any) -> None:
            super().add_row(*(printable(each) if isinstance(each, str) else each for each in cells), **more)

    return Plain


def show(rows: "Table") -> None:
    """Fits a terminal's width; elsewhere a row is as long as it needs to be, without spaces at its end."""
    console = _console()
    if console.is_terminal:
        console.print(rows)
        return
    with console.capture() as captured:
        console.print(rows)
    lines = captured.get().splitlines()
    typer.echo("\n".join(line.rstrip() for line in lines if line.strip()))


def _console() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNLIMITED_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)
