"""Tokens of Google's: asked for once, kept, renewed before they end, and shown to nobody but Google."""

import asyncio
import importlib.util
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_vertex import EMAIL, KEY, FakeVertex, key_pair

from dragoman.errors import ConfigError, UpstreamFailed
from dragoman.gateway.config.config import Config, load
from dragoman.gateway.credentials.google import AGAIN_S, EARLY_S, GoogleSigner, Pass, PassRefused, google_signer
from dragoman.gateway.open import open_gateway
from dragoman.providers.base import UpstreamRequest

REQUEST = UpstreamRequest(url="http://127.0.0.1:1/v1", headers=[("accept", "x")], body=b"{}", lost=("top_k",))
PATIENCE_S = 10.0
HOUR_S = 3600.0


class Google:
    """Hands out token 1, 2, ... of an hour; `fails` says why not. It waits for `gate` before it does."""

    def __init__(self, *, lives_s: float = HOUR_S) -> None:
        self.asked = 0
        self.at_once = self.most_at_once = 0
        self.fails: Exception | None = None
        self.lives_s = lives_s
        self.now = 1000.0
        self.gate = threading.Event()
        self.gate.set()
        self.signer = GoogleSigner("p", self.fetch, clock=lambda: self.now)

    def fetch(self) -> Pass:
        self.asked += 1
        number = self.asked
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        opened = self.gate.wait(PATIENCE_S)
        self.at_once -= 1
        assert opened
        if self.fails is not None:
            raise self.fails
        return Pass((("authorization", f"Bearer {number}"),), self.lives_s)

    async def token(self) -> str:
        return shown(await self.signer.signed(REQUEST))

    async def settled(self) -> None:
        """What goes on behind requests has ended."""
        renewal = self.signer._renewal
        if renewal is not None:
            await asyncio.wait([renewal], timeout=PATIENCE_S)
            await asyncio.sleep(0)


def shown(request: UpstreamRequest) -> str:
    scheme, _, token = dict(request.headers)["authorization"].partition(" ")
    assert scheme == "Bearer"
    return token


# -- tokens are kept, and renewed --


async def test_a_request_goes_out_with_a_token_and_is_otherwise_the_same() -> None:
    google = Google()
    signed = await google.signer.signed(REQUEST)
    assert signed.headers == [("accept", "x"), ("authorization", "Bearer 1")]
    assert msgspec.structs.replace(signed, headers=REQUEST.headers) == REQUEST
    assert REQUEST.headers == [("accept", "x")]


async def test_one_token_is_asked_for_however_many_wait_and_is_kept() -> None:
    google = Google()
    google.gate.clear()
    waiting = [asyncio.create_task(google.token()) for _ in range(50)]
    await asyncio.sleep(0)
    google.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"1"}
    google.now += HOUR_S - EARLY_S - 1
    assert {await google.token() for _ in range(50)} == {"1"}
    assert (google.asked, google.signer._renewal) == (1, None)


async def test_a_token_is_renewed_before_it_ends_and_nobody_waits_for_it() -> None:
    google = Google()
    await google.token()
    google.now += HOUR_S - EARLY_S
    google.gate.clear()
    assert [await google.token() for _ in range(20)] == ["1"] * 20
    google.gate.set()
    await google.settled()
    assert await google.token() == "2"
    assert (google.asked, google.most_at_once) == (2, 1)


async def test_a_token_that_lives_shortly_is_not_renewed_at_each_request() -> None:
    """Google's metadata server hands out one with what is left of its life."""
    google = Google(lives_s=60.0)
    await google.token()
    google.now += 29
    assert await google.token() == "1"
    await google.settled()
    assert google.asked == 1
    google.now += 1
    await google.token()
    await google.settled()
    assert google.asked == 2


async def test_a_token_that_has_ended_is_waited_for() -> None:
    google = Google()
    await google.token()
    google.now += HOUR_S
    assert await google.token() == "2"


async def test_a_token_that_was_refused_is_not_used_again() -> None:
    google = Google()
    refused = await google.signer.signed(REQUEST)
    google.now += AGAIN_S
    google.signer.discard(refused)
    assert await google.token() == "2"
    google.now += AGAIN_S
    google.signer.discard(refused)  # answered late: the token that is kept is another
    assert await google.token() == "2"
    assert google.asked == 2


async def test_google_is_not_asked_for_another_token_with_every_refusal() -> None:
    """Where it is the account that is refused, a new token is too."""
    google = Google()
    refused = await google.signer.signed(REQUEST)
    for _ in range(5):
        google.now += AGAIN_S / 5 - 0.1
        google.signer.discard(refused)
        assert await google.token() == "1"
    google.now += 1
    google.signer.discard(refused)
    assert await google.token() == "2"


def test_before_the_first_token_there_is_none_to_discard() -> None:
    google = Google()
    google.signer.discard(REQUEST)
    assert asyncio.run(google.token()) == "1"


