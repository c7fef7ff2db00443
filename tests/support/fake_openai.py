"""A provider that speaks Chat Completions on a real socket, and refuses what the reference does not allow: see
fake_provider.py. Words that are its own: ODDITIES."""

import json
from collections.abc import Iterator, Mapping

from fake_openai_rules import Refused, check
from fake_provider import PIECE, THOUGHT, FakeProvider, Handler, Json, wishes

__all__ = ["FakeOpenAI"]

KEY = "sk-fake-openai-key"
TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. Please reduce"
    " the length of the messages."
)
# `code` and `type` of an error.
FAILURES: Mapping[str, tuple[str | None, str]] = {
    "rate_limit": ("rate_limit_exceeded", "requests"),
    "too_long": ("context_length_exceeded", "invalid_request_error"),
    "key": ("invalid_api_key", "invalid_request_error"),
    "no_model": ("model_not_found", "invalid_request_error"),
    "server": (None, "server_error"),
    "overloaded": (None, "server_error"),
}


# Words in the last user's turn that make it do as some servers do: stream what was not to be streamed and the other way
# round, or read less of the prompt than it was given.
ODDITIES = ("!other way", "!cut")


class _Handler(Handler):
    def checked(self, raw: bytes) -> Json:
        if self.path != "/v1/chat/completions":
            raise Refused(f"Invalid URL (POST {self.path})", status=404)
        if self.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused("Incorrect API key provided.", code="invalid_api_key", status=401)
        if self.headers.get("content-type") != "application/json":
            raise Refused("you must provide a JSON body")
        body = json.loads(raw)
        check(body)
        return dict(body)

    def last_text(self, body: Json) -> str:
        return _last_text(body)

    def answer(self, body: Json) -> None:
        message, finish, usage = _reply(body)
        odd = {word for word in ODDITIES if word in self.last_text(body)}
        if "!cut" in odd:
            usage["prompt_tokens"] = 2050
        if bool(body.get("stream")) == ("!other way" in odd):
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            self.whole({**_base(body, "chat.completion"), "choices": [choice], "usage": usage})
            return
        try:
            self._stream(body, message, finish, usage if body.get("stream_options") or odd else None)
        except ConnectionError:
            self.fake.hung_up.set()
            self.close_connection = True

    def _stream(self, body: Json, message: Json, finish: str, usage: Json | None) -> None:
        self.begin()
        for delta in _deltas(message):
            self.chunk({**_base(body), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self.chunk({**_base(body), "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if usage is not None:
            self.chunk({**_base(body), "choices": [], "usage": usage})
        self.event("[DONE]")
        self.end()

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        code, type_ = FAILURES[kind]
        error = {"message": message or TOO_LONG, "type": type_, "param": None, "code": code}
        self.whole({"error": error}, status=status, headers=headers.items())

    def some(self, body: Json) -> None:
        self.begin()
        for text in ("", "Half of", " it"):
            delta = {"role": "assistant", "content": text}
            self.chunk({**_base(body), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

    def error_in_stream(self, message: str) -> None:
        self.chunk({"error": {"message": message, "type": "server_error", "param": None, "code": None}})

    def chunk(self, value: Json) -> None:
        self.event(json.dumps(value, ensure_ascii=False))


class FakeOpenAI(FakeProvider):
    """Chat Completions."""

    handler = _Handler
    key = KEY
    path = "/v1"


# -- the model --


def _base(body: Json, kind: str = "chat.completion.chunk") -> Json:
    return {"id": "chatcmpl-fake", "object": kind, "created": 1_790_000_000, "model": body["model"]}


def _reply(body: Json) -> tuple[Json, str, Json]:
    results = _results(body["messages"])
    calls = [] if body.get("tool_choice") == "none" else _calls(body)
    message: Json = {"role": "assistant", "content": None}
    if "thinker" in body["model"]:
        message["reasoning_content"] = THOUGHT
    if results:
        message["content"] = f"It says: {' | '.join(results)}"
    elif calls:
        message["content"] = "I shall look."
        message["tool_calls"] = calls
    else:
        message["content"] = f"You said: {_last_text(body)}"
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return message, finish, _usage(body, message)


def _calls(body: Json) -> list[Json]:
    turn = len(body["messages"])
    asked = wishes(_last_text(body), (tool["function"]["name"] for tool in body.get("tools", [])))
    return [_call(f"call_{turn}_{at}", *each) for at, each in enumerate(asked)]


def _call(call_id: str, name: str, arguments: Json) -> Json:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}


def _usage(body: Json, message: Json) -> Json:
    prompt, output = len(json.dumps([body["messages"], body.get("tools")])) // 4, len(json.dumps(message)) // 4
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
    }


def _deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    for field in ("reasoning_content", "content"):
        text = message.get(field) or ""
        for start in range(0, len(text), PIECE):
            yield {field: text[start : start + PIECE]}
    calls = message.get("tool_calls", [])
    for at, call in enumerate(calls):
        yield {"tool_calls": [{**call, "index": at, "function": {**call["function"], "arguments": ""}}]}
    longest = max((len(call["function"]["arguments"]) for call in calls), default=0)
    for start in range(0, longest, PIECE):  # of all calls in turns
        for at, call in enumerate(calls):
            if piece := call["function"]["arguments"][start : start + PIECE]:
                yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _results(messages: list[Json]) -> list[str]:
    """Of the tools that were called last, when the model has said nothing since."""
    since = next((at for at in range(len(messages), 0, -1) if messages[at - 1]["role"] == "assistant"), 0)
    return [str(message["content"]) for message in messages[since:] if message["role"] == "tool"]


def _last_text(body: Json) -> str:
    """Of what the user said, not of notes that the system left there."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
            if not text.startswith("<system>"):
                return text
    return ""
