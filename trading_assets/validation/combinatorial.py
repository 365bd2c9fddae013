"""Combinatorial purged cross-validation: many backtest paths through one history.

A walk-forward tests one path, so a lucky one is hard to tell from a good one. Here the history is cut into ``n_groups``
spans of equal time; every choice of ``n_test_groups`` of them is a test, the rest trains. Each group is tested
``C(n_groups - 1, n_test_groups - 1)`` times, which strings the tests together to that many complete paths::

    groups       1    2    3    4    5    6      6 groups, 2 of them tested: 15 splits, 5 paths
    split  1    [T]  [T]   .    .    .    .      path 1 takes the first split that tests a group,
    split  2    [T]   .   [T]   .    .    .      path 2 the second one, and so on
    ...

Source: M. Lopez de Prado, *Advances in Financial Machine Learning* (2018), chapter 12 (paths) and 7 (purge, embargo).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import InvalidFrame, ModelError, SettingsError
from trading_assets.validation.splitter import TimeSplitter
from trading_assets.validation.times import Rows, check_times, days, micros

_WHERE = "combinatorial cross-validation"


@dataclass(frozen=True, slots=True)
class CombinatorialFold:
    """One choice of test groups.

    Attributes
    ----------
    number
        1 for the first.
    test_groups
        The groups tested, counted from 0, ascending.
    train, test
        Positions of the rows in the given columns, ascending.
    group_of_test
        The group of each test row.
    """

    number: int
    test_groups: tuple[int, ...]
    train: Rows
    test: Rows
    group_of_test: Rows


@dataclass(frozen=True)
class CombinatorialPurged(TimeSplitter):
    """Combinatorial purged cross-validation on ``known_at`` and ``label_end``.

    A row trains where its life, from decision to outcome, stays clear of every tested group: its outcome was known
    ``embargo`` before the group's first decision, or its decision fell ``embargo`` after the group's last outcome. So
    a group is widened by purge (as long as its labels live, no setting needed) and embargo on both sides. The book puts
    the embargo only after a test; before it, it does what it does in :class:`WalkForward`: it keeps apart the features
    of the first test rows and the bars that decided the last training outcomes.

    Parameters
    ----------
    n_groups
        Spans of equal time that the history is cut into.
    n_test_groups
        How many of them one split tests.
    embargo
        Time beside a tested group in which nothing of the training happens.

    Raises
    ------
    SettingsError
        If the numbers contradict one another.
    """

    n_groups: int = 6
    n_test_groups: int = 2
    embargo: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if not 1 <= self.n_test_groups < self.n_groups:
            raise SettingsError(
                f"{self.n_test_groups} of {self.n_groups} groups cannot be tested",
                where=_WHERE,
                remedy="1 <= n_test_groups < n_groups",
            )
        if self.embargo < timedelta(0):
            raise SettingsError(f"the embargo {self.embargo} is negative", where=_WHERE)

    @property
    def n_paths(self) -> int:
        """How often each group is tested: the number of complete paths."""
        return comb(self.n_groups - 1, self.n_test_groups - 1)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """How many splits there are; needs no data."""
        return comb(self.n_groups, self.n_test_groups)

    def folds(self, known_at: pl.Series, label_end: pl.Series) -> list[CombinatorialFold]:
        """Every choice of test groups, in lexicographic order.

        Parameters
        ----------
        known_at
            When each row's decision could be taken; UTC, microseconds, in any order.
        label_end
            When each row's outcome became known; never before ``known_at``.

        Raises
        ------
        InvalidFrame
            If the columns break their contract.
        ModelError
            If a group has no rows, or a split nothing to train on.
        """
        check_times(known_at, label_end, where=_WHERE)
        decided, resolved = micros(known_at), micros(label_end)
        group = self._groups(decided)
        apart = self._apart(decided, resolved, group)
        folds = []
        for number, chosen in enumerate(combinations(range(self.n_groups), self.n_test_groups), start=1):
            tested = np.isin(group, chosen)
            test = np.flatnonzero(tested)
            train = np.flatnonzero(apart[list(chosen)].all(axis=0) & ~tested)
            if not train.size:
                raise ModelError(
                    f"purge and embargo of {days(self.embargo)} days leave nothing to train on beside the groups "
                    f"{', '.join(str(place + 1) for place in chosen)} of {self.n_groups}",
                    where=_WHERE,
                    remedy="take a longer history, fewer test groups or a shorter embargo",
                )
            folds.append(CombinatorialFold(number, chosen, train, test, group[test]))
        return folds

    def paths(
        self, folds: Sequence[CombinatorialFold], predictions: Sequence[npt.NDArray[np.float64]]
    ) -> npt.NDArray[np.float64]:
        """String the predictions of all splits together to complete paths.

        Parameters
        ----------
        folds
            Of :meth:`folds`.
        predictions
            For each fold one value per test row, in the order of ``fold.test``.

        Returns
        -------
        numpy.ndarray
            ``(n_paths, rows)``: path ``p`` takes each group from the ``p``-th split that tests it.
        """
        rows = 1 + max(int(fold.test[-1]) for fold in folds)
        out = np.full((self.n_paths, rows), np.nan)
        taken = [0] * self.n_groups
        for fold, predicted in zip(folds, predictions, strict=True):
            if len(predicted) != fold.test.size:
                raise InvalidFrame(
                    f"{len(predicted)} predictions for {fold.test.size} test rows", where=f"split {fold.number}"
                )
            for place in fold.test_groups:
                mine = fold.group_of_test == place
                out[taken[place], fold.test[mine]] = np.asarray(predicted)[mine]
                taken[place] += 1
        return out

    def _groups(self, decided: npt.NDArray[np.int64]) -> Rows:
        """The group of each row: the history from the first to the last decision in spans of equal time."""
        if not decided.size:
            raise ModelError("no rows to split", where=_WHERE, remedy="materialize features and labels")
        first = decided.min()
        group: Rows = ((decided - first) * self.n_groups // (decided.max() + 1 - first)).astype(np.intp)
        silent = np.flatnonzero(np.bincount(group, minlength=self.n_groups) == 0)
        if silent.size:
            raise ModelError(
                f"group {silent[0] + 1} of {self.n_groups} has no rows",
                where=_WHERE,
                remedy="take fewer groups, or fill the gap in the history",
            )
        return group

    def _apart(
        self, decided: npt.NDArray[np.int64], resolved: npt.NDArray[np.int64], group: Rows
    ) -> npt.NDArray[np.bool_]:
        """``(n_groups, rows)``: whether a row's life stays clear of a group and the embargo around it."""
        embargo = self.embargo // timedelta(microseconds=1)
        start = np.array([decided[group == place].min() for place in range(self.n_groups)])
        end = np.array([resolved[group == place].max() for place in range(self.n_groups)])
        before = resolved <= start[:, None] - embargo
        after = decided >= end[:, None] + embargo
        return np.asarray(before | after)
