"""The client for asyncio: does what `flow.perform` says, and awaits it. The twin of sync.py."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from asyncio import get_running_loop, sleep
from collections.abc import Generator, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from dragoman.http.base import Transport, TransportError

from . import flow
from .base import NO_OPTIONS, BinaryTypes, ClientBase, RequestOptions, is_proxied
from .call import Call, Raw
from .given import NOT_GIVEN, NotGiven
from .raw import async_seen
from .reply import Response
from .settings import DEFAULT_MAX_RETRIES, Settings
from .timeouts import Timeout

if TYPE_CHECKING:
    from dragoman.gateway.handle import GatewayHandle

    from .resources.beta import AsyncBeta
    from .resources.files import AsyncFiles
    from .resources.messages import AsyncMessages
    from .resources.models import AsyncModels
    from .resources.views import AsyncClientWithRawResponse, AsyncClientWithStreamingResponse

__all__ = ["AsyncClient"]

T = TypeVar("T")
S = TypeVar("S")


class AsyncClient(ClientBase):
    """As Client, for asyncio: any number of tasks may share one, each event loop with connections of its own.

    `http_client` is an `httpx2.AsyncClient` or `httpx.AsyncClient`.
    """

    _is_async = True

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: Any = None,
        timeout: "float | Timeout | NotGiven | None" = NOT_GIVEN,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        http_client: Any = None,
        gateway: "GatewayHandle | None" = None,
        _strict_response_validation: bool = False,
    ) -> None:
        if gateway is not None:
            from .local import BASE_URL

            base_url, api_key = BASE_URL, api_key or gateway.api_key
        if http_client is not None and isinstance(timeout, NotGiven):
            from .foreign import limits_of

            timeout = limits_of(http_client) or timeout
        super().__init__(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            _strict_response_validation=_strict_response_validation,
        )
        self._transport = _transport(self._settings.base_url, http_client, gateway)

    @classmethod
    def offline(cls, script: Any = None, **options: Any) -> Self:
        """A client whose model is the offline engine, in this process: no network, no key, no file.

        `script` says what it replies: a path, a dictionary or a list, see docs/offline.md. `options` as of the class.
        """
        from .local import offline

        return cls(gateway=offline(script), **options)

    def _like(self, settings: Settings, transport: Any) -> Self:
        new = self._twin()
        new._settings = settings
        new._transport = self._transport if transport is None else _transport(settings.base_url, transport, None)
        return new

    # -- making calls --

    async def perform(self, call: Call, mode: int = Raw.PARSED) -> Any:
        """The result of a call. Raises APIStatusError, APIConnectionError, APITimeoutError and TypeError (SDK-3)."""
        whole = not call.is_stream and mode != Raw.OPEN
        response = await self._run(flow.perform(call, self._in_force(), whole=whole))
        if not whole:
            response._loop = get_running_loop()
        if mode == Raw.PARSED:
            return call.result(call, response, self)
        return async_seen(call, response, self)

    async def _run(self, steps: Generator[flow.Step, Any, Response]) -> Response:
        try:
            step = next(steps)
            while True:
                try:
                    came = await self._do(step)
                except TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            return end.value

    async def _do(self, step: flow.Step) -> Any:
        match step:
            case flow.Send(request):
                return await self._transport.send(request)
            case flow.ReadAll(reply):
                return await reply.read(flow.ANY_SIZE)
            case flow.Close(reply):
                return await reply.aclose()
            case flow.Sleep(seconds):
                return await sleep(seconds)

    @overload
    async def get(
        self,
        path: str,
        *,
        cast_to: type[T],
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[False] = False,
    ) -> T: ...
    @overload
    async def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[True],
        stream_cls: type[S],
    ) -> S: ...
    @overload
    async def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions = NO_OPTIONS,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any: ...
    async def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions = NO_OPTIONS,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """Ask a path that this client knows nothing of: SDK-45. The reply's JSON becomes `cast_to`.

        With `stream`, its events become it, or what `stream_cls` names: `Stream[dict]`.
        """
        call = self._free_call("GET", path, cast_to, options, is_stream=stream, stream_cls=stream_cls)
        return await self.perform(call)

    @overload
    async def post(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[False] = False,
    ) -> T: ...
    @overload
    async def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[True],
        stream_cls: type[S],
    ) -> S: ...
    @overload
    async def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any: ...
    async def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """As `get`. `body` is sent as JSON, `content` as it is."""
        call = self._free_call(
            "POST", path, cast_to, options, body=body, content=content, is_stream=stream, stream_cls=stream_cls
        )
        return await self.perform(call)

    async def put(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return await self.perform(self._free_call("PUT", path, cast_to, options, body=body, content=content))

    async def patch(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return await self.perform(self._free_call("PATCH", path, cast_to, options, body=body, content=content))

    async def delete(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return await self.perform(self._free_call("DELETE", path, cast_to, options, body=body, content=content))

    # -- what can be asked --

    @cached_property
    def messages(self) -> "AsyncMessages":
        from .resources.messages import AsyncMessages

        return AsyncMessages(self)

    @cached_property
    def models(self) -> "AsyncModels":
        from .resources.models import AsyncModels

        return AsyncModels(self)

    @cached_property
    def files(self) -> "AsyncFiles":
        from .resources.files import AsyncFiles

        return AsyncFiles(self)

    @cached_property
    def beta(self) -> "AsyncBeta":
        from .resources.beta import AsyncBeta

        return AsyncBeta(self)

    @cached_property
    def with_raw_response(self) -> "AsyncClientWithRawResponse":
        """The same resources, whose methods return replies as they came: SDK-42."""
        from .resources.views import AsyncClientWithRawResponse

        return AsyncClientWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> "AsyncClientWithStreamingResponse":
        """The same, to be entered: the body is read when it is asked for."""
        from .resources.views import AsyncClientWithStreamingResponse

        return AsyncClientWithStreamingResponse(self)

    # -- its end --

    async def close(self) -> None:
        """Close all connections. May be called twice; calls after it raise APIConnectionError."""
        self._is_closed = True
        await self._transport.aclose()

    _is_closed = False

    def is_closed(self) -> bool:
        return self._is_closed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _transport(base_url: str, http_client: Any, gateway: Any) -> Transport:
    if gateway is not None:
        from .local import open_async

        return open_async(gateway)
    if http_client is not None or is_proxied(base_url):
        from .foreign import ForeignTransport

        return ForeignTransport(http_client)
    from .loops import LoopTransport

    return LoopTransport()
