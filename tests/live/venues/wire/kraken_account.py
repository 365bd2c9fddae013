"""An account at Kraken spot: what it owns, its orders, and what REST and the websocket answer about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.live.venues.wire.kraken_orders import LAST, PAIR, SHORT, SYMBOL, Order, Refused, Trade, new_order

PAGE = 50


@dataclass(eq=False)
class KrakenAccount(ABC):
    """Dollars, and no coins.

    Attributes
    ----------
    refusals
        What each new order is refused with, before anything else is looked at.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    balances: dict[str, Decimal] = field(
        default_factory=lambda: {"ZUSD": Decimal("10000.0000"), "XXBT": Decimal("0.0000000000")}
    )
    refusals: list[str] = field(default_factory=list)

    @abstractmethod
    async def tell(self, event: dict[str, Any]) -> None:
        """Stream what became of an order."""

    def of(self, client_id: str) -> Order:
        return next(one for one in self.orders.values() if one.client_id == client_id)

    @property
    def free(self) -> dict[str, Decimal]:
        """What no order that rests to be sold has bound."""
        resting = [one for one in self.orders.values() if one.status == "open" and one.side == "sell"]
        bound = sum((one.volume - one.filled for one in resting), Decimal(0))
        return self.balances | {"XXBT": self.balances["XXBT"] - bound}

    async def add(self, asked: Mapping[str, Any]) -> Order:
        """Take an order; one at the market fills in two parts."""
        if self.refusals:
            raise Refused(self.refusals.pop(0))
        order = new_order(len(self.orders) + 1, asked, self.free)
        self.orders[order.id] = order
        await self.tell(order.event("pending_new", "pending_new", full=True))
        await self.tell(order.event("new", "new"))
        return order

    async def buy(self, asked: Mapping[str, Any]) -> None:
        """Take an order at the market, and fill it."""
        await self.match(await self.add(asked))

    async def match(self, order: Order) -> None:
        if order.kind == "market":
            part = (order.volume / 4).quantize(Decimal("0.00000001"))
            await self.fill(order, [part, order.volume - part], LAST)

    async def cancel(self, ids: list[str]) -> list[str]:
        """Cancel by the venue's ids or the client's; those that were open."""
        found = [one for one in self.orders.values() if one.status == "open" and {one.id, one.client_id} & set(ids)]
        for one in found:
            one.status = "canceled"
            more = {"cl_ord_id": one.client_id, "cum_qty": float(one.filled), "reason": "User requested"}
            await self.tell(one.event("canceled", "canceled", **more))
        return [one.id for one in found]

    async def fill(self, order: Order, parts: list[Decimal], price: Decimal) -> None:
        for part in parts:
            trade = Trade(
                f"T{order.id[1:6]}-{len(order.trades)}XXXX-XXXXXX", price, part, datetime.now(UTC).timestamp()
            )
            order.trades.append(trade)
            sign = 1 if order.side == "buy" else -1
            self.balances["XXBT"] += sign * part
            self.balances["ZUSD"] -= sign * trade.cost + trade.fee
            if order.filled == order.volume:
                order.status = "closed"
            await self.tell(order.trade_event(trade))
        if order.status == "closed":
            totals = {"cum_qty": float(order.filled), "cum_cost": float(order.cost), "avg_price": float(order.average)}
            await self.tell(order.event("filled", "filled", cl_ord_id=order.client_id, **totals))

    async def reach(self, order: Order, parts: list[Decimal], price: Decimal) -> None:
        """Let the market reach a stop: it becomes an order at the market."""
        await self.tell(order.event("status", "triggered"))
        await self.fill(order, parts, price)

    # -- what is asked ------------------------------------------------------------------------------------------------

    async def answer(self, name: str, params: Mapping[str, str]) -> Any:
        """The result of a private request.

        Raises
        ------
        Refused
            With the venue's words.
        """
        if name == "AddOrder":
            return await self._add_order(params)
        if name == "CancelOrder":
            return await self._cancel_order(params)
        answers: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "Balance": lambda _: {asset: str(owned) for asset, owned in self.balances.items()},
            "BalanceEx": lambda _: {
                asset: {"balance": str(owned), "hold_trade": "0"} for asset, owned in self.balances.items()
            },
            "OpenOrders": lambda asked: {"open": self._rows(asked, open_=True)},
            "ClosedOrders": lambda asked: {"closed": _page(self._rows(asked, open_=False), asked), "count": 0},
            "QueryOrders": lambda asked: {
                one: self.orders[one].row() for one in asked["txid"].split(",") if one in self.orders
            },
            "TradesHistory": lambda asked: {"trades": _page(self._trades(), asked), "count": len(self._trades())},
        }
        if name not in answers:
            raise Refused("EGeneral:Unknown method")
        return answers[name](params)

    async def _add_order(self, params: Mapping[str, str]) -> Any:
        kind, price = params["ordertype"], params.get("price")
        pair = SYMBOL if params["pair"] in (PAIR, SHORT) else params["pair"]
        said = {"order_type": kind, "side": params["type"], "order_qty": params["volume"], "symbol": pair}
        said["cl_ord_id"] = params.get("cl_ord_id", "")
        at = {"trigger": {"price": price}} if kind == "stop-loss" else {"limit_price": price}
        order = await self.add({**said, **at})
        await self.match(order)
        return {"descr": {"order": order.row()["descr"]["order"]}, "txid": [order.id]}

    async def _cancel_order(self, params: Mapping[str, str]) -> Any:
        if not (found := await self.cancel([params.get("txid") or params["cl_ord_id"]])):
            raise Refused("EOrder:Unknown order")
        return {"count": len(found)}

    def _rows(self, params: Mapping[str, str], *, open_: bool) -> dict[str, Any]:
        chosen = [one for one in self.orders.values() if params.get("cl_ord_id", one.client_id) == one.client_id]
        return {one.id: one.row() for one in chosen if (one.status == "open") is open_}

    def _trades(self) -> dict[str, Any]:
        return {trade: row for one in self.orders.values() for trade, row in one.trade_rows().items()}


def _page(rows: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    begin = int(params.get("ofs", 0))
    return dict(list(rows.items())[begin : begin + PAGE])
