"""Trading a model's stored predictions: as its settings say, or otherwise to see what would come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import polars as pl

from trading_assets.backtest import gates
from trading_assets.backtest.metrics import daily_returns
from trading_assets.backtest.significance import deflated, measure_significance, others, remembered
from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.backtest.stress import stress, stress_table
from trading_assets.core.errors import ModelError
from trading_assets.costs.funding import stored_payments
from trading_assets.labels import unit_lookback
from trading_assets.registry import Registry
from trading_assets.registry.trials import SHARPE_METRIC
from trading_assets.settings import BacktestSettings, Settings, StrategySettings
from trading_assets.settings.sections.slippage import MeasuredSlippageSettings
from trading_assets.store.contract import Store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import BACKTEST_METRICS, BOOK_SNAPSHOTS, CANDLES, EQUITY, PREDICTIONS, TRIAL_RETURNS
from trading_assets.strategies.risk.past import past_needed


def trade(
    predictions: pl.DataFrame, settings: Settings, store: Store, *, model: str, version: int, spec: StrategySettings
) -> BacktestResult:
    """Run the backtest over the candles from the first prediction on, and measure what it can bear.

    Parameters
    ----------
    predictions
        The model's, of the table ``predictions``.
    model, version
        Whose trades they are.
    spec
        The rule of entry among others; the settings' own, or one to try.
    """
    timeframe = settings.markets[spec.markets[0]].timeframe
    labels = settings.labels[spec.label]
    slippage = settings.simulation.slippage
    measured = slippage.bars + 1 if isinstance(slippage, MeasuredSlippageSettings) else 0
    before = max(unit_lookback(spec.exit_plan) - 1, measured) * labels.timeframe.length
    before = max(before, past_needed(settings.trading.sizing, settings.trading.risk, labels.timeframe))
    start = predictions.select(pl.col("ts").min()).item() - before
    candles = {
        market: store.read(CANDLES, where={"market": market, "timeframe": timeframe}, start=start)
        for market in spec.markets
    }
    funding = stored_payments(store, spec.markets, start)
    books = best_prices(store, spec.markets, start) if slippage.kind == "spread" else {}

    def run(costs: BacktestSettings) -> BacktestResult:
        return run_backtest(
            predictions,
            candles,
            candle_timeframe=timeframe,
            model=spec,
            labels=labels,
            settings=costs,
            risk=settings.trading.risk,
            name=model,
            version=version,
            reckoned_bps=settings.trading.costs.of_markets(spec.markets).round_trip_bps,
            funding=funding,
            books=books,
        )

    result = run(settings.simulation)
    worse = stress(run, settings.simulation) | stress_table(run, result, settings.simulation, candles)
    return replace(result, metrics=result.metrics | worse)


def best_prices(store: Store, markets: Sequence[str], start: datetime) -> dict[str, pl.DataFrame]:
    """Market -> the best prices of its recorded order books: ``known_at``, ``bid``, ``ask``, ascending."""
    best = {"bid": pl.col("bid_prices").list.first(), "ask": pl.col("ask_prices").list.first()}
    columns = ["known_at", "bid_prices", "ask_prices"]
    read = {
        market: store.read(BOOK_SNAPSHOTS, where={"market": market}, start=start, columns=columns) for market in markets
    }
    return {market: frame.select("known_at", **best).drop_nulls().sort("known_at") for market, frame in read.items()}


def judge(
    result: BacktestResult,
    predictions: pl.DataFrame,
    settings: Settings,
    store: Store,
    *,
    model: str,
    version: int,
    spec: StrategySettings,
) -> dict[str, float]:
    """The metrics that judge a result among all trials on its markets."""
    return measure_significance(
        result.trades,
        result.equity,
        predictions,
        tried=Registry(settings).trials(spec.markets),
        other_trials=others(store.read(TRIAL_RETURNS), model=model, version=version, markets=spec.markets),
        model=spec,
        labels=settings.labels[spec.label],
        settings=settings.simulation,
    )


def judge_again(store: Store, settings: Settings, model: str, version: int) -> list[gates.GateResult]:
    """The gates of a stored backtest among the trials of now, which may be more than when it was made."""
    where: dict[str, str | int] = {"model": model, "version": version}
    metrics = dict(up_to_date(store).read(BACKTEST_METRICS, where=where).select("metric", "value").iter_rows())
    equity = store.read(EQUITY, where=where)["equity"].to_list()
    markets = settings.models[model].markets
    kept = others(store.read(TRIAL_RETURNS), model=model, version=version, markets=markets)
    returns = daily_returns(equity, settings.simulation.starting_balance)
    metrics |= deflated(returns, remembered(Registry(settings).trials(markets), kept))
    return gates.evaluate(metrics, settings.gates_of(model))


def try_out(
    settings: Settings, store: Store, model: str, changes: Mapping[str, float]
) -> tuple[dict[str, float], list[gates.GateResult]]:
    """Trade a model's stored predictions by another rule of entry: nothing is stored, but it counts as a trial.

    Parameters
    ----------
    changes
        Of the model's settings: ``threshold``, ``min_edge_bps``.

    Returns
    -------
    tuple
        The metrics, and the gates that they pass or fail.

    Raises
    ------
    ModelError
        If the model was never trained.
    """
    registry, predictions = Registry(settings), store.read(PREDICTIONS, where={"model": model})
    versions = registry.list(model)
    if predictions.is_empty() or not versions:
        raise ModelError("no predictions are stored", where=f"model {model}", remedy=f"run trading train {model}")
    spec, version = settings.models[model].model_copy(update=dict(changes)), versions[-1].version
    result = trade(predictions, settings, store, model=model, version=version, spec=spec)
    kept = registry.get(model, version).metrics.get(SHARPE_METRIC)
    registry.log_metrics(model, version, {SHARPE_METRIC: result.metrics["sharpe"]})
    metrics = result.metrics | judge(result, predictions, settings, store, model=model, version=version, spec=spec)
    if kept is not None:  # the version's own figure is the newest again; its history has both
        registry.log_metrics(model, version, {SHARPE_METRIC: kept})
    return metrics, gates.evaluate(metrics, settings.gates.of(spec.gates))
