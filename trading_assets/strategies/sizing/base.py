"""The seat of a sizing: what says how large a position is to be, before any limit is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

from trading_assets.settings import SizingSettings
from trading_assets.strategies.signals import Signal

NO_LOOK_BACK: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Stake:
    """How large a position is to be.

    Attributes
    ----------
    share
        Its notional as a multiple of equity; 0 where nothing is to be entered.
    why
        How it came about, with its numbers; empty where it is the same for all.
    """

    share: float
    why: str = ""


class Sizing[P: SizingSettings](ABC):
    """Says how large a position is to be; pure: no clock, no I/O, no state.

    Parameters
    ----------
    settings
        Its section of the settings.
    """

    section: type[Any]
    """Of its parameters; the default of ``kind`` is its name."""

    source: ClassVar[str]
    """Where it comes from: a paper, a book, or in one's own words."""

    def __init__(self, settings: P) -> None:
        self.settings = settings

    @property
    def look_back(self) -> timedelta:
        """Over how much time before the decision the market's volatility is wanted; nothing where it is not."""
        return NO_LOOK_BACK

    @abstractmethod
    def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
        """How large a position on a signal is to be.

        Parameters
        ----------
        signal
            Which is wanted: its probability, the distances of its stop and target, its costs.
        volatility
            The market's, a year (0.6 is 60 %), over ``look_back`` up to the decision; None where too little is known.
        """


def bounded(share: float, most: float, why: str) -> Stake:
    """A share cut to the sizing's own bound, and the words that say so."""
    if share <= most:
        return Stake(share, why)
    return Stake(most, f"{why}, at most {most:.4g} (trading.sizing.max_position_share)")
