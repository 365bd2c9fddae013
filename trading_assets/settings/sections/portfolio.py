"""How one account's equity is shared out among the models that trade it: the section `portfolio`."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.section import Fraction, Misfit, Positive, Section

_DAYS: Final = {"daily": "* * *", "weekly": "* * 1", "monthly": "1 * *"}

Measure = Literal["variance", "semi_variance", "cvar", "cdar"]
"""Of a sleeve's daily returns: what risk is measured by."""


class MethodSettings(KindSection):
    """What every method has: a kind."""


class EqualSettings(MethodSettings):
    """All sleeves alike. What every other method must beat to be used."""

    kind: Literal["equal"] = "equal"


class InverseVolatilitySettings(MethodSettings):
    """The less a sleeve's daily returns vary, the more it has; what they have in common is not looked at."""

    kind: Literal["inverse_volatility"] = "inverse_volatility"


class RiskParitySettings(MethodSettings):
    """Hierarchical risk parity: sleeves that move together share what one of them would have."""

    kind: Literal["risk_parity"] = "risk_parity"
    measure: Measure = Field("variance", description="What risk is measured by.")


class RiskBudgetingSettings(MethodSettings):
    """Each sleeve contributes its budget to the risk of the whole."""

    kind: Literal["risk_budgeting"] = "risk_budgeting"
    measure: Measure = Field("variance", description="What risk is measured by.")
    budgets: dict[str, Positive] = Field({}, description="Model -> parts of the risk; 1 where it is not named.")


class MinCvarSettings(MethodSettings):
    """The smallest mean loss of the worst days."""

    kind: Literal["min_cvar"] = "min_cvar"
    confidence: float = Field(0.95, gt=0.5, lt=1, description="The worst days are those beyond it: 0.95 means 5 %.")


METHODS: Final = Kinds(
    MethodSettings,
    "a method",
    EqualSettings,
    InverseVolatilitySettings,
    RiskParitySettings,
    RiskBudgetingSettings,
    MinCvarSettings,
)

method_kinds = METHODS.names

AnyMethod = Annotated[SerializeAsAny[MethodSettings], METHODS]
"""The section `method` of `portfolio`: parameters by ``kind``."""


class PortfolioGateSettings(Section):
    """What weights must keep to before the node gets them."""

    max_turnover: Positive = Field(
        6.0, description="Weight moved in a year of the walk-forward, one way: 1 is the account once."
    )
    min_effective_sleeves: float = Field(
        1.5, ge=1, description="One over the sum of squared shares; where fewer sleeves are approved, their number."
    )
    max_drawdown_ratio: Positive = Field(
        1.5, description="The portfolio's deepest drawdown over that of the sleeve with the highest Sharpe ratio."
    )


class PortfolioSettings(Section):
    """Approved models as sleeves of one account: a weight is the share of equity that a sleeve trades."""

    method: AnyMethod = Field(EqualSettings(), description="How weights are found, by `kind`, and its parameters.")
    lookback_days: int = Field(90, ge=10, description="Days of out-of-sample returns that weights are found on.")
    min_history_days: int = Field(
        30, ge=5, description="A sleeve with fewer of them has no weight while others have more."
    )
    embargo_days: float = Field(1.0, ge=0, description="Days before a decision that are not looked at.")
    rebalance: Literal["daily", "weekly", "monthly"] = Field(
        "weekly", description="When weights are looked at: at midnight UTC, on Mondays, on the first of a month."
    )
    drift_band: Fraction = Field(
        0.05, description="Weights stay until one of them is off its target by more than this; then all are set anew."
    )
    min_weight: Fraction = Field(0.0, description="Of a sleeve that has any; less where there are too many for it.")
    max_weight: Fraction = Field(1.0, gt=0, description="Of a sleeve; what is left over stays cash.")
    min_better: Fraction = Field(
        0.6,
        description="Probability, by paired block bootstrap, that the walk-forward of the method beats that of equal "
        "weights; below it, weights are equal.",
    )
    measure: Literal["sharpe", "mean_return"] = Field("sharpe", description="Of daily returns: what is better.")
    min_common_days: int = Field(60, ge=10, description="Days that this takes; with fewer, weights are equal.")
    resamples: int = Field(2000, ge=100, description="Series that the bootstrap draws.")
    gates: PortfolioGateSettings = PortfolioGateSettings()

    @property
    def cron(self) -> str:
        """When the job runs (UTC): after the night's retraining; the weights are those of that day's midnight."""
        return f"40 4 {_DAYS[self.rebalance]}"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_weight > self.max_weight:
            raise Misfit(f"min_weight {self.min_weight:g} is above max_weight {self.max_weight:g}", "min_weight")
        if self.min_history_days > self.lookback_days:
            what = f"min_history_days {self.min_history_days} are more than the {self.lookback_days} of lookback_days"
            raise Misfit(what, "min_history_days")
        return self
