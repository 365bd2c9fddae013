"""Trade out-of-sample predictions with the project's strategy on the simulated exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from trading_assets.backtest import metrics, round_trips
from trading_assets.backtest.simulation.extremes import (
    is_mixed,
    low_first,
    only_side,
    traded_sides,
    undecided,
    wanted_sides,
)
from trading_assets.backtest.simulation.inputs import (
    check_candles,
    market_rules,
    narrowest,
    period,
    require_one_quote,
    wanted,
    window,
)
from trading_assets.backtest.simulation.replay import freed_by_this_thread, replay
from trading_assets.backtest.simulation.result import BacktestResult, is_cut, refusals
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import ModelError, TradingError
from trading_assets.core.sides import Side
from trading_assets.settings import BacktestSettings, LabelSettings, RiskSettings, StrategySettings
from trading_assets.store.tables import EQUITY, TRADES
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import MemoryJournal, StoredSignals, barrier_percent, with_side

__all__ = ["BacktestResult", "run_backtest"]


def run_backtest(
    predictions: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    *,
    candle_timeframe: str,
    model: StrategySettings,
    labels: LabelSettings,
    settings: BacktestSettings,
    risk: RiskSettings,
    name: str = "",
    version: int = 0,
    reckoned_bps: float | None = None,
) -> BacktestResult:
    """Trade predictions with :class:`~trading_assets.strategies.host.StrategyHost`.

    A decision is made when a bar of the labels' timeframe closes; its order arrives one latency later and fills at the
    open of the first candle after the decision, never inside the bar that it was made on. Stop and target rest from one
    latency after the fill and are resolved inside each candle by ``labels.ambiguous``, like the labels: worst case
    means the stop comes before the target, see :mod:`trading_assets.backtest.simulation.extremes`. A stop fills at its
    price, or at the open where the market gapped through it. What is open when the data ends is closed at the last
    price.

    Parameters
    ----------
    predictions
        The ``predictions`` table of one model: ``market, ts, known_at, probability``, ``side`` (without it, long), and
        where barriers are scaled ``take_profit, stop_loss``. Of two sides at one bar the better one is traded.
    candles
        Market -> its finest candles: ``ts`` (open) and OHLCV, ascending.
    candle_timeframe
        Of all candles.
    model
        Markets and rule of entry.
    labels
        Barriers, horizon and the policy for ambiguous candles.
    settings, risk
        Costs and capital; the limits that the node has too.
    name
        The model's name in the frames.
    version
        Its version there; 0 for none.
    reckoned_bps
        The costs of a round trip that entries are decided with; those of ``settings`` where not given.

    Raises
    ------
    ModelError
        If there are no predictions for the model's markets.
    MissingCandles
        If one of its markets has no candles in the period.
    SettingsError
        If candles and latency do not fit, markets are not quoted in one currency, or a position is more coins than the
        engine's numbers hold.
    InvalidFrame
        If a candle is impossible or out of order, or prices are larger than the engine's numbers hold, or have more
        decimals.
    """
    markets = tuple(model.markets)
    predictions = with_side(predictions).filter(pl.col("market").is_in(markets))
    if predictions.is_empty():
        raise ModelError(
            f"no predictions for {', '.join(markets)}", where=name, remedy="materialize walk_forward first"
        )
    for market, frame in candles.items():
        check_candles(frame, market, volume=settings.max_volume_share is not None)
    start, end = period(predictions, candles, candle_timeframe, labels)
    replayed = {market: window(candles, market, start, end) for market in markets}
    require_one_quote(markets)
    rules = {market: market_rules(market, candles[market], settings, risk) for market in markets}
    rule = EntryRule.of(model, cost_bps=settings.round_trip_bps if reckoned_bps is None else reckoned_bps)
    signals = StoredSignals(wanted(predictions, rule, labels), rule=rule, labels=labels, model=name or "walk_forward")

    def run(order: Mapping[str, pl.Series | bool]) -> tuple[MemoryJournal, dict[str, float], int]:
        journal = MemoryJournal()
        with freed_by_this_thread():
            statistics, bars = replay(
                replayed,
                rules,
                signals,
                journal,
                order,
                candle_timeframe=candle_timeframe,
                timeframe=labels.timeframe,
                end=end,
                barrier_ratio=narrowest(predictions, labels),
                settings=settings,
                risk=risk,
            )
        return journal, statistics, bars

    worst_case = labels.ambiguous != "best_case"
    if is_mixed(predictions):
        sides = wanted_sides(predictions, rule, barrier_percent(labels))
        journal, statistics, bars = _until_decided(run, replayed, sides, worst_case=worst_case)
    else:
        order = (only_side(predictions) is Side.LONG) == worst_case
        journal, statistics, bars = run(dict.fromkeys(markets, order))
    trips = round_trips.round_trips(journal.of("plans"), journal.of("fills"), decision_timeframe=labels.timeframe.name)
    length = timeframe_delta(candle_timeframe)
    closes = {m: frame.select((pl.col("ts") + length).alias("known_at"), "close") for m, frame in replayed.items()}
    balance = settings.starting_balance
    equity = round_trips.daily_equity(trips, closes, starting_balance=balance, start=start, end=end)
    _reconcile(trips, statistics.pop("balance"), balance)
    trades = trips.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*TRADES.columns)
    found = refusals(journal)
    figures = metrics.compute(trades, equity, starting_balance=balance, markets=len(markets), start=start, end=end) | {
        "refused": float(sum(found.values())),
        "capped": float(sum(is_cut(row["reason"]) for row in journal.of("signals") if row["action"] == "enter")),
    }
    return BacktestResult(
        trades=trades,
        equity=equity.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*EQUITY.columns),
        metrics=figures,
        start=start,
        end=end,
        refusals=found,
        engine_statistics=statistics,
        candles=sum(frame.height for frame in replayed.values()),
        bars=bars,
    )


def _until_decided(
    run: Callable[[Mapping[str, pl.Series | bool]], tuple[MemoryJournal, dict[str, float], int]],
    candles: Mapping[str, pl.DataFrame],
    sides: pl.DataFrame,
    *,
    worst_case: bool,
) -> tuple[MemoryJournal, dict[str, float], int]:
    """Run, and run again as long as a trade met a candle with both of its barriers in the wrong order."""
    while True:
        order = {market: low_first(frame, market, sides, worst_case=worst_case) for market, frame in candles.items()}
        done = run(order)
        sides = traded_sides(done[0].of("plans"))
        if not any(
            undecided(frame, market, sides, order[market], worst_case=worst_case) for market, frame in candles.items()
        ):
            return done


def _reconcile(trades: pl.DataFrame, balance: float, starting_balance: float) -> None:
    """The engine's account and our ledger must agree to a millionth of the capital."""
    ours = starting_balance + float(trades["pnl"].sum())
    if abs(ours - balance) > 1e-6 * starting_balance:
        raise TradingError(
            f"the engine's account has {balance:,.6f}, the trades add up to {ours:,.6f}",
            where="backtest",
            remedy="report this as a bug",
        )
