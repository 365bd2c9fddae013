"""The compiled loop of exit plans: known answers by hand, the brute force, and the mirrored world."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.exits.brute_force import EPOCH, Candle, mirrored, scaled, simulate
from trading_assets.core.sides import Side
from trading_assets.exits import arrays, kernel
from trading_assets.exits.plan import ExitPlan, Target

MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
START = EPOCH + timedelta(days=20_000)
REASONS = {
    arrays.TIME: "time",
    arrays.TARGETS: "target",
    arrays.STOP: "stop",
    arrays.BREAK_EVEN: "break_even",
    arrays.TRAILING: "trailing",
    arrays.END: "end",
}
FAR = 2**62
THREE = (Target(0.01, 0.3), Target(0.02, 0.4), Target(0.03, 0.3))


def follow(
    candles: list[Candle],
    known_at: list[Any],
    *,
    sides: list[Side],
    plan: ExitPlan,
    bar: timedelta,
    cost: float = 0.0,
    best_case: bool = False,
    next_open: bool = False,
    until: int = FAR,
    unit: float = 1.0,
) -> arrays.Outcomes:
    """What the compiled loop says; distances of the plan in ``unit``."""
    times = np.array([(one.ts - EPOCH) // MICROSECOND for one in candles], np.int64)
    prices = np.array([one[1:] for one in candles], np.float64).reshape(-1, 4).T
    path = kernel.path(times, *prices, step=MINUTE // MICROSECOND, bar=bar // MICROSECOND)
    entered = np.array([(one - EPOCH) // MICROSECOND for one in known_at], np.int64)
    out = arrays.Outcomes.empty(len(entered))
    kernel.follow_plans(
        path,
        entered,
        np.array(sides, np.int8),
        np.full(len(entered), unit),
        entered + plan.hold // MICROSECOND,
        kernel.plan_of(
            plan.stop / unit,
            np.array([one.distance / unit for one in plan.targets]),
            np.array([one.share for one in plan.targets]),
            break_even_after=plan.break_even_after or 0,
            trailing=(plan.trailing or 0.0) / unit,
            trailing_after=plan.trailing_after,
        ),
        cost,
        until,
        best_case,
        next_open,
        out,
    )
    return out


def one(rows: list[tuple[float, float, float, float] | None], side: Side = Side.LONG, **more: Any) -> dict[str, Any]:
    """A trade entered at the first of these candles of a minute; ``plan`` in parts of the default one of three."""
    options = {name: more.pop(name) for name in ("cost", "best_case", "next_open", "until") if name in more}
    bar = more.pop("bar", 5 * MINUTE)
    plan = ExitPlan(**{"stop": 0.015, "targets": THREE, "hold": 60 * MINUTE, **more})
    candles = [Candle(START + number * MINUTE, *row) for number, row in enumerate(rows) if row is not None]
    found = follow(candles, [START], sides=[side], plan=plan, bar=bar, **options)
    said = {name: column[0].item() for name, column in found._asdict().items()}
    return said | {"reason": REASONS[said["reason"]], "minutes": (said["closed_at"] - _micros(START)) / 60e6}


def _micros(at: Any) -> int:
    return int((at - EPOCH) // MICROSECOND)


def flat(price: float) -> tuple[float, float, float, float]:
    return (price, price, price, price)


def turned(rows: list[tuple[float, float, float, float]]) -> list[tuple[float, float, float, float]]:
    """The same moves the other way round 100."""
    return [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in rows]


BOTH = pytest.mark.parametrize("side", [Side.LONG, Side.SHORT])


def both(side: Side, rows: list[tuple[float, float, float, float]]) -> list[Any]:
    return rows if side is Side.LONG else turned(rows)


@BOTH
def test_three_targets_in_turn_pay_their_shares(side: Side) -> None:
    said = one(both(side, [flat(100), (100, 101, 99.5, 101), (101, 102.5, 101, 102), (102, 103, 102, 103)]), side)
    assert (said["filled"], said["reason"], said["minutes"]) == (3, "target", 4)
    assert said["gross"] == pytest.approx(0.3 * 0.01 + 0.4 * 0.02 + 0.3 * 0.03)
    assert (said["adverse"], said["favourable"]) == pytest.approx((0.005, 0.03))


@BOTH
def test_one_candle_may_fill_all_targets(side: Side) -> None:
    said = one(both(side, [flat(100), (100, 110, 99, 105)]), side)
    assert (said["filled"], said["gross"]) == (3, pytest.approx(0.02))
    assert said["favourable"] == pytest.approx(0.03)  # what certainly happened while it was open


@BOTH
def test_a_stop_closes_all_at_its_price(side: Side) -> None:
    said = one(both(side, [flat(100), (100, 100.5, 98, 98.2)]), side)
    assert (said["filled"], said["reason"], said["gross"]) == (0, "stop", pytest.approx(-0.015))
    assert said["adverse"] == pytest.approx(0.015)


@BOTH
def test_a_candle_that_opens_beyond_the_stop_closes_at_its_open(side: Side) -> None:
    said = one(both(side, [flat(100), (97, 110, 96, 100)]), side)
    assert (said["reason"], said["gross"], said["ambiguous"]) == ("stop", pytest.approx(-0.03), False)


@BOTH
def test_a_candle_that_opens_beyond_targets_fills_them_at_its_open(side: Side) -> None:
    said = one(both(side, [flat(100), (102.4, 102.4, 98, 99)]), side)
    assert (said["filled"], said["reason"], said["ambiguous"]) == (2, "stop", False)
    assert said["gross"] == pytest.approx(0.7 * 0.024 - 0.3 * 0.015)


@BOTH
@pytest.mark.parametrize(("best", "gross", "filled"), [(False, -0.015, 0), (True, 0.3 * 0.01 - 0.7 * 0.015, 1)])
def test_who_wins_a_candle_that_reaches_both_is_said(side: Side, best: bool, gross: float, filled: int) -> None:
    said = one(both(side, [flat(100), (100, 101.5, 98, 100)]), side, best_case=best)
    assert (said["ambiguous"], said["filled"], said["gross"]) == (True, filled, pytest.approx(gross))


@BOTH
def test_the_stop_is_at_break_even_from_the_candle_after_the_first_target_on(side: Side) -> None:
    rows = both(side, [flat(100), (100, 101, 99, 100.5), (100.5, 100.6, 99, 99)])
    said = one(rows, side, break_even_after=1, cost=0.002)
    assert (said["filled"], said["reason"]) == (1, "break_even")
    assert said["gross"] == pytest.approx(0.3 * 0.01 + 0.7 * 0.002)
    stays = one(rows, side, hold=3 * MINUTE)
    assert (stays["reason"], stays["gross"]) == ("time", pytest.approx(0.3 * 0.01 - 0.7 * 0.01))


@BOTH
def test_the_stop_follows_when_a_bar_ends(side: Side) -> None:
    """The bar's best is 100.8, so that the stop is at 100.3 from the next bar on, and not before."""
    rows = both(side, [flat(100), (100, 100.8, 100, 100.5), flat(100.2), flat(100.5), flat(100.5), flat(100.3)])
    said = one(rows, side, trailing=0.005, trailing_after=0)
    assert (said["reason"], said["minutes"], said["gross"]) == ("trailing", 6, pytest.approx(0.003))
    waits = one(rows, side, trailing=0.005, trailing_after=1, hold=6 * MINUTE)
    assert waits["reason"] == "time"


