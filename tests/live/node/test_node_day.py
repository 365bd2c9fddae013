"""A working day of a node: it trades, follows promotion and rollback, refuses a model, loses the venue, is killed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets import lifecycle
from trading_assets.core.errors import NodeError
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.ledger import live_funding
from trading_assets.journal import JOURNAL_FILE, load_journal, read_since, unpack
from trading_assets.lineage import JournalEvents, explain
from trading_assets.models import Bundle, certificates
from trading_assets.models.certificates import Certificate, Compared
from trading_assets.monitoring.stored import live_rows
from trading_assets.registry import Cause, Registry
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, FILLS, FUNDING_RATES
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.node.node import run_node
from trading_live.operations import kill_switch
from trading_live.operations.status import NodeStatus

M15 = Timeframe.parse("15m")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("day"), live_store_file, speed=1800, hours=40) as one:
        live(one, make_bundle)
        yield one


def live(one: Desk, make_bundle: MakeBundle) -> None:
    bundles = one.settings.bundles_dir
    first, second = make_bundle(bundles), make_bundle(bundles, threshold=0.01)
    broken = make_bundle(bundles, threshold=0.02)
    (broken.folder / "long" / "model.txt").write_text((broken.folder / "long" / "model.txt").read_text() + "\n")
    versions = Versions(one.settings, first, second)
    versions.promote(1)
    process = one.start()
    try:
        wait_for(lambda: one.signals().height >= 6, while_alive=process)
        one.notes["trading"] = wait_for(lambda: (now := one.status()).responsive and now, while_alive=process)
        with pytest.raises(NodeError) as error:
            run_node(one.settings)
        one.notes["second node"] = str(error.value)

        with one.standing():
            versions.promote(2)
            wait_for(lambda: any("v2" in detail for detail in one.told("model deployed")), while_alive=process)
        wait_for(lambda: (one.signals()["model_version"] == 2).sum() >= 2, while_alive=process)

        with one.standing():
            versions.roll_back()
            wait_for(lambda: one.told("model deployed")[2:], while_alive=process)
        wait_for(lambda: (one.signals()["model_version"][-2:] == 1).all(), while_alive=process)

        with one.standing():
            put_live(one.settings, broken, version=3)
            wait_for(lambda: one.told("model refused"), while_alive=process)

        one.server.begin_outage()
        gone = one.server.now
        wait_for(lambda: one.server.now > gone + timedelta(hours=1))
        one.server.end_outage()
        one.notes["outage"] = gone
        wait_for(lambda: one.told("bars recovered"), while_alive=process)
        wait_for(lambda: decided_after_the_outage(one) >= 3 and one.status().positions, while_alive=process)

        kill_switch.engage(one.settings.live_dir, "the test says so")
        one.notes["kill"] = finish(process)
        one.notes["start while killed"] = finish(one.start())
    finally:
        process.kill()


def decided_after_the_outage(one: Desk) -> int:
    return one.signals().filter(pl.col("bar_ts") > one.notes["outage"] + timedelta(hours=1)).height


class Versions:
    """Two bundles as versions of a registry, which change by way of the life cycle alone."""

    def __init__(self, settings: Settings, *bundles: Bundle) -> None:
        self._settings = settings
        self._store = open_store(f"duckdb:///{settings.data_dir / 'versions.duckdb'}")
        registry, bars = Registry(settings), Compared(bars=100, first=START, last=START)
        for one in bundles:
            proof = {"columns": 5, "divergence": None, "made_at": START}
            certificates.write(one, Certificate(bundle_hash=one.bundle_hash, markets={MARKET: bars}, **proof))
            registry.set_status("syna", registry.register(one, "syna"), "approved", Cause("test"))

    def promote(self, version: int) -> None:
        cause = Cause("test", "of two of one kind")
        lifecycle.promote(self._settings, self._store, "syna", version, cause, regardless=True)

    def roll_back(self) -> None:
        outcome = lifecycle.roll_back(self._settings, self._store, "syna", None, Cause("test"))
        assert (outcome.is_deployed, outcome.version.version) == (True, 1)


def test_the_feature_row_of_every_decision_is_journalled_and_is_the_stored_one(
    day: Desk, decision_rows: pl.DataFrame, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    path, names = day.settings.live_dir / JOURNAL_FILE, make_bundle(tmp_path).features
    journalled = read_since(path, 0)["live_features"]
    signals = day.signals()
    told = signals.join(journalled, on=["model_version", "bar_ts", "bundle_hash"], how="left", suffix="_row")
    assert signals.height > 10
    assert told["packed"].null_count() == 0
    assert told["probability_long"].to_list() == told["probability"].to_list()
    rows = decision_rows.join(journalled, left_on="ts", right_on="bar_ts").sort("ts")
    expected = rows.select(names).cast(pl.Float32)
    assert_frame_equal(unpack(rows["packed"], names), expected, check_exact=True)

    store = open_store(f"duckdb:///{tmp_path / 'loaded.duckdb'}")
    assert load_journal(store, path)["live_features"] == journalled.height
    loaded = live_rows(store, make_bundle(tmp_path), 1)
    assert_frame_equal(
        loaded.select("ts", *names),
        rows.filter(model_version=1).select("ts", *expected.columns),
        check_dtypes=False,
        rel_tol=1e-6,
    )
    assert loaded["probability_long"].null_count() == 0


def test_every_decision_is_what_the_model_says_of_the_stored_bars(
    day: Desk, decision_rows: pl.DataFrame, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    signals = day.signals()
    rows = decision_rows
    for version, threshold in ((1, 0.0), (2, 0.01)):
        mine = signals.filter(pl.col("model_version") == version).select("bar_ts", "probability", "bundle_hash")
        bundle = make_bundle(tmp_path, threshold=threshold)
        expected = rows.join(mine, left_on="ts", right_on="bar_ts").sort("ts")
        assert mine.height == expected.height >= 2
        assert mine["bundle_hash"].unique().to_list() == [bundle.bundle_hash]
        assert expected["probability"].to_list() == bundle.predict(expected).to_list()
    assert signals["bar_ts"].is_unique().all()


def test_every_entry_is_rebuilt_from_the_candles_to_the_last_bit(day: Desk, live_store_file: Path) -> None:
    store = open_store(f"duckdb:///{live_store_file}")
    events = JournalEvents(day.settings.live_dir / JOURNAL_FILE)
    bought = day.journal()["fills"].filter(pl.col("side") == "buy", pl.col("signal_id") != "")["order_id"]
    for order_id in bought.unique(maintain_order=True).head(4):
        found = explain(order_id, events=events, store=store, settings=day.settings)
        assert (found.equal, found.apart, found.differing) == (True, 0.0, ())
        assert found.trail.plan is not None
        assert found.trail.fills["order_id"][0] == order_id
        assert found.trail.orders.height >= 3


def test_orders_fills_and_positions_of_the_journal_fit_together(day: Desk) -> None:
    events = day.journal()
    fills, positions, orders = events["fills"], events["positions"], events["orders"]
    assert fills.select("order_id", "trade_id").is_unique().all()
    assert set(fills["order_id"]) <= set(orders["order_id"])
    assert set(fills["signal_id"]) <= set(events["signals"]["signal_id"])
    assert {"entry", "stop_loss", "take_profit"} <= set(orders["purpose"])
    signed = pl.when(pl.col("side") == "buy").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    assert fills.select(signed.sum()).item() == pytest.approx(0, abs=1e-9)
    flows = fills.select((-signed * pl.col("price") - pl.col("fee")).sum()).item()
    assert positions.filter(pl.col("event") == "closed")["realized_pnl"].sum() == pytest.approx(flows, abs=1e-4)
    assert fills.height == positions.height
    assert events["signals"]["ts"].to_list() == [ts + timedelta(minutes=15) for ts in events["signals"]["bar_ts"]]


def test_the_status_shows_what_a_running_node_does(day: Desk) -> None:
    status: NodeStatus = day.notes["trading"]
    beat = status.heartbeat
    assert status.running
    assert status.responsive
    assert beat is not None
    assert (beat.state, beat.venue, beat.environment) == ("trading", "binance", "replay")
    assert [(model.model, model.version) for model in beat.models] == [("syna", 1)]
    assert beat.last_bars[MARKET] > START
    assert beat.waiting == {}
    assert status.journal_events > 10
    assert day.status().running is False


def test_a_second_node_on_the_same_folder_is_refused(day: Desk) -> None:
    assert "a node is running here already (process " in day.notes["second node"]


def test_promotion_and_rollback_are_in_use_with_the_next_decision_without_a_restart(day: Desk) -> None:
    events, signals = day.journal()["node"], day.signals()
    used = events.filter(pl.col("event") == "model deployed").select("seq", "detail")
    assert [detail.split(",")[0] for detail in used["detail"]] == ["syna v1", "syna v2", "syna v1"]
    assert signals["model_version"].rle().struct.field("value").to_list() == [1, 2, 1]
    back = used["seq"][2]
    assert set(signals.filter(pl.col("seq") > back)["model_version"]) == {1}
    assert signals.filter(pl.col("seq") < back)["model_version"][-1] == 2


def test_a_broken_bundle_is_refused_and_the_old_model_trades_on(day: Desk) -> None:
    (refusal,) = day.told("model refused")
    assert "syna v3" in refusal
    assert "SHA-256 differs" in refusal
    assert "keeping syna v1" in refusal
    assert set(day.signals()["model_version"]) == {1, 2}


def test_bars_missed_in_an_outage_are_fetched_before_trading_on(day: Desk) -> None:
    assert day.told("bars missing")
    missing = int(day.told("bars recovered")[0].split(": ")[1].split(" of ")[0])
    assert missing >= 3
    assert decided_after_the_outage(day) >= 3


def test_the_kill_switch_closes_positions_and_ends_the_node(day: Desk) -> None:
    code, output = day.notes["kill"]
    assert code == 0, output
    assert day.told("kill") == ["the test says so"]
    assert day.told("flat")
    assert day.status().positions == ()
    plan = TradePlan.from_json(day.journal()["plans"]["plan"][-1])
    assert plan.stage == "closed"
    if plan.exit_reason in ("stop_loss", "take_profit"):  # reached before the order to close it
        closing = day.journal()["orders"].filter(signal_id=plan.signal_id, purpose="exit", status="filled")
        assert closing.is_empty()


def test_a_killed_node_does_not_start_until_the_switch_is_reset(day: Desk) -> None:
    code, output = day.notes["start while killed"]
    assert code == 2
    assert "the kill switch is on since" in output
    assert "trading kill --reset" in output
    assert "Traceback" not in output


def test_the_journal_goes_into_the_store_once(day: Desk, tmp_path: Path) -> None:
    store = open_store(f"duckdb:///{tmp_path / 'market.duckdb'}")
    path = day.settings.live_dir / JOURNAL_FILE
    counts = load_journal(store, path)
    assert counts["signals"] == day.signals().height
    assert sum(load_journal(store, path).values()) == 0


def test_the_days_funding_is_booked_from_its_fills_and_its_decisions_say_what_they_net(
    day: Desk, tmp_path: Path
) -> None:
    store = open_store(f"duckdb:///{tmp_path / 'ledger.duckdb'}")
    load_journal(store, day.settings.live_dir / JOURNAL_FILE)
    candles = open_store(day.settings.store_url).read(CANDLES, where={"market": MARKET}, start=START)
    store.upsert(CANDLES, candles)
    quarters = candles["ts"].dt.truncate("15m").unique().sort()
    rates = pl.DataFrame({"ts": quarters}).with_columns(
        *(pl.lit(MARKET).alias("market"), pl.col("ts").alias("known_at"), pl.lit(0.0004).alias("rate")),
        *(pl.lit(0.25).alias("interval_hours"), pl.lit(None, pl.Float64).alias("mark_price")),
    )
    store.upsert(FUNDING_RATES, rates.select(*FUNDING_RATES.columns))
    booked, fills = live_funding(store, day.settings), store.read(FILLS).sort("seq")
    assert booked.height >= 5
    assert not booked["assumed"].any()
    signed = pl.when(pl.col("side") == "buy").then("quantity").otherwise(-pl.col("quantity"))
    for row in booked.iter_rows(named=True):
        held = fills.filter(pl.col("ts") < row["ts"]).select(signed.sum()).item()
        close = candles.filter(pl.col("ts") < row["ts"])["close"][-1]
        assert row["quantity"] == pytest.approx(held)
        assert row["amount"] == pytest.approx(-held * close * 0.0004, abs=1e-8)
    said = day.signals()
    parts = said["expected_gross_pct"] - said["expected_fees_pct"] - said["expected_slippage_pct"]
    assert (parts - said["expected_net_pct"]).abs().max() < 1e-9  # type: ignore[operator]
    assert said["expected_fees_pct"].to_list() == pytest.approx([0.10] * said.height)
