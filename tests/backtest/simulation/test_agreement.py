"""The simulated exchange beside an independent simulation, and beside what the labels say."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.oracle import simulate
from tests.backtest.worlds import (
    EXACT,
    MINUTE,
    QUARTER,
    A,
    backtest,
    random_signals,
    walk,
)
from tests.examples import examples
from trading_assets.backtest.simulation.slices import MarketRules, decision_bars
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.labels import triple_barrier
from trading_assets.settings import LabelSettings


def test_the_engine_counts_the_same_trades() -> None:
    result = backtest(random_signals(A, 6000, seed=5), {A: walk(6000, seed=5)})
    theirs = result.engine_statistics
    assert theirs["Win Rate"] == pytest.approx(result.metrics["win_rate"])
    assert theirs["PnL (total)"] == pytest.approx(result.metrics["total_pnl"], abs=1e-6)
    assert theirs["Expectancy"] == pytest.approx(result.metrics["avg_trade_pnl"], abs=1e-6)


@pytest.mark.slow
@examples(25)
@given(
    seed=st.integers(0, 10_000),
    gap_share=st.sampled_from([0.0, 0.0, 0.3]),
    volatility=st.sampled_from([5e-4, 2e-3]),
    horizon=st.integers(1, 12),
    barriers=st.sampled_from([(2.0, 1.0), (0.4, 0.3), (0.1, 0.1)]),
    sides=st.sampled_from([(Side.LONG,), (Side.SHORT,), (Side.LONG, Side.SHORT)]),
    minutes=st.sampled_from([15, 15, 1, 5, 60, 90, 120]),
)
def test_it_agrees_with_an_independent_simulation(
    seed: int,
    gap_share: float,
    volatility: float,
    horizon: int,
    barriers: tuple[float, float],
    sides: tuple[Side, ...],
    minutes: int,
) -> None:
    timeframe = Timeframe(minutes)
    frame = walk(1500, seed=seed, volatility=volatility, gap_share=gap_share)
    predictions = pl.concat(
        random_signals(A, 1200, seed=seed + 1 + side, side=side, bar=timeframe.length) for side in sides
    )
    labels = LabelSettings(
        timeframe=timeframe, take_profit_pct=barriers[0], stop_loss_pct=barriers[1], horizon_bars=horizon
    )
    result = backtest(predictions, {A: frame}, labels=labels)
    lot = MarketRules.of(frame).lot
    expected = simulate(predictions, A, frame, threshold=0.55, labels=labels, settings=EXACT, lot=lot)
    found = result.trades.rows(named=True)
    assert [t["side"] for t in found] == ["long" if t.side > 0 else "short" for t in expected]
    assert [t["exit_reason"] for t in found] == [t.exit_reason for t in expected]
    assert [t["entry_ts"] for t in found] == [t.entry_ts + timedelta(milliseconds=100) for t in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["entry_price"] == pytest.approx(theirs.entry_price, abs=1e-9)
        assert ours["exit_price"] == pytest.approx(theirs.exit_price, abs=1e-9)
        assert ours["quantity"] == pytest.approx(theirs.quantity, abs=1.01 * lot)
        assert ours["fees"] == pytest.approx(theirs.fees, rel=1e-3)
        assert ours["pnl"] == pytest.approx(theirs.pnl, rel=1e-3, abs=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_trade_ends_as_its_label_says(seed: int) -> None:
    frame = walk(4000, seed=seed, volatility=2e-3)
    labels = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.6, horizon_bars=8)
    until = frame["ts"][-1] + MINUTE
    bars = decision_bars(frame, timeframe="1m", decision_timeframe="15m", until=until).with_columns(market=pl.lit(A))
    known = triple_barrier(
        bars, frame.with_columns(market=pl.lit(A)), candle_timeframe="1m", settings=labels, until=until
    )
    trades = backtest(random_signals(A, 3500, seed=seed), {A: frame}, labels=labels).trades
    both = trades.join(known, left_on="signal_ts", right_on="ts", suffix="_label")
    assert both.height > 20
    assert both["exit_reason"].to_list() == both["barrier"].to_list()
    assert both["entry_price"].to_list() == both["entry_price_label"].to_list()


def test_coarse_candles_work_too() -> None:
    frame = (
        walk(6000, seed=7)
        .group_by_dynamic("ts", every="15m")
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
    result = backtest(random_signals(A, 5000, seed=7), {A: frame}, timeframe="15m")
    assert result.trades.height > 5
    opens = dict(frame.select("ts", "open").iter_rows())
    for trade in result.trades.iter_rows(named=True):
        assert trade["entry_price"] == opens[trade["signal_ts"] + QUARTER]
