"""A backtest once more: with fills as a sceptic sees them, with dearer costs, and with orders that come late.

Costs are fees and slippage; funding stays as it was paid. Entries are decided as usual, with the usual costs: who knows
of worse ones beforehand is pickier, and nobody does.

**A late order is charged what the market moves meanwhile, always against it.** Where the price stands inside a candle
some seconds after its open is not known, and the simulated path would often make a late order cheaper. What is taken is
the mean absolute move between two closes, times the root of the delay as a share of the candle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from trading_assets.backtest import metrics
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.settings import BacktestSettings
from trading_assets.validation.performance import UNBOUNDED

STRESSED: Final = ("sharpe", "total_return", "max_drawdown", "profit_factor", "win_rate", "trades")
"""The metrics that are told."""

MULTIPLES: Final = (1.5, 2.0)
"""Of the costs."""

LATENCIES_S: Final = (0.5, 1.0, 2.0)
"""Between sending an order and its arrival."""

EDGE_GONE: Final = "edge_gone_at"
"""The metric that says at which multiple of the costs the profit is nothing; :data:`UNBOUNDED` where at none."""

Run = Callable[[BacktestSettings], BacktestResult]


@dataclass(frozen=True, slots=True)
class StressRow:
    """One row of the stress table.

    Attributes
    ----------
    label
        What was made worse, for people.
    figures
        Metric -> value, of :data:`STRESSED`.
    """

    label: str
    figures: Mapping[str, float]


def stress(run: Run, settings: BacktestSettings) -> dict[str, float]:
    """Metrics of a backtest with stressed fills, as ``stress_<metric>``.

    Parameters
    ----------
    run
        Makes the backtest with given costs and fills, its entries decided with the usual costs (``reckoned_bps``).
    settings
        Those of the backtest; see :meth:`trading_assets.settings.BacktestSettings.stressed`.
    """
    return _named("stress", run(settings.stressed()).metrics)


def stress_table(
    run: Run, usual: BacktestResult, settings: BacktestSettings, candles: Mapping[str, pl.DataFrame]
) -> dict[str, float]:
    """Metrics at dearer costs and with late orders, and the multiple of the costs that takes the whole profit.

    Where `backtest.stress` is ``full``, each row is a backtest of its own. Where it is ``quick``, the trades of the
    usual one are charged more: the same trades of the same sizes, which a full one makes smaller as it loses.

    Parameters
    ----------
    run
        As for :func:`stress`.
    usual
        What came out with the usual costs.
    candles
        Market -> its finest candles, for what a market moves while an order is late.

    Returns
    -------
    dict
        ``stress_costs_<multiple>_<metric>``, ``stress_latency_<seconds>_<metric>`` and ``edge_gone_at``: of quick ones
        exact, of full ones by the line through the two dearest.
    """
    found: dict[str, float] = {}
    profits = {1.0: usual.metrics["total_pnl"]}
    full = settings.stress == "full"
    for multiple in MULTIPLES:
        if full:
            told = run(settings.dearer(multiple)).metrics
        else:
            told = _charged(usual, settings, (multiple - 1) * usual.trades["fees"])
        profits[multiple] = told["total_pnl"]
        found |= _named(f"stress_costs_{multiple:g}", told)
    for seconds in LATENCIES_S:
        late_bps = moved_bps(candles, timedelta(seconds=seconds) - timedelta(milliseconds=settings.latency_ms))
        if full:
            late = {"latency_ms": seconds * 1e3, "slippage_bps": settings.slippage_bps + late_bps}
            told = run(settings.model_copy(update=late)).metrics
        else:
            told = _charged(usual, settings, _at_market(usual.trades) * late_bps / 1e4)
        found |= _named(f"stress_latency_{seconds:g}", told)
    return found | {EDGE_GONE: gone_at(profits)}


def gone_at(profits: Mapping[float, float]) -> float:
    """The multiple of the costs at which the profit is nothing, by the line through the two dearest runs; at least 0.

    >>> gone_at({1.0: 50.0, 1.5: 25.0, 2.0: 0.0})
    2.0
    >>> gone_at({1.0: -10.0, 1.5: -30.0, 2.0: -50.0})
    0.75
    """
    (low, before), (high, after) = sorted(profits.items())[-2:]
    slope = (after - before) / (high - low)
    if slope >= 0:  # nothing is traded, or trading costs nothing
        return UNBOUNDED if after > 0 else 0.0
    return min(max(high - after / slope, 0.0), UNBOUNDED)


def moved_bps(candles: Mapping[str, pl.DataFrame], late: timedelta) -> float:
    """What the markets move in a time, in basis points: the mean absolute move of a candle, by the root of the time."""
    if late <= timedelta(0):
        return 0.0
    moves = []
    for frame in candles.values():
        step = frame["ts"].diff().min()
        move = frame["close"].log().diff().abs().mean()
        if isinstance(step, timedelta) and isinstance(move, float) and math.isfinite(move):
            moves.append(move * math.sqrt(late / step))
    return float(np.mean(moves)) * 1e4 if moves else 0.0


def stress_rows(told: Mapping[str, float]) -> Sequence[StressRow]:
    """The stress table of a backtest's metrics, the usual costs first; empty where it was not made."""
    if EDGE_GONE not in told:
        return ()
    rows = [
        ("usual costs", ""),
        *((f"costs x {multiple:g}", f"stress_costs_{multiple:g}_") for multiple in MULTIPLES),
        *((f"orders {seconds:g} s late", f"stress_latency_{seconds:g}_") for seconds in LATENCIES_S),
        ("worse fills", "stress_"),
    ]
    return [StressRow(label, {name: told[f"{key}{name}"] for name in STRESSED}) for label, key in rows]


