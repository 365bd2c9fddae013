"""Funding rates of perpetuals, from an exchange, files or the sample into the store; bad rows are set apart."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.settings import CcxtSource, FilesSource, SampleSource, Settings
from trading_assets.sources.contract import RAW_FUNDING, FundingSource
from trading_assets.sources.ingest.feed_quarantine import quarantine_rows, reasons
from trading_assets.sources.ingest.revisions import record_revisions
from trading_assets.sources.window import check_window
from trading_assets.store.contract import Store
from trading_assets.store.tables import FUNDING_RATES

LONGEST_INTERVAL: Final = timedelta(hours=8)
"""The longest time between two payments on the exchanges; two that are further apart have one missing between them."""

LONGEST_JITTER: Final = timedelta(minutes=1)
"""Exchanges stamp a payment some milliseconds late, and not everywhere the same: ``ts`` is the full minute."""

MOST_PAID: Final = 0.05
"""The largest rate of one payment: the exchanges' caps are between 0.75 % and 4 % of the notional. Beyond it are not
rates but prices, premiums in percent or yearly rates."""

FUNDING_RULES: Final = {
    "missing_time": "the payment has no time",
    "missing_rate": "the rate is empty",
    "not_finite": "the rate is NaN or infinite",
    "implausible_rate": f"the rate is beyond {MOST_PAID:.0%}, more than any exchange pays at once",
    "bad_interval": "the interval is not above zero and at most a day",
    "from_the_future": "the payment is later than the time of the fetch",
    "conflicting_duplicate": "several different rates claim the same time",
}
"""Reason -> what it means."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FundingReport:
    """What one ingest did: payments fetched, set apart and revised, and those that the window holds afterwards."""

    market: str
    source: str
    rows: int
    quarantined: int
    stored: int
    revised: int

    def __str__(self) -> str:
        apart = f", {self.quarantined:,} quarantined" if self.quarantined else ""
        changed = f", {self.revised:,} revised (old and new rates are in funding_revisions)" if self.revised else ""
        return (
            f"{self.market} from {self.source}: {self.rows:,} payments fetched, {self.stored:,} stored{apart}{changed}"
        )


def open_funding(settings: Settings, market: str) -> FundingSource | None:
    """Open the source of a market's funding rates; None for a market that has none.

    It is the source that the market names under ``funding``; without a name a perpetual's own source, if it is an
    exchange, the sample, or files with a path for the market under ``funding``.

    Raises
    ------
    SourceError
        If the named source has no funding rates.
    """
    if not settings.has_funding(market):
        return None
    chosen = settings.markets[market]
    name = chosen.funding or chosen.source
    source = settings.sources[name]
    if isinstance(source, CcxtSource):
        from trading_assets.sources.funding.exchange import ExchangeFunding

        return ExchangeFunding.from_settings(source)
    if isinstance(source, SampleSource):
        from trading_assets.sources.funding.sample import SampleFunding

        return SampleFunding(settings.history_start, source.days, source.seed)
    if isinstance(source, FilesSource):
        from trading_assets.sources.funding.files import FundingFiles

        return FundingFiles.from_settings(name, source)
    return None


def ingest_funding(
    store: Store, source: FundingSource, *, market: str, start: datetime, end: datetime, now: datetime
) -> FundingReport:
    """Fetch the payments of a window and store them by key; running twice leaves the same rows.

    A stored payment that comes with another rate is replaced, and both rates are kept in ``funding_revisions``.

    Parameters
    ----------
    store, source
        Where to and where from.
    market
        A perpetual.
    start, end
        Payments with ``start <= ts < end``.
    now
        The present time.

    Raises
    ------
    SettingsError
        If ``start`` is not before ``end``.
    SourceError
        If the source cannot deliver; what was fetched before stays stored.
    """
    check_window(market, start, end)
    rows = quarantined = revised = 0
    if start < now:
        # the payment before the window tells how long the first interval is
        pages = list(source.fetch(market, start - LONGEST_INTERVAL, end))
        fetched = pl.concat(pages) if pages else pl.DataFrame(schema=RAW_FUNDING)
        good, bad = split_funding(fetched, market=market, start=start, end=end, now=now)
        quarantined = quarantine_rows(store, bad, feed=FUNDING_RATES.name, subject=market, source=source.name, now=now)
        revised = record_revisions(store, good, source=source.name, now=now, table=FUNDING_RATES)
        store.upsert(FUNDING_RATES, good)
        rows = good.height
    stored = store.read(FUNDING_RATES, where={"market": market}, start=start, end=end, columns=["ts"]).height
    return FundingReport(market, source.name, rows, quarantined, stored, revised)


def split_funding(
    frame: pl.DataFrame, *, market: str, start: datetime, end: datetime, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the payments that may be stored from those that break a rule.

    Parameters
    ----------
    frame
        Columns of ``RAW_FUNDING`` in any row order.
    market
        Whose payments they are.
    start, end
        Payments with ``start <= ts < end`` are given back; the one before them tells the first interval.
    now
        When the rows were fetched.

    Returns
    -------
    tuple of DataFrame
        Rows of the table ``funding_rates``, ascending and unique by ``ts``; and the others as they came, with
        ``reason`` (see ``FUNDING_RULES``). An interval that the source did not say is the time since the payment
        before, where that is at most ``LONGEST_INTERVAL``.
    """
    rate, interval = pl.col("rate"), pl.col("interval_hours")
    broken = {
        "missing_time": pl.col("ts").is_null(),
        "missing_rate": rate.is_null(),
        "not_finite": rate.is_finite().not_(),
        "implausible_rate": rate.is_finite() & (rate.abs() > MOST_PAID),
        "bad_interval": (interval > 0).not_() | (interval > 24),
        "from_the_future": pl.col("ts") > now,
    }
    at = pl.col("ts").dt.truncate(LONGEST_JITTER)
    judged = frame.select(list(RAW_FUNDING)).unique().with_columns(reasons(broken), minute=at)
    # rows of one payment that agree on its rate are one; what differs is which of them knows more
    fit = judged.filter(pl.col("reason") == "")
    rivals = fit.group_by("minute").agg(pl.col("rate").n_unique()).filter(pl.col("rate") > 1).select("minute")
    rival = pl.col("minute").is_in(rivals["minute"].implode()) & (pl.col("reason") == "")
    judged = judged.with_columns(reason=pl.when(rival).then(pl.lit("conflicting_duplicate")).otherwise("reason"))
    payments = (
        judged.filter(pl.col("reason") == "")
        .group_by("minute")
        .agg(
            known_at=pl.col("ts").min(),
            rate=rate.first(),
            interval_hours=interval.max(),
            mark_price=pl.max("mark_price"),
        )
        .sort("minute")
    )
    since = pl.col("minute").diff()
    guess = pl.when(since <= LONGEST_INTERVAL).then((since.dt.total_minutes() / 60).round(2))
    good = payments.select(
        market=pl.lit(market),
        ts="minute",
        known_at="known_at",
        rate="rate",
        interval_hours=pl.coalesce("interval_hours", guess),
        mark_price="mark_price",
    )
    bad = judged.filter(pl.col("reason") != "").drop("minute").sort("ts", "rate")
    within = pl.col("ts").is_between(start, end, closed="left")
    return good.filter(within), bad.filter(within.fill_null(True))
