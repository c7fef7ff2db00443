"""Signature Version 4 of AWS: a request with credentials and a time in, the signed request out. Pure.

Source: AWS, "Create a signed AWS API request" (IAM user guide), read 2026-11-21; held to botocore's signatures by test.
"""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from .base import UpstreamRequest

__all__ = ["AwsCredentials", "signed"]

ALGORITHM = "AWS4-HMAC-SHA256"
# What proxies and clients on the way may change; the list of botocore 1.44.
NOT_SIGNED = frozenset(
    """
    baggage connection expect keep-alive proxy-authenticate proxy-authorization te traceparent tracestate trailer
    transfer-encoding upgrade user-agent x-amzn-trace-id
    """.split()
)
OURS = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
DEFAULT_PORTS = {"http": 80, "https": 443}


class AwsCredentials(Struct, frozen=True, kw_only=True):
    """Who asks. A session token belongs to credentials that are for a time only."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:  # never with what is secret
        return f"AwsCredentials({self.access_key_id[:4]}...)"


def signed(
    request: UpstreamRequest, credentials: AwsCredentials, *, region: str, service: str, now: float
) -> UpstreamRequest:
    """The request with its authorization, for a POST at `now` (seconds since 1970).

    The receiver refuses it some five minutes later. What authorization the request had is replaced.
    """
    time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = [(name, value) for name, value in request.headers if name.lower() not in OURS]
    headers.append(("x-amz-date", time))
    if credentials.session_token is not None:
        headers.append(("x-amz-security-token", credentials.session_token))
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    canonical, names = _canonical(request.url, headers, request.body)
    to_sign = "\n".join((ALGORITHM, time, scope, sha256(canonical.encode()).hexdigest()))
    signature = hmac.digest(_key(credentials.secret_access_key, scope), to_sign.encode(), "sha256").hex()
    told = f"Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    headers.append(("authorization", f"{ALGORITHM} {told}"))
    return msgspec.structs.replace(request, headers=headers)


def _canonical(url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[str, str]:
    """The request as both sides write it, and the names of the headers in it."""
    parts = urlsplit(url)
    values: dict[str, list[str]] = {"host": [_host(url)]}
    for name, value in headers:
        if name.lower() not in NOT_SIGNED:
            values.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = ";".join(sorted(values))
    lines = (
        "POST",
        _path(parts.path),
        "&".join(f"{name}={value}" for name, value in sorted(_pair(pair) for pair in parts.query.split("&") if pair)),
        *(f"{name}:{','.join(values[name])}" for name in sorted(values)),
        "",
        names,
        sha256(body).hexdigest(),
    )
    return "\n".join(lines), names


def _path(path: str) -> str:
    """Encoded once more, though it is encoded already: every service but S3 reads it so. Dot segments are resolved."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/~")


def _pair(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value


def _host(url: str) -> str:
    """As it stands in the header `host`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
