"""How many tokens a request is for a model of another maker: as its provider counts, or as we estimate.

Clients count in bursts, the same texts again and again (pain 67): what a provider has counted is kept, and while it is
busy counting we estimate. Which of the two it was stands in the header `dragoman-count`.
"""

import logging
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any

import msgspec

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer, Asked
from dragoman.http.base import TransportError
from dragoman.providers.base import Count, Question, Target, Translator, UpstreamRequest
from dragoman.wire.models import Model
from dragoman.wire.types import CountTokensRequest, MessagesRequest

from .checked import counted_for_others, foreign, off_loop
from .estimates import Estimates, rough_tokens

__all__ = ["Counting"]

log = logging.getLogger("dragoman.upstream")

MOST_AT_ONCE = 4  # counts that one provider is asked for at a time
KEPT = 1000  # counts of one provider
NOT_THERE = frozenset({404, 405, 501})  # statuses of a provider that has no such path, or no such model

Fetch = Callable[[UpstreamRequest], Awaitable[tuple[int, bytes]]]


class Counting:
    """Counts for one provider; `fetch` asks it: status and body, or TransportError or ApiError."""

    def __init__(self, fetch: Fetch, estimates: Estimates) -> None:
        self._fetch = fetch
        self._estimates = estimates
        self._under_way = 0
        self._absent: set[tuple[str, str]] = set()  # URL and model: there is no such path, or no such model
        self._kept: dict[bytes, int] = {}  # oldest first

    async def count(self, asked: Asked, translator: Translator, target: Target, model: Model | None) -> Answer:
        """The answer to a request to count. Raises InvalidRequest for one that breaks the rules."""
        known = model or foreign(target.model)

        def work() -> tuple[CountTokensRequest, Count | None]:
            request = counted_for_others(asked, known)
            return request, translator.count(_question(request, target))

        request, count = await off_loop(asked, work)
        told = None if count is None else await self._told(count, target.model)
        if told is not None:
            return _answer(told, "provider")
        rough = await off_loop(asked, lambda: rough_tokens(request))
        return _answer(self._estimates.of(target.model, rough), "estimate")

    async def passed(self, asked: Asked, count: Count, target: Target, model: Model | None) -> Answer:
        """As `count`, of a request that goes unparsed: only for an estimate it is checked."""
        if (told := await self._told(count, target.model)) is not None:
            return _answer(told, "provider")
        known = model or foreign(target.model)
        rough = await off_loop(asked, lambda: rough_tokens(counted_for_others(asked, known)))
        return _answer(self._estimates.of(target.model, rough), "estimate")

    async def _told(self, count: Count, model: str) -> int | None:
        """What the provider counts; None where it does not, or not now."""
        key = blake2b(count.request.url.encode() + b"\0" + count.request.body, digest_size=16).digest()
        if (kept := self._kept.get(key)) is not None:
            return kept
        place = (count.request.url, model)
        if place in self._absent or self._under_way >= MOST_AT_ONCE:
            return None
        self._under_way += 1
        try:
            status, body = await self._fetch(count.request)
        except (TransportError, ApiError) as error:
            log.warning("the provider could not be asked for a count: %s", error)
            return None
        finally:
            self._under_way -= 1
        if status != 200:
            if status in NOT_THERE and len(self._absent) < KEPT:
                self._absent.add(place)
            log.warning("the provider answered a request to count with status %d", status)
            return None
        found = _number(body, count.field)
        if found is not None:
            self._keep(key, found)
        return found

    def _keep(self, key: bytes, found: int) -> None:
        self._kept[key] = found
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]


def _question(request: CountTokensRequest, target: Target) -> Question:
    """As for a message of one token."""
    return Question(
        request=MessagesRequest(max_tokens=1, **msgspec.structs.asdict(request)),
        target=target,
        message_id="",
        input_tokens=0,
        new_tool_id=str,
    )


def _number(body: bytes, field: str) -> int | None:
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    found = value.get(field) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _answer(tokens: int, how: str) -> Answer:
    return Answer(body=msgspec.json.encode({"input_tokens": tokens}), headers=[("dragoman-count", how)])
