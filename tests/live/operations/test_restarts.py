"""A node that died is started again, with a bounded back-off, and it is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.alerts.receiver import receiving, told_by
from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from tests.live.node.test_node_feed import once
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, NODE, read_session
from trading_assets.settings import PROJECT_ROOT, Settings
from trading_cli.main import app
from trading_live.operations import restarts
from trading_live.operations.restarts import Restarts, supervise
from trading_live.replay import Faults
from trading_live.replay.faults import Handler
from trading_live.replay.tape import Kline

UNIT = PROJECT_ROOT / "deploy" / "systemd" / "trading-node.service"


def test_pauses_double_up_to_a_minute_and_the_last_death_gives_up() -> None:
    one = Restarts(9)
    assert [one.pause_s(float(at)) for at in range(10)] == [1, 2, 4, 8, 16, 32, 60, 60, 60, None]


@given(st.lists(st.floats(0, 5000), max_size=40), st.integers(0, 5))
def test_only_deaths_of_the_last_hour_count(gaps: list[float], limit: int) -> None:
    one, now, deaths = Restarts(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap
        deaths.append(now)
        recent = sum(death > now - 3600 for death in deaths)
        pause = one.pause_s(now)
        assert one.count == recent
        assert (pause is None) == (recent > limit)
        assert pause is None or pause == min(2 ** (recent - 1), 60)


def child(folder: Path, *, dies: int, code: str = "os.abort()") -> list[str]:
    """A process that dies so many times, then ends in order."""
    counter = folder / "starts"
    counter.touch()
    script = f"""
import os, pathlib
file = pathlib.Path({str(counter)!r})
file.write_text(file.read_text() + "x")
if len(file.read_text()) <= {dies}:
    {code}
"""
    return [sys.executable, "-I", "-S", "-c", script]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "_LONGEST_PAUSE_S", 0.01)


def died(settings: Settings) -> list[str]:
    events = read_session(settings.live_dir / JOURNAL_FILE)[NODE]
    return events.filter(pl.col("event") == "died")["detail"].to_list()


@pytest.mark.usefixtures("short_pauses")
def test_what_died_is_started_again_and_the_journal_says_how_it_died(tmp_path: Path, settings: Settings) -> None:
    assert supervise(settings, child(tmp_path, dies=2)) == 0
    assert died(settings) == [
        "signal 6 (SIGABRT); death 1 of 10 within an hour, started again in 0.01 s",
        "signal 6 (SIGABRT); death 2 of 10 within an hour, started again in 0.01 s",
    ]


@pytest.mark.usefixtures("short_pauses")
def test_people_are_told_of_each_death_and_no_start_waits_for_that(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.alerts.desk._PATIENCE_S", 300.0)  # what sends is loaded first
    with receiving() as receiver:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url)
        assert supervise(told_by(settings, repeat_minutes=0.0001), child(tmp_path, dies=1)) == 0
    (title,) = receiver.titles
    assert title.startswith("WARNING: the node died: signal 6 (SIGABRT); death 1 of 10 within an hour, started again")


@pytest.mark.usefixtures("short_pauses")
def test_what_another_start_does_not_mend_is_not_started_again(tmp_path: Path, settings: Settings) -> None:
    assert supervise(settings, child(tmp_path, dies=9, code="os._exit(2)")) == 2
    assert (tmp_path / "starts").read_text() == "x"


@pytest.mark.usefixtures("short_pauses")
def test_what_dies_too_often_is_given_up(tmp_path: Path, settings: Settings) -> None:
    node = settings.node.model_copy(update={"restarts_per_hour": 2})
    with pytest.raises(NodeError, match=r"the node died 3 times within an hour, last by exit code 1.*see data/logs"):
        supervise(settings.model_copy(update={"node": node}), child(tmp_path, dies=9, code="os._exit(1)"))
    assert died(settings)[-1] == "exit code 1; given up"


@pytest.mark.usefixtures("short_pauses")
def test_a_journal_that_cannot_be_written_keeps_nobody_from_starting(tmp_path: Path, settings: Settings) -> None:
    (settings.live_dir / JOURNAL_FILE).mkdir(parents=True)
    assert supervise(settings, child(tmp_path, dies=1)) == 0


def test_a_node_that_had_to_be_killed_did_not_end_in_order(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "_STOP_S", 0.1)
    deaf = "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN); pathlib.Path(sys.argv[1]).touch(); "

    def ask_to_stop() -> None:
        wait_for((tmp_path / "runs").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask_to_stop)
    asking.start()
    assert supervise(settings, [sys.executable, "-c", deaf + "time.sleep(600)", str(tmp_path / "runs")]) == 137
    asking.join()


def impossible_bar(bar: Kline) -> Kline:
    """A close above the high: the adapter builds it in Rust and ends the process."""
    opened, high, low, _, volume = bar.texts
    return replace(bar, texts=(opened, high, low, f"{float(high) * 2:.2f}", volume))


def test_a_node_that_an_impossible_bar_ends_trades_again(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=600, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        process = one.start("paper", "--supervised", module="trading_cli")
        try:
            wait_for(lambda: one.signals().height, while_alive=process)
            one.server.spoil(once(impossible_bar))
            wait_for(lambda: one.told("died"), while_alive=process)
            decided = one.signals().height
            wait_for(lambda: one.signals().height > decided, while_alive=process)
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert "SIGABRT" in one.told("died")[0]
        assert len(one.told("started")) == 2
        assert one.told("stopped") == [""]
        assert one.status().running is False


class SpoilsHistory(Faults):
    """One bar of the history of 15-minute bars closes above its high, whenever it is asked for."""

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await Faults.middleware(self, request, handler)
        if request.query.get("interval") != "15m" or not isinstance(response, web.Response):
            return response
        rows = json.loads(response.text or "[]")
        rows[0][4] = str(2 * float(rows[0][2]))
        return web.json_response(rows)


def test_an_impossible_bar_in_the_venues_history_ends_one_process_and_not_each_one_after_it(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=60, hours=40, faults=SpoilsHistory()) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        process = one.start("paper", "--supervised", module="trading_cli")
        try:
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state == "trading", while_alive=process)
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        (died,) = one.told("died")
        assert "SIGABRT" in died
        (refused,) = one.told("history refused")
        assert refused.startswith(f"{MARKET}: an impossible bar in the venue's history of 15m")
        assert one.told("stopped") == [""]


# -- the unit ----------------------------------------------------------------------------------------------------------


def unit() -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_the_unit_runs_a_command_that_exists_and_restarts_what_can_be_mended() -> None:
    service = unit()["Service"]
    _, *arguments = service["ExecStart"].split()
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
    assert "--supervised" in CliRunner().invoke(app, ["paper", "--help"]).output
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name
    program = unit()["Service"]["ExecStart"].split()[0]
    here.write_text(UNIT.read_text().replace(program, sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
