"""The envelope of a request: its top-level fields, the rest unparsed.

Pass-through must hand on the caller's own bytes (prompt caches and thinking signatures depend on them), and must not
pay for parsing what it does not read. So a body is split at its top level only, with the place of each value, and
a replacement is cut in without touching another byte.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from dragoman.errors import InvalidRequest

from .schema import EXTRA, REQUIRED

__all__ = ["Envelope", "decode"]

MAX_FIELDS = 1000
SMALL_BYTES = 512
LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")
NOT_JSON = "The request body is not valid JSON"
# A key as it usually is: no escapes. One with escapes is legal, and then the body is written anew.
KEY = re.compile(rb'[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
AFTER_VALUE = re.compile(rb"[ \t\r\n]*([,}])")
REST = re.compile(rb"[ \t\r\n]*\Z")

# Levels of a body that we read ourselves. The decoder takes some hundreds more, just below where Python's recursion
# ends (how many depends on its version), and then whoever walks or writes the value fails.
MAX_DEPTH = 400
CONTAINERS = (dict, list)

TRUE = msgspec.Raw(b"true")

_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Envelope:
    """Top-level fields of a JSON object as raw values, and the bytes that they came in.

    Raises InvalidRequest (MSG-33) for bytes that are not a JSON object: broken syntax, broken UTF-8, another type,
    too deep. A doubled key keeps its last value, and then the bytes are not handed on as they came (see `encode`):
    two parsers could read two different requests out of them.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.fields = _split(body)
        self._model: str | None = None
        if len(self.fields) > MAX_FIELDS:  # the API knows some thirty; a body of millions is an attack
            raise InvalidRequest(f"{list(self.fields)[MAX_FIELDS][:100]}: {EXTRA}")

    def value(self, name: str) -> Any:
        """One field, parsed; None where it is missing or null."""
        raw = self.fields.get(name)
        return None if raw is None else _parse(raw)

    def model(self) -> str:
        """The `model` field. Raises InvalidRequest where it is missing or no text (MSG-10)."""
        if self._model is None:
            self._model = self._read_model()
        return self._model

    def _read_model(self) -> str:
        if "model" not in self.fields:
            raise InvalidRequest(f"model: {REQUIRED}")
        model = self.value("model")
        if not isinstance(model, str):
            raise InvalidRequest("model: Input should be a valid string")
        if not model:
            raise InvalidRequest("model: String should have at least 1 character")
        return model

    def stream(self) -> bool:
        """Whether events are wanted (MSG-15)."""
        if "stream" not in self.fields:
            return False
        if self.fields["stream"] == TRUE:
            return True
        stream = self.value("stream")
        if not isinstance(stream, bool):
            raise InvalidRequest("stream: Input should be a valid boolean")
        return stream

    def parse(self) -> dict[str, Any]:
        """The whole body, parsed. Raises InvalidRequest where it is nested more than MAX_DEPTH levels deep."""
        value = decode(self.body)
        assert isinstance(value, dict)
        return value

    def encode(self, **replaced: Any) -> bytes:
        """The body with some top-level values replaced, every other byte as it came.

        Where a key is doubled or escaped, the object is written anew from its fields: values keep their bytes, the
        space between them goes.
        """
        anew = msgspec.json.encode(self.fields)
        if anew == self.body:  # without space between its fields, as the SDKs write
            return msgspec.json.encode(self.fields | replaced) if replaced else self.body
        is_small = len(self.body) <= SMALL_BYTES  # beyond, this is the dearer way, and recursive
        if is_small and not replaced and _without_space(anew) == _without_space(self.body):
            return self.body
        spans = _locate(self.body, self.fields)
        if spans is None:
            return msgspec.json.encode(self.fields | replaced) if replaced else anew
        body = self.body
        for name in sorted(replaced.keys() & spans.keys(), key=spans.__getitem__, reverse=True):
            _, start, end = spans[name]
            body = body[:start] + msgspec.json.encode(replaced[name]) + body[end:]
        if added := {name: value for name, value in replaced.items() if name not in spans}:
            brace = body.rindex(b"}")
            comma = b"," if spans else b""
            body = body[:brace] + comma + msgspec.json.encode(added)[1:-1] + body[brace:]
        return body

    def without(self, name: str) -> bytes:
        """The body without one of its fields, every other byte as it came; written anew where `encode` would."""
        if name not in self.fields:
            return self.encode()
        spans = _locate(self.body, self.fields)
        if spans is None:
            return msgspec.json.encode({each: raw for each, raw in self.fields.items() if each != name})
        names = list(spans)
        at = names.index(name)
        start, _, end = spans[name]
        if at + 1 < len(names):
            end = spans[names[at + 1]][0]
        elif at > 0:
            start = spans[names[at - 1]][2]  # with the comma before it
        return self.body[:start] + self.body[end:]

    def edited(self, dropped: Collection[str], replaced: Mapping[str, Any]) -> bytes:
        """The body without some of its fields and with others replaced or added, every other byte as it came; written
        anew where `encode` would."""
        spans = _locate(self.body, self.fields)
        if spans is None:
            kept = {name: replaced.get(name, raw) for name, raw in self.fields.items() if name not in dropped}
            return msgspec.json.encode({**kept, **replaced})
        last = self.body.index(b"{") + 1  # where what stands before the next field begins
        pieces = [self.body[:last]]
        for name, (key, start, end) in spans.items():
            if name not in dropped:
                between = self.body[last:key]  # a comma, where it is not the first, and space
                pieces += (between if len(pieces) > 1 else between.replace(b",", b""), self.body[key:start])
                pieces.append(msgspec.json.encode(replaced[name]) if name in replaced else self.body[start:end])
            last = end
        if added := {name: value for name, value in replaced.items() if name not in spans}:
            pieces.append(b"," * (len(pieces) > 1) + msgspec.json.encode(added)[1:-1])
        return b"".join((*pieces, self.body[last:]))