@BOTH
def test_a_bar_ends_though_its_last_candles_are_missing(side: Side) -> None:
    rows: list[Any] = both(side, [flat(100), (100, 100.8, 100, 100.5)])
    said = one([*rows, *[None] * 5, *both(side, [flat(100.3)])], side, trailing=0.005, trailing_after=0)
    assert (said["reason"], said["minutes"]) == ("trailing", 8)


@BOTH
def test_time_closes_what_is_left_at_the_last_close_or_the_next_open(side: Side) -> None:
    rows = both(side, [flat(100), (100, 101, 100, 100.5), (100.7, 100.8, 100.6, 100.6)])
    said = one(rows, side, hold=2 * MINUTE)
    assert (said["reason"], said["minutes"], said["filled"]) == ("time", 2, 1)
    assert said["gross"] == pytest.approx(0.3 * 0.01 + 0.7 * 0.005)
    assert one(rows, side, hold=2 * MINUTE, next_open=True)["gross"] == pytest.approx(0.3 * 0.01 + 0.7 * 0.007)


def test_what_the_targets_leave_waits_for_stop_or_time() -> None:
    rows = [flat(100), (100, 101, 100, 101), flat(100.4)]
    said = one(rows, targets=(Target(0.01, 0.5),), hold=3 * MINUTE)
    assert (said["filled"], said["reason"], said["gross"]) == (1, "time", pytest.approx(0.5 * 0.01 + 0.5 * 0.004))


def test_a_trade_that_outlives_the_candles_says_so() -> None:
    said = one([flat(100), flat(100.4)], until=_micros(START + 2 * MINUTE))
    assert (said["reason"], said["minutes"], said["gross"]) == ("end", 2, pytest.approx(0.004))


def test_there_is_no_trade_where_the_candle_to_enter_on_is_missing() -> None:
    said = follow([Candle(START + MINUTE, *flat(1))], [START], sides=[Side.LONG], plan=_plan(), bar=5 * MINUTE)
    assert (said.entered[0], said.reason[0]) == (arrays.NO_ENTRY, arrays.NO_ENTRY)


