"""The engine's events as journal rows. Reads attributes only, so that no engine is imported."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.journal import Holding, PriceOf, fee_price
from trading_assets.strategies.instruments import event_time, exact
from trading_assets.strategies.orders.contracts import in_base
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.signals import Signal

_WORDS: Final = re.compile(r"(?<!^)(?=[A-Z])")


def status_of(event: Any) -> str:
    """``OrderPendingCancel`` -> ``pending_cancel``."""
    return _status(type(event).__name__)


@cache
def _status(name: str) -> str:
    return _WORDS.sub("_", name.removeprefix("Order").removeprefix("Position")).lower()


def signal_row(signal: Signal, action: str, reason: str, *, ts: datetime) -> tuple[str, dict[str, Any]]:
    """A decision, as a ``signals`` event."""
    expected = signal.expected
    return "signals", {
        "ts": ts,
        "market": signal.market,
        "signal_id": signal.signal_id,
        "timeframe": _timeframe(signal.known_at - signal.ts),
        "bar_ts": signal.ts,
        "side": signal.side.value,
        "probability": signal.probability,
        "threshold": signal.threshold,
        "action": action,
        "reason": reason,
        "model": signal.model,
        "model_version": signal.model_version,
        "bundle_hash": signal.bundle_hash,
        "prediction_set": signal.prediction_set,
        "expected_gross_pct": expected.gross_pct,
        "expected_fees_pct": expected.fees_pct,
        "expected_slippage_pct": expected.slippage_pct,
        "expected_funding_pct": expected.funding_pct,
        "expected_net_pct": expected.net_pct,
    }


@cache
def _timeframe(length: timedelta) -> str:
    return Timeframe(length // timedelta(minutes=1)).name


def order_row(
    event: Any, order: Any, *, market: str, signal_id: str, purpose: str, size: Decimal | None = None
) -> dict[str, Any]:
    """An ``orders`` row; ``order`` is the engine's order, for side, type, quantity and price; ``size`` a contract's."""
    return {
        "event_id": str(event.event_id),
        "ts": event_time(event.ts_event),
        **order_columns(order, market=market, signal_id=signal_id, purpose=purpose, size=size),
        "status": status_of(event),
        "reason": str(getattr(event, "reason", "") or ""),
        "venue_order_id": _venue_order_id(event, order),
    }


def _venue_order_id(event: Any, order: Any) -> str | None:
    """The venue's own id: the event's, where it brings one, or what the order has by then."""
    found = getattr(event, "venue_order_id", None) or getattr(order, "venue_order_id", None)
    return None if found is None else str(found.value)


def order_columns(
    order: Any, *, market: str, signal_id: str, purpose: str, size: Decimal | None = None
) -> dict[str, Any]:
    """What an ``orders`` row says about the order itself."""
    price = getattr(order, "trigger_price", None) or getattr(order, "price", None)
    return {
        "market": market,
        "order_id": order.client_order_id.value,
        "signal_id": signal_id,
        "purpose": purpose,
        "side": order.side.name.lower(),
        "order_type": order.order_type.name.lower(),
        "quantity": in_base(order.quantity, size),
        "price": exact(price) if price is not None else None,
    }


def fill_row(
    event: Any,
    *,
    market: str,
    signal_id: str,
    filled_by: str,
    known: PriceOf | None = None,
    size: Decimal | None = None,
) -> dict[str, Any]:
    """A ``fills`` row; ``known`` is asked what a coin is worth that a fee was taken in."""
    order_id, trade_id = event.client_order_id.value, event.trade_id.value
    fee = event.commission
    currency = fee.currency.code if fee is not None else event.currency.code
    price = exact(event.last_px)
    return {
        "event_id": f"{order_id}:{trade_id}",
        "ts": event_time(event.ts_event),
        "market": market,
        "order_id": order_id,
        "trade_id": trade_id,
        "signal_id": signal_id,
        "side": event.order_side.name.lower(),
        "quantity": in_base(event.last_qty, size),
        "price": price,
        "fee": float(fee.as_decimal()) if fee is not None else 0.0,
        "fee_currency": currency,
        "filled_by": filled_by,
        "fee_price": fee_price(market, currency, price, known),
    }


def position_row(event: Any, *, market: str, signal_id: str, size: Decimal | None = None) -> dict[str, Any]:
    """A ``positions`` row."""
    pnl = event.realized_pnl
    return {
        "event_id": str(event.event_id),
        "ts": event_time(event.ts_event),
        "market": market,
        "position_id": event.position_id.value,
        "event": status_of(event),
        "quantity": math.copysign(in_base(event.quantity, size), event.signed_qty) if event.signed_qty else 0.0,
        "average_price": event.avg_px_open,
        "realized_pnl": float(pnl.as_decimal()) if pnl is not None else 0.0,
        "signal_id": signal_id,
    }


def by_fills(row: dict[str, Any], trade: Holding, *, over: bool) -> dict[str, Any]:
    """A ``positions`` row with the quantity and the result that a trade's fills come to.

    The engine's own leaves out fees that are not in quote currency, and those of fills that another process heard of.
    """
    told = {**row, "realized_pnl": trade.realized_pnl, "quantity": 0.0 if over else trade.quantity}
    return {**told, "event": "closed"} if over else told


def plan_row(plan: TradePlan, ts: datetime) -> dict[str, Any]:
    """A ``plans`` row."""
    return {"ts": ts, "market": plan.market, "signal_id": plan.signal_id, "plan": plan.to_json()}
