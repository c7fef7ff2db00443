"""Errors of Chat Completions servers, in their forms and words. Cases of pain.md are cited by their number."""

import json

import pytest
from translating_cases import question, stream_bytes

from dragoman.errors import ApiError, InvalidRequest
from dragoman.providers.openai_chat import ChatCompletions

CHAT = ChatCompletions()


@pytest.mark.parametrize(
    ("message", "worded"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 10010 tokens.",
            "10010 tokens > 8192",
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the"
            " messages, 500 in the completion). Please reduce the length of the messages or completion.",
            "4500 tokens > 4096",
        ),
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens"
            " (198000 of text input, 2000 in the output).",
            "198000 tokens > 131072",
        ),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "40000 tokens > 32768",
        ),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", "5000 tokens > 4096"),
        (
            "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "5000 tokens > 4096",
        ),
        (
            "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of"
            " 5000 tokens: 4500 tokens from the input messages and 500 tokens for the completion.",
            "4500 tokens > 4096",
        ),
        (
            "Trying to keep the first 6125 tokens when context the overflows. However, the model is loaded with context"
            " length of only 4096 tokens, which is not enough.",
            "6125 tokens > 4096",
        ),
    ],
)
@pytest.mark.parametrize("form", ["error", "flat", "stream"])
def test_a_prompt_that_is_too_long_is_told_in_the_words_that_clients_know(message: str, worded: str, form: str) -> None:
    """Pain 70."""
    told = {"message": message, "type": "BadRequestError", "code": 400}
    translated = CHAT.translate(question(stream=True))
    if form == "stream":
        with pytest.raises(InvalidRequest) as failed:
            translated.stream().feed(stream_bytes([{"error": told}]))
        error: ApiError = failed.value
    else:
        error = translated.refusal(400, json.dumps({"error": told} if form == "error" else told).encode())
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert error.message == f"prompt is too long: {worded} maximum"


def test_a_prompt_that_is_too_long_by_code_alone() -> None:
    """Pain 70: Groq says no numbers, llama.cpp has them in fields."""
    refusal = CHAT.translate(question()).refusal
    said_ = {"message": "Please reduce the length of the messages.", "code": "context_length_exceeded"}
    assert refusal(400, json.dumps({"error": said_}).encode()).message.startswith("prompt is too long: Please")
    fields = {"code": 400, "type": "exceed_context_size_error", "message": "m", "n_prompt_tokens": 50, "n_ctx": 40}
    assert refusal(400, json.dumps({"error": fields}).encode()).message == "prompt is too long: 50 tokens > 40 maximum"


def refused(status: int, told: object) -> ApiError:
    return CHAT.translate(question()).refusal(status, json.dumps(told).encode())


@pytest.mark.parametrize(
    ("message", "sums"),
    [
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 50000. This model's maximum context length is 40960"
            " tokens and your request has 100 input tokens (50000 > 40960 - 100).",
            "100 + 50000 > 40960",
        ),
        (
            "This model's maximum context length is 32768 tokens. However, you requested 32868 tokens (868 in the"
            " messages, 32000 in the completion). Please reduce the length of the messages or completion.",
            "868 + 32000 > 32768",
        ),
        (
            "This model's maximum context length is 131072 tokens. However, you requested 133072 tokens (2000 in the"
            " messages, 131072 in the completion). Please reduce the length of the messages or completion.",
            "2000 + 131072 > 131072",
        ),
        (
            "This model's maximum context length is 4097 tokens, however you requested 4218 tokens (67 in the messages,"
            " 55 in the functions, and 4096 in the completion).",
            "122 + 4096 > 4097",
        ),
        (
            "This endpoint's maximum context length is 32768 tokens. However, you requested about 35500 tokens"
            " (1000 of text input, 500 of tool input, 34000 in the output). Please reduce the length of either one.",
            "1500 + 34000 > 32768",
        ),
        (
            "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of"
            " 33000 tokens: 1000 tokens from the input messages and 32000 tokens for the completion.",
            "1000 + 32000 > 32768",
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 200 output tokens and your"
            " prompt contains at least 3897 input tokens, for a total of at least 4097 tokens.",
            "3897 + 200 > 4096",
        ),
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 1000 `inputs` tokens"
            " and 8000 `max_new_tokens`",
            "1000 + 8000 > 8193",
        ),
    ],
)
def test_too_much_together_is_told_apart(message: str, sums: str) -> None:
    """A prompt that fits is not too long. A smaller `max_tokens` helps: Claude Code knows the words, and lowers it."""
    error = refused(400, {"error": {"message": message}})
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert error.message == (
        f"input length and `max_tokens` exceed context limit: {sums}, decrease input length or `max_tokens` and try"
        " again"
    )


