"""Walk-forward and gates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from trading_assets.settings.metrics import METRICS
from trading_assets.settings.names import nearest
from trading_assets.settings.sections.section import Fraction, Misfit, Positive, Section


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


_OWN_GATE: Final[Mapping[str, str]] = {
    "sharpe": "min_sharpe",
    "win_rate": "min_win_rate",
    "profit_factor": "min_profit_factor",
    "max_drawdown": "max_drawdown",
    "trades": "min_trades",
    "dsr": "min_dsr",
    "pbo": "max_pbo",
    "skill_low": "min_skill_low",
}
"""Metric -> the setting that is its gate already."""


class MetricLimit(Section):
    """What a metric must be: at least `min`, at most `max`, or both."""

    min: float | None = Field(None, description="Empty: no lower limit. Shares are fractions: 0.4 is 40 %.")
    max: float | None = Field(None, description="Empty: no upper limit.")

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.min is None and self.max is None:
            raise Misfit("a gate without a limit lets everything pass: write min, max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Misfit(f"min {self.min:g} is above max {self.max:g}: nothing passes", "min")
        return self


class _Gated(Section):
    """Gates, with those that name their metric."""

    metrics: dict[str, MetricLimit] = Field(
        {},
        description="Gates on any other metric of the backtest (docs/concepts/metrics.md): its name with `min`, `max`, "
        "or both, e.g. `expectancy: {min: 0.1}`. A model's own are added to these.",
    )

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Self:
        for name in self.metrics:
            if name in _OWN_GATE:
                raise Misfit(f"{name!r} has a gate of its own: write `{_OWN_GATE[name]}`", "metrics", name)
            if name not in METRICS:
                hint = nearest(name, METRICS) or "docs/concepts/metrics.md lists them"
                raise Misfit(f"a backtest has no metric {name!r}; {hint}", "metrics", name)
        return self

    @model_serializer(mode="wrap")
    def _unset_leaves_no_trace(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Gates without named ones are what they were before there were any: in hashes of configurations too."""
        told: dict[str, Any] = dump(self)
        return told if self.metrics else {key: value for key, value in told.items() if key != "metrics"}


class GateOverrides(_Gated):
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


class GateSettings(_Gated):
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
        own = overrides.model_dump(exclude_none=True, exclude={"metrics"})
        return self.model_copy(update={**own, "metrics": {**self.metrics, **overrides.metrics}})
