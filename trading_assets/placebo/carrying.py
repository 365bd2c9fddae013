"""A model on another timeframe, on other sides, or by another estimator than its settings say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from trading_assets.core.errors import SettingsError

if TYPE_CHECKING:
    from trading_assets.core.sides import Side
    from trading_assets.core.timeframes import Timeframe
    from trading_assets.settings import (
        EstimatorSettings,
        LabelSettings,
        Settings,
        StrategySettings,
        WalkForwardSettings,
    )
    from trading_assets.settings.sections.exits import ExitSettings

TEST_WINDOWS: Final = 8
"""Of a world's history, after the first training window: the sample's 60 and 15 days make half a year."""


def carried_over(
    settings: Settings,
    model: str,
    *,
    timeframe: Timeframe | None = None,
    sides: Sequence[Side] = (),
    estimator: EstimatorSettings | None = None,
) -> Settings:
    """The settings with a model carried over to another timeframe, to other sides, or to another estimator.

    It keeps its bars: the walk-forward's windows last as many times as long as a bar does, and so hold as many rows, of
    which an estimator may ask for some in each leaf. Fixed barriers widen by the root of that, as a price wanders with
    the root of time; those that are scaled follow the bars by themselves. An exit plan holds for as many bars, and its
    distances widen likewise where they are in percent.

    Parameters
    ----------
    settings
        The project's.
    model
        One of its models.
    timeframe
        Where not given, that of the model's label set.
    sides, estimator
        Where not given, the model's.
    """
    spec = settings.models[model]
    labels = settings.labels[spec.label]
    if timeframe is not None and timeframe != labels.timeframe:
        ratio = timeframe.minutes / labels.timeframe.minutes
        plans = {"exit_plan": _carried(labels.exit_plan, ratio)}
        labels = _widened(labels, math.sqrt(ratio)).model_copy(update={"timeframe": timeframe} | plans)
        plans = {"exit_plan": _carried(spec.exit_plan, ratio)}
        spec = spec.model_copy(update={"walk_forward": _stretched(spec.walk_forward, ratio)} | plans)
    if sides:
        spec = spec.model_copy(update={"sides": sorted(set(sides), reverse=True)})
    if estimator is not None:
        if "estimator" not in type(spec).model_fields:
            raise SettingsError(f"{model} is a rule, which has no estimator", remedy="leave --estimator out")
        spec = spec.model_copy(update={"estimator": estimator})
    changed = {"labels": settings.labels | {spec.label: labels}, "models": settings.models | {model: spec}}
    return settings.model_copy(update=changed)


def history_days(spec: StrategySettings, *, unseen_share: float | None = None) -> int:
    """How long a history gives a model its first training window and so many test windows.

    Parameters
    ----------
    unseen_share
        Where it is searched: the share that no trial sees has so many test windows, and the older part no fewer.
    """
    windows = spec.walk_forward
    first = windows.train_days + windows.purge_days + windows.embargo_days
    tested = TEST_WINDOWS * windows.test_days
    if unseen_share is None:
        return math.ceil(first + tested)
    return math.ceil(max(tested / unseen_share, (first + tested) / (1 - unseen_share)))


def _widened(labels: LabelSettings, factor: float) -> LabelSettings:
    names = ("take_profit_pct", "stop_loss_pct")
    return labels.model_copy(update={name: getattr(labels, name) * factor for name in names})


def _carried(plan: ExitSettings | None, ratio: float) -> ExitSettings | None:
    """An exit plan that holds for as many bars of another timeframe."""
    if plan is None:
        return None
    changed: dict[str, Any] = {"hold_hours": plan.hold_hours * ratio}
    if plan.unit == "percent":
        factor, trailing = math.sqrt(ratio), plan.trailing
        changed["stop"] = plan.stop * factor
        changed["targets"] = [one.model_copy(update={"at": one.at * factor}) for one in plan.targets]
        if trailing is not None:
            changed["trailing"] = trailing.model_copy(update={"distance": trailing.distance * factor})
    return plan.model_copy(update=changed)


def _stretched(windows: WalkForwardSettings, factor: float) -> WalkForwardSettings:
    names = ("train_days", "purge_days", "embargo_days", "test_days")
    return windows.model_copy(update={name: getattr(windows, name) * factor for name in names})
