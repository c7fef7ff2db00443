"""One connection to Redis, over which several commands go at once; short times, and one kind of failure.

The one module that imports the `redis` package, and only when a link is made. What is asked by one caller is answered
before the next may ask: `redis.py` collects.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from dragoman.errors import ConfigError

from .redis_urls import REDIS_FORM, redis_name

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool
    from redis.asyncio.connection import AbstractConnection

__all__ = ["Link", "LinkBroken", "LinkRefused", "Refusal"]

T = TypeVar("T")

ANSWER_S = 0.25  # for a connection to stand, and for an answer to come
SECOND_LOOK = 0.2  # the part of it after the first look: when this process itself stood still, the answer lies there


class LinkBroken(Exception):
    """Redis cannot be reached, or does not answer. What was asked may have been done or not. Says why, in words that
    hold no secret."""


class LinkRefused(LinkBroken):
    """Redis refuses us: the password, or what the user may do."""


class Refusal(Exception):
    """What Redis answered to one command, in place of what it does: its code word, such as NOSCRIPT or OOM."""


class Link:
    """`connect` before `ask`, and again when that has raised LinkBroken. Raises ConfigError for what cannot be."""

    def __init__(self, url: str, *, answer_s: float = ANSWER_S) -> None:
        try:
            import redis.asyncio
        except ImportError as error:
            raise ConfigError(
                "[server] counters: the package that talks to Redis is not installed. Install it with: "
                "pip install 'dragoman[redis]'"
            ) from error
        self.place = redis_name(url)
        self._answer_s = answer_s
        try:
            self._pool: ConnectionPool = redis.asyncio.ConnectionPool.from_url(  # knows what a connection is to be like
                url, protocol=2, socket_connect_timeout=answer_s, socket_timeout=None, health_check_interval=0
            )
        except (ValueError, TypeError) as error:  # neither is repeated: it may hold a password
            raise ConfigError(f"[server] counters: this URL cannot be used. Write {REDIS_FORM}.") from error
        self._connection: AbstractConnection | None = None

    async def connect(self) -> None:
        """Raises LinkBroken, of which LinkRefused."""
        from redis import exceptions

        await self.close()
        try:
            self._connection = await self._within(self._connected())
        except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
            raise LinkRefused("it refuses the user or the password") from error
        except exceptions.ResponseError as error:
            raise LinkRefused(f"it answers {_code(error)}") from error
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            raise LinkBroken("it cannot be reached") from error

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """The answer to each command (as it stands on the wire), a Refusal in its place. Raises LinkBroken."""
        from redis import exceptions

        connection = self._connection
        if connection is None:
            raise LinkBroken("it cannot be reached")
        try:
            return await self._within(_asked(connection, commands))
        except exceptions.AuthenticationError as error:  # only now, where no password was given
            await self.close()
            raise LinkRefused("it refuses the user or the password") from error
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise LinkBroken("it does not answer") from error
        except BaseException:  # in the middle of an answer: the next one would be taken for this
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(TimeoutError):  # it is closed all the same
                await connection.disconnect()

    async def _connected(self) -> "AbstractConnection":
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _within(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        try:
            for part in (1 - SECOND_LOOK, SECOND_LOOK):
                done, _ = await asyncio.wait({task}, timeout=self._answer_s * part)
                if done:
                    return task.result()
            raise TimeoutError
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


async def _asked(connection: "AbstractConnection", commands: Sequence[bytes]) -> list[Any]:
    from redis.exceptions import ResponseError

    await connection.send_packed_command(b"".join(commands), check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(Refusal(_code(error)))
    return answers


def _code(error: Exception) -> str:
    """The word that Redis begins an error with. The package takes some away, and tells them by its types."""
    from redis import exceptions

    for kind, code in ((exceptions.NoScriptError, "NOSCRIPT"), (exceptions.NoPermissionError, "NOPERM")):
        if isinstance(error, kind):
            return code
    word = str(error).partition(" ")[0]
    return word if word.isalpha() and word.isupper() else type(error).__name__
