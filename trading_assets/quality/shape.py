"""What every candle must be: its columns, its key, its prices, its place on the time axis."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS, CANDLE_KEY, PRICES, timeframe_delta
from trading_assets.quality.finding import Finding

LEAST: Final = {**dict.fromkeys(PRICES, "greater than 0"), "volume": "at least 0"}
"""What the values of a column must be, besides finite and present."""


def schema(candles: pl.DataFrame) -> Finding:
    """Find cells that break the schema of the ``candles`` table: types, nulls, NaN, infinities, signs.

    Pandera names what is broken. Since loading it takes longer than all the other checks together, it is asked only
    where a scan with the same rules says that something is.

    Parameters
    ----------
    candles
        Rows of the ``candles`` table.

    Returns
    -------
    Finding
        One row per broken cell: ``column``, ``rule``, ``value``; a column of the wrong type is one row.
    """
    good = f"{candles.height:,} candles have the declared columns and types, positive prices and no negative volume"
    return Finding(good=good) if _fits(candles) else Finding(_failures(candles), good)


def _fits(candles: pl.DataFrame) -> bool:
    if candles.schema != pl.Schema(CANDLE_COLUMNS):
        return False
    allowed = [
        pl.col(name).is_finite() & (pl.col(name) >= 0 if rule == "at least 0" else pl.col(name) > 0)
        for name, rule in LEAST.items()
    ]
    present = [pl.col(name).is_not_null() for name in CANDLE_KEY]
    return bool(candles.select(pl.all_horizontal(*present, *(rule.fill_null(False) for rule in allowed)).all()).item())


def _failures(candles: pl.DataFrame) -> pl.DataFrame:
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    finite = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()), error="finite")
    signs = {"greater than 0": pa.Check.gt(0, error="greater than 0"), "at least 0": pa.Check.ge(0, error="at least 0")}
    columns = {
        name: pa.Column(dtype, [finite, signs[LEAST[name]]] if name in LEAST else None, nullable=False)
        for name, dtype in CANDLE_COLUMNS.items()
    }
    try:
        pa.DataFrameSchema(columns, strict=True, ordered=True).validate(candles, lazy=True)
    except SchemaErrors as errors:
        cases: pl.DataFrame = errors.failure_cases
    else:
        raise AssertionError("the scan and the schema disagree")
    found = cases.select(
        pl.col("column").cast(pl.String),
        rule=pl.col("check").cast(pl.String).replace("not_nullable", "present"),
        value=pl.col("failure_case").cast(pl.String).fill_null("null"),
        row=pl.col("index").cast(pl.Int64),
    )
    first = candles["ts"].min() if "ts" in candles.columns and candles.height else None
    times = candles.select("ts").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    return (
        found.join(times, on="row", how="left", maintain_order="left")
        .select(
            pl.col("ts").fill_null(first),
            what=pl.format("{} is {}, must be {}", "column", "value", "rule"),
            column="column",
            rule="rule",
            value="value",
        )
        .sort("ts", maintain_order=True)
    )


def duplicates(candles: pl.DataFrame) -> Finding:
    """Find keys that more than one candle has: market, timeframe, ts and ``rows``."""
    good = "every key is there once"
    if _strictly_ascending(candles):
        return Finding(good=good)
    found = candles.group_by(CANDLE_KEY).agg(pl.len().alias("rows")).filter(pl.col("rows") > 1)
    rows = found.sort("rows", "ts", descending=[True, False]).select(
        "ts", pl.format("{} candles share the key of {}", "rows", _minute("ts")).alias("what"), "rows"
    )
    return Finding(rows, good)


def inconsistent(candles: pl.DataFrame) -> Finding:
    """Find candles whose high is not the highest or whose low is not the lowest of the four prices."""
    high, low = pl.max_horizontal(PRICES), pl.min_horizontal(PRICES)
    broken = candles.filter((pl.col("high") < high) | (pl.col("low") > low))
    what = (
        pl.when(pl.col("high") < high)
        .then(pl.format("high {} is below {}", "high", high))
        .otherwise(pl.format("low {} is above {}", "low", low))
    )
    return Finding(
        broken.select("ts", pl.format("{} at {}", what, _minute("ts")).alias("what"), *PRICES),
        "high and low enclose open and close everywhere",
    )


def off_time(candles: pl.DataFrame, *, timeframe: str) -> Finding:
    """Find times that fall back behind the row before, or that are no multiple of the timeframe."""
    bar = timeframe_delta(timeframe) // timeframe_delta("1m") * 60_000_000
    ts = pl.col("ts")
    falls, off = (ts < ts.shift()).fill_null(False), ts.dt.timestamp("us") % bar != 0
    broken = candles.select("ts", falls=falls, off=off).filter(pl.col("falls") | pl.col("off"))
    exact = ts.dt.to_string("%Y-%m-%d %H:%M:%S%.f")
    what = pl.when("off").then(pl.format("{} is no multiple of {}", exact, pl.lit(timeframe)))
    return Finding(
        broken.select("ts", what.otherwise(pl.format("{} stands after a later candle", exact)).alias("what")),
        f"times ascend on the grid of {timeframe}",
    )


def _strictly_ascending(candles: pl.DataFrame) -> bool:
    one = all(candles[name].n_unique() <= 1 for name in ("market", "timeframe"))
    return one and bool((candles["ts"].to_physical().diff().drop_nulls() > 0).all())


def _minute(column: str) -> pl.Expr:
    return pl.col(column).dt.to_string("%Y-%m-%d %H:%M")
