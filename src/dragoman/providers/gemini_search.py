"""Web search: the API's tool as `googleSearch`, and what was found as blocks. Pure.

Source: Gemini's guides "Grounding with Google Search" and "Tool combination", the types of google-genai 3.4.0, and
recordings of streams in public tests, read 2026-11-21.

What was searched for and found is told behind the text that was made of it (`groundingMetadata`), so the pair of blocks
stands there, at the end of a message, where the API's own stands before the text. Citations point at pages, for Gemini
does not tell which of their words it means. Nothing of this goes back: the text is all that Gemini reads of a past
search. But beside functions it wants its own calls back, which it tells then (`toolCall`, `toolResponse`, signed); they
travel whole, in the signature of an empty block of thinking.

Of the other tools that Google runs none is carried. `urlContext` does not tell what stood on the page, which a
`web_fetch_tool_result` must; `codeExecution` has no shell, no container that lasts and no files of the Files API.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dragoman.wire.events import Event
from dragoman.wire.provenance import unwrap, wrap
from dragoman.wire.tools import AnyTool, JsonObject, WebSearch
from dragoman.wire.types import Caller, WebSearchResult
from dragoman.wire.writer import BlockWriter

__all__ = ["Grounding", "is_ours", "searches"]

NAME = "web_search"
DIRECT = Caller(type="direct")
OPTIONS = ("max_uses", "user_location")  # that can be left out: the search is another for it, not one too many


def searches(tool: AnyTool, *, lose: Callable[[str], None]) -> bool:
    """Whether a tool is a search that `googleSearch` can stand for; a limit to some domains it could not keep."""
    if not isinstance(tool, WebSearch) or tool.allowed_domains or tool.blocked_domains:
        return False
    if tool.allowed_callers is not None and "direct" not in tool.allowed_callers:
        return False
    for name in OPTIONS:
        if getattr(tool, name) is not None:
            lose(f"tools.{name}")
    if getattr(tool, "response_inclusion", None) == "excluded":
        lose("tools.response_inclusion")
    return True


class Grounding:
    """What a reply rests on, as its chunks tell it: each the whole so far, or a part."""

    def __init__(self, *, origin: str, new_id: Callable[[], str]) -> None:
        self._origin = origin
        self._new_id = new_id
        self._queries: dict[str, None] = {}
        self._pages: dict[str, str | None] = {}  # address -> title
        self._cited: dict[str, None] = {}  # addresses

    def note(self, told: Any) -> None:
        """`groundingMetadata` of a candidate."""
        if not isinstance(told, dict):
            return
        self._queries |= dict.fromkeys(each for each in _list(told.get("webSearchQueries")) if isinstance(each, str))
        chunks = [_page(each) for each in _list(told.get("groundingChunks"))]
        self._pages |= {page[0]: page[1] for page in chunks if page is not None}
        for support in _list(told.get("groundingSupports")):
            indices = _list(support.get("groundingChunkIndices")) if isinstance(support, dict) else []
            for index in indices:
                page = chunks[index] if isinstance(index, int) and 0 <= index < len(chunks) else None
                self._cited |= {} if page is None else {page[0]: None}

    @property
    def requests(self) -> JsonObject | None:
        """For the usage: how many searches there were."""
        count = len(self._queries) or int(bool(self._pages))
        return {"web_search_requests": count, "web_fetch_requests": 0} if count else None

    def citations(self, writer: BlockWriter) -> list[Event]:
        """For the open text."""
        return [event for url in self._cited for event in writer.citation(self._citation(url))]

    def blocks(self, writer: BlockWriter) -> list[Event]:
        """The call and its result; nothing where nothing was searched for."""
        if not self._queries and not self._pages:
            return []
        call_id = f"srv{self._new_id()}"
        events = writer.server_tool_use(call_id, NAME)
        if self._queries:
            events += writer.input_json(msgspec.json.encode(_input(list(self._queries))).decode())
        result = WebSearchResult(tool_use_id=call_id, content=self._results(), caller=DIRECT)
        return [*events, *writer.whole(result)]

    def _results(self) -> Any:
        return [
            {
                "type": "web_search_result",
                "url": url,
                "title": title or url,
                "encrypted_content": wrap(self._origin, ""),
                "page_age": None,
            }
            for url, title in self._pages.items()
        ]

    def _citation(self, url: str) -> JsonObject:
        return {
            "type": "web_search_result_location",
            "cited_text": "",
            "url": url,
            "title": self._pages[url],
            "encrypted_index": wrap(self._origin, ""),
        }


def _input(queries: Sequence[str]) -> JsonObject:
    return {"query": queries[0], **({"queries": list(queries)} if len(queries) > 1 else {})}


def _page(chunk: Any) -> tuple[str, str | None] | None:
    web = chunk.get("web") if isinstance(chunk, dict) else None
    if not isinstance(web, dict) or not isinstance(url := web.get("uri"), str) or not url:
        return None
    title = web.get("title")
    return url, title if isinstance(title, str) and title else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def is_ours(content: Any, origin: str) -> bool:
    """Whether the content of a result in the history is of `origin`: Gemini reads nothing of it but the text."""
    opaque = [each.get("encrypted_content") if isinstance(each, dict) else None for each in _list(content)]
    made = [unwrap(each) if isinstance(each, str) else None for each in opaque]
    return isinstance(content, list) and all(each is not None and each[0] == origin for each in made)
