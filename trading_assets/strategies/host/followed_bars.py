"""The bars that a strategy listens to: those it decides on, and the finer ones that orders are executed on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from nautilus_trader.model import Bar, BarType, InstrumentId

from trading_assets.core.candles import timeframe_delta, timeframe_minutes
from trading_assets.strategies.host.config import HostConfig
from trading_assets.strategies.instruments import bar_type, close_time, exact
from trading_assets.strategies.signals import ClosedBar, Stream


class FollowedBars:
    """What the engine's bars are of.

    Parameters
    ----------
    settings
        Streams that are decided on, and the timeframe of execution.
    instruments
        Market -> what it is traded as.
    """

    def __init__(self, settings: HostConfig, instruments: Mapping[str, InstrumentId]) -> None:
        finer = settings.execution_timeframe
        executed = [Stream(market, finer) for market in settings.markets] if finer else []
        every = dict.fromkeys([*settings.streams, *executed])
        self._streams = {BarType.from_str(bar_type(str(instruments[one.market]), one.timeframe)): one for one in every}
        decided = set(settings.streams)
        self._heard = {
            bars: (one, timeframe_delta(one.timeframe), one in decided) for bars, one in self._streams.items()
        }

    def of(self, market: str) -> list[tuple[str, BarType]]:
        """Timeframe and bars that a market is followed by, the finer ones first."""
        found = [(one.timeframe, bars) for bars, one in self._streams.items() if one.market == market]
        return sorted(found, key=lambda one: timeframe_minutes(one[0]))

    def closed(self, bar: Bar) -> tuple[ClosedBar, bool]:
        """The bar as the strategy sees it, and whether it is decided on."""
        stream, length, is_decision = self._heard[bar.bar_type]
        return _closed(bar, stream, length), is_decision


def _closed(bar: Bar, stream: Stream, length: timedelta) -> ClosedBar:
    now = close_time(bar.ts_event)
    prices = (exact(bar.open), exact(bar.high), exact(bar.low), exact(bar.close))
    return ClosedBar(stream.market, stream.timeframe, now - length, now, *prices, exact(bar.volume))
