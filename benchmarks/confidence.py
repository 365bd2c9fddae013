"""Calibration and prediction sets where the truth is known: ``python -m benchmarks.confidence [--markets N]``.

First, one row through each calibrator, and its fit beside its library's. Then exchangeable worlds of made-up rows: how
often a calibrator is kept, what it gains on rows of the same world, and how many outcomes sets of 90 % hold. Last,
worlds of the placebo: a walk-forward of the project's model on a market with a planted edge and on a random walk.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from benchmarks.estimators import FEATURES, TARGET, _trained, p99
from benchmarks.table import Measurement, best_of, print_table
from trading_assets.backtest.confidence import measure as measured
from trading_assets.backtest.regimes import regimes
from trading_assets.core.candles import TS
from trading_assets.models import Classifier, folds
from trading_assets.models.confidence import Confidence, Conformal, curve_of, measure, out_of_fold, registered
from trading_assets.models.estimators import estimator_of
from trading_assets.settings import (
    ConfidenceSettings,
    EstimatorSettings,
    LightGBMSettings,
    LogisticSettings,
    ModelSettings,
    load_settings,
)
from trading_assets.validation import coverage

NAMES = tuple(f"f{number}" for number in range(5))
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS, SCORES = 3_000, 20_000
LEARNERS: dict[str, EstimatorSettings] = {
    "logistic": LogisticSettings(),
    "cautious trees": LightGBMSettings(num_boost_round=100, min_data_in_leaf=100),
    "trees that learn noise by heart": LightGBMSettings(
        num_boost_round=150, num_leaves=31, min_data_in_leaf=10, lambda_l2=0, learning_rate=0.1
    ),
}


def run() -> list[Measurement]:
    """Time the calibrators."""
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.1, 0.9, SCORES)
    hit = (rng.random(SCORES) < scores).astype(float)
    values = rng.normal(size=(4_000, len(FEATURES)))
    learnt = _trained("lightgbm", values, (rng.random(4_000) < 1 / (1 + np.exp(-values[:, 0]))).astype(float))
    frames = [pl.DataFrame(dict(zip(FEATURES, row, strict=True))) for row in values[:50, :, np.newaxis]]
    known = {kind: Confidence(curve=curve_of(kind).fit(scores, hit), conformal=_NINETY) for kind in registered()}
    asked = [learnt, *(replace(learnt, confidence=one) for one in known.values())]
    plain, *calibrated = p99([(one.said, frames) for one in asked])
    return [
        *(
            Measurement(f"one row through lightgbm and {kind}, p99", seconds, 0, "without", plain, TARGET)
            for kind, seconds in zip(known, calibrated, strict=True)
        ),
        *(
            Measurement(f"fit of {kind}", best_of(lambda k=kind: curve_of(k).fit(scores, hit), repeat=3), SCORES)
            for kind in known
        ),
    ]


_NINETY = Conformal(coverage=0.9, quantile=0.6, rows=100)


def exchangeable(seeds: int = 8) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Learner, edge, calibrator; how often kept, the Brier gain where it was asked for, coverage."""
    for name, parameters in LEARNERS.items():
        for edge in (0.0, 0.4, 1.0):
            for kind in ("none", *registered()):
                found = [_one(parameters, edge, kind, seed) for seed in range(seeds)]
                kept, gain, held = (np.array([one[part] for one in found]) for part in range(3))
                share = "-" if kind == "none" else f"{kept.mean():.0%}"
                spread = f"{held.mean():.3f} ({held.min():.3f} to {held.max():.3f})"
                yield name, f"{edge:g}", kind, share, f"{gain.mean():+.4f}", spread


