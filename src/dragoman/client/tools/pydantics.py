"""All that is asked of Pydantic, where it is installed: for its own types, and for those that `kinds` does not know.

It is no dependency, and is loaded when one of these functions is called.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["adapter", "argument_reader", "function_schema", "is_installed", "is_model", "schema"]


@functools.cache
def is_installed() -> bool:
    try:
        import pydantic
    except ImportError:
        return False
    return pydantic.VERSION.startswith("2.")


def is_model(cls: Any) -> bool:
    """Whether this is a model's class. Loads nothing: where Pydantic is not loaded, there is none."""
    return isinstance(cls, type) and hasattr(cls, "model_json_schema") and hasattr(cls, "__pydantic_core_schema__")


def adapter(annotation: Any) -> "TypeAdapter[Any]":
    """Raises errors of Pydantic's for what no schema can be made of."""
    try:
        return _cached_adapter(annotation)
    except TypeError:  # an annotation that cannot be hashed
        from pydantic import TypeAdapter

        return TypeAdapter(annotation)


@functools.lru_cache(512)
def _cached_adapter(annotation: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def schema(annotation: Any) -> dict[str, Any]:
    """A schema to keep: it is nobody else's. Raises TypeError for what no schema can be made of."""
    from pydantic.errors import PydanticSchemaGenerationError

    try:
        return adapter(annotation).json_schema()
    except PydanticSchemaGenerationError as error:
        raise TypeError(
            f"no schema is known for {annotation!r}: give a type that pydantic.TypeAdapter takes"
        ) from error


def function_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """The schema of a function's parameters. Raises errors of Pydantic's."""
    from pydantic import TypeAdapter, validate_call

    checked: Any = validate_call(function)
    return TypeAdapter(checked).json_schema()


def argument_reader(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Makes arguments of decoded JSON, as `validate_call` does, without the call. What it makes raises ValueError."""
    from pydantic import validate_call

    @functools.wraps(function)
    def arguments(**given: Any) -> dict[str, Any]:
        return given

    reader: Callable[..., Mapping[str, Any]] = validate_call(arguments)
    return lambda given: reader(**given)


def told(error: ValueError) -> str:
    """A validation error on one line: where, and what."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return str(error)
    places = ((".".join(map(str, each["loc"])), each["msg"]) for each in errors(include_url=False, include_input=False))
    return "; ".join(f"{place}: {what}" if place else what for place, what in places)
