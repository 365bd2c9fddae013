from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from trading_assets.backtest import metrics
from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.sharpe import (
    SharpeEstimate,
    Trials,
    deflated_sharpe_ratio,
    expected_max_sharpe,
    independent_trials,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)
from trading_assets.validation.worked_examples import EXAMPLES, WorkedExample, table


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_published_worked_examples_come_out_to_the_last_printed_digit(example: WorkedExample) -> None:
    assert round(example.compute(), example.decimals) == example.published


def test_the_page_shows_what_the_code_gives() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "validation.md"
    assert table() in page.read_text(encoding="utf-8")


def test_moments_agree_with_scipy_and_the_sharpe_ratio_with_the_backtests_metric() -> None:
    returns = np.random.default_rng(1).standard_t(5, size=500) * 0.01 + 0.001
    estimate = SharpeEstimate.of(returns)
    assert estimate.observations == 500
    assert estimate.sharpe * math.sqrt(365) == pytest.approx(metrics.sharpe(returns), rel=1e-12)
    assert estimate.skewness == pytest.approx(stats.skew(returns), rel=1e-12)
    assert estimate.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-12)


def test_for_normal_returns_the_error_is_lo_2002() -> None:
    assert SharpeEstimate(0.1, 401).standard_error == pytest.approx(math.sqrt((1 + 0.5 * 0.1**2) / 400))


def test_the_standard_error_is_the_spread_of_sharpe_ratios_over_many_skewed_samples() -> None:
    rng = np.random.default_rng(2)
    samples = 0.3 - rng.gamma(2.0, size=(4000, 500)) / math.sqrt(2) + math.sqrt(2)  # SR 0.3, skewness -1.41
    measured = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    truth = SharpeEstimate(0.3, 500, -math.sqrt(2), 6.0)
    assert measured.std() == pytest.approx(truth.standard_error, rel=0.05)


def test_a_track_record_of_the_minimum_length_has_exactly_the_confidence() -> None:
    measured = SharpeEstimate(0.12, 10_000, -1.0, 7.0)
    needed = min_track_record_length(measured, 0.05, 0.95)
    assert probabilistic_sharpe_ratio(SharpeEstimate(0.12, math.ceil(needed), -1.0, 7.0), 0.05) >= 0.95
    assert probabilistic_sharpe_ratio(SharpeEstimate(0.12, math.floor(needed), -1.0, 7.0), 0.05) < 0.95


def test_no_track_record_proves_a_sharpe_ratio_below_the_benchmark() -> None:
    assert min_track_record_length(SharpeEstimate(0.05, 100), 0.05) == math.inf


@pytest.mark.parametrize("trials", [2, 3, 5, 10, 100, 1000])
def test_the_expected_maximum_is_near_the_exact_one_of_normal_trials(trials: int) -> None:
    exact, _ = integrate.quad(
        lambda x: x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1), -10, 10, limit=200
    )
    assert expected_max_sharpe(trials, 4.0) == pytest.approx(2 * exact, rel=0.08 if trials == 2 else 0.027)


def test_one_trial_is_not_deflated() -> None:
    estimate = SharpeEstimate.of(np.random.default_rng(3).normal(0.001, 0.01, 300))
    alone = Trials.of([estimate.sharpe])
    assert (alone.count, alone.variance) == (1, 0.0)
    assert deflated_sharpe_ratio(estimate, alone) == probabilistic_sharpe_ratio(estimate)


def test_the_best_of_many_coin_flippers_is_seldom_believed_and_the_naive_reading_often() -> None:
    rng = np.random.default_rng(4)
    naive, deflated = [], []
    for _ in range(200):
        returns = rng.normal(size=(50, 250))
        sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        best = SharpeEstimate.of(returns[sharpes.argmax()])
        naive.append(probabilistic_sharpe_ratio(best) > 0.95)
        deflated.append(deflated_sharpe_ratio(best, Trials.of(sharpes.tolist())) > 0.95)
    assert np.mean(naive) > 0.9
    assert np.mean(deflated) < 0.05


def test_correlated_trials_count_for_less() -> None:
    assert independent_trials(100, 0.0) == 100
    assert independent_trials(100, 1.0) == 1
    assert independent_trials(100, 0.75) == 25.75


estimates = st.builds(
    lambda sharpe, observations, skewness, excess: SharpeEstimate(
        sharpe, observations, skewness, 1 + skewness**2 + excess
    ),
    st.floats(-2, 2),
    st.integers(2, 5000),
    st.floats(-5, 5),
    st.floats(0, 30),
)


@given(estimates, st.integers(1, 10_000), st.floats(0, 1))
def test_more_trials_never_make_a_strategy_more_credible(
    estimate: SharpeEstimate, trials: int, variance: float
) -> None:
    fewer = deflated_sharpe_ratio(estimate, Trials(trials, variance))
    more = deflated_sharpe_ratio(estimate, Trials(2 * trials, variance))
    assert 0 <= more <= fewer <= 1


def test_a_strategy_that_never_traded_has_a_sharpe_ratio_of_zero_and_a_constant_gain_has_none() -> None:
    assert probabilistic_sharpe_ratio(SharpeEstimate.of(np.zeros(30))) == 0.5
    with pytest.raises(InvalidFrame, match=r"all 30 returns are 0\.01"):
        SharpeEstimate.of(np.full(30, 0.01))


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        ([0.1], "1 returns"),
        (["a", "b"], "returns are no numbers"),
        ([0.1, math.nan, 0.2], "1 of 3 returns are not finite"),
        ([[0.1, 0.2]], "2 dimensions"),
    ],
)
def test_returns_that_cannot_be_measured_are_refused(returns: list[float], message: str) -> None:
    with pytest.raises(InvalidFrame, match=message):
        SharpeEstimate.of(returns)


def test_an_excess_kurtosis_given_as_the_kurtosis_is_refused() -> None:
    with pytest.raises(InvalidFrame, match="not the excess"):
        SharpeEstimate(0.1, 100, 0.0, 0.0)


@pytest.mark.parametrize(("count", "variance"), [(0, 0.1), (math.nan, 0.1), (3, -1.0), (3, math.nan)])
def test_impossible_trials_are_refused(count: float, variance: float) -> None:
    with pytest.raises(InvalidFrame, match="trials"):
        Trials(count, variance)


def test_uncounted_trials_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="no trial is counted"):
        Trials.of([])
    with pytest.raises(InvalidFrame, match="not finite"):
        Trials.of([0.1, math.nan])
    with pytest.raises(InvalidFrame, match="average correlation"):
        independent_trials(10, 1.5)
    with pytest.raises(InvalidFrame, match="confidence"):
        min_track_record_length(SharpeEstimate(0.1, 10), confidence=1.0)
