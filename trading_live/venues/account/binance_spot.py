"""Binance spot: holdings are balances, and a sale of them closes a position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from trading_live.venues.account.base import moment, number, price, status, text, unique, windows
from trading_live.venues.account.binance import KINDS, STATUS, BinanceUsdm, step_of
from trading_live.venues.account.contract import MarginMode, Modes, Payment, VenueFill, VenueOrder, VenuePosition

_DAY: Final = timedelta(days=1)
_PAGE: Final = 1000


class BinanceSpot(BinanceUsdm):
    """Spot. Its stops are orders like the others, and it keeps no statement that can be asked for."""

    same: ClassVar[tuple[str, ...]] = ()

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """Of the whole account, or of each market."""
        asked: list[dict[str, str]] = [{"symbol": self.symbol(market)} for market in markets]
        rows = list[dict[str, Any]]()
        for one in [{}] if self.asked_at_once(markets) else asked:
            rows += self._requests.call("privateGetOpenOrders", one, gone=self.absent) or []
        return [order for order in map(self._order, rows) if order.market in markets]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """By its id; an order that was canceled keeps the one that it was sent with."""
        asked = {"symbol": self.symbol(market), "origClientOrderId": self._ids.wire(client_id)}
        row = self._requests.call("privateGetOrder", asked, gone=(*self.unknown, *self.absent))
        return None if row is None else self._order(row)

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Day by day, which is all that the venue answers at once."""
        rows = list[dict[str, Any]]()
        for begin, end in windows(since, self.clock(), _DAY):
            asked = {"symbol": self.symbol(market), "startTime": begin, "endTime": end, "limit": _PAGE}
            page = self._requests.call("privateGetMyTrades", asked, gone=self.absent) or []
            rows += page
            while len(page) == _PAGE:
                asked = {"symbol": self.symbol(market), "fromId": int(page[-1]["id"]) + 1, "limit": _PAGE}
                page = [one for one in self._requests.call("privateGetMyTrades", asked) if one["time"] <= end]
                rows += page
        return self._fills(market, unique(rows, lambda row: row["id"]), "privateGetOrder")

    def positions(self) -> list[VenuePosition]:
        """None: what is held is a balance."""
        return []

    def balances(self) -> dict[str, float]:
        """Free and locked."""
        rows = self._requests.call("privateGetAccount", {"omitZeroBalances": "true"})["balances"]
        found = {row["asset"]: number(row["free"]) + number(row["locked"]) for row in rows}
        return {asset: owned for asset, owned in found.items() if owned}

    def payments(self, since: datetime) -> list[Payment]:
        """The fees of the fills on the known markets."""
        fills = [fill for market in self._markets.values() for fill in self.fills(market, since)]
        paid = [
            Payment(
                f"fee:{one.market}:{one.trade_id}", "fee", one.market, -one.fee, one.fee_currency, one.ts, one.trade_id
            )
            for one in fills
        ]
        return sorted(paid, key=lambda one: one.ts)

    def rate(self, coin: str, quote: str) -> float | None:
        """Of its spot market."""
        row = self._requests.call("publicGetTickerPrice", {"symbol": f"{coin}{quote}"}, gone=self.absent)
        return None if row is None else price(row["price"])

    def clock(self) -> datetime:
        """Of its spot servers."""
        return moment(self._requests.call("publicGetTime")["serverTime"])

    def untraded(self, markets: Sequence[str]) -> dict[str, str]:
        """By the status of each symbol, asked one by one: the list of all is long."""
        rows = list[dict[str, Any]]()
        for market in markets:
            found = self._requests.call("publicGetExchangeInfo", {"symbol": self.symbol(market)}, gone=self.absent)
            rows += found["symbols"] if found else []
        return self._by_status(markets, rows)

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """None of them."""
        return Modes()

    def set_modes(self, market: str, modes: Modes) -> None:
        """There is nothing to set."""

    def cancel(self, market: str, client_id: str) -> bool:
        """By its id."""
        asked = {"symbol": self.symbol(market), "origClientOrderId": self._ids.wire(client_id)}
        return self._requests.call("privateDeleteOrder", asked, gone=self.unknown) is not None

    def cancel_all(self, market: str) -> None:
        """Of the market."""
        self._requests.call("privateDeleteOpenOrders", {"symbol": self.symbol(market)}, gone=self.unknown)

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A sale of what is held."""
        asked = {
            "symbol": self.symbol(market),
            "side": "SELL" if quantity > 0 else "BUY",
            "type": "MARKET",
            "quantity": text(quantity),
            "newClientOrderId": self._ids.wire(client_id or self.new_id()),
            "newOrderRespType": "RESULT",
        }
        return self._order(self._requests.call("privatePostOrder", asked, again=False))

    def ask_step(self, market: str) -> float | None:
        """Of the symbol alone."""
        found = self._requests.call("publicGetExchangeInfo", {"symbol": self.symbol(market)}, gone=self.absent)
        return step_of(found["symbols"][0]) if found and found["symbols"] else None

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """There is none."""
        return False

    def _order(self, row: Mapping[str, Any]) -> VenueOrder:
        filled, paid = number(row["executedQty"]), number(row.get("cummulativeQuoteQty"))
        canceled = row.get("origClientOrderId")  # an answer to a cancel has a new id as the other one
        return VenueOrder(
            client_id=self.remember(row["orderId"], canceled or row.get("clientOrderId")),
            venue_id=str(row["orderId"]),
            market=self.market(row["symbol"], derivative=False),
            side="buy" if row["side"] == "BUY" else "sell",
            kind=KINDS.get(str(row["type"]), "limit"),
            quantity=number(row["origQty"]),
            filled=filled,
            price=price(row.get("price")) or (paid / filled if filled else None),
            stop_price=price(row.get("stopPrice")),
            reduce_only=False,
            status=status(STATUS, row["status"]),
            ts=moment(row.get("time") or row.get("transactTime")),
        )
