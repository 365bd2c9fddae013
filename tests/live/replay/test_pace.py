"""A replay that its node cannot keep up with slows down: no decision is lost."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
from trading_assets.settings import Settings
from trading_live.replay import open_replay
from trading_live.replay.pace import AHEAD_MS, Pace


def test_a_client_that_never_says_how_far_it_is_is_never_waited_for() -> None:
    pace = Pace()
    pace.sent(10**12)
    assert not pace.must_wait(0.0)


def test_the_replay_goes_two_decision_bars_ahead_and_no_further() -> None:
    pace = Pace()
    pace.hear(0, now_s=0.0)
    pace.sent(AHEAD_MS)
    assert not pace.must_wait(1.0)
    pace.sent(AHEAD_MS + 1)
    assert pace.must_wait(1.0)
    pace.hear(1, now_s=1.0)
    assert not pace.must_wait(1.0)
    assert pace.must_wait(1.0, ahead_ms=0)


def test_a_node_that_says_nothing_new_is_not_waited_for_until_it_does() -> None:
    pace = Pace()
    pace.hear(0, now_s=0.0)
    pace.sent(2 * AHEAD_MS)
    assert pace.must_wait(59.9)
    pace.hear(0, now_s=59.9)
    assert not pace.must_wait(60.0)
    pace.hear(1, now_s=61.0)
    assert pace.must_wait(61.0)


def test_a_node_that_has_left_is_waited_for_but_a_moment() -> None:
    listeners = {"a node"}
    pace = Pace(lambda: bool(listeners))
    pace.hear(0, now_s=0.0)
    pace.sent(2 * AHEAD_MS)
    assert pace.must_wait(5.1), "it is at work, on a busy machine"
    listeners.clear()
    assert pace.must_wait(4.9)
    assert not pace.must_wait(5.1)


def test_what_was_under_way_when_the_connection_broke_is_not_waited_for() -> None:
    pace = Pace()
    pace.hear(0, now_s=0.0)
    pace.sent(2 * AHEAD_MS)
    pace.forget()
    assert not pace.must_wait(0.0)


def test_a_replay_goes_as_far_as_it_may_and_says_when_it_stands_there(live_settings: Settings) -> None:
    server = open_replay(live_settings, markets=[MARKET], start=START, speed=36_000, hold=False)
    server.pause()
    with server:
        wait_for(lambda: server.at_rest)
        end = server.now + timedelta(hours=3)
        server.play_until(end)
        server.go_on()
        wait_for(lambda: server.at_rest and server.now > START)
        assert end - timedelta(minutes=1) < server.now <= end
        server.play_until(None)
        wait_for(lambda: server.now > end + timedelta(hours=1))


def test_a_replay_on_its_way_is_not_at_rest(live_settings: Settings) -> None:
    with open_replay(live_settings, markets=[MARKET], start=START, speed=60, hold=False) as server:
        wait_for(lambda: server.now > START)
        assert not server.at_rest, "its 48 hours take as many minutes"


def test_a_node_that_is_stopped_at_the_end_of_a_replay_much_too_fast_has_decided_on_every_bar(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=500_000, hours=24, leash=None) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        one.server.pause()
        process = one.start()
        try:
            wait_for(lambda: one.server._player.pace._heard_ms, while_alive=process)  # it says so before its first bar
            one.server.go_on()
            wait_for(lambda: one.server.finished, while_alive=process)
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert one.signals().height == 24 * 4
        assert one.server.held_s > 0
