"""Trade out-of-sample predictions with the project's strategy on the simulated exchange."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.backtest import ledger, metrics
from trading_assets.backtest.inputs import check_candles, window
from trading_assets.backtest.slices import TICKS_PER_BAR, MarketRules, closing_slices, decision_bars, price_path
from trading_assets.candles import DECISION_BAR, DECISION_TIMEFRAME, Market, timeframe_delta
from trading_assets.errors import InvalidFrame, ModelError, SettingsError, TradingError
from trading_assets.precision import MAX_QUANTITY
from trading_assets.settings import BacktestSettings, LabelSettings, ModelSettings, RiskSettings
from trading_assets.store.tables import BACKTEST_METRICS, EQUITY, TRADES
from trading_assets.strategies.cash import NO_CASH
from trading_assets.strategies.entry import EntryRule
from trading_assets.strategies.limits import CUT
from trading_assets.strategies.signals import MemoryJournal, StoredSignals, barrier_percent

_VENUE: Final = "binance"
_SLICE_TIMEFRAME: Final = "1m"
"""The engine's name for slices of candles; it matches on the finest bars it gets."""

_ROOM: Final = 1.25
"""Positions grow with the account; the engine's largest quantity must hold those of an account larger by so much."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What a backtest leaves.

    Attributes
    ----------
    trades, equity
        Frames of the tables of these names.
    metrics
        Of :func:`trading_assets.backtest.metrics.compute`, ``refused``: entries that the limits of risk, venue,
        volume and cash refused, and ``capped``: those that volume or cash made smaller.
    start, end
        The period: from the first prediction's bar to the last one's horizon, or the last candle.
    refusals
        What refused -> how often.
    engine_statistics
        NautilusTrader's own figures, for comparison.
    candles, bars
        Candles replayed, and bars that the engine got for them.
    """

    trades: pl.DataFrame
    equity: pl.DataFrame
    metrics: dict[str, float]
    start: datetime
    end: datetime
    refusals: dict[str, int] = field(default_factory=dict)
    engine_statistics: dict[str, float] = field(default_factory=dict)
    candles: int = 0
    bars: int = 0

    def metrics_frame(self, model: str, version: int) -> pl.DataFrame:
        """The metrics as rows of the ``backtest_metrics`` table."""
        rows = [(model, version, name, value) for name, value in self.metrics.items()]
        return pl.DataFrame(rows, schema=BACKTEST_METRICS.columns, orient="row")


