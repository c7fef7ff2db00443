"""The official TypeScript SDK against both servers: a Node script for each area, judged here.

The scripts are in `typescript/`; each prints one JSON object. Without Node or the SDK's package the tests are skipped,
but fail where CI is set.
"""

import base64
import functools
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from failing import KINDS, RETRY_AFTER_S, UPSTREAM_ID, Failing, served
from nodejs import must_have_the_sdk, run_script
from PIL import Image as Pillow
from running import Running

PROMPT = "The quick brown fox jumps over the lazy dog."
OPUS = "claude-opus-4-8"

# HTTP status -> the SDK's class.
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "ContentTooLargeError",
    429: "RateLimitError",
    500: "InternalServerError",
    504: "GatewayTimeoutError",
    529: "OverloadedError",
}


@pytest.fixture(scope="module", autouse=True)
def node() -> None:
    must_have_the_sdk()


def run(script: str, server: Running, **given: Any) -> Any:
    """What the script prints, run once for each server and input."""
    return _run(script, server, json.dumps(given))


@functools.cache
def _run(script: str, server: Running, given: str) -> Any:
    return run_script(script, server, **json.loads(given))


def said(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for block in message["content"] if block["type"] == "tool_use"]


# -- create -------------------------------------------------------------------------------------------------------


def test_create(server: Running) -> None:
    message = run("create", server)["text"]
    assert message["id"].startswith("msg_")
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", OPUS)
    assert PROMPT in said(message)
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert run("create", server)["textRequestID"].startswith("req_")


def test_create_with_system_turns_and_prefill(server: Running) -> None:
    results = run("create", server)
    assert results["alias"] == "claude-haiku-4-5-20251001"
    assert "Answer in French." in results["system"]
    assert "And now?" in results["turns"]
    assert not results["prefill"].startswith("My answer is")
    assert PROMPT in results["prefill"]


def test_what_ends_a_reply(server: Running) -> None:
    """MSG-106, MSG-111."""
    results = run("create", server)
    stopped, cut = results["stopSequence"], results["maxTokens"]
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "jumps")
    assert said(stopped).endswith("The quick brown fox ")
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 5)


def test_an_answer_fits_a_schema(server: Running) -> None:
    parsed = run("create", server)["parsed"]
    assert {name: type(value) for name, value in parsed.items()} == {"name": str, "age": int, "kinds": list}


def test_beta_calls_and_the_older_wire_form(server: Running) -> None:
    """SDK-56, MSG-2, MSG-4."""
    results = run("create", server)
    assert PROMPT in results["beta"]
    assert PROMPT in results["older"]


def test_replies_carry_the_api_s_headers(server: Running) -> None:
    """HDR-30, 31."""
    headers = run("create", server)["headers"]
    assert headers["type"] == "message"
    assert headers["requestID"] == headers["header"]
    assert headers["requestID"].startswith("req_")
    assert len(headers["organization"]) == 36
    assert headers["contentType"] == "application/json"


# -- streams ------------------------------------------------------------------------------------------------------


def test_raw_events_come_in_order(server: Running) -> None:
    """STR-10."""
    types = [event["type"] for event in run("stream", server)["raw"] if event["type"] != "ping"]
    deltas = types.count("content_block_delta")
    assert deltas > 3
    assert types == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize(
    ("name", "stop_reason"), [("text", "end_turn"), ("stopSequence", "stop_sequence"), ("maxTokens", "max_tokens")]
)
def test_a_stream_adds_up_to_the_reply(server: Running, name: str, stop_reason: str) -> None:
    """STR-15."""
    seen = run("stream", server)[name]
    message, whole = seen["message"], seen["whole"]
    assert "".join(seen["texts"]) == seen["finalText"] == said(message) == said(whole)
    assert message["stop_reason"] == whole["stop_reason"] == stop_reason
    assert message["stop_sequence"] == whole["stop_sequence"]
    assert message["usage"] == whole["usage"]
    assert (seen["blocks"], seen["messages"]) == (1, 1)
    assert seen["requestID"].startswith("req_")


@pytest.mark.parametrize(("name", "is_shown"), [("adaptive", True), ("unseen", False), ("budget", True)])
def test_thinking_streams_and_is_signed_once(server: Running, name: str, is_shown: bool) -> None:
    """STR-23, 24."""
    seen = run("stream", server)["thinking"][name]
    thinking, text = seen["message"]["content"]
    assert (thinking["type"], text["type"]) == ("thinking", "text")
    assert thinking["thinking"] == "".join(seen["thinking"]) == seen["whole"]["content"][0]["thinking"]
    assert bool(thinking["thinking"]) == is_shown
    assert seen["signatures"] == [thinking["signature"]]
    assert thinking["signature"]


