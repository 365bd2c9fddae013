"""Candles with trades on them, as Plotly draws them: one component for backtest, paper and live.

It takes plain frames and gives plain figures (``data`` and ``layout`` as Plotly's JSON has them), without importing
Plotly: :mod:`trading_assets.backtest.report.interactive` puts them on a page. Colours are Okabe and Ito's, told apart
with every kind of colour vision; candles are hollow where they rise and filled where they fall, so that colour is left
to what was traded. What a picture shows by colour it shows by shape or dash too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import polars as pl

from trading_assets.backtest.report.executions import Executions
from trading_assets.backtest.report.plots import BLUE, GREEN, GREY, ORANGE, VERMILION

Figure = dict[str, Any]

MAX_CANDLES: Final = 1500
"""Drawn in one picture; more are joined to longer ones."""

MAX_MARKS: Final = 3000
"""Trades marked in the picture of all; of more, the largest profits and losses."""

_PURPLE: Final = "#CC79A7"
_DIGITS: Final = 8
_LEVELS: Final = {
    "stop_loss": ("Stop", VERMILION, "dash"),
    "take_profit": ("Target", GREEN, "dot"),
}
_PARTS: Final = {
    "take_profit": ("Target filled", "star", GREEN),
    "stop_loss": ("Stop filled", "x", VERMILION),
    "exit": ("Closed at the market", "square", ORANGE),
}


def decimated(candles: pl.DataFrame, most: int = MAX_CANDLES) -> pl.DataFrame:
    """At most so many candles: neighbours are joined, which keeps every high and low.

    Parameters
    ----------
    candles
        ``ts``, ``open``, ``high``, ``low``, ``close``, ascending.
    """
    if candles.height <= most:
        return candles.select("ts", "open", "high", "low", "close")
    begin, end = candles["ts"][0], candles["ts"][-1]
    step = (end - begin) / (most - 1)
    return (
        candles.with_columns(
            slot=(pl.col("ts") - begin).dt.total_microseconds() // int(step / timedelta(microseconds=1))
        )
        .group_by("slot", maintain_order=True)
        .agg(
            pl.col("ts").first(),
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
        )
        .drop("slot")
    )


def all_trades(market: str, candles: pl.DataFrame, executions: Executions, *, note: str = "") -> Figure:
    """A market's whole period with every entry and exit, and a line from each entry to its exit.

    Parameters
    ----------
    candles
        The finest of the market: ``ts``, ``open``, ``high``, ``low``, ``close``, ascending.
    executions
        Trades of any market; those of this one are drawn.
    note
        Put into the title, e.g. that candles are synthetic.
    """
    trades = executions.trades.filter(pl.col("market") == market)
    hidden = max(trades.height - MAX_MARKS, 0)
    if hidden:
        trades = trades.sort(pl.col("pnl").abs(), descending=True).head(MAX_MARKS).sort("entry_ts")
    closed = trades.drop_nulls(["exit_ts", "exit_price"])
    traces = [_candles(decimated(candles))]
    for side, symbol, colour in (("long", "triangle-up", BLUE), ("short", "triangle-down", ORANGE)):
        entered = trades.filter(pl.col("side") == side)
        traces.append(
            _marks(f"Entry {side}", symbol, colour, entered["entry_ts"], entered["entry_price"], _said(entered))
        )
    for name, symbol, colour, chosen in (
        ("Exit with a profit", "circle", GREEN, pl.col("pnl") > 0),
        ("Exit with a loss", "x", VERMILION, pl.col("pnl") <= 0),
    ):
        left = closed.filter(chosen)
        traces.append(_marks(name, symbol, colour, left["exit_ts"], left["exit_price"], _said(left)))
    traces.append(_ways(closed))
    more = f"; the {MAX_MARKS:,} largest of {trades.height + hidden:,}" if hidden else ""
    title = f"{_symbol(market)}: {trades.height + hidden:,} trades{more}{note}"
    return {"data": traces, "layout": _layout(title, _quote(market), selectors=True)}


def one_trade(number: int, signal_id: str, candles: pl.DataFrame, executions: Executions, *, note: str = "") -> Figure:
    """One trade with its fills, stops, targets and funding, on the candles around it.

    Parameters
    ----------
    number
        Shown in the title.
    signal_id
        Which one of ``executions``.
    candles
        Its market's finest ones, with some before the entry and after the exit.
    """
    mine = executions.of([signal_id])
    trade = mine.trades.row(0, named=True)
    end = trade["exit_ts"] if trade["exit_ts"] is not None else candles["ts"][-1]
    traces = [_candles(decimated(candles))]
    for purpose, (name, colour, dash) in _LEVELS.items():
        rows = mine.levels.filter((pl.col("purpose") == purpose) & (pl.col("start") < end)).sort("start")
        traces += _segments(rows.with_columns(pl.min_horizontal("end", pl.lit(end))), name, colour, dash)
    line = pl.DataFrame({"start": [trade["entry_ts"]], "end": [end], "price": [trade["entry_price"]]})
    traces += _segments(line, "Entry price", GREY, "solid")
    entries = mine.parts.filter(pl.col("purpose") == "entry")
    symbol, colour = ("triangle-up", BLUE) if trade["side"] == "long" else ("triangle-down", ORANGE)
    traces.append(_marks(f"Entry {trade['side']}", symbol, colour, entries["ts"], entries["price"], _filled(entries)))
    for purpose, (name, symbol, colour) in _PARTS.items():
        rows = mine.parts.filter(pl.col("purpose") == purpose)
        if rows.height:
            traces.append(_marks(name, symbol, colour, rows["ts"], rows["price"], _filled(rows)))
    if mine.funding.height:
        at = [float(candles["low"].min())] * mine.funding.height  # type: ignore[arg-type]
        said = [
            f"funding {amount:+,.4f}, rate {rate:+.4%}" for amount, rate in mine.funding.select("amount", "rate").rows()
        ]
        traces.append(_marks("Funding", "diamond", _PURPLE, mine.funding["ts"], pl.Series(at), said))
    gained = (
        "open"
        if trade["return"] is None
        else f"{100 * trade['return']:+.2f} % ({trade['pnl']:+,.2f} {_quote(trade['market'])})"
    )
    reason = "" if trade["exit_ts"] is None else f", ended by {str(trade['exit_reason']).replace('_', ' ')}"
    title = f"Trade {number}: {trade['side']} {_symbol(trade['market'])}, {gained}{reason}{note}"
    return {"data": traces, "layout": _layout(title, _quote(trade["market"]))}


def around(trade: Mapping[str, Any], candles: pl.DataFrame, *, share: float = 0.35) -> pl.DataFrame:
    """The candles around a trade: ``share`` of its length, and two hours, before its entry and after its exit.

    ``candles`` ascend.
    """
    end = trade["exit_ts"] if trade["exit_ts"] is not None else candles["ts"][-1]
    margin = (end - trade["entry_ts"]) * share + timedelta(hours=2)
    first = candles["ts"].search_sorted(trade["entry_ts"] - margin)
    return candles[first : candles["ts"].search_sorted(end + margin, side="right")]


def _candles(candles: pl.DataFrame) -> Figure:
    prices = {name: candles[name].round_sig_figs(_DIGITS).to_list() for name in ("open", "high", "low", "close")}
    return {
        "type": "candlestick",
        "name": "Candles",
        "x": times(candles["ts"]),
        **prices,
        "increasing": {"line": {"color": GREY, "width": 1}, "fillcolor": "rgba(0,0,0,0)"},
        "decreasing": {"line": {"color": GREY, "width": 1}, "fillcolor": GREY},
        "whiskerwidth": 0,
    }


def _marks(name: str, symbol: str, colour: str, ts: pl.Series, price: pl.Series, said: list[str]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": times(ts),
        "y": price.round_sig_figs(_DIGITS).to_list(),
        "text": said,
        "hovertemplate": "%{text}<br>%{x|%Y-%m-%d %H:%M:%S} UTC<br>%{y}<extra></extra>",
        "marker": {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 1, "color": "#ffffff"}},
    }


def _segments(rows: pl.DataFrame, name: str, colour: str, dash: str) -> list[Figure]:
    """Horizontal lines, each from its start to its end; none where there is no row."""
    if rows.is_empty():
        return []
    gap = pl.Series([None] * rows.height, dtype=pl.String)
    x = [one for triple in zip(times(rows["start"]), times(rows["end"]), gap, strict=True) for one in triple]
    y = [one for price in rows["price"].round_sig_figs(_DIGITS) for one in (price, price, None)]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": x,
            "y": y,
            "connectgaps": False,
            "hovertemplate": f"{name} %{{y}}<extra></extra>",
            "line": {"color": colour, "width": 2, "dash": dash},
        }
    ]


def _ways(trades: pl.DataFrame) -> Figure:
    """Lines from each entry to its exit."""
    gap = [None] * trades.height
    x = [one for three in zip(times(trades["entry_ts"]), times(trades["exit_ts"]), gap, strict=True) for one in three]
    prices = trades.select("entry_price", "exit_price").rows()
    y = [one for entry, left in prices for one in (_short(entry), _short(left), None)]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Entry to exit",
        "x": x,
        "y": y,
        "hoverinfo": "skip",
        "line": {"color": BLUE, "width": 1, "dash": "dot"},
    }


def _said(trades: pl.DataFrame) -> list[str]:
    shown = trades.select("side", "quantity", "return", "exit_reason").rows()
    return [
        f"{side} {_short(quantity)}: "
        + ("open" if gained is None else f"{100 * gained:+.2f} %, {str(reason).replace('_', ' ')}")
        for side, quantity, gained, reason in shown
    ]


def _filled(parts: pl.DataFrame) -> list[str]:
    return [
        f"{purpose.replace('_', ' ')}: {side} {_short(quantity)}"
        for purpose, side, quantity in parts.select("purpose", "side", "quantity").rows()
    ]


def times(ts: pl.Series) -> list[str]:
    """UTC stamps as Plotly reads them."""
    return ts.dt.strftime("%Y-%m-%d %H:%M:%S").to_list()


def _layout(title: str, unit: str, *, selectors: bool = False) -> Figure:
    spans = (("day", 1, "1 day"), ("day", 7, "1 week"), ("month", 1, "1 month"))
    buttons = [{"step": step, "count": count, "label": label, "stepmode": "backward"} for step, count, label in spans]
    axis: Figure = {"title": {"text": "Time (UTC)"}, "type": "date", "rangeslider": {"visible": selectors}}
    if selectors:
        axis["rangeselector"] = {"buttons": [*buttons, {"step": "all", "label": "all"}], "y": 1.02}
    above = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom"}
    return {
        "title": {"text": title},
        "xaxis": axis,
        "yaxis": {"title": {"text": f"Price ({unit})"}, "fixedrange": False},
        "dragmode": "zoom",
        "hovermode": "closest",
        "legend": above if selectors else {"orientation": "h", "y": -0.16},
        "margin": {"l": 70, "r": 24, "t": 96 if selectors else 56, "b": 60},
        "height": 640 if selectors else 580,
    }


def _symbol(market: str) -> str:
    return market.split(":", 1)[-1]


def _quote(market: str) -> str:
    return _symbol(market).split("/")[-1].split(":")[0]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
