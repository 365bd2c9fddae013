"""How the account is set up: leverage, margin mode, position mode; with the venue's refusals."""

from __future__ import annotations

from dataclasses import replace

from trading_live.replay.orders.exchange.happenings import LeverageChanged
from trading_live.replay.orders.exchange.margin import MarginMode
from trading_live.replay.orders.exchange.model import MAX_LEVERAGE, Refusal
from trading_live.replay.orders.exchange.state import Exchange


def set_leverage(exchange: Exchange, symbol: str, leverage: int, now_ms: int) -> Refusal | None:
    """Another leverage for a symbol."""
    if not 1 <= leverage <= MAX_LEVERAGE:
        return Refusal(-4028, f"Leverage {leverage} is not valid")
    former, exchange.modes[symbol] = exchange.modes[symbol], replace(exchange.modes[symbol], leverage=leverage)
    after = exchange.standing()
    if after.equity < after.position_margin + after.order_margin and leverage < former.leverage:
        exchange.modes[symbol] = former
        return Refusal(-2019, "Margin is insufficient.")
    exchange.happened.append(LeverageChanged(symbol, leverage, now_ms))
    return None


def set_margin(exchange: Exchange, symbol: str, margin: MarginMode) -> Refusal | None:
    """Another margin mode for a symbol without orders and positions."""
    if exchange.modes[symbol].margin == margin:
        return Refusal(-4046, "No need to change margin type.")
    if exchange.open_orders(symbol) or exchange.waiting(symbol):
        return Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
    if any(one.symbol == symbol for one in exchange.ledger.held()):
        return Refusal(-4048, "Margin type cannot be changed if there exists position.")
    exchange.modes[symbol] = replace(exchange.modes[symbol], margin=margin)
    return None


def set_hedged(exchange: Exchange, *, hedged: bool) -> Refusal | None:
    """One position a symbol, or one for each side."""
    if hedged == exchange.hedged:
        return Refusal(-4059, "No need to change position side.")
    if exchange.open_orders() or exchange.waiting():
        return Refusal(-4067, "Position side cannot be changed if there exists open orders.")
    if exchange.ledger.held():
        return Refusal(-4068, "Position side cannot be changed if there exists position.")
    exchange.hedged = hedged
    return None
