"""Streaming: the text is printed piece by piece, as it is written, and the whole message is there at the end."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()
    with client.messages.stream(
        model="claude-opus-4-8",
        max_tokens=1000,
        messages=[{"role": "user", "content": "Tell me a story of a lighthouse, in three sentences."}],
    ) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
        message = stream.get_final_message()

    print()
    print("---")
    print("stopped for", message.stop_reason, "after", message.usage.output_tokens, "tokens")

    # Whoever wants no pieces, but a long answer without a time-out, lets the helper collect it.
    with client.messages.stream(
        model="claude-opus-4-8",
        max_tokens=64_000,
        messages=[{"role": "user", "content": "And now the same story, much longer."}],
    ) as stream:
        print(stream.get_final_text())


if __name__ == "__main__":
    main()
