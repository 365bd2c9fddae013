"""The protections in a backtest: what they refuse and close there, and that without limits nothing changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backtest.worlds import (
    EXACT,
    START,
    A,
    B,
    backtest,
    candles,
    flat,
    random_signals,
    signals,
    walk,
)
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.settings import BacktestSettings, LabelSettings, ProtectionSettings

WIDE = LabelSettings(take_profit_pct=50.0, stop_loss_pct=40.0, horizon_bars=400)
TIGHT = LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=4)


def protected(**limits: Any) -> BacktestSettings:
    told = ProtectionSettings.model_validate(limits)
    return EXACT.model_copy(update={"protections": told})


def reasons(result: BacktestResult) -> list[str]:
    return list(result.refusals)


def test_a_drawdown_with_an_open_trade_closes_it_and_enters_nothing_more() -> None:
    """10 % of the equity is long at 100 and falls to 80: 2 % of the equity, which no closed trade has shown."""
    fall = [*flat(30), *((100 - n, 100 - n, 100 - n, 100 - n) for n in range(20)), *flat(120, 80.0)]
    asked = signals((A, 0, 0.7), (A, 6, 0.7), (A, 8, 0.7))
    free = backtest(asked, {A: candles(fall)}, labels=WIDE)
    assert free.trades["exit_reason"].to_list() == ["end"]
    held = backtest(asked, {A: candles(fall)}, labels=WIDE, settings=protected(drawdown_pct=1.0))
    (trade,) = held.trades.iter_rows(named=True)
    assert trade["exit_reason"] == "halted"
    lost = -trade["pnl"] / EXACT.starting_balance
    assert lost == pytest.approx(0.015, abs=2e-4), "the decision bar that ended at 85 showed it"
    (why,) = reasons(held)
    assert "drawdown_pct" in why


def test_a_days_loss_ends_with_the_day() -> None:
    rows = [*flat(20), *flat(60, 90.0), *flat(24 * 60, 90.0)]
    bars = [0, 6, 24 * 4, 24 * 4 + 2]
    held = backtest(
        signals(*((A, n, 0.7) for n in bars)),
        {A: candles(rows)},
        labels=WIDE,
        settings=protected(daily_loss_pct=0.5),
    )
    midnight = START + timedelta(days=1)
    assert [one >= midnight for one in held.trades["entry_ts"]] == [False, True]
    assert held.trades["exit_reason"].to_list() == ["halted", "end"]


def test_a_losing_streak_rests_its_market_alone_and_then_counts_anew() -> None:
    saw = [*flat(16), (100, 100, 98, 98)]
    rows = [*saw, *[(98, 98, 98, 98)] * 13, *[(98, 98, 98, 98), (98, 98, 96, 96)], *[(96, 96, 96, 96)] * 600]
    asked = signals(*((market, n, 0.7) for n in range(30) for market in (A, B)))
    frames = {A: candles(rows), B: candles(flat(len(rows)))}
    free = backtest(asked, frames, labels=TIGHT)
    held = backtest(
        asked, frames, labels=TIGHT, settings=protected(market_losing_streak={"limit": 1, "cooldown_s": 3600})
    )
    first = free.trades.filter(pl.col("market") == A).sort("entry_ts").row(0, named=True)
    assert first["exit_reason"] == "stop_loss"
    rested = held.trades.filter(pl.col("market") == A).sort("entry_ts")
    gaps = rested["entry_ts"].diff().drop_nulls().to_list()
    assert gaps[0] >= timedelta(hours=1)
    assert any("market_losing_streak" in why for why in reasons(held))


@given(seed=st.integers(0, 1000))
@settings(max_examples=3, suppress_health_check=list(HealthCheck))
def test_limits_that_nothing_reaches_change_no_trade(seed: int) -> None:
    frame, asked = walk(600, seed=seed), random_signals(A, 600, seed=seed)
    free = backtest(asked, {A: frame})
    held = backtest(
        asked,
        {A: frame},
        settings=protected(
            daily_loss_pct=99,
            drawdown_pct=99,
            model_losing_streak=999,
            market_losing_streak=999,
            orders_per_minute=999,
            signals_per_minute=999,
            funding_bps=999,
        ),
    )
    assert held.trades.equals(free.trades)
    assert held.equity.equals(free.equity)
    assert held.metrics == pytest.approx(free.metrics, nan_ok=True)
