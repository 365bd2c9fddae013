"""A replay that its node cannot keep up with slows down: no decision is lost."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.live.conftest import MakeBundle, put_live
from tests.live.desk import desk, finish, wait_for
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
    assert pace.must_wait(4.9)
    pace.hear(0, now_s=4.9)
    assert not pace.must_wait(5.0)
    pace.hear(1, now_s=6.0)
    assert pace.must_wait(6.0)


def test_what_was_under_way_when_the_connection_broke_is_not_waited_for() -> None:
    pace = Pace()
    pace.hear(0, now_s=0.0)
    pace.sent(2 * AHEAD_MS)
    pace.forget()
    assert not pace.must_wait(0.0)


def test_a_node_that_is_stopped_at_the_end_of_a_replay_much_too_fast_has_decided_on_every_bar(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle
) -> None:
    with desk(tmp_path, live_store_file, speed=500_000, hours=24) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        process = one.start()
        try:
            wait_for(lambda: one.server.finished, while_alive=process)
            process.send_signal(signal.SIGTERM)
            code, output = finish(process)
        finally:
            process.kill()
        assert code == 0, output
        assert one.signals().height == 24 * 4
        assert one.server.held_s > 0
