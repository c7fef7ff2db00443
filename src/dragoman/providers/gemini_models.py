"""What each of Gemini's models takes, by its name: limits, sampling, and how thinking is asked for. Pure.

Sources, read 2026-11-21: Gemini's guides "Thinking" (levels, budgets), "Latest models" (what 3.6 Flash and 3.5
Flash-Lite changed for all that follow), "Tool combination"; the service's own words in public reports of its 400s.
Names that tell no version (`gemini-flash-latest`) are taken for the newest.
"""

import re
from typing import Any

from msgspec import Struct

from dragoman.wire.types import ThinkingDisabled, ThinkingEnabled

__all__ = ["GeminiModel"]

VERSION = re.compile(r"gemini-(\d{1,3})(?:\.(\d{1,3}))?(?![0-9])")
NEWEST = (1_000, 0)
OPEN = re.compile(r"gemma|learnlm")  # no thinking that can be asked for, and none of what came with 2.5
# The most tokens of output, above which a request is refused; the first that fits. Gemini 4 writes more only in the
# background.
OUTPUT = (
    (re.compile(r"gemini-(?:1|2\.0)|gemma-[23]|learnlm"), 8_192),
    (re.compile(r"gemma|.*-image"), 32_768),
    (re.compile(r""), 65_536),
)
MOST_TOP_K = 40  # of models before 2.5
# Gemini 2.5 -> the fewest and the most tokens it may think.
BUDGETS = (("pro", 128, 32_768), ("flash-lite", 512, 24_576), ("", 1, 24_576))
NEVER_OFF = "pro"
# Effort -> level, and tokens for models with budgets (Google's own table, "OpenAI compatibility").
LEVELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}
EFFORT_TOKENS = {"low": 1_024, "medium": 8_192, "high": 24_576, "xhigh": 24_576, "max": 24_576}
NO_MEDIUM = re.compile(r"gemini-3-pro")
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384  # tokens of thinking, up to which a level is low, or medium

JSON = dict[str, Any]


class GeminiModel(Struct, frozen=True, kw_only=True):
    """`name` without the path before it."""

    name: str
    version: tuple[int, int]
    thinks: bool  # can be told how much to think
    most_output: int  # tokens

    @classmethod
    def of(cls, path: str) -> "GeminiModel":
        name = path.rsplit("/", 1)[-1]
        found = VERSION.match(name)
        version = (int(found[1]), int(found[2] or 0)) if found else NEWEST
        if OPEN.match(name):
            version = (0, 0)
        most = next(tokens for pattern, tokens in OUTPUT if pattern.match(name))
        return cls(name=name, version=version, thinks=version >= (2, 5), most_output=most)

    @property
    def signs_calls(self) -> bool:
        """Refuses calls in the history without their signatures; takes files within results of functions, structured
        output beside functions, and Google's own tools beside them."""
        return self.version >= (3, 0)

    @property
    def searches(self) -> bool:
        """Has `googleSearch`."""
        return self.version >= (2, 0)

    @property
    def is_fixed(self) -> bool:
        """Takes no sampling parameters (ignored now, to be refused), and no request that ends with its own turn."""
        return self.version >= (3, 6) or self.name.startswith("gemini-3.5-flash-lite")

    def top_k(self, asked: int) -> int:
        return asked if self.version >= (2, 5) else min(asked, MOST_TOP_K)

    def thinking(self, thinking: Any, effort: str | None) -> JSON:
        """`thinkingConfig`; empty for as the model does by itself. Only of a model that `thinks`."""
        if isinstance(thinking, ThinkingDisabled):
            return self._least()
        if thinking is None and effort is None:
            return {}
        budget = thinking.budget_tokens if isinstance(thinking, ThinkingEnabled) else None
        config = self._level(budget, effort) if self.signs_calls else self._budget(budget, effort)
        if thinking is not None and getattr(thinking, "display", None) != "omitted":
            config["includeThoughts"] = True
        return config

    def _least(self) -> JSON:
        """As little thinking as there is: from Gemini 3 on it cannot be turned off."""
        if self.signs_calls:
            return {"thinkingLevel": "LOW"}
        return {"thinkingBudget": 128 if NEVER_OFF in self.name else 0}

    def _budget(self, budget: int | None, effort: str | None) -> JSON:
        if budget is None:
            budget = None if effort is None else EFFORT_TOKENS[effort]
        if budget is None:
            return {"thinkingBudget": -1}  # as much as the question needs
        least, most = next((low, high) for part, low, high in BUDGETS if part in self.name)
        return {"thinkingBudget": min(max(budget, least), most)}

    def _level(self, budget: int | None, effort: str | None) -> JSON:
        level = None if effort is None else LEVELS[effort]
        if level is None and budget is not None:
            level = "LOW" if budget <= LOW_BUDGET else "MEDIUM" if budget <= MEDIUM_BUDGET else "HIGH"
        if level is None:
            return {}
        return {"thinkingLevel": "HIGH" if level == "MEDIUM" and NO_MEDIUM.match(self.name) else level}
