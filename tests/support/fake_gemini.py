"""A provider that speaks Gemini's generateContent on a real socket, and refuses what the service does not take: see
fake_provider.py.

As the service does, it calls tools and ends with STOP; tells usage in every chunk, each time the whole; ends its lines
with CRLF, and a stream with nothing but the end of the body. Its models sign the first call of a step from Gemini 3 on,
and know their signatures again; those whose name holds "thinker" tell what they think where that is asked for. With
`googleSearch` they search for what they are told to ("Search the web for cats"), and where functions stand beside it,
they miss their search in the history of a call that they made with it. Without, they call Claude Code's `WebSearch`.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fake_gemini_rules import Refused, check, check_count, version_of
from fake_provider import PIECE, THOUGHT, FakeProvider, Handler, Json, wishes

__all__ = ["BYPASS", "FakeGemini", "signature_of"]

KEY = "AIza-fake-gemini-key"
PATH = re.compile(r"/v1beta/models/([^/:?]+):(generateContent|streamGenerateContent\?alt=sse|countTokens)")
BYPASS = "skip_thought_signature_validator"
SEARCH = re.compile(r"(?:[Ss]earch the web for|web search for the query:) (\w+)")  # the second: Claude Code's
WITH_SEARCH = "fs-"  # ids of calls that stand behind a search begin so
TOO_LONG = "The input token count (5000) exceeds the maximum number of tokens allowed (4096)."
RPC = "type.googleapis.com/google.rpc."
# `status` and `details` of an error; with a key that is none, the status is 400.
FAILURES: Mapping[str, tuple[str, list[Json]]] = {
    "rate_limit": ("RESOURCE_EXHAUSTED", [{"@type": f"{RPC}RetryInfo", "retryDelay": "7s"}]),
    "too_long": ("INVALID_ARGUMENT", []),
    "key": (
        "INVALID_ARGUMENT",
        [{"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}],
    ),
    "no_model": ("NOT_FOUND", []),
    "server": ("INTERNAL", []),
    "overloaded": ("UNAVAILABLE", []),
}


class _Handler(Handler):
    model = ""  # of this request
    streams = False

    def checked(self, raw: bytes) -> Json | None:
        found = PATH.fullmatch(self.path)
        if found is None:
            raise Refused(f"No such method: POST {self.path}", status=404, name="NOT_FOUND")
        if self.headers.get("x-goog-api-key") != KEY or "authorization" in self.headers:
            raise Refused("API key not valid. Please pass a valid API key.", status=400)
        if self.headers.get("content-type") != "application/json":
            raise Refused("Invalid JSON payload received.")
        self.model, method = found[1], found[2]
        if not self.model.startswith(("gemini-", "gemma-")):
            raise Refused(f"models/{self.model} is not found for API version v1beta.", status=404, name="NOT_FOUND")
        self.streams = method.startswith("stream")
        body = json.loads(raw)
        if method == "countTokens":
            asked = check_count(body, self.model)
            self.fake.counted.append(body)
            self.whole({"totalTokens": _tokens(asked)})
            return None
        check(body, self.model)
        _check_signatures(body, self.model)
        _check_searches(body)
        return dict(body)

    def last_text(self, body: Json) -> str:
        return _last_text(body)

    def answer(self, body: Json) -> None:
        parts = _reply(body, self.model)
        usage = _usage(body, parts, thinks="thinker" in self.model)
        if not self.streams:
            self.whole(_chunk(self.model, parts, usage, **_end(body)))
            return
        self.begin("text/event-stream")
        for part in _pieces(parts):
            self.chunk(_chunk(self.model, [part], {"promptTokenCount": usage["promptTokenCount"]}))
        self.chunk(_chunk(self.model, [{"text": ""}], usage, **_end(body)))
        self.end()

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        name, details = FAILURES[kind]
        code = 400 if kind == "key" else status
        error: Json = {"code": code, "message": message or TOO_LONG, "status": name}
        self.whole({"error": {**error, "details": details} if details else error}, status=code)

    def some(self, body: Json) -> None:
        self.begin("text/event-stream")
        for text in ("Half of", " it"):
            self.chunk(_chunk(self.model, [{"text": text}], {"promptTokenCount": _tokens(body)}))

    def error_in_stream(self, message: str) -> None:
        self.chunk({"error": {"code": 500, "message": message, "status": "INTERNAL"}})

    def chunk(self, value: Json) -> None:
        self.piece(f"data: {json.dumps(value, ensure_ascii=False)}\r\n\r\n".encode())


class FakeGemini(FakeProvider):
    """Gemini's own API, v1beta."""

    handler = _Handler
    key = KEY
    path = "/v1beta"


# -- signatures --


def signature_of(model: str, call_id: str) -> str:
    """Long, as they are, with every character of base64."""
    said = f"{model}|{call_id}|".encode()
    return base64.b64encode(said + bytes(range(256)) * 4).decode()


def _check_signatures(body: Json, model: str) -> None:
    """What stands on a call is what this model signed it with, or the value for calls of others."""
    for part in (part for content in body["contents"] for part in content["parts"]):
        for kind in ("functionCall", "toolCall", "toolResponse"):
            if kind not in part:
                continue
            right = {signature_of(model, part[kind].get("id"))} | ({None, BYPASS} if kind == "functionCall" else set())
            if part.get("thoughtSignature") not in right:
                raise Refused("Thought signature is not valid.")


