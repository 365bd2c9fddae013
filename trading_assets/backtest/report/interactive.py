"""The interactive page of a backtest, or of what a node traded: one file that needs no network and no server.

Plotly's script is a part of the page, compressed (2 MB instead of 5): the browser unpacks it. Nothing is loaded from
anywhere, so the page opens from a disk, from an archive, and from the Dagster UI, which lets it ask for nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.backtest.report import chart
from trading_assets.backtest.report.executions import Executions
from trading_assets.backtest.report.page import page_template, write_page

TEMPLATE: Final = "interactive.html.j2"
MAX_TRADES: Final = 40
"""Trades that have a picture of their own."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture of the page, chosen from a list.

    Attributes
    ----------
    group, title
        Where it stands in the list, and its name there.
    figure
        ``data`` and ``layout`` as Plotly's JSON has them.
    """

    group: str
    title: str
    figure: chart.Figure


def chosen_trades(trades: pl.DataFrame, most: int = MAX_TRADES) -> pl.DataFrame:
    """The trades that are shown one by one, in time: the best, the worst and the newest, and others evenly between.

    Parameters
    ----------
    trades
        With ``return`` and ``entry_ts``; fewer than ``most`` are all shown.
    """
    numbered = trades.with_row_index("number", offset=1)
    if numbered.height <= most:
        return numbered
    quarter = most // 4
    by_return = numbered.drop_nulls("return").sort("return")
    picked = [by_return.head(quarter), by_return.tail(quarter), numbered.tail(quarter)]
    rest = numbered.join(pl.concat(picked).select("number"), on="number", how="anti")
    wanted = most - pl.concat(picked)["number"].n_unique()
    spread = sorted({int(one * rest.height / wanted) for one in range(wanted)})
    return pl.concat([*picked, rest[spread]]).unique("number").sort("number")


def trade_views(candles: Mapping[str, pl.DataFrame], executions: Executions, *, note: str = "") -> list[View]:
    """All trades of each market, the most traded one first, and the chosen ones by themselves.

    Parameters
    ----------
    candles
        Market -> its finest candles over the period, ascending; a market that is not there is left out.
    executions
        What was traded.
    note
        Put into each title, e.g. that candles are synthetic.
    """
    views = [
        View("All trades", market, chart.all_trades(market, candles[market], executions, note=note))
        for market in sorted(candles, key=lambda one: -executions.trades["market"].to_list().count(one))
        if candles[market].height
    ]
    for row in chosen_trades(executions.trades).iter_rows(named=True):
        frame = candles.get(row["market"])
        if frame is None or frame.is_empty():
            continue
        near = chart.around(row, frame)
        if near.is_empty():
            continue
        gained = "open" if row["return"] is None else f"{100 * row['return']:+.2f} %"
        name = f"{row['number']}: {row['entry_ts']:%Y-%m-%d %H:%M} {row['side']} {gained}"
        views.append(
            View("Single trades", name, chart.one_trade(row["number"], row["signal_id"], near, executions, note=note))
        )
    return views


def write_interactive(
    views: Sequence[View],
    file: Path,
    *,
    title: str,
    lead: str,
    synthetic: Sequence[str],
    figures: Sequence[chart.Figure] = (),
    created_at: datetime,
) -> Path:
    """Write the page.

    Parameters
    ----------
    views
        Pictures of trades, of which one is shown at a time.
    file
        Where to; a reader never sees half of it.
    title, lead
        What it is about.
    synthetic
        Markets whose candles are made up; the page says so at its top.
    figures
        Further pictures, all shown below.
    created_at
        Printed; UTC.
    """
    payload = {
        "views": [{"group": one.group, "title": one.title, **one.figure} for one in views],
        "figures": list(figures),
    }
    text = page_template(TEMPLATE).render(
        title=title,
        lead=lead,
        synthetic=synthetic,
        payload=_as_json(payload),
        plotly=plotly_script(),
        created_at=created_at,
    )
    return write_page(file, text)


@cache
def plotly_script() -> str:
    """Plotly's script as the package brings it, gzipped, in base64; the file is read, the package is not imported."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    return base64.b64encode(gzip.compress(script, 6, mtime=0)).decode()


def _as_json(payload: Any) -> str:
    """JSON that may stand inside a script element: no tag can end it, and what is no number is null."""
    text = json.dumps(_finite(payload), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case _:
            return value
