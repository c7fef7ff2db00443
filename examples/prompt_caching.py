"""Prompt caching: a long beginning that many requests share is read once, and then taken from the cache."""

import time

import dragoman as anthropic
from dragoman.types import Usage

# The number differs from run to run, so that the first request of each finds nothing in the cache.
RULES = f"Rules of the club, edition {time.time_ns():020d}.\n" + "Rule: every book is returned on a Friday.\n" * 800


def main() -> None:
    client = anthropic.Anthropic()

    def ask(question: str) -> Usage:
        message = client.messages.create(
            model="claude-opus-4-8",
            max_tokens=100,
            # All up to the mark is cached; what follows may differ from request to request.
            system=[{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": question}],
        )
        return message.usage

    first = ask("When is a book returned?")
    second = ask("May I keep it until Sunday?")
    for name, usage in (("first", first), ("second", second)):
        print(f"{name} request")
        print("  written to the cache: ", usage.cache_creation_input_tokens)
        print("  read from the cache:  ", usage.cache_read_input_tokens)
        print("  read as ever:         ", usage.input_tokens)
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens


if __name__ == "__main__":
    main()
