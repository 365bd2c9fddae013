"""The backtests beside a node: of its own signals, and of what the stored rows say on the same bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.backtest.shadow import KEY, Contender, hypothetical, with_candles
from trading_assets.backtest.simulation.result import BacktestResult
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.funding import stored_payments
from trading_assets.divergence.attribution import MADE
from trading_assets.divergence.decisions import better_side, unequal_rows, with_cause, with_wanted
from trading_assets.journal import HASH_DIGITS
from trading_assets.labels import scale_lookback, unit_lookback, widths
from trading_assets.models import Bundle, bundle
from trading_assets.models.decision import bars_needed
from trading_assets.performance import slippage_fees
from trading_assets.settings import ModelSettings, Settings
from trading_assets.settings.sections.trading import CostSettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLE_REVISIONS, FEATURES, FILLS, ORDERS, Schema
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.risk.past import past_needed

_DAY: Final = timedelta(days=1)
_OPEN: Final = "end"
"""Why a trade ends that is open where the stored candles do."""

_WIDTHS: Final[Schema] = {"take_profit": pl.Float64, "stop_loss": pl.Float64}
_CHANGED: Final[Schema] = {"market": pl.String, "bar_ts": TS, "changed": pl.String}


@dataclass(frozen=True, slots=True)
class Beside:
    """What backtests make of one version's bars.

    Attributes
    ----------
    said, stored
        Trades: of the node's own signals, and of what the stored rows say. Columns of
        :data:`~trading_assets.divergence.attribution.MADE`, also those that are open where the candles end.
    changed
        ``market``, ``bar_ts`` and ``changed`` of decisions that the stored rows make otherwise.
    end
        Where the candles end.
    """

    said: pl.DataFrame
    stored: pl.DataFrame
    changed: pl.DataFrame
    end: datetime


def backtests_of(
    store: Store, settings: Settings, contender: Contender, signals: pl.DataFrame, live: pl.DataFrame
) -> Beside:
    """Trade one version's bars again.

    Parameters
    ----------
    store, settings
        Candles, bars, features and funding; costs, sizes and limits.
    contender
        The version.
    signals
        What it decided in the node, each bar once.
    live
        The feature rows that it decided on, of ``live_features``.

    Raises
    ------
    TradingError
        If the bundle is gone, or no candles of the time are stored.
    """
    folder = settings.bundles_dir / contender.model / contender.bundle_hash[:HASH_DIGITS]
    held = bundle.load(folder, plugins=settings.plugged)
    timeframe = held.labels.timeframe
    past = past_needed(settings.trading.sizing, settings.trading.risk, timeframe)
    bars = max(unit_lookback(held.spec.exit_plan), scale_lookback(held.labels))
    before = max(bars * timeframe.length + _DAY, past)
    covered, candles = with_candles(with_wanted(signals), store, settings, before=before)
    finest = str(settings.markets[next(iter(candles))].timeframe)
    covered = _answers(covered, candles, held, finest)
    changed = _changed(store, held, live)
    run = _Run(store, settings, held, contender, candles)
    said = run(covered)
    other = _decided_otherwise(store, settings, held, covered, changed)
    stored = said if other is None else run(other)
    end: datetime = max(frame["ts"][-1] for frame in candles.values())
    return Beside(said, stored, changed.with_columns(model=pl.lit(contender.model)), end)


def is_open() -> pl.Expr:
    """Whether a backtest's trade was open where the candles ended: its result is not known yet."""
    return pl.col("exit_reason") == _OPEN


@dataclass(frozen=True, slots=True)
class _Run:
    store: Store
    settings: Settings
    bundle: Bundle
    contender: Contender
    candles: Mapping[str, pl.DataFrame]

    def __call__(self, answers: pl.DataFrame) -> pl.DataFrame:
        if answers.filter(action="enter").is_empty():
            return pl.DataFrame(schema=MADE)
        first: datetime = answers["bar_ts"].min()  # type: ignore[assignment]
        funding = stored_payments(self.store, list(self.candles), first)
        found = hypothetical(answers, self.candles, self.bundle, self.settings, self.contender, funding=funding)
        return made_by(found, self.contender.model, self.bundle.labels.timeframe, self.settings.trading.costs)


def made_by(result: BacktestResult, model: str, timeframe: Timeframe, costs: CostSettings) -> pl.DataFrame:
    """A backtest's trades as they are compared."""
    fills = pl.DataFrame(
        [{name: row.get(name) for name in FILLS.columns} for row in result.fills], schema=FILLS.columns
    )
    orders = pl.DataFrame(
        [{name: row.get(name) for name in ORDERS.columns} for row in result.orders], schema=ORDERS.columns
    )
    slipped = slippage_fees(fills, orders, costs, simulated=True)
    return (
        result.trades.join(slipped, on="signal_id", how="left")
        .with_columns(
            model=pl.lit(model),
            ts=pl.col("signal_ts") + timeframe.length,
            ordered=pl.col("quantity"),
            slippage_fees=pl.col("slippage_fees").fill_null(0.0),
        )
        .select(*MADE)
    )


