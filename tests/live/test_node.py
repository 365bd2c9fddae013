"""The node as a real process against the local exchange: what a user relies on, end to end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from trading_assets import features
from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.ledger import round_trips
from trading_assets.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, load_journal, read_session, read_since
from trading_assets.settings import LabelSettings, ModelSettings, Settings, load_settings
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES
from trading_assets.strategies.plans import TradePlan
from trading_live import kill
from trading_live.node import run_node
from trading_live.replay import ReplayServer, open_replay
from trading_live.status import NodeStatus, read_status

PATIENCE_S = 60.0


def wait_for[T](
    what: Callable[[], T], *, seconds: float = PATIENCE_S, while_alive: subprocess.Popen[str] | None = None
) -> T:
    """Poll until something is truthy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        if while_alive is not None and while_alive.poll() is not None:
            raise AssertionError(
                f"the node ended with {while_alive.returncode}: {while_alive.communicate()[0][-3000:]}"
            )
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@dataclass
class Desk:
    """A data folder, its replay server, and the node's process."""

    settings: Settings
    server: ReplayServer
    environment: dict[str, str]
    notes: dict[str, Any] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "trading_live"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def journal(self) -> dict[str, pl.DataFrame]:
        return read_session(self.settings.live_dir / JOURNAL_FILE)

    def told(self, event: str) -> list[str]:
        return self.journal()["node"].filter(pl.col("event") == event)["detail"].to_list()

    def signals(self) -> pl.DataFrame:
        return self.journal()["signals"]

    def status(self) -> NodeStatus:
        return read_status(self.settings)


@contextmanager
def desk(
    folder: Path,
    store_file: Path,
    *,
    speed: float,
    hours: float,
    markets: Sequence[str] = (MARKET,),
    further: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Desk]:
    """A desk with a running replay server; ``further`` are settings as environment variables."""
    environment = {
        **further,
        "TRADING_DATA_DIR": str(folder / "data"),
        "TRADING_STORE__URL": f"duckdb:///{store_file}",
        "TRADING_REPLAY__PORT": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = load_settings()
        with open_replay(
            settings, markets=markets, start=START, end=START + timedelta(hours=hours), speed=speed
        ) as server:
            environment |= {"TRADING_NODE__BASE_URL_HTTP": server.url_http, "TRADING_NODE__BASE_URL_WS": server.url_ws}
            for name, value in environment.items():
                patch.setenv(name, value)
            yield Desk(load_settings(), server, os.environ | environment)


def finish(process: subprocess.Popen[str], seconds: float = 20) -> tuple[int, str]:
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


# -- one working day: trade, swap the model, refuse a broken one, lose the venue, kill ---------------------------------


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("day"), live_store_file, speed=1800, hours=40) as one:
        live(one, make_bundle)
        yield one


def live(one: Desk, make_bundle: MakeBundle) -> None:
    bundles = one.settings.bundles_dir
    first, second = make_bundle(bundles), make_bundle(bundles, threshold=0.01)
    broken = make_bundle(bundles, threshold=0.02)
    (broken.folder / "model.txt").write_text((broken.folder / "model.txt").read_text() + "\n")
    put_live(one.settings, first)
    process = one.start()
    try:
        wait_for(lambda: one.signals().height >= 6, while_alive=process)
        one.notes["trading"] = one.status()
        with pytest.raises(NodeError) as error:
            run_node(one.settings)
        one.notes["second node"] = str(error.value)

        begun = time.monotonic()
        put_live(one.settings, second, version=2)
        wait_for(lambda: any("v2" in detail for detail in one.told("model deployed")), while_alive=process)
        one.notes["swap seconds"] = time.monotonic() - begun
        wait_for(lambda: (one.signals()["model_version"] == 2).sum() >= 2, while_alive=process)

        put_live(one.settings, broken, version=3)
        wait_for(lambda: one.told("model refused"), while_alive=process)

        one.server.begin_outage()
        gone = one.server.now
        wait_for(lambda: one.server.now > gone + timedelta(hours=1))
        one.server.end_outage()
        one.notes["outage"] = gone
        wait_for(lambda: one.told("bars recovered"), while_alive=process)
        back = one.signals().height
        wait_for(lambda: one.signals().height >= back + 3 and one.status().positions, while_alive=process)

        kill.engage(one.settings.live_dir, "the test says so")
        begun = time.monotonic()
        one.notes["kill"] = finish(process)
        one.notes["kill seconds"] = time.monotonic() - begun
        one.notes["start while killed"] = finish(one.start())
    finally:
        process.kill()


