"""When a candidate takes the champion's place, and how many others decide in shadow beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trading_assets.settings.sections.section import Fraction, Positive, Section


class PromotionSettings(Section):
    """What a candidate that passed its gates must show against the champion on the same out-of-sample days."""

    min_better: Fraction = Field(
        0.6,
        description="Probability, by paired block bootstrap, that it is better than the champion; below it is a "
        "challenger. A model that is no better is deployed in 1 - `min_better` of cases.",
    )
    measure: Literal["sharpe", "mean_return"] = Field("sharpe", description="Of daily returns: what is better.")
    min_common_days: int = Field(
        30, ge=10, description="Days that both have out of sample; with fewer, a candidate is a challenger."
    )
    resamples: int = Field(2000, ge=100, description="Series that the bootstrap draws.")
    max_challengers: int = Field(
        8, ge=0, description="Of one model in shadow; the oldest is archived where there are more. 0: none is kept."
    )
    challenger_days: Positive | None = Field(
        None,
        description="After so many days in common with the champion in shadow, a challenger that is better with a "
        "probability of `min_better` is promoted. Empty: by hand only.",
    )
    min_trades: int = Field(
        10,
        ge=1,
        description="Trades that a challenger needs in shadow to be promoted by the rule of `challenger_days`.",
    )
