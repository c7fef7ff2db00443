"""Thinking: the model decides how much it thinks, and its thoughts go back with its answer in the next turn."""

import dragoman as anthropic
from dragoman.types import Message, MessageParam


def show(message: Message) -> None:
    for block in message.content:
        if block.type == "thinking":
            print("thinks:", block.thinking.replace("\n", "\n        "))
            print("signed:", bool(block.signature))
        elif block.type == "text":
            print("says:  ", block.text)
    details = message.usage.output_tokens_details
    if details is not None:
        print("thought:", details.thinking_tokens, "of", message.usage.output_tokens, "tokens")


def main() -> None:
    client = anthropic.Anthropic()
    messages: list[MessageParam] = [{"role": "user", "content": "What is 27 times 453?"}]
    first = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=4000,
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "low"},
        messages=messages,
    )
    show(first)

    # The thoughts go back unchanged, as their signatures are checked. Without `display` they come hidden.
    messages.append({"role": "assistant", "content": first.content})
    messages.append({"role": "user", "content": "Are you sure?"})
    second = client.messages.create(
        model="claude-opus-4-8", max_tokens=4000, thinking={"type": "adaptive"}, messages=messages
    )
    print()
    show(second)


if __name__ == "__main__":
    main()
