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
        Of take-profit first; null where a rule wants no trade.
    label
        Barrier labels: 1 take-profit first, anything else not.

    Returns
    -------
    dict
        ``base_rate`` (share of take-profits), ``auc`` (null where only one outcome occurs), ``log_loss`` (natural
        logarithm), ``brier`` (mean squared error, [0, 1]). Of a rule the first two are of all rows, the AUC that of
        speaking or not, and the others of the rows on which it speaks; null where there are none.
    """
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    hit: npt.NDArray[np.int8] = (label == 1).cast(pl.Int8).to_numpy()
    rate = float(hit.mean()) if hit.size else 0.0
    spoken = probability.is_not_null()
    ranked = probability if spoken.all() else spoken.cast(pl.Float64)
    told, known = probability.drop_nulls().to_numpy(), hit[spoken.to_numpy()]
    return {
        "base_rate": rate if hit.size else None,
        "auc": float(roc_auc_score(hit, ranked.to_numpy())) if 0 < rate < 1 else None,
        "log_loss": float(log_loss(known, told, labels=[0, 1])) if told.size else None,
        "brier": float(brier_score_loss(known, told, pos_label=1)) if told.size else None,
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
