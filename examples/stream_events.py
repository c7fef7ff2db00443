"""The stream helper's own events: each piece of text comes with all of the text so far, each block when it is whole."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()
    with client.messages.stream(
        model="claude-opus-4-8",
        max_tokens=200,
        messages=[{"role": "user", "content": "Name the planets."}],
    ) as stream:
        longest = 0
        for event in stream:
            if event.type == "text":
                assert event.snapshot.endswith(event.text)
                longest = max(longest, len(event.snapshot))
            elif event.type == "content_block_stop":
                print("block", event.index, "is whole:", event.content_block.type)
                # Other code may look at the message while it grows.
                print("blocks of the message so far:", len(stream.current_message_snapshot.content))
            elif event.type == "message_stop":
                print("message is whole:", event.message.stop_reason)

        assert longest == len(stream.get_final_text())
        print(stream.get_final_text())


if __name__ == "__main__":
    main()
