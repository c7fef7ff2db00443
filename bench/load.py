"""Load on a server: requests of the kinds that the bench sends, by wrk or by our own generator (load.c)."""

import json
import os
import select
import subprocess
from pathlib import Path
from typing import NamedTuple

from .children import LOAD_CORE, Child
from .systems import MODEL, Server
from .tools import HERE, built, needed

__all__ = ["Result", "body", "finished", "held", "load", "started", "wrk"]

FILLER = "Please sum up what was said in this meeting, and who is to do what. "
TAIL_S = 30.0  # beyond the time that a load takes, for a machine that is busy


class Result(NamedTuple):
    """What a slice of load saw. Times in microseconds."""

    requests: int
    errors: int
    seconds: float
    p50: float = 0.0
    p99: float = 0.0
    events: int = 0
    first_p50: float = 0.0
    first_p99: float = 0.0
    gap_p50: float = 0.0
    gap_p99: float = 0.0
    gap_max: float = 0.0
    bytes: int = 0


def body(directive: str = "", *, stream: bool = False, size: int = 1024, model: str = MODEL) -> bytes:
    """A Messages request of `size` bytes or a little more. `directive` is for the mock (mock.c)."""
    text = f"{directive} {FILLER}"
    request = {
        "model": model,
        "max_tokens": 1024,
        "stream": stream,
        "system": "You are a careful assistant.",
        "metadata": {"user_id": "bench"},
        "messages": [{"role": "user", "content": text}],
    }
    missing = max(0, size - len(json.dumps(request)))
    request["messages"] = [{"role": "user", "content": text + (FILLER * (missing // len(FILLER) + 1))[:missing]}]
    return json.dumps(request, separators=(",", ":")).encode()  # as the SDKs write it


def wrk(server: Server, content: bytes, folder: Path, *, connections: int = 32, seconds: int = 1) -> Result:
    """A slice of load by wrk."""
    file = folder / "wrk.body"
    file.write_bytes(content)
    env = os.environ | {
        "BENCH_BODY": str(file),
        "BENCH_HEADERS": "".join(f"{name}: {value}\n" for name, value in server.headers.items()),
    }
    url = f"http://127.0.0.1:{server.port}{server.path}"
    command = [needed("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    command += ["-s", str(HERE / "messages.lua"), url]
    with Child.started(command, core=LOAD_CORE, env=env, stdout=subprocess.PIPE) as child:
        out, _ = child.process.communicate(timeout=seconds + TAIL_S)
    for line in out.decode().splitlines():
        if line.startswith("bench "):
            requests, errors, duration, p50, p99 = map(float, line.split()[1:])
            return Result(int(requests), int(errors), duration / 1e6, p50, p99)
    raise RuntimeError(f"wrk said:\n{out.decode()}")


def load(server: Server, content: bytes, folder: Path, **options: float) -> Result:
    """A slice of load by our own generator; the options are those of load.c."""
    with started(server, content, folder, **options) as child:
        return finished(child, float(options.get("seconds", 2)) + TAIL_S)


def started(server: Server, content: bytes, folder: Path, **options: float) -> Child:
    """Load that goes on beside what else the bench does. See `finished`."""
    lines = [f"POST {server.path} HTTP/1.1", f"host: 127.0.0.1:{server.port}"]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    lines += [f"content-length: {len(content)}", "", ""]
    file = folder / f"{server.name.replace(' ', '-')}-{len(content)}.request"
    file.write_bytes("\r\n".join(lines).encode() + content)
    command: list[str | Path] = [
        built("load"),
        str(server.port),
        file,
        *(f"{name}={value}" for name, value in options.items()),
    ]
    return Child.started(command, core=LOAD_CORE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def finished(child: Child, timeout_s: float) -> Result:
    out, _ = child.process.communicate(timeout=timeout_s)
    found = json.loads(out.decode().splitlines()[-1])
    return Result(
        requests=found["requests"],
        errors=found["errors"],
        seconds=found["seconds"],
        p50=found.get("whole_p50", 0.0),
        p99=found.get("whole_p99", 0.0),
        events=found["events"],
        bytes=found["bytes"],
        **{name: found.get(name, 0.0) for name in ("first_p50", "first_p99", "gap_p50", "gap_p99", "gap_max")},
    )


def held(child: Child, timeout_s: float = 60.0) -> int:
    """Waits until the streams of a load with `hold=1` are open; how many are. They close with its stdin."""
    assert child.process.stdout is not None
    ready, _, _ = select.select([child.process.stdout], [], [], timeout_s)
    if not ready:
        raise TimeoutError("the streams did not open")
    return int(child.process.stdout.readline().split()[1])
