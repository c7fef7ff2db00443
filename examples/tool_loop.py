"""Tools by hand: the model asks for a call, this program makes it and sends the result, until there is an answer."""

import dragoman as anthropic
from dragoman.types import MessageParam, ToolParam, ToolResultBlockParam, ToolUseBlock

WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city, such as Lisbon"}},
        "required": ["city"],
    },
}
REPORTS = {"Lisbon": "24 degrees, clear", "Bergen": "9 degrees, rain"}


def run(call: ToolUseBlock) -> ToolResultBlockParam:
    """A failure is told to the model too: it may try another way."""
    report = REPORTS.get(str(call.input["city"]))
    return {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": report or "There is no station in this city.",
        "is_error": report is None,
    }


def main() -> None:
    client = anthropic.Anthropic()
    messages: list[MessageParam] = [
        {"role": "user", "content": "What is the weather in Lisbon, in Bergen and in Atlantis?"}
    ]
    while True:
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=1000, tools=[WEATHER], messages=messages)
        messages.append({"role": "assistant", "content": reply.content})
        if reply.stop_reason != "tool_use":
            break
        results: list[ToolResultBlockParam] = []
        for block in reply.content:
            if block.type == "tool_use":
                print("calls", block.name, "with", block.input)
                results.append(run(block))
        messages.append({"role": "user", "content": results})

    print()
    print("".join(block.text for block in reply.content if block.type == "text"))


if __name__ == "__main__":
    main()
