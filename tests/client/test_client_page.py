"""docs/client.md is true: each Python block is run against a server with the offline engine, as the page says."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_faults import clean_environment

from dragoman import APIStatusError, Client
from dragoman.pytest_plugin import DragomanServer

PAGE = (Path(__file__).parent.parent.parent / "docs/client.md").read_text()
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
# What a block prints, or a part of it; in the order of the page.
PRINTED = [
    "You said: Hello, Claude",
    "",
    "You said: Hello",
    "You said: Hello",
    "404 not_found_error req_",
    r"^\d+\n$",
    r"^200 req_\w+ 0 .*\n(.|\n)*\"data\"",
    "claude-",
    r"file_\w+ \['notes\.txt'\]",
    "(Ada succeeded\nAlan succeeded|Alan succeeded\nAda succeeded)",
    r"\w",
    "sunny in Paris|weather|Paris",
    "^Good day\n$",
]


@pytest.fixture(scope="module")
def server() -> Iterator[DragomanServer]:
    with DragomanServer() as server:
        yield server


def run(block: str, names: dict[str, Any], server: DragomanServer) -> None:
    """As a reader would, but for the address."""
    exec(compile(block.replace("http://127.0.0.1:8000", server.base_url), "docs/client.md", "exec"), names)


def test_every_block_is_looked_at() -> None:
    assert len(BLOCKS) == len(PRINTED)
    assert [block for block in BLOCKS if "http://127.0.0.1:8000" in block] == BLOCKS[:1]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(number: int, server: DragomanServer, capsys: pytest.CaptureFixture[str]) -> None:
    """After the first one, which makes the client, and after the one before it where it goes on with its names."""
    names: dict[str, Any] = {}
    before = [0, number - 1] if "messages[:1]" in BLOCKS[number] else [0]
    with clean_environment({"DRAGOMAN_API_KEY": server.api_key}):
        for each in [*(before if number else []), number]:
            capsys.readouterr()
            run(BLOCKS[each], names, server)
        names["client"].close()
    assert re.search(PRINTED[number], capsys.readouterr().out)


def test_the_table_of_settings_is_true() -> None:
    parameters = {name for name in inspect.signature(Client).parameters if name != "self"}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Settings")[2].partition("## ")[0], re.M)) == parameters


def test_every_exception_of_a_status_is_in_the_table() -> None:
    table = PAGE.partition("## Errors")[2].partition("## ")[0]
    kinds = {cls.__name__ for cls in subclasses(APIStatusError) if cls.__module__ == APIStatusError.__module__}
    assert [name for name in sorted(kinds) if f"`{name}`" not in table] == []


def subclasses(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)
