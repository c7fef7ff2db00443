"""The endpoints of the admin API, a row each; what is not here is 404 (ADM-12). Loaded at the first request to one."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.gateway.admin import asking as admin
from dragoman.gateway.admin import budgets as admin_budgets
from dragoman.gateway.admin import keys as admin_keys
from dragoman.gateway.admin import limits as admin_limits
from dragoman.gateway.admin import members as admin_members
from dragoman.gateway.admin import own_types as own
from dragoman.gateway.admin import providers as admin_providers
from dragoman.gateway.admin import types, workspaces
from dragoman.gateway.admin.usage_types import CostItem, Report, RequestPageReply, RequestReply, UsageItem
from dragoman.gateway.call import Answer
from dragoman.gateway.reply import Reply

from . import admin_reports
from .admin import Endpoint, handler_of
from .admin_openapi import encoded_document
from .incoming import Handler, Incoming
from .routes import ROUTE, explain_route

__all__ = ["ENDPOINTS", "methods_of"]

ORGANIZATION = "/v1/organizations"
OWN = "/v1/dragoman"
WORKSPACE = f"{ORGANIZATION}/workspaces/{{workspace_id}}"


async def show_document(incoming: Incoming) -> Reply:
    """GET /v1/dragoman/openapi.json: for anybody, as it says nothing of this installation.

    Made at first, which takes some 40 ms.
    """
    return Reply(incoming.request_id, Answer(body=await asyncio.to_thread(encoded_document, ENDPOINTS)))


def _get(path: str, summary: str, work: admin.Work, reply: Any, **more: Any) -> Endpoint:
    return Endpoint(method="GET", path=path, summary=summary, work=work, reply=reply, **more)


def _post(path: str, summary: str, work: admin.Work, reply: Any, **more: Any) -> Endpoint:
    return Endpoint(method="POST", path=path, summary=summary, work=work, reply=reply, **more)


def _delete(path: str, summary: str, work: admin.Work, reply: Any) -> Endpoint:
    return Endpoint(method="DELETE", path=path, summary=summary, work=work, reply=reply)


def _put(path: str, summary: str, work: admin.Work, reply: Any, body: Any) -> Endpoint:
    return Endpoint(method="PUT", path=path, summary=summary, work=work, reply=reply, body=body)


_CLASSIC: Sequence[Endpoint] = (
    _get(f"{ORGANIZATION}/me", "The organization of the key", admin.show_organization, types.OrganizationInfo),
    _get(
        f"{ORGANIZATION}/api_keys", "List keys for models", admin_keys.list_api_keys,
        types.Page[types.APIKey], other_reply=types.Page[types.APIKeyOfOld], query=types.KeyQuery,
    ),
    _get(
        f"{ORGANIZATION}/api_keys/{{api_key_id}}", "Read a key", admin_keys.retrieve_api_key,
        types.APIKey, other_reply=types.APIKeyOfOld,
    ),
    _post(
        f"{ORGANIZATION}/api_keys/{{api_key_id}}", "Name a key, or set its status", admin_keys.update_api_key,
        types.APIKey, other_reply=types.APIKeyOfOld, body=types.APIKeyUpdate,
    ),
    _get(
        f"{ORGANIZATION}/workspaces", "List workspaces", workspaces.list_workspaces,
        types.Page[types.WorkspaceObject], query=types.WorkspaceQuery,
    ),
    _post(
        f"{ORGANIZATION}/workspaces", "Make a workspace", workspaces.create_workspace,
        types.WorkspaceObject, body=types.WorkspaceCreate,
    ),
    _get(WORKSPACE, "Read a workspace", workspaces.retrieve_workspace, types.WorkspaceObject),
    _post(
        WORKSPACE, "Change a workspace", workspaces.update_workspace,
        types.WorkspaceObject, body=types.WorkspaceUpdate,
    ),
    _post(
        f"{WORKSPACE}/archive", "Archive a workspace, which ends its keys", workspaces.archive_workspace,
        types.WorkspaceObject,
    ),
    _get(
        f"{WORKSPACE}/members", "List the members of a workspace", workspaces.list_workspace_members,
        types.Page[types.WorkspaceMember], query=types.PageQuery,
    ),
    _post(
        f"{WORKSPACE}/members", "Take a member into a workspace", workspaces.add_workspace_member,
        types.WorkspaceMember, body=types.AddWorkspaceMember,
    ),
    _get(
        f"{WORKSPACE}/members/{{user_id}}", "Read a member of a workspace", workspaces.retrieve_workspace_member,
        types.WorkspaceMember,
    ),
    _post(
        f"{WORKSPACE}/members/{{user_id}}", "Change a member's role in a workspace",
        workspaces.update_workspace_member, types.WorkspaceMember, body=types.WorkspaceMemberUpdate,
    ),
    _delete(
        f"{WORKSPACE}/members/{{user_id}}", "Take a member out of a workspace", workspaces.remove_workspace_member,
        types.WorkspaceMemberDeleted,
    ),
    _get(
        f"{WORKSPACE}/rate_limits", "Rate limits of a workspace", admin_limits.list_workspace_rate_limits,
        types.LimitPage[types.WorkspaceLimitEntry],
        other_reply=types.LimitPage[types.WorkspaceLimitEntryOfOld],
        query=types.WorkspaceLimitQuery,
    ),
    _get(
        f"{ORGANIZATION}/users", "List members", admin_members.list_users,
        types.Page[types.OrganizationUser], query=types.UserQuery,
    ),
    _get(
        f"{ORGANIZATION}/users/{{user_id}}", "Read a member", admin_members.retrieve_user, types.OrganizationUser
    ),
    _post(
        f"{ORGANIZATION}/users/{{user_id}}", "Change a member's role", admin_members.update_user,
        types.OrganizationUser, body=types.UserUpdate,
    ),
    _delete(f"{ORGANIZATION}/users/{{user_id}}", "Remove a member", admin_members.remove_user, types.UserDeleted),
    _get(
        f"{ORGANIZATION}/invites", "List invites", admin_members.list_invites,
        types.Page[types.OrganizationInvite], query=types.InviteQuery,
    ),
    _post(
        f"{ORGANIZATION}/invites", "Invite somebody, for 21 days", admin_members.create_invite,
        types.OrganizationInvite, body=types.InviteCreate,
    ),
    _get(
        f"{ORGANIZATION}/invites/{{invite_id}}", "Read an invite", admin_members.retrieve_invite,
        types.OrganizationInvite,
    ),
    _delete(
        f"{ORGANIZATION}/invites/{{invite_id}}", "Take a pending invite back", admin_members.delete_invite,
        types.InviteDeleted,
    ),
    _get(
        f"{ORGANIZATION}/rate_limits", "Rate limits of the organization", admin_limits.list_rate_limits,
        types.LimitPage[types.LimitEntry], other_reply=types.LimitPage[types.LimitEntryOfOld], query=types.LimitQuery,
    ),
    Endpoint(
        method="GET", path=f"{ORGANIZATION}/usage_report/messages", summary="Tokens used, by time and dimension",
        handler=admin_reports.usage_report, reply=Report[UsageItem], query=types.UsageReportQuery,
    ),
    Endpoint(
        method="GET", path=f"{ORGANIZATION}/cost_report", summary="Costs, by day and dimension",
        handler=admin_reports.cost_report, reply=Report[CostItem], query=types.CostReportQuery,
    ),
)  # fmt: skip

_OWN: Sequence[Endpoint] = (
    Endpoint(
        method="GET", path=f"{OWN}/openapi.json", summary="The OpenAPI document; needs no key", handler=show_document,
        reply=dict[str, Any], access="open",
    ),
    _get(
        f"{OWN}/keys", "List keys with all of their terms", admin_keys.list_keys,
        types.Page[own.Key], query=own.KeyFilterQuery,
    ),
    _post(f"{OWN}/keys", "Make a key", admin_keys.create_key, own.KeyWithSecret, body=own.KeyCreate),
    _get(f"{OWN}/keys/{{key_id}}", "Read a key", admin_keys.retrieve_key, own.Key),
    _post(
        f"{OWN}/keys/{{key_id}}", "Change the terms of a key", admin_keys.update_key, own.Key, body=own.KeyUpdate
    ),
    _post(
        f"{OWN}/keys/{{key_id}}/rotate", "Give a key another secret", admin_keys.rotate_key,
        own.KeyWithSecret, body=own.KeyRotate, needs_body=False,
    ),
    _delete(f"{OWN}/keys/{{key_id}}", "End a key, for good", admin_keys.revoke_key, own.Key),
    _get(
        f"{OWN}/members", "List members, with dragoman's own roles", admin_members.list_members,
        types.Page[own.Member], query=types.PageQuery,
    ),
    _post(f"{OWN}/members", "Add a member", admin_members.create_member, own.Member, body=own.MemberCreate),
    _post(
        f"{OWN}/members/{{member_id}}", "Change a member", admin_members.update_member,
        own.Member, body=own.MemberUpdate,
    ),
    _post(
        f"{OWN}/invites/{{invite_id}}/accept", "Make a member of whoever was invited", admin_members.accept_invite,
        own.Member, body=own.InviteAccept, needs_body=False,
    ),
    _get(f"{OWN}/tiers", "List tiers of rate limits", admin_limits.list_tiers, own.List[own.Tier]),
    _put(f"{OWN}/tiers/{{name}}", "Make or replace a tier", admin_limits.put_tier, own.Tier, own.TierPut),
    _delete(f"{OWN}/tiers/{{name}}", "Delete a tier that nobody is in", admin_limits.delete_tier, own.TierDeleted),
    _get(f"{OWN}/limits", "Who is in which tier", admin_limits.list_limits, own.Limits),
    _put(
        f"{OWN}/limits/organization", "Put the organization into a tier", admin_limits.set_organization_limits,
        own.Assignment, own.AssignmentSet,
    ),
    _put(
        f"{OWN}/limits/workspaces/{{workspace_id}}", "Put a workspace into a tier",
        admin_limits.set_workspace_limits, own.Assignment, own.AssignmentSet,
    ),
    _put(
        f"{OWN}/limits/keys/{{key_id}}", "Put a key into a tier", admin_limits.set_key_limits,
        own.Assignment, own.AssignmentSet,
    ),
    _get(
        f"{OWN}/budgets", "List budgets", admin_budgets.list_budgets, own.List[own.Budget], query=own.BudgetQuery
    ),
    _post(f"{OWN}/budgets", "Make a budget", admin_budgets.create_budget, own.Budget, body=own.BudgetCreate),
    _get(f"{OWN}/budgets/{{budget_id}}", "Read a budget", admin_budgets.retrieve_budget, own.Budget),
    _post(
        f"{OWN}/budgets/{{budget_id}}", "Change a budget", admin_budgets.update_budget,
        own.Budget, body=own.BudgetUpdate,
    ),
    _delete(f"{OWN}/budgets/{{budget_id}}", "End a budget", admin_budgets.end_budget, own.Budget),
    _get(f"{OWN}/providers", "List providers", admin_providers.list_providers, own.List[own.Provider]),
    _get(
        f"{OWN}/providers/{{name}}/credentials", "List the stored keys of a provider, by their hints",
        admin_providers.list_credentials, own.List[own.Credential],
    ),
    _post(
        f"{OWN}/providers/{{name}}/credentials", "Store a key of a provider, encrypted",
        admin_providers.add_credential, own.Credential, body=own.CredentialCreate,
    ),
    _delete(
        f"{OWN}/providers/{{name}}/credentials/{{credential_id}}", "End a stored key of a provider",
        admin_providers.delete_credential, own.CredentialDeleted,
    ),
    _get(f"{OWN}/routes", "What answers which model name", admin_providers.list_routes, own.List[own.Route]),
    Endpoint(
        method="POST", path=ROUTE, summary="Who would answer a request, and why; takes a key for models",
        handler=explain_route, reply=dict[str, Any], takes_message=True, access="models",
    ),
    Endpoint(
        method="GET", path=f"{OWN}/requests", summary="The log of requests, newest first",
        handler=admin_reports.list_requests, reply=RequestPageReply, query=own.RequestQuery,
    ),
    Endpoint(
        method="GET", path=f"{OWN}/requests/{{request_id}}", summary="One request of the log",
        handler=admin_reports.retrieve_request, reply=RequestReply, other_reply=own.RequestWithContents,
        query=own.RequestWithContentsQuery,
    ),
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (*_CLASSIC, *_OWN)


def _tree() -> dict[tuple[str, ...], dict[str, Endpoint]]:
    """Paths in pieces, places of ids empty -> methods."""
    found: dict[tuple[str, ...], dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        found.setdefault(_pieces(endpoint.path), {})[endpoint.method] = endpoint
    return found


def _pieces(path: str) -> tuple[str, ...]:
    return tuple("" if piece.startswith("{") else piece for piece in path.split("/")[1:])


_TREE = _tree()


def methods_of(path: str) -> Mapping[str, Handler] | None:
    """The handlers of a path by method, as `server.app` has them; None where there is nothing.

    A fixed piece goes before an id, so `limits/organization` is no id.
    """
    sent = path.split("/")[1:]
    for pieces, endpoints in _TREE.items():
        if len(pieces) == len(sent) and all(
            piece in ("", part) and part for piece, part in zip(pieces, sent, strict=True)
        ):
            names = [name.strip("{}") for name in next(iter(endpoints.values())).path.split("/")[1:]]
            ids = {name: part for name, piece, part in zip(names, pieces, sent, strict=True) if not piece}
            return {method: handler_of(endpoint, ids) for method, endpoint in endpoints.items()}
    return None
