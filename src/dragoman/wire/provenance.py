"""Who made an opaque signature, written into the text that clients send back: `dragoman:ORIGIN:OPAQUE`.

What a model signs means something to that model only. Clients echo signatures unread, so the origin travels in them and
no state is kept: an adapter gives back what it made, byte for byte, and leaves out, or replaces, all the rest.
Pure; imports nothing of this package.
"""

from typing import Any
from urllib.parse import quote, unquote

__all__ = ["MARKED", "UNSIGNED", "is_marked_search", "unwrap", "without_marked", "wrap"]

MARK = "dragoman:"
UNSIGNED = f"{MARK}unsigned:"  # of thinking that its maker did not sign: known as another's when it comes back
MARKED = f'"{MARK}'.encode()  # in the JSON of a request that may hold such a signature


def wrap(origin: str, opaque: str) -> str:
    """`opaque` of `origin`, as the text of a signature; `unwrap` gives both back, whatever they hold."""
    return f"{MARK}{quote(origin, safe='/')}:{opaque}"


def unwrap(signature: str) -> tuple[str, str] | None:
    """(origin, opaque) of what `wrap` made; None for a signature that no adapter of ours made."""
    if not signature.startswith(MARK):
        return None
    origin, separator, opaque = signature[len(MARK) :].partition(":")
    return (unquote(origin), opaque) if separator else None


def without_marked(messages: list[Any]) -> list[Any]:
    """A history for a model that knows nothing of these signatures: without the thinking that they sign, the searches
    that they hold, and what cites those.

    It is refused otherwise, for good. A turn of nothing else goes too. Anything that is no message stays as it is.
    """
    return [kept for message in messages if (kept := _without(message)) is not GONE]


GONE = object()


def _without(message: Any) -> Any:
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), list):
        return message
    searches = {_call_id(block) for block in content if is_marked_search(block)} - {GONE}
    rest = [_uncited(block) for block in content if not (_is_marked(block) or _call_id(block) in searches)]
    if rest == content:
        return message
    return {**message, "content": rest} if rest else GONE


def _is_marked(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and _bears_mark(block, "signature")


def is_marked_search(block: Any) -> bool:
    """Whether a block is the result of another maker's search."""
    if not isinstance(block, dict) or block.get("type") != "web_search_tool_result":
        return False
    found = block.get("content")
    return isinstance(found, list) and any(_bears_mark(each, "encrypted_content") for each in found)


def _call_id(block: Any) -> Any:
    """The id of the call that a block is, or is the result of, where the server ran it."""
    field = {"server_tool_use": "id", "web_search_tool_result": "tool_use_id"}
    kind = block.get("type") if isinstance(block, dict) else None
    value = block.get(field[kind]) if isinstance(kind, str) and kind in field else None
    return value if isinstance(value, str) else GONE


def _uncited(block: Any) -> Any:
    citations = block.get("citations") if isinstance(block, dict) else None
    if not isinstance(citations, list):
        return block
    kept = [citation for citation in citations if not _bears_mark(citation, "encrypted_index")]
    return block if len(kept) == len(citations) else {**block, "citations": kept or None}


def _bears_mark(value: Any, field: str) -> bool:
    text = value.get(field) if isinstance(value, dict) else None
    return isinstance(text, str) and text.startswith(MARK)
