"""The budgets in a SQL database. A method is one transaction."""

from .database import Run

__all__ = ["SQLBudgets"]


class SQLBudgets:
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run
