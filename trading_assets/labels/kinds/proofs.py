"""What every label promises, asked of one: the same questions for those of the project and for a plug-in's.

The market is made up: prices that jump, and volume that comes in bursts. Each proof says what is wrong, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.core.proofs import refuted
from trading_assets.core.sides import Side
from trading_assets.labels.kinds.contract import Known, Label
from trading_assets.labels.label_sets import decides, label, lookback_bars
from trading_assets.store.tables import LABELS

_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_BARS: Final = 400
"""Beside look-back and horizons."""

_KEYS: Final = ["ts", "side"]
_EXACT: Final = [name for name in LABELS.columns if name not in ("return", "take_profit", "stop_loss")]
_SUMS: Final = 1e-9
"""Barriers that are a rolling mean may differ so much with where the frame begins."""


@dataclass(frozen=True)
class Case:
    """A label and the market that it is asked about."""

    label: Label[Any]

    @cached_property
    def bars(self) -> pl.DataFrame:
        """Of the set's timeframe; they are the finest candles too."""
        settings = self.label.settings
        return market(lookback_bars(settings) + 4 * settings.horizon_bars + _BARS, settings.timeframe.length)

    @cached_property
    def whole(self) -> pl.DataFrame:
        """The rows of all bars."""
        return self.rows(self.bars)

    def rows(self, bars: pl.DataFrame) -> pl.DataFrame:
        """The rows of some bars, both sides."""
        settings = self.label.settings
        return label(
            bars,
            bars,
            label_set="proof",
            settings=settings,
            sides=(Side.LONG, Side.SHORT),
            candle_timeframe=settings.timeframe.name,
            until=bars["known_at"][-1],
        )


def market(rows: int, length: timedelta) -> pl.DataFrame:
    """Bars of a market that never was."""
    rng = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 3e-3))
    opened = np.concatenate([[100.0], close[:-1]])
    ts = pl.datetime_range(_START, _START + length * (rows - 1), length, time_unit="us", time_zone="UTC", eager=True)
    return pl.DataFrame(
        {
            "market": ["proof:A/B"] * rows,
            "ts": ts,
            "known_at": ts + length,
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.exponential(1e-3, rows)),
            "low": np.minimum(opened, close) * (1 - rng.exponential(1e-3, rows)),
            "close": close,
            "volume": rng.lognormal(3, 1, rows),
        }
    )


def prove(label: Label[Any]) -> dict[str, str]:
    """What is wrong with a label: proof -> why; nothing where all hold.

    Parameters
    ----------
    label
        With its settings, e.g. ``label_of(settings)``.
    """
    return refuted(PROOFS, Case(label))


def _rows(case: Case) -> str | None:
    found = case.whole
    if found.is_empty():
        return "there is no row"
    for name in found.columns:
        if name != "missing_candles" and found[name].null_count():
            return f"{name} is null"
    if found.select(_KEYS).is_duplicated().any():
        return "a bar has two rows of a side"
    if not set(found["label"]) <= {1, 0, -1}:
        return f"labels {sorted(set(found['label']))}: 1, 0 and -1 are known"
    if case.label.settings.barriers == "plan":  # what follows the first target may cost more than that earned
        return _of_plan(found)
    if found.filter(pl.col("label") == 1, pl.col("return") <= 0).height:
        return "a label of 1 has earned nothing"
    return None


def _of_plan(found: pl.DataFrame) -> str | None:
    said = pl.col("barrier").replace_strict({"take_profit": 1, "time": 0, "stop_loss": -1}, return_dtype=pl.Int8)
    if found.filter(pl.col("label") != said).height:
        return "a label does not say which came first, target or stop"
    return None


def _ends(case: Case) -> str | None:
    late = case.whole.filter(
        (pl.col("label_end") <= pl.col("known_at"))
        | (pl.col("label_end") > pl.col("known_at") + case.label.settings.horizon)
    )
    return f"label_end of the bar at {late['ts'][0]} is not within its horizon" if late.height else None


def _later(case: Case) -> str | None:
    """Rows of a market that was cut are those of the whole one whose horizon ends in time."""
    for cut in (7, case.label.settings.horizon_bars + 1, _BARS // 2):
        known = case.bars[: case.bars.height - cut]
        ended = pl.col("known_at") + case.label.settings.horizon <= known["known_at"][-1]
        if why := _differs(case.rows(known), case.whole.filter(ended)):
            return f"{why}, by what comes after the horizon"
    return None


def _before(case: Case) -> str | None:
    """Rows of a part of the market are those of the whole one."""
    needed = lookback_bars(case.label.settings)
    for first in (needed + _BARS // 2, needed + _BARS // 3):
        part = case.bars[first - needed + 1 :]
        since = pl.col("ts") >= case.bars["ts"][first]
        if why := _differs(case.rows(part).filter(since), case.whole.filter(since)):
            return f"{why}, by what lies before the newest {needed} bars"
    return None


def _decides(case: Case) -> str | None:
    """Rows are there exactly where the set decides, which the newest bars alone say too."""
    bars, settings = case.bars, case.label.settings
    wanted = decides(bars, settings)
    if wanted is None:
        return None
    ended = pl.col("known_at") + settings.horizon <= bars["known_at"][-1]
    for side in Side:
        asked = bars.filter(wanted[side.word], ended)["ts"]
        there = case.whole.filter(side=int(side))["ts"]
        if not there.is_in(asked.implode()).all():
            return f"there is a {side.word} row where it does not decide"
    needed = lookback_bars(settings)
    for end in range(bars.height - 60, bars.height + 1):
        newest = decides(bars[end - needed : end], settings)
        if newest is None or newest.row(-1) != wanted.row(end - 1):
            return f"at {bars['ts'][end - 1]} it decides otherwise from the newest {needed} bars than from all"
    return None


def _untouched(case: Case) -> str | None:
    bars = case.bars.clone()
    case.label.rows(Known(bars, bars, case.label.settings.timeframe.name, bars["known_at"][-1]), (Side.LONG,))
    return None if bars.equals(case.bars) else "it writes to the bars that it was given"


def _differs(found: pl.DataFrame, expected: pl.DataFrame) -> str | None:
    lone = found.join(expected, on=_KEYS, how="anti").height + expected.join(found, on=_KEYS, how="anti").height
    if lone:
        return f"{lone} rows come or go"
    both = found.join(expected, on=_KEYS, suffix="_there")
    for name in LABELS.columns:
        if name in _KEYS:
            continue
        same = pl.col(name).eq_missing(pl.col(f"{name}_there"))
        if name not in _EXACT:
            same = (pl.col(name) - pl.col(f"{name}_there")).abs() <= _SUMS
        if (changed := both.filter(~same)).height:
            return f"{name} of the bar at {changed['ts'][0]} changes"
    return None


PROOFS: Final[Mapping[str, Callable[[Case], str | None]]] = {
    "rows": _rows,
    "ends": _ends,
    "later": _later,
    "before": _before,
    "decides": _decides,
    "untouched": _untouched,
}
