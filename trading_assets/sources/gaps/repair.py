"""Asking again for just what is missing, and saying of each missing candle why it stays missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.core.candles import Market, timeframe_delta
from trading_assets.core.errors import SourceError
from trading_assets.core.missing_candles import UNCHECKED, Span, merged
from trading_assets.settings import Settings
from trading_assets.sources.contract import CandleSource, Recorded
from trading_assets.sources.gaps.classification import note_absent, note_beginning
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import SETTLED, count_reasons, inside, mark
from trading_assets.sources.gaps.reach import note_reach, runs_of
from trading_assets.sources.ingest.ingestion import Progress, Taken, take
from trading_assets.sources.window import last_close
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES

JOINED_BARS: Final = 300
"""Missing ranges that fit into so many bars are asked for in one request: a page of most exchanges."""

FAILURES: Final = 3
"""After so many failed ranges in a row the rest is not asked for: the exchange is down."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair of one market's window found.

    Attributes
    ----------
    market
        Whose candles.
    asked
        Candles that were missing and asked for.
    filled
        How many of them came in.
    requests
        Ranges that were asked for; those close together count as one.
    explained
        Reason -> number of candles of the window that are missing now.
    failure
        What went wrong last; empty where nothing did.
    """

    market: str
    asked: int
    filled: int
    requests: int
    explained: dict[str, int]
    failure: str = ""

    def __str__(self) -> str:
        left = ", ".join(f"{count:,} {reason}" for reason, count in self.explained.items()) or "nothing"
        text = f"{self.market}: {self.asked:,} missing candles asked for again in {self.requests:,} ranges, "
        text += f"{self.filled:,} came in; missing now: {left}"
        return f"{text}; last failure: {self.failure}" if self.failure else text


def pending(explained: pl.DataFrame, *, again: bool = False) -> pl.Expr:
    """Which missing candles a repair asks for: all that are not settled, and bad rows once; ``again`` takes all."""
    bad_before = (pl.col("reason") == "quarantined") & (pl.col("attempts") > 0)
    return pl.lit(value=True) if again else ~(pl.col("reason").is_in(SETTLED) | bad_before)


def repair(
    store: Store,
    source: CandleSource,
    *,
    market: str,
    timeframe: str,
    start: datetime,
    end: datetime,
    now: datetime,
    peers: Mapping[str, str],
    again: bool = False,
    progress: Progress | None = None,
    coverage: Coverage | None = None,
) -> RepairReport:
    """Fetch the missing candles of a window, and nothing else; then classify each one that did not come.

    Killed at any moment, it leaves whole candles and the old classification; run again, it goes on with what is left.

    Parameters
    ----------
    start, end
        The window; later than ``now`` nothing is missing.
    peers
        Market -> timeframe of those that trade the same elsewhere: where one of them has a traded candle, an empty
        answer is an ``exchange_outage``.
    again
        Ask also for what was settled before.
    coverage
        What is stored of the window, where it has been read already.

    Raises
    ------
    InvalidFrame
        If the source delivers something that is not candles.
    """
    again = again or isinstance(source, Recorded)  # files may have been completed; reading them costs no request
    stop = max(start, min(end, last_close(now, timeframe)))
    coverage = coverage or Coverage(store, market, timeframe, start, end)
    before = coverage.missing(start, stop)
    wanted = before.filter(pending(before, again=again))["ts"]
    bar = timeframe_delta(timeframe)
    spans = merged(runs_of(wanted, timeframe), within=JOINED_BARS * bar)
    asked, failed, failure = _ask(coverage, source, spans, now, progress)
    explained = coverage.missing(start, stop)
    missing = explained["ts"]
    tried, broken = (_among(missing, wanted, part) for part in (asked, failed))
    explained = _judged(coverage, source, explained, tried, peers, asked, now)
    explained = mark(explained, pl.lit(broken), "fetch_failure", detail=failure, now=now)
    explained = explained.with_columns(attempts=pl.col("attempts") + (tried | broken).cast(pl.Int32))
    coverage.write(explained, start, stop)
    filled = len(wanted) - int(wanted.is_in(missing.implode()).sum())
    return RepairReport(market, len(wanted), filled, len(asked) + len(failed), count_reasons(explained), failure)


def peers_of(settings: Settings, market: str) -> dict[str, str]:
    """The markets of the settings that tell whether others traded, with their timeframes.

    Those with the same base and quote on another exchange, and the market's ``second_exchange``.
    """
    ours, second = Market.parse(market), settings.markets[market].second_exchange
    found = {name: Market.parse(name) for name in settings.markets}
    return {
        name: settings.markets[name].timeframe
        for name, other in found.items()
        if name == second or (other.exchange != ours.exchange and (other.base, other.quote) == (ours.base, ours.quote))
    }


def _ask(
    coverage: Coverage,
    source: CandleSource,
    spans: list[Span],
    now: datetime,
    progress: Progress | None,
) -> tuple[list[Span], list[Span], str]:
    """Fetch the spans; which of them were answered, which failed, and why."""
    answered: list[Span] = []
    failed: list[Span] = []
    taken, failure, in_a_row = Taken(), "", 0
    for span in spans:
        try:
            take(coverage, source, taken, span=span, now=now, progress=progress)
        except SourceError as error:
            failure, in_a_row = error.what, in_a_row + 1
            failed.append(span)
            _log.warning("%s", error)
            if in_a_row == FAILURES:
                break
        else:
            answered.append(span)
            in_a_row = 0
    return answered, failed, failure


def _among(missing: pl.Series, wanted: pl.Series, spans: list[Span]) -> pl.Series:
    return missing.is_in(wanted.implode()) & inside(missing, spans)


def _judged(
    coverage: Coverage,
    source: CandleSource,
    explained: pl.DataFrame,
    tried: pl.Series,
    peers: Mapping[str, str],
    asked: list[Span],
    now: datetime,
) -> pl.DataFrame:
    """Say of each candle that was asked for in vain why it is missing."""
    missing = explained["ts"]
    bad = pl.col("broken").is_not_null()
    if isinstance(source, Recorded):
        explained = note_absent(coverage, source, explained, tried, now=now)
        explained = explained.join(coverage.refused(missing), on="ts", how="left").sort("ts")
        bad = bad & pl.col("reason").is_in(SETTLED).not_()
        return mark(explained, bad, "quarantined", detail=pl.col("broken"), now=now).drop("broken")
    explained = explained.with_columns(reason=pl.when(tried).then(pl.lit(UNCHECKED)).otherwise("reason"))
    explained = note_beginning(coverage, source, explained, asked=asked, now=now)
    silent = tried & (explained["reason"] == UNCHECKED)
    explained = note_reach(coverage, source, explained, silent, now=now)
    empty = tried & (explained["reason"] == UNCHECKED)
    rival = _traded_elsewhere(coverage.store, missing.filter(empty), coverage.timeframe, peers)
    detail = f"asked again: {source.name} has none"
    explained = mark(explained, pl.lit(empty), "confirmed_empty", detail=detail, now=now)
    explained = (
        explained.join(rival, on="ts", how="left").join(coverage.refused(missing), on="ts", how="left").sort("ts")
    )
    told = pl.lit(f"{detail}; traded on ") + pl.col("peer")
    explained = mark(explained, pl.lit(empty) & pl.col("peer").is_not_null(), "exchange_outage", detail=told, now=now)
    return mark(explained, bad, "quarantined", detail=pl.col("broken"), now=now).drop("peer", "broken")


def _traded_elsewhere(store: Store, missing: pl.Series, timeframe: str, peers: Mapping[str, str]) -> pl.DataFrame:
    """The missing candles in whose time a peer traded: ``ts`` and ``peer`` (the first by name)."""
    found = [pl.DataFrame(schema={"ts": missing.dtype, "peer": pl.String})]
    for peer, theirs in sorted(peers.items()) if len(missing) else ():
        step = max(timeframe_delta(timeframe), timeframe_delta(theirs))
        where = {"market": peer, "timeframe": theirs}
        rows = store.read(
            CANDLES, where=where, start=missing[0] - step, end=missing[-1] + step, columns=["ts", "volume"]
        )
        traded = rows.filter(pl.col("volume") > 0).select(pl.col("ts").dt.truncate(step).alias("at")).unique()
        ours = pl.DataFrame({"ts": missing}).with_columns(at=pl.col("ts").dt.truncate(step))
        found.append(ours.join(traded, on="at", how="semi").select("ts", peer=pl.lit(peer)))
    return pl.concat(found).unique("ts", keep="first", maintain_order=True)
