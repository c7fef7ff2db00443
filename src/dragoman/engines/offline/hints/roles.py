"""Which hint fits which parameter: a parameter's role by its name and description, and a score for each hint.

Scores are from 1 to 110. From STRONG on the user can be said to have meant this parameter; below it a value is only
good enough for one that must have some value. Pure; imports only the tables beside it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from .marks import ABOVE, ELSEWHERE, MARKED, is_elsewhere, marked
from .options import flag, mentions
from .types import STRONG, Candidate, Hint
from .words import GENERIC, STOP, meaning, split_name, stem, stems

__all__ = ["STRONG", "Candidate", "Hint", "Param", "candidates"]

PAIR = 100  # "city: Tokyo" for `city`
BESIDE = 90  # "5 days" for `days`, "order 123" for `order_id`
CONTEXT_SHARE = 0.5  # what only the context says is never strong
WRONG_WAY = 40  # taken off a value behind "to" for a parameter that is a source

# The role of a parameter by a word of its name; of several, the first role here.
_ROLES: tuple[tuple[str, str], ...] = (
    ("email", "email mail"),
    ("recipient", "recipient recipients cc bcc attendee attendees invitee invitees"),
    ("url", "url uri link href website webpage endpoint site urls"),
    ("path", "path file filename filepath pathname directory dir folder cwd paths files notebook"),
    ("ip", "ip"),
    ("expression", "expression expr formula equation calculation math"),
    ("command", "command cmd script shell bash"),
    ("pattern", "pattern regex regexp glob"),
    ("timezone", "timezone tz"),
    ("currency", "currency"),
    ("language", "language lang locale"),
    ("symbol", "symbol ticker stock"),
    ("unit", "unit units"),
    ("owner", "owner org organization"),
    ("repo", "repo repository"),
    ("place", "city location place town country region address area state venue airport station where room"),
    ("origin", "origin departure"),
    ("destination", "destination dest arrival"),
    ("datetime", "datetime timestamp when deadline due"),
    ("date", "date day birthday dob checkin checkout"),
    ("time", "time"),
    ("id", "id uuid identifier zip zipcode postcode postal phone isbn sku"),
    ("topic", "topic subject theme about"),
    ("query", "query search q term terms keyword keywords lookup sql"),
    ("question", "question"),
    ("code", "snippet source code program"),
    ("text", "text message content contents body input prompt instruction instructions task request summary description"
             " note comment reason thought reasoning explanation string str sentence paragraph value data statement"
             " msg detail details"),
    ("maker", "artist author creator composer director singer band writer"),
    ("person", "person user contact assignee customer recipient sender who"),
    ("name", "name title label username called"),
)  # fmt: skip
_ROLE_OF = {word: (order, role) for order, (role, words) in reversed(list(enumerate(_ROLES))) for word in words.split()}
# These decide when they come last: an `email_body` is no e-mail address.
_HEADS = frozenset(
    """body content contents text message subject description summary query question id date time url path command
    prompt note comment instructions title timezone language currency""".split()
)
_BY_FORMAT = {
    "email": "email", "idn-email": "email", "uri": "url", "url": "url", "iri": "url", "uri-reference": "url",
    "date": "date", "time": "time", "date-time": "datetime", "uuid": "id", "ipv4": "ip", "ipv6": "ip",
    "hostname": "host", "regex": "pattern",
}  # fmt: skip

# role -> kind of hint -> score. "whole" is the whole text.
_FIT: dict[str, dict[str, int]] = {
    "email": {"email": 95},
    "recipient": {"email": 95, "to": 75, "named": 62, "proper": 55, "initial": 40, "quoted": 40},
    "url": {"url": 95, "host": 78},
    "host": {"host": 95, "ip": 70},
    "path": {"path": 95, "pathish": 66, "glob": 50, "named": 58, "quoted": 50, "code": 50, "caps": 30},
    "ip": {"ip": 95},
    "expression": {"math": 95, "calc": 66, "code": 62, "quoted": 55, "whole": 15},
    "command": {"code": 95, "run": 90, "quoted": 58},
    "pattern": {"glob": 92, "quoted": 90, "code": 88, "search": 75, "named": 40, "path": 40, "about": 45, "whole": 10},
    "timezone": {"pathish": 85, "caps": 72, "place": 62, "spot": 60, "proper": 55},
    "currency": {"currency": 90, "caps": 50},
    "language": {"language": 90, "to": 45, "quoted": 35},
    "symbol": {
        "caps": 90, "ident": 45, "quoted": 72, "place": 64, "proper": 62, "initial": 45, "thing": 40, "spot": 40,
    },
    "unit": {"unit": 90},
    "place": {
        "place": 90, "zip": 88, "proper": 72, "spot": 70, "caps": 62, "to": 62, "from": 60, "inside": 58, "quoted": 50,
        "initial": 45, "thing": 30,
    },
    "origin": {
        "from": 95, "path": 62, "currency": 62, "language": 62, "place": 45, "proper": 42, "caps": 42, "spot": 38,
        "initial": 30, "quoted": 30,
    },
    "destination": {
        "to": 95, "place": 64, "path": 62, "currency": 62, "language": 62, "proper": 60, "spot": 60, "caps": 45,
        "initial": 30, "quoted": 30,
    },
    "to": {
        "email": 96, "to": 95, "place": 64, "path": 62, "currency": 62, "language": 62, "proper": 60, "spot": 60,
        "named": 60, "initial": 30, "quoted": 30,
    },
    "datetime": {"datetime": 95, "date": 78, "date_word": 70, "time": 65},
    "date": {"date": 95, "datetime": 80, "date_word": 80},
    "time": {"time": 95, "datetime": 62, "date_word": 50},
    "owner": {"owner": 90, "named": 60, "quoted": 50, "ident": 45, "proper": 40},
    "repo": {"repo": 90, "pathish": 66, "url": 60, "named": 60, "quoted": 58, "ident": 50, "path": 40},
    "maker": {"by": 90, "named": 62, "quoted": 45, "proper": 45, "initial": 30},
    "id": {"uuid": 95, "zip": 90, "ident": 85, "number": 66, "caps": 45, "quoted": 64, "named": 50},
    "topic": {"rest": 22, "about": 92, "quoted": 72, "search": 60, "thing": 50, "proper": 50, "whole": 20},
    "query": {"sql": 96, "search": 92, "quoted": 80, "about": 66, "code": 50, "whole": 30},
    "question": {"whole": 60, "quoted": 55},
    "code": {"code": 95, "quoted": 50, "whole": 15},
    "text": {"said": 92, "quoted": 85, "type": 75, "code": 45, "search": 40, "about": 35, "whole": 30},
    "person": {
        "named": 90, "to": 70, "proper": 66, "by": 62, "quoted": 60, "place": 50, "initial": 45, "email": 45,
        "ident": 40,
    },
    "name": {
        "named": 95, "quoted": 78, "code": 52, "proper": 50, "ident": 45, "place": 40, "initial": 35, "thing": 30,
    },
    "": {
        "sql": 62, "currency": 50, "by": 48, "inside": 44, "rest": 14,
        "quoted": 58, "named": 50, "code": 50, "caps": 48, "proper": 48, "place": 46, "said": 45, "about": 45,
        "ident": 45, "search": 42, "thing": 40, "spot": 40, "language": 38, "path": 35, "email": 35, "url": 35,
        "initial": 30, "number": 20, "date": 20, "date_word": 18, "whole": 12,
    },
}  # fmt: skip
_NAMEABLE = frozenset("quoted code proper caps ident number place initial uuid to from".split())
_SOURCE = frozenset("from base source src origin start departure depart old current".split())
_TARGET = frozenset("to target destination dest end arrival new into".split())
_TARGET_LEADS = frozenset("to into with by as until till".split())
# Words of a numeric parameter's name that do not say what it counts.
_COUNTING = frozenset(
    stem(word) for word in "number num count total amount value max min maximum minimum of the".split()
)
_LIMITS = frozenset(stem(word) for word in "limit count n num number max top k size results length per".split())
_LIMIT_LEADS = frozenset(stem(word) for word in "top first last limit maximum max up most least only".split())
_ORDINALS = frozenset("a b c d x y z n m first second third num number value left right operand augend addend".split())
_MONEY = frozenset(stem(word) for word in "price amount cost budget salary total payment fee".split())
_POINTS = frozenset(stem(word) for word in "coordinate coordinates point position region x y".split())
_IN_POINT = re.compile(r"(?:\b(?:at|from|to|coordinates?|position|point|region)\s|[(\[])\s?(?:[(\[]?-?\d+,?\s?){0,3}$")
_SHARE = frozenset(stem(word) for word in "percent percentage rate discount tip ratio".split())


@dataclass(frozen=True)
class Param:
    """One parameter of a tool: what a value is looked for. `type` is that of JSON Schema, one of the four scalars."""

    name: str
    type: str
    description: str = ""
    format: str = ""
    options: tuple[object, ...] = ()

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(split_name(self.name))

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the name that tell it from others; for "order_id" only "order"."""
        found = frozenset(stem(word) for word in self.words)
        return found - _COUNTING - {"id", "nam", "string"} or found

    @cached_property
    def about(self) -> frozenset[str]:
        """Stems of what its description begins with."""
        first = re.split(r"[.;(\n]", self.description[:300])[0]
        return frozenset(s for s in stems(first) if s not in STOP and s not in _COUNTING)

    @cached_property
    def direction(self) -> str:
        if not _SOURCE.isdisjoint(self.words):
            return "from"
        return "to" if not _TARGET.isdisjoint(self.words) else ""

    @cached_property
    def role(self) -> str:
        if self.format in _BY_FORMAT:
            return _BY_FORMAT[self.format]
        return _role(self.words) or _role(re.findall(r"[a-z]+", self.description[:200].lower()), heads=False)


