"""The account's books: no money appears or is lost, whatever is traded."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_live.replay.orders.exchange.ledger import Ledger

trades = st.lists(
    st.tuples(st.integers(-5_000, 5_000).filter(bool), st.integers(1, 2_000_000), st.sampled_from([0, 2, 5])),
    min_size=1,
    max_size=60,
)


@given(trades)
@examples(300)
def test_the_ledger_conserves_money_and_the_position_is_the_sum_of_the_fills(made: list[tuple[int, int, int]]) -> None:
    ledger = Ledger()
    ledger.book("transfer", "", Decimal(1_000), 0)
    cash = Decimal(1_000)
    for number, (lots, ticks, fee_bps) in enumerate(made):
        signed, price = Decimal(lots) / 1_000, Decimal(ticks) / 100
        gained, fee = ledger.trade("X", "BOTH", signed, price, Decimal(fee_bps) / 10_000, number, trade_id=number)
        cash -= signed * price + fee
        assert abs(gained) <= abs(signed) * 20_000
    held = ledger.position("X")
    assert held.quantity == sum(Decimal(lots) for lots, *_ in made) / 1_000
    assert abs(ledger.balance - held.cost - cash) <= Decimal("1e-8")
    assert ledger.balance == sum(one.amount for one in ledger.payments)
    assert [one.balance for one in ledger.payments][-1] == ledger.balance
    if not held.quantity:
        assert held.cost == 0