async def test_who_hangs_up_does_not_take_the_token_from_others() -> None:
    """Pain 27: what they wait for is not only theirs."""
    google = Google()
    google.gate.clear()
    waiting = [asyncio.create_task(google.token()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    google.gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["1", "1"]
    assert (waiting[0].cancelled(), google.asked) == (True, 1)


# -- there is none --


async def test_without_a_token_all_who_wait_are_told_and_the_next_one_asks_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    google = Google()
    google.fails = PassRefused("RefreshError: invalid_grant")
    google.gate.clear()
    waiting = [asyncio.create_task(google.token()) for _ in range(5)]
    await asyncio.sleep(0)
    google.gate.set()
    for failed in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(failed, UpstreamFailed)
        assert "invalid_grant" not in failed.message  # that is for the operator
    told = "provider p: no token of Google's: RefreshError: invalid_grant"
    assert [record.message for record in caplog.records if record.name == "dragoman.upstream"] == [told]
    google.fails = None
    assert await google.token() == "2"


async def test_while_the_old_token_is_good_a_failure_to_renew_it_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And is tried again: not at once, and not only when the token has ended."""
    google = Google()
    await google.token()
    google.fails = PassRefused("TransportError: unreachable")
    google.now += HOUR_S - EARLY_S
    for _ in range(5):
        assert await google.token() == "1"
        await google.settled()
    assert google.asked == 2
    assert "unreachable" in caplog.text
    google.now += AGAIN_S
    google.fails = None
    assert await google.token() == "1"
    await google.settled()
    assert await google.token() == "3"


async def test_an_old_token_is_not_used_beyond_its_end() -> None:
    google = Google()
    await google.token()
    google.fails = PassRefused("no")
    google.now += HOUR_S
    with pytest.raises(UpstreamFailed):
        await google.token()


# -- google-auth --


@pytest.fixture
def fake() -> Iterator[FakeVertex]:
    with FakeVertex() as fake:
        yield fake


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have credentials of Google's, and a proxy."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def configured(**provider: str) -> Config:
    lines = {"dialect": "vertex", "base_url": "http://127.0.0.1:1/v1", **provider}
    text = "\n".join(["[providers.google]", *(f"{name} = {json.dumps(value)}" for name, value in lines.items())])
    return load(None, {}, text=f'{text}\n[server]\ndatabase = "sqlite://"')


def signer(**provider: str) -> GoogleSigner:
    return google_signer(configured(**provider).providers["google"])


async def test_a_service_accounts_key_signs_for_tokens_and_they_are_renewed(fake: FakeVertex) -> None:
    """The assertion is checked by google-auth itself: see fake_vertex.py."""
    fake.life_s = 0  # as if its hour had passed at once
    google = signer(credentials_file=str(fake.credentials_file))
    assert fake.grants == 0  # no network before the first request
    first = shown(await google.signed(REQUEST))
    fake.life_s = 3600
    second = shown(await google.signed(REQUEST))
    assert {fake.is_good(first), fake.is_good(second)} == {True}
    assert (first != second, fake.grants) == (True, 2)
    assert shown(await google.signed(REQUEST)) == second
    assert fake.grants == 2


@pytest.mark.parametrize("life_s", [2, 3599])
async def test_the_end_of_a_token_is_what_google_says(fake: FakeVertex, life_s: int) -> None:
    fake.life_s = life_s
    google = signer(credentials_file=str(fake.credentials_file))
    await google.signed(REQUEST)
    lives_s = google._ends_at - google._clock()
    assert life_s - PATIENCE_S < lives_s <= life_s
    assert google._ends_at - google._renew_at == pytest.approx(min(EARLY_S, life_s / 2), abs=1.0)


async def test_without_a_file_googles_own_places_are_looked_at(
    fake: FakeVertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(fake.credentials_file))
    assert fake.is_good(shown(await signer().signed(REQUEST)))


async def test_peoples_own_credentials_tell_the_project_that_pays(
    fake: FakeVertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `gcloud auth application-default login` leaves them."""
    from google.oauth2.credentials import Credentials

    def refresh(self: Any, request: Any) -> None:
        self.token = "t"

    monkeypatch.setattr(Credentials, "refresh", refresh)
    own = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    fake.credentials_file.write_text(json.dumps(own | {"quota_project_id": "who-pays"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(fake.credentials_file))
    signed = await signer().signed(REQUEST)
    assert signed.headers[1:] == [("authorization", "Bearer t"), ("x-goog-user-project", "who-pays")]


async def test_where_there_are_no_credentials_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UpstreamFailed):
        await signer().signed(REQUEST)
    assert "DefaultCredentialsError: Your default credentials were not found." in caplog.text


def other_key(kind: str) -> str:
    """In PEM, and not the one that Google knows."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "broken":
        return "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    made = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "of another kind"
        else rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    )
    plain = serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@pytest.mark.parametrize("kind", ["broken", "of another kind", "of another account"])
async def test_a_wrong_key_is_told_to_the_operator_without_the_key(
    fake: FakeVertex, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = other_key(kind)
    fake.credentials_file.write_text(json.dumps(fake.account() | {"private_key": key}))
    google = signer(credentials_file=str(fake.credentials_file))
    with pytest.raises(UpstreamFailed) as failed:
        await google.signed(REQUEST)
    assert "provider google: no token of Google's: " in caplog.text
    assert ("invalid_grant" in caplog.text) == (kind == "of another account")
    for line in key.splitlines()[1:-1]:
        assert line not in caplog.text + repr(failed.value) + failed.value.message
    assert fake.grants == 0


async def test_google_cannot_be_reached(fake: FakeVertex, caplog: pytest.LogCaptureFixture) -> None:
    """What google-auth tries again, it does with waits of its own: bounded here by a port where nobody listens."""
    fake.credentials_file.write_text(json.dumps(fake.account() | {"token_uri": "http://127.0.0.1:1/token"}))
    with pytest.raises(UpstreamFailed):
        await signer(credentials_file=str(fake.credentials_file)).signed(REQUEST)
    assert "TransportError" in caplog.text


async def test_no_secret_is_in_a_repr_or_a_log(fake: FakeVertex, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    google = signer(credentials_file=str(fake.credentials_file))
    signed = await google.signed(REQUEST)
    texts = [repr(google), repr(signed), repr(google._fetch), repr(google._fetch()), caplog.text]
    for secret in (KEY, shown(signed), *key_pair().private.splitlines()[1:-1]):
        assert not any(secret in text for text in texts)


# -- what is wrong is said at the start --


async def refused(path: Path | None = None) -> str:
    """The whole gateway's word, as it starts."""
    config = configured() if path is None else configured(credentials_file=str(path))
    with pytest.raises(ConfigError) as failed:
        await open_gateway(config, {}).__aenter__()
    return str(failed.value)


WHOLE = {"type": "service_account", "client_email": EMAIL, "private_key": "-----BEGIN ", "token_uri": "https://x.test"}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (b"", "holds no JSON"),
        (b"\xff\xfe{}", "holds no JSON"),
        (b"[" * 100_000, "holds no JSON"),
        (b"[]", "is not the file of a service account"),
        (b'{"type": "authorized_user", "refresh_token": "hidden"}', "set GOOGLE_APPLICATION_CREDENTIALS"),
        (json.dumps(WHOLE | {"client_email": ""}).encode(), "has no client_email"),
        (json.dumps(WHOLE | {"token_uri": None}).encode(), "has no token_uri"),
        (json.dumps(WHOLE | {"private_key": ["hidden"]}).encode(), "has no private_key"),
        (json.dumps(WHOLE | {"private_key": "hidden"}).encode(), "is no key in PEM"),
    ],
)
async def test_a_wrong_file_is_told_with_what_is_wrong(held: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_bytes(held)
    said = await refused(path)
    assert told in said
    assert "providers.google.credentials_file: " in said
    assert str(path) in said
    assert "hidden" not in said
    assert len(said.splitlines()) == 1


def test_a_file_that_is_gone_since_the_configuration_was_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text("{}")
    provider = configured(credentials_file=str(path)).providers["google"]
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        google_signer(provider)


@pytest.mark.parametrize("missing", ["google", "google.auth", "requests"])
async def test_a_missing_package_is_told_with_its_remedy(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "dragoman.gateway.credentials.google.find_spec", lambda name: None if name == missing else found(name)
    )
    said = await refused()
    assert "providers.google" in said
    assert "pip install 'dragoman[vertex]'" in said


def test_google_auth_is_loaded_by_the_first_token_and_no_sooner() -> None:
    """It takes a tenth of a second, and ten megabytes."""
    code = """
import asyncio, sys
from dragoman.gateway.config.config import load
from dragoman.gateway.open import open_gateway
text = '[server]\\ndatabase = "sqlite://"\\n[providers.g]\\ndialect = "vertex"\\nbase_url = "http://127.0.0.1:1"'
async def opened():
    async with open_gateway(load(None, {}, text=text), {}) as gateway:
        assert gateway.upstream._providers["g"].signer is not None
asyncio.run(opened())
print(sorted(name for name in sys.modules if name.startswith(("google.auth.", "google.oauth2", "requests"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


# -- where Google is --


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("global", "https://aiplatform.googleapis.com/v1/projects/p/locations/global"),
        ("us", "https://aiplatform.us.rep.googleapis.com/v1/projects/p/locations/us"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu"),
        ("us-east5", "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5"),
    ],
)
def test_each_region_has_its_address(region: str, url: str) -> None:
    found = load(None, {}, text=f'[providers.vertex]\nregion = "{region}"\nproject = "p"').providers["vertex"]
    assert (found.base_url, found.auth, found.dialect) == (url, "google", "vertex")
