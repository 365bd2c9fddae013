"""Monte Carlo of candle paths: the trades that were made, had the candles after each entry come in another order.

The candles between an entry and the end of its plan's time are drawn in blocks from that window alone, with their
returns chained to a new path, and the trade's own plan is followed along it by the compiled loop of labels and
screening. So what the market did after the entry stays, in the mean, and what depends on the order in which it did it
(which of stop and target came first) does not. Costs stay those of the trade.

What it does not answer: whether the entries were any good. Other entries, other markets and crashes that did not happen
are in none of its draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.monte_carlo import DRAWS, Bands, compounded
from trading_assets.core.candles import EPOCH
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.validation.bootstrap import MIN_OBSERVATIONS

Array = NDArray[np.float64]

MAX_CANDLES: Final = 200
"""In one window; more are joined, never across a decision bar."""

MAX_PATHS: Final = 50_000
"""Of all trades together: of many trades, fewer paths each, and accounts draw among them."""

_FEWEST: Final = 50
_BLOCK: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)


def by_paths(
    trades: pl.DataFrame,
    levels: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    *,
    candle_step: timedelta,
    labels: LabelSettings,
    exits: ExitSettings | None,
    starting_balance: float,
    draws: int = DRAWS,
    seed: int = 7,
) -> Bands | None:
    """Accounts of the same entries on other paths; None of fewer than ten trades whose stop and candles are known.

    Parameters
    ----------
    trades
        Rows of the table of this name.
    levels
        Of :func:`trading_assets.backtest.report.executions.levels_of`: how far a trade's stop and target lay.
    candles
        Market -> its finest candles, ascending.
    candle_step
        Their length.
    labels, exits
        The bracket's horizon, decision bars and policy for ambiguous candles; the named plan, where the model has one.
    """
    known = _with_distances(trades, levels).sort("exit_ts", "trade")
    if known.height < MIN_OBSERVATIONS:
        return None
    rng = np.random.default_rng(seed)
    paths = max(_FEWEST, min(draws, MAX_PATHS // known.height))
    before = starting_balance + known["pnl"].cum_sum().to_numpy() - known["pnl"].to_numpy()
    prices = {market: _prices(frame) for market, frame in candles.items()}
    found = []
    for row, account in zip(known.iter_rows(named=True), before, strict=True):
        unit = row["stop"] / exits.stop if exits is not None else 0.0
        hold = labels.horizon_bars * labels.timeframe.length
        plan = ExitPlan.of(exits, unit) if exits is not None else ExitPlan.bracket(row["target"], row["stop"], hold)
        window = _window(prices.get(row["market"]), row, plan.hold, candle_step, labels.timeframe)
        if window is None or account <= 0 or not plan.targets:
            continue
        notional = row["entry_price"] * row["quantity"]
        cost = (row["fees"] - (row["funding"] or 0.0)) / notional
        gross = _followed(window, Side.parse(row["side"]), plan, labels, paths, rng, cost=cost)
        found.append(np.maximum((gross - cost) * notional / account, -1.0)[rng.integers(0, paths, draws)])
    return compounded(np.column_stack(found)) if len(found) >= MIN_OBSERVATIONS else None


def _with_distances(trades: pl.DataFrame, levels: pl.DataFrame) -> pl.DataFrame:
    """Trades with ``stop`` and ``target``: how far the first of each lay, as fractions of the entry price."""
    first = levels.sort("start").group_by("signal_id", "purpose", maintain_order=True).agg(pl.col("price").first())
    for purpose, name in (("stop_loss", "stop"), ("take_profit", "target")):
        prices = first.filter(pl.col("purpose") == purpose).select("signal_id", pl.col("price").alias(name))
        trades = trades.join(prices, on="signal_id", how="left")
    away = ((pl.col("stop", "target") / pl.col("entry_price")) - 1).abs()
    return (
        trades.with_columns(away)
        .filter(pl.col("stop") > 0, pl.col("target").is_null() | (pl.col("target") > 0))
        .drop_nulls("stop")
    )


def _prices(candles: pl.DataFrame) -> tuple[NDArray[np.int64], Array]:
    """Opens of candles in microseconds, and ``(n, 4)`` open, high, low and close."""
    times = candles["ts"].dt.epoch("us").to_numpy()
    return times, candles.select("open", "high", "low", "close").to_numpy().astype(np.float64)


def _window(
    known: tuple[NDArray[np.int64], Array] | None,
    trade: Mapping[str, Any],
    hold: timedelta,
    step: timedelta,
    timeframe: Timeframe,
) -> tuple[Array, timedelta] | None:
    """The candles of a plan's time as ``(n, 4)`` open, high, low and close over the close before, and their length."""
    if known is None:
        return None
    times, whole = known
    first = (
        trade["entry_ts"]
        - (trade["entry_ts"] - trade["entry_ts"].replace(hour=0, minute=0, second=0, microsecond=0)) % step
    )
    begin, end = np.searchsorted(times, [(one - EPOCH) // _MICROSECOND for one in (first, first + hold)])
    prices = whole[begin:end]
    if len(prices) < 2:
        return None
    joined = _joined(len(prices), timeframe.length // step)
    if joined > 1:
        at = np.arange(0, len(prices), joined)
        last = np.minimum(at + joined, len(prices)) - 1
        highs, lows = np.maximum.reduceat(prices[:, 1], at), np.minimum.reduceat(prices[:, 2], at)
        prices = np.column_stack([prices[at, 0], highs, lows, prices[last, 3]])
    before = np.concatenate([[prices[0, 0]], prices[:-1, 3]])
    return prices / before[:, None], step * joined


def _joined(count: int, in_a_bar: int) -> int:
    """How many candles become one: the fewest, of those that divide a decision bar, that leave few enough."""
    divisors = [number for number in range(1, in_a_bar + 1) if in_a_bar % number == 0]
    return next((number for number in divisors if count / number <= MAX_CANDLES), divisors[-1])


def _followed(
    window: tuple[Array, timedelta],
    side: Side,
    plan: ExitPlan,
    labels: LabelSettings,
    paths: int,
    rng: np.random.Generator,
    *,
    cost: float,
) -> Array:
    """The gross return of a trade on each path that is drawn from its window."""
    from trading_assets.exits import kernel
    from trading_assets.exits.arrays import Outcomes

    ratios, length = window
    step, bar = length // _MICROSECOND, labels.timeframe.length // _MICROSECOND
    count = ratios.shape[0]
    drawn = ratios[_blocks(count, max(1.0, _BLOCK / length), paths, rng)]
    closes = np.cumprod(drawn[:, :, 3], axis=1)
    before = np.concatenate([np.ones((paths, 1)), closes[:, :-1]], axis=1)
    opens, highs, lows = (drawn[:, :, one] * before for one in range(3))
    span = -(-count * step // bar) * bar
    known_at = np.arange(paths, dtype=np.int64) * span
    times = (known_at[:, None] + np.arange(count, dtype=np.int64) * step).ravel()
    path = kernel.path(times, opens.ravel(), highs.ravel(), lows.ravel(), closes.ravel(), step=step, bar=bar)
    compiled = kernel.plan_of(
        plan.stop,
        np.array([target.distance for target in plan.targets]),
        np.array([target.share for target in plan.targets]),
        break_even_after=plan.break_even_after or 0,
        trailing=plan.trailing or 0.0,
        trailing_after=plan.trailing_after,
    )
    outcomes = Outcomes.empty(paths)
    sides, units = np.full(paths, side.value, np.int8), np.ones(paths)
    for one in (known_at, sides, units):
        one.setflags(write=False)
    ends = known_at + count * step
    ends.setflags(write=False)
    until, best_case = int(ends[-1]), labels.ambiguous == "best_case"
    kernel.follow_plans(path, known_at, sides, units, ends, compiled, cost, until, best_case, False, outcomes)
    return np.asarray(outcomes.gross)


def _blocks(count: int, length: float, paths: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of a circle's blocks of random, geometric length: the stationary bootstrap."""
    jumps = rng.random((paths, count)) < 1 / length
    jumps[:, 0] = True
    at = np.maximum.accumulate(np.where(jumps, np.arange(count), 0), axis=1)
    starts = rng.integers(0, count, (paths, count))
    found: NDArray[np.int64] = (np.take_along_axis(starts, at, axis=1) + np.arange(count) - at) % count
    return found
