"""The arrows of DESIGN section 3: who may import whom, what the pure folders may not touch, where names may stand.

The rules are the tables below; an exception stands in a table with its reason, and one that nothing needs any more
fails too. The tests at the end break each rule in a few lines of source, to show that it is held.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import dragoman

PACKAGE = "dragoman"
ROOT = Path(dragoman.__file__).parent
ANY = frozenset({"*"})

# errors <- wire <- providers, engines <- gateway <- server <- cli
# errors <- http <- gateway; errors <- store <- gateway
# wire, http <- client <- types, dragoman
ARROWS: Mapping[str, frozenset[str]] = {
    "dragoman": frozenset({"client", "types", "gateway", "pagination"}),  # the root: version and exports, loaded late
    "errors": frozenset(),
    "wire": frozenset({"errors", "wire"}),
    "providers": frozenset({"errors", "wire", "providers"}),
    "engines": frozenset({"errors", "wire", "engines"}),
    "http": frozenset({"errors", "http", "dragoman"}),
    "store": frozenset({"errors", "store"}),
    "gateway": frozenset({"errors", "wire", "providers", "engines", "http", "store", "gateway"}),
    "server": frozenset({"errors", "wire", "gateway", "server", "dragoman"}),
    "client": frozenset({"errors", "wire", "http", "client", "types", "dragoman"}),
    "types": frozenset({"client", "types"}),
    "tools": frozenset({"client"}),
    "pagination": frozenset({"client"}),
    "pytest_plugin": frozenset({"errors", "client", "gateway", "http", "server", "dragoman"}),
    "cli": ANY,
    "chat": ANY,
    "doctor": ANY,
    "__main__": ANY,
}

# (who, whom) -> why this one arrow may stand.
EXTRA_ARROWS: Mapping[tuple[str, str], str] = {
    ("client.local", "gateway.handle"): "a client in one process with its gateway: the only part of it that opens one",
    ("client.sync", "gateway.handle"): "the type of what a caller hands in; not loaded",
    ("client.aio", "gateway.handle"): "the type of what a caller hands in; not loaded",
    ("client.home", "gateway.handle"): "runs the gateway that a client is in one process with",
    ("client.home", "server.app"): "and asks it through the server's application and connections, so that replies",
    ("client.home", "server.protocol"): "are those that come over a socket, to the byte",
    ("server.app", "providers.base"): "Operation: its value is the path that asks for it, so the edge names no path",
}

PURE = ("wire", "providers")

# Modules of the standard library that read a clock, a disk, a network, chance, or that wait.
IMPURE = frozenset(
    """
    asyncio concurrent fileinput ftplib getpass glob http imaplib io logging mmap multiprocessing os pathlib poplib
    queue random sched secrets select selectors shelve shutil signal smtplib socket socketserver sqlite3 ssl subprocess
    tempfile threading time urllib.request uuid xmlrpc
    """.split()
)
IMPURE_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "__import__"})

# Third-party package -> the parts, or single modules, that may import it.
THIRD_PARTY: Mapping[str, frozenset[str]] = {
    "msgspec": ANY,
    "jsonschema_rs": frozenset({"wire.jsonschema", "engines"}),  # the one in the pure folders: a function of a schema
    "sqlalchemy": frozenset({"store"}),
    "alembic": frozenset({"store"}),
    "psycopg": frozenset({"store.postgres"}),
    "cryptography": frozenset({"gateway.credentials.master_key"}),
    "httpx2": frozenset({"http", "chat", "client.foreign", "client.httpx_clients"}),
    "pytest": frozenset({"pytest_plugin"}),
    "pydantic": frozenset({"client.tools.pydantics", "client.parse"}),  # only where a caller hands in its types
    "pydantic_core": frozenset({"client.pydantic_schema"}),
    "typing_extensions": frozenset({"types.generic", "types.params.typed"}),  # where Pydantic brought it
    "httpcore2": frozenset({"http"}),
    "uvloop": frozenset({"server"}),
    "httptools": frozenset({"server", "http"}),
    "PIL": frozenset({"engines"}),
    "pypdfium2_raw": frozenset({"engines"}),
    "python_multipart": frozenset({"server"}),
    "botocore": frozenset({"gateway.credentials.aws"}),  # finds credentials where nobody has given any
    "google": frozenset({"gateway.credentials.google"}),  # tokens for a cloud
    "pyarrow": frozenset({"cli.usage"}),  # writes Parquet
    "typer": frozenset({"cli", "chat", "doctor"}),
    "redis": frozenset({"store.redis_link"}),
    "rich": frozenset({"cli", "chat", "doctor"}),
}

PROVIDER_NAME = re.compile(r"(?<![a-z])(anthropic|openai|gemini|bedrock|vertex)(?![a-z])", re.IGNORECASE)
API_HEADER = re.compile(
    r"anthropic-(version|beta|organization-id|workspace-id|ratelimit|priority|fast|dangerous-direct-browser-access)"
)  # names of the API's own headers, whoever answers

# Where a provider's name may stand outside `providers/` (and the clients: cli, chat, doctor), and why.
MAY_NAME_PROVIDERS: Mapping[str, str] = {
    "wire.types": "a skill's `type` is a value of the API (MSG-25)",
    "engines.offline.answer": "the strings that the API documents for testing hold its maker's name",
    "gateway.config.config": "a key in the environment turns its provider on; the one table of such defaults",
    "gateway.config.routes": "what is said of a target whose provider is not there: which variable turns it on",
    "gateway.credentials.aws": "a signature holds the name of the service, and the extra to install bears it",
    "gateway.credentials.google": "the extra to install bears its name",
    "gateway.admin.workspaces": "what the API's maker keeps for itself: names of tags that begin with its own",
    "gateway.open": "puts the gateway together: the one place that imports each adapter",
}
NAMES_NO_PROVIDER = ("errors", "wire", "engines", "http", "store", "gateway", "server", "__main__")


class Found(NamedTuple):
    """One breach."""

    module: str  # without the package's name
    line: int
    what: str


class Import(NamedTuple):
    line: int
    name: str  # "dragoman.wire.sse", "os.path", "urllib.request"


Sources = Mapping[str, str]  # module without the package's name -> its source; "" is the root


def part_of(module: str) -> str:
    return module.partition(".")[0] or PACKAGE


def is_among(module: str, names: frozenset[str]) -> bool:
    return names == ANY or module in names or part_of(module) in names


def imports_of(module: str, tree: ast.Module, sources: Sources) -> Iterator[Import]:
    """Every import, at the top, within a function, or for types only: an arrow is an arrow."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, node, sources)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                is_module = inner.partition(".")[2] in sources or inner in IMPURE
                yield Import(node.lineno, inner if is_module else base)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            if not module and not isinstance(node.args[0], ast.Constant):
                continue  # the root loads what it exports by a table; `test_public.py` looks at each
            yield Import(node.lineno, str(getattr(node.args[0], "value", ast.unparse(node.args[0]))))


