"""The parameters of rules: one section per kind, and the place where further kinds are added."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.ranges import Range, Searched


class RuleSettings(KindSection):
    """What every rule has: a kind. Each set of its parameters that is tried counts as a trial."""


class EmaCrossRsiSettings(RuleSettings):
    """Long where the fast mean crosses above the slow one and is not overbought; short the other way round."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "fast": Range(low=3, high=24, log=True),
        "slow": Range(low=26, high=200, log=True),
        "rsi": Range(low=5, high=30),
        "overbought": Range(low=60.0, high=95.0),
        "oversold": Range(low=5.0, high=40.0),
    }

    kind: Literal["ema_cross_rsi"] = "ema_cross_rsi"
    fast: int = Field(12, ge=2, description="Bars of the fast exponential mean.")
    slow: int = Field(26, ge=3, description="Bars of the slow one.")
    rsi: int = Field(14, ge=2, description="Bars of the relative strength index.")
    overbought: float = Field(70.0, ge=0, le=100, description="No long trade at this index or above.")
    oversold: float = Field(30.0, ge=0, le=100, description="No short trade at this index or below.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} must be fewer bars than slow {self.slow}")
        if self.oversold >= self.overbought:
            raise ValueError(f"oversold {self.oversold:g} must be below overbought {self.overbought:g}")
        return self


class MacdBollingerSettings(RuleSettings):
    """Long where a fall within a rising trend left the lower band and turns; short the other way round."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "bars": Range(low=10, high=60, log=True),
        "deviations": Range(low=1.0, high=3.0),
        "within": Range(low=1, high=12),
        "fast": Range(low=4, high=20, log=True),
        "slow": Range(low=21, high=60, log=True),
        "signal": Range(low=4, high=18, log=True),
        "trend": Range(low=80, high=400, log=True),
    }

    kind: Literal["macd_bollinger"] = "macd_bollinger"
    bars: int = Field(20, ge=2, description="Bars of the bands' mean and deviation.")
    deviations: float = Field(2.0, gt=0, description="Standard deviations from the mean to either band.")
    within: int = Field(5, ge=1, description="Bars, the present one included, within which a close left the band.")
    fast: int = Field(12, ge=2, description="Bars of the MACD's fast exponential mean.")
    slow: int = Field(26, ge=3, description="Bars of its slow one.")
    signal: int = Field(9, ge=2, description="Bars of its signal line.")
    trend: int = Field(200, ge=3, description="Bars of the mean that the bands' mean must be above for a long trade.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} must be fewer bars than slow {self.slow}")
        if self.bars >= self.trend:
            raise ValueError(f"bars {self.bars} must be fewer than those of the trend, {self.trend}")
        return self


class MomentumSettings(RuleSettings):
    """Long where the price has risen by more than its volatility explains; short where it has fallen so."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "bars": Range(low=4, high=192, log=True),
        "volatility": Range(low=24, high=384, log=True),
        "threshold": Range(low=0.0, high=3.0),
    }

    kind: Literal["momentum"] = "momentum"
    bars: int = Field(24, ge=1, description="Bars whose return is looked at.")
    volatility: int = Field(96, ge=2, description="Bars that the volatility is measured on.")
    threshold: float = Field(1.0, ge=0, description="Standard deviations of such a return that it must exceed.")


class MeanReversionSettings(RuleSettings):
    """Long where the close lies far below its mean; short where it lies far above."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "bars": Range(low=12, high=192, log=True),
        "entry": Range(low=0.5, high=3.2),
    }

    kind: Literal["mean_reversion"] = "mean_reversion"
    bars: int = Field(48, ge=3, description="Bars of mean and deviation.")
    entry: float = Field(2.0, gt=0, description="Standard deviations from the mean at which a trade is wanted.")

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.entry >= (farthest := math.sqrt(self.bars - 1)):
            raise ValueError(
                f"entry {self.entry:g} is out of reach: of {self.bars} closes none is {farthest:.2f} deviations away"
            )
        return self


class DonchianSettings(RuleSettings):
    """Long where a close breaks out above the highest high of some bars; short below the lowest low."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "bars": Range(low=5, high=200, log=True),
    }

    kind: Literal["donchian"] = "donchian"
    bars: int = Field(20, ge=1, description="Bars of the channel, the present one not included.")


class GridSettings(RuleSettings):
    """Long where a close falls to a level below the middle of a range that holds; short where it rises to one above."""

    search: ClassVar[Mapping[str, Searched] | None] = {
        "bars": Range(low=24, high=384, log=True),
        "levels": Range(low=1, high=8),
        "drift": Range(low=0.1, high=1.0),
    }

    kind: Literal["grid"] = "grid"
    bars: int = Field(96, ge=4, description="Bars of the range, the present one not included.")
    levels: int = Field(3, ge=1, le=50, description="On either side of the middle; the last one is the range's end.")
    drift: float = Field(
        0.4,
        gt=0,
        le=1,
        description="Way from the range's first close to its last, of its height, up to which it holds.",
    )


RULES = Kinds(
    RuleSettings,
    "a rule",
    EmaCrossRsiSettings,
    MacdBollingerSettings,
    MomentumSettings,
    MeanReversionSettings,
    DonchianSettings,
    GridSettings,
)

add_rule_settings = RULES.add
rule_kinds = RULES.names

AnyRule = Annotated[SerializeAsAny[RuleSettings], RULES]
"""The section ``rule`` of a model or of a label set: parameters by ``kind``."""
