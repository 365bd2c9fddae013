"""Kraken Futures: linear perpetuals, counted in base units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trading_assets.core.candles import Market
from trading_live.venues.account.base import RestAccount, decimals, milliseconds, number, price, status, text, unique
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

_STATUS: Final[Mapping[str, OrderStatus]] = {
    "FULLY_EXECUTED": "filled",
    "CANCELLED": "canceled",
    "REJECTED": "rejected",
    "TRIGGER_ACTIVATION_FAILURE": "rejected",
}
_KINDS: Final[Mapping[str, OrderKind]] = {"stp": "stop", "stop": "stop", "take_profit": "stop", "mkt": "market"}
_SENT: Final = ("placed", "partiallyFilled", "filled")
_PAGE: Final = 1000
_PAYMENTS: Final = {"funding rate change": "realized_funding", "futures trade": "realized_pnl"}
_DAYS: Final = timedelta(days=7)


class KrakenFutures(RestAccount):
    """The multi-collateral account."""

    exchange = "kraken"

    def symbol(self, market: str) -> str:
        """E.g. ``PF_XBTUSD``."""
        parsed = Market.parse(market)
        return f"PF_{'XBT' if parsed.base == 'BTC' else parsed.base}{parsed.quote}"

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """All in one answer, stops included."""
        rows = self._requests.call("privateGetOpenorders")["openOrders"]
        return [order for order in map(self._open, rows) if order.market in markets]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """Among those that rest or ended a moment ago, then in the history of the last week."""
        wire = self._ids.wire(client_id)
        for row in self._requests.call("privateGetOrdersStatus", {"cliOrdIds": wire}).get("orders") or ():
            return self._stated(row["order"], row["status"])
        since = milliseconds(self.clock() - _DAYS)
        for element in self._history("historyGetOrders", "elements", since):
            kind, said = next(iter(element["event"].items()))
            row = said.get("order") or said.get("newOrder") or said.get("orderTrigger") or {}
            if wire in (row.get("clientId"), row.get("cliOrdId")):
                return self._past(kind, said, row)
        return None

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Back from the newest, a hundred at a time; their fees stand in the account's log."""
        rows, asked = list[dict[str, Any]](), dict[str, Any]()
        while True:
            page = self._requests.call("privateGetFills", asked)["fills"]
            rows += page
            oldest = min((_time(row["fillTime"]) for row in page), default=since)
            if len(page) < 100 or oldest <= since:
                break
            asked = {"lastFillTime": min(row["fillTime"] for row in page)}
        mine = [row for row in unique(rows, lambda row: row["fill_id"]) if self._name(row["symbol"]) == market]
        mine = [row for row in mine if _time(row["fillTime"]) >= since]
        fees = self._fees(since) if mine else {}
        found = [self._fill(row, market, fees.get(row["fill_id"], 0.0)) for row in mine]
        return sorted(found, key=lambda one: (one.ts, one.trade_id))

    def positions(self) -> list[VenuePosition]:
        """Of every contract."""
        return [
            VenuePosition(
                market=self._name(row["symbol"]),
                quantity=number(row["size"]) * (-1 if row["side"] == "short" else 1),
                average_price=number(row["price"]),
                leverage=price(row.get("maxFixedLeverage")),
                margin_mode="isolated" if row.get("maxFixedLeverage") else "cross",
            )
            for row in self._requests.call("privateGetOpenpositions")["openPositions"]
        ]

    def balances(self) -> dict[str, float]:
        """Of the multi-collateral wallet, without what open positions have gained."""
        wallet = self._requests.call("privateGetAccounts")["accounts"].get("flex", {}).get("currencies", {})
        found = {
            self._requests.client.safe_currency_code(code): number(one["quantity"]) for code, one in wallet.items()
        }
        return {code: owned for code, owned in found.items() if owned}

    def payments(self, since: datetime) -> list[Payment]:
        """From the account's log, whose lines of trades hold a result and a fee."""
        return sorted((one for row in self._log(since) for one in self._payments(row)), key=lambda one: one.ts)

    def clock(self) -> datetime:
        """Of its servers, which say it with every answer."""
        return _time(self._requests.call("publicGetInstrumentsStatus")["serverTime"])

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """A market with a leverage of its own is isolated; sides are never held apart."""
        symbol = self.symbol(market)
        rows = self._requests.call("privateGetLeveragepreferences")["leveragePreferences"]
        own = next((number(row["maxLeverage"]) for row in rows if row["symbol"].upper() == symbol), None)
        return Modes(own, "cross" if own is None else "isolated", hedged=False)

    def set_modes(self, market: str, modes: Modes) -> None:
        """A leverage for isolated margin; none for cross margin."""
        if modes.hedged:
            raise self.refuse("Kraken Futures holds no two sides of a market", "set the position mode to one way")
        if modes.margin_mode == "cross" and modes.leverage is not None:
            raise self.refuse("a leverage of a market means isolated margin there, cross margin takes none")
        if modes.margin_mode == "isolated" and modes.leverage is None:
            raise self.refuse("isolated margin needs a leverage of the market there (node.leverage)")
        asked = {"symbol": self.symbol(market)}
        if modes.margin_mode == "cross":
            self._requests.call("privatePutLeveragepreferences", asked)
        elif modes.leverage is not None:
            self._requests.call("privatePutLeveragepreferences", {**asked, "maxLeverage": f"{modes.leverage:g}"})

    def cancel(self, market: str, client_id: str) -> bool:
        """By its id."""
        answer = self._requests.call("privatePostCancelorder", {"cliOrdId": self._ids.wire(client_id)})
        return bool(answer["cancelStatus"]["status"] == "cancelled")

    def cancel_all(self, market: str) -> None:
        """Of the market."""
        self._requests.call("privatePostCancelallorders", {"symbol": self.symbol(market)})

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A reduce-only market order."""
        client_id = client_id or self.new_id()
        asked = {
            "orderType": "mkt",
            "symbol": self.symbol(market),
            "side": "sell" if quantity > 0 else "buy",
            "size": text(quantity),
            "reduceOnly": "true",
            "cliOrdId": self._ids.wire(client_id),
        }
        said = self._requests.call("privatePostSendorder", asked, again=False)["sendStatus"]
        if said["status"] not in _SENT:
            raise self.refuse(f"{market}: the order that closes the position was refused: {said['status']}")
        done = [one for one in said.get("orderEvents") or () if one.get("type") == "EXECUTION"]
        filled = sum(number(one["amount"]) for one in done)
        return VenueOrder(
            client_id=self.remember(said["order_id"], client_id),
            venue_id=str(said["order_id"]),
            market=market,
            side="sell" if quantity > 0 else "buy",
            kind="market",
            quantity=abs(quantity),
            filled=filled,
            price=sum(number(one["amount"]) * number(one["price"]) for one in done) / filled if filled else None,
            stop_price=None,
            reduce_only=True,
            status="filled" if filled >= abs(quantity) else "open",
            ts=_time(said["receivedTime"]),
        )

    def ask_step(self, market: str) -> float | None:
        """From the decimals of the contract's size."""
        rows, symbol = self._requests.call("publicGetInstruments")["instruments"], self.symbol(market)
        found = next((row for row in rows if row["symbol"].upper() == symbol), None)
        return None if found is None else decimals(found["contractValueTradePrecision"])

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """Of the whole account, stops included."""
        self._requests.call("privatePostCancelallordersafter", {"timeout": round(seconds or 0)})
        return True

    # -- inside ---------------------------------------------------------------------------------------------------

    def _name(self, symbol: str) -> str:
        symbol = symbol.upper()
        known = self._markets.get(symbol)
        return known or self.market(symbol.removeprefix("PF_").replace("XBT", "BTC"), derivative=True)

    def _history(self, endpoint: str, rows: str, since: int) -> list[dict[str, Any]]:
        """The newest first, page by page."""
        answer = self._requests.call(endpoint, {"since": since, "sort": "desc", "count": _PAGE})
        found = list(answer[rows])
        while len(answer[rows]) == _PAGE and (token := answer.get("continuationToken")):
            asked = {"since": since, "sort": "desc", "count": _PAGE, "continuation_token": token}
            answer = self._requests.call(endpoint, asked)
            found += answer[rows]
        return found

    def _log(self, since: datetime) -> list[dict[str, Any]]:
        asked: dict[str, Any] = {"since": milliseconds(since), "sort": "asc", "count": _PAGE}
        rows = page = list(self._requests.call("historyGetAccountLog", asked)["logs"])
        while len(page) == _PAGE:
            asked = {**asked, "from": page[-1]["id"] + 1}
            page = self._requests.call("historyGetAccountLog", asked)["logs"]
            rows = rows + page
        return unique(rows, lambda row: row["id"])

    def _fees(self, since: datetime) -> dict[str, float]:
        """Fill -> what was paid for it."""
        fees: dict[str, float] = {}
        for row in self._log(since):
            if row.get("execution"):
                fees[row["execution"]] = fees.get(row["execution"], 0.0) + number(row.get("fee"))
        return fees

    def _open(self, row: Mapping[str, Any]) -> VenueOrder:
        return VenueOrder(
            client_id=self.remember(row["order_id"], row.get("cliOrdId")),
            venue_id=str(row["order_id"]),
            market=self._name(row["symbol"]),
            side=row["side"],
            kind=_KINDS.get(row["orderType"], "limit"),
            quantity=number(row["unfilledSize"]) + number(row["filledSize"]),
            filled=number(row["filledSize"]),
            price=price(row.get("limitPrice")),
            stop_price=price(row.get("stopPrice")),
            reduce_only=bool(row.get("reduceOnly")),
            status="open",
            ts=_time(row["receivedTime"]),
        )

    def _stated(self, row: Mapping[str, Any], said: str) -> VenueOrder:
        stop = price(row.get("stopPrice")) or price((row.get("priceTriggerOptions") or {}).get("triggerPrice"))
        triggers = "TRIGGER" in said or row.get("type") in ("TRIGGER_ORDER", "stop", "stp")
        return VenueOrder(
            client_id=self.remember(row["orderId"], row.get("cliOrdId")),
            venue_id=str(row["orderId"]),
            market=self._name(row["symbol"]),
            side=row["side"],
            kind="stop" if triggers or stop else "limit",
            quantity=number(row["quantity"]),
            filled=number(row.get("filled")),
            price=price(row.get("limitPrice")),
            stop_price=stop,
            reduce_only=bool(row.get("reduceOnly")),
            status=status(_STATUS, said),
            ts=_time(row["timestamp"]),
        )

    def _past(self, event: str, said: Mapping[str, Any], row: Mapping[str, Any]) -> VenueOrder:
        filled, quantity = number(row.get("filled")), number(row.get("quantity"))
        ended: OrderStatus = "open"
        if quantity and filled >= quantity:
            ended = "filled"
        elif "Cancel" in event or said.get("reason") == "cancelled_by_user":
            ended = "canceled"
        elif "Reject" in event:
            ended = "rejected"
        at = datetime.fromtimestamp(number(row["timestamp"]) / 1000, UTC)
        return VenueOrder(
            client_id=self.remember(row.get("uid"), row.get("clientId")),
            venue_id=str(row.get("uid")),
            market=self._name(row["tradeable"]),
            side="buy" if str(row["direction"]).lower() == "buy" else "sell",
            kind="stop" if "Trigger" in event else "market" if row.get("orderType") == "IoC" else "limit",
            quantity=quantity,
            filled=filled,
            price=price(row.get("limitPrice")),
            stop_price=price(row.get("triggerPrice")),
            reduce_only=bool(row.get("reduceOnly")),
            status=ended,
            ts=at,
        )

    def _fill(self, row: Mapping[str, Any], market: str, fee: float) -> VenueFill:
        return VenueFill(
            trade_id=str(row["fill_id"]),
            client_id=self.remember(row["order_id"], row.get("cliOrdId")) or self._client_ids.get(row["order_id"], ""),
            venue_id=str(row["order_id"]),
            market=market,
            side=row["side"],
            quantity=number(row["size"]),
            price=number(row["price"]),
            fee=fee,
            fee_currency=Market.parse(market).quote,
            liquidity="maker" if row.get("fillType") == "maker" else "taker",
            ts=_time(row["fillTime"]),
        )

    def _payments(self, row: Mapping[str, Any]) -> list[Payment]:
        info, ts = str(row["info"]), _time(row["date"])
        market = self._name(row["contract"]) if row.get("contract") else ""
        currency = self._requests.client.safe_currency_code(row.get("collateral") or row["asset"])
        amounts: list[tuple[PaymentKind, float]] = [("fee", -number(row.get("fee")))]
        if info == "funding rate change":
            amounts = [("funding", number(row.get("realized_funding")))]
        elif row.get("realized_pnl") is not None or info == "futures trade":
            amounts.append(("realized", number(row.get("realized_pnl"))))
        elif not market:
            changed = number(row.get("new_balance")) - number(row.get("old_balance"))
            amounts = [("transfer" if "transfer" in info else "other", changed)]
        trade = str(row.get("execution") or "")
        return [
            Payment(f"{row['id']}:{kind}", kind, market, amount, currency, ts, trade)
            for kind, amount in amounts
            if amount
        ]


def _time(said: str) -> datetime:
    return datetime.fromisoformat(said).astimezone(UTC)
