"""Reports and the request log over HTTP: parameters in, JSON out. `server/admin.py` mounts them and knows the roles.

Errors are raised, and become replies there. Source: spec ADM-9 to 11.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from dragoman.errors import PermissionDenied
from dragoman.gateway.admin.own_types import RequestWithContentsQuery
from dragoman.gateway.admin.query import read_query
from dragoman.gateway.admin.request_log import request_page, request_row, request_with_contents
from dragoman.gateway.admin.usage_reports import cost_report as report_costs
from dragoman.gateway.admin.usage_reports import usage_report as report_usage
from dragoman.gateway.pipeline import identify_admin
from dragoman.gateway.reply import Reply
from dragoman.wire.headers import version

from .incoming import Incoming, json_answer

__all__ = ["cost_report", "list_requests", "retrieve_request", "usage_report"]

READ_CONTENTS = frozenset({"owner", "admin"})  # roles


async def usage_report(incoming: Incoming) -> Reply:
    """GET /v1/organizations/usage_report/messages (ADM-9, ADM-10)."""
    query, of_whom, _ = await _asked(incoming)
    return _reply(incoming, await report_usage(incoming.gateway.store, query, **of_whom))


async def cost_report(incoming: Incoming) -> Reply:
    """GET /v1/organizations/cost_report (ADM-11)."""
    query, of_whom, _ = await _asked(incoming)
    return _reply(incoming, await report_costs(incoming.gateway.store, query, **of_whom))


async def list_requests(incoming: Incoming) -> Reply:
    """GET /v1/dragoman/requests."""
    query, of_whom, _ = await _asked(incoming)
    return _reply(incoming, await request_page(incoming.gateway.store.usage, query, **of_whom))


async def retrieve_request(incoming: Incoming) -> Reply:
    """GET /v1/dragoman/requests/{id}; `contents=true`: with what was asked and replied, where that is kept."""
    query, of_whom, role = await _asked(incoming)
    request_id = unquote(incoming.path.rpartition("/")[2], errors="replace")
    if not read_query(RequestWithContentsQuery, query).contents:
        return _reply(incoming, await request_row(incoming.gateway.store.usage, request_id, **of_whom))
    if role not in READ_CONTENTS:
        raise PermissionDenied(f"An admin key of the role {role} may not read what was asked and replied.")
    return _reply(incoming, await request_with_contents(incoming.gateway.store.usage, request_id, **of_whom))


async def _asked(incoming: Incoming) -> tuple[Mapping[str, list[str]], dict[str, Any], str | None]:
    """The parameters, whose rows the caller may see, and its role."""
    principal = await identify_admin(incoming.gateway, incoming.headers, incoming.address)
    version(incoming.headers)
    default, bound = incoming.gateway.auth.workspace_id, principal.workspace_id
    of_whom = {"default_workspace_id": default, "bound_to": None if bound == default else bound}
    return parse_qs(incoming.query, keep_blank_values=True), of_whom, principal.role


def _reply(incoming: Incoming, value: object) -> Reply:
    return Reply(incoming.request_id, json_answer(value))
