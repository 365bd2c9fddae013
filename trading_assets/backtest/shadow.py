"""What shadow signals would have earned: traded by the backtest's own engine over the stored candles.

There is no second matching engine. What a version said on closed bars in the node is put through the engine that its
walk-forward was put through: the same strategy class, entries at the next candle's open after the latency, barriers on
the finest candles stored, fees and slippage, time stop, one position a market. So two versions are compared like with
like; the fills of the node's own account are another thing, and stand in ``fills``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.errors import MissingCandles
from trading_assets.models import Bundle
from trading_assets.settings import ModelSettings, Settings, StrategySettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES

KEY = ("market", "timeframe", "bar_ts")
"""Names a bar."""


class Contender(NamedTuple):
    """One version as it spoke in shadow."""

    model: str
    version: int
    bundle_hash: str


def answers_of(signals: pl.DataFrame, contender: Contender) -> pl.DataFrame:
    """What a version said on each bar, ascending; where a replay went over a bar again, the last of it.

    Parameters
    ----------
    signals
        Rows of ``shadow_signals``.
    contender
        The version.
    """
    mine = signals.filter(
        (pl.col("model") == contender.model)
        & (pl.col("model_version") == contender.version)
        & (pl.col("bundle_hash") == contender.bundle_hash)
    )
    return mine.sort("seq").unique(KEY, keep="last").sort(KEY)


def hypothetical(
    answers: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    bundle: Bundle,
    settings: Settings,
    contender: Contender,
    *,
    funding: Mapping[str, pl.DataFrame] = MappingProxyType({}),
) -> BacktestResult:
    """The account that a version's answers would have led.

    Whether a bar is entered on is what the version said in the node, whatever the settings say now.

    Parameters
    ----------
    answers
        Of :func:`answers_of`.
    candles
        Market -> its finest candles.
    bundle
        The version's: barriers and horizon.
    settings
        Costs, capital, sizes and limits.
    contender
        Names trades and equity.
    funding
        Perpetual -> its stored payments.

    Raises
    ------
    TradingError
        As :func:`trading_assets.backtest.simulation.engine.run_backtest`.
    """
    markets = [market for market in bundle.spec.markets if market in set(answers["market"])]
    return run_backtest(
        _as_predictions(answers),
        candles,
        candle_timeframe=settings.markets[markets[0]].timeframe,
        model=_said_so(bundle.spec, markets),
        labels=bundle.labels,
        settings=settings.simulation,
        risk=settings.trading.risk,
        name=contender.model,
        version=contender.version,
        reckoned_bps=settings.trading.costs.of_markets(markets).round_trip_bps,
        funding=funding,
    )


def with_candles(
    answers: pl.DataFrame, store: Store, settings: Settings, *, before: timedelta = timedelta(0)
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The answers on bars that the stored candles reach beyond, and these candles, from ``before`` the first answer on.

    Raises
    ------
    MissingCandles
        If there are none.
    """
    start: datetime = answers["bar_ts"].min()  # type: ignore[assignment]
    spoken = [market for market in answers["market"].unique().sort() if market in settings.markets]
    finest = {market: settings.markets[market].timeframe for market in spoken}
    candles = {
        market: store.read(CANDLES, where={"market": market, "timeframe": timeframe}, start=start - before)
        for market, timeframe in finest.items()
    }
    ends = [(market, frame["ts"][-1]) for market, frame in candles.items() if frame.height]
    known = pl.DataFrame(ends, schema={"market": pl.String, "end": TS}, orient="row")
    covered = answers.join(known, on="market").filter(pl.col("bar_ts") < pl.col("end")).drop("end").sort(KEY)
    if covered.is_empty():
        raise MissingCandles(
            f"no candles from {start:%Y-%m-%d %H:%M} on",
            where=", ".join(answers["market"].unique().sort()),
            remedy="run trading backfill; the schedule market_data does it every hour",
        )
    return covered, {market: candles[market] for market in covered["market"].unique()}


def _as_predictions(answers: pl.DataFrame) -> pl.DataFrame:
    """Rows as the engine takes them; an answer that held says nothing."""
    lengths = {name: timeframe_delta(name) for name in answers["timeframe"].unique()}
    wanted = pl.when(pl.col("action") == "enter").then("probability")
    return answers.select(
        "market",
        pl.col("bar_ts").alias("ts"),
        known_at=pl.col("bar_ts") + pl.col("timeframe").replace_strict(lengths, return_dtype=pl.Duration("us")),
        side="side",
        probability=wanted,
        take_profit="take_profit",
        stop_loss="stop_loss",
    )


def _said_so(spec: StrategySettings, markets: list[str]) -> StrategySettings:
    """The version's settings with a rule of entry that takes it at its word."""
    changes: dict[str, object] = {"markets": markets, "min_edge_bps": -1e9, "threshold": None}
    changes["min_expected_net_pct"] = None
    if isinstance(spec, ModelSettings):
        changes["confidence"] = spec.confidence.model_copy(update={"enter_only_when_certain": False})
    return spec.model_copy(update=changes)
