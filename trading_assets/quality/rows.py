"""What the gates measure on features and labels; no verdicts."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl


def not_finite(features: pl.DataFrame, *, nullable: Collection[str] = ()) -> dict[str, int]:
    """Feature columns with nulls (but for the ``nullable``), NaN or infinities, and how many rows have one."""
    names = [name for name, dtype in features.schema.items() if dtype.is_float()]
    if not names or features.is_empty():
        return {}
    bad = features.select(
        (~pl.col(name).is_finite()).fill_null(value=name not in nullable).sum().alias(name) for name in names
    )
    return {name: int(count) for name, count in bad.row(0, named=True).items() if count}


def class_shares(labels: pl.DataFrame) -> dict[str, float]:
    """The share of labels that each barrier ended: ``take_profit``, ``stop_loss`` and ``time``."""
    counts = dict(labels["barrier"].value_counts().iter_rows())
    return {name: counts.get(name, 0) / max(1, labels.height) for name in ("take_profit", "stop_loss", "time")}
