"""Output formats: the schema that asks for one, and what a reply's text says in it. SDK-53.

Pydantic, where it is installed, makes the schemas and reads the text, so that a program meets its errors as it expects.
Where it is not, dataclasses, TypedDicts and plain types do without it.
"""

from collections.abc import Collection, Mapping
from typing import Any

from .exceptions import AnthropicError
from .given import is_given
from .guards import is_mapping

__all__ = ["OutputFormatError", "format_of", "parse_text", "transform_schema"]

Schema = dict[str, Any]


class OutputFormatError(AnthropicError, ValueError):
    """A reply's text is not of the format that was asked for, and Pydantic is not there to say so. `text` is the text.

    Where Pydantic is installed, its ValidationError, a ValueError too, comes instead.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


def format_of(output_format: Any) -> Schema:
    """`output_config.format` for a type. Raises TypeError for what is none, or has no schema."""
    if isinstance(output_format, Mapping):
        raise TypeError('output_format is a type; a schema goes into output_config={"format": ...}')
    return {"type": "json_schema", "schema": transform_schema(_type_schema(output_format))}


def parse_text(text: str, output_format: Any) -> Any:
    """The value that a text says in JSON, None where no format was asked for.

    Raises pydantic.ValidationError, or OutputFormatError where Pydantic is not installed: both are ValueErrors.
    """
    if output_format is None or not is_given(output_format):
        return None
    from .tools import pydantics  # what makes schemas is loaded where one is needed, as by far not every program does

    if pydantics.is_installed():
        return pydantics.adapter(output_format).validate_json(text)
    return _read(text, output_format)


def _read(text: str, output_format: Any) -> Any:
    import msgspec

    from .tools.annotations import kind_of
    from .tools.kinds import Mismatch, read

    try:
        return read(kind_of(output_format), msgspec.json.decode(text))
    except (Mismatch, msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise OutputFormatError(f"the reply is not of the format asked for: {error}", text) from error


def _type_schema(cls: Any) -> Schema:
    from .tools import pydantics
    from .tools.annotations import kind_of
    from .tools.kinds import schema_of

    if pydantics.is_model(cls):
        schema: Schema = cls.model_json_schema()
        return schema
    return pydantics.schema(cls) if pydantics.is_installed() else schema_of(kind_of(cls))


# What the API takes in each type. All else goes into the description, for the model to read.
FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
VARIANTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}  # as it is called -> as the API takes it


def transform_schema(json_schema: Any) -> Schema:
    """A schema in the subset that the API takes for structured outputs, of a schema or a type. The schema stays.

    Objects take no fields but their own, `oneOf` becomes `anyOf`; constraints that the API does not enforce are told
    to the model in the description. Raises ValueError where a part says nothing that the API takes.
    """
    return _strict(json_schema if is_mapping(json_schema) else _type_schema(json_schema))


def _strict(schema: Mapping[str, Any]) -> Schema:
    rest = dict(schema)
    strict: Schema = {}
    if (definitions := rest.pop("$defs", None)) is not None:
        strict["$defs"] = {name: _strict(each) for name, each in definitions.items()}
    if (reference := rest.pop("$ref", None)) is not None:
        return strict | {"$ref": reference}
    kind = rest.pop("type", None)
    variants = {name: rest.pop(name, None) for name in VARIANTS}
    values = _take_values(rest)
    strict |= values or {}
    chosen = next((name for name, each in variants.items() if isinstance(each, list)), None)
    if chosen is not None:
        strict[VARIANTS[chosen]] = [_strict(variant) for variant in variants[chosen]]
    elif not values:
        if not isinstance(kind, str) or kind not in TYPES:
            raise ValueError(f"a schema needs a `type`, `anyOf`, `oneOf`, `allOf`, `enum` or `const`; this is {schema}")
        strict["type"] = kind
    for name in ("description", "title"):
        if (told := rest.pop(name, None)) is not None:
            strict[name] = told
    if not values:
        strict |= _take_parts(kind, rest)
    return _with_rest(strict, rest)


def _take_values(rest: Schema) -> Schema:
    """`enum` and `const` of plain values, taken out of `rest`."""
    values: Schema = {}
    enum: list[Any] | None = rest.get("enum")
    if isinstance(enum, list) and enum and all(_is_plain(value) for value in enum):
        values["enum"] = list(rest.pop("enum"))
    if "const" in rest and _is_plain(rest["const"]):
        values["const"] = rest.pop("const")
    return values


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | None)


def _take_parts(kind: Any, rest: Schema) -> Schema:
    """What the API takes beside the type, taken out of `rest`."""
    parts: Schema = {}
    if kind == "object":
        parts["properties"] = {name: _strict(each) for name, each in rest.pop("properties", {}).items()}
        rest.pop("additionalProperties", None)
        parts["additionalProperties"] = False
        if (required := rest.pop("required", None)) is not None:
            parts["required"] = list(required)
    elif kind == "string":
        _take("format", FORMATS, rest, parts)
    elif kind == "array":
        if (items := rest.pop("items", None)) is not None:
            parts["items"] = _strict(items)
        _take("minItems", (0, 1), rest, parts)
    return parts


def _take(name: str, taken: Collection[Any], rest: Schema, parts: Schema) -> None:
    """One that the API takes with some values; with any other it is told last."""
    value = rest.pop(name, None)
    if value in taken:
        parts[name] = value
    elif value is not None:
        rest[name] = value


def _with_rest(strict: Schema, rest: Schema) -> Schema:
    if not rest:
        return strict
    told = "{" + ", ".join(f"{name}: {value}" for name, value in rest.items()) + "}"
    before = strict.get("description")
    return strict | {"description": told if before is None else f"{before}\n\n{told}"}
