"""Training: the walk-forward that measures a model, and the final training that makes a candidate.

Everything is seeded and every estimator's refit is deterministic, so the same data and settings give the same model,
bit for bit, whatever the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.cores import cores
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.labels import sample_weights
from trading_assets.models.classifier import Classifier
from trading_assets.models.dataset import OUTCOME, Dataset, prices_by
from trading_assets.models.estimators import estimator_of
from trading_assets.models.importance import Explanation, explain
from trading_assets.models.scores import score
from trading_assets.models.windows import inputs
from trading_assets.settings import EstimatorSettings, ModelSettings
from trading_assets.store.tables import FOLDS, PREDICTIONS
from trading_assets.validation import Fold, WalkForward

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


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A classifier for each side and the window that they were trained on.

    Attributes
    ----------
    classifiers
        The model of each side that it trades.
    train_start, train_end
        The first and the last decision (``known_at``) that it was trained on.
    rows
        How many rows that was.
    base_rate
        The share of take-profits among them.
    """

    classifiers: Mapping[Side, Classifier]
    train_start: datetime
    train_end: datetime
    rows: int
    base_rate: float

    @property
    def classifier(self) -> Classifier:
        """The model of its only side, or of the long one."""
        return self.classifiers.get(Side.LONG) or next(iter(self.classifiers.values()))


