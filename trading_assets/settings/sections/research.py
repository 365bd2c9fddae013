"""Walk-forward and gates."""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from trading_assets.settings.sections.section import Fraction, Positive, Section


class WalkForwardSettings(Section):
    """Training and test windows; purge and embargo are times, never row numbers."""

    train_days: Positive = 180.0
    anchored: bool = Field(False, description="Train from the start of the history on, instead of on the newest days.")
    purge_days: float = Field(2.0, ge=0)
    embargo_days: float = Field(1.0, ge=0)
    test_days: Positive = 30.0
    tested_from: date | None = Field(
        None, description="No test window begins before this day (UTC): what a search saw is not what judges its find."
    )

    @model_serializer(mode="wrap")
    def _unset_leaves_no_trace(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Windows without it are what they were before there was this setting: in hashes of configurations too."""
        told: dict[str, Any] = dump(self)
        return told if self.tested_from is not None else {k: v for k, v in told.items() if k != "tested_from"}


class GateOverrides(Section):
    """A model's own gates; empty: that of the section `gates`."""

    min_sharpe: float | None = None
    min_win_rate: Fraction | None = None
    min_profit_factor: float | None = None
    max_drawdown: Fraction | None = None
    min_trades: int | None = None
    min_dsr: Fraction | None = None
    max_pbo: Fraction | None = None
    min_skill_low: float | None = Field(None, ge=-1, le=1)
    parity_bars: int | None = Field(None, ge=1)


class GateSettings(Section):
    """What a candidate's out-of-sample backtest must reach to be approved."""

    min_sharpe: float = 1.2
    min_win_rate: Fraction = 0.45
    min_profit_factor: float = 1.5
    max_drawdown: Fraction = 0.15
    min_trades: int = 30
    min_dsr: Fraction = Field(
        0.95, description="Deflated Sharpe ratio: probability of more than the luck of many tries."
    )
    max_pbo: Fraction = Field(
        0.5,
        description="Probability that the past's best band is below the median later, or not one to trade.",
    )
    min_skill_low: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="Lower 95 % bound of the correlation between the rank of a probability and the return after it.",
    )
    parity_bars: int = Field(
        100, ge=1, description="Newest bars of each market on which the node's computation must equal the stored one."
    )

    def of(self, overrides: GateOverrides) -> Self:
        """These gates with a model's own in their place."""
        return self.model_copy(update=overrides.model_dump(exclude_none=True))
