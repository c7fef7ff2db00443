"""What an attempt that failed says to routing: of a provider's answer, and of an error of ours. Pure."""

import msgspec

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer

from .attempts import TOO_LONG, Failure
from .capacity import Shed

__all__ = ["failure_of"]


def failure_of(how: Answer | ApiError) -> Failure:
    """Of an error that a provider answered, or of one that is ours to tell: nobody answered, or the request cannot go
    there."""
    return _of_answer(how) if isinstance(how, Answer) else _of_error(how)


def _of_answer(answered: Answer) -> Failure:
    after = next((value for name, value in answered.headers if name == "retry-after"), "")
    message = ""
    if answered.status == 400 and TOO_LONG.encode() in answered.body:
        message = str(msgspec.json.decode(answered.body)["error"]["message"])
    return Failure(status=answered.status, message=message, retry_after_s=float(after) if after.isdecimal() else None)


def _of_error(error: ApiError) -> Failure:
    if error.is_of_target:
        return Failure(status=error.status, is_of_target=True)
    is_of_caller = error.status < 500 and error.status not in (408, 429) and TOO_LONG not in error.message
    retry_after_s = float(error.retry_after) if isinstance(error, Shed) else None
    return Failure(status=error.status, message=error.message, is_of_caller=is_of_caller, retry_after_s=retry_after_s)
