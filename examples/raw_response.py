"""What came over the wire: status, headers and request id, beside the message itself."""

import dragoman as anthropic
from dragoman.types import MessageParam

MESSAGES: list[MessageParam] = [{"role": "user", "content": "Hello"}]


def main() -> None:
    client = anthropic.Anthropic()

    response = client.messages.with_raw_response.create(model="claude-opus-4-8", max_tokens=50, messages=MESSAGES)
    print("status:      ", response.status_code)
    print("type:        ", response.headers["content-type"])
    print("request id:  ", response.request_id)
    print("retries:     ", response.retries_taken)
    message = response.parse()
    print("stopped for: ", message.stop_reason)

    # The request id is on the message as well, public for all its underscore: say it when you ask for help.
    plain = client.messages.create(model="claude-opus-4-8", max_tokens=50, messages=MESSAGES)
    print("on a message:", plain._request_id)  # pyright: ignore[reportPrivateUsage]

    # The body is read on demand here, and the connection given back at the end of the block.
    with client.messages.with_streaming_response.create(
        model="claude-opus-4-8", max_tokens=50, messages=MESSAGES
    ) as streamed:
        print("has a type:  ", "content-type" in streamed.headers)
        print("bytes:       ", sum(len(piece) for piece in streamed.iter_bytes()) > 100)


if __name__ == "__main__":
    main()
