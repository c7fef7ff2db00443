"""`dragoman usage` and `dragoman requests`: what the ledger holds, summed up or row by row, for people and programs."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from dragoman.errors import ConfigError

from .options import AsJSON, ConfigPath, DatabaseURL, absent_database, option, with_database
from .output import echo_json, printable, show, table_of

if TYPE_CHECKING:
    from dragoman.store.ledger import LedgerRow
    from dragoman.store.sql import SQLStore
    from dragoman.store.usage import RequestFilter, UsageSum

__all__ = ["requests", "usage"]

T = TypeVar("T")

# What --by takes -> the column that it makes.
BY: Final = {
    "day": "day",
    "hour": "hour",
    "workspace": "workspace_id",
    "key": "key_id",
    "model": "model",
    "provider": "provider",
    "answered_model": "answered_model",
    "operation": "operation",
    "service_tier": "service_tier",
    "inference_geo": "inference_geo",
    "speed": "speed",
    "context_window": "context_window",
}
TAG: Final = "tag:"  # before the name of one, in --by
TIMES: Final = ("day", "hour")
COUNTS: Final = (
    "requests",
    "errors",
    "input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "output_tokens",
    "web_searches",
)
PAGE: Final = 1000  # rows of the log that are read in one go
NANO: Final = Decimal("1e-9")

Row = dict[str, Any]


class Format(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


Since = Annotated[
    str | None,
    option("--since", "TIME", "From here on: a day of UTC as 2026-11-01, or a time with its zone, in RFC 3339."),
]
Until = Annotated[str | None, option("--until", "TIME", "Up to here, and not with it. Default: now.")]


def usage(
    since: Annotated[
        str, option("--since", "TIME", "From here on: a day of UTC as 2026-11-01, or a time in RFC 3339, to the hour.")
    ],
    until: Until = None,
    by: Annotated[
        str,
        typer.Option(
            "--by", metavar="NAMES", help=f"What to split the sums by, with commas: {', '.join(BY)}, tag:NAME of keys."
        ),
    ] = "model",
    tags: Annotated[
        list[str] | None,
        option("--tag", "NAME=VALUE", "Of keys with this tag only, or with NAME= of those without. Several times too."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write them.")] = Format.table,
    output: Annotated[
        Path | None, option("--output", "FILE", "Write to this file. Default: standard output, not for parquet.")
    ] = None,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Sum up what was used and what it cost.

    The sums are kept by the hour, so a time within an hour counts for the whole of it. Costs are in USD, exact, by the
    prices of the day of each request. A request whose price nobody knew is in the column "unpriced" and not in the
    cost, which stays empty where it is so with all of them. Tags are those that the keys have now.
    """
    names, wanted = _dimensions(by), _wanted(tags or ())
    _check_output(form, output)
    settings = with_database(config, database)
    start, end = _span(since, until)
    if absent_database(settings):
        sums: Sequence[UsageSum] = ()
    else:
        sums = _with_store(settings.server.database, lambda store: _sums(store, names, wanted, start, end))
    rows = _rows(names, sums)
    _write(rows, [BY.get(name, name) for name in names], form, output)
    if unpriced := sum(each.unpriced for each in sums):
        typer.echo(
            f"Not in the cost: {unpriced:,} request{'s' if unpriced > 1 else ''} at a cost that is not known: "
            "cut off before the provider told it, or without a price, which [prices] can set (docs/prices.md).",
            err=True,
        )


