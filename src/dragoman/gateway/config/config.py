"""The configuration: what may be set, with type, default and check on one line each, and how it is put together.

File, then environment, then command line: the later one wins. No file is needed. docs/configuration.md is the
user's side of this file, and a test holds the two together. Imports nothing that serves requests.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from dragoman.errors import ConfigError
from dragoman.store.budgets import BudgetRecord
from dragoman.store.redis_urls import shown_redis
from dragoman.store.urls import is_in_memory, shown_url

from . import values as read
from .budgets import BudgetConfig, describe_budgets, read_budgets
from .faults import FaultConfig, describe_fault, misfit
from .hosts import with_host
from .ledger import LedgerConfig
from .limits import GroupConfig, LimitsConfig, TierConfig, describe_limits, read_limits
from .prices import PriceConfig, PriceTier, describe_prices, read_prices
from .provider_models import ModelConfig, read_models
from .routes import ConditionConfig, RouteConfig, describe_routes, read_routes
from .sheet import Sheet
from .text import KeyPath
from .values import Listen, Secret, TargetName

__all__ = [
    "ANTHROPIC_URL",
    "DEFAULT_FILE",
    "OFFLINE",
    "Config",
    "FaultConfig",
    "Listen",
    "ProviderConfig",
    "RouteConfig",
    "Secret",
    "ServerConfig",
    "TargetName",
    "describe",
    "load",
    "settings",
    "why_no_start",
]

DEFAULT_FILE = Path("dragoman.toml")
OFFLINE: Final = "offline"  # the built-in engine, as a provider's name and as a dialect
# How a request is authorized where no key is given: with one, it goes as a bearer token.
AUTH_BY_DIALECT = {"openai_chat": "bearer", "openai_responses": "bearer", "bedrock": "aws", "vertex": "google"}
TABLES = ("server", "providers", "models", "faults", "tiers", "limits", "budgets", "prices", "ledger")
OFFLINE_ONLY = ("ttft_ms", "tokens_per_second", "script")
ANTHROPIC_URL = "https://api.anthropic.com"
_ANTHROPIC_HOST = "api.anthropic.com"
_PROVIDER_NAME = re.compile(r"[a-z0-9_-]+")


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The table [server]."""

    listen: Annotated[Listen, read.listen_address] = Listen("127.0.0.1", 8000)
    database: Annotated[str, read.database_url] = "sqlite:///dragoman.db"
    body_limit_mb: Annotated[int, read.whole(1, 1024)] = 32  # ERR-24
    ping_after_s: Annotated[float, read.seconds(0.01)] = 8.0
    shutdown_grace_s: Annotated[float, read.seconds(0)] = 30.0
    shutdown_delay_s: Annotated[float, read.seconds(0)] = 0.0
    workers: Annotated[int, read.count(1, 256)] = 1  # processes
    counters: Annotated[str | None, read.counters_url] = None  # of several processes; None: each has its own
    counters_timeout_s: Annotated[float, read.seconds(0.01)] = 0.25
    trusted_proxies: Annotated[tuple[str, ...] | None, read.networks] = None  # whose x-forwarded-for is believed
    files_limit_mb: Annotated[int, read.whole(0, 1024 * 1024 * 1024)] = 10_240
    files_folder: Annotated[str | None, read.path] = None  # None: what `open.py` says

    @property
    def body_limit_bytes(self) -> int:
        """The largest request body; a megabyte is 1024 * 1024 bytes."""
        return self.body_limit_mb * 1024 * 1024

    @property
    def is_in_memory(self) -> bool:
        """The database is this process's own, and forgotten at its end."""
        return is_in_memory(self.database)

    @property
    def files_limit_bytes(self) -> int:
        """What the uploaded files of one workspace may take (FIL-2)."""
        return self.files_limit_mb * 1024 * 1024


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [providers.NAME], or a provider that the environment switched on. `origin` says which."""

    name: str
    origin: str
    dialect: Annotated[
        Literal["messages", "openai_chat", "openai_responses", "gemini", "bedrock", "vertex", "offline"],
        read.choice("messages", "openai_chat", "openai_responses", "gemini", "bedrock", "vertex", OFFLINE),
    ] = "messages"
    host: Annotated[str | None, read.word] = None  # a row of providers/hosts.toml
    base_url: Annotated[str, read.base_url] = ""  # no slash at its end; empty only when `dialect` is "offline"
    api_key: Annotated[Secret | None, read.secret] = None
    auth: Annotated[
        Literal["x-api-key", "bearer", "aws", "google"], read.choice("x-api-key", "bearer", "aws", "google")
    ] = "x-api-key"
    # Of clouds: where, on whose account, and who asks. What is not set here, the cloud's own tools would find.
    region: Annotated[str | None, read.word] = None
    project: Annotated[str | None, read.word] = None
    access_key_id: Annotated[Secret | None, read.secret] = None
    secret_access_key: Annotated[Secret | None, read.secret] = None
    session_token: Annotated[Secret | None, read.secret] = None
    profile: Annotated[str | None, read.word] = None
    credentials_file: Annotated[str | None, read.readable_file] = None
    # Who keeps message threads. Only Anthropic's own API is known to: the loader says so for its host.
    threads: Annotated[Literal["ours", "upstream"], read.choice("ours", "upstream")] = "ours"
    # Whose prices count, where its host and address do not say so: an id of genai-prices, or "local" for nobody's.
    price_list: Annotated[str | None, read.word] = None
    # What the dialect cannot carry: leave it out, and tell so, or refuse the request.
    strict: Annotated[bool, read.yes_or_no] = False
    connect_timeout_s: Annotated[float, read.seconds(0.01)] = 5.0
    first_byte_timeout_s: Annotated[float, read.seconds(0.01)] = 600.0
    idle_timeout_s: Annotated[float, read.seconds(0.01)] = 300.0
    total_timeout_s: Annotated[float | None, read.seconds(0.01)] = None
    # How many requests it is asked at once, how many more wait for a place, and how long.
    max_concurrent: Annotated[int | None, read.whole(1, 100_000)] = None
    queue: Annotated[int, read.whole(0, 100_000)] = 100
    queue_timeout_s: Annotated[float, read.seconds(0.01)] = 30.0
    models: Mapping[str, ModelConfig] = {}  # of which more is said
    # Our own HTTP client or httpx2; which of them is used where a proxy is named, `open.py` says.
    transport: Annotated[Literal["fast", "httpx"], read.choice("fast", "httpx")] = "fast"
    ca_file: Annotated[str | None, read.ca_file] = None
    client_cert_file: Annotated[str | None, read.readable_file] = None
    client_key_file: Annotated[str | None, read.readable_file] = None
    # Of the offline engine only: how quickly it answers, and a file that answers in its place.
    ttft_ms: Annotated[int, read.whole(0, 600_000)] = 0
    tokens_per_second: Annotated[float | None, read.per_second] = None
    script: Annotated[str | None, read.path] = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was configured, checked. `providers` has at least one entry, in the order of the file.

    `source` is the file it came from, None without one; `notes` are sentences for a person at start.
    """

    server: ServerConfig
    providers: Mapping[str, ProviderConfig]
    models: Mapping[str, RouteConfig]
    retired: Annotated[Literal["serve", "refuse"], read.choice("serve", "refuse")] = "serve"
    unknown_betas: Annotated[Literal["accept", "refuse"], read.choice("accept", "refuse")] = "accept"
    faults: tuple[FaultConfig, ...] = ()
    limits: LimitsConfig = LimitsConfig()
    budgets: tuple[BudgetRecord, ...] = ()
    prices: Mapping[str, PriceConfig] = {}  # by "provider/model"
    ledger: LedgerConfig = LedgerConfig()
    source: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def route_provider(self) -> ProviderConfig:
        """The provider that answers a model which neither [models] nor a `provider/` prefix names: the first."""
        return next(iter(self.providers.values()))


