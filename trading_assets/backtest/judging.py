"""Judging a candidate: its out-of-sample predictions traded, measured among all trials, stored, and put on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from trading_assets.backtest import confidence, gates
from trading_assets.backtest.approval import conditions
from trading_assets.backtest.entries import remarks
from trading_assets.backtest.regimes import lookback_of, regimes
from trading_assets.backtest.report import plots
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
    moods = _moods(predictions, settings, store, model)
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
    said = remarks(result.metrics, _rule(settings, model), result.refusals) + confidence.remarks(result.metrics)
    return Judgement(model, version, result, predictions, said, moods)


def promised_coverage(spec: StrategySettings) -> float | None:
    """What a model's prediction sets promise; None where it makes none."""
    return spec.confidence.conformal if isinstance(spec, ModelSettings) else None


def _moods(predictions: pl.DataFrame, settings: Settings, store: Store, model: str) -> pl.DataFrame | None:
    """The market's mood at each prediction's bar; None where no sets are made, which alone are measured by it."""
    if not confidence.has_sets(predictions):
        return None
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

    Returns
    -------
    pathlib.Path
        Where the page is.
    """
    model, version = judgement.model, judgement.version
    spec = settings.models[model]
    folds = store.read(FOLDS, where={"model": model})
    page = render(
        judgement.result,
        model=model,
        markets=spec.markets,
        synthetic=[market for market in spec.markets if Market.parse(market).is_synthetic],
        candle_timeframe=settings.markets[spec.markets[0]].timeframe,
        rule=_rule(settings, model),
        remarks=judgement.remarks,
        labels=settings.labels_of(model),
        settings=settings.simulation,
        gates=gates.evaluate(judgement.result.metrics, settings.gates_of(model)),
        predictions=judgement.predictions,
        folds=folds,
        weights=store.read(FEATURE_IMPORTANCE, where={"model": model}),
        moods=judgement.moods,
        provenance=provenance,
        created_at=created_at,
        file=report_file(settings.reports_dir, model, version),
    )
    pictures = _pictures(judgement, folds, balance=settings.simulation.starting_balance)
    Registry(settings).log_files(model, version, {**pictures, "report/report.html": page.read_bytes()})
    return page


def _pictures(judgement: Judgement, folds: pl.DataFrame, *, balance: float) -> dict[str, bytes]:
    """What MLflow's page shows of a version."""
    equity, told = judgement.result.equity, judgement.predictions.drop_nulls("probability")
    return {
        "plots/equity.png": plots.equity_and_drawdown(equity, starting_balance=balance, fmt="png"),
        "plots/monthly_returns.png": plots.monthly_returns(equity, starting_balance=balance, fmt="png"),
        "plots/trades.png": plots.trade_distribution(judgement.result.trades, fmt="png"),
        "plots/calibration.png": plots.calibration(told, fmt="png"),
        **({} if folds.is_empty() else {"plots/auc_by_fold.png": plots.fold_aucs(folds, fmt="png")}),
    }


def _rule(settings: Settings, model: str) -> EntryRule:
    return EntryRule.of(settings.models[model], cost_bps=settings.trading.costs.round_trip_bps)
