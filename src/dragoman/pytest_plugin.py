"""pytest's plugin: a dragoman server for each test that asks for one, and clients of it (docs/client-testing.md).

pytest imports this module in every run of everybody who has dragoman installed. So it imports nothing at its top but
what pytest has imported already; the rest comes with the first server.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from dragoman import AsyncClient, Client

__all__ = ["DragomanServer", "ReceivedRequest", "dragoman_async_client", "dragoman_client", "dragoman_server"]

MARKER = (
    "dragoman(script=None): what the server of the fixture dragoman_server replies. A path, which begins at the folder "
    "of the test's file; the text of a script; a dictionary like it; or a list of replies."
)


class ReceivedRequest:
    """A request as it came to the server."""

    def __init__(self, method: str, path: str, query: str, headers: dict[str, str]) -> None:
        self.method = method
        self.path = path  # without the query
        self.query = query
        self.headers = headers  # names in lower case; what came more than once is joined by commas
        self._body = bytearray()

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}{'?' if self.query else ''}{self.query}>"

    @property
    def body(self) -> bytes:
        return bytes(self._body)

    def json(self) -> Any:
        return json.loads(self.body)


class DragomanServer:
    """A real server on a free port of 127.0.0.1, in a thread, with the offline engine behind it. For a `with` block.

    What it keeps, it keeps in memory. Nothing of the environment counts. It takes one key, which may ask for faults.
    `script` as of `Client.offline`. Raises ConfigError for one that cannot be read.
    """

    def __init__(self, script: Any = None) -> None:
        from dragoman.gateway.handle import open_offline

        self.base_url = ""
        self.requests: list[ReceivedRequest] = []  # in the order in which they came
        self._handle = open_offline(script)
        self.api_key = self._handle.api_key

    @property
    def environ(self) -> dict[str, str]:
        """What makes a program that reads the environment, as the official clients do, ask this server."""
        return {"ANTHROPIC_BASE_URL": self.base_url, "ANTHROPIC_API_KEY": self.api_key}

    def __enter__(self) -> Self:
        from dragoman.client.home import Home
        from dragoman.gateway.config.config import Listen
        from dragoman.server.listening import bind

        listener = bind(Listen("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._home = Home(self._handle, wrap=lambda app: _Recorder(app, self.requests), listener=listener)
        try:
            self._home.begin_in_thread()
            self._home.wait_until_ready()
        except BaseException:
            listener.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Requests at work are hung up. No thread is left."""
        self._home.end()


class _Recorder:
    """The server's application, with a note taken of each request."""

    def __init__(self, app: Any, requests: list[ReceivedRequest]) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        from dragoman.server.exchange import EXTENSION

        received = _received(scope)
        self._requests.append(received)
        # A body that is there is taken from the server at once, and so the application asks for it in the usual way.
        whole = scope["extensions"][EXTENSION].whole_body()

        async def noted() -> Any:
            nonlocal whole
            message, whole = whole, None
            message = await receive() if message is None else {"type": "http.request", "body": message}
            received._body += message.get("body", b"")
            return message

        await self._app(scope, noted, send)


def _received(scope: dict[str, Any]) -> ReceivedRequest:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ReceivedRequest(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)


# -- what pytest sees ----------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def dragoman_server(request: pytest.FixtureRequest) -> Iterator[DragomanServer]:
    """A server of the test's own, which has seen nothing yet. What it replies, the marker `dragoman` says."""
    from dragoman.errors import ConfigError

    script = _script(request)
    try:
        server = DragomanServer(script)
    except ConfigError as error:
        pytest.fail(f"the script of {request.node.nodeid} cannot be played:\n{error}", pytrace=False)
    with server:
        yield server


@pytest.fixture
def dragoman_client(dragoman_server: DragomanServer) -> "Iterator[Client]":
    """A `dragoman.Client` that asks `dragoman_server`."""
    from dragoman import Client

    with Client(base_url=dragoman_server.base_url, api_key=dragoman_server.api_key) as client:
        yield client


@pytest.fixture
def dragoman_async_client(dragoman_server: DragomanServer) -> "AsyncClient":
    """A `dragoman.AsyncClient` that asks `dragoman_server`, for the event loop of the test.

    That loop has ended before this fixture could close anything in it, whichever plugin runs it; so no connection is
    kept when its reply has been read.
    """
    from dragoman import AsyncClient
    from dragoman.http.aio import FastTransport

    client = AsyncClient(base_url=dragoman_server.base_url, api_key=dragoman_server.api_key)
    client._transport = FastTransport(max_idle=0)
    return client


def _script(request: pytest.FixtureRequest) -> Any:
    marker = request.node.get_closest_marker("dragoman")
    if marker is None:
        return None
    if marker.args or marker.kwargs.keys() - {"script"}:
        pytest.fail("write @pytest.mark.dragoman(script=...), and nothing else in it", pytrace=False)
    script = marker.kwargs.get("script")
    is_path = isinstance(script, os.PathLike) or (isinstance(script, str) and "\n" not in script)
    return Path(request.node.path).parent / script if is_path else script
