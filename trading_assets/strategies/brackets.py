"""The orders that close a trade: reduce-only, for the whole position, tagged with their signal and purpose."""

from __future__ import annotations

import math
from typing import Any

from nautilus_trader.model import OrderSide

from trading_assets.strategies.instruments import exact
from trading_assets.strategies.limits import on_grid
from trading_assets.strategies.plans import Purpose, TradePlan


def stop_loss(factory: Any, instrument: Any, plan: TradePlan, quantity: Any) -> Any:
    """A stop-market at the plan's stop, on the venue's price grid and never nearer than asked."""
    price = instrument.make_price(on_grid(plan.stop_price, exact(instrument.price_increment), math.floor))
    return factory.stop_market(
        instrument.id, OrderSide.SELL, quantity, price, reduce_only=True, tags=_tags(plan, "stop_loss")
    )


def take_profit(factory: Any, instrument: Any, plan: TradePlan, quantity: Any) -> Any:
    """A limit at the plan's target, on the venue's price grid and never nearer than asked."""
    price = instrument.make_price(on_grid(plan.target_price, exact(instrument.price_increment), math.ceil))
    return factory.limit(
        instrument.id, OrderSide.SELL, quantity, price, reduce_only=True, tags=_tags(plan, "take_profit")
    )


def market_exit(factory: Any, instrument_id: Any, plan: TradePlan, quantity: Any) -> Any:
    """A market order out of the position."""
    return factory.market(instrument_id, OrderSide.SELL, quantity, reduce_only=True, tags=_tags(plan, "exit"))


def _tags(plan: TradePlan, purpose: Purpose) -> list[str]:
    return [f"signal:{plan.signal_id}", f"purpose:{purpose}"]
