"""What HttpxTransport takes from the system and the environment, and what it must not take or tell."""

import asyncio
import gc
import logging
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from misbehaving import LAST_CHUNK, Conn, Misbehaving, chunk, chunked_head, head, refused_url, reply, replying

from dragoman.errors import ConfigError, DragomanError
from dragoman.http import base
from dragoman.http.base import ConnectFailed, ConnectTimeout, ReplyBroken, Request, Timeouts, TransportError
from dragoman.http.foreign import HttpxTransport, _Exchange

LIMIT = 1 << 20  # bytes
SHORT = 0.05  # seconds
SECRET = "sk-never-in-a-message"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *(name.lower() for name in PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def opened(transport: HttpxTransport) -> AsyncIterator[HttpxTransport]:
    try:
        yield transport
    finally:
        await transport.aclose()


async def fetch(transport: HttpxTransport, url: str, **timeouts: float) -> tuple[int, bytes]:
    response = await transport.send(Request("POST", url, body=b"{}", timeouts=Timeouts(**timeouts)))
    return response.status, await response.read(LIMIT)


# -- imports, logs, errors -----------------------------------------------------------------------------------------


def test_importing_the_module_does_not_import_httpx2() -> None:
    code = "import sys, dragoman.http.foreign; sys.exit(bool({'httpx2', 'httpcore2', 'anyio'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with opened(HttpxTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
            await fetch(transport, f"{server.url}/v1beta/models?key={SECRET}")
    assert SECRET not in caplog.text


def test_every_transport_error_is_a_dragoman_error_that_names_its_host() -> None:
    kinds = [kind for kind in vars(base).values() if isinstance(kind, type) and issubclass(kind, TransportError)]
    assert len(kinds) == 11
    for kind in kinds:
        error = kind("api.example", "went away")
        assert isinstance(error, DragomanError)
        assert (str(error), error.host) == ("api.example: went away", "api.example")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example/v1?key=x", "api.example"),
        ("https://API.example:443/", "api.example:443"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
def test_errors_name_host_and_port_alone(url: str, host: str) -> None:
    assert base.host_of(url) == host


async def test_cookies_do_not_pile_up() -> None:
    async with opened(HttpxTransport()) as transport:
        async with Misbehaving(replying(reply(b"", ("set-cookie", "a=1; Max-Age=9999")))) as server:
            await fetch(transport, server.url)
        assert not list(transport._pooled.cookies.jar)


async def test_closing_leaves_no_work_to_the_garbage_collector() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(chunked_head() + chunk(b"abc"))
        await conn.wait_closed()

    loop = asyncio.get_running_loop()
    async with opened(HttpxTransport()) as transport, Misbehaving(handler) as server:
        response = await transport.send(Request("POST", server.url))
        async for _ in response.pieces():
            break
        await response.aclose()
        await server.hang_up()
        finalizers = []
        loop.set_task_factory(lambda loop, coro, **more: finalizers.append(coro) or asyncio.Task(coro, loop=loop))
        del response
        gc.collect()
        await asyncio.sleep(0)
        loop.set_task_factory(None)
        assert not finalizers


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("whole", [True, False])
async def test_a_request_is_forgotten_even_if_its_closing_is_cancelled(turns: int, whole: bool) -> None:
    """Cancelled `turns` of the loop after the last piece that is read."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(chunked_head() + chunk(b"abc") + (LAST_CHUNK if whole else b""))
        await conn.wait_closed()

    async def read_one() -> None:
        response = await transport.send(Request("POST", server.url, body=b"x"))
        pieces = response.pieces()
        await anext(pieces)
        asyncio.get_running_loop().call_soon(step, turns, asyncio.current_task())
        if whole:
            await anext(pieces, None)
        else:
            await response.aclose()

    def step(turns: int, task: asyncio.Task[None]) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(step, turns - 1, task)
        else:
            task.cancel()

    async with opened(HttpxTransport()) as transport, Misbehaving(handler) as server:
        await asyncio.gather(asyncio.create_task(read_one()), return_exceptions=True)
        await asyncio.sleep(0)  # the loop has still to forget the tasks
        gc.collect()
        assert not [thing for thing in gc.get_objects() if type(thing) is _Exchange]


# -- limits of the pool --------------------------------------------------------------------------------------------


async def test_a_request_that_finds_no_free_connection_waits_for_connect_s() -> None:
    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(chunked_head() + chunk(b"abc"))
            await go_on.wait()
            await conn.send(LAST_CHUNK)

    go_on = asyncio.Event()
    async with opened(HttpxTransport(max_connections=1)) as transport, Misbehaving(handler) as server:
        first = await transport.send(Request("POST", server.url))
        with pytest.raises(ConnectTimeout):
            await fetch(transport, server.url, connect_s=SHORT)
        second = asyncio.create_task(fetch(transport, server.url))
        go_on.set()
        assert await first.read(LIMIT) == b"abc"
        assert await second == (200, b"abc")
        assert len(server.conns) == 1


async def test_no_more_than_max_idle_connections_are_kept() -> None:
    together = asyncio.Barrier(3)

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await together.wait()
            await conn.send(reply(b"ok"))

    async with opened(HttpxTransport(max_idle=1)) as transport, Misbehaving(handler) as server:
        await asyncio.gather(*(fetch(transport, server.url) for _ in range(3)))
        async with asyncio.timeout(1):
            while sum(conn.gone.is_set() for conn in server.conns) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_an_idle_connection_is_not_used_after_its_time() -> None:
    async with opened(HttpxTransport(idle_expiry_s=0)) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, server.url)
        await fetch(transport, server.url)
        assert len(server.conns) == 2


# -- proxies -------------------------------------------------------------------------------------------------------


async def test_http_goes_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Misbehaving(replying(reply(b"from the proxy"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with opened(HttpxTransport()) as transport:
            assert await fetch(transport, "http://api.example/v1?a=b") == (200, b"from the proxy")
            assert proxy.requests[0].target == "http://api.example/v1?a=b"


async def test_https_goes_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(head(407))

    async with Misbehaving(handler) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
        async with opened(HttpxTransport()) as transport:
            with pytest.raises(ConnectFailed, match=r"api\.example: cannot connect: 407 Proxy") as caught:
                await fetch(transport, "https://api.example/v1")
            assert SECRET not in str(caught.value)
            (seen,) = proxy.requests
            assert (seen.method, seen.target) == ("CONNECT", "api.example:443")
            assert (seen.header("proxy-authorization") or "").startswith("Basic ")


@pytest.mark.parametrize("answer", [b"", head(200)], ids=["before the tunnel", "in the handshake"])
async def test_a_tunnel_that_stalls_is_connect_timeout(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(answer)
        await conn.wait_closed()

    async with Misbehaving(handler) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with opened(HttpxTransport()) as transport:
            with pytest.raises(ConnectTimeout):
                await fetch(transport, "https://api.example/v1", connect_s=SHORT)
            await proxy.hang_up()


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", refused_url())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with opened(HttpxTransport()) as transport, Misbehaving(replying(reply(b"direct"))) as server:
        assert await fetch(transport, server.url) == (200, b"direct")


async def test_the_environment_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", refused_url())
    async with opened(HttpxTransport(trust_env=False)) as transport, Misbehaving(replying(reply(b"direct"))) as server:
        assert await fetch(transport, server.url) == (200, b"direct")


def test_a_proxy_address_that_cannot_be_used_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"gopher://me:{SECRET}@127.0.0.1")
    with pytest.raises(ConfigError, match="proxy") as caught:
        HttpxTransport()
    assert SECRET not in str(caught.value)


# -- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem"
        " -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(command.split(), cwd=path.parent, check=True, capture_output=True)
    path.write_bytes((path.parent / "cert.pem").read_bytes() + (path.parent / "key.pem").read_bytes())
    return path


class TLSServer:
    """Reads a request's head on each connection, sends `answer`, and closes unless told to hold."""

    def __init__(self, certificate: Path, answer: bytes, *, hold: bool = False) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._answer, self._hold = answer, hold
        self.accepted = 0
        self.hung_up = asyncio.Event()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await reader.readuntil(b"{}")
            writer.write(self._answer)
            while self._hold and await reader.read(1 << 16):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone: said below
        finally:
            self.hung_up.set()
            writer.close()


async def test_ca_file_is_trusted(certificate: Path) -> None:
    server = TLSServer(certificate, reply(b"safe"))
    async with server as url, opened(HttpxTransport(ca_file=certificate)) as transport:
        assert await fetch(transport, url) == (200, b"safe")


async def test_ssl_cert_file_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with TLSServer(certificate, reply(b"safe")) as url, opened(HttpxTransport()) as transport:
        assert await fetch(transport, url) == (200, b"safe")


async def test_a_certificate_that_nobody_vouches_for_is_connect_failed(certificate: Path) -> None:
    async with TLSServer(certificate, reply(b"safe")) as url, opened(HttpxTransport()) as transport:
        with pytest.raises(ConnectFailed, match=r"cannot connect: .*self.signed certificate"):
            await fetch(transport, url)


async def test_a_certificate_for_another_name_is_connect_failed(certificate: Path) -> None:
    server = TLSServer(certificate, reply(b"safe"))
    async with server as url, opened(HttpxTransport(ca_file=certificate)) as transport:
        with pytest.raises(ConnectFailed, match="localhost"):
            await fetch(transport, url.replace("127.0.0.1", "localhost"))


async def test_a_cut_reply_is_broken_over_tls_too(certificate: Path) -> None:
    server = TLSServer(certificate, chunked_head() + chunk(b"abc"))
    async with server as url, opened(HttpxTransport(ca_file=certificate)) as transport:
        with pytest.raises(ReplyBroken):
            await fetch(transport, url)


async def test_closing_hangs_up_over_tls_too(certificate: Path) -> None:
    server = TLSServer(certificate, chunked_head() + chunk(b"abc"), hold=True)
    async with server as url, opened(HttpxTransport(ca_file=certificate)) as transport:
        response = await transport.send(Request("POST", url, body=b"{}"))
        assert await anext(response.pieces()) == b"abc"
        await response.aclose()
        async with asyncio.timeout(1):
            await server.hung_up.wait()


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_a_config_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca_file '.*ca\.pem': "):
        HttpxTransport(ca_file=path)
