"""OKX: swaps, counted in contracts there and in base units here, and spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import batched
from typing import Any, ClassVar, Final

from trading_assets.core.candles import Market
from trading_live.venues.account.base import RestAccount, milliseconds, moment, number, price, status, text, unique
from trading_live.venues.account.contract import (
    MarginMode,
    Modes,
    OrderStatus,
    Payment,
    PaymentKind,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from trading_live.venues.account.ids import ClientIds
from trading_live.venues.account.requests import Requests

_STATUS: Final[Mapping[str, OrderStatus]] = {
    "filled": "filled",
    "canceled": "canceled",
    "mmp_canceled": "canceled",
    "order_failed": "rejected",
    "partially_failed": "rejected",
}
_ALGOS: Final = ("conditional,oco", "trigger", "move_order_stop")
_KINDS: Final[Mapping[str, PaymentKind]] = {"1": "transfer", "8": "funding"}
_SPOT_MODE: Final = "1"
"""Of an account that trades no swaps: a new one's, until its owner changes that at the venue."""

_TRADED: Final = ("2", "3", "5", "9")
"""Kinds of bills with a result and a fee: trade, delivery, liquidation, ADL."""


class Okx(RestAccount):
    """The trading account."""

    exchange = "okx"
    unknown: ClassVar[tuple[str, ...]] = tuple(f'"{code}"' for code in (51603, 51400, 51401, 51402, 51410, 51001))
    same: ClassVar[tuple[str, ...]] = ('"59000"', '"59107"')

    def __init__(self, requests: Requests, markets: Sequence[str], *, ids: ClientIds | None = None) -> None:
        super().__init__(requests, markets, ids=ids)
        self._contracts: dict[str, float] = {}

    def symbol(self, market: str) -> str:
        """``BTC-USDT-SWAP``, or ``BTC-USDT``."""
        parsed = Market.parse(market)
        return f"{parsed.base}-{parsed.quote}" + ("-SWAP" if parsed.is_derivative else "")

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """Orders, and algo orders of each kind."""
        found = list[VenueOrder]()
        for product in sorted({_product(market) for market in markets}):
            rows = self._pages("privateGetTradeOrdersPending", {"instType": product}, "ordId")
            found += [self._order(row) for row in rows]
            for kind in _ALGOS:
                asked = {"instType": product, "ordType": kind}
                rows = self._pages("privateGetTradeOrdersAlgoPending", asked, "algoId")
                found += [self._algo(row) for row in rows]
        return [one for one in found if one.market in markets]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """The order, or the algo order with the order that it became."""
        asked = {"instId": self.symbol(market)}
        wire = self._ids.wire(client_id)
        if row := self._one("privateGetTradeOrder", {**asked, "clOrdId": wire}):
            return self._order(row)
        algo = self._one("privateGetTradeOrderAlgo", {"algoClOrdId": wire})
        if algo is None:
            return None
        became = algo.get("ordId") or next(iter(algo.get("ordIdList") or ()), "")
        if not became:
            return self._algo(algo)
        self.remember(became, wire)
        row = self._one("privateGetTradeOrder", {**asked, "ordId": became})
        if row is None:  # what has filled is known for months, what was canceled for two hours
            return replace(self._algo(algo), status="canceled")
        return self._order({**row, "clOrdId": wire, "trigger": _trigger(algo)})

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Of the last three months; an order that an algo order became is told by the algo's id."""
        asked = {"instType": _product(market), "instId": self.symbol(market), "begin": milliseconds(since)}
        rows = self._pages("privateGetTradeFillsHistory", asked, "billId")
        for row in unique(rows, lambda row: row["ordId"]):
            if not row.get("clOrdId") and row["ordId"] not in self._client_ids:
                order = self._one("privateGetTradeOrder", {"instId": row["instId"], "ordId": row["ordId"]}) or {}
                self.remember(row["ordId"], order.get("algoClOrdId") or order.get("clOrdId"))
        return sorted((self._fill(row, market) for row in rows), key=lambda one: (one.ts, one.trade_id))

    def positions(self) -> list[VenuePosition]:
        """Of swaps and futures."""
        rows = self._data("privateGetAccountPositions")
        return [self._position(row) for row in rows if row["instType"] != "MARGIN" and number(row["pos"])]

    def balances(self) -> dict[str, float]:
        """Cash, without what open positions have gained."""
        rows = self._data("privateGetAccountBalance")
        details = rows[0]["details"] if rows else []
        return {row["ccy"]: number(row["cashBal"]) for row in details if number(row["cashBal"])}

    def payments(self, since: datetime) -> list[Payment]:
        """The bills of the last three months; one of a trade holds a result and a fee."""
        asked = {"begin": milliseconds(since)}
        rows = self._pages("privateGetAccountBillsArchive", asked, "billId")
        found = [payment for row in rows for payment in self._payments(row)]
        return sorted(unique(found, lambda one: one.id), key=lambda one: one.ts)

    def rate(self, coin: str, quote: str) -> float | None:
        """Of its spot market."""
        answer = self._requests.call("publicGetMarketTicker", {"instId": f"{coin}-{quote}"}, gone=self.unknown)
        rows = [] if answer is None else answer["data"]
        return price(rows[0]["last"]) if rows else None

    def clock(self) -> datetime:
        """Of its servers."""
        return moment(self._requests.call("publicGetPublicTime")["data"][0]["ts"])

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """Of an open position, whatever its margin mode; else as orders would have it, with which the mode comes."""
        if self.is_spot(market):
            return Modes()
        config = self._data("privateGetAccountConfig")[0]
        if str(config.get("acctLv")) == _SPOT_MODE:
            raise self.refuse(f"{market}: the account is in spot mode", "set it to futures mode at the venue")
        held = self._data("privateGetAccountPositions", {"instId": self.symbol(market)})
        mode: MarginMode = margin_mode or "cross"
        other: MarginMode = "isolated" if mode == "cross" else "cross"
        if any(row.get("mgnMode") == other for row in held if number(row["pos"])):
            mode = other
        rows = self._data("privateGetAccountLeverageInfo", {"instId": self.symbol(market), "mgnMode": mode})
        return Modes(price(rows[0]["lever"]) if rows else None, mode, config["posMode"] == "long_short_mode")

    def set_modes(self, market: str, modes: Modes) -> None:
        """Sides of the account, leverage of the swap for a margin mode."""
        if self.is_spot(market):
            return
        margin, modes = modes.margin_mode or "cross", self.differing(market, modes)
        if modes.margin_mode is not None:
            raise self.refuse(f"a position is open that is not of {margin} margin")
        if modes.hedged is not None:
            mode = "long_short_mode" if modes.hedged else "net_mode"
            self._requests.call("privatePostAccountSetPositionMode", {"posMode": mode}, gone=self.same)
        if modes.leverage is not None:
            asked = {"instId": self.symbol(market), "lever": f"{modes.leverage:g}", "mgnMode": margin}
            self._requests.call("privatePostAccountSetLeverage", asked, gone=self.same)

    def cancel(self, market: str, client_id: str) -> bool:
        """The order, or the algo order."""
        symbol, wire = self.symbol(market), self._ids.wire(client_id)
        asked = {"instId": symbol, "clOrdId": wire}
        if self._requests.call("privatePostTradeCancelOrder", asked, gone=self.unknown) is not None:
            return True
        algo = self._one("privateGetTradeOrderAlgo", {"algoClOrdId": wire})
        if algo is None:
            return False
        named = [{"instId": symbol, "algoId": algo["algoId"]}]
        return self._requests.call("privatePostTradeCancelAlgos", named, gone=self.unknown) is not None

    def cancel_all(self, market: str) -> None:
        """What rests, twenty at a time; algo orders ten at a time."""
        product, symbol = _product(market), self.symbol(market)
        rows = self._pages("privateGetTradeOrdersPending", {"instType": product, "instId": symbol}, "ordId")
        for some in batched(rows, 20, strict=False):
            named = [{"instId": symbol, "ordId": row["ordId"]} for row in some]
            self._requests.call("privatePostTradeCancelBatchOrders", named, gone=self.unknown)
        for kind in _ALGOS:
            asked = {"instType": product, "instId": symbol, "ordType": kind}
            for some in batched(self._pages("privateGetTradeOrdersAlgoPending", asked, "algoId"), 10, strict=False):
                named = [{"instId": symbol, "algoId": row["algoId"]} for row in some]
                self._requests.call("privatePostTradeCancelAlgos", named, gone=self.unknown)

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A market order in the margin mode of the position, reduce-only but of spot."""
        client_id, symbol, spot = client_id or self.new_id(), self.symbol(market), self.is_spot(market)
        held = [] if spot else self._data("privateGetAccountPositions", {"instId": symbol})
        asked = {
            "instId": symbol,
            "tdMode": "cash" if spot else held[0]["mgnMode"] if held else "cross",
            "side": "sell" if quantity > 0 else "buy",
            "ordType": "market",
            "sz": text(round(quantity / self._unit(symbol), 8)),
            "clOrdId": self._ids.wire(client_id),
        }
        asked |= {"tgtCcy": "base_ccy"} if spot else {"reduceOnly": True}
        sent = self._requests.call("privatePostTradeOrder", asked, again=False)["data"][0]

        def ask() -> VenueOrder | None:
            row = self._one("privateGetTradeOrder", {"instId": symbol, "ordId": sent["ordId"]})
            return None if row is None else self._order(row)

        return self.placed(market, quantity, client_id, sent["ordId"], ask)

    def ask_step(self, market: str) -> float | None:
        """Of contracts, or of the coin."""
        asked = {"instType": _product(market), "instId": self.symbol(market)}
        answer = self._requests.call("publicGetPublicInstruments", asked, gone=self.unknown)
        rows = answer["data"] if answer else []
        unit = Decimal(repr(self._unit(self.symbol(market))))
        return float(Decimal(rows[0]["lotSz"]) * unit) if rows else None

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """Of the whole account, 10 to 120 s; whoever sets it must count on losing algo orders with the others."""
        wait = 0 if seconds is None else min(max(round(seconds), 10), 120)
        self._requests.call("privatePostTradeCancelAllAfter", {"timeOut": str(wait)})
        return True

    # -- inside ---------------------------------------------------------------------------------------------------

    def _data(self, endpoint: str, asked: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._requests.call(endpoint, asked or {})["data"]
        return found

    def _one(self, endpoint: str, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        answer = self._requests.call(endpoint, asked, gone=self.unknown)
        return answer["data"][0] if answer and answer["data"] else None

    def _pages(self, endpoint: str, asked: Mapping[str, Any], cursor: str) -> list[dict[str, Any]]:
        rows = page = self._data(endpoint, asked)
        while len(page) == 100:
            page = self._data(endpoint, {**asked, "after": page[-1][cursor]})
            rows = rows + page
        return rows

    def _unit(self, symbol: str) -> float:
        """Base units of a contract."""
        if not symbol.endswith("-SWAP"):
            return 1.0
        if symbol not in self._contracts:
            rows = self._data("publicGetPublicInstruments", {"instType": "SWAP", "instId": symbol})
            if not rows:
                raise self.refuse(f"the venue does not have {symbol}", "check the markets of the settings")
            self._contracts[symbol] = number(rows[0]["ctVal"]) * (number(rows[0].get("ctMult")) or 1.0)
        return self._contracts[symbol]

    def _name(self, symbol: str) -> str:
        return self.market(symbol, derivative=symbol.endswith("-SWAP"))

    def _order(self, row: Mapping[str, Any]) -> VenueOrder:
        unit = self._unit(row["instId"])
        stop: tuple[float | None, Any] | None = row.get("trigger")
        market = row["ordType"] in ("market", "optimal_limit_ioc")
        return VenueOrder(
            client_id=self.remember(row["ordId"], row.get("clOrdId") or row.get("algoClOrdId")),
            venue_id=str(row["ordId"]),
            market=self._name(row["instId"]),
            side=row["side"],
            kind="stop" if stop else "market" if market else "limit",
            quantity=number(row["sz"]) * unit,
            filled=number(row["accFillSz"]) * unit,
            price=price(row.get("avgPx")) if market else price(row.get("px")),
            stop_price=stop[0] if stop else None,
            reduce_only=str(stop[1] if stop else row.get("reduceOnly")).lower() == "true",
            status=status(_STATUS, row["state"]),
            ts=moment(row["cTime"]),
        )

    def _algo(self, row: Mapping[str, Any]) -> VenueOrder:
        trigger, reduces = _trigger(row)
        return VenueOrder(
            client_id=self._ids.known(str(row.get("algoClOrdId") or "")),
            venue_id=str(row["algoId"]),
            market=self._name(row["instId"]),
            side=row["side"],
            kind="stop",
            quantity=number(row["sz"]) * self._unit(row["instId"]),
            filled=0.0,
            price=None,
            stop_price=trigger,
            reduce_only=str(reduces).lower() == "true",
            status=status(_STATUS, row["state"]),
            ts=moment(row["cTime"]),
        )

    def _fill(self, row: Mapping[str, Any], market: str) -> VenueFill:
        known = self._client_ids.get(str(row["ordId"]))
        return VenueFill(
            trade_id=str(row["tradeId"]),
            client_id=known or self.remember(row["ordId"], row.get("clOrdId")),
            venue_id=str(row["ordId"]),
            market=market,
            side=row["side"],
            quantity=number(row["fillSz"]) * self._unit(row["instId"]),
            price=number(row["fillPx"]),
            fee=-number(row["fee"]),
            fee_currency=row["feeCcy"],
            liquidity="maker" if row.get("execType") == "M" else "taker",
            ts=moment(row.get("fillTime") or row["ts"]),
        )

    def _position(self, row: Mapping[str, Any]) -> VenuePosition:
        signed = number(row["pos"]) * (-1 if row.get("posSide") == "short" else 1)
        return VenuePosition(
            market=self._name(row["instId"]),
            quantity=signed * self._unit(row["instId"]),
            average_price=number(row["avgPx"]),
            leverage=price(row.get("lever")),
            margin_mode="isolated" if row.get("mgnMode") == "isolated" else "cross",
            liquidation_price=price(row.get("liqPx")),
        )

    def _payments(self, row: Mapping[str, Any]) -> list[Payment]:
        kind, symbol = str(row["type"]), str(row.get("instId") or "")
        if kind in _TRADED:
            realized = number(row.get("pnl")) if symbol.endswith("-SWAP") else 0.0
            amounts: list[tuple[PaymentKind, float]] = [("fee", number(row.get("fee"))), ("realized", realized)]
        else:
            amounts = [(_KINDS.get(kind, "other"), number(row.get("balChg")))]
        market = self._name(symbol) if symbol else ""
        return [
            Payment(
                f"{row['billId']}:{what}",
                what,
                market,
                amount,
                row["ccy"],
                moment(row["ts"]),
                str(row.get("tradeId") or ""),
            )
            for what, amount in amounts
            if amount
        ]


def _product(market: str) -> str:
    return "SWAP" if Market.parse(market).is_derivative else "SPOT"


def _trigger(algo: Mapping[str, Any]) -> tuple[float | None, Any]:
    """Where an algo order triggers, and whether it only reduces."""
    at = algo.get("triggerPx") or algo.get("slTriggerPx") or algo.get("tpTriggerPx")
    return price(at), algo.get("reduceOnly")
