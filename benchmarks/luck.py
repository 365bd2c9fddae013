"""How often the validation's numbers are right, in worlds whose truth is known: ``python -m benchmarks.luck``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from trading_assets.validation import (
    SharpeEstimate,
    Trials,
    confidence_intervals,
    cross_validate_choice,
    deflated_sharpe_ratio,
    probabilistic_sharpe_ratio,
)

Array = npt.NDArray[np.float64]


def best_of_coin_flippers(repetitions: int = 2000) -> Iterator[tuple[str, float]]:
    """The best of 50 strategies without skill over 250 days, with and without counting the other 49."""
    rng = np.random.default_rng(4)
    naive, deflated = [], []
    for _ in range(repetitions):
        returns = rng.normal(size=(50, 250))
        sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        best = SharpeEstimate.of(returns[sharpes.argmax()])
        naive.append(probabilistic_sharpe_ratio(best) > 0.95)
        deflated.append(deflated_sharpe_ratio(best, Trials.of(sharpes.tolist())) > 0.95)
    yield "best of 50 without skill: PSR above 0.95", float(np.mean(naive))
    yield "best of 50 without skill: DSR above 0.95", float(np.mean(deflated))


def few_trades(repetitions: int = 4000) -> Iterator[tuple[str, float]]:
    """PSR of 120 days with few trades, which win 2 or lose 1 and have no edge: days without a trade are no evidence."""
    rng = np.random.default_rng(0)
    for trades in (10, 34, 150):
        sure = 0
        for _ in range(repetitions):
            days = np.zeros(120)
            np.add.at(days, rng.integers(0, 120, trades), np.where(rng.random(trades) < 1 / 3, 0.002, -0.001))
            sure += probabilistic_sharpe_ratio(SharpeEstimate.of(days)) > 0.95
        yield f"{trades} trades without an edge in 120 days: PSR above 0.95", sure / repetitions


def choices_among_noise(worlds: int = 300) -> Iterator[tuple[str, float]]:
    """Probability of backtest overfitting of 20 configurations of noise, and with one that is truly better."""
    noise = [np.random.default_rng(seed).normal(size=(500, 20)) for seed in range(worlds)]
    found = [cross_validate_choice(returns, blocks=8) for returns in noise]
    yield "20 configurations of noise: mean PBO", float(np.mean([world.pbo for world in found]))
    yield "20 configurations of noise: spread of PBO", float(np.std([world.pbo for world in found]))
    edge = np.zeros(20)
    edge[3] = 0.4
    better = [cross_validate_choice(returns + edge, blocks=8).pbo for returns in noise]
    yield "one of them earns 0.4 standard deviations a day: mean PBO", float(np.mean(better))


def coverage(repetitions: int = 400) -> Iterator[tuple[str, float]]:
    """How often a 90 % interval holds the true Sharpe ratio of 400 days with an autocorrelation of 0.4."""
    rng = np.random.default_rng(4)
    series = _remembering(rng, repetitions, 400, memory=0.4) + 0.1
    for name, length in (("blocks of the series' memory", None), ("shuffled single days", 1.0)):
        bounds = [
            confidence_intervals(row, {"ratio": _ratio}, confidence=0.9, resamples=500, block_length=length)["ratio"]
            for row in series
        ]
        yield (
            f"nominal 90 % intervals, {name}: hold the truth",
            float(np.mean([bound.low <= 0.1 <= bound.high for bound in bounds])),
        )


def _ratio(values: Array) -> Array:
    return np.asarray(values.mean(axis=-1) / values.std(axis=-1, ddof=1))


def _remembering(rng: np.random.Generator, rows: int, days: int, *, memory: float) -> Array:
    shocks = rng.normal(size=(rows, days)) * math.sqrt(1 - memory**2)
    series = np.empty((rows, days))
    series[:, 0] = rng.normal(size=rows)
    for day in range(1, days):
        series[:, day] = memory * series[:, day - 1] + shocks[:, day]
    return series


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m benchmarks.luck", description=__doc__).parse_args()
    print("| world | share |\n|---|---|")
    for part in (best_of_coin_flippers(), few_trades(), choices_among_noise(), coverage()):
        for name, value in part:
            print(f"| {name} | {value:.3f} |")


if __name__ == "__main__":
    main()