def requests(
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many, at most.")] = 20,
    key: Annotated[str | None, option("--key", "ID", "Of this key only.")] = None,
    workspace: Annotated[str | None, option("--workspace", "ID", "Of this workspace only.")] = None,
    model: Annotated[str | None, option("--model", "NAME", "That asked for this model.")] = None,
    provider: Annotated[str | None, option("--provider", "NAME", "That this provider answered.")] = None,
    status: Annotated[str | None, option("--status", "STATUS", "With this status: 429, or 4xx for any.")] = None,
    outcome: Annotated[
        str | None,
        option("--outcome", "WORD", "That ended so: answered, refused, cut, abandoned or interrupted."),
    ] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """List requests out of the ledger, newest first, without what was asked and replied."""
    from dragoman.gateway.admin.request_log import shown_row

    settings = with_database(config, database)
    wanted = _filter(key, workspace, model, provider, status, outcome, since, until)
    rows: Sequence[LedgerRow] = ()
    if not absent_database(settings):
        rows = _with_store(settings.server.database, lambda store: _pages(store, wanted, limit))
    if as_json:
        echo_json([shown_row(row, "") for row in rows])
    elif not rows:
        typer.echo("No requests.")
    else:
        _show_requests(rows)


# -- asking --


def _with_store(url: str, work: "Callable[[SQLStore], Awaitable[T]]") -> T:
    from dragoman.store.sql import SQLStore

    async def run() -> T:
        store = SQLStore(url)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def _sums(
    store: "SQLStore", names: Sequence[str], tags: Mapping[str, Sequence[str]], start: int, end: int
) -> "Sequence[UsageSum]":
    """By the day where days are whole: there are fewer of them."""
    from dragoman.gateway.admin.usage_tags import sums_by_tags
    from dragoman.store.usage import DAY_S, HOUR_S

    is_whole_days = start % DAY_S == 0 and (end % DAY_S == 0 or end > datetime.now(UTC).timestamp())
    width = DAY_S if is_whole_days and "hour" not in names else HOUR_S
    by = [BY.get(name, name) for name in names if name not in TIMES]
    in_buckets = any(name in TIMES for name in names)
    return await sums_by_tags(store, by=by, wanted=tags, width_s=width, start=start, end=end, in_buckets=in_buckets)


async def _pages(store: "SQLStore", wanted: "RequestFilter", limit: int) -> "list[LedgerRow]":
    rows: list[LedgerRow] = []
    after = None
    while True:
        page = await store.usage.page(wanted, limit=min(PAGE, limit - len(rows)), after=after)
        rows += page.rows
        after = page.after
        if after is None or len(rows) >= limit:
            return rows


def _dimensions(by: str) -> list[str]:
    """A name with a comma in it, of a tag, stands in quotation marks: 'day,"tag:a,b"'."""
    try:
        given = next(csv.reader([by], skipinitialspace=True), [])
    except csv.Error as error:
        raise ConfigError(f"--by: {error}") from None
    names = list(dict.fromkeys(name.strip() for name in given if name.strip()))
    for name in names:
        if name not in BY and not (name.startswith(TAG) and name != TAG):
            raise ConfigError(f"--by: {name!r} is none. Choose of: {', '.join(BY)}, {TAG}NAME.")
    return names


def _wanted(tags: Sequence[str]) -> dict[str, list[str]]:
    """The values of each tag of which a key is to have one; an empty one: to have none."""
    wanted: dict[str, list[str]] = {}
    for text in tags:
        name, has_value, value = text.partition("=")
        if not name or not has_value:
            raise ConfigError(f"--tag: {text!r} is no NAME=VALUE, nor NAME= for keys without it.")
        wanted.setdefault(name, []).append(value)
    return wanted


def _span(since: str, until: str | None) -> tuple[int, int]:
    """Whole hours, in Unix seconds."""
    start, end = _time("--since", since), _time("--until", until) if until else datetime.now(UTC)
    if end <= start:
        raise ConfigError("--until: this is not later than --since.")
    return int(start.timestamp() // 3600) * 3600, -int(-end.timestamp() // 3600) * 3600


def _time(option: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is no time. Write it as 2026-11-01 or 2026-11-01T15:00:00Z.") from None
    if time.tzinfo is None:
        if len(text) > len("2026-11-01"):
            raise ConfigError(f"{option}: {text!r} says no zone. Write Z behind it for UTC, or +02:00.")
        time = time.replace(tzinfo=UTC)
    return time


def _filter(
    key: str | None,
    workspace: str | None,
    model: str | None,
    provider: str | None,
    status: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
) -> "RequestFilter":
    from dragoman.gateway.admin.request_log import OUTCOMES, read_status
    from dragoman.store.usage import RequestFilter

    if outcome is not None and outcome not in OUTCOMES:
        raise ConfigError(f"--outcome: {outcome!r} is none. Choose of: {', '.join(OUTCOMES)}.")
    try:
        by_status = None if status is None else read_status(status)
    except ValueError:
        raise ConfigError(f"--status: {status!r} is none. Write it as 429, or 4xx for all of them.") from None
    return RequestFilter(
        key_id=key,
        workspace_id=workspace,
        model=model,
        provider=provider,
        status=by_status,
        outcome=outcome,
        since_us=None if since is None else int(_time("--since", since).timestamp() * 1_000_000),
        until_us=None if until is None else int(_time("--until", until).timestamp() * 1_000_000),
    )


# -- writing --


def _rows(names: Sequence[str], sums: "Sequence[UsageSum]") -> list[Row]:
    """Sums of the same group and time are one row; by time, or the dearest first where there is none."""
    columns = [BY.get(name, name) for name in names if name not in TIMES]
    merged: dict[tuple[Any, ...], Row] = {}
    for each in sums:
        values = dict(zip(columns, each.group, strict=True))
        key = tuple(_of_time(name, each.start) if name in TIMES else values[BY.get(name, name)] for name in names)
        row = merged.get(key)
        if row is None:
            row = merged[key] = dict(zip([BY.get(name, name) for name in names], key, strict=True))
            row.update(dict.fromkeys([*COUNTS, "cost_nano", "unpriced"], 0))
        for count in (*COUNTS, "cost_nano", "unpriced"):
            row[count] += getattr(each, count)
    rows = list(merged.values())
    if not any(name in TIMES for name in names):
        rows.sort(key=lambda row: -row["cost_nano"])
    return [_priced(row) for row in rows]


def _priced(row: Row) -> Row:
    nano, unpriced = row.pop("cost_nano"), row.pop("unpriced")
    cost = None if unpriced and not nano else Decimal(nano) * NANO
    return {**row, "cost_usd": cost, "unpriced": unpriced}


def _of_time(name: str, start: int | None) -> date | datetime:
    assert start is not None
    time = datetime.fromtimestamp(start, UTC)
    return time.date() if name == "day" else time


def _check_output(form: Format, output: Path | None) -> None:
    if form is Format.table and output is not None:
        raise ConfigError("--output: a table is for people to read. Add --format csv, json or parquet.")
    if form is not Format.parquet:
        return
    if output is None:
        raise ConfigError("--format parquet: name a file with --output.")
    try:
        import pyarrow  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as missing:
        raise ConfigError(
            "--format parquet needs pyarrow, which is not installed here: pip install 'dragoman[parquet]'"
        ) from missing


def _write(rows: Sequence[Row], names: Sequence[str], form: Format, output: Path | None) -> None:
    try:
        if form is Format.parquet:
            assert output is not None
            _write_parquet(rows, names, output)
        elif form is Format.table:
            _show_usage(rows, names)
        else:
            text = _text(rows, names, form)
            if output is None:
                typer.echo(text.encode(), nl=False)  # whatever the terminal's encoding: a program may read it
            else:
                output.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        if output is None:
            raise
        raise ConfigError(f"{output}: cannot be written: {error.strerror or error}.") from error


def _text(rows: Sequence[Row], names: Sequence[str], form: Format) -> str:
    columns = [*names, *COUNTS, "cost_usd", "unpriced"]
    plain = [{name: _plain(row[name]) for name in columns} for row in rows]
    if form is Format.json:
        return json.dumps(plain, ensure_ascii=False) + "\n"
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows([{name: _harmless(value) for name, value in row.items()} for row in plain])
    return written.getvalue()


def _plain(value: object) -> object:
    """Money as text, so that no reader makes a binary fraction of it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    return _usd(value) if isinstance(value, Decimal) else value


def _usd(amount: Decimal) -> str:
    """All of its digits, and two at least."""
    digits = f"{amount:.9f}".rstrip("0")
    whole, _, rest = digits.partition(".")
    return f"{whole}.{rest:0<2}"


def _harmless(value: object) -> object:
    """No text that a spreadsheet would take for a formula, or a terminal for a command: models are named by callers."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else printable(value)


def _write_parquet(rows: Sequence[Row], names: Sequence[str], output: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    types = {"day": pyarrow.date32(), "hour": pyarrow.timestamp("s", tz="UTC"), "cost_usd": pyarrow.decimal128(38, 9)}
    counts = dict.fromkeys([*COUNTS, "unpriced"], pyarrow.int64())
    columns = [*names, *COUNTS, "cost_usd", "unpriced"]
    schema = pyarrow.schema([(name, {**types, **counts}.get(name, pyarrow.string())) for name in columns])
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), output)


def _show_usage(rows: Sequence[Row], names: Sequence[str]) -> None:
    if not rows:
        typer.echo("No requests in this time.")
        return
    columns = ("requests", "errors", "input", "cache write", "cache read", "output", "cost USD", "unpriced")
    table = table_of(*names, *columns, numbers=columns)
    for row in rows:
        table.add_row(*[str(_plain(row[name])) or "(none)" for name in names], *_cells(row))
    if len(rows) > 1:
        known = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
        total = {name: sum(row[name] for row in rows) for name in (*COUNTS, "unpriced")}
        total["cost_usd"] = sum(known, Decimal(0)) if known else None
        labels = ["total", *[""] * (len(names) - 1)] if names else []
        table.add_row(*labels, *_cells(total))
    show(table)


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of a row, as the table shows them."""
    written = row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"]
    numbers = (row["requests"], row["errors"], row["input_tokens"], written, row["cache_read_tokens"])
    yield from (f"{number:,}" for number in (*numbers, row["output_tokens"]))
    yield "unknown" if row["cost_usd"] is None else _usd(row["cost_usd"])
    yield f"{row['unpriced']:,}" if row["unpriced"] else ""


def _show_requests(rows: "Sequence[LedgerRow]") -> None:
    table = table_of(
        "time", "status", "outcome", "model", "provider", "input", "output", "cost USD", "ms", "key", "id",
        numbers=("status", "input", "output", "cost USD", "ms"),
    )  # fmt: skip
    for row in rows:
        time = datetime.fromtimestamp(row.at_us / 1_000_000, UTC)
        read = row.input_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens + row.cache_read_tokens
        table.add_row(
            f"{time:%Y-%m-%d %H:%M:%S}",
            str(row.status or ""),
            row.outcome if row.error is None else f"{row.outcome} ({row.error})",
            row.model,
            row.provider,
            f"{read:,}",
            f"{row.output_tokens:,}{'~' if row.is_estimated else ''}",
            "unknown" if row.cost_nano is None else _usd(Decimal(row.cost_nano) * NANO),
            f"{row.total_us / 1000:,.0f}",
            row.key_id,
            row.id,
        )
    show(table)
