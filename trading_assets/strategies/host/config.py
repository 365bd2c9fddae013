"""What the host trades, how large, and when it is asked. Imports no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_assets.core.candles import timeframe_minutes
from trading_assets.settings import SizingSettings
from trading_assets.strategies.orders.matching import SANDBOX, Matching
from trading_assets.strategies.orders.order_ids import DEFAULT_ACCOUNT
from trading_assets.strategies.signals import Stream


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What is traded and how large.

    Attributes
    ----------
    markets
        Our market names.
    sizing
        How large a position is, as a share of the account's equity; bounded by the limits of risk.
    taker_fee_bps
        What the entry of a spot market costs beside its price: both must be there in cash.
    timeframes
        Market -> the timeframes of its bars that are decided on.
    execution_timeframe
        Finer bars to subscribe to. The node needs them: its sandbox matches on them, and expiry is checked on them. A
        backtest does not: its simulated exchange is fed directly.
    await_execution_bar
        Whether a decision waits for the finer bar that ends with it: a venue promises no order between the two, and the
        sandbox would fill the entry at the finer bar's price before, which is older than what was decided on.
    gather
        How long a decision waits for other markets' bars, so that one pass decides on all; as long again, up to four
        times in all, while more are coming. None decides at once.
    listen_on_start
        Whether to subscribe to the bars at once; a node calls ``listen()`` when its history is there.
    close_at
        From the first bar that ends then on, nothing is open any more: where a backtest ends. A stopped node leaves
        its positions to their stops.
    matching
        How orders are matched.
    account
        Our name of the account: a part of the orders' ids.
    adopts
        Whether a position that no plan explains is closed, as in a sandbox of our own; else it is somebody else's.
    """

    markets: tuple[str, ...]
    sizing: SizingSettings
    timeframes: Mapping[str, Sequence[str]]
    execution_timeframe: str | None = None
    await_execution_bar: bool = False
    gather: timedelta | None = None
    listen_on_start: bool = True
    close_at: datetime | None = None
    taker_fee_bps: float = 0.0
    strategy_id: str = "MODEL-001"
    matching: Matching = SANDBOX
    account: str = DEFAULT_ACCOUNT
    adopts: bool = True

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The bars that are decided on, the coarser ones of a market first."""
        every = [Stream(market, timeframe) for market in self.markets for timeframe in self.timeframes.get(market, ())]
        return tuple(sorted(every, key=lambda one: -timeframe_minutes(one.timeframe)))
