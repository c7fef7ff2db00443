"""What went wrong with a connection, in words that may be logged."""

import os
import socket
import ssl

__all__ = ["reason_of"]


def reason_of(exc: BaseException) -> str:
    """What the system, TLS or httpx2 says about `exc`, without bytes of the exchange: it quotes them behind a colon."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ExceptionGroup):  # one for each address that was tried
            cause = cause.exceptions[0]
        if isinstance(cause, (ssl.SSLError, socket.gaierror)):
            return cause.strerror or str(cause)
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(exc).partition(":")[0] or "the connection was closed"
