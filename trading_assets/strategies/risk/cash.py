"""The cash of a spot account: what an entry costs must be there, for nobody lends it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from trading_assets.core.candles import Market
from trading_assets.core.precision import money
from trading_assets.core.sides import Side
from trading_assets.strategies.orders.bracket_orders import BracketOrders
from trading_assets.strategies.orders.limits import OrderLimits
from trading_assets.strategies.plans.plan import TradePlan

NO_CASH: Final = "not enough cash"
"""How the reason of an entry begins that costs more than is there, or that was made smaller for it."""

_LEAST_SHARE: Final = 0.5
"""An entry is made smaller down to this share of what is wanted, and refused below: no crumbs of a position."""

_ROUNDING: Final = 1e-9


@dataclass(slots=True)
class SpotCash:
    """What is left of the account's money beside what open and ordered coins cost.

    The engine's account is one of margin, for perpetuals share it; it would lend ten times what is there.

    Attributes
    ----------
    trades
        The open trades; those whose entry is still on its way count with what they were to cost.
    taker_fee_bps
        Of an entry, which is a market order, with its slippage.
    coins
        Whether what is bought is a balance of its own, as at a venue: its price is gone from the account's money, and
        its worth is not counted there.
    """

    trades: BracketOrders
    taker_fee_bps: float
    coins: bool = False
    _ordered: dict[str, float] = field(default_factory=dict)

    def cut(
        self, market: str, quantity: float, price: float, limits: OrderLimits, balance: Callable[[], float]
    ) -> tuple[float, str]:
        """A quantity cut to what the free cash pays with its costs, and the words that say so where it was cut.

        One that would be less than half of what is wanted is left as it is, for :meth:`refusal`.

        Parameters
        ----------
        market
            Ours.
        quantity, price
            In base units, and at which the entry is expected to fill.
        limits
            The market's, for its steps of quantity.
        balance
            Asked for the account's, with all realised results and without those of open positions.
        """
        if _is_derivative(market):
            return quantity, ""
        free = balance() - self._bound()
        most = limits.whole_steps(free / self._with_costs(price))
        if not _LEAST_SHARE * quantity <= most < quantity:
            return quantity, ""
        return most, f"{NO_CASH}: {money(free)} free, with fees enough for {most:.12g} of {quantity:.12g}"

    def refusal(self, market: str, side: Side, worth: float, balance: Callable[[], float]) -> str | None:
        """Why an entry must not be sent, with its cost and the free cash; None if it may, and for perpetuals.

        A short entry is refused by name: nobody lends the coins that it would sell.

        Parameters
        ----------
        market
            Ours.
        side
            Of the entry.
        worth
            Quantity times price, in quote currency.
        balance
            As for :meth:`cut`.
        """
        if _is_derivative(market):
            return None
        if side is Side.SHORT:
            return f"{market} is a spot market: nothing can be sold short there"
        cost, free = self._with_costs(worth), balance() - self._bound()
        return f"{NO_CASH}: {money(cost)} with fees, {money(free)} free" if cost > free * (1 + _ROUNDING) else None

    def order(self, market: str, worth: float) -> float:
        """Note what an entry on its way will cost; the cash that it binds."""
        cost = self._ordered[market] = self._with_costs(worth)
        return 0.0 if _is_derivative(market) else cost

    def equity(self, portfolio: Any, instrument: Any, prices: Mapping[str, float]) -> float:
        """What the account is worth in an instrument's quote currency, with what is open at the newest prices."""
        told, quote = portfolio.equity(instrument.id.venue), instrument.quote_currency
        return _amount(told, quote) + self.unbooked({one.code for one in told}, quote.code, prices)

    def unbooked(self, known: Collection[str], quote: str, prices: Mapping[str, float]) -> float:
        """What the engine's word of an account in a quote currency lacks, or has too much: coins are kept apart there.

        It counts a coin's worth as long as its balance is not known, which is so for a moment after an entry.

        Parameters
        ----------
        known
            Currencies that it has balances of.
        quote
            Of the word.
        prices
            The newest of each market.
        """
        return sum(worth if coin in known else -paid for coin, paid, worth in self._bought(quote, prices))

    def balance(self, portfolio: Any, instrument: Any, prices: Mapping[str, float]) -> float:
        """The same without the results of what is open."""
        equity = self.equity(portfolio, instrument, prices)
        if self.coins:
            return equity - sum(worth - paid for _, paid, worth in self._bought(instrument.quote_currency.code, prices))
        return equity - _amount(portfolio.unrealized_pnls(instrument.id.venue), instrument.quote_currency)

    def _bought(self, quote: str, prices: Mapping[str, float]) -> list[tuple[str, float, float]]:
        """Coin, price paid, and worth of what is open for a quote currency, where coins are balances."""
        found = []
        for market in self.trades.open if self.coins else ():
            parsed, position = Market.parse(market), self.trades.position(market)
            if position is None or parsed.quote != quote:
                continue
            quantity, paid = position.quantity.as_double(), float(position.avg_px_open)
            found.append((parsed.base, quantity * paid, quantity * prices.get(market, paid)))
        return found

    def _with_costs(self, worth: float) -> float:
        return worth * (1 + self.taker_fee_bps / 1e4)

    def _bound(self) -> float:
        return sum(self._cost(market, plan) for market, plan in self.trades.open.items())

    def _cost(self, market: str, plan: TradePlan) -> float:
        if _is_derivative(market):
            return 0.0
        position = self.trades.position(market)
        paid = 0.0 if position is None else position.quantity.as_double() * float(position.avg_px_open)
        return max(paid, self._ordered.get(market, 0.0)) if plan.stage == "entering" else paid


@cache
def _is_derivative(market: str) -> bool:
    return Market.parse(market).is_derivative


def _amount(found: Mapping[Any, Any], currency: Any) -> float:
    held = found.get(currency)
    return 0.0 if held is None else float(held.as_double())
