"""English as far as the offline engine knows it, and a little of its neighbours: tables of words, and their stems.

Facts only: what they are used for stands in the other files of this folder and in `tools/fit.py`. Imports nothing of
this package.
"""

import re
from functools import lru_cache

__all__ = [
    "ACTIONS", "COUNTRIES", "CURRENCIES", "DATE_WORDS", "FORMATS", "GENERIC", "IMPERATIVES", "LANGUAGES",
    "NOUNS", "NUMBER_WORDS", "OPENERS", "STOP", "UNITS", "is_separator", "kin", "meaning", "singular", "split_name",
    "stem", "stems",
]  # fmt: skip

# Words that say nothing about what is asked.
STOP = frozenset(
    """a about after all also am an and any anything are as at be because been before being but by can cannot could did
    do does doing don done down dont during each else etc even ever every few first for from further had has
    have having he hello help her here hers hey hi him his how however i if im in instead into is it its itself
    just kindly know last let lets like make many may me might mine more most much must my need no nor not now
    of off ok okay on once one only or other ought our out over own please quick quickly quite rather really s
    same she should so some something such sure t tell than thank thanks that thats the their them then there
    theres these they thing things this those to too under until up us using very via want wants was we were
    what whats when where wheres which while who whom whose why will wish with without would yes yet you your
    youre""".split()
)

# Words in a tool's name that many tools share: they do not tell one tool from another.
GENERIC = frozenset(
    """access action add agent api app apply ask assistant base based batch call change check client close command
    context count create current data default delete detail details do document edit entry exec execute fetch
    field file files find full function general generate get give handle handler helper id info information
    input insert invoke item items list load local lookup main make manage manager mcp my new number numbers
    object obj open operation output perform process provide put query read record remote remove request
    resource response result results retrieve return run save search send server service set show simple single
    status store submit system task tool tools update use user util utils value view word write""".split()
)

# Verbs of tools that change something: "I love email" is no order to send one.
ACTIONS = frozenset(
    """add append book buy cancel close copy create delete drop edit insert install kill make modify move order pay
    place post publish put remove rename replace reply reserve save schedule send set start stop submit transfer
    turn update upload write""".split()
)

# Other words that begin a sentence with a capital and are no names.
IMPERATIVES = frozenset(
    """analyse analyze browse build calculate classify click commit compare compute convert count debug deploy describe
    detect download draw drag estimate explain extract filter fix generate go hello hey hi identify implement
    install list merge navigate order plan play predict press pull push recognize recommend refactor remember
    remind review roll schedule scroll sort start suggest summarise summarize test tell thanks transcribe
    translate try type visit wait want weather welcome""".split()
)

# Words that mean the same to a tool: one of them in the request is as good as another in the tool's name.
_KIN = (
    "weather forecast temperature rain rainy raining snow sunny hot cold humid climate umbrella",
    "calculator calculate calculation compute arithmetic math maths mathematics evaluate solve",
    "read open show view display cat print see",
    "write create save make",
    "add append insert put",
    "edit replace change modify update",
    "delete remove erase drop",
    "search find google look lookup seek",
    "fetch download retrieve visit browse open",
    "run execute exec launch start",
    "bash shell terminal command",
    "email mail",
    "message text sms",
    "price cost quote worth trading",
    "stock share ticker",
    "time clock hour",
    "date day today",
    "image picture photo draw drawing",
    "translate translation translator",
    "convert conversion converter exchange",
    "sum add plus total",
    "multiply times product",
    "subtract minus difference",
    "divide division quotient",
    "dice die",
    "person people",
    "calendar schedule meeting appointment event",
    "reminder remind",
    "note memo",
    "list ls enumerate",
    "directory folder dir",
    "send post",
    "book reserve reservation booking",
    "flight fly plane airline",
    "play start",
    "song music track",
    "light lights lamp",
    "random roll",
    "summarize summary summarise",
    "todo todos",
    "define definition meaning",
    "memory remember recall memorize",
)

DATE_WORDS = frozenset(
    """today tomorrow yesterday tonight monday tuesday wednesday thursday friday saturday sunday january february march
    april june july august september october november december noon midnight morning evening afternoon weekend
    week month year now currently right soon""".split()
)
UNITS = frozenset(
    """celsius fahrenheit kelvin centigrade metric imperial degree degrees km kilometer kilometers kilometre kilometres
    mile miles meter meters metre metres m cm mm foot feet ft inch inches yard yards kg kilogram kilograms gram
    grams g pound pounds lb lbs ounce ounces oz liter liters litre litres l ml gallon gallons second seconds
    minute minutes hour hours day days week weeks month months year years percent bytes kb mb gb mph kmh
    knots""".split()
)
LANGUAGES = frozenset(
    """arabic bengali chinese czech danish dutch english esperanto finnish french german greek hebrew hindi hungarian
    indonesian italian japanese korean latin mandarin norwegian persian polish portuguese romanian russian
    spanish swahili swedish thai turkish ukrainian urdu vietnamese welsh python javascript typescript rust java
    kotlin swift ruby php perl haskell scala""".split()
)
CURRENCIES = frozenset("USD EUR GBP JPY CHF CAD AUD NZD CNY INR BRL MXN SEK NOK DKK PLN KRW TRY ZAR BTC ETH".split())
FORMATS = frozenset("JSON XML CSV PDF HTML YAML TOML SQL HTTP HTTPS API URL URI ID OK FAQ ASAP AM PM I A TODO".split())
# Behind a comma these belong to the place before it: "Paris, France", "San Francisco, California".
COUNTRIES = frozenset(
    """argentina australia austria belgium brazil canada chile china colombia croatia cuba czechia denmark egypt
    england ethiopia finland france germany ghana greece hungary iceland india indonesia iran iraq ireland
    israel italy jamaica japan kenya malaysia mexico morocco nepal netherlands nigeria norway pakistan peru
    philippines poland portugal romania russia scotland serbia spain sweden switzerland taiwan thailand tunisia
    turkey uganda ukraine uk usa uruguay vietnam wales alabama alaska arizona arkansas california colorado
    connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine
    maryland massachusetts michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon
    pennsylvania tennessee texas utah vermont virginia washington wisconsin wyoming ontario quebec""".split()
)
# Not "one": it is more often a pronoun.
NUMBER_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "dozen": 12,
}  # fmt: skip

