"""The signed resources that tell of the account, and that set it up. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trading_live.replay.orders.binance import answers, requests
from trading_live.replay.orders.binance.pages import optional_symbol, page
from trading_live.replay.orders.binance.requests import Params, needed, symbol_of, whole_number
from trading_live.replay.orders.exchange import Exchange, modes
from trading_live.replay.orders.exchange.model import Refusal
from trading_live.replay.orders.writing import text

type Resource = Callable[[Exchange, Params, int], Any]
"""(account, parameters, market time) -> the answer, or a refusal."""

_DONE: Final = {"code": 200, "msg": "success"}


def trades(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """The fills of a symbol, or of one order."""
    symbol, order_id = symbol_of(params, exchange), whole_number(params, "orderId")
    found = [one for one in exchange.fills if one.symbol == symbol and order_id in (None, one.order_id)]
    return [answers.trade(one) for one in page(found, params, lambda one: one.at_ms, "fromId", usual=500)]


def income(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """The lines of the statement."""
    exchange.advance(now_ms)
    symbol, kind = optional_symbol(exchange, params), params.get("incomeType")
    found = [one for one in exchange.ledger.payments if symbol in (None, one.symbol)]
    return page(found, params, lambda one: one.at_ms, None, usual=100, shown=answers.income, kind=kind)


def account(version: int) -> Resource:
    """Totals, assets and positions, as a version of the resource writes them."""

    def found(exchange: Exchange, _params: Params, now_ms: int) -> Any:
        exchange.advance(now_ms)
        return answers.account(exchange, now_ms, version)

    return found


def balance(exchange: Exchange, _params: Params, now_ms: int) -> Any:
    """The wallet."""
    exchange.advance(now_ms)
    return answers.balance(exchange, now_ms)


def positions(version: int) -> Resource:
    """The positions, as a version of the resource writes them."""

    def found(exchange: Exchange, params: Params, now_ms: int) -> Any:
        exchange.advance(now_ms)
        return answers.positions(exchange, optional_symbol(exchange, params), version)

    return found


def mode(exchange: Exchange, _params: Params, _now_ms: int) -> Any:
    """Whether there is a position for each side."""
    return {"dualSidePosition": exchange.hedged}


def set_mode(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """One position a symbol, or one for each side."""
    needed(params, "dualSidePosition")
    return modes.set_hedged(exchange, hedged=requests.truth(params, "dualSidePosition")) or _DONE


def set_leverage(exchange: Exchange, params: Params, now_ms: int) -> Any:
    """Another leverage."""
    symbol, leverage = symbol_of(params, exchange), whole_number(params, "leverage") or 0
    told = {"leverage": leverage, "maxNotionalValue": text(exchange.filters[symbol].max_position), "symbol": symbol}
    return modes.set_leverage(exchange, symbol, leverage, now_ms) or told


def set_margin(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """Another margin mode."""
    symbol, margin = symbol_of(params, exchange), needed(params, "marginType")
    match margin:
        case "CROSSED" | "ISOLATED":
            return modes.set_margin(exchange, symbol, margin) or _DONE
    return Refusal(-1128, "Combination of optional parameters invalid.")


def brackets(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """Maintenance margin by size."""
    symbol = optional_symbol(exchange, params)
    return [answers.bracket(one) for one in exchange.filters if symbol in (None, one)]


def configurations(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """Leverage and margin mode."""
    symbol = optional_symbol(exchange, params)
    return [answers.configuration(exchange, one) for one in exchange.filters if symbol in (None, one)]


def commission(exchange: Exchange, params: Params, _now_ms: int) -> Any:
    """Fees."""
    symbol = symbol_of(params, exchange)
    maker, taker = (f"{rate / 1e4:.6f}" for rate in exchange.terms.costs.rates(exchange.markets[symbol]))
    return {"symbol": symbol, "makerCommissionRate": maker, "takerCommissionRate": taker}


def multi_assets(_exchange: Exchange, _params: Params, _now_ms: int) -> Any:
    """One asset is the margin."""
    return {"multiAssetsMargin": False}
