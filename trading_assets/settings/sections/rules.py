"""The parameters of rules: one section per kind, and the place where further kinds are added."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from trading_assets.settings.sections.kinds import Kinds, KindSection


class RuleSettings(KindSection):
    """What every rule has: a kind. Each set of its parameters that is tried counts as a trial."""


class EmaCrossRsiSettings(RuleSettings):
    """Long where the fast mean crosses above the slow one and is not overbought; short the other way round."""

    kind: Literal["ema_cross_rsi"] = "ema_cross_rsi"
    fast: int = Field(12, ge=1, description="Bars of the fast exponential mean.")
    slow: int = Field(26, ge=2, description="Bars of the slow one.")
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


RULES = Kinds(RuleSettings, "a rule", EmaCrossRsiSettings)

add_rule_settings = RULES.add
rule_kinds = RULES.names

AnyRule = Annotated[SerializeAsAny[RuleSettings], RULES]
"""The section ``rule`` of a model or of a label set: parameters by ``kind``."""
