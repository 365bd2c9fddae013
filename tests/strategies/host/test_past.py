"""What a node holds of the past is what a backtest loads: for sizes and limits as for features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import EquityShareSettings, RiskSettings, VolatilityTargetSettings
from trading_assets.strategies.risk.closes import StoredCloses, realised_volatility
from trading_assets.strategies.risk.past import bars_needed, past_needed
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.bars.history import BarHistory

M15, H4 = Timeframe.parse("15m"), Timeframe.parse("4h")
STREAM = Stream("a:B/USDT:USDT", "15m")


@pytest.mark.parametrize(
    ("sizing", "risk", "days"),
    [
        (EquityShareSettings(), RiskSettings(), 0.0),
        (VolatilityTargetSettings(window_days=3), RiskSettings(), 3.0),
        (VolatilityTargetSettings(window_days=60), RiskSettings(max_correlated_leverage=1), 60.0),
        (EquityShareSettings(), RiskSettings(max_correlated_leverage=1, correlation_days=10), 11 + 2 * 4 / 24),
    ],
)
def test_what_asks_for_the_past_says_how_much_of_it(sizing: object, risk: RiskSettings, days: float) -> None:
    needed = past_needed(sizing, risk, H4)  # type: ignore[arg-type]
    assert needed / timedelta(days=1) == pytest.approx(days)
    assert bars_needed(sizing, risk, M15, H4) == pytest.approx(days * 96)  # type: ignore[arg-type]


def test_a_nodes_history_gives_the_volatility_that_stored_bars_give() -> None:
    window, end = timedelta(days=2), datetime(2025, 1, 5, tzinfo=UTC)
    sizing = VolatilityTargetSettings(window_days=2)
    held = BarHistory(STREAM, rows=bars_needed(sizing, RiskSettings(), M15, M15) + 1)
    bars = []
    for number in range(400):
        ts = end - (400 - number) * M15.length
        close = 100.0 + (number * 7919 % 13) / 10
        bars.append(ClosedBar(*STREAM, ts, ts + M15.length, close, close, close, close, 1.0))
    held.merge(bars)
    stored = pl.DataFrame({"known_at": [bar.known_at for bar in bars], "close": [bar.close for bar in bars]})
    stored = stored.with_columns(pl.col("known_at").cast(pl.Datetime("us", "UTC")))
    found = [
        source(STREAM, end - window, end)
        for source in (StoredCloses({STREAM: stored}), StoredCloses({STREAM: held.frame}))
    ]
    assert found[0].equals(found[1])
    assert realised_volatility(found[0], window) == realised_volatility(found[1], window) is not None
