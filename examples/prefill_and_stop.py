"""Two ways to steer an answer: begin it yourself, and say where it is to end."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()

    # A prefill: the last message is the assistant's, and the answer goes on from there. Newer models refuse it.
    start = "A haiku is"
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[
            {"role": "user", "content": "What is a haiku?"},
            {"role": "assistant", "content": start},
        ],
    )
    print(start + "".join(block.text for block in message.content if block.type == "text"))

    # A stop sequence: it ends the answer, and is not part of it.
    message = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=100,
        stop_sequences=["five", "END"],
        messages=[{"role": "user", "content": "Count: three four five six"}],
    )
    print()
    print("".join(block.text for block in message.content if block.type == "text"))
    print(f"stopped for {message.stop_reason}: {message.stop_sequence}")


if __name__ == "__main__":
    main()
