"""Distances of two samples, the population stability index and Kolmogorov's; and how long series remember.

PSI is the symmetrised Kullback-Leibler divergence over bins of the reference, ``sum (p - q) ln(p / q)``. Of two samples
of ``n`` and ``m`` independent rows of one distribution it is about ``(1/n + 1/m)`` times a chi-square variable of
``bins - 1`` degrees of freedom (B. Yurdakul, "Statistical Properties of Population Stability Index", 2018).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trading_assets.monitoring.histograms import CELLS, Counts, Floats

BINS: Final = 10
"""Of the population stability index, as is usual; nulls are a further one."""

_JEFFREYS: Final = 0.5


def psi(reference: npt.ArrayLike, sample: npt.ArrayLike, *, bins: int = BINS) -> float:
    """The population stability index of two samples, over the reference's quantiles.

    Half a row is added to each bin (Jeffreys), of both alike, so that an empty one is no infinite distance.
    """
    old, new = (np.asarray(one, np.float64) for one in (reference, sample))
    edges = np.quantile(old, np.arange(1, bins) / bins, method="inverted_cdf")
    counts = [np.bincount(np.searchsorted(edges, one, side="right"), minlength=bins) for one in (old, new)]
    return float(psi_of_counts(np.asarray(counts[1], np.float64), counts[0] / old.size))


def psi_of_counts(counts: Floats, shares: Floats) -> Floats:
    """The index of counts against the reference's shares, over the last axis; NaN where there are no rows."""
    rows, bins = counts.sum(axis=-1, keepdims=True), counts.shape[-1]
    smooth = _JEFFREYS * bins / (rows + _JEFFREYS * bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        new = (1 - smooth) * counts / rows + smooth / bins
        old = (1 - smooth) * shares + smooth / bins
        found: Floats = ((new - old) * np.log(new / old)).sum(axis=-1)
    return found


def ks(reference: npt.ArrayLike, sample: npt.ArrayLike) -> float:
    """Kolmogorov's and Smirnov's distance: the largest one of two empirical distribution functions."""
    old, new = (np.sort(np.asarray(one, np.float64)) for one in (reference, sample))
    at = np.concatenate([old, new])
    shares = [np.searchsorted(one, at, side="right") / one.size for one in (old, new)]
    return float(np.abs(shares[0] - shares[1]).max())


def ks_of_counts(counts: Floats, shares: Floats) -> Floats:
    """The distance at the cells' edges, over the last axis: at most one cell's share below the exact one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        new = counts.cumsum(axis=-1) / counts.sum(axis=-1, keepdims=True)
    found: Floats = np.abs(new - shares.cumsum(axis=-1)).max(axis=-1)
    return found


def binned(counts: Counts | Floats) -> Floats:
    """Counts of cells as counts of the index's bins; nulls are the last one."""
    known = counts[..., :CELLS]
    bins = known.reshape(*known.shape[:-1], BINS, CELLS // BINS).sum(axis=-1, dtype=np.float64)
    return np.concatenate([bins, counts[..., CELLS:].astype(np.float64)], axis=-1)


def autocorrelation_time(series: npt.ArrayLike) -> Floats:
    """How many observations of each series count as one independent one: ``1 + 2 (rho_1 + rho_2 + ...)``, at least 1.

    The sum ends where that of two neighbouring lags is no longer positive: Geyer's initial positive sequence (C. J.
    Geyer, "Practical Markov Chain Monte Carlo", *Statistical Science* 7(4), 1992).

    Parameters
    ----------
    series
        ``(observations, series)``, oldest first; NaN counts as the mean. One without variance remembers for ever.
    """
    values = np.asarray(series, np.float64)
    length = values.shape[0]
    with np.errstate(invalid="ignore"):
        means = np.nansum(values, axis=0) / (~np.isnan(values)).sum(axis=0)
    centred = np.nan_to_num(values - means)
    size = 1 << (2 * length - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size, axis=0)) ** 2
    found = np.fft.irfft(power, size, axis=0)[:length]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = found / found[0]
    pairs = correlations[: length - length % 2].reshape(-1, 2, values.shape[1]).sum(axis=1)
    positive = np.logical_and.accumulate(pairs > 0, axis=0)
    times: Floats = np.maximum(2 * np.where(positive, pairs, 0.0).sum(axis=0) - 1, 1.0)
    return np.where(found[0] > 0, times, np.inf)
