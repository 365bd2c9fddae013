"""The account's equity in the journal: a row a market minute, where it changed."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nautilus_trader.model import Currency, InstrumentId, Money

from trading_assets.journal import JOURNAL_FILE, BufferedJournal, Journal, load_journal, read_session, read_state
from trading_assets.store import open_store
from trading_assets.store.tables import ACCOUNT_EQUITY
from trading_live.node.journal.account_curve import AccountCurve

MARKET = "sample:A/USDT:USDT"
INSTRUMENTS = {MARKET: InstrumentId.from_str("AUSDT-PERP.BINANCE")}
T0 = datetime(2025, 5, 20, 12, tzinfo=UTC)


class Account:
    """An engine's strategy, as far as it is asked."""

    def __init__(self) -> None:
        self.now: datetime | None = None
        self.amounts = (1_000.0, 0.0)
        self.running = True

    def is_running(self) -> bool:
        return self.running

    def equity(self) -> dict[str, float]:
        return {"USDT": self.amounts[0], "BNB": 5.0}

    @property
    def portfolio(self) -> Any:
        codes = {"USDT": self.amounts[1], "BNB": 5.0}
        told = {Currency.from_str(code): Money(value, Currency.from_str(code)) for code, value in codes.items()}
        return SimpleNamespace(unrealized_pnls=lambda _: told)


def test_a_minute_that_changed_something_has_a_row_and_no_other(tmp_path: Path) -> None:
    path, account = tmp_path / JOURNAL_FILE, Account()
    with closing(BufferedJournal(Journal(path, "n"))) as journal:
        curve = AccountCurve(journal, account, INSTRUMENTS)
        curve.write()  # before the first bar
        for second, amounts in (
            (0, (1_000.0, 0.0)),
            (20, (1_001.0, 1.0)),  # within the minute
            (60, (1_002.0, 2.0)),
            (120, (1_002.0, 2.0)),  # as before
            (180, (1_003.0, 0.0)),
        ):
            account.now, account.amounts = T0 + timedelta(seconds=second), amounts
            curve.write()
        account.running, account.now = False, T0 + timedelta(hours=1)
        account.amounts = (0.0, 0.0)
        curve.write()
        journal.flush()
    rows = read_session(path)[ACCOUNT_EQUITY.name]
    assert rows.select("equity", "unrealized_pnl").rows() == [(1_000, 0), (1_002, 2), (1_003, 0)]
    assert set(rows["currency"]) == {"USDT"}, "not of what fees are paid with"
    assert rows["ts"].to_list() == [T0, T0 + timedelta(minutes=1), T0 + timedelta(minutes=3)]
    store = open_store(f"duckdb:///{tmp_path / 'store.duckdb'}")
    assert load_journal(store, path)[ACCOUNT_EQUITY.name] == 3
    assert load_journal(store, path)[ACCOUNT_EQUITY.name] == 0
    assert store.read(ACCOUNT_EQUITY)["equity"].to_list() == [1_000, 1_002, 1_003]


def test_a_restart_takes_no_row_for_the_markets_time(tmp_path: Path) -> None:
    """A bar's end may be a moment ahead of the venue's clock, which is no sign of another replay."""
    path, account = tmp_path / JOURNAL_FILE, Account()
    with closing(BufferedJournal(Journal(path, "n"))) as journal:
        journal.record_all([("signals", {"ts": T0, "market": MARKET, "action": "hold"})])
        account.now = T0 + timedelta(minutes=1)
        AccountCurve(journal, account, INSTRUMENTS).write()
        journal.flush()
    assert read_session(path)[ACCOUNT_EQUITY.name].height == 1
    assert read_state(path).newest == T0.isoformat()
