"""The orders of a trade, tagged with their signal and purpose; those that close it are reduce-only.

A long trade buys first and sells last, a short one the other way round. A stop is rounded away from the entry and so is
a target, never nearer than asked: a candle touches the order exactly where it touches the label's barrier.
"""

from __future__ import annotations

import math
from typing import Any

from nautilus_trader.model import ClientOrderId, OrderSide

from trading_assets.core.sides import Side
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders.limits import on_grid
from trading_assets.strategies.plans.plan import Purpose, TradePlan


def market_entry(factory: Any, instrument_id: Any, side: Side, signal_id: str, quantity: Any, order_id: str) -> Any:
    """A market order into a trade."""
    tags = _tags(signal_id, "entry")
    return factory.market(instrument_id, opening(side), quantity, tags=tags, client_order_id=ClientOrderId(order_id))


def stop_loss(
    factory: Any, instrument: Any, plan: TradePlan, quantity: Any, order_id: str, *, reduce_only: bool = True
) -> Any:
    """A stop-market at the plan's stop, on the venue's price grid and never nearer than asked."""
    tags, price = _tags(plan.signal_id, "stop_loss"), trigger_price(instrument, plan)
    return factory.stop_market(
        instrument.id,
        closing(plan.side),
        quantity,
        price,
        reduce_only=reduce_only,
        tags=tags,
        client_order_id=ClientOrderId(order_id),
    )


def trigger_price(instrument: Any, plan: TradePlan) -> Any:
    """The plan's stop on the venue's price grid."""
    outwards = math.floor if plan.side is Side.LONG else math.ceil
    return instrument.make_price(on_grid(plan.stop_price, exact(instrument.price_increment), outwards))


def take_profit(
    factory: Any,
    instrument: Any,
    plan: TradePlan,
    price: float,
    quantity: Any,
    order_id: str,
    *,
    reduce_only: bool = True,
) -> Any:
    """A limit at one of the plan's targets, on the venue's price grid and never nearer than asked."""
    outwards = math.ceil if plan.side is Side.LONG else math.floor
    at = instrument.make_price(on_grid(price, exact(instrument.price_increment), outwards))
    tags = _tags(plan.signal_id, "take_profit")
    return factory.limit(
        instrument.id,
        closing(plan.side),
        quantity,
        at,
        reduce_only=reduce_only,
        tags=tags,
        client_order_id=ClientOrderId(order_id),
    )


def market_exit(
    factory: Any,
    instrument_id: Any,
    plan: TradePlan,
    quantity: Any,
    order_id: str,
    *,
    reduce_only: bool = True,
    purpose: Purpose = "exit",
    held: Side | None = None,
) -> Any:
    """A market order out of the position, or out of a part of it; ``held`` is its side where that is not the plan's."""
    return factory.market(
        instrument_id,
        closing(held or plan.side),
        quantity,
        reduce_only=reduce_only,
        tags=_tags(plan.signal_id, purpose),
        client_order_id=ClientOrderId(order_id),
    )


def opening(side: Side) -> OrderSide:
    """What opens a position of a side: a buy for a long one."""
    return OrderSide.BUY if side is Side.LONG else OrderSide.SELL


def closing(side: Side) -> OrderSide:
    """What closes a position of a side: a sell for a long one."""
    return opening(side.opposite)


def _tags(signal_id: str, purpose: Purpose) -> list[str]:
    return [f"signal:{signal_id}", f"purpose:{purpose}"]
