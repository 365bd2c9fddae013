"""A node that is interrupted ends in order; one that cannot start says why."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from trading_assets.errors import NodeError
from trading_assets.settings import Settings, load_settings
from trading_live.node import run_node
from trading_live.replay import open_replay


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


def test_without_a_local_exchange_the_node_says_so(live_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", "http://127.0.0.1:9")
    with pytest.raises(NodeError, match=r"the local exchange does not answer.*start trading replay first"):
        run_node(load_settings())


def refuses_to_run(
    live_settings: Settings, monkeypatch: pytest.MonkeyPatch, problem: str, *, market: str = MARKET
) -> None:
    """The node, beside a local exchange of one market, ends with the problem."""
    with open_replay(live_settings, markets=[market], start=START) as server:
        monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", server.url_http)
        with pytest.raises(NodeError, match=problem):
            run_node(load_settings())


def test_without_a_model_the_node_says_so(live_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses_to_run(live_settings, monkeypatch, r"no model is deployed.*approve and deploy one")


def test_a_bundle_that_is_gone_is_named(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(live_settings.bundles_dir)
    put_live(live_settings, bundle)
    shutil.rmtree(bundle.folder)
    refuses_to_run(live_settings, monkeypatch, r"no model can be used.*cannot read bundle\.json")


def test_a_market_that_is_not_replayed_is_named(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(live_settings, make_bundle(live_settings.bundles_dir))
    problem = "the replay does not have sample:SYNA/USDT:USDT"
    refuses_to_run(live_settings, monkeypatch, problem, market="sample:NOISE/USDT:USDT")


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
