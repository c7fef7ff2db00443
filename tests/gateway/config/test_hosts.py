"""Providers that are hosts known by name: what their tables need not say."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import ANTHROPIC_URL, Config, ProviderConfig, describe, load
from dragoman.gateway.config.hosts import capabilities_of, known_hosts
from dragoman.providers.base import Capabilities

SECRET = "sk-secret-0123456789"
HOSTS = known_hosts()
PLACES = {"AWS_REGION": "eu-west-1", "GOOGLE_CLOUD_PROJECT": "acme", "GOOGLE_CLOUD_LOCATION": "global"}
ENDPOINT = "https://acme.openai.azure.com"
EVERYTHING = {
    **PLACES,
    "AZURE_OPENAI_ENDPOINT": f"{ENDPOINT}/",
    **{key: SECRET for host in HOSTS.values() for key in host.key},
}


def loaded(text: str, env: Mapping[str, str] | None = None) -> Config:
    return load(None, env or {}, text=f'{text}\n[server]\nlisten = "127.0.0.1:9999"')  # vLLM has ours


def provider(text: str, env: Mapping[str, str] | None = None) -> ProviderConfig:
    """The one provider of the file."""
    (found,) = [each for each in loaded(text, env).providers.values() if each.dialect != "offline"]
    return found


def problem(text: str, env: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as failed:
        loaded(text, env)
    return str(failed.value)


@pytest.mark.parametrize("name", HOSTS)
def test_a_table_with_a_hosts_name_is_that_host(name: str) -> None:
    found, host = provider(f"[providers.{name}]", EVERYTHING), HOSTS[name]
    assert (found.host, found.dialect) == (name, host.dialect)
    assert found.base_url.startswith(("https://", "http://127.0.0.1:"))
    assert "{" not in found.base_url
    if host.key:
        assert found.api_key is not None
        assert found.api_key.reveal() == SECRET
    if host.auth is not None:
        assert found.auth == host.auth
    if host.dialect == "openai_chat":
        assert found.auth == "bearer"
    assert capabilities_of(found.host) == host.can


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_by_another_name(name: str) -> None:
    found = provider(f'[providers.mine]\nhost = "{name}"', EVERYTHING)
    own = provider(f"[providers.{name}]", EVERYTHING)
    assert found == replace(own, name="mine", origin=found.origin)


def test_what_is_set_wins() -> None:
    text = '[providers.groq]\nhost = "groq"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "mine"\nauth = "x-api-key"'
    found = provider(text, {"GROQ_API_KEY": SECRET})
    assert (found.base_url, found.auth, found.host) == ("http://127.0.0.1:9/v1", "x-api-key", "groq")
    assert found.api_key is not None
    assert found.api_key.reveal() == "mine"
    other = provider('[providers.openai]\nhost = "openai"\ndialect = "openai_chat"', {"OPENAI_API_KEY": SECRET})
    assert (other.dialect, other.base_url) == ("openai_chat", HOSTS["openai"].base_url)


def test_the_first_variable_that_is_set_counts() -> None:
    for env, key in (
        ({"ZAI_API_KEY": "a", "ZHIPU_API_KEY": "b"}, "a"),
        ({"ZAI_API_KEY": "", "ZHIPU_API_KEY": "b"}, "b"),
    ):
        found = provider("[providers.zai]", env).api_key
        assert found is not None
        assert found.reveal() == key
    assert provider("[providers.zai]").api_key is None


@pytest.mark.parametrize(
    "line", ['base_url = "http://127.0.0.1:9"', 'dialect = "messages"\nbase_url = "http://a.test"']
)
def test_a_table_that_is_only_called_like_a_host_is_not_that_host(line: str) -> None:
    """Its key is not sent there."""
    found = provider(f"[providers.groq]\n{line}", {"GROQ_API_KEY": SECRET})
    assert (found.host, found.dialect, found.api_key) == (None, "messages", None)
    assert capabilities_of(found.host) == Capabilities()


@pytest.mark.parametrize(
    ("text", "is_sent"),
    [
        ('host = "groq"', True),
        ('host = "groq"\nbase_url = "https://api.groq.com/openai/v1"', True),
        ('host = "groq"\nbase_url = "https://elsewhere.test/v1"', False),
        ('host = "groq"\nbase_url = "https://api.groq.com.elsewhere.test/v1"', False),
        ('host = "groq"\nbase_url = "https://notapi.groq.com/v1"', False),
        ('host = "vllm"\nbase_url = "http://10.0.0.5:8000/v1"', True),  # everyone has one of his own
        ('host = "bedrock"', True),
        ('host = "bedrock"\nbase_url = "https://bedrock-runtime-fips.us-east-1.amazonaws.com"', True),
        ('host = "bedrock"\nbase_url = "https://amazonaws.com.elsewhere.test"', False),
        ('host = "bedrock"\nprofile = "work"', False),
        ('host = "bedrock"\naccess_key_id = "AKIA"\nsecret_access_key = "s"', False),
    ],
)
def test_the_environments_key_goes_to_the_hosts_own_address(text: str, is_sent: bool) -> None:
    """As Anthropic's does; and nowhere where other credentials are given."""
    found = provider(f"[providers.mine]\n{text}", EVERYTHING)
    assert (found.api_key is not None) == is_sent


