"""What was asked and replied, as it may be kept: without secrets, and with digests in place of files. Pure.

A pattern here errs on the side of hiding: what is kept is for looking into what went wrong, not for replaying. Still,
no pattern knows every secret: docs/ledger.md says so.
"""

import base64
import binascii
import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec

from dragoman.wire.sse import SSEDecoder, encode_sse

__all__ = ["CUT", "HIDDEN", "MARGIN_BYTES", "kept_json", "kept_stream", "redacted"]

HIDDEN: Final = "[secret]"
CUT: Final = "[cut here: {} bytes in all]"
# Of a secret that the limit would cut in two, no pattern knows the first half: so much is dropped with what follows.
MARGIN_BYTES: Final = 4096

# Tokens that are known by their looks: what they begin with, and how they go on. One pattern for all of them takes a
# hundred times as long. Sources: the documentation of those who give them out, read 2026-11-21.
_ID = rb"[A-Za-z0-9_-]"
TOKENS: Final = [
    (begins, re.compile(re.escape(begins) + goes_on))
    for begins, goes_on in (
        *((begins, _ID + rb"{16,}") for begins in (b"sk-", b"sk_", b"rk_")),  # of models (ours too) and of payments
        *((begins, rb"[A-Z0-9]{16}") for begins in (b"AKIA", b"ASIA")),  # AWS
        (b"AIza", _ID + rb"{30,}"),  # Google, as the next two
        (b"ya29.", _ID + rb"{20,}"),
        (b"GOCSPX-", _ID + rb"{20,}"),
        *((begins, rb"[A-Za-z0-9]{30,}") for begins in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),  # forges
        (b"github_pat_", _ID + rb"{20,}"),
        (b"glpat-", _ID + rb"{16,}"),
        *(
            (begins, _ID + rb"{10,}") for begins in (b"xoxb-", b"xoxp-", b"xoxa-", b"xoxe-", b"xoxs-", b"xapp-")
        ),  # chats
        (b"hf_", rb"[A-Za-z0-9]{20,}"),
        (b"npm_", rb"[A-Za-z0-9]{30,}"),
        (b"pypi-", _ID + rb"{30,}"),
        (b"dop_v1_", rb"[a-f0-9]{40,}"),
        (b"eyJ", _ID + rb"{10,}\." + _ID + rb"{10,}\." + _ID + rb"*"),  # JSON web tokens
    )
]
_PEM = re.compile(
    rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:.*?)(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
# No word: of these, with digits or very long.
_BEARER = re.compile(rb"(?i:bearer|basic)\s+(?=[A-Za-z._~+/-]*[0-9=]|[A-Za-z._~+/-]{20})([A-Za-z0-9._~+/=-]{8,})")
_IN_URL = re.compile(rb"://[^\s/:@]{0,200}:([^\s/@]{1,500})@")
# "password: hunter2", "AWS_SECRET_ACCESS_KEY=...", and JSON within a text, quoted or escaped: from the name on.
_NAMED = re.compile(rb"""[A-Za-z0-9_-]{3,60}\\?["']?\s{0,4}(?:=>|[:=])\s{0,4}(?:\\?["'])?([^\s"'\\,;<>{}()\[\]]{6,})""")
NAMES: Final = (
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"secret",
    b"authorization",
    b"credential",
    b"token",
    b"key",
)
# Without one of these in front, tokens and keys are no secrets: those of a model, those of an object.
_QUALIFIED = re.compile(
    rb"(?i)(?:api|access|auth|authorization|private|secret|account|signing|encryption|bearer|refresh|session|id|oauth)"
    rb"[_ -]?$"
)
_NAME_OF_SECRET = re.compile(
    r"(?i)token|[a-z0-9_-]{0,40}(?:password|passwd|pwd|passphrase|secret|authorization|credential"
    r"|(?:api|access|auth|authorization|private|secret|account|signing|encryption|bearer|refresh|session|id|oauth)"
    r"[_-]?(?:key|token))s?"
)
_LONG_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{1000,}+={0,2}")

Span = tuple[int, int]


def redacted(text: str) -> str:
    """A text without what looks like a secret."""
    raw = text.encode("utf-8", "surrogatepass")
    hide = _spans_of_secrets(raw)
    return _piece_without(raw, 0, hide).decode("utf-8", "surrogatepass") if hide else text


def _spans_of_secrets(raw: bytes) -> list[Span]:
    """Where the secrets stand, in order, none within another. Bytes: they are made small letters without moving."""
    lower = raw.lower()
    found = [span for begins, pattern in TOKENS for span in _spans(raw, begins, pattern)]
    found += [span for begins in (b"bearer", b"basic") for span in _spans(lower, begins, _BEARER)]
    found += [match.span() for match in _PEM.finditer(raw)] if b"-----BEGIN " in raw else []
    found += _spans(raw, b"://", _IN_URL, within_words=True)
    found += [span for name in NAMES for span in _spans_of_named(raw, lower, name)]
    merged: list[Span] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _spans(raw: bytes, begins: bytes, pattern: re.Pattern[bytes], *, within_words: bool = False) -> Iterator[Span]:
    """Of the pattern's group, or of all of it where it has none."""
    at = raw.find(begins)
    while at >= 0:
        is_start = within_words or at == 0 or not raw[at - 1 : at].isalnum()
        match = pattern.match(raw, at) if is_start else None
        if match is not None:
            yield match.span(pattern.groups)
        at = raw.find(begins, at + len(begins) if match is None else match.end())


def _spans_of_named(raw: bytes, lower: bytes, name: bytes) -> Iterator[Span]:
    """Of values that follow such a name."""
    needs_more = name in (b"token", b"key")
    at = lower.find(name)
    while at >= 0:
        is_meant = not needs_more or _QUALIFIED.search(raw, max(0, at - 16), at) is not None
        match = _NAMED.match(raw, at) if is_meant else None
        if match is not None:
            yield match.span(1)
        at = lower.find(name, at + len(name) if match is None else match.end())


def kept_json(body: bytes, *, limit_bytes: int) -> bytes:
    """A JSON body as it may be kept. One that is none, or is nested too deeply, is taken for a text."""
    try:
        clean = msgspec.json.encode(_clean(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        clean = _without_files(redacted(body.decode("utf-8", "replace"))).encode()
    return _cut(clean, limit_bytes, len(body))


def kept_stream(pieces: Iterable[bytes], *, limit_bytes: int, total_bytes: int) -> bytes:
    """The events of a stream as they may be kept. `pieces` may have been cut short of `total_bytes`.

    A secret that comes in several deltas is found in their whole text, and hidden in the delta that begins it.
    """
    decoder = SSEDecoder(limit_bytes=sys.maxsize)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    read = [(event, _json(event.data)) for event in events]
    for texts in _running_texts(data for _, data in read):
        _hide_across(texts)
    is_whole = bool(events) and events[-1].end == total_bytes
    end = total_bytes if is_whole else limit_bytes
    shown = [(event.name, _clean(data)) for event, data in read if data is not None and event.end <= end]
    clean = b"".join(encode_sse(name, msgspec.json.encode(data)) for name, data in shown)
    if is_whole:
        return _cut(clean, limit_bytes, total_bytes)
    return clean[:limit_bytes] + CUT.format(total_bytes).encode()


def _cut(clean: bytes, limit_bytes: int, total_bytes: int) -> bytes:
    if len(clean) <= limit_bytes:
        return clean
    return clean[:limit_bytes] + CUT.format(total_bytes).encode()


def _json(data: bytes) -> Any:
    """None for what is none: it is left out, since nobody knows what is in it."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# -- values --


def _clean(value: Any, name: str = "") -> Any:
    """`name` is that of the field."""
    if isinstance(value, str):
        if _NAME_OF_SECRET.fullmatch(name):
            return HIDDEN
        return _without_files(redacted(value))
    if isinstance(value, list):
        return [_clean(each, name) for each in value]
    if isinstance(value, dict):
        if value.get("type") == "base64" and isinstance(value.get("data"), str):
            value = {**value, "data": _digest(value["data"])}
        return {redacted(key): _clean(each, key) for key, each in value.items()}
    return value


def _without_files(text: str) -> str:
    """Long runs of Base64: images in a text, in a tool's result, signatures of thinking."""
    return _LONG_BASE64.sub(lambda match: _digest(match[0]), text) if len(text) >= 1000 else text


def _digest(data: str) -> str:
    """Tells whether two are the same, and no more."""
    if data.startswith("[") and data.endswith("]"):
        return data
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raw = data.encode("utf-8", "surrogatepass")
    return f"[{len(raw)} bytes, sha256 {sha256(raw).hexdigest()}]"


# -- texts in deltas --

_Holder = tuple[dict[str, Any], str]  # an object of JSON, and the field of it that holds the text


def _running_texts(events: Iterable[Any]) -> list[list[_Holder]]:
    """The pieces of each text that runs over several events, in their order."""
    running: dict[tuple[object, str], list[_Holder]] = {}
    for event in events:
        delta = event.get("delta") if isinstance(event, dict) else None
        if not isinstance(delta, dict) or event.get("type") != "content_block_delta":
            continue
        for field in ("text", "thinking", "partial_json", "signature"):
            if isinstance(delta.get(field), str):
                running.setdefault((str(event.get("index")), field), []).append((delta, field))
    return list(running.values())


def _hide_across(holders: list[_Holder]) -> None:
    """In place, wherever the whole text holds a secret."""
    pieces = [holder[field].encode("utf-8", "surrogatepass") for holder, field in holders]
    hide = _spans_of_secrets(b"".join(pieces))
    at = 0
    for (holder, field), piece in zip(holders, pieces, strict=True) if hide else ():
        holder[field] = _piece_without(piece, at, hide).decode("utf-8", "replace")
        at += len(piece)


def _piece_without(piece: bytes, at: int, hide: list[Span]) -> bytes:
    """A piece that begins at `at` of the whole, without the spans of the whole that are to be hidden."""
    kept: list[bytes] = []
    done = 0
    for start, end in hide:
        start, end = start - at, end - at
        if end <= 0 or start >= len(piece):
            continue
        kept.append(piece[done : max(start, done)])
        if start >= 0:
            kept.append(HIDDEN.encode())
        done = min(end, len(piece))
    return b"".join(kept) + piece[done:]
