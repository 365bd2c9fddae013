"""What an estimator is: it fits rows, and what it fitted predicts, explains and saves itself."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.plugins import version_of
from trading_assets.settings import EstimatorSettings
from trading_assets.settings.sections.estimators import ESTIMATORS

Array = npt.NDArray[np.float64]
"""Rows of inputs: ``(rows, features)``, or ``(rows, lookback_rows, features)`` where an estimator reads more than one
row, the oldest first. C-contiguous; a missing value is NaN, infinite ones do not come."""

Files = Mapping[str, bytes]
"""A saved model: name -> content."""

Replaced = Callable[[int, Array], Array]
"""(column, other values of it, shaped as ``rows[..., column]``) -> the probability of each row with them."""

FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
"""How a file of a saved model may be called."""


class Fitted(ABC):
    """A fitted estimator. It never changes, and threads may ask it side by side."""

    @abstractmethod
    def predict_proba(self, rows: Array) -> Array:
        """The probability of the target for each row, within 0 and 1.

        A row's probability depends on that row alone: the same in every batch, up to the estimator's ``tolerance``.

        Parameters
        ----------
        rows
            As in training; must not be written to.
        """

    @abstractmethod
    def save(self) -> Files:
        """The model as files that hold text, JSON or arrays, and nothing that is executed: no pickle."""

    def contributions(self, rows: Array) -> Array | None:
        """SHAP values, ``(rows, features)``: what each input adds to the log-odds of its row.

        Up to a constant they add up to the log-odds. None where the estimator cannot say.
        """
        del rows
        return None

    def replacing(self, rows: Array) -> Replaced:
        """What :meth:`predict_proba` says of the same rows with one column replaced, for who asks of many columns.

        Parameters
        ----------
        rows
            As of :meth:`predict_proba`; must stay as they are while the answer is in use.
        """
        other = rows.copy()

        def ask(column: int, values: Array) -> Array:
            other[..., column] = values
            found = self.predict_proba(other)
            other[..., column] = rows[..., column]
            return found

        return ask


class Estimator[P: EstimatorSettings](ABC):
    """One way to learn a probability from rows. Registered once, it has no state."""

    parameters: type[P]
    """Its section of the settings; the default of ``kind`` is its name."""

    tolerance: ClassVar[float] = 0.0
    """How far apart two probabilities of one row may be, in another batch or read back from files. At 0 they are equal
    to the last bit: the parity certificate asks for no less than is promised here."""

    def tolerance_of(self, parameters: P) -> float:
        """The ``tolerance`` with these parameters."""
        del parameters
        return self.tolerance

    @property
    def kind(self) -> str:
        """The name by which settings choose it."""
        return str(self.parameters.model_fields["kind"].default)

    def lookback_rows(self, parameters: P) -> int:
        """How many rows of its market, the present one included, a prediction reads. One: the row alone."""
        del parameters
        return 1

    @abstractmethod
    def fit(
        self,
        rows: Array,
        target: Array,
        weights: Array | None,
        *,
        times: pl.DataFrame,
        parameters: P,
        features: Sequence[str],
        seed: int,
    ) -> Fitted:
        """Learn the probability that the target is 1.

        The same inputs give the same files again, to the last bit, whatever the number of cores; in one thread, as
        folds are trained side by side. A constant column and one that is missing in all rows are allowed.

        Parameters
        ----------
        rows
            The inputs, ascending in time; must not be written to.
        target
            1 or 0 for each row; both occur.
        weights
            What each row counts, with a mean of 1; None where all count the same.
        times
            ``known_at, label_end`` of each row, UTC: when it could be decided on, and when its outcome was known. One
            that holds rows out purges by them, as :class:`trading_assets.validation.CombinatorialPurged` does.
        parameters
            The model's section of the settings.
        features
            The names of the inputs.
        seed
            Of everything that is drawn at random.
        """

    @abstractmethod
    def load(self, files: Files, *, parameters: P, features: Sequence[str]) -> Fitted:
        """A fitted estimator from what :meth:`Fitted.save` gave. Executes nothing that stands in the files.

        Raises
        ------
        ModelError
            Names the file that is missing or malformed, or was trained on another number of features.
        """

    def trial(self, folder: Path, parameters: P, features: Sequence[str]) -> Sequence[str]:
        """The command that loads a saved model from its folder and asks it, in a process that may crash.

        It exits with 0 where the model answers, with 3 and the reason on standard output where it is malformed.
        """
        from trading_assets.models.estimators.loading_trial import command

        return command(self, folder, parameters, features)

    def version(self, parameters: P) -> str:
        """What it trains with, as part of where a bundle comes from: its packages, and of a plug-in its file's hash."""
        del parameters
        packages = (*self.parameters.requires.values(), *self.parameters.trains_with.values())
        parts = [f"{package} {metadata.version(package)}" for package in packages]
        source = inspect.getsourcefile(type(self))
        if source is not None and not type(self).__module__.startswith("trading_assets."):
            parts.append(f"{Path(source).name} {version_of(type(self), ESTIMATORS.owner_of(self.parameters))}")
        return ", ".join(parts)