@cache
def settings(table: type[msgspec.Struct]) -> Mapping[str, Callable[[object], object]]:
    """What a file may set in `table`, each with the reader that checks it: the fields annotated with one."""
    hints = get_type_hints(table, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


_HOMES = {
    "at the top of the file, above the first [table]": settings(Config),
    "in [server]": settings(ServerConfig),
    "in [providers.NAME]": settings(ProviderConfig),
    'in [providers.NAME.models."MODEL"]': settings(ModelConfig),
    'in [models."NAME"]': settings(RouteConfig),
    'in [[models."NAME".when]]': settings(ConditionConfig),
    "in [[faults]]": settings(FaultConfig),
    "in [tiers.NAME]": settings(TierConfig),
    'in [tiers.NAME.groups."MODEL"]': settings(GroupConfig),
    "in [limits]": settings(LimitsConfig),
    "in [[budgets]]": settings(BudgetConfig),
    "in [ledger]": settings(LedgerConfig),
    'in [prices."PROVIDER/MODEL"]': settings(PriceConfig),
    'in [[prices."PROVIDER/MODEL".tiers]]': settings(PriceTier),
}


def load(
    path: Path | None,
    env: Mapping[str, str],
    *,
    listen: str | None = None,
    database: str | None = None,
    workers: str | None = None,
    script: str | None = None,
    text: str | None = None,
    default_database: str | None = None,
) -> Config:
    """The configuration out of `path` (else $DRAGOMAN_CONFIG, else ./dragoman.toml if it is there, else no file).

    `listen`, `database` and `workers` come from the command line and win over DRAGOMAN_LISTEN, DRAGOMAN_DATABASE and
    DRAGOMAN_WORKERS, which win over the file. An empty variable counts as unset. `script` is for the offline engine,
    which then answers every model that nothing else is configured for. `text` is what a file would hold, and then
    none is read; `default_database` takes the place of the default. Raises ConfigError, which lists every problem, one
    a line.
    """
    file, content = _read_file(path, env) if text is None else (None, text)
    sheet = Sheet(file, content, env=env, homes=_HOMES)
    top = sheet.settings((), settings(Config), tables=TABLES)
    given = {"listen": listen, "database": database, "workers": workers, "counters": None}
    server = _server(sheet, env, given, default_database=default_database)
    providers, notes = _providers(sheet, env)
    if script is not None:
        providers = _with_script(providers, script)
    for provider in providers.values():
        _check_circle(sheet, provider, server.listen)
    models = read_routes(sheet, providers, settings)
    faults = [_fault(sheet, path) for path in sheet.rows("faults")]
    limits = read_limits(sheet, settings)
    budgets = read_budgets(sheet, settings)
    prices = read_prices(sheet, settings, providers)
    ledger = LedgerConfig(**sheet.settings(("ledger",), settings(LedgerConfig)))
    sheet.raise_problems()
    injected = tuple(fault for fault in faults if fault is not None)
    return Config(
        server=server,
        providers=providers,
        models=models,
        faults=injected,
        limits=limits,
        budgets=budgets,
        prices=prices,
        ledger=ledger,
        source=file,
        notes=notes,
        **top,
    )


def why_no_start(provider: ProviderConfig) -> str | None:
    """What a server is told at start whose provider has no key here, nor one in the store; None: it may need none."""
    if provider.api_key is not None or _host(provider.base_url) != _ANTHROPIC_HOST:
        return None
    return (
        f"{provider.origin}: providers.{provider.name}: Anthropic answers no request without a key. "
        'Add api_key = "${ANTHROPIC_API_KEY}", or keep one in the database: '
        f"`dragoman providers add-key {provider.name}`."
    )


def describe(config: Config) -> list[tuple[str, str]]:
    """What answers what, as (subject, sentence) rows for a person. Holds no secret."""
    rows = [
        ("configuration", config.source or "no file: defaults and the environment"),
        ("listen", str(config.server.listen)),
        ("database", shown_url(config.server.database)),
    ]
    if config.server.counters is not None:
        rows.append(("counters", f"{shown_redis(config.server.counters)}, for all processes that name it"))
    rows += [(f"provider {each.name}", _describe_provider(each)) for each in config.providers.values()]
    rows += describe_routes(config.models)
    first = config.route_provider
    every = "every model of the catalogue" if first.dialect == OFFLINE else "every other model"
    rows += [
        (every, f"answered by {first.name}"),
        ("retired models", "answered" if config.retired == "serve" else "refused with 404"),
        ("unknown betas", "ignored" if config.unknown_betas == "accept" else "refused with 400"),
    ]
    rows += describe_limits(config.limits) + describe_budgets(config.budgets) + describe_prices(config.prices)
    rows += [("fault on purpose", describe_fault(fault)) for fault in config.faults]
    return rows + [("note", note) for note in config.notes]


def _describe_provider(provider: ProviderConfig) -> str:
    if provider.dialect == OFFLINE:
        played = f", playing {provider.script}" if provider.script else ""
        return f"the built-in offline engine{played} ({provider.origin})"
    own = "x-goog-api-key" if provider.dialect == "gemini" else "x-api-key"
    header = "authorization" if provider.auth == "bearer" else own
    key = f"with its key in {header}" if provider.api_key else "without a key"
    return f"{provider.base_url}, {key} ({provider.origin})"


def _read_file(path: Path | None, env: Mapping[str, str]) -> tuple[str | None, str]:
    """The file's name and text; (None, "") when there is none."""
    file, named_by = path, "--config"
    if file is None and env.get("DRAGOMAN_CONFIG"):
        file, named_by = Path(env["DRAGOMAN_CONFIG"]), "DRAGOMAN_CONFIG"
    if file is None and DEFAULT_FILE.exists():
        file, named_by = DEFAULT_FILE, "the directory dragoman was started in"
    if file is None:
        return None, ""
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        remedy = f"Mend the path in {named_by}, or leave it out: dragoman needs no file."
        raise ConfigError(f"{file}: there is no such file. {remedy}") from error
    except IsADirectoryError as error:
        raise ConfigError(
            f"{file}: this is a directory. Name the file in it, such as {file / DEFAULT_FILE}."
        ) from error
    except OSError as error:
        remedy = f"Check the path in {named_by}, and that the user who runs dragoman may read it."
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}. {remedy}") from error
    try:
        return str(file), raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: this is not UTF-8. Save the file again in that encoding.") from error


