"""Citations: the answer says which sentence of which document it rests on."""

import dragoman as anthropic
from dragoman.types import DocumentBlockParam

TEXT = "The lighthouse was built in 1874. Its lamp is seen from 30 miles. A keeper lived there until 1961."


def main() -> None:
    client = anthropic.Anthropic()
    document: DocumentBlockParam = {
        "type": "document",
        "title": "The lighthouse",
        "source": {"type": "text", "media_type": "text/plain", "data": TEXT},
        "citations": {"enabled": True},
    }
    message = client.messages.create(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[
            {
                "role": "user",
                "content": [document, {"type": "text", "text": "When was the lighthouse built?"}],
            }
        ],
    )
    notes: list[str] = []
    for block in message.content:
        if block.type != "text":
            continue
        print(block.text, end="")
        for citation in block.citations or []:
            if citation.type == "char_location":
                assert citation.cited_text == TEXT[citation.start_char_index : citation.end_char_index]
                notes.append(f"{citation.document_title}, from character {citation.start_char_index}")
                print(f" [{len(notes)}]", end="")
    print()
    for number, note in enumerate(notes, 1):
        print(f"[{number}] {note}")


if __name__ == "__main__":
    main()
