"""The project's rules: answers that can be worked out by hand, mirrors, and what they promise on the sample."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.bars import ema_memory
from trading_assets.features.proofs.extremes import made_up_extremes
from trading_assets.settings import AnyRule, RuleSettings
from trading_assets.sources.candles.synthetic import EDGE, simulate
from trading_assets.strategies import base
from trading_assets.strategies.rules import registered, rule_of
from trading_assets.strategies.rules.proofs import PROOFS, prove

READ: TypeAdapter[RuleSettings] = TypeAdapter(AnyRule)

QUICK: dict[str, dict[str, Any]] = {
    "donchian": {"bars": 5},
    "ema_cross_rsi": {"fast": 3, "slow": 6, "rsi": 4, "overbought": 95, "oversold": 5},
    "grid": {"bars": 8, "levels": 2, "drift": 1.0},
    "macd_bollinger": {"bars": 5, "deviations": 1.5, "within": 3, "fast": 3, "slow": 6, "signal": 3, "trend": 20},
    "mean_reversion": {"bars": 8, "entry": 1.5},
    "momentum": {"bars": 3, "volatility": 12},
}
"""Parameters with which a rule speaks often and looks back little."""


def quick(kind: str) -> Any:
    """A rule of few bars."""
    return rule_of(READ.validate_python({"kind": kind, **QUICK.get(kind, {})}))


def of(close: Sequence[float], high: Sequence[float] | None = None, low: Sequence[float] | None = None) -> pl.DataFrame:
    """Bars of these prices; each opens at the close before."""
    start, bar = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=15)
    open_ = [close[0], *close[:-1]]
    return pl.DataFrame(
        {
            "market": "x:A/B",
            "ts": [start + bar * row for row in range(len(close))],
            "open": open_,
            "high": high or np.maximum(open_, close),
            "low": low or np.minimum(open_, close),
            "close": close,
            "volume": 1.0,
        }
    ).with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC")))


def said(rule: Any, bars: pl.DataFrame) -> list[int]:
    """Its answers, of the columns that it declares."""
    return list(rule.sides(bars.select("market", "ts", *rule.inputs)))


def rule(kind: str, **parameters: Any) -> Any:
    """A rule of the project."""
    return rule_of(READ.validate_python({"kind": kind, **parameters}))


def test_donchian_buys_the_first_close_above_the_highest_high_before_and_sells_the_mirror() -> None:
    close = [10, 11, 10, 12, 13, 11, 9, 8, 10]
    bars = of(close, high=[11, 12, 11, 12, 13, 13, 11, 9, 10], low=[9, 10, 10, 10, 12, 11, 9, 8, 8])
    # highest highs of the three bars before row 4: 12, 11, 12; its close of 13 is the first above them. Lowest lows
    # before row 6: 10, 12, 11; its close of 9 is the first below. Row 7 is below 9 too, and no longer the first.
    assert said(rule("donchian", bars=3), bars) == [0, 0, 0, 0, 1, 0, -1, 0, 0]


def test_momentum_compares_a_return_with_what_its_volatility_explains() -> None:
    close = [1.0, 2, 4, 2, 4, 2, 1, 0.5]
    # Each step is a doubling or a halving, so two bars usually go sqrt(2) of them: two the same way are 1.41 times
    # that, one up and one down nothing.
    assert said(rule("momentum", bars=2, volatility=2, threshold=1.4), of(close)) == [0, 0, 1, 0, 0, 0, -1, -1]
    assert said(rule("momentum", bars=2, volatility=2, threshold=1.42), of(close)) == [0] * 8


def test_mean_reversion_counts_deviations_from_the_mean_of_its_bars() -> None:
    close = [10, 10, 10, 10, 5, 10, 10, 10, 10, 15]
    # The mean of 10, 10, 10, 10, 5 is 9 and their deviation 2: the last is two of them below. Later rows: 0.5 above.
    assert said(rule("mean_reversion", bars=5, entry=1.99), of(close)) == [0, 0, 0, 0, 1, 0, 0, 0, 0, -1]
    assert said(rule("mean_reversion", bars=5, entry=0.5), of(close))[4:9] == [1, -1, -1, -1, -1]
    assert said(rule("mean_reversion", bars=5, entry=1), of([7.0] * 9)) == [0] * 9, "a constant price lies at its mean"


def test_a_grid_buys_at_the_levels_below_the_middle_of_a_range_that_holds_and_sells_above() -> None:
    def grid(*then: float, drift: float = 1, levels: int = 2) -> list[int]:
        lead = [10, 14, 6, 10, 10]  # a range of 6 to 14, middle 10, levels 8 and 12 with its ends
        return said(rule("grid", bars=5, levels=levels, drift=drift), of([float(price) for price in (*lead, *then)]))[
            5:
        ]

    assert grid(9, 8, 7.5) == [0, 1, 0], "the middle is no level, and a level is bought at once"
    assert grid(8, 9, 8) == [1, 0, 1], "a level that is reached again is bought again"
    assert grid(12) == [-1]
    assert grid(13.9, levels=1) == [0], "one level alone is the range's end"
    assert grid(14, levels=1) == [-1]
    assert grid(5.9) == [0], "below the range nothing is bought"
    assert said(rule("grid", bars=5, levels=2, drift=0.2), of([6, 14, 6, 10, 10, 8])) == [0] * 6, "a trend is no range"
    assert said(rule("grid", bars=5), of([7.0] * 9)) == [0] * 9, "a constant price has no range"


def test_macd_bollinger_buys_where_a_fall_within_a_rising_trend_turns() -> None:
    chosen = rule("macd_bollinger", bars=5, deviations=1.2, within=3, fast=3, slow=6, signal=3, trend=40)
    lead = chosen.lookback_bars
    close = [100 + 0.5 * row for row in range(lead)]
    top = close[-1]
    close += [top - 3, top - 6, top - 9, top - 8, top - 3, top + 1]
    found = said(chosen, of(close))
    assert [row - lead for row, side in enumerate(found) if side] == [3], "the bar on which the fall has ended"
    assert found[lead + 3] == 1
    fallen = [400 - price for price in close]
    assert said(chosen, of(fallen)) == [-side for side in found]
    flat = [100.0 + (row % 2) for row in range(lead)] + [97, 94, 91, 92, 97, 101]
    assert not any(said(chosen, of(flat))), "without a trend it is silent"


def test_macd_bollinger_says_what_a_plain_implementation_says() -> None:
    chosen = quick("macd_bollinger")
    parameters = chosen.settings
    bars = made_up_extremes(chosen.lookback_bars + 300, Timeframe(15))
    close = bars["close"].to_list()

    def mean(values: list[float], bars: int) -> float:
        weights = [(1 - 2 / (bars + 1)) ** age for age in range(ema_memory(bars))]
        return sum(w * v for w, v in zip(weights, values[::-1], strict=False)) / sum(weights)

    lines = {
        end: mean(close[:end], parameters.fast) - mean(close[:end], parameters.slow)
        for end in range(ema_memory(parameters.slow), len(close) + 1)
    }

    def histogram(end: int) -> float:
        newest = [lines[one] for one in range(end - ema_memory(parameters.signal) + 1, end + 1)]
        return lines[end] - mean(newest, parameters.signal)

    def away(end: int) -> float:
        newest = np.array(close[end - parameters.bars : end])
        return float((newest[-1] - newest.mean()) / newest.std()) if newest.std() > 1e-9 else 0.0

    plain = [0] * (chosen.lookback_bars - 1)
    for end in range(chosen.lookback_bars, len(close) + 1):
        steps = [histogram(one) - histogram(one - 1) for one in (end, end - 1)]
        now, before = (int(step > 1e-9 * close[end - 1]) - int(step < -1e-9 * close[end - 1]) for step in steps)
        recent = [away(one) for one in range(end - parameters.within + 1, end + 1)]
        ahead = np.mean(close[end - parameters.bars : end]) - np.mean(close[end - parameters.trend : end])
        long = min(recent) <= -parameters.deviations and now == 1 and before != 1 and ahead > 1e-9 * close[end - 1]
        short = max(recent) >= parameters.deviations and now == -1 and before != -1 and ahead < -1e-9 * close[end - 1]
        plain.append(int(long) - int(short))
    assert said(chosen, bars) == plain
    assert {1, -1} <= set(plain)


@pytest.mark.parametrize("kind", sorted(registered()))
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_long_on_a_market_is_short_on_its_mirror(kind: str, seed: int) -> None:
    chosen = quick(kind)
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.standard_t(4, chosen.lookback_bars + 60)) * 0.01
    reach = np.abs(rng.normal(size=(2, path.size))) * 0.005
    before = np.append(0.0, path[:-1])
    high, low = np.maximum(path, before) + reach[0], np.minimum(path, before) - reach[1]

    def asked(turned: Any) -> list[int]:
        top, bottom = turned(high), turned(low)
        return said(chosen, of(list(turned(path)), list(np.maximum(top, bottom)), list(np.minimum(top, bottom))))

    by_ratio = (lambda log: 100 * np.exp(log)), (lambda log: 100 * np.exp(-log))
    by_difference = (lambda log: 1000 + 100 * log), (lambda log: 1000 - 100 * log)
    answers = [(asked(market), [-side for side in asked(mirror)]) for market, mirror in (by_ratio, by_difference)]
    assert any(one == other for one, other in answers)


@pytest.mark.parametrize("kind", sorted(registered()))
def test_each_keeps_what_every_rule_promises_on_made_up_bars_and_on_the_sample(kind: str) -> None:
    assert prove(quick(kind)) == {}
    chosen = rule(kind)
    rows = 2 * chosen.lookback_bars + 1_200
    made = simulate(15 * rows, seed=7, market="sample:SYNA/USDT:USDT", first_price=100.0, edge=EDGE)
    bars = of(list(made["close"][14::15])).with_columns(known_at=pl.col("ts") + pl.duration(minutes=15))
    folded = {"high": made["high"].reshape(-1, 15).max(axis=1), "low": made["low"].reshape(-1, 15).min(axis=1)}
    assert prove(chosen, bars.with_columns(pl.Series(name, values) for name, values in folded.items())) == {}
    assert set(PROOFS) == {"inputs", "answers", "look_ahead", "look_back", "partition", "mirror"}


@pytest.mark.parametrize("kind", sorted(registered()))
def test_each_has_defaults_a_source_and_a_file_that_a_screen_holds(kind: str) -> None:
    found = registered()[kind]
    assert found.source
    assert found.__doc__
    assert rule(kind).parameters
    assert len(inspect.getsource(inspect.getmodule(found)).splitlines()) < 60  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "macd_bollinger", "fast": 26}, "fast 26 must be fewer bars than slow 26"),
        ({"kind": "macd_bollinger", "bars": 200}, "bars 200 must be fewer than those of the trend, 200"),
        ({"kind": "macd_bollinger", "deviations": 0}, "greater than 0"),
        ({"kind": "momentum", "threshold": -1}, "greater than or equal to 0"),
        ({"kind": "momentum", "volatility": 1}, "greater than or equal to 2"),
        ({"kind": "mean_reversion", "bars": 5, "entry": 2}, "entry 2 is out of reach: of 5 closes none is 2.00 dev"),
        ({"kind": "donchian", "bars": 0}, "greater than or equal to 1"),
        ({"kind": "grid", "levels": 0}, "greater than or equal to 1"),
        ({"kind": "grid", "drift": 0}, "greater than 0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        READ.validate_python(wrong)


def test_a_bundle_of_a_rule_is_of_the_code_of_its_indicators_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind: one.fingerprint() for kind, one in registered().items()}
    assert len({*before.values()}) == len(before)
    honest = base.meaning
    monkeypatch.setattr(base, "meaning", lambda text: honest(text.replace("def convergence(", "def convergences(")))
    after = {kind: one.fingerprint() for kind, one in registered().items()}
    assert {kind for kind in before if before[kind] != after[kind]} == {"macd_bollinger"}
