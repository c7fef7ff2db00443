"""The official TypeScript SDK against both servers: caching, citations, refusals, threads and the rest of the engine.

One script, `typescript/features.mjs`, asks for all of it; it is judged here.
"""

import itertools
from typing import Any

import pytest
from nodejs import must_have_the_sdk, run_script
from running import Running

REFUSAL = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672DEE07F9D3AFC62588CCD2631EDCF22E8CCC1FB35B501C9C86"
GRASS = "The grass is green. The sky is blue. Roses are red in summer."
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": GRASS},
    "title": "Colours",
    "citations": {"enabled": True},
}
_numbers = itertools.count()


def handbook() -> str:
    return f"TypeScript handbook {next(_numbers)}. " + "Every rule has its reason, and every reason a story. " * 250


@pytest.fixture(scope="module", params=["offline", "relayed"])
def gave(request: pytest.FixtureRequest) -> Any:
    """What the script printed, once a server."""
    must_have_the_sdk()
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Running)
    given = {"rules": handbook(), "hour": handbook(), "document": DOCUMENT, "refusal": REFUSAL}
    return run_script("features", server, **given)


def numbers(usage: dict[str, Any]) -> tuple[int, int, int]:
    """Read, written for five minutes, written for an hour."""
    written = usage["cache_creation"]
    return (
        usage["cache_read_input_tokens"],
        written["ephemeral_5m_input_tokens"],
        written["ephemeral_1h_input_tokens"],
    )


def test_a_prefix_is_written_read_missed_and_kept_for_an_hour(gave: Any) -> None:
    """CCH-20, CCH-31 to 33, CCH-35."""
    caching = gave["caching"]
    size = numbers(caching["wrote"])[1]
    assert size > 1024
    assert numbers(caching["wrote"]) == (0, size, 0)
    assert numbers(caching["read"]) == (size, 0, 0)
    assert numbers(caching["missed"])[0] == 0
    hour = numbers(caching["wroteForAnHour"])[2]
    assert hour > 1024
    assert numbers(caching["wroteForAnHour"]) == (0, 0, hour)
    assert numbers(caching["readForAnHour"]) == (hour, 0, 0)


def test_citations_are_those_of_the_document(gave: Any) -> None:
    """MSG-99, STR-20."""
    message = gave["citations"]["message"]
    citations = [each for block in message["content"] for each in block.get("citations") or ()]
    assert citations
    for each in citations:
        assert each["type"] == "char_location"
        assert each["cited_text"] == GRASS[each["start_char_index"] : each["end_char_index"]]
    streamed = [each for block in gave["citations"]["streamed"]["content"] for each in block.get("citations") or ()]
    assert streamed == citations == gave["citations"]["events"]


def test_a_refusal_is_a_reply(gave: Any) -> None:
    """MSG-104, MSG-115."""
    assert (gave["refused"]["stop_reason"], gave["refused"]["content"]) == ("refusal", [])
    assert gave["refused"]["stop_details"]["type"] == "refusal"


def test_thinking_is_verified(gave: Any) -> None:
    """MSG-59."""
    assert gave["thinking"]["taken"]["stop_reason"] == "end_turn"
    assert gave["thinking"]["tampered"]["class"] == "BadRequestError"
    assert "Invalid `signature` in `thinking` block" in gave["thinking"]["tampered"]["message"]


def test_a_format_is_kept_to(gave: Any) -> None:
    """MSG-67."""
    assert list(gave["parsed"]) == ["name", "age"]
    assert gave["parsed"]["age"] == 36


def test_cleared_results_are_told(gave: Any) -> None:
    """`context_management.applied_edits`."""
    (edit,) = gave["cleared"]["context_management"]["applied_edits"]
    assert edit["cleared_tool_uses"] == 2


def test_the_runner_needs_two_calls(gave: Any) -> None:
    """SDK-68."""
    sent = gave["runner"]["sent"]
    assert len(sent) == 2
    assert "sum 42" in "".join(block.get("text", "") for block in gave["runner"]["last"]["content"])


def test_a_thread_goes_on_once(gave: Any) -> None:
    """SDK-65."""
    threaded = gave["threaded"]
    assert "heron" in threaded["second"]["content"][0]["text"]
    assert threaded["again"]["class"] == "ThreadAlreadyContinuedError"
