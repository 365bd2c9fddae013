"""When and at what price a candle fills an order. Pure.

Of a candle four prices are known, and an order that rests or arrives while it lasts takes part in all of it: what
happened within is unknown. The candle is read as a path: open, one extreme, the other, close.

- A limit order is filled at its price when the path reaches it, also where the candle opens beyond it.
- A stop, and a target that waits for its price, becomes an order at the market when the path reaches its trigger:
  filled at the trigger, or at the open where the candle opens beyond it, and worse by the slippage.
- What the path reaches first is filled first; :data:`Touch` says which extreme that is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from trading_live.replay.orders.exchange.model import Bar, Side, Terms, Touch

Path = tuple[Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True, order=True)
class Reach:
    """Where on the path a price is reached first: in which leg (0: at the open), how far along, at what price."""

    leg: int
    distance: Decimal
    price: Decimal


def path(bar: Bar, held: Decimal, touch: Touch) -> Path:
    """The way of the price through a candle.

    Parameters
    ----------
    bar
        The candle.
    held
        The position, signed.
    touch
        The policy; in the worst case a long position meets the low first and a short one the high, and without a
        position the low comes first in a candle that rose.
    """
    low_first = bar.close >= bar.open if touch == "path" or not held else held > 0
    extremes = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    return (bar.open, *extremes, bar.close)


def reach(way: Path, level: Decimal, *, rising: bool) -> Reach | None:
    """Where the path first is at the level or beyond it; None where it never is.

    Parameters
    ----------
    way
        The path of a candle.
    level
        The price.
    rising
        Whether beyond means above.
    """
    sign = 1 if rising else -1
    if sign * (way[0] - level) >= 0:
        return Reach(0, Decimal(0), way[0])
    for leg in range(1, len(way)):
        if sign * (way[leg] - level) >= 0:
            return Reach(leg, abs(level - way[leg - 1]), level)
    return None


def slipped(price: Decimal, side: Side, terms: Terms, tick: Decimal, number: int) -> Decimal:
    """The price of an order at the market: worse than the market's by the slippage, on a whole tick.

    Parameters
    ----------
    price
        The market's.
    side
        Of the order.
    terms
        The slippage.
    tick
        The step of prices.
    number
        Of the order: what chance decides follows it and the seed.
    """
    costs = terms.costs
    sign = 1 if side == "BUY" else -1
    worse = price * (1 + sign * Decimal(str(costs.slippage_bps)) / 10_000)
    if costs.slippage_probability and random.Random(f"{terms.seed}:{number}").random() < costs.slippage_probability:
        worse += sign * tick
    return max((worse / tick).quantize(Decimal(1), ROUND_HALF_UP) * tick, tick)


def whole(quantity: Decimal, step: Decimal) -> Decimal:
    """The largest whole number of steps that a quantity holds."""
    return (quantity / step).quantize(Decimal(1), ROUND_DOWN) * step


def parts(quantity: Decimal, volume: Decimal, share: float, step: Decimal, most: int = 10) -> Iterator[Decimal]:
    """The parts in which an order at the market is filled: each at most the share of a candle's volume.

    There are at most ``most``, the last takes what is left: nothing that is sent at the market stays open.
    """
    size = whole(volume * Decimal(str(share)), step)
    for _ in range(most - 1):
        if not 0 < size < quantity:
            break
        yield size
        quantity -= size
    if quantity:
        yield quantity
