"""The configuration: what is read, which source wins, what is refused and how that is told."""

import json
import math
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.gateway.config import text as config_text
from dragoman.gateway.config import values as config_values
from dragoman.gateway.config.budgets import BudgetConfig
from dragoman.gateway.config.config import (
    ANTHROPIC_URL,
    Config,
    FaultConfig,
    Listen,
    ProviderConfig,
    RouteConfig,
    Secret,
    ServerConfig,
    TargetName,
    describe,
    load,
    settings,
    why_no_start,
)
from dragoman.gateway.config.hosts import known_hosts
from dragoman.gateway.config.ledger import LedgerConfig
from dragoman.gateway.config.limits import GroupConfig, LimitsConfig, TierConfig
from dragoman.gateway.config.prices import PriceConfig, PriceTier
from dragoman.gateway.config.provider_models import ModelConfig
from dragoman.gateway.config.routes import ConditionConfig
from dragoman.gateway.open import _transport as open_transport
from dragoman.store.urls import database_file

DOCUMENT = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
KEY = "sk-ant-test-0123456789"

# Public test data: a certificate for the name "dragoman-test" whose private key was never kept.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBhjCCAS2gAwIBAgIUJBIpaJk9BlKnMiJ1bmflpnJky+QwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNZHJhZ29tYW4tdGVzdDAgFw0yNjExMjEwMDM3NDJaGA8yMTI2
MTAyODAwMzc0MlowGDEWMBQGA1UEAwwNZHJhZ29tYW4tdGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJmeJNizQPBJQuPGjXQK3xX6yk2ER5096mUouO9/ZGrF
OZdiq/11/ck84u+EXu2Y3t/8WDFKqbzvC2Sr0RhQH4mjUzBRMB0GA1UdDgQWBBTO
C5vez+zRzEpbBgTwQ/VHZm8l9jAfBgNVHSMEGDAWgBTOC5vez+zRzEpbBgTwQ/VH
Zm8l9jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAHqg87Gd4B8
ZVTZbcdY6ZO1SgjUS5EuqkyyrI1otqJoAiBCW8ouAdW44PVKmtdbrSJ+R//lvAeT
7i/oiVugpAozag==
-----END CERTIFICATE-----
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that dragoman is started in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, env: Mapping[str, str] | None = None, **flags: str) -> Config:
    Path("dragoman.toml").write_text(text, "utf-8")
    return load(None, env or {}, **flags)


def problems(text: str, env: Mapping[str, str] | None = None, **flags: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, env, **flags)
    return str(caught.value).split("\n")


# What is read


def test_without_a_file_and_a_key_the_offline_engine_answers_with_the_defaults() -> None:
    config = load(None, {})
    assert config.server == ServerConfig()
    assert (config.retired, config.unknown_betas, config.source, config.models) == ("serve", "accept", None, {})
    assert list(config.providers) == ["offline"]
    assert config.route_provider.dialect == "offline"


def test_a_file_sets_everything() -> None:
    Path("ca.pem").write_text(CERTIFICATE)
    config = read(
        """
        retired = "refuse"
        unknown_betas = "refuse"
        [server]
        listen = "[::1]:0"
        database = "sqlite:////srv/d.db"
        body_limit_mb = 1
        ping_after_s = 0.5
        shutdown_grace_s = 0
        [providers.gpu-box_1]
        dialect = "messages"
        base_url = "HTTPS://Gpu:8443/prefix//"
        api_key = "${KEY}"
        auth = "bearer"
        connect_timeout_s = 1
        first_byte_timeout_s = 2.5
        idle_timeout_s = 3
        total_timeout_s = 4
        transport = "httpx"
        ca_file = "ca.pem"
        [models."my.alias[1m]"]
        targets = ["gpu-box_1/org/qwen3:32b"]
        """,
        {"KEY": KEY},
    )
    assert config == Config(
        retired="refuse",
        unknown_betas="refuse",
        source="dragoman.toml",
        server=ServerConfig(
            listen=Listen("::1", 0),
            database="sqlite:////srv/d.db",
            body_limit_mb=1,
            ping_after_s=0.5,
            shutdown_grace_s=0.0,
        ),
        providers={
            "gpu-box_1": ProviderConfig(
                name="gpu-box_1",
                origin="dragoman.toml:10",
                dialect="messages",
                base_url="https://Gpu:8443/prefix",
                api_key=Secret(KEY),
                auth="bearer",
                connect_timeout_s=1.0,
                first_byte_timeout_s=2.5,
                idle_timeout_s=3.0,
                total_timeout_s=4.0,
                transport="httpx",
                ca_file="ca.pem",
            )
        },
        models={
            "my.alias[1m]": RouteConfig(
                name="my.alias[1m]",
                origin="dragoman.toml:21",
                targets=(TargetName("gpu-box_1", "org/qwen3:32b"),),
            )
        },
    )
    assert config.server.body_limit_bytes == 1024 * 1024


def test_the_configuration_cannot_be_changed() -> None:
    config = load(None, {})
    with pytest.raises(AttributeError):
        config.retired = "refuse"
    with pytest.raises(AttributeError):
        config.server.listen = Listen("0.0.0.0", 1)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8000", Listen("127.0.0.1", 8000)),
        ("localhost:0", Listen("localhost", 0)),
        ("my-host.example:65535", Listen("my-host.example", 65535)),
        ("[::1]:8000", Listen("::1", 8000)),
        ("[::]:80", Listen("::", 80)),
        (":8000", Listen("0.0.0.0", 8000)),
    ],
)
def test_listen_takes_a_host_and_a_port(text: str, listen: Listen) -> None:
    assert load(None, {}, listen=text).server.listen == listen
    assert str(listen) == (text if text[0] != ":" else f"0.0.0.0{text}")


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///:memory:", "sqlite:///a b.db", "sqlite:////srv/d.db"),
        *("postgresql://me:pass@h:5432/d?sslmode=require", "postgres://%2Frun%2Fpg/d", "postgresql:///d?host=/run/pg"),
    ],
)
def test_database_takes_what_the_store_takes(url: str) -> None:
    assert load(None, {}, database=url).server.database == url
    database_file(url)