def edge_text(told: Mapping[str, float]) -> str:
    """At which costs the edge is gone, in one sentence; empty where that was not measured."""
    if EDGE_GONE not in told:
        return ""
    multiple = told[EDGE_GONE]
    if not told["trades"]:
        return "nothing was traded"
    if multiple >= UNBOUNDED:
        return "no costs were charged"
    if multiple < 1:
        return f"there is no edge at the usual costs: the profit is nothing at {multiple:.2f} times of them"
    return f"the edge is gone at {multiple:.2f} times the usual costs"


def _at_market(trades: pl.DataFrame) -> pl.Series:
    """Notional of each trade's orders at the market: its entry, and its exit unless it was a target."""
    out = pl.when(pl.col("exit_reason") == "take_profit").then(0.0).otherwise(pl.col("exit_price"))
    return trades.select(((pl.col("entry_price") + out) * pl.col("quantity")).alias("notional"))["notional"]


def _charged(usual: BacktestResult, settings: BacktestSettings, further: pl.Series) -> dict[str, float]:
    """The metrics where each trade cost so much more, when it was closed."""
    trades = usual.trades.with_columns(pnl=pl.col("pnl") - further).with_columns(
        (pl.col("pnl") / (pl.col("entry_price") * pl.col("quantity"))).alias("return")
    )
    last = usual.end - timedelta(microseconds=1)
    day = pl.min_horizontal("exit_ts", pl.lit(last, trades.schema["exit_ts"])).dt.truncate("1d")
    paid = usual.trades.select(day.alias("ts"), further.alias("paid")).group_by("ts").agg(pl.col("paid").sum())
    equity = (
        usual.equity.join(paid, on="ts", how="left")
        .sort("ts")
        .with_columns(pl.col("equity") - pl.col("paid").fill_null(0.0).cum_sum())
    )
    return metrics.compute(
        trades, equity, starting_balance=settings.starting_balance, markets=1, start=usual.start, end=usual.end
    )


def _named(prefix: str, told: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": told[name] for name in STRESSED}
