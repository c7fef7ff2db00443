"""The tool runner: functions with types and docstrings become tools, and the runner goes round the loop by itself."""

import json

import dragoman as anthropic
from dragoman import beta_tool
from dragoman.tools import ToolError


@beta_tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """Get the current weather of a city.

    Args:
        city: Name of the city, such as Lisbon.
        unit: Either celsius or fahrenheit.
    """
    degrees = 24 if unit == "celsius" else 75
    return json.dumps({"city": city, "degrees": degrees, "sky": "clear"})


@beta_tool
def get_ferries(harbour: str) -> str:
    """Get the ferries that leave a harbour.

    Args:
        harbour: Name of the harbour.
    """
    raise ToolError(f"The ferries of {harbour} are on strike.")  # the model is told so, and that the tool failed


def main() -> None:
    client = anthropic.Anthropic()
    print("schema:", json.dumps(get_weather.to_dict()["input_schema"], sort_keys=True))

    runner = client.beta.messages.tool_runner(
        model="claude-opus-4-8",
        max_tokens=1000,
        tools=[get_weather, get_ferries],
        messages=[{"role": "user", "content": "What is the weather in Lisbon? Which ferries leave the harbour Belem?"}],
    )
    for message in runner:  # one message for each time round
        print("turn ends with", message.stop_reason)
        for block in message.content:
            if block.type == "tool_use":
                print("  calls", block.name)
            elif block.type == "text":
                print(" ", block.text)


if __name__ == "__main__":
    main()
