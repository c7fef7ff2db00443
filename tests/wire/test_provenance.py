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


def searched(search_id: str, opaque: str) -> list[dict[str, Any]]:
    found = {"type": "web_search_result", "url": "https://a.test", "title": "A", "encrypted_content": opaque}
    return [
        {"type": "server_tool_use", "id": search_id, "name": "web_search", "input": {"query": "a"}},
        {"type": "web_search_tool_result", "tool_use_id": search_id, "content": [found]},
    ]


def test_a_history_keeps_all_but_the_searches_of_others_and_what_cites_them() -> None:
    """pain 7, 48: what they found is opaque to all but their maker."""
    mine, foreign = searched("srvtoolu_1", "EqQB"), searched("srvtoolu_2", wrap("openai_responses/p/gpt-5", "{}"))
    ours, theirs = {"encrypted_index": "EqQB"}, {"encrypted_index": wrap("openai_responses/p/gpt-5", "")}
    text = {"type": "text", "text": "a", "citations": [theirs, ours, theirs]}
    alone = {"type": "text", "text": "b", "citations": [theirs]}
    history = [{"role": "assistant", "content": [*mine, *foreign, text, alone]}]
    kept = [*mine, {**text, "citations": [ours]}, {**alone, "citations": None}]
    assert without_marked(history) == [{"role": "assistant", "content": kept}]
    assert without_marked([{"role": "assistant", "content": foreign}]) == []


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [1, None, "x"],
        [{"role": "user"}],
        [{"content": [None, {"type": []}]}],
        [
            {
                "content": [
                    {"type": "web_search_tool_result", "tool_use_id": [], "content": [None, {"encrypted_content": 1}]}
                ]
            }
        ],
        [{"content": [{"type": "server_tool_use", "id": {}}, {"citations": [1]}, {"citations": 1}]}],
    ],
)
def test_what_is_no_message_stays(odd: list[Any]) -> None:
    assert without_marked(odd) == odd
