"""Functions as tools: what the model is told of one, and how it is called with what the model gives. SDK-60, 62."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, TypedDict, TypeVar, Unpack, overload

from dragoman.client.guards import is_object

from . import pydantics
from .annotations import Unknown, arguments_of, kind_of
from .docstrings import Docstring, read_docstring
from .kinds import Mismatch, read, schema_of

__all__ = [
    "BetaAsyncBuiltinFunctionTool",
    "BetaAsyncFunctionTool",
    "BetaAsyncRunnableTool",
    "BetaBuiltinFunctionTool",
    "BetaFunctionTool",
    "BetaFunctionToolResultType",
    "BetaRunnableTool",
    "ToolError",
    "beta_async_tool",
    "beta_tool",
]

Json = dict[str, Any]
BetaFunctionToolResultType = str | Iterable[Any]  # text, or content blocks
F = TypeVar("F", bound=Callable[..., BetaFunctionToolResultType])
A = TypeVar("A", bound=Callable[..., Coroutine[Any, Any, BetaFunctionToolResultType]])
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


class ToolError(Exception):
    """Raise it in a tool to tell the model that the call failed, in your own words or blocks.

    Of any other exception, the model is told its `repr`.
    """

    def __init__(self, content: BetaFunctionToolResultType) -> None:
        self.content = content if isinstance(content, str) else list(content)
        super().__init__(_summary(self.content))


def _summary(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    if not content:
        return "Tool error"
    texts = [(block.get("text"), block.get("type", "unknown")) for block in content]
    return " ".join(f"[{kind}]" if text is None else str(text) for text, kind in texts)


class _Named:
    def to_dict(self) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What the model calls it. Raises ValueError for an entry of `tools` that has no name."""
        entry = self.to_dict()
        name = entry.get("mcp_server_name") or entry.get("name")
        if name is None:
            raise ValueError(f"a tool of type {entry.get('type')!r} has no name")
        return str(name)


class BetaBuiltinFunctionTool(_Named, ABC):
    """Base of tools whose entry in `tools` is the API's own, such as its memory tool; the work is yours."""

    @abstractmethod
    def to_dict(self) -> Any:
        """The entry of `tools`."""

    @abstractmethod
    def call(self, input: object) -> BetaFunctionToolResultType:  # noqa: A002 (as the API calls it)
        """Raise ToolError to tell the model that it failed."""


class BetaAsyncBuiltinFunctionTool(_Named, ABC):
    """As BetaBuiltinFunctionTool, for AsyncClient."""

    @abstractmethod
    def to_dict(self) -> Any: ...

    @abstractmethod
    async def call(self, input: object) -> BetaFunctionToolResultType: ...  # noqa: A002


class ToolOptions(TypedDict, total=False):
    """What a tool may be given beside its function."""

    name: str | None
    description: str | None
    input_schema: Any
    defer_loading: bool | None
    cache_control: Mapping[str, Any] | None
    allowed_callers: list[Any] | None
    eager_input_streaming: bool | None
    input_examples: Iterable[Mapping[str, object]] | None
    strict: bool | None


