"""Signature Version 4, held to botocore's own."""

from datetime import UTC, datetime
from random import Random
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dragoman.providers.base import UpstreamRequest
from dragoman.providers.signing import AwsCredentials, signed

NOW = 1_795_000_000.75  # 2026-11-18
AKID = "AKIDEXAMPLE0123456789"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDK+/=token"
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    def now(remove_tzinfo: bool = True) -> datetime:
        time = datetime.fromtimestamp(NOW, UTC)
        return time.replace(tzinfo=None) if remove_tzinfo else time

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)


def ours(
    url: str = URL, headers: Any = (), body: bytes = b"{}", *, token: str | None = None, **scope: Any
) -> dict[str, str]:
    request = UpstreamRequest(url=url, headers=list(headers), body=body)
    credentials = AwsCredentials(access_key_id=AKID, secret_access_key=SECRET, session_token=token)
    made = signed(request, credentials, **{"region": "us-east-1", "service": "bedrock", "now": NOW} | scope)
    assert (made.url, made.body) == (url, body)
    assert made.headers[: len(request.headers)] == request.headers
    return {name.lower(): value for name, value in made.headers}


def theirs(
    url: str = URL, headers: Any = (), body: bytes = b"{}", *, token: str | None = None, **scope: Any
) -> dict[str, str]:
    request = AWSRequest(method="POST", url=url, headers=dict(headers), data=body)
    where = {"region": "us-east-1", "service": "bedrock"} | scope
    botocore.auth.SigV4Auth(Credentials(AKID, SECRET, token), where["service"], where["region"]).add_auth(request)
    return {name.lower(): str(value) for name, value in request.headers.items()}


MODELS = (
    "anthropic.claude-3-haiku-20240307-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8",
    "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0",
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_model_in_the_path_is_encoded_twice(model: str, token: str | None) -> None:
    url = f"https://bedrock-runtime.eu-west-1.amazonaws.com/model/{quote(model, safe='')}/invoke-with-response-stream"
    headers = [("content-type", "application/json"), ("accept", "application/vnd.amazon.eventstream")]
    assert ours(url, headers, token=token) == theirs(url, headers, token=token)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/model/m/invoke",
        "http://127.0.0.1:80/model/m/invoke",
        "https://host:443/x",
        "https://HOST.example/x",
        "http://[::1]:9000/x",
        "https://host",
        "https://host/",
        "https://host//a///b/",
        "https://host/a/./b/../c",
        "https://host/../..",
        "https://host/a%2Fb%20c/%7Ed~e/f+g/(h)*!'@$&,;=:",
        "https://host/é/日本",
        "https://host/x?b=2&a=1&a=0&c=&d&e=%20f",
    ],
)
def test_hosts_paths_and_queries(url: str) -> None:
    assert ours(url) == theirs(url)


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Odd", "  many   spaces \t inside ")],
        [("x-b", "2"), ("X-A", "1"), ("Content-Type", "application/json; charset=utf-8")],
        [("user-agent", "x"), ("connection", "close"), ("transfer-encoding", "chunked"), ("x-amzn-trace-id", "Root=1")],
        [("x-empty", "")],
        [("x-amzn-bedrock-accept", "application/json"), ("te", "trailers"), ("traceparent", "00-1")],
    ],
)
def test_headers(headers: list[tuple[str, str]]) -> None:
    assert ours(headers=headers) == theirs(headers=headers)


def test_what_authorization_there_was_is_replaced() -> None:
    old = [("Authorization", "Bearer x"), ("X-Amz-Date", "19700101T000000Z"), ("X-Amz-Security-Token", "old")]
    request = UpstreamRequest(url=URL, headers=[*old, ("x-kept", "1")], body=b"")
    credentials = AwsCredentials(access_key_id=AKID, secret_access_key=SECRET)
    made = signed(request, credentials, region="us-east-1", service="bedrock", now=NOW)
    assert [name.lower() for name, _ in made.headers] == ["x-kept", "x-amz-date", "authorization"]
    assert dict(made.headers)["authorization"] == theirs(headers=[("x-kept", "1")], body=b"")["authorization"]


def test_many_requests_of_all_kinds() -> None:
    rng = Random("signing")
    letters = "aZ09-._~%/:+ é日'()*!$&,;=@"
    for _ in range(300):
        path = quote("".join(rng.choice(letters) for _ in range(rng.randint(0, 30))), safe=rng.choice(("", "/", "/:%")))
        host = rng.choice(("h.test", "127.0.0.1:8123", "h.test:443"))
        url = f"https://{host}/{path}"
        headers = [(f"x-{n}", rng.choice(("", "v", " a  b ", "é"))) for n in range(rng.randint(0, 4))]
        body = rng.randbytes(rng.randint(0, 50))
        token = rng.choice((None, TOKEN))
        scope = {"region": rng.choice(("us-east-1", "eu-west-3")), "service": rng.choice(("bedrock", "bedrock-mantle"))}
        assert ours(url, headers, body, token=token, **scope) == theirs(url, headers, body, token=token, **scope)


def test_no_repr_tells_a_secret() -> None:
    """Pain 79."""
    credentials = AwsCredentials(access_key_id=AKID, secret_access_key=SECRET, session_token=TOKEN)
    told = f"{credentials!r} {credentials} {[credentials]}"
    assert all(secret not in told for secret in (AKID, SECRET, TOKEN))
    assert "AKID" in told
