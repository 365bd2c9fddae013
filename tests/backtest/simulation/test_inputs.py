"""What the simulated exchange is given, and what may be left out of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.backtest.simulation.inputs import wanted
from trading_assets.backtest.simulation.slices import MarketRules
from trading_assets.core.precision import price_decimals
from trading_assets.settings import LabelSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar
from trading_assets.strategies.stored_signals import StoredSignals

MARKET = "sample:SYNA/USDT:USDT"
START = datetime(2024, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)

odds = st.one_of(st.sampled_from([0.4, 0.5, 0.55, 0.6]), st.floats(0, 1))


@given(
    st.lists(st.tuples(odds, odds, st.sampled_from(["long", "short", "both"])), min_size=1, max_size=12),
    st.sampled_from([None, 0.55]),
    st.sampled_from([0.0, 12.0]),
)
def test_the_wanted_predictions_alone_say_of_every_entry_what_all_say(
    said: list[tuple[float, float, str]], threshold: float | None, cost_bps: float
) -> None:
    rows = [
        (MARKET, START + number * QUARTER, START + (number + 1) * QUARTER, probability, side)
        for number, (long, short, ways) in enumerate(said)
        for probability, side in ((long, 1), (short, -1))
        if ways in ("both", "long" if side > 0 else "short")
    ]
    columns = ["market", "ts", "known_at", "probability", "side"]
    predictions = pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.col("side").cast(pl.Int8))
    rule, labels = EntryRule(cost_bps, threshold=threshold), LabelSettings()
    every = StoredSignals(predictions, rule=rule, labels=labels)
    some = StoredSignals(wanted(predictions, rule, labels), rule=rule, labels=labels)
    for number in range(len(said)):
        ts = START + number * QUARTER
        bar = ClosedBar(MARKET, "15m", ts, ts + QUARTER, 1.0, 1.0, 1.0, 1.0, 1.0)
        full, cut = every.on_bar(bar), some.on_bar(bar)
        if full is not None and (full.enters or full.veto):
            assert cut == full
        else:
            assert cut is None


def test_the_steps_of_a_market_are_those_of_its_prices_in_their_order() -> None:
    prices = {"open": [1.25, 1.5], "high": [2.5, 3.0], "low": [1.0, 1.125], "close": [1.5, 2.0]}
    in_order = [values[row] for row in range(2) for values in prices.values()]
    assert MarketRules.of(pl.DataFrame(prices)).price_decimals == price_decimals(pl.Series(in_order)) == 3
