"""Pain 79: a record that holds a secret shows it to no log, debugger or traceback. msgspec prints every field unless told
otherwise, so each record with a field that may be one says how it is shown."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import msgspec

import dragoman

# Fields that hold a secret by their name, but for these, which only sound like it.
SECRET = re.compile(
    r"(^|_)(key|secret|token|password|passphrase|hash|webhook|envelope|authorization|credential|before|pasted)s?$"
)
HARMLESS_TYPES = ("Secret", "RedisURL", "DatabaseURL", "tuple[str, ...]", "int", "bool", "Literal")
HARMLESS = {
    ("Host", "key"): "names of variables of the environment",
    ("APIKey", "workspace_id"): "an id",
}
PARTS = ("gateway", "server", "store", "providers", "http", "cli")


def records() -> Iterator[type[msgspec.Struct]]:
    for part in PARTS:
        package = importlib.import_module(f"dragoman.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" in module.name:
                continue
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if issubclass(found, msgspec.Struct) and found.__module__ == module.name:
                    yield found


def may_show(record: type[msgspec.Struct]) -> list[str]:
    """Fields that may hold a secret and are shown."""
    if record.__repr__ is not msgspec.Struct.__repr__:
        return []
    hints = {field.name: str(field.type) for field in msgspec.structs.fields(record)}
    return [
        name
        for name, hint in hints.items()
        if SECRET.search(name) and (record.__name__, name) not in HARMLESS and ("str" in hint or "bytes" in hint)
    ]


def test_no_record_shows_a_secret() -> None:
    assert dragoman.__version__
    shown = [f"{each.__module__}.{each.__name__}: {', '.join(fields)}" for each in records() if (fields := may_show(each))]
    assert not shown, "\n".join(shown)