def _server(
    sheet: Sheet, env: Mapping[str, str], given: Mapping[str, str | None], *, default_database: str | None
) -> ServerConfig:
    """`given` is of the command line; each has a variable of its name."""
    readers = settings(ServerConfig)
    values = sheet.settings(("server",), readers)
    if default_database is not None:
        values.setdefault("database", default_database)
    for name, flag in given.items():
        variable = f"DRAGOMAN_{name.upper()}"
        if flag is not None:
            sheet.override(values, name, flag, readers=readers, origin=f"--{name}")
        elif env.get(variable):
            sheet.override(values, name, env[variable], readers=readers, origin=variable)
    return ServerConfig(**values)


def _providers(sheet: Sheet, env: Mapping[str, str]) -> tuple[dict[str, ProviderConfig], tuple[str, ...]]:
    """The providers, those of the file first, and what is to be said about the environment's."""
    key, notes = _key_of_environment(sheet, env)
    providers = {name: _provider(sheet, name, key, env) for name in sheet.names("providers")}
    if key is not None and "anthropic" not in providers:
        providers["anthropic"] = ProviderConfig(
            name="anthropic", origin="ANTHROPIC_API_KEY is set", base_url=ANTHROPIC_URL, api_key=key, threads="upstream"
        )
    if not providers:
        providers[OFFLINE] = ProviderConfig(name=OFFLINE, origin="no provider is configured", dialect=OFFLINE)
    return providers, notes


