"""Rows of the store's tables as subjects: what is compared, and on which day each row counts."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trading_assets.core.sides import Side

DAY = "day"


def features(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Each feature, on the day that its bar opens."""
    return rows.select(pl.col("ts").dt.date().alias(DAY), *names)


def predictions(rows: pl.DataFrame) -> pl.DataFrame:
    """The probability of each side, on the day that its bar opens; null where the side was not asked.

    Parameters
    ----------
    rows
        ``ts, side, probability``; a row for each side.
    """
    return _by_side(rows, "ts", {"": pl.col("probability")})


def calibration(rows: pl.DataFrame) -> pl.DataFrame:
    """What came less what was said, on the day that it was known; its mean is the calibration error.

    Parameters
    ----------
    rows
        ``label_end, side, probability, label``.
    """
    return _by_side(rows, "label_end", {"": (pl.col("label") == 1).cast(pl.Float64) - pl.col("probability")})


def outcomes(labels: pl.DataFrame) -> pl.DataFrame:
    """Whether the target came first, and what the side earned, on the day that it was known.

    Parameters
    ----------
    labels
        ``label_end, side, label, return``.
    """
    hit = (pl.col("label") == 1).cast(pl.Float64)
    return _by_side(labels, "label_end", {" hit": hit, " return": pl.col("return")})


def _by_side(rows: pl.DataFrame, time: str, values: dict[str, pl.Expr]) -> pl.DataFrame:
    """A column for each side and value, null in the rows of the other side."""
    day = pl.col(time).dt.date().alias(DAY)
    columns = [
        pl.when(pl.col("side") == int(side)).then(value).cast(pl.Float64).alias(f"{side.word}{suffix}")
        for side in (Side.LONG, Side.SHORT)
        if (rows["side"] == int(side)).any()
        for suffix, value in values.items()
    ]
    return rows.select(day, *columns)


def subjects(sample: pl.DataFrame) -> tuple[str, ...]:
    """The subjects of a sample."""
    return tuple(name for name in sample.columns if name != DAY)
