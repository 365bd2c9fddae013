"""Margin: what positions and orders bind, and at what price a position is liquidated. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from trading_live.replay.orders.exchange.ledger import Position
from trading_live.replay.orders.exchange.model import MAINTENANCE, ZERO, Order

MarginMode = Literal["CROSSED", "ISOLATED"]


@dataclass(frozen=True, slots=True)
class Modes:
    """Leverage and margin mode of a symbol."""

    leverage: int
    margin: MarginMode = "CROSSED"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the account stands at the newest prices.

    Attributes
    ----------
    wallet, unrealized
        Balance, and what would be gained by closing all.
    position_margin, order_margin
        Initial margin that positions and resting orders bind.
    maintenance
        Equity at which it is liquidated.
    """

    wallet: Decimal
    unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance: Decimal

    @property
    def equity(self) -> Decimal:
        """What is left after closing all, without fees."""
        return self.wallet + self.unrealized

    @property
    def available(self) -> Decimal:
        """What new orders may bind."""
        return max(self.equity - self.position_margin - self.order_margin, ZERO)


def standing(
    wallet: Decimal,
    positions: Iterable[Position],
    orders: Iterable[Order],
    prices: Mapping[str, Decimal],
    modes: Mapping[str, Modes],
) -> Standing:
    """The account at given prices; reduce-only orders bind nothing."""
    unrealized = bound = maintenance = waiting = ZERO
    for one in positions:
        notional = abs(one.quantity) * prices[one.symbol]
        unrealized += one.unrealized(prices[one.symbol])
        bound += notional / modes[one.symbol].leverage
        maintenance += notional * MAINTENANCE
    for order in orders:
        if not (order.reduce_only or order.close_position):
            waiting += order.rest * (order.price or prices[order.symbol]) / modes[order.symbol].leverage
    return Standing(wallet, unrealized, bound, waiting, maintenance)


def isolated_margin(position: Position, modes: Modes) -> Decimal:
    """What an isolated position may lose."""
    return abs(position.cost) / modes.leverage


def liquidation_price(
    position: Position,
    others: Iterable[Position],
    wallet: Decimal,
    prices: Mapping[str, Decimal],
    modes: Mapping[str, Modes],
) -> Decimal:
    """The price of its symbol at which a position is liquidated while the other prices stay; 0 where there is none.

    At that price what is left equals the maintenance margin: of the position's own margin where it is isolated, else of
    the wallet with all other positions.

    Parameters
    ----------
    position
        An open one.
    others
        The other open ones.
    wallet
        The balance.
    prices, modes
        By symbol.
    """
    if modes[position.symbol].margin == "ISOLATED":
        collateral = isolated_margin(position, modes[position.symbol])
    else:
        rest = [one for one in others if modes[one.symbol].margin == "CROSSED"]
        collateral = wallet + sum((one.unrealized(prices[one.symbol]) for one in rest), ZERO)
        collateral -= sum((abs(one.quantity) * prices[one.symbol] * MAINTENANCE for one in rest), ZERO)
    denominator = position.quantity - abs(position.quantity) * MAINTENANCE
    return max((position.cost - collateral) / denominator, ZERO)
