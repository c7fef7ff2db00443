"""How many tokens a request has, before it is sent: with its system prompt, its tools and its pictures."""

import dragoman as anthropic
from dragoman.types import MessageParam, ToolParam

MESSAGES: list[MessageParam] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def main() -> None:
    client = anthropic.Anthropic()
    plain = client.messages.count_tokens(model="claude-opus-4-8", messages=MESSAGES)
    print("the question:        ", plain.input_tokens)

    briefed = client.messages.count_tokens(model="claude-opus-4-8", system="Be brief.", messages=MESSAGES)
    print("with a system prompt:", briefed.input_tokens)

    equipped = client.messages.count_tokens(model="claude-opus-4-8", tools=[WEATHER], messages=MESSAGES)
    print("with a tool:         ", equipped.input_tokens)

    message = client.messages.create(model="claude-opus-4-8", max_tokens=10, messages=MESSAGES)
    print("as the reply says:   ", message.usage.input_tokens)


if __name__ == "__main__":
    main()
