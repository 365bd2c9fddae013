"""Nothing is approved where nothing is, a planted edge is found, and a run that was stopped goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import pytest

from tests.strategies.rules.toys import Drift, DriftSettings, known
from trading_assets import features
from trading_assets.core.errors import TradingError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.placebo import Plan, Verdict, World, judge, outcomes, run_worlds, running
from trading_assets.placebo.worlds import PERMUTED, PLANTED, RANDOM_WALK, REVERTING, SHIFTED
from trading_assets.settings import (
    LogisticSettings,
    MeanReversionSettings,
    Range,
    RuleStrategySettings,
    Settings,
    read_labels,
)

DAYS = 120


def verdict(kind: str, seed: int, *, approved: bool) -> Verdict:
    failed = () if approved else ("trades",)
    return Verdict(kind, seed, DAYS, approved, failed, {"sharpe": 0.5}, 0.5, World(kind, seed, DAYS).stream)


def plan(settings: Settings, folder: Path, *worlds: World) -> Plan:
    return Plan(worlds, settings, "syna", None, folder, workers=2)


@pytest.mark.slow
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


RULE = {"kind": "ema_cross_rsi", "fast": 3, "slow": 8, "rsi": 5, "overbought": 95, "oversold": 5}
SAMPLED = {"sampling": {"by": "notional", "per_day": 40}}
META = {"kind": "meta", "rule": RULE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "chosen", "approved"),
    [(PLANTED, SAMPLED, True), (RANDOM_WALK, SAMPLED, False), (RANDOM_WALK, META, False)],
    ids=["edge by activity", "nothing by activity", "nothing in the bets of a rule"],
)
def test_a_model_that_does_not_decide_on_every_bar_is_judged_like_others(
    settings: Settings, kind: str, chosen: dict[str, object], approved: bool
) -> None:
    before = settings.labels_of("syna")
    labels = read_labels(before.model_dump(exclude={"kind", "sampling"}) | chosen)
    spec = settings.models["syna"].model_copy(update={"estimator": LogisticSettings(), "features": ["momentum"]})
    asked = settings.model_copy(update={"labels": {settings.models["syna"].label: labels}})
    assert judge(World(kind, 1, DAYS), asked, spec).approved is approved


def test_a_small_placebo_run_of_logistic_regression_approves_the_planted_world_alone(settings: Settings) -> None:
    spec = settings.models["syna"].model_copy(update={"estimator": LogisticSettings()})
    found = {kind: judge(World(kind, 1, DAYS), settings, spec).approved for kind in (RANDOM_WALK, SHIFTED, PLANTED)}
    assert found == {RANDOM_WALK: False, SHIFTED: False, PLANTED: True}


def test_a_rule_that_finds_the_planted_edge_is_approved_there_and_where_nothing_is_refused(settings: Settings) -> None:
    model = settings.models["syna"]
    with known(Drift):
        rule = DriftSettings(bars=8, per_mille=10.0)
        spec = RuleStrategySettings(
            markets=model.markets, label=model.label, rule=rule, walk_forward=model.walk_forward
        )
        shifted, planted = (judge(World(kind, 1, DAYS, edge=1.5), settings, spec) for kind in (SHIFTED, PLANTED))
    assert planted.approved
    assert not shifted.approved
    assert shifted.metrics["profit_factor"] < 1.1, "where what it wants is moved, the market's edge is not its own"


def test_the_rule_of_a_meta_label_is_moved_in_time_with_the_outcomes(settings: Settings) -> None:
    """It says when, whatever its model has learnt: left where it is, it would find the planted edge by itself."""
    rule = {"kind": "momentum", "bars": 8, "threshold": 1.5}
    labels = read_labels(settings.labels_of("syna").model_dump(exclude={"kind"}) | {"kind": "meta", "rule": rule})
    spec = settings.models["syna"].model_copy(update={"estimator": LogisticSettings(), "features": ["momentum"]})
    asked = settings.model_copy(update={"labels": {spec.label: labels}})
    found = judge(World(SHIFTED, 1, DAYS, edge=1.5), asked, spec)
    assert not found.approved
    assert found.metrics["sharpe"] < 5, "where the rule's own timing was kept, it was 10.9"


@pytest.mark.slow
def test_a_rule_that_fades_moves_finds_the_reversion_that_is_planted(settings: Settings) -> None:
    model = settings.models["syna"]
    near = settings.labels_of("syna").model_copy(update={"take_profit_pct": 1.0})
    spec = RuleStrategySettings(
        markets=model.markets,
        label=model.label,
        rule=MeanReversionSettings(),
        walk_forward=model.walk_forward,
        sides=[Side.LONG, Side.SHORT],
    )
    asked = settings.model_copy(update={"labels": {spec.label: near}})
    assert judge(World(REVERTING, 1, DAYS), asked, spec).approved
    assert outcomes([verdict(REVERTING, 1, approved=False)])[0].passed is False, "one that is missed counts as such"


def test_a_feature_that_sees_ahead_gets_a_world_approved_in_which_nothing_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a judgement that no leak could move would say nothing."""
    honest = features.compute

    def leaking(bars: pl.DataFrame, *, timeframe: Timeframe, **_: object) -> pl.DataFrame:
        ahead = pl.col("close").shift(-8).fill_null(strategy="forward") / pl.col("close")
        return honest(bars, timeframe=timeframe).update(bars.select("ts", rsi_14=ahead), on="ts")

    monkeypatch.setattr(features, "compute", leaking)
    judged = judge(World(RANDOM_WALK, 1, DAYS), settings, settings.models["syna"])
    assert judged.approved
    assert judged.metrics["skill_low"] > 0.3


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


