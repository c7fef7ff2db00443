"""An answer out of the passages that fit the question best, each with its citation.

Passages are what the API makes them: sentences of plain text and of PDF pages, whole blocks of custom content and of
search results. Fit is the words that a passage shares with the question, rare ones counting more. Nothing is
understood here. Source: spec MSG-99; Anthropic documentation, "Citations". Pure; imports only `wire` and this folder.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from dragoman.wire.tools import JsonObject

from .documents import Passages
from .reply import Say

__all__ = ["cite"]

MOST_CITED = 5
MOST_WITHOUT_A_MATCH = 2
# What is searched: the beginnings of that many sources, so much of them in all (0.3 s); each has its equal share.
SEARCHED_SOURCES = 1_000
SEARCHED_CHARACTERS = 500_000
SEARCHED_PASSAGES = 20_000
QUESTION_CHARACTERS = 10_000
SENTENCE_CHARACTERS = 1_000  # a longer one is cut at a space
QUOTED_CHARACTERS = 300  # of a passage, in the text; the citation holds all of it
OPENING = "According to the documents (quoted by dragoman's offline engine, as no model was asked): "

# Where a sentence ends: its mark with the quotes and spaces behind it, or an empty line. No word of a sentence begins
# small behind "e.g. ". Each alternative begins at one kind of character and never tries again, so time is linear.
_END = re.compile(
    r"(?<=[.!?\u2026])[\"'\u201d\u2019)\]]{0,3}\s++(?![a-z])|(?<=[\u3002\uff01\uff1f])\s*+|\n[^\S\n]*+\n\s*+"
)
_WORD = re.compile(r"\w+")
_CLOSING = " \t\r\n.,;:!?\u2026\u3002\uff01\uff1f"
_COMMON = frozenset(
    """
    a about all an and any are as at be been but by can could did do does for from had has have he her his how i if in
    into is it its me my no not of on one or our out please say says she should so some tell than that the their them
    then there these they this to up us was we were what when where which who why will with would you your
    document documents according summarize describe explain cite citations
    """.split()
)


class _Passage(Struct, frozen=True):
    """A piece of a source that a citation may hold."""

    of: Passages
    at: int  # index of the text within the source
    start: int  # characters, within that text
    end: int

    @property
    def text(self) -> str:
        return (self.of.texts[self.at] or "")[self.start : self.end]


def cite(sources: Sequence[Passages], question: str) -> tuple[Say, ...] | None:
    """Text blocks that quote the passages, each with its citation; None when no source has any text.

    At most five passages, in the order of the prompt. Where none shares a word with the question: the first passages
    of the first sources. The same for the same request.
    """
    found = _best(list(_passages(sources)), _words(question[:QUESTION_CHARACTERS]))
    if not found:
        return None
    said = [Say(OPENING)]
    for passage, is_last in zip(found, [*[False] * (len(found) - 1), True], strict=True):
        said += [Say(_quoted(passage.text), (_citation(passage),)), Say("." if is_last else "; ")]
    return tuple(said)


def _best(passages: Sequence[_Passage], asked: set[str]) -> list[_Passage]:
    shared = [asked & _words(passage.text[:SENTENCE_CHARACTERS]) for passage in passages]
    spread = Counter(word for words in shared for word in words)
    scores = [sum(1 / spread[word] for word in sorted(words)) for words in shared]
    ranked = sorted((at for at, score in enumerate(scores) if score), key=lambda at: (-scores[at], at))
    if not ranked:
        return _first_of_each(passages)
    fitting = [at for at in ranked[:MOST_CITED] if scores[at] * 2 >= scores[ranked[0]]]
    return [passages[at] for at in sorted(fitting)]


def _first_of_each(passages: Iterable[_Passage]) -> list[_Passage]:
    firsts: dict[int, _Passage] = {}
    for passage in passages:
        firsts.setdefault(id(passage.of), passage)
    return list(islice(firsts.values(), MOST_WITHOUT_A_MATCH))


def _words(text: str) -> set[str]:
    """Words that tell something, without the s of a plural."""
    found = (word.casefold() for word in _WORD.findall(text))
    return {word.removesuffix("s") if len(word) > 3 else word for word in found if word not in _COMMON}


def _passages(sources: Sequence[Passages]) -> Iterator[_Passage]:
    searched = sources[:SEARCHED_SOURCES]
    for source in searched:
        found = _of_source(source, SEARCHED_CHARACTERS // len(searched))
        yield from islice(found, SEARCHED_PASSAGES // len(searched))


def _of_source(source: Passages, left: int) -> Iterator[_Passage]:
    """Its passages within the first `left` characters, as far as one is not cut off by that."""
    for at, text in enumerate(source.texts):
        if left <= 0:
            return
        if text is None or not text.strip():
            continue
        if source.kind in ("char_location", "page_location"):
            for start, end in _sentences(text[:left]):
                yield _Passage(source, at, start, end)
        else:
            yield _Passage(source, at, 0, len(text))
        left -= len(text)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each begins and ends; the space behind one belongs to it, as in what the API cites."""
    start = 0
    for found in _END.finditer(text):
        yield from _pieces(text, start, found.end())
        start = found.end()
    yield from _pieces(text, start, len(text))


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > SENTENCE_CHARACTERS:
        space = text.rfind(" ", start + 1, start + SENTENCE_CHARACTERS)
        cut = space + 1 if space > 0 else start + SENTENCE_CHARACTERS
        yield start, cut
        start = cut
    if text[start:end].strip():
        yield start, end


def _quoted(text: str) -> str:
    """The passage as part of a sentence: on one line, without its end mark."""
    line = " ".join(text[: QUOTED_CHARACTERS * 4].split())
    if len(line) > QUOTED_CHARACTERS:
        return f"{line[:QUOTED_CHARACTERS]}..."
    return line.rstrip(_CLOSING) or line


def _citation(passage: _Passage) -> JsonObject:
    """MSG-99, its keys in the recorded order."""
    source, at = passage.of, passage.at
    if source.kind == "search_result_location":
        return {
            "type": source.kind,
            "cited_text": passage.text,
            "source": source.source,
            "title": source.title,
            "search_result_index": source.index,
            "start_block_index": at,
            "end_block_index": at + 1,
        }
    place = {
        "char_location": {"start_char_index": passage.start, "end_char_index": passage.end},
        "page_location": {"start_page_number": at + 1, "end_page_number": at + 2},
        "content_block_location": {"start_block_index": at, "end_block_index": at + 1},
    }[source.kind]
    return {
        "type": source.kind,
        "cited_text": passage.text,
        "document_index": source.index,
        "document_title": source.title,
        **place,
        "file_id": source.file_id,
    }
