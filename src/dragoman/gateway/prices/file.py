"""The price lists that the library genai-prices carries: read out of its file, without importing it.

Its data is a Python module of 1.6 MB, whose import takes 0.4 s and 32 MB (2300 models, and Pydantic); parsing it with
`ast` takes 0.7 s and 40 MB. Here the text of one price list is kept, with the names in it found by regular expressions
(2 to 17 ms a list), and of a model that is asked for its own lines alone are parsed (0.5 ms). Nothing is executed, and
nothing is asked over the network. The file is written by a generator, so its form is strict; whatever does not have
that form is refused, as a price that was read wrongly is worse than none. Knows no model and no provider.
"""

import ast
import base64
import datetime
import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from dragoman.errors import ConfigError

__all__ = ["Amounts", "Listed", "Part", "PriceFile", "PriceList", "Tiered", "When", "open_price_file"]

PACKAGE = "genai_prices"
VERSIONS = re.compile(r"0\.2\.\d+")  # whose form is known
INSTALL = "Install one that is: pip install --force-reinstall 'genai-prices>=0.2,<0.3'."
LONGEST_NAME = 256  # characters of a model's name: one may be megabytes long, and meets regular expressions here

_FIRST = b"\nproviders: list[Provider] = [\n"
_LIST = re.compile(rb"\n    Provider\(\n        id='([a-zA-Z0-9_.-]+)',\n")
_PATTERN = re.compile(rb"\n        api_pattern=(.+),\n")
_FALLBACK = re.compile(rb"\n        fallback_model_providers=(\[[^\]]*\]),\Z")
_MODELS = b"\n        models=[\n"
_MODELS_END = b"\n        ],"
_MODEL = re.compile(rb"^            ModelInfo\(", re.MULTILINE)
_LEAF = re.compile(
    rb"\b(equals|starts_with|ends_with|contains|regex)=('(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")", re.DOTALL
)
_CLAUSES = re.compile(rb"\bClause(?!(?:Equals|StartsWith|EndsWith|Contains|Regex|Or|And)\()\w+\(")
_DAY = re.compile(rb"datetime\.date\((\d{4}), (\d{1,2}), (\d{1,2})\)")
_COMPACT_DAY = re.compile(r"(?<=-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Tiered(NamedTuple):
    """A price in US dollars a unit, and what it is for prompts above so many tokens, the smallest first."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()


Amounts: TypeAlias = Mapping[str, Tiered]  # by the library's names: input_mtok, web_searches_kcount ...


class When(NamedTuple):
    """When something holds: from a moment on (seconds of UNIX time), or every day between two (seconds of a UTC day).

    The daily ones may go round midnight.
    """

    since: int | None = None
    daily: tuple[int, int] | None = None

    def holds(self, at: float) -> bool:
        if self.since is not None:
            return at >= self.since
        if self.daily is None:
            return True
        (start, end), second = self.daily, at % 86_400
        return second >= start or second < end if end < start else start <= second < end


class Part(NamedTuple):
    """Prices, when they hold, and the circumstances of a request that they are for; {} for every one."""

    amounts: Amounts
    when: When
    context: Mapping[str, str]


class Listed(NamedTuple):
    """A model of a price list. Of `prices` the last one that holds counts, else the first; of `variants`, for each
    price by itself, the first that holds and fits."""

    id: str
    prices: tuple[Part, ...]
    variants: tuple[Part, ...]

    def amounts(self, at: float, context: Mapping[str, str]) -> tuple[Amounts, set[tuple[str, str]]]:
        """The prices of a request, and which of its circumstances had a word in them."""
        standard = next((part for part in reversed(self.prices) if part.when.holds(at)), self.prices[0])
        found: dict[str, Tiered] = {}
        heard: set[tuple[str, str]] = set()
        for part in self.variants:
            if part.when.holds(at) and part.context.items() <= context.items():
                heard |= part.context.items()
                found = {**part.amounts, **found}
        return {**standard.amounts, **found}, heard

    def moments(self) -> list[When]:
        """All that decides which prices hold."""
        return [part.when for part in (*self.prices, *self.variants)]


class PriceList:
    """The models of one provider of prices. `text` are its lines in the file."""

    def __init__(self, id_: str, text: bytes) -> None:
        """Raises ConfigError for lines that do not have the form that is known."""
        self.id = id_
        head, begin, rest = text.partition(_MODELS)
        self._text, end, _ = rest.rpartition(_MODELS_END)
        self._starts = [match.start() for match in _MODEL.finditer(self._text)]
        if not begin or not end or not self._starts or self._text.count(b"ModelInfo(") != len(self._starts):
            raise _unknown_form(f"the models of {id_} cannot be told apart")
        if strange := _CLAUSES.search(self._text):
            raise _unknown_form(f"{id_} tells models apart by {strange[0].decode('ascii', 'replace')})")
        fallback = _FALLBACK.search(head)
        if fallback is None and b"fallback_model_providers=[" in head:
            raise _unknown_form(f"the lists that {id_} falls back to")
        self.fallbacks: tuple[str, ...] = tuple(_literal(fallback[1])) if fallback else ()
        self._equals: dict[str, list[int]] = {}
        self._others: list[tuple[str, str, int]] = []
        self._index()

    def _index(self) -> None:
        """Which models a name may be: found by any of the words in their conditions, which are looked at then."""
        at = 0
        for match in _LEAF.finditer(self._text):
            while at + 1 < len(self._starts) and self._starts[at + 1] < match.start():
                at += 1
            kind, word = match[1].decode(), str(_literal(match[2]))
            if kind == "equals":
                self._equals.setdefault(word.lower(), []).append(at)
                continue
            if kind == "regex":
                _compiled(word)
            self._others.append((kind, word, at))

    def find(self, name: str) -> Listed | None:
        """The first model that `name`, in lower case, fits. Raises ConfigError when its lines cannot be read."""
        if len(name) > LONGEST_NAME:
            return None
        likely = set(self._equals.get(name, ()))
        likely.update(at for kind, word, at in self._others if _fits((kind, word), name))
        for at in sorted(likely):
            fields = self._fields(at)
            try:
                is_it = _fits(fields["match"], name)
            except (TypeError, ValueError, AttributeError) as error:
                raise _unknown_form(f"the condition of {self.id}/{fields['id']}") from error
            if is_it:
                return _listed(self.id, fields)
        return None

    def every(self) -> Iterator[tuple[Listed, tuple[str, Any]]]:
        """Each model with the condition for its names. Slow; for those who look at a whole list."""
        for at in range(len(self._starts)):
            fields = self._fields(at)
            yield _listed(self.id, fields), fields["match"]

    def _fields(self, at: int) -> dict[str, Any]:
        end = self._starts[at + 1] if at + 1 < len(self._starts) else len(self._text)
        fields = _literal(self._text[self._starts[at] : end].strip().removesuffix(b","))
        if not isinstance(fields, dict) or not {"id", "match", "prices"} <= fields.keys():
            raise _unknown_form(f"a model of {self.id} lacks its id, match or prices")
        return fields


class PriceFile:
    """The library's file. `date` is the newest day from which one of its prices holds, and that had come at `today`:
    the file is of that day or a later one, and says nothing nearer."""

    def __init__(self, text: bytes, version: str, *, today: datetime.date) -> None:
        """Raises ConfigError for a text that does not have the form that is known."""
        found = list(_LIST.finditer(text))
        if _FIRST not in text or not found or not text.endswith(b"\n    ),\n]\n"):
            raise _unknown_form("it does not begin or end as it should")
        if text.count(b"\n    Provider(") != len(found):
            raise _unknown_form("its lists cannot be told apart")
        self.version = version
        self.date = _newest_day(text, today)
        self._text = text
        self._ends: dict[str, tuple[int, int]] = {}
        for match, after in zip(found, [*found[1:], None], strict=True):
            self._ends[match[1].decode()] = match.start(), after.start() if after else len(text)
        self._lists: dict[str, PriceList] = {}

    @property
    def ids(self) -> list[str]:
        return list(self._ends)

    def by_address(self, url: str) -> str | None:
        """The id of the list for what is reached at `url`; None when no list is for it."""
        for id_, (start, end) in self._ends.items():
            if (pattern := _PATTERN.search(self._text, start, end)) is None:
                raise _unknown_form(f"{id_} has no api_pattern")
            if _compiled(_literal(pattern[1])).match(url):
                return id_
        return None

    def of(self, id_: str) -> PriceList:
        """Raises ConfigError for an id that is not in `ids`, or lines that cannot be read."""
        if id_ not in self._lists:
            if id_ not in self._ends:
                raise _unknown_form(f"there is no list {id_}")
            start, end = self._ends[id_]
            self._lists[id_] = PriceList(id_, self._text[start:end])
        return self._lists[id_]

    def find(self, id_: str, name: str) -> tuple[Listed, bool] | None:
        """The model of a name, and whether it is of that list itself: else of one that it falls back to.

        As the library does: a day that is written together is tried with its dashes too.
        """
        name = name.lower()
        dashed = _COMPACT_DAY.sub(r"\1-\2-\3", name)
        for each in dict.fromkeys((name, dashed)):
            own = self.of(id_)
            if found := own.find(each):
                return found, True
            for other in own.fallbacks:
                if other in self._ends and (found := self.of(other).find(each)):
                    return found, False
        return None

    def forget(self) -> None:
        """Let go of the lists that nobody has asked for, which are most of the file."""
        needed = {*self._lists, *(other for each in self._lists.values() for other in each.fallbacks)}
        for id_ in needed & self._ends.keys():
            self.of(id_)
        self._ends = {id_: self._ends[id_] for id_ in self._lists}
        self._text = b""


def open_price_file(*, today: datetime.date, module: Path | None = None) -> PriceFile:
    """The file of the installed library; `module` is its package's folder, where it is not to be looked for.

    Raises ConfigError when it is not there, is of a version whose form is not known, or is not what was installed.
    """
    folder = _folder() if module is None else module
    version, record = _installed(folder)
    if not VERSIONS.fullmatch(version):
        raise ConfigError(
            f"{folder}: genai-prices {version} is installed, and dragoman reads the prices of 0.2. {INSTALL}"
        )
    path = folder / "data.py"
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the prices cannot be read: {error.strerror or error}. {INSTALL}") from error
    if record is not None and _checksum(text) != record:
        raise ConfigError(f"{path}: this is not the file that genai-prices {version} was installed with. {INSTALL}")
    try:
        return PriceFile(text, version, today=today)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)  # finds it, and runs none of it
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"genai-prices, which says what models cost, is not installed. {INSTALL}")
    return Path(spec.submodule_search_locations[0])


def _installed(folder: Path) -> tuple[str, str | None]:
    """The version of the library in `folder`, and the checksum of its data, where the installer has left one."""
    found = sorted(folder.parent.glob(f"{PACKAGE}-*.dist-info"))
    if len(found) != 1:
        raise ConfigError(f"{folder}: the version of genai-prices cannot be told. {INSTALL}")
    version = found[0].name.removeprefix(f"{PACKAGE}-").removesuffix(".dist-info")
    try:
        lines = (found[0] / "RECORD").read_text("utf-8").splitlines()
    except FileNotFoundError:  # some distributions leave it out
        return version, None
    return version, next((line.split(",")[1] for line in lines if line.startswith(f"{PACKAGE}/data.py,")), None)


def _checksum(text: bytes) -> str:
    """As in a RECORD file (PEP 427)."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")


