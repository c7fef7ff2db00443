"""`TypedDict` as Pydantic wants it: before Python 3.12 that of typing_extensions, which comes with Pydantic."""

from typing import TYPE_CHECKING

__all__ = ["TypedDict", "holds_files"]

if TYPE_CHECKING:
    from typing import TypedDict
else:
    try:
        from typing_extensions import TypedDict
    except ImportError:
        from typing import TypedDict


def holds_files(cls: type) -> None:
    """Tells Pydantic to take a file for what it is: it knows no schema of `IO[bytes]`."""
    setattr(cls, "__pydantic_config__", {"arbitrary_types_allowed": True})  # noqa: B010 (no attribute of a TypedDict)
