"""What a restarted node makes of a journal that was cut at any point."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import AccountId, OrderSide, PositionSide

from tests.examples import examples
from tests.journal.lives import T0, trade
from tests.strategies.orders.test_limits import instrument
from trading_assets.core.sides import Side
from trading_assets.journal import Journal, read_session
from trading_assets.settings import RiskSettings
from trading_assets.strategies.risk.gate import RiskGate
from trading_live.closing.outcome import closed_since
from trading_live.execution.sandbox import ENDED_WITH_THE_PROCESS
from trading_live.operations.status import look
from trading_live.recovery.from_journal import recover
from trading_live.recovery.ledger import reports

SHAPES = st.sampled_from([([3.0], [3.0]), ([1.0, 2.0], [3.0]), ([0.1, 0.2, 2.7], [1.5, 1.5]), ([3.0], [0.5, 2.5])])


@given(st.lists(st.tuples(SHAPES, st.sampled_from(Side)), min_size=1, max_size=3), st.data())
@examples(60)
def test_cut_anywhere_the_journal_is_completed_and_says_what_is_held(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: list[tuple[tuple[list[float], list[float]], Side]],
    data: st.DataObject,
) -> None:
    parts = [part for number, (shape, side) in enumerate(shapes) for part in trade(number, *shape, side=side)]
    cut = data.draw(st.integers(0, len(parts)))
    path = tmp_path_factory.mktemp("recovery") / "journal.sqlite"
    fills = [event for part in parts[:cut] for kind, event in part if kind == "fills"]
    signed = sum(fill["quantity"] if fill["side"] == "buy" else -fill["quantity"] for fill in fills)

    with closing(Journal(path, "node")) as journal:
        for part in parts[:cut]:
            journal.record_all(part)
        recovered = recover(path, orders_ended=ENDED_WITH_THE_PROCESS)
        resting = [event for kind, event in recovered.repairs if kind == "orders"]
        kept = [one for one in recover(path).repairs if one[0] == "orders"]
        journal.record_all(recovered.repairs)
    events = read_session(path)

    assert sum(holding.quantity for holding in recovered.holdings) == pytest.approx(signed, abs=1e-9)
    assert recover(path, orders_ended=ENDED_WITH_THE_PROCESS).repairs == ()
    assert kept == [], "where orders outlive the process, nothing is said of those that rest"
    assert {one["reason"] for one in resting} <= {ENDED_WITH_THE_PROCESS}
    last = events["positions"]["quantity"].to_list()[-1:] or [0.0]
    assert last[0] == pytest.approx(signed, abs=1e-9)
    for holding in recovered.holdings:
        assert holding.average_price == pytest.approx(100.0)
        assert holding.side * signed > 0
        assert all(one.side is holding.side for one in recovered.plans)
    open_plans = [one for one in recovered.plans if one.stage == "open"]
    assert len(recovered.plans) <= 1
    if open_plans:
        assert recovered.holdings
    orders = events["orders"].group_by("order_id").agg(pl.col("status").last(), pl.col("status").len().alias("n"))
    assert set(orders["status"]) <= {"filled", "canceled"}
    flows = sum((-1 if f["side"] == "buy" else 1) * f["quantity"] * f["price"] - f["fee"] for f in fills)
    if not recovered.holdings:
        assert (recovered.realized or {}).get("USDT", 0.0) == pytest.approx(flows, abs=1e-9)
        closed = events["positions"].filter(pl.col("event") == "closed")["realized_pnl"].sum()
        assert closed == pytest.approx(flows, abs=1e-9)


def test_the_daily_loss_is_restored(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.sqlite", "node")) as journal:
        for part in trade(1, [3.0], [3.0]) + trade(2, [3.0], [3.0]):
            journal.record_all(part)
    gate = RiskGate(RiskSettings(max_daily_loss=6.0))
    recover(journal.path).restore(gate)
    now = T0 + timedelta(hours=3)
    assert gate.realised(now) == pytest.approx(-6.4)
    assert "reached the limit" in (gate.refusal(now, 100.0) or "")
    assert gate.refusal(now + timedelta(days=1), 100.0) is None


@pytest.mark.parametrize("side", list(Side))
def test_what_was_closed_is_told_with_its_side_and_its_price(tmp_path: Path, side: Side) -> None:
    parts = trade(1, [1.0, 2.0], [1.5, 1.5], side=side)
    with closing(Journal(tmp_path / "journal.sqlite", "node")) as journal:
        for part in parts[:4]:
            journal.record_all(part)
        before = look(tmp_path)
        for part in parts[4:]:
            journal.record_all(part)
        whole = trade(2, [3.0], [3.0], side=side)  # opened and closed in between
        for part in whole:
            journal.record_all(part)
    assert [one.quantity for one in before.positions] == [side * 1.0]
    stop = 100.0 - side
    assert [(one.quantity, one.price) for one in closed_since(tmp_path, before)] == [(side * 3.0, stop)] * 2
    assert look(tmp_path).positions == ()


@pytest.mark.parametrize("side", list(Side))
def test_the_sandbox_is_told_of_a_position_of_either_side(tmp_path: Path, side: Side) -> None:
    with closing(Journal(tmp_path / "journal.sqlite", "node")) as journal:
        for part in trade(1, [1.0, 2.0], [], side=side):
            journal.record_all(part)
    (holding,) = recover(journal.path).holdings
    orders, fills, position = reports(holding, instrument("0.001"), AccountId("BINANCE-001"))
    assert position.position_side is (PositionSide.LONG if side is Side.LONG else PositionSide.SHORT)
    assert float(str(position.quantity)) == 3.0
    assert float(position.avg_px_open) == 100.0
    expected = OrderSide.BUY if side is Side.LONG else OrderSide.SELL
    assert {one.order_side for one in (*orders, *fills)} == {expected}


def test_an_empty_journal_holds_nothing(tmp_path: Path) -> None:
    recovered = recover(tmp_path / "journal.sqlite")
    assert (recovered.holdings, recovered.plans, recovered.repairs) == ((), (), ())
    assert recovered.newest is None
