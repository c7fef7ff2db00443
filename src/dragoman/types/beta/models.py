"""Models, as the beta tells of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from dragoman.client.record import Record
from dragoman.types.models import CapabilitySupport, ModelCapabilities
from dragoman.types.names import ModelLine


class BetaCompactionCapability(Record):
    summarize: CapabilitySupport
    supported: bool


class BetaModelCapabilities(ModelCapabilities):
    compaction: BetaCompactionCapability | None = None


class BetaModelInfo(Record):
    id: str
    created_at: datetime
    display_name: str
    lifecycle: Literal["active", "deprecated", "retired"]
    type: Literal["model"]
    allowed_fallback_models: list[str] | None = None
    capabilities: BetaModelCapabilities | None = None
    deprecated_at: datetime | None = None
    line: ModelLine | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    retires_at: datetime | None = None
