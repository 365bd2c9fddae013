"""A decision made again: candles to bars to features to the bundle's answer, by the node's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import polars as pl

from trading_assets import features
from trading_assets.core.errors import ModelError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.models import Bundle
from trading_assets.models.decision import Companions, Decision, features_of
from trading_assets.models.record import WANTED, Record
from trading_assets.settings import Settings
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store
from trading_assets.store.tables import BARS
from trading_assets.strategies.decisions import bars_needed, decide

_DAY: Final = timedelta(days=1)
_COMPARED: Final = ["ts", "open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Held:
    """The bars that a decision is made from, the newest last.

    Attributes
    ----------
    frame
        ``market, ts, known_at, open, high, low, close, volume, candles``.
    source
        What they were built from: the candles' timeframe, or ``bars`` where only those are stored.
    missing
        Candles that are not stored, of those that the bars are made of.
    changed
        Stored bars that are other ones than the candles give.
    """

    frame: pl.DataFrame
    source: str
    missing: int
    changed: int


@dataclass(frozen=True)
class Rebuilt:
    """A decision, made again.

    Attributes
    ----------
    bundle, held, companions
        What it is made from.
    decision
        What the bundle says.
    """

    bundle: Bundle
    held: Held
    companions: Companions
    decision: Decision

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The feature rows that the answer reads, the newest last; of a rule, what it wants."""
        if any(isinstance(one, Record) for one in self.bundle.classifiers.values()):
            return self.decision.features
        timeframe, names = self.bundle.labels.timeframe, self.bundle.features
        found = features_of(
            self.held.frame, self.companions, timeframe=timeframe, names=names, plugins=self.bundle.plugins
        )
        return found.tail(self.bundle.lookback_rows)

    def raw(self, side: Side) -> float | None:
        """The estimator's own probability, before any calibration; None of a rule."""
        classifier = self.bundle.classifiers[side]
        if isinstance(classifier, Record):
            return None
        return float(classifier.probabilities(classifier.inputs(self.rows.tail(1), self.rows))[0])

    def record(self, side: Side) -> Record | None:
        """What became of a rule's signals; None of a trained model."""
        learnt = self.bundle.classifiers[side]
        return learnt if isinstance(learnt, Record) else None

    @property
    def wanted(self) -> int | None:
        """The side that a rule wanted a trade of, 1 or -1, 0 for none; None of a trained model."""
        by_rule = any(isinstance(one, Record) for one in self.bundle.classifiers.values())
        return int(self.decision.features[WANTED][-1]) if by_rule else None

    def calibrator(self, side: Side) -> str:
        """What turns the estimator's probability into the one that decides; empty where nothing does."""
        classifier = self.bundle.classifiers[side]
        known = None if isinstance(classifier, Record) else classifier.confidence
        return "" if known is None or known.curve is None else known.curve.kind


def rebuild(bundle: Bundle, market: str, bar_ts: datetime, *, store: Store, settings: Settings) -> Rebuilt:
    """Decide again on a bar, from the stored candles.

    Raises
    ------
    ModelError
        If candles of the look-back are missing, so that the bars are fewer than the decision needs.
    """
    timeframe = bundle.labels.timeframe
    held = read_bars(store, settings, market, timeframe, bar_ts, rows=bars_needed(bundle))
    companions = _companions(store, settings, bundle, market, held.frame)
    return Rebuilt(bundle, held, companions, decide(bundle, held.frame, companions))


