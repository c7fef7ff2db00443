"""Content blocks of a history that a cloud, or a model there, does not take. Pure; names no cloud.

Tools that the API runs itself leave calls and results in a history (`server_tool_use`, `web_search_tool_result`). Where
there is no such tool, they go, each call with its result, and with what points at them: "Input tag ... found using
'type' does not match any of the expected tags" otherwise. What the assistant said about the results stays.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Raw, Struct

from .cloud_claude import CloudRequest
from .cloud_claude_models import NONE, Support
from .raw_json import edited, encoded, items, members, string

__all__ = ["THOUGHTS", "BlocksRule", "is_mere_thinking"]

CALL, RESULT = "server_tool_use", "_tool_result"
# And all that end in RESULT. The last tells where one model took over from another, which a cloud's does not.
OF_SERVER_TOOLS = frozenset({CALL, "mcp_tool_use", "mcp_tool_listing", "container_upload", "fallback"})
REFERENCE = "tool_reference"  # in a result, to a tool that was found
DIRECT = "direct"
THOUGHTS = ("thinking", "redacted_thinking")


class BlocksRule(Struct, frozen=True, kw_only=True):
    """A block of no type that is named here stays, unless it is one of the API's own tools."""

    types: Mapping[str, Support]
    calls: Mapping[str, Support] = {}  # of the API's own tools, by the name that is called
    citations: Mapping[str, Support] = {}  # types of citations that not every model takes

    def mention(self) -> re.Pattern[bytes]:
        """What in a history tells that a block may need a look: few hold any of it."""
        return _mention(tuple(self.types))

    def kept(self, request: CloudRequest, path: str, blocks: Sequence[Raw]) -> list[Raw]:
        """What is left; a block of which nothing goes is the very same."""
        return [left for block in blocks if (left := self._block(request, path, block)) is not None]

    def _block(self, request: CloudRequest, path: str, raw: Raw) -> Raw | None:
        block = members(raw)
        if block is None:
            return raw
        kind = string(block.get("type")) or ""
        support = self._support(kind, block)
        if support is not None and not request.keeps(f"{path}.{kind}", support):
            return None
        if (string((members(block.get("caller")) or {}).get("type")) or DIRECT) != DIRECT:  # code that the API ran
            request.lose(f"{path}.caller")
            raw = edited(raw, {"caller"}, {})
        if kind == "tool_result":
            return self._named(request, path, raw, items(block.get("content")) or ())
        return self._cited(request, path, raw, items(block.get("citations")))

    def _named(self, request: CloudRequest, path: str, raw: Raw, content: Sequence[Raw]) -> Raw:
        """A result of a caller's own search for tools. Where a model does not know that, all tools are offered, and
        their names tell which were found."""
        inner = [members(each) or {} for each in content]
        named = [string(each.get("type")) == REFERENCE for each in inner]
        support = self.types.get(REFERENCE)
        if support is None or not any(named) or request.keeps(f"{path}.{REFERENCE}", support):
            return raw
        told = [
            encoded({"type": "text", "text": f"Tool: {string(each.get('tool_name'))}"}) if is_named else left
            for each, is_named, left in zip(inner, named, content, strict=True)
        ]
        return edited(raw, (), {"content": encoded(told)})

    def _support(self, kind: str, block: Mapping[str, Raw]) -> Support | None:
        """None: all take it."""
        if kind == CALL:
            return self.calls.get(string(block.get("name")) or "", NONE)
        if kind in OF_SERVER_TOOLS or kind.endswith(RESULT):
            return self.types.get(kind, NONE)
        return self.types.get(kind)

    def _cited(self, request: CloudRequest, path: str, raw: Raw, citations: Sequence[Raw] | None) -> Raw:
        """A text, without citations of what has gone."""
        if not citations:
            return raw
        kept = [each for each in citations if self._keeps_citation(request, path, each)]
        if len(kept) == len(citations):
            return raw
        return edited(raw, () if kept else {"citations"}, {"citations": encoded(kept)} if kept else {})

    def _keeps_citation(self, request: CloudRequest, path: str, citation: Raw) -> bool:
        support = self.citations.get(string((members(citation) or {}).get("type")) or "")
        return support is None or request.keeps(f"{path}.citations", support)


@lru_cache(16)
def _mention(types: tuple[str, ...]) -> re.Pattern[bytes]:
    names = "|".join((*types, *sorted(OF_SERVER_TOOLS)))
    return re.compile(rf'"(?:{names}|[a-z_]+{RESULT})"'.encode())


def is_mere_thinking(blocks: Sequence[Raw]) -> bool:
    """Nothing but thoughts: no turn is left of them."""
    return all(string((members(block) or {}).get("type")) in THOUGHTS for block in blocks)
