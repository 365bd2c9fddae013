"""The event-driven backtest and the brute-force simulator tell the same story of each trade of an exit plan."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.backtest.worlds import (
    ANY_EDGE,
    EXACT,
    FREE,
    GENEROUS,
    LABELS,
    MINUTE,
    QUARTER,
    A,
    candles,
    random_signals,
    signals,
    walk,
)
from tests.exits.brute_force import Candle, Trade, simulate
from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import BacktestSettings, LabelSettings, ModelSettings
from trading_assets.settings.sections.exits import ExitSettings, TargetSettings, TrailingSettings

DAY = 24 * 60
REASONS = {"target": "take_profit", "stop": "stop_loss"}


def plan_of(seed: int) -> ExitSettings:
    """A plan of random targets, shares, break-even and trailing; distances in percent."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 4))
    shares = rng.dirichlet(np.full(count, 3.0)).round(2)
    shares[-1] = round(1 - shares[:-1].sum(), 2)
    if rng.random() < 0.3:
        shares = shares * 0.7  # the rest is left to the stop and time
    trails = rng.random() < 0.6
    return ExitSettings(
        unit="percent",
        stop=float(rng.uniform(0.3, 1.0)),
        targets=[
            TargetSettings(at=float(at), share=float(share))
            for at, share in zip(np.sort(rng.uniform(0.15, 1.5, count)), shares, strict=True)
        ],
        break_even_after=int(rng.integers(1, count + 1)) if rng.random() < 0.7 else None,
        trailing=TrailingSettings(
            distance=float(rng.uniform(0.15, 0.8)), after="entry" if rng.random() < 0.4 else "first_target"
        )
        if trails
        else None,
        hold_hours=float(rng.choice([1, 3, 8])),
        on_opposite=False,
    )


def traded(
    frame: pl.DataFrame,
    predictions: pl.DataFrame,
    plan: ExitSettings,
    labels: LabelSettings = LABELS,
    *,
    settings: BacktestSettings = FREE,
) -> BacktestResult:
    spec = ModelSettings(
        markets=[A], threshold=0.55, min_edge_bps=ANY_EDGE, sides=[Side.LONG, Side.SHORT], exit="p", exit_plan=plan
    )
    return run_backtest(
        predictions,
        {A: frame},
        candle_timeframe="1m",
        model=spec,
        labels=labels,
        settings=settings,
        risk=GENEROUS,
        name="test",
        reckoned_bps=12.0,
    )


def retold(frame: pl.DataFrame, row: dict, plan: ExitSettings, *, best_case: bool) -> Trade:
    known_at, side = row["signal_ts"] + QUARTER, Side.LONG if row["side"] == "long" else Side.SHORT
    within = frame.filter(pl.col("ts").is_between(known_at, known_at + plan.hold, closed="left"))
    path = [Candle(*one) for one in within.select("ts", "open", "high", "low", "close").rows()]
    found = simulate(
        path,
        side=side,
        plan=ExitPlan.of(plan, 0.01),
        known_at=known_at,
        step=MINUTE,
        bar=QUARTER,
        cost=12e-4,
        best_case=best_case,
    )
    assert found is not None
    return found


def as_ordered(told: Trade, number: int, plan: ExitSettings, next_open: float | None) -> float:
    """The price of one part as orders get it: a limit its own, also where the market gaps over it, the time stop the
    next candle's open."""
    one = told.exits[number]
    if one.reason == "target":
        return told.entry_price * (1 + told.side * plan.targets[number].at / 100)
    if one.reason == "time":
        assert next_open is not None
        return next_open
    return one.price


@pytest.mark.parametrize("ambiguous", ["worst_case", "best_case"])
@pytest.mark.parametrize("seed", range(6))
def test_each_trade_ends_as_the_simulator_says(seed: int, ambiguous: str) -> None:
    minutes, plan = 3 * DAY, plan_of(seed)
    frame = walk(minutes, seed=seed, volatility=1.5e-3)
    side = Side.LONG if seed % 2 else Side.SHORT
    predictions = random_signals(A, minutes, seed=seed, side=side)
    result = traded(frame, predictions, plan, LABELS.model_copy(update={"ambiguous": ambiguous}))
    opens = dict(frame.select("ts", "open").iter_rows())
    last = frame["ts"][-1]
    compared = 0
    for row in result.trades.iter_rows(named=True):
        expiry = row["signal_ts"] + QUARTER + plan.hold
        if expiry > last:
            continue
        told = retold(frame, row, plan, best_case=ambiguous == "best_case")
        assert row["entry_price"] == told.entry_price
        assert row["exit_reason"] == REASONS.get(told.reason, told.reason), row
        price = sum(
            one.share * as_ordered(told, number, plan, opens.get(expiry)) for number, one in enumerate(told.exits)
        )
        assert row["exit_price"] == pytest.approx(price, abs=0.011), row
        last_ts = told.exits[-1].ts
        assert last_ts <= row["exit_ts"] <= last_ts + MINUTE + timedelta(seconds=1), row
        compared += 1
    assert compared >= 10


HALF_AT_ONE = ExitSettings(
    unit="percent",
    stop=3.0,
    targets=[TargetSettings(at=1, share=0.5), TargetSettings(at=9, share=0.5)],
    break_even_after=None,
    trailing=None,
    hold_hours=8,
)
"""Half is closed at 1 %; the other half mostly by the stop, or by time."""


def moved(side: Side, percent: float) -> tuple[float, float, float, float]:
    """A candle without a range, so far from 100 in favour of a side."""
    return (100 + side * percent,) * 4


@pytest.mark.parametrize("side", Side)
def test_the_worst_move_of_a_trade_reaches_to_the_price_of_its_last_exit(side: Side) -> None:
    path = [moved(side, 0)] * 17 + [moved(side, 1.0)] * 2 + [moved(side, -4.0)] * 60
    trade = traded(candles(path), signals((A, 0, 0.7), side=side), HALF_AT_ONE).trades.row(0, named=True)
    assert (trade["targets_filled"], trade["exit_reason"]) == (1, "stop_loss")
    assert trade["mfe"] == pytest.approx(0.01)
    assert trade["mae"] == pytest.approx(0.04), "the market gapped through the stop; half of it was out at the target"


@pytest.mark.parametrize("side", Side)
def test_what_a_target_closed_before_midnight_is_marked_to_market_no_more(side: Side) -> None:
    evening = 23 * 60
    path = (
        [moved(side, 0)] * (evening + 1)
        + [moved(side, 1.0)] * 2
        + [moved(side, -2.0)] * 60
        + [moved(side, 0.5)] * (10 * 60)
    )
    predictions = signals((A, 23 * 4 - 1, 0.7), side=side)
    result = traded(candles(path), predictions, HALF_AT_ONE, settings=EXACT)
    trade = result.trades.row(0, named=True)
    quantity, entered, target = 100.0, 100 * 5e-4, (100 + side) * 2e-4
    marked = quantity * (0.5 * 1.0 + 0.5 * -2.0) - quantity * entered - quantity / 2 * target
    assert (trade["targets_filled"], trade["exit_reason"]) == (1, "time")
    assert result.equity["equity"].to_list() == pytest.approx([100_000 + marked, 100_000 + trade["pnl"]])
