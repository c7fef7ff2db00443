"""Vertex AI on a real socket: Claude by rawPredict, Gemini by generateContent, and the endpoint that gives out tokens.
It refuses what the service does not take: see fake_provider.py, fake_vertex_rules.py and fake_gemini_rules.py.

A token is given for a JWT that the service account has signed for this endpoint, and lives for a moment, so that
refreshing is seen. Claude's streams hold a `vertex_event` and a ping; errors come in Google's form, some in an array,
and in Claude's own.
"""

import functools
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from fake_gemini import FakeGemini
from fake_gemini_rules import version_of
from fake_provider import PIECE, THOUGHT, FakeProvider, Json, Refused, wishes
from fake_vertex_rules import anthropic_error, check, check_count, signature

__all__ = ["FakeVertex", "FakeVertexGemini", "KeyPair", "key_pair", "unmarked"]

KEY = "ya29.fake-google-token"
EMAIL = "dragoman@fake-project.iam.gserviceaccount.com"
ROOT = "/v1/projects/fake-project/locations/us-east5"
PATH = re.compile(rf"{ROOT}/publishers/(anthropic|google)/models/([a-zA-Z0-9._@-]+):(\w+)((?:\?alt=sse)?)")
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"  # of assertions, wherever they are sent: google-auth writes it so
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential."
)
TOO_LONG = "prompt is too long: 5000 tokens > 4096 maximum"
NAMES = {
    "rate_limit": "RESOURCE_EXHAUSTED",
    "key": "UNAUTHENTICATED",
    "no_model": "NOT_FOUND",
    "server": "INTERNAL",
    "overloaded": "UNAVAILABLE",
}
LIFE_S = 2  # of a token
GRACE_S = 10.0  # for requests that were signed in its last moment, on a machine that is busy


class KeyPair(NamedTuple):
    """In PEM."""

    private: str
    public: str


@functools.cache
def key_pair() -> KeyPair:
    """Made anew in each run: no key lies in this repository."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private.decode(), public.decode())


class GoogleRefused(Refused):
    """An error of Google's form."""

    def __init__(self, message: str, *, status: int, name: str) -> None:
        error = {"code": status, "message": message, "status": name}
        super().__init__(message, body={"error": error}, status=status)