class BaseFunctionTool(Generic[AnyFunction]):
    """A function as a tool. It is still called as the function it is."""

    close: Callable[[], Awaitable[None] | None] | None = None
    """For what a tool holds. Yours to set and to call: the runner does not."""

    _context_manager: AbstractContextManager[Any] | AbstractAsyncContextManager[Any] | None = None
    """The entered context manager that the tool was made of, and that ends it."""

    def __init__(
        self,
        func: AnyFunction,
        *,
        name: str | None = None,
        description: str | None = None,
        input_schema: Any = None,
        defer_loading: bool | None = None,
        cache_control: Mapping[str, Any] | None = None,
        allowed_callers: list[Any] | None = None,
        eager_input_streaming: bool | None = None,
        input_examples: Iterable[Mapping[str, object]] | None = None,
        strict: bool | None = None,
    ) -> None:
        """`input_schema` is a schema or a type. Raises TypeError for parameters that no schema can be made of."""
        self.func = func
        self.name: str = name or func.__name__
        docstring = read_docstring(func.__doc__)
        self.description = description or docstring.description
        schema, self._arguments = _inputs_of(func)
        self.input_schema: Json = _given_schema(input_schema) if input_schema is not None else _told(schema, docstring)
        options = {
            "defer_loading": defer_loading,
            "cache_control": cache_control,
            "allowed_callers": allowed_callers,
            "eager_input_streaming": eager_input_streaming,
            "input_examples": input_examples,
            "strict": strict,
        }
        self._options = {option: value for option, value in options.items() if value is not None}

    @property
    def __call__(self) -> AnyFunction:
        return self.func

    def to_dict(self) -> Any:
        """The entry of `tools`."""
        entry = {"name": self.name, "description": self.description, "input_schema": self.input_schema}
        return entry | self._options

    def _arguments_from(self, given: object) -> Mapping[str, Any]:
        """Raises TypeError and ValueError: the input is the model's, who is told."""
        if not is_object(given):
            raise TypeError(f"the input of a tool is a dictionary, not {type(given).__name__}")
        try:
            return self._arguments(given)
        except ValueError as error:
            told = str(error) if isinstance(error, Mismatch) else pydantics.told(error)
            raise ValueError(f"Invalid arguments for function {self.name}: {told}") from error


class BetaFunctionTool(BaseFunctionTool[F]):
    def call(self, input: object) -> BetaFunctionToolResultType:  # noqa: A002
        """Raises ValueError for an input that does not fit, and what the function raises."""
        if inspect.iscoroutinefunction(self.func):
            raise RuntimeError(f"{self.name} is a coroutine function: make it a tool with beta_async_tool")
        return self.func(**self._arguments_from(input))


class BetaAsyncFunctionTool(BaseFunctionTool[A]):
    async def call(self, input: object) -> BetaFunctionToolResultType:  # noqa: A002
        """Raises ValueError for an input that does not fit, and what the function raises."""
        if not inspect.iscoroutinefunction(self.func):
            raise RuntimeError(f"{self.name} is no coroutine function: make it a tool with beta_tool")
        return await self.func(**self._arguments_from(input))


BetaRunnableTool = BetaFunctionTool[Any] | BetaBuiltinFunctionTool
BetaAsyncRunnableTool = BetaAsyncFunctionTool[Any] | BetaAsyncBuiltinFunctionTool


# -- schemas --

