"""Bybit's requests about orders, read into orders; and its words for refusals. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.model import ZERO, Conditional, Order, PositionSide, Refusal, Side

type Params = Mapping[str, Any]

_SIDES: Final[Mapping[str, Side]] = {"Buy": "BUY", "Sell": "SELL"}
_HELD: Final[Mapping[str, PositionSide]] = {"0": "BOTH", "1": "LONG", "2": "SHORT"}
_TIMES: Final = {"GTC": "GTC", "IOC": "IOC", "FOK": "FOK", "PostOnly": "GTX"}
_REFUSALS: Final[Mapping[int, tuple[int, str]]] = {
    -2011: (110001, "order not exists or too late to cancel"),
    -2013: (110001, "order not exists or too late to cancel"),
    -2019: (110007, "ab not enough for new order"),
    -2021: (110093, "expect Falling, but trigger_price >= current"),
    -2022: (110017, "Reduce-only rule not satisfied"),
    -2027: (110090, "Exceeded maximum allowable position at current leverage."),
    -4016: (110003, "Order price exceeds the allowable range."),
    -4024: (110003, "Order price exceeds the allowable range."),
    -4028: (110013, "Cannot set leverage due to risk limit"),
    -4108: (110074, "This contract is not live"),
    -4116: (110072, "OrderLinkedID is duplicate"),
    -4131: (110003, "Order price exceeds the allowable range."),
    -4141: (110074, "This contract is not live"),
    -4164: (110094, "Order does not meet minimum order value 5USDT"),
    -5022: (140024, "PostOnly order would take liquidity"),
    -5027: (110079, "The order is processing and can not be operated, please try again later"),
}


_BEYOND: Final = _REFUSALS[-2021][0]


class Malformed(Exception):
    """A parameter that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(10001, f"params error: {text}")


def refused(refusal: Refusal, *, rises: bool = False) -> Refusal:
    """A refusal in Bybit's words; ``rises`` says which way the price had to go to a trigger."""
    code, text = _REFUSALS.get(refusal.code, (10001, f"params error: {refusal.text}"))
    if rises and code == _BEYOND:
        code, text = 110092, "expect Rising, but trigger_price <= current"
    return Refusal(code, text)


def symbol_of(params: Params, exchange: Exchange) -> str:
    """The symbol of a linear perpetual."""
    if params.get("category") != "linear":
        raise Malformed("only category linear is served here")
    symbol = str(params.get("symbol", ""))
    if symbol not in exchange.filters:
        raise Malformed("symbol invalid")
    return symbol


def decimal(params: Params, name: str) -> Decimal:
    """A decimal that must be there."""
    try:
        found = Decimal(str(params.get(name) or "none"))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise Malformed(f"{name} invalid")
    return found


def count(params: Params, name: str, usual: int) -> int:
    """A whole number, if it is there."""
    found = str(params.get(name) or usual)
    if not found.isdecimal():
        raise Malformed(f"{name} invalid")
    return int(found)


def truth(params: Params, name: str) -> bool:
    """Whether a flag is set; a query writes it as text."""
    return str(params.get(name, "")).lower() == "true"


def order(params: Params, exchange: Exchange, now_ms: int) -> Order | Conditional:
    """What ``/v5/order/create`` sends: with a trigger it waits for its price."""
    symbol, number = symbol_of(params, exchange), exchange.number()
    limited = params.get("orderType") == "Limit"
    side, time = _SIDES.get(str(params.get("side"))), _TIMES.get(str(params.get("timeInForce") or "GTC"))
    held = _HELD.get(str(params.get("positionIdx") or 0))
    if side is None or time is None or held is None or params.get("orderType") not in ("Limit", "Market"):
        raise Malformed("side, orderType, timeInForce or positionIdx invalid")
    common: dict[str, Any] = {
        "side": side,
        "position_side": held,
        "time_in_force": time if limited else "GTC",
        "reduce_only": truth(params, "reduceOnly") and held == "BOTH",
        "close_position": truth(params, "closeOnTrigger") and decimal(params, "qty") == 0,
        "quantity": decimal(params, "qty"),
        "price": decimal(params, "price") if limited else ZERO,
        "created_ms": now_ms,
        "updated_ms": now_ms,
    }
    name = str(params.get("orderLinkId") or f"web-{number}")
    if not params.get("triggerPrice"):
        return Order(number, name, symbol, kind="LIMIT" if limited else "MARKET", **common)
    kind = _waiting_kind(side, str(params.get("triggerDirection", "")), limited=limited)
    return Conditional(number, name, symbol, kind=kind, trigger=decimal(params, "triggerPrice"), **common)


def _waiting_kind(side: Side, direction: str, *, limited: bool) -> str:
    if direction not in ("1", "2"):
        raise Malformed("triggerDirection invalid")
    stops = (side == "BUY") == (direction == "1")
    return ("STOP" if stops else "TAKE_PROFIT") + ("" if limited else "_MARKET")
