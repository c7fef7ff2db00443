"""Reads the header `dragoman-fault`: `KIND; NAME=VALUE; ..., KIND ...`, as docs/faults.md has it. Pure.

The kinds, their fields and bounds are those of the configuration (`config/faults.py`); `run` is the header's own.
"""

import re
from typing import Any

from dragoman.errors import InvalidRequest
from dragoman.gateway.config.config import settings
from dragoman.gateway.config.faults import CALLERS, FaultConfig, misfit
from dragoman.gateway.config.values import Refused, nearest, shown

__all__ = ["HEADER", "parse_header"]

HEADER = "dragoman-fault"
HEADER_LIMIT_CHARS = 1024
FAULTS_LIMIT = 16  # in one header

RUN = re.compile(r"[A-Za-z0-9._-]{1,64}")
WHOLE_NUMBER = re.compile(r"[0-9]{1,12}")
NUMBER = re.compile(r"[0-9]{0,6}\.[0-9]{1,9}")


def parse_header(text: str) -> tuple[FaultConfig, ...]:
    """The faults that the header asks for: `KIND; NAME=VALUE; ..., KIND ...`. Raises InvalidRequest naming the part."""
    if len(text) > HEADER_LIMIT_CHARS:
        raise InvalidRequest(f"{HEADER}: has more than {HEADER_LIMIT_CHARS} characters")
    parts = text.split(",")
    if len(parts) > FAULTS_LIMIT:
        raise InvalidRequest(f"{HEADER}: has more than {FAULTS_LIMIT} faults")
    return tuple(_parsed(part) for part in parts)


def _parsed(text: str) -> FaultConfig:
    word, *pairs = (part.strip() for part in text.split(";"))
    kind = _read("kind", word, word)
    values: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise InvalidRequest(f"{HEADER}: {word}: {shown(pair)} is not of the form name=value")
        field = name.replace("-", "_")
        if field in values:
            raise InvalidRequest(f"{HEADER}: {word}: {shown(name)} is given twice")
        if why := misfit(str(kind), field):
            raise InvalidRequest(f"{HEADER}: {word}: {shown(name)} {why}")
        values[field] = _read(field, value, word)
    values.pop("run", None)
    return FaultConfig(origin=HEADER, **values)


def _read(field: str, text: str, word: str) -> object:
    """The value of a field, checked as one of the configuration."""
    readers = {name: reader for name, reader in settings(FaultConfig).items() if name not in CALLERS}
    readers["run"] = _run
    if field not in readers:
        known = [name.replace("_", "-") for name in readers if name != "kind"]
        likely = nearest(field, [name for name in readers if name != "kind"])
        remedy = f"Did you mean {likely.replace('_', '-')}?" if likely else f"There are {', '.join(known)}."
        raise InvalidRequest(f"{HEADER}: {word}: {shown(field)} is no name that is known here. {remedy}")
    try:
        return readers[field](text if field in ("kind", "run", "type") else _number(text))
    except Refused as refused:
        where = HEADER if field == "kind" else f"{HEADER}: {word}: {field.replace('_', '-')}"
        raise InvalidRequest(f"{where}: {shown(text)} {refused.why}. {refused.remedy}") from refused


def _run(value: object) -> str:
    if isinstance(value, str) and RUN.fullmatch(value):
        return value
    raise Refused("is no name of a run", "Write up to 64 letters, digits, dots, dashes and underscores.")


def _number(text: str) -> object:
    """The number that the text is; else the text, which its reader then refuses."""
    if WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text
