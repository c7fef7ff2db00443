"""Functions as tools: our definitions and calls beside those of the official package, over many functions. SDK-60."""

import ast
import asyncio
import contextlib
import dataclasses
import enum
import functools
import inspect
import json
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional
from unittest.mock import patch
from uuid import UUID

import anthropic
import anthropic.lib.tools
import docstring_parser
import pydantic
import pytest
from typing_extensions import TypedDict, Unpack

from dragoman.client.tools import pydantics
from dragoman.client.tools.annotations import Unknown
from dragoman.client.tools.docstrings import read_docstring
from dragoman.client.tools.functions import (
    BetaAsyncBuiltinFunctionTool,
    BetaAsyncFunctionTool,
    BetaBuiltinFunctionTool,
    BetaFunctionTool,
    ToolError,
    beta_async_tool,
    beta_tool,
)

Json = dict[str, Any]
UserId = NewType("UserId", int)


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Priority(enum.IntEnum):
    """How soon."""

    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Place:
    """Somewhere on earth."""

    city: str
    country: str = "JP"
    near: Optional["Place"] = None


class Options(TypedDict, total=False):
    """What may be asked for."""

    unit: Unit
    days: int


class Range(TypedDict):
    start: int
    end: NotRequired[int]


class Guest(pydantic.BaseModel):
    """Somebody invited."""

    name: str
    age: int = pydantic.Field(ge=0, description="In years")
    friends: list["Guest"] = []


# -- parameters of all kinds --


def nothing() -> str: ...
def plain(city: str) -> str: ...
def several(city: str, days: int, ratio: float, is_long: bool, data: bytes) -> str: ...
def no_annotations(a, b=1, *, c, d=None) -> str: ...  # type: ignore[no-untyped-def]
def defaults(a: int = 1, b: str = "x", c: float = 1.5, d: bool = False, e: None = None) -> str: ...
def none_without_optional(a: int = None) -> str: ...  # type: ignore[assignment]  # noqa: RUF013
def keyword_only(*, city: str, days: int = 3) -> str: ...
def mixed_order(a: int, b: str = "b", *, c: float, d: bool = True) -> str: ...
def other_names(a: int, **others: int) -> str: ...
def any_other_names(**others) -> str: ...  # type: ignore[no-untyped-def]
def any_other_values(**others: Any) -> str: ...
def optional(a: str | None, b: Optional[int] = None, c: int | str | None = None) -> str: ...  # noqa: UP045
def unions(a: int | str, b: list[int] | dict[str, int], c: bool | int = 1) -> str: ...
def literals(
    a: Literal["x", "y"], b: Literal[1, 2] = 1, c: Literal["only"] = "only", d: Literal["a", 1] = 1
) -> str: ...
def enums(unit: Unit, priority: Priority = Priority.LOW, maybe: Unit | None = None) -> str: ...
def lists(a: list, b: list[int], c: Sequence[str] = (), d: Iterable[float] = [], e: list[list[str]] = []) -> str: ...  # type: ignore[type-arg]  # noqa: B006
def sets(a: set[int], b: frozenset[str] = frozenset(), c: set[str] = {"b", "a"}) -> str: ...  # noqa: B006
def tuples(a: tuple[int, str], b: tuple[int, ...] = (1, 2), c: tuple[()] = ()) -> str: ...
def dicts(a: dict, b: dict[str, int], c: dict[str, list[int]] = {}, d: Mapping[str, Any] = {}) -> str: ...  # type: ignore[type-arg]  # noqa: B006
def keys(a: dict[int, str], b: dict[Unit, int], c: dict[Literal["x"], int]) -> str: ...
def anything(a: Any, b: object, c: Any = None) -> str: ...
def times(a: datetime, b: date = date(2026, 1, 2), c: timedelta = timedelta(days=1)) -> str: ...
def ids(a: UUID, b: Decimal = Decimal("1.5"), c: UserId = UserId(3)) -> str: ...
def typed_dict(options: Options, range: Range) -> str: ...  # noqa: A002
def typed_dict_list(ranges: list[Range], named: dict[str, Options] = {}) -> str: ...  # noqa: B006
def dataclass(place: Place) -> str: ...
def dataclass_default(place: Place = Place("Tokyo"), places: list[Place] = [Place("Kyoto")]) -> str: ...  # noqa: B006, B008
def dataclass_optional(place: Place | None = None, either: Place | Range | None = None) -> str: ...
def annotated(a: Annotated[int, "a note"], b: Annotated[list[str], "more", "notes"] = []) -> str: ...  # noqa: B006
def forward(place: "Place", unit: "Unit | None" = None, all: "list[Options]" = []) -> "str": ...  # noqa: A002, B006
def odd_names(URLValue: int, some_longName: str, _under: int, a__b: int, class_: int, ünï: int) -> str: ...  # noqa: N803
def unencodable(a: object = object()) -> str: ...


