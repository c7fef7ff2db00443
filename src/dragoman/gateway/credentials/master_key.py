"""The master key, and the envelopes in which keys of providers lie in the database.

Where none is given the master key follows from the installation's secret, so that one machine needs no set-up. Several
may be known at once: the first is the current one, under which new envelopes are, and the others open those of before.
Imports `cryptography` only where an envelope is made or opened.
"""

import hmac
import os
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.errors import ConfigError
from dragoman.store.urls import database_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = [
    "MasterKey",
    "MasterKeys",
    "Unreadable",
    "key_id_of",
    "load_master_keys",
    "master_key_file",
    "new_master_key",
    "read_key_file",
]

KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12  # what AES-GCM takes without hashing it first
TAG_BYTES = 16
VERSION = b"\x01"
HEAD_BYTES = len(VERSION) + KEY_ID_BYTES
WRAPPED_BYTES = (
    HEAD_BYTES + NONCE_BYTES + KEY_BYTES + TAG_BYTES
)  # version, key id, and the data key under the master key
FORM = "32 random bytes in base64 or as 64 hexadecimal digits; `openssl rand -hex 32` writes such a key"


class Unreadable(Exception):
    """An envelope that cannot be opened. `key_id` is that of its master key; `is_known`: that key is there, and the
    envelope is not what was sealed."""

    def __init__(self, key_id: str, *, is_known: bool) -> None:
        super().__init__(key_id)
        self.key_id = key_id
        self.is_known = is_known


class MasterKey:
    """32 bytes, and the short digest that names them. No repr or dump shows more than that."""

    __slots__ = ("_key", "id")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = _derived(key, b"dragoman master key id")[:KEY_ID_BYTES].hex()

    def reveal(self) -> bytes:
        return self._key

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MasterKey) and hmac.compare_digest(self._key, other._key)

    def __hash__(self) -> int:
        return hash(self.id)


class MasterKeys:
    """Those that are known, the current one first. `origin` says where that came from, for a person.

    An envelope holds the text under a data key of its own, and that under the master key. So to change the master key
    is to wrap a few bytes anew: what has been kept is not decrypted for it, and is at no time in the memory of the
    process that does it. Both are bound to what the envelope is about: rows cannot change places. AES-256-GCM.
    """

    def __init__(self, keys: Sequence[MasterKey], *, origin: str) -> None:
        self.all = tuple(keys)
        self.current = keys[0]
        self.origin = origin
        self._by_id = {key.id: key for key in keys}

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._by_id

    def seal(self, text: str, *, about: Sequence[str]) -> bytes:
        """An envelope under the current master key. `about`: what must be said again to open it."""
        data_key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        sealed = _cipher(data_key).encrypt(nonce, text.encode(), _bound("text", about))
        return self._wrap(data_key, about) + nonce + sealed

    def open(self, envelope: bytes, *, about: Sequence[str]) -> str:
        """Raises Unreadable."""
        data_key = self._unwrap(envelope, about)
        rest = envelope[WRAPPED_BYTES:]
        with _refusing(envelope):
            return _cipher(data_key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _bound("text", about)).decode()

    def rewrap(self, envelope: bytes, *, about: Sequence[str]) -> bytes:
        """The same under the current master key. Raises Unreadable."""
        return self._wrap(self._unwrap(envelope, about), about) + envelope[WRAPPED_BYTES:]

    def _wrap(self, data_key: bytes, about: Sequence[str]) -> bytes:
        head, nonce = VERSION + bytes.fromhex(self.current.id), os.urandom(NONCE_BYTES)
        return head + nonce + _cipher(self.current.reveal()).encrypt(nonce, data_key, head + _bound("data key", about))

    def _unwrap(self, envelope: bytes, about: Sequence[str]) -> bytes:
        head, wrapped = envelope[:HEAD_BYTES], envelope[HEAD_BYTES:WRAPPED_BYTES]
        key_id = key_id_of(envelope)
        key = self._by_id.get(key_id)
        if key is None or not head.startswith(VERSION):
            raise Unreadable(key_id, is_known=key is not None)
        with _refusing(envelope):
            nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return _cipher(key.reveal()).decrypt(nonce, sealed, head + _bound("data key", about))


def key_id_of(envelope: bytes) -> str:
    """Of the master key that an envelope says it is under."""
    return envelope[len(VERSION) : HEAD_BYTES].hex()


