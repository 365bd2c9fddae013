"""One look at all sources, and what ended since the last one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from trading_assets.alerts.alert import Alert, Level
from trading_assets.alerts.outgoing import is_recent
from trading_assets.alerts.routing import fits
from trading_assets.alerts.sources.contract import Looked, Source
from trading_assets.alerts.state import AlertState
from trading_assets.settings import Settings

_SETTLED: Final = timedelta(seconds=60)
"""What another process told of within it may be newer than what a look found."""


def look(sources: Iterable[Source], settings: Settings, now: datetime) -> Looked:
    """What all sources find; one that fails is an alert and keeps no other from looking."""
    found: list[Alert] = []
    covers: list[str] = []
    for source in sources:
        key = f"alerts/source/{source.name}"
        try:
            one = source.look(settings, now)
        except Exception as error:
            what = f"alert source {source.name} cannot look: {type(error).__name__}: {error}"
            found.append(Alert(Level.WARNING, what, remedy="see the log; trading status --check", key=key))
        else:
            found += one.found
            covers += (*one.covers, key)
    return Looked(tuple(found), tuple(covers))


def endings(looked: Looked, state: AlertState, now: datetime) -> list[Alert]:
    """The ends of matters that a look speaks for and did not find any more."""
    found = {alert.key for alert in looked.found}
    return [
        Alert(Level.INFO, f"{matter.what.split(': ', 1)[0]}: no more", matter.where, key=key, over=True)
        for key, matter in state.matters.items()
        if matter.over_at is None
        and key not in found
        and looked.covers
        and fits(key, looked.covers)
        and not is_recent(matter.seen_at, now, _SETTLED)
    ]
