"""Whether a node needs somebody to look at it: what a health check or a cron job asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from trading_assets.journal import JOURNAL_FILE, JournalState, read_state
from trading_assets.settings import NodeSettings, Settings
from trading_assets.strategies.feed import SILENT
from trading_assets.strategies.protections import State
from trading_live.operations.heartbeat import Heartbeat
from trading_live.operations.status import NodeStatus, read_status
from trading_live.recovery.from_journal import newest_plans

_CLOCK_WORDS: Final = "this machine's clock"
"""In the reason of a market whose bars end in the future."""

_START: Final = timedelta(minutes=10)
"""A start that takes longer is a problem: the venue does not answer, or sends no history."""

_TOLD_AS_STALE: Final = "stale_data_s"
"""The hold of a market that the feed's own problems name already."""

_AT_VENUE: Final = ", live "
"""In the place that a start journals: the node sent its orders to a venue, which keeps them without it."""

_READY: Final = ("trading", "managing", "silent", "closing")

Kind = Literal[
    "dead", "killed", "halted", "reducing", "stale", "quarantined", "refused", "unprotected", "disk", "clock", "journal"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that somebody has to look at."""

    kind: Kind
    text: str

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.kind}: {self.text}"


def check_node(settings: Settings) -> tuple[str, list[Problem]]:
    """Look at a node's folder: what it does, in a few words, and every problem."""
    status, now = read_status(settings, newest=1), datetime.now(UTC)
    if status.journal_error:
        return summary(status), [Problem("journal", status.journal_error), *process_problems(status, now)]
    state = read_state(settings.live_dir / JOURNAL_FILE)
    return summary(status), [
        *process_problems(status, now),
        *feed_problems(status.heartbeat, settings.node, now),
        *model_problems(status),
        *position_problems(state, minded=status.running or _AT_VENUE in (state.started or "")),
        *disk_problems(settings.live_dir, settings.node.min_free_mb),
    ]


def summary(status: NodeStatus) -> str:
    """What a node does, on one line."""
    beat = status.heartbeat
    if not status.running or beat is None:
        return "no node runs"
    held = f"{len(status.positions)} open position{'' if len(status.positions) == 1 else 's'}"
    models = ", ".join(f"{one.model} v{one.version}" for one in beat.models) or "no model"
    return f"{beat.state}, process {beat.pid}, {models}, {held}"


def process_problems(status: NodeStatus, now: datetime) -> Iterator[Problem]:
    """A node that does not run, does not answer, does not get started, was killed, has halted or is held back."""
    beat = status.heartbeat
    if not status.running:
        last = f"; the last heartbeat is of {beat.beat_at:%Y-%m-%d %H:%M:%S} UTC" if beat else ""
        yield Problem("dead", f"no node runs{last}")
    elif not status.responsive or beat is None:
        since = f" for {(now - beat.beat_at).total_seconds():,.0f} s" if beat else ""
        yield Problem("dead", f"the node holds its folder and gave no sign of life{since}")
    elif beat.state not in _READY and now - beat.started_at > _START:
        detail = f": {beat.detail}" if beat.detail else ""
        yield Problem("dead", f"{beat.state} since {beat.started_at:%Y-%m-%d %H:%M} UTC{detail}")
    if status.kill is not None:
        yield Problem("killed", f"the kill switch is on: {status.kill.reason}")
    if status.running and beat is not None and beat.halted:
        yield Problem("halted", beat.halted)
    for one in (one for one in status.held if one.cause != _TOLD_AS_STALE):
        yield Problem("halted" if one.state is State.HALTED else "reducing", f"{one.scope}: {one.why}; {one.remedy}")
    for asked in status.asked if not status.running else ():
        yield Problem("reducing", f"{asked.scope}: the next node begins with a {asked.verb}")
    if status.running and beat is not None and beat.journal:
        yield Problem("journal", f"no entries: {beat.journal}")


def feed_problems(beat: Heartbeat | None, settings: NodeSettings, now: datetime) -> Iterator[Problem]:
    """Markets set apart, bars that are overdue, a clock that cannot be right; a replay's time is not compared."""
    if beat is None or beat.state == "stopped":
        return
    ahead = (beat.beat_at - now).total_seconds()
    if ahead > settings.feed.clock_tolerance_s:
        yield Problem("clock", f"the heartbeat is of {ahead:,.0f} s from now: the clock was set back")
    if beat.state == "silent":
        yield Problem("stale", f"no market sends bars: {beat.detail or 'see trading status'}")
    for market, why in beat.untrusted.items():
        kind = kind_of(why)
        if kind != "stale" or beat.state != "silent":
            yield Problem(kind, f"{market}: {why}")
    if beat.state != "silent" and beat.environment != "replay":
        traded = {market for model in beat.models for market in model.markets}
        limit = timedelta(seconds=settings.feed.max_silence_s)
        for market, due in sorted(beat.next_bars.items()):
            if market in traded - beat.untrusted.keys() and now - due > limit:
                end = beat.last_bars[market]
                yield Problem("stale", f"{market}: the newest bar ended at {end:%Y-%m-%d %H:%M} UTC")


def kind_of(why: str) -> Kind:
    """What a market's feed is not trusted for."""
    if _CLOCK_WORDS in why:
        return "clock"
    return "stale" if why.startswith(SILENT) else "quarantined"


def model_problems(status: NodeStatus) -> Iterator[Problem]:
    """Deployed models that a node does not use, and markets that it refuses."""
    beat = status.heartbeat
    refused = beat.refused if beat is not None and status.running else {}
    for name, why in refused.items():
        yield Problem("refused", why if name in why else f"{name}: {why}")
    if status.manifest_error and not any(status.manifest_error in why for why in refused.values()):
        yield Problem("refused", status.manifest_error)


def position_problems(state: JournalState, *, minded: bool) -> Iterator[Problem]:
    """Open positions whose stop does not rest, by the journal's last word.

    Not ``minded`` is what the sandbox of a node held that runs no more: its orders are gone.
    """
    plans = newest_plans(state)
    for market, one in sorted(state.markets.items()):
        holding = one.holding(market)
        if holding is None or holding.is_flat:
            continue
        plan, held = plans.get(market), f"{market}: {holding.quantity:.12g} held"
        if not minded:
            yield Problem("unprotected", f"{held} and no node runs: no stop rests")
        elif plan is None or plan.stage == "closed":
            yield Problem("unprotected", f"{held} without a plan")
        elif _rests(state, plan.stop_order_id):
            continue
        elif plan.stage == "open":
            yield Problem("unprotected", f"{held} and its stop at {plan.stop_price:.12g} does not rest")
        elif plan.stage == "entering":
            yield Problem("unprotected", f"{held}, its entry is not complete and no stop rests")
        elif plan.exit_order_id not in state.orders:
            yield Problem("unprotected", f"{held}, to be closed ({plan.exit_reason}), and no exit order is on its way")


def _rests(state: JournalState, order_id: str) -> bool:
    order = state.orders.get(order_id)
    return order is not None and order.row["status"] != "initialized"


def disk_problems(folder: Path, min_free_mb: float) -> Iterator[Problem]:
    """Too little space where the journal grows."""
    place = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free_mb = shutil.disk_usage(place).free / 1e6
    if free_mb < min_free_mb:
        yield Problem("disk", f"{free_mb:,.0f} MB free at {place}, limit {min_free_mb:,.0f} MB")
