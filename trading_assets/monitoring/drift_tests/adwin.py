"""Adaptive windowing: a change of the mean rank that is too small for a day, and shows over weeks.

A. Bifet and R. Gavalda, "Learning from Time-Changing Data with Adaptive Windowing", *SIAM International Conference on
Data Mining*, 2007; as river has it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from trading_assets.monitoring.comparison import LEAST_WINDOWS, Comparison, Measured
from trading_assets.monitoring.drift_tests.registry import register
from trading_assets.monitoring.histograms import Floats

_DEVIATIONS: Final = 4


@register
class Adwin:
    """Reads one number for each day, the mean rank of its rows, or for as many days as the subject remembers.

    Its bound takes numbers for independent and between 0 and 1. Blocks of the memory's length come close to the one;
    for the other, four standard deviations of the training window's blocks to either side of their mean are laid over
    that range, and what lies beyond is cut off. Hours of the day average out within a day.
    """

    name = "adwin"

    def measure(self, compared: Comparison, least: float) -> Measured:
        """See :class:`DriftTest`: the value is how far the mean rank of its window is from the reference's.

        On a day with an alarm it is how far the mean went by the cut. There is no threshold: a cut is one.
        """
        training, new = compared.reference.training.ranks, compared.new.ranks
        value, width = np.full(new.shape, np.nan), np.full(new.shape, np.nan)
        alarmed = np.zeros(new.shape, dtype=bool)
        for place, memory in enumerate(compared.reference.memory_days):
            if compared.independent[place] >= LEAST_WINDOWS:
                found = _stream(training[:, place], new[:, place], max(1, round(float(memory))), compared.alpha)
                value[:, place], width[:, place], alarmed[:, place] = found
        alarmed &= value >= least
        return Measured(value, np.full(new.shape[1], np.nan), width, alarmed)


def _stream(training: Floats, new: Floats, block: int, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Value, window and alarm of each new day."""
    from river.drift.adwin import ADWIN  # loads pandas and scikit-learn

    kind: Any = ADWIN
    detector = kind(delta=alpha, clock=1)
    trained = _blocks(training, block)
    usual, width_of_range = float(np.mean(trained)), 2 * _DEVIATIONS * float(np.std(trained)) or 1.0

    def scaled(mean: float) -> float:
        return min(1.0, max(0.0, (mean - usual) / width_of_range + 0.5))

    for mean in trained:
        detector.update(scaled(mean))
    value, width, alarmed = np.full(len(new), np.nan), np.full(len(new), np.nan), np.zeros(len(new))
    pending: list[float] = []
    for day, rank in enumerate(new):
        if np.isnan(rank):
            continue
        pending.append(float(rank))
        before = detector.estimation
        if len(pending) == block:
            detector.update(scaled(sum(pending) / block))
            pending.clear()
            alarmed[day] = detector.drift_detected
        value[day] = abs(detector.estimation - (before if alarmed[day] else 0.5)) * width_of_range
        width[day] = detector.width
    return value, width, alarmed


def _blocks(series: Floats, block: int) -> list[float]:
    known = series[~np.isnan(series)]
    whole = known[: len(known) - len(known) % block]
    return [float(mean) for mean in whole.reshape(-1, block).mean(axis=1)]
