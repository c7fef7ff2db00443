"""The HTTP/1.1 side of a connection: uvicorn's, with refusals in the API's envelope and a bound on headers.

What cannot be read as HTTP never reaches the application, so its refusal is written here: the same JSON, the same
`request-id` header, then the connection ends.
"""

from http import HTTPStatus

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dragoman.errors import ApiError, HeadersTooLarge, InvalidRequest
from dragoman.gateway.pipeline import new_id

__all__ = ["Protocol"]

HEAD_LIMIT_BYTES = 256 * 1024  # of the request line and all headers; Claude Code's need about 2 KB


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"The request's headers have more than {HEAD_LIMIT_BYTES} bytes."))

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for bytes that are no HTTP/1.1 request."""
        self._refuse(InvalidRequest(msg))

    def _refuse(self, error: ApiError) -> None:
        """Answer on the bare transport and close. In the middle of a reply only the closing is left."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            request_id = new_id("req")
            body = msgspec.json.encode(error.body(request_id))
            head = (
                f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
                "content-type: application/json\r\n"
                f"content-length: {len(body)}\r\n"
                f"request-id: {request_id}\r\n"
                "connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
