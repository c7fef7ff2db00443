"""Two whole servers on one PostgreSQL, as on two machines, with the official Python SDK; and the database stopped."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic, APIStatusError, AuthenticationError, InternalServerError
from either import connect
from postgres import PASSWORD, Postgres
from running import Running

KEY = "sk-dgm-e2e-shared-key"
HAIKU = "claude-haiku-4-5"
PATIENCE_S = 30.0  # generous: the machine may be busy
SECRET = "a secret of sixteen letters or more"
HELLO: dict[str, Any] = {"model": HAIKU, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def env(postgres: Postgres) -> Iterator[dict[str, str]]:
    url = postgres.new_database()
    yield {"DRAGOMAN_DATABASE": url, "DRAGOMAN_SECRET": SECRET}
    postgres.drop(url)


@pytest.fixture(scope="module")
def servers(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    folder = tmp_path_factory.mktemp("postgres")
    config = f'[server]\nfiles_folder = "{folder}/files"\n'
    with (
        Running(folder / "one", config, key=KEY, env=env) as one,
        Running(folder / "two", config, key=KEY, env=env) as two,
    ):
        yield [one, two]
    for server in (one, two):
        assert "Traceback" not in server.log()
        assert PASSWORD not in server.log()
        assert SECRET not in server.log()


@pytest.fixture(scope="module")
def clients(servers: list[Running]) -> Iterator[list[Anthropic]]:
    opened = [connect("sync", server.url, KEY) for server in servers]
    assert all(isinstance(client, Anthropic) for client in opened)
    yield opened  # type: ignore[misc]
    for client in opened:
        client.close()  # type: ignore[union-attr]


def with_key(server: Running, key: str) -> Anthropic:
    client = connect("sync", server.url, key)
    assert isinstance(client, Anthropic)
    return client


def wait_until(is_so: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_message_is_answered(clients: list[Anthropic]) -> None:
    for client in clients:
        assert client.messages.create(**HELLO).content
        with client.messages.stream(**HELLO) as stream:
            assert "".join(stream.text_stream)


def test_a_key_of_the_command_line_works_on_every_server(servers: list[Running], env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "dragoman", "keys", "create", "--name", "made", "--json"]
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    made = json.loads(subprocess.run(command, env=plain | env, capture_output=True, check=True, timeout=60).stdout)
    for server in servers:
        with with_key(server, made["key"]) as client:
            assert client.messages.create(**HELLO).content
        with with_key(server, made["key"][:-1] + "!") as client, pytest.raises(AuthenticationError):
            client.messages.create(**HELLO)


def test_a_file_of_one_server_is_there_on_the_other(clients: list[Anthropic]) -> None:
    one, other = clients
    made = one.files.upload(file=("notes.txt", b"The capital of Peru is Lima.", "text/plain"))
    assert other.files.retrieve_metadata(made.id) == made
    source: Any = {"type": "file", "file_id": made.id}
    content: Any = [{"type": "document", "source": source}, {"type": "text", "text": "What is the capital of Peru?"}]
    answer = other.messages.create(model=HAIKU, max_tokens=50, messages=[{"role": "user", "content": content}])
    assert answer.usage.input_tokens > 20
    other.files.delete(made.id)
    assert made.id not in [each.id for each in one.files.list()]


def test_batches_are_answered_by_either_server_and_read_on_both(clients: list[Anthropic]) -> None:
    one, other = clients
    requests: Any = [{"custom_id": f"id-{number}", "params": HELLO} for number in range(30)]
    made = [one.messages.batches.create(requests=requests) for _ in range(4)]
    for batch in made:
        wait_until(lambda batch=batch: other.messages.batches.retrieve(batch.id).processing_status == "ended")
        results = {each.custom_id: each.result.type for each in other.messages.batches.results(batch.id)}
        assert results == {f"id-{number}": "succeeded" for number in range(30)}
    assert {each.id for each in one.messages.batches.list()} >= {each.id for each in made}


class Load:
    """Messages with a known key, from several threads, until it is left."""

    def __init__(self, clients: list[Anthropic]) -> None:
        self.answered = 0
        self.failed: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[client]) for client in clients * 2]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        wanted = self.answered + more
        wait_until(lambda: self.answered >= wanted or self.failed)

    def _ask(self, client: Anthropic) -> None:
        while not self._stop.is_set():
            try:
                assert client.messages.create(**HELLO).content
                self.answered += 1
            except (APIStatusError, AssertionError) as error:
                self.failed.append(error)


def test_the_database_stopped_under_load(postgres: Postgres, servers: list[Running], clients: list[Anthropic]) -> None:
    """Pain 36 and 61: known keys go on, unknown ones get 503 and not 401; afterwards all is as before."""
    strangers = [with_key(server, "sk-dgm-of-somebody-else") for server in servers]
    with Load(clients) as load:
        load.wait_for(20)
        postgres.stop()
        try:
            for client, stranger in zip(clients, strangers, strict=True):
                with pytest.raises(InternalServerError) as caught:
                    stranger.messages.create(**HELLO)
                assert caught.value.status_code == 503
                assert "the PostgreSQL" not in str(caught.value), "where it is concerns no caller"
                with pytest.raises(InternalServerError) as caught:
                    client.files.list()
                assert caught.value.status_code == 503
                client.get("/healthz", cast_to=object)
                with pytest.raises(InternalServerError, match="503"):
                    client.get("/readyz", cast_to=object)
            load.wait_for(200)
        finally:
            postgres.start()
        for client, stranger in zip(clients, strangers, strict=True):
            with pytest.raises(AuthenticationError):
                stranger.messages.create(**HELLO)
            client.files.list()
            client.get("/readyz", cast_to=object)
        load.wait_for(20)
    assert load.failed == []
    for each in strangers:
        each.close()


def test_a_server_that_starts_without_its_database_says_why(env: dict[str, str], tmp_path: Path) -> None:
    for url, said in (
        (
            "postgresql://me:hunter2@127.0.0.1:1/d",
            "error: the PostgreSQL database d at 127.0.0.1:1: it cannot be reached",
        ),
        (env["DRAGOMAN_DATABASE"].replace("hunter2", "hunter3"), "refuses user or password"),
    ):
        with pytest.raises(RuntimeError, match=said) as caught:
            Running(tmp_path, env=env | {"DRAGOMAN_DATABASE": url}).__enter__()
        assert "hunter" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