def test_every_decision_is_what_the_model_says_of_the_stored_bars(
    day: Desk, decision_bars: pl.DataFrame, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    signals = day.signals()
    rows = features.compute(decision_bars)
    for version, threshold in ((1, 0.0), (2, 0.01)):
        mine = signals.filter(pl.col("model_version") == version).select("bar_ts", "probability", "bundle_hash")
        bundle = make_bundle(tmp_path, threshold=threshold)
        expected = rows.join(mine, left_on="ts", right_on="bar_ts").sort("ts")
        assert mine.height == expected.height >= 2
        assert mine["bundle_hash"].unique().to_list() == [bundle.bundle_hash]
        assert expected["probability"].to_list() == bundle.predict(expected).to_list()
    assert signals["bar_ts"].is_unique().all()


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


def test_a_new_deployment_is_in_use_within_five_seconds(day: Desk) -> None:
    assert day.notes["swap seconds"] < 5


def test_a_broken_bundle_is_refused_and_the_old_model_trades_on(day: Desk) -> None:
    (refusal,) = day.told("model refused")
    assert "syna v3" in refusal
    assert "SHA-256 differs" in refusal
    assert "keeping syna v2" in refusal
    assert set(day.signals()["model_version"]) == {1, 2}


def test_bars_missed_in_an_outage_are_fetched_before_trading_on(day: Desk) -> None:
    assert day.told("bars missing")
    missing = int(day.told("bars recovered")[0].split(": ")[1].split(" of ")[0])
    assert missing >= 3
    later = day.signals().filter(pl.col("bar_ts") > day.notes["outage"] + timedelta(hours=1))
    assert later.height >= 3


def test_the_kill_switch_closes_positions_and_ends_the_node(day: Desk) -> None:
    code, output = day.notes["kill"]
    assert code == 0, output
    assert day.notes["kill seconds"] < 8
    assert day.told("kill") == ["the test says so"]
    assert day.told("flat")
    assert day.status().positions == ()
    plan = TradePlan.from_json(day.journal()["plans"]["plan"][-1])
    assert (plan.stage, plan.exit_reason) == ("closed", "kill")


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


# -- a crash in the middle of a trade ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    labels = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=6)
    with desk(tmp_path_factory.mktemp("crash"), live_store_file, speed=1800, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=labels))
        process = one.start()
        try:
            wait_for(lambda: one.journal()["orders"].filter(pl.col("purpose") == "take_profit").height >= 3)
            one.server.pause()
            process.send_signal(signal.SIGKILL)
            process.wait()
            path = one.settings.live_dir / JOURNAL_FILE
            one.notes["before"] = read_since(path, 0)
            one.notes["status before"] = one.status()
            copy = one.settings.data_dir / "crashed.sqlite"
            for suffix in ("", "-wal", "-shm"):
                if (source := path.with_name(path.name + suffix)).exists():
                    shutil.copy(source, copy.with_name(copy.name + suffix))

            process = one.start()
            wait_for(lambda: one.told("position recovered"), while_alive=process)
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state == "trading" and one.status().running)
            one.notes["status after"] = one.status()
            one.server.go_on()
            wait_for(lambda: _entries(one.journal()) >= 3, while_alive=process)
            process.send_signal(signal.SIGTERM)
            one.notes["end"] = finish(process)
            one.notes["after"] = read_since(path, 0)
        finally:
            process.kill()
        yield one


def _entries(events: dict[str, pl.DataFrame]) -> int:
    return events["signals"].filter(pl.col("action") == "enter").height


def test_after_a_crash_no_journal_entry_is_lost_or_doubled(crash: Desk) -> None:
    before, after = crash.notes["before"], crash.notes["after"]
    for kind, frame in before.items():
        assert after[kind].head(frame.height).equals(frame), kind
    numbers = pl.concat([frame["seq"] for frame in after.values()]).sort()
    assert numbers.is_unique().all()
    assert after["signals"]["bar_ts"].is_unique().all()
    assert after["fills"].select("order_id", "trade_id").is_unique().all()


def test_after_a_crash_the_node_knows_its_position_with_stop_target_and_expiry(crash: Desk) -> None:
    before, after = crash.notes["status before"], crash.notes["status after"]
    assert before.running is False
    assert len(before.positions) == 1
    assert after.positions == before.positions
    position = after.positions[0]
    assert position.stop_price == pytest.approx(position.average_price * 0.8)
    assert position.target_price == pytest.approx(position.average_price * 1.3)


def test_after_a_crash_the_trade_is_protected_again_and_ends_at_its_expiry(crash: Desk) -> None:
    before, after = crash.notes["before"], crash.notes["after"]
    position = crash.notes["status before"].positions[0]
    newer = after["orders"].filter(pl.col("seq") > max(frame["seq"].max() or 0 for frame in before.values()))
    again = newer.filter((pl.col("signal_id") == position.signal_id) & (pl.col("status") == "accepted"))
    assert set(again["purpose"]) >= {"stop_loss", "take_profit"}
    stop = again.filter(pl.col("purpose") == "stop_loss")
    assert stop["price"].to_list() == [pytest.approx(position.stop_price, abs=0.01)]
    assert stop["quantity"].to_list() == [pytest.approx(position.quantity)]
    lost = newer.filter(pl.col("reason").str.contains("the process ended"))
    assert set(lost["purpose"]) == {"stop_loss", "take_profit"}
    closed = after["positions"].filter((pl.col("signal_id") == position.signal_id) & (pl.col("event") == "closed"))
    assert closed["ts"].to_list() == [position.expires_at]
    fills = after["fills"].filter(pl.col("signal_id") == position.signal_id)
    signed = pl.when(pl.col("side") == "buy").then(-pl.col("quantity")).otherwise(pl.col("quantity"))
    assert closed["realized_pnl"].item() == pytest.approx(
        fills.select((signed * pl.col("price") - pl.col("fee")).sum()).item(), abs=1e-4
    )


