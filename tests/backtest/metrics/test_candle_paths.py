"""Monte Carlo of candle paths: known answers where order does not matter, and bands where it does."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.backtest.worlds import LABELS, MINUTE, START, A, candles, walk
from trading_assets.backtest.candle_paths import by_paths
from trading_assets.backtest.monte_carlo import Bands
from trading_assets.settings.sections.exits import ExitSettings

HOUR = timedelta(hours=1)


def trades(count: int = 12, **changes: object) -> pl.DataFrame:
    """Long trades from 100 of one unit at a cost of 0.1 each; the account is 1,000."""
    entry = [START + n * 2 * HOUR for n in range(count)]
    return pl.DataFrame(
        {
            "trade": range(count), "signal_id": [str(n) for n in range(count)], "market": A, "side": "long",
            "entry_ts": entry, "exit_ts": [one + HOUR for one in entry], "entry_price": 100.0, "quantity": 1.0,
            "fees": 0.1, "funding": 0.0, "pnl": 0.0, **changes,
        },
        schema_overrides={"entry_ts": pl.Datetime("us", "UTC"), "exit_ts": pl.Datetime("us", "UTC")},
    )  # fmt: skip


def levels(of: pl.DataFrame) -> pl.DataFrame:
    stop, target = (
        of.select("signal_id", start="entry_ts", purpose=pl.lit(name), price=pl.lit(price))
        for name, price in (("stop_loss", 99.0), ("take_profit", 102.0))
    )
    return pl.concat([stop, target])


def drawn(of: pl.DataFrame, world: pl.DataFrame, exits: ExitSettings | None = None) -> Bands | None:
    return by_paths(
        of, levels(of), {A: world}, candle_step=MINUTE, labels=LABELS, exits=exits, starting_balance=1000.0, draws=200
    )


def test_where_every_candle_rises_any_order_reaches_the_target() -> None:
    rising = [100 * 1.001**n for n in range(26 * 60)]
    world = candles([(price, price * 1.001, price, price * 1.001) for price in rising])
    bands = drawn(trades(), world)
    assert bands is not None
    each = (0.02 - 0.001) * 100 / 1000
    assert bands.returns == pytest.approx(np.full(200, (1 + each) ** 12 - 1))
    assert bands.drawdowns == pytest.approx(np.zeros(200))
    short = drawn(trades(side="short").with_columns(side=pl.lit("short")), world)
    assert short is not None
    assert (short.returns < 0).all(), "the stop, always"


def test_where_the_order_decides_there_are_bands_and_the_seed_repeats_them() -> None:
    world = walk(26 * 60, seed=3, volatility=2e-3)
    bands, again = drawn(trades(), world), drawn(trades(), world)
    assert bands is not None
    assert again is not None
    assert np.array_equal(bands.returns, again.returns)
    low, high = np.percentile(bands.returns, [5, 95])
    assert low < high
    worst = (1 - (0.01 + 0.001) * 0.1) ** 12 - 1
    assert low > worst * 1.3, "no trade loses more than its stop and a gap"


def test_a_named_plan_is_followed_in_the_place_of_the_bracket() -> None:
    plan = ExitSettings(
        unit="percent", stop=1.0, targets=[{"at": 0.5, "share": 0.5}, {"at": 1, "share": 0.5}], hold_hours=1
    )
    rising = [100 * 1.001**n for n in range(26 * 60)]
    world = candles([(price, price * 1.001, price, price * 1.001) for price in rising])
    bands = drawn(trades(), world, plan)
    assert bands is not None
    each = (0.0075 - 0.001) * 100 / 1000
    assert bands.returns[0] == pytest.approx((1 + each) ** 12 - 1)


def test_few_trades_or_unknown_candles_say_nothing() -> None:
    assert drawn(trades(9), walk(60, seed=1)) is None
    assert drawn(trades(market="elsewhere"), walk(26 * 60, seed=1)) is None