def _with_script(providers: Mapping[str, ProviderConfig], script: str) -> dict[str, ProviderConfig]:
    """The providers with a script for the offline engine; that comes first where it was not among them."""
    name, engine = next(
        ((name, provider) for name, provider in providers.items() if provider.dialect == OFFLINE),
        (OFFLINE, ProviderConfig(name=OFFLINE, origin="--script", dialect=OFFLINE)),
    )
    scripted = msgspec.structs.replace(engine, script=script)
    if name in providers:
        return {**providers, name: scripted}
    return {name: scripted, **providers}


def _key_of_environment(sheet: Sheet, env: Mapping[str, str]) -> tuple[Secret | None, tuple[str, ...]]:
    """The key for Anthropic that the environment holds, and what is to be said about it.

    ANTHROPIC_BASE_URL is never the address of the provider: on a client's machine it points at dragoman itself,
    and requests would go round in a circle. There ANTHROPIC_API_KEY is a key for that address as well, one of
    dragoman's own most likely, so it is not sent to Anthropic either.
    """
    if not env.get("ANTHROPIC_API_KEY") or "api_key" in sheet.table(("providers", "anthropic")):
        return None, ()
    elsewhere = env.get("ANTHROPIC_BASE_URL", "")
    if elsewhere and _host(elsewhere) != _ANTHROPIC_HOST:
        return None, (
            "ANTHROPIC_API_KEY is not used: ANTHROPIC_BASE_URL says that it is a key for another server. "
            'To use it for Anthropic, set api_key = "${ANTHROPIC_API_KEY}" in [providers.anthropic].',
        )
    values: dict[str, Secret] = {}
    readers = settings(ProviderConfig)
    sheet.override(values, "api_key", env["ANTHROPIC_API_KEY"], readers=readers, origin="ANTHROPIC_API_KEY")
    return values.get("api_key"), ()


