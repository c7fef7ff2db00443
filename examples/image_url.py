"""An image by its address: the server fetches it.

A server that cannot reach the address says so with status 400; the offline engine of dragoman never fetches anything.
"""

import dragoman as anthropic

ADDRESS = "https://example.com/chart.png"


def main() -> None:
    client = anthropic.Anthropic()
    try:
        message = client.messages.create(
            model="claude-opus-4-8",
            max_tokens=500,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "url", "url": ADDRESS}},
                        {"type": "text", "text": "What is in this picture?"},
                    ],
                }
            ],
        )
    except anthropic.BadRequestError as error:
        print("The picture could not be fetched:")
        print(error.message)
    else:
        print("".join(block.text for block in message.content if block.type == "text"))


if __name__ == "__main__":
    main()
