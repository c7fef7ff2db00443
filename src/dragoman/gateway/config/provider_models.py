"""What is configured of one model of a provider: the tables [providers.NAME.models."MODEL"]."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from .sheet import Readers, Sheet
from .text import KeyPath
from .values import seconds, whole

__all__ = ["ModelConfig", "read_models"]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests the model is asked at once, how many more wait for a place, and how long. The provider's own
    bounds hold beside these."""

    max_concurrent: Annotated[int, whole(1, 100_000)]
    queue: Annotated[int, whole(0, 100_000)] = 100
    queue_timeout_s: Annotated[float, seconds(0.01)] = 30.0


def read_models(
    sheet: Sheet, provider: KeyPath, readers_of: Callable[[type[msgspec.Struct]], Readers]
) -> dict[str, ModelConfig]:
    """By the names that the provider calls them by; what is wrong with them, the sheet has noted."""
    found = sheet.table(provider).get("models", {})
    if not isinstance(found, dict):
        sheet.note((*provider, "models"), "this is a setting, not a table", 'Write [providers.NAME.models."MODEL"].')
        return {}
    models = {}
    for name in found:
        path = (*provider, "models", name)
        values: dict[str, Any] = sheet.settings(path, readers_of(ModelConfig))
        table = sheet.table(path)
        if (
            isinstance(found[name], dict)
            and "max_concurrent" not in table
            and table.keys() <= {*readers_of(ModelConfig)}
        ):
            sheet.note(path, "max_concurrent is missing", "Add how many requests it may be asked at once.")
        if "max_concurrent" in values:
            models[name] = ModelConfig(**values)
    return models
