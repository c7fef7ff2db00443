"""Credentials of AWS and who signs with them; and what only a cloud's gateway does, against the fake Bedrock."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fake_bedrock import FakeBedrock, FakeBedrockByKey
from fake_bedrock_rules import ACCESS_KEY_ID, REGION, SESSION_TOKEN
from rawhttp import HELLO, Reply, exchange, post
from serving import Serving

from dragoman.errors import ConfigError, UpstreamFailed
from dragoman.gateway.config.config import ProviderConfig, Secret
from dragoman.gateway.credentials import aws
from dragoman.gateway.credentials.aws import AwsSigner, open_signer
from dragoman.providers.base import UpstreamRequest

SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3Jp/Z2lu+X2Vj=="
AT = 1_795_000_000.0
URL = "https://bedrock-runtime.us-west-2.amazonaws.com"
ENV = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}


def provider(**fields: Any) -> ProviderConfig:
    keys = {name: Secret(fields.pop(name)) for name in list(fields) if name in ("secret_access_key", "session_token")}
    if "access_key_id" in fields:
        keys["access_key_id"] = Secret(fields.pop("access_key_id"))
    base: dict[str, Any] = {"name": "cloud", "origin": "the test", "dialect": "bedrock", "auth": "aws", "base_url": URL}
    return ProviderConfig(**base | fields, **keys)


def request(body: bytes = b"{}", url: str = URL) -> UpstreamRequest:
    return UpstreamRequest(
        url=f"{url}/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke",
        headers=[("content-type", "application/json")],
        body=body,
    )


async def signed_by(signer: AwsSigner, body: bytes = b"{}") -> dict[str, str]:
    signer._clock = lambda: AT
    return dict((await signer.signed(request(body))).headers)


def as_botocore(headers: Mapping[str, str], body: bytes, key_id: str, secret: str, token: str | None) -> str:
    """The Authorization that AWS's own library writes for it."""
    asked = AWSRequest(method="POST", url=request().url, headers={"content-type": "application/json"}, data=body)
    asked.headers["X-Amz-Date"] = asked.context["timestamp"] = headers["x-amz-date"]
    if token is not None:
        asked.headers["X-Amz-Security-Token"] = token
    signer = SigV4Auth(Credentials(key_id, secret, token), "bedrock", "us-west-2")
    signature = signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked)
    names = signer.signed_headers(signer.headers_to_sign(asked))
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(asked)}, SignedHeaders={names}, Signature={signature}"


# ---------------------------------------------------------------- which credentials


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS's own files, of this test alone, and nothing else that its tools would find."""
    for name in ENV:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def write_profile(home: Path, key_id: str, name: str = "default") -> None:
    text = f"[{name}]\naws_access_key_id = {key_id}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    (home / "credentials").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("fields", "env", "key_id", "token"),
    [
        ({"access_key_id": "AKIACONF", "secret_access_key": SECRET}, ENV, "AKIACONF", None),
        ({"access_key_id": "AKIACONF", "secret_access_key": SECRET, "session_token": TOKEN}, {}, "AKIACONF", TOKEN),
        ({}, ENV, "AKIAENV", TOKEN),
        ({}, ENV | {"AWS_SESSION_TOKEN": ""}, "AKIAENV", None),
        ({"profile": "work"}, ENV, "AKIAWORK", TOKEN),
    ],
)
async def test_the_configuration_is_first_and_a_profile_stands_above_the_environment(
    home: Path, fields: dict[str, Any], env: dict[str, str], key_id: str, token: str | None
) -> None:
    write_profile(home, "AKIAWORK", "work")
    for body in (b"{}", b"x" * (aws.LARGE_BODY_BYTES + 1)):
        headers = await signed_by(open_signer(provider(**fields), env), body)
        assert headers["authorization"] == as_botocore(headers, body, key_id, SECRET, token)
        assert headers.get("x-amz-security-token") == token


@pytest.mark.parametrize(
    "fields",
    [{"access_key_id": "AKIACONF"}, {"secret_access_key": SECRET}, {"session_token": TOKEN}],
)
def test_half_of_a_pair_is_a_mistake(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="access_key_id and secret_access_key are needed together") as failed:
        open_signer(provider(**fields), ENV)
    assert SECRET not in str(failed.value)


