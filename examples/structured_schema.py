"""Structured output without Pydantic: a JSON schema says which form the text has."""

import json

import dragoman as anthropic

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "mood": {"type": "string", "enum": ["pleased", "neutral", "angry"]},
        "product": {"type": "string"},
    },
    "required": ["mood", "product"],
    "additionalProperties": False,
}


def main() -> None:
    client = anthropic.Anthropic()
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[{"role": "user", "content": "I am very pleased with the product, your Kettle. How do I feel?"}],
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )
    text = "".join(block.text for block in message.content if block.type == "text")
    for name, value in json.loads(text).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
