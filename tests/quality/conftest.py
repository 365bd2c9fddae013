"""Recorded candles, where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.quality.stretches import load


@pytest.fixture(scope="session")
def real(real_candles: Path) -> Callable[[str], pl.DataFrame]:
    """Reads a recorded file, e.g. ``binance_BTC-USDT_1m``."""
    return lambda name: load(real_candles / f"{name}.parquet")
