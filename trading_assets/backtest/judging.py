"""Judging a candidate: its out-of-sample predictions traded, measured among all trials, stored, and put on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from trading_assets.backtest import confidence, costs, gates
from trading_assets.backtest.approval import conditions
from trading_assets.backtest.charting import write_chart
from trading_assets.backtest.entries import remarks
from trading_assets.backtest.regimes import lookback_of, regimes
from trading_assets.backtest.report import pictures
from trading_assets.backtest.report.files import report_file
from trading_assets.backtest.report.page import Provenance, render
from trading_assets.backtest.significance import trial_rows
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.backtest.stored import judge, trade
from trading_assets.core.candles import Market
from trading_assets.registry import Registry
from trading_assets.settings import ModelSettings, Settings, StrategySettings
from trading_assets.store.contract import Store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import (
    BACKTEST_METRICS,
    BARS,
    EQUITY,
    FEATURE_IMPORTANCE,
    FOLDS,
    PREDICTIONS,
    TRADES,
    TRIAL_RETURNS,
)
from trading_assets.strategies.entry_rule import EntryRule


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a candidate's predictions.

    Attributes
    ----------
    model, version
        Whose they are.
    result
        The backtest, with the metrics that judge it among all trials.
    predictions
        What was traded.
    remarks
        Sentences for people on what the metrics do not say.
    moods
        The market's mood at each bar, where prediction sets are measured by it.
    """

    model: str
    version: int
    result: BacktestResult
    predictions: pl.DataFrame
    remarks: Sequence[str]
    moods: pl.DataFrame | None = None


def judge_candidate(settings: Settings, store: Store, model: str, version: int) -> Judgement:
    """Trade what the walk-forward predicted as the settings say, judge the result among all trials, and store it.

    The registry counts the backtest as a trial before it is judged, so that a killed one counts too.

    Parameters
    ----------
    settings, store
        The project's.
    model, version
        The candidate.
    """
    spec, balance = settings.models[model], settings.simulation.starting_balance
    predictions = up_to_date(store).read(PREDICTIONS, where={"model": model})
    result = trade(predictions, settings, store, model=model, version=version, spec=spec)
    registry = Registry(settings)
    registry.note_conditions(model, version, conditions(settings))
    registry.log_metrics(model, version, {f"backtest_{key}": value for key, value in result.metrics.items()})
    moods = _moods(predictions, settings, store, model) if confidence.has_sets(predictions) else None
    further = judge(result, predictions, settings, store, model=model, version=version, spec=spec)
    folds = store.read(FOLDS, where={"model": model})
    further |= confidence.measure(predictions, folds, moods, promised_coverage(spec))
    registry.log_metrics(model, version, {f"backtest_{key}": value for key, value in further.items()})
    result = replace(result, metrics=result.metrics | further)
    metrics = result.metrics_frame(model, version)
    store.replace_together(
        [(TRADES, result.trades), (EQUITY, result.equity), (BACKTEST_METRICS, metrics)],
        where={"model": model, "version": version},
    )
    trial = trial_rows(result.equity, model=model, version=version, markets=spec.markets, balance=balance)
    store.upsert(TRIAL_RETURNS, trial)
    registry.write_to(store)
    said = [
        *remarks(result.metrics, _rule(settings, model), result.refusals),
        *costs.remarks(result.metrics, spec.markets, settings.trading.costs),
        *confidence.remarks(result.metrics),
    ]
    return Judgement(model, version, result, predictions, said, moods)


def promised_coverage(spec: StrategySettings) -> float | None:
    """What a model's prediction sets promise; None where it makes none."""
    return spec.confidence.conformal if isinstance(spec, ModelSettings) else None


def _moods(predictions: pl.DataFrame, settings: Settings, store: Store, model: str) -> pl.DataFrame:
    """The market's mood at each prediction's bar."""
    timeframe = settings.timeframe_of(model)
    first = predictions.select(pl.col("ts").min()).item() - lookback_of(timeframe.length) * timeframe.length
    bars = [
        store.read(BARS[timeframe.name], where={"market": market}, start=first, columns=["market", "ts", "close"])
        for market in settings.models[model].markets
    ]
    tested = predictions.select("market", "ts").unique()
    return regimes(pl.concat(bars), timeframe.length, tested)


def write_report(
    judgement: Judgement, settings: Settings, store: Store, *, provenance: Provenance, created_at: datetime
) -> Path:
    """Write the report page of a judged candidate, and put it with its pictures into the registry.

    Beside it goes the interactive page, :func:`trading_assets.backtest.charting.write_chart`.

    Returns
    -------
    pathlib.Path
        Where the page is.
    """
    model, version = judgement.model, judgement.version
    spec = settings.models[model]
    moods = _moods(judgement.predictions, settings, store, model) if judgement.moods is None else judgement.moods
    write_chart(judgement.result, settings, store, model=model, version=version, created_at=created_at)
    rule = _rule(settings, model)
    drawn = pictures.draw(
        judgement.result,
        judgement.predictions,
        folds=store.read(FOLDS, where={"model": model}),
        weights=store.read(FEATURE_IMPORTANCE, where={"model": model}),
        rule=rule,
        starting_balance=settings.simulation.starting_balance,
    )
    page = render(
        judgement.result,
        model=model,
        markets=spec.markets,
        synthetic=[market for market in spec.markets if Market.parse(market).is_synthetic],
        candle_timeframe=settings.markets[spec.markets[0]].timeframe,
        rule=rule,
        remarks=judgement.remarks,
        labels=settings.labels_of(model),
        settings=settings.simulation,
        gates=gates.evaluate(judgement.result.metrics, settings.gates_of(model)),
        predictions=judgement.predictions,
        pictures=drawn,
        moods=moods,
        provenance=provenance,
        created_at=created_at,
        file=report_file(settings.reports_dir, model, version),
    )
    files = {f"plots/{picture.name}.svg": picture.svg for picture in drawn}
    Registry(settings).log_files(model, version, {**files, "report/report.html": page.read_bytes()})
    return page


def _rule(settings: Settings, model: str) -> EntryRule:
    spec = settings.models[model]
    return EntryRule.of(spec, cost_bps=settings.trading.costs.of_markets(spec.markets).round_trip_bps)
