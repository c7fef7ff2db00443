"""One request from door to door: read this first.

`answer` takes a call as the HTTP edge has read it and returns the reply for the edge to send. It reads in one
direction: who calls, what they ask, whether they may, who answers, the answer. Whatever happens on the way, the
caller gets a reply of the API, and the ledger gets one entry. Knows no HTTP framework, no SQL, no provider's name.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from dragoman.engines.base import Engine
from dragoman.errors import ApiError, BodyTimedOut, CutOff, InternalError, PermissionDenied
from dragoman.http.base import Transport
from dragoman.providers.base import Dialect, Operation
from dragoman.store.base import Store
from dragoman.store.counters import Counters
from dragoman.store.files import FileFolder
from dragoman.wire.headers import Headers
from dragoman.wire.sse import encode_sse

from .accounting import Entry, Ledger, Outcome
from .auth import Auth, Principal
from .batch_requests import check_params, check_size
from .batches import Batches
from .budgets import Budgets
from .call import Answer, Asked, Call, Write
from .catalogue import Catalogue
from .checked import without_foreign_thinking
from .config import OFFLINE, Config, ProviderConfig
from .contents import Contents, Recording
from .credentials import Signer
from .credentials_store import ProviderKeys
from .dispatch import ATTEMPTS_HEADER, Dispatch, Plan
from .faults import Faults
from .files import Files
from .holding import held
from .ids import new_id
from .journal import Journal
from .key_terms import is_from
from .limits import Hold, Limits
from .local import Local
from .model_groups import ModelGroups
from .permits import Permits
from .policies import Policies
from .prices import Prices
from .readiness import Readiness, checks
from .response_cache import ResponseCache, is_cacheable
from .retention import Retention
from .routing import Route, Router, aliases
from .threads import Threads
from .upstream import Upstream
from .webhooks import Webhooks

if TYPE_CHECKING:
    from .handle import GatewayHandle

__all__ = ["OUR_FAULT", "Gateway", "Reply", "answer", "error_answer", "identify", "identify_admin", "new_id", "refuse"]

log = logging.getLogger("dragoman.gateway")

LONG_S = 86_400.0  # of several targets each has its time; how long the caller waits is seen to apart
OUR_FAULT = "Internal server error"  # all that a caller is told of it (ERR-54)


class Gateway:
    """What every request needs, put together once at start."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        file_folder: FileFolder,
        auth: Auth,
        provider_keys: ProviderKeys,
        prices: Prices,
        journal: Journal | None,  # None: the ledger is off
        counters: Counters | None = None,  # None: this process's own
        webhooks: Webhooks,
        engines: Mapping[str, Engine],  # of our own, by the names of their providers
        dialects: Iterable[Dialect],
        transport_of: Callable[[ProviderConfig], Transport],
        signer_of: Callable[[ProviderConfig], Signer | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        first = engines.get(config.route_provider.name)
        known = Catalogue.load(supports=first.supports if first else None)
        self.config = config
        self.clock = clock
        self.store = store
        self.auth = auth
        self.provider_keys = provider_keys
        listed = known.without_retired() if config.retired == "refuse" else known
        self.catalogue = listed.with_aliases(aliases(config, known))
        self.faults = Faults(config.faults)
        self.prices = prices
        self.journal = journal
        self.ledger = Ledger(clock=clock, prices=prices, journal=journal)
        self.contents = Contents(store.usage) if config.ledger.contents else None
        self.retention = Retention(store.usage, config.ledger)
        self.router = Router(config, known)
        self.permits = Permits(self.router)
        self.webhooks = webhooks
        self.budgets = Budgets(
            config.budgets,
            store=store.budgets,
            prices=prices,
            default_workspace_id=auth.workspace_id,
            tell=webhooks.tell,
            candidates=self.router.candidates,
            catch_up=None if journal is None else journal.catch_up,
        )
        groups = ModelGroups(self.router, config)
        self.limits = Limits(
            config.limits,
            groups=groups,
            default_workspace_id=auth.workspace_id,
            counters=counters,
            spending=self.budgets,
            clock=clock,
        )
        self.policies = Policies(self.limits, config.limits, store=store.organization)
        self.threads = Threads(clock=clock, body_limit_bytes=config.server.body_limit_bytes)
        self.files = Files(
            store.files,
            file_folder,
            new_id=new_id,
            clock=clock,
            limit_bytes=config.server.files_limit_bytes,
            inline_limit_bytes=config.server.body_limit_bytes,
        )
        needs_counters = config.limits.without_counters == "refuse"
        self.readiness = Readiness(checks(store, self.limits.counters, needs_counters=needs_counters), clock=clock)
        self._engines = engines
        self.local = Local(engines, files=self.files, new_id=new_id)
        self.batches = Batches(
            store.batches,
            ask=self._ask_for_batch,
            clock=clock,
            new_id=new_id,
            limit_bytes=config.server.body_limit_bytes,
        )
        # An upstream that is silent for `ping_after_s` gets its caller a ping, so from then on it is a stream.
        self.upstream = Upstream(
            {dialect.name: dialect for dialect in dialects},
            transport_of=transport_of,
            signer_of=signer_of,
            hold_s=config.server.ping_after_s,
            new_id=new_id,
        )
        self.replies = ResponseCache(clock=clock, new_id=new_id)
        self.dispatch = Dispatch(
            self.router,
            prices=prices,
            caches=self.upstream.translates,
            has_several_keys=self.upstream.has_several_keys,
            has_fresh_key=self.upstream.has_fresh_key,
            clock=clock,
        )

    @classmethod
    def open(cls, config: "Config | Mapping[str, Any] | str | os.PathLike[str] | None" = None) -> "GatewayHandle":
        """A gateway for clients in this process: `Client(gateway=Gateway.open(config))`.

        `config` is the path of a TOML file, a dictionary of the same shape, a Config, or None: then what
        `dragoman serve` would find, if anything. Unless a database is named there it is in memory. The gateway runs
        from a client's first request until the last client that has it is closed. Raises ConfigError.
        """
        from .handle import open_handle

        return open_handle(config)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            opened.push_async_callback(self.store.close)
            opened.push_async_callback(self.upstream.aclose)
            opened.callback(self.threads.close)
            for engine in self._engines.values():
                opened.push_async_callback(engine.aclose)
            self.upstream.open(each for each in self.config.providers.values() if each.dialect != OFFLINE)
            await self.store.open()
            if self.journal is not None:
                self.journal.open()
                opened.push_async_callback(self.journal.aclose)
            opened.push_async_callback(self.webhooks.aclose)
            opened.push_async_callback(self.limits.counters.aclose)
            await self.limits.counters.open()
            await self.budgets.open()
            opened.push_async_callback(self.budgets.aclose)
            await self.policies.open()
            opened.push_async_callback(self.policies.aclose)
            self.retention.start()
            opened.push_async_callback(self.retention.aclose)
            if self.contents is not None:
                self.contents.start()
                opened.push_async_callback(self.contents.aclose)
            await self.provider_keys.open(self.upstream.use_keys)
            opened.push_async_callback(self.provider_keys.aclose)
            opened.push_async_callback(self.files.aclose)
            await self.files.open()
            self.batches.start()
            opened.push_async_callback(self.batches.aclose)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def _ask_for_batch(self, call: Call) -> tuple[int, bytes, int | None]:
        """Status, body and `retry-after` (whole seconds) of the reply to a request of a batch."""
        reply = await answer(self, call)
        await reply.aclose()
        after = dict(reply.headers).get("retry-after", "")
        return reply.status, reply.body, int(after) if after.isdecimal() and len(after) < 10 else None


async def answer(gateway: Gateway, call: Call) -> "Reply":
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
        asked, thread = await gateway.threads.begin(asked, plan.first)

        # The answer, noted if it is one to go on from. A stream has begun when this returns: what fails from here on
        # is an event of it.
        answering = _ask(gateway, asked, plan, entry, may_keep=thread is None)
        answered = await (answering if thread is None else thread.note(answering))
        answered = await injected.apply(answered, entry) if injected else answered
        entry.status = answered.status
        return Reply(call.request_id, answered, principal=principal, entry=entry, hold=hold, recording=recording)
    except ApiError as error:
        return _refusal(error, principal=principal, entry=entry, hold=hold, recording=recording)
    except Exception:
        log.exception("request %s failed by a fault of dragoman's", call.request_id)
        return _refusal(InternalError(OUR_FAULT), principal=principal, entry=entry, hold=hold, recording=recording)
    except CutOff:  # somebody asked for the connection to break
        _end(entry, hold, "cut")
        raise
    except BaseException:  # the caller hung up, or the server is stopped
        _end(entry, hold, "abandoned")
        raise


async def _ask(gateway: Gateway, asked: Asked, plan: Plan, entry: Entry, *, may_keep: bool) -> Answer:
    """The answer of whoever answers. Where there is a choice, or something to wait for, a stream is held back until it
    begins, but not for ever. Raises ApiError."""
    rule = plan.rule
    if rule is None:
        return await _ask_one(gateway, asked, plan.first, entry)
    if rule.cache_s and may_keep and is_cacheable(asked):
        answering = _ask_or_remember(gateway, asked, plan, rule.cache_s, entry)
    else:
        answering = _ask_some(gateway, asked, plan, entry)
    if not asked.stream:
        return await answering
    return await held(answering, within_s=gateway.config.server.ping_after_s, entry=entry)


async def _ask_or_remember(gateway: Gateway, asked: Asked, plan: Plan, ttl_s: int, entry: Entry) -> Answer:
    """The answer that the very same request got before, or that one under way gets."""
    found = await gateway.replies.find(asked, ttl_s, scope=plan.scope)
    if isinstance(found, Answer):
        entry.note_cached()
        return found
    return await found.note(_ask_some(gateway, asked, plan, entry))


async def _ask_some(gateway: Gateway, asked: Asked, plan: Plan, entry: Entry) -> Answer:
    """The answer of the only one, or of the first of several that gives one."""

    async def ask(asked: Asked, route: Route, entry: Entry) -> Answer:
        return await _ask_one(gateway, asked, route, entry, hold_s=LONG_S)

    return await gateway.dispatch.ask(asked, plan, entry, ask)


async def _ask_one(
    gateway: Gateway, asked: Asked, route: Route, entry: Entry, *, hold_s: float | None = None
) -> Answer:
    """The answer of one target. Files that it names stand in the request then: here for an upstream; an engine of
    ours gets them when the request has been checked (gateway/local.py). Raises ApiError."""
    if not gateway.upstream.translates(route):
        asked = await without_foreign_thinking(asked)
    if route.is_local:
        return await gateway.local.ask(asked, route, entry)
    return await gateway.upstream.ask(await gateway.files.in_body(asked), route, entry, hold_s=hold_s)


def refuse(gateway: Gateway, operation: Operation, error: ApiError, request_id: str, *, arrived: float) -> "Reply":
    """The reply to a request whose body could not be taken: there is no call, but it is accounted."""
    entry = gateway.ledger.open(request_id, operation.value, arrived=arrived)
    return _refusal(error, principal=None, entry=entry, hold=None)


async def identify(gateway: Gateway, headers: Headers, address: str | None) -> Principal:
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


async def identify_admin(gateway: Gateway, headers: Headers, address: str | None) -> Principal:
    """The principal of a request to the admin API: it has a role (ADM-1).

    Raises as `identify` does, and PermissionDenied for a key that is no admin key.
    """
    principal = await _principal(gateway, headers, address)
    if principal.role is None:
        raise PermissionDenied("This endpoint needs an admin API key.")
    return principal


async def _principal(gateway: Gateway, headers: Headers, address: str | None) -> Principal:
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


class Reply:
    """What the edge sends. It must be closed, sent or not: then the entry is settled and the hold released."""

    def __init__(
        self,
        request_id: str,
        answered: Answer,
        *,
        principal: Principal | None = None,
        entry: Entry | None = None,
        hold: Hold | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.request_id = answered.request_id or request_id
        self.status = answered.status
        self.headers = [*answered.headers, ("request-id", self.request_id)]
        if principal is not None:
            self.headers += principal.headers
        if hold is not None:
            self.headers = hold.tell(self.headers, status=self.status)
        self.body = answered.body
        self.media_type = answered.media_type
        self.is_stream = answered.stream is not None
        self._stream = answered.stream
        self._lost = answered.lost
        self._entry = entry
        self._hold = hold
        self._recording = recording

    @property
    def has_more(self) -> bool:
        """False when it is known that no piece follows: then the last one can end the reply."""
        return not getattr(self._stream, "is_over", False)

    def pass_to(self, write: Write) -> None:
        """Let pieces go to `write` in the step in which they come, where the stream can do that. What it does not take
        comes by `next_piece`, and so does the last piece."""
        stream, hold = self._stream, self._hold
        if stream is None or not hasattr(stream, "write"):
            return
        if self._recording is not None:
            write = self._recording.over(write)

        def counted(piece: bytes) -> bool:
            is_taken = write(piece)
            if is_taken and hold is not None:
                hold.saw(piece)
            return is_taken

        stream.write = write if hold is None else counted

    async def next_piece(self) -> bytes | None:
        """The next piece of a stream, None at its end. A fault of ours becomes an `error` event (STR-40)."""
        if self._stream is None:
            return None
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            return None
        except Exception:
            return await self._failed()
        if self._hold is not None:
            self._hold.saw(piece)
        if self._recording is not None:
            self._recording.saw(piece)
        return piece

    async def _failed(self) -> bytes:
        log.exception("request %s failed in mid-stream by a fault of dragoman's", self.request_id)
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
        fault = InternalError(OUR_FAULT)
        if self._entry is not None:
            self._entry.outcome, self._entry.error = "cut", fault.kind
        return encode_sse("error", msgspec.json.encode(fault.body(self.request_id)))

    async def aclose(self, outcome: Outcome | None = None) -> None:
        """Stop what still runs, then settle. `outcome`: what became of it, if it did not come to its end."""
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            if outcome is not None and self._lost is not None:
                self._lost()
            if self._entry is not None:
                _end(self._entry, self._hold, outcome)
            if self._recording is not None:
                self._recording.end(self.body)


def _end(entry: Entry, hold: Hold | None, outcome: Outcome | None) -> None:
    entry.gather()
    if entry.attempt is not None:
        entry.attempt.ended(entry, "abandoned" if entry.is_spoilt else outcome)
    seen = hold.seen_tokens() if hold is not None else 0
    cost_nano = entry.settle(outcome, seen_tokens=seen)
    if hold is not None:
        is_whole = outcome is None and entry.outcome == "answered"
        cost_nano = None if cost_nano is None or entry.others_nano is None else cost_nano + entry.others_nano
        hold.release(entry.usage, status=entry.status, is_whole=is_whole, cost_nano=cost_nano)


def _refusal(
    error: ApiError,
    *,
    principal: Principal | None,
    entry: Entry,
    hold: Hold | None,
    recording: Recording | None = None,
) -> Reply:
    entry.status, entry.outcome, entry.error = error.status, "refused", error.kind
    answered = error_answer(error, entry.request_id)
    if entry.tries is not None:
        answered.headers.append((ATTEMPTS_HEADER, str(entry.tries)))
    return Reply(entry.request_id, answered, principal=principal, entry=entry, hold=hold, recording=recording)


def error_answer(error: ApiError, request_id: str) -> Answer:
    """An error in the API's envelope, with the headers that belong to it (ERR-1, ERR-2, HDR-38)."""
    headers = error.headers()
    if error.status == 429:
        headers.append(("x-should-retry", "true"))
    elif error.status < 500 and error.status != 409 and not isinstance(error, BodyTimedOut):
        headers.append(("x-should-retry", "false"))
    return Answer(status=error.status, headers=headers, body=msgspec.json.encode(error.body(request_id)))
