"""Signatures that name their origin, and histories without them (issue 6, pain 7)."""

from typing import Any

import pytest

from dragoman.wire.provenance import unwrap, without_marked, wrap


@pytest.mark.parametrize("origin", ["gemini/gemini-3-pro", "a b:c/ü", "x"])
@pytest.mark.parametrize("opaque", ["", "abc", "a:b:c", "ü\n"])
def test_both_parts_come_back(origin: str, opaque: str) -> None:
    assert unwrap(wrap(origin, opaque)) == (origin, opaque)


@pytest.mark.parametrize("signature", ["", "EqQBCg==", "dragoman", "dragoman:no-second-part"])
def test_other_signatures_are_not_ours(signature: str) -> None:
    assert unwrap(signature) is None


def thinking(signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


def test_a_history_keeps_all_but_the_thinking_of_others() -> None:
    """pain 7"""
    text = {"type": "text", "text": "dragoman: is the name"}
    mine, foreign = thinking("EqQB"), thinking(wrap("gemini/m", "abc"))
    user = {"role": "user", "content": "hi"}
    history = [
        user,
        {"role": "assistant", "content": [mine, foreign, text]},
        user,
        {"role": "assistant", "content": [foreign]},
    ]
    assert without_marked(history) == [user, {"role": "assistant", "content": [mine, text]}, user]


@pytest.mark.parametrize("odd", [[], [1, None, "x"], [{"role": "user"}], [{"content": [None, {"type": []}]}]])
def test_what_is_no_message_stays(odd: list[Any]) -> None:
    assert without_marked(odd) == odd
