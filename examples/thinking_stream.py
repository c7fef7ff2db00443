"""Thinking in a stream: first the thoughts arrive in pieces, then a signature, then the answer."""

import dragoman as anthropic


def main() -> None:
    client = anthropic.Anthropic()
    with client.messages.stream(
        model="claude-opus-4-8",
        max_tokens=4000,
        thinking={"type": "adaptive", "display": "summarized"},
        messages=[{"role": "user", "content": "Is 391 a prime number?"}],
    ) as stream:
        for event in stream:
            if event.type == "content_block_start":
                print(f"[{event.content_block.type}]")
            elif event.type == "thinking":
                print(event.thinking, end="", flush=True)
            elif event.type == "signature":
                print("\n(signed)", end="")
            elif event.type == "text":
                print(event.text, end="", flush=True)
            elif event.type == "content_block_stop":
                print()
        message = stream.get_final_message()
    print("blocks:", *(block.type for block in message.content))


if __name__ == "__main__":
    main()
