"""The built-in engine: no model, no network, and honest about it.

`engine.py` answers; `prompt.py` reads the request, with `tokens.py` and `images.py`; `tools/` decides what to call,
`examples/` makes values that fit a schema, `hints/` reads values out of the user's words.
"""

from .engine import OfflineEngine

__all__ = ["OfflineEngine"]
