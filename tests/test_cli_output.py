"""What commands write does nothing to a terminal: models, keys and hosts are named by others."""

import pytest

from dragoman.cli.output import grid, printable, show, table_of
from dragoman.cli.usage import _harmless

ODD = "claude\x1b[2J\x1b]0;mine\x07\x9b31m\u202e\r"


@pytest.mark.parametrize("odd", [ODD, "\b\b\b", "\x00", "\u2028"])
def test_tables_hold_no_controls(odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    for table in (table_of("model", "owner"), grid(2)):
        table.add_row(f"x{odd}", "me")
        show(table)
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert shown.count("me") == 2


def test_what_can_be_shown_stays_as_it_is() -> None:
    for text in ("claude-opus-4-8", "Zoë's ☂ key", "", "two\nlines"):
        assert printable(text) == text
    assert printable(ODD) == "claude?[2J?]0;mine??31m??"


def test_an_export_holds_neither_formulas_nor_controls() -> None:
    assert _harmless("=1+1") == "'=1+1"
    assert _harmless("\r\x1b") == "'??"
    assert _harmless(ODD) == printable(ODD)
    assert _harmless(5) == 5
