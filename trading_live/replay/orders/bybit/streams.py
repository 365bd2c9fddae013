"""What Bybit's private stream says of what happened. Values in, messages out."""

from __future__ import annotations

from typing import Any

from trading_live.replay.orders.bybit import shapes
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.happenings import AccountChanged, ConditionalChanged, Happening, OrderChanged


def messages(happening: Happening, exchange: Exchange) -> list[dict[str, Any]]:
    """The messages of one happening, each on its topic: order, execution, position, wallet."""
    match happening:
        case OrderChanged(order=order, fill=fill):
            told = [("order", shapes.order(exchange, order))]
            if fill is not None:
                told.insert(0, ("execution", shapes.execution(exchange, fill)))
        case ConditionalChanged(order=waits) if waits.status not in ("TRIGGERING", "FINISHED"):
            told = [("order", shapes.waiting(waits))]
        case AccountChanged(positions=positions):
            held = [("position", shapes.position(exchange, one)) for one, _ in positions]
            told = [*held, ("wallet", shapes.wallet(exchange))]
        case _:
            return []
    return [
        {"topic": topic, "id": f"{topic}-{happening.at_ms}", "creationTime": happening.at_ms, "data": [row]}
        for topic, row in told
    ]
