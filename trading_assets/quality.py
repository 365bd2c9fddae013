"""What the quality gates measure on candles, features and labels; pure functions, no verdicts."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.candles import CANDLE_COLUMNS, CANDLE_KEY, timeframe_delta

PRICES: Final = ("open", "high", "low", "close")


def schema_errors(candles: pl.DataFrame) -> pl.DataFrame:
    """Where stored candles break the schema of their table, as pandera sees it.

    Parameters
    ----------
    candles
        Rows of the ``candles`` table.

    Returns
    -------
    polars.DataFrame
        ``column``, ``check``, ``rows`` (how many rows fail it) and ``example``; empty where all is well.
    """
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    rules = {name: [pa.Check.gt(0)] for name in PRICES} | {"volume": [pa.Check.ge(0)]}
    columns = {name: pa.Column(dtype, rules.get(name), nullable=False) for name, dtype in CANDLE_COLUMNS.items()}
    found: list[tuple[str, str, str]] = []
    try:
        pa.DataFrameSchema(columns, strict=True).validate(candles, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        found = [(str(row["column"]), str(row["check"]), str(row["failure_case"])) for row in cases.to_dicts()]
    frame = pl.DataFrame(found, schema={"column": pl.String, "check": pl.String, "example": pl.String}, orient="row")
    return frame.group_by("column", "check", maintain_order=True).agg(pl.len().alias("rows"), pl.col("example").first())


def duplicates(candles: pl.DataFrame) -> pl.DataFrame:
    """Keys that more than one candle has: market, timeframe, ts and ``rows``."""
    return candles.group_by(CANDLE_KEY).agg(pl.len().alias("rows")).filter(pl.col("rows") > 1).sort(CANDLE_KEY)


def inconsistent(candles: pl.DataFrame) -> pl.DataFrame:
    """Candles whose high is not the highest or whose low is not the lowest of the four prices."""
    high, low = pl.max_horizontal(PRICES), pl.min_horizontal(PRICES)
    return candles.filter((pl.col("high") < high) | (pl.col("low") > low))


def missing_candles(times: pl.Series, *, timeframe: str, start: datetime, end: datetime) -> tuple[int, int]:
    """How many candles a window lacks, and how many it should have.

    Parameters
    ----------
    times
        ``ts`` of the stored candles of one market and timeframe.
    timeframe
        Their timeframe.
    start, end
        The window, half open; the end is exclusive.

    Returns
    -------
    tuple of int
        Missing and expected; both 0 for a window without length.
    """
    expected = max(0, (end - start) // timeframe_delta(timeframe))
    present = times.filter((times >= start) & (times < end)).n_unique()
    return max(0, expected - present), expected


def not_finite(features: pl.DataFrame) -> dict[str, int]:
    """Feature columns with nulls, NaN or infinities, and how many rows have one."""
    names = [name for name, dtype in features.schema.items() if dtype.is_float()]
    if not names or features.is_empty():
        return {}
    bad = features.select((~pl.col(name).is_finite()).fill_null(value=True).sum().alias(name) for name in names)
    return {name: int(count) for name, count in bad.row(0, named=True).items() if count}


def class_shares(labels: pl.DataFrame) -> dict[str, float]:
    """The share of labels that each barrier ended: ``take_profit``, ``stop_loss`` and ``time``."""
    counts = dict(labels["barrier"].value_counts().iter_rows())
    return {name: counts.get(name, 0) / max(1, labels.height) for name in ("take_profit", "stop_loss", "time")}
