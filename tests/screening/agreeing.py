"""Screening against the event-driven backtest; ``python -m tests.screening.agreeing`` at full size, in `make soak`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
from scipy.stats import spearmanr

from tests.screening.worlds import MARKET, NO_LIMITS, by_events, candles, known
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.sides import Side
from trading_assets.screening.agreement import compare
from trading_assets.screening.frames import Screening
from trading_assets.screening.sets import random_sets, rule_space
from trading_assets.settings import BacktestSettings, LabelSettings, RuleSettings, RuleStrategySettings

COSTS = BacktestSettings()
YEAR_OF_MINUTES = 525_600


@dataclass(frozen=True)
class Agreed:
    """Rank correlation of the sets' net results, cause -> trades, and the trades without a cause."""

    correlation: float
    causes: Counter[str]
    unexplained: list[dict[str, object]]


def sets_of(kind: str, count: int, seed: int = 7) -> list[RuleSettings]:
    """Random sets of a rule of the project."""
    spec = RuleStrategySettings.model_validate({"markets": [MARKET], "rule": {"kind": kind}})
    return random_sets(spec.rule, rule_space(spec, {}), count, seed=seed)


def agree(frame: pl.DataFrame, sets: Sequence[RuleSettings], *, timeframe: str, labels: LabelSettings) -> Agreed:
    """Trade sets by both, both ways, with costs and slipping fills."""
    length, decisions = timeframe_delta(timeframe), labels.timeframe.name
    made = decision_bars(frame, timeframe=timeframe, decision_timeframe=decisions, until=frame["ts"][-1] + length).drop(
        "known_at"
    )
    bars = {MARKET: known(made, MARKET, timedelta(minutes=labels.timeframe.minutes))}
    sides = tuple(Side)
    screening = Screening(
        {MARKET: frame},
        candle_timeframe=timeframe,
        labels=labels,
        sides=sides,
        settings=COSTS,
        risk=NO_LIMITS,
        bars=bars,
    )
    net, causes, unexplained = [], Counter[str](), list[dict[str, object]]()
    for one in sets:
        result = by_events(
            {MARKET: frame}, bars, one, candle_timeframe=timeframe, labels=labels, sides=sides, settings=COSTS
        )
        net.append(result.metrics["total_return"] if result else 0.0)
        if result is None:
            continue
        found = compare(
            result.trades,
            screening.trades([one]),
            {MARKET: frame},
            ticks={MARKET: screening.scene.rules[0].tick},
            slip_probability=COSTS.slippage_probability,
            refused=sum(result.refusals.values()),
        )
        causes.update(found.causes)
        unexplained += [{"set": repr(one), **row} for row in found.unexplained.to_dicts()]
    ours = screening.screen(sets).table["net"].to_list()
    return Agreed(float(spearmanr(net, ours).statistic), causes, unexplained)


def main() -> int:
    """A hundred sets of each of two rules on a year of minutes, decided every quarter of an hour."""
    frame, failed = candles(YEAR_OF_MINUTES, timeframe="1m", scale=6e-4), False
    for kind in ("ema_cross_rsi", "mean_reversion"):
        found = agree(frame, sets_of(kind, 100), timeframe="1m", labels=LabelSettings())
        sys.stdout.write(f"{kind}: rank correlation {found.correlation:.4f}; {dict(found.causes)}\n")
        for row in found.unexplained[:20]:
            sys.stdout.write(f"  unexplained: {row}\n")
        failed |= found.correlation < 0.95 or bool(found.unexplained)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