def read_bars(
    store: Store, settings: Settings, market: str, timeframe: Timeframe, bar_ts: datetime, *, rows: int
) -> Held:
    """The bars that end with the one that opened at ``bar_ts``, built from candles; stored ones where those are gone.

    Raises
    ------
    ModelError
        If there are fewer than ``rows``, or the newest is missing.
    """
    stored = store.tail(BARS[timeframe.name], where={"market": market}, before=bar_ts + timeframe.length, rows=rows)
    candles = _candles(settings, market)
    built = _built(store, market, timeframe, candles, bar_ts, rows) if candles else stored.clear()
    if _complete(built, bar_ts, rows):
        per_bar = timeframe.length // Timeframe.parse(candles).length
        span = (bar_ts - built["ts"][0]) // timeframe.length + 1
        both = built.join(stored.select(_COMPARED), on="ts", suffix="_stored")
        same = pl.all_horizontal(pl.col(name) == pl.col(f"{name}_stored") for name in _COMPARED[1:])
        missing = per_bar * span - int(built["candles"].sum())
        return Held(built, candles, missing, both.height - int(both.select(same.sum()).item()))
    if _complete(stored, bar_ts, rows):
        return Held(stored, "bars", 0, 0)
    raise _too_few(built if built.height >= stored.height else stored, market, timeframe, bar_ts, rows)


def _built(store: Store, market: str, timeframe: Timeframe, candles: str, bar_ts: datetime, rows: int) -> pl.DataFrame:
    """From candles; look-backs count rows, so where bars are missing it looks further back."""
    found = pl.DataFrame(schema=BARS[timeframe.name].columns)
    for reach in (1, 2, 8):
        begin = bar_ts - reach * rows * timeframe.length - _DAY
        found = _between(store, market, timeframe, candles, begin, bar_ts).tail(rows)
        if found.height == rows:
            break
    return found


def _between(
    store: Store, market: str, timeframe: Timeframe, candles: str, first: datetime, last: datetime
) -> pl.DataFrame:
    """The bars that open from ``first`` to ``last``, both included."""
    model = load_models(timeframes=[timeframe])[BARS[timeframe.name].name]
    end = last + timeframe.length + _DAY  # a bar is closed once a later candle is there, if its last is missing
    bars = build_bars(store, model, market=market, timeframe=candles, start=first, end=end)
    return bars.filter(pl.col("ts") <= last)


def _candles(settings: Settings, market: str) -> str:
    """The timeframe of a market's candles; empty where the settings do not name it."""
    known = settings.markets.get(market)
    return "" if known is None else str(known.timeframe)


def _complete(bars: pl.DataFrame, bar_ts: datetime, rows: int) -> bool:
    return bars.height == rows and bars["ts"][-1] == bar_ts


def _too_few(bars: pl.DataFrame, market: str, timeframe: Timeframe, bar_ts: datetime, rows: int) -> ModelError:
    first = bar_ts - (rows - 1) * timeframe.length
    lacking = (
        f"the bar that was decided on is not stored (newest before it: {bars['ts'][-1]:%Y-%m-%d %H:%M})"
        if bars.height and bars["ts"][-1] != bar_ts
        else f"{bars.height:,} of {rows:,} {timeframe} bars are stored"
    )
    return ModelError(
        f"{lacking}: the decision at {bar_ts:%Y-%m-%d %H:%M} looks back to {first:%Y-%m-%d %H:%M}",
        where=market,
        remedy=f"trading backfill {market} --from {first:%Y-%m-%d}, or copy the store that the node's candles are in",
    )


def _companions(
    store: Store, settings: Settings, bundle: Bundle, market: str, held: pl.DataFrame
) -> Mapping[str, pl.DataFrame]:
    """What the node held beside a market's bars, up to the decision: from the tables, a leader's bars from candles."""
    leader = settings.features.leader
    wanted = features.required_companions(bundle.features, bundle.plugins)
    timeframe, first, last = bundle.labels.timeframe, held["ts"][0], held["ts"][-1]
    found = read_companions(
        store,
        market,
        timeframe=timeframe,
        start=first,
        end=last + timeframe.length,
        leader=leader,
        names=[name for name in wanted if name != "second_exchange"],
    )
    if "leader" not in wanted or leader in (None, market):
        return found
    candles = _candles(settings, leader)
    begin = first - COMPANIONS["leader"].max_age - timeframe.length
    built = _between(store, leader, timeframe, candles, begin, last) if candles else None
    if built is None or built.is_empty():
        return found
    return {**found, "leader": built.select("known_at", "close").sort("known_at")}
