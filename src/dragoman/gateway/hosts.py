"""Hosts that are known by name: what [providers.NAME] need not say of them. The data is providers/hosts.toml."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from dragoman.providers.base import Capabilities

from .config_sheet import Sheet
from .config_text import KeyPath
from .config_values import nearest, secret

__all__ = ["Host", "capabilities_of", "known_hosts", "with_host"]

GLOBAL = "global"  # a region that has an address of its own


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. The texts in `key`, `region` and `project` are variables of the environment, the likeliest first."""

    dialect: str
    base_url: str  # may hold {region} and {project}
    source: str
    date: str
    global_url: str | None = None  # in the place of `base_url` where the region is "global"
    auth: str | None = None
    key: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    can: Capabilities = Capabilities()


@cache
def known_hosts() -> Mapping[str, Host]:
    """Every row, by its name. Read when a configuration first has a provider that could be one of them."""
    text = (files("dragoman.providers") / "hosts.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Host])


def capabilities_of(host: str | None) -> Capabilities:
    """What a host takes; of one that is not known by name, nothing special."""
    return Capabilities() if host is None else known_hosts()[host].can


def with_host(sheet: Sheet, path: KeyPath, values: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a provider with those of its host added, where they are not set; problems go to the sheet.

    A provider that has the name of a host, and no address or dialect of its own, is that host.
    """
    table = sheet.table(path)
    name = str(path[-1])
    if "host" not in table and ("dialect" in table or "base_url" in table or name not in known_hosts()):
        return values
    name = values.get("host", name)
    host = known_hosts().get(name)
    if host is None:
        likely = nearest(name, known_hosts())
        remedy = f'Did you mean "{likely}"?' if likely else f"Known are: {', '.join(known_hosts())}."
        sheet.note((*path, "host"), "no host of this name is known", remedy)
        return values
    values = {"host": name, "dialect": host.dialect, **({"auth": host.auth} if host.auth else {}), **values}
    for field, variables in (("region", host.region), ("project", host.project)):
        if field not in table and (found := _first(variables, env)) is not None:
            values[field] = found
    if "api_key" not in table and (found := _first(host.key, env)) is not None:
        sheet.override(values, "api_key", found, readers={"api_key": secret}, origin=_name(host.key, env))
    if "base_url" not in table:
        values["base_url"] = _address(sheet, path, host, values)
    return values


def _address(sheet: Sheet, path: KeyPath, host: Host, values: Mapping[str, Any]) -> str:
    """The host's URL; a problem is noted where a part of it is not known."""
    url = host.global_url if values.get("region") == GLOBAL and host.global_url else host.base_url
    for field, variables in (("region", host.region), ("project", host.project)):
        if f"{{{field}}}" in url and not values.get(field):
            sheet.note(path, f"{field} is missing", f'Add {field} = "...", or set {" or ".join(variables)}.')
    return url.format(region=values.get("region") or "-", project=values.get("project") or "-")


def _first(variables: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    return next((env[each] for each in variables if env.get(each)), None)


def _name(variables: tuple[str, ...], env: Mapping[str, str]) -> str:
    return next(each for each in variables if env.get(each))
