"""The events of a stream as the API sends them: a message starts, its blocks grow by deltas, the message stops."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()
    events = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=15,
        messages=[{"role": "user", "content": "Count to five."}],
        stream=True,
    )

    for event in events:
        if event.type == "message_start":
            print(event.type, "->", event.message.model, "reads", event.message.usage.input_tokens, "tokens")
        elif event.type == "content_block_start":
            print(event.type, "->", event.index, event.content_block.type)
        elif event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                print(event.type, "->", repr(event.delta.text))
        elif event.type == "content_block_stop":
            print(event.type, "->", event.index)
        elif event.type == "message_delta":
            print(event.type, "->", event.delta.stop_reason, "and", event.usage.output_tokens, "tokens written")
        elif event.type == "message_stop":
            print(event.type)


if __name__ == "__main__":
    main()
