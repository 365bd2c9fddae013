"""A process that catches up, to be killed: ``python -m tests.faults.worker URL STORE NOW``."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from tests.faults.world import START, catch_up, settings_of
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.ingest import ingestion
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.store import open_store

if __name__ == "__main__":
    url, path, text = sys.argv[1:]
    now = datetime.fromisoformat(text)
    ingestion.BATCH_ROWS = 1  # type: ignore[misc]
    source = ExchangeCandles(settings_of(url, 5), Backoff(5, 0.01), lambda: now)
    catch_up(open_store(f"duckdb:///{path}"), source, START + timedelta(days=30), now)
