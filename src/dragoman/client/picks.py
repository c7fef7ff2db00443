"""`include` and `exclude` of `model_dump`, as Pydantic reads them: names, and below them names of parts."""

from typing import Any

from .guards import is_list, is_object

__all__ = ["picked"]


def picked(value: Any, include: Any, exclude: Any) -> Any:
    """Of plain data, what `include` names (None: all) without what `exclude` names.

    Each is a set of keys, or a dictionary from keys to what is meant of the part: True, `...`, or such a set again. The
    keys of lists are indices, from the end too; `"__all__"` stands for every one.
    """
    if include is None and exclude is None:
        return value
    if is_object(value):
        rules = ((name, _rule(include, name), _rule(exclude, name)) for name in value)
        return {
            name: picked(value[name], _part(wanted), _part(unwanted))
            for name, wanted, unwanted in rules
            if _stays(include, wanted, unwanted)
        }
    if is_list(value):
        places = ((at, _rule(include, at, len(value)), _rule(exclude, at, len(value))) for at in range(len(value)))
        return [
            picked(value[at], _part(wanted), _part(unwanted))
            for at, wanted, unwanted in places
            if _stays(include, wanted, unwanted)
        ]
    return value


def _rule(rules: Any, key: Any, length: int | None = None) -> Any:
    """What is said of one key: None for nothing."""
    keys = [key, "__all__"] if length is None else [key, key - length, "__all__"]
    if is_object(rules):
        return next((rules[each] for each in keys if each in rules), None)
    return True if rules is not None and any(each in rules for each in keys) else None


def _is_whole(rule: Any) -> bool:
    return rule is True or rule is ...


def _stays(include: Any, wanted: Any, unwanted: Any) -> bool:
    return (include is None or wanted is not None) and not _is_whole(unwanted)


def _part(rule: Any) -> Any:
    return None if _is_whole(rule) or rule is False else rule
