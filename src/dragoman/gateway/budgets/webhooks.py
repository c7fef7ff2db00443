"""Alerts on their way to the URLs that were configured for them: signed, in the background, with retries.

As Standard Webhooks has it (specification 1.0.0, standard-webhooks, read 2026-11-21): three headers, of which
`webhook-signature` is an HMAC-SHA256 over id, time and body. Redirects are not followed. What was not delivered is told
in the log, without the path of its URL, which may be a secret.
"""

import asyncio
import hmac
import logging
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from dragoman.gateway.auth.secret import webhook_key
from dragoman.http.base import Request, Timeouts, Transport, TransportError

from .words import usd

if TYPE_CHECKING:
    from .alerts import Alert

__all__ = ["Webhooks", "payload", "shown_key", "signature"]

log = logging.getLogger("dragoman.webhooks")

WAITS_S = (1.0, 10.0, 60.0)  # before the second try, the third, and the last
WAITING_LIMIT = 100  # deliveries at once; more are not begun
GRACE_S = 2.0  # for what is under way when the server stops
REPLY_LIMIT_BYTES = 64 * 1024
TIMEOUTS = Timeouts(connect_s=5.0, write_s=10.0, first_byte_s=10.0, idle_s=10.0, total_s=20.0)
RETRIED = frozenset({408, 425, 429})  # statuses below 500 after which another try may help


class Webhooks:
    """Delivers alerts. `transport_of` makes a transport for a URL; `wall` gives Unix seconds."""

    def __init__(
        self,
        secret: bytes,
        *,
        transport_of: Callable[[str], Transport],
        new_id: Callable[[str], str],
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._key = webhook_key(secret)
        self._transport_of = transport_of
        self._new_id = new_id
        self._wall = wall
        self._sleep = sleep
        self._transports: dict[str, Transport] = {}  # by origin
        self._under_way: set[asyncio.Task[None]] = set()

    def tell(self, alert: "Alert") -> None:
        """Begin to deliver an alert; nothing, where its budget has no webhook. Never waits nor raises."""
        url = alert.record.webhook
        if url is None:
            return
        if len(self._under_way) >= WAITING_LIMIT:
            log.warning("an alert of %s was not posted: %d others wait", alert.budget_id, WAITING_LIMIT)
            return
        id_ = self._new_id("alert")
        task = asyncio.create_task(self._deliver(url, id_, payload(id_, alert)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def aclose(self) -> None:
        """Wait a little for what is under way, then end it."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    async def _deliver(self, url: str, id_: str, body: bytes) -> None:
        host = urlsplit(url).hostname
        why = ""
        try:
            for wait_s in (0.0, *WAITS_S):
                if wait_s:
                    await self._sleep(wait_s)
                why, is_final = await self._post(url, id_, body)
                if is_final:
                    break
            if why:
                log.warning("the alert %s could not be posted to %s: %s", id_, host, why)
        except asyncio.CancelledError:
            log.warning("the alert %s was not posted to %s before the server stopped", id_, host)
            raise
        except Exception:
            log.exception("the alert %s could not be posted by a fault of dragoman's", id_)

    async def _post(self, url: str, id_: str, body: bytes) -> tuple[str, bool]:
        """What went wrong, "" if nothing did; and whether that is all there is to it."""
        at = int(self._wall())
        headers = [
            ("content-type", "application/json"),
            ("webhook-id", id_),
            ("webhook-timestamp", str(at)),
            ("webhook-signature", signature(self._key, id_, at, body)),
        ]
        try:
            reply = await self._transport(url).send(Request("POST", url, headers, body, TIMEOUTS))
            try:
                status = reply.status
                if 200 <= status < 300:
                    await reply.read(REPLY_LIMIT_BYTES)  # so that the connection can be used again
                    return "", True
            finally:
                await reply.aclose()
        except TransportError as error:  # names the host, and nothing else of the URL
            return str(error), False
        return f"its status is {status}", status < 500 and status not in RETRIED

    def _transport(self, url: str) -> Transport:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._transports:
            self._transports[origin] = self._transport_of(origin)
        return self._transports[origin]


def payload(id_: str, alert: "Alert") -> bytes:
    """The JSON that is posted. Amounts are texts of US dollars: exact, where a number would be a float."""
    record = alert.record
    told: dict[str, Any] = {
        "type": "budget.alert" if alert.percent is not None else "budget.refusing",
        "id": id_,
        "created_at": _time(alert.at),
        "budget": {
            "id": record.id,
            "scope": record.scope,
            "scope_id": alert.scope_id,
            "period": record.period,
            "zone": record.zone,
            "hard": record.is_hard,
        },
        "percent": alert.percent,
        "spent_usd": usd(alert.spent_nano),
        "limit_usd": usd(record.limit_nano),
        "window": {
            "starts_at": _time(alert.window_start) if alert.window_end else None,
            "ends_at": _time(alert.window_end) if alert.window_end else None,
        },
    }
    return msgspec.json.encode(told)


def signature(key: bytes, id_: str, at: int, body: bytes) -> str:
    """The value of `webhook-signature`; `at`: Unix seconds."""
    signed = f"{id_}.{at}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def shown_key(secret: bytes) -> str:
    """The key that signatures are checked with, as libraries for it take it."""
    return "whsec_" + b64encode(webhook_key(secret)).decode()


def _time(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