def _without_space(body: bytes) -> bytes:
    return msgspec.json.format(body, indent=-1)


def decode(raw: bytes | msgspec.Raw) -> Any:
    """A whole JSON value, parsed. Raises InvalidRequest where it is nested more than MAX_DEPTH levels deep."""
    value = _parse(raw)
    _must_not_be_deep(value)
    return value


def _split(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not body.isascii():
            body.decode()  # skipped values are not decoded, so their UTF-8 must be checked here
        return _decode_raw(body)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{NOT_JSON}: invalid UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidRequest(f"{NOT_JSON}: nested too deeply") from None
    except msgspec.ValidationError:
        raise InvalidRequest("Input should be an object") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{NOT_JSON}: {_reason(error, body)}") from None


def _parse(raw: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise InvalidRequest(f"{NOT_JSON}: nested too deeply") from None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise InvalidRequest(f"{NOT_JSON}: {_reason(error, raw)}") from None


def _must_not_be_deep(value: Any) -> None:
    level: list[Any] = [value] if isinstance(value, CONTAINERS) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part)
            if isinstance(inner, CONTAINERS)
        ]
        if not level:
            return
    raise InvalidRequest(f"{NOT_JSON}: nested too deeply")


def _reason(error: Exception, body: bytes | msgspec.Raw) -> str:
    """What is wrong, in a few words. A lone surrogate is named: the parser takes it for the end of the text."""
    if ("truncated" in str(error) or "hex escape" in str(error)) and LONE_SURROGATE.search(bytes(body)):
        return "no low surrogate in string"
    text = str(error).removeprefix("JSON is malformed: ").partition(" - at `")[0]
    return text[:1].lower() + text[1:]


def _locate(body: bytes, fields: dict[str, msgspec.Raw]) -> dict[str, tuple[int, int, int]] | None:
    """Where each field begins, and where its value begins and ends.

    None where the bytes hold more than the fields tell (a doubled or escaped key).
    Linear: each value is compared with its bytes once, nothing is parsed again.
    """
    spans: dict[str, tuple[int, int, int]] = {}
    at = body.index(b"{") + 1
    for name, raw in fields.items():
        key = KEY.match(body, at)
        value = bytes(raw)
        if key is None or key[1] != name.encode() or not body.startswith(value, key.end()):
            return None
        end = key.end() + len(value)
        after = AFTER_VALUE.match(body, end)
        if after is None:
            return None
        spans[name] = (key.start(1) - 1, key.end(), end)
        at = after.end()
        if after[1] == b"}":
            return spans if REST.match(body, at) and len(spans) == len(fields) else None
    return spans if not fields else None
