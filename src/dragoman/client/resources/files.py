"""`client.files` and `client.beta.files`. SDK-55."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

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

__all__ = ["AsyncFiles", "Files"]

PATH = "/v1/files"
FILE = Into(FileMetadata)
DELETED = Into(DeletedFile)
BYTES = Binary()
FILES = Page(SyncPageCursor, AsyncPageCursor, FileMetadata)


def _upload(given: Any) -> Call:
    calls.checked("upload", "BetaFileUploadArguments", given)
    fields = {name: value for name, value in given.items() if name not in calls.NOT_IN_BODY and is_given(value)}
    body, content_type = multipart("file", fields.pop("file"), {**fields, **(given.get("extra_body") or {})})
    return calls.call("POST", PATH, FILE, given, body=body, headers={"content-type": content_type})


def _one(method: str, file_id: str, result: Into, given: Any, name: str) -> Call:
    return calls.by_id(method, f"{PATH}/{calls.required(file_id, 'file_id')}", result, given, name=name)


def _download(file_id: str, given: Any) -> Call:
    path = f"{PATH}/{calls.required(file_id, 'file_id')}/content"
    return calls.by_id("GET", path, BYTES, given, name="download", headers={"accept": "application/binary"})


class Files(SyncResource):
    def upload(self, **arguments: Unpack[BetaFileUploadArguments]) -> FileMetadata:
        """`file` is bytes, an open file, a path, or a tuple of a name, one of these, a media type and headers."""
        return self._perform(_upload(arguments))

    def list(self, **arguments: Unpack[BetaFileListArguments]) -> SyncPageCursor[FileMetadata]:
        """The newest first."""
        return self._perform(calls.listing(PATH, FILES, arguments, arguments="BetaFileListArguments"))

    def retrieve_metadata(self, file_id: str, **options: Unpack[BetaOptions]) -> FileMetadata:
        """Name, size and type, not the bytes."""
        return self._perform(_one("GET", file_id, FILE, options, "retrieve_metadata"))

    def download(self, file_id: str, **options: Unpack[BetaOptions]) -> BinaryAPIResponse:
        """Only files that the API made can be had."""
        return self._perform(_download(file_id, options))

    def delete(self, file_id: str, **options: Unpack[BetaOptions]) -> DeletedFile:
        """For good."""
        return self._perform(_one("DELETE", file_id, DELETED, options, "delete"))

    @cached_property
    def with_raw_response(self) -> FilesWithRawResponse:
        return FilesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> FilesWithStreamingResponse:
        return FilesWithStreamingResponse(self)


class FilesWithRawResponse:
    def __init__(self, files: Files) -> None:
        self.upload = raw(files.upload)
        self.list = raw(files.list)
        self.retrieve_metadata = raw(files.retrieve_metadata)
        self.download = raw(files.download)
        self.delete = raw(files.delete)


class FilesWithStreamingResponse:
    def __init__(self, files: Files) -> None:
        self.upload = streaming(files.upload)
        self.list = streaming(files.list)
        self.retrieve_metadata = streaming(files.retrieve_metadata)
        self.download = streaming(files.download)
        self.delete = streaming(files.delete)


class AsyncFiles(AsyncResource):
    """As Files, for asyncio."""

    async def upload(self, **arguments: Unpack[BetaFileUploadArguments]) -> FileMetadata:
        return await self._perform(_upload(arguments))

    def list(
        self, **arguments: Unpack[BetaFileListArguments]
    ) -> AsyncPages[FileMetadata, AsyncPageCursor[FileMetadata]]:
        return self._pages(calls.listing(PATH, FILES, arguments, arguments="BetaFileListArguments"))

    async def retrieve_metadata(self, file_id: str, **options: Unpack[BetaOptions]) -> FileMetadata:
        return await self._perform(_one("GET", file_id, FILE, options, "retrieve_metadata"))

    async def download(self, file_id: str, **options: Unpack[BetaOptions]) -> AsyncBinaryAPIResponse:
        return await self._perform(_download(file_id, options))

    async def delete(self, file_id: str, **options: Unpack[BetaOptions]) -> DeletedFile:
        return await self._perform(_one("DELETE", file_id, DELETED, options, "delete"))

    @cached_property
    def with_raw_response(self) -> AsyncFilesWithRawResponse:
        return AsyncFilesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncFilesWithStreamingResponse:
        return AsyncFilesWithStreamingResponse(self)


class AsyncFilesWithRawResponse:
    def __init__(self, files: AsyncFiles) -> None:
        self.upload = async_raw(files.upload)
        self.list = async_raw(files.list)
        self.retrieve_metadata = async_raw(files.retrieve_metadata)
        self.download = async_raw(files.download)
        self.delete = async_raw(files.delete)


class AsyncFilesWithStreamingResponse:
    def __init__(self, files: AsyncFiles) -> None:
        self.upload = async_streaming(files.upload)
        self.list = async_streaming(files.list)
        self.retrieve_metadata = async_streaming(files.retrieve_metadata)
        self.download = async_streaming(files.download)
        self.delete = async_streaming(files.delete)
