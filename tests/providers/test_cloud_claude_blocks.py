"""Claude on clouds: a history with calls and results of tools that the API runs itself."""

import json
from typing import Any

import pytest
from bedrock_cases import HAIKU, MODELS, OPUS_55, SONNET
from cloud_cases import (
    BEDROCK,
    CLOUDS,
    EVERYWHERE,
    HI,
    VERTEX,
    VERTEX_MODELS,
    Cloud,
    Json,
    named,
    prepared,
    request,
    sent,
    turn,
)
from fake_vertex_rules import check_count

from dragoman.providers.base import Operation

OPUS_41 = MODELS[1]


def called(name: str, number: int = 1, **given: Any) -> Json:
    return {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": name, "input": given}


def found(kind: str, number: int = 1, content: Any = ()) -> Json:
    return {"type": kind, "tool_use_id": f"srvtoolu_{number}", "content": list(content) or [PAGE]}


PAGE: Json = {
    "type": "web_search_result",
    "url": "https://x.test/a",
    "title": "A",
    "encrypted_content": "ZW5jcnlwdGVk",
    "page_age": None,
}
CITED: Json = {
    "type": "text",
    "text": "It is so.",
    "citations": [
        {
            "type": "web_search_result_location",
            "url": "https://x.test/a",
            "title": "A",
            "encrypted_index": "aW5kZXg=",
            "cited_text": "so",
        }
    ],
}
SEARCHED = turn("assistant", "Let me see.", called("web_search", query="a"), found("web_search_tool_result"), CITED)
RAN = turn(
    "assistant",
    called("bash_code_execution", command="ls"),
    found(
        "bash_code_execution_tool_result",
        content=[{"type": "bash_code_execution_result", "stdout": "a", "stderr": "", "return_code": 0, "content": []}],
    ),
    "There is a file.",
)


@pytest.mark.parametrize(("cloud", "model"), EVERYWHERE)
def test_a_history_with_tools_of_the_apis_own_is_taken_everywhere(cloud: Cloud, model: str) -> None:
    """Pain 14, 48: a call goes with its result; what was said about it stays."""
    turns = [HI, SEARCHED, turn("user", "Look into the folder."), RAN, HI]
    asked = prepared(cloud, request(messages=turns), model=model)
    cloud.must_take(asked, model)
    messages = json.loads(asked.body)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant", "user"]
    assert messages[3]["content"] == RAN["content"][2:]
    assert {"messages.server_tool_use", "messages.bash_code_execution_tool_result"} <= set(asked.lost)
    texts = [block["text"] for block in messages[1]["content"] if block["type"] == "text"]
    assert texts == ["Let me see.", "It is so."]


@pytest.mark.parametrize("model", MODELS)
def test_searches_go_with_their_pair_and_citations_where_there_is_no_web_search(model: str) -> None:
    """Pain 14: what a citation points at is not there any more."""
    body, lost = sent(BEDROCK, model, messages=[HI, SEARCHED, HI])
    assert body["messages"][1] == turn("assistant", "Let me see.", "It is so.")
    assert lost == ["messages.server_tool_use", "messages.web_search_tool_result", "messages.citations"]


def test_other_citations_stay() -> None:
    other = {
        "type": "char_location",
        "cited_text": "x",
        "document_index": 0,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    cited = {**CITED, "citations": [other, *CITED["citations"]]}
    turns = [HI, turn("assistant", called("web_search"), found("web_search_tool_result"), cited), HI]
    assert sent(BEDROCK, messages=turns)[0]["messages"][1]["content"] == [{**CITED, "citations": [other]}]


@pytest.mark.parametrize("model", VERTEX_MODELS)
def test_searches_stay_where_there_is_web_search_and_name_its_beta(model: str) -> None:
    """Pain 48: on Vertex; whether or not this request offers the tool."""
    asked = prepared(VERTEX, request(messages=[HI, SEARCHED, HI]), model=model)
    assert json.loads(asked.body)["messages"] == [HI, SEARCHED, HI]
    assert named(asked) == ["web-search-2025-03-05"]
    assert asked.lost == ()


def test_a_count_on_vertex_keeps_searches_and_names_no_beta() -> None:
    """A count refuses betas of tools; without the results it would be far too low (pain 16)."""
    body = request(messages=[HI, SEARCHED, turn("user", "And?"), RAN, HI])
    del body["max_tokens"]
    asked = prepared(VERTEX, body, model="claude-opus-4-8", operation=Operation.COUNT_TOKENS)
    messages = json.loads(asked.body)["messages"]
    assert messages[:3] == body["messages"][:3]
    assert messages[3]["content"] == RAN["content"][2:]
    check_count(json.loads(asked.body), named(asked))


REFERENCE = {
    "type": "tool_search_tool_search_result",
    "tool_references": [{"type": "tool_reference", "tool_name": "t"}],
}
LOOKED_UP = turn(
    "assistant",
    called("tool_search_tool_regex", pattern="t"),
    {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": REFERENCE},
    "There is t.",
)


@pytest.mark.parametrize(
    ("cloud", "model", "stays"),
    [
        (BEDROCK, SONNET, True),
        (BEDROCK, OPUS_55, True),
        (BEDROCK, HAIKU, False),
        (BEDROCK, OPUS_41, False),
        (VERTEX, VERTEX_MODELS[0], True),
    ],
)
def test_searches_for_tools_stay_where_the_model_has_them(cloud: Cloud, model: str, stays: bool) -> None:
    asked = prepared(cloud, request(messages=[HI, LOOKED_UP, HI]), model=model)
    body = json.loads(asked.body)
    left = LOOKED_UP if stays else turn("assistant", "There is t.")
    assert body["messages"] == [HI, left, HI]
    betas = body.get("anthropic_beta", named(asked))
    assert betas == (["tool-search-tool-2025-10-19"] if stays else [])
    assert (asked.lost == ()) == stays


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_turn_that_was_nothing_but_such_calls_goes(cloud: Cloud) -> None:
    """Pain 14: messages must not be empty (MSG-43), and thoughts alone are no turn."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    bare = turn("assistant", called("web_fetch"), found("web_fetch_tool_result"))
    thoughtful = turn("assistant", thought, called("web_fetch"), found("web_fetch_tool_result"))
    more = turn("user", "Go on.")
    body, lost = sent(cloud, messages=[HI, bare, more, thoughtful, more])
    assert body["messages"] == [HI, more, more]
    assert lost == ["messages.server_tool_use", "messages.web_fetch_tool_result"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_turn_that_pauses_for_such_a_call_is_begun_again(cloud: Cloud) -> None:
    """TOOL-64 cannot be there, and what is left would be a prefill, which newer models refuse (MSG-48)."""
    paused = turn("assistant", "I shall run it.", called("code_execution", code="1"))
    body, lost = sent(cloud, messages=[HI, paused])
    assert body["messages"] == [HI]
    assert lost == ["messages.server_tool_use"]
    begun = turn("assistant", "I shall")
    assert sent(cloud, messages=[HI, begun])[0]["messages"] == [HI, begun]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_call_that_code_made_is_a_call_like_any_other(cloud: Cloud) -> None:
    """TOOL-65: what made it has gone, and it points there."""
    call: Json = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"caller": {"type": "x"}}}
    by_code = {**call, "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}
    direct = {**call, "id": "toolu_2", "caller": {"type": "direct"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "7"}
    other = {**result, "tool_use_id": "toolu_2"}
    turns = [HI, turn("assistant", called("code_execution", code="t()"), by_code, direct), turn("user", result, other)]
    body, lost = sent(cloud, messages=turns)
    assert body["messages"] == [HI, turn("assistant", call, direct), turns[2]]
    assert lost == ["messages.server_tool_use", "messages.caller"]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("kind", ["container_upload", "mcp_tool_use", "mcp_tool_result", "of_later_tool_result"])
def test_blocks_of_features_that_no_cloud_has_go(cloud: Cloud, kind: str) -> None:
    body, lost = sent(cloud, messages=[turn("user", "hi", {"type": kind, "file_id": "f"}), turn("assistant", "x"), HI])
    assert body["messages"][0] == turn("user", "hi")
    assert lost == [f"messages.{kind}"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_turns_beside_one_that_changes_keep_their_bytes(cloud: Cloud) -> None:
    """Pain 6, 10: caches and signatures live on them."""
    before = b'{"role":"user", "content":"\\u00e9 1.0e2"}'
    thought = b'{"type":"thinking","thinking":"\\/","signature":"Eq+/="}'
    turns = (
        b"[ %b , " % before
        + b'{"role":"assistant","content":[%b, {"type":"text" ,"text":"x"},' % thought
        + b'{"type":"server_tool_use","id":"srvtoolu_1","name":"web_fetch","input":{}},'
        + b'{"type":"web_fetch_tool_result","tool_use_id":"srvtoolu_1","content":{}}]} , {"role":"user","content":"y"}]'
    )
    out = prepared(cloud, b'{"model":"m","max_tokens":9,"messages":%b}' % turns).body
    for part in (before, thought, b'{"type":"text" ,"text":"x"}', b'{"role":"user","content":"y"}'):
        assert part in out
    texts = b'[ {"role":"user","content":"\\"server_tool_use\\" and \\"web_search_tool_result\\""} ]'
    assert texts in prepared(cloud, b'{"model":"m","max_tokens":9,"messages":%b}' % texts).body


@pytest.mark.parametrize(
    ("cloud", "model", "knows"),
    [(BEDROCK, SONNET, True), (BEDROCK, OPUS_41, False), (BEDROCK, HAIKU, False), (VERTEX, "claude-opus-4-8", True)],
)
def test_tools_that_a_result_names_are_named_where_no_tool_can_be_found(cloud: Cloud, model: str, knows: bool) -> None:
    """Claude Code's search for tools answers with nothing else, and older models refuse it."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {}}
    reference, text = {"type": "tool_reference", "tool_name": "get_time"}, {"type": "text", "text": "x"}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text, reference]}
    body, lost = sent(cloud, model, messages=[HI, turn("assistant", call), turn("user", result)])
    named_tool = reference if knows else {"type": "text", "text": "Tool: get_time"}
    assert body["messages"][2] == turn("user", {**result, "content": [text, named_tool]})
    assert lost == ([] if knows else ["messages.tool_reference"])
