"""A provider that speaks OpenAI's Responses API on a real socket, and refuses what it would not take: see
fake_provider.py, and fake_responses_rules.py for what that is.

Its models that reason think first, and give what they thought encrypted; if that is asked for, a summary too. One that
is offered `web_search` uses it when it is told to "search for WORD": it searches, opens a page, and cites it. Words
beside those of FAULTS: "!failed", "!late" (the prompt is too long, which is told under status 200), "!incomplete",
"!filtered", "!refusal", "!ponders" (it thinks, and says nothing).
"""

import base64
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from fake_provider import PIECE, THOUGHT, FakeProvider, Handler, Json, wishes
from fake_responses_rules import THOUGHT_OUT, Refused, check, check_count, reasons, unsealed

__all__ = ["FakeResponses"]

KEY = "sk-fake-responses-key"
SECRET = b"of the fake"
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
# `code` and `type` of an error.
FAILURES: Mapping[str, tuple[str | None, str]] = {
    "rate_limit": ("rate_limit_exceeded", "tokens"),
    "too_long": ("context_length_exceeded", "invalid_request_error"),
    "key": ("invalid_api_key", "invalid_request_error"),
    "no_model": ("model_not_found", "invalid_request_error"),
    "server": ("server_error", "server_error"),
    "overloaded": ("server_is_overloaded", "service_unavailable_error"),
}
ERRORS = {
    "!failed": ("server_error", "The server had an error while processing your request."),
    "!late": ("context_length_exceeded", TOO_LONG),
}
PARTIAL = {"!incomplete": "max_output_tokens", "!filtered": "content_filter"}
REFUSAL = "I'm sorry, I cannot help with that."
SEARCH = re.compile(r"search for (\w+)", re.IGNORECASE)
PHASED = re.compile(r"gpt-5\.3-codex|gpt-5\.[4-9]|gpt-[6-9]")
# The list of an item's pieces -> the event that tells one, and the field in which it does.
BLANK = {"message": {"content": []}, "function_call": {"arguments": ""}, "reasoning": {"summary": []}}


class _Handler(Handler):
    def checked(self, raw: bytes) -> Json | None:
        if self.path not in ("/v1/responses", "/v1/responses/input_tokens"):
            raise Refused(f"Invalid URL (POST {self.path})", status=404)
        if self.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused("Incorrect API key provided.", code="invalid_api_key", status=401)
        if self.headers.get("content-type") != "application/json":
            raise Refused("We could not parse the JSON body of your request.")
        body = json.loads(raw)
        if self.path == "/v1/responses":
            check(body, unseal)
            return dict(body)
        check_count(body, unseal)
        self.fake.counted.append(body)
        self.whole({"object": "response.input_tokens", "input_tokens": _prompt_tokens(body)})
        return None

    def last_text(self, body: Json) -> str:
        return _last_text(body)

    def answer(self, body: Json) -> None:
        asked = _last_text(body)
        if "!ponders" in asked:
            self.ponder(body)
            return
        for word, (code, message) in ERRORS.items():
            if word in asked:
                self.ended(body, [], {"status": "failed", "error": {"code": code, "message": message}})
                return
        for word, reason in PARTIAL.items():
            if word in asked:
                half = [{**_message(_Ids(body), body, "Half of it"), "status": "incomplete"}]
                self.ended(body, half, {"status": "incomplete", "incomplete_details": {"reason": reason}})
                return
        self.ended(body, _output(body), {"status": "completed"})

    def ended(self, body: Json, output: list[Json], how: Json) -> None:
        """The whole of a response, or the events of one."""
        usage = None if how["status"] == "failed" else _usage(body, output)
        response = {**_response(body), **how, "output": output, "usage": usage}
        if not body.get("stream"):
            self.whole(response)
            return
        self.begin()
        for event in _events(body, output, response):
            self.tell(event)
        self.end()

    def ponder(self, body: Json) -> None:
        self.begin()
        thought = {"id": "rs_fake", "type": "reasoning", "summary": []}
        for event in itertools.islice(_events(body, [thought], {}), 3):
            self.tell(event)
        self.wait_for_the_end()

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        code, type_ = FAILURES[kind]
        param = "input" if kind == "too_long" else None
        error = {"message": message or TOO_LONG, "type": type_, "param": param, "code": code}
        self.whole({"error": error}, status=status, headers=headers.items())

    def some(self, body: Json) -> None:
        self.begin()
        message = _message(_Ids(body), body, "Half of it")
        for event in _events(body, [message], {}):
            self.tell(event)
            if event["type"].endswith(".delta") and event["sequence_number"] >= 5:
                return

    def error_in_stream(self, message: str) -> None:
        self.tell({"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": 6})

    def tell(self, event: Json) -> None:
        self.event(json.dumps(event, ensure_ascii=False), event["type"])


