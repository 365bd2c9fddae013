"""A backtest is judged among everything that was tried."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.gates import evaluate
from trading_assets.backtest.significance import choice, deflated, measure_significance, others, remembered, trial_rows
from trading_assets.registry import Tried
from trading_assets.settings import BacktestSettings, GateSettings, LabelSettings, ModelSettings
from trading_assets.store.tables import TRADES, TRIAL_RETURNS

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COSTS = BacktestSettings()
LABELS = LabelSettings(cost_bps=COSTS.round_trip_bps)
MODEL = ModelSettings(markets=["x:A/B"])


def curve(returns: np.ndarray) -> pl.DataFrame:
    """The equity table of an account with these daily returns."""
    equity = COSTS.starting_balance * np.cumprod(1 + returns)
    ts = pl.datetime_range(START, START + len(returns) * DAY, DAY, closed="left", time_unit="us", eager=True)
    return pl.DataFrame({"ts": ts, "equity": equity})


def signals(days: int, *, edge: float, seed: int) -> pl.DataFrame:
    """Twenty predictions a day; the return of the sure ones is better by ``edge``."""
    rng = np.random.default_rng(seed)
    probability = rng.random(days * 20)
    ends = pl.Series([START + i * DAY / 20 for i in range(days * 20)], dtype=pl.Datetime("us", "UTC"))
    noise = rng.normal(scale=0.01, size=days * 20)
    value = edge * (probability - 0.5) + noise
    return pl.DataFrame(
        {
            "probability": probability,
            "known_at": ends,
            "label_end": ends,
            "return": value,
            "label": np.sign(value).astype(np.int8),
        }
    )


def no_trials() -> pl.DataFrame:
    return pl.DataFrame(schema=TRIAL_RETURNS.columns)


@pytest.fixture
def steady() -> np.ndarray:
    return np.random.default_rng(3).normal(0.001, 0.008, 250)


def test_every_further_trial_makes_the_same_backtest_less_credible(steady: np.ndarray) -> None:
    spread = np.random.default_rng(1).normal(0, 1, 200)
    believed = [deflated(steady, Tried(n, (2.4, *spread[: n - 1])))["dsr"] for n in (2, 20, 200)]
    assert believed == sorted(believed, reverse=True)
    assert believed[0] - believed[-1] > 0.1


def test_trials_that_failed_count_too(steady: np.ndarray) -> None:
    assert deflated(steady, Tried(50, (2.4, 0.1)))["dsr"] < deflated(steady, Tried(2, (2.4, 0.1)))["dsr"]


def test_without_a_count_of_trials_nothing_is_credible(steady: np.ndarray) -> None:
    assert math.isnan(deflated(steady, Tried(0, ()))["dsr"])


def contest(predictions: pl.DataFrame, account: np.ndarray, trials: pl.DataFrame | None = None) -> dict[str, float]:
    """The choice among the bands of these predictions, and among accounts."""
    return choice(curve(account), account, predictions, other_trials=no_trials() if trials is None else trials)


def test_choosing_a_band_works_where_probabilities_mean_something() -> None:
    chosen = [contest(signals(120, edge=0.02, seed=seed), np.zeros(120)) for seed in range(5)]
    assert all(found["pbo"] < 0.2 for found in chosen)
    assert {found["choices"] for found in chosen} == {10}


@pytest.mark.slow
def test_without_skill_few_worlds_pass_whatever_the_account_did() -> None:
    """An account that never traded, and one that lost on a few days: beside bands that lose it was always the best."""
    sparse = np.where(np.arange(120) % 30 == 7, -0.0005, 0.0)
    for account in (np.zeros(120), sparse):
        quiet = [signals(120, edge=0, seed=seed).with_columns(pl.col("return") * 0.2) for seed in range(40)]
        found = [contest(rows, account)["pbo"] for rows in quiet]
        assert sum(pbo <= 0.5 for pbo in found) <= 14, "with the account among bands that lose their costs: 40"


def test_probabilities_that_are_wrong_in_a_lasting_way_are_no_choice_to_make() -> None:
    """The least probable are best, year in, year out: nobody trades them."""
    found = [contest(signals(120, edge=-0.02, seed=seed), np.zeros(120))["pbo"] for seed in range(5)]
    assert min(found) > 0.9


@pytest.mark.slow
def test_costs_and_a_rising_market_do_not_rank_the_bands() -> None:
    """Lively bands lose least of their Sharpe ratio to costs, and calm ones gain most from a drift."""
    for drift in (-0.002, 0.002):
        found = []
        for seed in range(20):
            rows = signals(120, edge=0, seed=seed)
            lively = 0.2 + 4 * pl.col("probability")
            rows = rows.with_columns((pl.col("return") * lively + drift).alias("return"))
            found.append(contest(rows, np.zeros(120))["pbo"])
        assert sum(pbo <= 0.5 for pbo in found) <= 9


def test_predictions_that_are_all_alike_leave_nothing_to_choose() -> None:
    alike = signals(120, edge=0, seed=1).with_columns(pl.lit(0.5).alias("probability"))
    assert math.isnan(contest(alike, np.zeros(120))["pbo"])


def test_many_trials_without_skill_show_as_overfitting_among_trials() -> None:
    rng = np.random.default_rng(5)
    luck = rng.normal(0, 0.01, (60, 120))
    table = pl.concat(
        trial_rows(curve(row), model="m", version=i, markets=["x:A/B"], balance=COSTS.starting_balance)
        for i, row in enumerate(luck[1:], start=2)
    )
    tried = others(table, model="m", version=1, markets=["x:A/B"])
    found = contest(signals(120, edge=0, seed=1), luck[0], tried)
    assert found["trials_compared"] == 60
    assert found["pbo_trials"] > 0.25


def test_only_trials_on_the_same_markets_that_cover_the_days_are_compared(steady: np.ndarray) -> None:
    def trial(version: int, market: str, days: int) -> pl.DataFrame:
        rows = curve(steady[:days])
        return trial_rows(rows, model="m", version=version, markets=[market, "x:Z/B"], balance=COSTS.starting_balance)

    table = pl.concat([trial(1, "x:A/B", 250), trial(2, "x:A/B", 250), trial(3, "x:A/B", 100), trial(4, "x:C/B", 250)])
    kept = others(table, model="m", version=1, markets=["x:A/B"])
    assert kept["version"].unique().sort().to_list() == [2, 3]
    assert contest(signals(250, edge=0, seed=1), steady, kept)["trials_compared"] == 2
    assert math.isnan(contest(signals(250, edge=0, seed=1), steady)["pbo_trials"])


def test_a_backtest_too_short_to_judge_has_numbers_that_no_gate_passes() -> None:
    trades = pl.DataFrame(schema=TRADES.columns)
    found = measure_significance(
        trades,
        curve(np.zeros(3)),
        signals(3, edge=0, seed=1),
        tried=Tried(1, (0.0,)),
        other_trials=no_trials(),
        model=MODEL,
        labels=LABELS,
        settings=COSTS,
    )
    assert math.isnan(found["pbo"])
    assert math.isnan(found["skill_low"])
    assert found["dsr"] <= 0.5
    assert "sharpe_low" not in found


def test_lucky_trades_of_probabilities_that_rank_nothing_are_refused_by_the_skill_gate_alone() -> None:
    rng = np.random.default_rng(8)
    lucky = pl.DataFrame({"pnl": np.where(rng.random(60) < 0.7, 200.0, -100.0), "exit_ts": range(60)})
    equity = curve(rng.normal(0.002, 0.008, 250))
    figures = {"sharpe": 4.0, "win_rate": 0.7, "profit_factor": 4.7, "max_drawdown": 0.03, "trades": 60.0}

    def refused(edge: float) -> list[str]:
        found = measure_significance(
            lucky,
            equity,
            signals(250, edge=edge, seed=1),
            tried=Tried(1, (4.0,)),
            other_trials=no_trials(),
            model=MODEL,
            labels=LABELS,
            settings=COSTS,
        )
        assert found["skill_low"] < found["skill"] < found["skill_high"]
        return [gate.name for gate in evaluate(figures | found, GateSettings()) if not gate.passed]

    assert refused(edge=0.01) == []
    assert refused(edge=-0.0001) == ["skill_low"]


def test_intervals_hold_the_metric(steady: np.ndarray) -> None:
    trades = pl.DataFrame({"pnl": steady[:60], "exit_ts": range(60)})
    found = measure_significance(
        trades,
        curve(steady),
        signals(250, edge=0, seed=1),
        tried=Tried(1, (2.4,)),
        other_trials=no_trials(),
        model=MODEL,
        labels=LABELS,
        settings=COSTS,
    )
    sharpe = steady.mean() / steady.std(ddof=1) * math.sqrt(365)
    assert found["sharpe_low"] < sharpe < found["sharpe_high"]
    assert found["win_rate_low"] < (steady[:60] > 0).mean() < found["win_rate_high"]


def test_trials_that_nobody_measured_are_not_free(steady: np.ndarray) -> None:
    believed = [deflated(steady, Tried(count, (2.4,)))["dsr"] for count in (1, 5, 50)]
    assert believed[0] == deflated(steady, Tried(1, (2.4,)))["psr"]
    assert believed == sorted(believed, reverse=True)
    assert believed[0] - believed[-1] > 0.2


def test_a_registry_that_was_moved_away_does_not_make_the_trials_forgotten(steady: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    kept = pl.concat(
        trial_rows(curve(rng.normal(0, 0.01, 100)), model="m", version=i, markets=["x:A/B"], balance=1e5)
        for i in range(2, 12)
    )
    fresh = remembered(Tried(1, (2.4,)), kept)
    assert (fresh.count, len(fresh.sharpes)) == (11, 11)
    assert deflated(steady, fresh)["dsr"] < deflated(steady, Tried(1, (2.4,)))["dsr"] - 0.05
    bundles = remembered(Tried(30, (2.4,)), kept)
    assert (bundles.count, len(bundles.sharpes)) == (30, 11), "the higher count, and every ratio that is known"
    whole = Tried(11, tuple(rng.normal(0, 1, 11)))
    assert remembered(whole, kept) is whole
    assert remembered(Tried(0, ()), kept).count == 0, "without a registry there is no approval"
