"""Pain 79: a record that holds a secret shows it to no log, debugger or traceback. msgspec prints every field unless it
is told otherwise, so each record with a field that may be one says how it is shown."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import msgspec

# Names of fields that hold a secret, but for HARMLESS, which only sound like it.
SECRET = re.compile(r"(^|_)(key|secret|token|password|passphrase|hash|webhook|envelope|authorization|before)s?$")
HARMLESS = {
    ("Host", "key"): "names of variables of the environment",
    ("FaultConfig", "key"): "the name of an API key",
    ("LimitsConfig", "keys"): "names of API keys and of tiers",
    ("Limits", "keys"): "as those",
    ("Plan", "key"): "a digest, of a conversation",
    ("Line", "key"): "what a counter is called, as the next two",
    ("Demand", "key"): "",
    ("Gate", "key"): "",
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


def _annotations(record: type) -> dict[str, object]:
    return vars(record).get("__annotations__", {})


def may_show(record: type[msgspec.Struct]) -> list[str]:
    """Fields that may hold a secret and are shown."""
    if record.__repr__ is not msgspec.Struct.__repr__:
        return []
    hints = {name: str(hint) for each in reversed(record.__mro__) for name, hint in _annotations(each).items()}
    return [
        name
        for name, hint in hints.items()
        if SECRET.search(name) and (record.__name__, name) not in HARMLESS and ("str" in hint or "bytes" in hint)
    ]


def test_no_record_shows_a_secret() -> None:
    shown = [
        f"{each.__module__}.{each.__name__}: {', '.join(fields)}" for each in records() if (fields := may_show(each))
    ]
    assert not shown, "\n".join(shown)


class _Careless(msgspec.Struct):
    api_key: str


class _Careful(_Careless):
    def __repr__(self) -> str:
        return "_Careful"


def test_a_record_that_shows_one_is_found() -> None:
    assert may_show(_Careless) == ["api_key"]
    assert may_show(_Careful) == []


def test_exceptions_to_the_rule_are_needed() -> None:
    known = {(each.__name__, name) for each in records() for name in each.__struct_fields__}
    assert HARMLESS.keys() <= known
