"""Converse: what goes out. Every body is checked against botocore's service model, and by the service's own rules."""

import json

import msgspec
import pytest
from bedrock_schema import problems
from converse_cases import (
    CLAUDE,
    GPT,
    GPT_OSS,
    GROK,
    LLAMA,
    MARK,
    MISTRAL,
    MISTRAL_7B,
    MODELS,
    NOVA,
    NOVA_2,
    OLD_CLAUDE,
    PDF,
    QWEN,
    UNKNOWN,
    lost,
    sent,
    text,
    turn,
)
from message_forms import CALL, EVERYTHING, FORMS, PNG, document, said
from translating_cases import SECRET, TOOLS, Json, body_of, question

from dragoman.errors import InvalidRequest, NotFound
from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.bedrock_converse_models import base_id

# -- every form, for every family --


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fields", [fields for fields, _ in FORMS.values()], ids=FORMS)
def test_the_service_takes_every_form(model: str, fields: Json) -> None:
    """Pain 10, 14, 20, 57: whatever a request holds, what goes out is legal, or it is refused here."""
    if '"type": "url"' in json.dumps(fields):
        with pytest.raises(InvalidRequest, match="by URL"):
            sent(model, **fields)
        return
    assert sent(model, **fields) == sent(model, stream=True, **fields)


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_of_everything_is_taken(model: str) -> None:
    """Pain 14, 20: what Claude Code sends in one request, with turns of one role in a row, to each family."""
    body = sent(
        model,
        stream=True,
        system=[text("x-anthropic-billing-header: cch=1\nBe brief.", **MARK)],
        tools=[*TOOLS[:-1], {**TOOLS[-1], **MARK}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        metadata={"user_id": '{"session": "ä"}'},
        context_management={"edits": []},
        messages=[
            turn("user", text("a"), {"type": "image", "source": PNG}),
            turn("user", document(PDF, title="Q3/2026: Zahlen_final.pdf")),
            turn("assistant", text("I look."), {**CALL, "id": "toolu_" + "x" * 90}),
            turn("user", {"type": "tool_result", "tool_use_id": "toolu_" + "x" * 90, "is_error": True, **MARK,
                 "content": [text("noon"), {"type": "image", "source": PNG}, document(PDF)]}, text("also")),
            {"role": "system", "content": "Now in French."},
            turn("assistant", text("Bon.")),
            turn("user", text("c", **MARK)),
        ],
    )  # fmt: skip
    assert "cch=" not in json.dumps(body)
    assert "Now in French." in json.dumps(body)


def test_what_claude_code_signs_its_system_prompt_with_changes_no_prompt() -> None:
    """Pain 11."""
    one, other = (
        sent(NOVA, system=[text(f"x-anthropic-billing-header: cch={number}"), text("Be brief.")]) for number in (1, 2)
    )
    assert one == other
    assert one["system"] == [{"text": "Be brief."}]


def test_a_system_message_stays_in_its_place() -> None:
    """Pain 12, 13: what is before it does not change."""
    turns = [turn("user", text("a")), turn("assistant", text("b")), turn("user", text("c"))]
    before = sent(messages=turns)["messages"]
    after = sent(messages=[*turns, {"role": "system", "content": "Now in French."}])["messages"]
    assert after[:2] == before[:2]
    assert after[2]["content"] == [{"text": "c"}, {"text": "<system>\nNow in French.\n</system>"}]


# -- where it goes --


def test_the_url_names_the_model_and_the_key_is_a_bearer_token() -> None:
    """Pain 79. Without a key the gateway signs."""
    asked = question(NOVA, stream=True)
    request = Converse().translate(asked).request
    assert request.url == "https://p.test/v1/model/us.amazon.nova-pro-v1%3A0/converse-stream"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/vnd.amazon.eventstream",
        "authorization": f"Bearer {SECRET}",
    }
    unsigned = msgspec.structs.replace(asked, target=msgspec.structs.replace(asked.target, api_key=None, auth="aws"))
    assert "authorization" not in dict(Converse().translate(unsigned).request.headers)
    arn = Converse().translate(question(UNKNOWN)).request
    assert arn.url.endswith("%3Aapplication-inference-profile%2Fa1b2c3d4e5f6/converse")
    assert dict(arn.headers)["accept"] == "application/json"


@pytest.mark.parametrize("model", ["", "a b", "x?y=1", "a#b", "ä", "-x", "x" * 2049, "a\nb"])
def test_what_is_no_model_never_reaches_the_url(model: str) -> None:
    with pytest.raises(NotFound):
        Converse().translate(question(model))


def test_a_path_within_a_model_stays_within_it() -> None:
    assert "/.." not in Converse().translate(question("a/../../b")).request.url


