"""Faults that may be injected: their kinds, what each takes and within which bounds. One for file and header.

A table [[faults]] and the header `dragoman-fault` say the same things in two notations; both are read with the readers
here, and `faults.py` does what they say. Imports nothing of this package but the value readers.
"""

import re
from typing import Annotated, Final

import msgspec

from .values import Refused, nearest, whole

__all__ = ["CALLERS", "ERROR_KINDS", "KIND_NAMES", "FaultConfig", "describe_fault", "misfit", "model_fits"]

# The statuses of ERR-10 to 20 with their types, and a used-up monthly budget, which is a 429 of another sort (ERR-50).
ERROR_KINDS: Final = {
    "400": "invalid_request_error",
    "401": "authentication_error",
    "402": "billing_error",
    "403": "permission_error",
    "404": "not_found_error",
    "409": "conflict_error",
    "413": "request_too_large",
    "429": "rate_limit_error",
    "500": "api_error",
    "504": "timeout_error",
    "529": "overloaded_error",
    "spend_limit": "rate_limit_error",
}
_STATUS_OF = {kind.removesuffix("_error"): status for status, kind in reversed(ERROR_KINDS.items())}
_TAKES: Final = {
    "429": frozenset({"ms", "retry_after"}),
    "slow": frozenset({"ms"}),
    "stall": frozenset({"after", "ms"}),
    "cut": frozenset({"after"}),
    "error": frozenset({"after", "type"}),
}
_ONLY_MS: Final = frozenset({"ms"})  # of the other statuses
_OF_SOME: Final = frozenset().union(*_TAKES.values())
CALLERS: Final = frozenset({"model", "key"})  # which requests are meant: a header is about its own
KIND_NAMES: Final = (*ERROR_KINDS, *(kind for kind in _TAKES if kind not in ERROR_KINDS))

_KEY_NAME_LIMIT = 500  # characters, as where keys are made
_PATTERN = re.compile(r"[!-~]{1,256}")
_MODEL_LIMIT = 256
_STAND_S = 3600  # the longest that may be asked for


def _kind(value: object) -> str:
    """The kind under the name it is kept by: "529" for 529, "overloaded" and "overloaded_error"."""
    word = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    name = _STATUS_OF.get(word.removesuffix("_error"), word)
    if name in KIND_NAMES:
        return name
    likely = nearest(word, [*KIND_NAMES, *_STATUS_OF]) if len(word) < 40 else None
    remedy = f"Did you mean {likely}? " if likely else ""
    raise Refused("is no kind of fault", f"{remedy}There are {', '.join(KIND_NAMES)}.")


def _error_type(value: object) -> str:
    if isinstance(value, str) and value in ERROR_KINDS.values():
        return value
    raise Refused("is no type of an error", f"There are {', '.join(sorted(set(ERROR_KINDS.values())))}.")


def _share(value: object) -> float:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if 0 < number <= 1:  # not true of nan
        return float(number)
    raise Refused("is not a share of the requests", "Write a number above 0, up to 1: 0.3 is three of ten.")


def _pattern(value: object) -> str:
    if isinstance(value, str) and _PATTERN.fullmatch(value):
        return value
    raise Refused("is no pattern of model names", 'Write a name, with * for any letters, such as "claude-opus-*".')


def _key_name(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= _KEY_NAME_LIMIT and value.isprintable():
        return value
    raise Refused("is no name of a key", "Write a name that `dragoman keys list` shows.")


class FaultConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [[faults]], or one fault of the header: what happens to how many of which requests.

    `kind` is a status of ERROR_KINDS, or slow, stall, cut or error, which befall a reply. A field that its kind does
    not take is refused (`misfit`), so what is set holds.
    """

    origin: str
    kind: Annotated[str, _kind]
    after: Annotated[int, whole(0, 100_000)] = 2  # content events of a stream that come first
    ms: Annotated[int | None, whole(0, _STAND_S * 1000)] = None  # milliseconds to wait
    retry_after: Annotated[int, whole(0, 3600)] = 1  # seconds, as on the wire
    type: Annotated[str, _error_type] = "overloaded_error"
    rate: Annotated[float, _share] = 1.0
    times: Annotated[int | None, whole(1, 1_000_000)] = None
    seed: Annotated[int, whole(0, 2**31 - 1)] = 0
    model: Annotated[str, _pattern] = "*"
    key: Annotated[str | None, _key_name] = None

    @property
    def is_error(self) -> bool:
        """Answered with an error status, in place of a reply."""
        return self.kind in ERROR_KINDS


def misfit(kind: str, name: str) -> str | None:
    """Why a fault of this kind cannot have that field; None when it can. A field without effect is refused."""
    if name not in _OF_SOME or name in _TAKES.get(kind, _ONLY_MS):
        return None
    return f"means nothing to the kind {kind}"


def model_fits(pattern: str, model: str) -> bool:
    """Whether a pattern means this model: * stands for any letters, every other sign for itself."""
    if pattern == "*":
        return True
    if len(model) > _MODEL_LIMIT:  # a caller's text: no work for what no pattern means
        return False
    head, *middle = pattern.split("*")
    if not middle:
        return model == pattern
    if not model.startswith(head):
        return False
    at = len(head)
    for part in middle[:-1]:
        found = model.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return model.endswith(middle[-1]) and len(model) - len(middle[-1]) >= at


def describe_fault(fault: FaultConfig) -> str:
    """What the fault does and to whom, for a person: "529, for 0.3 of the requests with the key "ci"." """
    details = [f"{name} {value}" for name in ("after", "ms", "retry_after", "type") if (value := _set(fault, name))]
    what = " ".join([fault.kind, *([f"({', '.join(details)})"] if details else [])])
    whom = [f"the key {fault.key!r}"] if fault.key is not None else []
    whom += [f"a model {fault.model}"] if fault.model != "*" else []
    share = "all requests" if fault.rate == 1 else f"{fault.rate:g} of the requests"
    most = "" if fault.times is None else f", {fault.times} times at most"
    return f"{what} for {share}{' with ' if whom else ''}{' and '.join(whom)}{most} ({fault.origin})"


def _set(fault: FaultConfig, name: str) -> str:
    """The value of a field that its kind takes; empty for one that is left open."""
    value = getattr(fault, name)
    return "" if value is None or misfit(fault.kind, name) else str(value)
