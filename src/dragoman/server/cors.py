"""Programs that run in a browser: pages of another origin may call only when they say that they know what they do.

A key in a page is a key given away, so the API wants a header for it, and so do we. Source: spec SDK-70, ERR-56.
"""

from dragoman.errors import ApiError, Unauthenticated
from dragoman.gateway.call import Answer
from dragoman.wire.headers import Headers

__all__ = ["cors_headers", "cors_refusal", "is_preflight", "preflight"]

CONFIRMATION = "anthropic-dangerous-direct-browser-access"
MAX_AGE_S = 600  # how long a browser remembers what a preflight told it


def cors_refusal(headers: Headers) -> ApiError | None:
    """Why a page of another origin may not call, if one calls and may not."""
    if not headers.once(_is_foreign) or (headers.get(CONFIRMATION) or "").lower() == "true":
        return None
    return Unauthenticated(
        "CORS requests are not allowed for this Organization because the request does not confirm that its key may be "
        f"used in a browser. To allow it, send the header {CONFIRMATION}: true."
    )


def cors_headers(headers: Headers) -> list[tuple[str, str]]:
    """What lets a page read the reply, an error too; `vary` tells caches on the way that it depends on who asks."""
    if not headers.once(_is_foreign):
        return [("vary", "origin")]
    return [("access-control-allow-origin", "*"), ("access-control-expose-headers", "*"), ("vary", "origin")]


def is_preflight(method: str, headers: Headers) -> bool:
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def preflight(headers: Headers) -> Answer:
    """The answer to the question that a browser asks before it sends what is no plain form."""
    return Answer(
        headers=[
            ("access-control-allow-methods", "GET, POST, DELETE, OPTIONS"),
            ("access-control-allow-headers", headers.get("access-control-request-headers") or "*"),
            ("access-control-max-age", str(MAX_AGE_S)),
        ]
    )


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser sends this for a page that is not this server's own."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("//")[2] != (headers.get("host") or "")