# -- what only Pydantic knows --


def model(guest: Guest) -> str: ...
def models(guests: list[Guest], by_name: dict[str, Guest] = {}, maybe: Guest | None = None) -> str: ...  # noqa: B006
def model_and_others(guest: Guest, place: Place, unit: Unit = Unit.CELSIUS, more: Options = {}) -> str: ...  # noqa: B006
def field(count: Annotated[int, pydantic.Field(ge=1, le=9, description="How many")], word: str = "x") -> str: ...
def field_default(count: int = pydantic.Field(default=3, description="How many", examples=[1])) -> str: ...
def constrained(a: pydantic.PositiveInt, b: Annotated[str, pydantic.Field(max_length=3)] = "x") -> str: ...
def path(a: Path, b: pydantic.HttpUrl) -> str: ...
def unpacked(**options: Unpack[Options]) -> str: ...


# -- docstrings --


def one_line(city: str) -> str:
    """Get the weather of a city."""


def google(city: str, days: int = 3, *, unit: Unit = Unit.CELSIUS) -> str:
    """Get the weather of a city.

    Several days are told at once.
      Indented.

    Args:
        city: The city's name,
            with its country
        days (int, optional): How many days. Defaults to 3.
        unit (Unit): What to measure in.
        absent: of no parameter

    Returns:
        str: what the weather is

    Raises:
        ValueError: when there is none

    Example:
        >>> google("Tokyo")
    """


def google_without_blank_lines(city: str, days: int = 3) -> str:
    """Get the weather.
    Args:
        city: The city
        days: The days
    Returns:
        The weather
    """


def google_note(city: str) -> str:
    """Get the weather.

    Note:
        This is no section that is known.

    Args:
        city: The city

    Todo:
        * more
    """


def google_broken(city: str) -> str:
    """Get the weather.

    Args:
        city
    """


def rest(city: str, days: int = 3, unit: Unit = Unit.CELSIUS) -> str:
    """Get the weather of a city.

    Several days are told at once.

    :param city: The city's name,
        with its country
    :param int days: How many days
    :type days: int
    :param unit: What to measure in.
    :returns: what the weather is
    :rtype: str
    :raises ValueError: when there is none
    """


def rest_other_words(city: str, days: int = 3) -> str:
    """Get the weather.

    :arg city: The city
    :keyword days: The days
    """


def rest_with_a_google_section(city: str) -> str:
    """Get the weather.

    :rtype: str

    Args:
        city: The city
    """


def numpy(city: str, days: int = 3, unit: Unit = Unit.CELSIUS) -> str:
    """Get the weather of a city.

    Several days are told at once.

    Parameters
    ----------
    city : str
        The city's name,
        with its country
    days : int, optional
        How many days
    unit
        What to measure in.

    Returns
    -------
    str
        What the weather is

    Notes
    -----
    Not known to everybody.
    """


def numpy_others(city: str, days: int = 3) -> str:
    """Get the weather.

    Parameters
    ----------
    city : {"Tokyo", "Kyoto"}
        The city

    Other Parameters
    ----------------
    days : int
        The days

    Examples
    --------
    >>> numpy_others("Tokyo")
    'rain'
    """


def epydoc(city: str, days: int = 3) -> str:
    """Get the weather.

    @param city: The city
    @type city: str
    @param days: The days
    @return: The weather
    """


def described_twice(count: Annotated[int, pydantic.Field(description="By the field")], guest: Guest) -> str:
    """Count guests.

    Args:
        count: By the docstring
        guest: Who comes
    """


