"""Claude on clouds: both adapters, what each is sent, and who says whether it would be taken."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from bedrock_cases import MODELS
from fake_bedrock_claude import check_claude
from fake_vertex_rules import check

from dragoman.providers.base import Adapter, Operation, Target, UpstreamRequest
from dragoman.providers.bedrock import InvokeModel
from dragoman.providers.vertex import RawPredict
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers

__all__ = [
    "BEDROCK", "CLOUDS", "EVERYWHERE", "HI", "VERTEX", "VERTEX_MODELS", "Cloud", "Json", "named", "prepared", "request",
    "sent", "turn",
]  # fmt: skip

Json = dict[str, Any]

HI: Json = {"role": "user", "content": "hi"}
VERTEX_MODELS = ("claude-haiku-4-5@20251001", "claude-opus-4-6", "claude-opus-4-8@20260101", "claude-opus-5-5")


class Cloud(NamedTuple):
    adapter: Adapter
    auth: str
    models: tuple[str, ...]
    must_take: Callable[[UpstreamRequest, str], None]  # raises Refused where it would refuse


def named(request: UpstreamRequest) -> list[str]:
    value = dict(request.headers).get("anthropic-beta")
    return [] if value is None else value.split(",")


BEDROCK = Cloud(InvokeModel(), "aws", MODELS, lambda asked, model: check_claude(json.loads(asked.body), model))
VERTEX = Cloud(RawPredict(), "google", VERTEX_MODELS, lambda asked, m: check(json.loads(asked.body), named(asked), m))
CLOUDS = [pytest.param(BEDROCK, id="bedrock"), pytest.param(VERTEX, id="vertex")]
EVERYWHERE = [pytest.param(cloud, model, id=model) for cloud in (BEDROCK, VERTEX) for model in cloud.models]


def prepared(
    cloud: Cloud, body: Json | bytes, *, model: str = "", betas: str = "", operation: Operation = Operation.MESSAGES
) -> UpstreamRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = Headers([("anthropic-version", "2023-06-01"), *([("anthropic-beta", betas)] if betas else [])])
    target = Target(
        provider="p", model=model or cloud.models[-1], base_url="https://c.test", api_key=None, auth=cloud.auth
    )
    return cloud.adapter.prepare(operation, Envelope(raw), headers, target=target)


def request(**fields: Any) -> Json:
    return {"model": "claude-opus-4-8", "max_tokens": 16_000, "messages": [HI], **fields}


def sent(cloud: Cloud, model: str = "", /, **fields: Any) -> tuple[Json, list[str]]:
    """The body that goes out, and what is lost."""
    asked = prepared(cloud, request(**fields), model=model)
    return json.loads(asked.body), list(asked.lost)


def turn(role: str, *blocks: Json | str) -> Json:
    return {
        "role": role,
        "content": [{"type": "text", "text": each} if isinstance(each, str) else each for each in blocks],
    }