def run_backtest(
    predictions: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    *,
    candle_timeframe: str,
    model: ModelSettings,
    labels: LabelSettings,
    settings: BacktestSettings,
    risk: RiskSettings,
    name: str = "",
    version: int = 0,
    reckoned_bps: float | None = None,
) -> BacktestResult:
    """Trade predictions with :class:`~trading_assets.strategies.model_strategy.ModelStrategy`.

    A decision is made when a 15-minute bar closes; its order arrives one latency later and fills at the open of the
    first candle after the decision, never inside the bar that it was made on. Stop and target rest from one latency
    after the fill and are resolved inside each candle by ``labels.ambiguous``, like the labels: worst case means the
    low comes before the high. A stop fills at its price, or at the open where the market gapped through it. What is
    open when the data ends is closed at the last price.

    Parameters
    ----------
    predictions
        The ``predictions`` table of one model: ``market, ts, known_at, probability``, and where barriers are scaled
        ``take_profit, stop_loss``.
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
    predictions = predictions.filter(pl.col("market").is_in(markets))
    if predictions.is_empty():
        raise ModelError(
            f"no predictions for {', '.join(markets)}", where=name, remedy="materialize walk_forward first"
        )
    for market, frame in candles.items():
        check_candles(frame, market, volume=settings.max_volume_share is not None)
    start, end = _period(predictions, candles, candle_timeframe, labels)
    replayed = {market: window(candles, market, start, end) for market in markets}
    _one_quote(markets)
    rules = {market: _rules(market, candles[market], settings, risk) for market in markets}
    journal = MemoryJournal()
    rule = EntryRule.of(model, cost_bps=settings.round_trip_bps if reckoned_bps is None else reckoned_bps)
    with _freed_by_this_thread():
        statistics, bars = _replay(
            replayed,
            rules,
            StoredSignals(predictions, rule=rule, labels=labels, model=name or "walk_forward"),
            journal,
            candle_timeframe=candle_timeframe,
            end=end,
            low_first=labels.ambiguous != "best_case",
            barrier_ratio=_narrowest(predictions, labels),
            settings=settings,
            risk=risk,
        )
    trips = ledger.round_trips(journal.of("plans"), journal.of("fills"), decision_timeframe=DECISION_TIMEFRAME)
    length = timeframe_delta(candle_timeframe)
    closes = {m: frame.select((pl.col("ts") + length).alias("known_at"), "close") for m, frame in replayed.items()}
    balance = settings.starting_balance
    equity = ledger.daily_equity(trips, closes, starting_balance=balance, start=start, end=end)
    _reconcile(trips, statistics.pop("balance"), balance)
    trades = trips.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*TRADES.columns)
    refusals = _refusals(journal)
    figures = metrics.compute(trades, equity, starting_balance=balance, markets=len(markets), start=start, end=end) | {
        "refused": float(sum(refusals.values())),
        "capped": float(sum(_is_cut(row["reason"]) for row in journal.of("signals") if row["action"] == "enter")),
    }
    return BacktestResult(
        trades=trades,
        equity=equity.with_columns(model=pl.lit(name), version=pl.lit(version, pl.Int32)).select(*EQUITY.columns),
        metrics=figures,
        start=start,
        end=end,
        refusals=refusals,
        engine_statistics=statistics,
        candles=sum(frame.height for frame in replayed.values()),
        bars=bars,
    )


@contextmanager
def _freed_by_this_thread() -> Iterator[None]:
    """Free what the block leaves in cycles: no other thread, e.g. a progress bar's, may free the engine's strategy."""
    gc.freeze()  # what was there before need not be looked through
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def _replay(
    candles: Mapping[str, pl.DataFrame],
    rules: dict[str, MarketRules],
    signals: StoredSignals,
    journal: MemoryJournal,
    *,
    candle_timeframe: str,
    end: datetime,
    low_first: bool,
    barrier_ratio: float,
    settings: BacktestSettings,
    risk: RiskSettings,
) -> tuple[dict[str, float], int]:
    """Run the engine; its statistics and final balance, and how many bars it got."""
    from trading_assets.backtest.venue import Feed, final_statistics, make_engine, run_chunks
    from trading_assets.strategies.model_strategy import ModelStrategy, ModelStrategyConfig
    from trading_assets.strategies.risk import RiskGate

    latency = timedelta(milliseconds=settings.latency_ms)
    frames = {"timeframe": candle_timeframe, "decision_timeframe": DECISION_TIMEFRAME}
    feeds = []
    for market, stored in candles.items():
        whole = settings.max_volume_share is not None
        frame = stored if whole else stored.with_columns(volume=pl.lit(MAX_QUANTITY))  # volume is not looked at
        path = price_path(
            frame,
            **frames,
            latency=latency,
            low_first=low_first,
            barrier_ratio=barrier_ratio,
            lot=rules[market].lot,
        )
        closing = closing_slices(frame, at=end, latency=latency)
        decisions = decision_bars(frame, **frames, until=end).rename({"known_at": "at"})
        feeds.append(Feed(market, _SLICE_TIMEFRAME, rules[market], pl.concat([path, closing])))
        feeds.append(Feed(market, DECISION_TIMEFRAME, rules[market], decisions.drop("ts")))
    config = ModelStrategyConfig(
        tuple(candles),
        settings.position_share,
        _VENUE,
        DECISION_TIMEFRAME,
        close_at=end,
        max_volume_share=settings.max_volume_share,
        taker_fee_bps=settings.market_order_bps,
    )
    strategy = ModelStrategy(config, signals, journal, RiskGate(risk, markets=len(candles)))
    engine = make_engine(settings, rules, venue=_VENUE)
    try:
        engine.add_strategy(strategy)
        bars = run_chunks(engine, feeds, venue=_VENUE)
        if strategy.errors:
            raise TradingError(f"the strategy halted: {strategy.halted}", where="backtest") from strategy.errors[0]
        if not strategy.is_flat():
            raise TradingError("positions are open after the end", where="backtest", remedy="report this as a bug")
        return final_statistics(engine, venue=_VENUE), bars
    finally:
        engine.dispose()


def _period(
    predictions: pl.DataFrame, candles: Mapping[str, pl.DataFrame], timeframe: str, labels: LabelSettings
) -> tuple[datetime, datetime]:
    """From the first prediction's bar to the end of the decision bar in which the last trade's horizon has passed.

    Where that bar is missing, to the end of the next one that has candles; in any case not beyond the candles.
    """
    start, known = predictions.select(pl.col("ts").min(), pl.col("known_at").max()).row(0)
    horizon = known + labels.horizon_bars * DECISION_BAR
    filled = [frame["ts"] for frame in candles.values() if not frame.is_empty()]
    covered = max((ts[-1] for ts in filled), default=start) + timeframe_delta(timeframe)
    ends: list[list[datetime]] = [
        (ts.dt.truncate(DECISION_BAR) + DECISION_BAR).unique().sort().to_list() for ts in filled
    ]
    last = max((next((end for end in bars if end > horizon), bars[-1]) for bars in ends), default=start)
    return start, max((end for bars in ends for end in bars if end <= min(last, covered)), default=start)


def _narrowest(predictions: pl.DataFrame, labels: LabelSettings) -> float:
    """Take-profit over stop-loss price of the trade whose barriers are closest together."""
    target, stop = barrier_percent(labels)
    ratio: float = predictions.select(((1 + target / 100) / (1 - stop / 100)).min()).item()
    return ratio


def _rules(market: str, candles: pl.DataFrame, settings: BacktestSettings, risk: RiskSettings) -> MarketRules:
    """The market's steps; refuses it where a position, with room for some profit, is more than a bar can fill."""
    notional = min(_ROOM * settings.starting_balance * settings.position_share, risk.max_position_notional)
    lowest = float(candles["low"].min())  # type: ignore[arg-type]
    quantity, limit = notional / lowest, MAX_QUANTITY / TICKS_PER_BAR
    if quantity > limit:
        raise SettingsError(
            f"{notional:,g} at a price of {lowest:.6g} are {quantity:.3g} coins; the engine holds {limit:.3g}",
            where=market,
            remedy="lower backtest.starting_balance or position_share, or use a market quoted in larger units",
        )
    try:
        return MarketRules.of(candles, capital=settings.starting_balance)
    except InvalidFrame as error:
        raise InvalidFrame(error.what, where=market, remedy=error.remedy) from None


def _one_quote(markets: tuple[str, ...]) -> None:
    quotes = {Market.parse(market).quote for market in markets}
    if len(quotes) > 1:
        raise SettingsError(
            f"markets quoted in {sorted(quotes)} cannot share one account",
            where="models",
            remedy="make one model per quote currency",
        )


def _reconcile(trades: pl.DataFrame, balance: float, starting_balance: float) -> None:
    """The engine's account and our ledger must agree to a millionth of the capital."""
    ours = starting_balance + float(trades["pnl"].sum())
    if abs(ours - balance) > 1e-6 * starting_balance:
        raise TradingError(
            f"the engine's account has {balance:,.6f}, the trades add up to {ours:,.6f}",
            where="backtest",
            remedy="report this as a bug",
        )


def _is_cut(reason: str) -> bool:
    return CUT in reason or NO_CASH in reason


def _refusals(journal: MemoryJournal) -> dict[str, int]:
    reasons: list[Any] = [row["reason"] for row in journal.of("signals") if row["action"] == "refuse"]
    kept = [reason for reason in reasons if not reason.startswith("halted: flatten: end")]
    return dict(Counter(re.split(r":?\s*\d", reason, maxsplit=1)[0] for reason in kept))
