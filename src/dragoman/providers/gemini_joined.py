"""Two cleaned schemas that both hold (`allOf`, or what stands beside a reference), as one. Pure.

Properties and what is required are united, limits are the narrower; a property that both describe is joined in turn.
What cannot be joined is said in the description.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec

__all__ = ["LONGEST_NOTE", "describe", "join", "note", "size"]

Schema = dict[str, Any]

LONGEST_NOTE = 300  # characters of one keyword in a description
MOST_CHOICES = 32  # that two lists of choices may become
ABOVE = ("title", "description")  # stand above choices; all else stands in each


def join(into: Schema, part: Schema, most: int) -> int:
    """`part` holds too. At most `most` nodes may be copied for it; how many were."""
    if "anyOf" in into or "anyOf" in part:
        return _join_choices(into, part, most)
    copied = 0
    for key, value in part.items():
        if key not in into:
            into[key] = value
        elif key == "properties":
            copied += _join_properties(into[key], value, most - copied)
        elif key in ("items", "additionalProperties") and isinstance(into[key], dict) and isinstance(value, dict):
            copied += join(into[key], value, most - copied)
        elif into[key] != value:
            _join_keyword(into, key, value)
    return copied


def _join_properties(into: Schema, part: Mapping[str, Schema], most: int) -> int:
    copied = 0
    for name, value in part.items():
        copied += join(into[name], value, most - copied) if name in into else 0
        into.setdefault(name, value)
    return copied


def _join_keyword(into: Schema, key: str, value: Any) -> None:
    """One that both have, and not the same."""
    mine = into[key]
    if key == "title":
        return
    if key == "description":
        into[key] = mine if value in mine else f"{mine} {value}"
    elif key == "required":
        into[key] = list(dict.fromkeys([*mine, *value]))
    elif key in ("minimum", "minItems"):
        into[key] = max(mine, value)
    elif key in ("maximum", "maxItems"):
        into[key] = min(mine, value)
    elif key == "additionalProperties":
        into[key] = False if value is False or mine is False else value if mine is True else mine
    elif key == "type" and (both := _both_types(mine, value)):
        into[key] = both[0] if len(both) == 1 else both
    elif key == "enum" and (kept := [each for each in mine if each in value]):
        into[key] = kept
    else:
        describe(into, [note(f"and {key}", value)])


def _join_choices(into: Schema, part: Schema, most: int) -> int:
    """Each choice of the one with each of the other, but for pairs that nothing can be."""
    mine, theirs = into.pop("anyOf", [{}]), part.get("anyOf", [{}])
    beside = {key: into.pop(key) for key in list(into) if key not in ABOVE}
    also = {key: value for key, value in part.items() if key not in (*ABOVE, "anyOf")}
    pairs = len(mine) * len(theirs)
    copied = sum(len(theirs) * size(each) for each in mine) + sum(len(mine) * size(each) for each in theirs)
    copied += pairs * (size(beside) + size(also))
    for key in ABOVE:
        if key in part:
            _join_above(into, key, part[key])
    if pairs > MOST_CHOICES or copied > most:
        into |= {**also, **beside} if mine == [{}] else {"anyOf": mine}
        describe(into, [note("and one of", theirs if "anyOf" in part else [also])])
        return 0
    joined = [each for a in mine for b in theirs if (each := _one_of(a, b, beside, also)) is not None]
    if len(joined) == 1:
        copied += join(into, joined[0], most - copied)
    elif joined:
        into["anyOf"] = joined
    else:
        into["anyOf"] = mine
        describe(into, [note("and", [*theirs, also])])
    return copied


def _one_of(*parts: Schema) -> Schema | None:
    """All of these at once; None where their types exclude one another."""
    found: Schema = {}
    for part in parts:
        if "type" in found and "type" in part and not _both_types(found["type"], part["type"]):
            return None
        join(found, deepcopy(part), 0)
    return found


def _join_above(into: Schema, key: str, value: Any) -> None:
    if key in into:
        _join_keyword(into, key, value)
    else:
        into[key] = value


def _both_types(mine: Any, value: Any) -> list[str]:
    """Names of types that are both; a whole number is a number."""
    one, other = _names(mine), _names(value)
    return [name for name in one if name in other or (name == "integer" and "number" in other)] + [
        name for name in other if name == "integer" and "number" in one and name not in one
    ]


def _names(told: Any) -> list[str]:
    names = told if isinstance(told, list) else [told]
    return [name.lower() for name in names if isinstance(name, str)]


def size(schema: Any) -> int:
    """Nodes of a schema, or of a part of one."""
    if isinstance(schema, dict):
        return 1 + sum(size(each) for each in schema.values())
    return 1 + sum(size(each) for each in schema) if isinstance(schema, list) else 1


def note(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(text) > LONGEST_NOTE:
        text = text[:LONGEST_NOTE] + "..."
    return f"{key}: {text}"


def describe(clean: Schema, notes: list[str]) -> None:
    if not notes:
        return
    said = clean.get("description")
    added = f"({'; '.join(notes)})"
    clean["description"] = f"{said} {added}" if said else added
