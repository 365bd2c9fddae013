"""The state machine of the protections: what trips, what ends, and who may end it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from trading_assets.settings import ProtectionSettings
from trading_assets.strategies.protections import (
    NODE,
    Facts,
    Protections,
    Reading,
    Scope,
    State,
    Trigger,
    held_after,
    market_scope,
    model_scope,
    pause,
    resume,
    step,
    triggers_of,
    verdict,
)
from trading_assets.strategies.protections.machine import Held

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
A, B = "sample:AAA/USDT:USDT", "sample:BBB/USDT:USDT"
SCOPES = (NODE, model_scope("m"), model_scope("n"), market_scope(A), market_scope(B))
TRIGGERS = {
    "spread_bps": Trigger("spread_bps", 50.0, State.REDUCING, 60 * SECOND, "auto"),
    "stale_data_s": Trigger("stale_data_s", 10.0, State.HALTED, 0 * SECOND, "auto"),
    "orders_per_minute": Trigger("orders_per_minute", 5.0, State.HALTED, 0 * SECOND, "person"),
}


def after(held: Held, *readings: Reading, at: datetime = NOW, triggers: Mapping[str, Trigger] = TRIGGERS) -> Held:
    return held_after(held, step(held, Facts(at, readings), triggers))


def state(held: Held, **of: str) -> State:
    return verdict(held, **of).state


def test_a_limit_is_reached_at_its_value_and_holds_its_own_scope_alone() -> None:
    below = after({}, Reading("spread_bps", market_scope(A), 49.9))
    assert state(below, market=A) is State.RUNNING
    held = after({}, Reading("spread_bps", market_scope(A), 50.0))
    assert state(held, market=A, model="m") is State.REDUCING
    assert state(held, market=B, model="m") is State.RUNNING
    assert state(held) is State.RUNNING, "the node as a whole goes on"


def test_what_is_measured_ends_a_hold_after_its_cooldown_and_not_before() -> None:
    scope = market_scope(A)
    held = after({}, Reading("spread_bps", scope, 80.0))
    assert after(held, Reading("spread_bps", scope, 1.0), at=NOW + 59 * SECOND) == held
    assert after(held, Reading("spread_bps", scope, 50.0), at=NOW + 61 * SECOND) == held, "still reached"
    assert after(held, at=NOW + 61 * SECOND) == held, "what is not measured is not over"
    assert after(held, Reading("spread_bps", scope, 1.0), at=NOW + 60 * SECOND) == {}


def test_a_person_alone_ends_what_only_a_person_may() -> None:
    held = after({}, Reading("orders_per_minute", NODE, 9.0))
    assert after(held, Reading("orders_per_minute", NODE, 0.0), at=NOW + timedelta(days=9)) == held
    (change,) = resume(held, NOW, NODE)
    assert (change.state, change.reset_by, change.cause) == (State.RUNNING, "person", "orders_per_minute")
    assert held_after(held, [change]) == {}


def test_a_pause_ends_by_its_time_or_by_a_person_and_the_last_one_counts() -> None:
    held = held_after({}, pause({}, NOW, model_scope("m"), State.HALTED, until=NOW + 60 * SECOND))
    assert state(held, model="m", market=A) is State.HALTED
    assert state(held, model="n", market=A) is State.RUNNING
    assert after(held, at=NOW + 59 * SECOND) == held
    assert after(held, at=NOW + 60 * SECOND) == {}
    longer = held_after(held, pause(held, NOW, model_scope("m"), State.REDUCING, until=None))
    assert state(longer, model="m") is State.REDUCING
    assert after(longer, at=NOW + timedelta(days=9)) == longer
    assert held_after(longer, resume(longer, NOW, NODE)) == longer, "another scope"
    assert held_after(longer, resume(longer, NOW, model_scope("m"))) == {}


def test_the_verdict_says_cause_value_limit_and_remedy() -> None:
    said = verdict(after({}, Reading("spread_bps", market_scope(A), 80.0)), market=A).cause
    assert said == (
        f"market {A} reducing: spread_bps 80 reached the limit 50; ends by itself, not before 2025-03-01 12:01:00 UTC; "
        f"`trading resume --market {A}` ends it now"
    )
    said = verdict(after({}, Reading("orders_per_minute", NODE, 9.0))).cause
    assert said == "node halted: orders_per_minute 9 reached the limit 5; `trading resume` ends it"


READINGS = st.builds(
    Reading,
    st.sampled_from(sorted(TRIGGERS)),
    st.sampled_from(SCOPES),
    st.one_of(st.floats(0, 200), st.just(float("nan"))),
    st.none(),
)
ACTS = st.one_of(
    st.lists(READINGS, max_size=4, unique_by=lambda one: (one.cause, one.scope)),
    st.tuples(
        st.just("pause"), st.sampled_from(SCOPES), st.sampled_from([State.REDUCING, State.HALTED]), st.booleans()
    ),
    st.tuples(st.just("resume"), st.sampled_from(SCOPES)),
)


def acted(held: Held, now: datetime, act: Any) -> list[Any]:
    if isinstance(act, list):
        return step(held, Facts(now, tuple(act)), TRIGGERS)
    if act[0] == "pause":
        return pause(held, now, act[1], act[2], until=now + 90 * SECOND if act[3] else None)
    return resume(held, now, act[1])


@given(st.lists(st.tuples(st.integers(1, 120), ACTS), max_size=25))
def test_nothing_goes_on_without_its_reset_and_the_strictest_counts(acts: list[tuple[int, Any]]) -> None:
    held: Held = {}
    now, changes = NOW, []
    for seconds, act in acts:
        now += seconds * SECOND
        new = acted(held, now, act)
        for change in new:
            if change.state is not State.RUNNING:
                continue
            ended = held[change.key]
            by_person = isinstance(act, tuple) and act[0] == "resume" and act[1] == ended.scope
            served = ended.reset_by == "auto" and ended.until is not None and ended.until <= now
            assert by_person or (change.reset_by == "auto" and served)
            if not by_person and ended.cause in TRIGGERS:
                (reading,) = (one for one in act if (one.scope, one.cause) == change.key)
                assert reading.value < TRIGGERS[ended.cause].limit, "measured, and below"
        held = held_after(held, new)
        changes += new
        assert acted(held, now, act) == [], "the same again changes nothing"
        for model in ("m", "n"):
            for market in (A, B):
                asked = {NODE, model_scope(model), market_scope(market)}
                states = [one.state for one in held.values() if one.scope in asked]
                assert state(held, model=model, market=market) is max(states, default=State.RUNNING)
    assert held_after({}, changes) == held, "the changes are all that there is to know"


def test_a_setting_may_be_a_number_or_say_more_and_keeps_the_rest_of_its_default() -> None:
    given = ProtectionSettings.model_validate({"drawdown_pct": 15, "spread_bps": {"cooldown_s": 1}})
    assert (given.drawdown_pct.limit, given.drawdown_pct.state, given.drawdown_pct.reset) == (15.0, "halted", "person")
    assert (given.spread_bps.limit, given.spread_bps.cooldown_s) == (50.0, 1.0)
    with pytest.raises(ValueError, match="greater than 0"):
        ProtectionSettings.model_validate({"drawdown_pct": -1})
    with pytest.raises(ValueError, match="halted"):
        ProtectionSettings.model_validate({"drawdown_pct": {"state": "running"}})


def test_no_default_binds_in_a_backtest() -> None:
    assert triggers_of(ProtectionSettings(), backtest=True) == {}
    assert set(triggers_of(ProtectionSettings(drawdown_pct=15, spread_bps=1), backtest=True)) == {"drawdown_pct"}  # type: ignore[arg-type]


def test_a_scope_is_its_kind_and_name() -> None:
    assert Scope("node") == NODE
    assert Protections({}, equity=1.0, keep=lambda _: None).verdict().state is State.RUNNING
