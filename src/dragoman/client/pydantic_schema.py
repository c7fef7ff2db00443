"""Records inside Pydantic models, and in what Pydantic writes. Loaded where a program brings Pydantic along."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError, SchemaSerializer, core_schema

from .guards import is_mapping
from .record import Record

__all__ = ["json_schema", "schema_for", "serializer_for"]


def schema_for(cls: type[Record], fields: Mapping[str, Any], tags: tuple[str, ...]) -> Any:
    """Takes a record of this class, or a dictionary of the right `type` with all that a record must have."""
    needed = [name for name in fields if not hasattr(cls, name)]

    def read(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not is_mapping(value):
            raise PydanticCustomError(
                "record_type", "Input should be a valid dictionary or instance of {name}", {"name": cls.__name__}
            )
        if tags and value.get("type", tags[0]) not in tags:
            raise PydanticCustomError("record_tag", "Input should have the type {tags}", {"tags": " or ".join(tags)})
        missing = [name for name in needed if name not in value]
        if missing:
            raise PydanticCustomError("missing", "Fields required: {names}", {"names": ", ".join(missing)})
        return cls.model_validate(value)

    made = core_schema.no_info_plain_validator_function(read)
    # In a union of records and TypedDicts, such as a message's content, a dictionary remains one.
    return core_schema.lax_or_strict_schema(
        lax_schema=made,
        strict_schema=core_schema.json_or_python_schema(
            json_schema=made, python_schema=core_schema.is_instance_schema(cls)
        ),
        serialization=_WRITTEN,
    )


def _write(value: Any, info: Any) -> Any:
    if not isinstance(value, Record):
        return value
    return type(value).model_dump(
        value,
        mode=info.mode,
        include=info.include,
        exclude=info.exclude,
        exclude_unset=info.exclude_unset,
        exclude_defaults=info.exclude_defaults,
        exclude_none=info.exclude_none,
    )


_WRITTEN = core_schema.plain_serializer_function_ser_schema(_write, info_arg=True)


def serializer_for(cls: type[Record]) -> SchemaSerializer:
    """What Pydantic uses for a value of this class where a model says `Any`."""
    return SchemaSerializer(core_schema.any_schema(serialization=_WRITTEN))


def json_schema(cls: type[Record], fields: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the names of the fields; what they hold is left open."""
    return {
        "type": "object",
        "title": cls.__name__,
        "properties": {name: {"title": name.replace("_", " ").title()} for name in fields},
        "required": [name for name in fields if not hasattr(cls, name)],
    }
