"""Where a conversation is warm, with times passed in."""

import msgspec
import pytest

from dragoman.gateway.routing.affinity import LONG_S, SHORT_S, Homes, conversation
from dragoman.wire.types import Usage

USAGE = Usage(input_tokens=10, cache_read_input_tokens=500, cache_creation_input_tokens=90, output_tokens=40)


def key(*messages: object, workspace: str = "w", model: str = "m") -> bytes | None:
    return conversation(msgspec.json.encode(messages), workspace_id=workspace, model=model)


def said(text: object, role: str = "user") -> dict[str, object]:
    return {"role": role, "content": text}


def test_all_turns_of_a_conversation_have_one_key() -> None:
    """Pain 51: cache marks move from turn to turn, and the first message may be text or a block of it."""
    first = key(said("Hello"))
    assert first is not None
    assert key(said("Hello"), said("Hi", "assistant"), said("And?")) == first
    marked = said([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}])
    assert key(marked) == key(said([{"type": "text", "text": "Hello"}])) == first


def test_others_have_another() -> None:
    image = said([{"type": "image", "source": {"type": "base64", "data": "AAAA"}}])
    keys = [
        key(said("Hello")),
        key(said("Hello there")),
        key(said("Hello"), workspace="x"),
        key(said("Hello"), model="n"),
        key(image),
        key(said([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}])),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("body", [None, b"", b"[]", b"{}", b"[1", b"nonsense", b'["\xff"]', b'["\\ud800"]'])
def test_what_is_no_conversation_has_none(body: bytes | None) -> None:
    assert conversation(body, workspace_id="w", model="m") is None


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"[null]",
        b'[{"content": 7}]',
        b'[{"content": [7, {"text": 3}]}]',
    ],
)
def test_a_wrong_first_message_is_no_trouble(body: bytes) -> None:
    assert conversation(body, workspace_id="w", model="m") is not None


def test_warm_as_long_as_a_cache_lives() -> None:
    homes = Homes()
    homes.note(b"k", "p/a", USAGE, 0.0)
    (warm,) = homes.warm(b"k", SHORT_S - 1)
    assert (warm.target, warm.tokens) == ("p/a", 640)
    assert homes.warm(b"k", SHORT_S) == ()
    homes.note(b"k", "p/a", USAGE, 0.0, is_long=True)
    assert homes.warm(b"k", LONG_S - 1)


def test_the_last_one_is_the_home_and_others_stay_warm() -> None:
    homes = Homes()
    homes.note(b"k", "p/a", USAGE, 0.0)
    homes.note(b"k", "p/b", USAGE, 10.0)
    assert [each.target for each in homes.warm(b"k", 20.0)] == ["p/b", "p/a"]
    assert [each.target for each in homes.warm(b"k", SHORT_S + 5)] == ["p/b"]
    homes.forget(b"k", "p/b")
    assert [each.target for each in homes.warm(b"k", 20.0)] == ["p/a"]
    homes.forget(b"k", "p/a")
    assert homes.warm(b"k", 20.0) == ()


def test_memory_is_bounded() -> None:
    homes = Homes(kept=10)
    for number in range(50):
        homes.note(str(number).encode(), "p/a", USAGE, 0.0)
    assert homes.warm(b"49", 1.0)
    assert not homes.warm(b"39", 1.0)
