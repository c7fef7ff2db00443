"""Providers' keys out of the database, used by a real server while they are added, ended and put under another master
key by the command line beside it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import pytest
from leaky_upstream import LeakyUpstream
from running import Running

CONFIGURED = "sk-provider-of-the-file"
STORED = ["sk-provider-of-the-store-1", "sk-provider-of-the-store-2"]
OLD = "ab" * 32
PATIENCE_S = 30.0  # the machine may be busy


@pytest.fixture
def upstream() -> Iterator[LeakyUpstream]:
    with LeakyUpstream() as upstream:
        yield upstream


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/dragoman.db"


class Beside:
    """The command line, with what the server has in its environment."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._folder = folder
        self.env = env

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        done = subprocess.run(
            [sys.executable, "-m", "dragoman", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=kept | self.env,
        )
        assert done.returncode == 0, done.stderr
        assert not any(key in done.stdout + done.stderr for key in (CONFIGURED, *STORED, OLD))
        return done.stdout


def ask(server: Running) -> str:
    with anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0) as client:
        message = client.messages.create(model="cloud/m", max_tokens=8, messages=[{"role": "user", "content": "Hello"}])
    return message.content[0].text  # type: ignore[union-attr]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def shown(server: Running, upstream: LeakyUpstream) -> set[str]:
    """What the upstream is shown in a few requests: several keys take turns."""
    for _ in range(4):
        ask(server)
    return set(upstream.shown[-4:])


def test_keys_come_and_go_while_the_server_runs(tmp_path: Path, url: str, upstream: LeakyUpstream) -> None:
    """Also while the master key is changed (pain 65)."""
    config = f'[providers.cloud]\nbase_url = "{upstream.url}"\napi_key = "{CONFIGURED}"\n'
    env = {"DRAGOMAN_DATABASE": url, "DRAGOMAN_SECRET": "the secret of the test", "DRAGOMAN_MASTER_KEY_FILE": "keys"}
    (tmp_path / "keys").write_text(OLD)
    dragoman = Beside(tmp_path, **env)
    with Running(tmp_path, config, env=env) as server:
        assert shown(server, upstream) == {CONFIGURED}
        ids = []
        for number, key in enumerate(STORED, 1):
            ids.append(dragoman("providers", "add-key", "cloud", stdin=key).split()[1].rstrip(","))
            wait_until(lambda: shown(server, upstream) == set(STORED[:number]))  # noqa: B023
        dragoman("rotate-master-key")
        assert OLD not in (tmp_path / "keys").read_text()
        dragoman("providers", "end-key", ids[1])
        wait_until(lambda: shown(server, upstream) == {STORED[0]})
        dragoman("providers", "end-key", ids[0])
        wait_until(lambda: shown(server, upstream) == {CONFIGURED})
        dragoman("providers", "add-key", "cloud", stdin=STORED[1])
        wait_until(lambda: shown(server, upstream) == {STORED[1]})
    with Running(tmp_path, config, env=env) as server:
        assert shown(server, upstream) == {STORED[1]}
    log = server.log()
    assert not any(key in log for key in (CONFIGURED, *STORED))


def test_with_a_lost_master_key_the_server_starts_and_says_so(tmp_path: Path, upstream: LeakyUpstream) -> None:
    config = (
        f'[providers.cloud]\nbase_url = "{upstream.url}"\n[providers.other]\nbase_url = "{upstream.url}"\n'
        "[providers.offline]\n"
    )
    dragoman = Beside(tmp_path, DRAGOMAN_DATABASE=f"sqlite:///{tmp_path}/dragoman.db", DRAGOMAN_MASTER_KEY=OLD)
    (tmp_path / "dragoman.toml").write_text(config)
    key_id = dragoman("providers", "add-key", "cloud", stdin=STORED[0]).split()[1].rstrip(",")
    with Running(tmp_path, config) as server:
        assert f"the key {key_id} of provider cloud cannot be read: it is under the master key " in server.log()
        with pytest.raises(anthropic.InternalServerError, match="its key cannot be read") as caught:
            ask(server)
        assert caught.value.status_code == 502
        with anthropic.Anthropic(base_url=server.url, api_key=server.key) as client:
            for model in ("other/m", "offline/claude-opus-4-8"):
                client.messages.create(model=model, max_tokens=8, messages=[{"role": "user", "content": "Hello"}])
        assert upstream.shown == [""], "the other was asked, without a key, as ever"


def test_a_provider_that_needs_a_key_may_have_it_in_the_store_alone(tmp_path: Path) -> None:
    """No request is sent: there is none to answer it."""
    config = "[providers.anthropic]\n"
    with pytest.raises(
        RuntimeError, match=r"providers\.anthropic: Anthropic answers no request without a key"
    ) as caught:
        Running(tmp_path, config).__enter__()
    assert "dragoman providers add-key anthropic" in str(caught.value)
    dragoman = Beside(tmp_path, DRAGOMAN_DATABASE=f"sqlite:///{tmp_path}/dragoman.db")
    dragoman("providers", "add-key", "anthropic", stdin=STORED[0])
    with Running(tmp_path, config) as server:
        assert "listens on" in server.log()
