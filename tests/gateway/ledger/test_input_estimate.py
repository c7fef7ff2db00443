"""How much text a stream held that broke off."""

import json

import pytest

from dragoman.gateway.ledger.input_estimate import DELTA, estimate_output_tokens, seen_text_bytes


def event(text: str, *, spaced: bool) -> bytes:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    data = json.dumps(delta, separators=None if spaced else (",", ":"))
    return f"event: content_block_delta\ndata: {data}\n\n".encode()


START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_01","content":[]}}\n\n' * 5


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("before", [b"", START, b"event: ping\ndata: {}\n\n"])
def test_what_goes_round_the_text_does_not_count(before: bytes, spaced: bool) -> None:
    """Pain 68: an aborted stream is billed by what was seen, not by its frames."""
    piece = before + event("x" * 50, spaced=spaced) * 2
    deltas = piece.count(DELTA)
    assert deltas == 2
    assert seen_text_bytes(piece, deltas) == 100
    assert estimate_output_tokens(100, deltas) == 25


def test_each_delta_is_a_token_at_least() -> None:
    piece = event("", spaced=False) * 7
    assert estimate_output_tokens(seen_text_bytes(piece, 7), 7) == 7
