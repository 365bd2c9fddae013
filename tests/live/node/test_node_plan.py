"""A node that is killed in the middle of an exit plan: the next one goes on with the rest of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from trading_assets.journal import JOURNAL_FILE, read_since
from trading_assets.settings.sections.exits import ExitSettings, TargetSettings, TrailingSettings
from trading_assets.strategies.plans.plan import TradePlan

PLAN = ExitSettings(
    unit="percent",
    stop=20.0,
    targets=[TargetSettings(at=0.05, share=0.3), TargetSettings(at=20, share=0.4), TargetSettings(at=30, share=0.3)],
    break_even_after=None,
    trailing=TrailingSettings(distance=5.0),
    hold_hours=3,
    on_opposite=False,
)
"""The first target is reached soon, and the others never."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, live_store_file: Path, make_bundle: MakeBundle) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("plan"), live_store_file, speed=1800, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir, exit_plan=PLAN))
        process = one.start()
        try:
            one.kill(process, when=lambda: in_the_middle(one))
            one.notes["before"] = read_since(one.settings.live_dir / JOURNAL_FILE, 0)
            one.notes["status before"] = one.status()
            process = one.start()
            wait_for(lambda: one.trades, while_alive=process)
            one.notes["status after"] = one.status()
            one.server.go_on()
            mine = one.notes["status before"].positions[0].signal_id
            wait_for(
                lambda: any(plan.stage == "closed" and plan.signal_id == mine for plan in plans(one)),
                while_alive=process,
            )
            process.send_signal(signal.SIGTERM)
            finish(process)
            one.notes["after"] = read_since(one.settings.live_dir / JOURNAL_FILE, 0)
        finally:
            process.kill()
        yield one


def in_the_middle(one: Desk) -> bool:
    """Whether what is open has had its first target, and a stop that trails."""
    return [(each.targets_filled, each.stop_kind) for each in one.status().positions] == [(1, "trailing")]


def plans(one: Desk) -> list[TradePlan]:
    return [TradePlan.from_json(text) for text in one.journal()["plans"]["plan"]]


def test_the_status_tells_how_far_the_plan_has_come_before_and_after(killed: Desk) -> None:
    before, after = killed.notes["status before"], killed.notes["status after"]
    assert after.positions == before.positions
    (position,) = after.positions
    assert (position.targets, position.targets_filled, position.stop_kind) == (3, 1, "trailing")
    assert position.stop_price > position.average_price * 0.94
    assert position.target_price == pytest.approx(position.average_price * 1.2)


def test_the_rest_is_protected_again_by_the_stop_that_moved_and_the_targets_that_are_left(killed: Desk) -> None:
    position = killed.notes["status before"].positions[0]
    seen = max(frame["seq"].max() or 0 for frame in killed.notes["before"].values())
    orders = killed.notes["after"]["orders"].filter(pl.col("seq") > seen, pl.col("signal_id") == position.signal_id)
    sent = orders.filter(pl.col("status") == "initialized")
    stop, targets = (sent.filter(pl.col("purpose") == one) for one in ("stop_loss", "take_profit"))
    (price,) = stop["price"].to_list()
    told = [plan.stop_price for plan in plans(killed) if plan.signal_id == position.signal_id]
    assert price >= position.stop_price - 0.01, "the bar that comes first may end a decision bar, and move it further"
    assert any(price == pytest.approx(one, abs=0.01) for one in told)
    assert stop["quantity"].to_list() == [pytest.approx(position.quantity)]
    assert targets["quantity"].sum() == pytest.approx(position.quantity)
    assert targets["price"].to_list() == pytest.approx([position.average_price * by for by in (1.2, 1.3)], rel=1e-4)


def test_the_trade_ends_by_its_plan_with_no_more_sold_than_was_bought(killed: Desk) -> None:
    position, after = killed.notes["status before"].positions[0], killed.notes["after"]
    ended = [plan for plan in plans(killed) if plan.signal_id == position.signal_id][-1]
    assert (ended.stage, ended.targets_filled) == ("closed", 1)
    assert ended.exit_reason in ("trailing", "time")
    assert ended.stop_price >= position.stop_price
    fills = after["fills"].filter(pl.col("signal_id") == position.signal_id)
    bought, sold = (fills.filter(pl.col("side") == side)["quantity"].sum() for side in ("buy", "sell"))
    assert bought == pytest.approx(sold)
