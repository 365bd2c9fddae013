"""What Kraken spot makes of orders: refusals, fills in parts, triggers, and how REST and the websocket tell of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
PAIR, SHORT, SYMBOL = "XXBTZUSD", "XBTUSD", "BTC/USD"
FEE = Decimal("0.004")
LAST = Decimal("30000.0")
MINIMUM, MINIMUM_COST = Decimal("0.00005"), Decimal("0.5")

PAIRS = {
    PAIR: {
        "altname": SHORT,
        "wsname": "XBT/USD",
        "aclass_base": "currency",
        "base": "XXBT",
        "aclass_quote": "currency",
        "quote": "ZUSD",
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": 1,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": str(MINIMUM),
        "costmin": str(MINIMUM_COST),
        "tick_size": "0.1",
        "status": "online",
    }
}


TICKER = {
    "symbol": SYMBOL,
    "bid": float(LAST),
    "bid_qty": 1.0,
    "ask": float(LAST),
    "ask_qty": 1.0,
    "last": float(LAST),
    "volume": 10.0,
    "vwap": float(LAST),
    "low": float(LAST),
    "high": float(LAST),
    "change": 0.0,
    "change_pct": 0.0,
}


@dataclass
class Trade:
    """A part of an order that was filled."""

    id: str
    price: Decimal
    volume: Decimal
    at: float

    @property
    def cost(self) -> Decimal:
        return self.price * self.volume

    @property
    def fee(self) -> Decimal:
        return (self.cost * FEE).quantize(Decimal("0.00001"))


@dataclass
class Order:
    """One order."""

    id: str
    client_id: str
    side: str
    kind: str
    volume: Decimal
    price: Decimal
    at: float
    status: str = "open"
    trades: list[Trade] = field(default_factory=list)

    @property
    def filled(self) -> Decimal:
        return sum((one.volume for one in self.trades), Decimal(0))

    @property
    def cost(self) -> Decimal:
        return sum((one.cost for one in self.trades), Decimal(0))

    @property
    def average(self) -> Decimal:
        return self.cost / self.filled if self.trades else Decimal(0)

    def row(self) -> dict[str, Any]:
        """As OpenOrders, ClosedOrders and QueryOrders tell it."""
        said = f"{self.side} {self.volume:.8f} {SHORT} @ {self.kind} {self.price}"
        return {
            "refid": None,
            "userref": None,
            "cl_ord_id": self.client_id or None,
            "status": self.status,
            "opentm": self.at,
            "starttm": 0,
            "expiretm": 0,
            "descr": {
                "pair": SHORT,
                "type": self.side,
                "ordertype": self.kind,
                "price": str(self.price),
                "price2": "0",
                "leverage": "none",
                "order": said,
                "close": "",
            },
            "vol": f"{self.volume:.8f}",
            "vol_exec": f"{self.filled:.8f}",
            "cost": f"{self.cost:.5f}",
            "fee": f"{sum((one.fee for one in self.trades), Decimal(0)):.5f}",
            "price": f"{self.average:.1f}",
            "stopprice": str(self.price) if self.kind == "stop-loss" else "0.00000",
            "limitprice": "0.00000",
            "misc": "",
            "oflags": "fciq",
            "trades": [one.id for one in self.trades],
            **({} if self.status == "open" else {"closetm": self.at, "reason": None}),
        }

    def trade_rows(self) -> dict[str, dict[str, Any]]:
        """As TradesHistory tells its fills."""
        return {
            one.id: {
                "ordertxid": self.id,
                "postxid": "TKH2SE-M7IF5-CFI7LT",
                "pair": PAIR,
                "time": one.at,
                "type": self.side,
                "ordertype": self.kind,
                "price": str(one.price),
                "cost": f"{one.cost:.5f}",
                "fee": f"{one.fee:.5f}",
                "vol": f"{one.volume:.8f}",
                "margin": "0.00000",
                "leverage": "0",
                "misc": "",
                "maker": False,
                "trade_id": number,
            }
            for number, one in enumerate(self.trades)
        }

    def event(self, exec_type: str, status: str, *, full: bool = False, **more: Any) -> dict[str, Any]:
        """As the executions channel tells it: at first all of the order, later what has changed."""
        said = {"order_id": self.id, "exec_type": exec_type, "order_status": status, "timestamp": moment()} | more
        if not full:
            return said
        at = {"stop_price": float(self.price)} if self.kind == "stop-loss" else {"limit_price": float(self.price)}
        return said | {
            "cl_ord_id": self.client_id,
            "symbol": SYMBOL,
            "side": self.side,
            "order_type": self.kind,
            "order_qty": float(self.volume),
            "cum_qty": float(self.filled),
            "cum_cost": float(self.cost),
            "time_in_force": "GTC",
            "fee_usd_equiv": 0.0,
            "fee_ccy_pref": "fciq",
            **({} if self.kind == "market" else at),
        }

    def trade_event(self, one: Trade) -> dict[str, Any]:
        """A fill: one that fills the rest is told as partial too, and completion comes by itself."""
        more = {
            "exec_id": one.id,
            "trade_id": len(self.trades),
            "cl_ord_id": self.client_id,
            "symbol": SYMBOL,
            "side": self.side,
            "order_type": self.kind,
            "order_qty": float(self.volume),
            "last_qty": float(one.volume),
            "last_price": float(one.price),
            "cost": float(one.cost),
            "liquidity_ind": "t",
            "cum_qty": float(self.filled),
            "cum_cost": float(self.cost),
            "avg_price": float(self.average),
            "fee_usd_equiv": float(one.fee),
            "fees": [{"asset": "USD", "qty": float(one.fee)}],
        }
        return self.event("trade", "partially_filled", **more)


class Refused(Exception):
    """With the venue's own words."""


def moment() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def new_order(number: int, asked: Mapping[str, Any], balances: Mapping[str, Decimal]) -> Order:
    """The order that a request asks for, by the names of ``add_order``.

    Raises
    ------
    Refused
        As the documentation says.
    """
    client_id, kind, side = str(asked.get("cl_ord_id") or ""), asked["order_type"], asked["side"]
    if not (UUID.fullmatch(client_id) or (client_id.isascii() and len(client_id) <= 18)):
        raise Refused("EGeneral:Invalid arguments:cl_ord_id")
    if asked["symbol"] != SYMBOL:
        raise Refused("EQuery:Unknown asset pair")
    trigger = asked.get("trigger") or {}
    at = {"market": LAST, "limit": asked.get("limit_price"), "stop-loss": trigger.get("price")}.get(kind)
    if at is None:
        raise Refused("EGeneral:Invalid arguments:price")
    volume, price = Decimal(str(asked["order_qty"])), Decimal(str(at))
    if price != price.quantize(Decimal("0.1")):
        raise Refused(f"EOrder:Invalid price:{SHORT} price can only be specified up to 1 decimals.")
    if volume < MINIMUM:
        raise Refused("EOrder:Order minimum not met")
    if volume * price < MINIMUM_COST:
        raise Refused("EOrder:Cost minimum not met")
    needed = ("ZUSD", volume * price * (1 + FEE)) if side == "buy" else ("XXBT", volume)
    if balances[needed[0]] < needed[1]:
        raise Refused("EOrder:Insufficient funds")
    return Order(f"O{number:05d}-AAAAA-BBBBBB", client_id, side, kind, volume, price, datetime.now(UTC).timestamp())