@pytest.mark.parametrize("model", [LLAMA, MISTRAL, MISTRAL_7B])
def test_models_that_do_not_stream_beside_tools_are_asked_for_a_whole_reply(model: str) -> None:
    """They refuse: "This model doesn't support tool use in streaming mode" (langchain-ai/langchain-aws#140)."""
    assert Converse().translate(question(model, stream=True)).request.url.endswith("/converse-stream")
    with_tools = Converse().translate(question(model, stream=True, tools=TOOLS)).request
    assert with_tools.url.endswith("/converse")
    assert dict(with_tools.headers)["accept"] == "application/json"
    assert Converse().translate(question(NOVA, stream=True, tools=TOOLS)).request.url.endswith("/converse-stream")


# -- settings --


def test_settings_have_names_of_their_own() -> None:
    body = sent(NOVA, temperature=0.5, top_p=0.9, top_k=40, max_tokens=70, stop_sequences=["a", "b"])
    config = {"maxTokens": 70, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a", "b"]}
    assert body["inferenceConfig"] == config
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 40}}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence", "/delta/stop_sequence"]
    assert sent(CLAUDE, top_k=40)["additionalModelRequestFields"] == {"top_k": 40}
    assert lost(QWEN, top_k=40) == ["top_k"]


@pytest.mark.parametrize("model", [GPT, GROK])
def test_models_that_reason_take_no_sampling(model: str) -> None:
    """Pain 22."""
    fields = {"temperature": 0.5, "top_p": 0.9}
    assert sent(model, **fields)["inferenceConfig"] == {"maxTokens": 100}
    assert lost(model, **fields) == ["temperature", "top_p"]


def test_more_output_than_a_model_has_is_not_asked_for() -> None:
    """It is refused: "The maximum tokens you requested exceeds the model limit" (pain 22)."""
    assert sent(NOVA, max_tokens=32_000)["inferenceConfig"]["maxTokens"] == 10_000
    assert sent(LLAMA, max_tokens=32_000)["inferenceConfig"]["maxTokens"] == 8_192
    assert sent(NOVA_2, max_tokens=32_000)["inferenceConfig"]["maxTokens"] == 32_000
    assert sent(NOVA, max_tokens=0)["inferenceConfig"]["maxTokens"] == 1


def test_stop_sequences_go_only_where_they_are_taken() -> None:
    """Pain 42: the rest is looked for in what comes."""
    many = [f"stop {number}" for number in range(6)]
    assert sent(NOVA, stop_sequences=many)["inferenceConfig"]["stopSequences"] == many[:4]
    assert sent(CLAUDE, stop_sequences=many)["inferenceConfig"]["stopSequences"] == many
    for model in (QWEN, GPT, LLAMA, UNKNOWN):
        body = sent(model, stop_sequences=many)
        assert "stopSequences" not in body["inferenceConfig"]
        assert "additionalModelResponseFieldPaths" not in body
        assert lost(model, stop_sequences=many) == []


@pytest.mark.parametrize(
    ("user", "is_legal"), [("user_9f_account__session_a-b", True), ("x" * 256, True), ('{"a": 1}', False), ("ä", False)]
)
def test_a_user_id_is_metadata_of_the_request(user: str, is_legal: bool) -> None:
    """It stands in invocation logs: as it is, or as a digest, the same for the same user."""
    (told,) = sent(metadata={"user_id": user})["requestMetadata"].values()
    (again,) = sent(metadata={"user_id": user})["requestMetadata"].values()
    assert told == again
    assert (told == user) is is_legal
    assert told not in sent(metadata={"user_id": "another"})["requestMetadata"].values()


def test_a_tier_is_named_only_where_one_is_asked_for() -> None:
    assert sent(NOVA, service_tier="standard_only")["serviceTier"] == {"type": "default"}
    assert "serviceTier" not in sent(NOVA, service_tier="auto")


def test_a_schema_for_the_output_goes_as_text() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    wanted = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    form = sent(GPT_OSS, **wanted)["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    assert json.loads(form["structure"]["jsonSchema"]["schema"]) == schema
    for model in (OLD_CLAUDE, NOVA, LLAMA, UNKNOWN):
        assert "outputConfig" not in sent(model, **wanted)
        assert lost(model, **wanted) == ["output_config.format"]


# -- content --


def test_images_and_documents_are_bytes() -> None:
    """Pain 49."""
    content = sent(NOVA, **said({"type": "image", "source": PNG}, document(PDF, title="A b.pdf", context="c")))
    assert content["messages"][0]["content"] == [
        {"image": {"format": "png", "source": {"bytes": PNG["data"]}}},
        {"text": "A b.pdf\nc"},
        {"document": {"format": "pdf", "name": "A b pdf", "source": {"bytes": PDF["data"]}}},
    ]


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        ([None, None], ["document", "document (2)"]),
        (["Report", "report", "Report (2)"], ["Report", "report (2)", "Report (2) (2)"]),
        (["Zahlen  Q3/2026_final.pdf"], ["Zahlen Q3 2026 final pdf"]),
        (["報告書"], ["document"]),
        (["x" * 300], ["x" * 192]),
    ],
)
def test_documents_have_legal_names_of_their_own(titles: list[str | None], names: list[str]) -> None:
    """Two of one name are refused, and most characters (maximhq/bifrost#7003, anomalyco/opencode#19964)."""
    blocks = [document(PDF) if title is None else document(PDF, title=title) for title in titles]
    content = sent(CLAUDE, **said(*blocks))["messages"][0]["content"]
    assert [block["document"]["name"] for block in content if "document" in block] == names
    assert any("text" in block for block in content)


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}, "image.source.url"),
        (document({"type": "url", "url": "https://x.test/a.pdf"}), "document.source.url"),
    ],
)
def test_what_the_model_could_not_see_is_refused_by_its_field(block: Json, field: str) -> None:
    """Pain 49, 78: Bedrock fetches nothing, and neither do we."""
    with pytest.raises(InvalidRequest, match=rf"^{field}: "):
        Converse().translate(question(NOVA, **said(block)))


