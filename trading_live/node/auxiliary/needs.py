"""Which auxiliary series a node holds, of which markets, and how far back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.auxiliary_series import COMPANIONS

RECORDED: Final = ("book", "trades")
"""Listened to, and recorded by the node itself: what it knew is what is stored."""

LIVE: Final = (*RECORDED, "funding", "sentiment")
"""What a node holds beside bars: listened to, asked for, or read."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is read, and how many bars back.

    Attributes
    ----------
    bars
        Series and market -> timeframe -> bars.
    spreads
        Markets whose order books are listened to for the protections, whoever reads them.
    payments
        Perpetuals whose funding is asked for, whoever reads it.
    """

    bars: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    spreads: frozenset[str] = frozenset()
    payments: frozenset[str] = frozenset()

    def markets(self, name: str) -> list[str]:
        """The markets of which a series is read."""
        return sorted(market for one, market in self.bars if one == name)

    def reach(self, name: str, market: str) -> timedelta:
        """How far before now a series of a market is read."""
        length = (
            Timeframe.parse(timeframe).length * bars for timeframe, bars in self.bars.get((name, market), {}).items()
        )
        return max(length, default=timedelta(0)) + COMPANIONS[name].max_age


NO_NEEDS: Final = Needs()
