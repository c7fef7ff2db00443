"""`client.files` and `client.beta.files`. SDK-55."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from dragoman.client.given import is_given
from dragoman.client.pages import AsyncPageCursor, AsyncPages, SyncPageCursor
from dragoman.client.raw import (
    AsyncBinaryAPIResponse,
    BinaryAPIResponse,
    async_raw,
    async_streaming,
    raw,
    streaming,
)
from dragoman.client.results import Binary, Into, Page
from dragoman.client.uploads import multipart
from dragoman.types import DeletedFile, FileMetadata

from . import calls
from .base import AsyncResource, SyncResource

if TYPE_CHECKING:
    from typing import Unpack

    from dragoman.client.call import Call
    from dragoman.types.arguments import BetaFileListArguments, BetaFileUploadArguments, BetaOptions

__all__ = ["AsyncFiles", "AsyncFilesOf", "Files", "FilesOf"]

F = TypeVar("F")  # what a file is told as: the beta tells more
PATH = "/v1/files"
DELETED = Into(DeletedFile)
BYTES = Binary()


def _upload(result: Into, given: Any) -> Call:
    calls.checked("upload", "BetaFileUploadArguments", given)
    fields = {name: value for name, value in given.items() if name not in calls.NOT_IN_BODY and is_given(value)}
    body, content_type = multipart("file", fields.pop("file"), {**fields, **(given.get("extra_body") or {})})
    return calls.call("POST", PATH, result, given, body=body, headers={"content-type": content_type})


def _one(method: str, file_id: str, result: Into, given: Any, name: str) -> Call:
    return calls.by_id(method, f"{PATH}/{calls.required(file_id, 'file_id')}", result, given, name=name)


def _download(file_id: str, given: Any) -> Call:
    path = f"{PATH}/{calls.required(file_id, 'file_id')}/content"
    return calls.by_id("GET", path, BYTES, given, name="download", headers={"accept": "application/binary"})


class FilesOf(SyncResource, Generic[F]):
    """`client.files` and that of the beta: `_file` and `_page` are what replies become."""

    _file: ClassVar[Into]
    _page: ClassVar[Page]

    def upload(self, **arguments: Unpack[BetaFileUploadArguments]) -> F:
        """`file` is bytes, an open file, a path, or a tuple of a name, one of these, a media type and headers."""
        return self._perform(_upload(self._file, arguments))

    def list(self, **arguments: Unpack[BetaFileListArguments]) -> SyncPageCursor[F]:
        """The newest first."""
        return self._perform(calls.listing(PATH, self._page, arguments, arguments="BetaFileListArguments"))

    def retrieve_metadata(self, file_id: str, **options: Unpack[BetaOptions]) -> F:
        """Name, size and type, not the bytes."""
        return self._perform(_one("GET", file_id, self._file, options, "retrieve_metadata"))

    def download(self, file_id: str, **options: Unpack[BetaOptions]) -> BinaryAPIResponse:
        """Only files that the API made can be had."""
        return self._perform(_download(file_id, options))

    def delete(self, file_id: str, **options: Unpack[BetaOptions]) -> DeletedFile:
        """For good."""
        return self._perform(_one("DELETE", file_id, DELETED, options, "delete"))

    @cached_property
    def with_raw_response(self) -> FilesWithRawResponse[F]:
        return FilesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> FilesWithStreamingResponse[F]:
        return FilesWithStreamingResponse(self)


class FilesWithRawResponse(Generic[F]):
    def __init__(self, files: FilesOf[F]) -> None:
        self.upload = raw(files.upload)
        self.list = raw(files.list)
        self.retrieve_metadata = raw(files.retrieve_metadata)
        self.download = raw(files.download)
        self.delete = raw(files.delete)


class FilesWithStreamingResponse(Generic[F]):
    def __init__(self, files: FilesOf[F]) -> None:
        self.upload = streaming(files.upload)
        self.list = streaming(files.list)
        self.retrieve_metadata = streaming(files.retrieve_metadata)
        self.download = streaming(files.download)
        self.delete = streaming(files.delete)


class AsyncFilesOf(AsyncResource, Generic[F]):
    """As FilesOf, for asyncio."""

    _file: ClassVar[Into]
    _page: ClassVar[Page]

    async def upload(self, **arguments: Unpack[BetaFileUploadArguments]) -> F:
        return await self._perform(_upload(self._file, arguments))

    def list(self, **arguments: Unpack[BetaFileListArguments]) -> AsyncPages[F, AsyncPageCursor[F]]:
        return self._pages(calls.listing(PATH, self._page, arguments, arguments="BetaFileListArguments"))

    async def retrieve_metadata(self, file_id: str, **options: Unpack[BetaOptions]) -> F:
        return await self._perform(_one("GET", file_id, self._file, options, "retrieve_metadata"))

    async def download(self, file_id: str, **options: Unpack[BetaOptions]) -> AsyncBinaryAPIResponse:
        return await self._perform(_download(file_id, options))

    async def delete(self, file_id: str, **options: Unpack[BetaOptions]) -> DeletedFile:
        return await self._perform(_one("DELETE", file_id, DELETED, options, "delete"))

    @cached_property
    def with_raw_response(self) -> AsyncFilesWithRawResponse[F]:
        return AsyncFilesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncFilesWithStreamingResponse[F]:
        return AsyncFilesWithStreamingResponse(self)


class AsyncFilesWithRawResponse(Generic[F]):
    def __init__(self, files: AsyncFilesOf[F]) -> None:
        self.upload = async_raw(files.upload)
        self.list = async_raw(files.list)
        self.retrieve_metadata = async_raw(files.retrieve_metadata)
        self.download = async_raw(files.download)
        self.delete = async_raw(files.delete)


class AsyncFilesWithStreamingResponse(Generic[F]):
    def __init__(self, files: AsyncFilesOf[F]) -> None:
        self.upload = async_streaming(files.upload)
        self.list = async_streaming(files.list)
        self.retrieve_metadata = async_streaming(files.retrieve_metadata)
        self.download = async_streaming(files.download)
        self.delete = async_streaming(files.delete)


class Files(FilesOf[FileMetadata]):
    _file = Into(FileMetadata)
    _page = Page(SyncPageCursor, AsyncPageCursor, FileMetadata)


class AsyncFiles(AsyncFilesOf[FileMetadata]):
    """As Files, for asyncio."""

    _file, _page = Files._file, Files._page
