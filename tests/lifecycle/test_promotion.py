"""A candidate trades only where it is better than the champion; every other way to change a status says why."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import polars as pl
import pytest

from tests.lifecycle.shelf import BEGIN, DAYS, MODEL, Shelf
from trading_assets import lifecycle
from trading_assets.core.errors import ModelError
from trading_assets.registry import Cause, read_manifest
from trading_assets.registry.deployment import MANIFEST, DeployedModel, Manifest, write_manifest
from trading_assets.settings import Settings
from trading_assets.store.tables import CHALLENGERS, MODEL_EVENTS, MODEL_VERSIONS, TRIAL_RETURNS

CAUSE = Cause("dagster run 1")


def promote(shelf: Shelf, version: int, cause: Cause = CAUSE, *, regardless: bool = False) -> lifecycle.Outcome:
    return lifecycle.promote(shelf.settings, shelf.store, MODEL, version, cause, regardless=regardless)


def trading(settings: Settings) -> int | None:
    found = read_manifest(settings.live_dir).models.get(MODEL)
    return found and found.version


def in_shadow(settings: Settings) -> list[int]:
    return [one.version for one in read_manifest(settings.live_dir).challengers.get(MODEL, ())]


def changed(shelf: Shelf, version: int) -> dict[str, object]:
    row = shelf.store.read(MODEL_EVENTS, where={"model": MODEL, "version": version}).sort("event").row(-1, named=True)
    return {**row, "evidence": json.loads(row["evidence"])}


def with_promotion(shelf: Shelf, **changes: object) -> Shelf:
    asked = shelf.settings.promotion.model_copy(update=changes)
    return Shelf(shelf.settings.model_copy(update={"promotion": asked}), shelf.store, shelf.learnt)


def test_without_a_champion_a_candidate_trades(shelf: Shelf) -> None:
    outcome = promote(shelf, shelf.approve())
    assert (outcome.is_deployed, outcome.comparison, outcome.reason) == (True, None, "no champion")
    assert (shelf.statuses(), trading(shelf.settings)) == (["active"], 1)
    assert promote(shelf, 1).reason == "it is the champion", "doing it again changes nothing"
    assert len(shelf.get(1).events) == 3


def test_a_model_is_not_promoted_onto_bars_that_another_decides_on(shelf: Shelf) -> None:
    version = shelf.approve()
    held = shelf.bundle(0.5)
    other = DeployedModel.of(held, 7, shelf.settings.data_dir, BEGIN).model_copy(update={"model": "other"})
    write_manifest(shelf.settings.live_dir, Manifest(models={"other": other}))
    with pytest.raises(ModelError, match=r"beside other v7 on the 15m bars .* archive other 7"):
        promote(shelf, version)
    assert (shelf.statuses(), trading(shelf.settings)) == (["approved"], None), "nothing was half done"
    elsewhere = other.model_copy(update={"markets": ("sample:SYNB/USDT:USDT",)})
    write_manifest(shelf.settings.live_dir, Manifest(models={"other": elsewhere}))
    assert promote(shelf, version).is_deployed


def test_a_better_candidate_replaces_the_champion_and_the_figures_are_kept(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=0.0))
    outcome = promote(shelf, shelf.approve(edge=0.5))
    assert outcome.is_deployed
    assert (shelf.statuses(), trading(shelf.settings), in_shadow(shelf.settings)) == (["archived", "active"], 2, [])
    last = changed(shelf, 2)
    assert (last["new_status"], last["changed_by"]) == ("active", "dagster run 1")
    assert "better than the champion, version 1, with a probability of 100%" in str(last["reason"])
    evidence = last["evidence"]
    assert isinstance(evidence, dict)
    assert (evidence["champion"], evidence["days"], evidence["min_better"]) == (1, DAYS, 0.6)
    assert evidence["probability"] > 0.95
    assert evidence["sharpe"]["interval"]["low"] < evidence["sharpe"]["interval"]["estimate"]
    assert changed(shelf, 1)["reason"].startswith("version 2 is active in its place")  # type: ignore[attr-defined]
    assert shelf.store.read(MODEL_VERSIONS).sort("version")["status"].to_list() == ["archived", "active"]


@pytest.mark.parametrize("edge", [-0.5, 0.0], ids=["worse", "the same"])
def test_a_candidate_that_is_no_better_is_a_challenger_and_the_champion_trades_on(shelf: Shelf, edge: float) -> None:
    promote(shelf, shelf.approve(edge=0.0, seed=5))
    outcome = promote(shelf, shelf.approve(edge=edge, seed=5))
    assert not outcome.is_deployed
    assert (shelf.statuses(), trading(shelf.settings), in_shadow(shelf.settings)) == (["active", "challenger"], 1, [2])
    last = changed(shelf, 2)
    assert (last["old_status"], last["new_status"]) == ("approved", "challenger")
    assert "kept as a challenger: better than the champion, version 1, with a probability of" in str(last["reason"])
    again = promote(shelf, 2)  # e.g. a run that is repeated
    assert (again.is_deployed, len(shelf.get(2).events)) == (False, 3)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ({"begin": BEGIN + timedelta(days=100)}, "20 common out-of-sample days (2025-06-09 to 2025-06-28)"),
        ({"begin": BEGIN + timedelta(days=400)}, "no day in common with the champion, version 1"),
        (
            {"under": "other costs"},
            "version 1; the champion's backtest was traded under other costs, capital or limits",
        ),
        ({"under": ""}, "version 1; the champion's backtest was traded under other costs, capital or limits"),
    ],
    ids=["few common days", "none", "other costs", "unknown costs"],
)
def test_too_little_evidence_deploys_nothing(shelf: Shelf, candidate: dict[str, object], said: str) -> None:
    promote(shelf, shelf.approve(edge=0.0))
    outcome = promote(shelf, shelf.approve(edge=2.0, **candidate))  # type: ignore[arg-type]
    assert (outcome.is_deployed, trading(shelf.settings)) == (False, 1)
    assert outcome.comparison is not None
    assert (outcome.comparison.probability, outcome.version.status) == (None, "challenger")
    assert said in outcome.reason
    if "under" in candidate:
        assert any("costs, capital or limits" in note for note in outcome.comparison.notes)


@pytest.mark.parametrize("lucky", [1, 29])
def test_records_that_are_alike_up_to_yesterday_are_a_day_of_evidence(shelf: Shelf, lucky: int) -> None:
    promote(shelf, shelf.approve(seed=5))
    again = shelf.approve(seed=5)
    own = shelf.store.read(TRIAL_RETURNS, where={"model": MODEL, "version": again}).sort("ts").tail(lucky)
    shelf.store.upsert(TRIAL_RETURNS, own.with_columns(pl.col("return") + 0.01))
    outcome = promote(shelf, again)
    assert (outcome.is_deployed, trading(shelf.settings)) == (False, 1)
    assert f"with the champion, version 1, alike but for the newest {lucky}: 30 are needed" in outcome.reason
    assert promote(with_promotion(shelf, min_common_days=lucky), again).is_deployed


def test_a_reason_by_hand_promotes_against_the_comparison_which_is_recorded(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=0.5))
    outcome = promote(shelf, shelf.approve(edge=-0.5), Cause("me@home", "the exchange changed"), regardless=True)
    assert (outcome.is_deployed, trading(shelf.settings)) == (True, 2)
    last = changed(shelf, 2)
    assert last["changed_by"] == "me@home"
    assert str(last["reason"]).startswith("the exchange changed; better than the champion, version 1, with a prob")
    assert last["evidence"]["probability"] < 0.1  # type: ignore[index]


def test_a_champion_that_fails_todays_gates_is_told_and_keeps_its_place(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading_assets.backtest.gates import GateResult

    failed = GateResult("sharpe", 0.4, 1.2, passed=False, at_least=True, advice="look at the curve")
    monkeypatch.setattr("trading_assets.lifecycle.comparison.judge_again", lambda *_: [failed])
    promote(shelf, shelf.approve())
    outcome = promote(shelf, shelf.approve(edge=-0.5))
    assert not outcome.is_deployed
    assert outcome.comparison is not None
    assert "the champion fails a gate of today: sharpe 0.40, required >= 1.20" in " ".join(outcome.comparison.notes)


def test_a_challenger_may_be_promoted_later_and_leaves_the_shadow(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=0.0))
    promote(shelf, shelf.approve(edge=-0.5))
    assert promote(shelf, 2, Cause("me@home", "ten good days in shadow"), regardless=True).is_deployed
    assert (shelf.statuses(), trading(shelf.settings), in_shadow(shelf.settings)) == (["archived", "active"], 2, [])


def test_there_are_never_more_challengers_than_the_settings_say_and_the_oldest_goes(shelf: Shelf) -> None:
    shelf = with_promotion(shelf, max_challengers=2)
    promote(shelf, shelf.approve(edge=1.0))
    for _ in range(3):
        promote(shelf, shelf.approve(edge=-1.0))
    assert shelf.statuses() == ["active", "archived", "challenger", "challenger"]
    assert in_shadow(shelf.settings) == [3, 4]
    assert changed(shelf, 2)["reason"] == "the oldest of 3 challengers, promotion.max_challengers is 2"
    none = with_promotion(shelf, max_challengers=0)
    promote(none, none.approve(edge=-1.0))
    assert (shelf.statuses()[2:], in_shadow(shelf.settings)) == (["archived"] * 3, [])


def test_where_the_manifest_was_removed_the_champion_is_deployed_again(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=1.0))
    candidate = shelf.approve(edge=-1.0)
    (shelf.settings.live_dir / MANIFEST).unlink()
    promote(shelf, candidate)
    assert (trading(shelf.settings), in_shadow(shelf.settings)) == (1, [2])


def test_a_rollback_asks_for_no_comparison_and_says_so(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=0.0))
    promote(shelf, shelf.approve(edge=0.5))
    outcome = lifecycle.roll_back(shelf.settings, shelf.store, MODEL, None, Cause("me@home", "it loses"))
    assert (outcome.version.version, outcome.is_deployed, outcome.reason) == (1, True, "rollback; it loses")
    assert (shelf.statuses(), trading(shelf.settings)) == (["active", "archived"], 1)
    assert (changed(shelf, 1)["reason"], changed(shelf, 1)["changed_by"]) == ("rollback; it loses", "me@home")
    lifecycle.roll_back(shelf.settings, shelf.store, MODEL, 2, CAUSE)
    assert trading(shelf.settings) == 2


def test_what_never_traded_is_nothing_to_roll_back_to(shelf: Shelf) -> None:
    promote(shelf, shelf.approve())
    shelf.approve()
    with pytest.raises(ModelError, match=r"it never traded, it is approved; trading models promote syna 2"):
        lifecycle.roll_back(shelf.settings, shelf.store, MODEL, 2, CAUSE)
    with pytest.raises(ModelError, match="no earlier version to go back to"):
        lifecycle.roll_back(shelf.settings, shelf.store, MODEL, None, CAUSE)
    assert trading(shelf.settings) == 1


def test_what_is_put_away_leaves_the_node_and_what_is_rejected_stays_out(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=1.0))
    promote(shelf, shelf.approve(edge=-1.0))
    lifecycle.reject(shelf.settings, shelf.store, MODEL, 2, Cause("me@home", "a broken feed"))
    assert (in_shadow(shelf.settings), trading(shelf.settings)) == ([], 1)
    lifecycle.archive(shelf.settings, shelf.store, MODEL, 1, Cause("me@home", "the venue closes"))
    assert (shelf.statuses(), trading(shelf.settings)) == (["archived", "rejected"], None)
    assert changed(shelf, 1)["reason"] == "the venue closes"
    with pytest.raises(ModelError, match="rejected cannot become active; it stays so"):
        promote(shelf, 2)
    assert lifecycle.roll_back(shelf.settings, shelf.store, MODEL, None, CAUSE).version.version == 1


def test_a_change_that_fails_at_the_manifest_is_told_to_the_store_and_finished_by_the_next(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.approve()
    with monkeypatch.context() as broken:

        def refuse(*_: object) -> None:
            raise OSError("the disk is full")

        broken.setattr("trading_assets.lifecycle.promotion.deploy", refuse)
        with pytest.raises(OSError, match="disk is full"):
            promote(shelf, 1)
    assert changed(shelf, 1)["new_status"] == shelf.get(1).status == "active"
    assert trading(shelf.settings) is None
    promote(shelf, 1)
    assert trading(shelf.settings) == 1
    assert len(shelf.get(1).events) == 3


def test_candidates_at_once_are_compared_one_after_the_other(shelf: Shelf) -> None:
    promote(shelf, shelf.approve(edge=0.0))
    versions = [shelf.approve(edge=1.0), shelf.approve(edge=2.0)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda version: promote(shelf, version), versions))
    assert shelf.statuses()[2] == "active", "the best one, whoever came first"
    assert trading(shelf.settings) == 3
    assert shelf.statuses().count("active") == 1


def test_a_bundle_without_a_certificate_is_not_promoted(shelf: Shelf) -> None:
    shelf.approve()
    (shelf.get(1).bundle_path / "certificate.json").unlink()
    with pytest.raises(ModelError, match="no parity certificate"):
        promote(shelf, 1)
    assert (shelf.statuses(), trading(shelf.settings)) == (["approved"], None)


def show_in_shadow(shelf: Shelf, version: int, *, champion: int = 1, trades: int = 20, days: int = 40) -> None:
    row = dict.fromkeys(CHALLENGERS.columns, None) | {"model": MODEL, "version": version, "champion": champion}
    row |= {"first_ts": BEGIN, "common_days": days, "better": 0.93, "trades": trades, "net_return": 0.04, "note": ""}
    shelf.store.upsert(CHALLENGERS, pl.DataFrame([row], schema=CHALLENGERS.columns))


def test_a_promotion_by_rule_keeps_what_the_challenger_showed_in_shadow(shelf: Shelf) -> None:
    shelf = with_promotion(shelf, challenger_days=30.0)
    promote(shelf, shelf.approve(edge=0.5, seed=5))
    promote(shelf, shelf.approve(edge=0.0, seed=5))
    show_in_shadow(shelf, 2)
    outcome = lifecycle.promote_by_rule(shelf.settings, shelf.store, MODEL, 2, CAUSE)
    assert outcome.is_deployed, "whatever their walk-forwards say"
    last = changed(shelf, 2)
    why = "by rule: better than version 1 with a probability of 93% after 40 days and 20 trades in shadow"
    assert str(last["reason"]).startswith(f"{why}; better than the champion, version 1, with a probability of 0%")
    evidence = last["evidence"]
    assert isinstance(evidence, dict)
    figures = {name: evidence["shadow"][name] for name in ("first_ts", "common_days", "trades", "better", "net_return")}
    assert figures == {
        "first_ts": "2025-03-01T00:00Z",
        "common_days": 40,
        "trades": 20,
        "better": 0.93,
        "net_return": 0.04,
    }
    assert evidence["shadow"]["asked"] == {
        "challenger_days": 30.0,
        "min_trades": 10,
        "min_better": 0.6,
        "measure": "sharpe",
    }
    assert evidence["probability"] < 0.05, "the comparison of their walk-forwards beside it"


@pytest.mark.parametrize(
    ("showed", "rule"),
    [
        ({"trades": 0}, {"challenger_days": 30.0}),
        ({"days": 29}, {"challenger_days": 30.0}),
        ({"champion": 7}, {"challenger_days": 30.0}),
        ({}, {}),
    ],
    ids=["no trade", "too few days", "beside another champion", "no rule"],
)
def test_a_challenger_that_has_not_shown_enough_is_not_promoted_by_rule(
    shelf: Shelf, showed: dict[str, int], rule: dict[str, float]
) -> None:
    shelf = with_promotion(shelf, **rule)
    promote(shelf, shelf.approve(edge=0.5, seed=5))
    promote(shelf, shelf.approve(edge=0.0, seed=5))
    show_in_shadow(shelf, 2, **showed)
    with pytest.raises(ModelError, match="model syna version 2: it has not shown enough in shadow"):
        lifecycle.promote_by_rule(shelf.settings, shelf.store, MODEL, 2, CAUSE)
    assert (shelf.statuses(), trading(shelf.settings)) == (["active", "challenger"], 1)
