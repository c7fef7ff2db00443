"""Streams with asyncio: the helper and the raw events, both with `async for`."""

import asyncio

import dragoman as anthropic
from dragoman.types import MessageParam

MESSAGES: list[MessageParam] = [{"role": "user", "content": "Say something about the tide."}]


async def with_the_helper(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model="claude-opus-4-8", max_tokens=200, messages=MESSAGES) as stream:
        async for text in stream.text_stream:
            print(text, end="", flush=True)
        message = await stream.get_final_message()
    print()
    print("tokens:", message.usage.output_tokens)


async def with_raw_events(client: anthropic.AsyncAnthropic) -> None:
    events = await client.messages.create(model="claude-opus-4-8", max_tokens=200, messages=MESSAGES, stream=True)
    kinds: list[str] = []
    async for event in events:
        if event.type not in kinds:
            kinds.append(event.type)
    print("kinds of events:", *kinds)


async def main() -> None:
    async with anthropic.AsyncAnthropic() as client:
        await with_the_helper(client)
        await with_raw_events(client)


if __name__ == "__main__":
    asyncio.run(main())
