"""Which of two records is better: what chance lets through, and what is found."""

from __future__ import annotations

import numpy as np
import pytest

from trading_assets.core.errors import InvalidFrame
from trading_assets.validation.paired import compare_returns
from trading_assets.validation.performance import sharpe

MIN_BETTER, DAYS = 0.6, 120


def worlds(count: int, edge: float, seed: int = 3, memory: float = 0.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of records that share the market's days; the first earns ``edge`` standard deviations a day more."""
    draw = np.random.default_rng(seed)
    market = draw.normal(size=(count, DAYS))
    own = draw.normal(size=(2, count, DAYS))
    for day in range(1, DAYS):
        own[:, :, day] += memory * own[:, :, day - 1]
    first, second = (0.01 * (0.7 * market + 0.7 * part) for part in own)
    return list(zip(first + 0.01 * edge, second, strict=True))


def replaced(pairs: list[tuple[np.ndarray, np.ndarray]], measure: str = "sharpe") -> float:
    found = [compare_returns(*pair, resamples=200, seed=number)[measure] for number, pair in enumerate(pairs)]
    return float(np.mean([one.better >= MIN_BETTER for one in found]))


@pytest.mark.parametrize(("measure", "memory"), [("sharpe", 0.0), ("mean_return", 0.0), ("sharpe", 0.4)])
def test_of_equal_models_chance_replaces_the_champion_as_often_as_was_said(measure: str, memory: float) -> None:
    share = replaced(worlds(150, edge=0.0, memory=memory), measure)
    assert share == pytest.approx(1 - MIN_BETTER, abs=0.12)  # three standard errors of 150 worlds


def test_a_truly_better_one_replaces_it_and_a_worse_one_hardly_ever() -> None:
    assert replaced(worlds(60, edge=0.25)) >= 0.95
    assert replaced(worlds(60, edge=-0.25)) <= 0.05


def test_the_same_record_is_neither_better_nor_worse() -> None:
    ((record, other),) = worlds(1, edge=0.0)
    found = compare_returns(record, record)["sharpe"]
    assert (found.better, found.interval.low, found.interval.high) == (0.5, 0.0, 0.0)
    mine, its = compare_returns(record, other), compare_returns(other, record)
    assert mine["sharpe"].better == pytest.approx(1 - its["sharpe"].better)
    assert mine["sharpe"].interval.estimate == pytest.approx(float(sharpe(record) - sharpe(other)))
    assert mine["sharpe"].interval.low < mine["sharpe"].interval.estimate < mine["sharpe"].interval.high


def test_less_risk_for_the_same_return_is_a_better_sharpe_and_no_better_mean() -> None:
    ((record, _),) = worlds(1, edge=0.2)
    calm = record.mean() + (record - record.mean()) / 4
    found = compare_returns(calm, record)
    assert found["sharpe"].better > 0.95
    assert 0.3 < found["mean_return"].better < 0.7


def test_a_record_that_never_trades_loses_to_one_that_earns() -> None:
    ((record, _),) = worlds(1, edge=0.3)
    assert compare_returns(np.zeros(DAYS), record)["sharpe"].better < 0.05


def test_other_days_and_too_few_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="12 and 11 days are not the same days"):
        compare_returns(np.zeros(12), np.zeros(11))
    with pytest.raises(InvalidFrame, match="9 observations are too few"):
        compare_returns(np.zeros(9), np.zeros(9))
