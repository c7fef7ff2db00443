"""Structured output: a Pydantic model says which form the answer has, and `parse` gives back an object of it."""

from typing import Literal

from pydantic import BaseModel

import dragoman as anthropic

MAIL = "We need 3 tickets for the harbour tour. Name: Ann Lee, email: ann@example.com, tour: harbour"


class Order(BaseModel):
    name: str
    email: str
    tickets: int
    tour: Literal["harbour", "castle"]


def main() -> None:
    client = anthropic.Anthropic()
    message = client.messages.parse(
        model="claude-opus-4-8",
        max_tokens=500,
        messages=[{"role": "user", "content": f"Read the order out of this mail: {MAIL}"}],
        output_format=Order,
    )
    order = message.parsed_output
    assert order is not None  # None where the model refused, or was cut short
    print("name:   ", order.name)
    print("email:  ", order.email)
    print("tickets:", order.tickets)
    print("tour:   ", order.tour)


if __name__ == "__main__":
    main()
