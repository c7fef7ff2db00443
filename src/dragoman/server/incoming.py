"""One HTTP request as the handlers get it, and the replies that most of them make."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Answer
from dragoman.gateway.files.files import Upload
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.reply import Reply
from dragoman.wire.headers import Headers

__all__ = ["Handler", "Incoming", "ReceivedFile", "json_answer", "json_reply"]


class ReceivedFile(Struct, frozen=True, kw_only=True):
    """The body of an upload: the file on the disk, and what was said of it."""

    principal: Principal
    upload: Upload
    filename: str | None
    content_type: str | None
    expires_in_s: int | None


class Incoming(Struct, frozen=True, kw_only=True):
    """One HTTP request, its body read."""

    gateway: Gateway
    headers: Headers
    path: str
    query: str
    body: bytes
    request_id: str
    arrived: float
    address: str | None = None  # of the caller, as far as it is known
    received: ReceivedFile | None = None  # in place of the body, of an upload


Handler = Callable[[Incoming], Awaitable[Reply]]


def json_answer(value: object) -> Answer:
    return Answer(body=msgspec.json.encode(value))


def json_reply(incoming: Incoming, value: object, *, principal: Principal | None = None) -> Reply:
    return Reply(incoming.request_id, json_answer(value), principal=principal)