# -- turns as a family takes them --


def test_text_beside_calls_and_results_is_put_apart_where_it_would_be_refused() -> None:
    """Pain 20: "Conversation blocks and tool result blocks cannot be provided in the same turn", and calls neither
    (strands-agents/harness-sdk#1223, quarkiverse/quarkus-langchain4j#1983)."""
    messages = [
        turn("user", text("What time?")),
        turn("assistant", text("I look."), CALL),
        turn("user", {"type": "tool_result", "tool_use_id": "toolu_c", "content": "noon"}, text("Thanks?")),
    ]
    body = sent(LLAMA, tools=TOOLS, messages=messages)["messages"]
    assert [[next(iter(block)) for block in message["content"]] for message in body] == [
        ["text"], ["text"], ["text"], ["toolUse"], ["toolResult"],
    ]  # fmt: skip
    assert body[4]["content"][0]["toolResult"]["content"] == [{"text": "noon"}, {"text": "Thanks?"}]
    assert lost(LLAMA, tools=TOOLS, messages=messages) == []
    assert len(sent(NOVA, tools=TOOLS, messages=messages)["messages"]) == 3


def test_a_conversation_begins_with_the_user_whatever_is_lost() -> None:
    """Pain 20: a first turn that holds nothing for this model is a turn all the same."""
    messages = [
        turn("user", {"type": "container_upload", "file_id": "file_1"}),
        turn("assistant", text("a")),
        turn("user", text("b")),
    ]
    body = sent(NOVA, messages=messages)
    assert [each["content"] for each in body["messages"]] == [[{"text": "(empty)"}], [{"text": "a"}], [{"text": "b"}]]
    assert lost(NOVA, messages=messages) == ["container_upload"]


def test_models_without_a_system_prompt_are_told_first() -> None:
    """Pain 12: "This model doesn't support the system field"."""
    body = sent(MISTRAL_7B, system="Be brief.")
    assert "system" not in body
    assert body["messages"][0]["content"] == [{"text": "Be brief."}, {"text": "hi"}]


def test_a_begun_answer_goes_on_where_a_model_goes_on_from_it() -> None:
    begun = {"messages": [turn("user", text("hi")), turn("assistant", text("{"))]}
    for model in (CLAUDE, NOVA):
        assert [each["role"] for each in sent(model, **begun)["messages"]] == ["user", "assistant"]
        assert lost(model, **begun) == []
    assert [each["role"] for each in sent(QWEN, **begun)["messages"]] == ["user", "assistant", "user"]
    assert lost(QWEN, **begun) == ["prefill"]


# -- counts --


def test_claude_is_counted_by_its_own_id() -> None:
    """Pain 16: an inference profile's id is refused (pydantic/pydantic-ai#3367)."""
    fields = {**EVERYTHING, "system": "Be brief.", "stop_sequences": ["x"], "temperature": 0.5, "top_k": 3}
    count = Converse().count(question(CLAUDE, **fields))
    assert count is not None
    assert count.field == "inputTokens"
    assert count.request.url == "https://p.test/v1/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"
    body = body_of(count.request.body)
    assert problems("CountTokens", body, model=base_id(CLAUDE)) == []
    assert set(body["input"]["converse"]) == {"messages", "system", "toolConfig", "additionalModelRequestFields"}
    assert SECRET in str(count.request.headers)


@pytest.mark.parametrize("model", [NOVA, GPT, LLAMA, UNKNOWN])
def test_of_others_nobody_counts(model: str) -> None:
    assert Converse().count(question(model)) is None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("eu.anthropic.claude-opus-4-8", "anthropic.claude-opus-4-8"),
        ("us-gov.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/deepseek.v3.2", "deepseek.v3.2"),
        ("deepseek.v3.2", "deepseek.v3.2"),
    ],
)
def test_the_id_of_the_model_itself(model: str, expected: str) -> None:
    assert base_id(model) == expected
