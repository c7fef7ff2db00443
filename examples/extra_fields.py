"""What the client does not know, it can send all the same: headers and body fields of your own, in any call."""

import dragoman as anthropic
from dragoman.types import MessageParam

MESSAGES: list[MessageParam] = [{"role": "user", "content": "Pick a colour."}]


def main() -> None:
    client = anthropic.Anthropic(default_headers={"x-program": "extra_fields.py"})  # with every request

    # The newest version of the API has no `temperature`; an older one takes it, for a model that has it.
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=MESSAGES,
        extra_headers={"anthropic-version": "2023-06-01"},
        extra_body={"temperature": 0.2},
    )
    print("".join(block.text for block in message.content if block.type == "text"))

    # A field that nobody knows reaches the server, which says so.
    try:
        client.messages.create(
            model="claude-haiku-4-5", max_tokens=100, messages=MESSAGES, extra_body={"colour": "blue"}
        )
    except anthropic.BadRequestError as error:
        print(error.message)

    # And what the server sends beyond what the client knows is kept: here, all of it.
    print("fields:", *sorted(message.to_dict()))


if __name__ == "__main__":
    main()
