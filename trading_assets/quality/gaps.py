"""Missing candles, and which of them nobody can be blamed for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.candles import TS, timeframe_delta
from trading_assets.missing import explain, missing_times
from trading_assets.quality.finding import Finding

EMPTY: Final = "confirmed_empty"
"""Asked again, the exchange has none: nobody traded. Counted against a limit of its own."""

NOT_EXPECTED: Final = "before_listing"
"""There was no market yet: such bars are not even expected."""


def gap_share(
    times: pl.Series,
    ledger: pl.DataFrame,
    *,
    months: Sequence[tuple[datetime, datetime]],
    timeframe: str,
    listed: datetime,
    now: datetime,
    max_share: float,
    max_empty_share: float,
) -> Finding:
    """Find months that lack too many candles, from the market's first one to the last that can be closed by now.

    A bar in which nobody traded is no fault of the data: what the exchange confirmed as empty counts against
    ``max_empty_share`` only, what lies before the listing against nothing. Everything else counts against
    ``max_share``, an outage of the exchange too: features over it are as wrong, whoever is to blame.

    A month younger than a day is measured against a whole day: of its first five minutes, one that the exchange has
    not delivered yet would be a fifth.

    Returns
    -------
    Finding
        One row per bad month: ``share``, ``empty_share``, ``missing``, ``expected``.
    """
    bar = timeframe_delta(timeframe)
    closed, least = now - bar, max(timedelta(days=1) // bar, 1)
    told: list[tuple[datetime, str, float, float, int, int]] = []
    greatest = 0.0
    for month, month_end in months:
        start, end = max(month, min(listed, month_end)), min(month_end, closed)
        reasons = _counts(times, ledger, timeframe, start, end)
        expected = max(0, -((start - end) // bar)) - reasons.pop(NOT_EXPECTED, 0)
        whole = max(expected, least) if month <= closed < month_end else max(expected, 1)
        empty = reasons.pop(EMPTY, 0)
        missing = sum(reasons.values())
        greatest = max(greatest, missing / whole)
        if missing / whole > max_share or empty / whole > max_empty_share:
            what = _told(missing, empty, whole, expected, reasons, max_share, max_empty_share)
            told.append((month, what, missing / whole, empty / whole, missing, expected))
    columns = ["ts", "what", "share", "empty_share", "missing", "expected"]
    rows = pl.DataFrame(told, schema=columns, orient="row").with_columns(pl.col("ts").cast(TS))
    good = f"at most {greatest:.2%} of a month's candles are missing, limit {max_share:.1%}"
    return Finding(rows.sort("share", descending=True), good)


def _counts(times: pl.Series, ledger: pl.DataFrame, timeframe: str, start: datetime, end: datetime) -> dict[str, int]:
    """Missing candles of a window by reason."""
    if start >= end:
        return {}
    missing = missing_times(times, timeframe, start, end)
    counted = explain(missing, ledger).group_by("reason").len().sort("reason")
    return dict(counted.iter_rows())


def _told(
    missing: int, empty: int, whole: int, expected: int, reasons: dict[str, int], max_share: float, max_empty: float
) -> str:
    if missing / whole <= max_share:
        return f"{empty / whole:.2%} confirmed empty ({empty:,} of {expected:,}), limit {max_empty:.1%}"
    why = ", ".join(f"{name} {count:,}" for name, count in reasons.items())
    return f"{missing / whole:.2%} missing ({missing:,} of {expected:,}: {why}), limit {max_share:.1%}"
