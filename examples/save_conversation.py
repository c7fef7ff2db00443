"""A conversation kept in a file: what came is written as data, and read back as the beginning of the next request."""

import json
import tempfile
from pathlib import Path

import dragoman as anthropic
from dragoman.types import MessageParam


def as_data(block: anthropic.BaseModel) -> dict[str, object]:
    return block.to_dict()


def save(messages: list[MessageParam], file: Path) -> None:
    file.write_text(json.dumps(messages, default=as_data, indent=2, sort_keys=True))


def load(file: Path) -> list[MessageParam]:
    messages: list[MessageParam] = json.loads(file.read_text())
    return messages


def main() -> None:
    client = anthropic.Anthropic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "conversation.json"

        messages: list[MessageParam] = [{"role": "user", "content": "Let us write a poem on rain."}]
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=200, messages=messages)
        save([*messages, {"role": "assistant", "content": reply.content}], file)
        print(file.read_text())

        again = load(file)
        again.append({"role": "user", "content": "Now the second verse."})
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=200, messages=again)
        print("turns:", len(again), "- tokens read:", reply.usage.input_tokens)


if __name__ == "__main__":
    main()
