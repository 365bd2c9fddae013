"""The population stability index of each day's window."""

from __future__ import annotations

import numpy as np

from trading_assets.monitoring.comparison import Comparison, Measured
from trading_assets.monitoring.drift_tests.noise import beyond, quantile
from trading_assets.monitoring.drift_tests.registry import register
from trading_assets.monitoring.statistics import binned, psi_of_counts


@register
class Psi:
    """Changes of shape and place alike, over ten bins and one for nulls.

    The effective size is the number of independent rows that would lie as far apart: ``(bins - 1) / mean PSI``.
    """

    name = "psi"

    def measure(self, compared: Comparison, least: float) -> Measured:
        """See :class:`DriftTest`."""
        shares = binned(compared.reference.shares)
        trained, value = (psi_of_counts(binned(one), shares) for one in (compared.trained, compared.looked_at))
        if not len(trained):
            trained = np.full((1, len(compared.new.names)), np.nan)
        noise = quantile(trained, compared.alpha, compared.doubt)
        threshold = np.maximum(least, np.fmax(noise, beyond(trained, compared.alpha, compared.independent)))
        rows = compared.trained.sum(axis=2).mean(axis=0) if len(compared.trained) else np.zeros(len(threshold))
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.fmin(((shares > 0).sum(axis=1) - 1) / (trained.mean(axis=0) * compared.doubt), rows)
        return Measured(value, threshold, size, value > threshold)