def references(place: Place, unit: Unit, maybe: Place | None = None) -> str:
    """Tell of places.

    Args:
        place: Where
        unit: What in
        maybe: Perhaps there
    """


def starts_late(city: str) -> str:
    """

    Starts after blank lines.

    Args:
        city: The city
    """


def only_sections(city: str) -> str:
    """
    Args:
        city: The city
    """


def unicode(city: str) -> str:
    """Wie ist das Wetter in 東京? ☂

    Args:
        city: Die Stadt auf Deutsch: Köln
    """


def escaped(pattern: str) -> str:
    r"""Finds \d+ and "quotes".

    Args:
        pattern: such as \w+: a regex
    """


class Service:
    def method(self, city: str, days: int = 1) -> str:
        """Of an object.

        Args:
            city: The city
        """

    @classmethod
    def class_method(cls, city: str) -> str:
        """Of a class."""

    @staticmethod
    def static_method(city: str) -> str:
        """Of nothing."""


def traced(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs)

    return wrapper


@traced
def wrapped(city: str, days: int = 1) -> str:
    """Behind a decorator.

    Args:
        city: The city
    """


FUNCTIONS: list[Callable[..., Any]] = [
    nothing, plain, several, no_annotations, defaults, none_without_optional, keyword_only, mixed_order, other_names,
    any_other_names, any_other_values, optional, unions, literals, enums, lists, sets, tuples, dicts, keys, anything,
    times, ids, typed_dict, typed_dict_list, dataclass, dataclass_default, dataclass_optional, annotated, forward,
    odd_names, unencodable, one_line, google, google_without_blank_lines, google_note, google_broken, rest,
    rest_other_words, rest_with_a_google_section,
    numpy, numpy_others, epydoc, references, starts_late, only_sections, unicode, escaped,
    Service().method, Service.class_method, Service.static_method, wrapped, lambda city: "",
]  # fmt: skip
WITH_PYDANTIC: list[Callable[..., Any]] = [
    model, models, model_and_others, field, field_default, constrained, path, unpacked, described_twice
]  # fmt: skip


