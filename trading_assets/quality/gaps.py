"""Missing candles, and which of them nobody can be blamed for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.missing_candles import UNCHECKED, Span, explain, missing_times
from trading_assets.quality.finding import Finding

EMPTY: Final = "confirmed_empty"
"""Asked again, the exchange has none: nobody traded. Counted against a limit of its own."""

ADVICE: Final = {
    "unchecked": "trading gaps --repair asks again; with --from and --to also for what follows a month's last candle",
    "fetch_failure": "trading gaps --repair asks again for what could not be fetched",
    "quarantined": "trading quarantine show says which rule each row broke and what to do about it",
    "not_in_files": "complete the market's files (with the zips of days, say), then trading gaps --repair",
    "out_of_reach": "give the market a source of kind files or another exchange, then trading gaps --repair --again",
    "exchange_outage": "the exchange was down: see whether you can live with that, then raise "
    "quality.gap_share.max_share above this share",
    EMPTY: "nobody traded: take another market, or raise quality.gap_share.max_empty_share above this share",
}
"""Reason -> what helps against candles that are missing for it."""

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
    whole: Sequence[tuple[datetime, datetime]] = (),
) -> Finding:
    """Find months that lack too many candles, from the market's first one to the last that can be closed by now.

    A bar in which nobody traded is no fault of the data: what the exchange confirmed as empty counts against
    ``max_empty_share`` only, what lies before the listing against nothing. Everything else counts against
    ``max_share``, an outage of the exchange too: features over it are as wrong, whoever is to blame.

    A month younger than a day is measured against a whole day: of its first five minutes, one that the exchange has
    not delivered yet would be a fifth. Days of a month are measured against all of the month that was fetched: the same
    hole is the same share of it, whether a run is about its days or about all.

    Parameters
    ----------
    times
        Open times of the stored candles, ascending, of at least these months.
    months
        What is judged: months, or days of them.
    whole
        The months that these days are part of, in the same order; ``months`` where they are whole.

    Returns
    -------
    Finding
        One row per bad month: ``share``, ``empty_share``, ``missing``, ``expected``.
    """
    bar = timeframe_delta(timeframe)
    closed, least = now - bar, max(timedelta(days=1) // bar, 1)
    told: list[tuple[datetime, str, float, float, int, int]] = []
    blamed: set[str] = set()
    greatest = 0.0
    for judged, (month, month_end) in zip(months, whole or months, strict=True):
        start, end = max(month, min(listed, month_end)), min(month_end, closed)
        reasons, unfetched = _counts(times, ledger, timeframe, (start, end), judged)
        expected = max(0, -((start - end) // bar)) - unfetched - reasons.pop(NOT_EXPECTED, 0)
        full = max(expected, least) if month <= closed < month_end else max(expected, 1)
        empty = reasons.pop(EMPTY, 0)
        missing = sum(reasons.values())
        greatest = max(greatest, missing / full)
        if missing / full > max_share or empty / full > max_empty_share:
            what = _told(missing, empty, full, expected, reasons, max_share, max_empty_share)
            told.append((max(month, judged[0]), what, missing / full, empty / full, missing, expected))
            blamed |= set(reasons) if missing / full > max_share else {EMPTY}
    columns = ["ts", "what", "share", "empty_share", "missing", "expected"]
    rows = pl.DataFrame(told, schema=columns, orient="row").with_columns(pl.col("ts").cast(TS))
    good = f"at most {greatest:.2%} of a month's candles are missing, limit {max_share:.1%}"
    advice = "; ".join(text for reason, text in ADVICE.items() if reason in blamed)
    return Finding(rows.sort("share", descending=True), good, advice)


def _counts(
    times: pl.Series, ledger: pl.DataFrame, timeframe: str, window: Span, judged: Span
) -> tuple[dict[str, int], int]:
    """Missing candles of a window by reason, and how many beside them nobody has looked into outside of ``judged``."""
    if window[0] >= window[1]:
        return {}, 0
    explained = explain(missing_times(times, timeframe, *window), ledger)
    known = pl.col("ts").is_between(*judged, closed="left") | (pl.col("reason") != UNCHECKED)
    counted = explained.filter(known).group_by("reason").len().sort("reason")
    return dict(counted.iter_rows()), explained.select((~known).sum()).item()


def _told(
    missing: int, empty: int, whole: int, expected: int, reasons: dict[str, int], max_share: float, max_empty: float
) -> str:
    if missing / whole <= max_share:
        return f"{empty / whole:.2%} confirmed empty ({empty:,} of {expected:,}), limit {max_empty:.1%}"
    why = ", ".join(f"{name} {count:,}" for name, count in reasons.items())
    return f"{missing / whole:.2%} missing ({missing:,} of {expected:,}: {why}), limit {max_share:.1%}"
