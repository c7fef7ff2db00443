"""Web search, there and back: the API's tool as OpenAI's, its calls as blocks, and those blocks as the calls they were.

Source: OpenAI's guide "Web search", and the types of its Python package 3.54.0 (`web_search_tool_param`,
`response_function_web_search`), read 2026-11-22.

A call becomes a `server_tool_use` and a `web_search_tool_result`. OpenAI tells addresses alone: the title of a result
is its address, and no text of a page is told. The call itself stands in the `encrypted_content` of the first result, so
that it goes back as it came, and to its maker alone.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dragoman.wire.provenance import unwrap, wrap
from dragoman.wire.tools import JsonObject, WebSearch
from dragoman.wire.types import Caller, WebSearchResult

from .base import Question
from .openai_common import JSON

__all__ = ["INCLUDED", "NAME", "Found", "as_tool", "call_of", "citation_of", "found", "offered"]

NAME = "web_search"  # of the tool, on both sides
INCLUDED = "web_search_call.action.sources"  # without it no address is told but those that are cited
MOST_DOMAINS = 100
# Models that search. Others refuse the tool ("Hosted tool 'web_search' is not supported with gpt-5-chat-latest"): the
# guide's limitations, and errors that users quote.
SEARCHES = re.compile(
    r"gpt-4o(?!.*(?:search|audio|realtime|transcribe|tts))|gpt-4\.1(?!-nano)|o3(?!-mini)|o4|gpt-5(?!.*-chat)|gpt-[6-9]"
)
LEGAL = re.compile(r"\w+", re.ASCII)
DIRECT = Caller(type="direct")

Lose = Callable[[str], None]


def offered(question: Question) -> WebSearch | None:
    """The search that a request offers, where host and model are known to have it: others refuse the whole request."""
    model = question.target.model.rpartition("/")[2]
    if not question.target.can.web_search or SEARCHES.match(model) is None:
        return None
    for tool in question.request.tools or ():
        if isinstance(tool, WebSearch) and (tool.allowed_callers is None or "direct" in tool.allowed_callers):
            return tool
    return None


# -- the tool --


def as_tool(search: WebSearch, lose: Lose) -> JSON:
    tool: JSON = {"type": "web_search"}
    if search.allowed_domains:
        tool["filters"] = {"allowed_domains": _domains(search.allowed_domains, lose)}
    if (place := search.user_location) is not None:
        names = ("city", "region", "country", "timezone")
        told = {name: value for name in names if (value := getattr(place, name)) is not None}
        tool["user_location"] = {"type": "approximate", **told}
    if search.blocked_domains:
        lose("tools.blocked_domains")
    if getattr(search, "response_inclusion", None) == "excluded":
        lose("tools.response_inclusion")
    if search.cache_control is not None:
        lose("cache_control")
    return tool


def _domains(allowed: list[str], lose: Lose) -> list[str]:
    """Whole domains: what is below one cannot be told."""
    domains = list(dict.fromkeys(each.partition("//")[2].partition("/")[0] if "//" in each else each.partition("/")[0]
                                 for each in allowed))  # fmt: skip
    if domains != allowed or len(domains) > MOST_DOMAINS:
        lose("tools.allowed_domains")
    return domains[:MOST_DOMAINS]


# -- its calls --


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was made, as blocks."""

    id: str
    input: JsonObject
    result: WebSearchResult
    counts: bool  # as a search that is paid for


def found(item: Mapping[str, Any], *, origin: str, thought: bool, new_id: Callable[[], str]) -> Found:
    """`thought`: reasoning stands directly before the call, without which it may not go back."""
    action = item.get("action")
    action = action if isinstance(action, dict) else {}
    item_id, failed = item.get("id"), item.get("status") == "failed"
    known = isinstance(item_id, str) and LEGAL.fullmatch(item_id) is not None
    call_id = f"srvtoolu_{item_id}" if known else f"srv{new_id()}"
    content: Any = _results(action, _opaque(item, thought) if known else "", origin)
    if failed:
        content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    result = WebSearchResult(tool_use_id=call_id, content=content, caller=DIRECT)
    counts = action.get("type") == "search" and not failed
    return Found(id=call_id, input=_input(action), result=result, counts=counts)


def _input(action: Mapping[str, Any]) -> JsonObject:
    """What was searched for, or which page was opened or looked through: they are all calls of the one tool."""
    queries = [each for each in _list(action.get("queries")) if isinstance(each, str)]
    told = {name: value for name in ("query", "url", "pattern") if isinstance(value := action.get(name), str)}
    if queries:
        told.setdefault("query", queries[0])
    return {**told, "queries": queries} if len(queries) > 1 else told


def _results(action: Mapping[str, Any], opaque: str, origin: str) -> list[JsonObject]:
    sources = [source for each in _list(action.get("sources")) if (source := _source(each)) is not None]
    if not sources and isinstance(url := action.get("url"), str):
        sources = [(url, url)]
    return [
        {
            "type": "web_search_result",
            "url": url,
            "title": title,
            "encrypted_content": wrap(origin, opaque if at == 0 else ""),
            "page_age": None,
        }
        for at, (url, title) in enumerate(sources)
    ]


def _source(told: Any) -> tuple[str, str] | None:
    """Address and title; feeds of OpenAI's own have a name and no address."""
    if not isinstance(told, dict):
        return None
    if isinstance(url := told.get("url"), str) and url:
        return url, url
    name = told.get("name")
    return ("", name) if isinstance(name, str) and name else None


def _opaque(item: Mapping[str, Any], thought: bool) -> str:
    kept = {"id": item["id"], "action": item.get("action"), "status": item.get("status"), "thought": thought}
    return msgspec.json.encode(kept).decode()


def citation_of(annotation: Mapping[str, Any], origin: str) -> JsonObject | None:
    """None for what cites no address. Which words of the page are meant, OpenAI does not tell."""
    url, title = annotation.get("url"), annotation.get("title")
    if annotation.get("type") != "url_citation" or not isinstance(url, str):
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": "",
        "url": url,
        "title": title if isinstance(title, str) else None,
        "encrypted_index": wrap(origin, ""),
    }


# -- and back --


def call_of(result: WebSearchResult, origin: str, *, thought: bool) -> JSON | None:
    """The item that a result of an earlier turn belongs to; None where `origin` did not make it.

    `thought`: what goes out before it is reasoning. A call that had some is refused without.
    """
    first = result.content[0] if isinstance(result.content, list) and result.content else None
    opaque = first.get("encrypted_content") if isinstance(first, dict) else None
    made = unwrap(opaque) if isinstance(opaque, str) else None
    if made is None or made[0] != origin:
        return None
    try:
        told = msgspec.json.decode(made[1], type=_Kept)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if told.thought and not thought:
        return None
    return {"type": "web_search_call", "id": told.id, "status": told.status, "action": told.action}


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    action: JsonObject
    status: str
    thought: bool


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
