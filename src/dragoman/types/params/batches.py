"""Requests about batches, of the beta too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Required

from dragoman.types.names import AnthropicBetaParam

from .beta import BetaMessageCreateParamsNonStreaming
from .request import MessageCreateParamsNonStreaming
from .typed import TypedDict


class BatchListParams(TypedDict, total=False):
    after_id: str
    before_id: str
    limit: int
    workspace_id: str


class Request(TypedDict):
    custom_id: str
    params: MessageCreateParamsNonStreaming


class BatchCreateParams(TypedDict, total=False):
    requests: Required[Iterable[Request]]
    user_profile_id: str
    workspace_id: str


class BetaBatchListParams(BatchListParams, total=False):
    betas: list[AnthropicBetaParam]


class BetaRequest(TypedDict):
    custom_id: str
    params: BetaMessageCreateParamsNonStreaming


class BetaBatchCreateParams(TypedDict, total=False):
    requests: Required[Iterable[BetaRequest]]
    betas: list[AnthropicBetaParam]
    user_profile_id: str
    workspace_id: str
