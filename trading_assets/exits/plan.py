"""An exit plan for one trade: distances as fractions of its entry price, and what moves its stop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Self

from trading_assets.settings.sections.exits import ExitSettings


class Target(NamedTuple):
    """Where a part of a position is closed.

    Attributes
    ----------
    distance
        From the entry price, as a fraction of it.
    share
        Of the quantity entered.
    """

    distance: float
    share: float


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """Everything that happens to a trade after its entry, known before it is sent; prices follow from its fill.

    Attributes
    ----------
    stop
        Distance of the stop from the entry price, as a fraction of it.
    targets
        From near to far; shares make up the whole or less.
    hold
        From the moment that the signal was known; what is left then is closed at the market.
    break_even_after
        After so many filled targets the stop lies where the trade ends without a loss, costs included; None: never.
    trailing
        Distance of the stop from the best price, as a fraction of the entry price; None: it does not follow.
    trailing_after
        Filled targets from which on the stop follows; 0 from the entry on.
    on_opposite
        Whether a wanted trade of the other side closes this one.
    before_funding
        Whether it is closed before a funding payment that costs more than what is left to gain.
    """

    stop: float
    targets: tuple[Target, ...]
    hold: timedelta
    break_even_after: int | None = None
    trailing: float | None = None
    trailing_after: int = 1
    on_opposite: bool = False
    before_funding: bool = False

    @classmethod
    def bracket(cls, take_profit: float, stop_loss: float, hold: timedelta) -> Self:
        """One target for the whole, one stop, and the end of the horizon; distances as fractions."""
        return cls(stop_loss, (Target(take_profit, 1.0),), hold)

    @classmethod
    def of(cls, settings: ExitSettings, unit: float) -> Self:
        """A named plan at a decision.

        Parameters
        ----------
        unit
            What one of its distances is worth, as a fraction of the price: an average true range over the close as the
            decision bar shows it, or a hundredth.
        """
        follows = settings.trailing
        return cls(
            stop=settings.stop * unit,
            targets=tuple(Target(target.at * unit, target.share) for target in settings.targets),
            hold=settings.hold,
            break_even_after=settings.break_even_after,
            trailing=follows.distance * unit if follows is not None else None,
            trailing_after=0 if follows is not None and follows.after == "entry" else 1,
            on_opposite=settings.on_opposite,
            before_funding=settings.before_funding,
        )
