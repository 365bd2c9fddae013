"""What a search learns from: the older part of the history, cut so that nothing of the newer part is in it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import ModelError
from trading_assets.models import Dataset
from trading_assets.settings import LabelSettings, ModelSettings, Range, StrategySettings
from trading_assets.settings.days import midnight
from trading_assets.settings.sections.space import Space

Build = Callable[[StrategySettings], Dataset]
"""The whole data set of a model: its label set, its features or what its rule wants."""

MIN_TESTED: Final = timedelta(days=14)
"""Two weeks of test windows at least: a search on less would choose by a handful of trades."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a history is cut in two.

    Attributes
    ----------
    first
        The first decision.
    tested
        When the first test window of the searched part begins, for all trials alike.
    split
        When the unseen windows begin: midnight.
    end
        When the history ends.
    known_by
        What was not known then is in no trial: an embargo before the split.
    """

    first: datetime
    tested: datetime
    split: datetime
    end: datetime
    known_by: datetime

    @property
    def searched_days(self) -> float:
        """Days on which trials are measured."""
        return (self.split - self.tested) / timedelta(days=1)

    @property
    def unseen_days(self) -> float:
        """Days on which what is found is judged."""
        return (self.end - self.split) / timedelta(days=1)


def cut(data: Dataset, spec: StrategySettings, space: Space, unseen_share: float, *, at: date | None = None) -> Cut:
    """Cut a history; its newest ``holdout_days`` are left out of both parts.

    Parameters
    ----------
    data
        Of the model as it is.
    spec, space
        The model, and what is tried: the longest training window of it decides where tests begin.
    unseen_share
        Of the history, for the unseen windows.
    at
        Where an earlier search cut it.

    Raises
    ------
    ModelError
        If one of the parts is too short.
    """
    windows = spec.walk_forward
    longest = space.get("walk_forward.train_days", windows.train_days)
    if isinstance(longest, Range):
        train = longest.high
    else:
        train = max(float(one or 0) for one in longest) if isinstance(longest, tuple) else longest
    first, end = data.start, data.end - timedelta(days=spec.holdout_days)
    split = midnight((first + (end - first) * (1 - unseen_share)).date())
    if at is not None:
        split = midnight(at)
    gap = timedelta(days=windows.purge_days + windows.embargo_days)
    tested = midnight((first + timedelta(days=train) + gap).date()) + timedelta(days=1)
    found = Cut(first, tested, split, end, split - timedelta(days=windows.embargo_days))
    least = max(timedelta(days=windows.test_days), MIN_TESTED)
    if found.split - found.tested < least or found.end - found.split < least:
        raise ModelError(
            f"{(end - first) / timedelta(days=1):.1f} days of history from {first:%Y-%m-%d} on leave "
            f"{max(found.searched_days, 0):.1f} tested days to search in and {max(found.unseen_days, 0):.1f} unseen "
            f"ones; {least / timedelta(days=1):g} are needed of each, after {train:g} days of training",
            where=f"search of {', '.join(spec.markets)}",
            remedy="backfill a longer history, change search.unseen_share, or shorten the windows under walk_forward",
        )
    return found


@dataclass
class Material:
    """The data sets of a search's trials, each made once.

    Attributes
    ----------
    build
        Makes the whole data set of a model.
    labels
        By name: how long their outcomes are waited for.
    known_by
        Nothing that was not known then is in what trials get.
    """

    build: Build
    labels: Mapping[str, LabelSettings]
    known_by: datetime
    _made: dict[str, Dataset] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, spec: StrategySettings) -> Dataset:
        """What a trial of a model learns from."""
        if not isinstance(spec, ModelSettings):
            return self._older(spec)
        with self._lock:
            key = _read_by(spec)
            if key not in self._made:
                self._made[key] = self._older(spec)
            return self._made[key]

    def _older(self, spec: StrategySettings) -> Dataset:
        return older(self.build(spec), self.known_by, self.labels[spec.label].horizon)


def older(data: Dataset, known_by: datetime, horizon: timedelta) -> Dataset:
    """The part of a data set whose outcomes were all known at a moment.

    Parameters
    ----------
    horizon
        Of the label set: the longest that an outcome may take. How long one took after the moment says nothing here.
    """
    known = pl.col("known_at") <= known_by
    frame = data.frame.filter(pl.col("known_at") + horizon <= known_by, pl.col("label_end") <= known_by)
    if frame.is_empty():
        raise ModelError(
            f"no outcome was known by {known_by:%Y-%m-%d}",
            where=", ".join(data.markets),
            remedy="backfill a longer history",
        )
    prices = None if data.prices is None else data.prices.filter(known)
    history = data.history
    if history is not None:
        history = history.filter(pl.col("ts") + data.timeframe.length <= known_by)
    return replace(
        data, frame=frame, content_hash=frame_hash(frame), end=min(data.end, known_by), prices=prices, history=history
    )


def _read_by(spec: ModelSettings) -> str:
    """What of a model says which rows it reads."""
    from trading_assets.models.estimators import estimator_of

    parts = [spec.label, spec.features, spec.companions, spec.sample_weights == "attribution"]
    return json.dumps([*parts, estimator_of(spec.estimator).lookback_rows(spec.estimator)])
