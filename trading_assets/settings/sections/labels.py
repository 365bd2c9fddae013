"""Label sets: what a model learns, on which bars; a section per kind, and the place where further kinds are added."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator
from pydantic.json_schema import SkipJsonSchema

from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.rules import AnyRule
from trading_assets.settings.sections.section import DecisionTimeframe, Fraction, Misfit, Positive, Section

DEFAULT_LABELS = "default"
"""The label set of settings that name none."""

DEFAULT_KIND = "triple_barrier"

_DAY = timedelta(days=1)


class SamplingSettings(Section):
    """Decide where a clock of activity ticks, not on every bar: on the bars by which so much has been traded.

    A sum over the bars since the last tick, which begins anew with each day (UTC). How much makes a tick is
    measured on the days before, so that there are about so many on a usual day, more on a busy one.
    """

    by: Literal["volume", "notional", "imbalance", "moves"] = Field(
        description="What is summed: base units; quote units; quote units of rising minus falling bars, either way; or "
        "log returns, either way (the CUSUM filter)."
    )
    per_day: Positive = Field(50.0, description="Ticks on a usual day.")
    days: int = Field(7, ge=1, le=60, description="Whole days before, whose mean says what is usual.")


class LabelSettings(KindSection):
    """A named label set: the outcome that a model learns, on bars of one timeframe, which is the model's own.

    Of the kind `triple_barrier`: which comes first, target, stop or time. All kinds have what stands here: a trade
    has a target, a stop and the horizon in any case.
    """

    follows_plans: ClassVar[bool] = True
    """Whether an exit plan's outcome can be learnt: it follows prices from an entry on."""

    kind: str = Field(DEFAULT_KIND, json_schema_extra={"const": DEFAULT_KIND})
    timeframe: DecisionTimeframe = Field(
        Timeframe(15), description="Of the bars that decisions are taken on.", json_schema_extra={"default": "15m"}
    )
    sampling: SamplingSettings | None = Field(
        None, description="Which of these bars are decided on, by activity; empty: every one."
    )
    barriers: Literal["fixed", "atr", "volatility", "plan"] = Field(
        "fixed",
        description="What their distances are made of; plan: they are first target and stop of an exit plan, whose "
        "outcome is learnt.",
    )
    exit: str = Field(
        "",
        description="With `barriers: plan`: a plan under `exits`, which its models trade by too.",
        exclude_if=lambda value: not value,
    )  # a set that names none says nothing of it: what was made of it stays what it was
    exit_plan: SkipJsonSchema[ExitSettings | None] = Field(None, exclude_if=lambda value: value is None)
    """The plan of that name: filled in when the whole settings are read."""
    take_profit_pct: Positive = Field(2.0, description="Of fixed barriers.")
    stop_loss_pct: Positive = Field(1.0, description="Of fixed barriers.")
    take_profit_multiple: Positive = Field(2.0, description="Of the scale, where barriers are not fixed.")
    stop_loss_multiple: Positive = Field(1.0, description="Of the scale, where barriers are not fixed.")
    scale_bars: int = Field(96, ge=2, le=2000, description="Bars that the scale is measured on.")
    horizon_bars: int = Field(
        24, ge=1, description="How long an outcome is waited for. With `barriers: plan`: as long as the plan holds."
    )
    ambiguous: Literal["worst_case", "best_case", "drop"] = Field(
        "worst_case", description="Who wins where one candle touched both; drop: the worst case, which does not train."
    )
    cost_bps: float | None = Field(
        None, ge=0, description="Costs of a round trip, taken from a label's return. Empty: those of `trading.costs`."
    )
    min_class_share: Fraction = Field(0.02, description="The label balance gate: the rarest class.")

    @model_validator(mode="after")
    def _kind_is_its_own(self) -> Self:
        if type(self) is LabelSettings and self.kind != DEFAULT_KIND:
            raise Misfit(f"a section of the kind {self.kind!r} has a class of its own", "kind")
        return self

    @model_validator(mode="after")
    def _names_the_plan_that_it_learns(self) -> Self:
        if self.barriers != "plan":
            if self.exit:
                raise Misfit(f"exit: {self.exit} is learnt with `barriers: plan`; write that, or leave it out", "exit")
            return self
        if not self.exit:
            raise Misfit("barriers: plan learns the outcome of an exit plan: write `exit:` and its name", "barriers")
        if not self.follows_plans:
            raise Misfit(
                f"the kind {self.kind} learns a return, not an exit plan: take the kind triple_barrier or meta, or "
                "leave `barriers: plan` out and let models name the plan",
                "barriers",
            )
        return self

    @model_validator(mode="after")
    def _samples_some_bars(self) -> Self:
        bars = _DAY / self.timeframe.length
        if self.sampling is not None and not self.sampling.per_day < bars:
            raise Misfit(
                f"sampling.per_day {self.sampling.per_day:g} is not below the {bars:g} bars of {self.timeframe} in a "
                "day: take a finer timeframe, or leave sampling out",
                *("sampling", "per_day"),
            )
        return self

    @property
    def costs(self) -> float:
        """Of a round trip, as a fraction: what a label's return is net of."""
        return (self.cost_bps or 0.0) / 1e4

    @property
    def plan_cost(self) -> float | None:
        """The same where the outcome is that of an exit plan; None elsewhere."""
        return self.costs if self.barriers == "plan" else None

    @property
    def horizon(self) -> timedelta:
        """How long an outcome is waited for."""
        return self.horizon_bars * self.timeframe.length


class ForwardReturnSettings(LabelSettings):
    """Whether the return over the horizon, from close to close, pays its costs."""

    follows_plans: ClassVar[bool] = False

    kind: Literal["forward_return"] = "forward_return"


class TrendScanningSettings(LabelSettings):
    """Whether the most significant trend that begins with the bar, of all lengths up to the horizon, pays its costs."""

    follows_plans: ClassVar[bool] = False

    kind: Literal["trend_scanning"] = "trend_scanning"
    shortest_trend_bars: int = Field(5, ge=3, description="From so many bars up to the horizon.")

    @model_validator(mode="after")
    def _trends_fit(self) -> Self:
        if self.shortest_trend_bars > self.horizon_bars + 1:
            raise ValueError(
                f"horizon_bars {self.horizon_bars} is too short for trends of {self.shortest_trend_bars} bars and more"
            )
        return self


class MetaLabelSettings(LabelSettings):
    """Whether the trade that a rule wants reaches its target first: what a model learns that takes it or passes.

    There are outcomes where the rule speaks, on its side, and such a model speaks nowhere else: neither in the backtest
    nor in the node.
    """

    kind: Literal["meta"] = "meta"
    rule: AnyRule = Field(description="What wants the trades, by `kind`, and its parameters.")


LABELS = Kinds(
    LabelSettings,
    "a label",
    *(LabelSettings, ForwardReturnSettings, TrendScanningSettings, MetaLabelSettings),
    default=DEFAULT_KIND,
)

add_label_settings = LABELS.add
label_kinds = LABELS.names
read_labels = LABELS.read

AnyLabels = Annotated[SerializeAsAny[LabelSettings], LABELS]
"""A label set: parameters by ``kind``, of a triple barrier where none is named."""
