"""All tests on all subjects: a row for each day, subject and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.candles import TS
from trading_assets.monitoring.comparison import Comparison, Measured, Reference
from trading_assets.monitoring.drift_tests import drift_test
from trading_assets.monitoring.histograms import Histograms
from trading_assets.settings import DriftSettings

KINDS: Final = ("feature", "prediction", "calibration", "outcome")
"""What is compared: each may raise a quarter of the false alarms, whatever the number of its subjects."""

_LOOKS: Final = 365.0
"""A year."""


def judge(
    references: Mapping[str, Reference],
    new: Mapping[str, Histograms],
    settings: DriftSettings,
    *,
    window_days: int,
) -> pl.DataFrame:
    """Look at every new day.

    Parameters
    ----------
    references
        Kind -> its training window.
    new
        Kind -> the days since.
    settings
        Tests, thresholds, and how many false alarms a year are allowed.
    window_days
        Days that are looked at together.

    Returns
    -------
    polars.DataFrame
        ``ts`` (the day's open), ``kind, name, test, value, threshold, effective_n, alarmed``. A threshold is null where
        the subject remembers too long to be judged, or the test has none.
    """
    least = {"psi": settings.psi, "ks": settings.ks}
    parts = []
    for kind, reference in references.items():
        days = new.get(kind)
        if days is None or not days.days or not reference.training.days or not reference.names:
            continue
        alpha = settings.false_alarms_per_year / (_LOOKS * len(KINDS) * len(settings.tests) * len(reference.names))
        compared = Comparison(reference, days, window_days, min(alpha, 0.5))
        parts += [
            _rows(days, name, drift_test(name).measure(compared, least.get(name, 0.0))).with_columns(kind=pl.lit(kind))
            for name in settings.tests
        ]
    return pl.concat(parts).select(*_SCHEMA) if parts else pl.DataFrame(schema=_SCHEMA)


_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "ts": TS,
    "kind": pl.String,
    "name": pl.String,
    "test": pl.String,
    "value": pl.Float64,
    "threshold": pl.Float64,
    "effective_n": pl.Float64,
    "alarmed": pl.Boolean,
}


def _rows(days: Histograms, test: str, found: Measured) -> pl.DataFrame:
    """The days that were looked at."""
    shape = found.value.shape
    frame = pl.DataFrame(
        {
            "ts": pl.Series(days.days, dtype=pl.Date).cast(TS).gather(np.repeat(np.arange(shape[0]), shape[1])),
            "name": np.tile(np.array(days.names), shape[0]),
            "test": [test] * found.value.size,
            **{
                name: np.broadcast_to(values, shape).ravel()
                for name, values in (
                    ("value", found.value),
                    ("threshold", found.threshold),
                    ("effective_n", found.effective_n),
                    ("alarmed", found.alarmed),
                )
            },
        }
    )
    numbers = pl.col("value", "threshold", "effective_n")
    finite = frame.with_columns(pl.when(numbers.is_finite()).then(numbers))
    return finite.filter(pl.col("value").is_not_null())


def window_days(timeframe_minutes: int, window_bars: int) -> int:
    """So many whole days hold the bars, at least one: all hours of a day weigh alike in a window."""
    return max(1, window_bars * timeframe_minutes // (24 * 60))
