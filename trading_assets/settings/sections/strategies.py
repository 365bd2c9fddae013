"""The section `models`: what decides, by ``kind``, a model that is trained or a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from trading_assets.core.sides import Side
from trading_assets.settings.sections.confidence import ConfidenceSettings
from trading_assets.settings.sections.estimators import AnyEstimator, LightGBMSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.kinds import Kinds, KindSection
from trading_assets.settings.sections.labels import DEFAULT_LABELS
from trading_assets.settings.sections.research import GateOverrides, WalkForwardSettings
from trading_assets.settings.sections.rules import AnyRule
from trading_assets.settings.sections.section import Fraction, Misfit, TradeSide


class StrategySettings(KindSection):
    """What everything that decides has: where and which way it trades, how it is measured, when it enters."""

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Key that another kind has -> what to do about it here."""

    markets: list[str] = Field(min_length=1)
    label: str = Field(
        DEFAULT_LABELS, description="A name under `labels`, of which it has the timeframe. Empty: the only one there."
    )
    sides: list[TradeSide] = Field(
        [Side.LONG],
        min_length=1,
        description="What it may trade; long and short are measured each for itself.",
        json_schema_extra={"default": ["long"]},
    )
    walk_forward: WalkForwardSettings = WalkForwardSettings()
    max_missing_share: Fraction = Field(
        0.05, description="Of the candles from a label's entry to its end: nothing is learnt from rows that lack more."
    )
    holdout_days: float = Field(0, ge=0, description="The newest days, kept from training for a rehearsal on paper.")
    min_edge_bps: float = Field(
        0.0,
        description="Trade where the expected return after costs exceeds this: p x target - (1 - p) x stop - costs.",
    )
    threshold: Fraction | None = Field(
        None, description="A probability of take-profit that a trade must reach besides. Empty: the return decides."
    )
    exit: str = Field(
        "",
        description="A plan under `exits`: what becomes of its trades. Empty: the target and stop of its label set, "
        "and the end of the horizon.",
        exclude_if=lambda value: not value,
    )  # a model that names none says nothing of it: its bundle's hash is that of before
    exit_plan: SkipJsonSchema[ExitSettings | None] = Field(None, exclude_if=lambda value: value is None)
    """The plan of that name: filled in when the whole settings are read."""
    min_expected_net_pct: float | None = Field(
        None,
        description="What a trade must be expected to earn, in percent of its notional, fees, slippage and funding "
        "paid. Empty: min_edge_bps alone decides.",
        exclude_if=lambda value: value is None,
    )
    gates: GateOverrides = GateOverrides()

    @model_validator(mode="before")
    @classmethod
    def _names_what_another_kind_has(cls, values: Any) -> Any:
        for key, remedy in cls.elsewhere.items():
            if isinstance(values, Mapping) and key in values:
                raise Misfit(remedy, key)
        return values

    @field_validator("sides")
    @classmethod
    def _each_side_once(cls, value: list[Side]) -> list[Side]:
        if len(set(value)) < len(value):
            raise ValueError("a side is there twice; keep one of them")
        return sorted(value, reverse=True)

    def ungated(self) -> Self:
        """Without its gates, which judge what comes of it and change nothing of that."""
        return self.model_copy(update={"gates": GateOverrides()})


class ModelSettings(StrategySettings):
    """A named model specification: what it is trained on and how."""

    moved: ClassVar[Mapping[str, str]] = {"lightgbm": "`estimator: {kind: lightgbm, ...}`"}
    elsewhere: ClassVar[Mapping[str, str]] = {
        "rule": "a model that is trained has no rule; write `kind: rule` beside it, or take it out"
    }

    kind: Literal["model"] = Field("model", description="What decides: a model that is trained.")
    features: list[str] = Field(
        [], description="Names, families or patterns (`rsi_*`) of the features that it learns from. Empty: all."
    )
    estimator: AnyEstimator = Field(LightGBMSettings(), description="What learns, by `kind`, and its parameters.")
    confidence: ConfidenceSettings = Field(
        ConfidenceSettings(), exclude_if=lambda value: value == ConfidenceSettings()
    )  # a model that asks for nothing says nothing of it: its bundle's hash is that of before
    sample_weights: Literal["none", "uniqueness", "attribution"] = Field(
        "none", description="What a row counts in training: outcomes that overlap tell the same story."
    )
    oldest_weight: float = Field(
        1.0, gt=-1, le=1, description="Time decay: the oldest row's factor; 1 none, -0.3 the oldest 30 % count nothing."
    )
    companions: list[Literal["leader", "second_exchange", "funding", "sentiment", "book", "trades"]] = Field(
        [],
        description="Whose features it learns from, beside those of its own bars; refused where nothing of it is "
        "stored. The node has `leader` alone.",
    )

    @model_validator(mode="after")
    def _decay_of_weights(self) -> Self:
        if self.sample_weights == "none" and self.oldest_weight != 1:
            raise ValueError("oldest_weight changes sample weights: set sample_weights to uniqueness or attribution")
        return self


class RuleStrategySettings(StrategySettings):
    """A rule that trades: it says when, and its record on what was known before says how likely."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        key: f"a rule has no {key}, which are of models that are trained; take it out, or write `kind: model`"
        for key in ("estimator", "confidence", "features", "sample_weights", "oldest_weight", "companions")
    }

    kind: Literal["rule"] = Field("rule", description="What decides: a rule.")
    rule: AnyRule = Field(description="What says when, by `kind`, and its parameters: each set of them is a trial.")


STRATEGIES = Kinds(StrategySettings, "a model", ModelSettings, RuleStrategySettings, default="model")

AnyStrategy = Annotated[SerializeAsAny[StrategySettings], STRATEGIES]
"""A section of `models`, by ``kind``; without one it is a model."""
