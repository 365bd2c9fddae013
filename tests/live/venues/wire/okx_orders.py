"""The orders of a small OKX: taken or refused, filled at one price, triggered when a test says so."""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.live.venues.wire import okx_rows as rows
from tests.live.venues.wire.okx_rows import SPOT, SWAP, Row, answer, now_ms

_OK = ("0", "")


@dataclass
class Account:
    """What the account holds: contracts of the swap, and coins."""

    held: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    mode: str = "cross"
    coins: dict[str, float] = field(default_factory=lambda: {"USDT": 10_000.0, "BTC": 0.0})

    def trade(self, size: Decimal, price: Decimal) -> None:
        """Book contracts; what reduces a position leaves its average price as it is."""
        before, self.held = self.held, self.held + size
        if before * self.held <= 0:
            self.paid = price
        elif abs(self.held) > abs(before):
            self.paid = (before * self.paid + size * price) / self.held


class OkxOrders:
    """An account with its orders, fills and position.

    Attributes
    ----------
    refuse_next
        Code and words with which the next order is refused.
    parts
        How many fills the next order at the market takes.
    price
        At which everything fills that has no price of its own.
    orders, algos
        By client id, or by the exchange's where there is none.
    """

    def __init__(self) -> None:
        self.refuse_next: tuple[str, str] | None = None
        self.parts = 1
        self.price = Decimal(30_000)
        self.account = Account()
        self.orders: dict[str, Row] = {}
        self.algos: dict[str, Row] = {}
        self.fills: list[Row] = []
        self._number = itertools.count(680_800_019_749_904_384)
        self._tasks = set[asyncio.Task[None]]()

    @abstractmethod
    async def _push(self, channel: str, row: Row) -> None:
        """Tell whoever listens."""

    async def trigger(self, client_id: str, child_id: str = "") -> None:
        """Let the price reach a stop: it becomes an order at the market, which fills."""
        stop = self.algos[client_id]
        order_id = str(next(self._number))
        size = stop["sz"] if stop["instId"] == SPOT else f"{min(Decimal(stop['sz']), abs(self.account.held)):f}"
        asked = {"side": stop["side"], "tdMode": stop["tdMode"], "ordType": "market", "sz": size}
        child = rows.order(asked | {"reduceOnly": stop["reduceOnly"], "clOrdId": child_id}, stop["instId"], order_id)
        child |= {"algoClOrdId": client_id, "algoId": stop["algoId"]}
        self.orders[order_id] = child
        effective = {"state": "effective", "ordId": order_id, "ordIdList": [order_id], "triggerTime": now_ms()}
        stop |= effective | {"actualSz": size, "actualPx": str(self.price), "actualSide": "sl", "uTime": now_ms()}
        await self._push("orders-algo", stop)
        await self._push("orders", child)
        await self._fill(child, Decimal(child["sz"]))

    async def fail(self, client_id: str, code: str) -> None:
        """Let a stop trigger whose order the exchange cannot place."""
        stop = self.algos[client_id]
        stop |= {"state": "order_failed", "failCode": code, "triggerTime": now_ms(), "uTime": now_ms()}
        await self._push("orders-algo", stop)

    async def reach(self, client_id: str, size: str) -> None:
        """Fill some of an order that rests."""
        await self._fill(self.orders[client_id], Decimal(size), maker=True)

    async def _place(self, asked: Row, name: str) -> Row:
        """Take an order, or say why not; what happens to it is told on its channel."""
        client_id = asked.get("clOrdId", "")
        code, words = self._refusal()
        if code == "0" and client_id in self.orders:
            code, words = "51016", "Client order ID already exists."
        if code == "0" and asked.get("reduceOnly") and not self._reduces(asked, name):
            code, words = "51169", "Order failed because you don't have any positions in this direction to reduce."
        if code != "0":
            return {"clOrdId": client_id, "ordId": "", "tag": "", "ts": now_ms(), "sCode": code, "sMsg": words}
        row = rows.order(asked, name, str(next(self._number)))
        row["feeCcy"] = "BTC" if name == SPOT and asked["side"] == "buy" else "USDT"
        self.orders[client_id or row["ordId"]] = row
        self._later(self._work(row))
        return {"clOrdId": client_id, "ordId": row["ordId"], "tag": "", "ts": now_ms(), "sCode": "0", "sMsg": ""}

    def _refusal(self) -> tuple[str, str]:
        said, self.refuse_next = self.refuse_next or _OK, None
        return said

    def _reduces(self, asked: Row, name: str) -> bool:
        held = self.account.held
        return name == SWAP and held != 0 and (asked["side"] == "sell") == (held > 0)

    async def _work(self, row: Row) -> None:
        await self._push("orders", row)
        if row["ordType"] == "market":
            parts, self.parts = self.parts, 1
            size = Decimal(row["sz"])
            for _ in range(parts):
                await self._fill(row, size / parts)

    async def _fill(self, row: Row, size: Decimal, *, maker: bool = False) -> None:
        spot, buys = row["instId"] == SPOT, row["side"] == "buy"
        price = Decimal(row["px"] or self.price)
        base = size if spot else size * Decimal("0.01")
        fee = -base * (Decimal(1) if spot and buys else price) * Decimal("0.0005")
        done = Decimal(row["accFillSz"]) + size
        row |= {"fillSz": str(size.normalize()), "fillPx": str(price), "avgPx": str(price), "accFillSz": f"{done:f}"}
        row |= {"fillFee": f"{fee:f}", "fee": f"{Decimal(row['fee']) + fee:f}", "execType": "M" if maker else "T"}
        row |= {"tradeId": str(next(self._number) % 10**9), "fillFeeCcy": row["feeCcy"]}
        row |= {"fillTime": now_ms(), "uTime": now_ms()}
        row["state"] = "filled" if done == Decimal(row["sz"]) else "partially_filled"
        self.fills.append(rows.fill(row))
        self._book(spot, base if buys else -base, size if buys else -size, price, fee, row["feeCcy"], row["tdMode"])
        await self._push("orders", row)
        await self._push("account", rows.account(self.account.coins))

    def _book(
        self, spot: bool, base: Decimal, size: Decimal, price: Decimal, fee: Decimal, coin: str, mode: str
    ) -> None:
        self.account.coins[coin] += float(fee)
        if spot:
            self.account.coins["BTC"] += float(base)
            self.account.coins["USDT"] -= float(base * price)
        else:
            self.account.trade(size, price)
            self.account.mode = mode

    async def _cancel(self, asked: Row) -> Row:
        found = self.orders.get(asked.get("clOrdId", ""))
        found = found or next((one for one in self.orders.values() if one["ordId"] == asked.get("ordId")), None)
        said = {"clOrdId": asked.get("clOrdId", ""), "ordId": asked.get("ordId", ""), "ts": now_ms()}
        if found is None or found["state"] in ("filled", "canceled"):
            return said | {"sCode": "51400", "sMsg": "Cancellation failed as the order has been filled or canceled."}
        found |= {"state": "canceled", "cancelSource": "1", "fillSz": "0", "tradeId": "", "uTime": now_ms()}
        self._later(self._push("orders", found))
        return said | {"ordId": found["ordId"], "sCode": "0", "sMsg": ""}

    async def _place_algo(self, asked: Row) -> Row:
        client_id = asked.get("algoClOrdId", "")
        code, words = self._refusal()
        said = {"algoClOrdId": client_id, "clOrdId": "", "tag": asked.get("tag", ""), "sCode": code, "sMsg": words}
        if code != "0":
            return answer(said | {"algoId": ""}, code="1", msg="All operations failed")
        row = self.algos[client_id] = rows.algo(asked, str(next(self._number)))
        self._later(self._push("orders-algo", row))
        return answer(said | {"algoId": row["algoId"]})

    async def _cancel_algos(self, asked: list[Row]) -> Row:
        said = []
        for one in asked:
            names = (one.get("algoId"), one.get("algoClOrdId"))
            found = next((row for row in self.algos.values() if {row["algoId"], row["algoClOrdId"]} & set(names)), None)
            if found is None or found["state"] != "live":
                words = "Cancellation failed as the order does not exist."
                said.append({"algoId": one.get("algoId", ""), "sCode": "51400", "sMsg": words})
                continue
            found |= {"state": "canceled", "uTime": now_ms()}
            self._later(self._push("orders-algo", found))
            said.append({"algoId": found["algoId"], "sCode": "0", "sMsg": ""})
        bad = all(one["sCode"] != "0" for one in said)
        return answer(*said, code="1" if bad else "0", msg="All operations failed" if bad else "")

    def _later(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
