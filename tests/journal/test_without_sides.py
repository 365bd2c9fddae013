"""A journal from before trades had a side, as the node of then wrote it: it is read as long, and goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.backtest.worlds import A
from tests.journal.lives import MARKET, trade
from trading_assets.backtest.round_trips import round_trips
from trading_assets.core.sides import Side
from trading_assets.journal import Journal, load_journal, read_session, read_state
from trading_assets.store import Store
from trading_assets.store.tables import SIGNALS
from trading_live.operations.status import open_positions
from trading_live.recovery.from_journal import recover

WRITTEN = Path(__file__).parent / "fixtures" / "journal_without_sides.sql"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A trade that reached its target, three decisions, and a long position that is open."""
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WRITTEN.read_text())
    return path


def test_what_is_open_is_long_with_its_stop_below(journal: Path) -> None:
    recovered = recover(journal)
    (plan,), (holding,) = recovered.plans, recovered.holdings
    assert (plan.side, plan.stage, holding.side) == (Side.LONG, "open", Side.LONG)
    assert plan.stop_price < plan.entry_price < plan.target_price
    assert holding.quantity > 0
    assert recovered.repairs == (), "nothing is missing from it"
    assert [one.side for one in open_positions(read_state(journal))] == [Side.LONG]


def test_its_decisions_and_round_trips_are_long_also_in_the_store(journal: Path, store: Store) -> None:
    events = read_session(journal)
    assert events["signals"]["side"].to_list() == [1, 1, 1]
    trips = round_trips(events["plans"].to_dicts(), events["fills"].to_dicts(), decision_timeframe="15m")
    assert trips.select("side", "exit_reason").rows() == [("long", "take_profit")]
    assert load_journal(store, journal)["signals"] == 3
    assert store.read(SIGNALS)["side"].to_list() == [1, 1, 1]


def test_a_node_of_today_goes_on_with_it_and_trades_the_other_side_too(journal: Path) -> None:
    with closing(Journal(journal, "paper")) as file:
        for part in trade(1, [1.0, 2.0], [], side=Side.SHORT):
            file.record_all(part)
    sides = {one.market: one.side for one in open_positions(read_state(journal))}
    assert sides == {A: Side.LONG, MARKET: Side.SHORT}
    assert {plan.market: plan.side for plan in recover(journal).plans} == sides
