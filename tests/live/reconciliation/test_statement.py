"""The venue's statement comes into the journal once, and stands beside the fills to the cent."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import polars as pl
import pytest

from tests.live.conftest import MARKET, START
from tests.live.rehearsed import IDS, STILL, begin_again, desk, opened
from trading_assets.core.errors import NodeError
from trading_assets.journal import TAKEN_BACK, Journal, read_session, standing
from trading_live.reconciliation.statement import Statement, _as_booked, _of_fills, beside
from trading_live.recovery.at_venue import recover_at_venue

STOPPED = (100.0, 100.0, 94.0, 94.5, 1_000_000.0)


def write(one, rows):
    with closing(Journal(one.path, "node")) as journal:
        journal.record_all(rows)


def news(one):
    rows, drifts = Statement(one.account, one.path).news()
    write(one, rows)
    return rows, drifts


def test_the_first_look_is_where_the_statement_begins(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        rows, _ = news(one)
        assert [kind for kind, _ in rows] == ["payments", "balances"]  # what came in before, and what it came to
        assert rows[-1][1]["amount"] == 100_000
        assert rows[-1][1]["expected"] is None
        assert news(one) == ([], [])


def test_a_session_begins_a_statement_of_its_own(tmp_path):
    with desk(tmp_path / "first", STILL, STOPPED, STILL) as one:
        news(one)
        opened(one)
        one.pass_time(3)
        news(one)
        former = one.path
    with desk(tmp_path / "again", STILL, STILL) as one:
        begin_again(former, one)
        rows, drifts = news(one)
        assert drifts == []
        assert [(kind, row.get("expected")) for kind, row in rows] == [("payments", None), ("balances", None)]
        assert beside(one.account, one.path, IDS.is_ours).agrees


def test_each_fee_result_and_payment_is_journalled_once_and_the_balance_is_as_expected(tmp_path):
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        news(one)
        opened(one)
        one.pass_time(3)
        news(one)
        assert news(one) == ([], [])
        events = read_session(one.path)
        true = one.server.account.statement()
        assert events["payments"]["amount"].to_list() == pytest.approx(true["amount"].to_list())
        assert events["payments"]["kind"].to_list() == true["kind"].to_list()
        last = events["balances"].row(-1, named=True)
        assert last["amount"] == pytest.approx(float(one.server.account.balance))
        assert last["expected"] == pytest.approx(last["amount"])


def test_a_balance_that_nothing_explains_is_believed_when_it_is_said_twice(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        news(one)
        statement = Statement(one.account, one.path)
        one.server.account.exchange.ledger.balance -= 7
        assert statement.news() == ([], [])
        rows, (drift,) = statement.news()
        assert "-7.00 unexplained" in drift.detail
        assert (rows[0][1]["amount"], rows[0][1]["expected"]) == (99_993, 100_000)
        write(one, rows)
        assert statement.news() == ([], [])


def test_realised_equals_the_venues_statement_to_the_cent(tmp_path):
    """Three trades, one of them in parts, the last of them ended while no node ran."""
    with desk(tmp_path, *[STILL] * 4, STOPPED, STILL) as one:
        write(one, Statement(one.account, one.path).news()[0])
        opened(one, "1")
        one.pass_time(6)
        found = recover_at_venue(one.path, lambda _: one.account, IDS)
        write(one, found.repairs)
        comparison = beside(one.account, one.path, IDS.is_ours)
        assert comparison.agrees, comparison
        kinds = {line.kind: line for line in comparison.lines}
        assert kinds["realized"].venue == pytest.approx(kinds["realized"].journal)
        assert kinds["realized"].venue < -40
        assert kinds["fee"].venue < 0
        assert kinds["balance"].venue == pytest.approx(float(one.server.account.balance))
        total = one.server.account.statement().filter(pl.col("kind") != "transfer")["amount"].sum()
        assert sum(kinds[kind].journal for kind in ("realized", "fee")) == pytest.approx(total, abs=0.005)


def test_a_fill_that_the_journal_lacks_shows_in_the_statement(tmp_path):
    with desk(tmp_path, STILL, STOPPED, STILL) as one:
        news(one)
        opened(one)
        one.pass_time(3)
        news(one)
        comparison = beside(one.account, one.path, IDS.is_ours)
        assert not comparison.agrees
        wrong = {line.kind for line in comparison.lines if not line.agrees}
        assert {"realized", "balance"} <= wrong


def test_what_others_trade_on_the_account_is_a_line_of_its_own(tmp_path):
    with desk(tmp_path, STILL, STILL) as one:
        news(one)
        opened(one)
        one.market("web_1", 3.0)
        news(one)
        comparison = beside(one.account, one.path, IDS.is_ours)
        assert comparison.agrees
        assert any(line.kind == "others' trades" and line.venue < 0 for line in comparison.lines)


def test_without_a_balance_there_is_nothing_to_compare(tmp_path):
    with desk(tmp_path, STILL) as one:
        write(one, [("node", {"ts": START, "event": "started", "detail": "binance replay"})])
        with pytest.raises(NodeError, match="no balance of the account yet"):
            beside(one.account, one.path, IDS.is_ours)


def test_a_fill_that_was_taken_back_changes_nothing_of_what_the_next_trade_cost():
    """The journal had a fill twice, and found out when the next position was held at another price."""
    rows = [
        ("1", "tA", "buy", 10.0, 100.0, 0),
        ("uuid", "tA", "buy", 10.0, 100.0, 0),
        ("2", "tX", "sell", 10.0, 90.0, 1),
        ("3", "tB", "buy", 10.0, 80.0, 2),
        (f"{TAKEN_BACK}now", "tA", "sell", 10.0, 100.0, 3),
    ]
    assert realized(rows) == pytest.approx(-100.0)


def test_a_fill_in_place_of_which_the_venues_were_booked_counts_at_their_prices():
    """Half of a position sold at two prices, and journalled at their average rounded to a tick at first."""
    rows = [
        ("1", "tA", "buy", 10.0, 100.0, 0),
        ("uuid", "tP", "sell", 4.0, 101.01, 9),
        (f"{TAKEN_BACK}uuid", "tP", "buy", 4.0, 101.01, 1),
        ("2", "tP", "sell", 2.0, 101.00, 1),
        ("3", "tP", "sell", 2.0, 101.01, 1),
    ]
    assert realized(rows) == pytest.approx(4.02)


def realized(rows):
    """What fills come to as a venue books them: number, order, side, quantity, price and second of each."""
    frame = pl.DataFrame(
        [
            {"seq": seq, "ts": datetime(2025, 1, 1, second=second, tzinfo=UTC), "market": MARKET, "order_id": order_id}
            | {"trade_id": trade, "side": side, "quantity": quantity, "price": price, "fee": 0.0, "fee_currency": ""}
            for seq, (trade, order_id, side, quantity, price, second) in enumerate(rows)
        ]
    )
    booked = _of_fills(_as_booked(standing(frame)))
    return sum(amount for kind, _, amount in booked if kind == "realized")
