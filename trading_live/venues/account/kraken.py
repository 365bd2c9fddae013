"""Kraken spot: holdings are balances, and a sale of them closes a position."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from trading_assets.core.candles import Market
from trading_live.venues.account.base import RestAccount, decimals, number, price, status, text
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

_STATUS: Final[Mapping[str, OrderStatus]] = {"closed": "filled", "canceled": "canceled", "expired": "expired"}
_PAYMENTS: Final[Mapping[str, PaymentKind]] = {
    "deposit": "transfer",
    "withdrawal": "transfer",
    "transfer": "transfer",
    "adjustment": "transfer",
}
_PAGE: Final = 50


class KrakenSpot(RestAccount):
    """Spot."""

    exchange = "kraken"
    absent: ClassVar[tuple[str, ...]] = ("EQuery:Unknown asset pair",)
    unknown: ClassVar[tuple[str, ...]] = ("EOrder:Unknown order", "EOrder:Invalid order")

    def __init__(self, requests: Requests, markets: Sequence[str], *, ids: ClientIds | None = None) -> None:
        super().__init__(requests, markets, ids=ids)
        requests.client.nonce = time.time_ns  # as the adapter numbers: a key's requests must count upwards

    def symbol(self, market: str) -> str:
        """The short name of a pair, e.g. ``XBTUSD``."""
        parsed = Market.parse(market)
        return "".join(
            "XBT" if code == "BTC" else "XDG" if code == "DOGE" else code for code in (parsed.base, parsed.quote)
        )

    def open_orders(self, markets: Sequence[str]) -> list[VenueOrder]:
        """All in one answer."""
        rows = self._result("privatePostOpenOrders")["open"]
        found = [self._order(venue_id, row) for venue_id, row in rows.items()]
        return [order for order in found if order.market in markets]

    def order(self, market: str, client_id: str) -> VenueOrder | None:
        """Among those that rest, then among those that ended."""
        wire = self._ids.wire(client_id)
        for endpoint, name in (("privatePostOpenOrders", "open"), ("privatePostClosedOrders", "closed")):
            for venue_id, row in self._result(endpoint, {"cl_ord_id": wire})[name].items():
                if row.get("cl_ord_id") in (None, "", wire):
                    return self._order(venue_id, {**row, "cl_ord_id": wire})
        return None

    def fills(self, market: str, since: datetime) -> list[VenueFill]:
        """Fifty at a time, the newest first; an order that is not known yet is asked for once."""
        rows = {
            trade_id: row
            for trade_id, row in self._pages("privatePostTradesHistory", "trades", since).items()
            if self._pair(row["pair"]) == market
        }
        unknown = sorted({row["ordertxid"] for row in rows.values()} - self._client_ids.keys())
        for begin in range(0, len(unknown), _PAGE):
            some = unknown[begin : begin + _PAGE]
            for venue_id, order in self._result("privatePostQueryOrders", {"txid": ",".join(some)}).items():
                self._client_ids[venue_id] = self._ids.known(str(order.get("cl_ord_id") or ""))
        found = [self._fill(trade_id, row, market) for trade_id, row in rows.items()]
        return sorted(found, key=lambda one: (one.ts, one.trade_id))

    def positions(self) -> list[VenuePosition]:
        """None: what is held is a balance."""
        return []

    def balances(self) -> dict[str, float]:
        """Of every currency."""
        rows = self._result("privatePostBalance")
        return {self._code(asset): number(owned) for asset, owned in rows.items() if number(owned)}

    def payments(self, since: datetime) -> list[Payment]:
        """From the ledger: fees, and what came in or went out. What trades exchanged is no payment."""
        found = list[Payment]()
        for line, row in self._pages("privatePostLedgers", "ledger", since).items():
            kind, ts, code = str(row["type"]), _time(row["time"]), self._code(row["asset"])
            amounts: list[tuple[PaymentKind, float]] = [("fee", -number(row["fee"]))]
            if kind not in ("trade", "spend", "receive"):
                amounts.append((_PAYMENTS.get(kind, "other"), number(row["amount"])))
            trade = str(row.get("refid") or "")
            found += [
                Payment(f"{line}:{what}", what, "", amount, code, ts, trade) for what, amount in amounts if amount
            ]
        return sorted(found, key=lambda one: one.ts)

    def clock(self) -> datetime:
        """Of its servers, to the second."""
        return _time(self._result("publicGetTime")["unixtime"])

    def modes(self, market: str, margin_mode: MarginMode | None = None) -> Modes:
        """None of them."""
        return Modes()

    def set_modes(self, market: str, modes: Modes) -> None:
        """There is nothing to set."""

    def cancel(self, market: str, client_id: str) -> bool:
        """By its id."""
        asked = {"cl_ord_id": self._ids.wire(client_id)}
        answer = self._requests.call("privatePostCancelOrder", asked, gone=self.unknown)
        return answer is not None and bool(answer["result"]["count"])

    def cancel_all(self, market: str) -> None:
        """Those of the market, one after the other: the venue cancels all of an account or one."""
        for order in self.open_orders([market]):
            self._requests.call("privatePostCancelOrder", {"txid": order.venue_id}, gone=self.unknown)

    def close(self, market: str, quantity: float, client_id: str = "") -> VenueOrder:
        """A sale of what is held."""
        client_id, side = client_id or self.new_id(), "sell" if quantity > 0 else "buy"
        asked = {
            "pair": self.symbol(market),
            "type": side,
            "ordertype": "market",
            "volume": text(quantity),
            "cl_ord_id": self._ids.wire(client_id),
        }
        sent = self._requests.call("privatePostAddOrder", asked, again=False)["result"]["txid"][0]

        def ask() -> VenueOrder | None:
            row = self._result("privatePostQueryOrders", {"txid": sent}).get(sent)
            return None if row is None else self._order(sent, {**row, "cl_ord_id": self._ids.wire(client_id)})

        return self.placed(market, quantity, client_id, sent, ask)

    def ask_step(self, market: str) -> float | None:
        """From the decimals of the pair's lots."""
        answer = self._requests.call("publicGetAssetPairs", {"pair": self.symbol(market)}, gone=self.absent)
        rows = list(answer["result"].values()) if answer else []
        return decimals(rows[0]["lot_decimals"]) if rows else None

    def cancel_after(self, seconds: float | None, markets: Sequence[str] = ()) -> bool:
        """Of the whole account, stops included."""
        self._requests.call("privatePostCancelAllOrdersAfter", {"timeout": round(seconds or 0)})
        return True

    # -- inside ---------------------------------------------------------------------------------------------------

    def _result(self, endpoint: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._requests.call(endpoint, asked or {})["result"]
        return found

    def _pages(self, endpoint: str, name: str, since: datetime) -> dict[str, dict[str, Any]]:
        asked = {"start": f"{since.timestamp():.6f}", "ofs": 0}
        found = dict[str, dict[str, Any]]()
        while True:
            page = self._result(endpoint, asked)[name]
            found |= page
            if len(page) < _PAGE:
                return found
            asked = {**asked, "ofs": len(found)}

    def _code(self, asset: str) -> str:
        """``ZUSD`` and ``XXBT`` as everybody else calls them."""
        bare = asset.split(".")[0]
        bare = bare[1:] if len(bare) == 4 and bare[0] in "XZ" else bare
        return {"XBT": "BTC", "XDG": "DOGE"}.get(bare, bare)

    def _pair(self, pair: str) -> str:
        """The market of a pair, by its short name or by the long one (``XXBTZUSD``)."""
        pair = pair.replace("/", "")
        if len(pair) == 8 and pair[0] in "XZ" and pair[4] in "XZ":
            pair = pair[1:4] + pair[5:]
        return self._markets.get(pair) or self.market(
            pair.replace("XBT", "BTC").replace("XDG", "DOGE"), derivative=False
        )

    def _order(self, venue_id: str, row: Mapping[str, Any]) -> VenueOrder:
        said, filled = row["descr"], number(row["vol_exec"])
        stop = "stop" in said["ordertype"] or "take-profit" in said["ordertype"]
        average = price(row.get("price"))
        return VenueOrder(
            client_id=self.remember(venue_id, row.get("cl_ord_id")),
            venue_id=venue_id,
            market=self._pair(said["pair"]),
            side=said["type"],
            kind="stop" if stop else "market" if said["ordertype"] == "market" else "limit",
            quantity=number(row["vol"]),
            filled=filled,
            price=price(said.get("price")) if said["ordertype"] == "limit" else average,
            stop_price=price(said.get("price")) if stop else None,
            reduce_only=False,
            status=status(_STATUS, row["status"]),
            ts=_time(row["opentm"]),
        )

    def _fill(self, trade_id: str, row: Mapping[str, Any], market: str) -> VenueFill:
        return VenueFill(
            trade_id=trade_id,
            client_id=self._client_ids.get(row["ordertxid"], ""),
            venue_id=str(row["ordertxid"]),
            market=market,
            side=row["type"],
            quantity=number(row["vol"]),
            price=number(row["price"]),
            fee=number(row["fee"]),
            fee_currency=Market.parse(market).quote,
            liquidity="maker" if row.get("maker") else "taker",
            ts=_time(row["time"]),
        )


def _time(seconds: object) -> datetime:
    return datetime.fromtimestamp(number(seconds), UTC)
