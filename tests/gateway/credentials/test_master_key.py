"""The master key: where it comes from, what its envelopes keep to themselves, and how it is changed."""

import hashlib
import os
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dragoman.errors import ConfigError
from dragoman.gateway.credentials.master_key import (
    MasterKey,
    MasterKeys,
    Unreadable,
    key_id_of,
    load_master_keys,
    master_key_file,
    new_master_key,
    read_key_file,
)

SECRET = b"the installation's secret"
SHARED = "postgresql://me:hunter2@db.example/dragoman"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ABOUT = ("cred_1", "cloud")
TEXT = "sk-provider-key-of-somebody"


def keys(*known: bytes) -> MasterKeys:
    return MasterKeys([MasterKey(each) for each in known], origin="the test")


def test_an_envelope_opens_again_and_shows_nothing() -> None:
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    assert keys(OLD).open(envelope, about=ABOUT) == TEXT
    assert TEXT.encode() not in envelope
    assert key_id_of(envelope) == MasterKey(OLD).id
    assert envelope != keys(OLD).seal(TEXT, about=ABOUT), "no two are alike, so nobody sees which keys are the same"


@pytest.mark.parametrize("about", [("cred_2", "cloud"), ("cred_1", "other"), ("cred_1c", "loud"), ("cred_1",), ()])
def test_an_envelope_opens_only_in_its_own_row(about: tuple[str, ...]) -> None:
    """Whoever can write the database cannot have one provider's key sent to another."""
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    with pytest.raises(Unreadable) as caught:
        keys(OLD).open(envelope, about=about)
    assert caught.value.is_known


def test_any_changed_bit_is_seen() -> None:
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    for place in range(len(envelope)):
        changed = bytearray(envelope)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            keys(OLD, NEW).open(bytes(changed), about=ABOUT)


def test_any_cut_is_seen() -> None:
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    for length in range(len(envelope)):
        with pytest.raises(Unreadable):
            keys(OLD).open(envelope[:length], about=ABOUT)


def test_another_master_key_opens_nothing_and_its_name_is_told() -> None:
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    with pytest.raises(Unreadable) as caught:
        keys(NEW).open(envelope, about=ABOUT)
    assert (caught.value.key_id, caught.value.is_known) == (MasterKey(OLD).id, False)


def test_rewrapped_it_opens_with_the_new_key_and_not_with_the_old() -> None:
    """Pain 65: the old key is useless."""
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    rewrapped = keys(NEW, OLD).rewrap(envelope, about=ABOUT)
    assert keys(NEW).open(rewrapped, about=ABOUT) == TEXT
    with pytest.raises(Unreadable):
        keys(OLD).open(rewrapped, about=ABOUT)
    assert rewrapped[-len(TEXT) :] == envelope[-len(TEXT) :], "the text was not touched"


def test_what_is_not_ours_is_not_rewrapped() -> None:
    envelope = keys(OLD).seal(TEXT, about=ABOUT)
    with pytest.raises(Unreadable):
        keys(NEW, OLD).rewrap(envelope, about=("cred_2", "cloud"))
    with pytest.raises(Unreadable):
        keys(NEW).rewrap(envelope, about=ABOUT)


def test_no_repr_shows_a_key() -> None:
    shown = repr(MasterKey(OLD)) + str(MasterKey(OLD)) + repr(keys(OLD).all)
    for form in (OLD.hex(), b64encode(OLD).decode(), urlsafe_b64encode(OLD).decode(), repr(OLD)):
        assert form not in shown
    assert MasterKey(OLD).id in shown


def test_the_id_of_a_key_is_the_same_everywhere_and_not_a_part_of_it() -> None:
    assert MasterKey(OLD).id == MasterKey(bytes(OLD)).id != MasterKey(NEW).id
    assert bytes.fromhex(MasterKey(OLD).id) not in OLD
    assert bytes.fromhex(MasterKey(OLD).id) != hashlib.sha256(OLD).digest()[:8]


# -- where it comes from --


def test_without_any_it_follows_from_the_secret() -> None:
    """A single machine needs no set-up. By HKDF, as a library of others does it."""
    loaded = load_master_keys(SHARED, {}, SECRET)
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"dragoman master key").derive(SECRET)
    assert loaded.all == (MasterKey(derived),)
    assert load_master_keys(SHARED, {}, b"another secret").current != loaded.current


