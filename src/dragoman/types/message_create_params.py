"""What `messages.create` takes, by the names of the official module, and by those that it had in older releases."""

from .params.request import (
    MessageCreateParams,
    MessageCreateParamsBase,
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from .params.request import MetadataParam as Metadata
from .params.request import ToolChoiceAnyParam as ToolChoiceToolChoiceAny
from .params.request import ToolChoiceAutoParam as ToolChoiceToolChoiceAuto
from .params.request import ToolChoiceParam as ToolChoice
from .params.request import ToolChoiceToolParam as ToolChoiceToolChoiceTool

__all__ = [
    "MessageCreateParams",
    "MessageCreateParamsBase",
    "MessageCreateParamsNonStreaming",
    "MessageCreateParamsStreaming",
    "Metadata",
    "ToolChoice",
    "ToolChoiceToolChoiceAny",
    "ToolChoiceToolChoiceAuto",
    "ToolChoiceToolChoiceTool",
]
