"""The resources of Bybit v5 that trade linear perpetuals: method and path -> what is asked of the account. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trading_assets.core.candles import Market
from trading_live.replay.orders.bybit import requests, shapes
from trading_live.replay.orders.bybit.requests import Malformed, Params, refused, symbol_of
from trading_live.replay.orders.exchange import Exchange, modes
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.model import Conditional, Order, Refusal

type Resource = Callable[[Exchange, Params, int], Any]
"""(account, parameters, market time) -> the result, or a refusal."""

_UNKNOWN: Final = Refusal(110001, "order not exists or too late to cancel")
_KINDS: Final = {"transfer": "TRANSFER_IN", "realized": "TRADE", "fee": "TRADE", "funding": "SETTLEMENT"}


def answer(resource: Resource, exchange: Exchange, params: Params, now_ms: int) -> Any:
    """What a resource answers, with its refusals in Bybit's words."""
    try:
        return resource(exchange, params, now_ms)
    except Malformed as error:
        return error.refusal


def create(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """Take an order."""
    sent = requests.order(params, exchange, now_ms)
    found = exchange.wait(sent, now_ms) if isinstance(sent, Conditional) else exchange.place(sent, now_ms)
    if isinstance(found, Refusal):
        return refused(found, rises=isinstance(sent, Conditional) and sent.rises)
    return {"orderId": str(found.id), "orderLinkId": found.client_id}


def cancel(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """Cancel an order in the book, or one that waits for its price."""
    found = _open(exchange, params)
    if found is None:
        return _UNKNOWN
    waits = isinstance(found, Conditional)
    ended = exchange.cancel_waiting(found.id, now_ms) if waits else exchange.cancel(found.id, now_ms)
    return refused(ended) if isinstance(ended, Refusal) else _named(found)


def amend(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """Change a limit order in the book."""
    found = _open(exchange, params)
    if not isinstance(found, Order):
        return _UNKNOWN
    quantity = requests.decimal(params, "qty") if params.get("qty") else found.quantity
    price = requests.decimal(params, "price") if params.get("price") else found.price
    changed = exchange.amend(found.id, quantity, price, now_ms)
    return refused(changed) if isinstance(changed, Refusal) else _named(found)


def _cancel_all(exchange: Exchange, params: Params, now_ms: int) -> Any:
    symbol = symbol_of(params, exchange) if params.get("symbol") else None
    ended: list[Order | Conditional] = [*exchange.open_orders(symbol), *exchange.waiting(symbol)]
    for one in ended:
        waits = isinstance(one, Conditional)
        _ = exchange.cancel_waiting(one.id, now_ms) if waits else exchange.cancel(one.id, now_ms)
    return {"list": [_named(one) for one in ended], "success": "1"}


def _realtime(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """Open orders; with a name or a number also the ended one."""
    asked = params.get("orderId") or params.get("orderLinkId")
    everything = _rows(exchange, params)
    ended = ("Filled", "Cancelled", "Rejected", "Deactivated")
    return _listed([row for row in everything if asked or row["orderStatus"] not in ended], params)


def _history(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    return _listed(_rows(exchange, params), params)


def _executions(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    begin, end = _window(params)
    found = [one for one in exchange.fills if begin <= one.at_ms <= end]
    rows = [shapes.execution(exchange, one) for one in reversed(found)]
    return _listed([row for row in rows if _matches(row, params)], params)


def _positions(exchange: Exchange, params: Params, now_ms: int) -> Any:
    exchange.advance(now_ms)
    held = [one for one in exchange.ledger.held() if _settles(exchange, one.symbol, params)]
    if params.get("symbol"):
        symbol = symbol_of(params, exchange)
        held = [one for one in held if one.symbol == symbol] or [Position(symbol)]
    return _listed([shapes.position(exchange, one) for one in held], params)


def _wallet(exchange: Exchange, _params: Params, now_ms: int) -> Any:
    exchange.advance(now_ms)
    return {"list": [shapes.wallet(exchange)]}


def _log(exchange: Exchange, params: Params, now_ms: int) -> Any:
    exchange.advance(now_ms)
    begin, end = _window(params)
    rows = [
        {
            "id": str(one.id),
            "symbol": one.symbol,
            "category": "linear",
            "type": _KINDS.get(one.kind, "BONUS"),
            "transactionTime": str(one.at_ms),
            "currency": "USDT",
            "change": str(one.amount),
            "cashBalance": str(one.balance),
            "fee": str(-one.amount) if one.kind == "fee" else "0",
            "funding": str(one.amount) if one.kind == "funding" else "",
            "tradeId": "" if one.trade_id is None else str(one.trade_id),
        }
        for one in reversed(exchange.ledger.payments)
        if begin <= one.at_ms <= end
    ]
    return _listed(rows, params)


def _set_leverage(exchange: Exchange, params: Params, now_ms: int) -> Any:
    symbol, leverage = symbol_of(params, exchange), int(requests.decimal(params, "buyLeverage"))
    if exchange.modes[symbol].leverage == leverage:
        return Refusal(110043, "Set leverage has not been modified.")
    refusal = modes.set_leverage(exchange, symbol, leverage, now_ms)
    return refused(refusal) if refusal else {}


def _switch_mode(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    hedged = str(params.get("mode")) == "3"
    if hedged == exchange.hedged:
        return Refusal(110025, "Position mode has not been modified.")
    refusal = modes.set_hedged(exchange, hedged=hedged)
    return refused(refusal) if refusal else {}


def _account(_exchange: Exchange, _params: Params, _now_ms: int) -> Any:
    told = {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 4, "dcpStatus": "OFF", "timeWindow": 10}
    return told | {"smpGroup": 0, "isMasterTrader": False, "spotHedgingStatus": "OFF", "updatedTime": "0"}


def _key(_exchange: Exchange, _params: Params, _now_ms: int) -> Any:
    return {"id": "1", "note": "rehearsal", "readOnly": 0, "unified": 0, "uta": 1, "userID": 1, "permissions": {}}


def _fees(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    wanted = params.get("symbol")
    rows = []
    for symbol, market in exchange.markets.items():
        maker, taker = (f"{rate / 1e4:.6f}" for rate in exchange.terms.costs.rates(market))
        rows.append({"symbol": symbol, "baseCoin": "", "makerFeeRate": maker, "takerFeeRate": taker})
    return {"category": "linear", "list": [row for row in rows if wanted in (None, row["symbol"])]}


def time(_exchange: Exchange, _params: Params, now_ms: int) -> Any:
    """The replayed clock."""
    return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}


def instruments(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """The replayed markets as linear perpetuals; no other category has any."""
    wanted = params.get("symbol")
    rows = []
    for symbol, market in exchange.markets.items():
        if params.get("category") == "linear" and wanted in (None, symbol):
            parsed = Market.parse(market)
            rows.append(shapes.instrument(symbol, parsed.base, parsed.quote, exchange.filters[symbol]))
    return {"category": params.get("category", ""), "list": rows, "nextPageCursor": ""}


PUBLIC: Final[Mapping[str, Resource]] = {"/v5/market/time": time, "/v5/market/instruments-info": instruments}
SIGNED: Final[Mapping[tuple[str, str], Resource]] = {
    ("POST", "/v5/order/create"): create,
    ("POST", "/v5/order/amend"): amend,
    ("POST", "/v5/order/cancel"): cancel,
    ("POST", "/v5/order/cancel-all"): _cancel_all,
    ("GET", "/v5/order/realtime"): _realtime,
    ("GET", "/v5/order/history"): _history,
    ("GET", "/v5/execution/list"): _executions,
    ("GET", "/v5/position/list"): _positions,
    ("POST", "/v5/position/set-leverage"): _set_leverage,
    ("POST", "/v5/position/switch-mode"): _switch_mode,
    ("GET", "/v5/account/wallet-balance"): _wallet,
    ("GET", "/v5/account/transaction-log"): _log,
    ("GET", "/v5/account/info"): _account,
    ("GET", "/v5/account/fee-rate"): _fees,
    ("GET", "/v5/user/query-api"): _key,
}
TRADED: Final[Mapping[str, Resource]] = {"order.create": create, "order.amend": amend, "order.cancel": cancel}
"""Of the websocket that takes orders."""


def _rows(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """All orders, newest first: one that waited for its price is the order that it became."""
    became = {one.parent for one in exchange.orders.values() if one.parent is not None}
    rows = [shapes.order(exchange, one) for one in exchange.orders.values()]
    rows += [shapes.waiting(one) for one in exchange.conditionals.values() if one.id not in became]
    rows.sort(key=lambda row: int(row["orderId"]), reverse=True)
    return [row for row in rows if _matches(row, params) and _settles(exchange, row["symbol"], params)]


def _settles(exchange: Exchange, symbol: str, params: Params) -> bool:
    """Whether a symbol is settled in the coin that is asked for, if one is."""
    return params.get("settleCoin") in (None, "", Market.parse(exchange.markets[symbol]).quote)


def _window(params: Params) -> tuple[int, int]:
    return requests.count(params, "startTime", 0), requests.count(params, "endTime", 2**62)


def _matches(row: Mapping[str, Any], params: Params) -> bool:
    return all(params.get(name) in (None, "", row[name]) for name in ("symbol", "orderId", "orderLinkId"))


def _listed(rows: list[dict[str, Any]], params: Params) -> dict[str, Any]:
    limit, begin = requests.count(params, "limit", 50), requests.count(params, "cursor", 0)
    after = str(begin + limit) if begin + limit < len(rows) else ""
    return {"category": "linear", "list": rows[begin : begin + limit], "nextPageCursor": after}


def _open(exchange: Exchange, params: Params) -> Order | Conditional | None:
    """The open order of a number or a client's name."""
    symbol, number, name = symbol_of(params, exchange), str(params.get("orderId") or ""), params.get("orderLinkId")
    found: list[Order | Conditional] = [*exchange.open_orders(symbol), *exchange.waiting(symbol)]
    if number:
        own = [one for one in found if number in (str(one.id), str(getattr(one, "parent", None)))]
    else:
        own = [one for one in found if one.client_id == name]
    return own[-1] if own else None


def _named(one: Order | Conditional) -> dict[str, str]:
    parent = one.parent if isinstance(one, Order) else None
    return {"orderId": str(one.id if parent is None else parent), "orderLinkId": one.client_id}
