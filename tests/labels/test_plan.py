"""The outcome of an exit plan as a label: first target before the stop, and what all parts earned."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from tests.exits.brute_force import Candle, simulate
from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.labels import label_of, newest_widths, scale_lookback, triple_barrier, widths
from trading_assets.labels.kinds.proofs import market, prove
from trading_assets.settings import LabelSettings, Settings, read_labels
from trading_assets.strategies.rules import registered

MARKET = "sample:AAA/USDT:USDT"
HOURS = 6
assert registered(), "rules that label sets name"
RULE = {"kind": "ema_cross_rsi", "fast": 2, "slow": 5, "rsi": 3, "overbought": 95, "oversold": 5}
BAR = timedelta(minutes=15)


def of_plan(plan: dict[str, Any] | None = None, **more: Any) -> LabelSettings:
    """A label set as the settings fill it in."""
    given = {"atr_bars": 20, "hold_hours": HOURS} | (plan or {})
    return read(exits={"p": given}, labels={"d": {"barriers": "plan", "exit": "p", "cost_bps": 10, **more}}).labels["d"]


def read(**more: Any) -> Settings:
    return Settings.model_validate(
        {
            "sources": {"s": {"kind": "sample"}},
            "markets": {MARKET: {"source": "s"}},
            "models": {"a": {"markets": [MARKET], "label": "d"}},
            **more,
        }
    )


PLANS = [
    {},
    {"unit": "percent", "stop": 0.6, "targets": [{"at": 0.4, "share": 0.5}], "trailing": {"distance": 0.3}},
    {"break_even_after": None, "trailing": None, "targets": [{"at": 2, "share": 1}]},
    {"trailing": {"distance": 0.8, "after": "entry"}, "break_even_after": 2},
]


@pytest.mark.parametrize(("plan", "ambiguous"), list(product(PLANS, ["worst_case", "best_case"])))
def test_labels_are_what_the_plain_simulator_says_of_each_bar(plan: dict[str, Any], ambiguous: str) -> None:
    settings = of_plan(plan, ambiguous=ambiguous)
    named = settings.exit_plan
    assert named is not None
    candles = market(1_500, timedelta(minutes=5)).filter(pl.int_range(pl.len()) % 97 != 0)
    bars = (
        candles.group_by_dynamic("ts", every="15m")
        .agg(pl.first("market", "open"), pl.max("high"), pl.min("low"), pl.last("close"))
        .with_columns(known_at=pl.col("ts") + BAR)
    )
    found = triple_barrier(
        bars,
        candles,
        candle_timeframe="5m",
        settings=settings,
        until=bars["known_at"][-1],
        sides=(Side.LONG, Side.SHORT),
    )
    assert found.height > 700
    unit = dict(zip(bars["ts"], widths(bars, settings)["stop_loss"] / named.stop, strict=True))
    path = [Candle(*row) for row in candles.select("ts", "open", "high", "low", "close").iter_rows()]
    place = {one.ts: number for number, one in enumerate(path)}
    for row in found.sample(150, seed=1).iter_rows(named=True):
        told = simulate(
            path[place[row["known_at"]] :][: HOURS * 12 + 1],
            side=Side(row["side"]),
            plan=ExitPlan.of(named, unit[row["ts"]]),
            known_at=row["known_at"],
            step=timedelta(minutes=5),
            bar=BAR,
            cost=0.001,
            best_case=ambiguous == "best_case",
        )
        assert told is not None
        first = 1 if told.targets else 0 if told.reason == "time" else -1
        assert (row["label"], row["label_end"], row["ambiguous"]) == (first, told.closed_at, told.ambiguous)
        assert row["return"] == pytest.approx(told.gross - 0.001, abs=1e-9)
        assert row["entry_price"] == told.entry_price


def test_a_plan_of_one_target_and_one_stop_is_the_triple_barrier() -> None:
    """To the last bit, but for a target that costs eat: of a plan that is a right call all the same."""
    plan = {"trailing": None, "break_even_after": None, "stop": 1.0, "targets": [{"at": 2.0, "share": 1.0}]}
    bars = market(3_000, BAR)
    known = {"candle_timeframe": "15m", "until": bars["known_at"][-1], "sides": (Side.LONG, Side.SHORT)}
    one = triple_barrier(bars, bars, settings=of_plan(plan), **known)
    other = triple_barrier(
        bars, bars, settings=LabelSettings(barriers="atr", scale_bars=20, horizon_bars=24, cost_bps=10), **known
    )
    assert one.equals(other.with_columns(label=pl.when(pl.col("barrier") == "take_profit").then(1).otherwise("label")))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", ["triple_barrier", "meta"])
def test_what_every_label_promises_holds_of_plans(plan: dict[str, Any], kind: str) -> None:
    more = {"kind": kind, "rule": RULE} if kind == "meta" else {}
    assert prove(label_of(of_plan(plan, **more))) == {}


def test_the_base_rate_of_the_default_plan_on_a_martingale_is_that_of_its_distances() -> None:
    """1.5 / (1 + 1.5): a price that goes nowhere reaches the nearer one so often."""
    rng = np.random.default_rng(5)
    rows = 60_000
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, rows)))
    bars = market(rows, timedelta(minutes=1)).with_columns(
        open=pl.Series(np.concatenate([[100.0], close[:-1]])),
        high=pl.Series(np.maximum(close, np.concatenate([[100.0], close[:-1]]))),
        low=pl.Series(np.minimum(close, np.concatenate([[100.0], close[:-1]]))),
        close=pl.Series(close),
    )
    found = triple_barrier(
        bars.filter(pl.int_range(pl.len()) % 15 == 14),
        bars,
        candle_timeframe="1m",
        settings=of_plan({"hold_hours": 48}, timeframe="1m"),
        until=bars["known_at"][-1],
    )
    decided = found.filter(pl.col("label") != 0)
    assert decided.height > 0.99 * found.height
    assert (decided["label"] == 1).mean() == pytest.approx(0.6, abs=0.04)


def test_the_newest_distances_are_those_of_the_whole_history() -> None:
    settings = of_plan()
    bars = market(200, BAR)
    assert newest_widths([bars.tail(scale_lookback(settings))], settings)[0] == pytest.approx(
        widths(bars, settings).row(-1), rel=1e-12
    )


def test_the_horizon_follows_from_the_plan_and_may_not_contradict_it() -> None:
    settings = of_plan({"hold_hours": 6})
    assert (settings.horizon_bars, settings.horizon) == (24, timedelta(hours=6))
    assert of_plan(timeframe="1h").horizon_bars == 6
    assert of_plan(horizon_bars=24).horizon_bars == 24
    with pytest.raises(ValidationError, match=r"12 bars of 15m are not the 6 hours .* leave it out, it is 24"):
        of_plan(horizon_bars=12)


def test_its_models_have_its_plan() -> None:
    plans = {"p": {}, "q": {"stop": 3}}
    labels = {"d": {"barriers": "plan", "exit": "p"}}
    made = read(exits=plans, labels=labels)
    assert (made.models["a"].exit, made.models["a"].exit_plan) == ("p", made.exits["p"])
    with pytest.raises(ValidationError, match=r"would trade by 'q' what it learnt of 'p'.*leave `exit` out"):
        read(exits=plans, labels=labels, models={"a": {"markets": [MARKET], "label": "d", "exit": "q"}})


def test_what_cannot_be_learnt_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValidationError, match="no exit plan 'x'"):
        read(exits={"p": {}}, labels={"d": {"barriers": "plan", "exit": "x"}})
    with pytest.raises(ValidationError, match="write `exit:` and its name"):
        read(labels={"d": {"barriers": "plan"}})
    with pytest.raises(ValidationError, match="write that, or leave it out"):
        read(exits={"p": {}}, labels={"d": {"exit": "p"}})
    with pytest.raises(ValidationError, match="learns a return, not an exit plan"):
        read(exits={"p": {}}, labels={"d": {"kind": "forward_return", "barriers": "plan", "exit": "p"}})
    with pytest.raises(ValidationError, match="has no target"):
        of_plan({"targets": [], "trailing": None, "break_even_after": None})
    with pytest.raises(ValidationError, match="not whole bars of 1h"):
        of_plan({"hold_hours": 6.5}, timeframe="1h")
    with pytest.raises(SettingsError, match="is not filled in"):
        widths(market(50, BAR), LabelSettings(barriers="plan", exit="p"))


def test_a_set_without_a_plan_says_nothing_of_plans() -> None:
    assert "exit" not in LabelSettings().model_dump_json()
    kept = of_plan()
    assert read_labels(kept.model_dump(mode="json")) == kept
