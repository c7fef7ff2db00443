"""Who made an opaque signature, written into the text that clients send back: `dragoman:ORIGIN:OPAQUE`.

What a model signs means something to that model only. Clients echo signatures unread, so the origin travels in them and
no state is kept: an adapter gives back what it made, byte for byte, and leaves out, or replaces, all the rest.
Pure; imports nothing of this package.
"""

from typing import Any
from urllib.parse import quote, unquote

__all__ = ["MARKED", "UNSIGNED", "unwrap", "without_marked", "wrap"]

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
    """A history for a model that knows nothing of these signatures: without the thinking that they sign.

    It is refused otherwise, for good. A turn of nothing else goes too. Anything that is no message stays as it is.
    """
    return [kept for message in messages if (kept := _without(message)) is not GONE]


GONE = object()


def _without(message: Any) -> Any:
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), list):
        return message
    rest = [block for block in content if not _is_marked(block)]
    if len(rest) == len(content):
        return message
    return {**message, "content": rest} if rest else GONE


def _is_marked(block: Any) -> bool:
    return (
        isinstance(block, dict)
        and block.get("type") == "thinking"
        and isinstance(signature := block.get("signature"), str)
        and signature.startswith(MARK)
    )
