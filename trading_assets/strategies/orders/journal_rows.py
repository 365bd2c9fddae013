"""The engine's events as journal rows. Reads attributes only, so that no engine is imported."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.strategies.instruments import event_time, exact
from trading_assets.strategies.orders.plans import ExitReason, TradePlan
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
    }


@cache
def _timeframe(length: timedelta) -> str:
    return Timeframe(length // timedelta(minutes=1)).name


def order_row(event: Any, order: Any, *, market: str, signal_id: str, purpose: str) -> dict[str, Any]:
    """An ``orders`` row; ``order`` is the engine's order, for side, type, quantity and price."""
    return {
        "event_id": str(event.event_id),
        "ts": event_time(event.ts_event),
        **order_columns(order, market=market, signal_id=signal_id, purpose=purpose),
        "status": status_of(event),
        "reason": str(getattr(event, "reason", "") or ""),
    }


def order_columns(order: Any, *, market: str, signal_id: str, purpose: str) -> dict[str, Any]:
    """What an ``orders`` row says about the order itself."""
    price = getattr(order, "trigger_price", None) or getattr(order, "price", None)
    return {
        "market": market,
        "order_id": order.client_order_id.value,
        "signal_id": signal_id,
        "purpose": purpose,
        "side": order.side.name.lower(),
        "order_type": order.order_type.name.lower(),
        "quantity": exact(order.quantity),
        "price": exact(price) if price is not None else None,
    }


def fill_row(event: Any, *, market: str, signal_id: str) -> dict[str, Any]:
    """A ``fills`` row."""
    order_id, trade_id = event.client_order_id.value, event.trade_id.value
    fee = event.commission
    return {
        "event_id": f"{order_id}:{trade_id}",
        "ts": event_time(event.ts_event),
        "market": market,
        "order_id": order_id,
        "trade_id": trade_id,
        "signal_id": signal_id,
        "side": event.order_side.name.lower(),
        "quantity": exact(event.last_qty),
        "price": exact(event.last_px),
        "fee": float(fee.as_decimal()) if fee is not None else 0.0,
        "fee_currency": fee.currency.code if fee is not None else event.currency.code,
    }


def position_row(event: Any, *, market: str, signal_id: str) -> dict[str, Any]:
    """A ``positions`` row."""
    pnl = event.realized_pnl
    return {
        "event_id": str(event.event_id),
        "ts": event_time(event.ts_event),
        "market": market,
        "position_id": event.position_id.value,
        "event": status_of(event),
        "quantity": math.copysign(exact(event.quantity), event.signed_qty) if event.signed_qty else 0.0,
        "average_price": event.avg_px_open,
        "realized_pnl": float(pnl.as_decimal()) if pnl is not None else 0.0,
        "signal_id": signal_id,
    }


def plan_row(plan: TradePlan, ts: datetime) -> dict[str, Any]:
    """A ``plans`` row."""
    return {"ts": ts, "market": plan.market, "signal_id": plan.signal_id, "plan": plan.to_json()}


def closed_by(plan: TradePlan, event: Any) -> ExitReason:
    """Why a trade ended, from the order that closed its position."""
    order = event.closing_order_id
    purpose = plan.purpose_of(order.value) if order is not None else None
    if purpose == "take_profit":
        return "take_profit"
    if purpose == "stop_loss":
        return "stop_loss"
    return plan.exit_reason or "lost"
