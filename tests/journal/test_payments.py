"""What the venue booked: in the journal, in its frames, and in a store that has no table for it yet."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tests.journal.lives import trade
from trading_assets.journal import Journal, load_journal, read_session, read_state
from trading_assets.store import Store
from trading_assets.store.tables import BALANCES, PAYMENTS, TABLES

NOW = datetime(2025, 5, 1, 12, tzinfo=UTC)
FEE = {
    "event_id": "COMMISSION:7:1",
    "ts": NOW,
    "market": "sample:SYNA/USDT:USDT",
    "payment_id": "COMMISSION:7:1",
    "kind": "fee",
    "amount": -0.25,
    "currency": "USDT",
    "trade_id": "1",
}
OWNED = {"ts": NOW, "currency": "USDT", "amount": 999.75, "expected": 999.75}


def test_a_payment_is_journalled_once_however_often_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [1.0, 2.0], []):
            journal.record_all(part)
        before = read_state(path)
        journal.record_all([("payments", FEE), ("balances", OWNED), ("payments", FEE)])
    events = read_session(path)
    assert events["payments"].select("kind", "amount", "trade_id").rows() == [("fee", -0.25, "1")]
    assert events["balances"]["amount"].to_list() == [999.75]
    after = read_state(path)
    assert (after.markets, after.orders, after.newest) == (before.markets, before.orders, before.newest)


def test_a_store_of_before_gets_the_tables_with_their_first_rows(tmp_path: Path, store: Store) -> None:
    store.prepare([one for one in TABLES.values() if one.name not in (PAYMENTS.name, BALANCES.name)])
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, "node")) as journal:
        for part in trade(1, [1.0], []):
            journal.record_all(part)
        assert load_journal(store, path)["payments"] == 0, "a journal of before has none"
        journal.record_all([("payments", FEE), ("balances", OWNED)])
    loaded = load_journal(store, path)
    assert (loaded["payments"], loaded["balances"]) == (1, 1)
    assert load_journal(store, path)["payments"] == 0
    assert store.read(PAYMENTS)["amount"].to_list() == [-0.25]
    assert store.read(BALANCES)["expected"].to_list() == [999.75]
