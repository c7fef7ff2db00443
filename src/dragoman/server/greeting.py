"""What the person who starts a server is told, once. Imports nothing that serves requests."""

import logging
from collections.abc import Mapping
from typing import TextIO

from dragoman.gateway.config.config import OFFLINE, Config

__all__ = ["greeting", "set_up_logging", "what_answers"]


def greeting(config: Config, address: str, first_key: str | None, env: Mapping[str, str]) -> str:
    """What answers, where, the first key (once), and a line to try."""
    lines = [f"dragoman listens on {address}", *what_answers(config)]
    shown = first_key or "$YOUR_KEY"
    if first_key is not None:
        lines.append(f"First key:  {first_key}  (shown this once; `dragoman keys create` makes more)")
    elif env.get("DRAGOMAN_API_KEY"):
        shown = "$DRAGOMAN_API_KEY"
    else:
        lines.append("Keys:       those made before; `dragoman keys create` makes another")
    try_it = ["Try it:"]
    if shown == "$YOUR_KEY":
        try_it = ["Try it, with a key of yours in place of the dots:", "export YOUR_KEY=sk-dgm-..."]
    return "\n".join([*lines, "", *try_it, _curl(address, shown), ""])


def what_answers(config: Config) -> list[str]:
    """Lines for a person: who answers the models that nothing else is configured for, and what to know of that."""
    default = config.route_provider
    if default.dialect == OFFLINE:
        what = f"the built-in offline engine ({default.origin})"
    else:
        what = f"{default.name} at {default.base_url} ({default.origin})"
    return [f"Answering:  {what}", *(f"Note:       {note}" for note in config.notes)]


def _curl(address: str, key: str) -> str:
    body = '{"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}'
    quote = '"' if key.startswith("$") else "'"
    return (
        f"curl '{address}/v1/messages' -H {quote}x-api-key: {key}{quote} "
        f"-H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' -d '{body}'"
    )


def set_up_logging(level: int = logging.INFO, *, out: TextIO | None = None) -> None:
    """One line an event, to standard error or to `out`; the ledger's lines among them."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=out)
    logging.getLogger("dragoman").setLevel(level)
