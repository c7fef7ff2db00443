"""Documents and search results of a request, in the order of the prompt: their texts, and what of them may be cited.

Source: spec MSG-72, 73, 97 to 99. Imports only `wire`, the error tree and this folder.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from dragoman.wire.documentrules import walk
from dragoman.wire.types import (
    Base64Pdf,
    ContentSource,
    Document,
    InputMessage,
    PlainText,
    SearchResult,
    Text,
)

from .pdf import Pages, PdfFile

__all__ = ["Passages", "passages_of", "pdf_files"]

Location = Literal["char_location", "page_location", "content_block_location", "search_result_location"]


class Passages(Struct, frozen=True, kw_only=True):
    """One document or search result with citations enabled: what a citation of it may point to."""

    kind: Location
    index: int  # among all documents of the request, or among all search results, from 0 (MSG-99)
    title: str | None
    source: str = ""  # of a search result
    file_id: str | None = None  # of a document that came as a file
    texts: tuple[str | None, ...]  # the one text; each page; each content block, None for an image


def pdf_files(messages: Sequence[InputMessage]) -> dict[int, PdfFile]:
    """Each PDF, by the id() of its Document."""
    found: dict[int, PdfFile] = {}
    for path, block in walk(messages):
        if isinstance(block, Document) and isinstance(block.source, Base64Pdf):
            # The API names the type of such a source here, not that of the block.
            found[id(block)] = PdfFile(f"{path}.pdf.source.base64", block.source.data)
    return found


def passages_of(messages: Sequence[InputMessage], pages: Mapping[int, Pages]) -> tuple[Passages, ...]:
    """What may be cited. `pages`: those of each PDF, by the id() of its Document."""
    found: list[Passages] = []
    documents = results = 0
    for _, block in walk(messages):
        if isinstance(block, Document):
            if block.citations and block.citations.enabled:
                found.append(_of_document(block, documents, pages))
            documents += 1
        elif isinstance(block, SearchResult):
            if block.citations and block.citations.enabled:
                found.append(_of_search_result(block, results))
            results += 1
    return tuple(found)


def _of_document(block: Document, index: int, pages: Mapping[int, Pages]) -> Passages:
    kind: Location = "content_block_location"
    texts: tuple[str | None, ...] = ()
    match block.source:
        case PlainText(data=text):
            kind, texts = "char_location", (text,)
        case Base64Pdf():
            kind, texts = "page_location", pages[id(block)]
        case ContentSource(content=str(text)):
            texts = (text,)
        case ContentSource(content=list(parts)):
            texts = tuple(part.text if isinstance(part, Text) else None for part in parts)
        case _:  # a URL or a file: refused elsewhere
            pass
    # The gateway puts the text of a file in the place of its id, and leaves the id beside it (wire/files.py).
    file_id = block.source.extra.get("file_id")
    return Passages(kind=kind, index=index, title=block.title, texts=texts, file_id=file_id)


def _of_search_result(block: SearchResult, index: int) -> Passages:
    texts = tuple(part.text for part in block.content)
    return Passages(kind="search_result_location", index=index, title=block.title, source=block.source, texts=texts)
