"""The watch that every test is under: it must see what is illegal, here and in a server process, and nothing else."""

import copy
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
import watching
from canned import BLOCK, DELTA, END, START, sse
from failing import served
from judging import Fault, Judge
from misbehaving import LAST_CHUNK, chunk, sse_head
from rawhttp import HELLO, exchange, post
from running import Running
from serving import Serving
from streams import Event, chunks, frame, frames, legal_stream

from dragoman.wire.events import BlockStop

ASKING = {**HELLO, "stream": True}

USAGE = {
    "input_tokens": 9, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 0, "output_tokens": 1,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
    "service_tier": "standard", "inference_geo": "not_available",
}  # fmt: skip


def start(index: int, **block: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, **told: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": told}


def stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


# As our engine makes them: thinking at 1, text at 4, a call at 7, another at 10.
OURS: list[Event] = [
    {"type": "message_start", "message": {
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": USAGE,
    }},
    start(0, type="thinking", thinking="", signature=""),
    delta(0, type="signature_delta", signature="c2ln"),
    stop(0),
    start(1, type="text", text=""),
    delta(1, type="text_delta", text="I will look."),
    stop(1),
    start(2, type="tool_use", id="toolu_01", name="look", input={}),
    delta(2, type="input_json_delta", partial_json='{"a":'),
    delta(2, type="input_json_delta", partial_json="1}"),
    stop(2),
    start(3, type="tool_use", id="toolu_02", name="look", input={}),
    stop(3),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
     "usage": {"input_tokens": 9, "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 5}}},
    {"type": "message_stop"},
]  # fmt: skip


def judged(pieces: list[bytes], *, ours: bool) -> str | None:
    judge = Judge(is_ours=lambda _: ours)
    for piece in pieces:
        judge.feed(piece)
    judge.end()
    return judge.oddity


@pytest.mark.parametrize("seed", range(50))
def test_a_legal_stream_is_let_through(seed: int) -> None:
    """STR-5, STR-10 to 26: also with other line ends, of an upstream."""
    rng = Random(seed)
    events = legal_stream(rng)
    newline = rng.choice(["\n", "\r\n", "\r"])
    assert judged([frame(event, newline) for event in events], ours=False) is None


def test_a_stream_of_ours_is_let_through() -> None:
    assert judged([frames(OURS)], ours=True) is None
    assert judged([frame(event) for event in OURS], ours=True) is None


def put(path: str, value: Any) -> Callable[[list[Event]], None]:
    def change(events: list[Event]) -> None:
        at, *keys, last = path.split(".")
        holder: Any = events[int(at)]
        for key in keys:
            holder = holder[key]
        holder[last] = value

    return change


def drop(at: int) -> Callable[[list[Event]], None]:
    return lambda events: events.__delitem__(at)


CHANGES: dict[str, tuple[Callable[[list[Event]], None], str]] = {
    "a stop is missing": (drop(3), "`content_block_start` while inside"),
    "a signature is missing": (drop(2), "without its signature"),
    "a signature is empty": (put("2.delta.signature", ""), "an empty signature"),
    "no stop reason": (put("13.delta.stop_reason", None), "without a stop_reason"),
    "another stop reason": (put("13.delta.stop_reason", "stop_sequence"), "stop_sequence does not fit"),
    "a text block without text": (drop(5), "an empty text block"),
    "a text that starts full": (put("4.content_block.text", "x"), "starts full"),
    "half a character": (put("5.delta.text", "\ud83d"), "cuts a character in two"),
    "a text that is none": (put("5.delta.text", 3), "without its text"),
    "an index that jumps": (put("7.index", 5), "block 5 where 2 was due"),
    "an id twice": (put("11.content_block.id", "toolu_01"), "not an id of its own"),
    "an id of another kind": (put("11.content_block.id", "call_1"), "not an id of its own"),
    "half an input": (drop(9), "is no JSON object"),
    "an input that is a list": (put("8.delta.partial_json", "[1,"), "is no JSON object"),
    "usage without a count": (put("0.message.usage", {"input_tokens": 1, "output_tokens": 1}), "without its counts"),
    "usage that does not add up": (put("0.message.usage.cache_creation_input_tokens", 4), "does not add up"),
    "usage that falls": (put("13.usage.input_tokens", 8), "input_tokens fell"),
    "output before any": (put("0.message.usage.output_tokens", 7), "before any output"),
    "content in message_start": (put("0.message.content", [{"type": "text", "text": "x"}]), "message_start holds"),
    "no end": (drop(14), "without `message_stop` or `error`"),
    "a ping after the end": (lambda events: events.append({"type": "ping"}), "after `message_stop`"),
    "two ends": (lambda events: events.append(copy.deepcopy(events[-1])), "after `message_stop`"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_illegal_is_seen(name: str) -> None:
    change, expected = CHANGES[name]
    events = copy.deepcopy(OURS)
    change(events)
    raw = [frame(event, ascii_only=True) for event in events]
    with pytest.raises(Fault, match=expected):
        judged(raw, ours=True)


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_a_call_that_is_cut_off_may_be_half(reason: str) -> None:
    """STR-14, STR-32: but only the last."""
    events = copy.deepcopy(OURS)
    del events[9], events[10:12]  # of its input the second half; the other call
    events[-2]["delta"]["stop_reason"] = reason
    assert judged([frames(events)], ours=True) is None


def test_bytes_that_are_no_frames_are_seen() -> None:
    """STR-2."""
    whole = frames(OURS)
    for bad in (
        whole.replace(b"event: ping", b"").replace(b"event: message_delta\n", b""),
        whole.replace(b"event: message_delta", b"event: message_stop"),
        whole.replace(b"event: message_delta", b": a comment\nevent: message_delta"),
        whole + b"event: x",
    ):
        with pytest.raises(Fault):
            judged([bad], ours=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_piece_that_ends_in_half_an_event_is_seen(seed: int) -> None:
    """A ping may follow any piece (STR-8)."""
    with pytest.raises(Fault, match="half an event"):
        judged(chunks(Random(seed), frames(OURS)), ours=False)


class Planted:
    """An engine with every block left open."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def generate(self, generation: Any) -> AsyncIterator[Any]:
        async for ready in self._engine.generate(generation):
            yield [event for event in ready if not isinstance(event, BlockStop)]


async def test_a_server_of_this_process_is_watched() -> None:
    async with Serving() as server:
        local: Any = server.gateway.local
        local._engines = {name: Planted(engine) for name, engine in local._engines.items()}
        assert (await exchange(server.url, post(ASKING))).status == 200
    (found,) = watching.take()  # taken, so that this test does not fail of it
    assert "while inside" in found
    assert not found.startswith(watching.PASSED_ON)


async def test_the_offline_engine_is_known_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is in its streams would not be judged, and nobody would notice."""
    seen: list[bool] = []
    take = Judge.feed

    def feed(judge: Judge, piece: bytes) -> None:
        take(judge, piece)
        seen.append(judge._content is not None)

    monkeypatch.setattr(Judge, "feed", feed)
    async with Serving() as server:
        await exchange(server.url, post(ASKING))
    assert seen[0]
    assert all(seen)


def test_a_server_process_is_watched(tmp_path: Path) -> None:
    """And says so: one that is not does not start (support/running.py)."""
    legal = sse_head() + chunk(sse(START, BLOCK, DELTA, *END)) + LAST_CHUNK
    illegal = sse_head() + chunk(sse(START, DELTA, *END)) + LAST_CHUNK

    async def handler(conn: Any) -> None:
        while (request := await conn.read_request()) is not None:
            await conn.send(illegal if json.loads(request.body)["model"] == "illegal" else legal)

    with served(handler) as upstream:
        config = f'[providers.planted]\nbase_url = "{upstream.url}"\n'
        with Running(tmp_path, config) as server:
            _ask(server, "legal")
            assert watching.take() == []
            _ask(server, "illegal")
            (found,) = watching.take()
    assert found.startswith(watching.PASSED_ON)
    assert "`content_block_delta` while between" in found


def _ask(server: Running, model: str) -> None:
    body = {**ASKING, "model": model}
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}
    answered = httpx2.post(f"{server.url}/v1/messages", json=body, headers=headers)
    assert answered.status_code == 200, answered.text
    assert answered.text.endswith("\n\n")
