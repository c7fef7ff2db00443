"""One entry for each request, written once however the request ends: answered, refused, cut off, or abandoned.

Each becomes a row of the ledger, with what it cost, which the journal brings into the store, and a line of the log.
Neither holds a key, a prompt or a reply.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.prices.prices import LOCAL, UNKNOWN, Cost, Prices, cache_writes
from dragoman.gateway.routing.routing import Route
from dragoman.providers.base import Operation
from dragoman.store.ledger import LedgerRow
from dragoman.wire.types import CacheCreation, Usage

from .input_estimate import estimate_input_tokens
from .journal import Journal, Tokens

if TYPE_CHECKING:
    from dragoman.gateway.routing.dispatch import Attempt

__all__ = ["Entry", "Ledger", "Outcome", "price_row"]

log = logging.getLogger("dragoman.requests")

WORD_CHARS = 200  # of a row's words, at most
LOST_CHARS = 1000
MOST_TOKENS = 10**12  # more than any upstream can mean: sums must fit their columns
_KEY = re.compile(r"\bsk-[\w-]{20,}")  # somebody has put one in the place of a model's name
MOST_NANO = 10**15  # a million dollars for a request: no upstream means that
_UNFIT = re.compile("[\0\ud800-\udfff]")  # letters that not every database takes

# answered: the whole reply went out. refused: an error did. cut: a stream broke off, by the upstream's fault or by the
# server's stop. abandoned: the caller hung up, or the server stopped, before the reply was complete.
Outcome = Literal["answered", "refused", "cut", "abandoned"]

# What is of a request to a provider, and not of the one that a caller has sent.
OF_ATTEMPTS = (
    "_first_content", "_is_told", "_queued_s", "_sent", "_tokens", "_waited", "lost", "route", "seen_tokens",
    "stop_reason", "upstream_request_id", "usage",
)  # fmt: skip
FREE = Cost(0, "", "")
CACHED = Cost(0, "cache", "")
UNKNOWN_COST = Cost(None, UNKNOWN, "")
NO_TOKENS = Tokens()
NO_USAGE = Usage(input_tokens=0, output_tokens=0)


class Entry:
    """What is known of one request so far. Whoever learns more writes it here; `settle` writes the row."""

    __slots__ = (
        "_arrived",
        "_at_us",
        "_clock",
        "_doubt",
        "_first_content",
        "_is_cached",
        "_is_settled",
        "_is_told",
        "_ledger",
        "_queued_s",
        "_sent",
        "_source",
        "_tokens",
        "_waited",
        "_write",
        "attempt",
        "attempts",
        "error",
        "is_spoilt",
        "lost",
        "model",
        "operation",
        "others_nano",
        "outcome",
        "principal",
        "request_id",
        "route",
        "seen_tokens",
        "spends",
        "status",
        "stop_reason",
        "stream",
        "tries",
        "upstream_request_id",
        "usage",
    )  # fmt: skip

    def __init__(
        self,
        request_id: str,
        operation: str,
        *,
        arrived: float,
        clock: Callable[[], float],
        write: Callable[[str], None] = log.info,
        ledger: "Ledger | None" = None,
    ) -> None:
        self.request_id = request_id
        self.operation = operation
        self.principal: Principal | None = None
        self.model: str | None = None  # as the caller named it
        self.route: Route | None = None  # who answers
        self.spends: Sequence[tuple[str, int]] = ()  # (budget id, start of its window) that its cost counts for
        self.lost: Sequence[str] = ()  # what the target did not get, by the names of the Messages API
        self.upstream_request_id: str | None = None
        self.stream = False
        self.status = 0
        self.attempts = 0  # requests that were sent to providers
        self.attempt: Attempt | None = None  # of a route with several targets, the one under way
        self.tries: int | None = None  # that a route with several targets has made of them all, in vain
        self.others_nano: int | None = 0  # what the rows beside this one cost; None where that is not known
        self.is_spoilt = False  # a fault was injected: what becomes of it says nothing of its target
        self.usage: Usage | None = None
        self.seen_tokens = 0  # of output, as far as one can tell, where the usage is not told
        self.stop_reason: str | None = None
        self.outcome: Outcome = "answered"
        self.error: str | None = None  # the wire's `error.type`
        self._arrived = arrived
        self._at_us: int | None = None
        self._first_content: float | None = None
        self._sent: float | None = None  # while a provider is waited for: since when
        self._waited: float | None = None
        self._queued_s = 0.0
        self._is_cached = False
        self._source: Entry | None = None
        self._doubt: tuple[Route, bytes] | None = None  # who was asked what, and may charge for what is not told
        self._is_told = False  # `usage` is all of it
        self._tokens: Tokens | None = None  # of `usage`, once it is told
        self._clock = clock
        self._write = write
        self._ledger = ledger
        self._is_settled = False

    def note_content(self) -> None:
        """The first content is here: the time to it is taken once."""
        if self._first_content is None:
            self._first_content = self._clock()

    @property
    def is_counted(self) -> bool:
        """It has so many attempts and no more: whatever is sent is one of them."""
        return self.attempt is not None and len(self.attempt.plan.routes) > 1

    @property
    def first_content(self) -> float | None:
        """When it came, in monotonic seconds."""
        return self._first_content

    def note_queued(self, seconds: float) -> None:
        """So long it has waited for a place, or for the next attempt."""
        self._queued_s += seconds
        if self._source is not None:
            self._source._queued_s += seconds

    def attempted(self, attempt: "Attempt") -> None:
        """A target is asked: what one before it told of itself counts no more."""
        self.note_received()
        if (source := self._source) is not None:  # it has failed
            source.note_received()
            self.attempts += source.attempts
            self._doubt = source._doubt or self._doubt
            self._waited = source._waited
            self._source = None
        self.attempt, self.route = attempt, attempt.route
        self.outcome, self.error, self.status = "answered", None, 0
        self.usage = self.stop_reason = self.upstream_request_id = None
        self.lost = ()
        self.seen_tokens = 0
        self._tokens = self._first_content = None
        self._is_told = False

    def fork(self, suffix: str) -> "Entry":
        """The account of one of several requests that are sent for this one at once; see `follow` and `lose`."""
        forked = Entry(
            self.request_id + suffix,
            self.operation,
            arrived=self._arrived,
            clock=self._clock,
            write=self._write,
            ledger=self._ledger,
        )
        forked.principal, forked.model, forked.stream = self.principal, self.model, self.stream
        forked.spends, forked._queued_s, forked._waited = self.spends, self._queued_s, self._waited
        return forked

    def follow(self, fork: "Entry") -> None:
        """That one is the answer: what it tells of itself, now and later, is of this request."""
        self._source = fork
        self.attempt = fork.attempt

    @property
    def followed(self) -> "Entry | None":
        return self._source

    def lose(
        self, of: "Entry", request_id: str, error: str, outcome: Outcome = "abandoned", *, seen_tokens: int = 0
    ) -> None:
        """Another one is the answer to the request `of`, or the rest of it: this one gets a row of its own, as it has
        its cost."""
        self.request_id, self.error = request_id, error
        if self.attempt is not None:
            self.attempt.ended(self, outcome)
        cost_nano = self.settle(outcome, seen_tokens=seen_tokens)
        of.others_nano = None if cost_nano is None or of.others_nano is None else of.others_nano + cost_nano

    def gather(self) -> None:
        """Take over what the one that is followed tells."""
        source = self._source
        if source is None:
            return
        for name in OF_ATTEMPTS:
            setattr(self, name, getattr(source, name))
        if source.attempts:
            self._doubt = source._doubt
        self.attempts += source.attempts
        source.attempts = 0
        if self.outcome == "answered":
            self.outcome, self.error = source.outcome, source.error

    def note_cached(self) -> None:
        """The answer was there already: nobody is asked, and it costs nothing."""
        self._is_cached = True

    def note_sent(self, body: bytes) -> None:
        """The request goes to the provider now: from here on it may cost something, also if this process dies."""
        self.attempts += 1
        self._sent = self._clock()
        ledger, principal, route = self._ledger, self.principal, self.route
        self._doubt = None if route is None else (route, body)
        if ledger is None or ledger.journal is None or principal is None or route is None:
            return
        # As journal.Begun has them.
        ledger.journal.begin(
            (
                self.request_id, self._arrived_at(), principal.organization_id, principal.workspace_id,
                principal.key_id, self.operation, _text(self.model or ""), route.provider.name,
                _text(route.model_name), self.attempts, self.stream, principal.tags, self.spends,
            )
        )  # fmt: skip

    def note_received(self) -> None:
        """The provider's reply has ended: what follows is our own time."""
        if self._sent is not None:
            self._waited = (self._waited or 0.0) + self._clock() - self._sent
            self._sent = None

    def note_free(self) -> None:
        """The provider has refused the request, or never got it."""
        self._doubt = None

    def note_usage(self, usage: Usage | None, stop_reason: str | None = None, *, is_whole: bool = True) -> None:
        """What the provider has told of its usage: it is journalled before the caller gets to see it."""
        self.usage = usage
        self.stop_reason = stop_reason
        self._is_told = is_whole and usage is not None
        self._tokens = None
        if usage is None:
            return
        self._tokens = _tokens(usage)
        if self._ledger is not None and self._ledger.journal is not None and self.attempts:
            self._ledger.journal.seen((self.request_id, self._tokens, _word_or_none(stop_reason), is_whole))

    def settle(self, outcome: Outcome | None = None, *, seen_tokens: int = 0) -> int | None:
        """Write the row. Only the first call counts; `outcome` overrules what was noted.

        `seen_tokens` of output went out, as far as one can tell, of a stream that broke off. Returns the cost in
        nano-dollars; None where it is not known.
        """
        if self._is_settled:
            return None
        self._is_settled = True
        if self.usage is None and self._doubt is not None:
            self.route, _ = self._doubt
        if outcome is not None:
            self.outcome = outcome
        self._write(self._row())
        if self._ledger is None:
            return None
        self.note_received()
        is_answer = self.usage is not None and self.outcome != "refused"
        is_free = self.operation == Operation.COUNT_TOKENS.value or not (self._doubt is not None or is_answer)
        usage, tokens = self.usage, self._tokens
        is_estimated = not (is_free or self._is_told)
        if is_free:
            usage, tokens = None, NO_TOKENS
        elif is_estimated:
            usage = self._estimated(max(seen_tokens, self.seen_tokens))
            tokens = _tokens(usage)
        elif tokens is None:
            tokens = _tokens(usage or NO_USAGE)
        cost = (CACHED if self._is_cached else FREE) if usage is None else self._cost(usage)
        if self._ledger.journal is not None:
            values = self._values(tokens or NO_TOKENS, cost, is_estimated=is_estimated)
            self._ledger.journal.end(self.request_id, values)
        return cost.nano_usd

    def _estimated(self, seen_tokens: int) -> Usage:
        """What the provider has told of its usage so far or, where that is nothing, what it was asked; and what was
        seen of its output."""
        if self.usage is not None:
            return _with_output(self.usage, seen_tokens)
        asked = 0 if self._doubt is None else estimate_input_tokens(self._doubt[1])
        return Usage(input_tokens=asked, output_tokens=seen_tokens)

    def _cost(self, usage: Usage) -> Cost:
        assert self._ledger is not None
        if self.route is None:
            return FREE
        is_known = self.usage is not None or self._doubt is not None
        provider, model = self.route.provider.name, self.route.model_name
        return self._ledger.cost(provider, model, usage, self._arrived_at(), is_known=is_known)

    def _arrived_at(self) -> int:
        """Unix microseconds."""
        if self._at_us is None:
            now = time.time() if self._ledger is None else self._ledger.now()
            self._at_us = int((now - self._clock() + self._arrived) * 1_000_000)
        return self._at_us

    def _values(self, tokens: Tokens, cost: Cost, *, is_estimated: bool) -> tuple[object, ...]:
        """Of a LedgerRow, in the order of its fields: to make one takes twice as long, and the journal wants none."""
        principal, route = self.principal, self.route
        total, first = self._clock() - self._arrived, self._first_content
        organization = workspace = key = provider = model = ""
        tags: str | None = None
        if principal is not None:
            organization, workspace, key = principal.organization_id, principal.workspace_id, principal.key_id
            tags = principal.tags
        overhead: int | None = int((total - (self._waited or 0.0) - self._queued_s) * 1_000_000)
        if route is not None:
            provider, model = route.provider.name, _text(route.model_name)
            overhead = None if route.is_local else overhead
        return (
            self.request_id, self._arrived_at(), organization, workspace, key, self.operation,
            "" if self.model is None else _text(self.model), provider, model,
            self.attempts, self.status, self.outcome, _word_or_none(self.error), _word_or_none(self.stop_reason),
            self.stream,
            tokens.input, tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_read, tokens.output,
            tokens.web_searches, is_estimated, tokens.service_tier, tokens.inference_geo, tokens.speed,
            cost.nano_usd, cost.source or None, cost.date or None,
            int(self._queued_s * 1_000_000) or None,
            None if first is None else int((first - self._arrived) * 1_000_000),
            int(total * 1_000_000), overhead,
            _word_or_none(self.upstream_request_id), _text(",".join(self.lost), LOST_CHARS) if self.lost else None,
            tags, self.spends,
        )  # fmt: skip

    def _row(self) -> str:
        """The fields that are known, `name=value`, in this order."""
        row = f"request_id={self.request_id} operation={self.operation} outcome={self.outcome} status={self.status}"
        if self.error is not None:
            row += f" error={_word(self.error)}"
        if self.principal is not None:
            row += f" key={self.principal.key_id}"
        if self.model is not None:
            row += f" model={_known_word(self.model)}"
        if self.route is not None:
            row += f" target={_known_word(self.route.name)}"
        if self.upstream_request_id is not None:
            row += f" upstream_request_id={_word(self.upstream_request_id)}"
        if self.lost:
            row += f" lost={_word(','.join(self.lost))}"
        row += " stream=yes" if self.stream else " stream=no"
        if (usage := self.usage) is not None:
            row += f" input_tokens={_word(usage.input_tokens)}"
            if usage.cache_creation_input_tokens is not None:
                row += f" cache_creation_input_tokens={_word(usage.cache_creation_input_tokens)}"
            if usage.cache_read_input_tokens is not None:
                row += f" cache_read_input_tokens={_word(usage.cache_read_input_tokens)}"
            row += f" output_tokens={_word(usage.output_tokens)}"
        if self._first_content is not None:
            row += f" first_ms={(self._first_content - self._arrived) * 1000:.1f}"
        return f"{row} ms={(self._clock() - self._arrived) * 1000:.1f}"