def _role(words: Iterable[str], *, heads: bool = True) -> str:
    words = list(words)
    if heads and words:
        if len(words) == 1 and words[0] in _SOURCE | _TARGET:
            # "to" may be an address or a destination: both are called so.
            return "to" if words == ["to"] else "origin" if words[0] in _SOURCE else "destination"
        joined = "".join(words)
        if joined in _ROLE_OF:
            return _ROLE_OF[joined][1]
        if words[-1] in _HEADS:
            return _ROLE_OF[words[-1]][1]
    # A `zip_code` is not code: only "code" alone is.
    known = [_ROLE_OF[word] for word in words if word in _ROLE_OF and not (word == "code" and len(words) > 1)]
    return min(known)[1] if known else ""


def candidates(param: Param, hints: Iterable[Hint], text: str) -> list[Candidate]:
    """Every value that the hints hold for this parameter, best first; equal ones in the order of the text."""
    hints = tuple(hints)
    if param.options:
        found = list(mentions(param.options, hints, text, names=param.stems, direction=param.direction))
    elif param.type == "boolean":
        found = list(flag(param.stems, hints, text))
    elif param.type in {"integer", "number"}:
        found = [c for hint in hints if (c := _number(param, hint, text)) is not None]
    else:
        found = [c for hint in hints if (c := _string(param, hint)) is not None]
        found += _fallbacks(param.role, text)
    return sorted(found, key=lambda c: (-c.score, c.start))