def test_without_botocore_only_plain_keys_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "find_spec", lambda name: None)
    open_signer(provider(), ENV)
    for fields, env in (({}, {}), ({"profile": "work"}, ENV), ({}, {"AWS_ACCESS_KEY_ID": "AKIAENV"})):
        with pytest.raises(ConfigError, match=r"cloud: .*pip install 'dragoman\[bedrock\]'"):
            open_signer(provider(**fields), env)


async def test_credentials_are_read_again_and_not_for_every_request(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be renewed at any time: botocore knows when, and is asked once a minute."""
    write_profile(home, "AKIAONE")
    source = open_signer(provider(), {})._source
    assert (await source()).access_key_id == "AKIAONE"
    looks = []
    look_up = type(source)._look_up
    monkeypatch.setattr(type(source), "_look_up", lambda self: looks.append(1) or look_up(self))
    for _ in range(10):
        assert (await source()).session_token == TOKEN
    assert looks == []
    now = time.monotonic() + aws.KEPT_S
    monkeypatch.setattr(aws.time, "monotonic", lambda: now)
    found = await asyncio.gather(*(source() for _ in range(20)))
    assert {each.access_key_id for each in found} == {"AKIAONE"}
    assert looks == [1]


@pytest.mark.parametrize(
    ("fields", "told"),
    [({}, "none of AWS's usual places holds any"), ({"profile": "gone"}, "ProfileNotFound")],
)
async def test_where_nothing_is_found_the_caller_is_told_and_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], told: str
) -> None:
    """Not at the start: credentials may come later, as a sign-on does. Asked again after a few seconds."""
    signer = open_signer(provider(**fields), {})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(UpstreamFailed, match="no AWS credentials were found"):
                await signer.signed(request())
    (record,) = caplog.records
    assert told in record.getMessage()
    assert "provider cloud" in record.getMessage()
    write_profile(home, "AKIALATER", fields.get("profile", "default"))
    now = time.monotonic() + aws.FAILED_S
    monkeypatch.setattr(aws.time, "monotonic", lambda: now)
    assert "AKIALATER" in (await signed_by(signer))["authorization"]


async def test_a_look_up_that_hangs_does_not_hold_callers_for_ever(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hanging(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(aws, "LOOK_UP_S", 0.01)
    monkeypatch.setattr(aws.asyncio, "to_thread", hanging)
    with pytest.raises(UpstreamFailed, match="no AWS credentials were found"):
        await open_signer(provider(), {}).signed(request())
    assert "nothing was found within" in caplog.text


async def test_credentials_are_in_no_text_and_no_log(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_profile(home, "AKIAONE")
    caplog.set_level(logging.DEBUG, logger="dragoman")
    for fields in ({}, {"access_key_id": "AKIACONF", "secret_access_key": SECRET, "session_token": TOKEN}):
        config = provider(**fields)
        signer = open_signer(config, {})
        credentials = await signer._source()
        for text in (repr(config), repr(signer), repr(vars(signer)), repr(credentials), str(credentials), caplog.text):
            assert SECRET not in text
            assert TOKEN not in text


# ---------------------------------------------------------------- which region and service


@pytest.mark.parametrize(
    ("fields", "env", "region", "service"),
    [
        ({}, {"AWS_REGION": "eu-west-1"}, "us-west-2", "bedrock"),  # a host of AWS takes no other's signature
        ({"region": "eu-west-1"}, {}, "us-west-2", "bedrock"),
        ({"base_url": "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"}, {}, "us-gov-west-1", "bedrock"),
        ({"base_url": "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"}, {}, "cn-north-1", "bedrock"),
        ({"base_url": "https://bedrock-runtime.us-west-2.amazonaws.com/anthropic"}, {}, "us-west-2", "bedrock"),
        ({"base_url": "https://vpce-1.bedrock-runtime.eu-central-1.vpce.amazonaws.com"}, {}, "eu-central-1", "bedrock"),
        ({"base_url": "https://bedrock-mantle.us-east-2.api.aws/anthropic"}, {}, "us-east-2", "bedrock-mantle"),
        ({"base_url": "https://aws-external-anthropic.us-east-2.api.aws"}, {}, "us-east-2", "aws-external-anthropic"),
        ({"base_url": "http://127.0.0.1:1", "region": "eu-west-1"}, {"AWS_REGION": "x"}, "eu-west-1", "bedrock"),
        ({"base_url": "http://127.0.0.1:1"}, {"AWS_REGION": "eu-west-3"}, "eu-west-3", "bedrock"),
        ({"base_url": "http://127.0.0.1:1"}, {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2", "bedrock"),
    ],
)
def test_region_and_service(fields: dict[str, Any], env: dict[str, str], region: str, service: str) -> None:
    signer = open_signer(provider(**fields), ENV | env)
    assert (signer.region, signer.service) == (region, service)


def test_without_a_region_nothing_can_be_signed() -> None:
    with pytest.raises(ConfigError, match="provider cloud: region is missing"):
        open_signer(provider(base_url="http://127.0.0.1:1"), ENV)


# ---------------------------------------------------------------- the gateway

HAIKU = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"


def serving(fake: FakeBedrock, *, dialect: str = "bedrock", path: str = "") -> Serving:
    keys: dict[str, Any] = {"api_key": Secret(fake.key), "auth": "bearer"}
    if not isinstance(fake, FakeBedrockByKey):
        keys = {
            "api_key": None,
            "auth": "aws",
            "access_key_id": Secret(ACCESS_KEY_ID),
            "secret_access_key": Secret(fake.key),
            "session_token": Secret(SESSION_TOKEN),
        }
    return Serving(upstream=fake.url + path, provider={"dialect": dialect, "region": REGION, **keys})


async def asked(server: Serving, model: str, text: str = "Hello", *, path: str = "/v1/messages") -> Reply:
    fields: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
    return await exchange(server.url, post(fields if path == COUNT else {**HELLO, **fields}, path=path))


@pytest.mark.parametrize("kind", [FakeBedrock, FakeBedrockByKey])
@pytest.mark.parametrize("model", [HAIKU, NOVA])
async def test_both_ways_to_ask_answer_and_the_ledger_names_the_request(kind: type[FakeBedrock], model: str) -> None:
    """Its own id is for AWS's support: it is in no header of ours."""
    with kind() as fake:
        async with serving(fake) as server:
            reply = await asked(server, model)
            assert reply.status == 200, reply.body
            assert json.loads(reply.body)["role"] == "assistant"
            assert (reply.header("request-id") or "").startswith("req_")
            assert reply.header("x-amzn-requestid") is None
            await server.settled()
            assert server.rows[-1]["upstream_request_id"] == "0a1b-fake"
            assert fake.key not in server.log
        assert fake.refused == []


COUNT = "/v1/messages/count_tokens"


async def test_a_count_is_bedrocks_or_else_an_estimate() -> None:
    """Pain 16: a model that cannot be counted is no error, and who counted is told."""
    with FakeBedrock() as fake:
        async with serving(fake) as server:
            told = await asked(server, HAIKU, path=COUNT)
            assert told.header("dragoman-count") == "provider"
            assert json.loads(told.body)["input_tokens"] > 0
            assert (await asked(server, HAIKU, path=COUNT)).body == told.body
            assert len(fake.counted) == 1
            ours = await asked(server, "us.anthropic.claude-3-haiku-20240307-v1:0", path=COUNT)
            assert ours.header("dragoman-count") == "estimate"
            assert json.loads(ours.body)["input_tokens"] > 0


async def test_a_key_in_an_error_is_not_handed_on() -> None:
    with FakeBedrockByKey() as fake:
        async with serving(fake) as server:
            reply = await asked(server, HAIKU, "!401")
            assert reply.status == 401, reply.body
            assert fake.key.encode() not in reply.body
            assert b"[key]" in reply.body


async def test_another_dialect_may_be_signed_too() -> None:
    """AWS has addresses that speak the Messages API itself. The fake has none; but it looks at signatures first."""
    with FakeBedrock() as fake:
        async with serving(fake, dialect="messages", path="/anthropic") as server:
            reply = await asked(server, "anthropic.claude-opus-4-8")
            assert reply.status == 404, reply.body
            assert fake.refused == ["/anthropic/v1/messages"]
