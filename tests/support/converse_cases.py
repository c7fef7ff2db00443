"""What the tests of Converse share: models of each family, requests, and the bodies that are made of them, checked."""

from typing import Any

from bedrock_schema import as_botocore_sends, problems
from translating_cases import Json, body_of, question

from dragoman.providers.bedrock_converse import Converse

__all__ = [
    "CLAUDE",
    "DEEPSEEK",
    "GPT",
    "GPT_OSS",
    "GROK",
    "KIMI",
    "LLAMA",
    "MARK",
    "MINIMAX",
    "MISTRAL",
    "MISTRAL_7B",
    "MODELS",
    "NOVA",
    "NOVA_2",
    "OLD_CLAUDE",
    "PDF",
    "POINT",
    "QWEN",
    "UNKNOWN",
    "history",
    "lost",
    "sent",
    "text",
    "turn",
]

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-5-haiku-20241022-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "us.openai.gpt-5.6-sol"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL_7B = "mistral.mistral-7b-instruct-v0:2"
MISTRAL = "mistral.mistral-large-2402-v1:0"
DEEPSEEK = "deepseek.v3-v1:0"
KIMI = "moonshotai.kimi-k2.5"
MINIMAX = "minimax.minimax-m2.5"
QWEN = "qwen.qwen3-32b-v1:0"
GROK = "global.xai.grok-4.6"
UNKNOWN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
MODELS = (
    CLAUDE, OLD_CLAUDE, NOVA, NOVA_2, GPT, GPT_OSS, LLAMA, MISTRAL_7B, MISTRAL, DEEPSEEK, KIMI, MINIMAX, QWEN, GROK,
    UNKNOWN, "some-model",
)  # fmt: skip
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}
POINT = {"cachePoint": {"type": "default"}}
MARK = {"cache_control": {"type": "ephemeral"}}


def sent(model: str = "some-model", **fields: Any) -> Json:
    """The body, which the service would take, and which AWS's own client would send."""
    request = Converse().translate(question(model, **fields)).request
    body = body_of(request.body)
    operation = "ConverseStream" if request.url.endswith("-stream") else "Converse"
    assert problems(operation, body, model=model) == []
    path, same = as_botocore_sends(operation, body, model=model)
    assert (request.url, body) == (f"https://p.test/v1{path}", same)
    return body


def lost(model: str = "some-model", **fields: Any) -> list[str]:
    return list(Converse().translate(question(model, **fields)).lost)


def turn(role: str, *blocks: Json) -> Json:
    return {"role": role, "content": list(blocks)}


def text(said: str, **more: Any) -> Json:
    return {"type": "text", "text": said, **more}


def history(*blocks: Json, after: str = "go on") -> Json:
    """A conversation in which the assistant said these."""
    return {"messages": [turn("user", text("hi")), turn("assistant", *blocks), turn("user", text(after))]}
