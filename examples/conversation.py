"""A conversation of several turns: the API remembers nothing, so every request carries all that was said."""

import dragoman as anthropic
from dragoman.types import MessageParam

QUESTIONS = [
    "Hello, I am Ann and I keep bees.",
    "How many hives should a beginner have?",
    "And what do I keep?",
]


def main() -> None:
    client = anthropic.Anthropic()
    messages: list[MessageParam] = []

    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=500, messages=messages)
        # The content goes back as it came: also blocks that this program knows nothing of.
        messages.append({"role": "assistant", "content": reply.content})

        print("you:   ", question)
        print("claude:", *(block.text for block in reply.content if block.type == "text"))
        print(f"        ({reply.usage.input_tokens} tokens read, {len(messages)} messages so far)")


if __name__ == "__main__":
    main()
