"""Screening a year of minutes: one set with its figures beside vectorbt, and ten thousand: ``-m benchmarks.screening``.

Decisions are taken every quarter of an hour and resolved on the minutes, or every minute. In the clock of our rows are
the rule's signals, which vectorbt is given; the arrays of the history are made before, once for all sets (a row of its
own). Ten thousand sets with decisions every minute are reckoned from five hundred.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import YEAR_OF_MINUTES, walk
from trading_assets.core.sides import Side
from trading_assets.screening.frames import Screening
from trading_assets.screening.sets import random_sets, rule_space
from trading_assets.settings import EmaCrossRsiSettings, LabelSettings, RuleSettings, RuleStrategySettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.strategies.rules import rule_of

MARKET: Final = "sample:WALK/USDT:USDT"
SETS, FEW, MANY = 10_000, 500, 500
KINDS: Final = ("ema_cross_rsi", "momentum", "mean_reversion", "donchian", "macd_bollinger")


def run() -> list[Measurement]:
    """Time all of it."""
    candles = walk(YEAR_OF_MINUTES, timeframe="1m", scale=1.5e-4).drop("market", "known_at")
    quarters, minutes = LabelSettings(timeframe="15m"), LabelSettings(timeframe="1m")
    of(candles[:50_000], quarters).screen(sets_of("ema_cross_rsi", 2))  # compiles, or loads what was compiled
    found = [
        Measurement("screening: arrays of a year of minutes", best_of(lambda: of(candles, quarters)), len(candles))
    ]
    plain, with_stats = _vectorbt(candles)
    one = EmaCrossRsiSettings(fast=24, slow=120)
    for labels, name, peer in ((quarters, "15m", None), (minutes, "1m", with_stats)):
        seconds = _fresh(candles, labels, [one])
        said = f"screening: 1 set with figures, decisions every {name}"
        found.append(Measurement(said, seconds, len(candles), "vectorbt, with stats", peer, Target(max_seconds=0.05)))
    if plain is not None:
        found.append(Measurement("vectorbt alone, without stats", plain, len(candles)))
    for kind in KINDS:
        count = SETS if kind == "ema_cross_rsi" else FEW
        seconds = _fresh(candles, quarters, sets_of(kind, count), repeat=1) * SETS / count
        said = f"screening: {SETS:,} sets of {kind}, decisions every 15m" + ("" if count == SETS else f", from {count}")
        found.append(Measurement(said, seconds, SETS, target=Target(max_seconds=60)))
    seconds = _fresh(candles, quarters, sets_of("ema_cross_rsi", FEW), repeat=1, plan=ExitSettings()) * SETS / FEW
    found.append(Measurement(f"screening: the same with three targets, from {FEW}", seconds, SETS))
    seconds = _fresh(candles, minutes, sets_of("ema_cross_rsi", MANY), repeat=1) * SETS / MANY
    said = f"screening: {SETS:,} sets of ema_cross_rsi, decisions every 1m, from {MANY}"
    return [*found, Measurement(said, seconds, SETS, target=Target(max_seconds=60))]


def of(candles: pl.DataFrame, labels: LabelSettings, plan: ExitSettings | None = None) -> Screening:
    """Both sides, with the usual costs."""
    return Screening(
        {MARKET: candles}, candle_timeframe="1m", labels=labels, exit_plan=plan, sides=(Side.LONG, Side.SHORT)
    )


def sets_of(kind: str, count: int) -> list[RuleSettings]:
    """Random sets of a rule."""
    spec = RuleStrategySettings.model_validate({"markets": [MARKET], "rule": {"kind": kind}})
    return random_sets(spec.rule, rule_space(spec, {}), count, seed=7)


def _fresh(
    candles: pl.DataFrame,
    labels: LabelSettings,
    sets: list[RuleSettings],
    *,
    repeat: int = 5,
    plan: ExitSettings | None = None,
) -> float:
    """Seconds on arrays for which no outcome is known yet."""
    made: list[Screening] = []
    return best_of(lambda: made[-1].screen(sets), repeat=repeat, setup=lambda: made.append(of(candles, labels, plan)))


def _vectorbt(candles: pl.DataFrame) -> tuple[float | None, float | None]:
    """Seconds of one set by vectorbt on the same minutes, its entries given: without and with its stats."""
    try:
        import pandas as pd
        import vectorbt as vbt
    except ImportError:
        return None, None
    rule = rule_of(EmaCrossRsiSettings(fast=24, slow=120))
    said = rule.sides(candles.select("ts", "close").with_columns(market=pl.lit(MARKET)).select("market", "ts", "close"))
    index = pd.DatetimeIndex(candles["ts"].dt.replace_time_zone(None).to_numpy())
    prices: dict[str, Any] = {
        name: pd.Series(candles[name].to_numpy(), index) for name in ("open", "high", "low", "close")
    }
    long, short = (pd.Series(np.asarray(said.to_numpy() == side), index) for side in (1, -1))

    def trade() -> Any:
        return vbt.Portfolio.from_signals(
            **prices,
            entries=long,
            short_entries=short,
            tp_stop=0.02,
            sl_stop=0.01,
            fees=6e-4,
            size=0.1,
            size_type="percent",
            freq="1min",
            upon_opposite_entry="ignore",
        )

    trade().stats()  # compiles
    return best_of(trade, repeat=5), best_of(lambda: trade().stats(), repeat=5)


if __name__ == "__main__":
    main(run, __doc__, title="Screening")
