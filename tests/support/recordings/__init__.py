"""Byte-level recordings of streams: what a client may be sent, lawful and lawless.

Made by hand after ../shared/spec/streaming.md, whose rule ids stand in `shows`; those of its section 6 are what the
API was seen to send. None is a copy of a user's traffic.
"""

from . import ends, errors, frames, orders, servertools, texts, thoughts, tools, unknowns
from .making import Recording

__all__ = ["RECORDINGS", "Recording"]

THEMES = {
    "text": texts.RECORDINGS,
    "tool": tools.RECORDINGS,
    "thinking": thoughts.RECORDINGS,
    "server tool": servertools.RECORDINGS,
    "end": ends.RECORDINGS,
    "unknown": unknowns.RECORDINGS,
    "order": orders.RECORDINGS,
    "frame": frames.RECORDINGS,
    "error": errors.RECORDINGS,
}
RECORDINGS: dict[str, Recording] = {
    f"{theme}: {name}": recording for theme, recordings in THEMES.items() for name, recording in recordings.items()
}