def _provider(sheet: Sheet, name: str, env_key: Secret | None, env: Mapping[str, str]) -> ProviderConfig:
    """The provider of one table; with defaults in place of what was wrong, which the sheet has noted."""
    path = ("providers", name)
    table, values = sheet.table(path), sheet.settings(path, settings(ProviderConfig), tables=("models",))
    if not _PROVIDER_NAME.fullmatch(name):
        sheet.note(path, "this is no name for a provider", "Use a-z, 0-9, - and _ only.")
    if name == OFFLINE:
        values.setdefault("dialect", OFFLINE)
    else:
        values = with_host(sheet, path, values, env)
    if values.get("dialect") in AUTH_BY_DIALECT:
        values.setdefault("auth", "bearer" if "api_key" in values else AUTH_BY_DIALECT[values["dialect"]])
    if name == "anthropic" and values.get("dialect") != OFFLINE:
        values = _with_anthropic_defaults(values, table, env_key)
    if "threads" not in table and _host(values.get("base_url", "")) == _ANTHROPIC_HOST:
        values["threads"] = "upstream"
    models = read_models(sheet, path, settings)
    provider = ProviderConfig(name=name, origin=sheet.origin(path), models=models, **values)
    if "dialect" in table and "dialect" not in values:
        return provider  # which checks fit is not known
    if provider.dialect == OFFLINE:
        _check_offline(sheet, path, table)
    elif name == OFFLINE:
        sheet.note(
            path, "this name is taken by the built-in engine", "Give a provider with another dialect another name."
        )
    elif table.keys() <= {*settings(ProviderConfig), "models"}:  # else the problem is the unknown one
        _check_messages(sheet, path, provider)
    return provider


def _with_anthropic_defaults(
    values: dict[str, Any], table: Mapping[str, object], env_key: Secret | None
) -> dict[str, Any]:
    """Adds what [providers.anthropic] need not say. The environment's key goes to Anthropic's own address only."""
    if "base_url" not in table:
        values = {"base_url": ANTHROPIC_URL, **values}
    if env_key and values.get("base_url") == ANTHROPIC_URL:
        values = {"api_key": env_key, **values}
    return values


def _check_offline(sheet: Sheet, path: KeyPath, table: Mapping[str, object]) -> None:
    for name in table:
        if name in {*settings(ProviderConfig), "models"} - {"dialect", *OFFLINE_ONLY}:
            sheet.note((*path, name), "the offline engine has no use for it", "Take the line away.")


def _check_messages(sheet: Sheet, path: KeyPath, provider: ProviderConfig) -> None:
    table = sheet.table(path)
    for name in OFFLINE_ONLY:
        if name in table:
            sheet.note((*path, name), "only the offline engine knows it", "Take the line away.")
    if provider.dialect == "messages" and provider.base_url:
        sheet.check((*path, "base_url"), provider.base_url, read.messages_url)
    if "base_url" not in table and not provider.base_url:
        sheet.note(path, "base_url is missing", 'Add base_url = "https://...".')
    if provider.ca_file and provider.base_url and not provider.base_url.startswith("https:"):
        sheet.note((*path, "ca_file"), "base_url is not https, so no certificate is checked", "Take the line away.")
    _check_client_certificate(sheet, path, provider)


def _check_client_certificate(sheet: Sheet, path: KeyPath, provider: ProviderConfig) -> None:
    where = (*path, "client_cert_file")
    if provider.client_cert_file is None:
        if provider.client_key_file is not None:
            sheet.note((*path, "client_key_file"), "there is no client_cert_file to it", "Add one.")
    elif provider.base_url and not provider.base_url.startswith("https:"):
        sheet.note(where, "base_url is not https, so no certificate is shown", "Take the line away.")
    elif why := read.why_no_identity(provider.client_cert_file, provider.client_key_file):
        sheet.note(where, why, "Give PEM files: the certificate, and its key in the same file or in client_key_file.")


def _check_circle(sheet: Sheet, provider: ProviderConfig, listen: Listen) -> None:
    """Refuse a provider that is this very server; only what can be seen without asking the network."""
    url = urlsplit(provider.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    here = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104
    if url.hostname in here and listen.host in here and port == listen.port:
        what = f"this is dragoman's own address ({listen}), requests would go round in a circle"
        sheet.note(("providers", provider.name, "base_url"), what, "Give one of the two another port.")


def _fault(sheet: Sheet, path: KeyPath) -> FaultConfig | None:
    """The fault of one table; None when its kind could not be read, which the sheet has noted."""
    table, values = sheet.table(path), sheet.settings(path, settings(FaultConfig))
    if "kind" not in table:
        sheet.note(path, "kind is missing", 'Add kind = "529", or another of docs/faults.md.')
    if "kind" not in values:
        return None
    for name in values:
        if why := misfit(values["kind"], name):
            sheet.note((*path, name), f"this {why}", "Take the line away.")
    return FaultConfig(origin=sheet.origin(path), **values)


def _host(url: str) -> str:
    """The host of a URL in lower case; empty when it has none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
