"""A small Messages API that always says the same: for tests that ask all of it, with more than one client.

The model of a message says what becomes of it: one that is named as an entry of REFUSALS is refused so.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from canned import COUNT, MESSAGE, STREAM, UPSTREAM_ID, envelope, sse
from misbehaving import Conn, Received, head, json_reply, reply

__all__ = ["BATCH", "FILE", "FILE_BYTES", "MODEL", "REFUSALS", "scripted"]

ID = ("request-id", UPSTREAM_ID)
MODEL = {
    "type": "model",
    "id": "claude-opus-4-8",
    "display_name": "Opus",
    "created_at": "2026-05-01T00:00:00Z",
    "max_input_tokens": 1_000_000,
}
FILE = {
    "type": "file",
    "id": "file_1",
    "filename": "a.txt",
    "mime_type": "text/plain",
    "size_bytes": 3,
    "created_at": "2026-05-01T00:00:00Z",
    "downloadable": True,
}
FILE_BYTES = b"one\ntwo\n\xff\n"
BATCH = {
    "type": "message_batch",
    "id": "msgbatch_1",
    "processing_status": "ended",
    "request_counts": {"canceled": 0, "errored": 0, "expired": 0, "processing": 0, "succeeded": 2},
    "created_at": "2026-05-01T00:00:00Z",
    "expires_at": "2026-05-02T00:00:00Z",
    "ended_at": "2026-05-01T01:00:00Z",
}
RESULTS = [
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "expired"}},
]

# Model -> the reply to who asks for it.
REFUSALS: dict[str, bytes] = {
    "refused": json_reply(envelope("invalid_request_error"), ID, status=400),
    "unknown": json_reply(envelope("not_found_error", details={"error_code": "thread_not_found"}), ID, status=404),
    "overloaded": json_reply(envelope("overloaded_error"), ("retry-after-ms", "1"), status=529),
    "a page": reply(b"<html>busy</html>", ("content-type", "text/html"), status=502),
    "no json": reply(b"{", ("content-type", "application/json")),
    "a list": json_reply([1]),
    "cut": head(200, ("content-length", "100")) + b'{"id":',
}


async def scripted(conn: Conn) -> None:
    while (request := await conn.read_request()) is not None:
        answer = _answer(request)
        await conn.send(answer)
        if answer is REFUSALS["cut"]:
            return


def _answer(request: Received) -> bytes:
    path = urlsplit(request.target).path
    if path == "/v1/messages":
        return _message(request.json())
    kind, _, rest = path.removeprefix("/v1/").partition("/")
    if path.startswith("/v1/messages/batches"):
        kind, rest = "batches", path.removeprefix("/v1/messages/batches").removeprefix("/")
    return ROUTES.get((kind, request.method), _nothing)(rest, request)


def _message(asked: dict[str, Any]) -> bytes:
    if (refusal := REFUSALS.get(asked["model"])) is not None:
        return refusal
    if asked.get("stream"):
        return reply(sse(*STREAM), ("content-type", "text/event-stream"), ID)
    return json_reply(MESSAGE, ID)


def _nothing(rest: str, request: Received) -> bytes:
    return json_reply(envelope("not_found_error"), ID, status=404)


def _count(rest: str, request: Received) -> bytes:
    return json_reply(COUNT, ID)


def _models(rest: str, request: Received) -> bytes:
    if rest:
        return json_reply({**MODEL, "id": rest}, ID)
    after = _asked(request, "after_id")
    ids = ["c"] if after else ["a", "b"]
    page = {"data": [{**MODEL, "id": each} for each in ids], "first_id": ids[0], "last_id": ids[-1]}
    return json_reply({**page, "has_more": not after}, ID)


def _files(rest: str, request: Received) -> bytes:
    if rest.endswith("/content"):
        return reply(FILE_BYTES, ("content-type", "text/plain"), ID)
    if rest:
        return json_reply({**FILE, "id": rest}, ID)
    last = _asked(request, "page")
    return json_reply(
        {"data": [{**FILE, "id": "file_2" if last else "file_1"}], "next_page": None if last else "p2"}, ID
    )


def _batches(rest: str, request: Received) -> bytes:
    if rest.endswith("/results"):
        lines = b"".join(json.dumps(line).encode() + b"\n" for line in RESULTS)
        return reply(lines, ("content-type", "application/x-jsonl"), ID)
    if not rest:
        return json_reply({"data": [BATCH], "first_id": "msgbatch_1", "last_id": "msgbatch_1", "has_more": False}, ID)
    url = f"http://{request.header('host')}/v1/messages/batches/{rest}/results"
    return json_reply({**BATCH, "id": rest, "results_url": None if rest == "unfinished" else url}, ID)


def _deleted(kind: str) -> Callable[[str, Received], bytes]:
    return lambda rest, request: json_reply({"type": kind, "id": rest}, ID)


def _asked(request: Received, name: str) -> str | None:
    return parse_qs(urlsplit(request.target).query).get(name, [None])[0]


ROUTES: dict[tuple[str, str], Callable[[str, Received], bytes]] = {
    ("messages", "POST"): _count,
    ("models", "GET"): _models,
    ("files", "GET"): _files,
    ("files", "POST"): lambda rest, request: json_reply(FILE, ID),
    ("files", "DELETE"): _deleted("file_deleted"),
    ("batches", "GET"): _batches,
    ("batches", "POST"): lambda rest, request: json_reply(BATCH, ID),
    ("batches", "DELETE"): _deleted("message_batch_deleted"),
    ("else", "POST"): lambda rest, request: json_reply({"had": request.body.decode()}, ID),
    ("else", "PUT"): lambda rest, request: json_reply({"had": request.body.decode()}, ID),
    ("else", "PATCH"): lambda rest, request: json_reply({"had": request.body.decode()}, ID),
    ("else", "GET"): lambda rest, request: json_reply({"had": request.target}, ID),
    ("else", "DELETE"): lambda rest, request: json_reply({"had": request.target}, ID),
}
