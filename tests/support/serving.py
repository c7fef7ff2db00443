"""dragoman's server inside the test's own event loop: real sockets, the real protocol, and a look inside.

    async with Serving(upstream=upstream.url) as server:
        ... server.url, server.gateway, server.rows, server.faults ...

What `running.py` starts as a process, without the process. Leaving it checks that nothing was left behind: no
request, no task, no connection, no fault in the log.
"""

import asyncio
import functools
import logging
import re
import ssl
import time
from collections.abc import Callable
from typing import Any, Self
from unittest.mock import patch

from rawhttp import KEY

from dragoman.gateway.config.config import OFFLINE, Config, Listen, ProviderConfig, Secret, ServerConfig, load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.open import open_gateway
from dragoman.server.app import App
from dragoman.server.listening import bind
from dragoman.server.protocol import Connections

__all__ = ["UPSTREAM_KEY", "Serving", "ledger_rows", "wait_until"]

UPSTREAM_KEY = "sk-upstream-key-of-ours"
PATIENCE_S = 15.0  # generous: the machine may be busy
# A ledger line: words without a space in them, each name=value.
ROW = re.compile(r"request_id=\S+(?: [a-z_]+=\S+)+")


class Serving:
    """One server on a free port of 127.0.0.1. Without an `upstream` the offline engine answers."""

    def __init__(
        self,
        *,
        upstream: str | None = None,
        engine: Any = None,
        provider: dict[str, Any] | None = None,
        toml: str | None = None,
        **server: Any,
    ) -> None:
        """`provider` and `server` are settings of those tables; `engine` takes the place of the offline one. `toml` is
        a configuration file, in place of all of them."""
        self.url = ""
        self._records: list[logging.LogRecord] = []
        self._bad: list[logging.LogRecord] = []
        self._handler = _Recorder(self._records, self._bad)
        target = ProviderConfig(name=OFFLINE, origin="the test", dialect=OFFLINE)
        if upstream is not None:
            options: dict[str, Any] = {"api_key": Secret(UPSTREAM_KEY), **(provider or {})}
            target = ProviderConfig(name="upstream", origin="the test", base_url=upstream, **options)
        self.config = Config(
            server=ServerConfig(listen=Listen("127.0.0.1", 0), database="sqlite://", **server),
            providers={target.name: target},
            models={},
        )
        if toml is not None:
            self.config = load(None, {}, text=toml, listen="127.0.0.1:0", database="sqlite://")
        self.gateway: Gateway = open_gateway(self.config, {})
        if engine is not None:
            self.gateway.local._engines = {OFFLINE: engine}
        self.server = Connections(App(self.gateway))
        self._patch = patch("dragoman.http.foreign._tls_context", _one_trust_store)

    async def __aenter__(self) -> Self:
        for name in ("dragoman", "asyncio"):
            logging.getLogger(name).addHandler(self._handler)
        logging.getLogger("dragoman").setLevel(logging.INFO)
        self._patch.start()
        await self.gateway.__aenter__()
        await self.gateway.auth.preset(KEY)
        loop = asyncio.get_running_loop()
        listener = bind(self.config.server.listen)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = await loop.create_server(self.server, sock=listener)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self.settled()
        finally:
            self._listener.close()
            self.server.abort()
            for task in list(self.server.at_work):
                task.cancel()
            await asyncio.gather(*self.server.at_work, return_exceptions=True)
            await self.gateway.__aexit__(None, None, None)
            self._patch.stop()
            for name in ("dragoman", "asyncio"):
                logging.getLogger(name).removeHandler(self._handler)
        assert not self.faults, self.faults

    async def settled(self) -> None:
        """Wait until no request is under way."""
        await wait_until(lambda: self.gateway.limits.running == 0 and not self.server.at_work)

    @property
    def running(self) -> int:
        """Requests under way, as the limits count them."""
        return self.gateway.limits.running

    @property
    def connections(self) -> int:
        return len(self.server.open)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The ledger so far."""
        return ledger_rows(self.log)

    @property
    def log(self) -> str:
        return "\n".join(record.getMessage() for record in self._records)

    @property
    def faults(self) -> list[str]:
        """What only a fault of dragoman's writes: errors, and anything with a traceback."""
        return [logging.Formatter().format(record) for record in self._bad]

    def forget_log(self) -> None:
        self._records.clear()
        self._bad.clear()


@functools.cache
def _one_trust_store(*_: object, **__: object) -> ssl.SSLContext:
    """To read the system's takes 20 ms, and no test here speaks TLS."""
    return ssl.create_default_context()


class _Recorder(logging.Handler):
    """Puts the bad ones apart at once: some tests ask for them after each of thousands of requests."""

    def __init__(self, records: list[logging.LogRecord], bad: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records
        self._bad = bad

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
        if record.levelno >= logging.ERROR or record.exc_info:
            self._bad.append(record)


def ledger_rows(log: str) -> list[dict[str, str]]:
    """The ledger's lines in a log. A line that cannot be taken apart again fails the test."""
    rows = []
    for line in log.splitlines():
        if "outcome=" in line:
            found = ROW.search(line)
            assert found is not None, line
            assert line.endswith(found[0]), line
            rows.append(dict(word.split("=", 1) for word in found[0].split(" ")))
    return rows


async def wait_until(is_so: Callable[[], bool], *, within_s: float = PATIENCE_S) -> float:
    """Wait for a condition that nothing announces; the seconds it took. Raises TimeoutError."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 (the server knows no event of the tests)
            await asyncio.sleep(0.002)
    return time.monotonic() - began