class _Handler(FakeGemini.handler):  # type: ignore[name-defined, misc]
    is_claude = False

    def checked(self, raw: bytes) -> Json | None:
        if self.path == "/token":
            self.grant(raw)
            return None
        self.authorize()
        found = PATH.fullmatch(self.path)
        if found is None:
            raise GoogleRefused(f"Not Found: POST {self.path}", status=404, name="NOT_FOUND")
        publisher, self.model, method, sse = found.groups()
        self.is_claude = publisher == "anthropic"
        return self.claude(raw, method) if self.is_claude else self.gemini(raw, method + sse)

    def grant(self, raw: bytes) -> None:
        """A token for a signed assertion; the checks are google-auth's own."""
        from google.auth import exceptions, jwt

        form = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        try:
            claims = jwt.decode(form["assertion"], certs=key_pair().public, audience=AUDIENCE)
        except (ValueError, exceptions.GoogleAuthError) as error:
            claims, told = {}, str(error)
        else:
            told = "Invalid JWT: wrong issuer or scope."
        if form["grant_type"] == GRANT and (claims.get("iss"), claims.get("scope")) == (EMAIL, SCOPE):
            self.whole(self.fake.granted())
        else:
            self.whole({"error": "invalid_grant", "error_description": told}, status=400)

    def authorize(self) -> None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.fake.is_good(token):
            raise GoogleRefused(UNAUTHENTICATED, status=401, name="UNAUTHENTICATED")
        if "x-api-key" in self.headers or self.headers.get("content-type") != "application/json":
            raise GoogleRefused("Invalid headers.", status=400, name="INVALID_ARGUMENT")

    # -- Gemini --

    def gemini(self, raw: bytes, method: str) -> Json | None:
        """As its own API, but for the address, the key, and what a body may hold."""
        body = json.loads(raw)
        for content in body.get("contents", []):
            for part in content["parts"]:
                self.check_part(part)
        if method == "countTokens":
            raw = json.dumps({"generateContentRequest": {"model": f"models/{self.model}", **body}}).encode()
        self.path = f"/v1beta/models/{self.model}:{method}"
        del self.headers["authorization"]
        self.headers["x-goog-api-key"] = FakeGemini.key
        checked: Json | None = super().checked(raw)
        return checked

    def check_part(self, part: Json) -> None:
        for name in ("functionCall", "functionResponse"):
            if "id" in part.get(name, {}) and version_of(self.model) < (3, 0):
                told = f"Invalid JSON payload received. Unknown name \"id\" at 'contents[0].parts[0].{name}'"
                raise GoogleRefused(told, status=400, name="INVALID_ARGUMENT")
        if "fileData" in part and not part["fileData"].get("mimeType"):
            told = "Unable to submit request because it must have a mimeType parameter."
            raise GoogleRefused(told, status=400, name="INVALID_ARGUMENT")

    # -- Claude --

    def claude(self, raw: bytes, method: str) -> Json | None:
        body = json.loads(raw)
        named = self.headers.get("anthropic-beta")
        betas = [] if named is None else [each.strip() for each in named.split(",")]
        if self.model == "count-tokens" and method == "rawPredict":
            check_count(body, betas)
            self.fake.counted.append(body)
            self.whole({"input_tokens": _tokens(body)})
            return None
        if not self.model.startswith("claude-") or method != (
            "streamRawPredict" if body.get("stream") else "rawPredict"
        ):
            told = f"Publisher Model `publishers/anthropic/models/{self.model}` was not found."
            raise GoogleRefused(told, status=404, name="NOT_FOUND")
        check(body, betas, self.model)
        return dict(body)

    def last_text(self, body: Json) -> str:
        return _last_text(body) if self.is_claude else super().last_text(body)

    def answer(self, body: Json) -> None:
        if not self.is_claude:
            super().answer(body)
            return
        message = _message(body, self.model)
        if not body.get("stream"):
            self.whole(message)
            return
        self.begin()
        for event in _events(message):
            self.told(event)
        self.end()

    def told(self, event: Json) -> None:
        self.event(json.dumps(event, ensure_ascii=False), event["type"])

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        if kind == "too_long":
            if self.is_claude:
                self.whole(anthropic_error("invalid_request_error", TOO_LONG), status=status)
            else:
                super().fail(status, message, kind=kind, headers=headers)
            return
        told = UNAUTHENTICATED if kind == "key" else message
        error = {"error": {"code": status, "message": told, "status": NAMES[kind]}}
        self.sent(json.dumps([error] if kind == "server" else error), status=status, headers=headers)

    def sent(self, text: str, *, status: int, headers: Mapping[str, str]) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def some(self, body: Json) -> None:
        if not self.is_claude:
            super().some(body)
            return
        self.begin()
        message = _message(body, self.model) | {"content": [{"type": "text", "text": "Half of it"}]}
        for event in _events(message):
            if event["type"] == "content_block_stop":
                return
            self.told(event)

    def error_in_stream(self, message: str) -> None:
        if not self.is_claude:
            super().error_in_stream(message)
            return
        self.told(anthropic_error("api_error", message) | {"type": "error"})


class FakeVertex(FakeProvider):
    """`grants` counts the tokens that were given out."""

    handler = _Handler
    key = KEY
    path = ROOT

    def __init__(self) -> None:
        super().__init__()
        self.grants = 0
        self.life_s = LIFE_S
        self.token_uri = self.url.removesuffix(ROOT) + "/token"
        self._ends: dict[str, float] = {}  # of tokens, on the monotonic clock
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory()
        self.credentials_file = Path(self._folder.name) / "account.json"
        self.credentials_file.write_text(json.dumps(self.account()))

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._folder.cleanup()

    def account(self) -> Json:
        """What a service account's file holds."""
        return {
            "type": "service_account",
            "project_id": "fake-project",
            "private_key_id": "fake",
            "private_key": key_pair().private,
            "client_email": EMAIL,
            "token_uri": self.token_uri,
        }

    def granted(self) -> Json:
        with self._lock:
            self.grants += 1
            token = f"{KEY}-{self.grants}"
            self._ends[token] = time.monotonic() + self.life_s
        return {"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"}

    def take_back(self) -> None:
        """No token that was given out so far is good any more."""
        with self._lock:
            self._ends.clear()

    def is_good(self, token: str) -> bool:
        return time.monotonic() < self._ends.get(token, 0.0) + GRACE_S


