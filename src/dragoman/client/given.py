"""Arguments that were not given, where None means something of its own."""

from typing import Final, Literal, TypeGuard, TypeVar, final

__all__ = ["NOT_GIVEN", "NoneType", "NotGiven", "Omit", "is_given", "not_given", "omit"]

T = TypeVar("T")
NoneType = type(None)  # `cast_to` of a reply that nobody looks at


@final
class NotGiven:
    """The default stays in force: `timeout=None` is no time-out, `timeout=NOT_GIVEN` the client's."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


@final
class Omit:
    """Leaves something out that would be sent otherwise: a field, or a header that the client adds by itself."""

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "omit"


NOT_GIVEN: Final = NotGiven()
not_given: Final = NOT_GIVEN
omit: Final = Omit()


def is_given(value: "T | NotGiven | Omit") -> TypeGuard[T]:
    """Foreign sentinels count too: a program may hand over those of another Messages client."""
    return not (isinstance(value, NotGiven | Omit) or _is_foreign(value))


def _is_foreign(value: object) -> bool:
    kind = type(value)
    return kind.__name__ in ("NotGiven", "Omit") and not kind.__module__.startswith("builtins")
