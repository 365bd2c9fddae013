"""What an order at the market loses beside its fee: the section `trading.costs.slippage`, by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.section import Positive


class SlippageSettings(KindSection):
    """What every slippage model has: a kind."""


class FixedSlippageSettings(SlippageSettings):
    """Every order loses `slippage_bps`."""

    kind: Literal["fixed"] = "fixed"


class MeasuredSlippageSettings(SlippageSettings):
    """What a model has that looks at the market."""

    bars: int = Field(96, ge=2, description="Decision bars that it looks back on; until there are so many, the fixed.")
    scale: Positive = Field(1.0, description="What it finds is multiplied by.")


class SpreadSlippageSettings(MeasuredSlippageSettings):
    """Half the spread: of the newest recorded order book, or else estimated from highs and lows (Corwin, Schultz)."""

    kind: Literal["spread"] = "spread"


class ImpactSlippageSettings(MeasuredSlippageSettings):
    """`slippage_bps`, and what the order moves the price: volatility times the root of its share of the volume."""

    kind: Literal["impact"] = "impact"


SLIPPAGES = Kinds(
    SlippageSettings,
    "a slippage model",
    FixedSlippageSettings,
    SpreadSlippageSettings,
    ImpactSlippageSettings,
    default="fixed",
)

AnySlippage = Annotated[SerializeAsAny[SlippageSettings], SLIPPAGES]
"""A section `trading.costs.slippage`, by ``kind``; without one it is fixed."""
