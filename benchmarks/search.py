"""The search for parameters on a year of hourly bars: 200 trials of a rule, and LightGBM's fifty, from five.

In the clock is `trading_assets.search.look`: drawing, walk-forward, worth and pruning of each trial, with what trials
learn from made anew for each rule, and nothing written down. Bars are a random walk, so that nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import walk
from trading_assets import features
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.labels import label
from trading_assets.models import Dataset, join
from trading_assets.models.inputs import usable_names
from trading_assets.search import look
from trading_assets.settings import ModelSettings, RuleStrategySettings, Settings, StrategySettings, load_settings
from trading_assets.strategies.rules import rows

MARKET: Final = "sample:A/USDT:USDT"
H1: Final = Timeframe.parse("1h")
YEAR: Final = 365 * 24
FAMILIES: Final = ["momentum", "trend", "volatility"]
MODEL: Final = {"markets": [MARKET], "label": "swing", "walk_forward": {"train_days": 60, "test_days": 30}}
TRIALS, LEARNT, ALL_LEARNT = 200, 5, 50


def run() -> list[Measurement]:
    """Time both."""
    bars = _hours()
    rule = RuleStrategySettings.model_validate({"kind": "rule", "rule": {"kind": "ema_cross_rsi"}, **MODEL})
    learner = ModelSettings.model_validate({"features": FAMILIES, **MODEL})
    by_rule = _seconds(_settings(rule, TRIALS), _of_rule(bars))
    learnt = _seconds(_settings(learner, LEARNT), _of_model(bars)) * ALL_LEARNT / LEARNT
    return [
        Measurement(f"{TRIALS} trials of ema_cross_rsi, a year of 1h", by_rule, TRIALS, target=Target(max_seconds=60)),
        Measurement(f"{ALL_LEARNT} of lightgbm, from {LEARNT}", learnt, ALL_LEARNT, target=Target(max_seconds=600)),
    ]


def _seconds(settings: Settings, build: Callable[[StrategySettings], Dataset]) -> float:
    return best_of(lambda: look(settings, "a", build, storage=None), repeat=1)


def _settings(spec: StrategySettings, trials: int) -> Settings:
    labels: dict[str, Any] = {"swing": {"timeframe": "1h", "take_profit_pct": 2.0, "stop_loss_pct": 1.0}}
    base = load_settings(labels=labels, models={}, markets={MARKET: {"source": "sample"}})
    asked = base.search.model_copy(update={"trials": trials, "minutes": None})
    return base.model_copy(update={"models": {"a": spec}, "search": asked})


def _hours() -> pl.DataFrame:
    """A year, and before it what features look back on."""
    bars = walk(YEAR + lookback_bars(H1) - 1, seed=1, scale=4e-3)
    ts = pl.col("ts").first() + pl.int_range(pl.len()) * timeframe_delta("1h")
    return bars.with_columns(ts.alias("ts"), (ts + timeframe_delta("1h")).alias("known_at"), market=pl.lit(MARKET))


def _labels(bars: pl.DataFrame, spec: StrategySettings) -> pl.DataFrame:
    settings = _settings(spec, 1).labels["swing"]
    given: dict[str, Any] = {"candle_timeframe": "1h", "until": bars["known_at"][-1]}
    return label(bars, bars, label_set="swing", settings=settings, sides=spec.sides, **given)


def _of_rule(bars: pl.DataFrame) -> Callable[[StrategySettings], Dataset]:
    known: list[pl.DataFrame] = []

    def build(spec: StrategySettings) -> Dataset:
        assert isinstance(spec, RuleStrategySettings)
        known[:] = known or [_labels(bars, spec)]
        return rows.join([bars], known[0], spec, _settings(spec, 1).labels["swing"])

    return build


def _of_model(bars: pl.DataFrame) -> Callable[[StrategySettings], Dataset]:
    names = usable_names(timeframe=H1, chosen=FAMILIES)
    table = features.compute(bars, timeframe=H1, features=FAMILIES)

    def build(spec: StrategySettings) -> Dataset:
        return join(table, _labels(bars, spec), names=names, fingerprint=features.fingerprint(names))

    return build


if __name__ == "__main__":
    main(run, __doc__, title="Search")