def test_a_stream_may_be_left_before_its_end(server: Running) -> None:
    left = run("stream", server)["leftEarly"]
    assert left["events"] == 1
    assert left["after"]


# -- tools --------------------------------------------------------------------------------------------------------


def test_a_tool_that_fits_is_called(server: Running) -> None:
    results = run("tools", server)
    assert results["one"]["stop_reason"] == "tool_use"
    assert [(call["name"], call["input"]) for call in calls(results["one"])] == [("get_weather", {"city": "Tokyo"})]
    assert calls(results["none"]) == []


def test_tool_choice_is_obeyed(server: Running) -> None:
    """TOOL-11 to 15."""
    results = run("tools", server)
    assert calls(results["forbidden"]) == []
    assert [block["name"] for block in results["forced"]["content"]] == ["get_time"]
    assert {block["type"] for block in results["any"]["content"]} == {"tool_use"}
    assert [call["name"] for call in calls(results["two"])] == ["get_weather", "get_time"]
    assert len(calls(results["single"])) == 1


def test_a_call_streams_in_fragments(server: Running) -> None:
    """STR-21, STR-30."""
    results = run("tools", server)
    assert results["streamed"]["fragments"] > 4
    assert [call["input"]["city"] for call in calls(results["streamed"]["message"])] == ["Tokyo", "Paris"]
    parts = [event["delta"].get("partial_json") for event in results["raw"] if event["type"] == "content_block_delta"]
    assert json.loads("".join(part for part in parts if part is not None)) == {"city": "Tokyo"}


def test_a_loop_by_hand_ends(server: Running) -> None:
    loop = run("tools", server)["loop"]
    assert loop["turns"] == 2
    assert "get_weather in Tokyo: 18" in said(loop["message"])
    assert "get_time in Paris: 18" in said(loop["message"])


@pytest.mark.parametrize(
    ("name", "threads"),
    [
        ("runner", [True, True]),
        ("runnerUnthreaded", [False, False]),
        ("runnerStreaming", [True, True]),
    ],
)
def test_the_runner_ends_with_the_results(server: Running, name: str, threads: list[bool]) -> None:
    """SDK-64 a, SDK-68."""
    ran = run("tools", server)[name]
    assert ran["stopReasons"] == ["tool_use", "end_turn"]
    assert "It is 18 degrees in Tokyo." in ran["text"]
    assert ran["threads"] == threads


# -- counts, models, images ---------------------------------------------------------------------------------------


def picture(kind: str) -> dict[str, str]:
    out = io.BytesIO()
    Pillow.radial_gradient("L").resize((64, 48)).convert("RGB").save(out, kind)
    return {"media_type": f"image/{kind.lower()}", "data": base64.b64encode(out.getvalue()).decode()}


def test_the_count_is_the_usage(server: Running) -> None:
    """TOK-10: count_tokens, its beta, a reply, and both ends of a stream."""
    hello = [{"role": "user", "content": "Hello, Claude"}]
    tool = {"name": "look", "description": "Look around.", "input_schema": {"type": "object"}}
    image = {"type": "image", "source": {"type": "base64", **picture("PNG")}}
    call = {"type": "tool_use", "id": "toolu_01A", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01A", "content": [image]}
    requests = {
        "text": {"messages": hello},
        "system": {"messages": hello, "system": "Be brief."},
        "tool": {"messages": hello, "tools": [tool]},
        "forced": {"messages": hello, "tools": [tool], "tool_choice": {"type": "any"}},
        "image": {"messages": [{"role": "user", "content": [image]}]},
        "result": {
            "messages": [*hello, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}],
            "tools": [tool],
        },
        "thinking": {"messages": hello, "thinking": {"type": "adaptive"}},
    }
    counts = run("counts", server, requests=requests)
    assert counts.keys() == requests.keys()
    for name, numbers in counts.items():
        assert len(set(numbers)) == 1, name
    assert counts["text"] < counts["system"] < counts["tool"] < counts["result"]


def test_models_are_listed_once_each_in_both_directions(server: Running) -> None:
    """MOD-1, MOD-2."""
    results = run("models", server)
    whole = results["whole"]
    assert results["paged"] == whole
    assert len(set(whole)) == len(whole) > 7
    assert not results["hasMore"]
    assert results["backwards"] == [whole[4:7], whole[1:4], whole[0:1]]


