"""What a drift test offers."""

from __future__ import annotations

from typing import Protocol

from trading_assets.monitoring.comparison import Comparison, Measured


class DriftTest(Protocol):
    """Compares each new day with the training window, all subjects at once.

    Attributes
    ----------
    name
        What settings call it.
    """

    name: str

    def measure(self, compared: Comparison, least: float) -> Measured:
        """Look at each new day.

        Parameters
        ----------
        compared
            Training window and new days, as counts in cells; and how rarely the test may be wrong.
        least
            A threshold that the settings set: no smaller distance is an alarm; 0 where they set none.
        """
        ...
