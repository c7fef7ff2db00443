"""Why an answer ended, and what a program does about it."""

import dragoman as anthropic
from dragoman.types import Message, ToolParam

CLOCK: ToolParam = {"name": "get_time", "description": "Get the time of day.", "input_schema": {"type": "object"}}
# The API's own string for tests: whatever holds it is refused.
REFUSE = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672DEE07F9D3AFC62588CCD2631EDCF22E8CCC1FB35B501C9C86"


def what_to_do(message: Message) -> str:
    match message.stop_reason:
        case "end_turn":
            return "it has said what it wanted to: show it"
        case "max_tokens":
            return f"cut after {message.usage.output_tokens} tokens: ask again, with more room"
        case "stop_sequence":
            return f"it came to {message.stop_sequence!r}: take what is before it"
        case "tool_use":
            names = [block.name for block in message.content if block.type == "tool_use"]
            return f"it wants {', '.join(names)}: call and send the result"
        case "pause_turn":
            return "a long turn: send it back as it is, and it goes on"
        case "refusal":
            return "it will not answer: take this message out of the conversation"
        case other:
            return f"not known to this program: {other}"


def main() -> None:
    client = anthropic.Anthropic()

    def ask(text: str, max_tokens: int = 200) -> Message:
        return client.messages.create(
            model="claude-opus-4-8",
            max_tokens=max_tokens,
            stop_sequences=["###"],
            tools=[CLOCK],
            messages=[{"role": "user", "content": text}],
        )

    for message in (
        ask("Hello"),
        ask("Tell me everything.", max_tokens=8),
        ask("Repeat this: one ### two"),
        ask("What time is it?"),
        ask(f"Hello {REFUSE}"),
    ):
        print(f"{message.stop_reason}: {what_to_do(message)}")


if __name__ == "__main__":
    main()
