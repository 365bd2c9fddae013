"""Screening against the event-driven backtest: the order of sets, and each trade's difference with its cause."""

from __future__ import annotations

import pytest

from tests.screening.agreeing import agree, sets_of
from tests.screening.worlds import candles
from trading_assets.settings import LabelSettings


@pytest.mark.slow
def test_the_order_of_a_hundred_sets_and_every_trade_agree_with_the_event_engine() -> None:
    labels = LabelSettings(timeframe="1h", horizon_bars=12)
    found = agree(candles(960, seed=5), sets_of("mean_reversion", 100), timeframe="15m", labels=labels)
    assert found.unexplained == []
    assert found.causes.total() > 500
    assert found.correlation >= 0.95, found
