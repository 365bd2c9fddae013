"""A trade as its exit plan sees it: which targets are filled, how far the price went, where the stop lies now.

What a candle changes is in force from the next one on: no order can have been moved while it went on. So the rule is
the same where candles are all that is known (labels, screening, backtest) and where a venue says what was filled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan


@dataclass(frozen=True, slots=True)
class OpenTrade:
    """An entered trade.

    Attributes
    ----------
    entry_price, quantity
        Average price and base units of the entry's fills.
    cost
        Of in and out at the market, as a fraction of the notional: what break-even is beyond the entry price.
    filled
        Targets that are filled, from the nearest on.
    best
        The most favourable price up to the end of the newest decision bar.
    stop_price
        Where the stop lies now: of a long trade it only rises, of a short one it only falls.
    """

    side: Side
    entry_price: float
    quantity: float
    plan: ExitPlan
    cost: float
    filled: int
    best: float
    stop_price: float

    @classmethod
    def entered(cls, side: Side, entry_price: float, quantity: float, plan: ExitPlan, *, cost: float = 0.0) -> Self:
        """A trade whose entry has filled."""
        stop = entry_price * (1 - side * plan.stop)
        return cls(side, entry_price, quantity, plan, cost, 0, entry_price, stop)

    @property
    def target_prices(self) -> tuple[float, ...]:
        """Of all targets, from near to far."""
        return tuple(self.entry_price * (1 + self.side * target.distance) for target in self.plan.targets)

    def after_target(self) -> Self:
        """The trade once its next target has filled: the stop may go to break-even."""
        filled = self.filled + 1
        if filled != self.plan.break_even_after:
            return replace(self, filled=filled)
        return replace(self, filled=filled, stop_price=self._nearer(self.entry_price * (1 + self.side * self.cost)))

    def after_bar(self, high: float, low: float) -> Self:
        """The trade at the end of a decision bar that it was open in: the stop may have followed."""
        extreme = high if self.side is Side.LONG else low
        best = extreme if self.side * (extreme - self.best) > 0 else self.best
        if self.plan.trailing is None or self.filled < self.plan.trailing_after:
            return replace(self, best=best)
        return replace(
            self, best=best, stop_price=self._nearer(best - self.side * self.plan.trailing * self.entry_price)
        )

    def _nearer(self, stop_price: float) -> float:
        """The stop never goes back."""
        return stop_price if self.side * (stop_price - self.stop_price) > 0 else self.stop_price
