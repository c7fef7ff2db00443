"""Models that are about to end, or have: who asks for one is warned, and the call is made all the same. SDK-10."""

import os
from typing import Any
from warnings import warn

from .guards import is_mapping

__all__ = ["ENDS", "NO_BUDGET", "warn_of"]

# Model -> its last day. Source: the official Python client 2.11, which warns of the same.
ENDS = {
    "claude-1.3": "2024-11-06",
    "claude-1.3-100k": "2024-11-06",
    "claude-instant-1.1": "2024-11-06",
    "claude-instant-1.1-100k": "2024-11-06",
    "claude-instant-1.2": "2024-11-06",
    "claude-2.0": "2025-07-21",
    "claude-2.1": "2025-07-21",
    "claude-3-sonnet-20240229": "2025-07-21",
    "claude-3-opus-20240229": "2026-01-05",
    "claude-3-5-haiku-20241022": "2026-02-19",
    "claude-3-5-haiku-latest": "2026-02-19",
    "claude-3-7-sonnet-20250219": "2026-02-19",
    "claude-3-7-sonnet-latest": "2026-02-19",
    "claude-opus-4-0": "2026-06-15",
    "claude-opus-4-20250514": "2026-06-15",
    "claude-sonnet-4-0": "2026-06-15",
    "claude-sonnet-4-20250514": "2026-06-15",
    "claude-mythos-preview": "2026-06-30",
    "claude-sonnet-4-5": "2026-11-30",
    "claude-sonnet-4-5-20250929": "2026-11-30",
}
NO_BUDGET = frozenset({"claude-opus-4-6", "claude-mythos-preview"})  # that do better without a budget for thinking

PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def warn_of(model: Any, thinking: Any) -> None:
    """Warnings point at the line outside of this package that makes the call."""
    if not isinstance(model, str):
        return
    if model in ENDS:
        text = f"the model {model!r} is deprecated, and ends or ended on {ENDS[model]}: use a newer one"
        warn(text, DeprecationWarning, stacklevel=_callers_level())
    if model in NO_BUDGET and is_mapping(thinking) and thinking.get("type") == "enabled":
        text = f"thinking with a budget is deprecated for the model {model!r}: use thinking={{'type': 'adaptive'}}"
        warn(text, UserWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """`stacklevel` for `warn_of`: how many frames of this package there are, and one."""
    from inspect import currentframe  # nearly never

    frame = currentframe()
    level = 0
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
        level += 1
    return level