@pytest.mark.parametrize(
    ("dialect", "url", "host"),
    [
        ("openai_responses", "https://api.openai.com/v1", "openai"),
        ("openai_chat", "https://api.groq.com/openai/v1", "groq"),
        ("openai_chat", "https://groq.test/openai/v1", None),
        ("messages", "https://api.groq.com", None),
    ],
)
def test_a_hosts_address_tells_what_it_takes(dialect: str, url: str, host: str | None) -> None:
    """A provider that was set up by its address alone; no key is taken for it."""
    found = provider(f'[providers.mine]\ndialect = "{dialect}"\nbase_url = "{url}"', EVERYTHING)
    assert (found.host, found.dialect, found.api_key) == (host, dialect, None)


def test_a_host_where_everyone_has_an_address_of_his_own() -> None:
    """By the environment, or in its table; a missing one is told with an example."""
    azure = provider("[providers.azure]", {"AZURE_OPENAI_ENDPOINT": f"{ENDPOINT}/", "AZURE_OPENAI_API_KEY": SECRET})
    assert azure.base_url == f"{ENDPOINT}/openai/v1"
    set_ = provider('[providers.azure]\nbase_url = "https://x.test/openai/v1"', {"AZURE_API_KEY": SECRET})
    assert (set_.host, set_.dialect, set_.base_url) == ("azure", "openai_chat", "https://x.test/openai/v1")
    assert set_.api_key is not None
    told = problem("[providers.azure]")
    assert "base_url is missing" in told
    assert "/openai/v1" in told
    assert "AZURE_OPENAI_ENDPOINT" in told
    assert len(told.splitlines()) == 1
    assert problem("[providers.azure]", {"AZURE_OPENAI_ENDPOINT": "acme"}).startswith("AZURE_OPENAI_ENDPOINT: ")


def test_an_unknown_host_is_told_with_the_nearest() -> None:
    assert 'Did you mean "mistral"?' in problem('[providers.x]\nhost = "mistrall"')
    assert 'Did you mean "github-models"?' in problem('[providers.x]\nhost = "github_model"')
    assert "Known are: openai, " in problem('[providers.x]\nhost = "zzzzzz"')


def test_a_missing_region_or_project_is_told() -> None:
    told = problem("[providers.vertex]")
    assert "region is missing" in told
    assert "project is missing" in told
    assert "CLOUD_ML_REGION" in told
    assert "region is missing" in problem("[providers.bedrock]")
    assert "//aiplatform" in provider("[providers.vertex]", PLACES).base_url
    assert "eu-west-1" in provider("[providers.bedrock]", PLACES).base_url


@pytest.mark.parametrize("name", HOSTS)
def test_keys_are_in_no_text(name: str) -> None:
    config = loaded(f"[providers.{name}]", EVERYTHING)
    assert SECRET not in repr(config)
    assert SECRET not in str(describe(config))
    assert "Take" not in str(describe(config))


def test_a_broken_key_is_told_without_the_key() -> None:
    told = problem("[providers.groq]", {"GROQ_API_KEY": f"{SECRET}\n\x07"})
    assert told.startswith("GROQ_API_KEY: ")
    assert SECRET not in told


def test_anthropics_own_rules_stay() -> None:
    """Its key, its address, and a key that is for another server; see test_config.py."""
    found = provider("[providers.anthropic]", {"ANTHROPIC_API_KEY": SECRET})
    assert (found.base_url, found.host) == (ANTHROPIC_URL, None)
    elsewhere = loaded("", {"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_BASE_URL": "http://127.0.0.1:8000"})
    assert "anthropic" not in elsewhere.providers
    beside = loaded("[providers.groq]", {"ANTHROPIC_API_KEY": SECRET, "GROQ_API_KEY": "k"})
    assert list(beside.providers) == ["groq", "anthropic"]


@pytest.mark.parametrize("text", ["", '[providers.gpu-box]\nbase_url = "http://127.0.0.1:9"', "[providers.offline]"])
def test_rows_are_read_only_where_a_host_is_named(text: str, tmp_path: Path) -> None:
    """A start without a host is as quick as ever."""
    program = (
        "import sys\n"
        "from dragoman.gateway.config.config import load\n"
        "from dragoman.gateway.config.hosts import known_hosts\n"
        f"load(None, {{'ANTHROPIC_API_KEY': 'k'}}, text={text!r})\n"
        "sys.exit(known_hosts.cache_info().currsize)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, timeout=60)
    assert run.returncode == 0
