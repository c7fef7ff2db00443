"""What the bench needs of the machine: nginx, wrk and a C compiler. The two C programs are compiled on demand."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["HERE", "Missing", "all_needed", "built", "needed"]

HERE = Path(__file__).parent
PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "cc": "gcc libc6-dev"}
ALSO_IN = "/usr/sbin"  # of Debian's nginx; not on the PATH of every user


class Missing(Exception):
    """A program is not here."""


def needed(name: str) -> str:
    """The path of a program. Raises Missing, which says what to install."""
    found = shutil.which(name) or shutil.which(name, path=ALSO_IN)
    if found is None:
        raise Missing(f"{name} is not here. On Debian and Ubuntu: apt-get install {PACKAGES[name]}")
    return found


def all_needed(*names: str) -> None:
    """Raises Missing, with all that is not here."""
    problems = []
    for name in names:
        try:
            needed(name)
        except Missing as missing:
            problems.append(str(missing))
    if problems:
        raise Missing("\n".join(problems))


def built(name: str) -> Path:
    """The program made of `bench/NAME.c`, compiled anew when that has changed. Raises Missing."""
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = _cache() / f"{name}-{digest}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")  # two runs at once do not disturb each other
        subprocess.run([needed("cc"), "-O2", "-o", str(fresh), str(source)], check=True)  # noqa: S603
        fresh.rename(program)
    return program


def _cache() -> Path:
    folder = Path(tempfile.gettempdir()) / f"dragoman-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
