"""One request from door to door: read this first.

`answer` takes a call as the HTTP edge has read it and returns the reply for the edge to send. It reads in one
direction: who calls, what they ask, whether they may, who answers, the answer. Whatever happens on the way, the
caller gets a reply of the API, and the ledger gets one entry. Knows no HTTP framework, no SQL, no provider's name.
"""

import logging
from functools import partial
from typing import TYPE_CHECKING

from dragoman.errors import ApiError, CutOff, InternalError, PermissionDenied
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

from .auth.auth import Principal
from .auth.key_terms import is_from
from .batches.requests import check_params, check_size
from .call import Answer, Asked, Call
from .ledger.accounting import Entry
from .ledger.contents import Recording
from .limits.limits import Hold
from .reply import OUR_FAULT, Reply, end, refusal
from .routing.holding import held
from .routing.plans import Plan
from .routing.response_cache import is_cacheable
from .routing.routing import Route
from .upstream.checked import without_foreign_thinking

if TYPE_CHECKING:
    from .gateway import Gateway

__all__ = ["answer", "identify", "identify_admin", "refuse"]

log = logging.getLogger("dragoman.gateway")

LONG_S = 86_400.0  # of several targets each has its time; how long the caller waits is seen to apart


async def answer(gateway: "Gateway", call: Call) -> Reply:
    """The reply to a call. Raises nothing that a client can cause; cancel it when the caller hangs up."""
    entry = gateway.ledger.open(call.request_id, call.kind, arrived=call.arrived)
    hold: Hold | None = None
    principal: Principal | None = None
    recording: Recording | None = None
    try:
        # Who calls?
        principal = call.batched_for or await identify(gateway, call.headers, call.address)
        entry.principal = principal
        if gateway.contents is not None:
            recording = gateway.contents.begin(call.request_id, principal.workspace_id, call.body)

        # What do they ask? The envelope only: the rest is parsed where a target needs it.
        if call.batched_for is not None:
            check_size(call.body, gateway.config.server.body_limit_bytes)
        asked = Asked.read(call, principal, refuse_unknown_betas=gateway.config.unknown_betas == "refuse")
        entry.model, entry.stream = asked.model, asked.stream
        if call.batched_for is not None:
            check_params(asked.envelope)

        # Who is to answer, and who next? A budget needs the price, so this comes before what they may.
        gateway.permits.check(principal, asked.model)
        plan = gateway.dispatch.plan(asked)
        entry.route = plan.first

        # May they?
        hold = await gateway.limits.reserve(asked, plan.first)
        entry.spends = hold.spends

        # Is anything to go wrong on purpose? An error does so here, what befalls a reply below.
        injected = await gateway.faults.plan(asked)
        entry.is_spoilt = injected is not None

        # Does it go on from an earlier reply? Then what is asked from here on holds the whole conversation.
        asked, thread = await gateway.threads.begin(asked, plan.for_threads)

        # The answer, noted if it is one to go on from. A stream has begun when this returns: what fails from here on
        # is an event of it.
        answering = _ask(gateway, asked, plan, entry, may_keep=thread is None)
        answered = await (answering if thread is None else thread.note(answering))
        answered = await injected.apply(answered, entry) if injected else answered
        entry.status = answered.status
        return Reply(call.request_id, answered, principal=principal, entry=entry, hold=hold, recording=recording)
    except ApiError as error:
        return refusal(error, principal=principal, entry=entry, hold=hold, recording=recording)
    except Exception:
        log.exception("request %s failed by a fault of dragoman's", call.request_id)
        return refusal(InternalError(OUR_FAULT), principal=principal, entry=entry, hold=hold, recording=recording)
    except CutOff:  # somebody asked for the connection to break
        end(entry, hold, "cut")
        raise
    except BaseException:  # the caller hung up, or the server is stopped
        end(entry, hold, "abandoned")
        raise


