"""A short trade is a long one in the mirror: the same life of orders, at prices as far on the other side.

Entries are at 100 and worlds are mirrored at it (``200 - p``), so that percents of the entry are the same distances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import ClientOrderId

from tests.backtest.worlds import MINUTE, START, A, flat, signals
from tests.examples import examples
from tests.strategies.desk import BrokenJournal, Desk, Rows, newest
from tests.strategies.test_pure import NOW, SIGNAL
from trading_assets.core.precision import MAX_PRICE
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.orders.limits import OrderLimits
from trading_assets.strategies.plans.plan import TradePlan, farthest_prices
from trading_assets.strategies.signals import better_side

END = START + timedelta(hours=3)
Scenario = Callable[[Rows, Side], Desk]


def mirrored(rows: Rows) -> Rows:
    return [tuple(round(200 - p, 2) for p in (o, low, high, c)) for o, high, low, c in rows]  # type: ignore[misc]


def life(desk: Desk, side: Side) -> list[tuple[Any, ...]]:
    """What happened, as a long trade would tell it."""

    def price(value: float | None) -> float | None:
        return value and round(value if side is Side.LONG else 200 - value, 6)

    opens = "buy" if side is Side.LONG else "sell"
    orders, fills, positions = (desk.journal.of(kind) for kind in ("orders", "fills", "positions"))
    told: list[tuple[Any, ...]] = [
        (row["ts"], row["purpose"], row["status"], row["side"] == opens, price(row["price"])) for row in orders
    ]
    told += [(row["ts"], row["side"] == opens, row["quantity"], price(row["price"])) for row in fills]
    told += [(row["ts"], row["event"], side * row["quantity"], price(row["average_price"])) for row in positions]
    plans = desk.plans()
    told += [(plan.stage, plan.exit_reason, price(plan.stop_price), price(plan.target_price)) for plan in plans]
    assert all(plan.side is side for plan in plans)
    told += [("signal", row["ts"], row["action"], row["reason"]) for row in desk.journal.of("signals")]
    assert {row["side"] for row in desk.journal.of("signals")} <= {side.value}
    return told


def usual(rows: Rows, side: Side) -> Desk:
    desk = Desk(rows, low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(END)
    return desk


def killed(rows: Rows, side: Side) -> Desk:
    desk = Desk(rows, low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 18 * MINUTE)
    desk.strategy.flatten("kill")
    desk.run(END)
    assert desk.strategy.is_flat()
    return desk


def restarted(rows: Rows, side: Side) -> Desk:
    desk = Desk(rows, low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 20 * MINUTE)
    again = desk.start(signals((A, 1, 0.9), side=side), plans=newest(desk.journal))
    assert again.open_trades[A].side is side
    desk.run(END)
    return desk


def restarted_without_its_stop(rows: Rows, side: Side) -> Desk:
    desk = Desk(rows, low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 20 * MINUTE)
    (plan,) = newest(desk.journal)
    desk.start(signals((A, 0, 0.7), side=side), plans=[replace(plan, stop_order_id="O-unknown")])
    desk.run(END)
    return desk


def stop_canceled_by_the_venue(rows: Rows, side: Side) -> Desk:
    desk = Desk(rows, low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 20 * MINUTE)
    desk.strategy.cancel_order(ClientOrderId(desk.strategy.open_trades[A].stop_order_id))
    desk.run(END)
    return desk


def unprotected(rows: Rows, side: Side) -> Desk:
    failing = {"left": 1}

    def once(_: str, event: dict[str, Any]) -> bool:
        failing["left"] -= event.get("purpose") == "stop_loss"
        return event.get("purpose") == "stop_loss" and failing["left"] >= 0

    desk = Desk(rows, journal=BrokenJournal(once), low_first=side is Side.LONG)
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(END)
    return desk


SCENARIOS: tuple[Scenario, ...] = (
    usual,
    killed,
    restarted,
    restarted_without_its_stop,
    stop_canceled_by_the_venue,
    unprotected,
)
WORLDS: dict[str, Rows] = {
    "rise": [*flat(40), (100, 103, 100, 103), *flat(100, 103)],
    "fall": [*flat(40), (100, 100, 98, 98), *flat(100, 98)],
    "still": flat(200),
    "gap": [*flat(40), *flat(100, 97)],
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_life_of_a_long_trade_is_one_of_a_short_trade_in_the_mirror(scenario: Scenario, world: str) -> None:
    rows = WORLDS[world]
    there = scenario(mirrored(rows), Side.SHORT)
    assert life(scenario(rows, Side.LONG), Side.LONG) == life(there, Side.SHORT)
    assert there.strategy.is_flat()


@examples(8)
@given(
    moves=st.lists(st.sampled_from([-0.6, -0.2, 0.0, 0.2, 0.6]), min_size=30, max_size=60),
    scenario=st.sampled_from(SCENARIOS),
)
def test_in_any_world_the_short_trade_lives_as_the_long_one_in_the_mirror(
    moves: list[float], scenario: Scenario
) -> None:
    rows, price = flat(32), 100.0
    for move in moves:
        before, price = price, round(price + move, 2)
        rows.append((before, max(before, price) + 0.05, min(before, price) - 0.05, price))
    rows += flat(120, price)
    told = life(scenario(rows, Side.LONG), Side.LONG)
    assert told == life(scenario(mirrored(rows), Side.SHORT), Side.SHORT)


@pytest.mark.parametrize("side", list(Side))
def test_a_position_of_either_side_without_a_plan_is_closed(side: Side) -> None:
    desk = Desk(flat(200))
    desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 20 * MINUTE)
    again = desk.start(signals((A, 30, 0.9), side=side), plans=[])
    assert again.open_trades[A].side is side
    desk.run(END)
    assert again.is_flat()
    assert [row["side"] for row in desk.journal.of("fills")] == (
        ["buy", "sell"] if side is Side.LONG else ["sell", "buy"]
    )


@pytest.mark.parametrize("side", list(Side))
def test_what_an_exit_has_left_is_closed_too(side: Side) -> None:
    desk = Desk(flat(200))
    strategy = desk.start(signals((A, 0, 0.7), side=side))
    desk.run(START + 20 * MINUTE)
    plan = strategy.open_trades[A]
    done = plan.entry_order_id  # an order that has filled, as an exit that was sent for less than there was
    strategy._trades.open[A] = replace(plan, stage="exiting", exit_order_id=done, exit_reason="unprotected")
    desk.run(START + 50 * MINUTE)  # long before its time is up
    assert strategy.is_flat()
    assert len(desk.journal.of("fills")) == 2


# -- pure parts ----------------------------------------------------------------------------------------------------

PERCENT = st.floats(0.01, 50)
PRICE = st.floats(1e-6, 1e6)


@given(PRICE, PERCENT, PERCENT)
def test_the_barriers_of_a_short_are_as_far_from_its_entry_on_the_other_side(
    price: float, target: float, stop: float
) -> None:
    exits = ExitPlan.bracket(target / 100, stop / 100, MINUTE)
    (long_stop, long_target), (short_stop, short_target) = (farthest_prices(one, price, exits) for one in Side)
    assert long_stop < price < long_target
    assert short_target < price < short_stop
    assert long_stop + short_stop == pytest.approx(2 * price)
    assert long_target + short_target == pytest.approx(2 * price)


@given(PRICE, PERCENT, PERCENT, st.floats(0.5, 1.5), st.sampled_from(Side))
def test_a_trade_is_stopped_where_the_price_is_beyond_its_stop(
    price: float, target: float, stop: float, factor: float, side: Side
) -> None:
    plan = replace(TradePlan.of(replace(SIGNAL, side=side), quantity=1, entry_order_id="e"))
    plan = replace(plan, exits=ExitPlan.bracket(target / 100, stop / 100, MINUTE)).filled(1.0, price)
    now = price * factor
    assert plan.is_stopped_at(now) == (now <= plan.stop_price if side is Side.LONG else now >= plan.stop_price)
    assert TradePlan.from_json(plan.to_json()) == plan


def test_a_plan_that_was_written_before_there_were_two_sides_is_long() -> None:
    plan = TradePlan.of(SIGNAL, quantity=1, entry_order_id="e").filled(1.0, 100.0)
    assert '"side": 1' in plan.to_json()
    before = plan.to_json().replace(', "side": 1', "")
    assert "side" not in before
    assert TradePlan.from_json(before) == plan


@given(st.floats(1e-3, 1e3), PRICE, PERCENT, PERCENT)
def test_the_limits_refuse_a_short_for_the_same_prices_as_a_long(
    quantity: float, price: float, first: float, second: float
) -> None:
    """A long trade and a short one whose barriers lie at the same two prices."""
    limits = OrderLimits(0.001, 0.01, 0.001, min_notional=5.0, max_notional=1e6, max_price=min(MAX_PRICE, 5e5))
    low, high = price * (1 - first / 100), price * (1 + second / 100)
    long, short = (
        limits.refusal(quantity, price, stop=stop, target=target) for stop, target in ((low, high), (high, low))
    )
    swapped = {"stop": "target", "target": "stop"}
    assert short == (long and " ".join(swapped.get(word, word) for word in long.split(" ")))


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, 0.4]), st.floats(0, 30))
def test_the_better_side_is_the_one_that_promises_more(
    long: float, short: float, threshold: float | None, edge: float
) -> None:
    rule = EntryRule(10.0, edge, threshold)
    both = [
        replace(SIGNAL, rule=rule, probability=p, side=side)
        for p, side in zip((long, short), (Side.LONG, Side.SHORT), strict=True)
    ]
    chosen = better_side(both)
    assert chosen == better_side(both[::-1])
    wanted = [one for one in both if one.enters]
    if len(wanted) == 2 and wanted[0].edge_bps == wanted[1].edge_bps:
        assert not chosen.enters
        assert chosen.reason.startswith("long and short promise the same; expected net return")
    else:
        assert chosen.enters == bool(wanted)
        assert chosen.edge_bps == max(one.edge_bps for one in wanted or both)
        assert chosen.known_at > NOW
