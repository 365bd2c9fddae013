"""`trading backfill` and `trading gaps` as processes, against the local exchange."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.exchange import LocalExchange
from tests.faults.world import walk
from trading_assets.core.candles import OHLCV
from trading_assets.core.errors import TradingError
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, CANDLE_GAPS, CANDLES, FUNDING_RATES

MARKET = "binance:BTC/USDT:USDT"
START = datetime(2025, 3, 1, tzinfo=UTC)
PAGE = 200
DAYS = 3
LOST = (START + timedelta(hours=30), START + timedelta(hours=31))


@pytest.fixture
def exchange() -> Iterator[LocalExchange]:
    """The local exchange."""
    exchange = LocalExchange()
    exchange.start()
    yield exchange
    exchange.stop()


class Desk:
    """The command on a folder of its own, with one market on the local exchange."""

    def __init__(self, folder: Path, exchange: LocalExchange) -> None:
        source = {"kind": "ccxt", "exchange": "binanceusdm", "base_url": exchange.url, "rate_limit": False}
        settings = {
            "history": {"start": "2025-03-01", "end": "2025-04-01"},
            "sources": {"local": source | {"page_limit": PAGE, "max_attempts": 2, "first_wait_s": 0.01}},
            "markets": {MARKET: {"source": "local"}},
            "models": {"btc": {"markets": [MARKET]}},
            "labels": {"default": {"take_profit_pct": 0.1, "stop_loss_pct": 0.1, "cost_bps": 0}},
            "quality": {"gap_share": {"max_share": 0.1}},
        }
        (folder / "desk.yaml").write_text(yaml.safe_dump(settings))
        self.store = open_store(f"duckdb:///{folder}/data/market.duckdb")
        self._environment = os.environ | {
            "TRADING_SETTINGS": str(folder / "desk.yaml"),
            "TRADING_DATA_DIR": str(folder / "data"),
            "COLUMNS": "200",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "trading_cli", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0, out
        return out

    def candles(self) -> pl.DataFrame:
        return self.store.read(CANDLES).select("ts", *OHLCV)


def payments() -> pl.DataFrame:
    """Funding every eight hours; the interval of the first is not known, as nothing was paid before."""
    count = DAYS * 3
    ts = [START + timedelta(hours=8 * number) for number in range(count)]
    columns = {"market": [MARKET] * count, "ts": ts, "known_at": ts, "rate": [1e-4 * number for number in range(count)]}
    hours = [None, *[8.0] * (count - 1)]
    return pl.DataFrame(columns | {"interval_hours": hours, "mark_price": [None] * count}, schema=FUNDING_RATES.columns)


@pytest.mark.slow
def test_a_backfill_killed_in_the_middle_goes_on_where_it_was_and_a_repair_fetches_just_the_gap(
    exchange: LocalExchange, tmp_path: Path
) -> None:
    truth = walk(DAYS * 1440)
    holed = truth.filter(~pl.col("ts").is_between(*LOST, closed="left"))
    funding = payments()
    exchange.hold(holed, MARKET, funding)
    desk = Desk(tmp_path, exchange)
    order = ("backfill", "--market", MARKET, "--from", "2025-03-01", "--to", f"2025-03-0{DAYS}")
    exchange.fall_silent(after=16)
    killed = desk.start(*order)
    deadline = time.monotonic() + 600
    while len(exchange.requests) < 8 and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    before = desk.candles()
    assert PAGE <= before.height < holed.height, "the kill came in the middle"

    exchange.faults.clear()
    exchange.faults.asked.clear()
    out = desk.run(*order)
    last = before["ts"].max()
    asked = [datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC) for query in exchange.requests]
    assert asked[0] == last, "from the last stored candle on"
    assert len(asked) == len(set(asked))
    assert desk.candles().equals(holed)
    assert desk.store.read(BARS["15m"]).height == DAYS * 96 - 4, "an hour of candles is lost"
    assert desk.store.read(FUNDING_RATES).equals(funding), "the whole run of a perpetual"
    assert f"{holed.height - before.height + 1:,} candles fetched" in out

    exchange.hold(truth.filter(pl.col("ts") != LOST[0]), MARKET, funding)
    exchange.faults.asked.clear()
    out = desk.run("gaps", "--repair")
    asked = [datetime.fromtimestamp(int(query["startTime"]) / 1000, UTC) for query in exchange.requests]
    assert min(asked) == LOST[0] - timedelta(minutes=1), "the candle before the gap: is it in reach?"
    assert max(asked) < LOST[1]
    assert desk.candles().height == truth.height - 1
    assert desk.store.read(CANDLE_GAPS)["reason"].to_list() == ["confirmed_empty"]
    assert desk.store.read(BARS["15m"]).height == DAYS * 96, "the bars follow"
    assert "1 candles missing in 1 ranges: 1 confirmed_empty" in out


@pytest.mark.slow
def test_ctrl_c_stops_a_backfill_without_calling_it_failed(exchange: LocalExchange, tmp_path: Path) -> None:
    exchange.hold(walk(20 * 1440), MARKET, payments())
    desk = Desk(tmp_path, exchange)
    exchange.fall_silent(after=60)
    stopped = desk.start("backfill", "--from", "2025-03-01", "--to", "2025-03-20")
    deadline = time.monotonic() + 600
    while len(exchange.requests) < 4 and stopped.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    out, _ = stopped.communicate(timeout=300)
    assert stopped.returncode == 130, out
    assert "stopped; run it again: what was fetched is stored" in out
    assert "failed" not in out
    assert "Traceback" not in out
    assert desk.candles().height >= PAGE
    with closing(sqlite3.connect(tmp_path / "data/dagster/history/runs.db")) as runs:
        assert list(runs.execute("SELECT status FROM runs")) == [("CANCELED",)]


def test_months_that_a_check_stopped_are_named_and_not_called_a_failed_backfill() -> None:
    from trading_assets.launch import CheckOutcome, LaunchResult
    from trading_cli.market_data.backfill import refuse_failures, stopped_months

    told = [f"{MARKET}|2025-03: 5.00% missing", f"{MARKET}|2025-05: 7.00% missing"]
    gap = CheckOutcome("candles", "gap_share", passed=False, description="", metadata={"bad_partitions": told})
    odd = CheckOutcome("candles", "outliers", False, "", {"bad_partitions": [f"{MARKET}|2025-01: far"]}, error=False)
    stopped = LaunchResult(MARKET, "market_data", "1", False, {}, [gap, odd], {})
    good = LaunchResult(MARKET, "market_data", "2", True, {}, [odd], {})
    broken = LaunchResult("okx:BTC/USDT", "market_data", "3", False, {}, [], {"candles": "the exchange is down"})
    assert stopped_months(stopped) == f"{MARKET} 2025-03, 2025-05 stopped at gap_share"
    refuse_failures([good], "backfill")
    with pytest.raises(TradingError) as error:
        refuse_failures([stopped, good, broken], "backfill")
    assert error.value.what.split("; ") == [
        f"{MARKET} 2025-03, 2025-05 stopped at gap_share",
        "its other months are done",
        "the backfill of okx:BTC/USDT failed",
    ]