def test_the_backtest_of_the_nodes_own_signals_trades_at_the_same_bars(crash: Desk) -> None:
    events = crash.notes["after"]
    predictions = events["signals"].select(
        "market", "probability", ts="bar_ts", known_at=pl.col("bar_ts") + timedelta(minutes=15)
    )
    candles = open_store(crash.settings.store_url).read(
        CANDLES, where={"market": MARKET}, start=START - timedelta(days=1)
    )
    tested = run_backtest(
        predictions,
        {MARKET: candles},
        candle_timeframe="1m",
        model=ModelSettings(markets=[MARKET], threshold=0.0),
        labels=LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=6),
        settings=crash.settings.backtest,
        risk=crash.settings.node.risk,
    ).trades
    traded = round_trips(events["plans"].to_dicts(), events["fills"].to_dicts(), decision_timeframe="15m")
    assert traded.height >= 2
    bars = ("signal_ts", pl.col("entry_ts", "exit_ts").dt.truncate("1m"), "exit_reason")
    assert traded.select(*bars).rows() == tested.head(traded.height).select(*bars).rows()


def test_sigterm_ends_the_node_with_code_zero_and_leaves_the_position(crash: Desk) -> None:
    code, output = crash.notes["end"]
    assert code == 0, output
    assert crash.notes["after"]["node"]["event"].to_list()[-1] == "stopped"
    assert len(crash.status().positions) == 1


# -- signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["starting", "trading"])
def test_a_node_that_is_interrupted_ends_in_order(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, number: signal.Signals, state: str
) -> None:
    with desk(tmp_path, live_store_file, speed=600, hours=24) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        process = one.start()
        try:
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state == state, while_alive=process)
            process.send_signal(number)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert "Traceback" not in output
        assert one.told("stopped") == [""]
        assert one.status().running is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_waits_for_its_node_can_be_interrupted(
    tmp_path: Path, live_settings: Settings, number: signal.Signals
) -> None:
    with (tmp_path / "output").open("w+") as output:
        command = ["trading_cli", "replay", "--market", MARKET, "--from", f"{START:%Y-%m-%d}", "--port", "0"]
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=output, stderr=output)
        try:
            log = Path(output.name)
            wait_for(lambda: "local exchange on" in log.read_text())
            time.sleep(1)
            process.send_signal(number)
            assert process.wait(10) == 0, log.read_text()
        finally:
            process.kill()


# -- what cannot start, says why ---------------------------------------------------------------------------------------


def test_without_a_local_exchange_the_node_says_so(live_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", "http://127.0.0.1:9")
    with pytest.raises(NodeError, match=r"the local exchange does not answer.*start trading replay first"):
        run_node(load_settings())


def test_without_a_model_the_node_says_so(live_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_replay(live_settings, markets=[MARKET], start=START) as server:
        monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", server.url_http)
        with pytest.raises(NodeError, match=r"no model is deployed.*approve and deploy one"):
            run_node(load_settings())


def test_a_bundle_that_is_gone_is_named(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(live_settings.bundles_dir)
    put_live(live_settings, bundle)
    shutil.rmtree(bundle.folder)
    with open_replay(live_settings, markets=[MARKET], start=START) as server:
        monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", server.url_http)
        with pytest.raises(NodeError, match=r"no model can be used.*cannot read bundle\.json"):
            run_node(load_settings())


def test_a_market_that_is_not_replayed_is_named(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(live_settings, make_bundle(live_settings.bundles_dir))
    with open_replay(live_settings, markets=["sample:NOISE/USDT:USDT"], start=START) as server:
        monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", server.url_http)
        with pytest.raises(NodeError, match="the replay does not have sample:SYNA/USDT:USDT"):
            run_node(load_settings())


def test_a_venue_that_cannot_be_reached_is_given_up_after_a_bounded_wait(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(live_settings, make_bundle(live_settings.bundles_dir))
    monkeypatch.setenv("TRADING_NODE__ENVIRONMENT", "live")
    monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", "http://127.0.0.1:9")
    monkeypatch.setenv("TRADING_NODE__BASE_URL_WS", "ws://127.0.0.1:9/ws")
    begun = time.monotonic()
    with pytest.raises(NodeError, match="the venue did not answer within 3 s"):
        run_node(load_settings(), connect_timeout_s=3)
    assert time.monotonic() - begun < 20
