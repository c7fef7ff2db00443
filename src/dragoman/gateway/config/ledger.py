"""The ledger as configuration: the table [ledger]. docs/ledger.md is the user's side."""

from typing import Annotated

import msgspec

from .values import path, whole, yes_or_no

__all__ = ["LedgerConfig"]


class LedgerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The table [ledger]."""

    enabled: Annotated[bool, yes_or_no] = True
    journal_folder: Annotated[str | None, path] = None  # None: what `open.py` says
    keep_days: Annotated[int | None, whole(1, 36_500)] = None  # rows; None: for good. Sums are kept for good
    contents: Annotated[bool, yes_or_no] = False  # what was asked and replied, without secrets
    contents_keep_days: Annotated[int, whole(1, 36_500)] = 7