def _word(value: object) -> str:
    """One word of a log line, whatever a caller or an upstream put into it: a number may turn out to be none."""
    word = str(value)[:WORD_CHARS]
    if type(value) is int:
        return word
    word = _without_key(word)
    if word and word.isascii() and word.isprintable() and " " not in word:
        return word
    return ascii(word).replace(" ", "\\x20")


_kept_word = lru_cache(1000)(_word)


def _known_word(value: str) -> str:
    """Of what comes again and again, and is as long as a caller likes."""
    return _kept_word(value) if len(value) <= WORD_CHARS else _word(value)


def _text(value: str, limit: int = WORD_CHARS) -> str:
    """As much of what a caller or an upstream put there as every database takes."""
    value = _without_key(value[:limit])
    return value if value.isascii() and "\0" not in value else _UNFIT.sub("\ufffd", value)


def _without_key(value: str) -> str:
    return _KEY.sub("sk-***", value) if "sk-" in value else value


def _word_or_none(value: object) -> str | None:
    return _text(value) if isinstance(value, str) else None


def _tokens(usage: Usage) -> Tokens:
    """In disjoint buckets. What an upstream told that is no number counts nothing here; its price is not known then."""
    write_5m = write_1h = searches = 0
    if usage.cache_creation_input_tokens or usage.cache_creation is not None:
        try:
            write_5m, write_1h = cache_writes(usage)
        except TypeError:
            write_5m = write_1h = 0
    if usage.server_tool_use:
        searches = _number(usage.server_tool_use.get("web_search_requests"))
    tier, geo, speed = usage.service_tier, usage.inference_geo, usage.speed
    return Tokens(
        _number(usage.input_tokens),
        write_5m and _number(write_5m),
        write_1h and _number(write_1h),
        _number(usage.cache_read_input_tokens),
        _number(usage.output_tokens),
        searches,
        tier and _word_or_none(tier),
        geo and _word_or_none(geo),
        speed and _word_or_none(speed),
    )


