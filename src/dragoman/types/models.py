"""Models and what they can do."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from dragoman.client.record import Record

from .names import ModelLine


class CapabilitySupport(Record):
    supported: bool


class ContextManagementCapability(Record):
    supported: bool
    clear_thinking_20251015: CapabilitySupport | None = None
    clear_tool_uses_20250919: CapabilitySupport | None = None
    compact_20260112: CapabilitySupport | None = None


class EffortCapability(Record):
    high: CapabilitySupport
    low: CapabilitySupport
    max: CapabilitySupport
    medium: CapabilitySupport
    supported: bool
    xhigh: CapabilitySupport | None = None


class ServerToolsCapability(Record):
    code_execution: CapabilitySupport
    supported: bool
    web_search: CapabilitySupport


class ThinkingTypes(Record):
    adaptive: CapabilitySupport
    between_tools: CapabilitySupport
    disabled: CapabilitySupport
    enabled: CapabilitySupport


class ThinkingCapability(Record):
    supported: bool
    types: ThinkingTypes


class ModelCapabilities(Record):
    batch: CapabilitySupport
    citations: CapabilitySupport
    code_execution: CapabilitySupport
    context_management: ContextManagementCapability
    effort: EffortCapability
    image_input: CapabilitySupport
    pdf_input: CapabilitySupport
    server_tools: ServerToolsCapability
    structured_outputs: CapabilitySupport
    thinking: ThinkingCapability


class ModelInfo(Record):
    id: str
    created_at: datetime
    display_name: str
    lifecycle: Literal["active", "deprecated", "retired"]
    type: Literal["model"]
    capabilities: ModelCapabilities | None = None
    deprecated_at: datetime | None = None
    line: ModelLine | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    retires_at: datetime | None = None
