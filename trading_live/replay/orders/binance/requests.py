"""What a client sends, read: parameters into orders, with the venue's refusals of what cannot be read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trading_live.replay.orders.exchange import Exchange
from trading_live.replay.orders.exchange.model import ZERO, Conditional, Order, Refusal

type Params = Mapping[str, str]

_KINDS: Final = ("MARKET", "LIMIT")
_CONDITIONALS: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_TIMES: Final = ("GTC", "IOC", "FOK", "GTX")


class Malformed(Exception):
    """A parameter that cannot be read; the refusal says which."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(code, text)


def needed(params: Params, name: str) -> str:
    """A parameter that must be there."""
    found = params.get(name, "")
    if not found:
        raise Malformed(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return found


def decimal(params: Params, name: str) -> Decimal:
    """A decimal that must be there."""
    try:
        found = Decimal(needed(params, name))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise Malformed(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return found


def whole_number(params: Params, name: str, usual: int | None = None) -> int | None:
    """A whole number, if it is there."""
    found = params.get(name, "")
    if not found:
        return usual
    if not found.lstrip("-").isdecimal():
        raise Malformed(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return int(found)


def truth(params: Params, name: str) -> bool:
    """Whether a flag is set."""
    return params.get(name, "").lower() == "true"


def symbol_of(params: Params, exchange: Exchange) -> str:
    """The symbol, which must be one of the venue's."""
    found = needed(params, "symbol")
    if found not in exchange.filters:
        raise Malformed(-1121, "Invalid symbol.")
    return found


def order(params: Params, exchange: Exchange, now_ms: int) -> Order:
    """The order of ``POST /fapi/v1/order``; a client id is made up where none is sent."""
    symbol, kind = symbol_of(params, exchange), needed(params, "type")
    if kind in _CONDITIONALS or kind == "TRAILING_STOP_MARKET":
        text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise Malformed(-4120, text)
    if kind not in _KINDS:
        raise Malformed(-1116, "Invalid orderType.")
    if kind == "LIMIT":
        needed(params, "timeInForce")
    number = exchange.number()
    return Order(
        number,
        params.get("newClientOrderId") or f"web_{number}",
        symbol,
        quantity=decimal(params, "quantity"),
        kind=kind,
        created_ms=now_ms,
        updated_ms=now_ms,
        price=decimal(params, "price") if kind == "LIMIT" else ZERO,
        reduce_only=truth(params, "reduceOnly"),
        **_shared(params),
    )


def conditional(params: Params, exchange: Exchange, now_ms: int) -> Conditional:
    """The conditional order of ``POST /fapi/v1/algoOrder``."""
    symbol, kind = symbol_of(params, exchange), needed(params, "type")
    if needed(params, "algoType") != "CONDITIONAL":
        raise Malformed(-1102, "Mandatory parameter 'algoType' was not sent, was empty/null, or malformed.")
    if kind not in _CONDITIONALS:
        raise Malformed(-1116, "Invalid orderType.")
    closes = truth(params, "closePosition")
    if closes and (params.get("quantity") or truth(params, "reduceOnly")):
        raise Malformed(-4136, "Target strategy invalid for orderType or closePosition.")
    number = exchange.number()
    return Conditional(
        number,
        params.get("clientAlgoId") or f"web_{number}",
        symbol,
        kind=kind,
        quantity=ZERO if closes else decimal(params, "quantity"),
        trigger=decimal(params, "triggerPrice"),
        created_ms=now_ms,
        updated_ms=now_ms,
        price=decimal(params, "price") if kind in ("STOP", "TAKE_PROFIT") else ZERO,
        reduce_only=truth(params, "reduceOnly"),
        close_position=closes,
        working_type=params.get("workingType") or "CONTRACT_PRICE",
        **_shared(params),
    )


def _shared(params: Params) -> dict[str, Any]:
    side, held, time = needed(params, "side"), params.get("positionSide") or "BOTH", params.get("timeInForce") or "GTC"
    if side not in ("BUY", "SELL"):
        raise Malformed(-1117, "Invalid side.")
    if held not in ("BOTH", "LONG", "SHORT"):
        raise Malformed(-4060, "Invalid position side.")
    if time not in _TIMES:
        raise Malformed(-1115, "Invalid timeInForce.")
    return {"side": side, "position_side": held, "time_in_force": time}