def test_a_file_may_begin_with_a_byte_order_mark_and_end_its_lines_like_windows() -> None:
    Path("dragoman.toml").write_bytes(b'\xef\xbb\xbfretired = "refuse"\r\n[server]\r\nbody_limit_mb = 2\r\n')
    config = load(None, {})
    assert (config.retired, config.server.body_limit_mb) == ("refuse", 2)


# Which file, and which source wins


def test_the_file_is_the_one_named_then_that_of_the_environment_then_the_one_that_lies_here(directory: Path) -> None:
    for name, limit in (("flag.toml", 1), ("env.toml", 2), ("dragoman.toml", 3)):
        Path(name).write_text(f"[server]\nbody_limit_mb = {limit}")
    env = {"DRAGOMAN_CONFIG": str(directory / "env.toml")}
    assert load(Path("flag.toml"), env).server.body_limit_mb == 1
    assert load(None, env).source == str(directory / "env.toml")
    assert load(None, {}).server.body_limit_mb == load(None, {"DRAGOMAN_CONFIG": ""}).server.body_limit_mb == 3


def test_the_environment_wins_over_the_file_and_the_command_line_over_both() -> None:
    text = '[server]\nlisten = "h:1"\ndatabase = "sqlite:///1"'
    env = {"DRAGOMAN_LISTEN": "h:2", "DRAGOMAN_DATABASE": "sqlite:///2"}
    empty = dict.fromkeys(env, "")

    def listen_and_database(config: Config) -> tuple[int, str]:
        return config.server.listen.port, config.server.database

    assert listen_and_database(read(text, empty)) == (1, "sqlite:///1")
    assert listen_and_database(read(text, env)) == (2, "sqlite:///2")
    assert listen_and_database(read(text, env, listen="h:3", database="sqlite:///3")) == (3, "sqlite:///3")


def test_a_key_in_the_environment_switches_anthropic_on() -> None:
    provider = load(None, {"ANTHROPIC_API_KEY": KEY}).route_provider
    assert (provider.name, provider.base_url, provider.api_key) == ("anthropic", ANTHROPIC_URL, Secret(KEY))
    assert load(None, {"ANTHROPIC_API_KEY": ""}).route_provider.name == "offline"


def test_anthropic_of_the_environment_comes_after_the_providers_of_the_file() -> None:
    config = read(
        '[providers.b]\nbase_url = "http://b"\n[providers.a]\nbase_url = "http://a"', {"ANTHROPIC_API_KEY": KEY}
    )
    assert list(config.providers) == ["b", "a", "anthropic"]
    assert config.route_provider.name == "b"
    assert read("[providers.offline]", {"ANTHROPIC_API_KEY": KEY}).route_provider.dialect == "offline"


@pytest.mark.parametrize("more", ["", f'base_url = "{ANTHROPIC_URL}/"'])
def test_a_table_for_anthropic_takes_address_and_key_of_the_environment(more: str) -> None:
    config = read(f"[providers.anthropic]\nidle_timeout_s = 5\n{more}", {"ANTHROPIC_API_KEY": KEY})
    (provider,) = config.providers.values()
    assert (provider.base_url, provider.api_key) == (ANTHROPIC_URL, Secret(KEY))
    assert (provider.idle_timeout_s, provider.origin) == (5.0, "dragoman.toml:1")


def test_the_key_of_the_environment_goes_to_no_other_address() -> None:
    config = read('[providers.anthropic]\nbase_url = "http://proxy"', {"ANTHROPIC_API_KEY": KEY})
    assert config.route_provider.api_key is None


@pytest.mark.parametrize("elsewhere", ["http://127.0.0.1:8000", "http://[", "https://api.anthropic.com.example"])
def test_a_key_that_the_environment_holds_for_another_server_is_not_sent_to_anthropic(elsewhere: str) -> None:
    env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": elsewhere}
    config = load(None, env)
    assert list(config.providers) == ["offline"]
    assert "ANTHROPIC_API_KEY is not used" in config.notes[0]
    asked = read('[providers.anthropic]\napi_key = "${ANTHROPIC_API_KEY}"', env)
    assert (asked.route_provider.api_key, asked.route_provider.base_url) == (Secret(KEY), ANTHROPIC_URL)
    assert asked.notes == ()


