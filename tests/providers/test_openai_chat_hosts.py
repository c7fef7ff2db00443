"""Chat Completions as different hosts want it: each field of Capabilities. Cases of pain.md are cited by number."""

import json
from typing import Any

import pytest
from message_forms import CALL, PNG, document, said, told
from translating_cases import TOOLS, Json, folded, question, read_stream, stream_bytes

from dragoman.errors import InvalidRequest
from dragoman.providers.base import Capabilities, Operation
from dragoman.providers.openai_chat import ChatCompletions

CHAT = ChatCompletions()
HI = [{"role": "user", "content": "hi"}]
BEGUN = {"messages": [*HI, {"role": "assistant", "content": "The answer"}]}
CHOSEN = {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "get_date"}}


def body(model: str = "some-model", *, can: Json, **fields: Any) -> Json:
    return dict(json.loads(translated(model, can=can, **fields).request.body))


def lost(model: str = "some-model", *, can: Json, **fields: Any) -> list[str]:
    return list(translated(model, can=can, **fields).lost)


def translated(model: str = "some-model", *, can: Json, **fields: Any) -> Any:
    return CHAT.translate(question(model, can=Capabilities(**can), **fields))


def chunk(finish: str | None = None, **delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def replied(*chunks: Json, can: Json, **fields: Any) -> Json:
    """The message that is made of these chunks; the same of a whole reply is the business of the contract."""
    reader = translated(can=can, stream=True, **fields).stream()
    return folded(read_stream(reader, stream_bytes([*chunks, chunk("stop"), "data: [DONE]"])))


# -- fields of a request --


@pytest.mark.parametrize(
    ("can", "fields", "sent", "is_lost"),
    [
        ({"top_k": True}, {"top_k": 5}, {"top_k": 5}, []),
        ({}, {"top_k": 5}, {}, ["top_k"]),
        ({"user": False}, {"metadata": {"user_id": "me"}}, {}, ["metadata.user_id"]),
        ({}, {"service_tier": "standard_only"}, {"service_tier": "default"}, []),
        ({"service_tier": "on_demand"}, {"service_tier": "standard_only"}, {"service_tier": "on_demand"}, []),
        ({"service_tier": "on_demand"}, {"service_tier": "auto"}, {"service_tier": "auto"}, []),
        ({"service_tier": ""}, {"service_tier": "auto"}, {}, ["service_tier"]),
        ({"stream_usage": False}, {"stream": True}, {"stream": True}, []),
        ({"tells_stop": "yes"}, {"stop_sequences": list("abcde")}, {"stop": list("abcde")}, []),
        ({"tells_stop": "verbose"}, {"stop_sequences": ["a"]}, {"stop": ["a"], "verbose": True}, []),
        ({"stream_usage": False}, {"stop_sequences": ["a"]}, {"stream": True}, []),
        ({"stream_usage": False, "only_streams": True}, {}, {"stream": True}, []),
        ({"fixed_sampling": "^some"}, {"temperature": 0.5, "top_p": 0.5}, {}, ["temperature", "top_p"]),
        ({"fixed_sampling": "^other"}, {"temperature": 0.5}, {"temperature": 0.5}, []),
    ],
)
def test_fields_that_a_host_takes_or_not(can: Json, fields: Json, sent: Json, is_lost: list[str]) -> None:
    """Pain 14: what one host refuses is left out for it alone, and told."""
    got = body(can=can, **fields)
    assert {name: value for name, value in got.items() if name not in ("model", "messages", "max_tokens")} == sent
    assert lost(can=can, **fields) == is_lost


def test_the_field_for_the_limit() -> None:
    """Pain 22: by the host where it is known, else by the model."""
    for model in ("gpt-4o", "gpt-5", "o3"):
        assert body(model, can={"limit": "max_tokens"})["max_tokens"] == 100
        assert body(model, can={"limit": "max_completion_tokens"})["max_completion_tokens"] == 100
    assert "max_completion_tokens" in body("gpt-5", can={})


def test_a_host_may_tell_which_stop_sequence_it_met() -> None:
    """Pain 42: vLLM in the choice, llama.cpp in a field of its own, which holds the prompt too: it is asked at need."""
    told_ = ({"stop_reason": "END"}, {}), ({"matched_stop": "END"}, {}), ({}, {"__verbose": {"stopping_word": "END"}})
    for in_choice, beside in told_:
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", **in_choice}], **beside}
        asked = translated(can={"tells_stop": "yes"}, stop_sequences=["no", "END"], stream=True)
        assert asked.request.streamed
        message = folded(read_stream(asked.stream(), stream_bytes([chunk(content="a "), last])))
        assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert not translated(can={"tells_stop": "yes"}, stop_sequences=["END"]).request.streamed


def test_strict_is_not_asked_of_hosts_that_do_not_know_it() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    tools: Json = {"tools": [{"name": "t", "input_schema": schema, "strict": True}]}
    form: Json = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    for fields, name in ((tools, "tools.strict"), (form, "output_config.format.strict")):
        assert '"strict"' in json.dumps(body(can={}, **fields))
        assert '"strict"' not in json.dumps(body(can={"strict": False}, **fields))
        assert lost(can={"strict": False}, **fields) == [name]


def test_a_schema_for_hosts_that_know_only_json_stands_in_the_system_prompt() -> None:
    schema = {"type": "object", "properties": {"canary": {"type": "string"}}, "additionalProperties": False}
    fields: Json = {"output_config": {"format": {"type": "json_schema", "schema": schema}}, "system": "Be brief."}
    sent = body(can={"formats": "json_object"}, **fields)
    assert sent["response_format"] == {"type": "json_object"}
    brief, schema_said = sent["messages"][0]["content"].split("\n\n")
    assert brief == "Be brief."
    assert json.dumps(schema, separators=(",", ":")) in schema_said
    assert "JSON" in schema_said  # without the word the mode is refused
    assert lost(can={"formats": "json_object"}, **fields) == ["output_config.format.strict"]


def test_a_format_beside_tools() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    form: Json = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    can = {"format_beside_tools": False}
    assert "response_format" in body(can=can, **form)
    assert "response_format" not in body(can=can, tools=TOOLS, **form)
    assert lost(can=can, tools=TOOLS, **form) == ["output_config.format"]


@pytest.mark.parametrize(
    ("model", "fields", "path"),
    [
        ("gpt-5", {"output_config": {"effort": "low"}}, "responses"),
        ("gpt-5", {}, "chat/completions"),
        ("gpt-4o", {"output_config": {"effort": "low"}}, "chat/completions"),
    ],
)
def test_tools_and_effort_go_to_the_other_dialect_where_the_host_has_it(model: str, fields: Json, path: str) -> None:
    """Pain 23: at Azure as at OpenAI."""
    assert translated(model, can={"responses": True}, tools=TOOLS, **fields).request.url == f"https://p.test/v1/{path}"
    assert translated(model, can={}, tools=TOOLS, **fields).request.url.endswith("/chat/completions")


# -- tools --


@pytest.mark.parametrize("forms", ["all", "words", "none"])
@pytest.mark.parametrize("choice", ["auto", "any", "tool", "none"])
def test_the_choice_of_tools_in_the_forms_of_a_host(forms: str, choice: str) -> None:
    """Pain 47: what can be said otherwise is, and what cannot is told as lost."""
    fields: Json = {
        "tools": TOOLS,
        "tool_choice": {"type": choice, **({"name": "get_date"} if choice == "tool" else {})},
    }
    sent = body(can={"tool_choice": forms}, **fields)
    offered = [tool["function"]["name"] for tool in sent.get("tools", [])]
    everything = [tool["name"] for tool in TOOLS]
    named = {"type": "function", "function": {"name": "get_date"}}
    expected = {
        ("all", "tool"): (everything, named),
        ("words", "tool"): (["get_date"], "required"),
        ("none", "tool"): (everything, None),
        ("none", "any"): (everything, None),
        ("none", "none"): ([], None),
    }
    by_word = {"auto": None, "any": "required", "none": "none"}
    assert (offered, sent.get("tool_choice")) == expected.get((forms, choice), (everything, by_word.get(choice)))
    is_lost = forms == "none" and choice in ("tool", "any")
    assert lost(can={"tool_choice": forms}, **fields) == (["tool_choice"] if is_lost else [])


def test_one_call_at_a_time() -> None:
    """Pain 47: the flag is lost only where there is none."""
    fields: Json = {"tools": TOOLS, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    assert body(can={}, **fields)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in body(can={"parallel_calls": False}, **fields)
    assert lost(can={"parallel_calls": False}, **fields) == ["disable_parallel_tool_use"]


def test_names_that_a_host_does_not_take_come_back_as_they_were() -> None:
    """Pain 44: such as those that begin with a digit."""
    names = ["2fa", "3d_print", "ok_name"]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    can = {"names": "[a-zA-Z_][a-zA-Z0-9_-]{2,63}"}
    asked = translated(can=can, tools=tools, stream=True)
    outward = [tool["function"]["name"] for tool in json.loads(asked.request.body)["tools"]]
    assert outward[2] == "ok_name"
    assert len(set(outward)) == 3
    assert all(name[0].isalpha() and 3 <= len(name) <= 64 for name in outward)
    calls = [
        {"index": at, "id": f"c{at}", "function": {"name": name, "arguments": "{}"}} for at, name in enumerate(outward)
    ]
    message = folded(read_stream(asked.stream(), stream_bytes([chunk(tool_calls=calls), chunk("tool_calls")])))
    assert [block["name"] for block in message["content"]] == names


@pytest.mark.parametrize("call_id", ["toolu_01AbC", "call:1.2", "abcDEF123", "x" * 64])
def test_short_ids_are_the_same_for_a_call_and_its_result(call_id: str) -> None:
    """Pain 45: nine letters or digits; one that is that already stays."""
    call_id = call_id.replace(":", "_").replace(".", "-")  # the API takes no others
    turns = [
        *HI,
        {"role": "assistant", "content": [{**CALL, "id": call_id}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "x"}]},
    ]
    sent = body(can={"short_ids": True}, messages=turns, tools=TOOLS)["messages"]
    short = sent[1]["tool_calls"][0]["id"]
    assert short == sent[2]["tool_call_id"]
    assert len(short) == 9
    assert short.isascii()
    assert short.isalnum()
    assert (short == call_id) is (call_id == "abcDEF123")
    assert body(can={"short_ids": True}, messages=turns, tools=TOOLS)["messages"] == sent


# -- messages --


def test_pdfs_and_images_by_address_that_the_model_would_not_see_are_refused() -> None:
    """Pain 49: with the field's name, and what to do."""
    pdf = said(document({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}))
    with pytest.raises(InvalidRequest, match=r"document\.source\.base64: the model that answers .* text"):
        body(can={"files": False}, **pdf)
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    for fields in (said(image), told([image])):
        with pytest.raises(InvalidRequest, match=r"image\.source\.url: the model that answers .* base64"):
            body(can={"image_urls": False}, **fields)
    assert body(can={"image_urls": False}, **said({"type": "image", "source": PNG}))


def test_a_user_may_not_follow_a_result_everywhere() -> None:
    """Pain 20: Mistral's templates want an assistant between them."""
    turns = told("r")["messages"]
    turns[2]["content"].append({"type": "text", "text": "and?"})
    sent = body(can={"user_after_results": False}, tools=TOOLS, messages=turns)["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "assistant", "user"]
    alone = body(can={"user_after_results": False}, tools=TOOLS, messages=told("r")["messages"])["messages"]
    assert [each["role"] for each in alone] == ["user", "assistant", "tool"]


def test_users_in_a_row_are_one_where_two_are_refused() -> None:
    """Pain 12: a note of the system among them."""
    turns = [*HI, {"role": "system", "content": "note"}, *said({"type": "image", "source": PNG})["messages"]]
    (message,) = body(can={"alternates": True}, messages=turns)["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url"]
    assert message["content"][0]["text"] == "hi\n\n<system>\nnote\n</system>"
    assert len(body(can={}, messages=turns)["messages"]) == 3


def test_cache_control_is_kept_for_models_that_read_it() -> None:
    """Pain 10: as it came, on parts of texts, and for no other model."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    text = {"type": "text", "text": "x", **mark}
    fields: Json = {
        "system": [{"type": "text", "text": "first"}, text],
        "messages": [
            {"role": "user", "content": [text]},
            {"role": "assistant", "content": [{"type": "text", "text": "y"}, CALL]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_c", "content": "r", **mark}]},
        ],
        "tools": TOOLS,
    }
    can = {"cache_control": "^anthropic/"}
    system, user, assistant, result = body("anthropic/claude-sonnet-5", can=can, **fields)["messages"]
    assert system["content"] == [{"type": "text", "text": "first"}, text]
    assert user["content"] == [text]
    assert assistant["content"] == "y"
    assert result["content"] == [{"type": "text", "text": "r", **mark}]
    assert lost("anthropic/claude-sonnet-5", can=can, **fields) == []
    assert "cache_control" not in json.dumps(body("openai/gpt-4o", can=can, **fields))
    assert lost("openai/gpt-4o", can=can, **fields) == ["cache_control"]


# -- a message that the assistant has begun --


@pytest.mark.parametrize(
    ("can", "last", "more"),
    [
        ({"prefill": "plain"}, {}, {}),
        ({"prefill": "prefix"}, {"prefix": True}, {}),
        ({"prefill": "partial"}, {"partial": True}, {}),
        (
            {"prefill": "continue_final_message"},
            {},
            {"continue_final_message": True, "add_generation_prompt": False},
        ),
    ],
)
def test_a_begun_message_is_gone_on_with(can: Json, last: Json, more: Json) -> None:
    sent = body(can=can, **BEGUN)
    assert sent["messages"][-1] == {"role": "assistant", "content": "The answer", **last}
    assert {name: sent[name] for name in more} == more
    assert lost(can=can, **BEGUN) == []
    assert "continue_final_message" not in body(can=can)
    assert lost(can={}, **BEGUN) == ["prefill"]
    assert body(can={}, **BEGUN)["messages"][-1] == {"role": "assistant", "content": "The answer"}


def test_a_begun_message_may_have_a_path_of_its_own() -> None:
    can = {"prefill": "prefix", "prefill_path": "/beta"}
    assert translated(can=can, **BEGUN).request.url == "https://p.test/v1/beta/chat/completions"
    assert translated(can=can).request.url == "https://p.test/v1/chat/completions"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["The answer", " is 4."], " is 4."),
        (["The ans", "wer is 4."], " is 4."),
        (["The answer is 4."], " is 4."),
        (["", "T", "h", "e answer", " is 4."], " is 4."),
        ([" is 4."], " is 4."),
        (["The end."], "The end."),
        (["The ", "answ"], "The answ"),
        (["The answer", "The answer"], "The answer"),
    ],
)
def test_the_reply_does_not_repeat_what_was_begun(pieces: list[str], text: str) -> None:
    """A client adds the reply to what it had begun. A reply that begins otherwise comes as it is."""
    can = {"prefill": "plain", "prefill_echoed": True}
    message = replied(*(chunk(content=piece) for piece in pieces), can=can, **BEGUN)
    assert [block["text"] for block in message["content"]] == [text]
    whole = {"choices": [{"message": {"content": "".join(pieces)}, "finish_reason": "stop"}]}
    answered = translated(can=can, **BEGUN).read(Operation.MESSAGES, json.dumps(whole).encode())
    assert json.loads(answered.body)["content"] == message["content"]
    kept = replied(*(chunk(content=piece) for piece in pieces), can={"prefill": "plain"}, **BEGUN)
    assert kept["content"][0]["text"] == "".join(pieces)


def test_a_stop_sequence_in_what_looked_like_a_repetition() -> None:
    can = {"prefill": "plain", "prefill_echoed": True}
    message = replied(chunk(content="The "), can=can, stop_sequences=["e "], **BEGUN)
    assert (message["content"][0]["text"], message["stop_sequence"]) == ("Th", "e ")


def test_a_begun_message_is_repeated_by_nothing_but_a_call() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "get_time", "arguments": "{}"}}
    can = {"prefill": "plain", "prefill_echoed": True}
    for said_, expected in ((["The answer"], []), (["The "], ["The "])):
        message = replied(*(chunk(content=each) for each in said_), chunk(tool_calls=[call]), can=can, **BEGUN)
        assert [block["text"] for block in message["content"] if block["type"] == "text"] == expected
        assert message["content"][-1]["type"] == "tool_use"


# -- counts --


def test_counts() -> None:
    """Pain 16: the prompt as it would be sent, and nothing that makes none."""
    fields: Json = {"system": "s", "tools": TOOLS, "temperature": 0.5}
    assert CHAT.count(question(**fields)) is None
    for how, url, field in (
        ("tokenize", "https://p.test/tokenize", "count"),
        ("input_tokens", "https://p.test/v1/chat/completions/input_tokens", "input_tokens"),
    ):
        count = CHAT.count(question(can=Capabilities(count=how), **fields))
        assert count is not None
        assert (count.request.url, count.field) == (url, field)
        sent = json.loads(count.request.body)
        assert sent == {name: value for name, value in body(can={}, **fields).items() if name in sent}
        assert sent.keys() == {"model", "messages", "tools"}


# -- a host that reads less than it is given --


def usage(prompt: int) -> Json:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": 3}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("can", "estimate", "told_tokens", "is_cut"),
    [
        ({"truncates": True}, 8000, 2050, True),
        ({"truncates": True}, 8000, 4000, True),
        ({"truncates": True}, 8000, 4001, False),
        ({"truncates": True}, 2048, 1024, True),
        ({"truncates": True}, 8000, 1023, False),  # an older one tells only what its cache did not have
        ({"truncates": True}, 8000, 0, False),
        ({}, 8000, 2050, False),
    ],
)
def test_a_prompt_that_was_cut_is_no_answer(
    stream: bool, can: Json, estimate: int, told_tokens: int, is_cut: bool
) -> None:
    """Pain 52: Ollama reads half a window of a prompt that is longer than one, and says so only in its usage."""
    from msgspec.structs import replace

    asked = replace(question(can=Capabilities(**can), stream=stream), input_tokens=estimate)
    read = CHAT.translate(asked)
    whole = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], **usage(told_tokens), "x": 0}
    whole["choices"] = [{"message": {"content": "a"}, "finish_reason": "stop"}]

    def answer() -> None:
        if stream:
            read_stream(read.stream(), stream_bytes([chunk("stop", content="a"), usage(told_tokens)]))
        else:
            read.read(Operation.MESSAGES, json.dumps(whole).encode())

    if not is_cut:
        answer()
        return
    with pytest.raises(InvalidRequest, match=rf"^prompt is too long: {estimate} tokens > {told_tokens} maximum"):
        answer()


def test_a_prompt_with_images_is_not_measured() -> None:
    """What an image is in tokens, hosts do not agree on."""
    from msgspec.structs import replace

    fields = said({"type": "image", "source": PNG})
    asked = replace(question(can=Capabilities(truncates=True), stream=True, **fields), input_tokens=8000)
    reader = CHAT.translate(asked).stream()
    assert folded(read_stream(reader, stream_bytes([chunk("stop", content="a"), usage(2050)])))["content"]
