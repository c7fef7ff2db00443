"""Signs the offline engine's thinking, and knows its own signatures again when they come back.

A signature is opaque to the caller: a digest of the text that was shown, the tokens that the thinking took, and a
keyed check of both. A `redacted_thinking` block carries the same in its `data`, and not its text. Source: spec
MSG-59, MSG-62 to 64. Imports only `wire` and the error tree.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dragoman.errors import InvalidRequest
from dragoman.wire.turns import Turn, merged
from dragoman.wire.types import InputMessage, RedactedThinking, Thinking

__all__ = ["Signer"]

SIGNATURE = b"\x0adragoman-offline-2\0"  # what a signature begins with, and the data of a redacted block
REDACTED = b"\x0bdragoman-offline-2\0"
DIGEST_BYTES = 32
TOKEN_BYTES = 4
MODIFIED = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must "
    "remain as they were in the original response."
)


class _Seal(NamedTuple):
    digest: bytes  # of the text that was shown
    tokens: int  # that the thinking took


class Signer:
    """Keyed by `secret`: what another installation signed is as foreign here as it is to the API."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, shown: str, *, tokens: int) -> str:
        """The `signature` of a thinking block with the text `shown`, which is "" where the display is omitted."""
        return self._sealed(SIGNATURE, hashlib.sha256(shown.encode()).digest(), tokens)

    def redact(self, thought: str, *, tokens: int) -> str:
        """The `data` of a redacted block. It tells nothing of the thought but whether it was the same one."""
        return self._sealed(REDACTED, hmac.digest(self._secret, thought.encode(), hashlib.sha256), tokens)

    def check(self, messages: Sequence[InputMessage]) -> None:
        """Raise InvalidRequest for a thinking block that is not as we made it (MSG-59)."""
        turns = merged(messages)
        latest = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
        for path, block, turn in _thinking(turns):
            if isinstance(block, RedactedThinking):
                if self._opened(REDACTED, block.data) is None:
                    raise InvalidRequest(f"{path}: Invalid `data` in `redacted_thinking` block")
                continue
            seal = self._opened(SIGNATURE, block.signature)
            is_same = seal is not None and seal.digest == hashlib.sha256(block.thinking.encode()).digest()
            if seal is not None and not is_same and turn is latest:
                raise InvalidRequest(f"{path}: {MODIFIED}")
            if not is_same:
                raise InvalidRequest(f"{path}: Invalid `signature` in `thinking` block")

    def tokens_of(self, block: Thinking | RedactedThinking) -> int | None:
        """What the thinking behind a block of ours took; None for a block that we did not make."""
        if isinstance(block, RedactedThinking):
            seal = self._opened(REDACTED, block.data)
        else:
            seal = self._opened(SIGNATURE, block.signature)
        return None if seal is None else seal.tokens

    def _sealed(self, prefix: bytes, digest: bytes, tokens: int) -> str:
        body = prefix + digest + tokens.to_bytes(TOKEN_BYTES, "big")
        return base64.b64encode(body + hmac.digest(self._secret, body, hashlib.sha512)).decode()

    def _opened(self, prefix: bytes, text: str) -> _Seal | None:
        """What a seal holds; None for one that we did not set."""
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):  # ValueError: it holds more than ASCII
            return None
        body, check = raw[:-64], raw[-64:]
        if len(body) != len(prefix) + DIGEST_BYTES + TOKEN_BYTES or not body.startswith(prefix):
            return None
        # base64 takes more padding than it needs: another text of the same bytes is not ours either.
        if base64.b64encode(raw).decode() != text:
            return None
        if not hmac.compare_digest(hmac.digest(self._secret, body, hashlib.sha512), check):
            return None
        return _Seal(body[len(prefix) : -TOKEN_BYTES], int.from_bytes(body[-TOKEN_BYTES:], "big"))


def _thinking(turns: Sequence[Turn]) -> Iterator[tuple[str, Thinking | RedactedThinking, Turn]]:
    for turn in turns:
        for placed in turn.blocks:
            if isinstance(placed.value, Thinking | RedactedThinking):
                yield placed.path, placed.value, turn
