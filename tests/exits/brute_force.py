"""One trade of an exit plan, followed candle by candle in plain Python: slow, simple, and told apart from the compiled
loop and the engines that it judges.

Every part that is closed is written down as it happens; nothing is summed up on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from trading_assets.core.sides import Side
from trading_assets.exits.open_trade import OpenTrade
from trading_assets.exits.plan import ExitPlan

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
TOUCH = 1e-12


class Candle(NamedTuple):
    ts: datetime
    open: float
    high: float
    low: float
    close: float


class Exit(NamedTuple):
    """A part that was closed: when the candle that it happened in opened, at what price, which share, and by what."""

    ts: datetime
    price: float
    share: float
    reason: str


@dataclass(frozen=True)
class Trade:
    """All that a trade came to."""

    side: Side
    entry_price: float
    exits: tuple[Exit, ...]
    closed_at: datetime
    ambiguous: bool
    adverse: float
    favourable: float

    @property
    def exit_price(self) -> float:
        return sum(one.price * one.share for one in self.exits)

    @property
    def gross(self) -> float:
        return sum(self.side * one.share * (one.price - self.entry_price) / self.entry_price for one in self.exits)

    @property
    def targets(self) -> int:
        return sum(one.reason == "target" for one in self.exits)

    @property
    def reason(self) -> str:
        return self.exits[-1].reason


def simulate(
    candles: Sequence[Candle],
    *,
    side: Side,
    plan: ExitPlan,
    known_at: datetime,
    step: timedelta,
    bar: timedelta,
    cost: float = 0.0,
    best_case: bool = False,
) -> Trade | None:
    """Enter with the candle that opens at ``known_at``, or next; None where it is missing."""
    entered = known_at + (EPOCH - known_at) % step
    path = [one for one in candles if one.ts >= entered and one.ts + step <= known_at + plan.hold]
    if not path or path[0].ts != entered:
        return None
    trade = OpenTrade.entered(side, path[0].open, 1.0, plan, cost=cost)
    kinds = {trade.stop_price: "stop"}
    exits: list[Exit] = []
    seen = [trade.entry_price]
    ambiguous = False
    bar_candles: list[Candle] = []
    for candle in path:
        if bar_candles and (bar_candles[0].ts - EPOCH) // bar != (candle.ts - EPOCH) // bar:
            trade = trade.after_bar(max(one.high for one in bar_candles), min(one.low for one in bar_candles))
            kinds.setdefault(trade.stop_price, "trailing")
            bar_candles = []
        bar_candles.append(candle)
        exits_here, unclear = in_candle(trade, candle, exits, kinds[trade.stop_price], best_case=best_case)
        exits += exits_here
        ambiguous |= unclear
        if left(exits) == 0:
            seen += [candle.open, *(one.price for one in exits_here)]
            return ended(trade, exits, candle.ts + step, ambiguous, seen)
        seen += [candle.open, candle.high, candle.low]
        for one in exits_here:
            assert one.reason == "target"
            trade = trade.after_target()
            kinds.setdefault(trade.stop_price, "break_even")
    exits.append(Exit(path[-1].ts, path[-1].close, left(exits), "time"))
    end = known_at + plan.hold
    return ended(trade, exits, end - (end - EPOCH) % step, ambiguous, seen)


def in_candle(
    trade: OpenTrade, candle: Candle, before: list[Exit], kind: str, *, best_case: bool
) -> tuple[list[Exit], bool]:
    """The parts that one candle closes, and whether it is unclear which came first."""
    if at_least(candle.open, trade.stop_price, -trade.side):
        return [Exit(candle.ts, candle.open, left(before), kind)], False
    extreme = candle.high if trade.side is Side.LONG else candle.low
    opposite = candle.low if trade.side is Side.LONG else candle.high
    waiting = trade.target_prices[trade.filled :]
    gapped = [price for price in waiting if at_least(candle.open, price, trade.side)]
    reached = [price for price in waiting if at_least(extreme, price, trade.side)][len(gapped) :]
    stopped = at_least(opposite, trade.stop_price, -trade.side)
    parts: list[Exit] = []
    for _ in gapped:
        parts.append(part(trade.plan, [*before, *parts], candle.ts, candle.open))
    unclear = stopped and bool(reached)
    if not stopped or best_case:
        for price in reached:
            parts.append(part(trade.plan, [*before, *parts], candle.ts, price))
    rest = left([*before, *parts])
    if stopped and rest > 0:
        parts.append(Exit(candle.ts, trade.stop_price, rest, kind))
    return parts, unclear


def part(plan: ExitPlan, exits: list[Exit], ts: datetime, price: float) -> Exit:
    """The next target's."""
    number = sum(one.reason == "target" for one in exits)
    last = number == len(plan.targets) - 1
    whole = sum(target.share for target in plan.targets) >= 1 - 1e-9
    share = left(exits) if last and whole else min(plan.targets[number].share, left(exits))
    return Exit(ts, price, share, "target")


def left(exits: list[Exit]) -> float:
    """What is open of the quantity; exactly nothing where the last part took the rest."""
    rest = 1.0
    for one in exits:
        rest -= one.share
    return rest


def at_least(price: float, level: float, way: int) -> bool:
    """Whether a price is as far as a level, upwards (1) or downwards (-1); a hair's breadth counts."""
    return way * (price - level) >= -TOUCH * level


def ended(trade: OpenTrade, exits: list[Exit], closed_at: datetime, ambiguous: bool, seen: list[float]) -> Trade:
    entry = trade.entry_price
    moves = [trade.side * (price - entry) / entry for price in seen]
    return Trade(trade.side, entry, tuple(exits), closed_at, ambiguous, max(0.0, -min(moves)), max(0.0, max(moves)))


def mirrored(candles: Sequence[Candle], total: float) -> list[Candle]:
    """The world in which every price falls by what it rises here."""
    return [Candle(one.ts, total - one.open, total - one.low, total - one.high, total - one.close) for one in candles]


def scaled(plan: ExitPlan, factor: float) -> ExitPlan:
    """A plan of the same distances in money, where the entry price is another."""
    return replace(
        plan,
        stop=plan.stop * factor,
        targets=tuple(one._replace(distance=one.distance * factor) for one in plan.targets),
        trailing=plan.trailing * factor if plan.trailing is not None else None,
    )
