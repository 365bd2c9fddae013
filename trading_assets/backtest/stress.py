"""A backtest once more with fills as a sceptic sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trading_assets.backtest.simulation.engine import BacktestResult
from trading_assets.settings import BacktestSettings

STRESSED: Final = ("sharpe", "total_return", "max_drawdown", "profit_factor", "win_rate", "trades")
"""The metrics that are told."""


def stress(run: Callable[[BacktestSettings], BacktestResult], settings: BacktestSettings) -> dict[str, float]:
    """Metrics of a backtest with stressed fills, as ``stress_<metric>``.

    Parameters
    ----------
    run
        Makes the backtest with given costs and fills. Its entries are to be decided with the usual costs
        (``reckoned_bps``): who knows of worse fills beforehand is pickier, and nobody does.
    settings
        Those of the backtest; see :meth:`trading_assets.settings.BacktestSettings.stressed`.
    """
    metrics = run(settings.stressed()).metrics
    return {f"stress_{name}": metrics[name] for name in STRESSED}
