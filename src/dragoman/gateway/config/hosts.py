"""Hosts that are known by name: what [providers.NAME] need not say of them. The data is providers/hosts.toml."""

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from dragoman.providers.base import Capabilities

from .sheet import Sheet
from .text import KeyPath
from .values import base_url, nearest, secret

LOCAL = "127.0.0.1"
MESSAGES = "messages"  # the dialect that all speak alike

__all__ = ["Host", "capabilities_of", "known_hosts", "with_host"]


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. The texts in `key`, `address`, `region` and `project` are variables of the environment, the likeliest
    first."""

    dialect: str
    base_url: str  # may hold {address}, {region} and {project}
    source: str
    date: str
    region_urls: Mapping[str, str] = {}  # in the place of `base_url`, of regions that have an address of their own
    auth: str | None = None
    key: tuple[str, ...] = ()
    address: tuple[str, ...] = ()  # of a host where everyone has one of his own
    region: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    price_list: str | None = None  # an id of genai-prices, or "local"; None: the one that is for the address
    can: Capabilities = Capabilities()


@cache
def known_hosts() -> Mapping[str, Host]:
    """Every row, by its name. Read when a configuration first has a provider that is one of them."""
    return msgspec.convert(tomllib.loads(_text()), dict[str, Host])


@cache
def _text() -> str:
    from importlib.resources import files  # 7 ms, so not at the top

    return (files("dragoman.providers") / "hosts.toml").read_text("utf-8")


def _is_by_name(name: str, table: Mapping[str, Any]) -> bool:
    """Rows are read only for a name that is one: that takes longer than all the rest of a configuration."""
    if "dialect" in table or f"\n[{name}]\n" not in _text():
        return False
    return "base_url" not in table or bool(known_hosts()[name].address)


def _by_address(values: Mapping[str, Any]) -> str | None:
    """The host whose address a provider has, for what it takes; its key is the provider's own business."""
    name = _name_in(values.get("base_url", ""))
    if values.get("dialect", MESSAGES) == MESSAGES or f"//{name}/" not in _text():
        return None
    found = (
        each for each, host in known_hosts().items() if _name_in(host.base_url) == name and host.dialect != MESSAGES
    )
    return next(found, None)


def _may_have_key(table: Mapping[str, Any], host: Host, values: Mapping[str, Any]) -> bool:
    """Does the environment's key go there? To the host's own address, or to one that is everybody's own; and not where
    other credentials are given."""
    if any(name in table for name in ("api_key", "access_key_id", "profile", "credentials_file")):
        return False
    own = _name_in(host.base_url)
    if "base_url" not in table or host.address or own == LOCAL:
        return True
    asked, end = _name_in(values.get("base_url", "")), own.rpartition("}")[2]
    return asked == own or (end.startswith(".") and asked.endswith(end))


def _name_in(url: str) -> str:
    """The name of the machine in a URL, with what stands for a part of it."""
    return url.partition("//")[2].partition("/")[0].partition(":")[0].lower()


def capabilities_of(host: str | None) -> Capabilities:
    """What a host takes; of one that is not known by name, nothing special."""
    return Capabilities() if host is None else known_hosts()[host].can


def with_host(sheet: Sheet, path: KeyPath, values: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a provider with those of its host added, where they are not set; problems go to the sheet.

    A provider that has the name of a host, and no address or dialect of its own, is that host; it may have an address
    where the host has none.
    """
    table = sheet.table(path)
    name = str(path[-1])
    if "host" not in table and not _is_by_name(name, table):
        known = _by_address(values)
        return values if known is None else {**values, "host": known}
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
    if _may_have_key(table, host, values) and (found := _first(host.key, env)) is not None:
        sheet.override(values, "api_key", found, readers={"api_key": secret}, origin=_name(host.key, env))
    if "base_url" not in table:
        values["base_url"] = _address(sheet, path, host, values)
        if address := _first(host.address, env):
            url = host.base_url.format(address=address.rstrip("/"))
            sheet.override(values, "base_url", url, readers={"base_url": base_url}, origin=_name(host.address, env))
        elif host.address:
            like = host.base_url.format(address="https://...")
            sheet.note(path, "base_url is missing", f'Add base_url = "{like}", or set {" or ".join(host.address)}.')
    return values


def _address(sheet: Sheet, path: KeyPath, host: Host, values: Mapping[str, Any]) -> str:
    """The host's URL; a problem is noted where a part of it is not known."""
    url = host.region_urls.get(values.get("region") or "", host.base_url)
    for field, variables in (("region", host.region), ("project", host.project)):
        if f"{{{field}}}" in url and not values.get(field):
            sheet.note(path, f"{field} is missing", f'Add {field} = "...", or set {" or ".join(variables)}.')
    region, project = values.get("region") or "-", values.get("project") or "-"
    return url.format(address="https://-", region=region, project=project)


def _first(variables: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    return next((env[each] for each in variables if env.get(each)), None)


def _name(variables: tuple[str, ...], env: Mapping[str, str]) -> str:
    return next(each for each in variables if env.get(each))
