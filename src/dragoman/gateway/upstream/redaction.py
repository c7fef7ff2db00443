"""Errors of an upstream, without the credentials that it was shown: some repeat them. Only errors pay for this."""

from collections.abc import Iterable
from typing import Any

import msgspec

from dragoman.errors import ApiError

__all__ = ["Redaction"]

SHOWN = frozenset({"authorization", "x-api-key", "x-goog-api-key", "x-amz-security-token"})  # headers
BEARER = "bearer "
HIDDEN = "[key]"
NO_WORD_CHARS = 12  # a shorter key, of a server of one's own, may be the name of a field by chance


class Redaction:
    """Of what goes back to the caller of one request, which was sent with `headers`.

    Google's tokens and AWS's session tokens are not in the configuration, but in what was sent; and AWS quotes all of
    that where it finds a signature wrong.
    """

    __slots__ = ("_headers",)

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self._headers = headers

    def envelope(self, body: bytes) -> bytes:
        """The very same bytes where nothing is to be hidden, however the JSON may escape it."""
        if not (secrets := self._secrets()):
            return body
        try:
            told = msgspec.json.decode(body)
            clean = _without(told, secrets)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # nested too deeply to be walked through
            for secret in secrets:
                body = body.replace(secret.encode(), HIDDEN.encode())
            return body
        return body if clean == told else msgspec.json.encode(clean)

    def hide(self, error: ApiError) -> None:
        """In the error itself."""
        if secrets := self._secrets():
            error.message = _without(error.message, secrets)
            error.args = (error.message,)
            error.details = _without(error.details, secrets)

    def _secrets(self) -> list[str]:
        """The longest first: one may be a part of another."""
        found = []
        for name, value in self._headers:
            if name.lower() not in SHOWN:
                continue
            if value[: len(BEARER)].lower() == BEARER:
                found.append(value[len(BEARER) :].strip())
            elif name.lower() != "authorization":  # a signature hides its key by itself
                found.append(value)
        return sorted(filter(None, found), key=len, reverse=True)


def _without(value: Any, secrets: list[str]) -> Any:
    """The types of errors stay, whatever a key may be, and so do the names of fields where it is as short as a word."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, list):
        return [_without(each, secrets) for each in value]
    if isinstance(value, dict):
        long = [secret for secret in secrets if len(secret) >= NO_WORD_CHARS]
        return {
            _without(name, long): each if name == "type" else _without(each, secrets) for name, each in value.items()
        }
    return value
