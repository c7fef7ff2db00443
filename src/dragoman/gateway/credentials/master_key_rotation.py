"""`dragoman rotate-master-key`: a new master key, and every envelope of the store under it.

May be broken off at any point and run again: the old keys stay known until nothing is under them. Servers may run
meanwhile: they have opened what they use, and what they read anew they find under a key that the file holds.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from dragoman.errors import ConfigError
from dragoman.store.credentials import CredentialStore
from dragoman.store.urls import database_file

from .master_key import (
    MasterKey,
    MasterKeys,
    load_master_keys,
    master_key_file,
    new_master_key,
    read_key_file,
)
from .stored import rewrap_all

__all__ = ["Rotated", "rotate"]

PASSES = 10  # over the envelopes, while servers add some: each is one question when nothing is left to do


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """`troubles`: sentences about what could not be put under the new key; while there are any, no old key is taken
    out of the file. `still_in_file`: old keys are, and are to be taken out by hand."""

    master_key_id: str
    place: str  # where the new key is, for a person
    is_new: bool  # made just now; else it was there already
    envelopes: int  # that were put under it
    troubles: tuple[str, ...] = ()
    still_in_file: bool = False


async def rotate(
    store: CredentialStore,
    database_url: str,
    env: Mapping[str, str],
    secret: bytes,
    *,
    tell: Callable[[str], None] | None = None,
) -> Rotated:
    """Put every envelope under the current master key, which is a new one unless one is given.

    With DRAGOMAN_MASTER_KEY that one is taken. A file gets a new one above those that are there, unless the one above
    is new already, and in the end holds only that. `tell`: make one, hand it over before anything is done with it, and
    keep it nowhere. Raises ConfigError, StoreError.
    """
    path = master_key_file(database_url, env)
    if tell is not None:
        _must_not_be_in_use(path)
        return await _told(store, load_master_keys(database_url, env, secret), tell)
    if env.get("DRAGOMAN_MASTER_KEY"):
        keys = load_master_keys(database_url, env, secret)
        envelopes, troubles = await _rewrap(store, keys)
        return _rotated(keys, is_new=False, envelopes=envelopes, troubles=troubles)
    if path is None:
        raise ConfigError(
            "there is no place for a new master key: set DRAGOMAN_MASTER_KEY_FILE to the path of a file for it, which "
            "need not be there yet; or set DRAGOMAN_MASTER_KEY to one, with the old one, if there was one, in "
            "DRAGOMAN_MASTER_KEY_PREVIOUS; or have one made and shown with --print"
        )
    with _alone(path := path.resolve()):  # the file itself is replaced, not a link to it
        is_new = _begin(path, like=database_file(database_url))
        keys = load_master_keys(database_url, env, secret)
        envelopes, troubles = await _rewrap(store, keys)
        if not troubles:
            _finish(path, keys.current)
        kept = len(read_key_file(path)) > 1
        return _rotated(keys, is_new=is_new, envelopes=envelopes, troubles=troubles, still_in_file=kept)


def _must_not_be_in_use(path: Path | None) -> None:
    if path is not None and path.exists():
        raise ConfigError(f"the master key is in {path}: without --print a new one is put there")


async def _told(store: CredentialStore, known: MasterKeys, tell: Callable[[str], None]) -> Rotated:
    fresh, written = new_master_key()
    tell(written)
    keys = MasterKeys([fresh, *known.all], origin="DRAGOMAN_MASTER_KEY, once it is set to what was printed")
    envelopes, troubles = await _rewrap(store, keys)
    return _rotated(keys, is_new=True, envelopes=envelopes, troubles=troubles)


def _rotated(
    keys: MasterKeys, *, is_new: bool, envelopes: int, troubles: tuple[str, ...], still_in_file: bool = False
) -> Rotated:
    return Rotated(
        master_key_id=keys.current.id,
        place=keys.origin,
        is_new=is_new,
        envelopes=envelopes,
        troubles=troubles,
        still_in_file=still_in_file,
    )


async def _rewrap(store: CredentialStore, keys: MasterKeys) -> tuple[int, tuple[str, ...]]:
    """How many envelopes, and what is wrong with the rest. Looks again until nothing is left to do."""
    envelopes = 0
    for _ in range(PASSES):
        count, troubles = await rewrap_all(await store.live(), keys, store)
        envelopes += count
        if not count:
            return envelopes, tuple(troubles)
    raise ConfigError("keys of providers are added quicker than they can be put under the new master key: try again")


# -- the file --


def _begin(path: Path, *, like: Path | None) -> bool:
    """Put a new key above the one that is there; False, and nothing done, where several are: a rotation goes on.

    A file that is made gets the owner of `like`, the database: root may do this for a server that is somebody else's.
    """
    lines = _lines(path) if path.exists() else []
    if len(lines) > 1:
        return False
    _, written = new_master_key()
    try:
        _write(path, [written, *lines], like=like)
    except OSError as error:
        raise ConfigError(
            f"the master key file {path} cannot be written ({error.strerror}): let this user write it and its folder, "
            "or put a line with a new key above the old one by other means, and run this again"
        ) from error
    return True


def _finish(path: Path, current: MasterKey) -> None:
    """Leave only the current key in the file, if it can be written."""
    lines = _lines(path)
    if read_key_file(path)[0] != current:
        raise ConfigError(f"the master key file {path} was changed by somebody else meanwhile: run this again")
    if len(lines) > 1:
        with suppress(OSError):  # then they are still in it, and that is told
            _write(path, lines[:1])


def _lines(path: Path) -> list[str]:
    """Of a file that holds keys and nothing else. Raises ConfigError."""
    read_key_file(path)
    return [line for line in path.read_text("ascii").splitlines() if line.strip()]


def _write(path: Path, lines: list[str], *, like: Path | None = None) -> None:
    """All or nothing, and on the disk when this returns; for its owner alone, who stays the same. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        fresh.unlink()  # of one that was broken off
    model = next((each.stat() for each in (path, like) if each is not None and each.exists()), None)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
        if model is not None and sys.platform != "win32":
            os.fchmod(descriptor, mode)
            with suppress(PermissionError):  # only root may, and only root needs to
                os.fchown(descriptor, model.st_uid, model.st_gid)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other rotation works on the file while this lasts: the system ends the lock, also for one that is killed."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"the folder of the master key file {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"another `dragoman rotate-master-key` is at work on {path}: wait for it") from error
        yield
    finally:
        os.close(folder)
