"""How far the node's trades may be from a backtest of the same bars."""

from __future__ import annotations

from pydantic import Field

from trading_assets.settings.sections.section import Positive, Section


class DivergenceSettings(Section):
    """Live, paper or shadow trades beside a backtest of the same bars and signals."""

    max_gap_bps: Positive = Field(
        10.0,
        description="A day's mean gap of a trade, either way, in basis points of the notional: about what a round trip "
        "costs at the market. The check fails above.",
    )
    max_unexplained_bps: Positive = Field(
        1.0, description="A day's mean of what no cause explains, either way. The check fails above."
    )
    days: int = Field(
        7, ge=1, le=365, description="So many of the newest days are compared again: trades end, funding comes later."
    )
