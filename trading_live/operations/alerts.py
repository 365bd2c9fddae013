"""The node's health as a source of alerts: what `trading status --check` says, for who looks from outside."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from trading_assets.alerts import Alert, Level
from trading_assets.alerts.sources import Looked, register
from trading_assets.alerts.sources.heartbeat import KEY as HEARTBEAT
from trading_assets.alerts.sources.node_events import JOURNAL_KEY, protection_key
from trading_assets.settings import Settings
from trading_live.operations.health import Problem, check_node
from trading_live.operations.heartbeat import is_running, read_heartbeat

_HELD: Final = re.compile(r"(?P<scope>node|model \S+|market \S+): (?P<cause>\w+)")
_LEVELS: Final = {"reducing": Level.WARNING, "quarantined": Level.WARNING, "refused": Level.WARNING}
"""What is not critical."""

_NAMES: Final = {
    "killed": "kill",
    "stale": "feed-silent",
    "quarantined": "feed-quarantined",
    "refused": "model-refused",
}
"""Kind of a problem -> the name in its key, as the node's own events have it."""

_PLACES: Final = ("stale", "quarantined", "unprotected", "refused")
"""Kinds whose text begins with a market or a model."""

_ALWAYS: Final = (HEARTBEAT, "node/start", "node/kill")
_JOURNALLED: Final = ("node/unprotected*", "node/disk", JOURNAL_KEY)
_RUNNING: Final = (
    *("node/halted", "node/protection/*", "node/feed-silent*", "node/feed-quarantined*"),
    *("node/model-refused*", "node/clock"),
)


@register
class HealthSource:
    """All that somebody has to look at: dead, killed, halted, silent, unprotected, disk, clock, journal."""

    name = "health"

    def look(self, settings: Settings, now: datetime) -> Looked:
        """See :class:`trading_assets.alerts.sources.Source`."""
        beat = read_heartbeat(settings.live_dir)
        if beat is None:
            return Looked()  # no node ever ran here
        _, problems = check_node(settings)
        ended = beat.state == "stopped"
        found = tuple(alert for one in problems if (alert := alert_of(one, ended=ended)) is not None)
        covers = _ALWAYS
        if not any(one.kind == "journal" for one in problems):
            covers = (*covers, *_JOURNALLED, *(_RUNNING if is_running(settings.live_dir) else ()))
        return Looked(found, covers)


def alert_of(problem: Problem, *, ended: bool = False) -> Alert | None:
    """The alert that a problem is; None where it is as somebody wants it: a node that ended in order is not dead.

    >>> alert_of(Problem("unprotected", "binance:BTC/USDT: 0.1 held without a plan")).key
    'node/unprotected/binance:BTC/USDT'
    """
    text, kind = problem.text, problem.kind
    if (kind == "dead" and ended) or "the next node begins" in text:
        return None
    return Alert(
        _LEVELS.get(kind, Level.CRITICAL),
        text if kind == "dead" else f"{_NAMES.get(kind, kind).replace('-', ' ')}: {text}",
        remedy="trading status says more",
        key=_key(problem),
    )


def _key(problem: Problem) -> str:
    kind, text = problem.kind, problem.text
    if kind == "dead":
        return HEARTBEAT if text.startswith(("no node runs", "the node holds")) else "node/start"
    if kind in ("halted", "reducing"):
        held = _HELD.match(text)
        return "node/halted" if held is None else protection_key(held["scope"], held["cause"])
    place, separator, _ = text.partition(": ")
    market = f"/{place}" if separator and kind in _PLACES and text != place else ""
    return f"node/{_NAMES.get(kind, kind)}{market}"
