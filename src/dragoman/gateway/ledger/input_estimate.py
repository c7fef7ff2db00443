"""How many input tokens a request will be, before anything of it is parsed. Corrected by the real usage afterwards."""

import re

__all__ = ["DELTA", "FILE_TOKENS", "estimate_input_tokens", "estimate_output_tokens", "seen_text_bytes"]

BYTES_A_TOKEN = 4  # of English text in JSON. Other scripts have more bytes a token, escapes too: rather too many
SMALL_BYTES = 16 * 1024  # a body up to here holds no file worth looking for
FILE_BYTES = 1024  # a longer `data` is a file in base64, whose length says nothing of its tokens
FILE_TOKENS = 1600  # of an image at most, about a page of a PDF
FILES_LIMIT = 1000  # strings looked at: more do not fit a request (MSG-94), and the work stays bounded

_KEY = b'"data"'  # with its quotes it stands in no JSON string, where they would be escaped
_COLON = re.compile(rb"\s*:\s*\"")

DELTA = b'"content_block_delta"'  # so it stands in the event's data alone, however an upstream writes the lines around
DELTA_BYTES = 115  # of a delta event around its text
EVENT_HEAD_BYTES = 41  # of those, before its type in the data
SPACED_BYTES = 8  # and more, where there are spaces between keys and values


def estimate_input_tokens(body: bytes) -> int:
    """A quarter of the bytes, but for files in base64. Linear, and at the speed of `bytes.find`."""
    if len(body) <= SMALL_BYTES or b'"base64"' not in body:
        return len(body) // BYTES_A_TOKEN
    text_bytes, files, at = len(body), 0, 0
    for _ in range(FILES_LIMIT):
        at = body.find(_KEY, at)
        if at < 0:
            break
        at += len(_KEY)
        colon = _COLON.match(body, at)
        if colon is None:
            continue
        end = body.find(b'"', colon.end())
        if end < 0:
            break
        if end - colon.end() > FILE_BYTES:
            text_bytes -= end - colon.end()
            files += 1
        at = end + 1
    return text_bytes // BYTES_A_TOKEN + files * FILE_TOKENS


def seen_text_bytes(piece: bytes, deltas: int) -> int:
    """About how many bytes of text whole events hold, of which `deltas` are content."""
    at = piece.find(DELTA)  # what is before it begins the message, or pings
    is_spaced = piece[at - 1 : at] == b" "
    around = DELTA_BYTES + (SPACED_BYTES if is_spaced else 0)
    return max(0, len(piece) - at + EVENT_HEAD_BYTES + is_spaced - deltas * around)


def estimate_output_tokens(text_bytes: int, deltas: int) -> int:
    """Of a stream that broke off before its usage was told: at least one a delta."""
    return max(deltas, text_bytes // BYTES_A_TOKEN)
