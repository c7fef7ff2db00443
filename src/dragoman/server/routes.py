"""POST /v1/dragoman/route: who would answer a request, and why. Sent like the request itself; nobody is asked."""

from dragoman.errors import ApiError
from dragoman.gateway.pipeline import identify
from dragoman.gateway.reply import Reply, error_answer
from dragoman.gateway.routing.report import explain

from .incoming import Incoming, json_answer

__all__ = ["ROUTE", "explain_route"]

ROUTE = "/v1/dragoman/route"


async def explain_route(incoming: Incoming) -> Reply:
    gateway = incoming.gateway
    principal = await identify(gateway, incoming.headers, incoming.address)
    try:
        told = explain(gateway.dispatch, principal, incoming.headers, incoming.body, permits=gateway.permits)
        answered = json_answer(told)
    except ApiError as error:
        answered = error_answer(error, incoming.request_id)
    return Reply(incoming.request_id, answered, principal=principal)
