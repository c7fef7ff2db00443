"""Retries and time-outs: what is tried again by itself, how often, and how long the client waits."""

import socket
import uuid

import dragoman as anthropic
from dragoman.types import MessageParam

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]


def overloaded(client: anthropic.Anthropic, times: int) -> str:
    """Have dragoman be overloaded so many times; the key has to be a test key, and other servers ignore the header."""
    fault = {"dragoman-fault": f"529; times={times}; run={uuid.uuid4().hex}"}
    try:
        answer = client.messages.with_raw_response.create(
            model="claude-opus-4-8", max_tokens=50, messages=HELLO, extra_headers=fault
        )
    except anthropic.InternalServerError as error:
        return f"gave up, {error.status_code} {error.type}"
    return f"status {answer.status_code} after {answer.retries_taken} retries"


def main() -> None:
    client = anthropic.Anthropic()  # 2 retries, with growing waits between them
    print("overloaded once:        ", overloaded(client, times=1))
    print("the same, no retries:   ", overloaded(client.with_options(max_retries=0), times=1))

    # A server that takes connections and never answers; time-outs are retried too, unless it is switched off.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waiting = client.with_options(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", max_retries=0)
        try:
            waiting.messages.create(model="claude-opus-4-8", max_tokens=50, messages=HELLO, timeout=0.1)
        except anthropic.APITimeoutError:
            print("a server without words:  no answer within 0.1 s")

    try:
        client.messages.create(model="claude-opus-4-8", max_tokens=100_000, messages=HELLO)
    except ValueError:
        print("100,000 tokens at once:  refused by the client, as it would take too long without a stream")


if __name__ == "__main__":
    main()
