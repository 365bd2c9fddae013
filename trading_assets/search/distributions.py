"""A space of settings as Optuna samples it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trading_assets.settings import Range, StrategySettings
from trading_assets.settings.sections.space import Space, field_of, present

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

type Distributions = dict[str, BaseDistribution]


def distributions(spec: StrategySettings, space: Space) -> Distributions:
    """What is drawn of each setting: whole numbers where the setting holds whole ones."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: Distributions = {}
    for name, searched in space.items():
        if not isinstance(searched, Range):
            found[name] = CategoricalDistribution(searched)
        elif field_of(spec, name).annotation is int:
            found[name] = IntDistribution(int(searched.low), int(searched.high), log=searched.log)
        else:
            found[name] = FloatDistribution(searched.low, searched.high, log=searched.log)
    return found


def of_the_model(spec: StrategySettings, space: Space, drawn: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The model's present values that may be drawn: the first trial is the model as it is, as far as that is so."""
    found: dict[str, Any] = {}
    for name, value in present(spec, space).items():
        one: Any = drawn[name]
        try:
            if one._contains(one.to_internal_repr(value)):
                found[name] = value
        except (ValueError, TypeError):
            continue
    return found
