"""The tool runner with streams: each time round the loop is a stream of its own."""

import dragoman as anthropic
from dragoman import beta_tool


@beta_tool
def get_population(city: str) -> str:
    """Get the number of people who live in a city.

    Args:
        city: Name of the city.
    """
    return {"Vienna": "2,005,000", "Graz": "305,000"}.get(city, "unknown")


def main() -> None:
    client = anthropic.Anthropic()
    runner = client.beta.messages.tool_runner(
        model="claude-opus-4-8",
        max_tokens=1000,
        tools=[get_population],
        messages=[{"role": "user", "content": "Which city has more people, Vienna or Graz?"}],
        stream=True,
        max_iterations=5,
    )
    for number, stream in enumerate(runner, 1):
        print("turn", number)
        for event in stream:
            if event.type == "text":
                print(event.text, end="", flush=True)
            elif event.type == "content_block_stop":
                if event.content_block.type == "tool_use":
                    print("calls", event.content_block.name, "with", event.content_block.input, end="")
                print()
        print("stopped for", stream.get_final_message().stop_reason)


if __name__ == "__main__":
    main()
