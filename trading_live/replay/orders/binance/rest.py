"""The signed resources of Binance USD-M: method and path -> what is asked of the account. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from trading_live.replay.orders.binance import accounts, answers, requests
from trading_live.replay.orders.binance.accounts import Resource
from trading_live.replay.orders.binance.pages import optional_symbol, page
from trading_live.replay.orders.binance.requests import Malformed, Params, symbol_of, whole_number
from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.model import Conditional, Order, Refusal
from trading_live.replay.orders.incidents import fill_instead


def answer(resource: Resource, exchange: Exchange, params: Params, now_ms: int) -> Any:
    """What a resource answers, also where a parameter cannot be read."""
    try:
        return resource(exchange, params, now_ms)
    except Malformed as error:
        return error.refusal


# -- orders -----------------------------------------------------------------------------------------------------------


def _place(exchange: Exchange, params: Params, now_ms: int) -> Any:
    sent = requests.order(params, exchange, now_ms)
    found = exchange.place(sent, now_ms)
    if isinstance(found, Refusal):
        return found
    if params.get("newOrderRespType", "ACK") == "RESULT":
        return answers.order(found)
    return answers.order(sent)


def _order(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    found = _named(exchange, params)
    return answers.order(found) if found else Refusal(-2013, "Order does not exist.")


def _open_order(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    found = _named(exchange, params)
    return answers.order(found) if found and found.open else Refusal(-2013, "Order does not exist.")


def _cancel(exchange: Exchange, params: Params, now_ms: int) -> Any:
    found = _named(exchange, params, only_open=True)
    if found is None:
        return Refusal(-2011, "Unknown order sent.")
    ended = exchange.cancel(found.id, now_ms)
    return ended if isinstance(ended, Refusal) else answers.order(ended)


def cancel_falsely(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """Confirm a cancel and fill the order instead: the fault of a fill after the cancel."""
    if "clientAlgoId" in params or "algoId" in params:
        waiting = _named_conditional(exchange, params)
        if waiting is None or not waiting.open:
            return Refusal(-2011, "Unknown order sent.")
        fill_instead(exchange, waiting, now_ms)
        return {"algoId": waiting.id, "clientAlgoId": waiting.client_id, "code": "200", "msg": "success"}
    found = _named(exchange, params, only_open=True)
    if found is None:
        return Refusal(-2011, "Unknown order sent.")
    fill_instead(exchange, found, now_ms)
    return answers.order(replace(found, status="CANCELED"))


def _amend(exchange: Exchange, params: Params, now_ms: int) -> Any:
    found = _named(exchange, params, only_open=True)
    if found is None:
        return Refusal(-2013, "Order does not exist.")
    quantity, price = requests.decimal(params, "quantity"), requests.decimal(params, "price")
    changed = exchange.amend(found.id, quantity, price, now_ms)
    return changed if isinstance(changed, Refusal) else answers.order(changed)


def _cancel_all(exchange: Exchange, params: Params, now_ms: int) -> Any:
    for one in exchange.open_orders(symbol_of(params, exchange)):
        exchange.cancel(one.id, now_ms)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _open_orders(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    return [answers.order(one) for one in exchange.open_orders(optional_symbol(exchange, params))]


def _all_orders(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    symbol = symbol_of(params, exchange)
    found = [one for one in exchange.orders.values() if one.symbol == symbol]
    return [answers.order(one) for one in page(found, params, lambda one: one.created_ms, "orderId")]


# -- conditional orders -----------------------------------------------------------------------------------------------


def _wait(exchange: Exchange, params: Params, now_ms: int) -> Any:
    found = exchange.wait(requests.conditional(params, exchange, now_ms), now_ms)
    return found if isinstance(found, Refusal) else answers.conditional(found, None)


def _conditional(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    found = _named_conditional(exchange, params)
    return _written(exchange, found) if found else Refusal(-2013, "Order does not exist.")


def _cancel_conditional(exchange: Exchange, params: Params, now_ms: int) -> Any:
    found = _named_conditional(exchange, params)
    ended = exchange.cancel_waiting(found.id, now_ms) if found else Refusal(-2011, "Unknown order sent.")
    if isinstance(ended, Refusal):
        return ended
    return {"algoId": ended.id, "clientAlgoId": ended.client_id, "code": "200", "msg": "success"}


def _cancel_conditionals(exchange: Exchange, params: Params, now_ms: int) -> Any:
    for one in exchange.waiting(symbol_of(params, exchange)):
        exchange.cancel_waiting(one.id, now_ms)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _waiting(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    return [_written(exchange, one) for one in exchange.waiting(optional_symbol(exchange, params))]


def _all_conditionals(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    symbol = symbol_of(params, exchange)
    found = [one for one in exchange.conditionals.values() if one.symbol == symbol]
    return [_written(exchange, one) for one in page(found, params, lambda one: one.created_ms, "algoId")]


SIGNED: Final[Mapping[tuple[str, str], Resource]] = {
    ("POST", "/fapi/v1/order"): _place,
    ("GET", "/fapi/v1/order"): _order,
    ("DELETE", "/fapi/v1/order"): _cancel,
    ("PUT", "/fapi/v1/order"): _amend,
    ("GET", "/fapi/v1/openOrder"): _open_order,
    ("GET", "/fapi/v1/openOrders"): _open_orders,
    ("GET", "/fapi/v1/allOrders"): _all_orders,
    ("DELETE", "/fapi/v1/allOpenOrders"): _cancel_all,
    ("POST", "/fapi/v1/algoOrder"): _wait,
    ("GET", "/fapi/v1/algoOrder"): _conditional,
    ("DELETE", "/fapi/v1/algoOrder"): _cancel_conditional,
    ("DELETE", "/fapi/v1/algoOpenOrders"): _cancel_conditionals,
    ("GET", "/fapi/v1/openAlgoOrders"): _waiting,
    ("GET", "/fapi/v1/allAlgoOrders"): _all_conditionals,
    ("GET", "/fapi/v1/userTrades"): accounts.trades,
    ("GET", "/fapi/v1/income"): accounts.income,
    ("GET", "/fapi/v2/account"): accounts.account(2),
    ("GET", "/fapi/v3/account"): accounts.account(3),
    ("GET", "/fapi/v2/balance"): accounts.balance,
    ("GET", "/fapi/v3/balance"): accounts.balance,
    ("GET", "/fapi/v2/positionRisk"): accounts.positions(2),
    ("GET", "/fapi/v3/positionRisk"): accounts.positions(3),
    ("GET", "/fapi/v1/positionSide/dual"): accounts.mode,
    ("POST", "/fapi/v1/positionSide/dual"): accounts.set_mode,
    ("POST", "/fapi/v1/leverage"): accounts.set_leverage,
    ("POST", "/fapi/v1/marginType"): accounts.set_margin,
    ("GET", "/fapi/v1/leverageBracket"): accounts.brackets,
    ("GET", "/fapi/v1/symbolConfig"): accounts.configurations,
    ("GET", "/fapi/v1/commissionRate"): accounts.commission,
    ("GET", "/fapi/v1/multiAssetsMargin"): accounts.multi_assets,
}
"""Beside them stand ``listenKey`` and ``countdownCancelAll``, which run on this machine's clock."""


def _named(exchange: Exchange, params: Params, *, only_open: bool = False) -> Order | None:
    """The order of a number, or the newest of a client's id."""
    symbol = symbol_of(params, exchange)
    number, name = whole_number(params, "orderId"), params.get("origClientOrderId", "")
    if number is None and not name:
        raise Malformed(-1102, "Either orderId or origClientOrderId must be sent.")
    found = [one for one in exchange.orders.values() if one.symbol == symbol and (one.open or not only_open)]
    chosen = [one for one in found if (one.id == number if number is not None else one.client_id == name)]
    return chosen[-1] if chosen else None


def _named_conditional(exchange: Exchange, params: Params) -> Conditional | None:
    number, name = whole_number(params, "algoId"), params.get("clientAlgoId", "")
    if number is None and not name:
        raise Malformed(-1102, "Either algoId or clientAlgoId must be sent.")
    found = exchange.conditionals.values()
    chosen = [one for one in found if (one.id == number if number is not None else one.client_id == name)]
    return chosen[-1] if chosen else None


def _written(exchange: Exchange, one: Conditional) -> dict[str, Any]:
    return answers.conditional(one, None if one.order_id is None else exchange.orders.get(one.order_id))
