"""A node that is interrupted ends in order; one that cannot start says why."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import PATIENCE_S, desk, finish, wait_for
from tests.live.metrics.world import Scrape
from trading_assets.core.errors import NodeError
from trading_assets.journal import JOURNAL_FILE, NODE, read_session
from trading_assets.settings import Settings, load_settings
from trading_live.node.bars.requests import ANSWER_S, BarRequest, BarRequests
from trading_live.node.engine import VenueUnreachable, explain
from trading_live.node.node import run_node
from trading_live.replay import open_replay
from trading_live.replay.faults import Fault


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["starting", "trading"])
def test_a_node_that_is_interrupted_ends_in_order(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, number: signal.Signals, state: str
) -> None:
    """The second attempt at connecting is as good as the first: it trades, and stops in order."""
    with desk(tmp_path, live_store_file, speed=600, hours=24) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        if state == "trading":
            one.environment |= {"TRADING_NODE__CONNECT_TIMEOUT_S": "5", "TRADING_NODE__CONNECT_ATTEMPTS": "99"}
            one.faults.script.append(Fault(fault="timeout", path="/fapi/v1/exchangeInfo", after=1, times=1, seconds=60))
        process = one.start()
        try:
            reached = (state, "trading")  # a look may come too late for a state that lasts a second
            wait_for(lambda: (beat := one.status().heartbeat) and beat.state in reached, while_alive=process)
            process.send_signal(number)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert "Traceback" not in output
        assert one.told("stopped") == [""]
        assert bool(one.told("connect failed")) == (state == "trading")
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
            process.send_signal(number)
            assert process.wait(120) == 0, log.read_text()
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


def live_venue(monkeypatch: pytest.MonkeyPatch, address: str, *, timeout_s: int = 1, attempts: int = 2) -> None:
    """Settings of a venue at an address, not known to be a replay."""
    monkeypatch.setenv("TRADING_NODE__ENVIRONMENT", "live")
    monkeypatch.setenv("TRADING_NODE__BASE_URL_HTTP", f"http://{address}")
    monkeypatch.setenv("TRADING_NODE__BASE_URL_WS", f"ws://{address}/ws")
    monkeypatch.setenv("TRADING_NODE__CONNECT_TIMEOUT_S", str(timeout_s))
    monkeypatch.setenv("TRADING_NODE__CONNECT_ATTEMPTS", str(attempts))


def events(settings: Settings) -> list[tuple[str, str]]:
    """What the node did, from its journal."""
    return read_session(settings.live_dir / JOURNAL_FILE)[NODE].select("event", "detail").rows()


def test_a_venue_that_cannot_be_reached_is_tried_again_and_given_up_after_a_bounded_wait(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(live_settings, make_bundle(live_settings.bundles_dir))
    live_venue(monkeypatch, "127.0.0.1:9")
    with pytest.raises(NodeError, match="the venue did not answer within 1 s"):
        run_node(load_settings())
    told = events(live_settings)
    assert [event for event, _ in told] == [
        "model deployed", "started", "connect failed", "started", "stopped",
    ]  # fmt: skip
    assert dict(told)["connect failed"] == (
        "attempt 1 of 2 failed: the venue did not answer within 1 s; the next one in 1 s"
    )


def test_a_node_says_that_it_connects_and_ends_in_order_when_it_is_interrupted_meanwhile(
    live_settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_live(live_settings, make_bundle(live_settings.bundles_dir))
    monkeypatch.setenv("TRADING_NODE__METRICS_PORT", "0")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        live_venue(monkeypatch, f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=300)
        process = subprocess.Popen(
            [sys.executable, "-m", "trading_live"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            silent.settimeout(PATIENCE_S)
            connection, _ = silent.accept()
            with urllib.request.urlopen(dict(events(live_settings))["metrics served"], timeout=PATIENCE_S) as answer:
                page = Scrape.of(answer.read().decode())
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
            connection.close()
        finally:
            process.kill()
    assert code == 0, output
    assert page['trading_node_state{state="connecting"}'] == 1, "what the alert TradingNodeNotReady waits for"
    assert events(live_settings)[-1] == ("stopped", "")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("data-connect timeout", VenueUnreachable),
        ("exec-connect timeout", VenueUnreachable),
        ("readiness timeout while waiting for engine connections", VenueUnreachable),
        ("disconnect timeout while disconnecting clients", None),
        ("disconnect readiness timeout while waiting for engine disconnections", None),
        ("something else", NodeError),
    ],
)
def test_what_ended_the_engine_is_told_apart(said: str, error: type[NodeError] | None) -> None:
    explained = explain(RuntimeError(said), "binance live", 30)
    assert explained is None if error is None else type(explained) is error


class Venue:
    """Answers nothing by itself; the clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[str] = []
        self.requests = BarRequests(lambda: self.now)
        self.requests.send_by(lambda market, _: self.sent.append(market))


def test_history_that_is_never_answered_is_given_up_once() -> None:
    venue = Venue()
    venue.requests.ask("A", BarRequest())
    venue.requests.ask("B", BarRequest())
    given_up = []
    for _ in range(20):
        venue.now += ANSWER_S
        given_up.append(venue.requests.chase())
    assert venue.sent == ["A", "B"] * 3
    assert [one for one in given_up if one is not None] == ["A", "B"]
    assert not venue.requests


STEPS = st.tuples(st.sampled_from(["ask", "miss", "answer", "chase", "late"]), st.sampled_from("ABC"))


@given(st.lists(STEPS, max_size=60))
def test_requests_survive_any_order_of_answers_and_silence(steps: list[tuple[str, str]]) -> None:
    venue = Venue()
    requests = venue.requests
    for step, market in steps:
        match step:
            case "ask":
                requests.ask(market, BarRequest())
            case "miss":
                requests.ask(market, BarRequest(START, START + timedelta(hours=1)))
            case "answer":
                requests.answered(market)
                requests.go_on()
            case "chase":
                requests.chase()
            case _:
                venue.now += ANSWER_S
                requests.chase()
        assert bool(requests) == (requests.underway is not None)  # whoever waits is asked for
