from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.validation.overfitting import cross_validate_choice
from trading_assets.validation.worked_examples import r_normal

Array = npt.NDArray[np.float64]


def noise(*, periods: int = 500, configurations: int = 20, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(scale=0.01, size=(periods, configurations))


def by_the_book(returns: Array, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """The paper's algorithm, step by step."""
    parts = [returns[len(returns) * i // blocks : len(returns) * (i + 1) // blocks] for i in range(blocks)]
    logits, in_sample, out_of_sample = [], [], []
    for past in combinations(range(blocks), blocks // 2):
        first = np.concatenate([parts[i] for i in past])
        second = np.concatenate([parts[i] for i in range(blocks) if i not in past])
        before = first.mean(axis=0) / first.std(axis=0, ddof=1)
        after = second.mean(axis=0) / second.std(axis=0, ddof=1)
        best = int(before.argmax())
        rank = stats.rankdata(after)[best] / (returns.shape[1] + 1)
        logits.append(math.log(rank / (1 - rank)))
        in_sample.append(before[best])
        out_of_sample.append(after[best])
    return logits, in_sample, out_of_sample


def test_a_case_by_hand() -> None:
    """A earns 1 in the first half and loses 1 in the second; B does nothing. Whichever led, the other leads next."""
    result = cross_validate_choice([[1.0, 0], [1, 0], [-1, 0], [-1, 0]], blocks=2, metric="mean")
    assert result.in_sample.tolist() == [1, 0]
    assert result.out_of_sample.tolist() == [-1, 0]
    assert result.logits == pytest.approx([math.log(1 / 2)] * 2)
    assert result.pbo == 1.0
    assert result.probability_of_loss == 0.5
    assert result.degradation == (-1.0, 0.0)


@pytest.mark.parametrize(("periods", "blocks"), [(400, 8), (397, 6), (60, 10)])
def test_it_agrees_with_the_algorithm_step_by_step(periods: int, blocks: int) -> None:
    returns = noise(periods=periods, configurations=7, seed=periods) + np.linspace(0, 0.001, 7)
    result = cross_validate_choice(returns, blocks=blocks)
    logits, in_sample, out_of_sample = by_the_book(returns, blocks)
    assert result.logits == pytest.approx(logits)
    assert result.in_sample == pytest.approx(in_sample)
    assert result.out_of_sample == pytest.approx(out_of_sample)
    slope = stats.linregress(in_sample, out_of_sample)
    assert result.degradation == pytest.approx((slope.slope, slope.intercept))
    assert result.pbo == np.mean(np.array(logits) <= 0)


def test_it_agrees_with_what_the_r_package_pbo_asks_of_its_own_tests() -> None:
    """Bounds of ``tests/testthat`` of pbo 1.3.5; ranks there are over N, which changes no verdict where N is even."""
    assert r_normal(42, 3) == pytest.approx([1.37095845, -0.56469817, 0.36312841], abs=5e-9)  # as R prints them
    rate = 0.03 / 252
    result = cross_validate_choice(r_normal(852, 200 * 40).reshape(200, 40) - rate, blocks=4)
    line = stats.linregress(result.out_of_sample, result.in_sample)
    assert (len(result.logits), result.pbo, result.probability_of_loss) == (6, 0.5, 0.5)
    assert 0.19 < line.intercept < 0.20  # "slope"
    assert -0.24 < 1 - (1 - line.rvalue**2) * 5 / 4 < -0.22  # "ar2"
    small = cross_validate_choice(r_normal(852, 20 * 4).reshape(20, 4) - rate, blocks=2)
    assert (small.pbo, small.probability_of_loss) == (0.0, 0.5)


def test_choosing_among_noise_is_a_coin_flip_and_loses_half_the_time() -> None:
    runs = [cross_validate_choice(noise(seed=seed), blocks=8) for seed in range(100)]
    assert np.mean([run.pbo for run in runs]) == pytest.approx(0.5, abs=0.06)
    assert np.mean([run.probability_of_loss for run in runs]) == pytest.approx(0.5, abs=0.06)
    assert np.mean([run.degradation[0] for run in runs]) < 0


def test_a_truly_better_strategy_is_not_called_overfit() -> None:
    returns = noise(periods=1000)
    returns[:, 3] += 0.004
    result = cross_validate_choice(returns)
    assert result.pbo < 0.01
    assert result.probability_of_loss < 0.01
    assert len(result.logits) == 12_870


def test_what_leads_one_half_by_design_and_trails_the_other_is_overfit() -> None:
    """Each configuration has one lucky block: the best of the past is always one whose luck is used up."""
    returns = noise(periods=320, configurations=16) - 0.0005
    for block in range(16):
        returns[20 * block : 20 * (block + 1), block] += 0.02
    result = cross_validate_choice(returns)
    assert result.pbo > 0.95
    assert result.probability_of_loss > 0.8


def test_adding_configurations_of_pure_noise_to_one_with_a_small_edge_raises_the_probability() -> None:
    few, many = [], []
    for seed in range(20):
        returns = noise(configurations=100, seed=seed)
        returns[:, 0] += 0.0006
        few.append(cross_validate_choice(returns[:, :2], blocks=8).pbo)
        many.append(cross_validate_choice(returns, blocks=8).pbo)
    assert np.mean(few) < np.mean(many)


def test_configurations_that_never_trade_are_equals_and_no_winner_stands_out() -> None:
    result = cross_validate_choice(np.zeros((40, 4)), blocks=4)
    assert (result.logits == 0).all()
    assert result.pbo == 1.0
    assert all(map(math.isnan, result.degradation))


def test_the_metric_does_not_depend_on_the_unit_of_the_returns() -> None:
    returns = noise(periods=200, configurations=5)
    assert cross_validate_choice(returns, blocks=6).logits == pytest.approx(
        cross_validate_choice(10_000 * returns, blocks=6).logits
    )


@pytest.mark.parametrize("blocks", [0, 3, 22])
def test_an_impossible_number_of_blocks_is_refused(blocks: int) -> None:
    with pytest.raises(SettingsError, match="an even number from 2 to 20"):
        cross_validate_choice(noise(), blocks=blocks)


def test_too_few_configurations_too_few_periods_and_missing_returns_are_refused() -> None:
    with pytest.raises(InvalidFrame, match="nothing to choose"):
        cross_validate_choice(noise(configurations=1))
    with pytest.raises(InvalidFrame, match="20 periods are too few for 16 blocks"):
        cross_validate_choice(noise(periods=20))
    holes = noise()
    holes[3, 4] = np.nan
    with pytest.raises(InvalidFrame, match="1 of 10000 returns are not finite"):
        cross_validate_choice(holes)
    with pytest.raises(InvalidFrame, match="1 dimensions, not 2"):
        cross_validate_choice(holes[:, 0])