def test_models_tell_what_they_are(server: Running) -> None:
    """MOD-3, MOD-6."""
    results = run("models", server)
    assert {model["lifecycle"] for model in results["retired"]} == {"retired"}
    assert (results["opus"]["max_input_tokens"], results["opus"]["max_tokens"]) == (1_000_000, 128_000)
    assert results["alias"] == "claude-haiku-4-5-20251001"


def test_images_are_seen(server: Running) -> None:
    """MSG-90, TOOL-22."""
    results = run("images", server, images={kind: picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP")})
    assert set(results["seen"]) == {"PNG", "JPEG", "GIF", "WEBP"}
    for kind, text in results["seen"].items():
        assert f"64x48 {kind} image".lower() in text.lower()
    assert results["inResult"]["stop_reason"] == "end_turn"


# -- errors -------------------------------------------------------------------------------------------------------

# name -> class, status, type, beginning of the message
REFUSALS = {
    "badRequest": ("BadRequestError", 400, "invalid_request_error", "messages.0.role: Input should be"),
    "badStream": ("BadRequestError", 400, "invalid_request_error", "messages.0.role: Input should be"),
    "badHelper": ("BadRequestError", 400, "invalid_request_error", "max_tokens: 200000 > 128000"),
    "temperature": ("BadRequestError", 400, "invalid_request_error", "`temperature` is deprecated for this model."),
    "temperatureInNewerVersion": ("BadRequestError", 400, "invalid_request_error", "`temperature`"),
    "wrongBearer": ("AuthenticationError", 401, "authentication_error", "Invalid bearer token"),
    "wrongKey": ("AuthenticationError", 401, "authentication_error", "invalid x-api-key"),
    "unknownModel": ("NotFoundError", 404, "not_found_error", "model: sonnet4"),
    "unknownModelInfo": ("NotFoundError", 404, "not_found_error", "model: sonnet4"),
    "unknownPath": ("NotFoundError", 404, "not_found_error", "Not found"),
    "wrongMethod": ("APIError", 405, "invalid_request_error", ""),
    "tooLarge": ("ContentTooLargeError", 413, "request_too_large", "Request exceeds the maximum size"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_thrown_as_its_class(server: Running, name: str) -> None:
    error = run("errors", server)[name]
    kind, status, error_type, message = REFUSALS[name]
    assert (error["class"], error["status"], error["type"]) == (kind, status, error_type)
    assert error["message"].startswith(message)
    assert error["requestID"].startswith("req_")
    assert error["requestID"] == error["bodyRequestID"]


def test_a_client_goes_on_after_its_errors(server: Running) -> None:
    assert run("errors", server)["afterwards"] is None


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What a dragoman in front of a failing upstream gives the SDK."""
    with served(Failing()) as upstream:
        config = f'[providers.failing]\nbase_url = "{upstream.url}"\napi_key = "sk-upstream"\n'
        with Running(tmp_path_factory.mktemp("failing"), config) as server:
            yield run(
                "upstream_errors",
                server,
                models=[f"fail-{status}" for status in CLASSES],
                cuts=["cut-overloaded", "cut-silent", "early-overloaded"],
            )
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("how", ["plain", "streamed"])
@pytest.mark.parametrize("status", CLASSES)
def test_an_upstream_s_error_arrives_as_it_is(broken: Any, status: int, how: str) -> None:
    error = broken[how][f"fail-{status}"]
    assert (error["class"], error["status"], error["type"]) == (CLASSES[status], status, KINDS[status])
    assert error["requestID"] == error["bodyRequestID"] == UPSTREAM_ID
    assert error["message"] == f"a {KINDS[status]} of the upstream"
    assert error["retryAfter"] == (str(RETRY_AFTER_S) if status == 429 else None)


@pytest.mark.parametrize(("name", "error_type"), [("cut-overloaded", "overloaded_error"), ("cut-silent", "api_error")])
def test_an_error_in_mid_stream_is_thrown(broken: Any, name: str, error_type: str) -> None:
    """STR-40, STR-42."""
    assert broken[name]["texts"] == ["Half of"]
    assert broken[name]["error"]["isAPIError"]
    assert broken[name]["error"]["type"] == error_type


def test_an_error_before_any_content_keeps_its_status(broken: Any) -> None:
    """STR-6."""
    error = broken["early-overloaded"]["error"]
    assert (error["class"], error["status"]) == ("OverloadedError", 529)


def test_the_sdk_tries_again_until_it_has_a_reply(broken: Any) -> None:
    """SDK-22 to 24."""
    assert broken["retried"] == "At last"