async def _ask(gateway: "Gateway", asked: Asked, plan: Plan, entry: Entry, *, may_keep: bool) -> Answer:
    """The answer of whoever answers. Where there is a choice, or something to wait for, a stream is held back until it
    begins, but not for ever. Raises ApiError."""
    if plan.cache_s and may_keep and is_cacheable(asked):
        answering = _ask_or_remember(gateway, asked, plan, entry)
    elif plan.rule is None:
        return await _ask_one(gateway, asked, plan.first, entry)
    else:
        answering = _ask_some(gateway, asked, plan, entry)
    if not asked.stream:
        return await answering
    return await held(answering, within_s=gateway.config.server.ping_after_s, entry=entry)


async def _ask_or_remember(gateway: "Gateway", asked: Asked, plan: Plan, entry: Entry) -> Answer:
    """The answer that the very same request got before, or that one under way gets."""
    found = await gateway.replies.find(asked, plan.cache_s, scope=plan.scope)
    if isinstance(found, Answer):
        entry.note_cached()
        return plan.counted(found, 0)
    return await found.note(_ask_some(gateway, asked, plan, entry))


async def _ask_some(gateway: "Gateway", asked: Asked, plan: Plan, entry: Entry) -> Answer:
    """The answer of the only one, or of the first of several that gives one."""

    return await gateway.dispatch.ask(asked, plan, entry, partial(_ask_one, gateway, hold_s=LONG_S))


async def _ask_one(
    gateway: "Gateway", asked: Asked, route: Route, entry: Entry, *, hold_s: float | None = None
) -> Answer:
    """The answer of one target. Files that it names stand in the request then: here for an upstream; an engine of
    ours gets them when the request has been checked (gateway/local.py). Raises ApiError."""
    if not gateway.upstream.translates(route):
        asked = await without_foreign_thinking(asked)
    if route.is_local:
        return await gateway.local.ask(asked, route, entry)
    return await gateway.upstream.ask(await gateway.files.in_body(asked), route, entry, hold_s=hold_s)


def refuse(gateway: "Gateway", operation: Operation, error: ApiError, request_id: str, *, arrived: float) -> Reply:
    """The reply to a request whose body could not be taken: there is no call, but it is accounted."""
    entry = gateway.ledger.open(request_id, operation.value, arrived=arrived)
    return refusal(error, principal=None, entry=entry, hold=None)


async def identify(gateway: "Gateway", headers: Headers, address: str | None) -> Principal:
    """The principal of a request that comes from `address`, and may ask models.

    Raises Unauthenticated, PermissionDenied when the request names a workspace that the key is not of (HDR-8) or the
    key is for other uses or addresses, RateLimited after too many wrong keys, or Unavailable when the store is away.
    """
    principal = await _principal(gateway, headers, address)
    if principal.role is not None:
        raise PermissionDenied("This is an admin API key, which is not for this endpoint. Use a workspace's API key.")
    if headers.once(_workspace) not in (None, "", principal.workspace_id):
        raise PermissionDenied("anthropic-workspace-id: the API key belongs to another workspace")
    return principal


async def identify_admin(gateway: "Gateway", headers: Headers, address: str | None) -> Principal:
    """The principal of a request to the admin API: it has a role (ADM-1).

    Raises as `identify` does, and PermissionDenied for a key that is no admin key.
    """
    principal = await _principal(gateway, headers, address)
    if principal.role is None:
        raise PermissionDenied("This endpoint needs an admin API key.")
    return principal


async def _principal(gateway: "Gateway", headers: Headers, address: str | None) -> Principal:
    auth = gateway.auth
    mark = headers.once(auth.mark)
    principal = None if mark is None else auth.recall(mark)
    if principal is None:
        principal = await auth.identify(headers.get("x-api-key"), headers.get("authorization"), address=address)
    if principal.addresses is not None and not is_from(principal.addresses, address):
        raise PermissionDenied("This API key may not be used from your network address.")
    return principal


def _workspace(headers: Headers) -> str | None:
    return headers.get("anthropic-workspace-id")
