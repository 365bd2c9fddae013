"""What a node's model read of books, trades, funding and sentiment is what the tables say of the same bars."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.live.conftest import MARKET, START, bars_of, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from tests.live.node.auxiliary.worlds import CERTIFIED, M5, bundle_of
from trading_assets import features
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.journal import JOURNAL_FILE, read_since, unpack
from trading_assets.models import certificates
from trading_assets.recordings import load_recordings, spool_folder
from trading_assets.settings.sections.exits import ExitSettings, TargetSettings
from trading_assets.store import open_store
from trading_assets.store.tables import BOOK_SNAPSHOTS, FUNDING_RATES, PUBLIC_TRADES, SENTIMENT
from trading_live.operations import kill_switch

SERIES = ["funding", "sentiment", "book", "trades"]
HALF_HOUR = timedelta(minutes=30)
DECISIONS = 14
PLAN = ExitSettings(
    unit="percent", stop=9, targets=[TargetSettings(at=0.9, share=1.0)], trailing=None, before_funding=True
)
LIMIT_BPS = 101.5
"""The payment at the start costs 100 basis points, the one after half an hour 101, and the one after an hour 102."""


def payments() -> pl.DataFrame:
    """A payment every half hour, stamped three milliseconds late, each one basis point more than the one before."""
    ts = [START + number * HALF_HOUR for number in range(-96, 24)]
    return pl.DataFrame(
        {
            "market": [MARKET] * len(ts),
            "ts": ts,
            "known_at": [one + timedelta(milliseconds=3) for one in ts],
            "rate": [1e-4 * (number + 4) for number in range(len(ts))],
            "interval_hours": [0.5] * len(ts),
            "mark_price": [100.0] * len(ts),
        },
        schema=FUNDING_RATES.columns,
    )


def scores() -> pl.DataFrame:
    """A score of the whole market every twenty minutes, and of the coin itself now and then in the replayed hours."""
    ts = [START + number * timedelta(minutes=20) for number in range(-400, 30)]
    scope = ["SYNA" if number > 402 and number % 2 else "*" for number in range(len(ts))]
    return pl.DataFrame(
        {
            "scope": scope,
            "source": ["mine"] * len(ts),
            "ts": ts,
            "known_at": [one + timedelta(seconds=17) for one in ts],
            "score": [(number % 37) / 40 for number in range(len(ts))],
        },
        schema=SENTIMENT.columns,
    )


@pytest.fixture
def store_file(live_store_file: Path, tmp_path: Path) -> Path:
    """The candles of the market, and its payments and scores before, during and after the replay."""
    file = Path(shutil.copy(live_store_file, tmp_path / "beside.duckdb"))
    store = open_store(f"duckdb:///{file}")
    store.upsert(FUNDING_RATES, payments())
    store.upsert(SENTIMENT, scores())
    return file


def decided(one: Desk) -> pl.DataFrame:
    return read_since(one.settings.live_dir / JOURNAL_FILE, 0)["live_features"].sort("bar_ts")


@pytest.mark.slow
def test_a_nodes_rows_are_those_of_the_tables_that_are_built_from_what_it_recorded(
    store_file: Path, tmp_path: Path
) -> None:
    further = {
        "TRADING_RECORD__BOOK_INTERVAL_S": "0.1",
        "TRADING_TRADING__PROTECTIONS__FUNDING_BPS": str(LIMIT_BPS),
        "TRADING_SENTIMENT": json.dumps({"mine": {"kind": "http", "url": "http://127.0.0.1:1/"}}),
    }
    store, bars = open_store(f"duckdb:///{store_file}"), bars_of(store_file, MARKET, "5m")
    with desk(tmp_path, store_file, speed=240, hours=4, further=further) as one:
        bundle = bundle_of(one.settings.bundles_dir, store, bars, SERIES, PLAN)
        assert certificates.check(bundle).bars == CERTIFIED
        put_live(one.settings, bundle)
        process = one.start()
        try:
            wait_for(lambda: one.signals().height >= DECISIONS, while_alive=process)
            kill_switch.engage(one.settings.live_dir, "enough")
            code, output = finish(process)
            assert code == 0, output
        finally:
            process.kill()
        live, folder, told = decided(one), spool_folder(one.settings), one.journal()

    assert_leaves_before_payments_and_enters_nothing_at_the_limit(told)
    assert load_recordings(store, folder).segments > 0
    first, last = live["bar_ts"][0], live["bar_ts"][-1]
    assert live.height >= DECISIONS
    assert live["bar_ts"].is_unique().all(), "a bar that a busy machine reads too late is left out, none is read twice"
    assert store.read(PUBLIC_TRADES)["known_at"].max() > last
    assert store.read(BOOK_SNAPSHOTS, start=first, end=last).height > live.height / 3, "taken by this machine's clock"

    span = {"start": bars["ts"][0], "end": last + M5.length}
    known = read_companions(store, MARKET, timeframe=M5, names=SERIES, **span)
    table = features.compute(bars, known, timeframe=M5, features=bundle.features).filter(
        pl.col("ts").is_in(live["bar_ts"].implode())
    )
    seen = unpack(live["packed"], bundle.features)
    expected = table.select(*(pl.col(name).cast(pl.Float32) for name in bundle.features))
    assert_frame_equal(seen, expected, check_exact=True)
    assert live["probability_long"].to_list() == bundle.predict(table).to_list()
    for name in ("funding_rate", "sentiment", "spread_bps", "depth_imbalance"):
        assert seen[name].n_unique() > 2, f"a row that were a bar late would show in {name}"
    for name in ("trade_sign_imbalance", "trade_volume_imbalance"):
        assert seen[name].n_unique() > live.height / 2
    early = live["bar_ts"] < first + 15 * M5.length
    assert seen["spread_bps_mean_16"].filter(early).is_null().all(), "sixteen bars are not recorded yet: null"


def assert_leaves_before_payments_and_enters_nothing_at_the_limit(told: dict[str, pl.DataFrame]) -> None:
    """A payment costs more than the target would earn, so no trade is held over one."""
    plans = [json.loads(text) | {"ts": ts} for ts, text in told["plans"].select("ts", "plan").iter_rows()]
    left = [one["ts"] for one in plans if one["stage"] == "closed" and one["exit_reason"] == "funding"]
    assert left, "a trade is closed before a payment"
    assert all(timedelta(0) < HALF_HOUR - (ts - START) % HALF_HOUR <= M5.length for ts in left), left
    (held,) = told["risk_states"].filter(cause="funding_bps").iter_rows(named=True)
    assert (held["scope"], held["state"]) == (MARKET, "reducing")
    assert held["value"] == pytest.approx(102.0)
    entered = told["signals"].filter(action="enter")["bar_ts"] + M5.length
    assert (entered <= held["ts"]).all()
