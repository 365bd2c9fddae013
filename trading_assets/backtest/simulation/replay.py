"""One run of the strategy over candles on the simulated exchange."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.backtest.simulation.slices import MarketRules, closing_slices, decision_bars, price_path
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import TradingError
from trading_assets.core.precision import MAX_QUANTITY
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.slippage import Slippage
from trading_assets.settings import BacktestSettings, RiskSettings
from trading_assets.strategies.risk.closes import Closes
from trading_assets.strategies.signals import MemoryJournal
from trading_assets.strategies.stored_signals import StoredSignals

_VENUE: Final = "binance"
_SELDOM: Final = 100_000
"""New objects after which garbage is looked for: a run makes many that stay, in its journal, and few in cycles."""


@contextmanager
def freed_by_this_thread() -> Iterator[None]:
    """Free what the block leaves in cycles: no other thread, e.g. a progress bar's, may free the engine's strategy."""
    gc.freeze()  # what was there before need not be looked through
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.collect()
        gc.unfreeze()


def replay(
    candles: Mapping[str, pl.DataFrame],
    rules: dict[str, MarketRules],
    signals: StoredSignals,
    journal: MemoryJournal,
    low_first: Mapping[str, pl.Series | bool],
    *,
    candle_timeframe: str,
    timeframe: Timeframe,
    end: datetime,
    barrier_ratio: float,
    stops_move: bool = False,
    settings: BacktestSettings,
    risk: RiskSettings,
    funding: pl.DataFrame,
    slippage: Slippage | None = None,
    closes: Closes | None,
) -> tuple[dict[str, float], int]:
    """Run the engine once.

    Parameters
    ----------
    candles, rules
        Of each market: what is replayed, and the steps of its prices.
    signals, journal
        What the strategy is told, and where it writes.
    low_first
        Market -> whether its candles go to their low before their high.
    candle_timeframe, timeframe
        Of the candles, and of the bars that are decided on.
    end
        When what is open is closed.
    barrier_ratio, stops_move
        See :func:`trading_assets.backtest.simulation.slices.price_path`.
    funding
        The payments that are due on the markets: columns of :data:`trading_assets.costs.funding.PAYMENTS`.
    slippage
        What orders at the market lose; None for `slippage_bps`.
    closes
        The past of prices, where sizes or limits ask for it.

    Returns
    -------
    tuple
        The engine's statistics with the final ``balance``, and how many bars it got.

    Raises
    ------
    TradingError
        If the strategy halted or something is open after the end.
    """
    from trading_assets.backtest.simulation.funding_ahead import next_funding
    from trading_assets.backtest.simulation.protections import protections_of
    from trading_assets.backtest.simulation.venue import (
        SLICES,
        Feed,
        final_statistics,
        funding_updates,
        make_engine,
    )
    from trading_assets.backtest.simulation.walk import MarketFeed, Walk
    from trading_assets.strategies.host.config import HostConfig
    from trading_assets.strategies.host.host import StrategyHost
    from trading_assets.strategies.orders.matching import Matching
    from trading_assets.strategies.protections.watch import HeardJournal
    from trading_assets.strategies.risk.gate import RiskGate

    latency = timedelta(milliseconds=settings.latency_ms)
    frames = {"timeframe": candle_timeframe, "decision_timeframe": timeframe.name}
    feeds = []
    for market, stored in candles.items():
        whole = settings.max_volume_share is not None
        frame = stored if whole else stored.with_columns(volume=pl.lit(MAX_QUANTITY))  # volume is not looked at
        slices = price_path(
            frame,
            **frames,
            latency=latency,
            low_first=low_first[market],
            barrier_ratio=barrier_ratio,
            lot=rules[market].lot,
            stops_move=stops_move,
        )
        closing = closing_slices(frame, at=end, latency=latency)
        decisions = decision_bars(frame, **frames, until=end).rename({"known_at": "at"})
        path = Feed(market, SLICES, rules[market], pl.concat([slices, closing]))
        feeds.append(MarketFeed(path, Feed(market, timeframe.name, rules[market], decisions)))
    config = HostConfig(
        tuple(candles),
        settings.sizing,
        dict.fromkeys(candles, (timeframe.name,)),
        close_at=end,
        taker_fee_bps=settings.of_markets(candles).market_order_bps,
        matching=Matching(simulated=True, candle=timeframe_delta(candle_timeframe), latency=latency),
    )
    gate = RiskGate(risk, markets=len(candles))
    protections = protections_of(settings, journal, funding)
    heard = journal if protections is None else HeardJournal(journal, protections.hear)
    strategy = StrategyHost(
        config,
        signals,
        heard,
        gate,
        closes=closes,
        next_funding=next_funding(funding),
        entry_veto=None if protections is None else protections.refusal,
        protections=protections,
    )
    engine = make_engine(settings, rules, venue=_VENUE, slippage=slippage)
    try:
        engine.add_strategy(strategy)
        walk = Walk(
            engine,
            strategy,
            journal,
            feeds,
            told=signals.told,
            funding=funding_updates(funding),
            each=protections is not None,
        )
        bars = walk.run()
        if strategy.errors:
            raise TradingError(f"the strategy halted: {strategy.halted}", where="backtest") from strategy.errors[0]
        if not strategy.is_flat():
            raise TradingError("positions are open after the end", where="backtest", remedy="report this as a bug")
        return final_statistics(engine, venue=_VENUE), bars
    finally:
        engine.dispose()
