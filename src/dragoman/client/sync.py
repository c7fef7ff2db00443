"""The client for threads: does what `flow.perform` says, and waits for it. Loads no asyncio."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from collections.abc import Generator, Mapping
from functools import cached_property
from time import sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from dragoman.http.base import SyncTransport, TransportError

from . import flow
from .base import NO_OPTIONS, BinaryTypes, ClientBase, RequestOptions, is_proxied
from .call import Call, Raw
from .given import NOT_GIVEN, NotGiven
from .raw import seen
from .reply import Response
from .settings import DEFAULT_MAX_RETRIES, Settings
from .timeouts import Timeout

if TYPE_CHECKING:
    from dragoman.gateway.handle import GatewayHandle

    from .resources.beta import Beta
    from .resources.files import Files
    from .resources.messages import Messages
    from .resources.models import Models
    from .resources.views import ClientWithRawResponse, ClientWithStreamingResponse

__all__ = ["Client"]

T = TypeVar("T")
S = TypeVar("S")


class Client(ClientBase):
    """A client of the Messages API: of dragoman, of Anthropic's, or of any server that speaks it.

    Any number of threads may share one. `close` it, or use it in a `with` block, to give its connections back.
    Without `api_key` and `auth_token` the environment is asked (ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN), and for
    `base_url` too (ANTHROPIC_BASE_URL). `http_client` is an `httpx2.Client` or `httpx.Client` to use in place of our
    own transport; `gateway` a dragoman in this process, which is asked without a socket.
    """

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

    def perform(self, call: Call, mode: int = Raw.PARSED) -> Any:
        """The result of a call. Raises APIStatusError, APIConnectionError, APITimeoutError and TypeError (SDK-3)."""
        whole = not call.is_stream and mode != Raw.OPEN
        response = self._run(flow.perform(call, self._in_force(), whole=whole))
        if mode == Raw.PARSED:
            return call.result(call, response, self)
        return seen(call, response, self)

    def _run(self, steps: Generator[flow.Step, Any, Response]) -> Response:
        try:
            step = next(steps)
            while True:
                try:
                    came = self._do(step)
                except TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            return end.value

    def _do(self, step: flow.Step) -> Any:
        match step:
            case flow.Send(request):
                return self._transport.send(request)
            case flow.ReadAll(reply):
                return reply.read(flow.ANY_SIZE)
            case flow.Close(reply):
                return reply.close()
            case flow.Sleep(seconds):
                return sleep(seconds)

    @overload
    def get(
        self,
        path: str,
        *,
        cast_to: type[T],
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[False] = False,
    ) -> T: ...
    @overload
    def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions = NO_OPTIONS,
        stream: Literal[True],
        stream_cls: type[S],
    ) -> S: ...
    @overload
    def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions = NO_OPTIONS,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any: ...
    def get(
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
        return self.perform(call)

    @overload
    def post(
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
    def post(
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
    def post(
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
    def post(
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
        return self.perform(call)

    def put(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return self.perform(self._free_call("PUT", path, cast_to, options, body=body, content=content))

    def patch(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return self.perform(self._free_call("PATCH", path, cast_to, options, body=body, content=content))

    def delete(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object = None,
        content: BinaryTypes | None = None,
        options: RequestOptions = NO_OPTIONS,
    ) -> T:
        return self.perform(self._free_call("DELETE", path, cast_to, options, body=body, content=content))

    # -- what can be asked --

    @cached_property
    def messages(self) -> "Messages":
        from .resources.messages import Messages

        return Messages(self)

    @cached_property
    def models(self) -> "Models":
        from .resources.models import Models

        return Models(self)

    @cached_property
    def files(self) -> "Files":
        from .resources.files import Files

        return Files(self)

    @cached_property
    def beta(self) -> "Beta":
        from .resources.beta import Beta

        return Beta(self)

    @cached_property
    def with_raw_response(self) -> "ClientWithRawResponse":
        """The same resources, whose methods return replies as they came: SDK-42."""
        from .resources.views import ClientWithRawResponse

        return ClientWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> "ClientWithStreamingResponse":
        """The same, to be entered: the body is read when it is asked for."""
        from .resources.views import ClientWithStreamingResponse

        return ClientWithStreamingResponse(self)

    # -- its end --

    def close(self) -> None:
        """Close all connections. May be called twice; calls after it raise APIConnectionError."""
        self._is_closed = True
        self._transport.close()

    _is_closed = False

    def is_closed(self) -> bool:
        return self._is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _transport(base_url: str, http_client: Any, gateway: Any) -> SyncTransport:
    if gateway is not None:
        from .local import open_sync

        return open_sync(gateway)
    if http_client is not None or is_proxied(base_url):
        from .foreign import ForeignSyncTransport

        return ForeignSyncTransport(http_client)
    from dragoman.http.sync import BlockingTransport

    return BlockingTransport()
