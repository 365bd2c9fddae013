"""Scripts of faults that follow a seed."""

from __future__ import annotations

from datetime import timedelta

from tests.live.conftest import START
from trading_live.replay.fault_draws import _WHERE, drawn
from trading_live.replay.fault_kinds import VENUE_KINDS

END = START + timedelta(hours=6)


def test_a_seed_draws_the_same_script_and_all_seeds_draw_every_fault() -> None:
    scripts = [drawn(seed, START, END, symbols=True) for seed in range(300)]
    assert scripts == [drawn(seed, START, END, symbols=True) for seed in range(300)]
    assert {fault.fault for script in scripts for fault in script} == set(_WHERE)
    assert {len(script) for script in scripts} == {1, 2, 3, 4, 5, 6}
    assert all(START <= fault.start < END for script in scripts for fault in script if fault.start)


def test_without_leave_nothing_happens_to_symbols() -> None:
    assert not {fault.fault for seed in range(300) for fault in drawn(seed, START, END)} & VENUE_KINDS
