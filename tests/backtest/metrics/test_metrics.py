"""Performance figures: known answers, edge cases, and NautilusTrader's own statistics."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.backtest import metrics
from trading_assets.backtest.metrics import UNBOUNDED
from trading_assets.store.tables import EQUITY, TRADES

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def equity(*values: float) -> pl.DataFrame:
    rows = [("m", 1, START + n * DAY, value, 0.0) for n, value in enumerate(values)]
    return pl.DataFrame(rows, schema=EQUITY.columns, orient="row")


def trades(*pnl: float, hours: float = 6.0) -> pl.DataFrame:
    rows = [
        ("m", 1, n, "x:A/USDT", "long", START, 0.6, START + n * DAY, START + n * DAY + timedelta(hours=hours),
         100.0, 100.0 + p, 1.0, 0.25, p, p / 100, "time")
        for n, p in enumerate(pnl)
    ]  # fmt: skip
    names = ("model", "version", "trade", "market", "side", "signal_ts", "probability", "entry_ts", "exit_ts",
             "entry_price", "exit_price", "quantity", "fees", "pnl", "return", "exit_reason")  # fmt: skip
    told = pl.DataFrame(rows, schema={name: TRADES.columns[name] for name in names}, orient="row")
    return pl.concat([pl.DataFrame(schema=TRADES.columns), told], how="diagonal")


def compute(t: pl.DataFrame, e: pl.DataFrame, *, balance: float = 100.0) -> dict[str, float]:
    return metrics.compute(t, e, starting_balance=balance, markets=1, start=START, end=START + e.height * DAY)


def test_sharpe_is_mean_over_deviation_of_daily_returns_times_the_root_of_365() -> None:
    returns = np.array([0.01, -0.01, 0.02, 0.0])
    deviation = math.sqrt(sum((r - 0.005) ** 2 for r in returns) / 3)
    assert metrics.sharpe(returns) == pytest.approx(0.005 / deviation * math.sqrt(365))


def test_days_without_a_trade_count_in_sharpe() -> None:
    assert metrics.sharpe(np.array([0.01, 0.02, 0.0, 0.0])) < metrics.sharpe(np.array([0.01, 0.02]))


def test_sortino_divides_by_the_downside_over_all_days() -> None:
    returns = np.array([0.03, -0.01, 0.0, 0.02])
    assert metrics.sortino(returns) == pytest.approx(0.01 / math.sqrt(0.0001 / 4) * math.sqrt(365))


def test_max_drawdown_is_the_deepest_fraction_below_the_running_peak() -> None:
    assert metrics.max_drawdown([100, 120, 90, 130, 117], 100) == pytest.approx(0.25)
    assert metrics.max_drawdown([80, 90], 100) == pytest.approx(0.2), "the starting balance is the first peak"


def test_cagr_of_a_doubling_in_a_year_is_one() -> None:
    assert metrics.cagr(200, 100, 365) == pytest.approx(1.0)
    assert metrics.cagr(121, 100, 730) == pytest.approx(0.1)


def test_a_set_of_trades_has_the_expected_figures() -> None:
    result = compute(trades(10.0, -5.0, 15.0, -5.0), equity(110, 105, 120, 115))
    assert result["trades"] == 4
    assert result["win_rate"] == 0.5
    assert result["profit_factor"] == pytest.approx(2.5)
    assert result["avg_trade_pnl"] == pytest.approx(3.75)
    assert result["total_fees"] == pytest.approx(1.0)
    assert result["exposure"] == pytest.approx(0.25)
    assert result["total_return"] == pytest.approx(0.15)
    assert result["max_drawdown"] == pytest.approx(5 / 110)
    assert metrics.calmar(0.3, 0.1) == pytest.approx(3)
    assert result["turnover"] == pytest.approx((4 * 200 + 15) / 112.5)


def test_no_trades_give_zeros() -> None:
    result = compute(trades(), equity(100, 100, 100))
    for name in (
        "trades",
        "win_rate",
        "profit_factor",
        "sharpe",
        "sortino",
        "max_drawdown",
        "cagr",
        "calmar",
        "turnover",
    ):
        assert result[name] == 0, name


def test_ratios_without_a_loss_are_the_largest_number_not_infinity() -> None:
    result = compute(trades(1.0, 2.0), equity(101, 103))
    assert result["profit_factor"] == result["sortino"] == result["calmar"] == UNBOUNDED


def test_a_lost_account_is_minus_one_not_an_error() -> None:
    result = compute(trades(-100.0), equity(0.0, 0.0))
    assert result["cagr"] == -1
    assert result["max_drawdown"] == 1
    assert all(math.isfinite(value) for value in result.values())


def test_an_empty_curve_gives_finite_figures() -> None:
    assert all(math.isfinite(value) for value in compute(trades(), equity()).values())


@given(
    st.lists(st.floats(-50, 50, allow_nan=False), max_size=40),
    st.lists(st.floats(0.01, 1e6, allow_nan=False), min_size=1, max_size=40),
)
def test_every_metric_is_finite(pnl: list[float], curve: list[float]) -> None:
    result = compute(trades(*pnl), equity(*curve))
    assert all(math.isfinite(value) for value in result.values())
    assert 0 <= result["max_drawdown"] <= 1
    assert 0 <= result["win_rate"] <= 1


def test_it_agrees_with_nautilus() -> None:
    from nautilus_trader import analysis

    rng = np.random.default_rng(3)
    returns = rng.normal(0.001, 0.02, 300)
    curve = 100 * np.cumprod(1 + returns)
    days = {int((START + n * DAY).timestamp()) * 10**9: float(r) for n, r in enumerate(returns)}
    assert metrics.sharpe(returns) == pytest.approx(analysis.SharpeRatio(365).calculate_from_returns(days))
    assert metrics.max_drawdown(curve, 100) == pytest.approx(abs(analysis.MaxDrawdown().calculate_from_returns(days)))
    pnl = rng.normal(1, 10, 200)
    assert metrics.win_rate(pnl) == pytest.approx(analysis.WinRate().calculate_from_realized_pnls(pnl.tolist()))
