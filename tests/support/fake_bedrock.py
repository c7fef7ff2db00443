"""Bedrock on a real socket: Claude by InvokeModel, other models by Converse, both with counts. See fake_provider.py.

It takes a signature or a key, nothing that its service model does not have (fake_bedrock_rules.py), and of a body what
the model takes (fake_bedrock_claude.py, fake_bedrock_converse.py). Streams come in frames. Claude thinks where it is
asked to.
"""

import json
from collections.abc import Iterable, Mapping

from bedrock_cases import chunk, chunks_of, exception
from fake_bedrock_claude import check_claude, claude_events, claude_message, last_said
from fake_bedrock_converse import check_converse, converse_events, converse_message, converse_said
from fake_bedrock_rules import Asked, checked, must_be_authorized, refused, routed
from fake_provider import FakeProvider, Handler, Json

from dragoman.providers.eventstream import encode_frame

__all__ = ["FakeBedrock", "FakeBedrockByKey"]

FRAMES = "application/vnd.amazon.eventstream"
TOO_LONG = "prompt is too long: 5000 tokens > 4096 maximum"
# `x-amzn-errortype` and status of an error.
FAILURES: Mapping[str, tuple[str, int]] = {
    "rate_limit": ("ThrottlingException", 429),
    "too_long": ("ValidationException", 400),
    "key": ("UnrecognizedClientException", 403),
    "no_model": ("ResourceNotFoundException", 404),
    "server": ("InternalServerException", 500),
    "overloaded": ("ServiceUnavailableException", 503),
}


class _Handler(Handler):
    asked: Asked  # of this request
    invokes = False  # and Claude answers it, not Converse
    streams = False

    def checked(self, raw: bytes) -> Json | None:
        must_be_authorized(self.path, self.headers, raw, key=self.fake.key)
        self.asked = routed(self.path)
        operation = self.asked.operation.name
        if self.headers.get("content-type") != "application/json":
            raise refused("The Content-Type must be application/json.", status=415)
        self.invokes = operation.startswith("InvokeModel")
        self.streams = operation.endswith("Stream")
        if self.headers.get("accept") != (FRAMES if self.streams else "application/json"):
            raise refused("The accept header does not go with the operation.")
        body: Json = json.loads(raw)
        if operation == "CountTokens":
            self._count(body)
            return None
        if self.invokes:
            self._must_be_claude(body)
        else:
            check_converse(checked(self.asked, body), self.asked.model)
        return body

    def _must_be_claude(self, body: Json) -> None:
        if "anthropic.claude" not in self.asked.model:
            raise refused("Malformed input request, please reformat your input and try again.")
        if self.asked.model.startswith("anthropic."):
            raise refused(f"Invocation of model ID {self.asked.model} with on-demand throughput isn't supported.")
        check_claude(body, self.asked.model)

    def _count(self, body: Json) -> None:
        params = checked(self.asked, body)
        model = self.asked.model
        if not model.startswith("anthropic.") or "claude-3-haiku" in model:  # nor an inference profile, nor an old one
            raise refused("The provided model doesn't support counting tokens.")
        self.fake.counted.append(body)
        inner = params["input"]
        if "invokeModel" in inner:
            asked = json.loads(inner["invokeModel"]["body"])
            check_claude(asked, model)
        else:
            asked = body["input"]["converse"]
            check_converse({**inner["converse"]}, model)
        self.whole({"inputTokens": len(json.dumps([asked["messages"], asked.get("tools")])) // 4})

    def last_text(self, body: Json) -> str:
        return last_said(body) if self.invokes else converse_said(body)

    def answer(self, body: Json) -> None:
        make = claude_message if self.invokes else converse_message
        message = make(body, self.asked.model)
        if not self.streams:
            self.whole(message)
            return
        self.begin(FRAMES)
        if self.invokes:
            self.piece(chunks_of(list(claude_events(message))))
        else:
            for name, told in converse_events(message):
                self.frame(name, told)
        self.end()

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        name, status = FAILURES[kind]
        told = message or TOO_LONG
        if kind == "key":
            told = f"Authentication failed. {told}" if self.fake.tells_key else self.fake.refusal
        self.whole({"message": told}, status=status, headers=[("x-amzn-errortype", name), *headers.items()])

    def some(self, body: Json) -> None:
        self.begin(FRAMES)
        if not self.invokes:
            self.frame("messageStart", {"role": "assistant"})
            for text in ("Half of", " it"):
                self.frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})
            return
        message = claude_message(body, self.asked.model)
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        self.piece(chunk(next(claude_events(message))) + chunk(start))
        for text in ("Half of", " it"):
            delta = {"type": "text_delta", "text": text}
            self.piece(chunk({"type": "content_block_delta", "index": 0, "delta": delta}))

    def error_in_stream(self, message: str) -> None:
        self.piece(exception("internalServerException", message))

    def frame(self, name: str, told: Json) -> None:
        headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        self.piece(encode_frame(headers, json.dumps({**told, "p": "abcdefgh"}, ensure_ascii=False).encode()))

    def whole(self, value: Json, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().whole(value, status=status, headers=[("x-amzn-requestid", "0a1b-fake"), *headers])


class FakeBedrock(FakeProvider):
    """Asked with a signature; `key` is the secret access key, which AWS never repeats: it never sees it."""

    handler = _Handler
    key = "wJalrXUtnFEMIK7MDENGbPxRfiCYFAKEBEDROCK"
    tells_key = False
    refusal = "The security token included in the request is invalid."


class FakeBedrockByKey(FakeBedrock):
    """Asked with a key."""

    key = "ABSKQmVkcm9ja0FQSUtleUZha2U="
    tells_key = True
