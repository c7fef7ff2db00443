"""Searches of other makers' models in a history: notes in text, for a model that cannot read them. Pure; every dialect
uses it. Those of the API itself are notes before a dialect sees them (wire/retold.py)."""

from collections.abc import Callable, Sequence
from typing import Any

from dragoman.wire.provenance import unwrap
from dragoman.wire.retold import note
from dragoman.wire.types import ServerToolUse, Text, WebSearchResult

__all__ = ["note_of", "told_searches"]


def told_searches(blocks: Sequence[Any], origin: str, lose: Callable[[str], None]) -> Sequence[Any]:
    """The blocks of a turn, with a note in the place of each search that `origin` did not make. What only its maker
    reads in it is lost."""
    others = {block.tool_use_id for block in blocks if isinstance(block, WebSearchResult) and not _is_of(block, origin)}
    if not others:
        return blocks
    calls = {block.id: block for block in blocks if isinstance(block, ServerToolUse)}
    told: list[Any] = []
    for block in blocks:
        if isinstance(block, WebSearchResult) and block.tool_use_id in others:
            lose("web_search_tool_result")
            told.append(note_of(block, calls.get(block.tool_use_id)))
        elif not (isinstance(block, ServerToolUse) and block.id in others):
            told.append(block)
    return told


def note_of(result: WebSearchResult, call: ServerToolUse | None) -> Text:
    """What was searched for, titles and addresses."""
    called = None if call is None else {"name": call.name, "input": call.input}
    return Text(text=note(called, {"content": result.content}), cache_control=result.cache_control)


def _is_of(result: WebSearchResult, origin: str) -> bool:
    first = result.content[0] if isinstance(result.content, list) and result.content else None
    sealed = first.get("encrypted_content") if isinstance(first, dict) else None
    made = unwrap(sealed) if isinstance(sealed, str) else None
    return made is not None and made[0] == origin
