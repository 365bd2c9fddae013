"""What a venue would deny is refused before, with value and limit; an entry is a share of the volume at most."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import CryptoPerpetual, Currency, InstrumentId, Money, Price, Quantity, Symbol

from trading_assets.strategies.orders.limits import CUT, OrderLimits, cut_to_volume

USDT, BTC = Currency.from_str("USDT"), Currency.from_str("BTC")
STEPS = st.sampled_from(["0.001", "0.005", "1", "25", "1000"])


def instrument(step: str, **limits: object) -> CryptoPerpetual:
    decimals = max(-int(Decimal(step).normalize().as_tuple().exponent), 0)
    return CryptoPerpetual(
        InstrumentId.from_str("BTCUSDT-PERP.BINANCE"),
        Symbol("BTCUSDT"),
        BTC,
        USDT,
        USDT,
        False,
        2,
        decimals,
        Price.from_str("0.05"),
        Quantity.from_str(step),
        0,
        0,
        **limits,  # type: ignore[arg-type]
    )


@given(STEPS, st.floats(0, 1e9))
def test_a_quantity_is_the_most_whole_steps_that_do_not_exceed_it(step: str, wanted: float) -> None:
    limits = OrderLimits.of(instrument(step))
    whole = limits.whole_steps(wanted)
    steps = whole / float(step)
    assert math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9)
    assert whole <= wanted * (1 + 1e-11)
    assert wanted - whole < float(step) * (1 + 1e-6)
    assert float(str(instrument(step).make_qty(whole))) == pytest.approx(whole)


@pytest.mark.parametrize(
    ("said", "quantity", "stop", "target", "reason"),
    [
        ({}, 0.0005, 99.0, 102.0, "quantity 0.0005 below the venue's minimum 0.001"),
        ({"min_quantity": Quantity.from_str("2.000")}, 1, 99, 102, "quantity 1 below the venue's minimum 2"),
        ({"max_quantity": Quantity.from_str("50.000")}, 99.5, 99, 102, "quantity 99.5 above the venue's maximum 50"),
        (
            {"min_notional": Money.from_str("50000 USDT")},
            100,
            99,
            102,
            "notional 9,900.00 below the venue's minimum 50,000.00",
        ),
        (
            {"min_notional": Money.from_str("9950 USDT")},
            100,
            99,
            102,
            "notional at the stop 9,900.00 below the venue's minimum 9,950.00",
        ),
        (
            {"max_notional": Money.from_str("10100 USDT")},
            100,
            99,
            102,
            "notional at the target 10,200.00 above the venue's maximum 10,100.00",
        ),
        ({"min_price": Price.from_str("99.50")}, 100, 99, 102, "stop price 99 below the venue's lowest price 99.5"),
        ({}, 100, 0.0, 102, "stop price 0 below the venue's lowest price 0.05"),
        (
            {"max_price": Price.from_str("101.00")},
            100,
            99,
            102,
            "target price 102 above the venue's highest price 101",
        ),
    ],
)
def test_what_the_venue_would_deny_is_named_with_value_and_limit(
    said: dict[str, object], quantity: float, stop: float, target: float, reason: str
) -> None:
    limits = OrderLimits.of(instrument("0.001", **said))
    assert limits.refusal(quantity, 100.0, stop=stop, target=target) == reason
    assert OrderLimits.of(instrument("0.001")).refusal(100, 100.0, stop=99, target=102) is None


@given(STEPS, st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.001, 1))
def test_an_entry_is_never_more_than_its_share_of_the_volume(
    step: str, wanted: float, volume: float, share: float
) -> None:
    limits = OrderLimits.of(instrument(step))
    quantity, cut = cut_to_volume(wanted, volume, share, limits)
    assert quantity <= min(wanted, share * volume * (1 + 1e-11))
    assert bool(cut) == (quantity < wanted)
    assert cut_to_volume(wanted, volume, None, limits) == (wanted, "")
    if cut:
        assert cut.startswith(CUT)
