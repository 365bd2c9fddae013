"""The default plan fits what models say: on recorded candles it trades, and its base rate is that of its distances."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, fingerprint
from trading_assets.labels import label
from trading_assets.models import join, walk_forward
from trading_assets.models.inputs import usable_names
from trading_assets.settings import (
    BacktestSettings,
    LabelSettings,
    LogisticSettings,
    ModelSettings,
    WalkForwardSettings,
)
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.trading import RiskSettings

RECORDED = Path(__file__).parent / "fixtures" / "eth_usdt_1h.parquet"
"""ETH/USDT in hours, July to December 2023, as Binance recorded it; prices in cents."""

MARKET = "binance:ETH/USDT:USDT"
HOUR = Timeframe(60)
FEATURES = ["rsi_*", "roc_*"]
PLAN = ExitSettings()
COSTS = BacktestSettings()
OF_PLAN = LabelSettings(
    barriers="plan", exit="p", exit_plan=PLAN, timeframe=HOUR, horizon_bars=48, cost_bps=COSTS.round_trip_bps
)
FIXED = LabelSettings(timeframe=HOUR, horizon_bars=48, cost_bps=COSTS.round_trip_bps)
SPEC = ModelSettings(
    markets=[MARKET],
    sides=["long", "short"],
    estimator=LogisticSettings(),
    walk_forward=WalkForwardSettings(train_days=60, purge_days=2, embargo_days=1, test_days=25),
)


@cache
def candles() -> pl.DataFrame:
    prices = (pl.col("open", "high", "low", "close") / 100, pl.col("volume").cast(pl.Float64))
    return pl.read_parquet(RECORDED).select(
        pl.lit(MARKET).alias("market"), pl.lit("1h").alias("timeframe"), "ts", *prices
    )


@cache
def bars() -> pl.DataFrame:
    return candles().with_columns(known_at=pl.col("ts") + timedelta(hours=1))


@cache
def labelled(*, plan: bool) -> pl.DataFrame:
    given = {"settings": OF_PLAN if plan else FIXED, "sides": (Side.LONG, Side.SHORT), "candle_timeframe": "1h"}
    return label(bars(), candles(), label_set="l", until=bars()["known_at"][-1], **given)


@cache
def predictions(*, plan: bool) -> pl.DataFrame:
    names = usable_names(timeframe=HOUR, chosen=FEATURES)
    rows = compute(bars(), timeframe=HOUR, features=FEATURES)
    data = join(rows, labelled(plan=plan), names=names, fingerprint=fingerprint(names))
    return walk_forward(replace(data, plan_cost=OF_PLAN.plan_cost if plan else None), SPEC).predictions


def test_the_first_target_comes_before_the_stop_six_times_in_ten() -> None:
    """1.5 / (1 + 1.5), as of a price that goes nowhere; what follows the first target gives the rest of it back."""
    decided = labelled(plan=True).filter(pl.col("label") != 0)
    for side in Side:
        own = decided.filter(side=int(side))
        assert (own["label"] == 1).mean() == pytest.approx(0.6, abs=0.03)
    gross = (decided["return"] + OF_PLAN.costs) / decided["stop_loss"]
    assert gross.filter(decided["label"] == 1).mean() == pytest.approx(1 / 1.5, abs=0.08)
    assert gross.filter(decided["label"] == -1).mean() == pytest.approx(-1, abs=0.02)


def test_a_confidence_of_55_percent_belongs_to_this_plan_and_not_to_a_far_target() -> None:
    """A target of 2 % before a stop of 1 % has a base rate of a third: what is calibrated hardly ever says 0.55."""
    often, seldom = ((predictions(plan=plan)["probability"] >= 0.55).mean() for plan in (True, False))
    assert often > 0.5
    assert seldom < 0.1


def test_a_model_of_the_default_plan_trades_on_recorded_candles() -> None:
    """And is asked for more than the base rate: what a trade needs follows from what the plan earned in training."""
    said = predictions(plan=True)
    result = run_backtest(
        said,
        {MARKET: candles()},
        candle_timeframe="1h",
        model=SPEC.model_copy(update={"exit": "p", "exit_plan": PLAN}),
        labels=OF_PLAN,
        settings=COSTS,
        risk=RiskSettings(),
    )
    assert result.trades.height >= 30
    asked = (said["loss"] + COSTS.round_trip_bps / 1e4) / (said["gain"] + said["loss"])
    assert asked.min() > 0.6  # type: ignore[operator]
    assert asked.median() < 0.75  # type: ignore[operator]
