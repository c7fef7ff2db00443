"""How keys are made, told apart and hashed. Pure but for the randomness; knows no store."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from dragoman.errors import ConfigError

from .secret import BASE62

__all__ = [
    "ADMIN_PREFIX",
    "KEY_LIMIT_CHARS",
    "KEY_PREFIX",
    "checked_key",
    "hash_key",
    "hint_of",
    "is_plausible",
    "is_sealed",
    "new_key",
    "new_key_id",
    "sealed_key",
]

KEY_PREFIX = "sk-dgm-"
ADMIN_PREFIX = "sk-dgm-admin-"
KEY_LIMIT_CHARS = 1024  # ours have 50; a preset one may be a longer token. Anything above is refused unhashed
RANDOM_BYTES, SEAL_BYTES = 24, 8  # of a sealed key: 43 characters in all


def new_key() -> str:
    """A fresh key: "sk-dgm-" and 43 characters that are safe in a URL, 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def sealed_key(secret: bytes, *, is_admin: bool = False) -> str:
    """A fresh key of the same form, of 192 random bits and a seal: 64 bits that only who has `secret` can make.

    So a guess is told from a key that was made here once, whatever became of it, without asking the store.
    """
    random = secrets.token_bytes(RANDOM_BYTES)
    text = urlsafe_b64encode(random + _seal(secret, random)).rstrip(b"=").decode()
    return (ADMIN_PREFIX if is_admin else KEY_PREFIX) + text


def is_sealed(secret: bytes, key: str) -> bool:
    """Was `key` made by `sealed_key` with this secret?"""
    body = key.removeprefix(ADMIN_PREFIX if key.startswith(ADMIN_PREFIX) else KEY_PREFIX)
    if len(body) != 43:
        return False
    try:
        decoded = urlsafe_b64decode(body + "=")
    except ValueError:
        return False
    random, seal = decoded[:RANDOM_BYTES], decoded[RANDOM_BYTES:]
    return hmac.compare_digest(seal, _seal(secret, random))


def _seal(secret: bytes, random: bytes) -> bytes:
    return hmac.digest(secret, b"dragoman key seal " + random, "sha256")[:SEAL_BYTES]


def hash_key(secret: bytes, key: str) -> bytes:
    """HMAC-SHA256, 32 bytes. Not a slow hash: keys are random, and are looked up all the time."""
    return hmac.digest(secret, key.encode("utf-8", "surrogatepass"), "sha256")


def hint_of(key: str) -> str:
    """Enough to tell keys apart; of a short preset key at most a quarter (ADM-4)."""
    for prefix in (ADMIN_PREFIX, KEY_PREFIX):
        if key.startswith(prefix) and len(key) >= 40:
            return f"{key[: len(prefix) + 3]}...{key[-4:]}"
    shown = min(4, len(key) // 8)
    return f"{key[:shown]}...{key[len(key) - shown :]}"


def is_plausible(key: str) -> bool:
    """Could be a key at all: visible ASCII, not too long. What is not need neither be hashed nor looked up."""
    return 0 < len(key) <= KEY_LIMIT_CHARS and key.isascii() and key.isprintable() and " " not in key


def checked_key(key: str, what: str) -> str:
    """Without the space around it. Raises ConfigError."""
    key = key.strip()
    if len(key) < 8 or not is_plausible(key):
        raise ConfigError(
            f"{what} is not fit to be a key: it takes 8 to {KEY_LIMIT_CHARS} visible ASCII characters, no whitespace"
        )
    return key


def new_key_id() -> str:
    return "apikey_" + "".join(secrets.choice(BASE62) for _ in range(24))
