"""Who is told of what, and when: pure functions of what happened, what was, the settings and the time.

A critical alert is never lost: it waits in the outbox, which the state file holds, until its channel took it or
somebody acknowledged it. Anything else may be held back, and is then counted in one message.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from trading_assets.alerts import text
from trading_assets.alerts.alert import Alert, Level
from trading_assets.alerts.outgoing import (
    handed_out,
    is_recent,
    retry_after,
    with_held,
    with_queued,
    without_last_sent,
)
from trading_assets.alerts.routing import channels_of, level_of
from trading_assets.alerts.state import AlertState, Delivery, Matter
from trading_assets.settings import AlertSettings

CHANNEL: Final = "alerts/channel/"
"""How the keys of alerts begin that tell of a channel that cannot be reached."""

_KEPT: Final = timedelta(days=30)

Deliveries = tuple[Delivery, ...]


def decide(
    alert: Alert | None, state: AlertState, settings: AlertSettings, now: datetime
) -> tuple[Deliveries, AlertState]:
    """Take an alert, or none, and say what is to be sent now.

    Parameters
    ----------
    alert
        What happened; None where only time went by.
    state
        Of the decision before.
    settings
        Channels and limits.
    now
        The time.

    Returns
    -------
    tuple
        At most one message for each channel, and the new state. Whoever sends a message tells :func:`settle` what
        became of it; then decide again, as more may wait.
    """
    if alert is not None:
        state = _heard(alert, state, settings, now)
    return handed_out(_escalated(_rerouted(state, settings, now), settings, now), settings, now)


def settle(
    delivery: Delivery, failure: str | None, state: AlertState, settings: AlertSettings, now: datetime
) -> AlertState:
    """Take note of what became of a message.

    Parameters
    ----------
    delivery
        As it was handed out.
    failure
        Why it was not sent; None where it was.
    state, settings, now
        As for :func:`decide`.
    """
    rest = tuple(one for one in state.outbox if one.number != delivery.number)
    if len(rest) == len(state.outbox):
        return state  # another process has sent it, or somebody acknowledged it
    left = state.model_copy(update={"outbox": rest})
    if failure is None:
        said = Alert(
            Level.INFO, f"channel {delivery.channel} is reached again", key=CHANNEL + delivery.channel, over=True
        )
        return _heard(said, left, settings, now)
    return _failed(delivery, failure, left, settings, now)


def acknowledge(state: AlertState, keys: Iterable[str], now: datetime) -> AlertState:
    """Somebody sees to these: they are not escalated, and not told again before they would be repeated."""
    seen = {key for key in keys if key in state.matters and state.matters[key].is_open}
    matters = {
        key: one.model_copy(update={"acknowledged_at": now}) if key in seen else one
        for key, one in state.matters.items()
    }
    outbox = tuple(one for one in state.outbox if one.key not in seen or one.kind == "over")
    return state.model_copy(update={"matters": matters, "outbox": outbox})


def _heard(
    alert: Alert, state: AlertState, settings: AlertSettings, now: datetime, *, but: tuple[str, ...] = ()
) -> AlertState:
    """The matter of an alert, told where that is due; ``but`` names channels that are not to be told."""
    known, level = state.matters.get(alert.key), level_of(alert, settings)
    if alert.over:
        return state if known is None else _ended(alert, known, state, now)
    if level is None:
        return state
    if known is not None and _is_told(known, level, settings, now):
        again = known.model_copy(update={"count": known.count + 1, "seen_at": now})
        return _with_matter(state, again)
    goes_on = known is not None and known.is_open
    channels = tuple(name for name in channels_of(alert.key, level, settings) if name not in but)
    matter = Matter(
        key=alert.key,
        level=level,
        what=alert.what,
        where=alert.where,
        remedy=alert.remedy,
        since=known.since if known is not None and goes_on and known.level is level else now,
        told_at=now,
        seen_at=now,
        count=known.count if known is not None and goes_on else 0,
        channels=channels,
        escalated_at=known.escalated_at if known is not None and goes_on else None,
    )
    state = _with_matter(_without_old(state, now), matter.model_copy(update={"count": 0}))
    for channel in channels:
        state = with_queued(state, matter, "alert", channel, text.title(matter), text.body(matter, now), now)
    return state


def _is_told(known: Matter, level: Level, settings: AlertSettings, now: datetime) -> bool:
    """Whether what happens again need not be told again."""
    if known.over_at is not None or level.rank > known.level.rank:
        return False
    last = max(known.told_at, known.acknowledged_at or known.told_at)
    return is_recent(last, now, timedelta(minutes=settings.repeat_minutes))


def _ended(alert: Alert, known: Matter, state: AlertState, now: datetime) -> AlertState:
    """The end of a matter, told where its begin was; nobody is asked to acknowledge it any more."""
    if known.over_at is not None:
        return state
    matter = known.model_copy(update={"over_at": now, "seen_at": now})
    state = _with_matter(state, matter)
    state = state.model_copy(
        update={"outbox": tuple(one for one in state.outbox if (one.key, one.kind) != (known.key, "escalation"))}
    )
    said = matter.model_copy(update={"level": Level.INFO})
    for channel in known.channels:
        words = (text.over_title(known, alert.what), text.over_body(known, alert.what, now))
        state = with_queued(state, said, "over", channel, *words, now)
    return state


def _escalated(state: AlertState, settings: AlertSettings, now: datetime) -> AlertState:
    """The escalations that are due."""
    rule = settings.escalation
    if rule is None:
        return state
    for matter in state.matters.values():
        if matter.level is not Level.CRITICAL or not matter.is_open:
            continue
        if is_recent(matter.since, now, timedelta(minutes=rule.after_minutes)):
            continue
        last = matter.escalated_at
        if last is not None and is_recent(last, now, timedelta(minutes=rule.every_minutes)):
            continue
        state = _with_matter(state, matter.model_copy(update={"escalated_at": now}))
        words = (text.escalation_title(matter, now), text.body(matter, now))
        state = with_queued(state, matter, "escalation", rule.to, *words, now)
    return state


def _failed(delivery: Delivery, failure: str, state: AlertState, settings: AlertSettings, now: datetime) -> AlertState:
    """A message that its channel did not take: later again, and others are told; or held back at last."""
    tried = delivery.model_copy(update={"attempts": delivery.attempts + 1, "leased_until": None})
    state = without_last_sent(state, delivery.channel)
    critical, given_up = delivery.level is Level.CRITICAL, tried.attempts >= settings.attempts
    if critical or not given_up:
        due = now + retry_after(tried.attempts, settings)
        state = state.model_copy(update={"outbox": (*state.outbox, tried.model_copy(update={"due_at": due}))})
    else:
        state = with_held(state, tried, now, not_before=now + retry_after(tried.attempts, settings))
    if critical:
        state = _handed_over(delivery, state, settings, now)
    if critical or given_up:
        trouble = Alert(
            delivery.level if critical else Level.WARNING,
            f"alert channel {delivery.channel} cannot be reached: {failure}",
            remedy=f"see that the address in its variable is right: trading alerts test {delivery.channel}",
            key=CHANNEL + delivery.channel,
        )
        state = _heard(trouble, state, settings, now, but=(delivery.channel,))
    return state


def _handed_over(delivery: Delivery, state: AlertState, settings: AlertSettings, now: datetime) -> AlertState:
    """A critical message, to the channels that were not told of its matter."""
    matter = state.matters.get(delivery.key)
    if matter is None or delivery.kind in ("handover", "over") or delivery.key.startswith(CHANNEL):
        return state
    others = [name for name in settings.channels if name not in (*matter.channels, delivery.channel)]
    for other in others:
        words = (delivery.title, text.handover_body(delivery.channel, delivery.body))
        state = with_queued(state, matter, "handover", other, *words, now)
    return _with_matter(state, matter.model_copy(update={"channels": (*matter.channels, *others)}))


def _rerouted(state: AlertState, settings: AlertSettings, now: datetime) -> AlertState:
    """Messages to channels that the settings no longer have: what is critical goes to those that they have."""
    gone = [one for one in state.outbox if one.channel not in settings.channels]
    if not gone or not settings.channels:
        return state
    state = state.model_copy(update={"outbox": tuple(one for one in state.outbox if one not in gone)})
    for one in gone:
        matter = state.matters.get(one.key)
        if one.level is Level.CRITICAL and matter is not None:
            for channel in channels_of(one.key, one.level, settings) or tuple(settings.channels):
                state = with_queued(state, matter, one.kind, channel, one.title, one.body, now)
    return state


def _with_matter(state: AlertState, matter: Matter) -> AlertState:
    return state.model_copy(update={"matters": {**state.matters, matter.key: matter}})


def _without_old(state: AlertState, now: datetime) -> AlertState:
    """Without matters that nobody waits for any more."""
    waiting = {one.key for one in state.outbox}
    kept = {
        key: one
        for key, one in state.matters.items()
        if now - one.seen_at < _KEPT or key in waiting or (one.is_open and one.level is Level.CRITICAL)
    }
    return state if len(kept) == len(state.matters) else state.model_copy(update={"matters": kept})
