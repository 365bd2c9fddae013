"""What a run fetches of a window of candles: what is left, what is missing in between, or everything again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypedDict

from trading_assets.core.errors import SettingsError
from trading_assets.core.missing_candles import Span
from trading_assets.defs.lib.partitions import Window
from trading_assets.defs.lib.progress import tell_fetched
from trading_assets.settings import CcxtSource, FilesSource, SampleSource, Settings
from trading_assets.sources import IngestReport, ingest, open_source, parts_to_fetch
from trading_assets.sources.contract import CandleSource, Recorded
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.repair import peers_of, repair
from trading_assets.sources.ingest.fetch_progress import Fetched, FetchProgress
from trading_assets.sources.ingest.renewal import set_broken_apart
from trading_assets.sources.ingest.streamed import Streamed
from trading_assets.sources.transport.exchange_lock import exchange_lock
from trading_assets.store.contract import Store

FETCH_TAG: Final = "fetch"
"""The tag of a run that says what it fetches: one of :class:`Fetch`."""

_LOG_EVERY_S: Final = 10.0


class Fetch(StrEnum):
    """What a run asks the source for."""

    REST = "rest"
    """What was never fetched, and the newest bars of a month that still grows once more."""
    GAPS = "gaps"
    """Just what is missing between stored candles and not settled; nothing else."""
    GAPS_AGAIN = "gaps_again"
    """Also what is settled."""
    ALL = "all"
    """Everything, although it is stored; stored rows that break a rule are set apart first."""

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Fetch:
        """Read a run's tag; :attr:`REST` where it has none.

        Raises
        ------
        SettingsError
            If it is something else.
        """
        text = tags.get(FETCH_TAG, cls.REST)
        if text not in {kind.value for kind in cls}:
            raise SettingsError(f"{text!r}", where=f"tag {FETCH_TAG}", remedy=f"write one of {', '.join(cls)}")
        return cls(text)


def fetch_window(
    store: Store, window: Window, settings: Settings, *, kind: Fetch, now: datetime, log: Callable[[str], None]
) -> IngestReport:
    """Fetch a window into the store and say what is there now.

    Parameters
    ----------
    kind
        What to ask for.
    now
        The present time.
    log
        Receives lines about the progress, and what a repair found.

    Raises
    ------
    SourceError
        If the source cannot deliver; what was fetched before stays stored.
    """
    market, timeframe = window.market, settings.markets[window.market].timeframe
    source = open_source(settings, market)
    what: _What = {"market": market, "timeframe": timeframe, "start": window.start, "end": window.end, "now": now}
    coverage = Coverage(store, market, timeframe, window.start, window.end)
    streamed = Streamed(store, market=market, timeframe=timeframe, start=window.start, end=window.end)
    parts = _parts(coverage, source, window, settings, kind, now, streamed.first)
    meter = FetchProgress(market, timeframe, [(start, min(end, now)) for start, end in parts], source, _teller(log))
    filled = 0
    with _turn(settings, market) if parts else nullcontext():
        if kind is Fetch.ALL and (broken := set_broken_apart(store, **what)):
            log(f"{market}: {broken:,} stored rows broke a rule and are candles no longer")
        if kind in (Fetch.GAPS, Fetch.GAPS_AGAIN):
            peers, again = peers_of(settings, market), kind is Fetch.GAPS_AGAIN
            found = repair(store, source, **what, peers=peers, again=again, progress=meter, coverage=coverage)
            log(str(found))
            parts, filled = [], found.filled
        report = ingest(store, source, **what, parts=parts, progress=meter, coverage=coverage, on_good=streamed.hear)
        settled = streamed.settle(parts, source.name, now)
    return replace(report, rows=report.rows + filled, streamed=settled.settled, streamed_differed=settled.differed)


class _What(TypedDict):
    market: str
    timeframe: str
    start: datetime
    end: datetime
    now: datetime


def _parts(
    coverage: Coverage,
    source: CandleSource,
    window: Window,
    settings: Settings,
    kind: Fetch,
    now: datetime,
    streamed_from: datetime | None,
) -> list[Span]:
    """The parts of a window to ask for; of files month by month, so that a bad one stops no other."""
    recorded = isinstance(source, Recorded)
    months = [(month.start, month.end) for month in window.months]
    if kind is not Fetch.REST:
        return months if recorded else [(window.start, window.end)]
    parts = parts_to_fetch(
        coverage.store,
        market=window.market,
        timeframe=coverage.timeframe,
        pieces=months,
        now=now,
        reread_bars=settings.fetch.reread_bars,
        recorded=recorded,
        coverage=coverage,
        streamed_from=streamed_from,
    )
    if not recorded:
        return parts
    cut = ((max(start, begin), min(end, stop)) for start, end in parts for begin, stop in months)
    return [(start, end) for start, end in cut if start < end]


def exchange_of(settings: Settings, market: str) -> str:
    """What a market shares its source's limit with: the exchange, whatever the sources that ask it are called."""
    name = settings.markets[market].source
    source = settings.sources[name]
    return f"ccxt:{source.exchange}" if isinstance(source, CcxtSource) else name


def _turn(settings: Settings, market: str) -> AbstractContextManager[None]:
    """The turn at an exchange; what lies on this machine has no limit to share."""
    local = isinstance(settings.sources[settings.markets[market].source], SampleSource | FilesSource)
    return nullcontext() if local else exchange_lock(exchange_of(settings, market), settings.data_dir / "locks")


def _teller(log: Callable[[str], None]) -> Callable[[Fetched], None]:
    """Tells the command line of every page, and the run's log now and then."""
    logged = time.monotonic()

    def tell(fetched: Fetched) -> None:
        nonlocal logged
        tell_fetched(fetched)
        if time.monotonic() - logged >= _LOG_EVERY_S:
            logged = time.monotonic()
            log(f"{fetched.market}: {fetched}")

    return tell
