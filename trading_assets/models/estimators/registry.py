"""The estimators that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.models.estimators.contract import Estimator
from trading_assets.settings import EstimatorSettings
from trading_assets.settings.sections.estimators import ESTIMATORS
from trading_assets.settings.sections.kinds import Occupants

_ESTIMATORS = Occupants[EstimatorSettings, Estimator[Any]](ESTIMATORS)


def register[E: Estimator[Any]](estimator: type[E]) -> type[E]:
    """Add an estimator; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another estimator has that kind.
    """
    made = estimator()
    _ESTIMATORS.add(made.parameters, made, by=estimator)
    return estimator


def estimator_of(parameters: EstimatorSettings) -> Estimator[Any]:
    """The estimator that has these parameters.

    Raises
    ------
    ModelError
        If none is registered.
    """
    return _ESTIMATORS.of(parameters)


def registered() -> Mapping[str, Estimator[Any]]:
    """Estimators by kind: those of the project and of the plug-ins in force."""
    return _ESTIMATORS.known()


def installed() -> Mapping[str, Estimator[Any]]:
    """Those of :func:`registered` that can be trained here: what they train with is installed."""
    return {kind: one for kind, one in registered().items() if one.parameters.lacks() is None}
