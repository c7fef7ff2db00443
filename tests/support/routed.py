"""dragoman in front of several Messages upstreams, each of which does as its handler says: real sockets everywhere."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from canned import BLOCK, DELTA, END, MESSAGE, START, UPSTREAM_ID, envelope, sse, then
from misbehaving import LAST_CHUNK, Conn, Handler, Misbehaving, chunk, head, json_reply, reply, sse_head
from serving import Serving, wait_until

from dragoman.store.ledger import LedgerRow
from dragoman.store.usage import RequestFilter

__all__ = ["FAILURES", "STREAM_FAILURES", "TIMEOUT_S", "answers", "breaks_off", "named", "routed", "stored"]

TIMEOUT_S = 0.25
PROVIDER = """
[providers.{name}]
base_url = "{url}"
api_key = "sk-{name}"
connect_timeout_s = {timeout}
first_byte_timeout_s = {timeout}
idle_timeout_s = {timeout}
"""


def named(name: str) -> dict[str, Any]:
    return {**MESSAGE, "id": f"msg_01{name}", "content": [{"type": "text", "text": f"I am {name}"}]}


def answers(name: str, *, failing: Collection[str] = ()) -> Handler:
    """An upstream that does all it should, and says who it is; while its name is among `failing` it is overloaded."""

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            if name in failing:
                await conn.send(json_reply(envelope(), status=529))
            elif b'"stream":true' not in request.body.replace(b" ", b""):
                await conn.send(json_reply(named(name)))
            else:
                start = {**START, "message": {**START["message"], "id": f"msg_01{name}"}}
                delta = {**DELTA, "delta": {"type": "text_delta", "text": f"I am {name}"}}
                await conn.send(sse_head() + chunk(sse(start, BLOCK, delta, *END)) + LAST_CHUNK)

    return handler


def breaks_off(*texts: str, block: dict[str, Any] = BLOCK, and_then: str = "reset") -> Handler:
    """An upstream whose stream ends after these deltas of one block, without a word."""
    deltas = [{**DELTA, "delta": {"type": "text_delta", "text": text}} for text in texts]
    return then(sse_head() + chunk(sse(START, block, *deltas)), and_then=and_then)


def error(status: int, kind: str, *headers: tuple[str, str]) -> Handler:
    return then(json_reply(envelope(kind), *headers, status=status), and_then="close")


BROKEN = head(200, ("content-length", "100"), ("content-type", "application/json")) + b'{"id":'

# What an upstream may do wrong before there is content: the next one is asked then.
FAILURES: dict[str, Handler] = {
    "reset": then(b"", and_then="reset"),
    "closed": then(b"", and_then="close"),
    "stalled before the head": then(b""),
    "stalled in the head": then(b"HTTP/1.1 2"),
    "stalled in the body": then(BROKEN),
    "truncated": then(BROKEN, and_then="close"),
    "408": error(408, "timeout_error"),
    "429": error(429, "rate_limit_error"),
    "429 with retry-after": error(429, "rate_limit_error", ("retry-after", "1")),
    "500": error(500, "api_error"),
    "502 of a proxy": then(reply(b"<html>", ("content-type", "text/html"), status=502), and_then="close"),
    "503": error(503, "api_error"),
    "504": error(504, "timeout_error"),
    "529": error(529, "overloaded_error"),
    "garbage": then(b"\x16\x03\x01 nonsense\r\n\r\n", and_then="close"),
    "no JSON": then(reply(b"hello", ("content-type", "text/plain")), and_then="close"),
    "its key is refused": error(401, "authentication_error"),
    "its account": error(402, "billing_error"),
    "its model": error(404, "not_found_error"),
}  # fmt: skip
# The same of streams.
STREAM_FAILURES: dict[str, Handler] = {
    "an error event first": then(sse_head() + chunk(sse(envelope())) + LAST_CHUNK, and_then="close"),
    "an error event before content": then(sse_head() + chunk(sse(START, envelope())) + LAST_CHUNK, and_then="close"),
    "stalled after the head": then(sse_head(("request-id", UPSTREAM_ID))),
    "stalled before content": then(sse_head() + chunk(sse(START))),
    "cut before content": then(sse_head() + chunk(sse(START)), and_then="reset"),
    "an empty stream": then(sse_head() + LAST_CHUNK, and_then="close"),
}


@asynccontextmanager
async def routed(
    rule: str, *, timeout_s: float = TIMEOUT_S, settings: str = "", each: str = "", **handlers: Handler | str
) -> AsyncIterator[tuple[Serving, dict[str, Misbehaving]]]:
    """`handlers` by the names of their providers, or the URL of one that is none of ours; `rule` is what [models.m]
    says beside its targets, unless it names them itself; `settings` what [server] says, `each` what each provider's
    table says besides."""
    async with AsyncExitStack() as opened:
        upstreams = {
            name: await opened.enter_async_context(Misbehaving(handler))
            for name, handler in handlers.items()
            if not isinstance(handler, str)
        }
        urls = {
            name: handler if isinstance(handler, str) else upstreams[name].url for name, handler in handlers.items()
        }
        toml = "".join(
            PROVIDER.format(name=name, url=url, timeout=timeout_s) + f"{each}\n" for name, url in urls.items()
        )
        targets = ", ".join(f'"{name}/claude-opus-4-8"' for name in handlers)
        named_targets = "" if "targets" in rule else f"targets = [{targets}]\n"
        server = await opened.enter_async_context(
            Serving(toml=f"[server]\n{settings}\n{toml}\n[models.m]\n{named_targets}{rule}\n")
        )
        yield server, upstreams


async def stored(server: Serving) -> list[LedgerRow]:
    """The rows of the ledger, the newest first, once all of them are there."""
    await server.settled()
    journal = server.gateway.journal
    assert journal is not None
    await wait_until(lambda: journal.waiting == 0)
    page = await server.gateway.store.usage.page(RequestFilter(), limit=1000)
    return list(page.rows)
