"""The credentials in a SQL database. A method is one transaction."""

from .database import Run

__all__ = ["SQLCredentials"]


class SQLCredentials:
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run
