"""The model catalogue: which names exist, the rules of each, and the pages of `GET /v1/models`.

The data is `catalogue.toml`. Knows no target and no key: what answers a name is told to it.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Final, Self, get_args

import msgspec

from dragoman.errors import InvalidRequest, NotFound
from dragoman.wire.models import Capability, Lifecycle, Model, ThinkingRules

__all__ = ["Alias", "Catalogue"]

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")  # int() takes more: underscores, other scripts' digits
LIFECYCLES: tuple[Lifecycle, ...] = get_args(Lifecycle)
LISTED_UNASKED: frozenset[Lifecycle] = frozenset({"active", "deprecated"})
UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"  # MOD-4
# What a model does not take over from the one it is `like`.
OWN_FIELDS: Final = {"aliases", "display_name", "created_at", "lifecycle", "deprecated_at", "retires_at", "fast"}


class Alias(msgspec.Struct, frozen=True):
    """A name that the configuration gives to a target.

    `target` is shown in `display_name`, so that nobody takes a local model for its namesake (MOD-8). `model` holds
    the rules to go by, None when nothing is known of the model behind. `supports` is what the target can do, None
    for all that the model can.
    """

    name: str
    target: str
    model: Model | None = None
    supports: frozenset[Capability] | None = None


class Entry(msgspec.Struct, frozen=True):
    """One row of the list: its JSON, and the rules where they are known."""

    info: dict[str, object]
    created_at: str
    lifecycle: Lifecycle
    model: Model | None


class Catalogue:
    """Every model name that is served, newest first.

    It does not change once made, and the objects that it answers are shared: do not change them either.
    """

    def __init__(self, models: Iterable[Model], *, supports: frozenset[Capability] | None = None) -> None:
        """`supports` is what the target that answers for these models can do, None for all that they can."""
        self._ids: dict[str, str] = {}  # every name -> the id that it resolves to
        self._entries: dict[str, Entry] = {}  # id -> row, newest first
        for model in models:
            self._add(model.id, known(model, supports))
            self._ids.update(dict.fromkeys(model.aliases, model.id))
        self._sort()

    @classmethod
    def load(cls, *, supports: frozenset[Capability] | None = None) -> Self:
        """The catalogue that comes with the package (a few milliseconds)."""
        return cls(read_models(), supports=supports)

    def with_aliases(self, aliases: Iterable[Alias]) -> "Catalogue":
        """A copy that has these names too.

        One that is here already is replaced: an id for its aliases as well, an alias alone.
        """
        catalogue = Catalogue(())
        catalogue._ids |= self._ids
        catalogue._entries |= self._entries
        for alias in aliases:
            catalogue._add(alias.name, configured(alias))
        catalogue._sort()
        return catalogue

    def without_retired(self) -> "Catalogue":
        """A copy for a server that refuses retired models: it lists what it serves (MOD-8)."""
        catalogue = Catalogue(())
        catalogue._entries = {id_: entry for id_, entry in self._entries.items() if entry.lifecycle != "retired"}
        catalogue._ids = {name: id_ for name, id_ in self._ids.items() if id_ in catalogue._entries}
        return catalogue

    def __contains__(self, name: str) -> bool:
        """Whether the name is served, its rules known or not."""
        return name in self._ids

    def resolve(self, name: str) -> Model | None:
        """The model of an id or alias, retired ones too; None when the name or its rules are unknown.

        Letters count as they are written. To refuse retired models is up to the caller.
        """
        entry = self._entries.get(self._ids.get(name, ""))
        return entry.model if entry else None

    def retrieve(self, name: str) -> dict[str, object]:
        """The answer to `GET /v1/models/{name}`; it holds the id that the name resolves to (MOD-3).

        Raises NotFound.
        """
        if name not in self._ids:
            raise NotFound(f"model: {name}")
        return self._entries[self._ids[name]].info

    def page(
        self, query: Mapping[str, list[str]], *, is_shown: Callable[[str], bool] = lambda _: True
    ) -> dict[str, object]:
        """The answer to `GET /v1/models` with these query parameters; the ones it does not know are ignored.

        `is_shown` tells by its id whether the caller may know of a model.
        `has_more` looks where the page goes: past its last row, or with `before_id` before its first (MOD-2).
        Raises InvalidRequest.
        """
        limit = read_limit(query)
        after, before = last(query, "after_id"), last(query, "before_id")
        if after is not None and before is not None:
            raise InvalidRequest("before_id: cannot be given together with after_id")
        wanted = read_lifecycles(query)

        ids = [id_ for id_ in self._entries if is_shown(id_)]
        start = 0 if after is None else _position(ids, "after_id", after) + 1
        end = len(ids) if before is None else _position(ids, "before_id", before)
        found = [id_ for id_ in ids[start:end] if self._entries[id_].lifecycle in wanted]
        shown = found[-limit:] if before is not None else found[:limit]
        return {
            "data": [self._entries[id_].info for id_ in shown],
            "has_more": len(found) > len(shown),
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
        }

    def _add(self, id_: str, entry: Entry) -> None:
        self._ids[id_] = id_
        self._entries[id_] = entry

    def _sort(self) -> None:
        """Newest first; those of one day stay in the order they came in."""
        rows = sorted(self._entries.items(), key=lambda row: row[1].created_at, reverse=True)
        self._entries = dict(rows)


def _position(ids: Sequence[str], parameter: str, cursor: str) -> int:
    """Where the cursor stands among all that the caller may know of, so one that the filter hides still works."""
    if cursor not in ids:
        raise InvalidRequest(f"{parameter}: no model has the id {cursor!r}")
    return ids.index(cursor)


def known(model: Model, supports: frozenset[Capability] | None) -> Entry:
    info = model.info(supports=supports)
    return Entry(info=info, created_at=model.created_at, lifecycle=model.lifecycle, model=model)


def configured(alias: Alias) -> Entry:
    display_name = f"{alias.name} ({alias.target})"
    if alias.model is not None:
        # Served because someone asked for it, hence listed, whatever became of the model whose rules it has.
        model = msgspec.structs.replace(
            alias.model,
            id=alias.name,
            display_name=display_name,
            aliases=(),
            lifecycle="active",
            deprecated_at=None,
            retires_at=None,
        )
        return known(model, alias.supports)
    info: dict[str, object] = {
        "type": "model",
        "id": alias.name,
        "display_name": display_name,
        "line": None,
        "created_at": UNKNOWN_DATE,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": None,
        "max_tokens": None,
        "capabilities": None,
    }
    return Entry(info=info, created_at=UNKNOWN_DATE, lifecycle="active", model=None)


def read_models() -> list[Model]:
    """The models of `catalogue.toml`, in the order of the file.

    `like` names a model further up; `thinking` one of the sets at its top, or "none".
    """
    document = tomllib.loads((files("dragoman.gateway") / "catalogue.toml").read_text(encoding="utf-8"))
    thinking: dict[object, ThinkingRules | None] = {"none": None}
    for name, rules in document["thinking"].items():
        thinking[name] = msgspec.convert(rules, ThinkingRules)
    rows: dict[str, dict[str, object]] = {}
    for id_, row in document["models"].items():
        base = rows[row.pop("like")] if "like" in row else {}
        rows[id_] = {key: value for key, value in base.items() if key not in OWN_FIELDS} | row | {"id": id_}
    return [msgspec.convert(row | {"thinking": thinking[row["thinking"]]}, Model) for row in rows.values()]


def last(query: Mapping[str, list[str]], name: str) -> str | None:
    """The value of a parameter; the last one when it was given twice."""
    values = query.get(name)
    return values[-1] if values else None


def read_limit(query: Mapping[str, list[str]]) -> int:
    text = last(query, "limit")
    if text is None:
        return DEFAULT_LIMIT
    if not INTEGER.fullmatch(text):
        raise InvalidRequest("limit: Input should be a valid integer, unable to parse string as an integer")
    limit = int(text)
    if limit < 1:
        raise InvalidRequest("limit: Input should be greater than or equal to 1")
    if limit > MAX_LIMIT:
        raise InvalidRequest(f"limit: Input should be less than or equal to {MAX_LIMIT}")
    return limit


def read_lifecycles(query: Mapping[str, list[str]]) -> frozenset[Lifecycle]:
    """SDKs write `lifecycle[]=retired`; people write `lifecycle=retired`."""
    given = [*query.get("lifecycle[]", ()), *query.get("lifecycle", ())]
    if not given:
        return LISTED_UNASKED
    if len(given) > len(LIFECYCLES):
        raise InvalidRequest(
            f"lifecycle: List should have at most {len(LIFECYCLES)} items after validation, not {len(given)}"
        )
    for index, value in enumerate(given):
        if value not in LIFECYCLES:
            raise InvalidRequest(f"lifecycle.{index}: Input should be 'active', 'deprecated' or 'retired'")
    return frozenset(lifecycle for lifecycle in LIFECYCLES if lifecycle in given)
