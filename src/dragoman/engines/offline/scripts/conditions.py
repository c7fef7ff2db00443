"""How the conditions of a rule are written. Imports this folder only."""

import fnmatch
import re

from .match import Conditions, Counts, ResultTest, TextTest
from .reading import Table

__all__ = ["groups_of", "read_conditions", "read_counts"]

COUNT = re.compile(r"([0-9]{1,9})(?:(\+)|-([0-9]{1,9}))?")
COUNT_REMEDY = 'Write 1, "2+", "2-4", or a list of these; counting begins with 1.'


def read_conditions(table: Table) -> Conditions:
    """The conditions of a rule, problems noted. The rule's other settings are left to the caller."""
    conditions = Conditions(
        model=_globs(table, "model"),
        workspace=_globs(table, "workspace"),
        stream=table.flag("stream"),
        continues=table.flag("continues"),
        turn=read_counts(table, "turn"),
        header=_header(table),
        tools=_tools(table),
        text=_text_test(table, "text"),
        turn_text=_text_test(table, "turn_text"),
        system=_text_test(table, "system"),
        tool_result=_result_test(table),
    )
    _check_groups(table, conditions)
    return conditions


def read_counts(table: Table, name: str) -> Counts | None:
    value = table.value(name)
    if value is None:
        return None
    given = value if isinstance(value, list) else [value]
    ranges = [_range(each) for each in given]
    if not ranges or None in ranges:
        table.refuse(name, "is no count", COUNT_REMEDY)
        return None
    return Counts(tuple(found for found in ranges if found is not None))


def _range(value: object) -> tuple[int, int | None] | None:
    """None for what is no count."""
    if type(value) not in (int, str) or (found := COUNT.fullmatch(str(value))) is None:
        return None
    least = int(found[1])
    most = None if found[2] else int(found[3] or least)
    return (least, most) if least >= 1 and (most is None or most >= least) else None


def _globs(table: Table, name: str) -> tuple[re.Pattern[str], ...] | None:
    texts = table.texts(name)
    return None if texts is None else tuple(_glob(text) for text in texts)


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text))


def _header(table: Table) -> tuple[tuple[str, re.Pattern[str] | bool], ...]:
    headers = table.table("header")
    if headers is None:
        return ()
    found: list[tuple[str, re.Pattern[str] | bool]] = []
    for name in headers.values:
        value = headers.value(name)
        if isinstance(value, str | bool):
            found.append((name.lower(), value if isinstance(value, bool) else _glob(value)))
        else:
            headers.refuse(name, "is no text", "Write the value or a glob in quotes, or true or false.")
    return tuple(found)


def _tools(table: Table) -> tuple[str, ...] | bool | None:
    if isinstance(table.values.get("tools"), bool):
        return table.flag("tools")
    return table.texts("tools")


def _text_test(table: Table, name: str) -> TextTest | None:
    """A text or a list of texts (equals), or a table."""
    if not isinstance(table.value(name), dict):
        texts = table.texts(name)
        return None if texts is None else TextTest(equals=tuple(text.strip() for text in texts))
    test = table.table(name)
    if test is None:
        return None
    found = _test_of(test)
    test.close()
    if not test.values:
        test.note(None, "it asks for nothing", "Write equals, contains or regex.")
    return found


def _test_of(table: Table) -> TextTest:
    equals = tuple(text.strip() for text in table.texts("equals") or ())
    return TextTest(equals=equals, contains=table.texts("contains") or (), regex=_regex(table))


def _regex(table: Table) -> re.Pattern[str] | None:
    pattern = table.text("regex")
    try:
        return None if pattern is None else re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        remedy = "Mend it; in single quotes a \\ needs no other before it."
        table.refuse("regex", f"is no regular expression: {error}", remedy)
        return None


def _result_test(table: Table) -> ResultTest | None:
    """`"NAME"`, true, or a table."""
    value = table.value("tool_result")
    if isinstance(value, str):
        return ResultTest(name=value)
    if value is True:
        return ResultTest()
    test = table.table("tool_result")
    if test is None:
        return None
    found = ResultTest(name=test.text("name"), is_error=test.flag("is_error"), text=_test_of(test))
    test.close()
    return found


def _check_groups(table: Table, conditions: Conditions) -> None:
    """A group has one name, wherever in the rule it stands."""
    seen: set[str] = set()
    for name, regex in conditions.regexes:
        for group in seen & regex.groupindex.keys():
            table.note(name, f"the group `{group}` stands in two regexes of this rule", "Rename one of them.")
        seen |= regex.groupindex.keys()


def groups_of(conditions: Conditions) -> frozenset[str]:
    return frozenset(group for _, regex in conditions.regexes for group in regex.groupindex)
