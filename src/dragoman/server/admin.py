"""The edge of the admin API: an endpoint is a row that tells what it takes and gives; what it does, `gateway` knows.

The order of checks is that of all paths: key, role, version, query and body (HDR-9). Source: spec ADM-1 to 13.
"""

import logging
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from dragoman.errors import ApiError, InvalidRequest, PermissionDenied, StoreError, Unavailable
from dragoman.gateway.admin.asking import Asking, Work
from dragoman.gateway.admin.query import read_query
from dragoman.gateway.admin.roles import MAY, OF_ONE_WORKSPACE
from dragoman.gateway.admin.texts import must_be_fit
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.pipeline import identify_admin
from dragoman.gateway.reply import Reply, error_answer
from dragoman.wire.codec import Wire, read
from dragoman.wire.envelope import NOT_JSON
from dragoman.wire.headers import version
from dragoman.wire.schema import check

from .incoming import Handler, Incoming, json_answer

__all__ = ["Endpoint", "handler_of"]

log = logging.getLogger("dragoman.admin")


class Endpoint(Struct, frozen=True, kw_only=True):
    """One method of one path. `reply` is the type of what it returns, `other_reply` that in API version 2023-06-01,
    where it is another, or with other parameters.

    `work` does it; `handler` in its place does the whole of it, identification included, but for the roles. `access`:
    whose keys it takes; "open" needs none.
    """

    method: str
    path: str  # "/v1/organizations/users/{user_id}"
    summary: str
    reply: Any
    other_reply: Any = None
    work: Work | None = None
    handler: Handler | None = None
    query: type[Struct] | None = None
    body: type[Wire] | None = None
    needs_body: bool = True  # a body must be sent, if there is a type for one
    takes_message: bool = False  # the body is a request for a message
    access: Literal["admin", "models", "open"] = "admin"

    @property
    def name(self) -> str:
        """As in the table of roles."""
        return f"{self.method} {self.path}"


def handler_of(endpoint: Endpoint, ids: Mapping[str, str]) -> Handler:
    """What answers requests to an endpoint, whose path has these `ids`, as they were sent."""

    async def answer(incoming: Incoming) -> Reply:
        if endpoint.access != "admin":
            assert endpoint.handler is not None
            return await endpoint.handler(incoming)
        principal = await identify_admin(incoming.gateway, incoming.headers, incoming.address)
        reply = await _reply(endpoint, incoming, principal, ids)
        reply.headers.append(("anthropic-organization-id", principal.organization_id))  # and no workspace's (HDR-32)
        if endpoint.method != "GET":
            shown = incoming.path if reply.status < 400 else endpoint.path  # what names nothing may be a secret
            log.info(
                "admin request_id=%s key=%s role=%s status=%d %s %s",
                incoming.request_id, principal.key_id, principal.role, reply.status, endpoint.method, shown,
            )  # fmt: skip
        return reply

    return answer


async def _reply(endpoint: Endpoint, incoming: Incoming, principal: Principal, ids: Mapping[str, str]) -> Reply:
    try:
        must_be_allowed(endpoint, principal, incoming.gateway.auth.workspace_id)
        if endpoint.handler is not None:
            return await endpoint.handler(incoming)
        answered = json_answer(await _ask(endpoint, incoming, principal, ids))
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    except StoreError as error:
        log.warning("request %s: %s", incoming.request_id, error)
        away = Unavailable("The database cannot be reached at the moment. Please try again shortly.")
        answered = error_answer(away, incoming.request_id)
    return Reply(incoming.request_id, answered)


def must_be_allowed(endpoint: Endpoint, principal: Principal, default_workspace_id: str) -> None:
    """Raises PermissionDenied for a role that may not, and for a key of one workspace where all of them matter."""
    if principal.role not in MAY.get(endpoint.name, frozenset()):
        raise PermissionDenied(f"An admin key of the role {principal.role} may not use this endpoint.")
    if principal.workspace_id != default_workspace_id and endpoint.name not in OF_ONE_WORKSPACE:
        raise PermissionDenied("This admin key is bound to a workspace, and this endpoint is about the organization.")


async def _ask(endpoint: Endpoint, incoming: Incoming, principal: Principal, ids: Mapping[str, str]) -> object:
    asked = version(incoming.headers)
    query = None
    if endpoint.query is not None:
        query = read_query(endpoint.query, parse_qs(incoming.query, keep_blank_values=True))
    body, given = _body(endpoint, incoming.body)
    assert endpoint.work is not None
    return await endpoint.work(
        Asking(
            gateway=incoming.gateway,
            principal=principal,
            version=asked,
            request_id=incoming.request_id,
            ids={name: unquote(id_, errors="replace") for name, id_ in ids.items()},
            query=query,
            body=body,
            given=given,
        )
    )


def _body(endpoint: Endpoint, body: bytes) -> tuple[Wire | None, frozenset[str]]:
    """The body, checked, and the names of the fields that it has. Raises InvalidRequest."""
    if endpoint.body is None:
        return None, frozenset()
    if not body.strip() and not endpoint.needs_body:
        body = b"{}"
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidRequest(NOT_JSON) from None
    check(endpoint.body, value)
    must_be_fit(value)
    return read(endpoint.body, value), frozenset(value)
