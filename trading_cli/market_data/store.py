"""`trading store`: make or update the tables, move them to another engine, back them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from trading_assets.core.errors import SettingsError
from trading_assets.settings import load_settings
from trading_assets.settings.names import instead
from trading_assets.store import TABLES, Store, Table, configured_store, open_store
from trading_cli.console import console, progress

if TYPE_CHECKING:
    from trading_assets.store.transfer import Copied, Portion

app = typer.Typer(help="The store: make, copy, back up and restore its tables.", no_args_is_help=True)

Url = Annotated[
    str | None,
    typer.Option(
        help="duckdb:///path or postgresql://user@host/database (the password may stand in ~/.pgpass or PGPASSWORD). "
        "Default: the store of the settings (TRADING_STORE__URL).",
        show_default=False,
    ),
]
Only = Annotated[list[str] | None, typer.Option("--table", help="Only this table; repeatable. Default: all.")]


@app.command()
def migrate(url: Url = None) -> None:
    """Make the tables, or add what a newer version declares; on TimescaleDB make hypertables. Safe to repeat."""
    from trading_assets.store.migration import LAYOUT
    from trading_assets.store.migration import migrate as bring_up_to_date

    done = bring_up_to_date(_store(url))
    for line in done:
        console.print(f"  {line}", markup=False)
    console.print(f"the store has layout {LAYOUT}{'' if done else ', as before: nothing to do'}")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="The address to read from.")],
    target: Annotated[str, typer.Argument(help="The address to write to.")],
    table: Only = None,
) -> None:
    """Bring the tables from one store to another, e.g. from DuckDB to PostgreSQL, and verify every row by hashes.

    Goes on where an interrupted copy stopped. Rows that only the target has stay there.
    """
    from trading_assets.store.transfer import StoreAsPlace, copy

    if source == target:
        raise SettingsError("source and target are the same store", remedy="name two")
    store, tables = open_store(source), _tables(table)
    place = StoreAsPlace(store)
    with (
        store.kept_open(),
        _followed(sum(portion.rows for t in tables for portion in place.portions(t)), "copying") as follow,
    ):
        copied = list(copy(place, open_store(target), tables, follow))
    _print_copied(copied)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; it appears when the backup is complete.")],
    url: Url = None,
    table: Only = None,
) -> None:
    """Write the tables to Parquet files with a manifest of hashes."""
    from trading_assets.store.backup import back_up
    from trading_assets.store.transfer import StoreAsPlace

    store, tables = _store(url), _tables(table)
    total = sum(portion.rows for t in tables for portion in StoreAsPlace(store).portions(t))
    with _followed(total, "backing up") as follow:
        rows = back_up(store, folder, tables, follow)
    console.print(f"{rows:,} rows of {len(tables)} tables are in {folder}", markup=False)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that trading store backup made.")],
    url: Url = None,
    table: Only = None,
) -> None:
    """Put a backup's rows into the store, after checking each file, and verify what was written.

    What the backup holds (a market's month, a model's folds) replaces what the store has of it; other rows stay.
    """
    from trading_assets.store.backup import Backup
    from trading_assets.store.transfer import copy

    opened, tables = Backup.open(folder), _tables(table)
    portions = [portion for t in tables for portion in opened.portions(t)]
    with _followed(sum(portion.rows for portion in portions), "checking") as follow:
        for portion in portions:
            opened.load(portion)
            follow(portion)
    with _followed(sum(portion.rows for portion in portions), "restoring") as follow:
        copied = list(copy(opened, _store(url), tables, follow))
    _print_copied(copied)


def _store(url: str | None) -> Store:
    return open_store(url) if url else configured_store(load_settings())


def _tables(names: list[str] | None) -> list[Table]:
    unknown = [name for name in names or () if name not in TABLES]
    if unknown:
        raise SettingsError(f"no table {unknown[0]!r}", remedy=instead(unknown[0], TABLES))
    return [table for name in names or TABLES if not (table := TABLES[name]).view]


@contextmanager
def _followed(rows: int, what: str) -> Iterator[Callable[[Portion], None]]:
    with progress() as bar:
        task = bar.add_task(what, total=rows, note="")

        def follow(portion: Portion) -> None:
            bar.update(task, advance=portion.rows, note=f"{bar.tasks[0].completed:,.0f} of {rows:,} rows: {portion}")

        yield follow
        bar.update(task, completed=rows, total=rows, note=f"{rows:,} rows")


def _print_copied(copied: list[Copied]) -> None:
    grid = Grid(title="verified: counts and content hashes agree", title_justify="left")
    grid.add_column("table")
    for column in ("rows", "written now", "only at the target"):
        grid.add_column(column, justify="right")
    for one in copied:
        if one.rows or one.others:
            grid.add_row(one.table.name, f"{one.rows:,}", f"{one.written:,}", f"{one.others:,}" if one.others else "")
    console.print(grid)
