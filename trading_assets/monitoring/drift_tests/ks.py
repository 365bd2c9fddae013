"""Kolmogorov's and Smirnov's distance of each day's window."""

from __future__ import annotations

from typing import Final

import numpy as np

from trading_assets.monitoring.comparison import Comparison, Measured
from trading_assets.monitoring.drift_tests.noise import beyond, quantile
from trading_assets.monitoring.drift_tests.registry import register
from trading_assets.monitoring.histograms import CELLS
from trading_assets.monitoring.statistics import ks_of_counts

_MEAN: Final = 0.8687
"""Mean of Kolmogorov's distribution, ``sqrt(pi / 2) ln 2``: of ``n`` independent rows the distance is this over
``sqrt(n)`` on average."""


@register
class Ks:
    """The largest gap between the distribution functions; nulls are left out.

    The effective size is the number of independent rows that would lie as far apart: ``(0.8687 / mean distance)^2``.
    The threshold is Kolmogorov's for that size, ``sqrt(ln(2 / alpha) / 2 n)``, or what the variance of the training
    window's own distances asks for, if that is more.
    """

    name = "ks"

    def measure(self, compared: Comparison, least: float) -> Measured:
        """See :class:`DriftTest`."""
        known = compared.reference.shares[:, :CELLS]
        with np.errstate(invalid="ignore"):
            known = known / known.sum(axis=1, keepdims=True)
        trained, value = (ks_of_counts(one[:, :, :CELLS], known) for one in (compared.trained, compared.looked_at))
        if not len(trained):
            trained = np.full((1, len(compared.new.names)), np.nan)
        rows = compared.trained.sum(axis=2).mean(axis=0) if len(compared.trained) else np.zeros(trained.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.fmin((_MEAN / trained.mean(axis=0)) ** 2, rows) / compared.doubt
            kolmogorov = np.sqrt(np.log(2 / compared.alpha) / (2 * size))
        noise = np.fmax(kolmogorov, np.sqrt(quantile(trained**2, compared.alpha, compared.doubt)))
        farthest = np.sqrt(beyond(trained**2, compared.alpha, compared.independent))
        threshold = np.maximum(least, np.fmax(noise, farthest))
        threshold[threshold >= 1] = np.inf  # no distance reaches it
        return Measured(value, threshold, size, value > threshold)
