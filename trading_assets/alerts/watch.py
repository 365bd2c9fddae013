"""Looks at what cannot tell of itself, and tells of it: once, or in a thread beside other work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Final

from trading_assets.alerts.alert import Alert
from trading_assets.alerts.desk import deliver
from trading_assets.alerts.sources import Source, endings, look, sources_of
from trading_assets.alerts.state_file import StateFile
from trading_assets.core.clock import Clock, utc_now
from trading_assets.settings import Settings

_LOG: Final = logging.getLogger("trading.alerts")


def watch_once(
    settings: Settings, sources: Sequence[Source] | None = None, *, now: Clock = utc_now
) -> tuple[Alert, ...]:
    """Look at all sources, tell what is new, what has ended and what is due by the time; what is wrong now.

    Parameters
    ----------
    settings
        Everything.
    sources
        What is looked at; by default what the settings name.
    now
        The clock.

    Raises
    ------
    SettingsError
        If the settings name a source that there is not.
    """
    sources = sources_of(settings.alerts.sources) if sources is None else sources
    at, file = now(), StateFile(settings.data_dir)
    looked = look(sources, settings, at)
    deliver((*looked.found, *endings(looked, file.read(), at)), settings.alerts, file, now=now)
    return looked.found


@contextmanager
def watching(settings: Settings) -> Iterator[None]:
    """Look every ``alerts.look_s`` within a block, in a thread; without channels nobody looks."""
    if not settings.alerts.channels:
        yield
        return
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(settings.alerts.look_s):
            try:
                watch_once(settings)
            except Exception:
                _LOG.exception("alerts")

    threading.Thread(target=copy_context().run, args=(run,), name="alerts-watch", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
