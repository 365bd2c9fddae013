"""The state machine: pure functions of what is held and what is measured. No clock, no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from trading_assets.strategies.protections.changes import PAUSED, Change
from trading_assets.strategies.protections.facts import Facts, Reading
from trading_assets.strategies.protections.states import NODE, Scope, State, market_scope, model_scope
from trading_assets.strategies.protections.triggers import Reset, Trigger

type Held = Mapping[tuple[Scope, str], Change]
"""What holds trading back: the newest change of each hold in force."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is allowed, and why.

    Attributes
    ----------
    scope
        What is held back: the node, a model, or a market.
    state
        The strictest of all that hold.
    cause
        In words; empty while RUNNING.
    until
        When that may end by itself; None where it does not.
    """

    scope: Scope
    state: State
    cause: str = ""
    until: datetime | None = None


RUNNING = Verdict(NODE, State.RUNNING)


def held_after(held: Held, changes: Iterable[Change]) -> Held:
    """What holds after some changes: the only way that the state moves.

    Parameters
    ----------
    held
        What holds before.
    changes
        In order.
    """
    after = dict(held)
    for change in changes:
        if change.state is State.RUNNING:
            after.pop(change.key, None)
        else:
            after[change.key] = change
    return after


def step(held: Held, facts: Facts, triggers: Mapping[str, Trigger]) -> list[Change]:
    """What changes with some facts.

    Asked again with the same facts, nothing does; a limit that is spent (:attr:`Trigger.is_spent`) has to be measured
    anew after its hold ended.

    Parameters
    ----------
    held
        What holds.
    facts
        What is measured.
    triggers
        Cause -> its limit.
    """
    measured = {(one.scope, one.cause): one for one in facts.readings if not math.isnan(one.value)}
    ended = [
        _ended(hold, facts.now, "auto")
        for key, hold in held.items()
        if _may_end(hold, facts.now) and not _still_reached(hold, measured.get(key), triggers.get(hold.cause))
    ]
    tripped = [
        _tripped(reading, triggers[reading.cause], facts.now)
        for key, reading in measured.items()
        if key not in held and reading.cause in triggers and reading.value >= triggers[reading.cause].limit
    ]
    return [*ended, *tripped]


def _may_end(hold: Change, now: datetime) -> bool:
    return hold.reset_by == "auto" and hold.until is not None and now >= hold.until


def _still_reached(hold: Change, reading: Reading | None, trigger: Trigger | None) -> bool:
    """Whether what a hold is for goes on; what was not measured is taken to."""
    if hold.cause == PAUSED or trigger is None or trigger.is_spent:
        return False
    return reading is None or reading.value >= trigger.limit


def _tripped(reading: Reading, trigger: Trigger, now: datetime) -> Change:
    until = None
    if trigger.reset == "auto":
        until = max(now + trigger.cooldown, reading.until or now)
    return Change(now, reading.scope, trigger.cause, trigger.state, reading.value, trigger.limit, until, trigger.reset)


def _ended(hold: Change, now: datetime, by: Reset, request: str = "") -> Change:
    return replace(hold, ts=now, state=State.RUNNING, until=None, reset_by=by, request=request)


def pause(
    held: Held, now: datetime, scope: Scope, state: State, *, until: datetime | None = None, request: str = ""
) -> list[Change]:
    """What changes where a person holds a scope back; a pause replaces the one before.

    Parameters
    ----------
    held
        What holds.
    now
        The market's time.
    scope
        What is held back.
    state
        REDUCING or HALTED.
    until
        When it ends by itself; None where :func:`resume` ends it.
    request
        What asked for it.
    """
    before = held.get((scope, PAUSED))
    if before is not None and (before.request == request != "" or (before.state, before.until) == (state, until)):
        return []
    reset: Reset = "person" if until is None else "auto"
    return [Change(now, scope, PAUSED, state, until=until, reset_by=reset, request=request)]


def resume(held: Held, now: datetime, scope: Scope, *, request: str = "") -> list[Change]:
    """What changes where a person lets a scope go on: every hold of it ends, not those of others.

    Parameters
    ----------
    held
        What holds.
    now
        The market's time.
    scope
        What goes on.
    request
        What asked for it.
    """
    return [_ended(hold, now, "person", request) for hold in held.values() if hold.scope == scope]


def verdict(held: Held, *, model: str = "", market: str = "") -> Verdict:
    """The strictest of what holds the node, a model and a market.

    Parameters
    ----------
    held
        What holds.
    model, market
        Whose trade it is about; empty asks for none.
    """
    asked = {NODE, *([model_scope(model)] if model else []), *([market_scope(market)] if market else [])}
    holds = [one for one in held.values() if one.scope in asked]
    if not holds:
        return RUNNING
    strictest = max(holds, key=lambda one: (one.state, one.scope.kind == "node"))
    return Verdict(strictest.scope, strictest.state, str(strictest), strictest.until)
