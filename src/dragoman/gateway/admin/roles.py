"""Who may do what on the admin API: endpoint x role, as data. docs/admin.md shows it; tests hold every row of it."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["ALL_ROLES", "MAY", "OF_ONE_WORKSPACE", "SET_KEY_LIMITS", "Role", "is_above", "our_role", "wire_role"]

Role = Literal["owner", "admin", "developer", "billing", "reader"]
ALL_ROLES: tuple[Role, ...] = ("owner", "admin", "developer", "billing", "reader")

_EVERYONE = frozenset(ALL_ROLES)
_MANAGERS = frozenset({"owner", "admin"})
_KEYS = _MANAGERS | {"developer"}
_MONEY = _MANAGERS | {"billing"}
_TECHNICAL = _EVERYONE - {"billing"}
_INSPECT = _MANAGERS | {"reader"}

_ORGANIZATION = "/v1/organizations"
_OWN = "/v1/dragoman"

SET_KEY_LIMITS = f"PUT {_OWN}/limits/keys/{{key_id}}"

# Endpoint -> the roles that may use it. An endpoint without a row fails a test.
MAY: Mapping[str, frozenset[str]] = {
    f"GET {_ORGANIZATION}/me": _EVERYONE,
    f"GET {_ORGANIZATION}/api_keys": _EVERYONE,
    f"GET {_ORGANIZATION}/api_keys/{{api_key_id}}": _EVERYONE,
    f"POST {_ORGANIZATION}/api_keys/{{api_key_id}}": _KEYS,
    f"GET {_ORGANIZATION}/workspaces": _EVERYONE,
    f"POST {_ORGANIZATION}/workspaces": _MANAGERS,
    f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}": _EVERYONE,
    f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}": _MANAGERS,
    f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}/archive": _MANAGERS,
    f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/members": _EVERYONE,
    f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}/members": _MANAGERS,
    f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}": _EVERYONE,
    f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}": _MANAGERS,
    f"DELETE {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}": _MANAGERS,
    f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/rate_limits": _EVERYONE,
    f"GET {_ORGANIZATION}/users": _EVERYONE,
    f"GET {_ORGANIZATION}/users/{{user_id}}": _EVERYONE,
    f"POST {_ORGANIZATION}/users/{{user_id}}": _MANAGERS,
    f"DELETE {_ORGANIZATION}/users/{{user_id}}": _MANAGERS,
    f"GET {_ORGANIZATION}/invites": _INSPECT,
    f"POST {_ORGANIZATION}/invites": _MANAGERS,
    f"GET {_ORGANIZATION}/invites/{{invite_id}}": _INSPECT,
    f"DELETE {_ORGANIZATION}/invites/{{invite_id}}": _MANAGERS,
    f"GET {_ORGANIZATION}/rate_limits": _EVERYONE,
    f"GET {_ORGANIZATION}/usage_report/messages": _EVERYONE,
    f"GET {_ORGANIZATION}/cost_report": _EVERYONE,
    f"GET {_OWN}/keys": _EVERYONE,
    f"POST {_OWN}/keys": _KEYS,
    f"GET {_OWN}/keys/{{key_id}}": _EVERYONE,
    f"POST {_OWN}/keys/{{key_id}}": _KEYS,
    f"POST {_OWN}/keys/{{key_id}}/rotate": _KEYS,
    f"DELETE {_OWN}/keys/{{key_id}}": _KEYS,
    f"GET {_OWN}/members": _EVERYONE,
    f"POST {_OWN}/members": _MANAGERS,
    f"POST {_OWN}/members/{{member_id}}": _MANAGERS,
    f"POST {_OWN}/invites/{{invite_id}}/accept": _MANAGERS,
    f"GET {_OWN}/tiers": _EVERYONE,
    f"PUT {_OWN}/tiers/{{name}}": _MANAGERS,
    f"DELETE {_OWN}/tiers/{{name}}": _MANAGERS,
    f"GET {_OWN}/limits": _EVERYONE,
    f"PUT {_OWN}/limits/organization": _MANAGERS,
    f"PUT {_OWN}/limits/workspaces/{{workspace_id}}": _MANAGERS,
    SET_KEY_LIMITS: _MANAGERS,
    f"GET {_OWN}/budgets": _EVERYONE,
    f"POST {_OWN}/budgets": _MONEY,
    f"GET {_OWN}/budgets/{{budget_id}}": _EVERYONE,
    f"POST {_OWN}/budgets/{{budget_id}}": _MONEY,
    f"DELETE {_OWN}/budgets/{{budget_id}}": _MONEY,
    f"GET {_OWN}/providers": _TECHNICAL,
    f"GET {_OWN}/providers/{{name}}/credentials": _INSPECT,
    f"POST {_OWN}/providers/{{name}}/credentials": _MANAGERS,
    f"DELETE {_OWN}/providers/{{name}}/credentials/{{credential_id}}": _MANAGERS,
    f"GET {_OWN}/routes": _TECHNICAL,
    f"GET {_OWN}/requests": _EVERYONE,
    f"GET {_OWN}/requests/{{request_id}}": _EVERYONE,
}

# What an admin key that is bound to a workspace may use besides, if its role may: there it sees that workspace alone.
# All else is the whole organization's, and refused to it (403).
OF_ONE_WORKSPACE = frozenset(
    {
        f"GET {_ORGANIZATION}/me",
        f"GET {_ORGANIZATION}/api_keys",
        f"GET {_ORGANIZATION}/api_keys/{{api_key_id}}",
        f"POST {_ORGANIZATION}/api_keys/{{api_key_id}}",
        f"GET {_ORGANIZATION}/workspaces",
        f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}",
        f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}",
        f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/members",
        f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}/members",
        f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}",
        f"POST {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}",
        f"DELETE {_ORGANIZATION}/workspaces/{{workspace_id}}/members/{{user_id}}",
        f"GET {_ORGANIZATION}/workspaces/{{workspace_id}}/rate_limits",
        f"GET {_ORGANIZATION}/rate_limits",
        f"GET {_ORGANIZATION}/usage_report/messages",
        f"GET {_ORGANIZATION}/cost_report",
        f"GET {_OWN}/requests",
        f"GET {_OWN}/requests/{{request_id}}",
        f"GET {_OWN}/keys",
        f"POST {_OWN}/keys",
        f"GET {_OWN}/keys/{{key_id}}",
        f"POST {_OWN}/keys/{{key_id}}",
        f"POST {_OWN}/keys/{{key_id}}/rotate",
        f"DELETE {_OWN}/keys/{{key_id}}",
        f"GET {_OWN}/tiers",
        f"GET {_OWN}/routes",
    }
)

# What the classic endpoints call our roles. "claude_code_user" is kept as it is given, and may what a reader may.
_WIRE: Mapping[str, str] = {
    "owner": "admin",
    "admin": "admin",
    "developer": "developer",
    "billing": "billing",
    "reader": "user",
    "claude_code_user": "claude_code_user",
}


def wire_role(role: str) -> str:
    """Of a member, as the classic endpoints call it."""
    return _WIRE[role]


def our_role(wire: str) -> str:
    """What is kept for a role that the classic endpoints give: never owner or admin, which they cannot (ADM-6)."""
    return "reader" if wire == "user" else wire


def is_above(role: str | None, other: str | None) -> bool:
    """May a key of `role` make, change or end what has the role `other`? An owner anything, an admin all but owners,
    others nothing that has a role."""
    if other is None or role == "owner":
        return True
    return role == "admin" and other != "owner"