def _one(parameters: EstimatorSettings, edge: float, kind: Any, seed: int) -> tuple[float, float, float]:
    rows, unseen = _world(seed, ROWS, edge), _world(seed + 1_000, 8_000, edge)
    found = out_of_fold(rows, lambda part: _fit(parameters, part).scores, folds=4, embargo=timedelta(0))
    kept = measure(found, ConfidenceSettings(calibration=kind, conformal=0.9))
    scores, hit = _fit(parameters, rows).scores(unseen), (unseen["label"] == 1).to_numpy()
    gain = ((scores - hit) ** 2).mean() - ((kept.probabilities(scores) - hit) ** 2).mean()
    held = coverage(pl.Series(kept.sets(scores)), unseen["label"]).share
    return float(kept.curve is not None), float(gain), float(held or 0)


def _fit(parameters: EstimatorSettings, rows: pl.DataFrame) -> Classifier:
    fitted = estimator_of(parameters).fit(
        rows.select(NAMES).to_numpy(order="c"),
        (rows["label"] == 1).cast(pl.Float64).to_numpy(),
        None,
        times=rows.select("known_at", "label_end"),
        parameters=parameters,
        features=NAMES,
        seed=7,
    )
    return Classifier(NAMES, parameters, fitted.save())


def _world(seed: int, rows: int, edge: float) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, len(NAMES)))
    hit = rng.random(rows) < 1 / (1 + np.exp(0.6 - edge * (0.5 * values[:, 0] + 0.3 * values[:, 1])))
    known = pl.Series("known_at", [START + timedelta(hours=number) for number in range(rows)], dtype=TS)
    frame = pl.DataFrame(dict(zip(NAMES, values.T, strict=True))).with_columns(known)
    return frame.with_columns(
        label_end=pl.col("known_at") + timedelta(hours=1), label=pl.Series(np.where(hit, 1, -1), dtype=pl.Int8)
    )


def markets(count: int) -> Iterator[tuple[str, ...]]:
    """World, calibrator; kept, Brier before and after with the interval of the gain, coverage, worst mood."""
    from trading_assets.placebo.rearranging import MARKET
    from trading_assets.placebo.research import Research
    from trading_assets.placebo.worlds import PLANTED, RANDOM_WALK, World

    settings = load_settings()
    first = next(one for one in settings.models.values() if isinstance(one, ModelSettings))
    spec = first.model_copy(update={"markets": [MARKET], "holdout_days": 0})
    for kind in (PLANTED, RANDOM_WALK):
        for seed in range(count):
            research = Research(World(kind, seed, 150), settings, None)
            data, timeframe = research.dataset(spec), settings.labels[spec.label].timeframe
            moods = regimes(research.bars(timeframe), timeframe.length)
            for calibrator in registered():
                asked = ConfidenceSettings(calibration=calibrator, conformal=0.9)  # type: ignore[arg-type]
                result = folds.walk_forward(data, spec.model_copy(update={"confidence": asked}))
                found = measured(result.predictions, result.folds, moods, 0.9)
                yield f"{kind} {seed}", calibrator, *_told(found)


def _told(found: dict[str, float]) -> tuple[str, ...]:
    moods = ("calm", "middling", "wild", "falling", "flat", "rising")
    return (
        f"{found['calibrators_kept']:.0f} of {found['calibrators']:.0f}",
        f"{found['brier_raw']:.4f} -> {found['brier_calibrated']:.4f} "
        f"({found['brier_gain_low']:+.4f} to {found['brier_gain_high']:+.4f})",
        f"{found['coverage']:.3f}",
        f"{found['certain_share']:.2f}",
        " ".join(f"{found[f'coverage_{mood}']:.3f}" for mood in moods),
    )


def _print(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=0, help="worlds of the placebo of each kind; minutes each")
    parser.add_argument("--worlds", type=int, default=0, help="exchangeable worlds of each kind; seconds each")
    chosen = parser.parse_args()
    print_table(run(), title="Confidence")
    if chosen.worlds:
        _print(("learner", "edge", "calibrator", "kept", "gain", "coverage"), exchangeable(chosen.worlds))
    if chosen.markets:
        head = ("world", "calibrator", "kept", "Brier score", "coverage", "certain")
        _print((*head, "calm, middling, wild, falling, flat, rising"), markets(chosen.markets))
