"""A model's scores on rows of its training window that it had not seen, and what can be learnt from them.

The window is cut into spans of equal time; each is scored by the same estimator, with the same parameters, trained on
the others, purged and embargoed. So every row of the window tells something, and the model that is asked in the end has
learnt from all of them: the newest part, kept back for calibration, would cost it what matters most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.models.confidence.conformal import Conformal
from trading_assets.models.confidence.curve import Array, Curve, curve_of
from trading_assets.models.confidence.kept import Calibration, Confidence
from trading_assets.settings import ConfidenceSettings
from trading_assets.validation import CombinatorialFold, CombinatorialPurged, beats

Fit = Callable[[pl.DataFrame], Callable[[pl.DataFrame], Array]]
"""Trains on rows of a data set; what it gives scores others."""


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Rows with the score of a model that had not seen them.

    Attributes
    ----------
    scores, hit
        In [0, 1]; the outcomes, 1 or 0.
    known_at
        When each was decided on.
    folds
        Which rows were scored by what was trained on which others.
    """

    scores: Array
    hit: Array
    known_at: pl.Series
    folds: Sequence[CombinatorialFold]

    def calibrated(self, curve: type[Curve]) -> Array:
        """Each span by a calibrator that was fitted on the rows that are clear of it."""
        found = np.empty_like(self.scores)
        for fold in self.folds:
            found[fold.test] = curve.fit(self.scores[fold.train], self.hit[fold.train]).apply(self.scores[fold.test])
        return found


def out_of_fold(rows: pl.DataFrame, fit: Fit, *, folds: int, embargo: timedelta) -> OutOfFold:
    """Score every row of a training window by a model that was trained on the other spans of it.

    Parameters
    ----------
    rows
        ``known_at``, ``label_end``, ``label`` and what ``fit`` needs.
    fit
        Trains as the model is trained.
    folds
        Spans.
    embargo
        Time beside a span in which nothing of the training happens.

    Raises
    ------
    ModelError
        If a span has no rows, or what is left beside one is nothing or has only one outcome.
    """
    hit = (rows["label"] == 1).cast(pl.Float64).to_numpy()
    splits = CombinatorialPurged(folds, 1, embargo).folds(rows["known_at"], rows["label_end"])
    for split in splits:
        if not 0 < hit[split.train].mean() < 1:
            raise ModelError(f"beside span {split.number} of {folds} there is only one outcome", where="confidence")
    scores = np.empty(rows.height)
    for split in splits:
        scores[split.test] = fit(rows[split.train])(rows[split.test])
    return OutOfFold(scores, hit, rows["known_at"], splits)


def measure(found: OutOfFold | ModelError, asked: ConfidenceSettings) -> Confidence:
    """What is kept of what the settings ask for.

    A calibrator stays where its Brier score, on rows that it had not seen, beats that of the plain scores by more than
    its noise; it is then fitted on all rows. Sets are made from the probabilities that stay: those of the curve that
    stays, which is nearly a fixed function of the score, ranked by the score where it says the same of several. Made
    from the cross-fitted ones, whose steps lie elsewhere, 90 % were 80 to 100 % on worlds whose truth is known.

    Parameters
    ----------
    found
        Of :func:`out_of_fold`, or why there is none: then the plain scores stay, and every set holds both outcomes.
    asked
        Of the model's settings.
    """
    if isinstance(found, ModelError):
        none = None if asked.calibration == "none" else Calibration(asked=asked.calibration, kept=False, why=found.what)
        sets = None if asked.conformal is None else Conformal(coverage=asked.conformal, quantile=1.0, rows=0)
        return Confidence(calibration=none, conformal=sets)
    calibration, curve = None, None
    if asked.calibration != "none":
        kind = curve_of(asked.calibration)
        unseen = found.calibrated(kind)
        calibration = Calibration.of(asked.calibration, beats(found.scores, unseen, found.hit, found.known_at))
        if calibration.kept:
            curve = kind.fit(found.scores, found.hit)
    kept = Confidence(calibration=calibration, curve=curve)
    if asked.conformal is None:
        return kept
    conformal = Conformal.fit(kept.ranked(found.scores), found.hit, asked.conformal)
    return kept.model_copy(update={"conformal": conformal})
