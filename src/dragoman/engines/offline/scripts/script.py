"""A script: rules in a TOML file, each with what a request must be like and what is answered then.

Loaded once; a file with anything wrong in it is refused whole, with every problem told. Imports the error tree and
this folder only.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from dragoman.errors import ConfigError

from .conditions import groups_of, read_conditions, read_counts
from .match import Conditions, Counts
from .reading import Refused, Sheet, Table
from .replies import ReplySpec, read_reply
from .template import PART, Known, Tree, compiled

__all__ = ["Rule", "Script"]

LIMIT_BYTES = 1_000_000


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. Without replies (there is always one) it would not have been loaded."""

    index: int
    name: str
    conditions: Conditions
    tools: frozenset[str]  # called by its replies, so they must be offered
    when: tuple[tuple[str, tuple[str, ...]], ...]  # variable, and the values that it may have
    call: Counts | None
    per: Literal["conversation", "workspace"]
    then: Literal["repeat", "cycle", "stop"]
    set: tuple[tuple[str, Tree], ...]
    forget: bool
    replies: tuple[ReplySpec, ...]

    @property
    def is_stateless(self) -> bool:
        """Whether the request alone decides if it fits."""
        return not self.when and self.call is None and self.then != "stop"

    @property
    def fits_everything(self) -> bool:
        return self.is_stateless and self.conditions.is_empty and not self.tools

    def next_reply(self, answered: int) -> ReplySpec | None:
        """The reply after `answered` of this rule; None when they are used up."""
        if answered < len(self.replies) or self.then == "cycle":
            return self.replies[answered % len(self.replies)]
        return self.replies[-1] if self.then == "repeat" else None


class Script(Struct, frozen=True, kw_only=True):
    """The rules in order, and what holds for all of them."""

    source: str
    rules: tuple[Rule, ...]
    otherwise: Literal["engine", "error"] = "engine"
    conversation_header: str | None = None  # in lower case

    @classmethod
    def load(cls, path: Path) -> "Script":
        """Read a file. Raises ConfigError, which names every problem with its line."""
        try:
            with path.open("rb") as file:
                data = file.read(LIMIT_BYTES + 1)
            text = data.decode("utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: the script cannot be read: {error.strerror}. Check the path.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: the script is not UTF-8. Save it as UTF-8.") from error
        if len(data) > LIMIT_BYTES:
            raise ConfigError(f"{path}: the script is larger than {LIMIT_BYTES:,} bytes. Write less.")
        return cls.parse(text, source=str(path))

    @classmethod
    def parse(cls, text: str, *, source: str) -> "Script":
        """From the text of a file, which `source` names in messages. Raises ConfigError as `load` does."""
        try:
            return cls._parsed(text, source)
        except RecursionError as error:  # dotted keys nest as deep as one likes
            raise ConfigError(f"{source}: lists or tables are nested too deep. Nest less.") from error

    @classmethod
    def _parsed(cls, text: str, source: str) -> "Script":
        sheet = Sheet(text, source=source)
        top = Table(sheet, (), sheet.values)
        header = top.text("conversation_header")
        script = cls(
            source=source,
            rules=_read_rules(top),
            otherwise=_literal(top.choice("otherwise", ("engine", "error")), "engine"),
            conversation_header=None if header is None else header.lower(),
        )
        top.close()
        sheet.raise_problems()
        return script


def _literal(given: str | None, default: str) -> Any:
    """A choice that was checked."""
    return default if given is None else given


def _read_rules(top: Table) -> tuple[Rule, ...]:
    tables = top.tables("rule")
    if not tables and "rule" not in top:
        top.note(None, "there is no rule", "Write [[rule]], and below it its conditions and its reply.")
    variables = frozenset(name for table in tables for name in _names_set(table))
    rules = tuple(_read_rule(table, at, variables) for at, table in enumerate(tables))
    _check_names(rules, tables)
    _check_reachable(rules, tables)
    return rules


def _names_set(table: Table) -> Iterable[str]:
    given = table.values.get("set")
    return given if isinstance(given, dict) else ()


def _read_rule(table: Table, index: int, variables: frozenset[str]) -> Rule:
    conditions = read_conditions(table)
    known = Known(groups_of(conditions), variables)
    replies = tuple(read_reply(reply, known) for reply in _reply_tables(table))
    rule = Rule(
        index=index,
        name=table.text("name") or f"rule {index + 1}",
        conditions=conditions,
        tools=frozenset(name for reply in replies for name in reply.tools),
        when=_read_when(table, variables),
        call=read_counts(table, "call"),
        per=_literal(table.choice("per", ("conversation", "workspace")), "conversation"),
        then=_literal(table.choice("then", ("repeat", "cycle", "stop")), "repeat"),
        set=_read_set(table, known),
        forget=table.flag("forget") or False,
        replies=replies,
    )
    table.exclusive("set", "forget")
    table.close()
    return rule


def _reply_tables(table: Table) -> list[Table]:
    """`reply`: a text, a table, or a list of these."""
    value = table.value("reply")
    given = value if isinstance(value, list) else [value]
    if value is None or not given:
        table.note(None, "a rule needs a reply", 'Write reply = "...", [rule.reply] or [[rule.reply]] below it.')
        return []
    found: list[Table] = []
    for at, each in enumerate(given):
        path = (*table.path, "reply", at) if isinstance(value, list) else (*table.path, "reply")
        if isinstance(each, str | dict):
            found.append(Table(table.sheet, path, {"text": each} if isinstance(each, str) else each))
        else:
            table.sheet.note(path, "this is no reply", 'Write a text, or a table such as { text = "..." }.')
    return found


def _read_when(table: Table, variables: frozenset[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    when = table.table("when")
    if when is None:
        return ()
    found: list[tuple[str, tuple[str, ...]]] = []
    for name in when.values:
        found.append((name, when.texts(name) or ()))
        if name not in variables:
            when.note(name, "no rule sets this", f"Set it in a rule: set = {{ {name} = ... }}.")
    return tuple(found)


def _read_set(table: Table, known: Known) -> tuple[tuple[str, Tree], ...]:
    given = table.table("set")
    if given is None:
        return ()
    found: list[tuple[str, Tree]] = []
    for name in given.values:
        if not PART.fullmatch(name):
            given.note(name, "a variable cannot be called so", "Take letters, digits, _ and -.")
        text = given.text(name)
        try:
            found.append((name, compiled(text or "", known)))
        except Refused as refused:
            given.note(name, refused.what, refused.remedy)
    return tuple(found)


def _check_names(rules: tuple[Rule, ...], tables: list[Table]) -> None:
    seen: dict[str, int] = {}
    for rule, table in zip(rules, tables, strict=True):
        if rule.name in seen:
            table.note("name", f'rule[{seen[rule.name]}] is called "{rule.name}" too', "Rename one of them.")
        seen.setdefault(rule.name, rule.index)


def _check_reachable(rules: tuple[Rule, ...], tables: list[Table]) -> None:
    for rule in rules[:-1]:
        if rule.fits_everything and rule.replies:
            after = tables[rule.index + 1]
            after.note(None, f'"{rule.name}" before it fits every request', "Move that rule to the end.")
            return
