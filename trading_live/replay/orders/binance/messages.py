"""How Binance writes what happens to an account on its user stream. Values in, JSON objects out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_never

from trading_live.replay.orders.exchange.happenings import (
    AccountChanged,
    ConditionalChanged,
    Happening,
    LeverageChanged,
    MarginCalled,
    OrderChanged,
)
from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.margin import Modes
from trading_live.replay.orders.writing import ASSET, money, text


def message(happening: Happening, modes: dict[str, Modes], asset: str = ASSET) -> dict[str, Any]:
    """The event of the user stream that tells one happening.

    Parameters
    ----------
    happening
        What happened.
    modes
        Symbol -> leverage and margin mode.
    asset
        The currency of the account.
    """
    match happening:
        case OrderChanged():
            return _stamped("ORDER_TRADE_UPDATE", happening.at_ms) | {"o": _order(happening, asset)}
        case ConditionalChanged():
            return _stamped("ALGO_UPDATE", happening.at_ms) | {"o": _conditional(happening)}
        case AccountChanged():
            return _stamped("ACCOUNT_UPDATE", happening.at_ms) | {"a": _account(happening, modes, asset)}
        case LeverageChanged():
            changed = {"s": happening.symbol, "l": happening.leverage}
            return _stamped("ACCOUNT_CONFIG_UPDATE", happening.at_ms) | {"ac": changed}
        case MarginCalled():
            told = [
                {
                    "s": one.symbol,
                    "ps": one.side,
                    "pa": text(one.quantity),
                    "mt": modes[one.symbol].margin,
                    "iw": "0",
                    "mp": text(mark),
                    "up": money(one.unrealized(mark)),
                    "mm": money(margin),
                }
                for one, mark, margin in happening.positions
            ]
            return {"e": "MARGIN_CALL", "E": happening.at_ms, "cw": money(happening.balance), "p": told}
    assert_never(happening)


def _stamped(name: str, at_ms: int) -> dict[str, Any]:
    return {"e": name, "T": at_ms, "E": at_ms}


def _order(changed: OrderChanged, asset: str) -> dict[str, Any]:
    one, fill = changed.order, changed.fill
    told: dict[str, Any] = {
        "s": one.symbol,
        "c": one.client_id,
        "S": one.side,
        "o": one.kind,
        "f": one.time_in_force,
        "q": text(one.quantity),
        "p": text(one.price),
        "ap": text(one.average),
        "sp": text(one.stop_price),
        "x": changed.execution,
        "X": one.status,
        "i": one.id,
        "l": text(fill.quantity) if fill else "0",
        "z": text(one.filled),
        "L": text(fill.price) if fill else "0",
        "n": money(fill.fee) if fill else "0",
        "N": asset,
        "T": changed.at_ms,
        "t": fill.id if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill.maker if fill else False,
        "R": one.reduce_only,
        "wt": one.working_type,
        "ot": one.origin or one.kind,
        "ps": one.position_side,
        "cp": one.close_position,
        "rp": money(fill.realized) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
    }
    return told


def _conditional(changed: ConditionalChanged) -> dict[str, Any]:
    one = changed.order
    return {
        "caid": one.client_id,
        "aid": one.id,
        "at": "CONDITIONAL",
        "o": one.kind,
        "s": one.symbol,
        "S": one.side,
        "ps": one.position_side,
        "f": one.time_in_force,
        "q": text(one.quantity),
        "X": one.status,
        "ai": "" if one.order_id is None else str(one.order_id),
        "ap": text(changed.average),
        "aq": text(changed.filled),
        "act": "0",
        "tp": text(one.trigger),
        "p": text(one.price),
        "V": "EXPIRE_MAKER",
        "wt": one.working_type,
        "pm": "NONE",
        "cp": one.close_position,
        "pP": False,
        "R": one.reduce_only,
        "tt": one.triggered_ms,
        "gtd": 0,
        "rm": one.reason,
    }


def _account(changed: AccountChanged, modes: dict[str, Modes], asset: str) -> dict[str, Any]:
    balance = money(changed.balance)
    balances = [{"a": asset, "wb": balance, "cw": balance, "bc": money(changed.change)}]
    positions = [_position(one, unrealized, modes) for one, unrealized in changed.positions]
    return {"m": changed.reason, "B": balances, "P": positions}


def _position(one: Position, unrealized: Decimal, modes: dict[str, Modes]) -> dict[str, Any]:
    return {
        "s": one.symbol,
        "pa": text(one.quantity),
        "ep": text(one.entry),
        "bep": text(one.entry),
        "cr": money(one.realized),
        "up": money(unrealized),
        "mt": "isolated" if modes[one.symbol].margin == "ISOLATED" else "cross",
        "iw": "0",
        "ps": one.side,
    }
