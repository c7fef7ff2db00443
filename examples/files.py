"""The Files API: a document is uploaded once, and named by its id in as many requests as you like."""

import io

import dragoman as anthropic

NOTES = b"The ferry leaves at 7. The museum opens at 10. The last train is at 22."


def main() -> None:
    client = anthropic.Anthropic()
    uploaded = client.files.upload(file=("notes.txt", io.BytesIO(NOTES), "text/plain"))
    print("uploaded:", uploaded.filename, uploaded.mime_type, uploaded.size_bytes, "bytes")

    for question in ("When does the ferry leave?", "When does the museum open?"):
        message = client.messages.create(
            model="claude-opus-4-8",
            max_tokens=300,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "file", "file_id": uploaded.id},
                            "citations": {"enabled": True},
                        },
                        {"type": "text", "text": question},
                    ],
                }
            ],
        )
        print(question)
        print(" ", "".join(block.text for block in message.content if block.type == "text"))

    same = client.files.retrieve_metadata(uploaded.id)
    print("still there:", same.id == uploaded.id)
    print("deleted:", client.files.delete(uploaded.id).type)
    try:
        client.files.retrieve_metadata(uploaded.id)
    except anthropic.NotFoundError:
        print("and gone")


if __name__ == "__main__":
    main()
