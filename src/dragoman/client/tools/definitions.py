"""The `$defs` of a schema: classes that other parts refer to, their names, and the order of keys. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dragoman.client.guards import is_list, is_object

__all__ = ["Definitions", "Schema"]

Schema = dict[str, Any]


class Definitions:
    """Schemas of classes, which others refer to."""

    def __init__(self) -> None:
        self._schemas: dict[type, Schema] = {}
        self._references: dict[type, list[Schema]] = {}

    def refer(self, cls: type, make: Callable[[], Schema]) -> Schema:
        """A reference, whose name is known when all classes are."""
        reference: Schema = {"$ref": cls}
        self._references.setdefault(cls, []).append(reference)
        if cls not in self._schemas:
            self._schemas[cls] = {}  # so that a class that holds itself comes to an end
            self._schemas[cls] = make()
        return reference

    def finish(self, root: Schema) -> Schema:
        """Names the references. A root that is one, and the only one to its class, becomes what it refers to."""
        cls = root.get("$ref")
        if cls is not None and len(root) == 1 and len(self._references[cls]) == 1:
            del self._references[cls]
            root = self._schemas.pop(cls)
        names = _names(self._schemas)
        for each, references in self._references.items():
            for reference in references:
                reference["$ref"] = f"#/$defs/{names[each]}"
        if self._schemas:
            root = {**root, "$defs": {names[each]: schema for each, schema in self._schemas.items()}}
        ordered = _ordered(root)
        assert is_object(ordered)
        return ordered


def _names(schemas: Mapping[type, Schema]) -> dict[type, str]:
    """The shortest name of each class: its own, with its module's before it, or with a number after that.

    Classes share a name where their schemas are the same.
    """
    names: dict[type, str] = {}
    for group in _groups(schemas, lambda cls: cls.__name__):
        if _are_same(group, schemas):
            names |= dict.fromkeys(group, group[0].__name__)
            continue
        for namesakes in _groups(group, _long_name):
            long = _long_name(namesakes[0])
            is_one = _are_same(namesakes, schemas)
            names |= {cls: long if is_one else f"{long}__{number}" for number, cls in enumerate(namesakes, 1)}
    return names


def _groups(classes: Iterable[type], name: Callable[[type], str]) -> list[list[type]]:
    groups: dict[str, list[type]] = {}
    for cls in classes:
        groups.setdefault(name(cls), []).append(cls)
    return list(groups.values())


def _are_same(classes: Sequence[type], schemas: Mapping[type, Schema]) -> bool:
    return all(schemas[cls] == schemas[classes[0]] for cls in classes)


def _long_name(cls: type) -> str:
    return re.sub(r"[^a-zA-Z0-9.\-_]", "_", f"{cls.__module__}.{cls.__qualname__}").replace(".", "__")


def _ordered(value: Any, parent: str = "") -> Any:
    """Keys by the alphabet; fields and defaults stay as they are declared."""
    if is_list(value):
        return [_ordered(item, parent) for item in value]
    if not is_object(value):
        return value
    names = value if parent in ("properties", "default") else sorted(value)
    return {name: _ordered(value[name], name) for name in names}
