"""What a parameter may hold beyond JSON: files, and lists that are no strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeAlias, TypeVar, overload

_T_co = TypeVar("_T_co", covariant=True)

Base64FileInput: TypeAlias = IO[bytes] | PathLike[str]  # read and encoded when the request is made
FileContent: TypeAlias = IO[bytes] | bytes | PathLike[str]
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]  # name, content
    | tuple[str | None, FileContent, str | None]  # and media type
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]  # and headers
)

if TYPE_CHECKING:

    class SequenceNotStr(Protocol[_T_co]):
        """A list or tuple, but no string, which `Sequence[str]` would take too: `str.__contains__` wants a string."""

        @overload
        def __getitem__(self, index: SupportsIndex, /) -> _T_co: ...
        @overload
        def __getitem__(self, index: slice[Any, Any, Any], /) -> Sequence[_T_co]: ...
        def __contains__(self, value: object, /) -> bool: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[_T_co]: ...
        def __reversed__(self) -> Iterator[_T_co]: ...

else:
    SequenceNotStr = Sequence