def _answers(signals: pl.DataFrame, candles: Mapping[str, pl.DataFrame], held: Bundle, finest: str) -> pl.DataFrame:
    """What the node said, as the backtest of a version takes it, with the barriers that the stored candles give."""
    lengths = {"timeframe": finest, "decision_timeframe": held.labels.timeframe.name}
    wide = [pl.DataFrame(schema={"market": pl.String, "bar_ts": TS, **_WIDTHS})]
    for market, frame in candles.items():
        until: datetime = frame["ts"][-1] + timeframe_delta(finest)
        bars = decision_bars(frame, **lengths, until=until)
        distances = widths(bars, held.labels)
        wide.append(
            bars.select(bar_ts="ts").hstack(distances).select(pl.lit(market).alias("market"), "bar_ts", *_WIDTHS)
        )
    return signals.join(pl.concat(wide), on=["market", "bar_ts"], how="left").select(
        *KEY,
        "side",
        "probability",
        *_WIDTHS,
        action=pl.when("wanted").then(pl.lit("enter")).otherwise(pl.lit("hold")),
    )


def _changed(store: Store, held: Bundle, live: pl.DataFrame) -> pl.DataFrame:
    """Bars on which the stored feature row is another one, and why; of a rule, whose rows are not stored, none."""
    if live.is_empty() or not isinstance(held.spec, ModelSettings):
        return pl.DataFrame(schema=_CHANGED)
    first: datetime = live["bar_ts"].min()  # type: ignore[assignment]
    bar = held.labels.timeframe.length
    reach = (bars_needed(held) + 1) * bar
    stored = _features(store, held, first)
    revisions = store.read(CANDLE_REVISIONS, where={"market": list(held.markets)}, start=first - reach)
    newest = live.sort("seq").unique(["market", "bar_ts"], keep="last", maintain_order=True)
    return with_cause(unequal_rows(newest, stored, held.features), revisions, bar=bar, reach=reach)


def _features(store: Store, held: Bundle, start: datetime) -> pl.DataFrame:
    """Stored rows of the bundle's features from a bar on; none where the project never computed any."""
    where = {"market": list(held.markets), "timeframe": held.labels.timeframe.name}
    names = ["market", "ts", "known_at"]
    rows = store.read(FEATURES, where=where, start=start, columns=names)
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Float32).alias(name) for name in held.features)
    return store.read(FEATURES, where=where, start=start, columns=[*names, *held.features])


def _decided_otherwise(
    store: Store, settings: Settings, held: Bundle, answers: pl.DataFrame, changed: pl.DataFrame
) -> pl.DataFrame | None:
    """The answers with those of the changed bars made from the stored rows; None where that changes none of them."""
    bars = answers.join(changed, on=["market", "bar_ts"], how="semi")
    if bars.is_empty():
        return None
    first: datetime = bars["bar_ts"].min()  # type: ignore[assignment]
    known = _features(store, held, first - (held.lookback_rows - 1) * held.labels.timeframe.length)
    rows = known.join(bars.select("market", ts="bar_ts"), on=["market", "ts"], how="semi")
    costs = settings.trading.costs.of_markets(held.markets)
    rule = EntryRule.of(held.spec, cost_bps=costs.round_trip_bps, slippage_bps=2 * costs.slippage_bps)
    said = []
    for side in held.sides:
        probabilities, sets = held.said(rows, Side(side), history=known)
        found = rows.select("market", bar_ts="ts").with_columns(
            side=pl.lit(int(side), pl.Int8),
            probability=pl.Series(probabilities, dtype=pl.Float64),
            prediction_set=pl.Series(sets, dtype=pl.Int8) if sets is not None else pl.lit(None, pl.Int8),
        )
        barriers = bars.select("market", "bar_ts", "timeframe", *_WIDTHS)
        percent = (100 * pl.col("take_profit"), 100 * pl.col("stop_loss"))
        wanted = rule.enters(pl.col("probability"), *percent, pl.col("prediction_set"))
        said.append(found.join(barriers, on=["market", "bar_ts"]).with_columns(wanted=wanted))
    told = better_side(pl.concat(said)).with_columns(
        action=pl.when("wanted").then(pl.lit("enter")).otherwise(pl.lit("hold"))
    )
    others = answers.join(told, on=["market", "bar_ts"], how="anti")
    return pl.concat([others, told.select(answers.columns)]).sort(KEY)
