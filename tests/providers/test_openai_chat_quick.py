"""The shorter way for chunks that are nothing but text says what the longer one says."""

import json
from random import Random
from typing import Any

import pytest
from streams import chunks
from translating_cases import TOOLS, Json, Recorded, question, recorded, stream_bytes

from dragoman.errors import ApiError
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_chat_quick import piece_of_text
from dragoman.providers.translating import TranslatedStream

STREAMS = recorded("openai_chat", "streams")


def told(body: bytes, rng: Random, *, quick: bool, **asked: Any) -> tuple[bytes, Json | None, str]:
    """What a reader makes of a body that is cut at random: bytes, usage, error."""
    reader = ChatCompletions().translate(question(stream=True, tools=TOOLS, **asked)).stream()
    assert isinstance(reader, TranslatedStream)
    if not quick:
        reader._quick = None
    out = b""
    try:
        for piece in chunks(rng, body):
            out += reader.feed(piece)
        out += b"" if reader.is_done else reader.close()
    except ApiError as error:
        return out, None, str(error)
    return out, None if reader.usage is None else json.loads(json.dumps(str(reader.usage))), ""


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_recorded_streams(case: Recorded) -> None:
    for seed in range(5):
        both = [told(case.body, Random(seed), quick=quick, **case.asked) for quick in (True, False)]
        assert both[0] == both[1]


DELTAS: tuple[Json, ...] = (
    {"content": "a"},
    {"content": " b"},
    {"content": "ç🤔", "role": "assistant"},
    {"content": ""},
    {"content": None},
    {"content": "E"},
    {"content": "ND"},
    {"content": "x", "refusal": None, "tool_calls": None},
    {"content": "y", "tool_calls": [{"index": 0, "id": "c1", "function": {"name": "python", "arguments": "{"}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
    {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "", "arguments": "{}"}}]},
    {"tool_calls": [{"index": 1, "function": {"name": "write"}}]},
    {"reasoning_content": "hm"},
    {"content": "z", "reasoning_content": "and"},
    {"refusal": "no"},
    {},
)
MORE: tuple[Json, ...] = (
    {},
    {},
    {},
    {"usage": None},
    {"usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    {"x": 1},
)
END: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("stops", [None, ["END"]])
def test_random_streams(stops: list[str] | None) -> None:
    """Text between calls, thinking, late names, usage anywhere, and stop sequences over several pieces."""
    rng = Random("quick")
    for number in range(300):
        said = [
            {
                "id": "c",
                "choices": [{"index": 0, "delta": rng.choice(DELTAS), "finish_reason": None}],
                **rng.choice(MORE),
            }
            for _ in range(rng.randint(1, 12))
        ]
        body = stream_bytes([*said, END, "data: [DONE]"])
        both = [told(body, Random(number), quick=quick, stop_sequences=stops) for quick in (True, False)]
        assert both[0] == both[1]


CHUNK: Json = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "hi"}}]}


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (CHUNK, "hi"),
        ({**CHUNK, "created": 1, "model": "m", "system_fingerprint": None, "usage": None}, "hi"),
        ({**CHUNK, "error": {"message": "no"}}, None),
        ({**CHUNK, "usage": {}}, None),
        ({**CHUNK, "choices": []}, None),
        ({**CHUNK, "choices": CHUNK["choices"] * 2}, None),
        ({**CHUNK, "object": "error"}, None),
        ({**CHUNK, "choices": [{"index": 1, "delta": {"content": "hi"}}]}, None),
        ({**CHUNK, "choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}, None),
        ({**CHUNK, "choices": [{"delta": {"content": ["hi"]}}]}, None),
        ({**CHUNK, "choices": [{"delta": {"content": "hi", "reasoning": "so"}}]}, None),
    ],
)
def test_what_is_a_piece_of_text(chunk: Json, text: str | None) -> None:
    assert piece_of_text(json.dumps(chunk).encode()) == text


@pytest.mark.parametrize("data", [b"", b"[DONE]", b"null", b'"hi"', b"{", b"\xff", b"[" * 9999])
def test_what_is_no_chunk_is_none(data: bytes) -> None:
    assert piece_of_text(data) is None
