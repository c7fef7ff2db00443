"""The type that an output is read as, and where it is kept."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # for `default`, which Python 3.11 and 3.12 lack

    T = TypeVar("T", default=None)
else:
    from typing import TypeVar

    T = TypeVar("T")


def first_parsed(content: list[Any]) -> Any:
    """What the first text block that was read as an output format was read as."""
    return next((found for block in content if (found := getattr(block, "parsed_output", None))), None)
