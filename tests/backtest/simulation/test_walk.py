"""What is left out of a walk over the price path: nothing that anything comes of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.backtest.worlds import (
    ANY_EDGE,
    EXACT,
    GENEROUS,
    LABELS,
    QUARTER,
    START,
    A,
    B,
    random_sides,
    walk,
)
from trading_assets.backtest.simulation.engine import BacktestResult, run_backtest
from trading_assets.backtest.simulation.tracks import NEVER, Next, Track, Watch
from trading_assets.backtest.simulation.walk import Walk
from trading_assets.settings import BacktestSettings, ModelSettings, ProtectionSettings, RiskSettings
from trading_assets.settings.sections.exits import ExitSettings

MINUTES = 4000
NARROW = LABELS.model_copy(update={"take_profit_pct": 0.6, "stop_loss_pct": 0.4})
PERCENT = {"unit": "percent", "stop": 0.5, "targets": [{"at": 0.3, "share": 0.5}, {"at": 0.7, "share": 0.3}]}
PLANS = {
    "bracket": None,
    "three targets": ExitSettings(hold_hours=6),
    "a part left to the stop that follows": ExitSettings(**PERCENT, trailing={"distance": 0.4, "after": "entry"}),
    "out before funding": ExitSettings(**PERCENT, trailing=None, before_funding=True, on_opposite=False),
}


def run(
    plan: ExitSettings | None = None,
    *,
    settings: BacktestSettings = EXACT,
    risk: RiskSettings = GENEROUS,
    markets: tuple[str, ...] = (A, B),
    gap_share: float = 0.0,
) -> BacktestResult:
    """Both sides of some markets, with funding every eight hours."""
    frames = {m: walk(MINUTES, seed=n, gap_share=gap_share) for n, m in enumerate(markets)}
    return run_backtest(
        pl.concat(random_sides(m, MINUTES, seed=n, share=0.08) for n, m in enumerate(markets)),
        frames,
        candle_timeframe="1m",
        model=ModelSettings(markets=list(markets), threshold=0.55, min_edge_bps=ANY_EDGE, exit_plan=plan),
        labels=NARROW,
        settings=settings,
        risk=risk,
        name="test",
        funding={m: payments(m) for m in markets},
    )


def payments(market: str) -> pl.DataFrame:
    """Eight-hourly, dear ones of both signs."""
    ts = [START + n * timedelta(hours=8) for n in range(-1, MINUTES // 480 + 1)]
    rates = [0.002 * (-1) ** (n % 3) for n in range(len(ts))]
    frame = pl.DataFrame({"ts": ts, "rate": rates}, schema={"ts": pl.Datetime("us", "UTC"), "rate": pl.Float64})
    price = pl.lit(None, pl.Float64).alias("mark_price")
    return frame.with_columns(pl.lit(market).alias("market"), pl.lit(8.0).alias("interval_hours"), price, known_at="ts")


def told(rows: Any, *, without: tuple[str, ...] = ("event_id", "trade_id")) -> list[Mapping[str, Any]]:
    """Journal rows without what the engine draws or counts by the bars that it gets."""
    return [{name: value for name, value in row.items() if name not in without} for row in rows]


def assert_nothing_is_missed(monkeypatch: pytest.MonkeyPatch, **kwargs: Any) -> BacktestResult:
    short = run(**kwargs)
    with monkeypatch.context() as patched:
        patched.setattr(Walk, "_next", lambda _, done: Next(done + 1, whole=True))
        whole = run(**kwargs)
    assert short.trades.height > 10
    assert short.trades.equals(whole.trades)
    assert short.equity.equals(whole.equity)
    assert short.funding.equals(whole.funding)
    assert short.metrics == pytest.approx(whole.metrics, rel=0, abs=0, nan_ok=True)
    assert short.engine_statistics == pytest.approx(whole.engine_statistics, rel=0, abs=0, nan_ok=True)
    assert told(short.orders) == told(whole.orders)
    assert told(short.fills) == told(whole.fills)
    assert short.bars < whole.bars
    return short


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
@pytest.mark.parametrize("gap_share", [0.0, 0.2])
def test_a_run_over_everything_is_the_same(
    plan: ExitSettings | None, gap_share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_nothing_is_missed(monkeypatch, plan=plan, gap_share=gap_share)


def test_it_is_the_same_where_limits_look_at_other_markets(monkeypatch: pytest.MonkeyPatch) -> None:
    risk = RiskSettings(max_leverage=0.15, max_daily_loss=200.0, max_orders_per_minute=100)
    assert_nothing_is_missed(monkeypatch, plan=PLANS["three targets"], risk=risk)


def test_it_is_the_same_where_protections_look_at_each_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = {"limit": 2, "state": "halted", "cooldown_s": 3600}
    settings = EXACT.model_copy(update={"protections": ProtectionSettings(model_losing_streak=limit)})
    short = assert_nothing_is_missed(monkeypatch, settings=settings)
    assert "halted" in short.trades["exit_reason"].to_list()


def test_most_of_a_quiet_history_is_left_out() -> None:
    result = run(markets=(A,))
    assert result.bars < 0.5 * MINUTES


def track(*rows: tuple[float, float], told_at: int | None = None) -> Track:
    """A market of 15-minute stretches with a low and a high each, and two slices in each."""
    ends = [START + (n + 1) * QUARTER for n in range(len(rows))]
    lows, highs = zip(*rows, strict=True)
    ts = [end - QUARTER for end in ends]
    decisions = pl.DataFrame({"at": ends, "ts": ts, "low": lows, "high": highs})
    path = pl.DataFrame({"at": [at + QUARTER * share for at in ts for share in (0.3, 0.9)]})
    return Track("m", path, decisions, {("m", ts[told_at])} if told_at is not None else ())


STEADY = (99.0, 101.0)


def test_a_stretch_whose_prices_reach_an_order_is_walked_whole() -> None:
    road = track(STEADY, STEADY, (98.0, 101.0), STEADY)
    road.count_in(np.array(road.ends))
    assert road.next_of(Watch(below=98.0, above=102.0), -1) == Next(2, whole=True)
    assert road.next_of(Watch(below=97.0, above=102.0), -1).number == 3  # the day's last
    assert road.next_of(Watch(below=97.0, above=102.0), 3) == NEVER


def test_of_one_that_only_betters_the_best_price_the_end_is_enough() -> None:
    road = track(STEADY, (99.5, 101.5), STEADY)
    road.count_in(np.array(road.ends))
    assert road.next_of(Watch(below=98.0, above=103.0, best=101.2), -1) == Next(1, whole=False)


def test_without_a_trade_only_what_is_told_matters() -> None:
    road = track((90.0, 110.0), STEADY, STEADY, told_at=1)
    road.count_in(np.array(road.ends))
    assert road.next_of(None, -1) == Next(1, whole=False)
    assert road.next_of(None, 1) == NEVER
    assert [road.own(number) for number in (0, 2, 3)] == [0, 2, None]


def test_a_trade_is_looked_at_where_its_time_is_up() -> None:
    road = track(STEADY, STEADY, STEADY)
    road.count_in(np.array(road.ends))
    assert road.next_of(Watch(until=road.ends[1]), -1) == Next(1, whole=False)
    assert road.next_of(Watch(each=True), 0) == Next(1, whole=False)