def theirs(function: Callable[..., Any], **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a default that JSON does not have is told of
        return anthropic.beta_tool(function, **options)


@pytest.mark.parametrize("function", FUNCTIONS + WITH_PYDANTIC, ids=lambda function: function.__name__)
def test_definition(function: Callable[..., Any]) -> None:
    """SDK-60: name, description and schema, to the order of keys."""
    ours, official = beta_tool(function), theirs(function)
    assert json.dumps(ours.to_dict()) == json.dumps(official.to_dict())
    assert (ours.name, ours.description, ours.input_schema) == (
        official.name,
        official.description,
        official.input_schema,
    )


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_definition_without_pydantic(function: Callable[..., Any]) -> None:
    with patch.object(pydantics, "is_installed", return_value=False):
        assert json.dumps(beta_tool(function).to_dict()) == json.dumps(theirs(function).to_dict())


@pytest.mark.parametrize("function", WITH_PYDANTIC, ids=lambda function: function.__name__)
def test_what_needs_pydantic_says_so(function: Callable[..., Any]) -> None:
    with (
        patch.object(pydantics, "is_installed", return_value=False),
        pytest.raises(Unknown, match="no schema is known"),
    ):
        beta_tool(function)


def test_the_example_of_the_guides() -> None:
    """SDK-60."""

    @beta_tool
    def sum(left: int, right: int) -> str:  # noqa: A001
        """Adds two integers together.

        Args:
            left: The first integer to add.
            right: The second integer to add.
        """
        return str(left + right)

    assert sum.to_dict() == {
        "name": "sum",
        "description": "Adds two integers together.",
        "input_schema": {
            "type": "object",
            "properties": {
                "left": {"type": "integer", "title": "Left", "description": "The first integer to add."},
                "right": {"type": "integer", "title": "Right", "description": "The second integer to add."},
            },
            "required": ["left", "right"],
            "additionalProperties": False,
        },
    }
    assert sum(1, right=2) == "3"
    assert sum.call({"left": 1, "right": 2}) == "3"
    assert sum.func(1, 2) == "3"


ALL_OPTIONS: Json = {
    "name": "other_name",
    "description": "Another description",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "defer_loading": True,
    "cache_control": {"type": "ephemeral"},
    "allowed_callers": ["direct"],
    "eager_input_streaming": False,
    "input_examples": [{"city": "Tokyo"}],
    "strict": True,
}


@pytest.mark.parametrize("names", [[name] for name in ALL_OPTIONS] + [list(ALL_OPTIONS)], ids=str)
def test_options_of_the_decorator(names: list[str]) -> None:
    options = {name: ALL_OPTIONS[name] for name in names}
    expected = theirs(google, **options).to_dict()
    assert beta_tool(google, **options).to_dict() == expected
    assert beta_tool(**options)(google).to_dict() == expected


@pytest.mark.parametrize("name", ["beta_tool", "beta_async_tool"])
def test_parameters_of_the_decorators(name: str) -> None:
    official = inspect.signature(getattr(anthropic, name)).parameters
    ours = inspect.signature({"beta_tool": beta_tool, "beta_async_tool": beta_async_tool}[name]).parameters
    assert [(each.name, each.kind, each.default) for each in ours.values()] == [
        (each.name, each.kind, each.default) for each in official.values()
    ]


def test_input_schema_of_a_model() -> None:
    """As the official one; a dataclass or TypedDict is taken too."""
    assert beta_tool(plain, input_schema=Guest).input_schema == theirs(plain, input_schema=Guest).input_schema
    assert beta_tool(plain, input_schema=Range).input_schema == pydantic.TypeAdapter(Range).json_schema()


def test_callables_that_are_no_functions() -> None:
    """They have no name of their own. The official client takes none of them."""

    class Adder:
        def __call__(self, left: int, right: int = 1) -> str:
            return str(left + right)

    adding = beta_tool(Adder(), name="add", description="Adds")
    partly = beta_tool(functools.partial(Adder(), right=5), name="add_five", description="Adds five")
    assert adding.input_schema["properties"]["left"] == {"title": "Left", "type": "integer"}
    assert partly.input_schema["properties"]["right"] == {"default": 5, "title": "Right", "type": "integer"}
    assert adding.call({"left": "2"}) == "3"
    assert partly.call({"left": "2"}) == "7"
    with pytest.raises(AttributeError, match="__name__"):
        beta_tool(Adder())
    with pytest.raises(pydantic.PydanticUserError):
        theirs(Adder(), name="add")


def positional(a: int, /) -> str: ...
def starred(*numbers: int) -> str: ...
def both(a: int, *numbers: int, b: int) -> str: ...


@pytest.mark.parametrize("function", [positional, starred, both])
def test_what_cannot_be_given_by_name_is_refused(function: Callable[..., Any]) -> None:
    """The official one makes a definition that the API refuses, or none: the input of a tool is an object."""
    with pytest.raises(TypeError, match="have names"):
        beta_tool(function)
    try:
        schema = theirs(function).input_schema
    except pydantic.errors.PydanticInvalidForJsonSchema:
        return
    assert schema["type"] == "array"


def test_a_name_that_is_nowhere() -> None:
    def function(place: "Nowhere") -> str: ...  # type: ignore[name-defined]  # noqa: F821

    for make in (beta_tool, theirs):
        with pytest.raises(NameError, match="Nowhere"):
            make(function)


def test_a_class_that_names_itself_within_a_function() -> None:
    @dataclasses.dataclass
    class Node:
        next: Optional["Node"] = None

    def walk(node: Node) -> str:
        return "two" if node.next else "one"

    assert beta_tool(walk).to_dict() == theirs(walk).to_dict()
    assert beta_tool(walk).call({"node": {"next": {}}}) == "two"


# -- calls --

INPUTS: list[tuple[Callable[..., Any], Json]] = [
    (plain, {"city": "Tokyo"}),
    (plain, {"city": 3}),
    (plain, {"city": None}),
    (plain, {}),
    (plain, {"city": "Tokyo", "more": 1}),
    (nothing, {}),
    (nothing, {"a": 1}),
    (several, {"city": "x", "days": "3", "ratio": 1, "is_long": "yes", "data": "x"}),
    (several, {"city": "x", "days": 3.5, "ratio": 1, "is_long": True, "data": "x"}),
    (several, {"city": "x", "days": 3.0, "ratio": "0.5", "is_long": 0, "data": ""}),
    (no_annotations, {"a": [1], "c": {"d": 2}}),
    (defaults, {}),
    (defaults, {"a": "1", "b": "y"}),
    (keyword_only, {"city": "x"}),
    (mixed_order, {"a": 1, "c": 2}),
    (mixed_order, {"a": 1}),
    (other_names, {"a": 1, "b": "2", "c": 3}),
    (other_names, {"a": 1, "b": "two"}),
    (any_other_names, {"x": [1]}),
    (optional, {"a": None}),
    (optional, {"a": "x", "b": "3", "c": "x"}),
    (unions, {"a": "x", "b": [1]}),
    (unions, {"a": 1.5, "b": []}),
    (literals, {"a": "x"}),
    (literals, {"a": "z"}),
    (enums, {"unit": "celsius", "priority": 2}),
    (enums, {"unit": "kelvin"}),
    (lists, {"a": [], "b": ["1", 2]}),
    (lists, {"a": [], "b": "1"}),
    (sets, {"a": [1, 1, 2], "c": ["x"]}),
    (tuples, {"a": [1, "x"]}),
    (tuples, {"a": [1]}),
    (dicts, {"a": {}, "b": {"x": "1"}}),
    (dicts, {"a": {}, "b": {"x": "one"}}),
    (keys, {"a": {"1": "x"}, "b": {"celsius": 1}, "c": {"x": 1}}),
    (times, {"a": "2026-01-02T03:04:05"}),
    (times, {"a": "tomorrow"}),
    (ids, {"a": "00000000-0000-0000-0000-000000000001", "b": 3}),
    (typed_dict, {"options": {"unit": "celsius"}, "range": {"start": "1"}}),
    (typed_dict, {"options": {}, "range": {}}),
    (dataclass, {"place": {"city": "Tokyo", "near": {"city": "Kyoto"}}}),
    (dataclass, {"place": {"country": "JP"}}),
    (dataclass_default, {}),
    (dataclass_optional, {"either": {"start": 1}}),
    (forward, {"place": {"city": "x"}, "all": [{"days": 2}]}),
    (model, {"guest": {"name": "x", "age": "3", "friends": [{"name": "y", "age": 1}]}}),
    (model, {"guest": {"name": "x", "age": -1}}),
    (models, {"guests": [], "by_name": {"a": {"name": "b", "age": 2}}}),
    (field, {"count": 3}),
    (field, {"count": 10}),
    (field_default, {}),
    (model_and_others, {"guest": {"name": "x", "age": 1}, "place": {"city": "y"}}),
    (unpacked, {"days": 3}),
    (unpacked, {"days": "many"}),
]


def recorder(function: Callable[..., Any]) -> Callable[..., str]:
    """A function of the same parameters that tells what it was called with."""

    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> str:
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        return repr(bound.arguments)

    return told


@pytest.mark.parametrize(("function", "given"), INPUTS, ids=lambda each: getattr(each, "__name__", str(each)))
def test_call(function: Callable[..., Any], given: Json) -> None:
    """SDK-62: the function gets what its annotations say, or the call fails with what the model is told."""
    ours, official = beta_tool(recorder(function)), theirs(recorder(function))
    expected, found = outcome(official, given), outcome(ours, given)
    if expected == f"Invalid arguments for function {function.__name__}":
        assert found.startswith(f"{expected}: ")
    else:
        assert found == expected


def outcome(tool: Any, given: Json) -> str:
    try:
        return str(tool.call(given))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("function", "given", "told"),
    [
        (plain, {}, "city: is missing"),
        (plain, {"city": 3}, "city: a string is needed, not 3"),
        (plain, {"city": "x", "town": "y"}, "town: there is no such parameter"),
        (dataclass, {"place": {"city": "x", "near": {"city": 1}}}, "place.near.city: a string is needed, not 1"),
        (enums, {"unit": "kelvin"}, "unit: one of 'celsius', 'fahrenheit' is needed, not 'kelvin'"),
        (model, {"guest": {"name": "x", "age": -1}}, "guest.age: Input should be greater than or equal to 0"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_model_is_told_what_is_wrong(function: Callable[..., Any], given: Json, told: str) -> None:
    """The official client says only that the arguments are invalid; with this the model can mend them."""
    with pytest.raises(ValueError) as caught:
        beta_tool(function).call(given)
    assert str(caught.value) == f"Invalid arguments for function {function.__name__}: {told}"


def test_an_error_within_the_function_stays_what_it_is() -> None:
    """In the official client a ValidationError out of the function passes for a wrong input."""

    @beta_tool
    def check(text: str) -> str:
        Guest.model_validate_json(text)
        return ""

    with pytest.raises(pydantic.ValidationError):
        check.call({"text": "{}"})


@pytest.mark.parametrize("given", [None, [], "x", 3])
def test_an_input_that_is_no_object(given: object) -> None:
    for make in (beta_tool, theirs):
        with pytest.raises(TypeError, match=r"dictionary"):
            make(plain).call(given)


async def test_async_tool() -> None:
    async def later(city: str, days: int = 1) -> str:
        """Takes its time.

        Args:
            city: The city
        """
        return f"{city} {days}"

    tool, official = beta_async_tool(later), anthropic.beta_async_tool(later)
    assert isinstance(tool, BetaAsyncFunctionTool)
    assert tool.to_dict() == official.to_dict() == beta_async_tool()(later).to_dict()
    assert await tool.call({"city": "x", "days": "2"}) == await official.call({"city": "x", "days": "2"}) == "x 2"
    assert await tool("y") == "y 1"
    with pytest.raises(ValueError, match=r"^Invalid arguments for function later: days: "):
        await tool.call({"city": "x", "days": "many"})


async def test_the_wrong_flavour() -> None:
    """As the official client does: made, and refused when called."""

    async def later() -> str:
        return ""

    for make in (beta_tool, theirs):
        with pytest.raises(RuntimeError):
            make(later).call({})
    for make_async in (beta_async_tool, anthropic.beta_async_tool):
        with pytest.raises(RuntimeError):
            await make_async(nothing).call({})  # type: ignore[type-var]


# -- tools as context managers --


def test_a_tool_out_of_a_context_manager() -> None:
    """The function that it yields is the tool; it is entered where it is decorated."""
    seen = []

    @contextlib.contextmanager
    def session() -> Iterator[Callable[..., str]]:
        seen.append("in")

        def ask(question: str) -> str:
            """Asks."""
            return question.upper()

        yield ask
        seen.append("out")

    tool = beta_tool(session)
    assert (tool.name, tool.description, seen) == ("ask", "Asks.", ["in"])
    assert tool.to_dict() == theirs(session).to_dict()
    assert tool.call({"question": "why"}) == "WHY"
    assert tool._context_manager is not None
    tool._context_manager.__exit__(None, None, None)  # type: ignore[union-attr]
    assert "out" in seen


def test_a_context_manager_that_makes_no_tool_is_left() -> None:
    seen = []

    @contextlib.contextmanager
    def session() -> Iterator[Callable[..., str]]:
        try:
            yield positional
        except TypeError:
            seen.append("refused")
            raise

    with pytest.raises(TypeError, match="have names"):
        beta_tool(session)
    assert seen == ["refused"]


async def test_an_async_tool_out_of_a_context_manager() -> None:
    """It is entered by the first call, once."""
    seen = []

    @contextlib.asynccontextmanager
    async def session() -> AsyncIterator[Callable[..., Any]]:
        """Asks later."""
        seen.append("in")
        await asyncio.sleep(0)

        async def ask(question: str) -> str:
            return question.upper()

        yield ask
        seen.append("out")

    schema = {"type": "object", "properties": {"question": {"type": "string"}}}
    with pytest.raises(TypeError, match="input_schema"):
        beta_async_tool(session)
    tool: Any = beta_async_tool(session, input_schema=schema)
    official: Any = anthropic.beta_async_tool(session, input_schema=schema)  # type: ignore[type-var]
    assert tool.to_dict() == official.to_dict()
    assert seen == []
    assert await asyncio.gather(tool.call({"question": "a"}), tool.call({"question": "b"})) == ["A", "B"]
    with pytest.raises(ValueError, match=r"^Invalid arguments for function session: question: "):
        await tool.call({"question": 3})
    assert seen == ["in"]
    await tool._context_manager.__aexit__(None, None, None)
    assert seen == ["in", "out"]


def test_the_wrong_context_manager() -> None:
    @contextlib.contextmanager
    def sync() -> Iterator[Any]:
        yield plain

    @contextlib.asynccontextmanager
    async def later() -> AsyncIterator[Any]:
        yield plain

    for make, session in ((beta_tool, later), (beta_async_tool, sync)):
        with pytest.raises(TypeError, match="contextmanager"):
            make(session)  # type: ignore[operator]


# -- ToolError, tools of the API's own --

CONTENTS: list[Any] = [
    "Not today",
    "",
    [],
    [{"type": "text", "text": "No"}, {"type": "text", "text": "luck"}],
    [{"type": "text", "text": "See"}, {"type": "image", "source": {}}, {}],
    [{"type": "text", "text": ""}],
]


@pytest.mark.parametrize("content", CONTENTS, ids=str)
def test_tool_error(content: Any) -> None:
    """SDK-62."""
    ours, official = ToolError(content), anthropic.lib.tools.ToolError(content)
    assert (str(ours), ours.content) == (str(official), official.content)


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"type": "memory_20250818", "name": "memory"}, "memory"),
        ({"type": "mcp_toolset", "mcp_server_name": "maps"}, "maps"),
        ({"type": "mcp_toolset", "mcp_server_name": "maps", "name": "other"}, "maps"),
    ],
    ids=str,
)
def test_name_of_a_tool_of_the_api(entry: Json, name: str) -> None:
    class Memory(BetaBuiltinFunctionTool):
        def to_dict(self) -> Any:
            return entry

        def call(self, input: object) -> str:  # noqa: A002
            return "remembered"

    class Later(BetaAsyncBuiltinFunctionTool):
        def to_dict(self) -> Any:
            return entry

        async def call(self, input: object) -> str:  # noqa: A002
            return "remembered"

    assert Memory().name == Later().name == name
    assert not isinstance(Memory(), BetaFunctionTool)


