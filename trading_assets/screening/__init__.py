"""Screening: thousands of parameter sets of a rule in a minute, by arithmetic, beside the event-driven engine.

Importing this loads neither numba nor an engine.
"""

from trading_assets.screening.frames import Screened, screen

__all__ = ["Screened", "screen"]
