"""Values of Python as TOML."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.gateway.config.toml_text import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # a file cannot hold half of a surrogate pair
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


def without_null(value: Any, null: str | None) -> Any:
    """`value` with `null` for None, or without what is None."""
    if isinstance(value, dict):
        given = {key: null if each is None else each for key, each in value.items()}
        return {key: without_null(each, null) for key, each in given.items() if each is not None}
    if isinstance(value, list):
        given = [null if each is None else each for each in value]
        return [without_null(each, null) for each in given if each is not None]
    return value


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.sampled_from([None, "{{ null }}"]))
def test_what_is_written_is_read_again(values: dict[str, Any], null: str | None) -> None:
    assert tomllib.loads(toml_text(values, null=null)) == without_null(values, null)


def test_what_python_has_besides() -> None:
    values = {"path": Path("a") / "b", "pair": (1, 2), "nan": math.nan, "endless": -math.inf}
    read = tomllib.loads(toml_text(values))
    assert math.isnan(read.pop("nan"))
    assert read == {"path": str(Path("a") / "b"), "pair": [1, 2], "endless": -math.inf}


@pytest.mark.parametrize("values", [{"a": object()}, {"a": [b"bytes"]}, {1: "a"}, {"a": {2: "b"}}])
def test_what_toml_has_not_is_refused(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"is no value that can stand here|must be texts here"):
        toml_text(values)


def test_nesting_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ConfigError, match="nested too deep"):
        toml_text(endless)
