"""Messages whose text is JSON of a type that the caller gave. SDK-53."""

from typing import Any

from .given import is_given
from .record import Record
from .results import Into

__all__ = ["into_parsed"]


def into_parsed(message: type[Record], output_format: Any) -> Into:
    """A Result: the message, each of its text blocks with `parsed_output`, None without an output format.

    Reading the text as the type raises what `parse_text` raises.
    """
    if output_format is None or not is_given(output_format):
        return Into(message)

    def add(found: Any) -> Any:
        from .parse import parse_text

        for block in found.content:
            if block.type == "text":
                block.parsed_output = parse_text(block.text, output_format)
        return found

    return Into(message, add)
