"""An image out of a file: it is sent along with the question, as base64."""

import base64
from pathlib import Path

import dragoman as anthropic

CHART = Path(__file__).parent / "data" / "chart.png"


def main() -> None:
    client = anthropic.Anthropic()
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": base64.b64encode(CHART.read_bytes()).decode(),
                        },
                    },
                    {"type": "text", "text": "Which bar is the longest?"},
                ],
            }
        ],
    )
    print("".join(block.text for block in message.content if block.type == "text"))
    print("tokens read, the image among them:", message.usage.input_tokens)


if __name__ == "__main__":
    main()