def absolute(module: str, node: ast.ImportFrom, sources: Sources) -> str:
    if not node.level:
        return node.module or ""
    whole = f"{PACKAGE}.{module}" if module else PACKAGE
    is_package = not module or any(other.startswith(f"{module}.") for other in sources)
    steps = node.level - is_package
    base = whole.rsplit(".", steps)[0] if steps else whole
    return f"{base}.{node.module}" if node.module else base


def is_inside(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def broken_arrows(sources: Sources) -> Iterator[Found]:
    for module, source in sources.items():
        allowed = ARROWS.get(part_of(module))
        if allowed is None:
            yield Found(module, 1, f"`{part_of(module)}` has no row in ARROWS")
            continue
        for line, target in inner_imports(module, source, sources):
            if allowed != ANY and part_of(target) not in allowed and (module, target) not in EXTRA_ARROWS:
                yield Found(module, line, f"imports `{PACKAGE}.{target}`".replace(".`", "`"))


def inner_imports(module: str, source: str, sources: Sources) -> Iterator[Import]:
    for line, name in imports_of(module, ast.parse(source), sources):
        if is_inside(name):
            yield Import(line, name.partition(".")[2])


def needless_rows(sources: Sources) -> Iterator[Found]:
    """Exceptions that nothing needs any more."""
    for module, target in EXTRA_ARROWS:
        if target not in {name for _, name in inner_imports(module, sources[module], sources)}:
            yield Found(module, 1, f"needs no extra arrow to `{target}`")
    for name in MAY_NAME_PROVIDERS:
        own = {module: source for module, source in sources.items() if is_among(module, frozenset({name}))}
        if not any(named_providers(source) for source in own.values()):
            yield Found(name, 1, "names no provider: it needs no row in MAY_NAME_PROVIDERS")


def impurities(sources: Sources) -> Iterator[Found]:
    for module, source in sources.items():
        if part_of(module) not in PURE:
            continue
        tree = ast.parse(source)
        for line, name in imports_of(module, tree, sources):
            if any(name == impure or name.startswith(f"{impure}.") for impure in IMPURE):
                yield Found(module, line, f"imports `{name}`, and is pure")
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
                yield Found(module, node.lineno, "waits, and is pure")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                yield Found(module, node.lineno, f"calls `{node.func.id}`, and is pure")


def misplaced_packages(sources: Sources) -> Iterator[Found]:
    for module, source in sources.items():
        for line, name in imports_of(module, ast.parse(source), sources):
            package = name.partition(".")[0]
            if is_inside(name) or package in sys.stdlib_module_names:
                continue
            if package not in THIRD_PARTY:
                yield Found(module, line, f"`{package}` has no row in THIRD_PARTY")
            elif not is_among(module, THIRD_PARTY[package]):
                yield Found(module, line, f"imports `{package}`")


def provider_names(sources: Sources) -> Iterator[Found]:
    for module, source in sources.items():
        if part_of(module) in NAMES_NO_PROVIDER and not is_among(module, frozenset(MAY_NAME_PROVIDERS)):
            for line, word in named_providers(source):
                yield Found(module, line, f"names a provider: {word[:60]!r}")


def named_providers(source: str) -> list[tuple[int, str]]:
    """Identifiers and strings that name a provider; comments and docstrings may."""
    tree = ast.parse(source)
    docstrings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    return [
        (getattr(node, "lineno", 1), word)
        for node in ast.walk(tree)
        if id(node) not in docstrings
        for word in words_of(node)
        if PROVIDER_NAME.search(API_HEADER.sub("", word))
    ]


def words_of(node: ast.AST) -> Iterator[str]:
    """The names and texts that one node writes."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Constant(value=bytes(data)):
            yield data.decode("latin-1")
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ImportFrom(module=str(name)):
            yield name
            yield from (alias.name for alias in node.names)
        case ast.Import():
            yield from (alias.name for alias in node.names)


RULES = {
    "arrows": broken_arrows,
    "purity": impurities,
    "packages": misplaced_packages,
    "provider names": provider_names,
    "needless rows": needless_rows,
}


def read_sources() -> dict[str, str]:
    sources = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[name] = path.read_text(encoding="utf-8")
    return sources


SOURCES = read_sources()


@pytest.mark.parametrize("rule", RULES)
def test_the_layers_hold(rule: str) -> None:
    """DESIGN section 3, STYLE section 11."""
    breaches = [f"{found.module or PACKAGE}:{found.line}: {found.what}" for found in RULES[rule](SOURCES)]
    assert breaches == []


def test_every_module_was_looked_at() -> None:
    assert {"", "errors", "wire.sse", "wire.validate", "providers.base", "gateway.pipeline", "server.app"} <= set(
        SOURCES
    )
    assert {part_of(module) for module in SOURCES} <= set(ARROWS)
    assert {part for part in ARROWS if part != PACKAGE} <= {part_of(module) for module in SOURCES}


def test_importing_the_package_loads_nothing_else() -> None:
    """STYLE section 10."""
    program = "import sys; before = set(sys.modules); import dragoman; print(sorted(set(sys.modules) - before))"
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path = {sys.path!r}; {program}"], capture_output=True
    )
    assert run.stdout.decode().strip() == "['dragoman']", run.stderr.decode()


# ---------------------------------------------------------------- each rule finds what breaks it

# A small house, into which each test puts one module.
HOUSE = dict.fromkeys(
    """
    errors wire wire.sse wire.codec providers providers.base providers.openai_chat engines engines.base http http.base
    store store.base gateway gateway.call server cli
    """.split(),
    "",
) | {"": ""}

BREACHES: list[tuple[str, str, str, str]] = [
    # rule, module, source, what must be said
    ("arrows", "errors", "import dragoman.wire.sse", "imports `dragoman.wire.sse`"),
    ("arrows", "wire.sse", "from dragoman.providers.base import Target", "imports `dragoman.providers.base`"),
    ("arrows", "wire.sse", "from dragoman import providers", "imports `dragoman.providers`"),
    ("arrows", "wire.sse", "from ..providers import base", "imports `dragoman.providers.base`"),
    ("arrows", "wire.sse", "from .. import __version__", "imports `dragoman`"),
    ("arrows", "wire", "from ..http import base", "imports `dragoman.http.base`"),
    ("arrows", "wire.sse", "def late():\n    import dragoman.store.base", "imports `dragoman.store.base`"),
    ("arrows", "wire.sse", "if TYPE_CHECKING:\n    import dragoman.engines.base", "imports `dragoman.engines.base`"),
    ("arrows", "wire.sse", "importlib.import_module('dragoman.http.base')", "imports `dragoman.http.base`"),
    ("arrows", "providers.base", "from dragoman.engines.base import Engine", "imports `dragoman.engines.base`"),
    ("arrows", "providers.base", "from dragoman.gateway.call import Call", "imports `dragoman.gateway.call`"),
    ("arrows", "engines.base", "from dragoman.providers.base import Target", "imports `dragoman.providers.base`"),
    ("arrows", "engines.base", "from dragoman.store.base import Store", "imports `dragoman.store.base`"),
    ("arrows", "http.base", "from dragoman.wire.sse import SSEDecoder", "imports `dragoman.wire.sse`"),
    ("arrows", "store.base", "from dragoman.wire.types import Usage", "imports `dragoman.wire.types`"),
    ("arrows", "store.base", "from dragoman import __version__", "imports `dragoman`"),
    ("arrows", "gateway.call", "from dragoman.server.app import App", "imports `dragoman.server.app`"),
    ("arrows", "gateway.call", "import dragoman.cli", "imports `dragoman.cli`"),
    ("arrows", "server.app", "import dragoman.providers.openai_chat", "imports `dragoman.providers.openai_chat`"),
    ("arrows", "server.body", "from dragoman.providers.base import Operation", "imports `dragoman.providers.base`"),
    ("arrows", "server.app", "from dragoman.http.base import Request", "imports `dragoman.http.base`"),
    ("arrows", "server.app", "from dragoman.store.base import Store", "imports `dragoman.store.base`"),
    ("arrows", "server.app", "from dragoman.cli import main", "imports `dragoman.cli`"),
    ("arrows", "billing.base", "pass", "`billing` has no row in ARROWS"),
    ("purity", "wire.sse", "import asyncio", "imports `asyncio`, and is pure"),
    ("purity", "wire.sse", "import os.path", "imports `os.path`, and is pure"),
    ("purity", "wire.sse", "from time import monotonic", "imports `time`, and is pure"),
    ("purity", "wire.sse", "from random import Random", "imports `random`, and is pure"),
    ("purity", "wire.sse", "import secrets as s", "imports `secrets`, and is pure"),
    ("purity", "wire.sse", "def late():\n    import logging", "imports `logging`, and is pure"),
    ("purity", "providers.base", "from urllib import request", "imports `urllib.request`, and is pure"),
    ("purity", "providers.base", "import urllib.request", "imports `urllib.request`, and is pure"),
    ("purity", "providers.base", "from http.client import HTTPConnection", "imports `http.client`, and is pure"),
    ("purity", "providers.base", "import re, threading", "imports `threading`, and is pure"),
    ("purity", "providers.base", "from pathlib import Path", "imports `pathlib`, and is pure"),
    ("purity", "providers.base", "from subprocess import run", "imports `subprocess`, and is pure"),
    ("purity", "wire.sse", "async def feed(): ...", "waits, and is pure"),
    ("purity", "wire.sse", "class A:\n    async def feed(self): ...", "waits, and is pure"),
    ("purity", "wire.sse", "open('x')", "calls `open`, and is pure"),
    ("purity", "wire.sse", "print('x')", "calls `print`, and is pure"),
    ("packages", "gateway.auth.auth", "from sqlalchemy import select", "imports `sqlalchemy`"),
    ("packages", "gateway.upstream.upstream", "import httpx2", "imports `httpx2`"),
    ("packages", "server.app", "import httpx2", "imports `httpx2`"),
    ("packages", "gateway.open", "import uvloop", "imports `uvloop`"),
    ("packages", "gateway.config.config", "import typer", "imports `typer`"),
    ("packages", "server.run", "from rich.console import Console", "imports `rich`"),
    ("packages", "wire.validate", "import jsonschema_rs", "imports `jsonschema_rs`"),
    ("packages", "providers.base", "import jsonschema_rs", "imports `jsonschema_rs`"),
    ("packages", "wire.types", "import requests", "`requests` has no row in THIRD_PARTY"),
    ("packages", "gateway.prices.prices", "def late():\n    import requests", "`requests` has no row in THIRD_PARTY"),
    ("provider names", "gateway.routing.routing", "if provider == 'openai': pass", "names a provider: 'openai'"),
    ("provider names", "gateway.routing", "key = env['ANTHROPIC_API_KEY']", "names a provider: 'ANTHROPIC_API_KEY'"),
    ("provider names", "gateway.routing.routing", "is_gemini = True", "names a provider: 'is_gemini'"),
    ("provider names", "gateway.routing.routing", "def ask_bedrock(): ...", "names a provider: 'ask_bedrock'"),
    ("provider names", "gateway.routing.routing", "call(vertex=1)", "names a provider: 'vertex'"),
    ("provider names", "gateway.routing.routing", "def f(openai): ...", "names a provider: 'openai'"),
    ("provider names", "gateway.routing.routing", "x.openai_chat", "names a provider: 'openai_chat'"),
    ("provider names", "gateway.routing.routing", "f'{x}@api.anthropic.com'", "names a provider: '@api.anthropic.com'"),
    ("provider names", "gateway.local", "from ..providers.gemini import A", "names a provider: 'providers.gemini'"),
    ("provider names", "gateway.local", "from ..providers import openai_chat", "names a provider: 'openai_chat'"),
    ("provider names", "server.app", "x = b'Anthropic'", "names a provider: 'Anthropic'"),
    ("provider names", "server.app", "x = 'anthropic-other'", "names a provider: 'anthropic-other'"),
    ("provider names", "wire.tools", "OPENAI = 1", "names a provider: 'OPENAI'"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "module", "source", "what"), BREACHES)
def test_a_breach_is_found(rule: str, module: str, source: str, what: str) -> None:
    house = HOUSE | {module: source}
    assert list(RULES[rule](HOUSE)) == []
    assert [(found.module, found.what) for found in RULES[rule](house)] == [(module, what)]


def test_the_line_of_a_breach_is_told() -> None:
    source = "import re\n\n\ndef late():\n    import dragoman.http.base\n"
    assert list(broken_arrows(HOUSE | {"wire.sse": source})) == [Found("wire.sse", 5, "imports `dragoman.http.base`")]


@pytest.mark.parametrize("row", [("server.app", "providers.base"), "gateway.open", "wire.types"])
def test_an_exception_that_nothing_needs_is_found(row: tuple[str, str] | str) -> None:
    module = row if isinstance(row, str) else row[0]
    assert row in EXTRA_ARROWS or row in MAY_NAME_PROVIDERS
    assert [found.module for found in needless_rows(SOURCES | {module: "pass"})] == [module]


ALLOWED = [
    ("wire.sse", "import re, json, urllib.parse\nfrom . import codec\nfrom .codec import read\nimport dragoman.errors"),
    ("wire.sse", "import msgspec\nfrom msgspec import inspect"),
    ("wire.jsonschema", "def late():\n    import jsonschema_rs"),
    ("providers.base", "from dragoman.wire.sse import SSEDecoder\nfrom .base import Target"),
    ("gateway.routing", "from dragoman.engines.base import Engine\nfrom .call import Call\nimport asyncio, os, time"),
    ("gateway.routing.routing", '"""Names Anthropic in a docstring."""\n# and OpenAI in a comment\nconvertex = 1'),
    ("gateway.routing.routing", "def f():\n    '''As Gemini does.'''\nname = 'anthropic-ratelimit-requests-limit'"),
    ("server.body", "HEADERS = {'anthropic-version', b'anthropic-beta', 'anthropic-organization-id'}"),
    ("server.app", "from dragoman.providers.base import Operation\nfrom dragoman.gateway.call import Call"),
    ("cli", "import typer, dragoman.store.base\nfrom rich import box\nKEY = 'ANTHROPIC_API_KEY'"),
    ("http.base", "from dragoman import __version__\nimport httpx2, asyncio"),
]


@pytest.mark.parametrize(("module", "source"), ALLOWED)
def test_what_is_allowed_is_not_found(module: str, source: str) -> None:
    for rule in (broken_arrows, impurities, misplaced_packages, provider_names):
        assert list(rule(HOUSE | {module: source})) == []
