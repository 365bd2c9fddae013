"""Models and gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from trading_assets.core.sides import Side
from trading_assets.settings.sections.estimators import AnyEstimator, LightGBMSettings
from trading_assets.settings.sections.labels import DEFAULT_LABELS
from trading_assets.settings.sections.section import Fraction, Positive, Section, TradeSide


class WalkForwardSettings(Section):
    """Training and test windows; purge and embargo are times, never row numbers."""

    train_days: Positive = 180.0
    anchored: bool = Field(False, description="Train from the start of the history on, instead of on the newest days.")
    purge_days: float = Field(2.0, ge=0)
    embargo_days: float = Field(1.0, ge=0)
    test_days: Positive = 30.0


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


class ModelSettings(Section):
    """A named model specification: what it is trained on and how."""

    moved: ClassVar[Mapping[str, str]] = {"lightgbm": "`estimator: {kind: lightgbm, ...}`"}

    kind: Literal["model"] = Field("model", description="What decides: a model that is trained.")
    markets: list[str] = Field(min_length=1)
    label: str = Field(
        DEFAULT_LABELS, description="A name under `labels`, of which it has the timeframe. Empty: the only one there."
    )
    sides: list[TradeSide] = Field(
        [Side.LONG],
        min_length=1,
        description="What it may trade; long and short are learnt each for itself.",
        json_schema_extra={"default": ["long"]},
    )
    features: list[str] = Field(
        [], description="Names, families or patterns (`rsi_*`) of the features that it learns from. Empty: all."
    )
    walk_forward: WalkForwardSettings = WalkForwardSettings()
    estimator: AnyEstimator = Field(LightGBMSettings(), description="What learns, by `kind`, and its parameters.")
    sample_weights: Literal["none", "uniqueness", "attribution"] = Field(
        "none", description="What a row counts in training: outcomes that overlap tell the same story."
    )
    oldest_weight: float = Field(
        1.0, gt=-1, le=1, description="Time decay: the oldest row's factor; 1 none, -0.3 the oldest 30 % count nothing."
    )
    max_missing_share: Fraction = Field(
        0.05, description="Of the candles from a label's entry to its end: rows that lack more of them do not train."
    )
    companions: list[Literal["leader", "funding", "sentiment", "book", "trades"]] = Field(
        [],
        description="Whose features it learns from, beside those of its own bars; refused where nothing of it is "
        "stored. The node has `leader` alone.",
    )
    holdout_days: float = Field(0, ge=0, description="The newest days, kept from training for a rehearsal on paper.")
    min_edge_bps: float = Field(
        0.0,
        description="Trade where the expected return after costs exceeds this: p x target - (1 - p) x stop - costs.",
    )
    threshold: Fraction | None = Field(
        None, description="A probability of take-profit that a trade must reach besides. Empty: the return decides."
    )

    gates: GateOverrides = GateOverrides()

    @field_validator("sides")
    @classmethod
    def _each_side_once(cls, value: list[Side]) -> list[Side]:
        if len(set(value)) < len(value):
            raise ValueError("a side is there twice; keep one of them")
        return sorted(value, reverse=True)

    def ungated(self) -> Self:
        """Without its gates, which judge what comes of it and change nothing of that."""
        return self.model_copy(update={"gates": GateOverrides()})

    @model_validator(mode="after")
    def _decay_of_weights(self) -> Self:
        if self.sample_weights == "none" and self.oldest_weight != 1:
            raise ValueError("oldest_weight changes sample weights: set sample_weights to uniqueness or attribution")
        return self


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
