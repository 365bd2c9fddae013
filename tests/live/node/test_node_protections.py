"""A real node that is paused, halts by itself, dies, and comes back as it was: until somebody lets it go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET, MakeBundle, put_live
from tests.live.desk import PATIENCE_S, Desk, desk, finish, wait_for
from trading_assets.settings import LabelSettings
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.protections import State
from trading_cli.main import app

LIMIT = {"TRADING_TRADING__PROTECTIONS__DRAWDOWN_PCT": "0.03"}
"""Of the equity, of which a tenth is in a trade: some bars, and it is reached."""


def said(*arguments: str) -> tuple[int, str]:
    patience = ["--wait", f"{PATIENCE_S:g}"] if arguments[0] in ("pause", "resume") else []
    result = CliRunner().invoke(app, [*arguments, *patience])
    return result.exit_code, " ".join(result.output.split())


def states(one: Desk) -> pl.DataFrame:
    return one.journal()["risk_states"].filter(~pl.col("cause").str.starts_with("equity"))


def refused(one: Desk, words: str) -> pl.DataFrame:
    return one.signals().filter((pl.col("action") == "refuse") & pl.col("reason").str.contains(words))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("held")
    with desk(folder, live_store_file, speed=3600, hours=72, further=LIMIT) as one:
        wide = LabelSettings(take_profit_pct=30.0, stop_loss_pct=20.0, horizon_bars=480)
        put_live(one.settings, make_bundle(one.settings.bundles_dir, labels=wide))
        one.notes["pause"] = said("pause", "--market", MARKET, "--reason", "not yet")
        process = one.start()
        try:
            wait_for(lambda: refused(one, "paused").height, while_alive=process)
            one.notes["paused"] = said("status")
            one.notes["fills while paused"] = one.journal()["fills"].height
            one.notes["resume"] = said("resume", "--market", MARKET)
            wait_for(lambda: one.status().held and one.status().held[0].state is State.HALTED, while_alive=process)
            wait_for(lambda: not one.status().positions, while_alive=process)
            one.notes["halted"] = said("status")
            one.notes["check"] = said("status", "--check")
            one.kill(process, when=lambda: not one.status().positions)
        finally:
            process.kill()
        one.notes["dead"] = said("status")
        before = one.signals().height
        process = one.start_again()
        try:
            wait_for(
                lambda: refused(one, "drawdown_pct").height and one.signals().height > before + 3, while_alive=process
            )
            one.notes["fills of the second"] = one.journal()["fills"].height
            one.notes["again"] = said("resume")
            wait_for(lambda: one.journal()["fills"].height > one.notes["fills of the second"], while_alive=process)
            one.notes["flatten"] = said("pause", "--flatten", "--for", "30d")
            wait_for(lambda: not one.status().positions, while_alive=process)
        finally:
            process.kill()
            finish(process)
        yield one


def test_a_pause_before_the_start_is_the_first_thing_that_a_node_does(held: Desk) -> None:
    code, output = held.notes["pause"]
    assert code == 0
    assert output == f"no node runs: the next one begins with this pause of market {MARKET}"
    assert held.notes["fills while paused"] == 0
    code, output = held.notes["paused"]
    assert f"market {MARKET} reducing: paused; `trading resume --market {MARKET}` ends it" in output
    assert held.notes["resume"] == (0, f"market {MARKET} is not held back")


def test_a_drawdown_with_an_open_trade_halts_the_node_which_closes_it(held: Desk) -> None:
    first = states(held).filter(pl.col("cause") == "drawdown_pct").row(0, named=True)
    assert (first["scope_kind"], first["state"], first["limit_value"], first["reset_by"]) == (
        "node",
        "halted",
        0.03,
        "person",
    )
    assert first["value"] >= 0.03
    plans = [TradePlan.from_json(text) for text in held.journal()["plans"]["plan"]]
    assert next(plan.exit_reason for plan in plans if plan.stage == "closed") == "halted"
    assert any("drawdown_pct" in text for text in held.told("protection halted"))
    code, output = held.notes["halted"]
    assert code == 0
    assert "node halted: drawdown_pct" in output
    assert "`trading resume` ends it" in output
    code, output = held.notes["check"]
    assert code == 1
    assert "halted: node: drawdown_pct" in output


def test_a_killed_node_comes_back_halted_until_a_person_resumes(held: Desk) -> None:
    assert "node halted: drawdown_pct" in held.notes["dead"][1]
    assert held.notes["again"] == (0, "node is not held back")
    changes = states(held).filter(pl.col("cause") == "drawdown_pct")
    assert changes["state"].to_list()[:2] == ["halted", "running"]
    assert changes["reset_by"].to_list()[1] == "person"


def test_a_pause_may_flatten_for_a_while(held: Desk) -> None:
    code, output = held.notes["flatten"]
    assert code == 0, output
    assert "node halted: paused; ends by itself, not before" in output
    row = states(held).filter(pl.col("cause") == "paused").row(-1, named=True)
    assert (row["state"], row["reset_by"]) == ("halted", "auto")
    assert (row["held_until"] - row["ts"]).days == 30
    assert held.status().positions == ()
