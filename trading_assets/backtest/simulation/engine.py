"""Trade out-of-sample predictions with the project's strategy on the simulated exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import polars as pl

from trading_assets.backtest import metrics, round_trips
from trading_assets.backtest.metrics.slippage import total_slippage
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
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import ModelError, TradingError
from trading_assets.core.sides import Side
from trading_assets.costs.funding import PAYMENTS, charged, payments
from trading_assets.costs.outlook import FundingOutlook
from trading_assets.costs.slippage import Slippage
from trading_assets.settings import BacktestSettings, LabelSettings, RiskSettings, StrategySettings
from trading_assets.settings.sections.slippage import MeasuredSlippageSettings
from trading_assets.store.tables import EQUITY, TRADES
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.risk.closes import Closes, StoredCloses
from trading_assets.strategies.risk.past import past_needed
from trading_assets.strategies.signals import MemoryJournal, Stream
from trading_assets.strategies.stored_signals import StoredSignals, stakes_percent, with_side, with_units

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
    funding: Mapping[str, pl.DataFrame] = MappingProxyType({}),
    books: Mapping[str, pl.DataFrame] = MappingProxyType({}),
) -> BacktestResult:
    """Trade predictions with :class:`~trading_assets.strategies.host.host.StrategyHost`.

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
        Market -> its finest candles: ``ts`` (open) and OHLCV, ascending. Of a model whose exit plan is measured in
        average true ranges, also those before the first prediction; without them it says nothing at first.
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
    funding
        Perpetual -> its stored payments, of :func:`trading_assets.costs.funding.stored_payments`. Where there are none,
        `trading.costs.assumed_funding_bps` is charged.
    books
        Market -> recorded best prices (``known_at``, ``bid``, ``ask``), for a slippage of kind `spread`.

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
    plan = model.exit_plan
    start, end = period(predictions, candles, candle_timeframe, labels, plan)
    replayed = {market: window(candles, market, start, end) for market in markets}
    require_one_quote(markets)
    rules = {market: market_rules(market, candles[market], settings, risk) for market in markets}
    due = pl.concat(
        [
            pl.DataFrame(schema=PAYMENTS),
            *(
                payments(
                    market,
                    funding.get(market),
                    frame,
                    timeframe=candle_timeframe,
                    start=start,
                    end=end,
                    assumed_bps=settings.assumed_funding_bps,
                )
                for market, frame in replayed.items()
            ),
        ]
    )
    cost_bps = settings.of_markets(markets).round_trip_bps if reckoned_bps is None else reckoned_bps
    slippage = _slippage(settings, {m: candles[m] for m in markets}, books, candle_timeframe, labels, end)
    rule = EntryRule.of(model, cost_bps=cost_bps, slippage_bps=2 * settings.slippage_bps)
    if plan is not None:
        predictions = with_units(predictions, _bars(candles, markets, candle_timeframe, labels, end), plan)
    signals = StoredSignals(
        wanted(predictions, rule, labels),
        rule=rule,
        labels=labels,
        exit_plan=plan,
        model=name or "walk_forward",
        outlook=FundingOutlook(settings.assumed_funding_bps, funding),
    )

    past_closes: Closes | None = None
    if past_needed(settings.sizing, risk, labels.timeframe):
        past = _bars(candles, markets, candle_timeframe, labels, end)
        past_closes = StoredCloses({Stream(market, labels.timeframe.name): bars for market, bars in past.items()})

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
                barrier_ratio=narrowest(predictions, labels, plan, rule.cost_bps / 1e4),
                stops_move=plan is not None,
                settings=settings,
                risk=risk,
                funding=due,
                slippage=slippage,
                closes=past_closes,
            )
        return journal, statistics, bars

    worst_case = labels.ambiguous != "best_case"
    if is_mixed(predictions):
        sides = wanted_sides(predictions, rule, stakes_percent(predictions, labels))
        journal, statistics, bars = _until_decided(run, replayed, sides, worst_case=worst_case)
    else:
        order = (only_side(predictions) is Side.LONG) == worst_case
        journal, statistics, bars = run(dict.fromkeys(markets, order))
    fills = journal.of("fills")
    paid = charged(fills, due)
    trips = round_trips.round_trips(journal.of("plans"), fills, decision_timeframe=labels.timeframe.name, funding=paid)
    length = timeframe_delta(candle_timeframe)
    closes = {m: frame.select((pl.col("ts") + length).alias("known_at"), "close") for m, frame in replayed.items()}
    balance = settings.starting_balance
    equity = round_trips.daily_equity(
        trips, closes, starting_balance=balance, start=start, end=end, fills=fills, funding=paid
    )
    assumed = float(paid.filter("assumed")["amount"].sum())
    _reconcile(trips, statistics.pop("balance") + assumed, balance)
    seen = metrics.with_excursions(trips, replayed)
    trades = seen.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*TRADES.columns)
    benchmark = metrics.buy_and_hold(closes, equity["ts"], start=start, balance=balance)
    found = refusals(journal)
    figures = (
        metrics.compute(trades, equity, starting_balance=balance, markets=len(markets), start=start, end=end)
        | metrics.compute_further(trades, equity, benchmark, starting_balance=balance)
        | {
            "refused": float(sum(found.values())),
            "capped": float(sum(is_cut(row["reason"]) for row in journal.of("signals") if row["action"] == "enter")),
            "total_funding": float(paid["amount"].sum()),
            "total_slippage": total_slippage(fills, journal.of("orders"), settings),
            "assumed_funding": assumed,
            "assumed_payments": float(due["assumed"].sum()),
            "payments": float(due.height),
        }
    )
    return BacktestResult(
        trades=trades,
        equity=equity.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*EQUITY.columns),
        metrics=figures,
        benchmark=benchmark,
        orders=journal.of("orders"),
        fills=journal.of("fills"),
        start=start,
        end=end,
        refusals=found,
        engine_statistics=statistics,
        candles=sum(frame.height for frame in replayed.values()),
        bars=bars,
        funding=paid,
    )


def _bars(
    candles: Mapping[str, pl.DataFrame], markets: Sequence[str], timeframe: str, labels: LabelSettings, until: datetime
) -> dict[str, pl.DataFrame]:
    """The decision bars of each market, also those from before the first prediction."""
    frames = {"timeframe": timeframe, "decision_timeframe": labels.timeframe.name}
    return {market: decision_bars(candles[market], **frames, until=until) for market in markets}


def _slippage(
    settings: BacktestSettings,
    candles: Mapping[str, pl.DataFrame],
    books: Mapping[str, pl.DataFrame],
    candle_timeframe: str,
    labels: LabelSettings,
    until: datetime,
) -> Slippage | None:
    """The model of what orders at the market lose, on all decision bars that there are; None where it is fixed."""
    if not isinstance(settings.slippage, MeasuredSlippageSettings):
        return None
    lengths = {"timeframe": candle_timeframe, "decision_timeframe": labels.timeframe.name}
    bars = {market: decision_bars(frame, **lengths, until=until) for market, frame in candles.items()}
    return Slippage(settings.slippage, settings.slippage_bps, bars, books)


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
    """The engine's account, less what the ledger alone assumes, and our ledger must agree to a millionth of it."""
    ours = starting_balance + float(trades["pnl"].sum())
    if abs(ours - balance) > 1e-6 * starting_balance:
        raise TradingError(
            f"the engine's account has {balance:,.6f}, the trades add up to {ours:,.6f}",
            where="backtest",
            remedy="report this as a bug",
        )
