"""How far a fetch is: share, time left, candles per second, requests and retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trading_assets.core.candles import timeframe_delta
from trading_assets.core.missing_candles import Span, bars_between
from trading_assets.sources.contract import CandleSource


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far the fetch of one market is.

    Attributes
    ----------
    market
        Whose candles.
    share
        The part of the asked time that is done, 0 to 1.
    rows
        Rows that came in.
    rows_per_s
        Rows per second since the fetch began.
    left_s
        Seconds that the rest will take at this pace; None before anything is done.
    requests, retries
        What the source was asked, and how many of these requests were repetitions.
    """

    market: str
    share: float
    rows: int
    rows_per_s: float
    left_s: float | None
    requests: int
    retries: int

    def __str__(self) -> str:
        left = "" if self.left_s is None else f", {_clock(self.left_s)} left"
        asked = f", {self.requests:,} requests" if self.requests else ""
        return (
            f"{self.share:.0%}{left}, {self.rows:,} candles, {self.rows_per_s:,.0f}/s{asked}"
            f"{f', {self.retries:,} repeated' if self.retries else ''}"
        )


@dataclass(slots=True)
class FetchProgress:
    """Turns the progress of an ingest into :class:`Fetched`; call it after each page.

    Parameters
    ----------
    market, timeframe, parts
        What is asked for.
    source
        Counts its requests and retries.
    tell
        Receives every reading.
    clock
        Seconds, monotonic.
    """

    market: str
    timeframe: str
    parts: Sequence[Span]
    source: CandleSource
    tell: Callable[[Fetched], None]
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _before: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self._began, self._before = self.clock(), self._counts()

    def __call__(self, reached: datetime, rows: int) -> None:
        """Tell how far the fetch is once it has reached a time."""
        bar = timeframe_delta(self.timeframe)
        wanted = sum(bars_between(start, end, bar) for start, end in self.parts)
        done = sum(bars_between(start, min(end, reached + bar), bar) for start, end in self.parts if start <= reached)
        share, seconds = min(done / wanted, 1.0) if wanted else 1.0, max(self.clock() - self._began, 1e-6)
        requests, retries = (now - before for now, before in zip(self._counts(), self._before, strict=True))
        left = seconds * (1 - share) / share if share else None
        self.tell(Fetched(self.market, share, rows, rows / seconds, left, requests, retries))

    def _counts(self) -> tuple[int, int]:
        return getattr(self.source, "requests", 0), self.source.retries


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
