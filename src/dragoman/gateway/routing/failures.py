"""What an attempt that failed says to routing: of a provider's answer, and of an error of ours. Pure."""

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer
from dragoman.gateway.upstream.delays import told_delay_s

from .attempts import Failure, is_too_long
from .capacity import Shed

__all__ = ["failure_of"]


def failure_of(how: Answer | ApiError, *, wall: float) -> Failure:
    """Of an error that a provider answered, or of one that is ours to tell: nobody answered, or the request cannot go
    there. `wall`: Unix seconds."""
    return _of_answer(how, wall) if isinstance(how, Answer) else _of_error(how)


def _of_answer(answered: Answer, wall: float) -> Failure:
    message = ""
    if answered.status == 400:
        message = answered.body.decode("utf-8", "replace")
    return Failure(status=answered.status, message=message, retry_after_s=told_delay_s(answered.headers, wall=wall))


def _of_error(error: ApiError) -> Failure:
    if error.is_of_target:
        return Failure(status=error.status, is_of_target=True)
    is_of_caller = error.status < 500 and error.status not in (408, 429) and not is_too_long(error.message)
    retry_after_s = float(error.retry_after) if isinstance(error, Shed) else None
    return Failure(status=error.status, message=error.message, is_of_caller=is_of_caller, retry_after_s=retry_after_s)
