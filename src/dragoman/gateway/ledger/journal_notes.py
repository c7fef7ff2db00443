"""What stands in the ledger's journal: its notes, and their bytes.

Whoever changes one changes MAGIC in journal_files.py: a journal may be read by a newer version than wrote it.
"""

import msgspec

from dragoman.store.ledger import LedgerRow

__all__ = [
    "BEGIN",
    "ROW",
    "USAGE",
    "Begun",
    "Row",
    "Seen",
    "Tokens",
    "decode_begun",
    "decode_row",
    "decode_seen",
    "encode",
]

BEGIN, USAGE, ROW = 1, 2, 3  # kinds of notes


class Tokens(msgspec.Struct, frozen=True, array_like=True):
    """Of a usage, in disjoint buckets, and what else it tells of the price."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    web_searches: int = 0
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """A request that is sent to a provider, and may cost something from here on."""

    id: str
    at_us: int
    organization_id: str
    workspace_id: str
    key_id: str
    operation: str
    model: str
    provider: str
    answered_model: str
    attempts: int
    is_stream: bool
    tags: str | None
    spent: tuple[tuple[str, int], ...]


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a provider has told of a request's usage. Of a stream first the input, at its end all of it."""

    id: str
    tokens: Tokens
    stop_reason: str | None
    is_whole: bool
    upstream_request_id: str | None = None


class Row(LedgerRow, array_like=True):
    """As it lies in the journal."""


encode = msgspec.msgpack.Encoder().encode
decode_begun = msgspec.msgpack.Decoder(Begun).decode
decode_seen = msgspec.msgpack.Decoder(Seen).decode
decode_row = msgspec.msgpack.Decoder(Row).decode
