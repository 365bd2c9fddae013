"""Subscribing to bars at a pace that the connection keeps, and noticing what does not come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

import polars as pl
from nautilus_trader.model import BarType

from trading_assets.core.candles import EPOCH
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.signals import Stream
from trading_live.node.bars.history import BarHistory

SUBSCRIBE_EVERY: Final = timedelta(seconds=0.31)
"""An adapter sends a subscription at most every 0.3 s, and delivers no bar while it waits: 80 at once hold bars up for
16 seconds, 80 one after the other for a tenth of one."""

_OVERDUE_S: Final = 3.0


class Follower(Protocol):
    """What the strategy offers."""

    def streams(self, market: str) -> list[tuple[str, BarType]]:
        """Timeframe and bars of a market."""
        ...

    def subscribe_bars(self, bar_type: BarType) -> None:
        """Subscribe to one stream."""
        ...


class Listening:
    """The streams of all markets.

    Parameters
    ----------
    strategy
        Subscribes.
    feed
        Told which bars are due.
    markets
        In the order of subscribing.
    """

    def __init__(self, strategy: Follower, feed: FeedQuarantine, markets: Iterable[str]) -> None:
        self._strategy = strategy
        self._feed = feed
        self._due = deque((market, *stream) for market in markets for stream in strategy.streams(market))

    def subscribe_next(self) -> bool:
        """Subscribe to the next stream; whether more are left."""
        if self._due:
            market, timeframe, wanted = self._due.popleft()
            self._strategy.subscribe_bars(wanted)
            self._feed.expect(market, [timeframe])
        return bool(self._due)


class CatchUp:
    """Notices a decision bar that did not come before the next one shows it: the next decision is not lost as well.

    Parameters
    ----------
    histories
        The bars that are decided on.
    feed
        Knows how far each market's bars have come.
    timeframe
        Of the bars that tell the time.
    ask
        (stream, first missing open, end): asks the venue.
    monotonic
        Seconds that only grow.
    """

    def __init__(
        self,
        histories: Mapping[Stream, BarHistory],
        feed: FeedQuarantine,
        timeframe: str,
        ask: Callable[[Stream, datetime, datetime], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._histories = histories
        self._feed = feed
        self._timeframe = timeframe
        self._ask = ask
        self._monotonic = monotonic
        self._seen: dict[Stream, tuple[datetime, float]] = {}
        self._asked: dict[Stream, datetime] = {}

    def look(self) -> None:
        """Ask for decision bars that are overdue, each once."""
        for stream, history in self._histories.items():
            heard, last, length = self._feed.end_of(stream.market, self._timeframe), history.last, history.length
            if heard is None or last is None:
                continue
            until = EPOCH + (heard - EPOCH) // length * length
            if until <= last + length or heard == until or self._asked.get(stream) == until:
                self._seen.pop(stream, None)
                continue
            since, first_seen = self._seen.setdefault(stream, (until, self._monotonic()))
            if since != until:
                self._seen[stream] = until, self._monotonic()
            elif self._monotonic() - first_seen > _OVERDUE_S:
                self._asked[stream] = until
                self._ask(stream, last + length, until)


def hold_steps(histories: Iterable[BarHistory], feed: FeedQuarantine, limit_pct: float) -> None:
    """Set markets apart whose history holds a lasting step of the price level, until it has left the look-back."""
    steps: dict[str, str | None] = {}
    for history in histories:
        market = history.stream.market
        steps[market] = steps.get(market) or _lasting_step(history.frame, limit_pct)
    for market, step in steps.items():
        feed.hold(market, step)


def _lasting_step(bars: pl.DataFrame, limit_pct: float) -> str | None:
    """The newest step between two closes beyond a limit: a split or a new denomination; None where there is none."""
    steps = bars.select("ts", "close", before=pl.col("close").shift(1)).filter(
        pl.max_horizontal(pl.col("close") / pl.col("before"), pl.col("before") / pl.col("close")) - 1 > limit_pct / 100
    )
    if steps.is_empty():
        return None
    ts, close, before = steps.row(-1)
    return f"the price level changed from {before:g} to {close:g} at {ts:%Y-%m-%d %H:%M}, within the look-back"