def _number(told: object) -> int:
    return min(told, MOST_TOKENS) if type(told) is int and told > 0 else 0


def _with_output(usage: Usage, seen_tokens: int) -> Usage:
    """Of a stream that broke off: what its beginning told, and the output that was seen."""
    if type(usage.output_tokens) is int and usage.output_tokens >= seen_tokens:
        return usage
    return replace(usage, output_tokens=seen_tokens)


class Ledger:
    """Opens entries. `clock` gives monotonic seconds, `now` Unix seconds; `write` takes one row, a line of text without
    its end. Without a journal rows go nowhere else."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        now: Callable[[], float] = time.time,
        write: Callable[[str], None] = log.info,
        prices: Prices | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.write = write
        self.now = now
        self.journal = journal
        self.unpriced = 0  # requests whose cost is not known
        self._prices = prices
        self._clock = clock

    def open(self, request_id: str, operation: str, *, arrived: float) -> Entry:
        return Entry(request_id, operation, arrived=arrived, clock=self._clock, write=self.write, ledger=self)

    def cost(self, provider: str, model: str, usage: Usage, at_us: int, *, is_known: bool) -> Cost:
        cost = cost_of(self._prices, provider, model, usage, at_us, is_known=is_known)
        self.unpriced += cost.nano_usd is None
        return cost


def cost_of(prices: Prices | None, provider: str, model: str, usage: Usage, at_us: int, *, is_known: bool) -> Cost:
    """What a request cost. `is_known`: the provider has told its usage, or the beginning of it; else only nothing can
    be known to cost nothing."""
    cost = UNKNOWN_COST if prices is None else prices.cost(provider, model, usage, at=at_us / 1_000_000)
    is_sane = cost.nano_usd is None or cost.nano_usd <= MOST_NANO
    return cost if is_sane and (is_known or cost.source == LOCAL) else UNKNOWN_COST


def price_row(prices: Prices, row: LedgerRow) -> None:
    """Fill in the cost of a request that a process was answering when it died."""
    if row.operation == Operation.COUNT_TOKENS.value:
        row.cost_nano, row.is_estimated = 0, False
        return
    usage = Usage(
        input_tokens=row.input_tokens,
        cache_creation_input_tokens=row.cache_write_5m_tokens + row.cache_write_1h_tokens,
        cache_read_input_tokens=row.cache_read_tokens,
        cache_creation=CacheCreation(
            ephemeral_5m_input_tokens=row.cache_write_5m_tokens,
            ephemeral_1h_input_tokens=row.cache_write_1h_tokens,
        ),
        output_tokens=row.output_tokens,
        server_tool_use={"web_search_requests": row.web_searches} if row.web_searches else None,
        service_tier=row.service_tier,
        inference_geo=row.inference_geo,
        speed=row.speed,
    )
    is_known = not row.is_estimated or row.input_tokens + row.output_tokens > 0
    cost = cost_of(prices, row.provider, row.answered_model, usage, row.at_us, is_known=is_known)
    row.cost_nano, row.price_source, row.price_date = cost.nano_usd, cost.source or None, cost.date or None