class FakeVertexGemini(FakeVertex):
    """The same; a row of its own in fakes.py."""


# -- Claude, the model --


def unmarked(messages: list[Json]) -> list[Json]:
    """As a cache sees them: without its own marks, which move on as a conversation grows, and texts as blocks."""
    return [{"role": message["role"], "content": _unmarked(_blocks(message))} for message in messages]


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    if isinstance(value, dict):
        return {name: _unmarked(inner) for name, inner in value.items() if name != "cache_control"}
    return value


def _message(body: Json, model: str) -> Json:
    results, calls = _results(body["messages"]), _calls(body)
    content: list[Json] = []
    if "thinker" in model:
        content.append({"type": "thinking", "thinking": THOUGHT, "signature": signature(THOUGHT, model)})
    if results:
        content.append({"type": "text", "text": f"It says: {' | '.join(results)}"})
    elif calls:
        content += [{"type": "text", "text": "I shall look."}, *calls]
    else:
        content.append({"type": "text", "text": f"You said: {_last_text(body)}"})
    prompt = _tokens(body)
    return {
        "id": "msg_vrtx_011Fake",
        "type": "message",
        "role": "assistant",
        "model": model.partition("@")[0],
        "content": content,
        "stop_reason": "tool_use" if calls and not results else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": prompt - prompt // 2,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": prompt // 2,
            "output_tokens": len(json.dumps(content)) // 4,
        },
    }


def _events(message: Json) -> Iterator[Json]:
    usage = message["usage"]
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "vertex_event", "usage": {"input_tokens": usage["input_tokens"], "output_tokens": 1, "tiers": {}}}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        empty, deltas = _in_pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "vertex_event", "usage": {**usage, "tiers": {}}}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _in_pieces(block: Json) -> tuple[Json, list[Json]]:
    """A block as it starts, and its deltas."""
    if block["type"] == "tool_use":
        text = json.dumps(block["input"], ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": each} for each in ("", *_cut(text))]
        return {**block, "input": {}}, deltas
    name = block["type"]
    deltas = [{"type": f"{name}_delta", name: each} for each in _cut(block[name])]
    if name == "thinking":
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": name, "thinking": "", "signature": ""}, deltas
    return {"type": name, "text": ""}, deltas


def _cut(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _tokens(body: Json) -> int:
    read = {name: body[name] for name in ("messages", "tools", "system") if name in body}
    return len(json.dumps(read)) // 4


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _results(messages: list[Json]) -> list[str]:
    """Of the tools that were called last, when the model has said nothing since."""
    last = [message for message in messages if message["role"] != "system"][-1]
    results = [block.get("content", "") for block in _blocks(last) if block["type"] == "tool_result"]
    return [each if isinstance(each, str) else " ".join(part.get("text", "") for part in each) for each in results]


def _calls(body: Json) -> list[Json]:
    if body.get("tool_choice", {}).get("type") == "none":
        return []
    turn = len(body["messages"])
    asked = wishes(_last_text(body), (tool["name"] for tool in body.get("tools", [])))
    return [
        {"type": "tool_use", "id": f"toolu_vrtx_{turn}_{at}", "name": name, "input": arguments}
        for at, (name, arguments) in enumerate(asked)
    ]


def _last_text(body: Json) -> str:
    last = next(message for message in reversed(body["messages"]) if message["role"] == "user")
    return " ".join(block["text"] for block in _blocks(last) if block["type"] == "text")
