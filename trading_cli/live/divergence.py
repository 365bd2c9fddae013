"""`trading divergence`: the node's trades beside a backtest of the same bars."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    from trading_assets.divergence.days import words
    from trading_assets.store.tables.outcomes import PARTS

    if found.trades.is_empty():
        when = "" if asked is None else f" on {asked:%Y-%m-%d}"
        console.print(
            f"No trade that is over was decided{when}, neither by the node nor by a backtest of its signals; "
            "`trading status` shows what the node does."
        )
        return
    parts = [part for part in PARTS if found.trades[part].abs().max() > _LEAST or part == PARTS[-1]]  # type: ignore[operator]
    limits = settings.divergence
    days = Table(
        *("day", "trades", "gap", *map(words, parts)),
        title=f"{found.node} beside its backtest: mean of a trade, bps of its notional; "
        f"limits {limits.max_gap_bps:g}, unexplained {limits.max_unexplained_bps:g}",
        title_justify="left",
    )
    for row in found.days.iter_rows(named=True):
        counted = f"{row['trades']} ({row['matched']} matched)"
        days.add_row(f"{row['ts']:%Y-%m-%d}", counted, *_numbers(row, ("gap_bps", *parts)))
    trades = Table("decided", "market", "side", "live", "backtest", "gap", *map(words, parts), "ended by", "")
    for row in found.trades.tail(_SHOWN).iter_rows(named=True):
        ends = dict.fromkeys(reason for reason in (row["live_exit"], row["backtest_exit"]) if reason)
        numbers = _numbers(row, ("live_bps", "backtest_bps", "gap_bps", *parts))
        decided = f"{row['ts']:%m-%d %H:%M}"
        trades.add_row(decided, named(row["market"]), row["side"], *numbers, " / ".join(ends), row["note"])
    for column in (*days.columns[2:], *trades.columns[3 : 6 + len(parts)]):
        column.justify = "right"
    console.print(days)
    console.print(trades)
    if found.trades.height > _SHOWN:
        console.print(f"and {found.trades.height - _SHOWN:,} earlier trades; --json has all")


def _numbers(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return ["" if abs(row[name]) < _LEAST else f"{row[name]:+.2f}" for name in names]


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