def test_a_tool_of_the_api_without_a_name() -> None:
    class Nameless(BetaBuiltinFunctionTool):
        def to_dict(self) -> Any:
            return {"type": "web_search"}

        def call(self, input: object) -> str:  # noqa: A002
            return ""

    with pytest.raises(ValueError, match="'web_search'"):
        _ = Nameless().name
    with pytest.raises(TypeError, match="abstract"):
        BetaBuiltinFunctionTool()  # type: ignore[abstract]


# -- docstrings of real programs --


def docstrings() -> Iterator[tuple[str, str]]:
    """Those of the standard library and some packages, with where they stand."""
    packages = [Path(inspect.getfile(each)).parent for each in (ast, anthropic, pydantic, docstring_parser)]
    for path in sorted(each for package in packages for each in package.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                text = ast.get_docstring(node, clean=False)
                if text:
                    yield f"{path.name}:{node.name}", text


def test_docstrings_are_read_as_the_official_client_reads_them() -> None:
    """Of thousands. A decorator in an example (`@` at the start of a line) is Epydoc to theirs, text to ours."""
    count, different = 0, []
    for where, text in docstrings():
        count += 1
        ours, official = read_docstring(text), docstring_parser.parse(text)
        parameters: dict[str, str] = {}
        for each in official.params:
            if each.description:
                parameters.setdefault(each.arg_name, each.description)
        parts = [official.short_description, official.long_description]
        description = "\n\n".join(part for part in parts if part) if official.short_description else ""
        if (ours.description, ours.parameters) != (description, parameters):
            different.append(where)
            assert official.style is docstring_parser.DocstringStyle.EPYDOC, where
            assert description in ours.description.replace("\n\n", "\n") or description in ours.description, where
    assert count > 4000
    assert len(different) < 10, different


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_no_docstring(text: str | None) -> None:
    assert read_docstring(text) == ("", {}, 0)
