"""A PDF: the model reads the text of its pages, and sees them."""

import base64
from pathlib import Path

import dragoman as anthropic
from dragoman.types import DocumentBlockParam

FILE = Path(__file__).parent / "data" / "rivers.pdf"


def main() -> None:
    client = anthropic.Anthropic()
    document: DocumentBlockParam = {
        "type": "document",
        "title": "Rivers",
        "source": {
            "type": "base64",
            "media_type": "application/pdf",
            "data": base64.b64encode(FILE.read_bytes()).decode(),
        },
        "citations": {"enabled": True},
    }
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[{"role": "user", "content": [document, {"type": "text", "text": "How long is the Volga?"}]}],
    )
    for block in message.content:
        if block.type != "text":
            continue
        print(block.text, end="")
        for citation in block.citations or []:
            if citation.type == "page_location":
                print(f" ({citation.document_title}, page {citation.start_page_number})", end="")
    print()


if __name__ == "__main__":
    main()