@pytest.mark.parametrize("same", ["", "https://api.anthropic.com", "https://API.anthropic.com/"])
def test_a_base_url_in_the_environment_that_is_anthropics_own_changes_nothing(same: str) -> None:
    config = load(None, {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": same})
    assert (config.route_provider.name, config.notes) == ("anthropic", ())


# Variables and secrets


def test_variables_are_replaced_in_every_text_once() -> None:
    config = read(
        '[providers.a]\nbase_url = "http://${H_1}:${P}/$$x"\napi_key = "${K}"\n[models.m]\ntargets = ["a/${M}"]',
        {"H_1": "host", "P": "81", "K": "$$${P}", "M": "model"},
    )
    provider = config.providers["a"]
    assert (provider.base_url, provider.api_key) == ("http://host:81/$x", Secret("$$${P}"))
    assert config.models["m"].targets == (TargetName("a", "model"),)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r:>9}".format, ascii, lambda value: f"{value!s}"])
def test_a_secret_is_not_shown(show: Callable[[object], str]) -> None:
    config = load(None, {"ANTHROPIC_API_KEY": KEY})
    for value in (config, config.route_provider, config.route_provider.api_key):
        assert KEY not in show(value)
        assert "***" in show(value)


def test_a_secret_is_in_no_dump() -> None:
    config = load(None, {"ANTHROPIC_API_KEY": KEY})
    with pytest.raises(TypeError, match="Secret"):
        msgspec.json.encode(config)
    with pytest.raises(TypeError, match="Secret"):
        msgspec.to_builtins(config)
    assert KEY.encode() not in msgspec.json.encode(config, enc_hook=str)
    assert KEY not in json.dumps(msgspec.structs.asdict(config.route_provider), default=str)
    assert not hasattr(config.route_provider.api_key, "__dict__")


def test_a_secret_compares_by_what_it_hides_and_survives_a_copy() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert pickle.loads(pickle.dumps(Secret("a"))).reveal() == "a"


@pytest.mark.parametrize(
    "text",
    [
        f'[providers.a]\napi_key = "{KEY} "',
        '[providers.a]\napi_key = "${KEY} "',
        f'[providers.a]\napi_key = "{KEY}$"',
        f'[providers.a]\napi_key = ["{KEY}"]',
        f'[providers.a]\napi_kye = "{KEY}"',
        f'[providers.a]\nauth = "{KEY}"',
        f'[providers.a]\nbase_url = "http://me:{KEY}@host"',
        f'[providers.a]\nbase_url = "http://host?key={KEY}"',
        f'[providers.a]\nbase_url = "me:{KEY}@host"',
        f'[server]\ndatabase = "postgresql://me:{KEY}@host:x/db"',
        f'[server]\ndatabase = "postgresql://me:{KEY}/1@host/db"',
        f'[server]\ndatabase = "postgresql+x://me@host/db?password={KEY}"',
        f'[server]\nlisten = "{KEY}"',
        f'[server]\napi_key = "{KEY}"\napi_key = "{KEY}"',
        '[providers.a]\nauth = "${KEY}"',
        '[server]\nlisten = "${KEY}"',
        '[providers.a]\nbase_url = "${KEY}"',
        '[models.m]\ntargets = ["${KEY}"]',
        '[models.m]\ntargets = ["${KEY}/m"]',
    ],
)
def test_no_message_shows_a_secret(text: str) -> None:
    message = "\n".join(problems(text, {"KEY": "of.the.environment"}))
    assert KEY not in message
    assert "of.the.environment" not in message


def test_the_password_of_a_database_is_not_shown_with_its_configuration() -> None:
    url = f"postgresql://me:{KEY}@db.example:5432/dragoman?sslpassword={KEY}"
    config = load(None, {}, database=url)
    assert config.server.database == url
    assert KEY not in repr(config)
    assert ("database", "postgresql://db.example:5432/dragoman") in describe(config)


# What is refused

SERVER, PROVIDER = "[server]\n", '[providers.a]\nbase_url = "http://a"\n'
WHEN = PROVIDER + '[models.m]\ntargets = ["a/b"]\n[[models.m.when]]\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        # names of settings and tables
        ("\nretirde = 1", 2, ["retirde: there is no such setting here", 'mean "retired"']),
        ("[server]\nlisen = 1", 2, ["server.lisen:", 'mean "listen"']),
        ("server.Listen = 1", 1, ["server.Listen:", 'mean "listen"']),
        ("[sever]\nlisten = 1", 1, ["sever:", 'mean "server"']),
        ("server = { x = 1 }", 1, ["server.x:", "Known here: listen, database"]),
        ('listen = "h:1"', 1, ["listen:", "belongs in [server]"]),
        ('lisn = "h:1"', 1, ["lisn:", 'mean "listen", in [server]']),
        ('[server]\n\nretired = "serve"', 3, ["server.retired:", "the top of the file"]),
        (PROVIDER + "base-url = 1", 3, ["providers.a.base-url:", 'mean "base_url"']),
        (PROVIDER + "[models.gpt-4.1-mini]\ntargets = 1", 3, ["models.gpt-4.1-mini:", '[models."gpt-4.1-mini"]']),
        ("server = 3", 1, ["server: this is a setting, not a table", "Write [server]"]),
        ("[[server]]", 1, ["server: this is a setting, not a table"]),
        ("providers = []", 1, ["providers: this is a setting, not a table"]),
        ('[providers]\nbase_url = "http://a"', 2, ["providers.base_url:", "belongs in [providers.NAME]"]),
        ('[models]\nfoo = "a/b"', 2, ["models.foo:", 'the provider of "a/b" is not there']),
        ("[models]\nfoo = 1", 2, ["models.foo: 1 is no target", 'Write NAME = "provider/model"']),
        ('[models]\nfoo = "ab"', 2, ['models.foo: "ab" has no /', 'Write NAME = "provider/model"']),
        # words
        ('retired = "no"', 1, ['retired: "no" is not one of the words', 'Write "serve" or "refuse".']),
        ("unknown_betas = true", 1, ["unknown_betas: true is not", '"accept" or "refuse"']),
        (PROVIDER + 'auth = "token"', 3, ["providers.a.auth:", '"token"', '"x-api-key" or "bearer"']),
        (
            PROVIDER + 'dialect = "telepathy"',
            3,
            [
                "dialect:",
                '"telepathy"',
                '"messages" or "openai_chat" or "openai_responses" or "gemini" or "bedrock" or "vertex" or "offline"',
            ],
        ),
        # numbers
        (SERVER + 'body_limit_mb = "32"', 2, ["server.body_limit_mb:", "whole number from 1 to 1024"]),
        (SERVER + "body_limit_mb = 0", 2, ["0 is not a whole number"]),
        (SERVER + "body_limit_mb = 32.0", 2, ["32.0 is not a whole number"]),
        (SERVER + "body_limit_mb = true", 2, ["true is not a whole number"]),
        (SERVER + f"body_limit_mb = 0x{'f' * 5000}", 2, ["so large a number is not a whole number"]),
        (SERVER + "ping_after_s = 0", 2, ["0 is not a number of seconds from 0.01 to 86400", "such as 30.0"]),
        (SERVER + 'ping_after_s = "8s"', 2, ['"8s" is not a number of seconds']),
        (SERVER + "shutdown_grace_s = -1", 2, ["-1 is not a number of seconds from 0 to"]),
        (SERVER + "shutdown_grace_s = inf", 2, ["seconds"]),
        (SERVER + "shutdown_grace_s = nan", 2, ["seconds"]),
        (SERVER + "shutdown_grace_s = 1979-05-27", 2, ["1979-05-27 is not a number"]),
        (PROVIDER + "connect_timeout_s = false", 3, ["providers.a.connect_timeout_s:", "false is not a number"]),
        (PROVIDER + "first_byte_timeout_s = 1e9", 3, ["first_byte_timeout_s:", "1000000000.0 is not"]),
        (PROVIDER + "idle_timeout_s = {}", 3, ["idle_timeout_s: a table is not a number"]),
        # addresses
        (SERVER + "listen = 8000", 2, ["server.listen: 8000 is not text", 'Write "host:port"']),
        (SERVER + 'listen = "8000"', 2, ['"8000" names no port', '":8000" for all interfaces']),
        (SERVER + 'listen = "http://h:1"', 2, ["is a URL, not an address"]),
        (SERVER + 'listen = "h:"', 2, ["no port from 0 to 65535"]),
        (SERVER + 'listen = "h:65536"', 2, ["no port from 0 to 65535"]),
        (SERVER + 'listen = "h:٣"', 2, ["no port from 0 to 65535"]),
        (SERVER + 'listen = "::1:80"', 2, ["IPv6 address without brackets"]),
        (SERVER + 'listen = "[::g]:80"', 2, ["no IPv6 address between its brackets"]),
        (SERVER + 'listen = "127.0.0.256:80"', 2, ["no IPv4 address"]),
        (SERVER + 'listen = "a b:80"', 2, ["no host name"]),
        (SERVER + 'listen = ""', 2, ['"" names no port']),
        (
            SERVER + 'database = "dragoman.db"',
            2,
            ["server.database:", "is not a database URL", "sqlite:///dragoman.db"],
        ),
        (SERVER + 'database = "postgresql+asyncpg://h/d"', 2, ["names a driver", "postgresql://user:password@host"]),
        (SERVER + 'database = "postgresql://me:a/b@h/d"', 2, ["the value has an @, /", "%2F for /"]),
        (SERVER + 'database = "postgresql://h:x/d"', 2, ["has no port from 1 to 65535"]),
        (SERVER + 'database = "mysql://h/d"', 2, ["not the URL of a database that dragoman knows"]),
        (SERVER + 'database = "sqlite://d.db"', 2, ["needs three"]),
        (SERVER + 'database = "sqlite:///"', 2, ["names no file"]),
        (SERVER + 'database = "sqlite:///d.db?mode=ro"', 2, ["has a ?"]),
        (SERVER + "database = 1", 2, ["is not text"]),
        (PROVIDER.replace("http:", "ftp:"), 2, ["providers.a.base_url:", "neither http:// nor https://"]),
        (PROVIDER.replace("http://a", "a:80"), 2, ["neither http:// nor https://", "Write"]),
        (PROVIDER.replace("//a", "//"), 2, ["names no host"]),
        (PROVIDER.replace("//a", "//a:0"), 2, ["names port 0"]),
        (PROVIDER.replace("//a", "//a:99999"), 2, ["broken host or port"]),
        (PROVIDER.replace("//a", "//[::1"), 2, ["broken host or port"]),
        (PROVIDER.replace("//a", "//a b"), 2, ["space or a control character"]),
        (PROVIDER.replace("//a", "//a\\n"), 2, ["space or a control character"]),
        (PROVIDER.replace("//a", "//u:p@a"), 2, ["the value has credentials in it", "api_key"]),
        (PROVIDER.replace("//a", "//a?b"), 2, ["has a ? or # in it"]),
        (PROVIDER.replace("//a", "//a#"), 2, ["has a ? or # in it"]),
        (PROVIDER.replace("//a", "//a/v1/"), 2, ["adds by itself", "Remove /v1"]),
        (PROVIDER.replace("//a", "//a/v1/messages"), 2, ["adds by itself"]),
        (PROVIDER.replace('"http://a"', "1"), 2, ["1 is not text"]),
        (PROVIDER.replace("//a", "//localhost:8000/x"), 2, ["providers.a.base_url:", "own address", "another port"]),
        ('[server]\nlisten = ":80"\n' + PROVIDER.replace("//a", "//[::1]"), 4, ["own address (0.0.0.0:80)"]),
        # providers
        (PROVIDER.replace("a]", "GPU]"), 1, ["providers.GPU:", "a-z, 0-9, - and _"]),
        ("\n[providers.a]\nauth = 'bearer'", 2, ["providers.a: base_url is missing", 'Add base_url = "https://..."']),
        (PROVIDER + 'api_key = ""', 3, ["providers.a.api_key: the value is empty"]),
        (PROVIDER + 'api_key = "${EMPTY}"', 3, ["providers.a.api_key: the value is empty"]),
        (PROVIDER + 'api_key = "a b"', 3, ["has a space", "Copy the key again"]),
        (PROVIDER + 'api_key = "é"', 3, ["beyond ASCII"]),
        (PROVIDER + "api_key = 1", 3, ["the value is not text"]),
        (PROVIDER + 'api_key = "${NO_1}${NO_2}${EMPTY}"', 3, ["needs NO_1, NO_2, which", "Set NO_1, NO_2"]),
        (PROVIDER + 'api_key = "a$b"', 3, ["has a $ that begins no ${NAME}", "Write $$"]),
        (PROVIDER + 'api_key = "${EMPTY:-x}"', 3, ["has a $ that begins no ${NAME}"]),
        (PROVIDER + 'ca_file = "none.pem"', 3, ["ca_file:", "No such file", "PEM"]),
        (PROVIDER + 'ca_file = "dragoman.toml"', 3, ["holds no certificate"]),
        (PROVIDER + 'ca_file = ""', 3, ["is not a path"]),
        (PROVIDER + 'ca_file = "ca.pem"', 3, ["base_url is not https"]),
        (PROVIDER + 'transport = "slow"', 3, ["transport:", 'Write "fast" or "httpx"']),
        (PROVIDER + "total_timeout_s = 0", 3, ["total_timeout_s:", "number of seconds"]),
        (PROVIDER + 'client_cert_file = "none.pem"', 3, ["client_cert_file:", "No such file"]),
        (PROVIDER + 'client_cert_file = "ca.pem"', 3, ["client_cert_file:", "base_url is not https"]),
        (PROVIDER + 'client_key_file = "ca.pem"', 3, ["client_key_file:", "no client_cert_file"]),
        (
            PROVIDER.replace("http:", "https:") + 'client_cert_file = "ca.pem"',
            3,
            ["client_cert_file:", "no certificate with its key"],
        ),
        ('[providers.offline]\nbase_url = "http://a"', 2, ["offline.base_url: the offline engine has no use"]),
        ("[providers.x]\ndialect = 'offline'\nidle_timeout_s = 1", 3, ["providers.x.idle_timeout_s:", "no use for it"]),
        ("[providers.offline]\ndialect = 'messages'", 1, ["taken by the built-in engine", "another name"]),
        # models
        (PROVIDER + "[models.m]", 3, ["models.m: targets is missing", 'targets = ["a/..."]']),
        (PROVIDER + '[models.m]\ntargets = "a/b"', 4, ['"a/b" is not a list', 'targets = ["provider/model"]']),
        (PROVIDER + "[models.m]\ntargets = []", 4, ["a list is empty"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b",\n"a/b"]', 5, ["targets[1]", '"a/b" is there twice', "Keep one"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b",\n"c/b"]', 5, ["targets[1]", 'provider of "c/b" is not there']),
        (PROVIDER + f"[models.m]\ntargets = {json.dumps([f'a/{n}' for n in range(21)])}", 4, ["more than 20 targets"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\npolicy = "best"', 5, ["models.m.policy", '"best"', "cheapest"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nweights = [1, 2]', 5, ["2 weights and 1 targets"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nweights = [-1]', 5, ["models.m.weights[0]: -1 is not a number"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nweights = [0]', 5, ["gives no target any weight"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nweights = 3', 5, ["3 is no list of weights"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nattempts = 0', 5, ["models.m.attempts"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b"]\nwhen = 1', 5, ["not a list of tables", "[[models."]),
        (WHEN + "tools = true", 5, ["models.m.when[0]: targets is missing"]),
        (WHEN + 'targets = ["a/b"]', 5, ["it says of no request that it is meant"]),
        (WHEN + 'targets = ["a/b"]\ntag = "blue"', 7, ["models.m.when[0].tag", '"blue" is no tag', "team=blue"]),
        (WHEN + 'targets = ["x/b"]\ntools = true', 6, ["models.m.when[0].targets[0]", '"x/b" is not there']),
        (PROVIDER + '[models.m]\ntargets = [\n"ab"]', 5, ["models.m.targets[0]:", '"ab" has no /']),
        (PROVIDER + "[models.m]\ntargets = [1]", 4, ["models.m.targets[0]: 1 has no /"]),
        (PROVIDER + '[models.m]\ntargets = ["/b"]', 4, ["lacks a provider"]),
        (PROVIDER + '[models.m]\ntargets = ["a/"]', 4, ["or a model after it"]),
        (PROVIDER + '[models.m]\ntargets = ["a/b c"]', 4, ["or a model after it"]),
        ("[providers.offline]\n[models.m]\ntargets = [\n'ofline/b']", 4, ['provider of "ofline/b"', "mean offline?"]),
        (PROVIDER + '[models.m]\ntargets = ["openai/b"]', 4, ['provider of "openai/b" is not there', "one of: a."]),
        (PROVIDER + '[models.m]\ntargets = ["anthropic/b"]', 4, ["Set ANTHROPIC_API_KEY"]),
        (PROVIDER + '[models."a/m"]\ntargets = ["a/b"]', 3, ['models."a/m": this is no name', "PROVIDER/MODEL"]),
        (PROVIDER + '[models.""]\ntargets = ["a/b"]', 3, ['models."": this is no name']),
        (PROVIDER + '[models."a b"]\ntargets = ["a/b"]', 3, ['models."a b": this is no name']),
    ],
)
def test_what_is_wrong_is_told_once_with_line_setting_and_remedy(text: str, line: int, words: list[str]) -> None:
    Path("ca.pem").write_text(CERTIFICATE)
    (message,) = problems(text, {"EMPTY": ""})
    assert message.startswith(f"dragoman.toml:{line}: ")
    assert message.endswith((".", "?"))
    assert [word for word in words if word not in message] == []


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = '[models.m]\ntargets = ["x/y"]\n[providers.a]\nbase_url = 1\nauth = 2\n[server]\nlisten = 3\nx = 1\n'
    lines = problems(text, {"DRAGOMAN_DATABASE": "x"}, listen="y")
    starts = [line.split(": ")[0] for line in lines]
    assert starts == [f"dragoman.toml:{number}" for number in (2, 4, 5, 7, 8)] + ["--listen", "DRAGOMAN_DATABASE"]


def test_a_wrong_setting_of_the_file_is_told_though_another_source_wins() -> None:
    (message,) = problems('[server]\nlisten = "x"', {"DRAGOMAN_LISTEN": "h:1"})
    assert message.startswith("dragoman.toml:2: server.listen:")


@pytest.mark.parametrize(
    ("env", "flags", "start"),
    [
        ({"DRAGOMAN_LISTEN": "x"}, {}, 'DRAGOMAN_LISTEN: "x" names no port. Write'),
        ({"DRAGOMAN_LISTEN": "${X}:1"}, {}, 'DRAGOMAN_LISTEN: "${X}:1" has no host name'),
        ({"DRAGOMAN_DATABASE": "x"}, {}, 'DRAGOMAN_DATABASE: "x" is not a database URL. Write'),
        ({}, {"listen": ""}, '--listen: "" names no port. Write'),
        ({}, {"database": "redis://me:word@h"}, '--database: "redis://***@h" is not'),
        ({"ANTHROPIC_API_KEY": KEY + "\n"}, {}, "ANTHROPIC_API_KEY: the value has a space, a line break"),
    ],
)
def test_what_is_wrong_outside_the_file_is_told_by_its_source(
    env: dict[str, str], flags: dict[str, str], start: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, env, **flags)
    assert str(caught.value).startswith(start)


def test_a_key_of_the_environment_that_is_not_needed_is_not_looked_at() -> None:
    config = read('[providers.anthropic]\napi_key = "other"', {"ANTHROPIC_API_KEY": "not a key"})
    assert config.route_provider.api_key == Secret("other")


def test_a_circle_is_seen_with_the_address_that_is_in_force() -> None:
    text = PROVIDER.replace("//a", "//localhost:8000")
    assert read(text, {"DRAGOMAN_LISTEN": "127.0.0.1:8001"}).route_provider.name == "a"
    assert read(text, {"DRAGOMAN_LISTEN": "10.0.0.1:8000"}).route_provider.name == "a"
    (message,) = problems(text.replace("8000", "81"), listen=":81")
    assert message.startswith("dragoman.toml:2: providers.a.base_url: this is dragoman's own address (0.0.0.0:81)")


TABLES = (Config, ServerConfig, ProviderConfig, RouteConfig, FaultConfig, TierConfig, GroupConfig, LimitsConfig)
NAMES = st.sampled_from(
    [
        "server",
        "providers",
        "models",
        "faults",
        "tiers",
        "limits",
        "groups",
        "start",
        "offline",
        "anthropic",
        "a",
        "x.y",
        "é\n",
        "",
    ]
) | st.sampled_from(sorted({name for table in TABLES for name in settings(table)}))
TEXTS = st.text("a:/@.[]$?#%0\x00é\ud800", max_size=8) | st.sampled_from(
    [
        "http://a",
        "https://[::1]:1",
        "a/b",
        "offline",
        "529",
        "cut",
        "${KEY}",
        "sqlite:///a",
        ":80",
        "http://localhost:8000",
    ]
)
DOCUMENTS = st.recursive(
    TEXTS | st.integers() | st.floats() | st.booleans() | st.dates() | st.times() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, DOCUMENTS, max_size=4))
@hypothesis.settings(max_examples=300)
def test_whatever_the_values_the_file_loads_or_each_problem_is_one_line(document: dict[str, object]) -> None:
    known_hosts()  # reads a file of ours, once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_text.tomllib, "loads", lambda _text: document)
        try:
            lines = [
                f"{subject}: {sentence}" for subject, sentence in describe(read("", {"KEY": "of.the.environment"}))
            ]
        except ConfigError as error:
            lines = str(error).split("\n")
            assert [line for line in lines if not line.startswith("dragoman.toml:1: ")] == []
    assert "of.the.environment" not in str(lines)


# Faults


def test_faults_are_read_in_their_order_with_the_line_of_each() -> None:
    config = read('[[faults]]\nkind = 529\nrate = 0.5\n\n[server]\n[[faults]]\nkind = "stall"\nafter = 3\nkey = "ci"\n')
    assert config.faults == (
        FaultConfig(origin="dragoman.toml:1", kind="529", rate=0.5),
        FaultConfig(origin="dragoman.toml:6", kind="stall", after=3, key="ci"),
    )
    assert describe(config)[-2:] == [
        ("fault on purpose", "529 for 0.5 of the requests (dragoman.toml:1)"),
        ("fault on purpose", "stall (after 3) for all requests with the key 'ci' (dragoman.toml:6)"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[faults]]\nkind = "529"\n[[faults]]\nkind = "503"', "4: faults[1].kind: \"503\" is no kind of fault."),
        ("[[faults]]\nrate = 1", '1: faults[0]: kind is missing. Add kind = "529", or'),
        ('[[faults]]\nkind = "cut"\nms = 5', "3: faults[0].ms: this means nothing to the kind cut. Take"),
        ('[[faults]]\nkind = "cut"\nrate = 0', "3: faults[0].rate: 0 is not a share of the requests."),
        ('[[faults]]\nkind = "cut"\nmodel = "a b"', '3: faults[0].model: "a b" is no pattern of model names.'),
        ('[[faults]]\nkind = "cut"\nkey = ""', '3: faults[0].key: "" is no name of a key.'),
        ('[[faults]]\nkind = "cut"\naftr = 1', "3: faults[0].aftr: there is no such setting here. Did you mean"),
        ('[[faults]]\nkind = "cut"\n[faults.x]\ny = 1', "1: faults[0].x: there is no such setting here."),
        ('[faults]\nkind = "cut"', "1: faults: this is not a list of tables. Write [[faults]] with two brackets"),
        ("faults = [1]", "1: faults[0]: this is not a table. Write [[faults]] with two brackets"),
        ('faults = [{kind = "cut", seed = -1}]', "1: faults[0].seed: -1 is not a whole number from 0"),
        ("after = 3", "1: after: there is no such setting here. It belongs in [[faults]]."),
    ],
)  # fmt: skip
def test_a_fault_that_cannot_be_read_is_told_with_its_line(text: str, said: str) -> None:
    (message,) = problems(text)
    assert message.startswith(f"dragoman.toml:{said}")


# Files that cannot be read


def test_a_file_that_is_named_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"^none\.toml: there is no such file\. Mend the path in --config, or"):
        load(Path("none.toml"), {})
    with pytest.raises(ConfigError, match=r"^none\.toml: .*Mend the path in DRAGOMAN_CONFIG"):
        load(None, {"DRAGOMAN_CONFIG": "none.toml"})


def test_a_directory_is_no_file() -> None:
    Path("dragoman.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^dragoman\.toml: this is a directory\. Name the file in it"):
        load(None, {})


def test_a_file_that_cannot_be_read_is_told_with_the_reason() -> None:
    Path("circle.toml").symlink_to("circle.toml")
    with pytest.raises(ConfigError, match=r"^circle\.toml: cannot be read: .*\. Check the path in --config"):
        load(Path("circle.toml"), {})


def test_a_file_must_be_utf8() -> None:
    Path("dragoman.toml").write_bytes('retired = "serve"\n# é'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^dragoman\.toml:2: this is not UTF-8\. Save"):
        load(None, {})


def test_text_that_is_not_toml_is_told_with_line_and_column() -> None:
    assert problems("[server]\nlisten = x") == [
        "dragoman.toml:2:10: this is not TOML: Invalid value. "
        "Put text in quotes, and write true and false in lower case."
    ]


# What is shown


def test_describe_says_what_answers_what() -> None:
    Path("ca.pem").write_text(CERTIFICATE)
    config = read(
        'retired = "refuse"\n[providers.gpu]\nbase_url = "http://gpu"\n'
        '[providers.anthropic]\nauth = "bearer"\n[providers.x]\ndialect = "offline"\n[models.m]\ntargets = ["gpu/q"]',
        {"ANTHROPIC_API_KEY": KEY},
    )
    assert describe(config) == [
        ("configuration", "dragoman.toml"),
        ("listen", "127.0.0.1:8000"),
        ("database", "sqlite:///dragoman.db"),
        ("provider gpu", "http://gpu, without a key (dragoman.toml:2)"),
        ("provider anthropic", "https://api.anthropic.com, with its key in authorization (dragoman.toml:4)"),
        ("provider x", "the built-in offline engine (dragoman.toml:6)"),
        ("model m", "answered by gpu/q"),
        ("every other model", "answered by gpu"),
        ("retired models", "refused with 404"),
        ("unknown betas", "ignored"),
    ]


def test_describe_without_a_file_names_the_offline_engine_and_the_notes() -> None:
    rows = describe(load(None, {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://me"}))
    assert rows[0] == ("configuration", "no file: defaults and the environment")
    assert ("provider offline", "the built-in offline engine (no provider is configured)") in rows
    assert ("every model of the catalogue", "answered by offline") in rows
    assert rows[-1][0] == "note"
    assert KEY not in str(rows)


# docs/configuration.md


def blocks(kind: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert found
    return found


ENVIRONMENT = {
    "ANTHROPIC_API_KEY": KEY,
    "GPU_BOX_KEY": "gpu",
    "PARTNER_HOST": "partner.example",
    "PARTNER_KEY": "partner",
}


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_example_of_the_document_loads(text: str) -> None:
    read(text, ENVIRONMENT)


def test_the_first_example_shows_the_defaults() -> None:
    """`origin`, `source` and what is marked as no default apart."""
    default, shown = load(None, ENVIRONMENT), read(blocks("toml")[0], ENVIRONMENT)
    assert (shown.server, shown.retired, shown.unknown_betas) == (
        default.server, default.retired, default.unknown_betas
    )  # fmt: skip
    ours = msgspec.structs.replace(shown.providers["anthropic"], origin="ANTHROPIC_API_KEY is set")
    assert ours == default.route_provider


def test_the_wrong_example_of_the_document_gives_the_messages_that_it_says() -> None:
    assert problems(blocks("toml wrong")[0]) == blocks("text")[0].splitlines()


SECTIONS = {
    "The top of the file": Config,
    "`[server]`": ServerConfig,
    "`[providers.NAME]`": ProviderConfig,
    '`[providers.NAME.models."MODEL"]`': ModelConfig,
    '`[models."NAME"]`': RouteConfig,
    '`[[models."NAME".when]]`': ConditionConfig,
    "`[[faults]]`": FaultConfig,
    "`[tiers.NAME]`": TierConfig,
    '`[tiers.NAME.groups."MODEL"]`': GroupConfig,
    "`[limits]`": LimitsConfig,
    "`[[budgets]]`": BudgetConfig,
    "`[ledger]`": LedgerConfig,
    '`[prices."PROVIDER/MODEL"]`': PriceConfig,
    '`[[prices."PROVIDER/MODEL".tiers]]`': PriceTier,
}
FIELDS = [(title, table, name) for title, table in SECTIONS.items() for name in settings(table)]


@pytest.mark.parametrize(("title", "table", "name"), FIELDS)
def test_every_setting_is_in_the_document_with_its_default(title: str, table: type[msgspec.Struct], name: str) -> None:
    section = DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    row = re.search(rf"^\| `{name}` \| (.+) \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert row, f"docs/configuration.md says nothing of {name} under {title}"
    default = next(_default(field) for field in msgspec.structs.fields(table) if field.name == name)
    written = f'"{default}"' if isinstance(default, str | Listen) else str(default)
    written = written.lower() if isinstance(default, bool) else written
    written = str(list(default)) if type(default) is tuple else written
    assert row[2] == ("none" if default in (None, "", msgspec.NODEFAULT) else f"`{written}`")


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def test_the_document_names_no_setting_that_is_not_there() -> None:
    rows = re.findall(r"^\| `([a-z][a-z0-9_]*)` \|", DOCUMENT, re.MULTILINE)
    assert sorted(rows) == sorted(name for _, _, name in FIELDS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[providers.anthropic]", r"providers\.anthropic: .*without a key.*`dragoman providers add-key"),
        (PROVIDER.replace("http://a", "https://API.anthropic.com."), r"providers\.a: .*without a key"),
        (PROVIDER, None),
        ("[providers.offline]", None),
    ],
)
def test_who_needs_a_key_is_known_but_it_may_be_in_the_store(text: str, says: str | None) -> None:
    """So the file loads, and a server looks into the store at its start."""
    (provider,) = read(text).providers.values()
    why = why_no_start(provider)
    assert (why is None) if says is None else re.search(says, why or "")
    assert why_no_start(msgspec.structs.replace(provider, api_key=Secret("sk-x"))) is None


def test_every_field_of_a_table_is_a_setting_or_set_by_the_loader() -> None:
    fields = {(table, field.name) for table in SECTIONS.values() for field in msgspec.structs.fields(table)}
    assert fields - {(table, name) for _, table, name in FIELDS} == {
        (Config, "server"), (Config, "providers"), (Config, "models"), (Config, "faults"),
        (Config, "source"), (Config, "notes"),
        (ProviderConfig, "name"), (ProviderConfig, "origin"), (ProviderConfig, "models"),
        (RouteConfig, "name"), (RouteConfig, "origin"),
        (RouteConfig, "when"), (ConditionConfig, "origin"),
        (FaultConfig, "origin"), (Config, "limits"), (Config, "budgets"), (TierConfig, "name"), (TierConfig, "origin"),
        (TierConfig, "groups"), (GroupConfig, "origin"), (LimitsConfig, "tiers"),
        (Config, "prices"), (Config, "ledger"), (PriceConfig, "origin"), (PriceConfig, "tiers"),
    }  # fmt: skip


@pytest.mark.parametrize("variable", ["DRAGOMAN_CONFIG", "DRAGOMAN_LISTEN", "DRAGOMAN_DATABASE", "ANTHROPIC_API_KEY"])
def test_every_variable_is_in_the_document(variable: str) -> None:
    assert f"| `{variable}` |" in DOCUMENT


# The readers of values


def test_seconds_may_be_whole_and_end_at_a_day() -> None:
    read_seconds = config_values.seconds(0.01)
    assert (read_seconds(1), read_seconds(0.01), read_seconds(86_400)) == (1.0, 0.01, 86_400.0)
    for wrong in (0.009, 86_400.1, math.nan, math.inf, True, "1"):
        with pytest.raises(config_values.Refused):
            read_seconds(wrong)


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("plain", '"plain"'),
        ("a\nb\x1b[1m", '"a?b?[1m"'),
        ("x" * 100, '"' + "x" * 60 + '..."'),
        ("https://me:a/b@c@host/x", '"https://***@host/x"'),
        ("me:word@host", '"***@host"'),
        ("key sk-ant-1_2 here", '"key *** here"'),
        (10**30, "so large a number"),
        (1.5, "1.5"),
        ([], "a list"),
    ],
)
def test_a_value_is_shown_short_on_one_line_and_without_credentials(value: object, quoted: str) -> None:
    assert config_values.shown(value) == quoted


# The offline engine's own settings


def test_the_offline_engine_takes_a_pace_and_a_script(tmp_path: Path) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text(
        '[providers.slow]\ndialect = "offline"\nttft_ms = 1500\ntokens_per_second = 20\nscript = "a.toml"\n'
    )
    provider = load(file, {}).providers["slow"]
    assert (provider.ttft_ms, provider.tokens_per_second, provider.script) == (1500, 20.0, "a.toml")


def test_an_upstream_takes_neither(tmp_path: Path) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text('[providers.box]\nbase_url = "http://127.0.0.1:9"\nttft_ms = 1\n')
    with pytest.raises(ConfigError, match=r"dragoman.toml:3: providers.box.ttft_ms: only the offline engine knows it"):
        load(file, {})


@pytest.mark.parametrize(
    "line", ["ttft_ms = -1", "ttft_ms = 1.5", "tokens_per_second = 0", 'script = ""', "script = 1"]
)
def test_a_pace_or_script_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "dragoman.toml"
    file.write_text(f"[providers.offline]\n{line}\n")
    with pytest.raises(ConfigError, match=rf"dragoman.toml:2: providers.offline.{line.split()[0]}"):
        load(file, {})


def test_a_script_of_the_command_line_makes_the_offline_engine_answer(tmp_path: Path) -> None:
    """It comes first, whatever the environment switched on."""
    config = load(None, {"ANTHROPIC_API_KEY": "sk-ant-x"}, script="s.toml")
    assert (config.route_provider.name, config.route_provider.script) == ("offline", "s.toml")
    assert "anthropic" in config.providers
    file = tmp_path / "dragoman.toml"
    file.write_text('[providers.box]\nbase_url = "http://127.0.0.1:9"\n[providers.mine]\ndialect = "offline"\n')
    config = load(file, {}, script="s.toml")
    assert (config.route_provider.name, config.providers["mine"].script) == ("box", "s.toml")


# -- the transport of a provider -----------------------------------------------------------------------------------

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variables", "transport", "used"),
    [
        ({}, "fast", "FastTransport"),
        ({}, "httpx", "HttpxTransport"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1"}, "fast", "HttpxTransport"),
        ({"all_proxy": "http://127.0.0.1:1"}, "fast", "HttpxTransport"),
        ({"HTTP_PROXY": "http://127.0.0.1:1"}, "fast", "FastTransport"),  # for http alone
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "example.org"}, "fast", "FastTransport"),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "no_proxy": "*"}, "fast", "FastTransport"),
        ({"HTTPS_PROXY": "", "NO_PROXY": "a"}, "fast", "FastTransport"),
    ],
)
@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_of_the_environment_decides_about_the_transport(
    variables: dict[str, str],
    transport: Literal["fast", "httpx"],
    used: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider = ProviderConfig(name="a", origin="x", base_url="https://api.example.org:8443/v", transport=transport)
    assert type(open_transport(provider)).__name__ == used
    assert ("names a proxy" in caplog.text) == (transport == "fast" and used == "HttpxTransport")
