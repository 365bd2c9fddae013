"""How large a position is: the section `trading.sizing`, by ``kind``, and where further kinds are added."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, SerializeAsAny

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.section import Fraction, Positive

PROFILES: Final = MappingProxyType({"cautious": 0.01, "normal": 0.02, "bold": 0.03})
"""Profile -> the share of equity that a trade may lose at its stop."""

Share = Annotated[float, Field(gt=0, le=1)]


class SizingSettings(KindSection):
    """What every sizing has: a kind, and the share of a bar's volume that nobody exceeds."""

    max_volume_share: Fraction | None = Field(
        0.1,
        description="An entry is at most this share of what its bar traded. By the square-root law a tenth moves the "
        "price by a third of the bar's volatility: beyond that, a fill within one tick is not to be believed. Empty: "
        "volume is not looked at (candles that have none).",
    )

    @property
    def most(self) -> float:
        """The largest notional that it may ask for, as a multiple of equity."""
        raise NotImplementedError(self.kind)


class EquityShareSettings(SizingSettings):
    """Every position is the same share of equity, or less where a fraction of its Kelly stake is less."""

    kind: Literal["equity_share"] = "equity_share"
    position_share: Fraction = Field(0.10, description="Notional of one position as a share of equity.")
    kelly_fraction: Fraction | None = Field(
        None,
        description="Of the stake that makes equity grow fastest if the probability is right (Kelly): a position is as "
        "much, and at most `position_share`. A surer signal is larger. Empty: all are `position_share`.",
    )

    @property
    def most(self) -> float:
        """The share."""
        return self.position_share


class BoundedSizingSettings(SizingSettings):
    """What a sizing has whose positions differ: a bound for all of them."""

    max_position_share: Positive = Field(
        1.0, description="Notional of one position at most, as a multiple of equity; above 1 it is borrowed."
    )

    @property
    def most(self) -> float:
        """The bound."""
        return self.max_position_share


class RiskPerTradeSettings(BoundedSizingSettings):
    """A position loses a set share of equity where its stop is reached, costs included: a near stop makes it large."""

    kind: Literal["risk_per_trade"] = "risk_per_trade"
    profile: Literal["cautious", "normal", "bold"] = Field(
        "normal", description="What a trade loses at its stop: 1, 2 or 3 % of equity."
    )
    risk_share: Share | None = Field(None, description="The same as a share of equity, in place of a profile.")

    @property
    def risk(self) -> float:
        """Of equity, what a trade may lose at its stop."""
        return PROFILES[self.profile] if self.risk_share is None else self.risk_share


class VolatilityTargetSettings(BoundedSizingSettings):
    """A position moves equity by a set volatility a year: a calm market's is large, a wild one's small."""

    kind: Literal["volatility_target"] = "volatility_target"
    annual_volatility: Positive = Field(
        0.10, description="Of equity, by one position that is always held: 0.10 is 10 % a year."
    )
    window_days: Positive = Field(
        7.0, le=90, description="The market's volatility is that of the closes of so many days up to the decision."
    )

    @property
    def window(self) -> timedelta:
        """How far back the market's volatility is taken from."""
        return timedelta(days=self.window_days)


class KellySettings(BoundedSizingSettings):
    """A fraction of the stake with which equity grows fastest if the probability is right, by how certain it is."""

    kind: Literal["kelly"] = "kelly"
    max_position_share: Positive = Field(
        0.25, description="Notional of one position at most, as a multiple of equity; above 1 it is borrowed."
    )
    fraction: Share = Field(
        0.01,
        description="Of the Kelly stake, where the prediction set holds take-profit alone. The stake itself is many "
        "times equity, and right only if the probability is.",
    )
    when_ambiguous: Fraction = Field(
        0.5,
        description="Of the fraction, where the prediction set holds both outcomes, or the model gives none. A set "
        "without take-profit, or an empty one, is not entered on.",
    )


SIZINGS = Kinds(
    SizingSettings,
    "a sizing",
    EquityShareSettings,
    RiskPerTradeSettings,
    VolatilityTargetSettings,
    KellySettings,
    default="equity_share",
)

AnySizing = Annotated[SerializeAsAny[SizingSettings], SIZINGS]
"""The section ``sizing`` of `trading` or of a model: parameters by ``kind``; without one it is an equity share."""
