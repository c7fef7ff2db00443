"""The HTTP edge: an ASGI application that reads requests, asks the gateway, and sends what it replies.

Bare ASGI: a framework costs more than the work that is left here. Decides nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from dragoman import __version__
from dragoman.errors import ApiError, CutOff, InternalError, MethodNotAllowed, NotFound, Unavailable
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Call
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ids import new_id
from dragoman.gateway.ledger.accounting import Outcome
from dragoman.gateway.pipeline import answer, identify, refuse
from dragoman.gateway.reply import OUR_FAULT, Reply, error_answer
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers, version

from .address import caller_address
from .batches import (
    BATCHES,
    cancel_batch,
    create_batch,
    delete_batch,
    limit_of_create,
    list_batches,
    retrieve_batch,
    send_results,
)
from .body import ClientGone, Receive, read_body
from .cors import cors_headers, cors_refusal, is_preflight, preflight
from .exchange import EXTENSION, Exchange
from .files import FILES, create_file, delete_file, download_file, list_files, receive_file, retrieve_file
from .incoming import Handler, Incoming, ReceivedFile, json_answer, json_reply
from .replies import Send, Watch, send_farewell, send_reply
from .routes import ROUTE, explain_route

__all__ = ["App"]

log = logging.getLogger("dragoman.server")

MODELS = "/v1/models/"
ADMIN = ("/v1/organizations/", "/v1/dragoman/")
OPERATIONS = {operation.value: operation for operation in Operation}


async def ask_model(incoming: Incoming) -> Reply:
    """POST /v1/messages and /v1/messages/count_tokens."""
    return await answer(
        incoming.gateway,
        Call(
            operation=OPERATIONS[incoming.path],
            headers=incoming.headers,
            body=incoming.body,
            request_id=incoming.request_id,
            arrived=incoming.arrived,
            address=incoming.address,
        ),
    )


async def list_models(incoming: Incoming) -> Reply:
    """GET /v1/models (MOD-1)."""
    query = parse_qs(incoming.query, keep_blank_values=True)
    gateway = incoming.gateway

    def page(principal: Principal) -> dict[str, object]:
        return gateway.catalogue.page(query, is_shown=lambda name: gateway.permits.allows(principal, name))

    return await _look_up(incoming, page)


async def retrieve_model(incoming: Incoming) -> Reply:
    """GET /v1/models/{id} (MOD-3). Ids may hold any character, escaped."""
    name = unquote(incoming.path.removeprefix(MODELS), errors="replace")
    gateway = incoming.gateway

    def retrieve(principal: Principal) -> dict[str, object]:
        gateway.permits.check(principal, name)
        return gateway.catalogue.retrieve(name)

    return await _look_up(incoming, retrieve)


async def _look_up(incoming: Incoming, look: Callable[[Principal], dict[str, object]]) -> Reply:
    principal = await identify(incoming.gateway, incoming.headers, incoming.address)
    try:
        version(incoming.headers)
        answered = json_answer(look(principal))
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    return Reply(incoming.request_id, answered, principal=principal)


async def show_root(incoming: Incoming) -> Reply:
    """GET / and HEAD /: Claude Code asks whether anyone is there (CC-1)."""
    return json_reply(incoming, {"service": "dragoman", "version": __version__})


async def show_health(incoming: Incoming) -> Reply:
    """GET /healthz: the process answers."""
    return json_reply(incoming, {"status": "ok"})


async def show_readiness(incoming: Incoming) -> Reply:
    """GET /readyz: what requests need is there. Asks no provider: a probe must cost nothing."""
    if missing := await incoming.gateway.readiness.missing():
        raise Unavailable(f"Not ready: {', '.join(missing)}.")
    return json_reply(incoming, {"status": "ready"})


ROUTES: dict[str, dict[str, Handler]] = {
    "/v1/messages": {"POST": ask_model},
    "/v1/messages/count_tokens": {"POST": ask_model},
    BATCHES: {"POST": create_batch, "GET": list_batches},
    FILES: {"POST": create_file, "GET": list_files},
    "/v1/models": {"GET": list_models},
    ROUTE: {"POST": explain_route},
    "/": {"GET": show_root},
    "/healthz": {"GET": show_health},
    "/readyz": {"GET": show_readiness},
}
# Paths with an id in them: what stands before it and behind it.
ID_ROUTES: list[tuple[str, str, dict[str, Handler]]] = [
    (MODELS, "", {"GET": retrieve_model}),
    (f"{FILES}/", "", {"GET": retrieve_file, "DELETE": delete_file}),
    (f"{FILES}/", "/content", {"GET": download_file}),
    (f"{BATCHES}/", "", {"GET": retrieve_batch, "DELETE": delete_batch}),
    (f"{BATCHES}/", "/cancel", {"POST": cancel_batch}),
    (f"{BATCHES}/", "/results", {"GET": send_results}),
]


def find_handler(method: str, path: str) -> Handler:
    """Raises NotFound (ERR-47) or MethodNotAllowed (ERR-23). HEAD is GET without the body."""
    methods = ROUTES.get(path) or _methods_of_id(path) or _methods_of_admin(path)
    if methods is None:
        raise NotFound("Not found")
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise MethodNotAllowed("Method Not Allowed", allow=", ".join(sorted({*methods, *_head(methods)})))
    return handler


def _methods_of_id(path: str) -> Mapping[str, Handler] | None:
    for before, behind, methods in ID_ROUTES:
        id_ = path[len(before) : len(path) - len(behind)]
        if path.startswith(before) and path.endswith(behind) and id_ and "/" not in id_:
            return methods
    return None


def _methods_of_admin(path: str) -> Mapping[str, Handler] | None:
    """Loaded at the first request to the admin API, which most processes never get."""
    if not path.startswith(ADMIN):
        return None
    from .admin_routes import methods_of

    return methods_of(path)


def _head(methods: Mapping[str, Handler]) -> set[str]:
    return {"HEAD"} if "GET" in methods else set()


class App:
    """The application over a gateway that is open."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        gateway = self._gateway
        arrived = gateway.clock()
        exchange: Exchange | None = (scope.get("extensions") or {}).get(EXTENSION)
        watch = Watch(exchange, receive, send, ping_after_s=gateway.config.server.ping_after_s)
        method, path = scope["method"], _path(scope)
        headers = (exchange and exchange.headers) or Headers.from_bytes(scope["headers"])
        request_id = new_id("req")
        address = caller_address(scope, headers, gateway.config.server.trusted_proxies)
        received: ReceivedFile | None = None
        reply: Reply | None = None
        outcome: Outcome | None = None
        try:
            body, failure = b"", None
            try:
                if path == FILES and method == "POST":
                    received = await receive_file(gateway, receive, headers, address)
                else:
                    whole = exchange.whole_body() if exchange is not None else None
                    limit_bytes = gateway.config.server.body_limit_bytes
                    if path == BATCHES and method == "POST":
                        limit_bytes = await limit_of_create(gateway, headers, address)
                    if whole is not None and len(whole) <= limit_bytes and "content-encoding" not in headers:
                        body = whole
                    else:
                        body = await read_body(receive, headers, limit_bytes=limit_bytes, whole=whole)
            except ClientGone:
                raise
            except ApiError as error:
                failure = error
            except Exception:
                log.exception("request %s failed by a fault of dragoman's", request_id)
                failure = InternalError(OUR_FAULT)
            incoming = Incoming(
                gateway=gateway,
                headers=headers,
                path=path,
                query=scope["query_string"].decode("latin-1"),
                body=body,
                received=received,
                address=address,
                request_id=request_id,
                arrived=arrived,
            )
            async with watch:
                reply = await reply_to(method, incoming, failure or cors_refusal(headers))
                reply.headers += cors_headers(headers)
                await send_reply(reply, watch)
        except ClientGone:
            outcome = "abandoned"
        except CutOff:
            outcome = "cut"
            _cut(exchange)
        except asyncio.CancelledError:  # the server stops, and its patience is at an end
            if not watch.has_ended:
                outcome = "cut"
                await send_farewell(reply, watch, request_id=request_id)
                if reply is not None and reply.media_type is not None:
                    _cut(exchange)  # such a stream has no word for an error: it must not look whole
        finally:
            if reply is not None:
                await reply.aclose(outcome)
            if received is not None:
                await received.upload.discard()


def _path(scope: dict[str, Any]) -> str:
    """As it was sent, with its escapes; ASGI lets a server leave that out."""
    raw = scope.get("raw_path")
    return quote(scope["path"]) if raw is None else raw.decode("latin-1")


def _cut(exchange: Exchange | None) -> None:
    """Break the connection, where the server is ours; another sees that the reply was not ended."""
    if exchange is not None:
        exchange.cut()


async def reply_to(method: str, incoming: Incoming, failure: ApiError | None) -> Reply:
    """The reply to one request; `failure` is what stood in the way of its body."""
    request_id = incoming.request_id
    try:
        if is_preflight(method, incoming.headers):
            return Reply(request_id, preflight(incoming.headers))
        if failure is not None:
            raise failure
        return await find_handler(method, incoming.path)(incoming)
    except ApiError as error:
        if error is failure and ROUTES.get(incoming.path, {}).get(method) is ask_model:
            return refuse(incoming.gateway, Operation(incoming.path), error, request_id, arrived=incoming.arrived)
        return Reply(request_id, error_answer(error, request_id))
    except Exception:
        log.exception("request %s failed by a fault of dragoman's", request_id)
        return Reply(request_id, error_answer(InternalError(OUR_FAULT), request_id))