_REQUEST = re.compile(
    r"(?:(?:please|can you|could you|would you|i want to|i'd like to)\s)?(?P<verb>[a-z]+)\s"
    r"(?:(?:me|us|the|a|an|for|up|of)\s){0,3}(?P<rest>\S.{0,80})",
    re.IGNORECASE,
)


def _fallbacks(role: str, text: str) -> Iterator[Candidate]:
    """The whole text, and a short one without its verb: "define serendipity" is about serendipity."""
    fit, text = _FIT.get(role, {}), text.strip()
    if text and (score := fit.get("whole", 0)):
        yield Candidate(score, text, "whole", 0, len(text))
    match = _REQUEST.fullmatch(text)
    if match and (score := fit.get("rest", 0)) and match["verb"].lower() not in STOP:
        yield Candidate(score, match["rest"].rstrip(" .!?"), "rest", 0, len(text))


def _is_keyed(param: Param, hint: Hint) -> bool:
    """Does "key: value" name this parameter?"""
    key = tuple(split_name(hint.key))
    if key == param.words or "".join(key) == "".join(param.words):
        return True
    if meaning(hint.key) in param.stems and len(param.words) == 1:  # "Stadt: Rom"
        return True
    return bool(key) and stem(key[-1]) in param.stems and (len(param.words) == 1 or len(key) == 1)


def _is_beside(param: Param, hint: Hint) -> bool:
    names = frozenset(s for s in param.stems if s not in GENERIC and s not in STOP)
    return not names.isdisjoint(hint.before[-2:])


def _candidate(score: float, value: object, hint: Hint) -> Candidate | None:
    if hint.is_context:
        score = score * CONTEXT_SHARE
    return Candidate(int(score), value, hint.kind, hint.start, hint.end) if score >= 1 else None


def _string(param: Param, hint: Hint) -> Candidate | None:
    value = _as_format(param.format, hint)
    if hint.kind == "pair":
        return _candidate(PAIR, value, hint) if _is_keyed(param, hint) else None
    fit = _FIT.get(param.role, _FIT[""])
    score = max(fit.get(hint.kind, 0), marked(hint, fit, param.words))
    if hint.kind in _NAMEABLE and _is_beside(param, hint):
        score = max(score, BESIDE + (ABOVE if hint.kind in MARKED else 0))
    if is_elsewhere(hint, fit):
        score = min(score, ELSEWHERE)
    if not score:
        return None
    if param.direction:
        score += _way(param.direction, hint)
    if hint.kind in {"to", "from"} and hint.text[:1].islower():
        score -= 10
    return _candidate(score, value, hint)