class FakeResponses(FakeProvider):
    """The Responses API."""

    handler = _Handler
    key = KEY
    path = "/v1"


# -- what is encrypted --


def seal(value: Json) -> str:
    """As opaque to others as what is really encrypted."""
    data = json.dumps(value, sort_keys=True).encode()
    return f"gAAAAA{base64.urlsafe_b64encode(_digest(data) + data).decode()}"


def unseal(text: str) -> Json | None:
    """What `seal` was given; None for anything else."""
    try:
        told = base64.urlsafe_b64decode(text.removeprefix("gAAAAA"))
    except ValueError:
        return None
    digest, data = told[:16], told[16:]
    return dict(json.loads(data)) if data and digest == _digest(data) else None


def _digest(data: bytes) -> bytes:
    return blake2b(data, key=SECRET, digest_size=16).digest()


# -- the model --


class _Ids:
    """Ids that are new in the conversation, and the same for the same one."""

    def __init__(self, body: Json) -> None:
        self._turn = len(body["input"])
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_fake{self._turn}x{self._count}"


def _output(body: Json) -> list[Json]:
    ids = _Ids(body)
    said = _said(body, ids)
    if not _thinks(body):
        return said
    thought = [item for each in said for item in _with_thought(each, body, ids)]
    return thought if any(item["type"] == "web_search_call" for item in said) else [thought[0], *said]


def _thinks(body: Json) -> bool:
    return reasons(body["model"]) and (body.get("reasoning") or {}).get("effort") != "none"


def _said(body: Json, ids: _Ids) -> list[Json]:
    asked, results = _last_text(body), _results(body["input"])
    may_call = body.get("tool_choice") != "none"
    kinds = {tool["type"] for tool in body.get("tools") or ()}
    if results:
        return [_message(ids, body, f"It says: {' | '.join(results)}")]
    if "!refusal" in asked:
        return [_refusal(ids)]
    if may_call and "web_search" in kinds and (found := SEARCH.search(asked)):
        return _searched(found[1], body, ids)
    calls = wishes(asked, (tool.get("name", "") for tool in body.get("tools") or ())) if may_call else []
    if calls:
        return [_message(ids, body, "I shall look.", last=False), *(_call(ids, *each) for each in calls)]
    return [_message(ids, body, f"You said: {asked}")]


def _with_thought(item: Json, body: Json, ids: _Ids) -> list[Json]:
    """An item behind the reasoning that led to it."""
    thought: Json = {"id": ids.new("rs"), "type": "reasoning", "summary": []}
    if (body.get("reasoning") or {}).get("summary"):
        thought["summary"] = [{"type": "summary_text", "text": THOUGHT}]
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        made = {"id": thought["id"], "model": body["model"], "before": unsealed(item)}
        thought["encrypted_content"] = seal(made)
    return [thought, item]


