"""The input of a tool, while it is being written: pieces of JSON, and what they amount to so far."""

import json

import dragoman as anthropic
from dragoman.types import ToolParam

NOTE: ToolParam = {
    "name": "save_note",
    "description": "Save a note under a title.",
    "input_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "text": {"type": "string"}},
        "required": ["title", "text"],
    },
}


def main() -> None:
    client = anthropic.Anthropic()
    with client.messages.stream(
        model="claude-opus-4-8",
        max_tokens=1000,
        tools=[NOTE],
        tool_choice={"type": "tool", "name": "save_note"},
        messages=[{"role": "user", "content": 'Save a note with the title "Bread" and the text "flour, water, salt"'}],
    ) as stream:
        written = ""
        for event in stream:
            if event.type == "input_json":
                written += event.partial_json
                assert isinstance(event.snapshot, dict)  # an object at all times, however little of it is there
        message = stream.get_final_message()

    call = next(block for block in message.content if block.type == "tool_use")
    assert json.loads(written) == call.input
    print("calls", call.name)
    for name, value in call.input.items():
        print(f"  {name}: {value}")


if __name__ == "__main__":
    main()
