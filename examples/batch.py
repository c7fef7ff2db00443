"""A batch: many requests that may take their time. They are handed in, looked after, and fetched when all are done."""

import time

import dragoman as anthropic
from dragoman.types.messages.batch_create_params import Request

CITIES = ["Oslo", "Rome", "Cairo"]


def request(city: str) -> Request:
    return {
        "custom_id": city.lower(),  # the results come in any order
        "params": {
            "model": "claude-haiku-4-5",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": f"Which river flows through {city}?"}],
        },
    }


def main() -> None:
    client = anthropic.Anthropic()
    wrong: Request = {"custom_id": "wrong", "params": {"model": "claude-haiku-4-5", "max_tokens": 1, "messages": []}}
    batch = client.messages.batches.create(requests=[*map(request, CITIES), wrong])
    print("handed in, now", batch.processing_status)

    while batch.processing_status != "ended":
        time.sleep(0.05)  # a minute is plenty with a real model
        batch = client.messages.batches.retrieve(batch.id)
    print("succeeded:", batch.request_counts.succeeded, "errored:", batch.request_counts.errored)

    lines: list[str] = []
    for entry in client.messages.batches.results(batch.id):
        if entry.result.type == "succeeded":
            text = "".join(block.text for block in entry.result.message.content if block.type == "text")
            lines.append(f"{entry.custom_id}: {text}")
        elif entry.result.type == "errored":
            lines.append(f"{entry.custom_id}: {entry.result.error.error.message}")
    print(*sorted(lines), sep="\n")

    client.messages.batches.delete(batch.id)


if __name__ == "__main__":
    main()
