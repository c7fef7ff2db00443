"""Rules about documents, search results and citations. Source: spec MSG-70 to 73, 98, 99.

Pure; imports only this folder and the error tree.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, get_args

from dragoman.errors import InvalidRequest

from .codec import Wire
from .schema import check
from .turns import blocks_of
from .types import (
    Block,
    BrowserState,
    Citation,
    Citations,
    ContentSource,
    CountTokensRequest,
    Document,
    InputMessage,
    SearchResult,
    Text,
    ToolReference,
    ToolResult,
)

__all__ = ["Part", "check_documents", "walk"]

Part = Block | ToolReference | BrowserState  # blocks, and what only a tool result may hold


def walk(messages: Sequence[InputMessage]) -> Iterator[tuple[str, Part]]:
    """Every block with its path, also those within tool results, documents and search results, in order."""
    for index, message in enumerate(messages):
        for at, block in enumerate(blocks_of(message)):
            yield from _within(block, f"messages.{index}.content.{at}")


def _within(block: Part, path: str) -> Iterator[tuple[str, Part]]:
    yield path, block
    match block:
        case ToolResult(content=list(parts)):
            for at, part in enumerate(parts):
                yield from _within(part, f"{path}.tool_result.content.{at}")
        case Document(source=ContentSource(content=list(inner))):
            for at, piece in enumerate(inner):
                yield f"{path}.document.source.content.{at}", piece
        case SearchResult(content=texts):
            for at, text in enumerate(texts):
                yield f"{path}.search_result.content.{at}", text
        case _:
            return


def check_documents(request: CountTokensRequest) -> None:
    """Raise InvalidRequest for citations that are on for some only, stand beside a format, or have no right shape."""
    documents: set[bool] = set()
    results: set[bool] = set()
    for path, block in walk(request.messages):
        match block:
            case Document(citations=config):
                documents.add(bool(config and config.enabled))
            case SearchResult(citations=config):
                results.add(bool(config and config.enabled))
            case Text():
                _check_text(block, path)
            case _:
                continue
    for at, text in enumerate(request.system if isinstance(request.system, list) else ()):
        _check_citations_of(text, f"system.{at}")
    _check_all_or_none(documents, "documents")
    _check_all_or_none(results, "search results")
    if True in documents | results and request.output_config is not None and request.output_config.format is not None:
        raise InvalidRequest("output_config.format: cannot be combined with citations")


def _check_all_or_none(enabled: set[bool], what: str) -> None:
    """MSG-98; search results are a group of their own ("Search results", citation control)."""
    if len(enabled) > 1:
        raise InvalidRequest(f"messages: citations must be enabled on all or none of the {what} in the request")


def _check_text(block: Text, path: str) -> None:
    if not block.text and (".document.source." in path or ".search_result." in path):
        raise InvalidRequest("messages: text content blocks must be non-empty")
    _check_citations_of(block, path)


def _check_citations_of(block: Text, path: str) -> None:
    """What an assistant cited comes back in its history; fields that a newer server added to it may come too."""
    if not block.citations:
        return
    try:
        check(Citations, {"citations": [_known(citation) for citation in block.citations]})
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}.text.{error.message}") from None


def _known(citation: dict[str, Any]) -> dict[str, Any]:
    kind = citation.get("type")
    names = _fields().get(kind) if isinstance(kind, str) else None
    return citation if names is None else {name: value for name, value in citation.items() if name in names}


@cache
def _fields() -> dict[str, frozenset[str]]:
    kinds: tuple[type[Wire], ...] = get_args(Citation)
    return {str(kind.__struct_config__.tag): frozenset({"type", *kind.__struct_fields__}) for kind in kinds}
