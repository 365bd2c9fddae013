"""`trading divergence`: the node's trades beside a backtest of the same bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trading_assets.settings import Settings, load_settings
from trading_assets.settings.days import days_meant, midnight
from trading_cli.console import console, named

if TYPE_CHECKING:
    from trading_assets.divergence.stored import Found

_SHOWN = 30
_LEAST = 0.005
_MOST = "most of it"
_WIDE = 150
"""Columns of a terminal that has room for every part; a narrower one is shown the largest."""


def divergence(
    day: Annotated[
        str | None, typer.Option(help="A UTC day, e.g. 2025-05-28; default: the newest days.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows of days and trades, as one JSON object.")] = False,
) -> None:
    """Show how far the node's trades are from a backtest of the same bars, and why: basis points of the notional.

    Nothing is stored: the asset `divergence` does that. The exit code is 1 where a day is beyond a limit.
    """
    settings = load_settings()
    asked = None if day is None else midnight(days_meant(day)[0])
    from trading_assets.divergence.days import problems
    from trading_assets.divergence.stored import measure
    from trading_assets.store import configured_store

    store = configured_store(settings)
    with console.status("trading the signals again"), store.kept_open():
        found = measure(store, settings, day=asked)
    told = problems(found.days, settings.divergence)
    if as_json:
        rows = {"days": found.days, "trades": found.trades}
        typer.echo(json.dumps({name: [_plain(row) for row in of.to_dicts()] for name, of in rows.items()}))
    else:
        _show(settings, found, asked)
        for line in told:
            console.print(f"[red]{line}[/]", highlight=False)
    for note in found.notes:
        typer.echo(f"not compared: {note}", err=True)
    if told:
        raise typer.Exit(1)


def _show(settings: Settings, found: Found, asked: datetime | None) -> None:
    from trading_assets.store.tables.outcomes import PARTS

    if found.trades.is_empty():
        when = "" if asked is None else f" on {asked:%Y-%m-%d}"
        console.print(
            f"No trade that is over was decided{when}, neither by the node nor by a backtest of its signals; "
            "`trading status` shows what the node does."
        )
        return
    parts = [part for part in PARTS if found.trades[part].abs().max() > _LEAST or part == PARTS[-1]]  # type: ignore[operator]
    shown = tuple(parts) if console.width >= _WIDE else ()
    limits = settings.divergence
    console.print(
        f"{found.node} beside its backtest: mean of a trade, bps of its notional; "
        f"limits {limits.max_gap_bps:g}, unexplained {limits.max_unexplained_bps:g}",
        highlight=False,
    )
    console.print(_days(found, shown))
    console.print(_trades(found, shown))
    if found.trades.height > _SHOWN:
        console.print(f"and {found.trades.height - _SHOWN:,} earlier trades; --json has all")


def _days(found: Found, parts: tuple[str, ...]) -> Table:
    table = _table(("day", "trades"), ("gap_bps", *parts), *([] if parts else [_MOST]))
    for row in found.days.iter_rows(named=True):
        numbers = [*_numbers(row, ("gap_bps", *parts)), *([] if parts else [_most(row)])]
        table.add_row(f"{row['ts']:%Y-%m-%d}", f"{row['trades']} ({row['matched']} matched)", *numbers)
    return table


def _trades(found: Found, parts: tuple[str, ...]) -> Table:
    names = ("live_bps", "backtest_bps", "gap_bps", *parts)
    table = _table(("decided", "trade"), names, *([] if parts else [_MOST]), "how it ended")
    for row in found.trades.tail(_SHOWN).iter_rows(named=True):
        ends = dict.fromkeys(reason for reason in (row["live_exit"], row["backtest_exit"]) if reason)
        told = "; ".join(filter(None, (" / ".join(ends), row["note"])))
        trade = f"{row['side']} {named(row['market'])}"
        numbers = [*_numbers(row, names), *([] if parts else [_most(row)])]
        table.add_row(f"{row['ts']:%m-%d %H:%M}", trade, *numbers, told)
    return table


def _table(first: tuple[str, str], numbers: Sequence[str], *last: str) -> Table:
    """The first column and the numbers keep their width; the others break their lines."""
    from trading_assets.divergence.days import words

    table = Table()
    table.add_column(first[0], no_wrap=True)
    table.add_column(first[1], overflow="fold")
    for name in numbers:
        table.add_column(words(name), justify="right", no_wrap=True)
    for name in last:
        table.add_column(name, overflow="fold")
    return table


def _most(row: Mapping[str, Any]) -> str:
    """The largest part, where there is no room for all."""
    from trading_assets.divergence.days import largest, words

    part = largest(row)
    return f"{words(part)} {row[part]:+.2f}" if abs(row[part]) >= _LEAST else ""


def _numbers(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return ["" if abs(row[name]) < _LEAST else f"{row[name]:+.2f}" for name in names]


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
