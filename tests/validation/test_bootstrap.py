from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from trading_assets.backtest import metrics
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.validation import performance
from trading_assets.validation.bootstrap import (
    OF_DAILY_RETURNS,
    OF_TRADES,
    confidence_intervals,
    optimal_block_length,
    resample,
)

Array = npt.NDArray[np.float64]


def remembering(rng: np.random.Generator, *, memory: float, size: tuple[int, int], mean: float = 0.0) -> Array:
    """First-order autoregressive series with unit variance."""
    shocks = rng.normal(size=size) * math.sqrt(1 - memory**2)
    series = np.empty(size)
    series[:, 0] = rng.normal(size=size[0])
    for step in range(1, size[1]):
        series[:, step] = memory * series[:, step - 1] + shocks[:, step]
    return series + mean


def test_the_batched_metrics_are_those_of_the_backtest() -> None:
    rng = np.random.default_rng(1)
    returns, pnl = rng.normal(0.001, 0.02, size=(50, 90)), rng.normal(5, 100, size=(50, 40))
    for daily, trades in zip(returns, pnl, strict=True):
        curve = (1000 * np.cumprod(1 + daily)).tolist()
        assert performance.sharpe(daily) == pytest.approx(metrics.sharpe(daily))
        assert performance.max_drawdown(daily) == pytest.approx(metrics.max_drawdown(curve, 1000))
        assert performance.profit_factor(trades) == pytest.approx(metrics.profit_factor(trades))
        assert performance.win_rate(trades) == metrics.win_rate(trades)
    assert performance.sharpe(returns) == pytest.approx([metrics.sharpe(daily) for daily in returns])
    assert performance.profit_factor(pnl) == pytest.approx([metrics.profit_factor(trades) for trades in pnl])


@pytest.mark.parametrize("pnl", [[], [0.0, 0.0], [1.0, 2.0], [-1.0, -2.0], [5000.0, -1.0]])
def test_degenerate_trades_and_returns_have_the_backtests_values(pnl: list[float]) -> None:
    trades = np.array(pnl)
    assert performance.profit_factor(trades) == metrics.profit_factor(trades)
    assert performance.win_rate(trades) == metrics.win_rate(trades)
    assert performance.sharpe(trades) == pytest.approx(metrics.sharpe(trades))
    assert performance.max_drawdown(np.array([0.1, -2.0, 0.5])) == 1.0
    assert performance.max_drawdown(np.array([])) == 0.0


def test_an_independent_series_asks_for_short_blocks_and_one_with_a_memory_for_long_ones() -> None:
    rng = np.random.default_rng(2)
    lengths = {
        memory: np.mean([optimal_block_length(row) for row in remembering(rng, memory=memory, size=(20, 500))])
        for memory in (0.0, 0.5, 0.9)
    }
    assert lengths[0.0] < 6 < lengths[0.5] < 20 < lengths[0.9]


def test_the_block_length_is_that_of_the_closed_form_for_an_autoregressive_series() -> None:
    """Politis and White: ``(2 G^2 / D)^(1/3) n^(1/3)``; for AR(1) ``G / s^2 = 2 r / (1 - r^2)``, ``D = 2 s^4``."""
    rng = np.random.default_rng(3)
    measured = np.median([optimal_block_length(row) for row in remembering(rng, memory=0.5, size=(10, 10_000))])
    assert measured == pytest.approx((2 * 0.5 / (1 - 0.25)) ** (2 / 3) * 10_000 ** (1 / 3), rel=0.2)


def test_blocks_have_the_average_length_and_every_observation_is_drawn_equally_often() -> None:
    samples = resample(50, block_length=8.0, resamples=4000, seed=1)
    assert samples.shape == (4000, 50)
    continued = (samples[:, 1:] == (samples[:, :-1] + 1) % 50).mean()
    assert continued == pytest.approx(1 - 1 / 8 * 49 / 50, abs=0.005)
    assert np.bincount(samples.ravel()) == pytest.approx(4000, rel=0.1)


@pytest.mark.slow
def test_intervals_hold_the_true_value_as_often_as_they_say_also_where_returns_remember() -> None:
    rng = np.random.default_rng(4)
    truth, plain, blocked = 0.1, [], []
    for row in remembering(rng, memory=0.4, size=(150, 400), mean=truth):
        mean_over_spread = {"ratio": lambda x: x.mean(axis=-1) / x.std(axis=-1, ddof=1)}
        for held, length in ((blocked, None), (plain, 1.0)):
            got = confidence_intervals(row, mean_over_spread, confidence=0.9, resamples=200, block_length=length)
            held.append(got["ratio"].low <= truth <= got["ratio"].high)
    assert np.mean(blocked) > 0.82
    assert np.mean(plain) < 0.78  # shuffling single days forgets their memory and promises too much


def test_for_independent_returns_the_standard_error_is_that_of_the_formula() -> None:
    from trading_assets.validation.sharpe import SharpeEstimate

    returns = np.random.default_rng(5).standard_t(6, size=1000) * 0.01 + 0.0005
    got = confidence_intervals(returns, OF_DAILY_RETURNS, block_length=1.0)["sharpe"]
    assert got.standard_error == pytest.approx(SharpeEstimate.of(returns).standard_error * math.sqrt(365), rel=0.06)


def test_intervals_of_returns_and_trades_hold_their_estimates_and_widen_with_the_confidence() -> None:
    rng = np.random.default_rng(6)
    for values, statistics in (
        (rng.normal(0.001, 0.02, 365), OF_DAILY_RETURNS),
        (rng.normal(20, 100, 150), OF_TRADES),
    ):
        narrow = confidence_intervals(values, statistics, confidence=0.8)
        wide = confidence_intervals(values, statistics, confidence=0.99)
        for name in statistics:
            assert wide[name].low < narrow[name].low < narrow[name].estimate < narrow[name].high < wide[name].high


def test_the_same_seed_gives_the_same_intervals_and_another_gives_others() -> None:
    returns = np.random.default_rng(7).normal(0.001, 0.02, 100)
    assert confidence_intervals(returns, OF_DAILY_RETURNS) == confidence_intervals(returns, OF_DAILY_RETURNS)
    assert confidence_intervals(returns, OF_DAILY_RETURNS) != confidence_intervals(returns, OF_DAILY_RETURNS, seed=8)


def test_a_strategy_that_never_traded_has_intervals_without_width() -> None:
    got = confidence_intervals(np.zeros(60), OF_DAILY_RETURNS)
    assert {(interval.low, interval.estimate, interval.high) for interval in got.values()} == {(0.0, 0.0, 0.0)}


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(InvalidFrame, match="9 observations are too few"):
        confidence_intervals(np.ones(9), OF_TRADES)
    with pytest.raises(InvalidFrame, match="1 of 20 values are not finite"):
        confidence_intervals([*np.ones(19), math.inf], OF_TRADES)
    with pytest.raises(SettingsError, match="confidence"):
        confidence_intervals(np.ones(20), OF_TRADES, confidence=95)
    with pytest.raises(SettingsError, match="block length"):
        confidence_intervals(np.ones(20), OF_TRADES, block_length=0.5)
