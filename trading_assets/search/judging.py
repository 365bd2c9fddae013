"""What was found, judged on the windows that no trial saw, among all that was ever tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from trading_assets.backtest import gates
from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.significance import measure_significance, others
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.backtest.stored import trade
from trading_assets.core.errors import ModelError
from trading_assets.models import folds
from trading_assets.registry import Registry, Tried
from trading_assets.registry.searches import searched
from trading_assets.search.finding import Found, judged_from
from trading_assets.search.material import Build
from trading_assets.search.objective import Period, Worth, worth
from trading_assets.settings import Settings, StrategySettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import TRIAL_RETURNS
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.validation import credibility

_STEPS: Final = 60


@dataclass(frozen=True)
class Judged:
    """What became of the unseen windows.

    Attributes
    ----------
    before, after
        The model as it is and as it was found, measured on them as trials are; None where it could not be trained.
    result
        The backtest of what was found, with the metrics that the gates ask for.
    gates
        Their verdict.
    by_trials
        Number of trials, and the deflated Sharpe ratio if there had been no more.
    problem
        Why there is no result.
    """

    before: Worth | None
    after: Worth | None
    result: BacktestResult | None
    gates: Sequence[gates.GateResult]
    by_trials: Sequence[tuple[int, float]]
    problem: str = ""

    @property
    def approved(self) -> bool:
        """Whether every gate passed."""
        return bool(self.gates) and gates.all_passed(list(self.gates))


def judge_found(found: Found, settings: Settings, store: Store, build: Build) -> Judged:
    """Train what was found fold by fold on the unseen windows, trade it, and ask the gates.

    Nothing is stored: a version comes of it by `trading train`, with the fragment in the settings.
    """
    present, _ = _walked(judged_from(found.before, found.cut.split.date()), found, settings, build)
    after, told = _walked(found.after, found, settings, build)
    if isinstance(told, str):
        return Judged(present, None, None, (), (), told)
    result = trade(told, settings, store, model=found.model, version=0, spec=found.after)
    tried = _tried(result.metrics["sharpe"], settings, found.after.markets)
    further = measure_significance(
        result.trades,
        result.equity,
        told,
        tried=tried,
        other_trials=others(store.read(TRIAL_RETURNS), model=found.model, version=0, markets=found.after.markets),
        model=found.after,
        labels=settings.labels[found.after.label],
        settings=settings.simulation,
    )
    result = replace(result, metrics=result.metrics | further)
    verdict = gates.evaluate(result.metrics, settings.gates_of(found.model))
    returns = daily_returns(result.equity["equity"].to_list(), settings.simulation.starting_balance)
    return Judged(present, after, result, verdict, deflated_by_trials(returns, tried))


def deflated_by_trials(returns: np.ndarray, tried: Tried) -> list[tuple[int, float]]:
    """The deflated Sharpe ratio of daily returns, had there been fewer trials of the same dispersion."""
    if returns.size < 2 or not tried.sharpes:
        return []
    counts = sorted({int(one) for one in np.geomspace(1, max(tried.count, 1), _STEPS)})
    spread = [value for value in tried.sharpes if value != 0] or list(tried.sharpes)
    found = []
    for count in counts:
        sharpes = spread if count >= len(spread) else [spread[i] for i in _evenly(len(spread), count)]
        found.append((count, credibility(returns, sharpes, trials=count)["dsr"]))
    return found


def _evenly(size: int, count: int) -> list[int]:
    return [int(one) for one in np.linspace(0, size - 1, count).round()]


def _tried(sharpe: float, settings: Settings, markets: Sequence[str]) -> Tried:
    """All trials on the markets, and this backtest."""
    known = Registry(settings).trials(markets)
    if not known.count:
        known = searched(settings, markets)
        known = Tried(known.count, known.sharpes, known.count, len(known.sharpes))
    return Tried(known.count + 1, (sharpe, *known.sharpes), known.searched, known.searched_sharpes)


def _walked(
    spec: StrategySettings, found: Found, settings: Settings, build: Build
) -> tuple[Worth | None, pl.DataFrame | str]:
    labels = settings.labels[spec.label]
    try:
        predictions = folds.walk_forward(build(spec), spec).predictions
    except ModelError as error:
        return None, str(error)
    rule = EntryRule.of(spec, cost_bps=settings.trading.costs.of_markets(spec.markets).round_trip_bps)
    return worth(predictions, rule, labels, Period(found.cut.split, found.cut.end)), predictions