def _message(ids: _Ids, body: Json, text: str, *, last: bool = True, cited: tuple[Json, ...] = ()) -> Json:
    part = {"type": "output_text", "annotations": list(cited), "logprobs": [], "text": text}
    phase = {"phase": "final_answer" if last else "commentary"} if PHASED.match(body["model"]) else {}
    message = {"id": ids.new("msg"), "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    return {**message, **phase}


def _refusal(ids: _Ids) -> Json:
    part = {"type": "refusal", "refusal": REFUSAL}
    return {"id": ids.new("msg"), "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def _call(ids: _Ids, name: str, arguments: Json) -> Json:
    call_id, said = ids.new("call"), json.dumps(arguments, ensure_ascii=False)
    call = {"type": "function_call", "status": "completed", "name": name, "call_id": call_id, "arguments": said}
    return {"id": ids.new("fc"), **call}


def _searched(word: str, body: Json, ids: _Ids) -> list[Json]:
    urls = [f"https://{place}.test/{word}" for place in ("news", "paper")]
    search: Json = {"type": "search", "query": word, "queries": [word, f"{word} today"]}
    if "web_search_call.action.sources" in (body.get("include") or ()):
        search["sources"] = [{"type": "url", "url": url} for url in urls]
    opened = {"type": "open_page", "url": urls[0]}
    link = f"([news.test]({urls[0]}))"
    text = f"All is well with {word}. {link} More tomorrow. 🗞"
    start = text.index(link)
    place = {"start_index": start, "end_index": start + len(link)}
    cited: Json = {"type": "url_citation", **place, "title": f"All about {word}", "url": urls[0]}
    calls = [
        {
            "id": ids.new(THOUGHT_OUT if _thinks(body) else "ws"),
            "type": "web_search_call",
            "status": "completed",
            "action": action,
        }
        for action in (search, opened)
    ]
    return [*calls, _message(ids, body, text, cited=(cited,))]


def _results(items: list[Json]) -> list[str]:
    """Of the tools that were called last, when the model has said nothing since."""
    since = next((at for at in range(len(items), 0, -1) if items[at - 1].get("role") == "assistant"
                  or items[at - 1].get("type") in ("function_call", "reasoning")), 0)  # fmt: skip
    return [_text_of(item["output"]) for item in items[since:] if item.get("type") == "function_call_output"]


def _last_text(body: Json) -> str:
    for item in reversed(body["input"]):
        if item.get("role") == "user":
            return _text_of(item["content"])
    return ""


def _text_of(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


# -- what is told of it --


def _prompt_tokens(body: Json) -> int:
    told = [body.get(name) or "" for name in ("instructions", "input", "tools")]
    return len(json.dumps(told)) // 4


def _usage(body: Json, output: list[Json]) -> Json:
    prompt, said = _prompt_tokens(body), len(json.dumps(output)) // 4
    thought = sum(item["type"] == "reasoning" for item in output)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": prompt // 2, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": prompt + said,
    }


def _response(body: Json) -> Json:
    """As it stands before anything is said."""
    reasoning = body.get("reasoning") or {}
    return {
        "id": "resp_fake", "object": "response", "created_at": 1_790_000_000, "status": "in_progress",
        "background": False, "error": None, "incomplete_details": None, "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"), "max_tool_calls": body.get("max_tool_calls"),
        "model": body["model"], "output": [], "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None, "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": "default", "store": False, "temperature": body.get("temperature", 1.0),
        "text": body.get("text", {"format": {"type": "text"}, "verbosity": "medium"}),
        "tool_choice": body.get("tool_choice", "auto"), "tools": body.get("tools", []), "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0), "truncation": "disabled", "usage": None, "user": None, "metadata": {},
    }  # fmt: skip


def _events(body: Json, output: list[Json], response: Json) -> Iterator[Json]:
    """All events of a stream, numbered."""
    for number, event in enumerate(_unnumbered(body, output, response)):
        yield {**event, "sequence_number": number}


def _unnumbered(body: Json, output: list[Json], response: Json) -> Iterator[Json]:
    for kind in ("created", "in_progress"):
        yield {"type": f"response.{kind}", "response": _response(body)}
    for at, item in enumerate(output):
        begun = {**item, "status": "in_progress", **BLANK.get(item["type"], {})}
        if item["type"] == "reasoning":
            begun = {key: value for key, value in begun.items() if key not in ("status", "encrypted_content")}
        if item["type"] == "web_search_call":
            begun["action"] = {"type": item["action"]["type"]}
        yield {"type": "response.output_item.added", "output_index": at, "item": begun}
        yield from _pieces(item, {"output_index": at, "item_id": item["id"]})
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    if response:
        yield {"type": f"response.{response['status']}", "response": response}


def _pieces(item: Json, where: Json) -> Iterator[Json]:
    match item["type"]:
        case "function_call":
            kind = "response.function_call_arguments"
            yield from _deltas(f"{kind}.delta", item["arguments"], where)
            yield {"type": f"{kind}.done", **where, "arguments": item["arguments"], "name": item["name"]}
        case "reasoning":
            for index, part in enumerate(item["summary"]):
                yield from _summed_up(part, {**where, "summary_index": index})
        case "web_search_call":
            for kind in ("in_progress", "searching", "completed"):
                yield {"type": f"response.web_search_call.{kind}", **where}
        case "message":
            for index, part in enumerate(item["content"]):
                yield from _part(part, {**where, "content_index": index})


def _summed_up(part: Json, where: Json) -> Iterator[Json]:
    kind = "response.reasoning_summary"
    yield {"type": f"{kind}_part.added", **where, "part": {**part, "text": ""}}
    yield from _deltas(f"{kind}_text.delta", part["text"], where)
    yield {"type": f"{kind}_text.done", **where, "text": part["text"]}
    yield {"type": f"{kind}_part.done", **where, "part": part}


def _part(part: Json, where: Json) -> Iterator[Json]:
    field = "refusal" if part["type"] == "refusal" else "text"
    kind = "response.refusal" if field == "refusal" else "response.output_text"
    more: Json = {} if field == "refusal" else {"logprobs": []}
    begun = {**part, field: "", **({} if field == "refusal" else {"annotations": []})}
    yield {"type": "response.content_part.added", **where, "part": begun}
    yield from _deltas(f"{kind}.delta", part[field], {**where, **more})
    for index, annotation in enumerate(part.get("annotations", ())):
        told = {"annotation_index": index, "annotation": annotation}
        yield {"type": f"{kind}.annotation.added", **where, **told}
    yield {"type": f"{kind}.done", **where, field: part[field], **more}
    yield {"type": "response.content_part.done", **where, "part": part}


def _deltas(kind: str, text: str, where: Json) -> Iterator[Json]:
    for start in range(0, len(text), PIECE):
        yield {"type": kind, **where, "delta": text[start : start + PIECE], "obfuscation": "xY7"[: start % 4]}
