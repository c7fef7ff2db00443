"""The tool runner with async tools: what one turn asks for runs in functions that wait without blocking."""

import asyncio

import dragoman as anthropic
from dragoman import beta_async_tool


@beta_async_tool
async def get_time(city: str) -> str:
    """Get the time of day in a city.

    Args:
        city: Name of the city.
    """
    await asyncio.sleep(0)  # a request to some other service
    return {"Tokyo": "21:00", "Lima": "07:00"}.get(city, "unknown")


async def main() -> None:
    async with anthropic.AsyncAnthropic() as client:
        runner = client.beta.messages.tool_runner(
            model="claude-opus-4-8",
            max_tokens=1000,
            tools=[get_time],
            messages=[{"role": "user", "content": "What time is it in Tokyo and in Lima?"}],
        )
        message = await runner.until_done()
    for block in message.content:
        if block.type == "text":
            print(block.text)


if __name__ == "__main__":
    asyncio.run(main())
