"""What a candle must satisfy to be stored, and what becomes of one that does not.

Nothing is dropped silently: a row that breaks a rule goes to quarantine as it came, with every rule that it broke.

Duplicates of one minute
    Equal rows are one row, said twice: they collapse. Of rows that differ, those that break another rule are set
    apart first; if exactly one is left, it is the candle. If several are left, nothing tells which of them is true, so
    all go to quarantine as ``conflicting_duplicate`` and the minute stays missing.
"""

from __future__ import annotations

import hashlib
import math
import struct
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS, OHLCV, timeframe_delta
from trading_assets.core.errors import InvalidFrame
from trading_assets.sources.contract import RAW_COLUMNS

RULES: Final[dict[str, str]] = {
    "missing_value": "a price or the volume is empty",
    "not_finite": "a price or the volume is NaN or infinite",
    "non_positive_price": "a price is zero or negative",
    "high_too_low": "the high is below open, close or low",
    "low_too_high": "the low is above open or close",
    "negative_volume": "the volume is negative",
    "off_grid": "the open time is not a multiple of the timeframe",
    "outside_window": "the open time is outside of the window that was asked for",
    "not_closed": "the bar had not ended when it was fetched",
    "conflicting_duplicate": "several different rows claim the same open time",
}
"""Reason -> what it means. A row that breaks several rules carries all of them, joined with a comma."""

BAD_COLUMNS: Final = {**CANDLE_COLUMNS, "reason": pl.String, "row_hash": pl.UInt64}


def split_valid(
    frame: pl.DataFrame, *, market: str, timeframe: str, start: datetime, end: datetime, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the rows that may be stored as candles from those that break a rule.

    Parameters
    ----------
    frame
        Columns of ``RAW_COLUMNS`` in any row order; others are ignored.
    market, timeframe
        What the rows are candles of.
    start, end
        The window that was asked for: ``start <= ts < end``.
    now
        When the rows were fetched: only bars that had ended by then are closed.

    Returns
    -------
    tuple of DataFrame
        Rows of the ``candles`` table, ascending and unique by ``ts``; and the others in the same columns with
        ``reason`` (see ``RULES``) and ``row_hash``.

    Raises
    ------
    InvalidFrame
        If columns are missing, have other types, or a ``ts`` is null: such a frame is no page of candles.
    """
    _check(frame, f"{market} {timeframe}")
    judged = _distinct(frame.select(list(RAW_COLUMNS))).with_columns(reason=_reasons(timeframe, start, end, now))
    if judged["ts"].is_duplicated().any():
        rival = (pl.col("reason") == "") & ((pl.col("reason") == "").sum().over("ts") > 1)
        judged = judged.with_columns(reason=pl.when(rival).then(pl.lit("conflicting_duplicate")).otherwise("reason"))
    named = judged.with_columns(market=pl.lit(market), timeframe=pl.lit(timeframe))
    good = named.filter(pl.col("reason") == "").select(list(CANDLE_COLUMNS))
    bad = named.filter(pl.col("reason") != "")
    return good, bad.with_columns(row_hashes(bad)).select(list(BAD_COLUMNS))


def row_hashes(rows: pl.DataFrame) -> pl.Series:
    """A hash of each row's time and values, the same in every run and on every machine.

    Returns
    -------
    polars.Series
        ``row_hash``, UInt64 below 2**63, so that engines without unsigned integers hold it too.
    """
    micros = rows["ts"].dt.timestamp("us")
    values = zip(micros, *(rows[name] for name in OHLCV), strict=True)
    return pl.Series("row_hash", [_hash(micro, numbers) for micro, *numbers in values], pl.UInt64)


def _hash(micros: int, numbers: list[float | None]) -> int:
    packed = struct.pack("<q", micros) + b"".join(_packed(number) for number in numbers)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest()) >> 1


def _packed(number: float | None) -> bytes:
    if number is None:
        return b"null"
    if math.isnan(number):
        return b"nan"  # NaN has many bit patterns
    return struct.pack("<d", number + 0.0)  # -0.0 is 0.0


def _check(frame: pl.DataFrame, where: str) -> None:
    wrong = [
        f"{name} is {frame.schema.get(name, 'missing')}"
        for name, dtype in RAW_COLUMNS.items()
        if frame.schema.get(name) != dtype
    ]
    if wrong:
        raise InvalidFrame(
            f"not a page of candles: {', '.join(wrong)}", where=where, remedy="ts is Datetime(us, UTC), others Float64"
        )
    if nulls := frame["ts"].null_count():
        raise InvalidFrame(f"{nulls} rows have no open time", where=where, remedy="remove or date them at the source")


def _distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows by ascending time, equal ones once."""
    if (frame["ts"].to_physical().diff() > 0).all():
        return frame
    return frame.unique(maintain_order=True).sort("ts", maintain_order=True)


def _reasons(timeframe: str, start: datetime, end: datetime, now: datetime) -> pl.Expr:
    """The names of the rules that a row breaks, joined with a comma; empty for a good row."""
    bar = timeframe_delta(timeframe)
    ts, high, low = pl.col("ts"), pl.col("high"), pl.col("low")
    prices = [pl.col(name) for name in OHLCV if name != "volume"]
    complete = pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in OHLCV)
    broken = {
        "missing_value": pl.any_horizontal(pl.col(name).is_null() for name in OHLCV),
        "not_finite": pl.any_horizontal(pl.col(name).is_finite().not_() for name in OHLCV),
        "non_positive_price": pl.any_horizontal(price <= 0 for price in prices),
        "high_too_low": complete & (high < pl.max_horizontal("open", "close", "low")),
        "low_too_high": complete & (low > pl.min_horizontal("open", "close")),
        "negative_volume": pl.col("volume") < 0,
        "off_grid": ts.dt.timestamp("us") % int(bar.total_seconds() * 1_000_000) != 0,
        "outside_window": ~ts.is_between(start, end, closed="left"),
        "not_closed": ts + bar > now,
    }
    named = [pl.when(condition.fill_null(False)).then(pl.lit(name)) for name, condition in broken.items()]
    return pl.concat_str(named, separator=",", ignore_nulls=True)
