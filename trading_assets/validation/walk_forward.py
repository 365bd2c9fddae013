"""Purged and embargoed walk-forward, rolling or anchored, on time columns and never on row numbers.

One fold, on the time axis::

    train_start            train_end          test_start            test_end
        |----- train ----------|-- purge --|-- embargo --|----- test -----|
         decisions (known_at)   their outcomes   nothing     decisions
                                may still end    ends here

Source: M. Lopez de Prado, *Advances in Financial Machine Learning* (2018), chapter 7. There the purge drops training
rows whose outcome overlaps the test, and the embargo drops training rows that follow a test window, because their
features look back into it. In a walk-forward no training row follows its test window, so the same dependence is cut on
the other side: features of the first test rows look back on bars that decided the last training outcomes, and the
embargo keeps those two apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.settings import WalkForwardSettings
from trading_assets.validation.times import Rows, check_times, days, numpy_time

MIN_TEST_SHARE: Final = 0.1
"""A rest of history shorter than this share of a test window has too few rows to be a fold: it joins the one before."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One training window and the test window after it.

    Attributes
    ----------
    number
        1 for the oldest fold.
    train_start, train_end
        Training decisions: ``train_start <= known_at < train_end``.
    test_start, test_end
        Test decisions: ``test_start <= known_at < test_end``.
    train, test
        Positions of the rows in the given columns, ascending.
    """

    number: int
    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime
    train: Rows
    test: Rows


@dataclass(frozen=True, slots=True)
class WalkForward:
    """A walk-forward splitter.

    The training window rolls with the test window, or, where the settings anchor it, always starts with the history.

    Test windows are contiguous and cover everything after the first training window, purge and embargo. The last one
    is shorter where the history ends; a rest of less than a tenth of a test window joins the window before it. With
    ``tested_from`` they begin on that day, if the first training window lies before it.

    A row trains a fold when its decision falls into the training window **and** its outcome was known by
    ``test_start - embargo``. A purge at least as long as the labels' horizon loses no row of the training window; a
    shorter one loses the rows whose outcome is late, and never lets one through.

    Parameters
    ----------
    settings
        Lengths of the windows, in days; rolling or anchored.
    """

    settings: WalkForwardSettings

    @property
    def gap(self) -> timedelta:
        """From the last training decision to the first test decision: purge and embargo."""
        return timedelta(days=self.settings.purge_days + self.settings.embargo_days)

    @property
    def needed(self) -> timedelta:
        """The shortest history that gives one fold."""
        wf = self.settings
        return timedelta(days=wf.train_days + MIN_TEST_SHARE * wf.test_days) + self.gap

    def split(self, known_at: pl.Series, label_end: pl.Series) -> list[Fold]:
        """Cut the history into folds, oldest first.

        Parameters
        ----------
        known_at
            When each row's decision could be taken; UTC, microseconds, in any order.
        label_end
            When each row's outcome became known; never before ``known_at``.

        Raises
        ------
        InvalidFrame
            If the columns differ in length, have another type, nulls, or an outcome before its decision.
        ModelError
            If the history is too short for one fold, or a training window holds no row.
        """
        check_times(known_at, label_end, where="walk-forward")
        decided = known_at.to_numpy()
        resolved = label_end.to_numpy()
        folds: list[Fold] = []
        for test_start, test_end in self._test_windows(known_at):
            train_end = test_start - self.gap
            train_start = self._train_start(known_at, train_end)
            known_by = test_start - timedelta(days=self.settings.embargo_days)
            test = np.flatnonzero(_between(decided, test_start, test_end))
            if not test.size:  # the venue was silent for a whole window
                continue
            train = np.flatnonzero(_between(decided, train_start, train_end) & (resolved <= numpy_time(known_by)))
            if not train.size:
                raise ModelError(
                    f"no outcome is known in the training window {train_start:%Y-%m-%d} to {train_end:%Y-%m-%d}",
                    where=f"walk-forward fold {len(folds) + 1}",
                    remedy="fill the gap in the history, or lengthen train_days or purge_days under walk_forward",
                )
            folds.append(Fold(len(folds) + 1, train_start, train_end, test_start, test_end, train, test))
        return folds

    def get_n_splits(self, known_at: pl.Series, label_end: pl.Series) -> int:
        """How many folds :meth:`split` gives."""
        return len(self.split(known_at, label_end))

    def _check_reached(self, start: datetime, end: datetime) -> None:
        """Refuse a history that ends before its first test window does something worth the name."""
        if end - start < MIN_TEST_SHARE * timedelta(days=self.settings.test_days):
            raise ModelError(
                f"the labelled history ends on {end:%Y-%m-%d}, and is tested from {start:%Y-%m-%d} on",
                where="walk-forward",
                remedy="backfill what came since, or set walk_forward.tested_from to an earlier day",
            )

    def _train_start(self, known_at: pl.Series, train_end: datetime) -> datetime:
        if not self.settings.anchored:
            return train_end - timedelta(days=self.settings.train_days)
        first = known_at.min()
        assert isinstance(first, datetime)
        return first

    def _test_windows(self, known_at: pl.Series) -> Iterator[tuple[datetime, datetime]]:
        times = known_at.unique().sort()
        if len(times) < 2:
            raise ModelError(f"{len(times)} points in time are not a history", remedy="materialize features and labels")
        # Half-open windows: the history ends one bar after its newest decision.
        first, end = times[0], times[-1] + times.diff().min()
        if end - first < self.needed:
            wf = self.settings
            raise ModelError(
                f"{days(end - first)} days of labelled history are there, {days(self.needed)} are needed "
                f"({wf.train_days:g} train + {wf.purge_days:g} purge + {wf.embargo_days:g} embargo "
                f"+ {MIN_TEST_SHARE * wf.test_days:g} of a first test window)",
                where="walk-forward",
                remedy="backfill a longer history or shorten the windows under walk_forward",
            )
        length = timedelta(days=self.settings.test_days)
        start = first + timedelta(days=self.settings.train_days) + self.gap
        if (day := self.settings.tested_from) is not None:
            start = max(start, datetime(day.year, day.month, day.day, tzinfo=UTC))
            self._check_reached(start, end)
        while start < end:
            stop = start + length
            if end - stop < MIN_TEST_SHARE * length:
                stop = end
            yield start, stop
            start = stop


def _between(times: npt.NDArray[np.datetime64], start: datetime, end: datetime) -> npt.NDArray[np.bool_]:
    return (times >= numpy_time(start)) & (times < numpy_time(end))
