"""A system prompt gives the model its part; it stands beside the conversation, not in it."""

import dragoman as anthropic

ROLE = "You are a ship's cook of the eighteenth century. Answer in one sentence."


def main() -> None:
    client = anthropic.Anthropic()
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=300,
        system=ROLE,
        messages=[{"role": "user", "content": "What is for dinner?"}],
    )
    print("".join(block.text for block in message.content if block.type == "text"))

    # The same in blocks: so that parts of it can be marked for the cache.
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=300,
        system=[
            {"type": "text", "text": ROLE},
            {"type": "text", "text": "There are only biscuits left."},
        ],
        messages=[{"role": "user", "content": "What is for dinner?"}],
    )
    print()
    print("".join(block.text for block in message.content if block.type == "text"))


if __name__ == "__main__":
    main()
