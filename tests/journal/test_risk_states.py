"""What held trading back: in the journal, in its frames, and in a store that has no table for it yet."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.journal.lives import trade
from trading_assets.journal import Journal, load_journal, read_session, read_state
from trading_assets.store import Store
from trading_assets.store.tables import RISK_STATES, TABLES
from trading_assets.strategies.protections import Change, State, change_of, market_scope, row_of

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
CHANGE = Change(
    NOW, market_scope("sample:AAA/USDT:USDT"), "spread_bps", State.REDUCING, 80.0, 50.0, NOW + timedelta(minutes=5)
)


def test_a_change_comes_back_from_the_journal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [1.0, 2.0], []):
            journal.record_all(part)
        journal.record("risk_states", row_of(CHANGE))
    (row,) = read_session(path)["risk_states"].iter_rows(named=True)
    assert change_of(row) == CHANGE
    assert read_state(path).newest is not None


def test_a_store_of_before_gets_the_table_with_its_first_rows(tmp_path: Path, store: Store) -> None:
    store.prepare([one for one in TABLES.values() if one.name != RISK_STATES.name])
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [1.0, 2.0], []):
            journal.record_all(part)
        assert load_journal(store, path)["risk_states"] == 0, "a journal of before has none"
        journal.record("risk_states", row_of(CHANGE))
    assert load_journal(store, path)["risk_states"] == 1
    assert load_journal(store, path)["risk_states"] == 0
    (row,) = store.read(RISK_STATES).iter_rows(named=True)
    assert change_of(row) == CHANGE
