"""Several processes on one file: the server and `dragoman keys ...` may start at the same moment."""

import json
import subprocess
import sys
from pathlib import Path

STARTER = """
import asyncio, json, sys
from dragoman.gateway.auth import Auth
from dragoman.gateway.secret import load_secret
light = not {"sqlalchemy", "alembic"} & sys.modules.keys()
from dragoman.store.sql import SQLStore

async def start(url):
    secret = load_secret(url, {})
    store = SQLStore(url)
    await store.open()
    first = await Auth(store, secret).ensure_first()
    await store.close()
    return {"secret": secret.hex(), "first": first, "light": light, "alembic": "alembic" in sys.modules}

print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(asyncio.run(start(sys.argv[1]))))
"""


def test_processes_that_start_at_once_on_a_fresh_file_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dragoman.db"
    command = [sys.executable, "-W", "error", "-c", STARTER, url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=30) for process in started]
    assert [errors for _, errors in ended] == [""] * len(started)
    answers = [json.loads(output) for output, _ in ended]
    assert len({answer["secret"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer["first"]]) == 1
    assert all(answer["light"] for answer in answers), "dragoman.gateway.auth must not import the SQL libraries"
    assert not any(answer["alembic"] for answer in answers), "a fresh database must not cost Alembic's import"
