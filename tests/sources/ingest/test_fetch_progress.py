"""How far a fetch is, and whose turn it is at an exchange."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.sources.ingest.fetch_progress import Fetched, FetchProgress
from trading_assets.sources.transport.exchange_lock import exchange_lock

START = datetime(2025, 3, 1, tzinfo=UTC)


@dataclass
class Counting:
    """A source that counts."""

    requests: int = 7
    retries: int = 1


def test_share_pace_and_time_left_follow_from_what_is_done_of_what_was_asked() -> None:
    seen: list[Fetched] = []
    clock = iter([100.0, 110.0, 140.0])
    source: Any = Counting()
    day = timedelta(days=1)
    meter = FetchProgress(
        "m:A/B",
        "1m",
        [(START, START + day), (START + 5 * day, START + 8 * day)],
        source,
        seen.append,
        lambda: next(clock),
    )
    source.requests += 2
    meter(START + day - timedelta(minutes=1), 1440)
    source.requests, source.retries = source.requests + 6, source.retries + 1
    meter(START + 8 * day - timedelta(minutes=1), 4 * 1440)
    first, last = seen
    assert (first.share, first.rows_per_s, first.left_s, first.requests, first.retries) == (0.25, 144.0, 30.0, 2, 0)
    assert (last.share, last.rows_per_s, last.left_s, last.requests, last.retries) == (1.0, 144.0, 0.0, 8, 1)
    assert str(first) == "25%, 0:30 left, 1,440 candles, 144/s, 2 requests"
    assert str(last) == "100%, 0:00 left, 5,760 candles, 144/s, 8 requests, 1 repeated"


def test_one_asks_an_exchange_at_a_time_and_another_exchange_is_not_waited_for(tmp_path: Path) -> None:
    inside: list[str] = []
    crowd: list[int] = []

    def ask(name: str) -> None:
        with exchange_lock("ccxt:okx", tmp_path):
            inside.append(name)
            crowd.append(len(inside))
            time.sleep(0.05)
            inside.remove(name)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(3)]
    with exchange_lock("ccxt:kraken", tmp_path):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert crowd == [1, 1, 1]
