"""Output formats: our schemas and readings beside those of the official package, over many types. SDK-53."""

import dataclasses
import enum
import json
import re
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, Optional, Required, TypeVar
from unittest.mock import patch
from uuid import UUID

import annotated_types
import anthropic
import pydantic
import pytest
from anthropic._types import NOT_GIVEN as THEIR_NOT_GIVEN
from anthropic.lib._parse._response import parse_text as their_parse_text
from anthropic.lib._parse._transform import to_json_output_format
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import TypedDict

from dragoman.client.given import NOT_GIVEN, omit
from dragoman.client.parse import OutputFormatError, format_of, parse_text, transform_schema
from dragoman.client.tools import pydantics
from dragoman.client.tools.annotations import Unknown, kind_of
from dragoman.client.tools.kinds import Mismatch, read, schema_of

Json = dict[str, Any]
T = TypeVar("T")
NewInt = NewType("NewInt", int)


class Color(enum.Enum):
    """Which of them."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"
    NONE = None


class Halves(float, enum.Enum):
    HALF = 0.5
    WHOLE = 1.0


# -- models --


class Empty(BaseModel):
    pass


class Plain(BaseModel):
    name: str
    age: int
    height: float
    is_admin: bool
    nothing: None


class Documented(BaseModel):
    """A person.

    With more to say.
    """

    name: str = Field(description="The full name")
    age: int = Field(title="Years", description="How old")


class Defaults(BaseModel):
    a: int = 1
    b: str | None = None
    c: list[int] = Field(default_factory=list)
    d: Color = Color.RED
    e: dict[str, int] = {}
    f: float = 1.5


class Address(BaseModel):
    street: str
    city: str | None = None


class Nested(BaseModel):
    home: Address
    work: Address | None = None
    others: list[Address] = Field(description="All others")


class Tree(BaseModel):
    """A tree of trees."""

    value: int
    children: list["Tree"] = []


class Left(BaseModel):
    right: Optional["Right"] = None


class Right(BaseModel):
    left: Left | None = None


class Limits(BaseModel):
    count: int = Field(ge=1, le=10)
    ratio: float = Field(gt=0, lt=1, multiple_of=0.1)
    word: str = Field(min_length=1, max_length=5, pattern="^[a-z]+$")
    words: list[str] = Field(min_length=1)
    many: list[int] = Field(min_length=2, max_length=9)
    none_needed: list[int] = Field(min_length=0)
    unique: set[str]


class DescribedLimits(BaseModel):
    count: int = Field(ge=1, description="How many", examples=[3, 4])


class Formats(BaseModel):
    when: datetime
    day: date
    hour: time
    lasts: timedelta
    id: UUID
    price: Decimal
    home: pydantic.AnyUrl
    site: pydantic.HttpUrl
    data: bytes
    path: pydantic.FilePath
    ip: pydantic.IPvAnyAddress
    secret: pydantic.SecretStr
    pattern: re.Pattern[str]


class Enums(BaseModel):
    color: Color
    level: Level
    mixed: Mixed
    halves: Halves
    maybe: Color | None = None
    many: list[Color]


class Literals(BaseModel):
    one: Literal["a"]
    two: Literal["a", "b"]
    number: Literal[1, 2]
    mixed: Literal[1, "a", True, None]
    maybe: Literal["x"] | None = None


class Unions(BaseModel):
    a: int | str
    b: int | str | None
    c: list[int] | dict[str, int]
    d: Address | Tree
    e: None | int = None  # noqa: RUF036 (the order is what is tested)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Tagged(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")
    maybe: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


class Containers(BaseModel):
    b: dict[str, Any]
    c: dict[str, list[int]]
    d: tuple[int, str]
    e: tuple[int, ...]
    f: frozenset[int]
    g: dict[Color, int]
    h: list[list[list[str]]]
    i: dict[int, Address]


class Aliases(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    first_name: str = Field(alias="firstName")
    last: str = Field(validation_alias="lastName", serialization_alias="last_name")
    both: str = Field(validation_alias=pydantic.AliasChoices("x", "y"))


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid", title="Strict one")

    a: int


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{"a": 1}]})

    a: int


class Parent(BaseModel):
    a: int


class Child(Parent):
    """Has more."""

    b: str


class Box(BaseModel, Generic[T]):
    content: T


class Numbers(RootModel[list[int]]):
    pass


class Root(RootModel[Tree]):
    pass


class Extra(BaseModel):
    a: int = Field(json_schema_extra={"x-order": 1, "deprecated": True})
    b: str = Field(deprecated=True)
    c: Annotated[int, annotated_types.Gt(3), Field(description="Above three")]
    d: Annotated[str, "a note of nobody's"]
    e: NewInt


class Computed(BaseModel):
    a: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.a * 2


MODELS: list[type[BaseModel]] = [
    Empty, Plain, Documented, Defaults, Address, Nested, Tree, Left, Right, Limits, DescribedLimits, Formats, Enums,
    Literals, Unions, Cat, Tagged, Containers, Aliases, Forbidding, Allowing, Parent, Child, Box[int], Box[Address],
    Box[list[Tree]], Numbers, Root, Extra, Computed,
]  # fmt: skip


# -- without Pydantic --


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Shape:
    """A shape in the plane."""

    points: list[Point]
    color: Color = Color.RED
    name: str | None = None
    tags: set[str] = dataclasses.field(default_factory=set)
    parent: Optional["Shape"] = None
    size: float = dataclasses.field(default=1.0, kw_only=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("must not be negative")


class Movie(TypedDict):
    """A film."""

    title: str
    year: NotRequired[int]


class Rating(TypedDict, total=False):
    movie: Required[Movie]
    stars: Literal[1, 2, 3]
    by: "Rating"


class Texts(TypedDict):
    """Its annotations are text, so Python does not know what is required."""

    a: "NotRequired[int]"
    b: "Annotated[str, 'a note']"


class Optionals(TypedDict, total=False):
    a: "Required[int]"
    b: "str"


class Sequel(Movie):
    of: Movie


def _namesake() -> Any:
    @dataclasses.dataclass
    class Point:
        z: int

    return Point


Other, Another = _namesake(), _namesake()

NATIVE: list[Any] = [  # what is read without Pydantic
    int, float, str, bool, bytes, Any, object, None, date, datetime, time, timedelta, UUID, Decimal,
    list, list[int], list[str | None], tuple, tuple[int, str], tuple[int, ...], set[int], frozenset[str],
    dict, dict[str, int], dict[str, list[Point]], dict[Color, int], dict[int, str], dict[Literal["a", "b"], int],
    int | None, int | str, int | str | None, bool | int, list[int] | int, Point | None, Point | Shape, str | Color,
    Literal["a"], Literal["a", "b"], Literal[1, "a"], Literal[True], Literal["a", None], Literal[1, 1],
    Color, Level, Mixed, Halves, list[Color], Color | None, NewInt, Annotated[int, "a note"],
    Point, Shape, Positive, Movie, Rating, Texts, Optionals,
    Sequel, list[Movie], list[Point], dict[str, Shape], Movie | Point,
    Point | Other, Point | Other | Another, list[Other] | Another,
]  # fmt: skip
FOR_PYDANTIC: list[Any] = [  # what only Pydantic has a schema of
    Address, list[Address], dict[str, Tree], Address | None, Cat | Dog, tuple[Address, int],
    Annotated[int, Field(ge=1)], Annotated[list[int], Field(min_length=2)], pydantic.AnyUrl, Box[int],
    Annotated[Cat | Dog, Field(discriminator="kind")],
]  # fmt: skip


def theirs(output_format: Any) -> Json:
    found: Any = to_json_output_format(output_format)
    return dict(found)


def as_text(schema: Any) -> str:
    """The order of keys counts: it is what the model reads."""
    return json.dumps(schema)


# -- schemas --


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_schema_of_a_model(model: type[BaseModel]) -> None:
    """SDK-53: the schema that the official client sends."""
    expected = anthropic.transform_schema(model)
    assert as_text(transform_schema(model)) == as_text(expected)
    assert as_text(transform_schema(model.model_json_schema())) == as_text(expected)
    assert as_text(format_of(model)) == as_text(theirs(model))


@pytest.mark.parametrize("cls", NATIVE + FOR_PYDANTIC, ids=str)
def test_schema_of_a_type(cls: Any) -> None:
    try:
        expected = as_text(theirs(cls))
    except ValueError:  # `Any` says nothing that the API takes
        with pytest.raises(ValueError, match="needs a `type`"):
            format_of(cls)
        return
    assert as_text(format_of(cls)) == expected
    assert as_text(transform_schema(cls)) == as_text(theirs(cls)["schema"])


@pytest.mark.parametrize("cls", NATIVE, ids=str)
def test_schema_without_pydantic_is_that_of_pydantic(cls: Any) -> None:
    assert as_text(schema_of(kind_of(cls))) == as_text(pydantic.TypeAdapter(cls).json_schema())


@pytest.mark.parametrize("cls", FOR_PYDANTIC, ids=str)
def test_what_only_pydantic_knows_is_left_to_it(cls: Any) -> None:
    with pytest.raises(Unknown):
        kind_of(cls)


SCHEMAS: list[Json] = [
    {"type": "integer", "minimum": 1, "maximum": 10, "description": "A number"},
    {"type": "string", "format": "uri", "minLength": 1},
    {"type": "string", "format": "binary"},
    {"type": "string", "pattern": "^a", "title": "Word"},
    {"type": "array", "minItems": 0},
    {"type": "array", "minItems": 1, "items": {"type": "string"}},
    {"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "string", "maxLength": 2}},
    {"type": "array", "prefixItems": [{"type": "string"}], "uniqueItems": True},
    {"type": "object"},
    {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": True},
    {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"pattern": "^x"}},
    {"type": "object", "properties": {"a": {"enum": ["x", 1, None]}}, "minProperties": 1, "description": "Some"},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    {"oneOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}]},
    {"oneOf": [{"$ref": "#/$defs/A"}], "discriminator": {"propertyName": "kind"}, "$defs": {"A": {"type": "object"}}},
    {"allOf": [{"$ref": "#/$defs/A"}, {"type": "object"}], "$defs": {"A": {"type": "boolean"}}, "title": "All"},
    {"$ref": "#/$defs/A", "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}}, "description": "lost"},
    {"enum": ["a", "b"], "type": "string", "title": "Letters", "description": "Either"},
    {"enum": [1, 2.5, None, True]},
    {"enum": [["a"]], "type": "array"},
    {"const": "x", "type": "string"},
    {"const": {"a": 1}, "type": "object"},
    {"const": None},
    {"enum": [], "type": "string"},
    {"type": "object", "anyOf": [{"type": "object"}], "properties": {"a": {"type": "string"}}},
    {"anyOf": [{"type": "string"}], "oneOf": [{"type": "integer"}], "description": "first of them"},
    {"type": "boolean", "x-own": [1], "examples": [True]},
    {"type": "number", "multipleOf": 0.5, "description": ""},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=as_text)
def test_schema_that_is_given(schema: Json) -> None:
    before = as_text(schema)
    assert as_text(transform_schema(schema)) == as_text(anthropic.transform_schema(schema))
    assert as_text(schema) == before, "the caller's schema stays as it is"


@pytest.mark.parametrize("schema", [{}, {"description": "Anything"}, {"type": "any"}, {"type": ["string", "null"]}])
def test_schema_that_says_nothing(schema: Json) -> None:
    """Theirs raises ValueError or AssertionError."""
    with pytest.raises((ValueError, AssertionError)):
        anthropic.transform_schema(schema)
    with pytest.raises(ValueError, match="needs a `type`"):
        transform_schema({"type": "array", "items": schema})


def test_a_schema_is_no_output_format() -> None:
    for refuse in (format_of, theirs):
        with pytest.raises(TypeError):
            refuse({"type": "object"})


def test_a_type_without_a_schema() -> None:
    with pytest.raises(TypeError, match="range"):
        format_of(range)
    with patch.object(pydantics, "is_installed", return_value=False), pytest.raises(TypeError, match="range"):
        format_of(range)


def test_what_is_handed_out_is_the_callers() -> None:
    first = format_of(Nested)
    first["schema"]["properties"].clear()
    assert format_of(Nested)["schema"]["properties"]


# -- values --

TEXTS: list[tuple[Any, str]] = [
    (Plain, '{"name": "a", "age": "3", "height": 1, "is_admin": false, "nothing": null}'),
    (Nested, '{"home": {"street": "x"}, "others": [{"street": "y", "city": "z"}]}'),
    (Tagged, '{"pet": {"kind": "dog", "tricks": ["sit"]}}'),
    (Tree, '{"value": 1, "children": [{"value": 2}]}'),
    (Enums, '{"color": "red", "level": 2, "mixed": null, "halves": 0.5, "many": ["blue"]}'),
    (list[Address], '[{"street": "x"}]'),
    (int, " 3 "),
    (Literal["a", "b"], '"b"'),
    (list[Color], '["red", "blue"]'),
    (Shape, '{"points": [{"x": 1}, {"x": 2, "y": 3}], "color": "blue", "tags": ["t"], "parent": {"points": []}}'),
    (Sequel, '{"title": "II", "of": {"title": "I", "year": 1980}}'),
    (Point | None, "null"),
    (tuple[int, ...], "[1, 2]"),
]
WRONG: list[tuple[Any, str]] = [
    (Plain, '{"name": "a"}'),
    (Plain, '{"name": 1, "age": 1, "height": 1, "is_admin": true, "nothing": null}'),
    (Limits, "{}"),
    (Address, "no JSON"),
    (Address, ""),
    (Address, '{"street": "x"'),
    (int, '"three"'),
    (int, "[" * 100_000),
    (list[Color], '["green"]'),
    (Shape, '{"points": [{"y": 1}]}'),
    (Positive, '{"number": -1}'),
    (Movie, '{"title": null}'),
    (Literal["a"], '"b"'),
]


@pytest.mark.parametrize(("cls", "text"), TEXTS, ids=str)
def test_text_of_a_type(cls: Any, text: str) -> None:
    """SDK-53."""
    value = parse_text(text, cls)
    assert value == their_parse_text(text, cls)
    assert type(value) is type(their_parse_text(text, cls))


@pytest.mark.parametrize(("cls", "text"), WRONG, ids=lambda value: str(value)[:50])
def test_text_of_another_type(cls: Any, text: str) -> None:
    """SDK-53: text that does not validate raises Pydantic's ValidationError."""
    with pytest.raises(pydantic.ValidationError):
        their_parse_text(text, cls)
    with pytest.raises(pydantic.ValidationError):
        parse_text(text, cls)


