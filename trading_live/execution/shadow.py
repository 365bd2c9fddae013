"""Shadow trading: decisions on a venue's live data as they would be, and nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trading_assets.strategies.orders.matching import SHADOW, Matching
from trading_live.execution.sandbox import Sandbox

HYPOTHETICAL: Final = "shadow"
"""What ``fills.filled_by`` says of fills that never were."""


class Shadow(Sandbox):
    """The sandbox's matching for orders that nobody sends: every fill is journalled as a hypothetical one.

    It is what runs beside a node that trades, on an account of its own size (``node.starting_balance``) and in a data
    folder of its own: same models, plans and risk, so that its trades show what the other's should have been.
    """

    def matching(self, markets: Sequence[str]) -> Matching:
        """The sandbox's, with fills that say what they are."""
        return SHADOW