def walk_forward(
    dataset: Dataset, spec: ModelSettings, progress: Progress | None = None, *, explained: bool = False
) -> WalkForwardResult:
    """Train and test along the history, each test on data that its model had not seen.

    The newest ``spec.holdout_days`` are left out altogether.

    Parameters
    ----------
    dataset
        What to learn from.
    spec
        Windows and learner parameters.
    progress
        Called after each fold.
    explained
        Whether to measure feature importance too: some seconds a fold.

    Raises
    ------
    ModelError
        If the history is too short, a training window has only one outcome, or a market is in no test window.
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
    return WalkForwardResult(
        pl.concat(predictions).sort("market", "ts", "side", descending=[False, False, True]),
        pl.concat(reports),
        explanations,
    )


def train(dataset: Dataset, spec: ModelSettings) -> TrainedModel:
    """Train on the newest ``train_days`` whose outcomes are known, up to the holdout; on all of them where anchored.

    Raises
    ------
    ModelError
        If the history is shorter than the training window, or the window has only one outcome.
    """
    known = dataset.without_newest(spec.holdout_days)
    length = timedelta(days=spec.walk_forward.train_days)
    if known.frame.is_empty() or _newest(known.frame) - known.start < length:
        days = 0.0 if known.frame.is_empty() else (_newest(known.frame) - known.start) / timedelta(days=1)
        raise ModelError(
            f"{days:.1f} days of labelled history are there before the holdout, "
            f"{spec.walk_forward.train_days:g} are needed",
            where=", ".join(spec.markets),
            remedy="backfill a longer history or shorten train_days",
        )
    newest = _newest(known.frame)
    anchored = spec.walk_forward.anchored
    window = _seen(known.frame if anchored else known.frame.filter(pl.col("known_at") > newest - length), spec)
    classifiers = {side: _fit_side(window, side, known, spec) for side in spec.sides}
    oldest = window["known_at"].min()
    assert isinstance(oldest, datetime)
    return TrainedModel(classifiers, oldest, newest, window.height, _share_of_hits(window))


def weights(rows: pl.DataFrame, spec: ModelSettings, prices: pl.DataFrame | None = None) -> pl.Series | None:
    """What each row of a training window counts, with a mean of 1; None where all count the same.

    They are of the window alone: how many outcomes overlap after its end, and where prices went, is not known in it.

    Parameters
    ----------
    rows
        A training window of a data set.
    spec
        Says which weights.
    prices
        Of the data set; needed for ``attribution``.

    Raises
    ------
    ModelError
        If prices are needed and not there.
    InvalidFrame
        If they do not cover the rows, or all weights are 0.
    """
    if spec.sample_weights == "none":
        return None
    if spec.sample_weights == "uniqueness":
        return sample_weights(rows, oldest=spec.oldest_weight)
    if prices is None:
        raise ModelError(
            "sample weights by return attribution need prices",
            where="data set",
            remedy="give it prices, or set sample_weights to uniqueness",
        )
    last = rows["label_end"].max()
    assert isinstance(last, datetime)
    return sample_weights(rows, prices_by(prices, last), oldest=spec.oldest_weight)


def fit(
    rows: pl.DataFrame,
    features: tuple[str, ...],
    parameters: EstimatorSettings,
    weight: pl.Series | None = None,
    history: pl.DataFrame | None = None,
) -> Classifier:
    """Train an estimator on rows of a data set, in their order, each counting its weight.

    One that looks back reads the rows of ``history`` too, which need no outcome: those before each row alone.

    Raises
    ------
    ModelError
        If only one outcome occurs.
    """
    if not 0 < _share_of_hits(rows) < 1:
        raise ModelError(
            f"all {rows.height} training rows have the same outcome",
            where=f"training window up to {_newest(rows):%Y-%m-%d}",
            remedy="set take_profit_pct, stop_loss_pct and horizon_bars so that both outcomes occur",
        )
    estimator = estimator_of(parameters.kind)
    fitted = estimator.fit(
        inputs(rows, features, estimator.lookback_rows(parameters), rows if history is None else history),
        (rows["label"] == 1).cast(pl.Float64).to_numpy(),
        None if weight is None else weight.to_numpy(),
        parameters=parameters,
        features=features,
        seed=parameters.seed,
    )
    return Classifier(features, parameters, fitted.save())


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
    dataset: Dataset, fold: Fold, spec: ModelSettings, *, explained: bool
) -> tuple[pl.DataFrame, pl.DataFrame, list[Explanation]]:
    # Whole horizons alone: with a purge shorter than that the newest rows would be those that ended early.
    whole = pl.col("known_at") + dataset.horizon <= fold.test_start - timedelta(days=spec.walk_forward.embargo_days)
    train, test = _seen(dataset.frame[fold.train].filter(whole), spec), dataset.frame[fold.test]
    parts = [
        _test_side(side, train, test.filter(side=int(side)), dataset, fold, spec, explained=explained)
        for side in spec.sides
    ]
    predictions, reports, told = zip(*parts, strict=True)
    return pl.concat(predictions), pl.concat(reports), [one for part in told for one in part]


def _fit_side(rows: pl.DataFrame, side: Side, dataset: Dataset, spec: ModelSettings) -> Classifier:
    """Train on the rows of one side: what the other side would have earned is another question."""
    own = rows.filter(side=int(side))
    return fit(own, dataset.features, spec.estimator, weights(own, spec, dataset.prices), dataset.history)


def _test_side(
    side: Side,
    train: pl.DataFrame,
    test: pl.DataFrame,
    dataset: Dataset,
    fold: Fold,
    spec: ModelSettings,
    *,
    explained: bool,
) -> tuple[pl.DataFrame, pl.DataFrame, list[Explanation]]:
    classifier = _fit_side(train, side, dataset, spec)
    probability = classifier.predict(test, dataset.history)
    predictions = _typed(
        PREDICTIONS.columns,
        test.select("market", "ts", "known_at", "side", *OUTCOME).with_columns(
            probability, timeframe=pl.lit(dataset.timeframe.name), fold=pl.lit(fold.number)
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
        }
    )
    told = [explain(classifier, test, dataset.history, fold=fold.number, seed=spec.estimator.seed)] if explained else []
    return predictions, _typed(FOLDS.columns, report), told


def _typed(columns: dict[str, Any], frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in columns.items() if name != "model")


def _seen(rows: pl.DataFrame, spec: ModelSettings) -> pl.DataFrame:
    """The rows whose outcome was seen: where too many candles are missing, a barrier may have been touched unseen."""
    seen = rows.filter(pl.col("missing_share") <= spec.max_missing_share, ~pl.col("dropped"))
    if rows.is_empty():
        raise ModelError(
            "no row's horizon ends in it", where="training window", remedy="lengthen train_days or shorten horizon_bars"
        )
    if seen.is_empty():
        raise ModelError(
            f"none of {rows.height} rows may train: all lack more than {spec.max_missing_share:g} of their candles, "
            "or are ambiguous and dropped",
            where=f"training window up to {_newest(rows):%Y-%m-%d}",
            remedy="fill the gaps (trading gaps --repair), or raise max_missing_share",
        )
    return seen


def _share_of_hits(rows: pl.DataFrame) -> float:
    return int((rows["label"] == 1).sum()) / max(rows.height, 1)


def _newest(rows: pl.DataFrame) -> datetime:
    newest = rows["known_at"].max()
    assert isinstance(newest, datetime)
    return newest
