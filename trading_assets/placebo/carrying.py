"""A model on another timeframe, on other sides, or by another estimator than its settings say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

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
    the root of time; those that are scaled follow the bars by themselves.

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
        labels = _widened(labels, math.sqrt(ratio)).model_copy(update={"timeframe": timeframe})
        spec = spec.model_copy(update={"walk_forward": _stretched(spec.walk_forward, ratio)})
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


def _stretched(windows: WalkForwardSettings, factor: float) -> WalkForwardSettings:
    names = ("train_days", "purge_days", "embargo_days", "test_days")
    return windows.model_copy(update={name: getattr(windows, name) * factor for name in names})
