from __future__ import annotations

import math

import numpy as np
import pytest

from trading_assets.backtest.metrics import sharpe
from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.credibility import NEVER_DAYS, credibility
from trading_assets.validation.sharpe import SharpeEstimate, Trials, deflated_sharpe_ratio

RETURNS = np.random.default_rng(1).normal(0.001, 0.01, 400)


def test_annualised_trials_are_read_per_day() -> None:
    tried = [sharpe(RETURNS), 0.3, -1.2, 0.8]
    got = credibility(RETURNS, tried)
    daily = Trials.of([value / math.sqrt(365) for value in tried])
    assert got["dsr"] == deflated_sharpe_ratio(SharpeEstimate.of(RETURNS), daily)
    assert got["expected_max_sharpe"] == pytest.approx(daily.expected_max_sharpe * math.sqrt(365))
    assert got["dsr"] < got["psr"]
    assert got["trials"] == 4


def test_failed_trials_count_too() -> None:
    tried = [sharpe(RETURNS), 0.3, -1.2]
    assert credibility(RETURNS, tried, trials=50)["dsr"] < credibility(RETURNS, tried)["dsr"]
    assert credibility(RETURNS, tried, trials=1)["trials"] == 3


def test_trials_that_nobody_measured_are_not_free_where_the_measured_ones_are_much_alike() -> None:
    alike = [sharpe(RETURNS)] * 4  # what pruning leaves of 40 trials: all near the best
    got = credibility(RETURNS, alike, trials=40)
    chance = math.sqrt(365 / (RETURNS.size - 1))
    assert 1.8 * chance < got["expected_max_sharpe"] < 2.3 * chance
    assert got["dsr"] < got["psr"] - 0.1
    assert credibility(RETURNS, alike, trials=4)["expected_max_sharpe"] == 0
    apart = [sharpe(RETURNS), 3.3, -4.2, 2.8]
    assert credibility(RETURNS, apart, trials=40)["expected_max_sharpe"] == pytest.approx(
        Trials(40, Trials.of(apart).variance).expected_max_sharpe
    ), "never less than the variance of those that are known"


def test_trials_that_never_traded_do_not_make_the_others_look_more_credible() -> None:
    tried = [sharpe(RETURNS), 0.3, -1.2, 2.6, 0.9]
    alone = credibility(RETURNS, tried)
    padded = credibility(RETURNS, [*tried, *[0.0] * 200])
    assert padded["trials"] == 205
    assert padded["expected_max_sharpe"] > alone["expected_max_sharpe"] > 1
    assert padded["dsr"] < alone["dsr"]


def test_a_strategy_that_never_traded_has_finite_figures_and_no_credit() -> None:
    got = credibility(np.zeros(100), [0.0, 1.5, 0.4])
    assert all(map(math.isfinite, got.values()))
    assert got["dsr"] < 0.5
    assert got["min_track_record_days"] == NEVER_DAYS


def test_uncounted_trials_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="no trial is counted"):
        credibility(RETURNS, [])