Reader = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _inputs_of(function: Callable[..., Any]) -> tuple[Json, Reader]:
    """The schema of a function's parameters, and what makes arguments of an input. Raises TypeError."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise TypeError(f"the parts of a tool's input have names: `{parameter}` cannot be given by position alone")
    try:
        arguments = arguments_of(function)
    except Unknown:
        if not pydantics.is_installed():
            raise
        return pydantics.function_schema(function), pydantics.argument_reader(function)
    return schema_of(arguments), lambda given: read(arguments, given)


def _given_schema(given: Any) -> Json:
    if isinstance(given, Mapping):
        return given  # type: ignore[return-value]  # as it was given: it is the caller's
    if pydantics.is_model(given):
        schema: Json = given.model_json_schema()
        return schema
    return pydantics.schema(given) if pydantics.is_installed() else schema_of(kind_of(given))


def _told(schema: Json, docstring: Docstring) -> Json:
    """With what the docstring says of the parameters, where the annotations do not."""
    fields = schema.get("properties", {})
    for name in fields.keys() & docstring.parameters.keys():
        if fields[name]:
            field = {"description": docstring.parameters[name]} | fields[name]
            fields[name] = {key: field[key] for key in sorted(field)}
    return schema


# -- decorators --


@overload
def beta_tool(func: F, **options: Unpack[ToolOptions]) -> BetaFunctionTool[F]: ...
@overload
def beta_tool(**options: Unpack[ToolOptions]) -> Callable[[F], BetaFunctionTool[F]]: ...
def beta_tool(
    func: F | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    input_schema: Any = None,
    defer_loading: bool | None = None,
    cache_control: Mapping[str, Any] | None = None,
    allowed_callers: list[Any] | None = None,
    eager_input_streaming: bool | None = None,
    input_examples: Iterable[Mapping[str, object]] | None = None,
    strict: bool | None = None,
) -> BetaFunctionTool[F] | Callable[[F], BetaFunctionTool[F]]:
    """Makes a tool of a function: name, description and schema come from it, its docstring and its annotations.

    With or without parentheses. A generator under `contextlib.contextmanager` yields the function; it is entered at
    once. Raises TypeError for a coroutine's context manager, and for parameters that no schema can be made of.
    """
    options: ToolOptions = {
        "name": name,
        "description": description,
        "input_schema": input_schema,
        "defer_loading": defer_loading,
        "cache_control": cache_control,
        "allowed_callers": allowed_callers,
        "eager_input_streaming": eager_input_streaming,
        "input_examples": input_examples,
        "strict": strict,
    }

    def make(function: F) -> BetaFunctionTool[F]:
        if _makes_async_context(function):
            raise TypeError("an asynccontextmanager is for beta_async_tool")
        if _makes_context(function):
            return _entered(function, options)
        return BetaFunctionTool(function, **options)

    return make if func is None else make(func)


def _entered(function: Callable[..., Any], options: ToolOptions) -> BetaFunctionTool[Any]:
    context: AbstractContextManager[Any] = function()
    inner = context.__enter__()
    try:
        tool = BetaFunctionTool[Any](inner, **options)
    except BaseException as error:
        context.__exit__(type(error), error, error.__traceback__)
        raise
    tool._context_manager = context
    return tool


@overload
def beta_async_tool(func: A, **options: Unpack[ToolOptions]) -> BetaAsyncFunctionTool[A]: ...
@overload
def beta_async_tool(**options: Unpack[ToolOptions]) -> Callable[[A], BetaAsyncFunctionTool[A]]: ...
def beta_async_tool(
    func: A | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    input_schema: Any = None,
    defer_loading: bool | None = None,
    cache_control: Mapping[str, Any] | None = None,
    allowed_callers: list[Any] | None = None,
    eager_input_streaming: bool | None = None,
    input_examples: Iterable[Mapping[str, object]] | None = None,
    strict: bool | None = None,
) -> BetaAsyncFunctionTool[A] | Callable[[A], BetaAsyncFunctionTool[A]]:
    """As `beta_tool`, of a coroutine function.

    What `contextlib.asynccontextmanager` made is entered by the first call, so it needs `input_schema`.
    """
    options: ToolOptions = {
        "name": name,
        "description": description,
        "input_schema": input_schema,
        "defer_loading": defer_loading,
        "cache_control": cache_control,
        "allowed_callers": allowed_callers,
        "eager_input_streaming": eager_input_streaming,
        "input_examples": input_examples,
        "strict": strict,
    }

    def make(function: A) -> BetaAsyncFunctionTool[A]:
        if _makes_context(function):
            raise TypeError("a contextmanager is for beta_tool")
        if _makes_async_context(function):
            if input_schema is None:
                raise TypeError("an asynccontextmanager as a tool needs input_schema: it is entered by the first call")
            return _EnteredLater(function, options).tool
        return BetaAsyncFunctionTool(function, **options)

    return make if func is None else make(func)


class _EnteredLater:
    """A tool whose function comes out of an async context manager."""

    def __init__(self, function: Callable[..., Any], options: ToolOptions) -> None:
        self._context: AbstractAsyncContextManager[Any] = function()
        self._inner: BetaAsyncFunctionTool[Any] | None = None
        self._entering: Any = None

        async def call(**given: Any) -> BetaFunctionToolResultType:
            return await (await self._entered()).call(given)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        self.tool: BetaAsyncFunctionTool[Any] = BetaAsyncFunctionTool(call, **options)

    async def _entered(self) -> BetaAsyncFunctionTool[Any]:
        import asyncio  # here, as only a program that runs it comes here

        if self._entering is None:
            self._entering = asyncio.Lock()
        async with self._entering:  # two calls of one turn enter once
            if self._inner is None:
                self._inner = BetaAsyncFunctionTool(await self._context.__aenter__(), name=self.tool.name)
                self.tool._context_manager = self._context
        return self._inner


def _makes_context(function: Any) -> bool:
    return inspect.isgeneratorfunction(getattr(function, "__wrapped__", None))


def _makes_async_context(function: Any) -> bool:
    return inspect.isasyncgenfunction(getattr(function, "__wrapped__", None))
