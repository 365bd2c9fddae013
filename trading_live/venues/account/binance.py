"""Binance: USD-M perpetuals, and spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from trading_assets.strategies.instruments import raw_symbol
from trading_live.venues.account.base import (
    RestAccount,
    moment,
    number,
    price,
    status,
    text,
    unique,
    windows,
)
from trading_live.venues.account.contract import (
    MarginMode,
    Modes,
    OrderKind,
    OrderStatus,
    Payment,
    PaymentKind,
    VenueFill,
    VenueOrder,
    VenuePosition,
)

_WEEK: Final = timedelta(days=7)
_PAGE: Final = 1000
STATUS: Final[Mapping[str, OrderStatus]] = {
    "FILLED": "filled",
    "FINISHED": "filled",
    "CANCELED": "canceled",
    "PENDING_CANCEL": "open",
    "REJECTED": "rejected",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}
KINDS: Final[Mapping[str, OrderKind]] = {
    "MARKET": "market",
    "LIQUIDATION": "market",
    "STOP_MARKET": "stop",
    "STOP_LOSS": "stop",
    "STOP": "stop",
    "STOP_LOSS_LIMIT": "stop",
    "TAKE_PROFIT_MARKET": "stop",
    "TRAILING_STOP_MARKET": "stop",
}
_PAYMENTS: Final[Mapping[str, PaymentKind]] = {
    "FUNDING_FEE": "funding",
    "COMMISSION": "fee",
    "REALIZED_PNL": "realized",
    "TRANSFER": "transfer",
}


class BinanceUsdm(RestAccount):
    """USD-M perpetuals. Stops rest in the venue's algo service, which has endpoints of its own."""

    exchange = "binance"
    fee_coins: ClassVar[tuple[str, ...]] = ("BNB",)
    unknown: ClassVar[tuple[str, ...]] = ('"code":-2011', '"code":-2013')
    absent: ClassVar[tuple[str, ...]] = ('"code":-1121',)
    same: ClassVar[tuple[str, ...]] = ('"code":-4046', '"code":-4059', "No need to change")

    def symbol(self, market: str) -> str:
        """E.g. ``BTCUSDT``."""
        return raw_symbol(market)

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """Orders, and algo orders."""
        wanted: list[dict[str, str]] = [{"symbol": self.symbol(market)} for market in markets]
        found = []
        for one in [{}] if self.asked_at_once(markets) else wanted:
            rows = self._requests.call("fapiPrivateGetOpenOrders", one, gone=self.absent)
            if rows is None:
                continue
            found += [self._order(row) for row in rows]
            found += [self._algo(row) for row in _rows(self._requests.call("fapiPrivateGetOpenAlgoOrders", one))]
        return [one for one in found if one.market in markets]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """The order, or the algo order with the order that it became."""
        symbol, wire = self.symbol(market), self._ids.wire(client_id)
        asked = {"symbol": symbol, "origClientOrderId": wire}
        row = self._requests.call("fapiPrivateGetOrder", asked, gone=(*self.unknown, *self.absent))
        if row is not None:
            return self._order(row)
        algo = self._requests.call("fapiPrivateGetAlgoOrder", {"clientAlgoId": wire}, gone=self.unknown)
        if algo is None:
            return None
        if (actual := algo.get("actualOrderId")) in (None, "", "0", 0):
            return self._algo(algo)
        self.remember(actual, wire)
        row = self._requests.call("fapiPrivateGetOrder", {"symbol": symbol, "orderId": actual}, gone=self.unknown)
        return self._algo(algo) if row is None else self._order({**row, "clientOrderId": wire, **_trigger(algo)})

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Week by week, a thousand at a time."""
        symbol, rows = self.symbol(market), list[dict[str, Any]]()
        for begin, end in windows(since, self.clock(), _WEEK):
            asked: dict[str, Any] = {"symbol": symbol, "startTime": begin, "endTime": end, "limit": _PAGE}
            page = self._requests.call("fapiPrivateGetUserTrades", asked, gone=self.absent) or []
            rows += page
            while len(page) == _PAGE:
                asked = {"symbol": symbol, "fromId": int(page[-1]["id"]) + 1, "limit": _PAGE}
                page = [one for one in self._requests.call("fapiPrivateGetUserTrades", asked) if one["time"] <= end]
                rows += page
        return self._fills(market, unique(rows, lambda row: row["id"]), "fapiPrivateGetOrder")

    def positions(self) -> list[VenuePosition]:
        """Of both sides, where the account holds them apart."""
        rows = self._requests.call("fapiPrivateV2GetPositionRisk")
        return [
            VenuePosition(
                market=self.market(row["symbol"], derivative=True),
                quantity=number(row["positionAmt"]),
                average_price=number(row["entryPrice"]),
                leverage=price(row.get("leverage")),
                margin_mode=_margin(row),
                liquidation_price=price(row.get("liquidationPrice")),
            )
            for row in rows
            if number(row["positionAmt"])
        ]

    def balances(self) -> dict[str, float]:
        """The wallet, without what open positions have gained."""
        assets = self._requests.call("fapiPrivateV2GetAccount")["assets"]
        return {row["asset"]: number(row["walletBalance"]) for row in assets if number(row["walletBalance"])}

    def payments(self, since: datetime) -> list[Payment]:
        """Funding, fees, realised results and transfers."""
        rows = list[dict[str, Any]]()
        for begin, end in windows(since, self.clock(), _WEEK):
            asked = {"startTime": begin, "endTime": end, "limit": _PAGE}
            while True:
                page = self._requests.call("fapiPrivateGetIncome", asked)
                rows += page
                if len(page) < _PAGE or int(page[-1]["time"]) <= asked["startTime"]:
                    break
                asked["startTime"] = int(page[-1]["time"])
        found = [
            Payment(
                id=f"{row['incomeType']}:{row['tranId']}:{row.get('tradeId') or ''}",
                kind=_PAYMENTS.get(row["incomeType"], "other"),
                market=self.market(row["symbol"], derivative=True) if row.get("symbol") else "",
                amount=number(row["income"]),
                currency=row["asset"],
                ts=moment(row["time"]),
                trade_id=str(row.get("tradeId") or ""),
            )
            for row in rows
        ]
        return sorted(unique(found, lambda one: one.id), key=lambda one: one.ts)

    def rate(self, coin: str, quote: str) -> float | None:
        """Of its perpetual."""
        asked = {"symbol": f"{coin}{quote}"}
        row = self._requests.call("fapiPublicGetTickerPrice", asked, gone=self.absent)
        return None if row is None else price(row["price"])

    def clock(self) -> datetime:
        """Of its futures servers."""
        return moment(self._requests.call("fapiPublicGetTime")["serverTime"])

    def untraded(self, markets: Sequence[str]) -> dict[str, str]:
        """By the status of their symbols."""
        return self._by_status(markets, self._requests.call("fapiPublicGetExchangeInfo")["symbols"])

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """Leverage and margin of the symbol, and whether sides are held apart, which is the account's."""
        rows = self._requests.call("fapiPrivateV2GetPositionRisk", {"symbol": self.symbol(market)})
        dual = self._requests.call("fapiPrivateGetPositionSideDual")["dualSidePosition"]
        row = rows[0] if rows else {}
        return Modes(price(row.get("leverage")), _margin(row), str(dual).lower() == "true")

    def set_modes(self, market: str, modes: Modes) -> None:
        """What differs."""
        symbol, modes = self.symbol(market), self.differing(market, modes)
        if modes.hedged is not None:
            asked = {"dualSidePosition": str(modes.hedged).lower()}
            self._requests.call("fapiPrivatePostPositionSideDual", asked, gone=self.same)
        if modes.margin_mode is not None:
            kind = "CROSSED" if modes.margin_mode == "cross" else "ISOLATED"
            self._requests.call("fapiPrivatePostMarginType", {"symbol": symbol, "marginType": kind}, gone=self.same)
        if modes.leverage is not None:
            self._requests.call("fapiPrivatePostLeverage", {"symbol": symbol, "leverage": int(modes.leverage)})

    def cancel(self, market: str, client_id: str) -> bool:
        """The order, or the algo order."""
        symbol, wire = self.symbol(market), self._ids.wire(client_id)
        asked = {"symbol": symbol, "origClientOrderId": wire}
        if self._requests.call("fapiPrivateDeleteOrder", asked, gone=self.unknown) is not None:
            return True
        algo = {"clientAlgoId": wire}
        return self._requests.call("fapiPrivateDeleteAlgoOrder", algo, gone=self.unknown) is not None

    def cancel_all(self, market: str) -> None:
        """Orders and algo orders."""
        asked = {"symbol": self.symbol(market)}
        self._requests.call("fapiPrivateDeleteAllOpenOrders", asked, gone=self.unknown)
        self._requests.call("fapiPrivateDeleteAlgoOpenOrders", asked, gone=self.unknown)

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A reduce-only market order."""
        asked = {
            "symbol": self.symbol(market),
            "side": "SELL" if quantity > 0 else "BUY",
            "type": "MARKET",
            "quantity": text(quantity),
            "reduceOnly": "true",
            "newClientOrderId": self._ids.wire(client_id or self.new_id()),
            "newOrderRespType": "RESULT",
        }
        return self._order(self._requests.call("fapiPrivatePostOrder", asked, again=False))

    def ask_step(self, market: str) -> float | None:
        """The coarser one of all orders' and of those at the market."""
        symbol = self.symbol(market)
        rows = self._requests.call("fapiPublicGetExchangeInfo")["symbols"]
        return step_of(next((row for row in rows if row["symbol"] == symbol), None))

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """Market by market; whoever sets it must count on losing conditional orders with the others."""
        for market in markets:
            asked = {"symbol": self.symbol(market), "countdownTime": round((seconds or 0) * 1000)}
            self._requests.call("fapiPrivatePostCountdownCancelAll", asked)
        return True

    # -- reading --------------------------------------------------------------------------------------------------

    def _by_status(self, markets: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        status = {row["symbol"]: row["status"] for row in rows}
        said = {market: status.get(self.symbol(market)) for market in markets}
        return {
            market: f"its status is {word}" if word else "it is not listed"
            for market, word in said.items()
            if word != "TRADING"
        }

    def _order(self, row: Mapping[str, Any]) -> VenueOrder:
        return VenueOrder(
            client_id=self.remember(row["orderId"], row.get("clientOrderId")),
            venue_id=str(row["orderId"]),
            market=self.market(row["symbol"], derivative=True),
            side="buy" if row["side"] == "BUY" else "sell",
            kind=KINDS.get(str(row.get("origType") or row.get("type")), "limit"),
            quantity=number(row["origQty"]),
            filled=number(row["executedQty"]),
            price=price(row.get("price")) or price(row.get("avgPrice")),
            stop_price=price(row.get("stopPrice")),
            reduce_only=_true(row.get("reduceOnly")) or _true(row.get("closePosition")),
            status=status(STATUS, row["status"]),
            ts=moment(row.get("time") or row.get("updateTime")),
        )

    def _algo(self, row: Mapping[str, Any]) -> VenueOrder:
        said = row["algoStatus"]
        executed = number(row.get("actualQty") or row.get("executedQty"))
        return VenueOrder(
            client_id=self.remember(row.get("actualOrderId") or row["algoId"], row.get("clientAlgoId")),
            venue_id=str(row["algoId"]),
            market=self.market(row["symbol"], derivative=True),
            side="buy" if row["side"] == "BUY" else "sell",
            kind="stop",
            quantity=number(row.get("quantity")),
            filled=executed,
            price=price(row.get("price")) or price(row.get("actualPrice")),
            stop_price=price(row.get("triggerPrice")),
            reduce_only=_true(row.get("reduceOnly")) or _true(row.get("closePosition")),
            status=status(STATUS, said),
            ts=moment(row.get("createTime") or row.get("updateTime")),
        )

    def _fills(self, market: str, rows: Sequence[Mapping[str, Any]], of_order: str) -> list[VenueFill]:
        """Fills name the venue's order id alone: an order that is not known yet is asked for once.

        One that has filled is there: an answer that it is not is of a moment, and is neither believed nor kept.
        """
        for venue_id in dict.fromkeys(str(row["orderId"]) for row in rows):
            if venue_id not in self._client_ids:
                asked = {"symbol": self.symbol(market), "orderId": venue_id}
                found = self._requests.call(of_order, asked, gone=self.unknown)
                found = found or self._requests.call(of_order, asked, gone=self.unknown)
                self.remember(venue_id, (found or {}).get("clientOrderId"))
        found = [
            VenueFill(
                trade_id=str(row["id"]),
                client_id=self._client_ids.get(str(row["orderId"]), ""),
                venue_id=str(row["orderId"]),
                market=market,
                side=_side(row),
                quantity=number(row["qty"]),
                price=number(row["price"]),
                fee=number(row["commission"]),
                fee_currency=row["commissionAsset"],
                liquidity="maker" if row.get("maker", row.get("isMaker")) else "taker",
                ts=moment(row["time"]),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: (one.ts, int(one.trade_id)))


def step_of(row: Mapping[str, Any] | None) -> float | None:
    """Of a symbol that is listed."""
    lots = [one for one in (row or {}).get("filters", ()) if one["filterType"] in ("LOT_SIZE", "MARKET_LOT_SIZE")]
    return max((number(one["stepSize"]) for one in lots), default=0.0) or None


def _side(row: Mapping[str, Any]) -> Any:
    if "side" in row:
        return "buy" if row["side"] == "BUY" else "sell"
    return "buy" if row["isBuyer"] else "sell"


def _rows(answer: Any) -> list[dict[str, Any]]:
    """Of an answer that is a list, or holds one."""
    return list(answer if isinstance(answer, list) else answer.get("orders", []))


def _trigger(algo: Mapping[str, Any]) -> dict[str, Any]:
    """What an order that an algo order became does not say itself."""
    said = {"origType": algo.get("orderType") or "STOP_MARKET", "stopPrice": algo.get("triggerPrice")}
    return said | {"reduceOnly": algo.get("reduceOnly")}


def _margin(row: Mapping[str, Any]) -> MarginMode | None:
    said = str(row.get("marginType") or "").lower()
    return None if not said else "isolated" if said == "isolated" else "cross"


def _true(said: object) -> bool:
    return str(said).lower() == "true"
