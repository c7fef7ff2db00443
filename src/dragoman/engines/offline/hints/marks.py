"""What the user marked as a value: a text in quotation marks or backticks is surer than a guess.

Pure; imports only what stands beside it.
"""

import re
from collections.abc import Mapping

from .types import STRONG, Hint
from .values import has_shape
from .words import split_name, stem

__all__ = ["ABOVE", "ELSEWHERE", "MARKED", "is_elsewhere", "led_by", "marked"]

MARKED = frozenset({"quoted", "code"})
ELSEWHERE = 10  # a score below that of any guess
ABOVE = 2  # by so much a marked text is better than a guess
UNLIKELY = 50  # a score of a role for quotes below which it is rarely given in them
SURE = 90  # a kind that fits a role so well is no guess: "AAPL" for a ticker
_GUESSED = frozenset("proper initial caps spot inside thing".split())

# The word before a quote -> what a name would be there, in English, German, French, Spanish and Italian.
_PLACED, _LEFT, _REACHED = ("place",), ("from",), ("to",)
_LED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("in at near around inside outside within for of visiting visit across over".split(), _PLACED),
    **dict.fromkeys(
        "f\u00fcr bei im um en dans pour chez sur para sobre per presso su nel nella di del".split(), _PLACED
    ),
    **dict.fromkeys("from between aus ab depuis desde da dal".split(), _LEFT),
    **dict.fromkeys("to into towards toward vers hacia hasta verso".split(), _REACHED),
    **dict.fromkeys("von de".split(), _PLACED + _LEFT),
    **dict.fromkeys("nach a \u00e0".split(), _PLACED + _REACHED),
    "by": ("by",),
    **dict.fromkeys("named called".split(), ("named",)),
}
# Behind these stands something to say, or the name of a tool.
_SAYING = frozenset(
    """say says saying said write reply answer respond print echo type sage schreibe antworte dis \u00e9cris
    r\u00e9ponds escribe responde scrivi rispondi""".split()
)
_TOOLS = frozenset("tool function parameter argument werkzeug funktion outil fonction herramienta strumento".split())
_USING = _TOOLS | frozenset(
    "use using call calling invoke benutze verwende nutze utilise appelle usa utiliza chiama".split()
)
_TOOL_STEMS = frozenset(stem(word) for word in _TOOLS) | {"set"}  # `location` set to `Oslo`
_CODE_NAME = re.compile(r"\w*_\w*|[a-z][a-z\d]*(?:[A-Z][a-z\d]*)+|[\w.]+\(.*\)|-{1,2}\w.*")
_TICKER = re.compile(r"[A-Z]{2,5}")
_MAX_WORDS, _MAX_LENGTH = 6, 80


# "in der Region "Tirol"": what stands right before a quote may only say what it is.
_LABELLED = re.compile(
    r"([^\W\d_]+)\s(?:(?:the|der|die|dem|den|la|le|el|il|lo)\s)?(?:(?![a-z])[^\W\d_]+\s(?:of\s|de\s|di\s)?){1,2}$"
)


def led_by(before: str, last: str) -> str:
    """The preposition that leads to a quote, where `before` is the text before it and `last` its last word."""
    if last in _LED or last in _SAYING or last in _USING:
        return last
    match = _LABELLED.search(before)
    return match[1].lower() if match and match[1].lower() in _LED else last


def marked(hint: Hint, fit: Mapping[str, int], names: tuple[str, ...]) -> int:
    """What a marked text is worth at least, where `fit` has the scores of kinds and `names` the parameter's words.

    More than any guess, and more than a name would be behind the same preposition. 0 for what is not marked, for what
    is not a value (a sentence, something to say, the name of a tool or of the parameter), for what is plainly a path or
    an address, and where nothing is to be guessed.
    """
    if hint.kind not in MARKED or not _is_value(hint) or tuple(split_name(hint.text)) == names:
        return 0
    # Where even the table expects no quotes (who a letter goes to), a bare one is weak, and not shared with its text.
    most = SURE if fit.get("quoted", 0) >= UNLIKELY else STRONG - ABOVE - 1
    scores = [min(score, most) for kind, score in fit.items() if kind in _GUESSED and score < SURE]
    scores += [fit[kind] for kind in _LED.get(hint.lead, ()) if kind in fit]
    if _TICKER.fullmatch(hint.text):
        scores.append(fit.get("caps", 0))
    best = max(scores, default=0)
    return best + ABOVE if best else 0


def _is_value(quote: Hint) -> bool:
    """Is it a few words, and none of them to be said, called or opened?"""
    text = quote.text
    if len(text) > _MAX_LENGTH or "\n" in text or len(text.split()) > _MAX_WORDS or not re.search(r"[^\W_]", text):
        return False
    if quote.lead in _SAYING or quote.lead in _USING or quote.after in _TOOL_STEMS:
        return False
    return _CODE_NAME.fullmatch(text) is None and not has_shape(text)


_FOR_SHAPES = frozenset("path pathish url host code".split())


def is_elsewhere(hint: Hint, fit: Mapping[str, int]) -> bool:
    """Is a marked text plainly a path or an address, where neither is wanted? Then any guess is better."""
    return hint.kind in MARKED and _FOR_SHAPES.isdisjoint(fit) and has_shape(hint.text)
