"""Bybit's unified account: linear perpetuals and spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from trading_assets.core.candles import Market
from trading_assets.strategies.instruments import raw_symbol
from trading_live.venues.account.base import RestAccount, moment, number, price, status, text, unique, windows
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

_WEEK: Final = timedelta(days=7)
_STATUS: Final[Mapping[str, OrderStatus]] = {
    "Filled": "filled",
    "Cancelled": "canceled",
    "PartiallyFilledCanceled": "canceled",
    "Deactivated": "canceled",
    "Rejected": "rejected",
}
_TRADES: Final = ("Trade", "BustTrade", "AdlTrade", "Delivery", "Settle", "BlockTrade")
"""What changes a position: also the venue's own closing of it."""
_TRANSFERS: Final = ("TRANSFER_IN", "TRANSFER_OUT", "DEPOSIT", "WITHDRAW")


class Bybit(RestAccount):
    """The unified account."""

    exchange = "bybit"
    fee_coins: ClassVar[tuple[str, ...]] = ("MNT",)
    unknown: ClassVar[tuple[str, ...]] = tuple(f'"retCode":{code}' for code in (110001, 170213, 170142, 110010, 110019))
    absent: ClassVar[tuple[str, ...]] = ("symbol invalid", "Symbol Is Invalid", "symbol not exist")
    same: ClassVar[tuple[str, ...]] = tuple(f'"retCode":{code}' for code in (110043, 110025, 110026, 3400045))

    def symbol(self, market: str) -> str:
        """E.g. ``BTCUSDT``, of spot and of the perpetual: the category tells them apart."""
        return f"{'spot' if self.is_spot(market) else 'linear'}:{raw_symbol(market)}"

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """Orders of every kind, page by page."""
        found = []
        for asked in self._wanted(markets):
            for more in ({}, {"orderFilter": "StopOrder"}):
                rows = self._pages("privateGetV5OrderRealtime", {**asked, **more, "limit": 50})
                found += [self._order(row, asked["category"]) for row in rows]
        return [
            one for one in unique(found, lambda one: one.venue_id) if one.market in markets and one.status == "open"
        ]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """Among those that rest or ended lately, then in the history."""
        asked = {**self._of(market), "orderLinkId": self._ids.wire(client_id)}
        for endpoint in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            if rows := self._result(endpoint, asked)["list"]:
                return self._order(rows[0], asked["category"])
        return None

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Week by week, also what the venue closed itself."""
        asked, rows = self._of(market), list[dict[str, Any]]()
        for begin, end in windows(since, self.clock(), _WEEK):
            rows += self._pages(
                "privateGetV5ExecutionList", {**asked, "startTime": begin, "endTime": end, "limit": 100}
            )
        found = [self._fill(row, market) for row in rows if row["execType"] in _TRADES]
        return sorted(unique(found, lambda one: one.trade_id), key=lambda one: one.ts)

    def positions(self) -> list[VenuePosition]:
        """Of linear contracts, whatever they are settled in."""
        rows = list[dict[str, Any]]()
        for coin in self._settled():
            rows += self._pages("privateGetV5PositionList", {"category": "linear", "settleCoin": coin, "limit": 200})
        return [
            VenuePosition(
                market=self._market(row["symbol"], "linear"),
                quantity=number(row["size"]) * (-1 if row["side"] == "Sell" else 1),
                average_price=number(row["avgPrice"]),
                leverage=price(row.get("leverage")),
                margin_mode=_margin(row),
                liquidation_price=price(row.get("liqPrice")),
            )
            for row in unique(rows, lambda row: (row["symbol"], row.get("positionIdx")))
            if number(row["size"])
        ]

    def balances(self) -> dict[str, float]:
        """The wallet, without what open positions have gained."""
        accounts = self._result("privateGetV5AccountWalletBalance", {"accountType": "UNIFIED"})["list"]
        coins = accounts[0]["coin"] if accounts else []
        return {row["coin"]: number(row["walletBalance"]) for row in coins if number(row["walletBalance"])}

    def payments(self, since: datetime) -> list[Payment]:
        """From the transaction log, whose lines of trades hold a result and a fee."""
        found = list[Payment]()
        for begin, end in windows(since, self.clock(), _WEEK):
            asked = {"accountType": "UNIFIED", "startTime": begin, "endTime": end, "limit": 50}
            for row in self._pages("privateGetV5AccountTransactionLog", asked):
                found += self._payments(row)
        return sorted(unique(found, lambda one: one.id), key=lambda one: one.ts)

    def rate(self, coin: str, quote: str) -> float | None:
        """Of its spot market."""
        asked = {"category": "spot", "symbol": f"{coin}{quote}"}
        answer = self._requests.call("publicGetV5MarketTickers", asked, gone=self.absent)
        rows = [] if answer is None else answer["result"]["list"]
        return price(rows[0]["lastPrice"]) if rows else None

    def clock(self) -> datetime:
        """Of its servers."""
        answer = self._requests.call("publicGetV5MarketTime")
        return moment(answer.get("time") or number(answer["result"]["timeSecond"]) * 1000)

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """Leverage and sides of the symbol; the margin mode is the account's."""
        if self.is_spot(market):
            return Modes()
        rows = self._result("privateGetV5PositionList", self._of(market))["list"]
        said = self._result("privateGetV5AccountInfo", {}).get("marginMode", "")
        mode: MarginMode = "isolated" if said == "ISOLATED_MARGIN" else "cross"
        leverage = price(rows[0].get("leverage")) if rows else None
        return Modes(leverage, mode, any(int(row.get("positionIdx") or 0) for row in rows))

    def set_modes(self, market: str, modes: Modes) -> None:
        """What differs."""
        if self.is_spot(market):
            return
        asked, modes = self._of(market), self.differing(market, modes)
        if modes.margin_mode is not None:
            mode = "REGULAR_MARGIN" if modes.margin_mode == "cross" else "ISOLATED_MARGIN"
            self._requests.call("privatePostV5AccountSetMarginMode", {"setMarginMode": mode}, gone=self.same)
        if modes.hedged is not None:
            sides = {**asked, "mode": 3 if modes.hedged else 0}
            self._requests.call("privatePostV5PositionSwitchMode", sides, gone=self.same)
        if modes.leverage is not None:
            both = dict.fromkeys(("buyLeverage", "sellLeverage"), f"{modes.leverage:g}")
            self._requests.call("privatePostV5PositionSetLeverage", {**asked, **both}, gone=self.same)

    def cancel(self, market: str, client_id: str) -> bool:
        """By its id, whether it is conditional or not."""
        asked = {**self._of(market), "orderLinkId": self._ids.wire(client_id)}
        if self._requests.call("privatePostV5OrderCancel", asked, gone=self.unknown) is not None:
            return True
        if not self.is_spot(market):
            return False
        stop = {**asked, "orderFilter": "StopOrder"}
        return self._requests.call("privatePostV5OrderCancel", stop, gone=self.unknown) is not None

    def cancel_all(self, market: str) -> None:
        """Of the market; of spot, the conditional ones are asked for apart."""
        asked = self._of(market)
        for more in ({}, {"orderFilter": "StopOrder"}) if self.is_spot(market) else ({},):
            self._requests.call("privatePostV5OrderCancelAll", {**asked, **more}, gone=self.unknown)

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A market order, reduce-only but of spot; the answer names it only, so it is asked about."""
        client_id = client_id or self.new_id()
        asked = {
            **self._of(market),
            "side": "Sell" if quantity > 0 else "Buy",
            "orderType": "Market",
            "qty": text(quantity),
            "orderLinkId": self._ids.wire(client_id),
        }
        asked |= {"marketUnit": "baseCoin"} if self.is_spot(market) else {"reduceOnly": True}
        sent = self._requests.call("privatePostV5OrderCreate", asked, again=False)["result"]
        return self.placed(market, quantity, client_id, sent["orderId"], lambda: self.order(market, client_id))

    def ask_step(self, market: str) -> float | None:
        """Of the instrument; spot calls it precision."""
        rows = self._result("publicGetV5MarketInstrumentsInfo", self._of(market))["list"]
        sizes = rows[0]["lotSizeFilter"] if rows else {}
        return price(sizes.get("qtyStep") or sizes.get("basePrecision"))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _of(self, market: str) -> dict[str, Any]:
        category, symbol = self.symbol(market).split(":")
        return {"category": category, "symbol": symbol}

    def _wanted(self, markets: Sequence[str]) -> list[dict[str, Any]]:
        if not self.asked_at_once(markets):
            return [self._of(market) for market in markets]
        spot = [{"category": "spot"}] if any(map(self.is_spot, markets)) else []
        return spot + [{"category": "linear", "settleCoin": coin} for coin in self._settled()]

    def _settled(self) -> list[str]:
        quotes = {Market.parse(market).quote for market in self._markets.values() if not self.is_spot(market)}
        return sorted(quotes | {"USDT", "USDC"})

    def _market(self, symbol: str, category: str) -> str:
        known = self._markets.get(f"{category}:{symbol}")
        return known or self.market(symbol, derivative=category != "spot")

    def _result(self, endpoint: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._requests.call(endpoint, asked, gone=self.absent)
        return answer["result"] if answer else {"list": []}

    def _pages(self, endpoint: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows, page = list[dict[str, Any]](), self._result(endpoint, asked)
        while page["list"]:
            rows += page["list"]
            if not (cursor := page.get("nextPageCursor")):
                break
            page = self._result(endpoint, {**asked, "cursor": cursor})
        return rows

    def _order(self, row: Mapping[str, Any], category: str) -> VenueOrder:
        stop = price(row.get("triggerPrice"))
        market = row.get("orderType") == "Market"
        return VenueOrder(
            client_id=self.remember(row["orderId"], row.get("orderLinkId")),
            venue_id=str(row["orderId"]),
            market=self._market(row["symbol"], category),
            side="buy" if row["side"] == "Buy" else "sell",
            kind="stop" if stop else "market" if market else "limit",
            quantity=number(row["qty"]),
            filled=number(row["cumExecQty"]),
            price=price(row.get("avgPrice")) if market else price(row.get("price")),
            stop_price=stop,
            reduce_only=str(row.get("reduceOnly")).lower() == "true",
            status=status(_STATUS, row["orderStatus"]),
            ts=moment(row["createdTime"]),
        )

    def _fill(self, row: Mapping[str, Any], market: str) -> VenueFill:
        parsed = Market.parse(market)
        return VenueFill(
            trade_id=str(row["execId"]),
            client_id=self.remember(row["orderId"], row.get("orderLinkId")),
            venue_id=str(row["orderId"]),
            market=market,
            side="buy" if row["side"] == "Buy" else "sell",
            quantity=number(row["execQty"]),
            price=number(row["execPrice"]),
            fee=number(row.get("execFee")),
            fee_currency=row.get("feeCurrency") or parsed.quote,
            liquidity="maker" if str(row.get("isMaker")).lower() == "true" else "taker",
            ts=moment(row["execTime"]),
        )

    def _payments(self, row: Mapping[str, Any]) -> list[Payment]:
        kind, trade = str(row["type"]), str(row.get("tradeId") or "")
        category = "spot" if row.get("category") == "spot" else "linear"
        market = self._market(row["symbol"], category) if row.get("symbol") else ""
        if kind in ("TRADE", "LIQUIDATION", "DELIVERY", "ADL"):
            realized = 0.0 if category == "spot" else _cash(row)
            amounts: list[tuple[PaymentKind, float]] = [("fee", -number(row.get("fee"))), ("realized", realized)]
        elif kind == "SETTLEMENT":
            amounts = [("funding", number(row.get("funding"))), ("fee", -number(row.get("fee")))]
        else:
            amounts = [("transfer" if kind in _TRANSFERS else "other", number(row.get("change")))]
        ts = moment(row["transactionTime"])
        return [
            Payment(f"{row['id']}:{what}", what, market, amount, row["currency"], ts, trade)
            for what, amount in amounts
            if amount
        ]


def _cash(row: Mapping[str, Any]) -> float:
    """What a trade changed before its fee; ``change`` is the sum of both and of funding."""
    if row.get("cashFlow") not in (None, ""):
        return number(row["cashFlow"])
    return number(row.get("change")) + number(row.get("fee")) - number(row.get("funding"))


def _margin(row: Mapping[str, Any]) -> MarginMode | None:
    said = row.get("tradeMode")
    return None if said in (None, "") else "isolated" if int(said) else "cross"
