"""One world through the research, from bars to gates, by the same functions as a market."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.placebo.rearranging import MARKET
from trading_assets.placebo.worlds import World, until
from trading_assets.registry import Tried
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, CANDLES, TRIAL_RETURNS

if TYPE_CHECKING:
    from trading_assets.models import Dataset
    from trading_assets.settings import Settings, StrategySettings
    from trading_assets.store import Store


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


def judge(world: World, settings: Settings, spec: StrategySettings, source: pl.DataFrame | None = None) -> Verdict:
    """Put a world through the research and its gates; it is the only trial on its market.

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

    Raises
    ------
    TradingError
        If the history is too short for the walk-forward.
    """
    from trading_assets.backtest import gates
    from trading_assets.backtest.significance import measure_significance
    from trading_assets.backtest.simulation.engine import run_backtest
    from trading_assets.labels import label
    from trading_assets.models import folds
    from trading_assets.models.scores import summary

    candles = world.candles(source)
    timeframe = str(candles["timeframe"][0])
    end = until(candles, timeframe)
    spec = spec.model_copy(update={"markets": [MARKET], "holdout_days": 0})
    chosen = settings.labels[spec.label]
    if not chosen.timeframe.is_built_from(timeframe):
        raise SettingsError(
            f"{chosen.timeframe} bars cannot be built from candles of {timeframe}",
            where=f"label set {spec.label}",
            remedy="give finer candles, or a set of a coarser timeframe",
        )
    with tempfile.TemporaryDirectory() as folder:
        bars = _bars(
            open_store(f"duckdb:///{Path(folder) / 'world.duckdb'}"), candles, timeframe, bar=chosen.timeframe.name
        )
    labels = label(
        bars,
        candles,
        label_set=spec.label,
        settings=chosen,
        sides=spec.sides,
        candle_timeframe=timeframe,
        until=end,
        turn=world.turn(bars.height),
    )
    data = _dataset(world, bars, labels, spec, settings)
    predictions = folds.walk_forward(replace(data, prices=bars), spec).predictions
    result = run_backtest(
        predictions,
        {MARKET: candles},
        candle_timeframe=timeframe,
        model=spec,
        labels=chosen,
        settings=settings.simulation,
        risk=settings.trading.risk,
        name="placebo",
    )
    metrics = result.metrics | measure_significance(
        result.trades,
        result.equity,
        predictions,
        tried=Tried(1, (result.metrics["sharpe"],)),
        other_trials=pl.DataFrame(schema=TRIAL_RETURNS.columns),
        model=spec,
        labels=chosen,
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


def _dataset(
    world: World, bars: pl.DataFrame, labels: pl.DataFrame, spec: StrategySettings, settings: Settings
) -> Dataset:
    """What a model learns from, or what a rule wants."""
    from trading_assets.features import compute, fingerprint
    from trading_assets.models import dataset, inputs
    from trading_assets.models.record import WANTED
    from trading_assets.settings import ModelSettings, RuleStrategySettings
    from trading_assets.strategies.rules import rows

    chosen = settings.labels[spec.label]
    drop = chosen.ambiguous == "drop"
    if isinstance(spec, RuleStrategySettings):
        made = rows.join([bars], labels, spec, drop=drop)
        return replace(made, frame=world.wanted(made.frame, WANTED))
    assert isinstance(spec, ModelSettings)
    labels = pl.concat(world.labels(labels.filter(side=int(side))) for side in spec.sides)
    names = inputs.usable_names(timeframe=chosen.timeframe, chosen=spec.features, plugins=settings.plugged)
    return dataset.join(
        compute(bars, timeframe=chosen.timeframe, features=spec.features or None, plugins=settings.plugged),
        labels,
        names=names,
        fingerprint=fingerprint(names, settings.plugged),
        drop_ambiguous=drop,
    )


def _bars(store: Store, candles: pl.DataFrame, timeframe: str, *, bar: str) -> pl.DataFrame:
    """The bars of a timeframe, built of the candles by the SQL model."""
    from trading_assets.sql import build_bars, load_models

    store.upsert(CANDLES, candles)
    start, end = candles["ts"][0], until(candles, timeframe)
    model = load_models()[BARS[bar].name]
    return build_bars(store, model, market=MARKET, timeframe=timeframe, start=start, end=end)
