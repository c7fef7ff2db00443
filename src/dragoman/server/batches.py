"""The paths of Message Batches: requests in, replies out; nothing is decided here. Source: spec BAT-1 to 12."""

import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, unquote

from dragoman.errors import ApiError, StoreError, Unavailable
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Answer
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.pipeline import identify
from dragoman.gateway.reply import Reply, error_answer
from dragoman.wire.headers import Headers, betas, refuse_unknown, version

from .incoming import Incoming, json_answer

__all__ = [
    "BATCHES",
    "cancel_batch",
    "create_batch",
    "delete_batch",
    "limit_of_create",
    "list_batches",
    "retrieve_batch",
    "send_results",
]

log = logging.getLogger("dragoman.server")

BATCHES = "/v1/messages/batches"
LINES = "application/x-jsonl"
# A create may be as large as so many messages: 256 MB, with the API's 32 MB for one (ERR-24). Never larger, unless
# one message may be.
BODIES = 8
LIMIT_BYTES = 256 * 1024 * 1024
HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


async def create_batch(incoming: Incoming) -> Reply:
    """POST /v1/messages/batches (BAT-1)."""

    async def create(principal: Principal) -> Answer:
        headers, base_url = incoming.headers, base_url_of(incoming.headers)
        if incoming.gateway.config.unknown_betas == "refuse":
            refuse_unknown(betas(headers))
        made = await incoming.gateway.batches.create(incoming.body, headers, principal, base_url=base_url)
        return json_answer(made)

    return await _reply(incoming, create)


async def list_batches(incoming: Incoming) -> Reply:
    """GET /v1/messages/batches (BAT-6)."""
    query = parse_qs(incoming.query, keep_blank_values=True)

    async def page(principal: Principal) -> Answer:
        base_url = base_url_of(incoming.headers)
        return json_answer(await incoming.gateway.batches.page(query, principal, base_url=base_url))

    return await _reply(incoming, page)


async def retrieve_batch(incoming: Incoming) -> Reply:
    """GET /v1/messages/batches/{id} (BAT-6)."""

    async def retrieve(principal: Principal) -> Answer:
        base_url = base_url_of(incoming.headers)
        return json_answer(await incoming.gateway.batches.retrieve(_id(incoming), principal, base_url=base_url))

    return await _reply(incoming, retrieve)


async def cancel_batch(incoming: Incoming) -> Reply:
    """POST /v1/messages/batches/{id}/cancel (BAT-7)."""

    async def cancel(principal: Principal) -> Answer:
        base_url = base_url_of(incoming.headers)
        return json_answer(await incoming.gateway.batches.cancel(_id(incoming), principal, base_url=base_url))

    return await _reply(incoming, cancel)


async def delete_batch(incoming: Incoming) -> Reply:
    """DELETE /v1/messages/batches/{id} (BAT-11)."""

    async def delete(principal: Principal) -> Answer:
        return json_answer(await incoming.gateway.batches.delete(_id(incoming), principal))

    return await _reply(incoming, delete)


async def send_results(incoming: Incoming) -> Reply:
    """GET /v1/messages/batches/{id}/results (BAT-8)."""

    async def results(principal: Principal) -> Answer:
        lines = await incoming.gateway.batches.results(_id(incoming), principal)
        return Answer(stream=lines, media_type=LINES)

    return await _reply(incoming, results)


async def limit_of_create(gateway: Gateway, headers: Headers, address: str | None) -> int:
    """How many bytes a create may have. That many only from callers with a key: others could fill our memory."""
    limit_bytes = gateway.config.server.body_limit_bytes
    try:
        await identify(gateway, headers, address)
    except ApiError:  # said when the body is there, as everywhere
        return limit_bytes
    return max(limit_bytes, min(limit_bytes * BODIES, LIMIT_BYTES))


def base_url_of(headers: Headers) -> str:
    """This server as the caller sees it, also behind a proxy that ends TLS; "" for a caller who names no host.

    What a caller makes up here comes back to that caller only.
    """
    host = headers.get("host") or ""
    if not HOST.fullmatch(host):
        return ""
    is_tls = (headers.get("x-forwarded-proto") or "").strip().lower() == "https"
    return f"{'https' if is_tls else 'http'}://{host}"


async def _reply(incoming: Incoming, work: Callable[[Principal], Awaitable[Answer]]) -> Reply:
    """The reply to a request of a principal: an error too tells whose it was."""
    principal = await identify(incoming.gateway, incoming.headers, incoming.address)
    try:
        version(incoming.headers)
        answered = await work(principal)
    except StoreError as error:
        log.warning("batches cannot be reached: %s", error)
        answered = error_answer(Unavailable("Message batches cannot be reached at the moment."), incoming.request_id)
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    return Reply(incoming.request_id, answered, principal=principal)


def _id(incoming: Incoming) -> str:
    """The part of the path behind that of the list."""
    return unquote(incoming.path.removeprefix(BATCHES + "/").partition("/")[0], errors="replace")
