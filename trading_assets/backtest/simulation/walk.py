"""Walks the engine along the price paths of markets, past the stretches in which nothing can happen."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import Bar, InstrumentId, OrderSide, OrderType

from trading_assets.backtest.simulation.tracks import Next, Track, Watch
from trading_assets.backtest.simulation.venue import EngineBars, Feed
from trading_assets.core.sides import Side
from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.instruments import exact, instrument_id, nanoseconds
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.signals import MemoryJournal

_KINDS: Final = ("orders", "fills", "positions", "plans")
_ON_ITS_WAY: Final = frozenset({"initialized", "submitted", "pending_update", "pending_cancel"})
_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class MarketFeed:
    """What one market's engine bars are made of.

    Attributes
    ----------
    path
        Slices of its candles.
    decisions
        Its decision bars, with ``ts``.
    """

    path: Feed
    decisions: Feed


class Walk:
    """One run of an engine.

    Whatever is on its way makes the next stretch be walked whole, and of all markets: an order that has been sent is
    looked at when the exchange gets a bar of any market. Where only the end of a stretch matters, each market that
    matters gets the last slice before it and the decision bar: what its price was, and what it was one bar before.

    Parameters
    ----------
    engine, strategy
        The strategy is the engine's only one.
    journal
        Where the strategy writes.
    feeds
        The markets' bars, in the order in which those of one instant are given.
    told
        (market, ``ts``) of the bars on which the strategy is told something.
    funding
        Instants and what the engine is told at each, ascending.
    each
        Whether the strategy has something to say on every decision bar.
    """

    def __init__(
        self,
        engine: BacktestEngine,
        strategy: StrategyHost,
        journal: MemoryJournal,
        feeds: Sequence[MarketFeed],
        *,
        told: Container[Any],
        funding: Sequence[tuple[datetime, list[Any]]] = (),
        each: bool = False,
    ) -> None:
        self._engine = engine
        self._strategy = strategy
        self._funding = funding
        self._due = [nanoseconds(at) for at, _ in funding]
        self._settled = 0
        self._markets = [_Market(one, told) for one in feeds]
        self._named = {one.name: one for one in self._markets}
        tracks = [one.track for one in self._markets]
        self._ends: list[int] = sorted({end for track in tracks for end in track.ends})
        for track in tracks:
            track.count_in(np.array(self._ends))
        self._each = each
        self._changes = _Changes(journal)
        self._until: int | None = None
        self._given = 0

    def run(self) -> int:
        """Walk from the first stretch to the last, and over what comes after it; tell how many bars the engine got."""
        last, done = len(self._ends) - 1, -1
        while done < last:
            ahead = Next(done + 1, whole=True) if done < 0 or self._is_busy() else self._next(done)
            number = int(min(ahead.number, last))
            self._give(done, number, whole=ahead.whole or number == last)
            self._look()
            done = number
        rest = [one.path(one.track.cuts[-1], one.track.height) for one in self._markets]
        self._pass([bar for bars in rest for bar in bars], max(bars[-1].ts_event for bars in rest if bars))
        self._engine.end()
        return self._given

    def _is_busy(self) -> bool:
        return bool(self._changes.on_their_way) or any(one.is_restless for one in self._markets)

    def _next(self, done: int) -> Next:
        found = [one.track.next_of(one.watch, done) for one in self._markets]
        number = done + 1 if self._each else min(one.number for one in found)
        return Next(number, whole=any(one.whole for one in found if one.number == number))

    def _give(self, done: int, number: int, *, whole: bool) -> None:
        """Give the engine a stretch, or its end, and before it what was known one bar earlier."""
        bars: list[Bar] = []
        for one in self._markets:
            track, decisions = one.track, list[Bar]()
            is_open, before, own = one.watch is not None, track.latest_before(number), track.own(number)
            if before >= 0 and track.numbers[before] > done and (whole or (is_open and len(self._markets) > 1)):
                bars += one.path(track.cuts[before + 1] - 1, track.cuts[before + 1])
                decisions += one.decisions(before, before + 1)
            if own is not None and (whole or self._each or is_open or track.is_told(own)):
                end = track.cuts[own + 1]
                bars += one.path(track.cuts[own] if whole else end - 1, end)
                decisions += one.decisions(own, own + 1)
            bars += decisions
        self._pass(bars, self._ends[number] * _US)

    def _pass(self, bars: Sequence[Bar], until: int) -> None:
        due = bisect_right(self._due, until, lo=self._settled)
        updates = [update for _, found in self._funding[self._settled : due] for update in found]
        self._settled = due
        self._engine.add_data([*updates, *bars], validate=False, sort=True)
        self._engine.run(start=self._until, streaming=True)
        self._engine.clear_data()
        self._until = until
        self._given += len(bars)

    def _look(self) -> None:
        """See what the markets are to be watched for in which something has changed."""
        for name, has_new_orders in self._changes.take().items():
            one = self._named[name]
            if has_new_orders:
                one.orders = self._strategy.cache.orders_open(instrument_id=one.instrument)
            one.look(self._strategy.open_trades.get(name))


class _Market:
    """A market on the way: its bars, and what is known of its trade."""

    def __init__(self, feed: MarketFeed, told: Container[Any]) -> None:
        self.name = feed.path.market
        self.instrument = InstrumentId.from_str(instrument_id(self.name))
        self.track = Track(self.name, feed.path.bars, feed.decisions.bars, told)
        self.path, self.decisions = EngineBars(feed.path), EngineBars(feed.decisions)
        self.orders: Sequence[Any] = ()
        self.watch: Watch | None = None
        self.is_restless = False
        self._tick = feed.path.rules.tick

    def look(self, plan: TradePlan | None) -> None:
        """Take note of the trade that is open, if any."""
        self.is_restless = _is_restless(plan, self.orders)
        if plan is None:
            self.watch = None
        else:
            self.watch = Watch() if self.is_restless else _watch(plan, self.orders, self._tick)


def _is_restless(plan: TradePlan | None, orders: Sequence[Any]) -> bool:
    """Whether a market must be walked on: anything but a trade with its stop, or nothing at all."""
    if plan is None:
        return bool(orders)
    if plan.stage != "open" or any(order.filled_qty.as_double() > 0 for order in orders):
        return True
    kinds = [order.order_type for order in orders]
    return kinds.count(OrderType.STOP_MARKET) != 1 or any(
        kind not in (OrderType.STOP_MARKET, OrderType.LIMIT) for kind in kinds
    )


def _watch(plan: TradePlan, orders: Iterable[Any], tick: float) -> Watch:
    """What moves an open trade: a price that reaches an order, one better than the best so far, time."""
    below, above = -math.inf, math.inf
    for order in orders:
        is_stop, is_sale = order.order_type == OrderType.STOP_MARKET, order.side == OrderSide.SELL
        price = exact(order.trigger_price if is_stop else order.price)
        if is_stop is is_sale:
            below = max(below, price + tick)
        else:
            above = min(above, price - tick)
    best = plan.best_price if plan.is_moving else math.inf * plan.side
    return Watch(
        below,
        above,
        worst=best if plan.side is Side.SHORT else -math.inf,
        best=best if plan.side is Side.LONG else math.inf,
        until=nanoseconds(plan.expires_at) // _US,
        each=plan.exits.before_funding,
    )


class _Changes:
    """What the journal says of markets since it was last asked."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.on_their_way: set[str] = set()
        self._journal = journal
        self._seen = dict.fromkeys(_KINDS, 0)

    def take(self) -> dict[str, bool]:
        """The markets that something was journalled of, and whether it was of their orders too."""
        markets: dict[str, bool] = {}
        for kind in _KINDS:
            rows = self._journal.of(kind)
            for number in range(self._seen[kind], len(rows)):
                row = rows[number]
                if kind == "plans":
                    markets.setdefault(row["market"], False)
                    continue
                markets[row["market"]] = True
                if kind == "orders" and row["status"] in _ON_ITS_WAY:
                    self.on_their_way.add(row["order_id"])
                elif kind == "orders":
                    self.on_their_way.discard(row["order_id"])
            self._seen[kind] = len(rows)
        return markets
