"""The installation's secret, and the ids that follow from it.

It keys the hashes of API keys, so it must not lie in the database with them. Losing it makes every key worthless.
"""

import hmac
import os
import secrets
import string
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from dragoman.errors import ConfigError
from dragoman.store.urls import database_file, database_name, is_in_memory

__all__ = ["BASE62", "default_workspace_id", "load_secret", "organization_id", "secret_file", "webhook_key"]

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_FLOOR_CHARS = 16


def load_secret(database_url: str, env: Mapping[str, str], *, wait_s: float = 2.0) -> bytes:
    """The installation's secret, which keys the hashes: without it the stored hashes are worth nothing.

    `DRAGOMAN_SECRET` if set; else what is in `secret_file`, which is made here when it is missing and the database is a
    file; else, for a database in memory, one for the life of the process. For a database that several machines may
    share none is made: each would make its own, and know no key of the others. `wait_s` (seconds) is how long a file
    that another process is writing may stay incomplete. Raises ConfigError.
    """
    path = secret_file(database_url, env)
    given = env.get("DRAGOMAN_SECRET")
    if given is not None:
        return _given(given)
    if path is None and is_in_memory(database_url):
        return secrets.token_bytes(32)
    is_local = is_in_memory(database_url) or database_file(database_url) is not None
    if path is None or not (is_local or path.exists()):
        why = "" if path is None else f"{path}, which DRAGOMAN_SECRET_FILE names, is not there. "
        raise ConfigError(
            f"{why}The hashes of keys in {database_name(database_url)} need a secret that does not lie beside them: "
            "set DRAGOMAN_SECRET to it, or DRAGOMAN_SECRET_FILE to the path of a file with it, the same for every "
            "process that uses the database. `openssl rand -hex 32` writes one that is fit for both"
        )
    try:
        made = None if path.exists() else _make_secret(path)
    except OSError as error:
        raise ConfigError(
            f"cannot make the secret file {path} ({error.strerror}): let this user write in an existing folder, "
            "or set DRAGOMAN_SECRET"
        ) from error
    return made or _read_secret(path, wait_s=wait_s)


def secret_file(database_url: str, env: Mapping[str, str]) -> Path | None:
    """The absolute path of the file that holds the secret, there or not; None if none does.

    `DRAGOMAN_SECRET_FILE`, else "<database file>.secret". Raises ConfigError for two secrets.
    """
    named = env.get("DRAGOMAN_SECRET_FILE")
    if "DRAGOMAN_SECRET" in env:
        if named:
            raise ConfigError("DRAGOMAN_SECRET and DRAGOMAN_SECRET_FILE are both set: unset one of them")
        return None
    if named:
        return Path(named).absolute()
    database = database_file(database_url)
    return None if database is None else database.with_name(database.name + ".secret")


def _given(secret: str) -> bytes:
    secret = secret.strip()
    if len(secret) < SECRET_FLOOR_CHARS:
        raise ConfigError(
            f"DRAGOMAN_SECRET has {len(secret)} characters, needs at least {SECRET_FLOOR_CHARS}: give it a longer one, "
            "or unset it, to have one made in a file beside a database that is a file"
        )
    return secret.encode("utf-8", "surrogateescape")


def _make_secret(path: Path) -> bytes | None:
    """Make the file, for its owner alone; None when it is there. O_EXCL: of several processes one writes it.

    Written in place, not linked into place: some network file systems have no hard links.
    """
    secret = secrets.token_bytes(32)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret.hex().encode() + b"\n")
            file.flush()
            os.fsync(descriptor)  # the keys hashed with it may be on the disk a moment later
    except BaseException:
        path.unlink()  # a half-written one would stop every later start
        raise
    return secret


def _read_secret(path: Path, *, wait_s: float) -> bytes:
    end = time.monotonic() + wait_s
    try:
        while len(text := path.read_bytes().strip()) < 64 and time.monotonic() < end:
            time.sleep(0.01)  # its maker is between open and write
    except OSError as error:
        raise ConfigError(
            f"cannot read the secret file {path} ({error.strerror}): let this user read it, or set DRAGOMAN_SECRET"
        ) from error
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""  # its text, a secret, stays out of the exception chain
    if len(secret) != 32:
        raise ConfigError(
            f"the secret file {path} does not hold 64 hexadecimal digits: restore it from a copy, or delete it; "
            "without the old one every key made so far stops working"
        )
    return secret


def organization_id(secret: bytes) -> str:
    """The installation's UUID: the same at every start, on every machine that shares the secret."""
    return str(UUID(bytes=_derive(secret, "organization id")[:16], version=4))


def default_workspace_id(secret: bytes) -> str:
    """The "wrkspc_..." of keys that belong to no workspace of their own."""
    number = int.from_bytes(_derive(secret, "default workspace id"), "big")
    return "wrkspc_" + "".join(BASE62[number // 62**place % 62] for place in range(24))


def webhook_key(secret: bytes) -> bytes:
    """What alerts are signed with: 32 bytes, which receivers know, and which tell nothing of the secret."""
    return _derive(secret, "webhook key")


def _derive(secret: bytes, label: str) -> bytes:
    """No key hashes to this: none holds a NUL."""
    return hmac.digest(secret, b"dragoman\0" + label.encode(), "sha256")
