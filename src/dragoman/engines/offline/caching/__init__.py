"""Prompt caching as the API accounts for it, without a cache of anything but hashes (CCH-26).

`prefix.py` lays a request out as what is hashed, `cache.py` remembers which prefixes were written, `diagnostics.py`
says where two requests part.
"""

from .cache import CacheUse, PromptCache
from .diagnostics import Diagnoses, Fingerprint

__all__ = ["CacheUse", "Diagnoses", "Fingerprint", "PromptCache"]