@pytest.mark.parametrize(
    ("status", "told", "worded"),
    [
        (
            400,
            {
                "code": "Client specified an invalid argument",
                "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
            },
            "140000 tokens > 131072 maximum",
        ),
        (
            400,
            {"error": {"message": "Your request exceeded model token limit: 262144 (requested: 269030)"}},
            "269030 tokens > 262144 maximum",
        ),
        (
            400,
            {"error": {"message": "Range of input length should be [1, 204800]", "code": "invalid_parameter_error"}},
            "Range of input length should be [1, 204800]",
        ),
        (400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}, "Prompt exceeds max length"),
        (400, {"error": {"code": "1261", "message": "m"}}, "m"),
        (
            422,
            {
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000"
                " `inputs` tokens and 100 `max_new_tokens`",
                "error_type": "validation",
            },
            "9000 tokens > 8193 maximum",
        ),
        (
            400,
            {
                "error": {
                    "message": "The decoder prompt (length 17772) is longer than the maximum model length of 16384."
                }
            },
            "17772 tokens > 16384 maximum",
        ),
        (
            400,
            {
                "error": {
                    "message": "'max_tokens' or 'max_completion_tokens' is too large: 10. This model's maximum context"
                    " length is 4096 tokens and your request has 5000 input tokens (10 > 4096 - 5000)."
                }
            },
            "5000 tokens > 4096 maximum",
        ),
        (400, {"error": "m: your request has 5000 input tokens"}, "m: your request has 5000 input tokens"),
        (
            400,
            {"message": "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."},
            "160062 tokens > 59862 maximum",
        ),
        (
            413,
            {
                "error": {
                    "code": "tokens_limit_reached",
                    "message": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
                }
            },
            "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        ),
        (413, {"error": {"code": "tokens_limit_reached", "message": "m"}}, "m"),
        (
            413,
            {"message": "Request body too large for gpt-4o model. Max size: 8000 tokens."},
            "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        ),
    ],
)
def test_every_hosts_way_to_say_that_a_prompt_is_too_long(status: int, told: object, worded: str) -> None:
    """Pain 70: with the numbers, where they are told."""
    error = refused(status, told)
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert error.message == f"prompt is too long: {worded}"


def test_other_errors_are_not_taken_for_a_prompt_that_is_too_long() -> None:
    """Neither a body of many bytes, nor a value out of its range, nor a number that no one can mean."""
    big = refused(413, {"error": {"message": "Request body too large"}})
    assert (big.kind, big.message) == ("request_too_large", "Request body too large")
    assert refused(400, {"error": {"message": "Range of max_tokens should be [1, 8192]"}}).message.startswith("Range")
    digits = "9" * 5000
    assert refused(400, {"error": {"message": f"maximum context length is {digits}"}}).status == 400


LONG = "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (json.dumps({"error": {"message": LONG, "code": 400}}), "prompt is too long: 5000 tokens > 4096 maximum"),
        (json.dumps({"error": LONG}), "prompt is too long: 5000 tokens > 4096 maximum"),
        (json.dumps(LONG), "prompt is too long: 5000 tokens > 4096 maximum"),
        (LONG, "prompt is too long: 5000 tokens > 4096 maximum"),
        ({"message": LONG}, "prompt is too long: 5000 tokens > 4096 maximum"),
        ('{"error":{"message":"m","code":"context_length_exceeded"}}', "prompt is too long: m"),
        ('{"error":{"message":"at most 1 image"}}', "at most 1 image"),
        ('{"error": {"mess', '{"error": {"mess'),
        ("<html><body>bad</body></html>", "Provider returned error"),
        ("", "Provider returned error"),
        (None, "Provider returned error"),
    ],
)
@pytest.mark.parametrize("in_stream", [False, True])
def test_what_openrouters_provider_said_is_told(raw: object, message: str, in_stream: bool) -> None:
    """`metadata.raw` is a JSON text, or a text; a page is not the caller's business."""
    told = {"message": "Provider returned error", "code": 400, "metadata": {"raw": raw, "provider_name": "P"}}
    if in_stream:
        with pytest.raises(InvalidRequest) as failed:
            CHAT.translate(question(stream=True)).stream().feed(stream_bytes([{"error": told}]))
        assert failed.value.message == message
    else:
        assert refused(400, {"error": told}).message == message


def test_an_error_is_told_in_the_providers_words() -> None:
    """Pain 17, 53: a grammar that the server cannot make is its message, and no fault of the caller's."""
    refusal = CHAT.translate(question()).refusal
    error = refusal(500, b'{"error":{"code":500,"message":"failed to parse grammar","type":"server_error"}}')
    assert (error.status, error.kind, error.message) == (502, "api_error", "failed to parse grammar")
    unseen = refusal(500, b'{"error":{"code":500,"message":"image input is not supported","type":"server_error"}}')
    assert (unseen.status, unseen.kind) == (400, "invalid_request_error")
    assert refusal(422, b'{"detail":"bad field"}').message == "bad field"
    assert refusal(400, b'{"object":"error","message":"m","type":"BadRequestError","code":400}').message == "m"
    assert refusal(404, b'[{"error":{"code":404,"message":"no model"}}]').message == "no model"
    assert refusal(429, b'{"error":{"message":"quota","code":"insufficient_quota"}}').kind == "billing_error"
