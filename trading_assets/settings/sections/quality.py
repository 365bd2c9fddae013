"""The candle checks: how severe each is, and its limits; docs/concepts/quality-gates.md shows what each catches."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trading_assets.settings.sections.section import Fraction, Positive, Section

Severity = Literal["block", "warn", "off"]
"""``block`` stops what follows in the run, ``warn`` is shown and stops nothing, ``off`` is not looked at."""


class Blocking(Section):
    """A check that stops what follows unless the settings say otherwise."""

    severity: Severity = "block"


class Advisory(Section):
    """A check that warns unless the settings say otherwise: real markets can look like this."""

    severity: Severity = "warn"


class GapShare(Blocking):
    """Missing candles per month."""

    max_share: Fraction = Field(0.02, description="Missing for any other reason than that nobody traded.")
    max_empty_share: Fraction = Field(0.5, description="Confirmed empty by the exchange: nobody traded.")


class ClockSkew(Blocking):
    """Bars from the future."""

    tolerance_s: float = Field(0.0, ge=0, description="How long before its end a bar may be stored.")


class FrozenPrices(Advisory):
    """Runs of bars whose four prices are one and the same."""

    max_bars: int = Field(30, ge=2)


class ZeroVolume(Advisory):
    """Runs of bars in which nothing was traded."""

    max_bars: int = Field(60, ge=1)


class Outliers(Advisory):
    """Prices far from those before and after them."""

    max_z: Positive = Field(50.0, description="In robust standard deviations of one bar's move.")
    min_move_pct: Positive = Field(2.0, description="Smaller ones are never outliers.")


class LevelStep(Advisory):
    """Prices that go to another level at once and stay there."""

    min_factor: float = Field(1.5, gt=1, description="The least ratio of both levels; rows across it are left out.")


class VolumeUnit(Advisory):
    """Volumes that change their unit."""

    max_factor: float = Field(20.0, gt=1, description="Typical volume of the 24 hours after an hour and before it.")


class SecondExchange(Advisory):
    """Closes beside those of the market's `second_exchange`."""

    max_bps: Positive = 100.0
    bars: int = Field(5, ge=1, description="The median of so many bars must deviate: one bar is noise.")


class Freshness(Advisory):
    """Age of the newest candle of a history that goes on today."""

    max_delay_minutes: Positive = 90.0


class FundingGaps(Advisory):
    """Funding payments that are missing."""


class QualitySettings(Section):
    """The candle checks by name, and that of the funding rates."""

    candle_schema: Blocking = Blocking()
    no_duplicates: Blocking = Blocking()
    ohlc_consistency: Blocking = Blocking()
    monotone_time: Blocking = Blocking()
    gap_share: GapShare = GapShare()
    clock_skew: ClockSkew = ClockSkew()
    frozen_prices: FrozenPrices = FrozenPrices()
    outliers: Outliers = Outliers()
    level_step: LevelStep = LevelStep()
    zero_volume: ZeroVolume = ZeroVolume()
    volume_unit: VolumeUnit = VolumeUnit()
    second_exchange: SecondExchange = SecondExchange()
    freshness: Freshness = Freshness()
    funding_gaps: FundingGaps = FundingGaps()

    def severity(self, check: str) -> Severity:
        """How severe a check is."""
        gate: Blocking | Advisory = getattr(self, check)
        return gate.severity
