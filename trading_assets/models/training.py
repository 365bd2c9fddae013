"""Training: how an estimator is fitted on a window, and the final training that makes a candidate.

Everything is seeded and every estimator's refit is deterministic, so the same data and settings give the same model,
bit for bit, whatever the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.labels import sample_weights
from trading_assets.models.classifier import Classifier
from trading_assets.models.confidence import Confidence, measure, out_of_fold
from trading_assets.models.dataset import Dataset
from trading_assets.models.estimators import estimator_of
from trading_assets.models.payoffs import PlanPayoff
from trading_assets.models.record import Record
from trading_assets.models.windows import inputs
from trading_assets.settings import EstimatorSettings, ModelSettings, StrategySettings

type Learnt = Classifier | Record
"""What came of a training window on one side: a fitted estimator, or a rule's record."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A classifier, or a rule's record, for each side and the window that they were trained on.

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
    payoffs
        What each side's trades earn and lose, where they are of an exit plan.
    """

    classifiers: Mapping[Side, Learnt]
    train_start: datetime
    train_end: datetime
    rows: int
    base_rate: float
    payoffs: Mapping[Side, PlanPayoff] = MappingProxyType({})

    @property
    def classifier(self) -> Learnt:
        """The model of its only side, or of the long one."""
        return self.classifiers.get(Side.LONG) or next(iter(self.classifiers.values()))


def train(dataset: Dataset, spec: StrategySettings) -> TrainedModel:
    """Train on the newest ``train_days`` whose outcomes are known, up to the holdout; on all of them where anchored.

    Raises
    ------
    ModelError
        If the history is shorter than the training window, or the window has only one outcome, or no signal of a rule.
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
    window = seen(known.frame if anchored else known.frame.filter(pl.col("known_at") > newest - length), spec)
    classifiers = {side: fit_side(window, side, known, spec) for side in spec.sides}
    if not any(isinstance(one, Classifier) or one.signals for one in classifiers.values()):
        raise ModelError(
            f"the rule wants no trade in the {window.height:,} rows of the training window",
            where=", ".join(spec.markets),
            remedy="give it parameters by which it speaks more often, or a longer train_days",
        )
    oldest = window["known_at"].min()
    assert isinstance(oldest, datetime)
    payoffs = {side: found for side in spec.sides if (found := payoff(window, side, known)) is not None}
    return TrainedModel(classifiers, oldest, newest, window.height, _share_of_hits(window), payoffs)


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


def prices_by(prices: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Prices as they were known at a moment, until which the newest close of each market holds.

    Parameters
    ----------
    prices
        ``market, known_at, close`` (others are ignored), in any order.
    moment
        The last outcome of a training window. Between two closes return attribution takes a straight line, so that the
        close after an outcome would tell on its weight: within the window it was seen, after it nobody had.
    """
    known = prices.select("market", "known_at", "close").filter(pl.col("known_at") <= moment).sort("market", "known_at")
    held = known.group_by("market").last().filter(pl.col("known_at") < moment)
    return pl.concat([known, held.with_columns(known_at=pl.lit(moment, TS))]).sort("market", "known_at")


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
    estimator = estimator_of(parameters)
    fitted = estimator.fit(
        inputs(rows, features, estimator.lookback_rows(parameters), rows if history is None else history),
        (rows["label"] == 1).cast(pl.Float64).to_numpy(),
        None if weight is None else weight.to_numpy(),
        times=rows.select("known_at", "label_end"),
        parameters=parameters,
        features=features,
        seed=parameters.seed,
    )
    return Classifier(features, parameters, fitted.save())


def fit_side(rows: pl.DataFrame, side: Side, dataset: Dataset, spec: StrategySettings) -> Learnt:
    """Train on the rows of one side: what the other side would have earned is another question."""
    own = rows.filter(side=int(side))
    if not isinstance(spec, ModelSettings):
        return Record.of(own, side)
    if own.is_empty():
        raise ModelError(
            f"no row is of the {side.word} side: the label set {spec.label!r} decides on no bar of it",
            where=f"training window up to {_newest(rows):%Y-%m-%d}",
            remedy=f"take {side.word} out of the model's sides, or let the label set's rule or clock speak more often",
        )

    def learn(part: pl.DataFrame) -> Classifier:
        return fit(part, dataset.features, spec.estimator, weights(part, spec, dataset.prices), dataset.history)

    learnt = learn(own)
    if not spec.confidence.asked:
        return learnt
    return replace(learnt, confidence=_confidence(own, learn, dataset, spec))


def payoff(rows: pl.DataFrame, side: Side, dataset: Dataset) -> PlanPayoff | None:
    """What the trades of one side earned and lost on a training window; None where barriers say it beforehand.

    Of all bars that the label set decides on, also of a rule that wants few of them: an outcome of its trades is that
    of a plan whose distances are in the market's own measure, and a few signals say little of a mean.
    """
    return None if dataset.plan_cost is None else PlanPayoff.of(rows.filter(side=int(side)), cost=dataset.plan_cost)


def _confidence(
    rows: pl.DataFrame, learn: Callable[[pl.DataFrame], Classifier], dataset: Dataset, spec: ModelSettings
) -> Confidence:
    """What the scores of a training window are worth, by the same training on parts of it."""
    embargo = timedelta(days=spec.walk_forward.embargo_days)
    try:
        found = out_of_fold(
            rows,
            lambda part: lambda unseen: learn(part).scores(unseen, dataset.history),
            folds=spec.confidence.folds,
            embargo=embargo,
        )
    except ModelError as error:
        return measure(error, spec.confidence)
    return measure(found, spec.confidence)


def seen(rows: pl.DataFrame, spec: StrategySettings) -> pl.DataFrame:
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