# German has a capital for every noun: these are no names, and the others begin a sentence before a noun.
NOUNS = frozenset(
    """wetter wettervorhersage vorhersage temperatur stadt ort tage tagen stunden minuten woche wochen uhr uhrzeit datei
    flug fl\u00fcge bitte""".split()
)
OPENERS = frozenset("das der dem den des ein eine einen einem einer welches welcher mein meine bitte".split())
# What is counted or named in German, French, Spanish and Italian -> the same in English.
_ENGLISH = {
    word: english
    for english, words in (
        ("day", "Tag tage tagen jour jours d\u00eda d\u00edas dia dias giorno giorni"),
        ("hour", "stunde stunden heure heures hora horas ora ore"),
        ("minute", "minuten minuto minutos minuti"),
        ("week", "woche wochen semaine semaines semana semanas settimana settimane"),
        ("month", "monat monate monaten mois meses mesi"),
        ("year", "jahr jahre jahren ann\u00e9e ann\u00e9es ans a\u00f1o a\u00f1os anno anni"),
        ("night", "nacht n\u00e4chte nuit nuits noche noches notte notti"),
        ("result", "ergebnis ergebnisse r\u00e9sultat r\u00e9sultats resultado resultados risultato risultati"),
        ("city", "stadt ville ciudad citt\u00e0"),
        ("location", "ort lugar luogo"),
        ("file", "datei fichier archivo"),
    )
    for word in words.split()
}

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|[^A-Za-z0-9]+")


def stems(text: str) -> list[str]:
    """The stems of all words of a text, in its order."""
    return [stem(word) for word in _WORD.findall(text)]


def split_name(name: str) -> list[str]:
    """The words of an identifier, in lower case: `get_weather`, `getWeather` and `get-weather` are the same."""
    return [word.lower() for word in _HUMPS.split(name) if word and not word.isdigit()]


def singular(name: str) -> str:
    """ "cities" holds a city: the name of one item of a list, by the list's name."""
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """What is common to the forms of a word. Rough: it must only agree with itself."""
    word = word.lower().replace("\u2019", "'").removesuffix("'s").replace("'", "")
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 5 and word.endswith("ly"):
        word = word[:-2]
    if len(word) > 5 and word.endswith("ing"):
        word = _undoubled(word[:-3])
    elif len(word) > 4 and word.endswith("ed") and not word.endswith("eed"):
        word = _undoubled(word[:-2])
    if len(word) > 6 and word.endswith(("ator", "tion", "sion")):
        word = word[:-2] if word.endswith("ator") else word[:-3]
    return word.removesuffix("e") if len(word) > 3 else word


def meaning(word: str) -> str:
    """The stem of a word; of some foreign ones, the stem of the English word. Only "Tag" is a day, "tag" is not."""
    return stem(_ENGLISH.get(word) or _ENGLISH.get(word.lower()) or word)


def _undoubled(word: str) -> str:
    """'runn' of 'running' is 'run'; 'fill' and 'pass' stay."""
    return word[:-1] if len(word) > 2 and word[-1] == word[-2] and word[-1] not in "lsz" else word


_KINSHIP: dict[str, frozenset[str]] = {}
for _group in _KIN:
    _family = frozenset(stem(word) for word in _group.split())
    for _member in _family:
        _KINSHIP[_member] = _KINSHIP.get(_member, frozenset()) | _family


def kin(stemmed: str) -> frozenset[str]:
    """Stems that mean about the same, the given one among them."""
    return _KINSHIP.get(stemmed, frozenset()) | {stemmed}


_SEPARATOR = re.compile(
    r"\s{0,3}(?:,|;|&|\b(?:und|oder|et|ou|y|e)\b"
    r"|\band\b|\bor\b|\bthen\b|\bplus\b|\bas well as\b|,\s?and\b|,\s?or\b|,\s?then\b|\band then\b)"
    r"(?:\s(?:also|then|another))?(?:\s(?:in|at|for|from|of|to|on|near|with|about))?(?:\s(?:the|a|an|file))?\s{0,3}",
    re.IGNORECASE,
)


def is_separator(between: str) -> bool:
    """Does this text join the items of a list: a comma, "and", "and in"?"""
    return len(between) < 40 and _SEPARATOR.fullmatch(between) is not None