def _plan(**more: Any) -> ExitPlan:
    return ExitPlan(**{"stop": 0.015, "targets": THREE, "hold": 40 * MINUTE, **more})


def world(seed: int, rows: int = 240) -> list[Candle]:
    """Candles of whole ticks, with gaps in price and in time: levels are met to the tick, and jumped over."""
    rng = np.random.default_rng(seed)
    close = np.round(100 + np.cumsum(rng.standard_t(3, rows) * 0.25), 1)
    opened = np.concatenate([[100.0], close[:-1]])
    opened = np.where(rng.random(rows) < 0.15, np.round(opened + rng.normal(0, 1.5, rows), 1), opened)
    high = np.maximum(opened, close) + np.round(rng.exponential(0.4, rows), 1)
    low = np.minimum(opened, close) - np.round(rng.exponential(0.4, rows), 1)
    prices = np.stack([opened, high, low, close], axis=1).tolist()
    return [Candle(START + int(i) * MINUTE, *prices[i]) for i in np.flatnonzero(rng.random(rows) > 0.05)]


@st.composite
def plans(draw: st.DrawFn) -> ExitPlan:
    """Every element on and off."""
    count = draw(st.integers(0, 4))
    distances = sorted(draw(st.sets(st.integers(1, 40), min_size=count, max_size=count)))
    parts = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    whole = sum(parts) + draw(st.sampled_from([0, 3]))
    return ExitPlan(
        stop=draw(st.integers(1, 40)) / 1000,
        targets=tuple(Target(at / 1000, share / whole) for at, share in zip(distances, parts, strict=True)),
        hold=draw(st.integers(1, 90)) * MINUTE,
        break_even_after=draw(st.none() | st.integers(1, count)) if count else None,
        trailing=draw(st.none() | st.integers(1, 30).map(lambda ticks: ticks / 1000)),
        trailing_after=draw(st.integers(0, 1)),
    )


@given(
    seed=st.integers(0, 2**32),
    plan=plans(),
    bar=st.sampled_from([1, 5, 15]),
    cost=st.sampled_from([0.0, 0.001, 0.004]),
    best_case=st.booleans(),
    unit=st.sampled_from([1.0, 0.5]),
)
@examples(100)
def test_the_brute_force_agrees_trade_by_trade(
    seed: int, plan: ExitPlan, bar: int, cost: float, best_case: bool, unit: float
) -> None:
    candles = world(seed)
    moments = [START + number * 7 * MINUTE / 2 for number in range(25) for _ in range(2)]
    sides = [Side.LONG, Side.SHORT] * 25
    out = follow(candles, moments, sides=sides, plan=plan, bar=bar * MINUTE, cost=cost, best_case=best_case, unit=unit)
    for row, (known_at, side) in enumerate(zip(moments, sides, strict=True)):
        told = simulate(
            candles,
            side=side,
            plan=plan,
            known_at=known_at,
            step=MINUTE,
            bar=bar * MINUTE,
            cost=cost,
            best_case=best_case,
        )
        if told is None:
            assert out.entered[row] == arrays.NO_ENTRY or plan.hold < 2 * MINUTE
            continue
        assert REASONS[int(out.reason[row])] == told.reason
        assert (out.filled[row], bool(out.ambiguous[row])) == (told.targets, told.ambiguous)
        assert out.closed_at[row] == _micros(told.closed_at)
        assert out.exit_price[row] == pytest.approx(told.exit_price, rel=1e-12)
        assert out.gross[row] == pytest.approx(told.gross, abs=1e-12)
        assert (out.adverse[row], out.favourable[row]) == pytest.approx((told.adverse, told.favourable), abs=1e-12)


@given(seed=st.integers(0, 2**32), plan=plans(), best_case=st.booleans())
@examples(40)
def test_a_short_trade_earns_in_the_mirrored_world_what_a_long_one_earns_in_this(
    seed: int, plan: ExitPlan, best_case: bool
) -> None:
    """The distances are the same in money, as is what the trade earns."""
    candles, total = world(seed), 256.0
    turned_over = mirrored(candles, total)
    for known_at in (START + number * 15 * MINUTE for number in range(10)):
        there = {one.ts: one.open for one in candles}
        if known_at not in there:
            continue
        factor = there[known_at] / (total - there[known_at])
        long = follow(
            candles, [known_at], sides=[Side.LONG], plan=plan, bar=5 * MINUTE, cost=0.001, best_case=best_case
        )
        short = follow(
            turned_over,
            [known_at],
            sides=[Side.SHORT],
            plan=scaled(plan, factor),
            bar=5 * MINUTE,
            cost=0.001 * factor,
            best_case=best_case,
        )
        assert short.reason[0] == long.reason[0]
        assert short.closed_at[0] == long.closed_at[0]
        assert short.gross[0] == pytest.approx(long.gross[0] * factor, abs=1e-10)
