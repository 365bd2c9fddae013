"""Prices and volumes in other units: the same trades and returns, or a refusal before the run."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.backtest.worlds import EXACT, A, backtest, candles, engine_bars, random_signals, walk
from tests.examples import examples
from tests.scaling import rescaled
from trading_assets.backtest.simulation import venue
from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.errors import InvalidFrame, SettingsError

MINUTES = 3_000
SIGNALS = random_signals(A, MINUTES, seed=1)
SMALL = EXACT.model_copy(update={"slippage_probability": 0.5, "starting_balance": 1_000.0})
"""Positions of 100: at the smallest price, a trillion coins."""


@cache
def market() -> pl.DataFrame:
    return walk(MINUTES, seed=7).with_columns(volume=pl.lit(1e9))


@cache
def traded(price: int, volume: int) -> BacktestResult:
    return backtest(SIGNALS, {A: rescaled(market(), price, volume)}, settings=SMALL)


@pytest.mark.slow
@given(price=st.integers(-12, 6), traded_quote=st.integers(-3, 12))
@example(price=-12, traded_quote=0)
@example(price=-10, traded_quote=2)
@example(price=6, traded_quote=0)
@example(price=0, traded_quote=12)
@examples(10)
def test_a_market_in_other_units_has_the_same_trades_and_returns(price: int, traded_quote: int) -> None:
    volume = min(traded_quote - price, 12)
    found = traded(price, volume)
    usual = traded(0, 0)
    assert usual.trades.height > 20
    same = ["trade", "market", "signal_ts", "entry_ts", "exit_ts", "exit_reason"]
    assert found.trades.select(same).equals(usual.trades.select(same))
    for name in ("entry_price", "exit_price"):
        assert (found.trades[name] / usual.trades[name] * 10.0**-price - 1).abs().max() < 1e-9
    assert (found.trades["return"] - usual.trades["return"]).abs().max() < 1e-9


def test_what_the_engine_cannot_hold_is_refused_with_value_and_limit() -> None:
    frame = market()
    with pytest.raises(InvalidFrame, match=r"a price of 9\.\d+e-15 has more decimals than the engine holds, 16"):
        MarketRules.of(rescaled(frame, -16, 0))
    with pytest.raises(InvalidFrame, match=r"a price of 1\.\d+e\+14 is more than the engine holds, 1\.7e\+13"):
        MarketRules.of(rescaled(frame, 12, 0))
    with pytest.raises(
        SettingsError, match=r"12,500 at a price of 9\.\d+e-10 are 1\.\d+e\+13 coins; the engine holds 8\.5e\+12"
    ):
        backtest(SIGNALS, {A: rescaled(frame, -11, 0)})


@pytest.mark.parametrize("capital", [1e-3, 1.0, 1e5])
@pytest.mark.parametrize("price", [150.25, 8e-5, 8e-8, 1.5e-9, 2e6])
def test_a_step_of_quantity_is_worth_little_of_the_capital(price: float, capital: float) -> None:
    rules = MarketRules.of(candles([(price,) * 4]), capital=capital)
    assert 1e-7 * capital < rules.lot * price <= 1e-5 * capital


def test_a_coarse_tick_is_told_from_a_market_that_stood_still() -> None:
    coarse = [(p * 1e-8,) * 4 for p in (7, 8, 9, 8, 7, 8, 9, 8, 7, 8, 9, 8)]
    assert MarketRules.of(candles(coarse)).tick == 1e-8
    assert MarketRules.of(candles([(8e-8,) * 4] * 50)).tick == 1e-10
    assert MarketRules.of(candles([(p * 1e4,) * 4 for p in range(100, 120)])).tick == 1e4


def test_what_the_engine_gets_are_the_frames_prices_at_any_scale() -> None:
    for power in (-12, -7, 0, 6):
        frame = rescaled(market().head(200), power, 0)
        feed = venue.Feed(A, "1m", MarketRules.of(frame), frame.rename({"ts": "at"}))
        bars = engine_bars(feed)
        assert [float(str(bar.close)) for bar in bars] == frame["close"].to_list()
