"""A gateway for clients in the same process, as the user holds it: what it is made of. `client/local.py` runs it.

Reads the configuration and the script at once, so that what is wrong with them is said where they were given; the
parts of a gateway are imported, and made, when the first client asks.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .auth.auth import new_key
from .config.config import OFFLINE, Config, ProviderConfig, ServerConfig, load
from .config.toml_text import toml_text

if TYPE_CHECKING:
    from dragoman.engines.offline.scripts import Script

    from .gateway import Gateway

__all__ = ["GatewayHandle", "open_handle", "open_offline"]

IN_MEMORY = "sqlite://"
# Of the offline gateway: nothing is behind it that a secret could guard, and with it signatures and the ids of the
# organization and the workspace are the same in every run.
OFFLINE_SECRET = "dragoman in this process, offline"  # noqa: S105
NULL = "{{ null }}"  # what a script writes for JSON's null


class GatewayHandle:
    """What `Gateway.open` and `Client.offline` are about; hand it to one client or to several, of both kinds.

    `api_key` is a key for them: in memory only, and good for as long as this object is.
    """

    def __init__(
        self,
        config: Config,
        env: Mapping[str, str],
        *,
        script: "Script | None" = None,
        is_off_disk: bool = False,
    ) -> None:
        self.config = config
        self.api_key = new_key()
        self.tenancy: Any = None  # who runs it, and where: client/local.py's
        self._env = env
        self._script = script
        self._is_off_disk = is_off_disk

    def __repr__(self) -> str:
        return f"<{type(self).__name__} answering from {self.config.route_provider.name}>"

    def make(self) -> "Gateway":
        """A new gateway, to be entered, which takes `api_key`. Raises ConfigError."""
        from dragoman.store.memory_files import MemoryFolder

        from .open import open_gateway

        folder = MemoryFolder() if self._is_off_disk else None
        gateway = open_gateway(self.config, self._env, script=self._script, file_folder=folder)
        gateway.auth.admit(self.api_key, "in process")
        return gateway


def open_handle(config: "Config | Mapping[str, Any] | str | os.PathLike[str] | None") -> GatewayHandle:
    """See `Gateway.open`. The environment counts as it does for `dragoman serve`, and as it is now."""
    env = dict(os.environ)
    if isinstance(config, Config):
        return GatewayHandle(config, env)
    if isinstance(config, Mapping):
        return GatewayHandle(load(None, env, text=toml_text(config), default_database=IN_MEMORY), env)
    path = None if config is None else Path(config)
    return GatewayHandle(load(path, env, default_database=IN_MEMORY), env)


def open_offline(script: Any = None) -> GatewayHandle:
    """The offline engine, on its own: no network, nothing on the disk, nothing of the environment.

    `script` says what it replies (docs/offline-scripts.md): the path of a TOML file; the text of one, which has more
    than one line; a dictionary of the same shape; or a list of replies, each a text or a dictionary as a rule's
    `reply` is, which are given one after the other, whoever asks. The last of them is repeated.
    Raises ConfigError.
    """
    engine = ProviderConfig(name=OFFLINE, origin="offline, in this process", dialect=OFFLINE)
    config = Config(server=ServerConfig(database=IN_MEMORY), providers={OFFLINE: engine}, models={})
    read = None if script is None else _read_script(script)
    return GatewayHandle(config, {"DRAGOMAN_SECRET": OFFLINE_SECRET}, script=read, is_off_disk=True)


def _read_script(script: Any) -> "Script":
    from dragoman.engines.offline.scripts import Script

    match script:
        case Script():
            return script
        case str() if "\n" in script:
            return Script.parse(script, source="the script")
        case str() | os.PathLike():
            return Script.load(Path(script))
        case Mapping():
            return Script.parse(toml_text(script, null=NULL), source="the script")
        case list() | tuple():
            rule = {"name": "replies in a list", "per": "workspace", "reply": script}
            return Script.parse(toml_text({"rule": [rule]}, null=NULL), source="the script")
    raise TypeError(f"a script is a path, a text, a dictionary or a list of replies, not {type(script).__name__}")
