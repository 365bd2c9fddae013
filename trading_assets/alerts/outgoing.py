"""The outbox: what waits for its channel, within the channel's limits."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from trading_assets.alerts import text
from trading_assets.alerts.alert import Level
from trading_assets.alerts.routing import is_quiet
from trading_assets.alerts.state import AlertState, Delivery, HeldBack, Kind, Matter
from trading_assets.settings import AlertSettings, ChannelSettings

_LONGEST_RETRY: Final = timedelta(minutes=5)
_NAMED: Final = 10
"""So many held messages are named in the one that tells of them."""


def is_recent(then: datetime, now: datetime, span: timedelta) -> bool:
    """Whether something was within a span before now. What a clock that was set back puts into the future was not."""
    return timedelta() <= now - then < span


def retry_after(attempts: int, settings: AlertSettings) -> timedelta:
    """The wait after so many failures."""
    return min(timedelta(seconds=settings.retry_s * 2.0 ** min(attempts - 1, 20)), _LONGEST_RETRY)


def with_queued(
    state: AlertState, matter: Matter, kind: Kind, channel: str, title: str, body: str, now: datetime
) -> AlertState:
    """With a message; one of the same matter and kind that still waits, and is no worse, says this instead."""
    said = {"level": matter.level, "title": title, "body": body}
    same = [
        one
        for one in state.outbox
        if (one.channel, one.key, one.kind) == (channel, matter.key, kind)
        and one.leased_until is None
        and one.level.rank <= matter.level.rank
    ]
    if same:
        outbox = tuple(one.model_copy(update=said) if one is same[0] else one for one in state.outbox)
        return state.model_copy(update={"outbox": outbox})
    made = Delivery(
        number=state.next_number, channel=channel, key=matter.key, kind=kind, made_at=now, due_at=now, **said
    )
    return state.model_copy(update={"outbox": (*state.outbox, made), "next_number": state.next_number + 1})


def with_held(state: AlertState, delivery: Delivery, now: datetime, *, not_before: datetime) -> AlertState:
    """With a message counted instead of sent."""
    before = state.held.get(delivery.channel)
    titles = (*(before.titles if before else ()), delivery.title)[:_NAMED]
    held = HeldBack(
        count=(before.count if before else 0) + delivery.parts,
        level=max((delivery.level, *((before.level,) if before else ())), key=lambda one: one.rank),
        titles=titles,
        since=before.since if before else delivery.made_at,
        not_before=max(not_before, before.not_before) if before else not_before,
    )
    return state.model_copy(update={"held": {**state.held, delivery.channel: held}})


def without_last_sent(state: AlertState, channel: str) -> AlertState:
    """Without the last message that counts for a channel's limit: it was not taken."""
    return state.model_copy(update={"sent": {**state.sent, channel: state.sent.get(channel, ())[:-1]}})


def handed_out(state: AlertState, settings: AlertSettings, now: datetime) -> tuple[tuple[Delivery, ...], AlertState]:
    """One message for each channel that may have one now, each marked as being sent."""
    lease = timedelta(seconds=2 * settings.timeout_s + 5)
    found: list[Delivery] = []
    for name, channel in settings.channels.items():
        if any(one.channel == name and _is_leased(one, now, lease) for one in state.outbox):
            continue
        room = _has_room(state, name, channel, now)
        state = _without_what_waits_too_long(state, name, channel, now, room=room)
        if not room:
            continue
        chosen = _next(state, name, now)
        if chosen is None and (summary := _summary(state, name, channel, now)) is not None:
            chosen, state = summary
        if chosen is not None:
            chosen = chosen.model_copy(update={"leased_until": now + lease})
            outbox = tuple(chosen if one.number == chosen.number else one for one in state.outbox)
            span = timedelta(minutes=channel.per_minutes)
            sent = (*(one for one in state.sent.get(name, ()) if is_recent(one, now, span)), now)
            state = state.model_copy(update={"outbox": outbox, "sent": {**state.sent, name: sent}})
            found.append(chosen)
    return tuple(found), state


def _has_room(state: AlertState, name: str, channel: ChannelSettings, now: datetime) -> bool:
    span = timedelta(minutes=channel.per_minutes)
    return sum(is_recent(one, now, span) for one in state.sent.get(name, ())) < channel.max_messages


def _without_what_waits_too_long(
    state: AlertState, name: str, channel: ChannelSettings, now: datetime, *, room: bool
) -> AlertState:
    """What is not critical, and would wait for a limit or for the morning, is counted instead."""
    if room and not is_quiet(channel.quiet, now):
        return state
    for one in state.outbox:
        if one.channel == name and one.level is not Level.CRITICAL and one.leased_until is None:
            state = with_held(state, one, now, not_before=now)
            state = state.model_copy(update={"outbox": tuple(it for it in state.outbox if it is not one)})
    return state


def _next(state: AlertState, name: str, now: datetime) -> Delivery | None:
    """The message that goes first: critical before the rest, then in their order."""
    due = [one for one in state.outbox if one.channel == name and _is_due(one, now)]
    return min(due, key=lambda one: (-one.level.rank if one.level is Level.CRITICAL else 0, one.number), default=None)


def _summary(
    state: AlertState, name: str, channel: ChannelSettings, now: datetime
) -> tuple[Delivery, AlertState] | None:
    """One message for all that was held back; None where that is not due."""
    held = state.held.get(name)
    early = held is not None and timedelta() < held.not_before - now <= _LONGEST_RETRY
    if held is None or early or is_quiet(channel.quiet, now):
        return None
    made = Delivery(
        number=state.next_number,
        channel=name,
        key=f"alerts/held/{name}",
        kind="summary",
        level=held.level,
        title=text.summary_title(held),
        body=text.summary_body(held),
        made_at=held.since,
        due_at=now,
        parts=held.count,
    )
    rest = {other: one for other, one in state.held.items() if other != name}
    outbox = (*state.outbox, made)
    return made, state.model_copy(update={"held": rest, "outbox": outbox, "next_number": made.number + 1})


def _is_due(delivery: Delivery, now: datetime) -> bool:
    """Whether its time has come; a time farther off than any wait is of a clock that was set back."""
    return not timedelta() < delivery.due_at - now <= _LONGEST_RETRY


def _is_leased(delivery: Delivery, now: datetime, lease: timedelta) -> bool:
    until = delivery.leased_until
    return until is not None and timedelta() < until - now <= lease
