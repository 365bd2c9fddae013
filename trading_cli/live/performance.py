"""`trading performance`: how the node did, by day, week, month and in all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import polars as pl
import typer
from rich.table import Table

from trading_assets.settings import Settings, load_settings
from trading_cli.console import console

Period = Literal["day", "week", "month", "all"]
_SHOWN = 31
_MINUTES_OF_A_DAY = 1_440


def performance(
    period: Annotated[Period, typer.Option(help="What a row is of, in UTC; all is shown besides.")] = "day",
    as_json: Annotated[bool, typer.Option("--json", help="All rows of all periods, one JSON list.")] = False,
) -> None:
    """Show how the node's account did, from its journal: result, trades, Sharpe ratio, drawdown, slippage.

    Nothing is stored: the asset `performance` does that.
    """
    settings = load_settings()
    from trading_assets.performance.stored import measure
    from trading_assets.store import configured_store

    store = configured_store(settings)
    with console.status("reading the journal"), store.kept_open():
        _, rows = measure(store, settings)
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows.to_dicts()]))
    elif rows.is_empty():
        console.print("The node has closed no trade yet; `trading status` shows what it does.")
    else:
        console.print(_table(rows, period))
        (whole,) = rows.filter(period="all").to_dicts()
        if whole["fees_unvalued"]:
            console.print(
                f"[yellow]{whole['fees_unvalued']} of {whole['trades']} trades leave out a fee[/]: nobody knew what "
                "its coin was worth; live_trades.fees_unvalued says how much of which, and stored candles of the coin "
                "(e.g. binance:BNB/USDT in the settings' markets) would say it"
            )


def account_lines(settings: Settings) -> list[str]:
    """What the account is worth by the journal, and what it made on its newest UTC day; none before it is known."""
    from trading_assets.journal import JOURNAL_FILE, newest_events
    from trading_assets.store.tables import ACCOUNT_EQUITY

    rows = newest_events(settings.live_dir / JOURNAL_FILE, ACCOUNT_EQUITY.name, _MINUTES_OF_A_DAY)
    if rows.is_empty():
        return []
    mine = rows.filter(pl.col("currency") == pl.col("currency").last())
    last, day = mine.row(-1, named=True), pl.col("ts").dt.truncate("1d")
    today = mine.filter(day == day.last())
    before = mine.filter(day < day.last())["equity"].tail(1)
    begin, peak = float((before if before.len() else today["equity"])[0]), float(today["equity"].to_numpy().max())
    worth, open_now = last["equity"], last["unrealized_pnl"]
    told = f"{worth:,.2f} {last['currency']}, of it {open_now:+,.2f} in open positions"
    return [
        f"account      {told}",
        f"result       {worth / begin - 1:+.2%} on {last['ts']:%Y-%m-%d}, {1 - worth / peak:.2%} below the day's peak",
    ]


def _table(rows: pl.DataFrame, period: Period) -> Table:
    node, shown = rows["node"][0], rows.filter(pl.col("period").is_in([period, "all"])).tail(_SHOWN + 1)
    columns = ("trades", "won", "net", "fees", "funding", "equity", "return", "Sharpe", "drawdown", "slippage", "held")
    table = Table(period if period != "all" else "", title=f"{node}, UTC; slippage in bps", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for row in shown.iter_rows(named=True):
        whole = row["period"] == "all"
        name = (
            f"since {row['ts']:%Y-%m-%d}"
            if whole
            else f"{row['ts']:%Y-%m}"
            if period == "month"
            else str(row["ts"].date())
        )
        table.add_section() if whole else None
        table.add_row(name, *_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    held = row["duration_s"]
    return [
        str(row["trades"]),
        _said(row["win_rate"], ".0%"),
        _said(row["pnl"], "+,.2f"),
        _said(row["fees"], ",.2f"),
        _said(row["funding"], "+,.2f"),
        _said(row["end_equity"], ",.2f"),
        _said(row["return"], "+.2%"),
        _said(row["sharpe"], ".2f"),
        _said(row["max_drawdown"], ".2%"),
        _said(row["slippage_bps"], "+.1f"),
        "-" if held is None else str(timedelta(seconds=round(held))),
    ]


def _said(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
