"""The account for the interactive page: equity beside buy and hold, drawdown, months, rolling Sharpe, excursions.

Plain figures as in :mod:`trading_assets.backtest.report.chart`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.metrics import rolling_sharpe
from trading_assets.backtest.metrics.account import ROLLING_DAYS
from trading_assets.backtest.monte_carlo import Bands
from trading_assets.backtest.report.chart import Figure, times
from trading_assets.backtest.report.plots import BLUE, GREY, ORANGE, VERMILION, monthly_table

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DIGITS: Final = 7


def equity(account: pl.DataFrame, benchmark: pl.DataFrame, *, starting_balance: float, note: str = "") -> Figure:
    """Equity at the end of each day beside buy and hold, and the drawdown below."""
    days = times(account["ts"])
    traces = [_line("Account", days, account["equity"], BLUE, "solid")]
    if benchmark.height:
        traces.append(_line("Buy and hold", times(benchmark["ts"]), benchmark["equity"], ORANGE, "dash"))
    fall = {
        "type": "scatter",
        "name": "Drawdown",
        "x": days,
        "y": (-100 * account["drawdown"]).round_sig_figs(_DIGITS).to_list(),
        "yaxis": "y2",
        "mode": "lines",
        "fill": "tozeroy",
        "line": {"color": VERMILION, "width": 1},
        "hovertemplate": "%{y:.2f} %<extra>drawdown</extra>",
    }
    level = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": starting_balance, "y1": starting_balance}
    return {
        "data": [*traces, fall],
        "layout": {
            "title": {"text": f"Equity at the end of each day, and drawdown{note}"},
            "xaxis": {"type": "date", "anchor": "y2", "title": {"text": "Day (UTC)"}},
            "yaxis": {"domain": [0.34, 1], "title": {"text": "Equity (quote currency)"}},
            "yaxis2": {"domain": [0, 0.26], "title": {"text": "Drawdown (%)"}},
            "shapes": [{**level, "line": {"color": GREY, "width": 1, "dash": "dot"}}],
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": -0.16},
            "height": 520,
        },
    }


def months(account: pl.DataFrame, *, starting_balance: float, note: str = "") -> Figure:
    """Return of each calendar month as a heat map; the first and the last may be incomplete."""
    table = monthly_table(account, starting_balance=starting_balance)
    years = sorted(set(table["year"]))
    grid: list[list[float | None]] = [[None] * 12 for _ in years]
    for year, month, value in table.iter_rows():
        grid[years.index(year)][month - 1] = round(100 * value, 3)
    bound = max([1.0, *(abs(one) for row in grid for one in row if one is not None)])
    return {
        "data": [
            {
                "type": "heatmap",
                "x": list(_MONTHS),
                "y": [str(year) for year in years],
                "z": grid,
                "zmin": -bound,
                "zmax": bound,
                "colorscale": [[0, "#E8956B"], [0.5, "#F7F7F7"], [1, "#6BA9D3"]],
                "texttemplate": "%{z:+.1f}",
                "textfont": {"color": "#1F2933"},
                "hovertemplate": "%{y} %{x}: %{z:+.2f} %<extra></extra>",
                "xgap": 2,
                "ygap": 2,
                "colorbar": {"title": {"text": "%"}},
            }
        ],
        "layout": {
            "title": {"text": f"Monthly returns (%){note}"},
            "xaxis": {"type": "category", "title": {"text": "Month"}},
            "yaxis": {"type": "category", "title": {"text": "Year"}, "autorange": "reversed"},
            "height": 170 + 46 * max(len(years), 1),
        },
    }


def rolling(account: pl.DataFrame, *, starting_balance: float, note: str = "") -> Figure | None:
    """The Sharpe ratio of the last ninety days; None where there are fewer."""
    table = rolling_sharpe(account, starting_balance=starting_balance)
    if table.height < 2:
        return None
    return {
        "data": [_line("Sharpe ratio", times(table["ts"]), table["sharpe"], BLUE, "solid")],
        "layout": {
            "title": {"text": f"Rolling Sharpe ratio of {ROLLING_DAYS} days, annualised{note}"},
            "xaxis": {"type": "date", "title": {"text": "Last day of the window (UTC)"}},
            "yaxis": {"title": {"text": "Sharpe ratio"}, "zeroline": True},
            "hovermode": "x unified",
            "height": 360,
        },
    }


def excursions(trades: pl.DataFrame, *, note: str = "") -> Figure | None:
    """Each trade's farthest move against it and for it, beside what it made; None where they are not known."""
    known = trades.drop_nulls(["mae", "mfe"]).tail(5000)
    if known.is_empty():
        return None
    percent = known.select((pl.col("mae", "mfe", "return") * 100).round_sig_figs(5)).to_dict(as_series=False)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": percent[column],
            "y": percent["return"],
            "marker": {"symbol": symbol, "color": colour, "size": 7, "opacity": 0.75},
            "hovertemplate": "%{x:.2f} %, ended at %{y:+.2f} %<extra></extra>",
        }
        for name, column, symbol, colour in (
            ("Farthest move against the trade (MAE)", "mae", "x", VERMILION),
            ("Farthest move for the trade (MFE)", "mfe", "circle-open", BLUE),
        )
    ]
    return {
        "data": traces,
        "layout": {
            "title": {"text": f"Excursions while a trade was open, beside what it made{note}"},
            "xaxis": {"title": {"text": "Excursion (% of the entry price)"}},
            "yaxis": {"title": {"text": "Return after costs (% of the notional)"}},
            "legend": {"orientation": "h", "y": -0.25},
            "height": 440,
        },
    }


def _line(name: str, x: list[str], y: pl.Series, colour: str, dash: str) -> Figure:
    line = {"color": colour, "width": 2, "dash": dash}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y.round_sig_figs(_DIGITS).to_list(),
        "line": line,
    }


def fan(way: str, bands: Bands, *, note: str = "") -> Figure:
    """Where the account may have gone: the middle of the draws, and the band between their 5 and 95 %."""
    low, middle, high = (100 * (row - 1) for row in bands.fan)
    steps = bands.steps.astype(int).tolist()
    edge = {"type": "scatter", "mode": "lines", "x": steps, "line": {"color": BLUE, "width": 0.5}}
    unit = {
        "trades": "trades drawn with replacement",
        "days": "days drawn in blocks",
        "paths": "the same entries on other candle paths",
    }[way]
    return {
        "data": [
            {**edge, "name": "95 %", "y": _rounded(high)},
            {**edge, "name": "5 %", "y": _rounded(low), "fill": "tonexty", "fillcolor": "rgba(0,114,178,0.18)"},
            {**edge, "name": "half", "y": _rounded(middle), "line": {"color": BLUE, "width": 2}},
        ],
        "layout": {
            "title": {"text": f"Monte Carlo: {bands.returns.size:,} accounts of {unit}{note}"},
            "xaxis": {"title": {"text": "Days" if way == "days" else "Trades"}},
            "yaxis": {"title": {"text": "Return since the beginning (%)"}},
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": -0.25},
            "height": 400,
        },
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(one), 3) for one in values]
