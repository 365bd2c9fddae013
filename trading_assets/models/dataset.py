"""Data sets: features joined with the outcomes that followed them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import polars as pl

from trading_assets.core.candles import TS, require_columns, require_times, timeframe_delta
from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import InvalidFrame, ModelError
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.inputs import PartlyMissing, missing_inputs, usable_names
from trading_assets.models.steps import Crossing, Steps, stored_bars, stored_steps, without_crossings
from trading_assets.settings import DEFAULT_LABELS
from trading_assets.store import Store
from trading_assets.store.tables import BARS, FEATURES, LABELS

OUTCOME = ("label_end", "label", "return", "take_profit", "stop_loss")
_KEYS = ("market", "ts", "known_at")
_ROW = ("market", "ts", "side")
_DOUBTS = ("resolution", "missing_candles", "ambiguous")
REMEDY = "materialize features and labels of these markets; if they are, the label set decides on no bar of its sides"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Feature rows with a known outcome.

    Attributes
    ----------
    frame
        ``market, ts, known_at, side, label_end, label, return, take_profit, stop_loss, missing_share`` (of the candles
        that decided the label; 0 where they were not counted), ``dropped`` (ambiguous where the policy is to drop:
        nothing to learn from, but predicted, since nobody knew beforehand), then one Float64 column per feature; a row
        for each side, sorted by ts, market, long before short.
    features
        The feature columns, in the order in which a model sees them.
    fingerprint
        Identifies the code and parameters that computed the features.
    content_hash
        SHA-256 over the frame's values; the same on every platform.
    start
        The first decision: the oldest ``known_at``.
    end
        The newest time known: the last feature row's ``known_at``, which the labels reach one horizon later.
    prices
        ``market, known_at, close`` of bars from the first decision on, where return attribution weighs the rows.
    missing
        What was asked for beside bars and is not known in all rows.
    crossings
        Rows that were left out, since they look across a step of the price level.
    plan_cost
        Costs of a round trip that the returns are net of, as a fraction, where outcomes are those of an exit plan; None
        elsewhere.
    history
        ``market, ts`` and the features of all stored rows, with or without an outcome, where an estimator looks back.
    plugins
        Whose features there are beside the project's own; None for those of the settings read last.
    """

    frame: pl.DataFrame
    features: tuple[str, ...]
    fingerprint: str
    content_hash: str
    start: datetime
    end: datetime
    prices: pl.DataFrame | None = None
    missing: tuple[PartlyMissing, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    history: pl.DataFrame | None = None
    plugins: Owners | None = None
    plan_cost: float | None = None

    @property
    def markets(self) -> tuple[str, ...]:
        """The markets that have rows, sorted."""
        return tuple(self.frame["market"].unique().sort())

    @property
    def timeframe(self) -> Timeframe:
        """Of the bars that the rows are of."""
        length: timedelta = self.frame["known_at"][0] - self.frame["ts"][0]
        return Timeframe(length // timedelta(minutes=1))

    @property
    def horizon(self) -> timedelta:
        """The longest time that an outcome took to become known."""
        longest = (self.frame["label_end"] - self.frame["known_at"]).max()
        assert isinstance(longest, timedelta)
        return longest

    def known_by(self, moment: datetime) -> Dataset:
        """The rows that could be learnt from at ``moment``.

        A row is kept when a whole horizon after its decision has passed, not as soon as its outcome is known: stops are
        hit sooner than targets, so the early outcomes of the newest rows would be a biased choice.
        """
        frame = self.frame.filter(pl.col("known_at") + self.horizon <= moment)
        if frame.height == self.frame.height:
            return self
        return replace(self, frame=frame, content_hash=frame_hash(frame))

    def without_newest(self, days: float) -> Dataset:
        """The data set as it was ``days`` before its newest known time: what a holdout leaves for training."""
        return self.known_by(self.end - timedelta(days=days)) if days else self


def build(
    store: Store,
    markets: Sequence[str],
    *,
    label_set: str = DEFAULT_LABELS,
    timeframe: Timeframe,
    sides: Sequence[Side] = (Side.LONG,),
    chosen: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    companions: Collection[str] = (),
    leader: str | None = None,
    priced: bool = False,
    drop_ambiguous: bool = False,
    events: Steps = MappingProxyType({}),
    min_step: float = 1.5,
    lookback_rows: int = 1,
    decision_bars: int = 1,
    plugins: Owners | None = None,
    plan_cost: float | None = None,
) -> Dataset:
    """Join stored features and labels by market and ts.

    Features of companions (leader, funding, books and the like) are left out where not asked for, and refused where
    asked for and not stored.

    Parameters
    ----------
    store
        Where the tables ``features`` and ``labels`` are.
    markets
        The markets to take.
    label_set, timeframe, sides
        The outcomes to learn.
    chosen
        Names, families and patterns of the features to take; empty takes all.
    since
        Leave out bars that open before this time.
    until
        Leave out what was not known at this time; empty takes everything.
    companions
        Whose features to take beside those of bars: ``leader``, ``funding``, ``sentiment``, ``book``, ``trades``.
    leader
        The leading market, which has no leader itself.
    priced
        Whether to read prices too, which the sample weights ``attribution`` need.
    drop_ambiguous
        As for :func:`join`.
    events, min_step
        Rows that look across an event of their market, or across a lasting step of its price by at least ``min_step``
        times, are left out.
    lookback_rows
        Feature rows of a market that one prediction reads; with more than one, :attr:`Dataset.history` is kept.
    decision_bars
        Bars that the label set looks back on, to say whether it decides and how far its barriers are.
    plugins
        Whose features there are beside the project's own: ``settings.plugged``.
    plan_cost
        As of :class:`Dataset`: ``labels.plan_cost``.

    Raises
    ------
    ModelError
        If a market has no labelled rows or nothing of a companion, the stored features are not those of this code, or
        all rows look across a step.
    """
    from trading_assets.features import fingerprint, lookback_bars

    where: dict[str, str | Sequence[str]] = {"market": list(markets)}
    features = store.read(FEATURES, where={**where, "timeframe": timeframe.name}, start=since)
    labelled = {**where, "label_set": label_set, "timeframe": timeframe.name}
    labels = store.read(LABELS, where=labelled, start=since, columns=[*_KEYS, "side", *OUTCOME, *_DOUBTS])
    labels = labels.filter(pl.col("side").is_in([int(side) for side in sides]))
    if until is not None:
        features = features.filter(pl.col("known_at") <= until)
    names = usable_names(companions, timeframe=timeframe, chosen=chosen, plugins=plugins)
    missing = missing_inputs(features, markets, companions, names=names, leader=leader, plugins=plugins)
    dataset = join(
        features,
        labels,
        names=names,
        fingerprint=fingerprint(names, plugins),
        markets=markets,
        drop_ambiguous=drop_ambiguous,
    )
    dataset = replace(dataset, missing=missing, plugins=plugins, plan_cost=plan_cost)
    if lookback_rows > 1:
        dataset = replace(dataset, history=features.select("market", "ts", *dataset.features))
    led = leader if "leader" in companions else None
    dataset = without_steps(
        dataset,
        store,
        events,
        min_step,
        lookback=lambda: max(lookback_bars(timeframe, dataset.features, plugins) + lookback_rows - 1, decision_bars),
        leader=led,
    )
    if priced:
        columns = ["market", "known_at", "close"]
        closes = store.read(BARS[timeframe.name], where=where, start=dataset.frame["ts"][0], columns=columns)
        dataset = replace(dataset, prices=closes)
    return dataset if until is None else dataset.known_by(until)


def without_steps(
    dataset: Dataset,
    store: Store,
    events: Steps,
    min_step: float,
    *,
    lookback: Callable[[], int],
    leader: str | None = None,
) -> Dataset:
    """A data set without the rows that look across an event or a step; ``lookback`` in bars, the row's own included.

    Raises
    ------
    ModelError
        If no row is left.
    """
    markets = {*dataset.markets, *([leader] if leader is not None else [])}
    steps = stored_steps(store, markets, events, min_factor=min_step)
    if not steps:
        return dataset
    return apart_from(dataset, steps, stored_bars(store, steps, dataset.timeframe), lookback=lookback(), leader=leader)


def apart_from(
    dataset: Dataset, steps: Steps, bars: Mapping[str, pl.Series], *, lookback: int, leader: str | None = None
) -> Dataset:
    """A data set without the rows that look across these steps; ``bars`` are the opens of their markets' bars.

    Raises
    ------
    ModelError
        If no row is left.
    """
    frame, crossings = without_crossings(
        dataset.frame, steps, bars, lookback=lookback, horizon=dataset.horizon, leader=leader
    )
    if frame.is_empty():
        raise ModelError(
            "; ".join(map(str, crossings)),
            where="data set",
            remedy="no row is left: backfill a longer history after the step, or leave the market out",
        )
    if not crossings:
        return dataset
    return replace(dataset, frame=frame, content_hash=frame_hash(frame), crossings=crossings)


def join(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    names: Sequence[str],
    fingerprint: str,
    markets: Sequence[str] | None = None,
    drop_ambiguous: bool = False,
) -> Dataset:
    """Join rows of the tables ``features`` and ``labels`` to a data set.

    Parameters
    ----------
    features, labels
        Frames of these tables; further columns are ignored.
    names
        The feature columns to take, in the order in which the model shall see them.
    fingerprint
        Of the features' code and parameters.
    markets
        The markets that must be there; empty means those of ``features``.
    drop_ambiguous
        Whether no model learns from ambiguous outcomes.

    Raises
    ------
    ModelError
        If a market has no labelled rows or a feature column is missing or empty.
    InvalidFrame
        If columns are missing, null or of another type, rows are there twice, or a bar's features are known at another
        time than its label is entered.
    """
    _check(features, _KEYS, "features")
    _check(labels, (*_KEYS, "side", *OUTCOME, *_DOUBTS), "labels")
    missing = [name for name in names if name not in features.columns or features[name].is_null().all()]
    if missing and features.height:
        raise ModelError(
            f"the stored features lack {', '.join(missing[:5])}{' ...' if missing[5:] else ''}",
            where="features",
            remedy="they were computed by other code: materialize features again",
        )
    if text := [name for name in names if name in features.columns and not features.schema[name].is_numeric()]:
        raise InvalidFrame(f"{', '.join(text[:5])} are not numbers", where="features")
    wanted = sorted(set(markets if markets is not None else features["market"]))
    frame = (
        features.select(*_KEYS, *(pl.col(name).cast(pl.Float64) for name in names))
        .join(labels.select(*_ROW, pl.col("known_at").alias("entered"), *OUTCOME, *_DOUBTS), on=["market", "ts"])
        .with_columns(_missing_share(labels), dropped=pl.col("ambiguous") & drop_ambiguous)
        .sort("ts", "market", "side", descending=[False, False, True])
        if features.height and labels.height
        else pl.DataFrame(schema={"market": pl.String, "known_at": TS})
    )
    absent = [market for market in wanted if market not in frame["market"].unique()]
    if absent or frame.is_empty():
        raise ModelError("no labelled rows", where=", ".join(absent) or "data set", remedy=REMEDY)
    if other := (frame["known_at"] != frame["entered"]).sum():
        raise InvalidFrame(
            f"features of {other} bars are known at another time than their labels say", where="data set"
        )
    frame = frame.select(*_KEYS, "side", *OUTCOME, "missing_share", "dropped", *names)
    start, end = frame["known_at"].min(), features["known_at"].max()
    assert isinstance(start, datetime)
    assert isinstance(end, datetime)
    return Dataset(frame, tuple(names), fingerprint, frame_hash(frame), start, end)


def _missing_share(labels: pl.DataFrame) -> pl.Expr:
    steps = {timeframe: timeframe_delta(timeframe) for timeframe in labels["resolution"].unique()}
    step = pl.col("resolution").replace_strict(steps, return_dtype=pl.Duration("us"))
    share = pl.col("missing_candles") * step / (pl.col("label_end") - pl.col("known_at"))
    return share.fill_null(0.0).alias("missing_share")


def _check(frame: pl.DataFrame, columns: Sequence[str], name: str) -> None:
    require_columns(frame, columns, where=name)
    for column in columns:
        if column in ("ts", "known_at", "label_end"):
            require_times(frame, (column,), where=name)
        elif (nulls := frame[column].null_count()) and column != "missing_candles":  # older rows were not counted
            raise InvalidFrame(f"{column} has {nulls} nulls", where=name, remedy="leave such rows out")
    if twice := frame.select(name for name in _ROW if name in columns).is_duplicated().sum():
        raise InvalidFrame(f"{twice} rows have a bar that another row has too", where=name, remedy="leave one of them")