def _newest_day(text: bytes, today: datetime.date) -> str:
    try:
        days = [datetime.date(*map(int, each)) for each in set(_DAY.findall(text))]
    except ValueError as error:
        raise _unknown_form(f"one of its days is none ({error})") from error
    return max((day.isoformat() for day in days if day <= today), default="")


def _unknown_form(what: str) -> ConfigError:
    return ConfigError(f"the prices of genai-prices have a form that is not known: {what}. {INSTALL}")


# -- values: what the module's expressions stand for --


def _literal(text: bytes) -> Any:
    """The value of an expression made of literals and of the calls in `_MAKES`. Raises ConfigError for any other."""
    try:
        return _value(ast.parse(text.decode("utf-8"), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        raise _unknown_form(f"{text[:80]!r} cannot be read ({error})") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=elements):
            return [_value(each) for each in elements]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Call(func=func, args=args, keywords=keywords):
            named = {str(each.arg): _value(each.value) for each in keywords}
            return _MAKES[ast.unparse(func)](*(_value(each) for each in args), **named)
        case ast.Attribute() if ast.unparse(node) == "datetime.UTC":
            return datetime.UTC
    raise ValueError(ast.unparse(node)[:40])


def _fields_of(**fields: Any) -> dict[str, Any]:
    return fields


def _tiered(*, base: Decimal, tiers: list[tuple[int, Decimal]]) -> Tiered:
    return Tiered(_price(base), tuple(sorted(tiers)))


def _tier(*, start: int, price: Decimal) -> tuple[int, Decimal]:
    if type(start) is not int or start < 0:
        raise ValueError(f"a tier starts at {start}")
    return start, _price(price)


def _price(value: Any) -> Decimal:
    if isinstance(value, Decimal) and value.is_finite() and value >= 0:
        return value
    raise ValueError(f"{value} is no price")


def _amounts(**prices: Any) -> Amounts:
    return {
        name: value if isinstance(value, Tiered) else Tiered(_price(value))
        for name, value in prices.items()
        if value is not None
    }


def _since(*, start_date: datetime.date) -> When:
    start = datetime.datetime.combine(start_date, datetime.time(), datetime.UTC)
    return When(since=int(start.timestamp()))


def _daily(*, start_time: datetime.time, end_time: datetime.time) -> When:
    return When(daily=(_second(start_time), _second(end_time)))


def _second(time: datetime.time) -> int:
    if time.tzinfo not in (None, datetime.UTC):
        raise ValueError(f"the time {time} is not in UTC")
    return time.hour * 3600 + time.minute * 60 + time.second


def _part(*, prices: Amounts, constraint: When | None = None, when: dict[str, str] | None = None) -> Part:
    if not isinstance(prices, dict) or not isinstance(constraint, When | None) or not isinstance(when, dict | None):
        raise ValueError("a price is made of other things")
    return Part(prices, constraint or When(), when or {})


def _all_of(kind: str) -> Callable[..., tuple[str, Any]]:
    return lambda **clause: (kind, *clause.values())


# What the module calls -> what is made of it here. Anything else is of a form that is not known.
_MAKES: Mapping[str, Callable[..., Any]] = {
    "Decimal": Decimal,
    "datetime.date": datetime.date,
    "datetime.time": datetime.time,
    "ModelInfo": _fields_of,
    "ModelPrice": _amounts,
    "TieredPrices": _tiered,
    "Tier": _tier,
    "ConditionalPrice": _part,
    "PriceVariant": _part,
    "StartDateConstraint": _since,
    "TimeOfDateConstraint": _daily,
    "ClauseEquals": _all_of("equals"),
    "ClauseStartsWith": _all_of("starts_with"),
    "ClauseEndsWith": _all_of("ends_with"),
    "ClauseContains": _all_of("contains"),
    "ClauseRegex": _all_of("regex"),
    "ClauseOr": _all_of("or"),
    "ClauseAnd": _all_of("and"),
}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise _unknown_form(f"{pattern!r} is no regular expression") from error


def _fits(clause: Sequence[Any], name: str) -> bool:
    kind, word = clause
    match kind:
        case "equals":
            return bool(name == word.lower())
        case "starts_with":
            return name.startswith(word.lower())
        case "ends_with":
            return name.endswith(word.lower())
        case "contains":
            return word.lower() in name
        case "regex":
            return re.search(word, name) is not None
        case "or":
            return any(_fits(each, name) for each in word)
        case "and":
            return all(_fits(each, name) for each in word)
    raise _unknown_form(f"a condition {kind!r}")


def _listed(list_id: str, fields: Mapping[str, Any]) -> Listed:
    prices, variants = fields["prices"], fields.get("price_variants", [])
    parts = [Part(prices, When(), {})] if isinstance(prices, dict) else prices
    if not parts or not _are_parts(parts) or not _are_parts(variants):
        raise _unknown_form(f"the prices of {list_id}/{fields['id']}")
    return Listed(str(fields["id"]), tuple(parts), tuple(variants))


def _are_parts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, Part) for each in found)
