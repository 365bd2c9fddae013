"""A small spot account in Binance's words: coins, orders that bind them, and a step that sales must keep to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.live.venues.account.documented import account_at, documented
from trading_live.venues.account.base import RestAccount

SPOT_MARKET = "binance:BTC/USDT"
_STEP = Decimal("0.00001")
_GONE = (400, {"code": -2011, "msg": "Unknown order sent."})
_UNKNOWN = (400, {"code": -2013, "msg": "Order does not exist."})
_BROKER = "x-TD67BGP9-R"


@dataclass
class SpotVenue:
    """What is owned of the coin, and every order that was sent."""

    owned: Decimal
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    account: RestAccount = field(init=False)

    def rest(self, client_id: str, quantity: str, *, filled: str = "0") -> None:
        """A stop that sells."""
        self._keep(_BROKER + client_id, "STOP_LOSS", quantity, filled, "NEW", stopPrice="29000")

    @property
    def resting(self) -> list[str]:
        return [name.removeprefix(_BROKER) for name, one in self.orders.items() if one["status"] == "NEW"]

    @property
    def sold(self) -> list[str]:
        return [one["origQty"] for one in self.orders.values() if one["type"] == "MARKET"]

    def answers(self) -> dict[str, Any]:
        sizes = {"filterType": "LOT_SIZE", "stepSize": str(_STEP), "minQty": str(_STEP), "maxQty": "9000"}
        none = {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.00000000", "minQty": "0", "maxQty": "100"}
        listed = {"symbol": "BTCUSDT", "status": "TRADING", "filters": [sizes, none]}
        return {
            "GET /api/v3/exchangeInfo": {"symbols": [listed]},
            "GET /api/v3/account": lambda _: {
                "balances": [{"asset": "BTC", "free": str(self.owned - self._bound()), "locked": str(self._bound())}]
            },
            "GET /api/v3/openOrders": lambda _: [one for one in self.orders.values() if one["status"] == "NEW"],
            "GET /api/v3/order": lambda asked: self.orders.get(asked["origClientOrderId"], _UNKNOWN),
            "DELETE /api/v3/order": self._cancel,
            "POST /api/v3/order": self._sell,
        }

    def _bound(self) -> Decimal:
        resting = [one for one in self.orders.values() if one["status"] == "NEW"]
        return sum((Decimal(one["origQty"]) - Decimal(one["executedQty"]) for one in resting), Decimal(0))

    def _cancel(self, asked: dict[str, Any]) -> Any:
        found = self.orders.get(asked["origClientOrderId"])
        if found is None or found["status"] != "NEW":
            return _GONE
        found["status"] = "CANCELED"
        return found

    def _sell(self, asked: dict[str, Any]) -> Any:
        quantity = Decimal(asked["quantity"])
        if quantity % _STEP or not quantity:
            return 400, {"code": -1111, "msg": "Parameter 'quantity' has too much precision."}
        if quantity > self.owned - self._bound():
            return 400, {"code": -2010, "msg": "Account has insufficient balance for requested action."}
        self.owned -= quantity
        return self._keep(asked["newClientOrderId"], "MARKET", asked["quantity"], asked["quantity"], "FILLED")

    def _keep(self, name: str, kind: str, quantity: str, filled: str, status: str, **more: str) -> dict[str, Any]:
        self.orders[name] = {
            "symbol": "BTCUSDT",
            "orderId": len(self.orders) + 1,
            "clientOrderId": name,
            "origQty": quantity,
            "executedQty": filled,
            "side": "SELL",
            "type": kind,
            "status": status,
            "time": 1_700_000_000_000,
        } | more
        return self.orders[name]


@contextmanager
def spot_venue(owned: str) -> Iterator[SpotVenue]:
    """A venue where so much of the coin is owned."""
    venue = SpotVenue(Decimal(owned))
    with documented(venue.answers()) as answering:
        venue.account = account_at(answering, "binance", "spot", SPOT_MARKET)
        yield venue
