"""What lists come in, for annotations: `from dragoman.pagination import SyncPage`, as from the official one."""

from .client.pages import AsyncPage, AsyncPageCursor, SyncPage, SyncPageCursor

__all__ = ["AsyncPage", "AsyncPageCursor", "SyncPage", "SyncPageCursor"]
