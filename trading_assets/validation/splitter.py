"""What all splitters share: scikit-learn's interface on times instead of row numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from trading_assets.settings import WalkForwardSettings
from trading_assets.validation.times import Rows, times_of
from trading_assets.validation.walk_forward import Fold, WalkForward


class Split(Protocol):
    """Positions of the rows that train, and of those that test."""

    @property
    def train(self) -> Rows:
        """Ascending."""

    @property
    def test(self) -> Rows:
        """Ascending."""


class TimeSplitter(ABC):
    """A cross-validator that scikit-learn's ``cross_val_score``, ``GridSearchCV`` and the like take as ``cv``.

    The times come in as ``groups``, the argument that scikit-learn hands through to the splitter: a frame with the
    columns ``known_at`` and ``label_end``, one row per sample. Where no groups are given, ``X`` must be such a frame.
    With ``enable_metadata_routing`` they are routed without a request.

    Examples
    --------
    >>> times = dataset.frame.select("known_at", "label_end")  # doctest: +SKIP
    >>> cross_val_score(model, X, y, groups=times, cv=CombinatorialPurged(6, 2))  # doctest: +SKIP
    """

    @abstractmethod
    def folds(self, known_at: pl.Series, label_end: pl.Series) -> Sequence[Split]:
        """The folds, typed, oldest first."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:  # noqa: N803
        """Yield the positions of training and test rows of each fold.

        Parameters
        ----------
        X
            The samples; a frame with ``known_at`` and ``label_end`` where ``groups`` is empty.
        y
            Not used; there for scikit-learn.
        groups
            A frame with ``known_at`` and ``label_end``, in the samples' order.

        Raises
        ------
        InvalidFrame
            If there are no such columns, they break their contract, or there are more or fewer of them than samples.
        ModelError
            If a fold would have nothing to train on.
        """
        for fold in self.folds(*times_of(X, groups, y, where=type(self).__name__)):
            yield fold.train, fold.test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """How many folds :meth:`split` gives for the same arguments."""
        return len(self.folds(*times_of(X, groups, y, where=type(self).__name__)))

    def get_metadata_routing(self) -> Any:
        """Ask scikit-learn for ``groups`` where its metadata routing is on: a nested search gets its times too."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        request.split.add_request(param="groups", alias=True)
        return request


@dataclass(frozen=True)
class WalkForwardSplitter(TimeSplitter):
    """The purged and embargoed :class:`WalkForward` in scikit-learn's interface.

    Parameters
    ----------
    settings
        Lengths of the windows in days, rolling or anchored.
    """

    settings: WalkForwardSettings

    def folds(self, known_at: pl.Series, label_end: pl.Series) -> list[Fold]:
        """See :meth:`WalkForward.split`."""
        return WalkForward(self.settings).split(known_at, label_end)
