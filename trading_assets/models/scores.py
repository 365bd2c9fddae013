"""How good probabilities are, out of sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl


def score(probability: pl.Series, label: pl.Series) -> dict[str, float | None]:
    """Rank and probability scores of predictions against what happened.

    Parameters
    ----------
    probability
        Of take-profit first.
    label
        Barrier labels: 1 take-profit first, anything else not.

    Returns
    -------
    dict
        ``base_rate`` (share of take-profits), ``auc`` (null where only one outcome occurs), ``log_loss`` (natural
        logarithm), ``brier`` (mean squared error, [0, 1]).
    """
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    hit: npt.NDArray[np.int8] = (label == 1).cast(pl.Int8).to_numpy()
    predicted = probability.to_numpy()
    rate = float(hit.mean())
    return {
        "base_rate": rate,
        "auc": float(roc_auc_score(hit, predicted)) if 0 < rate < 1 else None,
        "log_loss": float(log_loss(hit, predicted, labels=[0, 1])),
        "brier": float(brier_score_loss(hit, predicted, pos_label=1)),
    }


def summary(predictions: pl.DataFrame) -> dict[str, float]:
    """Scores over all out-of-sample predictions of a walk-forward, for the bundle and the registry.

    Parameters
    ----------
    predictions
        Rows of the ``predictions`` table of one model.
    """
    if predictions.is_empty():
        return {}
    scores = score(predictions["probability"], predictions["label"])
    counts = {"folds": float(predictions["fold"].n_unique()), "test_rows": float(predictions.height)}
    return {f"oos_{name}": value for name, value in (scores | counts).items() if value is not None}
