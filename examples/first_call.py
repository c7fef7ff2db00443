"""The first call: one question, one answer, and what the answer says about itself."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()  # reads ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL

    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[{"role": "user", "content": "Why is the sky blue?"}],
    )

    # An answer is a list of blocks of several types; most answers hold one block of text.
    for block in message.content:
        if block.type == "text":
            print(block.text)

    print()
    print("model:        ", message.model)
    print("stopped for:  ", message.stop_reason)
    print("input tokens: ", message.usage.input_tokens)
    print("output tokens:", message.usage.output_tokens)


if __name__ == "__main__":
    main()
