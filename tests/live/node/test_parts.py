"""The node's parts: kill switch, lock and heartbeat, deployed models, history and gaps, venues, status."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.live.conftest import MARKET, OTHER_STREAM, STREAM, MakeBundle, put_live, rewrite_model
from trading_assets import features
from trading_assets.core.errors import NodeError
from trading_assets.core.timeframes import Timeframe
from trading_assets.registry.deployment import MANIFEST, deploy, undeploy
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.signals import ClosedBar
from trading_live.node.assembly import too_late
from trading_live.node.bars.history import BarHistory
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.operations import kill_switch
from trading_live.operations.heartbeat import Heartbeat, NodeLock, is_running, read_heartbeat
from trading_live.operations.status import read_status

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = features.lookback_bars(M15)

NOW = datetime(2025, 5, 1, tzinfo=UTC)


# -- kill switch -------------------------------------------------------------------------------------------------------


def test_the_kill_switch_stays_on_until_it_is_reset(tmp_path: Path) -> None:
    assert kill_switch.engaged(tmp_path) is None
    kill_switch.require_off(tmp_path)
    kill_switch.engage(tmp_path, "too hot")
    switch = kill_switch.engaged(tmp_path)
    assert switch is not None
    assert switch.reason == "too hot"
    with pytest.raises(NodeError, match=r"too hot.*trading kill --reset"):
        kill_switch.require_off(tmp_path)
    assert kill_switch.reset(tmp_path)
    assert not kill_switch.reset(tmp_path)
    kill_switch.require_off(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": 3}', b"\xff\xfe"])
def test_a_kill_file_that_cannot_be_understood_is_on(tmp_path: Path, content: bytes) -> None:
    (tmp_path / kill_switch.KILL_FILE).write_bytes(content)
    assert kill_switch.engaged(tmp_path) is not None


# -- late bars ---------------------------------------------------------------------------------------------------------


def test_a_bar_that_was_held_up_is_not_entered_on() -> None:
    limit = NodeSettings(max_decision_delay_s=30)
    assert too_late(NOW, NOW + timedelta(seconds=30), limit) is None
    assert too_late(NOW, NOW - timedelta(seconds=1), limit) is None
    assert too_late(NOW, NOW + timedelta(minutes=10), limit) == "the bar came 600 s late by this clock, limit 30 s"


# -- one node per folder -----------------------------------------------------------------------------------------------


def beat(**changes: object) -> Heartbeat:
    fields = {"pid": 42, "state": "trading", "node": "n", "venue": "binance", "environment": "replay", "mode": "paper"}
    return Heartbeat.model_validate(fields | {"started_at": NOW, "beat_at": datetime.now(UTC)} | changes)


def test_only_one_node_runs_on_a_folder_and_a_dead_one_frees_it(tmp_path: Path) -> None:
    first, second = NodeLock(tmp_path), NodeLock(tmp_path)
    assert not is_running(tmp_path)
    first.acquire()
    first.beat(beat())
    assert is_running(tmp_path)
    with pytest.raises(NodeError, match=r"process 42.*another data folder"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    code = (
        f"from pathlib import Path; from trading_live.operations.heartbeat import NodeLock; "
        f"p = NodeLock(Path({str(tmp_path)!r}))"
    )
    subprocess.run([sys.executable, "-c", f"{code}; p.acquire(); import os; os.kill(os.getpid(), 9)"], check=False)
    assert not is_running(tmp_path)


def test_on_a_full_disk_a_lock_is_taken_and_freed_without_an_error(tmp_path: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from trading_live.operations.heartbeat import NodeLock, is_running
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
presence = NodeLock(Path({str(tmp_path)!r}))
presence.acquire()
assert is_running(Path({str(tmp_path)!r}))
presence.release()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not is_running(tmp_path)


def test_a_torn_heartbeat_is_none(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text('{"pid": 1')
    assert read_heartbeat(tmp_path) is None


# -- deployed models ---------------------------------------------------------------------------------------------------


def test_a_refused_bundle_is_told_once_and_taken_when_it_is_mended(settings: Settings, make_bundle: MakeBundle) -> None:
    told: list[tuple[str, str]] = []
    shelf = DeployedModels(settings, lambda event, detail: told.append((event, detail)))
    assert not shelf.refresh()
    first, second = make_bundle(settings.bundles_dir), make_bundle(settings.bundles_dir, threshold=0.3)
    put_live(settings, first)
    assert shelf.refresh()
    assert not shelf.refresh()
    model = second.folder / "long" / "model.txt"
    intact = model.read_bytes()
    model.write_bytes(intact[:-1])
    put_live(settings, second, version=2)
    assert not shelf.refresh()
    assert not shelf.refresh()
    in_use = shelf.of(STREAM)
    assert in_use is not None
    assert in_use.bundle.bundle_hash == first.bundle_hash
    assert "keeping syna v1" in shelf.refusals["syna"]
    model.write_bytes(intact)
    assert shelf.refresh()
    assert shelf.of(STREAM).deployed.version == 2  # type: ignore[union-attr]
    assert [event for event, _ in told] == ["model deployed", "model refused", "model deployed"]


def test_a_broken_manifest_changes_nothing_and_a_withdrawn_model_stops(
    settings: Settings, make_bundle: MakeBundle
) -> None:
    told: list[str] = []
    shelf = DeployedModels(settings, lambda event, _: told.append(event))
    put_live(settings, make_bundle(settings.bundles_dir))
    shelf.refresh()
    manifest = settings.live_dir / MANIFEST
    intact = manifest.read_bytes()
    manifest.write_bytes(b"{")
    assert not shelf.refresh()
    assert not shelf.refresh()
    assert shelf.of(STREAM) is not None
    manifest.write_bytes(intact)
    undeploy(settings.live_dir, "syna")
    assert shelf.refresh()
    assert shelf.of(STREAM) is None
    assert told == ["model deployed", "manifest refused", "model withdrawn"]


def test_a_bundle_of_other_features_is_refused(
    settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(settings, make_bundle(settings.bundles_dir))
    monkeypatch.setattr(features, "fingerprint", lambda *_, **__: "other")
    shelf = DeployedModels(settings, lambda *_: None)
    assert not shelf.refresh()
    assert "but this code computes other" in shelf.refusals["syna"]


def test_a_model_that_would_end_the_node_is_refused_and_the_one_in_use_stays(
    settings: Settings, make_bundle: MakeBundle
) -> None:
    told: list[str] = []
    shelf = DeployedModels(settings, lambda event, _: told.append(event))
    put_live(settings, make_bundle(settings.bundles_dir))
    shelf.refresh()
    malformed = rewrite_model(
        make_bundle(settings.bundles_dir, threshold=0.7), lambda text: re.sub(r"tree_sizes=\d+", "tree_sizes=5", text)
    )
    put_live(settings, malformed, version=2)
    while not shelf.refusals:
        assert not shelf.refresh(wait=False)
    assert not shelf.refresh()
    assert "ends the process that loads it (signal 6)" in shelf.refusals["syna"]
    assert shelf.of(STREAM).deployed.version == 1  # type: ignore[union-attr]
    assert told == ["model deployed", "model refused"]


def test_a_model_of_a_market_that_is_not_listened_to_is_refused(settings: Settings, make_bundle: MakeBundle) -> None:
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.listen_to([OTHER_STREAM])
    put_live(settings, make_bundle(settings.bundles_dir))
    assert not shelf.refresh()
    assert shelf.models == ()
    assert f"it trades {MARKET}, which this node does not listen to; start the node again" in shelf.refusals["syna"]


def test_a_model_on_whose_bars_another_decides_is_refused_whichever_version_comes(
    settings: Settings, make_bundle: MakeBundle
) -> None:
    told: list[tuple[str, str]] = []
    shelf = DeployedModels(settings, lambda event, detail: told.append((event, detail)))
    deployed = put_live(settings, make_bundle(settings.bundles_dir))
    hour = timedelta(hours=1)
    later = deployed.model_copy(update={"model": "later", "deployed_at": deployed.deployed_at + hour})
    deploy(settings.live_dir, later)
    shelf.refresh()
    shelf.refresh()
    why = (
        f"later v1: it would decide beside syna v1 on {MARKET} 15m; archive one of them (trading models archive), "
        "or give it another market or timeframe"
    )
    assert [detail for event, detail in told if event == "model refused"] == [why]
    assert shelf.refusals == {"later": why}
    assert [one.name for one in shelf.models] == ["syna v1"]
    renewed = deployed.model_copy(update={"version": 2, "deployed_at": deployed.deployed_at + 2 * hour})
    deploy(settings.live_dir, renewed)
    assert shelf.refresh()
    assert shelf.of(STREAM).name == "syna v2"  # type: ignore[union-attr]
    undeploy(settings.live_dir, "syna")
    assert shelf.refresh()
    assert shelf.of(STREAM).name == "later v1"  # type: ignore[union-attr]
    assert shelf.refusals == {}


# -- history and gaps --------------------------------------------------------------------------------------------------


def closed(number: int, market: str = MARKET) -> ClosedBar:
    ts = NOW + number * M15.length
    return ClosedBar(
        market, "15m", ts, ts + M15.length, 100.0 + number, 101.0 + number, 99.0 + number, 100.5 + number, 10.0
    )


@given(st.lists(st.lists(st.integers(0, 40), max_size=15), max_size=6), st.integers(1, 12))
@examples(100)
def test_history_keeps_the_newest_bars_once_in_order_however_they_come(pages: list[list[int]], rows: int) -> None:
    history = BarHistory(STREAM, rows=rows)
    seen: set[int] = set()
    for page in pages:
        history.merge(closed(number) for number in page)
        seen |= set(page)
        kept = sorted(seen)[-rows:]
        seen = set(kept)
        assert history.frame["ts"].to_list() == [NOW + number * M15.length for number in kept]


class _Gaps:
    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []

    def __call__(self, market: str, since: datetime, until: datetime) -> None:
        self.asked.append((market, since, until))


def closed_bars(decision_bars: pl.DataFrame) -> list[ClosedBar]:
    columns = ["market", "ts", "known_at", "open", "high", "low", "close", "volume"]
    return [
        ClosedBar(market, "15m", ts, known_at, *prices)
        for market, ts, known_at, *prices in decision_bars.select(columns).iter_rows()
    ]


def test_a_second_gap_while_the_first_is_asked_for_is_asked_for_next(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame
) -> None:
    put_live(settings, make_bundle(settings.bundles_dir))
    shelf, gaps = DeployedModels(settings, lambda *_: None), _Gaps()
    shelf.refresh()
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, gaps, cost_bps=0.0)
    bars, need = closed_bars(decision_bars), LOOKBACK_BARS
    signals.histories[STREAM].merge(bars[:need])
    for number in (need + 1, need + 3, need + 4, need + 6):
        assert signals.on_bar(bars[number]) is None
    assert gaps.asked == [(STREAM, bars[need].ts, bars[need + 1].ts)]
    signals.histories[STREAM].merge([bars[need]])
    signals.go_on(STREAM)
    assert gaps.asked[1:] == [(STREAM, bars[need + 2].ts, bars[need + 6].ts)]
    assert signals.on_bar(bars[need + 7]) is None
    signals.histories[STREAM].merge(bars[need + 2 : need + 6])
    signals.go_on(STREAM)
    assert signals.on_bar(bars[need + 8]) is not None
    assert len(gaps.asked) == 2


def test_a_gap_is_asked_for_once_and_nothing_is_decided_until_it_is_closed(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame, decision_rows: pl.DataFrame
) -> None:
    put_live(settings, make_bundle(settings.bundles_dir))
    shelf, gaps = DeployedModels(settings, lambda *_: None), _Gaps()
    shelf.refresh()
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, gaps, cost_bps=0.0)
    bars = closed_bars(decision_bars)
    need = LOOKBACK_BARS
    signals.histories[STREAM].merge(bars[:need])
    assert signals.on_bar(bars[need - 1]) is None
    assert signals.on_bar(bars[need]) is not None
    assert signals.on_bar(bars[need + 3]) is None
    assert signals.on_bar(bars[need + 4]) is None
    assert gaps.asked == [(STREAM, bars[need].ts + M15.length, bars[need + 3].ts)]
    assert "are missing" in signals.state()[MARKET]
    signals.histories[STREAM].merge(bars[need + 1 : need + 3])
    signals.go_on(STREAM)
    signal = signals.on_bar(bars[need + 5])
    assert signal is not None
    rows = decision_rows.filter(pl.col("ts") == bars[need + 5].ts)
    assert signal.probability == shelf.of(STREAM).bundle.predict(rows).item()  # type: ignore[union-attr]
    assert signals.state() == {}


def test_nothing_is_decided_across_a_step_of_the_price_or_an_event(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame
) -> None:
    put_live(settings, make_bundle(settings.bundles_dir))
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    bars, need = closed_bars(decision_bars), LOOKBACK_BARS

    def asked(history: list[ClosedBar], newest: ClosedBar, **known: Any) -> tuple[bool, dict[str, str]]:
        signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, _Gaps(), cost_bps=0.0, **known)
        signals.histories[STREAM].merge(history)
        return signals.on_bar(newest) is not None, signals.state()

    assert asked(bars[:need], bars[need]) == (True, {})
    tenfold = [replace(b, open=b.open * 10, high=b.high * 10, low=b.low * 10, close=b.close * 10) for b in bars]
    for row in (need - 500, need):  # long ago, and with the newest bar
        decided, state = asked((bars[:row] + tenfold[row:])[:need], tenfold[need])
        assert not decided
        assert "the price stepped from" in state[MARKET]
        assert f"at {bars[row].ts:%Y-%m-%d %H:%M}, within the look-back" in state[MARKET]
    for at in (bars[need - 500].ts, bars[need].known_at + 2 * M15.length):
        decided, state = asked(bars[:need], bars[need], events={MARKET: [at]})
        assert not decided
        assert state[MARKET] == f"an event at {at:%Y-%m-%d %H:%M} lies within look-back or horizon"
    gone = [bars[0].ts - M15.length, bars[need].known_at + timedelta(days=9)]
    assert asked(bars[:need], bars[need], events={MARKET: gone}) == (True, {})


def test_without_a_model_or_with_a_short_history_nothing_is_decided(settings: Settings) -> None:
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, DeployedModels(settings, lambda *_: None), _Gaps(), cost_bps=0.0)
    assert signals.on_bar(closed(1)) is None
    assert f"1 of {LOOKBACK_BARS:,}" in signals.state()[MARKET]


# -- status ------------------------------------------------------------------------------------------------------------


def test_the_status_of_an_unused_folder_is_empty(settings: Settings) -> None:
    status = read_status(settings)
    assert (status.running, status.heartbeat, status.kill, status.positions) == (False, None, None, ())
    assert (status.deployed, status.journal_events, status.journal_bytes) == ((), 0, 0)


def test_the_status_tells_a_silent_node_and_a_broken_manifest(settings: Settings) -> None:
    presence = NodeLock(settings.live_dir)
    presence.acquire()
    presence.beat(beat(beat_at=datetime.now(UTC) - timedelta(minutes=1)))
    (settings.live_dir / MANIFEST).write_text("{")
    kill_switch.engage(settings.live_dir)
    status = read_status(settings)
    presence.release()
    assert status.running
    assert not status.responsive
    assert "not a deployment manifest" in status.manifest_error
    assert status.kill is not None
    shutil.rmtree(settings.live_dir)
