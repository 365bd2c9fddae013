"""One world through the research, from bars to gates, by the same functions as a market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from trading_assets.placebo.rearranging import MARKET
from trading_assets.placebo.research import Research
from trading_assets.placebo.worlds import World
from trading_assets.registry import Tried
from trading_assets.store.tables import TRIAL_RETURNS

if TYPE_CHECKING:
    from trading_assets.settings import Settings, StrategySettings
    from trading_assets.settings.sections.ranges import Searched

_NAME: Final = "placebo"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates said of one world.

    Attributes
    ----------
    kind, seed, days
        The world.
    approved
        Whether every gate passed.
    failed
        The gates that did not.
    metrics
        Those that the gates looked at.
    auc
        Area under the curve of all out-of-sample predictions.
    stream
        What the world's random numbers were drawn for.
    """

    kind: str
    seed: int
    days: int
    approved: bool
    failed: tuple[str, ...]
    metrics: dict[str, float]
    auc: float
    stream: str


def judge(
    world: World,
    settings: Settings,
    spec: StrategySettings,
    source: pl.DataFrame | None = None,
    *,
    asked: Mapping[str, Searched | None] | None = None,
    trials: int = 0,
) -> Verdict:
    """Put a world through the research and its gates; what is tried here are the only trials on its market.

    Parameters
    ----------
    world
        Which one.
    settings
        Labels, backtest, risk and gates.
    spec
        Windows, learner and threshold; its markets are replaced by the world's.
    source
        Candles of a real market that null worlds are made from, of the timeframe that its column says.
    trials
        With some, the world's older part is searched by so many, and what is found is judged on the rest.
    asked
        What the settings say of the space that is searched.

    Raises
    ------
    TradingError
        If the history is too short for the walk-forward.
    """
    from trading_assets.backtest import gates
    from trading_assets.backtest.significance import measure_significance
    from trading_assets.backtest.simulation.engine import run_backtest
    from trading_assets.models import folds
    from trading_assets.models.scores import summary

    research, tried = Research(world, settings, source), Tried(0, ())
    spec = spec.model_copy(update={"markets": [MARKET], "holdout_days": 0})
    if trials:
        spec, tried = _searched(research, spec, asked or {}, trials)
    predictions = folds.walk_forward(research.dataset(spec), spec).predictions
    result = run_backtest(
        predictions,
        {MARKET: research.candles},
        candle_timeframe=research.timeframe,
        model=spec,
        labels=settings.labels[spec.label],
        settings=settings.simulation,
        risk=settings.trading.risk,
        name=_NAME,
    )
    metrics = result.metrics | measure_significance(
        result.trades,
        result.equity,
        predictions,
        tried=Tried(1, (result.metrics["sharpe"],)).beside(tried),
        other_trials=pl.DataFrame(schema=TRIAL_RETURNS.columns),
        model=spec,
        labels=settings.labels[spec.label],
        settings=settings.simulation,
    )
    judged = gates.evaluate(metrics, settings.gates.of(spec.gates))
    return Verdict(
        kind=world.kind,
        seed=world.seed,
        days=world.days,
        approved=gates.all_passed(judged),
        failed=tuple(gate.name for gate in judged if not gate.passed),
        metrics={gate.name: gate.value for gate in judged},
        auc=summary(predictions).get("oos_auc", float("nan")),
        stream=world.stream,
    )


def _searched(
    research: Research, spec: StrategySettings, asked: Mapping[str, Searched | None], trials: int
) -> tuple[StrategySettings, Tried]:
    """The model as a search of the world's older part finds it, and all that it tried."""
    from trading_assets.search import look
    from trading_assets.settings.sections.search import SearchSettings

    search = SearchSettings(trials=trials, workers=1, seed=research.world.seed, space={_NAME: dict(asked)}).model_copy(
        update=research.settings.search.model_dump(include={"unseen_share", "prune"})
    )
    settings = research.settings.model_copy(update={"models": {_NAME: spec}, "search": search})
    found = look(settings, _NAME, research.dataset, storage=None)
    return found.after, found.tried
