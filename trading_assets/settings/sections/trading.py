"""What a trade costs, how large it is and what limits it: for backtest and node alike; and the simulated venue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field

from trading_assets.settings.sections.section import Fraction, Positive, Section


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


class SizingSettings(Section):
    """How large a position is."""

    position_share: Fraction = Field(0.10, description="Notional of one position as a share of equity.")
    kelly_fraction: Fraction | None = Field(
        None,
        description="Of the stake that makes equity grow fastest if the probability is right (Kelly): a position is as "
        "much, and at most `position_share`. A surer signal is larger. Empty: all are `position_share`.",
    )
    max_volume_share: Fraction | None = Field(
        0.1,
        description="An entry is at most this share of what its bar traded. By the square-root law a tenth moves the "
        "price by a third of the bar's volatility: beyond that, a fill within one tick is not to be believed. Empty: "
        "volume is not looked at (candles that have none).",
    )


class RiskSettings(Section):
    """Limits that are checked before every order."""

    max_position_notional: Positive = 20_000.0
    max_daily_loss: Positive = 2_000.0
    max_orders_per_minute: int | None = Field(
        None, ge=1, description="Empty: 10, and a round trip's 3 more for each further market."
    )


class TradingSettings(Section):
    """How signals are traded: by the backtest and by the node alike."""

    sizing: SizingSettings = SizingSettings()
    costs: CostSettings = CostSettings()
    risk: RiskSettings = RiskSettings()


class SimulationSettings(Section):
    """Capital and fills of the backtest's simulated venue; costs and sizes are those of `trading`."""

    moved: ClassVar[Mapping[str, str]] = {
        name: f"`trading.{part}.{name}`"
        for part, section in (("costs", CostSettings), ("sizing", SizingSettings))
        for name in section.model_fields
    }

    starting_balance: Positive = 100_000.0
    target_fill: Literal["touch", "through"] = Field(
        "touch", description="A target fills where the price touches it, or only where it goes through it by a tick."
    )
    latency_ms: Positive = 100.0
    seed: int = 7


class BacktestSettings(CostSettings, SizingSettings, SimulationSettings):
    """All that a backtest is run with: the section `backtest`, and the costs and sizes of `trading`."""

    moved: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def of(cls, simulation: SimulationSettings, trading: TradingSettings) -> Self:
        """Of the two sections."""
        return cls(**simulation.model_dump(), **trading.costs.model_dump(), **trading.sizing.model_dump())

    def stressed(self) -> Self:
        """The same with fills as a sceptic sees them: targets one tick through, every order slips, twice as far."""
        worse = {"target_fill": "through", "slippage_probability": 1.0, "slippage_bps": 2 * self.slippage_bps}
        return self.model_copy(update=worse)
