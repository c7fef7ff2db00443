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


def test_too_much_together_is_told_apart() -> None:
    """A smaller `max_tokens` would help: Claude Code knows these words, and lowers it."""
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 50000. This model's maximum context length is 40960"
        " tokens and your request has 100 input tokens (50000 > 40960 - 100)."
    )
    error = CHAT.translate(question()).refusal(400, json.dumps({"error": {"message": message}}).encode())
    assert error.message.startswith("input length and `max_tokens` exceed context limit: 100 + 50000 > 40960")


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