def _check_searches(body: Json) -> None:
    """A search goes back with its response, and with the call of its turn; not where it is another model's."""
    together = body.get("toolConfig", {}).get("includeServerSideToolInvocations", False)
    for parts in (content["parts"] for content in body["contents"]):
        calls = [part["toolCall"]["id"] for part in parts if "toolCall" in part]
        if calls != [part["toolResponse"]["id"] for part in parts if "toolResponse" in part]:
            raise Refused("Please ensure that each tool call is followed by its tool response.")
        signed = [part for part in parts if part.get("thoughtSignature", BYPASS) != BYPASS]
        own = [part["functionCall"]["id"] for part in signed if "functionCall" in part]
        if together and not calls and any(call_id.startswith(WITH_SEARCH) for call_id in own):
            raise Refused("Please ensure that tool calls and responses are returned in full.")


# -- the model --


def _chunk(model: str, parts: list[Json], usage: Json, **end: Any) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0, **end}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "fake"}


def _end(body: Json) -> Json:
    """What the last chunk tells of the candidate."""
    if (query := _query(body)) is None:
        return {"finishReason": "STOP"}
    page = {"web": {"uri": f"https://redirect.test/{query}", "title": f"{query}.test"}}
    support = {"segment": {"endIndex": 4, "text": "It s"}, "groundingChunkIndices": [0]}
    told = {"webSearchQueries": [query], "groundingChunks": [page], "groundingSupports": [support]}
    return {"finishReason": "STOP", "groundingMetadata": told}


def _reply(body: Json, model: str) -> list[Json]:
    thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
    parts: list[Json] = []
    if "thinker" in model and thinking.get("includeThoughts"):
        parts.append({"text": THOUGHT, "thought": True})
    if results := _results(body):
        return [*parts, {"text": f"It says: {' | '.join(results)}"}]
    query = _query(body)
    if query is not None and body.get("toolConfig", {}).get("includeServerSideToolInvocations"):
        parts += _searching(query, model)
    if calls := _calls(body, model, prefix="fc-" if query is None else WITH_SEARCH):
        return [*parts, {"text": "I shall look."}, *calls]
    return [*parts, {"text": f"You said: {_last_text(body)}" if query is None else f"The web tells of {query}."}]


def _query(body: Json) -> str | None:
    """What is to be searched for, where it can be."""
    if not any("googleSearch" in tool for tool in body.get("tools", [])) or _results(body):
        return None
    found = SEARCH.search(_last_text(body))
    return None if found is None else found[1]


def _searching(query: str, model: str) -> list[Json]:
    told: list[Json] = [
        {"toolCall": {"args": {"queries": [query]}}},
        {"toolResponse": {"response": {"found": "<div>"}}},
    ]
    for part in told:
        (inner,) = part.values()
        inner |= {"toolType": "GOOGLE_SEARCH_WEB", "id": f"search-{query}"}
        part["thoughtSignature"] = signature_of(model, inner["id"])
    return told


def _calls(body: Json, model: str, *, prefix: str) -> list[Json]:
    """All in one turn, of which the first is signed; with ids from Gemini 3 on."""
    mode = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode", "AUTO")
    names = [each["name"] for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])]
    asked = [] if mode == "NONE" else wishes(_last_text(body), names)
    if mode != "NONE" and "WebSearch" in names and (found := SEARCH.search(_last_text(body))):
        asked.append(("WebSearch", {"query": found[1]}))
    calls: list[Json] = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in asked]
    if version_of(model) < (3, 0):
        return calls
    for at, part in enumerate(calls):
        part["functionCall"]["id"] = f"{prefix}{len(body['contents'])}-{at}"
        if at == 0:
            part["thoughtSignature"] = signature_of(model, part["functionCall"]["id"])
    return calls


def _pieces(parts: list[Json]) -> Iterator[Json]:
    for part in parts:
        if "text" not in part:
            yield part
            continue
        text = part["text"]
        for start in range(0, len(text), PIECE):
            yield {**part, "text": text[start : start + PIECE]}


def _usage(body: Json, parts: list[Json], *, thinks: bool) -> Json:
    prompt, output = _tokens(body), len(json.dumps(parts)) // 4
    thought = 5 if thinks else 0
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output,
        "totalTokenCount": prompt + output + thought,
        "cachedContentTokenCount": prompt // 2,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    return usage | ({"thoughtsTokenCount": thought} if thinks else {})


def _tokens(body: Json) -> int:
    read = {name: body[name] for name in ("contents", "tools", "systemInstruction") if name in body}
    return len(json.dumps(read)) // 4


def _results(body: Json) -> list[str]:
    """Of the functions that were called last."""
    last: list[Any] = body["contents"][-1]["parts"]
    answers = [part["functionResponse"]["response"] for part in last if "functionResponse" in part]
    return [str(answer.get("output", answer.get("error"))) for answer in answers]


def _last_text(body: Json) -> str:
    last = next(content for content in reversed(body["contents"]) if content["role"] == "user")
    return " ".join(part["text"] for part in last["parts"] if "text" in part)
