"""`trading drift`: whether models still meet what they were trained on."""

from __future__ import annotations

import json
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from trading_assets.settings import Settings, load_settings
from trading_assets.settings.names import check_known
from trading_cli.console import console, synthetic_note


def drift(
    model: Annotated[
        str | None, typer.Argument(help="A model of the settings; default: all that have a version.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The newest day's rows, one JSON list.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="How many subjects to show of each model, the worst first.")] = 10,
) -> None:
    """Compare each day since the training window with it, of stored rows and of those that the node decided on.

    Nothing is stored: the asset `drift` does that. The exit code is 1 where the newest day alarms.
    """
    settings = load_settings()
    if model is not None:
        check_known(model, settings.models, "model")
    with console.status("comparing"):
        found = _measured(settings, model)
    if as_json:
        typer.echo(json.dumps([_plain(row) for frame in found.values() for row in frame.iter_rows(named=True)]))
    elif not found:
        console.print("No model is registered yet; run `trading demo` or `trading backfill --models`.")
    else:
        for name, frame in found.items():
            _show(settings, name, frame, rows)
    if any(frame["alarmed"].any() for frame in found.values()):
        raise typer.Exit(1)


def _measured(settings: Settings, model: str | None) -> dict[str, pl.DataFrame]:
    """Model -> its newest day's rows."""
    from trading_assets.monitoring import stored, summary, versions
    from trading_assets.store import configured_store

    store = configured_store(settings)
    found = {}
    with store.kept_open():
        for name in settings.models if model is None else [model]:
            watched = versions.required if model is not None else versions.watched
            if (chosen := watched(store, settings, name)) is not None:
                found[name] = summary.newest(stored.measure(store, settings, *chosen))
    return found


def _show(settings: Settings, name: str, frame: pl.DataFrame, rows: int) -> None:
    from trading_assets.monitoring import summary

    note = synthetic_note(settings.models[name].markets)
    if frame.is_empty():
        console.print(f"{name}{note}: no whole day is stored or was decided on after the training window")
        return
    columns = ("kind", "name", "test", "value", "threshold", "eff. n", "source", "")
    first, alarms = frame.row(0, named=True), int(frame["alarmed"].sum())
    told = f"on {first['ts']:%Y-%m-%d}: {alarms} alarms of {frame.height:,} looks"
    title = f"{name} {first['version']}{note} {told}"
    table = Table(*columns, title=title, title_justify="left", pad_edge=False, collapse_padding=True)
    table.columns[1].overflow = "fold"
    for row in summary.worst(frame, rows).iter_rows(named=True):
        numbers = ("-" if row[key] is None else f"{row[key]:.3g}" for key in ("value", "threshold", "effective_n"))
        alarm = "[red]DRIFT[/]" if row["alarmed"] else ""
        table.add_row(row["kind"], row["name"], row["test"], *numbers, row["source"], alarm)
    console.print(table)


def _plain(row: dict[str, object]) -> dict[str, object]:
    return {key: str(value) if key == "ts" else value for key, value in row.items()}
