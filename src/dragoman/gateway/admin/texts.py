"""What every text of a request to the admin API is held to: it may stand in a log, a list and a terminal. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from dragoman.errors import InvalidRequest

__all__ = ["must_be_fit"]

SECRETS: Final = frozenset({"key", "webhook"})  # fields whose readers say what is wrong with them, and take spaces off


def must_be_fit(body: Mapping[str, Any]) -> None:
    """Raises InvalidRequest, naming the field, for line ends, control characters and others that cannot be seen, and
    for a name of spaces alone. `body` has the shape of its type."""
    for field, value in body.items():
        if field not in SECRETS:
            _must_be_printable(value, field)
    name = body.get("name")
    if isinstance(name, str) and name and not name.strip():
        raise InvalidRequest("name: String should have at least 1 character other than spaces")


def _must_be_printable(value: Any, path: str) -> None:
    if isinstance(value, str):
        if not value.isprintable():
            raise InvalidRequest(f"{path}: String should have printable characters only, and no line ends")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _must_be_printable(each, f"{path}.{index}")
    elif isinstance(value, dict):
        for name, each in value.items():
            _must_be_printable(name, path)  # not repeated: it cannot be printed
            _must_be_printable(each, f"{path}.{name[:100]}")
