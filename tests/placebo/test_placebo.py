"""Nothing is approved where nothing is, a planted edge is found, and a run that was stopped goes on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from trading_assets.placebo import Plan, Verdict, World, outcomes, run_worlds
from trading_assets.placebo.worlds import PERMUTED, PLANTED, RANDOM_WALK, SHIFTED
from trading_assets.settings import Settings

DAYS = 120


def verdict(kind: str, seed: int, *, approved: bool) -> Verdict:
    return Verdict(kind, seed, DAYS, approved, () if approved else ("trades",), {"sharpe": 0.5}, 0.5)


def plan(settings: Settings, folder: Path, *worlds: World) -> Plan:
    return Plan(worlds, settings, "syna", None, folder, workers=2)


def test_a_small_placebo_run_approves_the_planted_world_alone_and_is_not_repeated(
    settings: Settings, tmp_path: Path
) -> None:
    judged = plan(settings, tmp_path, *(World(kind, 1, DAYS) for kind in (RANDOM_WALK, PERMUTED, SHIFTED, PLANTED)))
    seen: list[Verdict] = []
    found = run_worlds(judged, seen.append)
    assert {v.kind for v in found if v.approved} == {PLANTED}
    assert len(seen) == len(found) == 4
    assert all(outcome.passed for outcome in outcomes(found))

    again: list[Verdict] = []
    assert sorted(run_worlds(judged, again.append), key=str) == sorted(found, key=str)
    assert len(judged.file.read_text().splitlines()) == 4
    stricter = settings.model_copy(update={"gates": settings.gates.model_copy(update={"min_trades": 31})})
    assert plan(stricter, tmp_path).file != judged.file, "other gates are another judgement"


def test_what_a_killed_run_left_is_kept_except_for_half_a_line(settings: Settings, tmp_path: Path) -> None:
    left = plan(settings, tmp_path, World(RANDOM_WALK, 1, DAYS), World(PLANTED, 1, DAYS))
    whole = [json.dumps(asdict(verdict(kind, 1, approved=kind == PLANTED))) for kind in (RANDOM_WALK, PLANTED)]
    left.file.write_text("\n".join([*whole, '{"kind": "random wa']))
    seen: list[Verdict] = []
    assert len(run_worlds(left, seen.append)) == 2
    assert [v.approved for v in seen] == [False, True]


def test_one_approved_null_world_is_one_too_many() -> None:
    good = [verdict(RANDOM_WALK, seed, approved=False) for seed in range(60)]
    (kind, every) = outcomes(good)
    assert kind.passed
    assert (every.worlds, every.approved, every.low) == (60, 0, 0)
    assert every.high == pytest.approx(1 - 0.025 ** (1 / 60))  # Clopper and Pearson 1934: exact for none of n
    assert every.refusals == {"trades": 60}
    assert not outcomes([*good, verdict(RANDOM_WALK, 60, approved=True)])[0].passed


@pytest.mark.parametrize(("found", "passed"), [(10, True), (9, True), (8, False)])
def test_nine_of_ten_planted_worlds_must_be_found(found: int, passed: bool) -> None:
    (outcome,) = [o for o in outcomes(verdict(PLANTED, i, approved=i < found) for i in range(10)) if o.kind == PLANTED]
    assert outcome.passed is passed
