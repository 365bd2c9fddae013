"""What a venue takes as an order, and how much of a market's volume an entry may be. Reads attributes only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from trading_assets.core.precision import MAX_PRICE, MAX_QUANTITY, money
from trading_assets.strategies.instruments import exact
from trading_assets.strategies.orders.contracts import in_base, size_of

CUT: Final = "too little volume in the bar"
"""How the reason of an entry that the volume cap made smaller begins, or that of its refusal."""


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """A venue's limits on the orders of one instrument.

    Attributes
    ----------
    step, tick
        The steps of quantities and prices.
    min_quantity, max_quantity
        In base units.
    min_notional, max_notional
        Quantity times price, in quote currency.
    min_price, max_price
        Of a stop or a limit order.
    """

    step: float
    tick: float
    min_quantity: float
    max_quantity: float = math.inf
    min_notional: float = 0.0
    max_notional: float = math.inf
    min_price: float = 0.0
    max_price: float = math.inf

    @classmethod
    def of(cls, instrument: Any) -> Self:
        """The limits that an engine's instrument names; a missing one is what the engine's numbers hold."""

        def said(value: Any, otherwise: float) -> float:
            return otherwise if value is None else exact(value)

        def amount(value: Any, otherwise: float) -> float:
            return otherwise if value is None else float(value.as_decimal())

        size = size_of(instrument)

        def units(value: Any, otherwise: float) -> float:
            return otherwise if value is None else in_base(value, size)

        step = in_base(instrument.size_increment, size)
        return cls(
            step=step,
            tick=exact(instrument.price_increment),
            min_quantity=max(units(instrument.min_quantity, step), step),
            max_quantity=units(instrument.max_quantity, MAX_QUANTITY),
            min_notional=amount(instrument.min_notional, 0.0),
            max_notional=amount(instrument.max_notional, math.inf),
            min_price=said(instrument.min_price, 0.0),
            max_price=said(instrument.max_price, MAX_PRICE),
        )

    def whole_steps(self, quantity: float) -> float:
        """The largest quantity in whole steps that is not above the one given."""
        return on_grid(max(quantity, 0.0), self.step, math.floor)

    def refusal(self, quantity: float, price: float, *, stop: float, target: float) -> str | None:
        """Why the venue would deny the entry, its stop or its target, with value and limit; None if it takes them.

        Parameters
        ----------
        quantity
            In base units, whole steps.
        price
            The newest price, at which the entry is expected to fill.
        stop, target
            Prices of the orders that protect the position; a short one's stop is the higher one.
        """
        if quantity < self.min_quantity:
            return f"quantity {quantity:.12g} below the venue's minimum {self.min_quantity:.12g}"
        if quantity > self.max_quantity:
            return f"quantity {quantity:.12g} above the venue's maximum {self.max_quantity:.12g}"
        protected = (("stop", stop), ("target", target))
        (low_name, low), (high_name, high) = sorted(protected, key=lambda one: one[1])
        lowest, highest = quantity * min(price, low), quantity * max(price, high)
        if lowest < self.min_notional:
            at = "" if quantity * price < self.min_notional else f" at the {low_name}"
            return f"notional{at} {money(lowest)} below the venue's minimum {money(self.min_notional)}"
        if highest > self.max_notional:
            at = "" if quantity * price > self.max_notional else f" at the {high_name}"
            return f"notional{at} {money(highest)} above the venue's maximum {money(self.max_notional)}"
        if low < (least := max(self.min_price, self.tick)):
            return f"{low_name} price {low:.12g} below the venue's lowest price {least:.12g}"
        if high > self.max_price:
            return f"{high_name} price {high:.12g} above the venue's highest price {self.max_price:.12g}"
        return None


def cut_to_volume(quantity: float, volume: float, share: float | None, limits: OrderLimits) -> tuple[float, str]:
    """A quantity cut to a share of what its decision bar traded, and the words that say so where it was cut.

    Parameters
    ----------
    quantity, volume
        In base units.
    share
        Of the volume; None for no cap.
    """
    most = quantity if share is None else limits.whole_steps(share * volume)
    if quantity <= most:
        return quantity, ""
    allowed = f"{volume:.12g} traded allow {most:.12g} of {quantity:.12g}"
    return most, f"{CUT}: {allowed} by trading.sizing.max_volume_share {share:.12g}"


def on_grid(value: float, step: float, outwards: Callable[[float], int]) -> float:
    """A price or quantity on the venue's grid, rounded by ``outwards`` unless only its last digits are off the grid.

    A long trade's stop rounds down and its target up, a short one's the other way round: see
    :mod:`trading_assets.strategies.orders.trade_orders`.
    """
    steps = value / step
    nearest = round(steps)
    return step * (nearest if math.isclose(steps, nearest, rel_tol=1e-12) else outwards(steps))
