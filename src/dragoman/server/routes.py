"""POST /v1/dragoman/route: who would answer a request, and why. Sent like the request itself; nobody is asked."""

from dragoman.errors import ApiError
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.pipeline import Reply, error_answer, identify
from dragoman.gateway.route_report import report
from dragoman.providers.base import Operation

from .incoming import Incoming, json_answer

__all__ = ["ROUTE", "explain_route"]

ROUTE = "/v1/dragoman/route"


async def explain_route(incoming: Incoming) -> Reply:
    gateway = incoming.gateway
    principal = await identify(gateway, incoming.headers, incoming.address)
    call = Call(
        operation=Operation.MESSAGES,
        headers=incoming.headers,
        body=incoming.body,
        request_id=incoming.request_id,
        arrived=incoming.arrived,
    )
    try:
        asked = Asked.read(call, principal, refuse_unknown_betas=gateway.config.unknown_betas == "refuse")
        gateway.permits.check(principal, asked.model)
        answered = json_answer(report(asked.model, gateway.dispatch.explain(asked)))
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    return Reply(incoming.request_id, answered, principal=principal)