@contextmanager
def _refusing(envelope: bytes) -> Iterator[None]:
    """What the library raises for an envelope that is not what was sealed, as Unreadable."""
    from cryptography.exceptions import InvalidTag

    try:
        yield
    except (InvalidTag, ValueError):  # the second: too short to hold a nonce
        raise Unreadable(key_id_of(envelope), is_known=True) from None


def load_master_keys(database_url: str, env: Mapping[str, str], secret: bytes) -> MasterKeys:
    """The master keys of this installation; the one that follows from its `secret` is always among them, as the last:
    it is what envelopes are under until another is given.

    The first are those of DRAGOMAN_MASTER_KEY and DRAGOMAN_MASTER_KEY_PREVIOUS, or the lines of `master_key_file`.
    Raises ConfigError.
    """
    given, origin = _given(database_url, env)
    derived = MasterKey(_derived(secret, b"dragoman master key"))
    return MasterKeys([*given, derived], origin=origin)


def master_key_file(database_url: str, env: Mapping[str, str]) -> Path | None:
    """The absolute path of the file with the master keys, there or not; None if none may be one.

    `DRAGOMAN_MASTER_KEY_FILE`, else "<database file>.master-key". Raises ConfigError for two sources.
    """
    named = env.get("DRAGOMAN_MASTER_KEY_FILE")
    if env.get("DRAGOMAN_MASTER_KEY"):
        if named:
            raise ConfigError("DRAGOMAN_MASTER_KEY and DRAGOMAN_MASTER_KEY_FILE are both set: unset one of them")
        return None
    if named:
        return Path(named).absolute()
    database = database_file(database_url)
    return None if database is None else database.with_name(database.name + ".master-key")


def _given(database_url: str, env: Mapping[str, str]) -> tuple[list[MasterKey], str]:
    path = master_key_file(database_url, env)
    previous = env.get("DRAGOMAN_MASTER_KEY_PREVIOUS", "")
    if current := env.get("DRAGOMAN_MASTER_KEY"):
        older = [_key(word, "DRAGOMAN_MASTER_KEY_PREVIOUS") for word in re.split(r"[\s,]+", previous) if word]
        return [_key(current, "DRAGOMAN_MASTER_KEY"), *older], "DRAGOMAN_MASTER_KEY"
    if previous:
        raise ConfigError(
            "DRAGOMAN_MASTER_KEY_PREVIOUS is set, and DRAGOMAN_MASTER_KEY is not: set that to the new master key; "
            "in a file the old ones are the lines below the new one"
        )
    if path is not None and (path.exists() or env.get("DRAGOMAN_MASTER_KEY_FILE")):
        return read_key_file(path), str(path)
    return [], "it follows from the installation's secret"


def read_key_file(path: Path) -> list[MasterKey]:
    """The keys in a file, one a line, the current one first. Raises ConfigError."""
    try:
        lines = path.read_bytes().decode("ascii", "replace").splitlines()
    except OSError as error:
        raise ConfigError(
            f"cannot read the master key file {path} ({error.strerror}): let this user read it, or restore it; "
            "`dragoman rotate-master-key` makes one"
        ) from error
    keys = [_key(line, str(path)) for line in lines if line.strip()]
    if not keys:
        raise ConfigError(f"the master key file {path} holds no key: write {FORM}")
    return keys


def new_master_key() -> tuple[MasterKey, str]:
    """A fresh one, and how it is written."""
    key = os.urandom(KEY_BYTES)
    return MasterKey(key), urlsafe_b64encode(key).decode()


def _key(text: str, origin: str) -> MasterKey:
    """Raises ConfigError, which does not repeat the text."""
    text = text.strip()
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return MasterKey(bytes.fromhex(text))
    try:
        base64 = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        key = b64decode(base64 + "=" * (-len(base64) % 4), validate=True)
    except ValueError:  # its text holds nothing of the key, but its traceback might
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{origin} does not hold a master key: it takes {FORM}")
    return MasterKey(key)


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _bound(part: str, about: Sequence[str]) -> bytes:
    """No two lists of texts give the same: each is told with its length."""
    return b"".join(b"%d:%s" % (len(each.encode()), each.encode()) for each in ("dragoman", part, *about))


def _derived(key: bytes, info: bytes) -> bytes:
    """HKDF (RFC 5869) with SHA-256, no salt, one block of 32 bytes. Two lines, where a library would be loaded at
    every start."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")
