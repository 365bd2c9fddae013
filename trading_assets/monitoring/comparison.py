"""What a drift test is given: a training window by day, the days since, and how rarely it may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.monitoring.histograms import CELLS, Floats, Histograms, edges_of, histograms
from trading_assets.monitoring.statistics import autocorrelation_time

MOST_DAYS: Final = 365
"""The newest so many days of a training window say how much a day may differ from all of it."""

LEAST_WINDOWS: Final = 20
"""With fewer independent windows of training, nobody knows how far an ordinary one lies from the whole."""

_LEAST_ROWS: Final = 0.5
"""A window with less than this share of the usual rows is not looked at."""


@dataclass(frozen=True)
class Reference:
    """The training window's rows of one kind of subject.

    Attributes
    ----------
    kind
        feature, prediction, calibration or outcome.
    edges
        Of the cells, ``(subjects, CELLS - 1)``.
    training
        The training window's days.
    """

    kind: str
    edges: npt.NDArray[np.float32]
    training: Histograms

    @classmethod
    def of(cls, kind: str, rows: pl.DataFrame, names: tuple[str, ...]) -> Self:
        """Of rows with their ``day``, and a column for each subject."""
        edges = edges_of(rows.select(pl.col(names).cast(pl.Float32)).to_numpy())
        found = cls(kind, edges, histograms(rows, names, edges))
        days = found.training.days[-MOST_DAYS:]
        return replace(found, training=found.counted(found.training).between(days[0] if days else None, None))

    @property
    def names(self) -> tuple[str, ...]:
        """The subjects."""
        return self.training.names

    def count(self, rows: pl.DataFrame) -> Histograms:
        """Rows with their ``day`` in this window's cells."""
        return self.counted(histograms(rows, self.names, self.edges))

    def counted(self, found: Histograms) -> Histograms:
        """Without nulls where these only mean that there is nothing to say: features alone have them."""
        if self.kind != "feature":
            found.counts[:, :, CELLS] = 0
        return found

    @cached_property
    def shares(self) -> Floats:
        """The share of each cell in the training window, ``(subjects, CELLS + 1)``."""
        counts = self.training.counts.sum(axis=0, dtype=np.float64)
        found: Floats = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return found

    @cached_property
    def memory_days(self) -> Floats:
        """Days that count as one: of each subject's daily mean rank, or of how spread its ranks are, if longer."""
        known = self.training.counts[:, :, :CELLS]
        off_centre = np.abs((np.arange(CELLS) + 0.5) / CELLS - 0.5)
        with np.errstate(invalid="ignore"):
            spread = known @ off_centre / known.sum(axis=2, dtype=np.float64)
        ranks = autocorrelation_time(self.training.ranks)
        steady = np.isinf(ranks) & (known.sum(axis=(0, 2)) > 0)  # a constant is known from the first day on
        return np.where(steady, 1.0, np.maximum(ranks, np.where(steady, 1.0, _finite(autocorrelation_time(spread)))))


def _finite(times: Floats) -> Floats:
    return np.where(np.isinf(times), 1.0, times)


@dataclass(frozen=True)
class Comparison:
    """A training window and the days since.

    Attributes
    ----------
    reference
        The training window.
    new
        The days that are looked at, all after it.
    window_days
        Days that are looked at together.
    alpha
        The probability of a false alarm that one look at one subject by one test may have.
    """

    reference: Reference
    new: Histograms
    window_days: int
    alpha: float

    @cached_property
    def trained(self) -> Floats:
        """Counts of the whole windows within the training window, ``(windows, subjects, CELLS + 1)``."""
        windows = self.reference.training.windows(self.window_days).counts[self.window_days - 1 :]
        rows = windows.sum(axis=2).max(axis=1, initial=0)
        return windows[rows >= _LEAST_ROWS * (np.median(rows) if rows.size else 0)].astype(np.float64)

    @cached_property
    def looked_at(self) -> Floats:
        """Counts of the window that ends with each new day; without enough rows, none."""
        windows = self.new.windows(self.window_days).counts.astype(np.float64)
        usual = np.median(self.trained.sum(axis=2), axis=0) if len(self.trained) else np.zeros(len(self.new.names))
        rows = windows.sum(axis=2)
        scarce = (rows < _LEAST_ROWS * usual) | (self.new.rows == 0)
        windows[scarce] = 0
        return windows

    @cached_property
    def independent(self) -> Floats:
        """How many independent windows of each subject the training window holds."""
        days = len(self.reference.training.days)
        found: Floats = days / np.maximum(self.reference.memory_days, self.window_days)
        return found

    @cached_property
    def doubt(self) -> Floats:
        """By how much a new window's squared distance exceeds that of a window of training, which it was fitted to.

        Variances add: ``1 + 1/N`` of one that the reference does not hold, ``1 - 1/N`` of one that it does. Infinite
        where there are too few windows to judge.
        """
        known = np.maximum(self.independent, 2.0)
        return np.where(self.independent >= LEAST_WINDOWS, (1 + 1 / known) / (1 - 1 / known), np.inf)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a test found: ``value`` and ``alarmed`` are ``(days, subjects)``, the others broadcast to it.

    Attributes
    ----------
    value
        NaN where a day was not looked at.
    threshold
        NaN where the test has none, infinite where the subject cannot be judged.
    effective_n
        How many independent rows the window is worth.
    """

    value: Floats
    threshold: Floats
    effective_n: Floats
    alarmed: npt.NDArray[np.bool_]
