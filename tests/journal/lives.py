"""The journal's transactions of whole trades, as a node writes them, and a folder that its user may not write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.plans.plan import TradePlan

T0 = datetime(2025, 5, 1, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"
Event = tuple[str, dict[str, Any]]


def plan(number: int, market: str = MARKET, **changes: Any) -> TradePlan:
    fields: dict[str, Any] = {
        "market": market,
        "signal_id": f"s{number}",
        "probability": 0.6,
        "known_at": T0 + timedelta(hours=number),
        "expires_at": T0 + timedelta(hours=number + 6),
        "exits": ExitPlan.bracket(0.02, 0.01, timedelta(hours=6)),
        "quantity": 3.0,
        "entry_order_id": f"e{number}",
    }
    return TradePlan(**(fields | changes))


def trade(
    number: int, entry: list[float], exits: list[float], market: str = MARKET, side: Side = Side.LONG
) -> list[list[Event]]:
    """The journal's transactions of one trade: entered at 100, ended by the stop 1 away from it; fee 0.1 a fill."""
    opens, closes = ("buy", "sell") if side is Side.LONG else ("sell", "buy")
    at_stop = 100.0 - side
    ts = T0 + timedelta(hours=number)

    def order(purpose: str, order_id: str, status: str, quantity: float) -> Event:
        row = {"ts": ts, "market": market, "order_id": order_id, "signal_id": f"s{number}", "purpose": purpose}
        return "orders", row | {"status": status, "quantity": quantity, "side": opens if purpose == "entry" else closes}

    def fill(order_id: str, word: str, index: int, quantity: float, price: float) -> Event:
        row = {"ts": ts, "market": market, "order_id": order_id, "trade_id": f"{order_id}t{index}", "side": word}
        return "fills", row | {"signal_id": f"s{number}", "quantity": quantity, "price": price, "fee": 0.1}

    def position(event: str, quantity: float, pnl: float) -> Event:
        row = {"ts": ts, "market": market, "event": event, "quantity": side * quantity, "average_price": 100.0}
        return "positions", row | {"realized_pnl": pnl, "signal_id": f"s{number}", "position_id": "P"}

    def intend(one: TradePlan) -> Event:
        return "plans", {"ts": ts, "market": market, "signal_id": one.signal_id, "plan": one.to_json()}

    total, held = sum(entry), 0.0
    entering, stop = plan(number, market, side=side), f"x{number}"
    known = {"side": side, "stop_order_id": stop, "quantity": total}
    opened = plan(number, market, stage="open", stop_price=at_stop, **known)
    parts: list[list[Event]] = [[intend(entering), order("entry", f"e{number}", "initialized", total)]]
    for index, quantity in enumerate(entry):
        held += quantity
        fees = -0.1 * (index + 1)
        parts.append([order("entry", f"e{number}", "filled", total), fill(f"e{number}", opens, index, quantity, 100.0)])
        parts.append([position("changed" if index else "opened", held, fees)])
    parts.append([intend(opened), order("stop_loss", stop, "initialized", total)])
    parts.append([order("stop_loss", stop, "accepted", total)])
    for index, quantity in enumerate(exits):
        held = round(held - quantity, 9)
        pnl = -0.1 * (len(entry) + index + 1) - sum(exits[: index + 1])
        parts.append([order("stop_loss", stop, "filled", total), fill(stop, closes, index, quantity, at_stop)])
        parts.append([position("changed" if held else "closed", held, pnl)])
    if not held:
        closed = plan(number, market, stage="closed", exit_reason="stop_loss", **known)
        parts.append([intend(closed)])
    return parts


@contextmanager
def unprivileged(parent: Path) -> Iterator[Path]:
    """A folder of an ordinary user; root may write anywhere."""
    folder, user = parent / "live", os.geteuid()
    folder.mkdir()
    if user:
        yield folder
        return
    for one in (parent, folder):
        os.chown(one, 65534, -1)
    os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