def _way(direction: str, hint: Hint) -> int:
    towards = "from" if hint.kind == "from" or hint.lead == "from" else ""
    if hint.kind == "to" or hint.lead in _TARGET_LEADS:
        towards = "to"
    if not towards:
        return 0
    return 8 if towards == direction else -WRONG_WAY


def _number(param: Param, hint: Hint, text: str) -> Candidate | None:
    if hint.kind == "pair":
        if not _is_keyed(param, hint) or (number := _parsed(hint.text)) is None:
            return None
        return _candidate(PAIR, _as_number(param.type, number), hint)
    if hint.number is None:
        return None
    score = max(45, *_number_scores(param, hint, text))
    if param.direction and hint.kind == "number":
        score += _way(param.direction, hint) // 2
    return _candidate(score - (5 if hint.kind == "number_word" else 0), _as_number(param.type, hint.number), hint)


def _number_scores(param: Param, hint: Hint, text: str) -> Iterator[int]:
    names, last = param.stems, hint.before[-1] if hint.before else ""
    yield 0
    if last in names or hint.after in names:
        yield BESIDE
    if hint.before and hint.before[0] in names:
        yield BESIDE - 10
    if not _LIMITS.isdisjoint(stem(word) for word in param.words) and (
        last in _LIMIT_LEADS or hint.after in {"result", "item", "entry", "record"}
    ):
        yield 80
    if _ORDINALS.issuperset(word.rstrip("0123456789") for word in param.words):
        yield 65
    if not names.isdisjoint(_POINTS) and _IN_POINT.search(text[max(0, hint.start - 40) : hint.start]):
        yield 75
    if {last, hint.after} & param.about - GENERIC - STOP:
        yield 70
    if hint.is_context:
        return
    if text[hint.start - 1 : hint.start] in {"$", "\u20ac", "\u00a3"} and not names.isdisjoint(_MONEY):
        yield 85
    if text[hint.end : hint.end + 1] == "%" and not names.isdisjoint(_SHARE):
        yield 85
    if "year" in names and 1900 <= (hint.number or 0) <= 2100:
        yield 85
    if "age" in names and (hint.after == "year" or last == "aged"):
        yield 85


def _parsed(text: str) -> int | float | None:
    if not re.fullmatch(r"-?\d{1,300}(\.\d{1,300})?", text := text.replace(",", "").strip("$\u20ac\u00a3% ")):
        return None
    return float(text) if "." in text else int(text)


def _as_number(kind: str, number: int | float) -> int | float:
    return int(number) if kind == "integer" and number == int(number) else number


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _as_format(name: str, hint: Hint) -> str:
    """Dates and times as a format spells them; what cannot be spelled so stays as the user wrote it."""
    if name == "date" and hint.kind in {"date", "datetime"}:
        return _date(hint.text) or hint.text
    if name == "date-time" and hint.kind == "date" and (day := _date(hint.text)):
        return f"{day}T00:00:00Z"
    if name == "date-time" and hint.kind == "datetime":
        day, clock = _date(hint.text), _clock(hint.text[10:])
        return f"{day}T{clock}" if day and clock else hint.text
    if name == "time" and hint.kind == "time":
        return _clock(hint.text) or hint.text
    if name in {"uri", "url"} and hint.kind == "host":
        return f"https://{hint.text}"
    return hint.text


def _date(text: str) -> str | None:
    if match := re.match(r"(\d{4})-(\d\d)-(\d\d)", text):
        return match[0]
    if match := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text):
        first, second = int(match[1]), int(match[2])  # as in the United States, unless that is no month
        month, day = (first, second) if first <= 12 else (second, first)
        return f"{match[3]}-{month:02}-{day:02}"
    name, day_of_month = re.search(r"[A-Za-z]{3}", text), re.search(r"(?<!\d)\d{1,2}(?!\d)", text)
    year = re.search(r"\d{4}", text)
    if not (name and day_of_month and year) or name[0].lower() not in _MONTHS:
        return None  # "May 5" of which year? There is no clock here to say
    return f"{year[0]}-{_MONTHS.index(name[0].lower()) + 1:02}-{int(day_of_month[0]):02}"


def _clock(text: str) -> str | None:
    match = re.search(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?(?:\.\d+)?\s?([ap])?", text.lower())
    if match is None:
        return None
    hour = int(match[1]) % 12 + (12 if match[4] == "p" else 0) if match[4] else int(match[1])
    zone = re.search(r"z$|[+-]\d\d:\d\d$", text.lower())
    return f"{hour:02}:{match[2] or '00'}:{match[3] or '00'}{zone[0].upper() if zone else 'Z'}"
