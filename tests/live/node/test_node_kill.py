"""A kill while the disk is full: the node ends all the same, and the next one closes what the journal holds open."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.alerts.receiver import receiving
from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import Desk, beside, desk, finish, wait_for
from trading_assets.settings import LabelSettings
from trading_assets.strategies.plans.plan import TradePlan
from trading_cli.main import app


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("kill"), live_store_file, speed=1800, hours=40) as one, receiving() as receiver:
        channels = {"chat": {"url_variable": "CHAT_ALERT_URL"}}
        one.environment |= {"TRADING_ALERTS__CHANNELS": json.dumps(channels), "CHAT_ALERT_URL": receiver.url}
        wide = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=400)  # longer than the replay
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=wide))
        process = one.start(module="tests.live.node.patient")
        try:
            wait_for(lambda: one.status().positions, while_alive=process)
            one.heard_before = one.server.streams
            fill_disk(process.pid, one.settings.live_dir / "journal.sqlite-wal")
            wait_for(lambda: (beat := one.status().heartbeat) and beat.journal, while_alive=process)
            one.notes["status"] = said("status")
            one.notes["kill"] = beside(lambda: said("kill", "--reason", "the test says so"))
            one.notes["node"] = finish(process)
        finally:
            process.kill()
        one.notes["open"] = one.status().positions
        one.notes["alerts"] = receiver.titles
        one.notes["reset"] = said("kill", "--reset")
        process = one.start_again()
        try:
            wait_for(lambda: another_is_open(one), while_alive=process)
            one.notes["second kill"] = beside(lambda: said("kill"))
        finally:
            process.kill()
        yield one


def another_is_open(one: Desk) -> bool:
    """Another trade than the killed one: the time between the two may be shorter than a look."""
    (killed,) = one.notes["open"]
    return any(now.signal_id != killed.signal_id for now in one.status().positions)


def fill_disk(process: int, wal: Path) -> None:
    """The process may write no file beyond the size that this one has: its next page finds no room."""
    size = wal.stat().st_size
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, size))


def test_the_status_says_that_the_journal_cannot_be_written(killed: Desk) -> None:
    code, output = killed.notes["status"]
    assert code == 0
    assert "no entries:" in output
    assert "the journal cannot be used" in output
    assert "wait in memory; open by the node's memory: sample:SYNA/USDT:USDT" in output


def test_people_are_told_although_nothing_can_be_journalled(killed: Desk) -> None:
    trouble, kill = killed.notes["alerts"]
    assert trouble.startswith("CRITICAL: no entries: ")
    assert kill.startswith("CRITICAL: kill: the test says so (node ")


def test_a_kill_on_a_full_disk_ends_the_node_and_says_what_the_journal_does_not_know(killed: Desk) -> None:
    code, output = killed.notes["kill"]
    assert code == 1
    assert "still open sample:SYNA/USDT:USDT" in output
    assert "`trading paper --close-only` closes them" in output
    assert "after `trading kill --reset` the next node closes them" in output
    ended, node_output = killed.notes["node"]
    assert ended == 0, node_output


def test_the_next_node_closes_the_position_first(killed: Desk) -> None:
    (position,) = killed.notes["open"]
    code, output = killed.notes["reset"]
    assert code == 0
    assert "sample:SYNA/USDT:USDT (synthetic) is closed by the next node first" in output
    plans = [TradePlan.from_json(text) for text in killed.journal()["plans"]["plan"]]
    ends = [plan for plan in plans if plan.signal_id == position.signal_id and plan.stage == "closed"]
    assert [plan.exit_reason for plan in ends] == ["kill"]
    fills = killed.journal()["fills"].filter(pl.col("signal_id") == position.signal_id)
    signed = pl.when(pl.col("side") == "buy").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    assert fills.select(signed.sum()).item() == pytest.approx(0, abs=1e-9)


def test_a_kill_says_what_it_closed(killed: Desk) -> None:
    code, output = killed.notes["second kill"]
    assert code == 0, output
    assert re.search(rf"closed {MARKET} \(synthetic\): long [\d.,]+ at [\d.,]+, result [+-][\d.,]+ USDT", output)
    assert "nothing is open" in output
