"""Several processes on one database: servers and `dragoman keys` may start at the same moment, also on an old one."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.store.test_migrations import older

from dragoman.store.migrations import HEAD

PROCESSES = 5
STARTER = """
import asyncio, json, os, sys
from dragoman.gateway.auth.auth import Auth
from dragoman.gateway.auth.secret import load_secret
light = not {"sqlalchemy", "alembic"} & sys.modules.keys()
from dragoman.store.sql import SQLStore

async def start(url):
    secret = load_secret(url, os.environ)
    store = SQLStore(url)
    done = await store.migrate()
    first = await Auth(store, secret).ensure_first()
    keys = await store.keys.list()
    await store.close()
    unused = {"sqlite3", "psycopg"} & sys.modules.keys() - {"sqlite3" if url[:6] == "sqlite" else "psycopg"}
    return {"secret": secret.hex(), "first": first, "light": light, "alembic": "alembic" in sys.modules,
            "done": done, "keys": len(keys), "unused": sorted(unused)}

print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(asyncio.run(start(sys.argv[1]))))
"""


def start_at_once(url: str) -> list[dict[str, Any]]:
    env = dict(os.environ) if url.startswith("sqlite") else {**os.environ, "DRAGOMAN_SECRET": "sixteen letters!"}
    command = [sys.executable, "-W", "error", "-c", STARTER, url]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env) for _ in range(PROCESSES)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in started]
    assert [errors for _, errors in ended] == [""] * len(started)
    return [json.loads(output) for output, _ in ended]


def test_processes_that_start_at_once_on_an_empty_database_agree(shared_url: str) -> None:
    answers = start_at_once(shared_url)
    assert len({answer["secret"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer["first"]]) == 1
    assert [answer["keys"] for answer in answers] == [1] * PROCESSES
    assert sorted(answer["done"] == [None, HEAD] for answer in answers) == [False] * (PROCESSES - 1) + [True]
    assert all(answer["light"] for answer in answers), "dragoman.gateway.auth.auth must not import the SQL libraries"
    assert not any(answer["alembic"] for answer in answers), "a fresh database must not cost Alembic's import"
    assert not any(answer["unused"] for answer in answers), "the other database's driver must not be imported"


@pytest.mark.parametrize("version", ["0001"])
def test_of_processes_that_start_at_once_on_an_old_database_one_migrates_it(shared_url: str, version: str) -> None:
    older(shared_url, version)
    answers = start_at_once(shared_url)
    assert [answer["keys"] for answer in answers] == [1] * PROCESSES
    assert not any(answer["first"] for answer in answers), "there was a key"
    assert len([answer for answer in answers if answer["alembic"]]) == 1
    assert sorted(answer["done"] == [version, HEAD] for answer in answers) == [False] * (PROCESSES - 1) + [True]
