"""Named exit plans: what becomes of an open trade, between its entry and the last of its quantity."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from trading_assets.settings.sections.section import Fraction, Misfit, Positive, Section

_WHOLE = 1 + 1e-9


class TargetSettings(Section):
    """A price at which a part of the position is sold, or bought back."""

    at: Positive = Field(description="Distance from the entry, in the plan's unit.")
    share: Fraction = Field(description="Of the quantity that was entered.")


class TrailingSettings(Section):
    """A stop that follows the best price at the end of each decision bar, and never goes back."""

    distance: Positive = Field(1.0, description="From the best price, in the plan's unit.")
    after: Literal["entry", "first_target"] = Field("first_target", description="From when on.")


class ExitSettings(Section):
    """A named exit plan. Three targets of 30, 40 and 30 % at 1, 2 and 3 average true ranges, where nothing is said."""

    unit: Literal["atr", "percent"] = Field(
        "atr", description="What distances are measured in: average true ranges, or percent of the entry price."
    )
    atr_bars: int = Field(96, ge=2, le=2000, description="Decision bars that the average true range is taken over.")
    stop: Positive = Field(1.5, description="Distance of the stop from the entry, in the plan's unit.")
    targets: list[TargetSettings] = Field(
        [TargetSettings(at=1, share=0.3), TargetSettings(at=2, share=0.4), TargetSettings(at=3, share=0.3)],
        max_length=8,
        description="From near to far. Shares make up the whole, or less: then the rest is left to the trailing stop, "
        "the opposite signal or time.",
    )
    break_even_after: int | None = Field(
        1, ge=1, description="Targets after which the stop is where the trade ends without a loss. Empty: it stays."
    )
    trailing: TrailingSettings | None = Field(TrailingSettings(), description="Empty: the stop does not follow.")
    hold_hours: Positive = Field(48.0, description="What is left then is closed at the market.")
    on_opposite: bool = Field(True, description="Whether a wanted trade of the other side closes this one.")
    before_funding: bool = Field(
        False, description="Whether to close before a funding payment that costs more than what is left to gain."
    )

    @property
    def hold(self) -> timedelta:
        """How long a trade is held at most."""
        return timedelta(hours=self.hold_hours)

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        distances = [target.at for target in self.targets]
        if distances != sorted(set(distances)):
            raise Misfit(
                f"targets are not in order: {', '.join(f'{one:g}' for one in distances)}; near to far", "targets"
            )
        total = sum(target.share for target in self.targets)
        if total > _WHOLE or any(target.share <= 0 for target in self.targets):
            raise Misfit(f"shares of the targets make {total:.0%}; each is above 0, together at most 100 %", "targets")
        if self.unit == "percent" and self.stop >= 100:
            raise Misfit(f"a stop at {self.stop:g} % is never reached by a long trade; write less than 100", "stop")
        if self.break_even_after is not None and self.break_even_after > max(len(self.targets), 1):
            what = f"break_even_after {self.break_even_after} waits for a target that is not there"
            raise Misfit(
                f"{what}: there are {len(self.targets)}; leave it empty for a stop that stays", "break_even_after"
            )
        if self.trailing is not None and self.trailing.after == "first_target" and not self.targets:
            raise Misfit(
                "trailing waits for a first target, and there is none: write `after: entry`", "trailing", "after"
            )
        return self
