"""The paths of the Files API: uploads as they come, to the disk and never whole in memory. Source: spec FIL-1 to 5."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, unquote

from dragoman.errors import ApiError, InvalidRequest, RequestTooLarge
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.files.files import MAX_FILE_BYTES, Upload
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.pipeline import identify
from dragoman.gateway.reply import Reply, error_answer
from dragoman.wire.headers import Headers, version

from .body import DRAIN_BYTES, TOO_LARGE, Receive, body_pieces
from .incoming import Incoming, ReceivedFile, json_answer
from .multipart import MultipartReader, Part, PartEnd

__all__ = ["FILES", "create_file", "delete_file", "download_file", "list_files", "receive_file", "retrieve_file"]

log = logging.getLogger("dragoman.server")

FILES = "/v1/files"
FORM_BYTES = 1024 * 1024  # what a form may take besides its file
FIELD_BYTES = 64  # of `expires_in_seconds`
DRAIN_S = 60.0
INTEGER = re.compile(r"[+-]?[0-9]{1,20}")


async def create_file(incoming: Incoming) -> Reply:
    """POST /v1/files (FIL-1)."""
    received = incoming.received
    assert received is not None  # the edge took it in, or failed and did not come here

    async def keep(principal: Principal) -> dict[str, Any]:
        return await incoming.gateway.files.keep(
            received.upload,
            filename=received.filename,
            content_type=received.content_type,
            expires_in_s=received.expires_in_s,
        )

    return await _reply(incoming, received.principal, keep)


async def list_files(incoming: Incoming) -> Reply:
    """GET /v1/files (FIL-3)."""
    query = parse_qs(incoming.query, keep_blank_values=True)
    return await _reply(incoming, None, lambda asking: incoming.gateway.files.page(asking.workspace_id, query))


async def retrieve_file(incoming: Incoming) -> Reply:
    """GET /v1/files/{id} (FIL-4)."""
    file_id = _id(incoming)
    return await _reply(incoming, None, lambda asking: incoming.gateway.files.retrieve(asking.workspace_id, file_id))


async def download_file(incoming: Incoming) -> Reply:
    """GET /v1/files/{id}/content (FIL-4)."""
    file_id = _id(incoming)
    return await _reply(incoming, None, lambda asking: incoming.gateway.files.download(asking.workspace_id, file_id))


async def delete_file(incoming: Incoming) -> Reply:
    """DELETE /v1/files/{id} (FIL-5)."""
    file_id = _id(incoming)
    return await _reply(incoming, None, lambda asking: incoming.gateway.files.delete(asking.workspace_id, file_id))


async def receive_file(gateway: Gateway, receive: Receive, headers: Headers, address: str | None) -> ReceivedFile:
    """The body of an upload, on the disk. Whoever gets it discards its upload in the end.

    The key comes first: nothing is kept for callers without one. Raises ApiError, and ClientGone when the caller hangs
    up; nothing is left of the file then.
    """
    async with aclosing(body_pieces(receive)) as pieces:
        try:
            principal = await identify(gateway, headers, address)
            _check_headers(headers)
            form = _Form(gateway, principal)
            try:
                return await form.read(pieces, MultipartReader(headers.get("content-type")))
            except BaseException:
                await form.discard()
                raise
        except ApiError:
            if "expect" not in headers:  # else the caller waits for leave to send, and this is the answer
                await _drain(pieces)
            raise


class _Form:
    """What has come of one form: the file, and the field beside it, in any order."""

    def __init__(self, gateway: Gateway, principal: Principal) -> None:
        self._gateway = gateway
        self._principal = principal
        self._upload: Upload | None = None
        self._file: Part | None = None
        self._field: bytearray | None = None
        self._part: Part | None = None

    async def read(self, pieces: AsyncGenerator[bytes, None], reader: MultipartReader) -> ReceivedFile:
        async for piece in pieces:
            for news in reader.feed(piece):
                await self._take(news)
        reader.close()
        if self._upload is None or self._file is None:
            raise InvalidRequest("file: Field required")
        return ReceivedFile(
            principal=self._principal,
            upload=self._upload,
            filename=self._file.filename,
            content_type=self._file.content_type,
            expires_in_s=None if self._field is None else _whole_number(bytes(self._field)),
        )

    async def discard(self) -> None:
        if self._upload is not None:
            await self._upload.discard()

    async def _take(self, news: Part | bytes | PartEnd) -> None:
        if isinstance(news, Part):
            await self._begin(news)
        elif isinstance(news, PartEnd) or self._part is None:
            self._part = None
        elif self._part is self._file:
            assert self._upload is not None
            await self._upload.write(news)
        elif self._field is not None:
            self._field += news
            if len(self._field) > FIELD_BYTES:
                raise _no_whole_number()

    async def _begin(self, part: Part) -> None:
        self._part = part
        if part.name == "file" and self._file is None:
            self._file = part
            self._upload = await self._gateway.files.begin(self._principal.workspace_id)
        elif part.name == "expires_in_seconds" and self._field is None:
            self._field = bytearray()
        elif part.name in ("file", "expires_in_seconds"):
            raise InvalidRequest(f"{part.name}: was given more than once")
        else:
            raise InvalidRequest(f"{part.name[:100]}: Extra inputs are not permitted")


def _check_headers(headers: Headers) -> None:
    version(headers)
    encoding = (headers.get("content-encoding") or "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise InvalidRequest(
            f"content-encoding: {encoding[:100]!r} is not supported for a file. Send the body as it is.",
            details={"error_code": "request_body_encoding_unsupported"},
        )
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length) > MAX_FILE_BYTES + FORM_BYTES:
        raise RequestTooLarge(TOO_LARGE)


def _whole_number(text: bytes) -> int:
    shown = text.decode("latin-1").strip()
    if not INTEGER.fullmatch(shown):
        raise _no_whole_number()
    return int(shown)


def _no_whole_number() -> InvalidRequest:
    return InvalidRequest("expires_in_seconds: Input should be a valid integer, unable to parse string as an integer")


async def _drain(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read on for a while: a client that is sending does not look for a reply."""
    size = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            async for piece in pieces:
                size += len(piece)
                if size > DRAIN_BYTES:
                    return
    except (TimeoutError, ApiError) as error:
        log.debug("the rest of a refused body did not come: %s", error)


async def _reply(
    incoming: Incoming, principal: Principal | None, work: Callable[[Principal], Awaitable[dict[str, Any]]]
) -> Reply:
    """The reply to a request of a principal: an error too tells whose it was."""
    principal = principal or await identify(incoming.gateway, incoming.headers, incoming.address)
    try:
        version(incoming.headers)
        answered = json_answer(await work(principal))
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    return Reply(incoming.request_id, answered, principal=principal)


def _id(incoming: Incoming) -> str:
    """The part of the path behind that of the list."""
    return unquote(incoming.path.removeprefix(FILES + "/").partition("/")[0], errors="replace")
