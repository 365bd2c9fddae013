"""The gap ledger: what is known about why candles are missing.

A missing candle that nobody looked into is ``unchecked`` and has no row. Everything else is a range of the table
``candle_gaps``; ranges end where the reason changes, and a range shrinks as candles come in after all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.missing_candles import FACTS, UNCHECKED, Span, merged
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES_QUARANTINE

REASONS: Final[dict[str, str]] = {
    UNCHECKED: "the source gave none when it was first asked; nobody asked again",
    "confirmed_empty": "the source was asked again and has none",
    "exchange_outage": "asked again: it has none, while a second configured exchange traded",
    "fetch_failure": "the source could not be asked to the end",
    "before_listing": "the market was not traded yet",
    "out_of_reach": "the source no longer gives candles that old",
    "not_in_files": "the market's files have none; whether it traded they do not say",
    "quarantined": "the source gives rows for it that break a rule",
}
"""Reason -> what it means."""

SETTLED: Final = ("confirmed_empty", "exchange_outage", "before_listing", "out_of_reach")
"""Reasons for which the source is not asked again."""


def ledger(store: Store, market: str, timeframe: str) -> pl.DataFrame:
    """The market's rows of ``candle_gaps``, ascending, free of overlap."""
    return store.read(CANDLE_GAPS, where={"market": market, "timeframe": timeframe})


def settled_spans(known: pl.DataFrame) -> list[Span]:
    """The ranges of a ledger that need not be asked for, ascending; those that touch are one."""
    return merged(list(known.filter(pl.col("reason").is_in(SETTLED)).select("ts", "end").iter_rows()))


def refused(store: Store, missing: pl.Series, market: str, timeframe: str) -> pl.DataFrame:
    """Which missing candles stand in quarantine: ``ts`` and ``broken`` (the rules, one candle's joined)."""
    if missing.is_empty():
        return pl.DataFrame(schema={"ts": TS, "broken": pl.String})
    where, bar = {"market": market, "timeframe": timeframe}, timeframe_delta(timeframe)
    rows = store.read(
        CANDLES_QUARANTINE, where=where, start=missing[0] - bar, end=missing[-1] + bar, columns=["ts", "reason"]
    )
    meant = rows.with_columns(ts=pl.col("ts").dt.round(bar))  # an off-grid row stands for the bar that it is nearest to
    rules = meant.group_by("ts").agg(pl.col("reason").unique().sort().str.join("; ").alias("broken"))
    return rules.join(pl.DataFrame({"ts": missing}), on="ts", how="semi").sort("ts")


def mark(explained: pl.DataFrame, these: pl.Expr, reason: str, *, detail: str | pl.Expr, now: datetime) -> pl.DataFrame:
    """Give the candles that ``these`` selects a reason; what had it already keeps its time."""
    fresh = these & (pl.col("reason") != reason)
    text = pl.lit(detail) if isinstance(detail, str) else detail
    return explained.with_columns(
        reason=pl.when(these).then(pl.lit(reason)).otherwise("reason"),
        detail=pl.when(these).then(text).otherwise("detail"),
        checked_at=pl.when(fresh).then(pl.lit(now).dt.cast_time_unit("us")).otherwise("checked_at"),
    )


def write_ledger(
    store: Store, explained: pl.DataFrame, known: pl.DataFrame, *, market: str, timeframe: str, window: Span
) -> pl.DataFrame:
    """Make what is explained the ledger of the window; outside of it the ledger stays.

    Parameters
    ----------
    explained
        Every missing candle of the window, as :func:`~trading_assets.core.missing_candles.explain` gives it.
    known
        The market's ledger as it was read.

    Returns
    -------
    polars.DataFrame
        The market's ledger as it is now.
    """
    start, end = window
    outside = pl.concat(
        [
            known.filter(pl.col("ts") < start).with_columns(end=pl.min_horizontal("end", pl.lit(start))),
            known.filter(pl.col("end") > end).with_columns(ts=pl.max_horizontal("ts", pl.lit(end))),
        ]
    ).with_columns(pl.col("ts", "end").cast(TS))
    single = explained.filter(pl.col("reason") != UNCHECKED).with_columns(end=pl.col("ts") + timeframe_delta(timeframe))
    rows = _joined(pl.concat([part.select("ts", "end", *FACTS) for part in (outside, single)]), timeframe)
    fresh = rows.select(pl.lit(market).alias("market"), pl.lit(timeframe).alias("timeframe"), pl.all())
    fresh = fresh.select(list(CANDLE_GAPS.columns))
    if not fresh.equals(known):
        store.replace(CANDLE_GAPS, fresh, where={"market": market, "timeframe": timeframe})
    return fresh


def as_ranges(explained: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Missing candles as ranges that end where the reason, its detail or the number of attempts changes.

    Returns
    -------
    polars.DataFrame
        ``ts, end, reason, detail, attempts, checked_at, candles``, ascending.
    """
    return _joined(explained.with_columns(end=pl.col("ts") + timeframe_delta(timeframe)), timeframe)


def count_reasons(explained: pl.DataFrame) -> dict[str, int]:
    """Reason -> number of missing candles, in the order of ``REASONS``."""
    counts = dict(explained["reason"].value_counts().iter_rows())
    return {reason: counts[reason] for reason in REASONS if reason in counts}


def inside(times: pl.Series, spans: Sequence[Span]) -> pl.Series:
    """Whether each time lies in any of the half-open spans."""
    found = pl.DataFrame(merged(spans), schema={"start": TS, "end": TS}, orient="row")
    joined = pl.DataFrame({"ts": times.cast(TS)}).join_asof(found, left_on="ts", right_on="start", strategy="backward")
    return joined.select((pl.col("ts") < pl.col("end")).fill_null(value=False)).to_series()


def _joined(ranges: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Ranges of one reason, detail and number of attempts that touch become one; ``candles`` counts them."""
    same = ["reason", "detail", "attempts"]
    apart = (pl.col("ts") != pl.col("end").shift()) | pl.any_horizontal(
        pl.col(name) != pl.col(name).shift() for name in same
    )
    length = pl.lit(timeframe_delta(timeframe)).dt.total_microseconds()
    return (
        ranges.filter(pl.col("ts") < pl.col("end"))
        .sort("ts")
        .with_columns(run=apart.fill_null(value=True).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("ts").first(),
            pl.col("end").last(),
            *(pl.col(name).first() for name in same),
            pl.col("checked_at").max(),
        )
        .with_columns(candles=(pl.col("end") - pl.col("ts")).dt.total_microseconds() // length)
    )
