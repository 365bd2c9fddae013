"""From a provider's scale to -1 ... 1."""

from __future__ import annotations

import polars as pl


def scaled(values: pl.Series, low: float, high: float) -> pl.Series:
    """Map ``low`` to -1 and ``high`` to 1, linearly; what lies outside stays outside."""
    return values if (low, high) == (-1.0, 1.0) else (values - low) / (high - low) * 2 - 1
