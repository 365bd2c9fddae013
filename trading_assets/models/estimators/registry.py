"""The estimators that there are, by the kind that settings choose them by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.models.estimators.contract import Estimator
from trading_assets.settings import add_estimator_settings

_estimators: dict[str, Estimator[Any]] = {}


def register[E: Estimator[Any]](estimator: type[E]) -> type[E]:
    """Add an estimator; a decorator of its class, so that settings may name its kind from then on.

    Raises
    ------
    SettingsError
        If another estimator has that kind.
    """
    made = estimator()
    if (known := _estimators.get(made.kind)) is not None:
        raise SettingsError(
            f"the estimator {made.kind!r} is there already, in {type(known).__module__}",
            where=f"{estimator.__module__}.{estimator.__qualname__}",
            remedy="give it another kind",
        )
    add_estimator_settings(made.parameters)
    _estimators[made.kind] = made
    return estimator


def estimator_of(kind: str) -> Estimator[Any]:
    """The estimator of a kind.

    Raises
    ------
    ModelError
        If none is registered.
    """
    found = _estimators.get(kind)
    if found is None:
        raise ModelError(
            f"no estimator {kind!r} is registered",
            where="models",
            remedy=f"known: {', '.join(sorted(_estimators))}; a plug-in must be loaded before its models are",
        )
    return found


def registered() -> Mapping[str, Estimator[Any]]:
    """All estimators by kind."""
    return MappingProxyType(_estimators)