def test_other_code_judges_anew_so_that_a_leak_cannot_hide_behind_older_verdicts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan(settings, tmp_path).file
    assert plan(settings, tmp_path).file == before
    package = tmp_path / "package"
    (package / "placebo").mkdir(parents=True)
    (package / "leak.py").write_text("close.shift(-1)")
    monkeypatch.setattr(running, "__file__", str(package / "placebo" / "running.py"))
    assert plan(settings, tmp_path).file != before


def test_two_runs_by_the_same_rules_do_not_judge_side_by_side(settings: Settings, tmp_path: Path) -> None:
    first = plan(settings, tmp_path, World(RANDOM_WALK, 1, DAYS))
    first.file.write_text(json.dumps(asdict(verdict(RANDOM_WALK, 1, approved=False))) + "\n")

    def second(_: Verdict) -> None:
        with pytest.raises(TradingError, match="another process is judging by the same rules"):
            run_worlds(plan(settings, tmp_path, World(RANDOM_WALK, 1, DAYS)), lambda _: None)

    assert len(run_worlds(first, second)) == 1
    assert len(run_worlds(first, lambda _: None)) == 1, "the lock is free again"


def test_a_process_per_core_starts_no_threads_for_the_other_cores() -> None:
    script = "import polars; from trading_assets.core.cores import cores; print(cores(), polars.thread_pool_size())"
    asked = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | running.ONE_CORE, capture_output=True, text=True, check=True
    )
    assert asked.stdout.split() == ["1", "1"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_no_process_behind_and_makes_nobody_wait(
    settings: Settings, tmp_path: Path, how: signal.Signals
) -> None:
    script = f"""
from pathlib import Path
from trading_assets.placebo import Plan, World, run_worlds
from trading_assets.settings import load_settings
if __name__ == "__main__":
    worlds = [World("random walk", seed, {DAYS}) for seed in range(9)]
    run_worlds(Plan(worlds, load_settings(), "syna", None, Path({str(tmp_path)!r}), workers=2), print)
"""
    (tmp_path / "run.py").write_text(script)
    run = subprocess.Popen([sys.executable, str(tmp_path / "run.py")], stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: len(workers := judges(run.pid)) == 2 and all(map(watches, workers)), seconds=300)
        workers = judges(run.pid)
        run.send_signal(how)
        run.wait(timeout=300)
    finally:
        run.kill()
    assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), seconds=120)


def judges(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def watches(pid: int) -> bool:
    """Whether a worker has begun: its numerical libraries are loaded."""
    return "polars" in Path(f"/proc/{pid}/maps").read_text()


def wait_for(happened: Callable[[], bool], *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if happened():
            return True
        time.sleep(0.1)
    return False


def test_a_world_is_searched_in_its_older_part_and_judged_on_the_rest_among_all_trials(settings: Settings) -> None:
    spec = settings.models["syna"].model_copy(
        update={"estimator": LogisticSettings(), "features": ["momentum", "volume"]}
    )
    asked = {"estimator.clip_deviations": None, "estimator.l2": Range(low=0.03, high=3.0, log=True)}
    world = World(PLANTED, 1, 240)
    alone, searched = judge(world, settings, spec), judge(world, settings, spec, asked=asked, trials=4)
    assert searched.metrics["trades"] < alone.metrics["trades"]
    assert searched == judge(world, settings, spec, asked=asked, trials=4)


def test_a_plan_that_searches_has_verdicts_of_its_own(settings: Settings, tmp_path: Path) -> None:
    plain = plan(settings, tmp_path, World(PLANTED, 1, DAYS))
    files = {replace(plain, trials=trials).file for trials in (0, 50, 100)}
    assert len(files) == 3
    assert plain.file in files
    unpruned = settings.model_copy(update={"search": settings.search.model_copy(update={"prune": False})})
    assert replace(plain, settings=unpruned, trials=50).file not in files, "it searches as the settings say"
