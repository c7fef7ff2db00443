"""Values of Python as TOML text: so that a dictionary is read, and checked, as a file would be.

Imports nothing of this package but the error tree.
"""

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from dragoman.errors import ConfigError

__all__ = ["toml_text"]

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(values: Mapping[str, Any], *, null: str | None = None) -> str:
    """`values` as a TOML file, one line for each. None, which TOML has not, is left out, or becomes the text `null`.

    Raises ConfigError for what is no value of TOML.
    """
    try:
        return "".join(f"{pair}\n" for pair in _pairs(values, null))
    except RecursionError as error:
        raise ConfigError("lists or dictionaries are nested too deep. Nest less.") from error


def _pairs(values: Mapping[Any, Any], null: str | None) -> list[str]:
    given = {key: null if value is None else value for key, value in values.items()}
    return [f"{_key(key)} = {_value(value, null)}" for key, value in given.items() if value is not None]


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"{key!r}: the keys of a dictionary must be texts here. Put it in quotes.")
    return key if BARE_KEY.fullmatch(key) else _text(key)


def _value(value: object, null: str | None) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case os.PathLike():
            return _text(os.fspath(value))
        case Mapping():
            return "{" + ", ".join(_pairs(value, null)) + "}"
        case list() | tuple():
            given = (null if each is None else each for each in value)
            return "[" + ", ".join(_value(each, null) for each in given if each is not None) + "]"
        case _:
            raise ConfigError(
                f"{value!r} is no value that can stand here. Take texts, numbers, True, False, lists and dictionaries."
            )


def _text(text: str) -> str:
    """JSON's escapes are TOML's; but TOML also wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