@pytest.mark.parametrize(
    "written",
    [
        NEW.hex(),
        NEW.hex().upper(),
        b64encode(NEW).decode(),
        b64encode(NEW).decode().rstrip("="),
        urlsafe_b64encode(bytes([251] * 32)).decode(),
        f"  {NEW.hex()}\n",
    ],
    ids=["hex", "upper", "base64", "unpadded", "urlsafe", "spaces"],
)
def test_a_key_is_taken_in_any_of_its_forms(written: str) -> None:
    current = load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY": written}, SECRET).current
    assert current in (MasterKey(NEW), MasterKey(bytes([251] * 32)))


@pytest.mark.parametrize("written", ["short", "x" * 64, NEW.hex()[:-2], NEW.hex() + "00", b64encode(NEW[:-1]).decode()])
@pytest.mark.parametrize("name", ["DRAGOMAN_MASTER_KEY", "DRAGOMAN_MASTER_KEY_PREVIOUS"])
def test_what_is_no_key_is_refused_and_not_repeated(name: str, written: str) -> None:
    env = {"DRAGOMAN_MASTER_KEY": OLD.hex(), name: written}
    with pytest.raises(ConfigError, match=rf"^{name} does not hold a master key") as caught:
        load_master_keys(SHARED, env, SECRET)
    assert written not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_first_is_current_and_those_of_before_open_too() -> None:
    older = [os.urandom(32) for _ in range(2)]
    env = {"DRAGOMAN_MASTER_KEY": NEW.hex(), "DRAGOMAN_MASTER_KEY_PREVIOUS": f"{older[0].hex()}, {older[1].hex()}"}
    loaded = load_master_keys(SHARED, env, SECRET)
    assert loaded.current == MasterKey(NEW)
    for each in older:
        assert loaded.open(keys(each).seal(TEXT, about=ABOUT), about=ABOUT) == TEXT


def test_what_is_under_the_derived_key_opens_after_one_was_set() -> None:
    envelope = load_master_keys(SHARED, {}, SECRET).seal(TEXT, about=ABOUT)
    loaded = load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY": NEW.hex()}, SECRET)
    assert loaded.open(envelope, about=ABOUT) == TEXT
    assert loaded.current == MasterKey(NEW)


def test_the_lines_of_a_file_are_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{NEW.hex()}\n\n{b64encode(OLD).decode()}\n")
    loaded = load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY_FILE": str(file)}, SECRET)
    assert loaded.all[:2] == (MasterKey(NEW), MasterKey(OLD))
    assert loaded.origin == str(file)


def test_the_file_beside_a_database_is_taken_if_it_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert master_key_file(url, {}) == tmp_path / "x.db.master-key"
    assert len(load_master_keys(url, {}, SECRET).all) == 1
    (tmp_path / "x.db.master-key").write_text(NEW.hex())
    assert load_master_keys(url, {}, SECRET).current == MasterKey(NEW)


def test_a_named_file_must_be_there_and_hold_a_key(tmp_path: Path) -> None:
    env = {"DRAGOMAN_MASTER_KEY_FILE": str(tmp_path / "keys")}
    with pytest.raises(ConfigError, match=r"cannot read the master key file .*keys \(No such file"):
        load_master_keys(SHARED, env, SECRET)
    (tmp_path / "keys").write_text("\n")
    with pytest.raises(ConfigError, match="holds no key"):
        load_master_keys(SHARED, env, SECRET)
    (tmp_path / "keys").write_text("hunter2")
    with pytest.raises(ConfigError, match="does not hold a master key") as caught:
        load_master_keys(SHARED, env, SECRET)
    assert "hunter2" not in str(caught.value)


def test_two_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="both set: unset one of them"):
        load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY": NEW.hex(), "DRAGOMAN_MASTER_KEY_FILE": "x"}, SECRET)
    with pytest.raises(ConfigError, match="DRAGOMAN_MASTER_KEY is not: set that"):
        load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY_PREVIOUS": NEW.hex()}, SECRET)


def test_a_new_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    key, written = new_master_key()
    (tmp_path / "keys").write_text(written)
    assert read_key_file(tmp_path / "keys") == [key]
    assert new_master_key()[0] != key
