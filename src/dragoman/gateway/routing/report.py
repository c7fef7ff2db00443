"""What would be done with a request, and why, in words and numbers: for `dragoman route explain` and its endpoint."""

from typing import Any

from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.auth.permits import Permits
from dragoman.gateway.call import Asked, Call
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

from .dispatch import Dispatch
from .plans import Explained

__all__ = ["explain", "report"]

NANO = 1_000_000_000


def explain(
    dispatch: Dispatch, principal: Principal, headers: Headers, body: bytes, *, permits: Permits | None = None
) -> dict[str, Any]:
    """The report on a request to a model, that is not sent. Raises ApiError; NotFound for a model that `permits` does
    not let the caller ask."""
    call = Call(operation=Operation.MESSAGES, headers=headers, body=body, request_id="", arrived=0.0)
    asked = Asked.read(call, principal, refuse_unknown_betas=False)
    if permits is not None:
        permits.check(principal, asked.model)
    return report(asked.model, dispatch.explain(asked))


def report(model: str, explained: Explained) -> dict[str, Any]:
    """As JSON. Costs are US dollars as decimal text, times seconds; null where nobody knows."""
    need = explained.need
    return {
        "type": "route_explanation",
        "model": model,
        "policy": explained.policy,
        "condition": explained.condition,
        "request": {
            "input_tokens": need.tokens,
            "images": need.images,
            "documents": need.documents,
            "tools": need.tools,
        },
        "order": list(explained.order),
        "targets": [
            {
                "target": standing.name,
                "place": reason.place,
                "why": reason.why,
                "score": reason.score,
                "weight": standing.weight,
                "is_well": standing.is_well,
                "running": standing.running,
                "room": standing.room,
                "is_warm": standing.is_home,
                "warm_tokens": standing.warm_tokens,
                "context_tokens": standing.context_tokens,
                "expected_output_tokens": round(standing.output_tokens),
                "expected_cost_usd": _usd(standing.cost_nano),
                "expected_first_token_s": None if standing.speed is None else standing.speed.first_s,
                "expected_tokens_per_s": None if standing.speed is None else standing.speed.per_s,
            }
            for standing, reason in zip(explained.standings, explained.reasons, strict=True)
        ],
    }


def _usd(nano: int | None) -> str | None:
    """Exact, without an exponent."""
    return None if nano is None else f"{nano // NANO}.{nano % NANO:09d}"
