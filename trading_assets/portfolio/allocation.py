"""From a matrix of returns to shares, by each method. The only module that knows skfolio.

Sources: minimum CVaR: Rockafellar and Uryasev (2000); hierarchical risk parity: Lopez de Prado
(2016); risk budgeting: Maillard, Roncalli and Teiletche (2010); all but equal weights as skfolio has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import ModelError
from trading_assets.settings.sections.portfolio import (
    EqualSettings,
    InverseVolatilitySettings,
    MethodSettings,
    MinCvarSettings,
    RiskBudgetingSettings,
    RiskParitySettings,
)

Array = npt.NDArray[np.float64]
_BISECTIONS: Final = 200
_LEAST: Final = 1e-9


def shares(method: MethodSettings, returns: Array, sleeves: Sequence[str], *, low: float, high: float) -> Array:
    """The shares of some sleeves, within bounds; they sum to 1, or less where the upper bound leaves cash.

    Parameters
    ----------
    method
        Its parameters.
    returns
        ``(days, sleeves)``, finite; each column has a spread.
    sleeves
        Their names.
    low, high
        Of each share.

    Raises
    ------
    ModelError
        If no shares can be found.
    """
    count = len(sleeves)
    if count == 1:
        return bounded(np.ones(1), low=low, high=high)
    low = min(low, 1 / count)
    try:
        raw = _METHODS[type(method)](method, returns, sleeves, low, max(high, 1 / count))
    except Exception as error:  # whatever a solver raises
        what = f"no weights by {method.kind}: {type(error).__name__}: {' '.join(str(error).split())}"
        raise ModelError(what, where="portfolio", remedy="choose another portfolio.method, e.g. equal") from None
    return bounded(np.asarray(raw, dtype=np.float64), low=low, high=high)


def bounded(raw: Array, *, low: float, high: float) -> Array:
    """Shares in proportion to ``raw`` as far as bounds allow; they sum to 1, or to what the upper bound allows.

    Parameters
    ----------
    raw
        At least 0, not all of them 0.
    low, high
        Of each share; ``low`` at most one over their number.
    """
    count, wanted = len(raw), np.maximum(raw / raw.sum(), _LEAST)
    wanted = wanted / wanted.sum()
    if count * high <= 1:
        return np.full(count, high)
    if wanted.min() >= low and wanted.max() <= high:
        return np.asarray(raw / raw.sum()) if raw.min() > 0 else np.clip(raw / raw.sum(), low, high)
    least, most = 0.0, 1 / _LEAST
    for _ in range(_BISECTIONS):  # the sum grows with the scale
        scale = (least + most) / 2
        least, most = (scale, most) if np.clip(scale * wanted, low, high).sum() < 1 else (least, scale)
    return np.asarray(np.clip(least * wanted, low, high))


def risk_contributions(returns: Array, weights: Array) -> Array:
    """Which part of the variance of the whole each sleeve brings; they sum to 1, and are 0 where nothing varies.

    Parameters
    ----------
    returns
        ``(days, sleeves)``.
    weights
        Of the sleeves.
    """
    covariance = np.atleast_2d(np.cov(returns, rowvar=False))
    parts = weights * (covariance @ weights)
    total = parts.sum()
    return np.asarray(parts / total) if total > 0 else np.zeros(len(weights))


def _equal(_: Any, returns: Array, *__: Any) -> Array:
    return np.ones(returns.shape[1])


def _inverse_volatility(_: Any, returns: Array, *__: Any) -> Array:
    from skfolio.optimization import InverseVolatility

    return _of(InverseVolatility().fit(returns))


def _risk_parity(method: RiskParitySettings, returns: Array, _: Any, low: float, high: float) -> Array:
    from skfolio import RiskMeasure
    from skfolio.optimization import HierarchicalRiskParity

    measure = RiskMeasure[method.measure.upper()]
    return _of(HierarchicalRiskParity(risk_measure=measure, min_weights=low, max_weights=high).fit(returns))


def _risk_budgeting(
    method: RiskBudgetingSettings, returns: Array, sleeves: Sequence[str], low: float, high: float
) -> Array:
    from skfolio import RiskMeasure
    from skfolio.optimization import RiskBudgeting

    budgets = [method.budgets.get(name, 1.0) for name in sleeves]
    measure = RiskMeasure[method.measure.upper()]
    made = RiskBudgeting(risk_measure=measure, risk_budget=budgets, min_weights=low, max_weights=high)
    return _of(made.fit(returns))


def _min_cvar(method: MinCvarSettings, returns: Array, _: Any, low: float, high: float) -> Array:
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    made = MeanRisk(
        objective_function=ObjectiveFunction.MINIMIZE_RISK,
        risk_measure=RiskMeasure.CVAR,
        cvar_beta=method.confidence,
        min_weights=low,
        max_weights=high,
    )
    return _of(made.fit(returns))


def _of(fitted: Any) -> Array:
    return np.maximum(np.asarray(fitted.weights_, dtype=np.float64), 0.0)


_METHODS: Final[Mapping[type[MethodSettings], Callable[..., Array]]] = {
    EqualSettings: _equal,
    InverseVolatilitySettings: _inverse_volatility,
    RiskParitySettings: _risk_parity,
    RiskBudgetingSettings: _risk_budgeting,
    MinCvarSettings: _min_cvar,
}
