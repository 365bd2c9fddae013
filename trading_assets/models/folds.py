"""The walk-forward that measures a model: each fold is trained on what was known, and tested on what came after.

The same data and settings give the same predictions, bit for bit, whatever the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.cores import cores
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.models.classifier import Classifier
from trading_assets.models.dataset import OUTCOME, Dataset
from trading_assets.models.importance import Explanation, explain
from trading_assets.models.payoffs import PlanPayoff
from trading_assets.models.record import Record
from trading_assets.models.scores import score
from trading_assets.models.training import Learnt, fit_side, payoff, seen
from trading_assets.settings import ModelSettings, StrategySettings
from trading_assets.store.tables import FOLDS, PREDICTIONS
from trading_assets.validation import Fold, WalkForward, coverage

Progress = Callable[[int, int], None]
"""Called with the folds done and the folds in all."""

MAX_PARALLEL_FOLDS: Final = 4
"""Each fold trained at the same time holds its own copy of its training window in memory."""


@dataclass(frozen=True, slots=True)
class WalkForwardResult:
    """What a walk-forward gives.

    Attributes
    ----------
    predictions
        Rows of the ``predictions`` table without ``model``, sorted by market, ts.
    folds
        Rows of the ``folds`` table without ``model``.
    explanations
        What each fold's model leans on; empty unless asked for.
    """

    predictions: pl.DataFrame
    folds: pl.DataFrame
    explanations: list[Explanation] = field(default_factory=list)


def walk_forward(
    dataset: Dataset, spec: StrategySettings, progress: Progress | None = None, *, explained: bool = False
) -> WalkForwardResult:
    """Train and test along the history, each test on data that its model had not seen.

    The newest ``spec.holdout_days`` are left out altogether.

    Parameters
    ----------
    dataset
        What to learn from.
    spec
        Windows and learner parameters. Of a rule each fold takes the record on its training window.
    progress
        Called after each fold.
    explained
        Whether to measure feature importance too: some seconds a fold.

    Raises
    ------
    ModelError
        If the history is too short, a training window has only one outcome, a market is in no test window, or a rule
        wants no trade in any training window.
    """
    known = dataset.without_newest(spec.holdout_days)
    folds = WalkForward(spec.walk_forward).split(known.frame["known_at"], known.frame["label_end"])
    _check_tested(dataset, known, folds)
    predictions: list[pl.DataFrame] = []
    reports: list[pl.DataFrame] = []
    explanations: list[Explanation] = []
    # Threads over folds rather than inside LightGBM, which waits for all its threads at every split: measured eight
    # times slower with two threads than with one where another process keeps a core busy.
    with ThreadPoolExecutor(min(cores(), MAX_PARALLEL_FOLDS)) as pool:
        try:
            for predicted, report, told in pool.map(
                lambda fold: _run_fold(known, fold, spec, explained=explained), folds
            ):
                predictions.append(predicted)
                reports.append(report)
                explanations += told
                if progress is not None:
                    progress(len(reports), len(folds))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not any(frame.height for frame in predictions):
        raise ModelError(
            "the rule wants no trade in any training window",
            where=", ".join(spec.markets),
            remedy="give it parameters by which it speaks more often, or a longer train_days",
        )
    return WalkForwardResult(
        pl.concat(predictions).sort("market", "ts", "side", descending=[False, False, True]),
        pl.concat(reports),
        explanations,
    )


def fold_by_fold(dataset: Dataset, spec: StrategySettings) -> Iterator[tuple[Fold, pl.DataFrame]]:
    """The same fold by fold in the caller's thread, the oldest first: who sees enough need not ask for the next.

    Yields
    ------
    tuple
        The fold, and its rows of the ``predictions`` table without ``model``.

    Raises
    ------
    ModelError
        If the history is too short, or a training window has only one outcome.
    """
    known = dataset.without_newest(spec.holdout_days)
    for fold in WalkForward(spec.walk_forward).split(known.frame["known_at"], known.frame["label_end"]):
        yield fold, _run_fold(known, fold, spec, explained=False)[0]


def _check_tested(dataset: Dataset, known: Dataset, folds: Sequence[Fold]) -> None:
    """Refuse a market that is never tested: a model would trade it on the evidence of the others."""
    tested = {market for fold in folds for market in known.frame[fold.test]["market"].unique()}
    for market in dataset.markets:
        if market not in tested:
            times = dataset.frame.filter(pl.col("market") == market)["known_at"].dt.date().sort()
            raise ModelError(
                f"none of its {len(times):,} rows, {times[0]} to {times[-1]}, is in a test window "
                f"({folds[0].test_start:%Y-%m-%d} to {folds[-1].test_end:%Y-%m-%d})",
                where=market,
                remedy="backfill more of it, or take it out of the model's markets",
            )


def _run_fold(
    dataset: Dataset, fold: Fold, spec: StrategySettings, *, explained: bool
) -> tuple[pl.DataFrame, pl.DataFrame, list[Explanation]]:
    # Whole horizons alone: with a purge shorter than that the newest rows would be those that ended early.
    whole = pl.col("known_at") + dataset.horizon <= fold.test_start - timedelta(days=spec.walk_forward.embargo_days)
    train, test = seen(dataset.frame[fold.train].filter(whole), spec), dataset.frame[fold.test]
    parts = [
        _test_side(side, train, test.filter(side=int(side)), dataset, fold, spec, explained=explained)
        for side in spec.sides
    ]
    predictions, reports, told = zip(*parts, strict=True)
    return pl.concat(predictions), pl.concat(reports), [one for part in told for one in part]


def _test_side(
    side: Side,
    train: pl.DataFrame,
    test: pl.DataFrame,
    dataset: Dataset,
    fold: Fold,
    spec: StrategySettings,
    *,
    explained: bool,
) -> tuple[pl.DataFrame, pl.DataFrame, list[Explanation]]:
    learnt = fit_side(train, side, dataset, spec)
    if isinstance(learnt, Record) and not learnt.signals:
        test = test.clear()  # nothing is known of its signals, so that none of these bars could be taken
    answers = learnt.answers(test, dataset.history)
    probability = answers["probability"]
    predictions = _typed(
        PREDICTIONS.columns,
        test.select("market", "ts", "known_at", "side", *OUTCOME).with_columns(
            *answers,
            *_stakes(payoff(train, side, dataset)),
            timeframe=pl.lit(dataset.timeframe.name),
            fold=pl.lit(fold.number),
        ),
    )
    report = pl.DataFrame(
        {
            "fold": fold.number,
            "side": int(side),
            "train_start": fold.train_start,
            "train_end": fold.train_end,
            "test_start": fold.test_start,
            "test_end": fold.test_end,
            "train_rows": train.filter(side=int(side)).height,
            "test_rows": test.height,
            **score(probability, test["label"]),
            **_of_confidence(learnt, answers, test["label"]),
        }
    )
    told = []
    if explained and isinstance(spec, ModelSettings) and isinstance(learnt, Classifier):
        told = [explain(learnt, test, dataset.history, fold=fold.number, seed=spec.estimator.seed)]
    return predictions, _typed(FOLDS.columns, report), told


def _stakes(known: PlanPayoff | None) -> tuple[pl.Expr, pl.Expr]:
    """What a right call earns and a wrong one loses, by the training window; null where the barriers say it."""
    times = (None, None) if known is None else (known.gain, known.loss)
    gain, loss = (pl.col("stop_loss") * pl.lit(one, pl.Float64) for one in times)
    return gain.alias("gain"), loss.alias("loss")


def _of_confidence(learnt: Learnt, answers: pl.DataFrame, label: pl.Series) -> dict[str, float | str | bool | None]:
    """What became of calibration and prediction sets in a fold; null where there are none."""
    own = learnt.confidence if isinstance(learnt, Classifier) else None
    found = None if own is None else own.calibration
    covered = coverage(answers["prediction_set"], label)
    return {
        "raw_brier": _brier(answers["raw_probability"], label),
        "calibration": None if found is None else found.asked,
        "calibrated": None if found is None else found.kept,
        "gain": None if found is None else found.gain,
        "gain_low": None if found is None else found.gain_low,
        "gain_high": None if found is None else found.gain_high,
        "coverage": covered.share,
        "certain_share": covered.certain_share,
    }


def _brier(probability: pl.Series, label: pl.Series) -> float | None:
    missed = pl.select(((probability - (label == 1).cast(pl.Float64)) ** 2).mean()).item()
    return None if missed is None else float(missed)


def _typed(columns: dict[str, Any], frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in columns.items() if name != "model")
