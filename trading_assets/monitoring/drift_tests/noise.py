"""How far windows of the training window lie from all of it, and so how far an ordinary new one may."""

from __future__ import annotations

import numpy as np

from trading_assets.monitoring.histograms import Floats


def quantile(distances: Floats, alpha: float, doubt: Floats) -> Floats:
    """What a squared distance of a new window exceeds with probability ``alpha``.

    Squared distances of dependent rows are a weighted sum of chi-square variables. A gamma distribution of the same
    mean and variance stands for it: F. E. Satterthwaite, *Biometrics Bulletin* 2(6), 1946; for counts of dependent
    rows, the second-order correction of J. N. K. Rao and A. J. Scott, *JASA* 76, 1981. The ``doubt`` widens it.

    Parameters
    ----------
    distances
        Squared ones of the training window's own windows, ``(windows, subjects)``.
    """
    from scipy.stats import gamma

    with np.errstate(invalid="ignore", divide="ignore"):
        mean, variance = distances.mean(axis=0), distances.var(axis=0)
        found = gamma.isf(alpha, mean**2 / variance, scale=variance / mean)
        return np.where(np.isinf(doubt), np.inf, np.where(variance > 0, found, mean) * doubt)


def beyond(distances: Floats, alpha: float, independent: Floats) -> Floats:
    """The squared distance that the largest one of the training window leads to expect with probability ``alpha``.

    A fitted distribution does not know bursts of volatility; the farthest window has shown them. The largest of ``N``
    independent windows is exceeded about once in ``N``; where squared distances fall off exponentially or faster from
    there, ``ln(1 / alpha) / ln N`` times as much is exceeded with ``alpha``.
    """
    times = np.maximum(1.0, -np.log(alpha) / np.log(np.maximum(independent, 2.0)))
    found: Floats = times * np.nan_to_num(distances).max(axis=0, initial=0)
    return found
