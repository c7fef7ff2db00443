"""Names of processes that share a database, which tell the others of the same machine whether one of them is gone.

A name holds the boot of the machine, the namespace of the pid, the pid, and when the process began: who sees the same
boot and namespace sees every living process of it. Of any other name nobody here can say whether its process lives.
"""

import os
import re
from pathlib import Path

__all__ = ["is_gone", "worker_name"]

NAME = re.compile(r"[^@]*@(?P<place>[0-9a-f-]+\.[0-9]+)/(?P<pid>[0-9]{1,10})/(?P<began>[0-9]{1,20})")


def worker_name(prefix: str) -> str:
    """`prefix` and what tells this process from all others; `prefix` alone where the system does not tell it."""
    place, began = _place(), _began(os.getpid())
    return prefix if place is None or began is None else f"{prefix}@{place}/{os.getpid()}/{began}"


def is_gone(name: str) -> bool:
    """Whether the process with this name has surely ended; False where that cannot be told."""
    found = NAME.fullmatch(name)
    if found is None or found["place"] != _place():
        return False
    pid = int(found["pid"])
    try:
        os.kill(pid, 0)  # sends nothing; unlike /proc, it sees what is another user's
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    began = _began(pid)
    return began is not None and began != int(found["began"])  # then another process has its number


def _place() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # no Linux
        return None


def _began(pid: int) -> int | None:
    """When a process began, in the ticks of this boot (proc_pid_stat(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])
