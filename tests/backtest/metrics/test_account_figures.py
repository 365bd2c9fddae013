"""Drawdowns, rolling Sharpe ratio and buy and hold: known answers by hand, and vectorbt's."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.backtest import metrics

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def equity(*values: float) -> pl.DataFrame:
    stamps = [START + n * DAY for n in range(len(values))]
    return pl.DataFrame({"ts": stamps, "equity": values}, schema={"ts": pl.Datetime("us", "UTC"), "equity": pl.Float64})


def test_drawdowns_by_hand() -> None:
    table = metrics.drawdowns(equity(100, 90, 95, 100, 120, 60, 90), starting_balance=100)
    assert table.rows() == [
        (START + 5 * DAY, START + 5 * DAY, None, 0.5, 2),
        (START + DAY, START + DAY, START + 3 * DAY, pytest.approx(0.1), 2),
    ]
    assert metrics.drawdowns(equity(100, 110), starting_balance=100).is_empty()
    first = metrics.drawdowns(equity(99, 101), starting_balance=100).row(0, named=True)
    assert (first["start"], first["depth"]) == (START, pytest.approx(0.01)), "the starting balance is the first peak"


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=60))
def test_the_deepest_drawdown_is_the_maximum_drawdown(curve: list[float]) -> None:
    table = metrics.drawdowns(equity(*curve), starting_balance=100)
    assert (table["depth"].max() or 0) == pytest.approx(metrics.max_drawdown(curve, 100), abs=1e-12)
    assert table["days"].sum() <= len(curve)


def test_rolling_sharpe_is_the_ratio_of_each_window() -> None:
    curve = 100 * np.cumprod(1 + np.random.default_rng(1).normal(0, 0.01, 50))
    table = metrics.rolling_sharpe(equity(*curve), starting_balance=100, days=20)
    returns = metrics.daily_returns(curve.tolist(), 100)
    assert table["sharpe"].to_list() == pytest.approx([metrics.sharpe(returns[n - 20 : n]) for n in range(20, 51)])
    assert table["ts"][0] == START + 19 * DAY
    assert metrics.rolling_sharpe(equity(100, 101), starting_balance=100).is_empty()
    assert metrics.rolling_sharpe(equity(*[100] * 5), starting_balance=100, days=3)["sharpe"].to_list() == [0.0] * 3


def closes(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"known_at": [START + (n + 1) * DAY for n in range(len(values))], "close": values}).cast(
        {"known_at": pl.Datetime("us", "UTC"), "close": pl.Float64}
    )


def test_buy_and_hold_buys_equal_parts_and_rebalances_nothing() -> None:
    days = equity(0, 0, 0)["ts"]
    held = metrics.buy_and_hold({"a": closes(10, 20, 40), "b": closes(8, 8, 4)}, days, start=START, balance=100)
    assert held["equity"].to_list() == pytest.approx([100, 150, 225])
    nothing = metrics.buy_and_hold({"a": closes()}, days, start=START, balance=100)
    assert nothing["equity"].to_list() == [100] * 3, "a market without candles stays cash"


def test_alpha_and_beta_of_an_account_that_is_half_the_market_and_a_bit() -> None:
    market = np.random.default_rng(2).normal(0, 0.02, 200)
    found = metrics.regress(0.5 * market + 0.001, market)
    assert found.beta == pytest.approx(0.5)
    assert found.alpha == pytest.approx(0.365)
    assert found.alpha_low <= found.alpha <= found.alpha_high
    assert all(math.isnan(value) for value in metrics.regress(market[:29], market[:29])), "too short to say"
    assert all(math.isnan(value) for value in metrics.regress(np.zeros(200), market)), "never traded"


def test_it_agrees_with_vectorbt() -> None:
    pytest.importorskip("vectorbt", exc_type=ImportError)
    import pandas as pd
    import vectorbt as vbt

    rng = np.random.default_rng(7)
    returns, market = rng.normal(0.001, 0.02, 300), rng.normal(0, 0.03, 300)
    curve = equity(*(100 * np.cumprod(1 + returns)))
    peer = pd.Series(returns, index=pd.date_range("2025-01-01", periods=300)).vbt.returns(freq="1D", year_freq="365D")
    told = metrics.regress(returns, market)
    assert told.beta == pytest.approx(peer.beta(pd.Series(market, index=peer.obj.index)))
    assert metrics.sortino(returns) == pytest.approx(peer.sortino_ratio())
    records = vbt.Drawdowns.from_ts(pd.Series(curve["equity"].to_numpy(), index=peer.obj.index), freq="1D")
    deepest = metrics.drawdowns(curve, starting_balance=100)["depth"].max()
    assert deepest == pytest.approx(-records.max_drawdown())
