"""What `beta.messages.create` takes, by the names of the official module."""

from dragoman.types.params.beta import BetaMessageCreateParams as MessageCreateParams
from dragoman.types.params.beta import BetaMessageCreateParamsBase as MessageCreateParamsBase
from dragoman.types.params.beta import BetaMessageCreateParamsNonStreaming as MessageCreateParamsNonStreaming
from dragoman.types.params.beta import BetaMessageCreateParamsStreaming as MessageCreateParamsStreaming

__all__ = [
    "MessageCreateParams",
    "MessageCreateParamsBase",
    "MessageCreateParamsNonStreaming",
    "MessageCreateParamsStreaming",
]
