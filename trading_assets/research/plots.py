"""Pictures for a notebook: the last expression of a cell shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from trading_assets.core.errors import InvalidFrame

_MOST_CANDLES = 2_000
"""More of them are a black band, and take seconds to draw."""


@dataclass(frozen=True, slots=True, repr=False)
class Picture:
    """A PNG that a notebook shows."""

    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png


def plot_equity(equity: pl.DataFrame, *, starting_balance: float | None = None) -> Picture:
    """The account at each day's close, and how far below its peak it was, as a backtest's report shows it.

    Parameters
    ----------
    equity
        Of the table ``equity``, of one model and version.
    starting_balance
        What it began with; by default its first value.
    """
    from trading_assets.backtest.report.plots import equity_and_drawdown

    if equity.is_empty():
        raise InvalidFrame("no rows", where="equity", remedy="run a backtest first")
    began = float(equity["equity"][0]) if starting_balance is None else starting_balance
    return Picture(equity_and_drawdown(equity, starting_balance=began, fmt="png"))


def plot_trades(candles: pl.DataFrame, trades: pl.DataFrame) -> Picture:
    """Candles or bars of one market with the entries and exits that fell among them.

    Parameters
    ----------
    candles
        ``ts, open, high, low, close``, ascending; at most 2,000, of coarser bars where the span is long.
    trades
        Of the table ``trades``; those of the market that were open in the span are drawn.
    """
    from trading_assets.backtest.report.plots import BLUE, GREEN, GREY, VERMILION, date_axis, figure_of

    if not 1 < candles.height <= _MOST_CANDLES:
        remedy = f"give from 2 to {_MOST_CANDLES:,}: a shorter span, or bars of a coarser timeframe"
        raise InvalidFrame(f"{candles.height:,} candles", where="plot_trades", remedy=remedy)
    width: timedelta = candles["ts"].diff().min()  # type: ignore[assignment]
    first, last = candles["ts"][0], candles["ts"][-1] + width
    shown = trades.filter(pl.col("entry_ts") < last, pl.col("exit_ts") >= first)
    if "market" in candles.columns:
        shown = shown.filter(pl.col("market") == candles["market"][0])
    with figure_of(8.6, 4.2, "png") as (figure, save):
        axes = figure.subplots()
        for rising, colour in ((True, GREEN), (False, VERMILION)):
            part = candles.filter((pl.col("close") >= pl.col("open")) == rising)
            times = part["ts"].to_numpy()
            axes.vlines(times, part["low"].to_numpy(), part["high"].to_numpy(), color=colour, linewidth=0.7)
            axes.vlines(times, part["open"].to_numpy(), part["close"].to_numpy(), color=colour, linewidth=2.4)
        for row in shown.iter_rows(named=True):
            span, prices = [row["entry_ts"], row["exit_ts"]], [row["entry_price"], row["exit_price"]]
            axes.plot(span, prices, color=BLUE if row["pnl"] > 0 else GREY, linewidth=1.4)
        entries = shown["entry_ts"].to_numpy(), shown["entry_price"].to_numpy()
        axes.scatter(*entries, marker=">", color=BLUE, s=28, zorder=3, label="entry")
        axes.scatter(
            shown["exit_ts"].to_numpy(), shown["exit_price"].to_numpy(), marker="x", color=GREY, s=28, zorder=3
        )
        axes.set_xlim(first, last)
        axes.set_title(f"{candles['market'][0] if 'market' in candles.columns else 'candles'}, {shown.height} trades")
        date_axis(axes)
        return Picture(save())
