"""The cash of a spot account: what an entry costs must be there, for nobody lends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trading_assets.candles import Market
from trading_assets.precision import money
from trading_assets.strategies.keeper import TradeKeeper
from trading_assets.strategies.plans import TradePlan

NO_CASH = "not enough cash"
"""How the reason of an entry begins that costs more than is there."""


@dataclass(slots=True)
class SpotCash:
    """What is left of the account's money beside what open and ordered coins cost.

    The engine's account is one of margin, for perpetuals share it; it would lend ten times what is there.

    Attributes
    ----------
    trades
        The open trades; those whose entry is still on its way count with what they were to cost.
    taker_fee_bps
        Of an entry, which is a market order.
    """

    trades: TradeKeeper
    taker_fee_bps: float
    _ordered: dict[str, float] = field(default_factory=dict)

    def refusal(self, market: str, worth: float, balance: Callable[[], float]) -> str | None:
        """Why an entry must not be sent, with its cost and the free cash; None if it may, and for perpetuals.

        Parameters
        ----------
        market
            Ours.
        worth
            Quantity times price, in quote currency.
        balance
            Asked for the account's, with all realised results and without those of open positions.
        """
        if Market.parse(market).is_derivative:
            return None
        cost, free = worth * (1 + self.taker_fee_bps / 1e4), balance() - self._bound()
        return f"{NO_CASH}: {money(cost)} with fees, {money(free)} free" if cost > free else None

    def order(self, market: str, worth: float) -> float:
        """Note what an entry on its way will cost; the cash that it binds."""
        cost = self._ordered[market] = worth * (1 + self.taker_fee_bps / 1e4)
        return 0.0 if Market.parse(market).is_derivative else cost

    def _bound(self) -> float:
        return sum(self._cost(market, plan) for market, plan in self.trades.open.items())

    def _cost(self, market: str, plan: TradePlan) -> float:
        if Market.parse(market).is_derivative:
            return 0.0
        position = self.trades.position(market)
        paid = 0.0 if position is None else position.quantity.as_double() * float(position.avg_px_open)
        return max(paid, self._ordered.get(market, 0.0)) if plan.stage == "entering" else paid


def settled_balance(portfolio: Any, instrument: Any) -> float:
    """An account's balance in the instrument's quote currency, without the results of open positions."""
    currency, venue = instrument.quote_currency, instrument.id.venue

    def amount(found: Mapping[Any, Any]) -> float:
        held = found.get(currency)
        return 0.0 if held is None else float(held.as_double())

    return amount(portfolio.equity(venue)) - amount(portfolio.unrealized_pnls(venue))
