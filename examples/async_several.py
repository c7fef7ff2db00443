"""Several requests at once: as many as you like wait side by side, and the answers come back in order."""

import asyncio

import dragoman as anthropic

ANIMALS = ["owl", "otter", "ox", "orca"]


async def main() -> None:
    async with anthropic.AsyncAnthropic() as client:
        few = asyncio.Semaphore(3)  # no more than this at one time

        async def ask(animal: str) -> str:
            async with few:
                message = await client.messages.create(
                    model="claude-haiku-4-5",
                    max_tokens=200,
                    messages=[{"role": "user", "content": f"What does an {animal} eat?"}],
                )
            return "".join(block.text for block in message.content if block.type == "text")

        answers = await asyncio.gather(*(ask(animal) for animal in ANIMALS))

    for animal, answer in zip(ANIMALS, answers, strict=True):
        print(f"{animal}: {answer}")


if __name__ == "__main__":
    asyncio.run(main())
