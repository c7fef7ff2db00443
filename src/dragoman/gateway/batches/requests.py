"""Reads what creates a batch, and checks what only a batch forbids. Pure.

Of the requests only their shape and ids are read here (BAT-2); their params stay bytes, and each is checked as it is
answered, like a request of its own.
"""

import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import msgspec

from dragoman.errors import InvalidRequest, RequestTooLarge
from dragoman.store.batches import BatchRequest
from dragoman.wire.envelope import NOT_JSON, Envelope
from dragoman.wire.schema import EXTRA, REQUIRED

__all__ = ["check_params", "check_size", "pages_of", "read_requests"]

MAX_REQUESTS = 100_000
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Where a decoder says what is wrong, and what the API says of it.
AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
FIELD = re.compile(r"`([^`]*)`")
INDEX = re.compile(r"\[(\d+)\]")
TYPES = {"array": "valid list", "object": "valid dictionary", "str": "valid string"}
NOT_IN_BATCHES = ("speed", "fallbacks", "thread")

# The ids so far of the body that is being read. It is here that a body is refused which holds too many requests:
# before they are in memory.
_seen: ContextVar[set[str]] = ContextVar("_seen")


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    custom_id: str
    params: msgspec.Raw

    def __post_init__(self) -> None:
        seen = _seen.get()
        where = f"requests.{len(seen)}.custom_id"
        if not CUSTOM_ID.fullmatch(self.custom_id):
            raise InvalidRequest(f"{where}: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if self.custom_id in seen:
            raise InvalidRequest(f"{where}: {self.custom_id!r} is used twice; ids must be unique within a batch")
        if len(seen) == MAX_REQUESTS:
            raise InvalidRequest(f"requests: List should have at most {MAX_REQUESTS} items after validation")
        seen.add(self.custom_id)


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[_Item]


def read_requests(body: bytes) -> list[tuple[str, msgspec.Raw]]:
    """The custom ids and params of the body of a create; the params are views of `body`. Raises InvalidRequest.

    Linear and bounded: stops at the first thing that is no request. 256 MB take about 0.2 s.
    """
    token = _seen.set(set())
    try:
        items = msgspec.json.decode(body, type=_Body).requests
    except RecursionError:
        raise InvalidRequest(f"{NOT_JSON}: nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{NOT_JSON}: invalid UTF-8") from None
    except msgspec.ValidationError as error:
        raise InvalidRequest(_worded(str(error))) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{NOT_JSON}: {str(error).removeprefix('JSON is malformed: ')}") from None
    finally:
        _seen.reset(token)
    if not items:
        raise InvalidRequest("requests: List should have at least 1 item after validation, not 0")
    return [(item.custom_id, item.params) for item in items]


def _worded(error: str) -> str:
    """What a decoder says, as the API does: "Expected `str`, got `int` - at `$.requests[1].custom_id`"."""
    found = AT.fullmatch(error)
    assert found is not None
    path = INDEX.sub(r".\1", found["path"] or "")
    named = FIELD.findall(found["what"])
    if "missing required field" in error:
        return f"{_joined(path, named[0])}: {REQUIRED}"
    if "unknown field" in error:
        return f"{_joined(path, named[0][:100])}: {EXTRA}"
    expected = f"Input should be a {TYPES[named[0]]}" if named and named[0] in TYPES else found["what"]
    return f"{path}: {expected}" if path else "Input should be an object"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def pages_of(
    requests: list[tuple[str, msgspec.Raw]],
    *,
    limit_bytes: int,
    new_id: Callable[[str], str],
    rows: int = 200,
    size_bytes: int = 1024 * 1024,
) -> Iterator[list[BatchRequest]]:
    """The requests with their bytes, in pages that end at `rows` requests or with the one that fills `size_bytes`.

    Of one that is larger than `limit_bytes` nothing is kept but its id and its error.
    """
    page: list[BatchRequest] = []
    filled = 0
    for number, (custom_id, raw) in enumerate(requests):
        page.append(_request(number, custom_id, raw, limit_bytes, new_id))
        filled += len(page[-1].params)
        if len(page) == rows or filled >= size_bytes:
            yield page
            page, filled = [], 0
    if page:
        yield page


def _request(
    number: int, custom_id: str, raw: msgspec.Raw, limit_bytes: int, new_id: Callable[[str], str]
) -> BatchRequest:
    try:
        check_size(memoryview(raw), limit_bytes)
    except RequestTooLarge as error:
        return BatchRequest(number, custom_id, b"", error=msgspec.json.encode(error.body(new_id("req"))))
    return BatchRequest(number, custom_id, bytes(raw))


def check_size(params: bytes | memoryview, limit_bytes: int) -> None:
    """No request of a batch is larger than one that comes alone. Raises RequestTooLarge."""
    if len(params) > limit_bytes:
        raise RequestTooLarge("Request exceeds the maximum size")


def check_params(envelope: Envelope) -> None:
    """What only a batch forbids (BAT-3, MSG-35). Raises InvalidRequest."""
    if envelope.stream():
        raise InvalidRequest("stream: is not supported inside a batch")
    if _is_zero(bytes(envelope.fields.get("max_tokens", b""))):
        raise InvalidRequest("max_tokens: 0 is not supported inside a batch")
    for name in NOT_IN_BATCHES:
        if name in envelope.fields and bytes(envelope.fields[name]) != b"null":
            raise InvalidRequest(f"{name}: is not supported inside a batch")


def _is_zero(value: bytes) -> bool:
    """Whether a JSON value is the number 0, however it is written: 0, -0, 0.0, 0e5."""
    try:
        return msgspec.json.decode(value, type=float) == 0
    except msgspec.DecodeError:  # no number, or none at all: said by those who read it
        return False
