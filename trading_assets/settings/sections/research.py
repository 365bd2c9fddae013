"""Labels, models, gates and the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from trading_assets.settings.sections.estimators import AnyEstimator, LightGBMSettings
from trading_assets.settings.sections.section import Fraction, Positive, Section


class LabelSettings(Section):
    """Triple barrier: which comes first, take-profit, stop-loss or the end of the horizon."""

    barriers: Literal["fixed", "atr", "volatility"] = Field("fixed", description="What their distances are made of.")
    take_profit_pct: Positive = Field(2.0, description="Of fixed barriers.")
    stop_loss_pct: Positive = Field(1.0, description="Of fixed barriers.")
    take_profit_multiple: Positive = Field(2.0, description="Of the scale, where barriers are not fixed.")
    stop_loss_multiple: Positive = Field(1.0, description="Of the scale, where barriers are not fixed.")
    scale_bars: int = Field(96, ge=2, le=2000, description="Bars of 15 minutes that the scale is measured on.")
    horizon_bars: int = Field(24, ge=1, description="In bars of 15 minutes.")
    ambiguous: Literal["worst_case", "best_case", "drop"] = Field(
        "worst_case", description="Who wins where one candle touched both; drop: the worst case, which does not train."
    )
    cost_bps: float | None = Field(
        None, ge=0, description="Costs of a round trip, taken from a label's return. Empty: those of `backtest`."
    )
    min_class_share: Fraction = Field(0.02, description="The label balance gate: the rarest class.")


class WalkForwardSettings(Section):
    """Training and test windows; purge and embargo are times, never row numbers."""

    train_days: Positive = 180.0
    anchored: bool = Field(False, description="Train from the start of the history on, instead of on the newest days.")
    purge_days: float = Field(2.0, ge=0)
    embargo_days: float = Field(1.0, ge=0)
    test_days: Positive = 30.0


class ModelSettings(Section):
    """A named model specification: what it is trained on and how."""

    moved: ClassVar[Mapping[str, str]] = {"lightgbm": "`estimator: {kind: lightgbm, ...}`"}

    markets: list[str] = Field(min_length=1)
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


class CostSettings(Section):
    """What a trade costs: read by labels, by the decision to enter, by the backtest and by the node's sandbox."""

    maker_fee_bps: float = Field(2.0, ge=0, description="Of a target that rests.")
    taker_fee_bps: float = Field(5.0, ge=0, description="Of entries, stops and exits at the market.")
    slippage_bps: float = Field(1.0, ge=0, description="Lost by each order at the market, charged with its fee.")
    slippage_probability: Fraction = Field(0.5, description="Chance that an order slips by one tick besides.")

    @property
    def market_order_bps(self) -> float:
        """Fee and slippage of one order at the market."""
        return self.taker_fee_bps + self.slippage_bps

    @property
    def round_trip_bps(self) -> float:
        """In and out at the market: the dearer way, as beforehand nobody knows that the target will be reached."""
        return 2 * self.market_order_bps


class BacktestSettings(CostSettings):
    """Costs, capital and fills of the simulated venue."""

    starting_balance: Positive = 100_000.0
    position_share: Fraction = Field(0.10, description="Notional of one position as a share of equity.")
    max_volume_share: Fraction | None = Field(
        0.1,
        description="An entry is at most this share of what its 15-minute bar traded, here and in the node. By the "
        "square-root law a tenth moves the price by a third of the bar's volatility: beyond that, a fill within one "
        "tick is not to be believed. Empty: volume is not looked at (candles that have none).",
    )
    target_fill: Literal["touch", "through"] = Field(
        "touch", description="A target fills where the price touches it, or only where it goes through it by a tick."
    )
    latency_ms: Positive = 100.0
    seed: int = 7

    def stressed(self) -> Self:
        """The same with fills as a sceptic sees them: targets one tick through, every order slips, twice as far."""
        worse = {"target_fill": "through", "slippage_probability": 1.0, "slippage_bps": 2 * self.slippage_bps}
        return self.model_copy(update=worse)