@pytest.mark.parametrize("absent", [NOT_GIVEN, omit, None, THEIR_NOT_GIVEN])
def test_no_format_no_value(absent: Any) -> None:
    assert parse_text("anything", absent) is None


@pytest.fixture
def no_pydantic() -> Any:
    with patch.object(pydantics, "is_installed", return_value=False):
        yield


def is_native(cls: Any) -> bool:
    try:
        kind_of(cls)
    except Unknown:
        return False
    return True


@pytest.mark.usefixtures("no_pydantic")
@pytest.mark.parametrize(("cls", "text"), [each for each in TEXTS if is_native(each[0])], ids=str)
def test_text_of_a_type_without_pydantic(cls: Any, text: str) -> None:
    assert parse_text(text, cls) == their_parse_text(text, cls)


@pytest.mark.usefixtures("no_pydantic")
@pytest.mark.parametrize(
    ("cls", "text"), [each for each in WRONG if is_native(each[0])], ids=lambda value: str(value)[:50]
)
def test_text_of_another_type_without_pydantic(cls: Any, text: str) -> None:
    with pytest.raises(OutputFormatError) as caught:
        parse_text(text, cls)
    assert isinstance(caught.value, ValueError)
    assert caught.value.text == text


@pytest.mark.usefixtures("no_pydantic")
def test_an_error_without_pydantic_says_where() -> None:
    with pytest.raises(OutputFormatError, match=r"points\.1\.x: an integer is needed, not 'one'"):
        parse_text('{"points": [{"x": 1}, {"x": "one"}]}', Shape)


VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -1, 1.0, 1.5, "1", "a", "x", "red", "1.0", "1.5", " 2 ", "true", "yes", "", "nan",
    "2020-01-01", "2020-01-01T10:00:00", "10:00:00", "P1D", "00000000-0000-0000-0000-000000000001", 10**30,
    [], [1], ["1"], ["a"], [1, "a"], [1, 2], [1, 1], [None], [{"x": 1}], {}, {"x": 1}, {"x": "1", "y": 2, "z": 3},
    {"z": 1}, {"x": None}, {"a": 1}, {"1": "x"}, {"red": 1}, {"title": "t"}, {"title": "t", "year": "1980", "more": 1},
    {"movie": {"title": "t"}, "stars": 1}, {"points": [{"x": 1}], "size": 2}, {"number": -1}, {"number": 1},
]  # fmt: skip
# Where we differ; every row is needed, or the test fails.
NO_TIMES = {  # a number is no time here
    "date": ["0"],
    "time": ["0", "1", "2", "1.0", "1.5"],
    "datetime": ["0", "1", "2", "-1", "1.0", "1.5", "'1'", "'1.0'", "'1.5'"],
    "timedelta": ["0", "1", "2", "-1", "1.0", "1.5", "'10:00:00'"],
}
NOT_AS_PYDANTIC = {(name, value) for name, values in NO_TIMES.items() for value in values} | {("Decimal", "'nan'")}


def test_values_are_read_as_pydantic_reads_them() -> None:
    """Leniently: in a reply `"3"` may stand for an int. Pydantic's reading of JSON, or of decoded JSON, is ours."""
    different = {}
    for cls in NATIVE:
        for value in VALUES:
            ours = outcome(lambda cls=cls, value=value: read(kind_of(cls), value), Mismatch)
            adapter: Any = pydantic.TypeAdapter(cls)
            expected = {
                outcome(lambda adapter=adapter, value=value: adapter.validate_python(value), pydantic.ValidationError),
                outcome(
                    lambda adapter=adapter, value=value: adapter.validate_json(json.dumps(value)),
                    pydantic.ValidationError,
                ),
            }
            if ours not in expected:
                different[getattr(cls, "__name__", str(cls)), repr(value)] = (ours, expected)
    assert different.keys() == NOT_AS_PYDANTIC, different


def outcome(do: Any, error: type[Exception]) -> str:
    try:
        return repr(do())
    except error:
        return "refused"


def test_import_loads_no_pydantic() -> None:
    """Contract: Pydantic is no dependency of the client."""
    code = "import sys, dragoman.client.parse, dragoman.client.tools.functions; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
